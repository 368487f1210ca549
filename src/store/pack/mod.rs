//! Packs: immutable files of many chunks, named by their own hash (`docs/formats.md`, section Pack).
//!
//! Invariants: a pack's name is computed from the bytes handed to the kernel; it gets its name only when it is complete
//! and synced; it is never changed afterwards. A reader checks every length against the length of the file before it
//! allocates, and the table against its hash; whether a body gives its chunk, the reader of the chunk checks.
//!
//! Not promised: which chunks share a pack.

mod fill;
mod read;
mod verify;
mod write;

pub use fill::PackFiller;
pub use read::{PackFile, PackTable, TailOutcome};
pub use verify::{Verdict, verify};
pub use write::{PackInfo, PackWriter, PageCache, SealedPack};

use std::path::{Path, PathBuf};

use crate::hash::PackId;

/// Bytes of bodies at which a writer starts a new pack.
pub const TARGET_LEN: u64 = 64 << 20;
/// Chunks at which a writer starts a new pack: bounds the memory for its table.
pub const TARGET_CHUNKS: usize = 1 << 18;
/// Bytes before the first body.
pub const HEADER_LEN: usize = 8;
/// Bytes behind the table.
pub const TRAILER_LEN: usize = 48;
/// Bytes of the table per chunk.
pub const SLOT_LEN: usize = 40;
/// Most bytes of a pack file.
pub const MAX_FILE_LEN: u64 = 1 << 32;

const MAGIC: [u8; 7] = *b"MVPACK\x01";
const END_MAGIC: [u8; 8] = *b"MVPACKED";

/// Where a pack lies in a directory of packs: `ab/<id>`.
#[must_use]
pub fn path_in(packs_dir: &Path, id: PackId) -> PathBuf {
    let name = id.to_string();
    packs_dir.join(&name[..2]).join(name)
}

#[cfg(test)]
mod tests;
