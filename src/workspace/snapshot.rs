//! From a scan to ids: what the workspace holds, as trees.
//!
//! In a partly present output, what was never here is taken over from the base tree; of it, only the listings of
//! directories that are here too are read.

use std::collections::HashMap;

use super::scan::{MAX_DEPTH, Scan, ScannedDir};
use super::scopes::{Scopes, Within};
use super::state::{PreparedState, StateFile};
use super::table::{Row, Table};
use super::{Result, Root, WorkspaceError, hash, state};
use crate::fs::FileKind;
use crate::hash::{FileId, TreeId};
use crate::object::{self, Encoded, Encoder, Entry, Node, ObjectError, Tree, Trees};
use crate::path::{Name, RepoPath};
use crate::progress::Progress;
use crate::store::{PackKind, Transaction};

/// What becomes of files that are not known yet.
#[derive(Debug, Clone, Copy)]
pub enum Mode<'a> {
    /// They are hashed.
    HashOnly,
    /// They are stored, and the trees too.
    Store(&'a Transaction),
}

/// What an output holds, with all ids known.
#[derive(Debug)]
pub struct Snapshot {
    /// The scan, with every file identified.
    pub scan: Scan,
    /// The output itself; `None` when there is nothing.
    pub node: Option<Node>,
    /// Files that had to be read, and their bytes.
    pub read: (u64, u64),
    /// Which directory has which listing.
    trees: HashMap<TreeId, usize>,
}

impl Scan {
    /// Identifies what is not known and computes the trees. `base` and `scopes` say what belongs to the output
    /// without being here; it is read from `trees`.
    ///
    /// # Errors
    /// When something cannot be read, keeps changing, or (when storing) cannot be tracked or stored.
    pub fn snapshot<T: Trees + ?Sized>(
        mut self,
        mode: Mode<'_>,
        base: Option<Root>,
        scopes: &Scopes,
        trees: &T,
        progress: &Progress,
    ) -> Result<Snapshot> {
        if matches!(mode, Mode::Store(_)) && !self.problems.is_empty() {
            return Err(WorkspaceError::Problems(self.problems));
        }
        let read = hash::identify(&mut self, mode, progress)?;
        if let (Some(FileKind::Dir), Some(Root::Tree(base)), false) = (self.kind, base, scopes.is_whole()) {
            self.keep_absent(base, scopes, trees)?;
        }
        let mut snapshot = Snapshot {
            scan: self,
            node: None,
            read,
            trees: HashMap::new(),
        };
        snapshot.node = match snapshot.scan.kind {
            Some(FileKind::Dir) => snapshot.build(mode)?,
            Some(FileKind::File) => snapshot
                .scan
                .dirs
                .first()
                .and_then(|dir| dir.table.rows().first())
                .and_then(file_node),
            _ => None,
        };
        Ok(snapshot)
    }

    /// Notes the entries of `base` that are not in this workspace but belong to the output.
    fn keep_absent<T: Trees + ?Sized>(&mut self, base: TreeId, scopes: &Scopes, trees: &T) -> Result<()> {
        if scopes.within(&RepoPath::root()) == Within::Inside {
            return Ok(());
        }
        let mut added: Vec<ScannedDir> = Vec::new();
        let mut work = vec![(RepoPath::root(), base)];
        while let Some((path, id)) = work.pop() {
            let at = self.index(&path);
            let mut absent = ScannedDir {
                path: path.clone(),
                absent: true,
                ..ScannedDir::default()
            };
            let dir = at.and_then(|at| self.dirs.get_mut(at)).unwrap_or(&mut absent);
            let mut missing: Vec<Name> = Vec::new();
            for entry in trees.tree(id)?.into_entries() {
                let below = path.join(&entry.name);
                let within = scopes.within(&below);
                let row = dir.table.find(entry.name.as_bytes());
                match (within, row.map(Row::kind), &entry.node) {
                    (Within::Inside, _, _) => {}
                    (_, Some(FileKind::Dir), Node::Dir { id, .. }) => work.push((below, *id)),
                    (_, Some(_), _) => {}
                    (Within::Above, None, Node::Dir { id, .. }) => {
                        work.push((below, *id));
                        missing.push(entry.name);
                    }
                    (_, None, _) => dir.kept.push(entry),
                }
            }
            for name in missing {
                if !dir.table.push(name.as_bytes(), FileKind::Dir) {
                    return Err(WorkspaceError::TooManyNames(path));
                }
            }
            dir.table.sort();
            if at.is_none() {
                added.push(absent);
            }
        }
        self.dirs.extend(added);
        self.dirs.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(())
    }
}

fn file_node(row: &Row) -> Option<Node> {
    Some(Node::File {
        id: FileId::from_bytes(row.id()?),
        size: row.size,
        executable: row.is_executable(),
    })
}

/// The entries of a directory by name; what is not known is left out.
fn entries(dir: &ScannedDir) -> impl Iterator<Item = Result<Entry>> {
    let table: &Table = &dir.table;
    let mut kept = dir.kept.iter().peekable();
    let mut rows = table
        .rows()
        .iter()
        .filter_map(|row| Some((row, node_of(table, row)?)))
        .peekable();
    std::iter::from_fn(move || {
        let kept_first = match (kept.peek(), rows.peek()) {
            (Some(kept), Some((row, _))) => kept.name.as_bytes() < table.name(row),
            (kept, _) => kept.is_some(),
        };
        if kept_first {
            return kept.next().cloned().map(Ok);
        }
        let (row, node) = rows.next()?;
        Some(match Name::new(table.name(row)) {
            Ok(name) => Ok(Entry { name, node }),
            Err(error) => Err(error.into()),
        })
    })
}

fn node_of(table: &Table, row: &Row) -> Option<Node> {
    match row.kind() {
        FileKind::File => file_node(row),
        FileKind::Symlink => Some(Node::Symlink {
            target: table.target(row).into(),
        }),
        FileKind::Dir => row.id().map(|id| Node::Dir {
            id: TreeId::from_bytes(id),
            size: row.size,
            files: row.ino,
        }),
        FileKind::Special => None,
    }
}

/// The listing of a directory, encoded as its entries come.
fn encode(dir: &ScannedDir) -> Result<Encoded> {
    let mut encoder = Encoder::with_capacity(dir.table.rows().len() + dir.kept.len());
    for entry in entries(dir) {
        encoder.push(entry?).map_err(|source| WorkspaceError::Listing {
            path: dir.path.clone(),
            source,
        })?;
    }
    Ok(encoder.finish())
}

/// The listing of a directory.
fn listing(dir: &ScannedDir) -> Result<Tree> {
    let entries = entries(dir).collect::<Result<_>>()?;
    Tree::new(entries).map_err(|source| WorkspaceError::Listing {
        path: dir.path.clone(),
        source,
    })
}

impl Snapshot {
    /// Computes the trees from the deepest directories up.
    fn build(&mut self, mode: Mode<'_>) -> Result<Option<Node>> {
        let dirs = &mut self.scan.dirs;
        // Directories whose parent was not reached yet, in an order such that those of one parent are the last
        // ones, the first name on top: backwards through a depth-first order, children come right before parents.
        let mut waiting: Vec<(usize, Node)> = Vec::new();
        for i in (0..dirs.len()).rev() {
            let path = dirs[i].path.clone();
            if path.names().count() > MAX_DEPTH {
                return Err(WorkspaceError::TooDeep(path));
            }
            let rows = dirs[i].table.rows().len();
            for r in 0..rows {
                let Some(row) = dirs[i].table.rows.get(r).copied() else {
                    break;
                };
                if row.kind() != FileKind::Dir {
                    continue;
                }
                let name = Name::new(dirs[i].table.name(&row))?;
                let Some((_, Node::Dir { id, size, files })) =
                    waiting.pop_if(|(child, _)| dirs[*child].path == path.join(&name))
                else {
                    continue;
                };
                dirs[i].table.rows[r].set_tree(*id.as_bytes(), size, files);
            }
            let encoded = encode(&dirs[i])?;
            if dirs[i].absent && encoded.is_empty() && i != 0 {
                continue;
            }
            let Encoded { id, bytes, size, files } = encoded;
            if let Mode::Store(transaction) = mode {
                transaction.add_bytes(PackKind::Tree, &bytes)?;
            }
            self.trees.insert(id, i);
            let node = Node::Dir { id, size, files };
            waiting.push((i, node));
        }
        Ok(waiting.pop().map(|(_, node)| node))
    }

    /// What the output is, by id.
    #[must_use]
    pub fn root(&self) -> Option<Root> {
        match self.node.as_ref()? {
            Node::File { id, .. } => Some(Root::File(*id)),
            Node::Dir { id, .. } => Some(Root::Tree(*id)),
            Node::Symlink { .. } => None,
        }
    }

    /// Trees of the workspace first, then those of `below`.
    #[must_use]
    pub fn over<'a, T: Trees + ?Sized>(&'a self, below: &'a T) -> Overlay<'a, T> {
        Overlay { snapshot: self, below }
    }

    /// Records what is known now as the state of the output. `base` is what the workspace counts as from now on, usually
    /// [`Snapshot::root`] after an add, or the old state's base.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_state(&self, to: &StateFile, base: Option<Root>, scopes: &Scopes) -> Result<()> {
        state::write(to, (base, self.scan.unfinished), scopes, self.tables())
    }

    /// As [`Snapshot::write_state`], of what is all here; the state is in force when it is published.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn prepare_state(&self, to: &StateFile, base: Option<Root>, scopes: &Scopes) -> Result<PreparedState> {
        state::prepare(to, (base, false), scopes, self.tables())
    }

    fn tables(&self) -> impl Iterator<Item = (&RepoPath, &Table)> + Clone {
        self.scan.dirs.iter().map(|dir| (&dir.path, &dir.table))
    }
}

/// The trees of a snapshot that need not be stored, over others.
#[derive(Debug)]
pub struct Overlay<'a, T: ?Sized> {
    snapshot: &'a Snapshot,
    below: &'a T,
}

impl<T: Trees + ?Sized> Trees for Overlay<'_, T> {
    fn tree(&self, id: TreeId) -> object::Result<Tree> {
        let here = self
            .snapshot
            .trees
            .get(&id)
            .and_then(|i| self.snapshot.scan.dirs.get(*i));
        match here {
            None => self.below.tree(id),
            Some(dir) => listing(dir).map_err(|error| match error {
                WorkspaceError::Listing { source, .. } => ObjectError::Tree { id, source },
                // Names were checked when they were read.
                _ => ObjectError::TooDeep(id),
            }),
        }
    }
}
