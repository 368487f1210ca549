//! Finding the pointer files of a work tree, staged or not.
//!
//! The walk never enters what it cannot need: git directories, nested repositories, directories that git ignores,
//! and tracked outputs, which may hold a million files.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::discover::GitRepo;
use super::error::Result;
use super::exclude::Excludes;
use super::index::IndexedPointer;
use super::lock::LOCK_FILE;
use super::pointer::{POINTER_SUFFIX, is_pointer_path};
use crate::fs::{self, Dir, FileKind, FsError, TempFile};
use crate::path::{Name, RepoPath};

/// Name of the project files.
const PROJECT_FILE: &str = "mv.toml";

/// The pointer files of a work tree.
#[derive(Debug, Default)]
pub struct FoundPointers {
    /// Those that exist as files, sorted. Files named `NAME.mv`: that each holds a pointer is not checked.
    pub present: Vec<RepoPath>,
    /// Project files (`mv.toml`), sorted.
    pub projects: Vec<RepoPath>,
    /// The lock files, sorted.
    pub locks: Vec<RepoPath>,
    /// Those of both kinds in git's index that do not exist as files, sorted; not those that a sparse checkout leaves out.
    pub deleted: Vec<RepoPath>,
    /// Directories that could not be looked into.
    pub unreadable: Vec<FsError>,
    /// What killed modver processes left beside pointers and outputs; whoever holds the workspace lock may remove it.
    pub leftovers: Vec<RepoPath>,
}

impl GitRepo {
    /// Finds all pointer files. In directories that git ignores, only those that are in the index.
    ///
    /// # Errors
    /// When the index or ignore rules cannot be read, or the top of the work tree cannot be listed.
    pub fn find_pointers(&self) -> Result<FoundPointers> {
        let tracked = self.tracked()?;
        find(
            self.root(),
            &mut self.excludes()?,
            &tracked.pointers()?,
            &tracked.locks()?,
        )
    }
}

fn find(
    root: &Path,
    excludes: &mut Excludes,
    indexed: &[IndexedPointer],
    indexed_locks: &[IndexedPointer],
) -> Result<FoundPointers> {
    let mut present = BTreeSet::new();
    let mut projects = Vec::new();
    let mut locks = BTreeSet::new();
    let mut deleted = BTreeSet::new();
    let mut unreadable = Vec::new();
    let mut leftovers = Vec::new();
    let mut pending = vec![RepoPath::root()];
    while let Some(dir) = pending.pop() {
        match look_into(root, &dir) {
            Ok(Some(listed)) => {
                present.extend(listed.pointers.iter().map(|name| dir.join(name)));
                projects.extend(listed.has_project.then(|| project_in(&dir)).flatten());
                locks.extend(listed.lock.iter().map(|name| dir.join(name)));
                leftovers.extend(listed.leftovers.iter().map(|name| dir.join(name)));
                for name in listed.dirs {
                    let path = dir.join(&name);
                    if excludes.is_excluded(&path, true)?.is_none() {
                        pending.push(path);
                    }
                }
            }
            Ok(None) => {}
            Err(error) if dir.is_root() => return Err(error.into()),
            Err(error) if error.is_not_found() => {}
            Err(error) => unreadable.push(error),
        }
    }
    for (indexed, present) in [(indexed, &mut present), (indexed_locks, &mut locks)] {
        for file in indexed {
            if present.contains(&file.path) {
                continue;
            }
            match stat_inside(root, &file.path) {
                Ok(Some(stat)) if stat.kind == FileKind::File => {
                    present.insert(file.path.clone());
                }
                Ok(_) if file.absent => {}
                Ok(_) => {
                    deleted.insert(file.path.clone());
                }
                Err(error) => unreadable.push(error),
            }
        }
    }
    projects.sort_unstable();
    Ok(FoundPointers {
        present: present.into_iter().collect(),
        projects,
        locks: locks.into_iter().collect(),
        deleted: deleted.into_iter().collect(),
        unreadable,
        leftovers,
    })
}

/// `lstat` of a file of the work tree; for git, what is behind a symbolic link is not in it.
fn stat_inside(root: &Path, path: &RepoPath) -> fs::Result<Option<fs::Stat>> {
    let mut above = path.parent();
    while let Some(dir) = above.filter(|dir| !dir.is_root()) {
        if fs::stat(&dir.on_disk(root))?.is_some_and(|stat| stat.kind == FileKind::Symlink) {
            return Ok(None);
        }
        above = dir.parent();
    }
    fs::stat(&path.on_disk(root))
}

fn project_in(dir: &RepoPath) -> Option<RepoPath> {
    Some(dir.join(&Name::new(PROJECT_FILE.as_bytes()).ok()?))
}

struct Listed {
    pointers: HashSet<Name>,
    has_project: bool,
    lock: Option<Name>,
    /// Directories to look into, if git does not ignore them.
    dirs: Vec<Name>,
    leftovers: Vec<Name>,
}

/// Lists one directory; `None` if it is another repository.
fn look_into(root: &Path, path: &RepoPath) -> fs::Result<Option<Listed>> {
    let dir = Dir::open(&path.on_disk(root))?;
    let mut pointers = HashSet::new();
    let mut has_project = false;
    let mut lock = None;
    let mut dirs = Vec::new();
    let mut leftovers = Vec::new();
    for entry in dir.list()? {
        let name = entry.name;
        if TempFile::is_alone_name(name.as_os()) {
            leftovers.push(name);
            continue;
        }
        if name.as_bytes() == b".git" {
            if path.is_root() {
                continue;
            }
            return Ok(None);
        }
        let may_be_pointer =
            name.as_bytes().ends_with(POINTER_SUFFIX.as_bytes()) && is_pointer_path(&RepoPath::root().join(&name));
        let kind = match entry.kind {
            Some(kind) => Some(kind),
            None => dir.stat(&name)?.map(|stat| stat.kind),
        };
        match kind {
            Some(FileKind::File) if name.as_bytes() == PROJECT_FILE.as_bytes() => has_project = true,
            Some(FileKind::File) if may_be_pointer => {
                pointers.insert(name);
            }
            Some(FileKind::File) if name.as_bytes() == LOCK_FILE.as_bytes() => lock = Some(name),
            Some(FileKind::Dir) => dirs.push(name),
            _ => {}
        }
    }
    dirs.retain(|name| {
        let pointer = [name.as_bytes(), POINTER_SUFFIX.as_bytes()].concat();
        !Name::new(&pointer).is_ok_and(|pointer| pointers.contains(&pointer))
    });
    Ok(Some(Listed {
        pointers,
        has_project,
        lock,
        dirs,
        leftovers,
    }))
}
