//! Errors of remote stores.

use super::transport::TransportError;
use crate::fs::FsError;
use crate::hash::{ChunkId, PackId};
use crate::object::ObjectError;
use crate::progress::Interrupted;
use crate::store::StoreError;
use crate::store::marker::MarkerError;

/// Result of an operation on a remote.
pub type Result<T> = std::result::Result<T, RemoteError>;

/// Why an operation on a remote failed.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// An object with records of runs is not what its name says.
    #[error("records of runs on remote `{remote}` are damaged: {id}")]
    DamagedRecords {
        /// The remote.
        remote: String,
        /// The object.
        id: crate::hash::FileId,
    },
    /// The list of catalog runs, for readers that cannot list, is not one.
    #[error("`catalog/current` on remote `{remote}` is damaged")]
    DamagedCurrent {
        /// The remote's name.
        remote: String,
    },
    /// Who writes must see all that is there.
    #[error("cannot write to remote `{remote}`, whose objects cannot be listed")]
    CannotList {
        /// The remote's name.
        remote: String,
        /// Why not.
        source: Box<TransportError>,
    },
    /// A claim or tombstone cannot be read. It may name anything, so nothing is collected.
    #[error("cannot read `{key}` on remote `{remote}`: {problem}")]
    BadNote {
        /// The remote's name.
        remote: String,
        /// The object.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A folder changed each time it was listed.
    #[error("`{folder}` on remote `{remote}` changes all the time")]
    Unsettled {
        /// The remote's name.
        remote: String,
        /// The folder.
        folder: String,
    },
    /// The service does not say when an object was written.
    #[error("remote `{remote}` does not say when `{key}` was written: nothing can be collected there")]
    NoTimes {
        /// The remote's name.
        remote: String,
        /// The object.
        key: String,
    },
    /// The lease of this writer was taken for a dead one's, again and again.
    #[error("a collection on remote `{remote}` took this process for dead")]
    LeaseLost {
        /// The remote's name.
        remote: String,
    },
    /// Something that is needed is missing or damaged, so that nobody can say what else it needs.
    #[error("nothing was collected on remote `{remote}`: {object} is missing or damaged, and may need anything")]
    CannotCollect {
        /// The remote's name.
        remote: String,
        /// The key of the object.
        object: String,
    },
    /// The remote could not be spoken to, or refused.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The cache, or a store's format.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A tree.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A local file.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The user stopped it.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// What is there is no store, or of another format.
    #[error("cannot use the store on remote `{remote}`")]
    Marker {
        /// The remote's name.
        remote: String,
        /// What it asks for.
        source: MarkerError,
    },
    /// A chunk on the remote is damaged.
    #[error("chunk {chunk} in pack {pack} on remote `{remote}` is damaged")]
    DamagedChunk {
        /// The remote's name.
        remote: String,
        /// The chunk.
        chunk: ChunkId,
        /// The pack that holds it.
        pack: PackId,
    },
    /// The remote does not take something that several need.
    #[error(transparent)]
    NotTaken(std::sync::Arc<Self>),
    /// An upload thread has stopped; its own error was reported before.
    #[error("the upload has stopped")]
    UploaderGone,
}

impl RemoteError {
    /// Whether one object on the remote is missing or damaged, for all that can be known. A body that ended early is not
    /// among these: what cuts it off may stand between the remote and here, and the object be sound.
    #[must_use]
    pub const fn is_of_one_object(&self) -> bool {
        match self {
            Self::Transport(error) => matches!(
                error,
                TransportError::NotFound(_) | TransportError::OutOfRange { .. } | TransportError::TooLarge { .. }
            ),
            error => error.is_damage(),
        }
    }

    /// Whether one object cannot be had, so that others are worth trying. Nothing may be replaced or deleted for it.
    #[must_use]
    pub const fn is_of_one_download(&self) -> bool {
        matches!(self, Self::Transport(TransportError::Truncated { .. })) || self.is_of_one_object()
    }

    /// Whether the remote does not take one object for good, so that others are worth trying.
    #[must_use]
    pub const fn is_of_one_upload(&self) -> bool {
        matches!(self, Self::Transport(TransportError::Refused { .. }))
    }

    /// Whether the server failed, however often it was asked.
    #[must_use]
    pub const fn is_of_the_server(&self) -> bool {
        matches!(self, Self::Transport(TransportError::Server { .. }))
    }

    /// Whether an object on the remote is not what its name says.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::DamagedChunk { .. }
                | Self::Store(
                    StoreError::DamagedShard { .. } | StoreError::DamagedRun { .. } | StoreError::DamagedRecipe(_)
                )
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::transport::Place;
    use super::*;

    #[test]
    fn a_body_that_ends_early_says_nothing_about_the_object() {
        let place = || Place::new("test", "k");
        let cut = RemoteError::from(TransportError::Truncated {
            place: place(),
            source: "cut off".into(),
        });
        assert!(!cut.is_of_one_object() && cut.is_of_one_download());
        let gone = RemoteError::from(TransportError::NotFound(place()));
        assert!(gone.is_of_one_object() && gone.is_of_one_download());
        let denied = RemoteError::from(TransportError::Denied {
            place: place(),
            source: "no".into(),
        });
        assert!(!denied.is_of_one_object() && !denied.is_of_one_download());
    }
}
