//! The content-addressed store: packs, shards and the index over them. The local cache and every remote share this
//! layout (`docs/formats.md`); this layer knows the formats and the local cache, the `remote` layer moves them.

mod cache;
pub mod codec;
pub mod draft;
mod error;
pub mod gc;
pub mod index;
mod journal;
pub mod marker;
pub mod pack;
mod pins;
mod rebuild;
mod repair;
pub mod run;
pub mod shard;
mod sorted;
mod transaction;
mod verify;

pub use cache::{Access, Cache, Reader};
pub use error::{Result, StoreError};
pub use journal::Journal;
pub use pins::Pins;
pub use rebuild::Rebuilt;
pub use repair::Dropped;
pub use transaction::{Stored, Transaction, chunk_ids};
pub use verify::{Damage, VerifyReport};

use std::path::{Path, PathBuf};

use crate::hash::{ChunkId, FileId, PackId};
use codec::Codec;

/// What a pack holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PackKind {
    /// Chunks of files.
    Data = 0,
    /// Chunks of tree listings.
    Tree = 1,
}

/// One chunk as a pack's table describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The chunk.
    pub chunk: ChunkId,
    /// Bytes of its body in the pack.
    pub stored_len: u32,
    /// Bytes of the chunk.
    pub raw_len: u32,
    /// How the body was made from the chunk.
    pub codec: Codec,
}

/// Where a chunk is: everything that is needed to read and decode it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The pack.
    pub pack: PackId,
    /// Place in the pack's table, from 0.
    pub slot: u32,
    /// Offset of the body in the pack file.
    pub offset: u64,
    /// The slot's content.
    pub chunk: Slot,
}

impl Location {
    /// Where the body ends in the pack file.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.offset + self.chunk.stored_len as u64
    }
}

/// How a file of more than one chunk is put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The file (or listing).
    pub file: FileId,
    /// Its bytes.
    pub size: u64,
    /// The chunks, in order, as runs of slots.
    pub terms: Vec<Term>,
}

/// A run of chunks that stand together in one pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// The pack.
    pub pack: PackId,
    /// The first slot.
    pub first: u32,
    /// How many slots.
    pub count: u32,
}

impl Term {
    /// Whether the pack has these slots, as a shard describes it.
    #[must_use]
    pub fn is_in(&self, pack: &shard::PackInfo) -> bool {
        let end = self.first.checked_add(self.count);
        pack.kind.is_some() && end.is_some_and(|end| end <= pack.slots)
    }
}

/// Where an object of this name is below `dir`: `ab/abcdef…`.
#[must_use]
pub fn object_path(dir: &Path, id: &str) -> PathBuf {
    dir.join(&id[..2]).join(id)
}
