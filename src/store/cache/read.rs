//! Reading chunks and files back, verified.

use std::sync::Arc;

use crossbeam_channel::bounded;
use rayon::prelude::*;

use super::Cache;
use crate::chunk;
use crate::fs::DirectBuffer;
use crate::hash::{ChunkId, FileId, Hasher, PackId};
use crate::store::codec::Decoder;
use crate::store::pack::PackFile;
use crate::store::{Location, Recipe, Result, StoreError};

/// Chunks that are decoded together when a large file is read: about 4 MiB.
const BATCH: usize = 64;

/// Reads chunks on one thread, reusing its buffers.
#[derive(Debug)]
pub struct Reader {
    cache: Cache,
    decoder: Decoder,
    body: Vec<u8>,
    pack: Option<(PackId, Arc<PackFile>)>,
}

impl Reader {
    /// A reader of this cache.
    #[must_use]
    pub fn new(cache: &Cache) -> Self {
        Self {
            cache: cache.clone(),
            decoder: Decoder::new(),
            body: Vec::new(),
            pack: None,
        }
    }

    /// Reads the body of a chunk as it is stored.
    fn fill(&mut self, location: &Location) -> Result<()> {
        let pack = match &self.pack {
            Some((id, file)) if *id == location.pack => file,
            _ => {
                let file = self.cache.open_pack(&location.pack)?;
                &self.pack.insert((location.pack, file)).1
            }
        };
        pack.read_body(location.offset, location.chunk.stored_len, &mut self.body)
    }

    /// The body of the chunk that was read last, as it is stored.
    #[must_use]
    pub fn last_body(&self) -> &[u8] {
        &self.body
    }

    /// Reads and decodes a chunk into `out`, replacing what is there. The content is not compared with the id.
    fn decode(&mut self, location: &Location, out: &mut Vec<u8>) -> Result<()> {
        self.fill(location)?;
        let slot = &location.chunk;
        self.decoder
            .decode(slot.codec, &self.body, slot.raw_len, out)
            .map_err(|_| damaged(location))
    }

    /// Reads a chunk into `out`, replacing what is there; the bytes are those of its id.
    ///
    /// # Errors
    /// When the pack is missing or the body does not give the chunk.
    pub fn chunk(&mut self, location: &Location, out: &mut Vec<u8>) -> Result<()> {
        self.decode(location, out)?;
        if ChunkId::of(out) == location.chunk.chunk {
            Ok(())
        } else {
            Err(damaged(location))
        }
    }

    /// Reads a file of one chunk into `out`; `false` when this file is not of one chunk or not present.
    ///
    /// # Errors
    /// When the chunk is damaged.
    pub fn small_file(&mut self, file: &FileId, out: &mut Vec<u8>) -> Result<bool> {
        match self.cache.locate(&file.as_chunk())? {
            Some(location) => self.chunk(&location, out).map(|()| true),
            None => Ok(false),
        }
    }
}

fn damaged(location: &Location) -> StoreError {
    StoreError::DamagedChunk {
        chunk: location.chunk.chunk,
        pack: location.pack,
    }
}

impl Cache {
    /// A whole file (or listing) of at most `limit` bytes, verified.
    ///
    /// # Errors
    /// When it is missing, damaged or larger.
    pub fn read_file(&self, file: FileId, limit: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.copy_file(file, &mut |bytes| {
            if out.len() as u64 + bytes.len() as u64 > limit {
                return Err(StoreError::TooLarge { file, limit });
            }
            out.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(out)
    }

    /// Hands a whole file to `out`, piece by piece in order; returns its bytes. Only when this returns `Ok` was the
    /// content that of the id: a caller must not give what it wrote its name before.
    ///
    /// # Errors
    /// When it is missing or damaged, or `out` fails.
    pub fn copy_file<E: From<StoreError>>(
        &self,
        file: FileId,
        out: &mut dyn FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<u64, E> {
        let mut buffer = Vec::new();
        if Reader::new(self).small_file(&file, &mut buffer)? {
            out(&buffer)?;
            return Ok(buffer.len() as u64);
        }
        match self.recipe(&file)? {
            Some(recipe) => self.copy_recipe(&recipe, out),
            None => Err(StoreError::MissingFile(file).into()),
        }
    }

    /// As [`Cache::copy_file`], by this recipe.
    pub(in crate::store) fn copy_recipe<E: From<StoreError>>(
        &self,
        recipe: &Recipe,
        out: &mut dyn FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<u64, E> {
        let mut hasher = Hasher::new();
        let mut len = 0;
        let (sender, receiver) = bounded::<Result<Vec<Vec<u8>>>>(2);
        let (recycle, recycled) = bounded::<Vec<Vec<u8>>>(4);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut batch = Vec::with_capacity(BATCH);
                let mut bodies = DirectBuffer::default();
                let mut locations = self.locations(recipe).peekable();
                while locations.peek().is_some() {
                    batch.clear();
                    let mut failed = None;
                    for location in locations.by_ref().take(BATCH) {
                        match location {
                            Ok(location) => batch.push(location),
                            Err(error) => failed = Some(error),
                        }
                    }
                    let buffers = recycled.try_recv().unwrap_or_default();
                    let decoded = match failed {
                        Some(error) => Err(error),
                        None => self.decode_batch(&batch, &mut bodies, buffers),
                    };
                    let stop = decoded.is_err();
                    // The receiver hangs up when `out` has failed.
                    if sender.send(decoded).is_err() || stop {
                        break;
                    }
                }
            });
            for batch in receiver {
                let batch = batch?;
                for bytes in &batch {
                    hasher.update(bytes);
                    len += bytes.len() as u64;
                    out(bytes)?;
                }
                let _ = recycle.try_send(batch);
            }
            Ok::<(), E>(())
        })?;
        if len != recipe.size || hasher.finish() != *recipe.file.as_bytes() {
            return Err(self.explain_damage(recipe).into());
        }
        Ok(len)
    }

    fn decode_batch(
        &self,
        batch: &[Location],
        bodies: &mut DirectBuffer,
        mut buffers: Vec<Vec<u8>>,
    ) -> Result<Vec<Vec<u8>>> {
        buffers.resize_with(batch.len(), || Vec::with_capacity(chunk::MAX));
        let mut out = &mut buffers[..];
        // Neighbours in a pack are read together.
        for run in batch.chunk_by(|a, b| a.pack == b.pack && a.end() == b.offset) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else {
                continue;
            };
            let (here, rest) = out.split_at_mut(run.len());
            out = rest;
            let pack = self.open_pack(&first.pack)?;
            let bytes = pack.read_bodies(first.offset, last.end() - first.offset, bodies)?;
            here.par_iter_mut()
                .zip(run)
                .with_min_len(8)
                .map_init(Decoder::new, |decoder, (out, location)| {
                    let start = (location.offset - first.offset) as usize;
                    let slot = &location.chunk;
                    bytes
                        .get(start..start + slot.stored_len as usize)
                        .and_then(|body| decoder.decode(slot.codec, body, slot.raw_len, out).ok())
                        .ok_or_else(|| damaged(location))
                })
                .collect::<Result<()>>()?;
        }
        Ok(buffers)
    }

    /// The chunks of a recipe, in order.
    pub fn locations<'a>(&'a self, recipe: &'a Recipe) -> impl Iterator<Item = Result<Location>> + 'a {
        recipe
            .terms
            .iter()
            .flat_map(|term| (0..term.count).map(move |i| (term.pack, term.first.checked_add(i))))
            .map(|(pack, slot)| match slot {
                Some(slot) => self.index().slot(&pack, slot),
                None => Err(StoreError::DamagedRecipe(recipe.file)),
            })
    }

    /// Finds which chunk made a file's content wrong.
    fn explain_damage(&self, recipe: &Recipe) -> StoreError {
        let mut reader = Reader::new(self);
        let mut buffer = Vec::new();
        for location in self.locations(recipe) {
            if let Err(error) = location.and_then(|location| reader.chunk(&location, &mut buffer)) {
                return error;
            }
        }
        StoreError::DamagedRecipe(recipe.file)
    }
}
