//! What the store's content means: tree listings, walking and comparing them.
//!
//! A tree is one directory's canonical listing (`docs/formats.md`); it is stored like a file whose content is the
//! listing. This layer decodes listings and never trusts them: names, sizes, order and link targets are checked.

mod diff;
mod read;
mod tree;

pub use diff::{Change, diff};
pub use read::{ObjectError, Result, Trees, Visit, find, walk};
pub use tree::{Encoded, Encoder, Entry, LinkError, Node, Tree, TreeError, check_link};

use crate::hash::{FileId, RootId, TreeId};

/// What a pointer names: a file or a directory, by the id of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Root {
    /// A file.
    File(FileId),
    /// A directory.
    Tree(TreeId),
}

impl Root {
    /// The id as pointers and the catalog write it.
    #[must_use]
    pub fn id(self) -> RootId {
        match self {
            Self::File(id) => id.into(),
            Self::Tree(id) => id.into(),
        }
    }

    /// The id under which its own bytes (of a tree: the listing) are stored.
    #[must_use]
    pub fn as_file(self) -> FileId {
        match self {
            Self::File(id) => id,
            Self::Tree(id) => id.as_file(),
        }
    }
}
