//! What is different between two states of an output, file by file.

use std::collections::HashMap;

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

/// One file, link or empty directory that differs.
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

/// Everything that differs from `before` to `after`, sorted by path; equal subtrees are not read. Files of the same
/// content that are gone at one place and new at another are renamed, in path order; empty files never are.
///
/// # Errors
/// When a tree cannot be read.
pub fn changes<T: Trees + ?Sized>(trees: &T, before: Option<&Node>, after: Option<&Node>) -> Result<Vec<FileChange>> {
    let mut found = Vec::new();
    if let (Some(Node::Dir { id: old, .. }), Some(Node::Dir { id: new, .. })) = (before, after) {
        let mut failed = Ok(());
        object::diff(trees, Some(*old), Some(*new), &mut |change| {
            if failed.is_ok() {
                failed = expand(trees, change.path, change.before, change.after, &mut found);
            }
            Ok::<(), ObjectError>(())
        })?;
        failed?;
    } else if before != after {
        expand(trees, RepoPath::root(), before.cloned(), after.cloned(), &mut found)?;
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
        below(trees, &path, *id, |path, node| {
            found.push(FileChange {
                path,
                kind: ChangeKind::Deleted,
                before: Some(node),
                after: None,
            });
        })?;
    }
    if let Some(Node::Dir { id, .. }) = &after {
        below(trees, &path, *id, |path, node| {
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

/// Every file, link and empty directory below a directory, which itself is at `path`.
fn below<T: Trees + ?Sized>(
    trees: &T,
    path: &RepoPath,
    id: TreeId,
    mut each: impl FnMut(RepoPath, Node),
) -> Result<()> {
    object::walk(trees, id, |relative, node| {
        if !matches!(node, Node::Dir { .. }) || node.files() == 0 {
            each(path.join_path(relative), node.clone());
        }
        Ok::<_, ObjectError>(Visit::Enter)
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
