//! Reading and walking trees out of a store.

use super::tree::{Node, Tree, TreeError};
use crate::hash::TreeId;
use crate::path::RepoPath;
use crate::store::{Cache, StoreError};

/// The longest listing that is read, in bytes: about twenty million names.
const MAX_LISTING: u64 = 1 << 30;
/// The deepest nesting of directories that is followed; far above what any path length limit allows.
const MAX_DEPTH: usize = 4096;

/// Result of reading objects.
pub type Result<T> = std::result::Result<T, ObjectError>;

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The store does not have its content.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its content is not a listing.
    #[error("tree {id} is not a valid listing")]
    Tree {
        /// The tree.
        id: TreeId,
        /// What is wrong with it.
        source: TreeError,
    },
    /// Directories are nested deeper than any file system allows.
    #[error("tree {0} is nested too deep")]
    TooDeep(TreeId),
}

impl ObjectError {
    /// Whether the content is just not in this store (rather than damaged).
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::MissingFile(_) | StoreError::MissingChunk(_) | StoreError::MissingPack(_))
        )
    }
}

/// Something trees can be read from.
pub trait Trees {
    /// The tree of this id.
    ///
    /// # Errors
    /// When it is missing or damaged.
    fn tree(&self, id: TreeId) -> Result<Tree>;
}

impl Trees for Cache {
    fn tree(&self, id: TreeId) -> Result<Tree> {
        let bytes = self.read_file(id.as_file(), MAX_LISTING)?;
        Tree::decode(&bytes).map_err(|source| ObjectError::Tree { id, source })
    }
}

/// What [`walk`] does with a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// Goes into it.
    Enter,
    /// Leaves it out.
    Skip,
}

/// Visits every entry below the tree `root` in order, directories before their content, without recursion on the
/// stack. Paths are relative to `root`. The visitor is told the path and node, and says whether to enter a directory.
///
/// # Errors
/// When a tree cannot be read, or the visitor fails.
pub fn walk<S, E>(trees: &S, root: TreeId, mut visit: impl FnMut(&RepoPath, &Node) -> std::result::Result<Visit, E>) -> std::result::Result<(), E>
where
    S: Trees + ?Sized,
    E: From<ObjectError>,
{
    let mut stack = vec![(RepoPath::root(), trees.tree(root)?.into_entries().into_iter())];
    while let Some((dir, entries)) = stack.last_mut() {
        let Some(entry) = entries.next() else {
            stack.pop();
            continue;
        };
        let path = dir.join(&entry.name);
        if visit(&path, &entry.node)? == Visit::Enter
            && let Node::Dir { id, .. } = entry.node
        {
            if stack.len() >= MAX_DEPTH {
                return Err(ObjectError::TooDeep(id).into());
            }
            stack.push((path, trees.tree(id)?.into_entries().into_iter()));
        }
    }
    Ok(())
}

/// The node at `path` below the tree `root`; `None` when there is none. The root itself has no node and is `None` too.
///
/// # Errors
/// When a tree on the way cannot be read.
pub fn find<S: Trees + ?Sized>(trees: &S, root: TreeId, path: &RepoPath) -> Result<Option<Node>> {
    let mut names = path.names().peekable();
    let mut at = root;
    while let Some(name) = names.next() {
        let tree = trees.tree(at)?;
        match tree.get(name) {
            None => return Ok(None),
            Some(entry) if names.peek().is_none() => return Ok(Some(entry.node.clone())),
            Some(entry) => match entry.node {
                Node::Dir { id, .. } => at = id,
                _ => return Ok(None),
            },
        }
    }
    Ok(None)
}
