//! The ids of single files all over the workspace, kept from one run to the next so that an unchanged file costs one
//! `lstat`. In the format of [`State`], which serves one output; this one serves files in many directories.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::scan::{ScanRequest, scan};
use super::snapshot::{Mode, Snapshot};
use super::state::{self, State, StateFile};
use super::table::{Row, Table};
use super::{IgnoreRules, Result, Scopes, WorkspaceError};
use crate::fs::{FileKind, Stat};
use crate::hash::FileId;
use crate::object::{Node, Trees};
use crate::path::{Name, RepoPath};
use crate::progress::Progress;

/// What is known of single files.
#[derive(Debug, Default)]
pub struct KnownFiles {
    known: HashMap<RepoPath, Row>,
    learned: Mutex<HashMap<RepoPath, Row>>,
}

impl KnownFiles {
    /// What was kept at `path`; nothing if that cannot be read.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let mut known = HashMap::new();
        if let Some(state) = State::read(path) {
            for dir in state.paths() {
                known.extend(state.dir(&dir).filter_map(|(name, row)| {
                    let name = Name::new(name).ok()?;
                    Some((dir.join(&name), row))
                }));
            }
        }
        Self {
            known,
            learned: Mutex::default(),
        }
    }

    /// The file at `path` of which `lstat` says `stat`, if its id is known and it was not changed since.
    #[must_use]
    pub fn find(&self, path: &RepoPath, stat: &Stat) -> Option<Node> {
        let row = self.known.get(path)?;
        (row.matches(stat) && !row.is_racy()).then(|| file(row, stat)).flatten()
    }

    /// Reads the file at `path`, which is `on_disk`; `None` if it is no file any more.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn learn<T: Trees + ?Sized>(
        &self,
        path: &RepoPath,
        on_disk: &Path,
        trees: &T,
        progress: &Progress,
    ) -> Result<Option<Node>> {
        let ignore = IgnoreRules::none();
        let request = ScanRequest {
            root: on_disk,
            state: None,
            ignore: &ignore,
        };
        let scan = scan(&request, progress)?;
        if scan.kind != Some(FileKind::File) {
            return Ok(None);
        }
        let snapshot = scan.snapshot(Mode::HashOnly, None, &Scopes::whole(), trees, progress)?;
        self.adopt(path, &snapshot);
        Ok(snapshot.node)
    }

    /// Takes over what a snapshot of a file knows.
    pub fn adopt(&self, path: &RepoPath, snapshot: &Snapshot) {
        let rows = snapshot.scan.dirs.first().map(|dir| dir.table.rows());
        if let (Some(FileKind::File), Some([row])) = (snapshot.scan.kind, rows) {
            let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
            learned.insert(path.clone(), *row);
        }
    }

    /// Keeps what is known now, if something was learned.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if learned.is_empty() {
            return Ok(());
        }
        let mut tables: BTreeMap<RepoPath, Table> = BTreeMap::new();
        let old = self.known.iter().filter(|(path, _)| !learned.contains_key(*path));
        for (path, row) in old.chain(learned.iter()) {
            let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            let table = tables.entry(dir.clone()).or_default();
            if !table.push_row(name.as_bytes(), row) {
                return Err(WorkspaceError::TooManyNames(dir));
            }
        }
        tables.values_mut().for_each(Table::sort);
        let to = StateFile {
            path: path.to_owned(),
            output: RepoPath::root(),
        };
        state::write(&to, (None, false), &Scopes::whole(), tables.iter())
    }
}

fn file(row: &Row, stat: &Stat) -> Option<Node> {
    Some(Node::File {
        id: FileId::from_bytes(row.id()?),
        size: stat.size,
        executable: stat.mode & 0o100 != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs;
    use crate::hash::TreeId;
    use crate::object::{self, ObjectError, Tree};

    struct NoTrees;

    impl Trees for NoTrees {
        fn tree(&self, id: TreeId) -> object::Result<Tree> {
            Err(ObjectError::TooDeep(id))
        }
    }

    #[test]
    fn an_unchanged_file_is_not_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, on_disk) = (dir.path().join("kept"), dir.path().join("a"));
        std::fs::write(&on_disk, "one").unwrap();
        // Old enough for its times to tell.
        std::thread::sleep(std::time::Duration::from_millis(60));
        let path = RepoPath::new(b"some/a").unwrap();
        let progress = Progress::new();
        let files = KnownFiles::read(&kept);
        let stat = fs::stat(&on_disk).unwrap().unwrap();
        assert_eq!(files.find(&path, &stat), None);
        let node = files.learn(&path, &on_disk, &NoTrees, &progress).unwrap().unwrap();
        files.write(&kept).unwrap();
        let files = KnownFiles::read(&kept);
        assert_eq!(files.find(&path, &stat), Some(node));
        assert_eq!(files.find(&RepoPath::new(b"a").unwrap(), &stat), None);
        std::fs::write(&on_disk, "two").unwrap();
        let stat = fs::stat(&on_disk).unwrap().unwrap();
        assert_eq!(files.find(&path, &stat), None);
    }
}
