//! Adding to the local cache.
//!
//! Producers (any number of threads) hash and compress; one writer thread puts bodies into packs in the order they
//! arrive, so that a file's chunks stand together; a publisher thread syncs full packs and gives them their names.
//! Every [`FLUSH_PACKS`] packs, and at the end, a shard that describes them is published. What is in a published shard
//! is in the cache; an add that is stopped or killed therefore keeps what it has flushed, and a repeated one goes on
//! from there.
//!
//! Memory is bounded by the channels, not by the input: bodies under way, the open packs' slot tables, and one map
//! entry per chunk since the last flush.

mod file;
#[cfg(test)]
mod tests;
mod write;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, bounded};

use super::cache::{Cache, lock};
use super::codec::{Decoder, Encoder, Predictor};
use super::draft::Place;
use super::shard::Shard;
use super::{PackKind, Recipe, Result, Slot, StoreError};
use crate::chunk;
use crate::hash::{ChunkId, FileId, ShardId};
use crate::progress::Progress;
use file::Buffers;
use write::{Body, Message, Writer};

/// Packs between two flushes: 1 GiB of bodies.
const FLUSH_PACKS: usize = 16;
/// Messages under way to the writer; a body has at most 256 KiB.
const QUEUE: usize = 96;

/// What a transaction stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stored {
    /// Chunks that were not in the cache before.
    pub chunks: u64,
    /// Their bytes before compression.
    pub bytes: u64,
    /// Their bytes in packs.
    pub stored_bytes: u64,
    /// The shards that describe them, before any merging.
    #[serde(skip)]
    pub shards: Vec<ShardId>,
}

/// Tells the recipes of one transaction apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct RecipeKey(u64);

/// Chunks that are in packs no shard describes yet.
type Pending = Mutex<HashMap<ChunkId, Place>>;

/// An open transaction; see the module.
#[derive(Debug)]
pub struct Transaction {
    cache: Cache,
    progress: Arc<Progress>,
    pending: Arc<Pending>,
    sender: Option<Sender<Message>>,
    writer: Option<JoinHandle<Result<Stored>>>,
    workers: Mutex<Vec<Worker>>,
    buffers: Buffers,
    recipes: AtomicU64,
}

/// What one thread needs to encode and decode.
#[derive(Debug)]
struct Worker {
    encoder: Encoder,
    predictor: Predictor,
    decoder: Decoder,
    buffer: Vec<u8>,
}

impl Cache {
    /// Begins adding. `progress` is only asked whether to stop.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn transaction(&self, progress: &Arc<Progress>) -> Result<Transaction> {
        let (sender, receiver) = bounded(QUEUE);
        let pending = Arc::new(Pending::default());
        let writer = Writer::new(self.clone(), Arc::clone(&pending));
        let writer = std::thread::Builder::new()
            .name("pack-writer".into())
            .spawn(move || writer.run(&receiver))
            .map_err(StoreError::Thread)?;
        Ok(Transaction {
            cache: self.clone(),
            progress: Arc::clone(progress),
            pending,
            sender: Some(sender),
            writer: Some(writer),
            workers: Mutex::default(),
            buffers: Buffers::default(),
            recipes: AtomicU64::new(0),
        })
    }
}

impl Transaction {
    /// The cache it adds to.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Stores a file (or, of kind [`PackKind::Tree`], a listing) whose bytes are at hand.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn add_bytes(&self, kind: PackKind, bytes: &[u8]) -> Result<FileId> {
        if bytes.len() > chunk::MAX {
            return self
                .add_reader(kind, &mut &bytes[..], std::path::Path::new("(memory)"))
                .map(|(id, _)| id);
        }
        let id = ChunkId::of(bytes);
        if !self.knows(&id)? {
            self.with_worker(|worker| {
                let encoded = worker.encoder.encode(&mut worker.predictor, bytes)?;
                let slot = slot(id, bytes.len(), encoded.codec, encoded.body.len());
                self.send(Message::Chunk {
                    kind,
                    slot,
                    body: Body::Owned(encoded.body.to_vec()),
                    recipe: None,
                })
            })?;
        }
        Ok(id.as_file())
    }

    /// Stores a chunk as it was stored elsewhere, after checking that its body gives the chunk.
    ///
    /// # Errors
    /// [`StoreError::DamagedBody`] when it does not; otherwise when the cache cannot be written.
    pub fn add_encoded(&self, kind: PackKind, slot: Slot, body: &[u8]) -> Result<()> {
        if self.knows(&slot.chunk)? {
            return Ok(());
        }
        self.with_worker(|worker| {
            let decoded = worker
                .decoder
                .decode(slot.codec, body, slot.raw_len, &mut worker.buffer);
            if decoded.is_err() || ChunkId::of(&worker.buffer) != slot.chunk {
                return Err(StoreError::DamagedBody(slot.chunk));
            }
            self.send(Message::Chunk {
                kind,
                slot,
                body: Body::Owned(body.to_vec()),
                recipe: None,
            })
        })
    }

    /// Stores how a file is put together from chunks that are in the cache or were added before, in order.
    ///
    /// # Errors
    /// When one of the chunks is not there.
    pub fn add_recipe(
        &self,
        file: FileId,
        size: u64,
        chunks: impl IntoIterator<Item = Result<ChunkId>>,
    ) -> Result<()> {
        let key = self.new_recipe();
        for chunk in chunks {
            self.send(Message::Known {
                chunk: chunk?,
                recipe: key,
            })?;
        }
        self.send(Message::EndRecipe {
            recipe: key,
            file,
            size,
        })
    }

    /// Makes everything added durable and visible.
    ///
    /// # Errors
    /// When a write failed at any time since the transaction began; what was flushed before stays.
    pub fn commit(mut self) -> Result<Stored> {
        match self.send(Message::Commit) {
            // What stopped the writer is what it returns.
            Ok(()) | Err(StoreError::WriterGone) => self.finish(),
            Err(error) => Err(error),
        }
    }

    fn finish(&mut self) -> Result<Stored> {
        drop(self.sender.take());
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) | None => Err(StoreError::WriterGone),
        }
    }

    /// Whether the chunk is stored already, or on its way.
    fn knows(&self, chunk: &ChunkId) -> Result<bool> {
        Ok(lock(&self.pending).contains_key(chunk) || self.cache.locate(chunk)?.is_some())
    }

    fn new_recipe(&self) -> RecipeKey {
        RecipeKey(self.recipes.fetch_add(1, Relaxed))
    }

    fn send(&self, message: Message) -> Result<()> {
        self.progress.check()?;
        match &self.sender {
            Some(sender) if sender.send(message).is_ok() => Ok(()),
            // The writer has stopped because of an error, which commit or drop reports.
            _ => Err(StoreError::WriterGone),
        }
    }

    fn with_worker<T>(&self, work: impl FnOnce(&mut Worker) -> Result<T>) -> Result<T> {
        let worker = lock(&self.workers).pop();
        let mut worker = match worker {
            Some(worker) => worker,
            None => Worker {
                encoder: Encoder::new(),
                predictor: Predictor::default(),
                decoder: Decoder::new(),
                buffer: Vec::new(),
            },
        };
        let result = work(&mut worker);
        lock(&self.workers).push(worker);
        result
    }

    /// The error that stopped the writer, in place of the one that only says that it stopped.
    ///
    /// To be called when an operation on this transaction failed; ends the transaction.
    #[must_use]
    pub fn cause(mut self, error: StoreError) -> StoreError {
        match error {
            StoreError::WriterGone => self.finish().err().unwrap_or(StoreError::WriterGone),
            error => error,
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.writer.is_some() {
            // Without Message::Commit the writer keeps what it has flushed and discards the rest.
            let _ = self.finish();
        }
    }
}

fn slot(chunk: ChunkId, raw_len: usize, codec: super::codec::Codec, stored_len: usize) -> Slot {
    Slot {
        chunk,
        stored_len: stored_len as u32,
        raw_len: raw_len as u32,
        codec,
    }
}

/// The chunk ids of a recipe, in order, as these shards describe them.
pub fn chunk_ids<'a>(shards: &'a [Arc<Shard>], recipe: &'a Recipe) -> impl Iterator<Item = Result<ChunkId>> + 'a {
    recipe.terms.iter().flat_map(move |term| {
        let found = shards
            .iter()
            .find_map(|shard| Some((shard, shard.pack(&term.pack).filter(|pack| pack.kind.is_some())?)));
        // Without the pack: one error instead of the term's chunks.
        let count = if found.is_some() { term.count } else { 1 };
        (0..count).map(move |i| match (&found, term.first.checked_add(i)) {
            (Some((shard, pack)), Some(slot)) => Ok(shard.slot_in(pack, slot)?.chunk.chunk),
            (Some(_), None) => Err(StoreError::DamagedRecipe(recipe.file)),
            (None, _) => Err(StoreError::MissingPack(term.pack)),
        })
    })
}
