//! A directory out of files, links and outputs that are known one by one.

use std::collections::BTreeMap;

use crate::object::{Entry, Node, Tree, check_link};
use crate::path::{Name, RepoPath};
use crate::repo::{RepoError, Result};
use crate::store::{PackKind, Transaction};

/// Stores the listings of a directory with these things in it, by their paths in it.
///
/// # Errors
/// When two of them have one path, one is inside another, or a link leaves the directory.
pub(super) fn directory(transaction: &Transaction, items: Vec<(RepoPath, Node)>) -> Result<Node> {
    let mut dirs: BTreeMap<RepoPath, Vec<Entry>> = BTreeMap::from([(RepoPath::root(), Vec::new())]);
    for (path, node) in items {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(RepoError::WholeRepository);
        };
        if let Node::Symlink { target } = &node
            && check_link(dir.names().count(), target).is_err()
        {
            return Err(RepoError::DanglingLink {
                output: RepoPath::root(),
                path,
            });
        }
        let mut above = Some(dir.clone());
        while let Some(dir) = above {
            above = dir.parent();
            dirs.entry(dir).or_default();
        }
        dirs.entry(dir).or_default().push(Entry { name, node });
    }
    // The deepest first: a listing names those below it.
    let mut order: Vec<RepoPath> = dirs.keys().cloned().collect();
    order.sort_by_key(|dir| std::cmp::Reverse(dir.names().count()));
    for dir in order {
        let entries = dirs.remove(&dir).unwrap_or_default();
        let tree = Tree::new(entries).map_err(|source| RepoError::Listing {
            path: dir.clone(),
            source,
        })?;
        let (id, bytes) = tree.encode();
        transaction.add_bytes(PackKind::Tree, &bytes)?;
        let node = Node::Dir {
            id,
            size: tree.size(),
            files: tree.files(),
        };
        match (dir.parent(), dir.file_name()) {
            (Some(above), Some(name)) => dirs.entry(above).or_default().push(Entry { name, node }),
            _ => return Ok(node),
        }
    }
    Err(RepoError::WholeRepository)
}

/// A path that is no pointer's and whose parts a workspace can hold.
pub(super) fn inside(path: &[u8]) -> Option<RepoPath> {
    let path = RepoPath::new(path).ok().filter(|path| !path.is_root())?;
    let fine = path.names().all(|name| Name::new(name).is_ok() && name != b".git");
    fine.then_some(path)
}
