//! Reading packs.

use crate::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{END_MAGIC, HEADER_LEN, MAGIC, MAX_FILE_LEN, SLOT_LEN, TRAILER_LEN};
use crate::chunk;
use crate::fs;
use crate::hash::{ChunkId, Hasher, ID_LEN, PackId};
use crate::store::codec::Codec;
use crate::store::{Location, PackKind, Result, Slot, StoreError};

/// What a pack says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackTable {
    pack: PackId,
    kind: PackKind,
    file_len: u64,
    slots: Vec<Slot>,
    offsets: Vec<u32>,
}

/// What the end of a pack gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TailOutcome {
    /// The whole table.
    Complete(PackTable),
    /// The table begins earlier: this many bytes of the end are needed. More than were given, at most the file's.
    Need(u64),
}

impl PackTable {
    /// Reads the table of a pack of `file_len` bytes from its first [`HEADER_LEN`] bytes and its last ones: at least
    /// [`TRAILER_LEN`], better some more (a pack of 64 MiB has a table of about 40 KiB).
    ///
    /// # Errors
    /// [`StoreError::DamagedPack`] when it is not what the format allows.
    pub fn parse(header: &[u8; HEADER_LEN], tail: &[u8], file_len: u64, pack: PackId) -> Result<TailOutcome> {
        let damaged = |defect| StoreError::DamagedPack { pack, defect };
        let [magic @ .., kind] = *header;
        if magic != MAGIC {
            return Err(damaged("it does not begin like a pack of this format"));
        }
        let kind = match kind {
            0 => PackKind::Data,
            1 => PackKind::Tree,
            _ => return Err(damaged("its kind is unknown")),
        };
        if file_len > MAX_FILE_LEN {
            return Err(damaged("it is longer than packs are"));
        }
        let trailer = tail.last_chunk::<TRAILER_LEN>().ok_or(damaged("it is cut off"))?;
        let (table_hash, trailer) = trailer.split_at(ID_LEN);
        let (count, end) = trailer.split_at(4);
        // The first four make the name of a pack unique; they say nothing.
        if end[4..] != END_MAGIC {
            return Err(damaged("it does not end like a pack"));
        }
        let count = u64::from(le32(count));
        let end_len = count * SLOT_LEN as u64 + TRAILER_LEN as u64;
        let bodies_end = file_len
            .checked_sub(end_len)
            .filter(|&end| end >= HEADER_LEN as u64 && count > 0)
            .ok_or(damaged("its table does not fit into it"))?;
        if end_len > tail.len() as u64 {
            return Ok(TailOutcome::Need(end_len));
        }
        let table = &tail[tail.len() - end_len as usize..tail.len() - TRAILER_LEN];
        let mut hasher = Hasher::new();
        hasher.update(table);
        if hasher.finish() != table_hash {
            return Err(damaged("its table has another hash"));
        }
        let mut slots = Vec::with_capacity(count as usize);
        let mut offsets = Vec::with_capacity(count as usize);
        let mut offset = HEADER_LEN as u64;
        for entry in table.as_chunks::<SLOT_LEN>().0 {
            let slot = parse_slot(entry).map_err(damaged)?;
            offsets.push(u32::try_from(offset).map_err(|_| damaged("its bodies do not fit into it"))?);
            offset += u64::from(slot.stored_len);
            slots.push(slot);
        }
        if offset != bodies_end {
            return Err(damaged("its bodies have another length than its table says"));
        }
        Ok(TailOutcome::Complete(Self {
            pack,
            kind,
            file_len,
            slots,
            offsets,
        }))
    }

    /// The pack.
    #[must_use]
    pub const fn pack(&self) -> PackId {
        self.pack
    }

    /// What it holds.
    #[must_use]
    pub const fn kind(&self) -> PackKind {
        self.kind
    }

    /// Bytes of the file.
    #[must_use]
    pub const fn file_len(&self) -> u64 {
        self.file_len
    }

    /// The chunks, in order.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Where the chunk of a slot is; `None` if there is no such slot.
    #[must_use]
    pub fn location(&self, slot: u32) -> Option<Location> {
        let index = slot as usize;
        Some(Location {
            pack: self.pack,
            slot,
            offset: u64::from(*self.offsets.get(index)?),
            chunk: *self.slots.get(index)?,
        })
    }

    /// Where all chunks are, in order.
    pub fn locations(&self) -> impl Iterator<Item = Location> {
        (0..).map_while(|slot| self.location(slot))
    }

    /// Where the bodies end and the table begins.
    #[must_use]
    pub fn bodies_end(&self) -> u64 {
        self.file_len - (self.slots.len() * SLOT_LEN + TRAILER_LEN) as u64
    }
}

fn parse_slot(entry: &[u8; SLOT_LEN]) -> std::result::Result<Slot, &'static str> {
    let (chunk, lengths) = entry.split_first_chunk::<ID_LEN>().ok_or("its table is cut off")?;
    let (stored, raw) = lengths.split_at(4);
    let (stored_len, raw) = (le32(stored), le32(raw));
    let raw_len = raw & 0x00ff_ffff;
    let codec = u8::try_from(raw >> 24)
        .ok()
        .and_then(Codec::from_u8)
        .ok_or("it uses an unknown codec")?;
    if raw_len as usize > chunk::MAX {
        return Err("a chunk is longer than chunks are");
    }
    if stored_len > raw_len || codec == Codec::Raw && stored_len != raw_len {
        return Err("a body has another length than its chunk allows");
    }
    Ok(Slot {
        chunk: ChunkId::from_bytes(*chunk),
        stored_len,
        raw_len,
        codec,
    })
}

fn le32(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |n, &b| n << 8 | u32::from(b))
}

/// An open pack file. May be read by many threads at once.
#[derive(Debug)]
pub struct PackFile {
    file: File,
    path: PathBuf,
    id: PackId,
    len: u64,
    /// For reads of many bodies past the page cache; decided at the first of them.
    direct: OnceLock<Option<File>>,
}

impl PackFile {
    /// Opens the pack `id` at `path`; reads nothing yet.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, id: PackId) -> Result<Self> {
        let file = fs::open(path)?;
        let len = fs::stat_file(&file, path)?.size;
        Ok(Self {
            file,
            path: path.to_owned(),
            id,
            len,
            direct: OnceLock::new(),
        })
    }

    /// The pack.
    #[must_use]
    pub const fn id(&self) -> PackId {
        self.id
    }

    /// Bytes of the file.
    #[must_use]
    pub const fn file_len(&self) -> u64 {
        self.len
    }

    /// Replaces the content of `buf` by `len` bytes at `offset`: a body, or several in a row.
    ///
    /// # Errors
    /// [`StoreError::DamagedPack`] when the file is too short for that, or it cannot be read.
    pub fn read_body(&self, offset: u64, len: u32, buf: &mut Vec<u8>) -> Result<()> {
        self.end_of(offset, u64::from(len))?;
        buf.resize(len as usize, 0);
        Ok(fs::read_exact_at(&self.file, &self.path, buf, offset)?)
    }

    /// `len` bytes at `offset`: many bodies in a row, which are needed once. Past the page cache, unless the pack is in it.
    ///
    /// # Errors
    /// As [`PackFile::read_body`].
    pub fn read_bodies<'b>(&self, offset: u64, len: u64, buffer: &'b mut fs::DirectBuffer) -> Result<&'b [u8]> {
        let end = self.end_of(offset, len)?;
        let direct = self
            .direct
            .get_or_init(|| fs::open_direct(&self.path, &self.file, offset));
        Ok(fs::read_range(
            (&self.file, direct.as_ref()),
            &self.path,
            offset..end,
            buffer,
        )?)
    }

    /// Where these bytes end.
    fn end_of(&self, offset: u64, len: u64) -> Result<u64> {
        offset
            .checked_add(len)
            .filter(|&end| end <= self.len)
            .ok_or(StoreError::DamagedPack {
                pack: self.id,
                defect: "it is shorter than the index says",
            })
    }

    /// Reads the table.
    ///
    /// # Errors
    /// [`StoreError::DamagedPack`] when it is not what the format allows, or it cannot be read.
    pub fn table(&self) -> Result<PackTable> {
        let mut header = [0; HEADER_LEN];
        if self.len < (HEADER_LEN + SLOT_LEN + TRAILER_LEN) as u64 {
            return Err(StoreError::DamagedPack {
                pack: self.id,
                defect: "it is cut off",
            });
        }
        fs::read_exact_at(&self.file, &self.path, &mut header, 0)?;
        let mut want = self.len.min(64 * 1024);
        loop {
            let mut tail = Vec::new();
            let len = u32::try_from(want).map_err(|_| StoreError::DamagedPack {
                pack: self.id,
                defect: "its table does not fit into it",
            })?;
            self.read_body(self.len - want, len, &mut tail)?;
            match PackTable::parse(&header, &tail, self.len, self.id)? {
                TailOutcome::Complete(table) => return Ok(table),
                TailOutcome::Need(more) => want = more,
            }
        }
    }
}
