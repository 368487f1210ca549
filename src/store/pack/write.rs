//! Writing packs.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::{END_MAGIC, HEADER_LEN, MAGIC, MAX_FILE_LEN, SLOT_LEN, TARGET_CHUNKS, TARGET_LEN, TRAILER_LEN, path_in};
use crate::chunk;
use crate::fs::{self, DIRECT_ALIGN, TempFile};
use crate::hash::{Hasher, PackId};
use crate::store::codec::Codec;
use crate::store::{PackKind, Result, Slot, StoreError};

/// Bytes of a pack that make its name unique.
const SALT_LEN: usize = 4;

/// Bytes per write; a power of two, so that the hash works on whole subtrees.
const BLOCK: usize = 4 << 20;

/// Blocks that wait for the disk.
const BLOCKS: usize = 2;

/// Whether the pack stays in the kernel's page cache after it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageCache {
    /// It probably is read again soon.
    Keep,
    /// It is one of many: written past the page cache where the file system can, which costs less and leaves what
    /// others have there alone.
    Bypass,
}

/// A pack that is being filled, in a temporary file that vanishes unless the pack is published.
pub struct PackWriter {
    kind: PackKind,
    slots: Vec<Slot>,
    body_len: u64,
    block: Block,
    out: Output,
}

/// Bytes that wait to be written, at an address that direct writes accept.
struct Block {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Block {
    fn new() -> Self {
        let bytes = vec![0; BLOCK + DIRECT_ALIGN];
        // `align_offset` may decline to answer; a direct write is refused by the kernel then and made another way.
        let start = bytes.as_ptr().align_offset(DIRECT_ALIGN).min(DIRECT_ALIGN);
        Self { bytes, start, len: 0 }
    }

    /// The place of a block that was handed over.
    const fn none() -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            len: 0,
        }
    }

    /// Takes as much of `bytes` as fits; returns the rest.
    fn fill<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (head, rest) = bytes.split_at(bytes.len().min(BLOCK - self.len));
        let at = self.start + self.len;
        self.bytes[at..at + head.len()].copy_from_slice(head);
        self.len += head.len();
        rest
    }

    fn is_full(&self) -> bool {
        self.len == BLOCK
    }

    fn held(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }
}

/// The file so far: all that is written is hashed first.
struct Output {
    file: Arc<TempFile>,
    hasher: Hasher,
    written: u64,
    direct: Option<DirectOutput>,
}

/// Direct writes return when the disk is done, so another thread waits for them while the next block is filled.
struct DirectOutput {
    to_write: Option<Sender<(Block, u64)>>,
    done: Receiver<(Block, fs::Result<()>)>,
    under_way: usize,
    spare: Vec<Block>,
    thread: Option<JoinHandle<()>>,
}

impl DirectOutput {
    /// `None` where the file system cannot.
    fn start(file: &Arc<TempFile>) -> Option<Self> {
        if !file.set_direct(true) {
            return None;
        }
        let (to_write, blocks) = bounded::<(Block, u64)>(BLOCKS);
        let (finished, done) = bounded(BLOCKS);
        let file = Arc::clone(file);
        let thread = std::thread::spawn(move || {
            for (block, offset) in blocks {
                let result = write_direct(&file, &block, offset);
                if finished.send((block, result)).is_err() {
                    break;
                }
            }
        });
        Some(Self {
            to_write: Some(to_write),
            done,
            under_way: 0,
            spare: Vec::new(),
            thread: Some(thread),
        })
    }

    /// Hands over a full block; returns an empty one.
    fn write(&mut self, block: Block, offset: u64) -> Result<Block> {
        while self.under_way >= BLOCKS {
            self.wait()?;
        }
        match &self.to_write {
            Some(to_write) if to_write.send((block, offset)).is_ok() => self.under_way += 1,
            _ => return Err(StoreError::WriterGone),
        }
        Ok(self.spare.pop().unwrap_or_else(Block::new))
    }

    fn wait(&mut self) -> Result<()> {
        let (mut block, result) = self.done.recv().map_err(|_| StoreError::WriterGone)?;
        self.under_way -= 1;
        block.len = 0;
        self.spare.push(block);
        Ok(result?)
    }

    /// Waits for all writes.
    fn finish(mut self) -> Result<()> {
        while self.under_way > 0 {
            self.wait()?;
        }
        Ok(())
    }
}

impl Drop for DirectOutput {
    fn drop(&mut self) {
        self.to_write = None;
        if let Some(thread) = self.thread.take() {
            // It ends when its channel closes; it does not panic.
            let _ = thread.join();
        }
    }
}

fn write_direct(file: &TempFile, block: &Block, offset: u64) -> fs::Result<()> {
    match file.write_all_at(block.held(), offset) {
        // The file system took the flag but not the write.
        Err(error) if error.source.kind() == std::io::ErrorKind::InvalidInput && file.set_direct(false) => {
            file.write_all_at(block.held(), offset)
        }
        other => other,
    }
}

impl Output {
    /// Writes a full block, and leaves an empty one in its place.
    fn write_block(&mut self, block: &mut Block) -> Result<()> {
        self.hasher.update(block.held());
        let len = block.len as u64;
        match &mut self.direct {
            Some(direct) => {
                let full = std::mem::replace(block, Block::none());
                *block = direct.write(full, self.written)?;
            }
            None => {
                self.file.write_all_at(block.held(), self.written)?;
                block.len = 0;
            }
        }
        self.written += len;
        Ok(())
    }

    /// Writes what is left, which need not be a whole block.
    fn finish(&mut self, block: &Block) -> Result<()> {
        if let Some(direct) = self.direct.take() {
            direct.finish()?;
            // Where this fails, so does the write that follows.
            let _ = self.file.set_direct(false);
        }
        self.hasher.update(block.held());
        self.file.write_all_at(block.held(), self.written)?;
        self.written += block.len as u64;
        Ok(())
    }
}

impl PackWriter {
    /// Begins a pack in `tmp_dir`, which is on the same file system as the packs if it is to be published.
    ///
    /// # Errors
    /// When no file can be created there.
    pub fn create(tmp_dir: &Path, kind: PackKind, page_cache: PageCache) -> Result<Self> {
        let file = Arc::new(TempFile::create_in(tmp_dir)?);
        let direct = match page_cache {
            PageCache::Keep => None,
            PageCache::Bypass => DirectOutput::start(&file),
        };
        let mut block = Block::new();
        block.fill(&MAGIC);
        block.fill(&[kind as u8]);
        Ok(Self {
            kind,
            slots: Vec::new(),
            body_len: 0,
            block,
            out: Output {
                file,
                hasher: Hasher::new(),
                written: 0,
                direct,
            },
        })
    }

    /// Appends a chunk whose body is `body` and returns its place in the table. That the body gives the chunk, the
    /// caller has checked ([`Encoder`](crate::store::codec::Encoder) does).
    ///
    /// # Errors
    /// When the lengths are not those the format allows, the pack would exceed its greatest length, or the disk is full.
    pub fn append(&mut self, slot: Slot, body: &[u8]) -> Result<u32> {
        let invalid = |defect| Err(StoreError::InvalidSlot { defect });
        if slot.raw_len as usize > chunk::MAX {
            return invalid("the chunk is longer than chunks are");
        }
        if slot.stored_len as usize != body.len() || slot.stored_len > slot.raw_len {
            return invalid("the body has another length than its slot allows");
        }
        if slot.codec == Codec::Raw && slot.stored_len != slot.raw_len {
            return invalid("the body is not the chunk");
        }
        let body_len = self.body_len + body.len() as u64;
        let table_len = (self.slots.len() as u64 + 1) * SLOT_LEN as u64;
        if HEADER_LEN as u64 + body_len + table_len + TRAILER_LEN as u64 > MAX_FILE_LEN {
            return Err(StoreError::TooMany);
        }
        let number = u32::try_from(self.slots.len()).map_err(|_| StoreError::TooMany)?;
        self.write(body)?;
        self.slots.push(slot);
        self.body_len = body_len;
        Ok(number)
    }

    /// Bytes of the bodies so far.
    #[must_use]
    pub const fn body_len(&self) -> u64 {
        self.body_len
    }

    /// The chunks so far.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Whether it has as many bytes or chunks as a pack should.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.body_len >= TARGET_LEN || self.slots.len() >= TARGET_CHUNKS
    }

    /// Writes the table. The pack is complete then, but neither durable nor named.
    ///
    /// # Errors
    /// When it has no chunk, or the disk is full.
    pub fn finish(mut self) -> Result<SealedPack> {
        if self.slots.is_empty() {
            return Err(StoreError::InvalidSlot {
                defect: "a pack of no chunks",
            });
        }
        let slots = std::mem::take(&mut self.slots);
        let mut table = Vec::with_capacity(slots.len() * SLOT_LEN + TRAILER_LEN);
        for slot in &slots {
            table.extend_from_slice(slot.chunk.as_bytes());
            table.extend_from_slice(&slot.stored_len.to_le_bytes());
            table.extend_from_slice(&(slot.raw_len | (slot.codec as u32) << 24).to_le_bytes());
        }
        let mut hasher = Hasher::new();
        hasher.update(&table);
        table.extend_from_slice(&hasher.finish());
        let count = u32::try_from(slots.len()).map_err(|_| StoreError::TooMany)?;
        table.extend_from_slice(&count.to_le_bytes());
        table.extend_from_slice(&[0; 4]);
        table.extend_from_slice(&END_MAGIC);
        self.write(&table)?;
        self.out.finish(&self.block)?;
        // The thread that wrote has ended, so nobody else has the file.
        let file = Arc::into_inner(self.out.file).ok_or(StoreError::WriterGone)?;
        Ok(SealedPack {
            id: PackId::from_bytes(self.out.hasher.finish()),
            kind: self.kind,
            slots,
            file_len: self.out.written,
            file,
        })
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            bytes = self.block.fill(bytes);
            if self.block.is_full() {
                self.out.write_block(&mut self.block)?;
            }
        }
        Ok(())
    }
}

/// A complete pack under a temporary name.
#[derive(Debug)]
pub struct SealedPack {
    /// Its id.
    pub id: PackId,
    /// What it holds.
    pub kind: PackKind,
    /// Its table.
    pub slots: Vec<Slot>,
    /// Bytes of the file.
    pub file_len: u64,
    /// The file.
    pub file: TempFile,
}

/// A pack that has its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackInfo {
    /// Its id.
    pub id: PackId,
    /// What it holds.
    pub kind: PackKind,
    /// Bytes of the file.
    pub file_len: u64,
    /// Its table.
    pub slots: Vec<Slot>,
}

impl SealedPack {
    /// The same pack under another name: the bytes of it that say nothing are set to `salt`.
    ///
    /// # Errors
    /// When the file cannot be written or read.
    pub fn salted(mut self, salt: [u8; SALT_LEN]) -> Result<Self> {
        let at = self.file_len - (SALT_LEN + END_MAGIC.len()) as u64;
        self.file.write_all_at(&salt, at)?;
        let file = fs::open(self.file.path())?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; BLOCK];
        let mut done = 0;
        while done < self.file_len {
            let len = (self.file_len - done).min(BLOCK as u64) as usize;
            fs::read_exact_at(&file, self.file.path(), &mut buffer[..len], done)?;
            hasher.update(&buffer[..len]);
            done += len as u64;
        }
        self.id = PackId::from_bytes(hasher.finish());
        Ok(self)
    }

    /// Makes it durable under its name in `packs_dir`. A pack of that name that is there already has the same bytes,
    /// unless it is damaged, and is replaced.
    ///
    /// # Errors
    /// When the disk fails; nothing refers to the pack then.
    pub fn publish(self, packs_dir: &Path) -> Result<PackInfo> {
        let path = path_in(packs_dir, self.id);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
            // Also when it was there: another process may have made it and not synced it yet.
            fs::sync_parent(parent)?;
        }
        self.file.persist(&path)?;
        Ok(PackInfo {
            id: self.id,
            kind: self.kind,
            file_len: self.file_len,
            slots: self.slots,
        })
    }

    /// The temporary file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}
