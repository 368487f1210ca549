//! What stands at a path, as outcomes show it.

use crate::hash::RootId;
use crate::object::Node;
use crate::path::quote;

/// What kind of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContentKind {
    /// A file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Link,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Content {
    /// What kind of thing it is.
    pub kind: ContentKind,
    /// Its id; links have none.
    pub id: Option<RootId>,
    /// Bytes of file content.
    pub size: u64,
    /// Files and links; 1 for a file or link.
    pub files: u64,
    /// Whether it is a file that its owner may execute.
    pub executable: bool,
    /// Where a link points, quoted as paths are.
    pub target: Option<String>,
}

impl From<&Node> for Content {
    fn from(node: &Node) -> Self {
        let (kind, id) = match node {
            Node::File { id, .. } => (ContentKind::File, Some((*id).into())),
            Node::Dir { id, .. } => (ContentKind::Dir, Some((*id).into())),
            Node::Symlink { .. } => (ContentKind::Link, None),
        };
        Self {
            kind,
            id,
            size: node.size(),
            files: node.files(),
            executable: matches!(node, Node::File { executable: true, .. }),
            target: match node {
                Node::Symlink { target } => Some(quote(target).into_owned()),
                _ => None,
            },
        }
    }
}
