//! Reading a whole pack to see whether it is what its name says.

use std::path::Path;

use super::{HEADER_LEN, PackFile, PackTable};
use crate::hash::{ChunkId, Hasher, PackId};
use crate::progress::Progress;
use crate::store::codec::Decoder;
use crate::store::{Location, Result};

/// Bytes read at once; more than any body has.
const RUN: u64 = 1 << 20;

/// What [`verify`] found in a pack whose table is sound.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Verdict {
    /// The table.
    pub table: PackTable,
    /// How many chunks are damaged.
    pub damaged: u32,
    /// Whether the file's bytes have the hash that is its name.
    pub name_holds: bool,
}

impl Verdict {
    /// Whether nothing at all is wrong with the pack.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.damaged == 0 && self.name_holds
    }
}

/// Reads the pack `id` at `path` once: hashes the file, decodes every chunk and compares its id. `on_damage` is called
/// for each chunk that its body does not give. Counts the bytes of the file in `progress`.
///
/// # Errors
/// [`StoreError::DamagedPack`](crate::store::StoreError::DamagedPack) when the table cannot be trusted, so that the
/// chunks cannot be found; when the file cannot be read; when it was interrupted.
pub fn verify(path: &Path, id: PackId, progress: &Progress, on_damage: &mut dyn FnMut(ChunkId)) -> Result<Verdict> {
    let pack = PackFile::open(path, id)?;
    let table = pack.table()?;
    let mut reader = Reader {
        pack: &pack,
        progress,
        hasher: Hasher::new(),
        buf: Vec::new(),
    };
    let (mut decoder, mut raw) = (Decoder::new(), Vec::new());
    let mut damaged = 0;
    reader.next(0, HEADER_LEN as u64)?;
    let mut locations = table.locations().peekable();
    let mut run: Vec<Location> = Vec::new();
    while let Some(first) = locations.next() {
        let mut end = first.offset + u64::from(first.chunk.stored_len);
        run.clear();
        run.push(first);
        while let Some(next) = locations.next_if(|l| l.offset + u64::from(l.chunk.stored_len) - first.offset <= RUN) {
            end = next.offset + u64::from(next.chunk.stored_len);
            run.push(next);
        }
        let mut bytes = reader.next(first.offset, end)?;
        for location in &run {
            let slot = location.chunk;
            let (body, rest) = bytes.split_at(slot.stored_len as usize);
            bytes = rest;
            let decoded = decoder.decode(slot.codec, body, slot.raw_len, &mut raw);
            if decoded.is_err() || ChunkId::of(&raw) != slot.chunk {
                damaged += 1;
                on_damage(slot.chunk);
            }
        }
    }
    drop(locations);
    let mut at = table.bodies_end();
    while at < pack.file_len() {
        let end = pack.file_len().min(at + RUN);
        reader.next(at, end)?;
        at = end;
    }
    let name_holds = PackId::from_bytes(reader.hasher.finish()) == id;
    Ok(Verdict {
        table,
        damaged,
        name_holds,
    })
}

/// Reads the file from its start to its end and hashes it.
struct Reader<'a> {
    pack: &'a PackFile,
    progress: &'a Progress,
    hasher: Hasher,
    buf: Vec<u8>,
}

impl Reader<'_> {
    /// The bytes from `start` to `end`; they follow those of the last call and are at most [`RUN`].
    fn next(&mut self, start: u64, end: u64) -> Result<&[u8]> {
        self.progress.check()?;
        let len = (end - start).min(RUN) as u32;
        self.pack.read_body(start, len, &mut self.buf)?;
        self.hasher.update(&self.buf);
        self.progress.advance(0, u64::from(len));
        Ok(&self.buf)
    }
}
