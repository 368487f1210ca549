//! Errors of the store.

use std::path::PathBuf;

use crate::fs::{self, Belongs, FsError};
use crate::hash::{ChunkId, FileId, PackId, RunId, ShardId};
use crate::progress::Interrupted;
use crate::store::marker::MarkerError;

/// Result of a store operation.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The user stopped it.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The chunk is nowhere in this store.
    #[error("chunk {0} is not in the cache")]
    MissingChunk(ChunkId),
    /// The file is nowhere in this store.
    #[error("file {0} is not in the cache")]
    MissingFile(FileId),
    /// A recipe or shard names a pack that no shard describes.
    #[error("pack {0} is not in the cache")]
    MissingPack(PackId),
    /// A chunk's stored body does not give the chunk back.
    #[error("chunk {chunk} in pack {pack} is damaged")]
    DamagedChunk {
        /// The chunk.
        chunk: ChunkId,
        /// The pack that holds the body.
        pack: PackId,
    },
    /// The chunks of a recipe do not give the file.
    #[error("the recipe of file {0} gives other content")]
    DamagedRecipe(FileId),
    /// A pack is not what its name or the format says.
    #[error("pack {pack} is damaged: {defect}")]
    DamagedPack {
        /// The pack.
        pack: PackId,
        /// What is wrong with it.
        defect: &'static str,
    },
    /// A shard is not what its name or the format says.
    #[error("shard {shard} is damaged: {defect}")]
    DamagedShard {
        /// The shard.
        shard: ShardId,
        /// What is wrong with it.
        defect: &'static str,
    },
    /// The system does not let a shard be read. That is no damage: it may be whole.
    #[error("cannot read shard {shard}")]
    UnreadableShard {
        /// The shard.
        shard: ShardId,
        /// Why not.
        source: std::sync::Arc<Self>,
    },
    /// A catalog run is not what its name or the format says.
    #[error("catalog run {run} is damaged: {defect}")]
    DamagedRun {
        /// The run.
        run: RunId,
        /// What is wrong with it.
        defect: &'static str,
    },
    /// The store was made by a newer or different modver.
    #[error("cannot use the store at `{path}`", path = .path.display())]
    Marker {
        /// The store.
        path: PathBuf,
        /// What it asks for.
        source: MarkerError,
    },
    /// A chunk that came from elsewhere is not what its id says.
    #[error("chunk {0} arrived damaged")]
    DamagedBody(ChunkId),
    /// A file is larger than what is sensible for its purpose.
    #[error("file {file} is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        file: FileId,
        /// The limit.
        limit: u64,
    },
    /// What a process that lives has pinned cannot be read.
    #[error("what a process in use of the cache needs cannot be read from `{}`", .0.display())]
    DamagedPins(PathBuf),
    /// The cache is used by others, or was not opened for removing from it.
    #[error("the cache is not held exclusively")]
    NotExclusive,
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// The thread that writes packs has stopped; its own error says why.
    #[error("the pack writer has stopped")]
    WriterGone,
    /// Somebody else holds the store in a way that excludes this operation.
    #[error("the cache at `{path}` is locked by {holder}", path = .path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// What the holder wrote about itself.
        holder: String,
    },
    /// Something in the cache is another user's, who does not let this one use it.
    #[error("`{path}` in the cache belongs to {owner}, who does not let you use it", path = .path.display(), owner = .belongs.owner)]
    NotShared {
        /// Which file or directory.
        path: PathBuf,
        /// Whose it is.
        belongs: Box<Belongs>,
    },
    /// A compressor failed; only memory exhaustion can cause it.
    #[error("cannot compress a chunk of {len} bytes")]
    Compress {
        /// The chunk's length.
        len: usize,
        /// What the compressor said.
        source: std::io::Error,
    },
    /// A chunk that no pack can hold was to be stored.
    #[error("cannot store a chunk: {defect}")]
    InvalidSlot {
        /// What is wrong with it.
        defect: &'static str,
    },
    /// A transaction needs more than the format can count (packs of 4 GiB, 2³² slots).
    #[error("too many chunks for one shard")]
    TooMany,
}

impl StoreError {
    /// The same error, or [`StoreError::NotShared`] if it comes from what another user does not let this one do.
    pub(super) fn explained(self) -> Self {
        match self {
            Self::Fs(error) if error.source.kind() == std::io::ErrorKind::PermissionDenied => {
                let there = error.path.ancestors().find_map(|path| Some((path, fs::belongs(path)?)));
                match there {
                    Some((path, belongs)) if !belongs.is_ours => Self::NotShared {
                        path: path.to_owned(),
                        belongs: Box::new(belongs),
                    },
                    _ => Self::Fs(error),
                }
            }
            error => error,
        }
    }

    /// Whether something stored is not what it should be.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::DamagedChunk { .. }
                | Self::DamagedPack { .. }
                | Self::DamagedRecipe(_)
                | Self::DamagedRun { .. }
                | Self::DamagedShard { .. }
        )
    }

    /// Whether some stored content is missing or damaged, so that other content is worth trying.
    #[must_use]
    pub const fn is_of_content(&self) -> bool {
        matches!(
            self,
            Self::MissingChunk(_)
                | Self::MissingFile(_)
                | Self::MissingPack(_)
                | Self::DamagedChunk { .. }
                | Self::DamagedPack { .. }
                | Self::DamagedRecipe(_)
        )
    }
}
