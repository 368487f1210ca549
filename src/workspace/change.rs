//! What is different between two states of an output, file by file.

use std::collections::{HashMap, HashSet};

use super::Result;
use crate::hash::{FileId, TreeId};
use crate::object::{self, Node, ObjectError, Trees, Visit};
use crate::path::RepoPath;

/// How a path differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// Its content, its link target or whether it is executable is another.
    Modified,
    /// It became a file, link or directory and was another kind.
    TypeChanged,
    /// The same content stood elsewhere, where it is gone.
    Renamed {
        /// Where it stood.
        from: RepoPath,
    },
}

/// One file, link or empty directory that differs, or a whole directory that stands elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Relative to the output; the root for an output that is a file.
    pub path: RepoPath,
    /// How it differs.
    pub kind: ChangeKind,
    /// What stood there (for a renamed file, at its old place).
    pub before: Option<Node>,
    /// What stands there now.
    pub after: Option<Node>,
}

/// Everything that differs from `before` to `after`, sorted by path; equal subtrees are not read. A directory with files
/// that is gone at one place, and the same is new at another, is renamed as a whole, and what is in it is not listed.
/// Files of the same content that are gone at one place and new at another are renamed likewise, in path order; empty
/// files never are.
///
/// # Errors
/// When a tree cannot be read.
pub fn changes<T: Trees + ?Sized>(trees: &T, before: Option<&Node>, after: Option<&Node>) -> Result<Vec<FileChange>> {
    let mut found = Vec::new();
    if let (Some(Node::Dir { id: old, .. }), Some(Node::Dir { id: new, .. })) = (before, after) {
        let mut coarse = Vec::new();
        object::diff(trees, Some(*old), Some(*new), &mut |change| {
            coarse.push(change);
            Ok::<(), ObjectError>(())
        })?;
        let moved = Moved::find(trees, &coarse)?;
        for change in coarse {
            expand(trees, change.path, change.before, change.after, &moved, &mut found)?;
        }
        found.extend(moved.into_changes());
    } else if before != after {
        let (before, after) = (before.cloned(), after.cloned());
        expand(trees, RepoPath::root(), before, after, &Moved::default(), &mut found)?;
    }
    pair_renames(&mut found);
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Breaks a change down to files.
fn expand<T: Trees + ?Sized>(
    trees: &T,
    path: RepoPath,
    before: Option<Node>,
    after: Option<Node>,
    moved: &Moved,
    found: &mut Vec<FileChange>,
) -> Result<()> {
    let kind = match (&before, &after) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Deleted,
        (Some(Node::File { .. }), Some(Node::File { .. }))
        | (Some(Node::Symlink { .. }), Some(Node::Symlink { .. })) => ChangeKind::Modified,
        _ => ChangeKind::TypeChanged,
    };
    if let Some(Node::Dir { id, .. }) = &before {
        below(trees, &path, *id, &moved.gone, |path, node| {
            found.push(FileChange {
                path,
                kind: ChangeKind::Deleted,
                before: Some(node),
                after: None,
            });
        })?;
    }
    if let Some(Node::Dir { id, .. }) = &after {
        below(trees, &path, *id, &moved.new, |path, node| {
            found.push(FileChange {
                path,
                kind: ChangeKind::Added,
                before: None,
                after: Some(node),
            });
        })?;
    }
    let is_leaf = |node: &Node| !matches!(node, Node::Dir { .. }) || node.files() == 0;
    if kind == ChangeKind::TypeChanged || before.iter().chain(&after).all(is_leaf) {
        found.push(FileChange {
            path,
            kind,
            before,
            after,
        });
    }
    Ok(())
}

/// Every file, link and empty directory below a directory, which itself is at `path`; nothing of `but`.
fn below<T: Trees + ?Sized>(
    trees: &T,
    path: &RepoPath,
    id: TreeId,
    but: &HashMap<RepoPath, Node>,
    mut each: impl FnMut(RepoPath, Node),
) -> Result<()> {
    if but.contains_key(path) {
        return Ok(());
    }
    object::walk(trees, id, |relative, node| {
        let path = path.join_path(relative);
        if !matches!(node, Node::Dir { .. }) || node.files() == 0 {
            each(path, node.clone());
        } else if but.contains_key(&path) {
            return Ok(Visit::Skip);
        }
        Ok::<_, ObjectError>(Visit::Enter)
    })?;
    Ok(())
}

/// Whole directories that are gone at one place and new at another.
#[derive(Default)]
struct Moved {
    gone: HashMap<RepoPath, Node>,
    new: HashMap<RepoPath, Node>,
    /// From, to.
    pairs: Vec<(RepoPath, RepoPath)>,
}

impl Moved {
    /// Pairs the largest of them, in the order of where they are new.
    fn find<T: Trees + ?Sized>(trees: &T, changes: &[object::Change]) -> Result<Self> {
        let is_dir = |node: &Option<Node>| matches!(node, Some(Node::Dir { files, .. }) if *files > 0);
        let mut moved = Self::default();
        if !(changes.iter().any(|change| is_dir(&change.before))
            && changes.iter().any(|change| is_dir(&change.after)))
        {
            return Ok(moved);
        }
        let mut gone: HashMap<TreeId, Vec<RepoPath>> = HashMap::new();
        for change in changes {
            dirs(trees, &change.path, change.before.as_ref(), |path, id, _| {
                gone.entry(id).or_default().push(path);
                Visit::Enter
            })?;
        }
        for paths in gone.values_mut() {
            paths.sort_unstable_by(|a, b| b.cmp(a));
        }
        // What is above a directory that was paired cannot be paired as a whole any more.
        let mut above: HashSet<RepoPath> = HashSet::new();
        for change in changes {
            dirs(trees, &change.path, change.after.as_ref(), |path, id, node| {
                let Some(candidates) = gone.get_mut(&id) else {
                    return Visit::Enter;
                };
                let free = |from: &RepoPath| {
                    let taken = std::iter::successors(Some(from.clone()), RepoPath::parent);
                    !above.contains(from) && !taken.into_iter().any(|path| moved.gone.contains_key(&path))
                };
                let Some(at) = candidates.iter().rposition(free) else {
                    return Visit::Enter;
                };
                let from = candidates.remove(at);
                above.extend(std::iter::successors(from.parent(), RepoPath::parent));
                moved.gone.insert(from.clone(), node.clone());
                moved.new.insert(path.clone(), node.clone());
                moved.pairs.push((from, path));
                Visit::Skip
            })?;
        }
        Ok(moved)
    }

    fn into_changes(mut self) -> impl Iterator<Item = FileChange> {
        self.pairs.into_iter().map(move |(from, path)| {
            let node = self.new.remove(&path);
            FileChange {
                path,
                kind: ChangeKind::Renamed { from },
                before: node.clone(),
                after: node,
            }
        })
    }
}

/// A directory and every directory below it, those without files left out.
fn dirs<T: Trees + ?Sized>(
    trees: &T,
    path: &RepoPath,
    node: Option<&Node>,
    mut each: impl FnMut(RepoPath, TreeId, &Node) -> Visit,
) -> Result<()> {
    let Some(node @ Node::Dir { id, files, .. }) = node else {
        return Ok(());
    };
    if *files == 0 || each(path.clone(), *id, node) == Visit::Skip {
        return Ok(());
    }
    object::walk(trees, *id, |relative, node| match node {
        Node::Dir { id, files, .. } if *files > 0 => Ok::<_, ObjectError>(each(path.join_path(relative), *id, node)),
        _ => Ok(Visit::Skip),
    })?;
    Ok(())
}

fn pair_renames(found: &mut Vec<FileChange>) {
    let content = |node: &Option<Node>| match node {
        Some(Node::File { id, size, .. }) if *size > 0 => Some(*id),
        _ => None,
    };
    let mut gone: HashMap<FileId, Vec<usize>> = HashMap::new();
    for (i, change) in found.iter().enumerate().rev() {
        if change.kind == ChangeKind::Deleted
            && let Some(id) = content(&change.before)
        {
            gone.entry(id).or_default().push(i);
        }
    }
    let mut used = Vec::new();
    for i in 0..found.len() {
        if found[i].kind == ChangeKind::Added
            && let Some(id) = content(&found[i].after)
            && let Some(from) = gone.get_mut(&id).and_then(Vec::pop)
        {
            found[i].before = found[from].before.clone();
            found[i].kind = ChangeKind::Renamed {
                from: found[from].path.clone(),
            };
            used.push(from);
        }
    }
    used.sort_unstable();
    let (mut i, mut used) = (0, used.into_iter().peekable());
    found.retain(|_| {
        i += 1;
        used.next_if_eq(&(i - 1)).is_none()
    });
}
