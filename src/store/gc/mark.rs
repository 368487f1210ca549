//! Which slots of which packs are needed: one bit per chunk.

use std::collections::{HashMap, HashSet};

use crate::hash::{ChunkId, FileId, PackId};
use crate::store::{Cache, Location, Result};

/// Needed chunks and recipes of a cache.
#[derive(Debug, Default)]
pub struct Marks {
    bits: HashMap<PackId, Vec<u64>>,
    recipes: HashSet<FileId>,
}

impl Marks {
    /// Nothing is needed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Marks all chunks of a file (or listing) and its recipe. `false` when the cache does not have it whole.
    ///
    /// # Errors
    /// When the index is damaged.
    pub fn keep_file(&mut self, cache: &Cache, file: &FileId) -> Result<bool> {
        if let Some(location) = cache.locate(&file.as_chunk())? {
            self.keep(&location);
            return Ok(true);
        }
        let Some(recipe) = cache.recipe(file)? else {
            return Ok(false);
        };
        if self.recipes.insert(*file) {
            for location in cache.locations(&recipe) {
                self.keep(&location?);
            }
        }
        Ok(true)
    }

    /// Marks one slot.
    pub fn keep(&mut self, location: &Location) {
        self.keep_slot(&location.pack, location.slot);
    }

    /// Marks one slot of a pack.
    pub fn keep_slot(&mut self, pack: &PackId, slot: u32) {
        let bits = self.bits.entry(*pack).or_default();
        let word = slot as usize / 64;
        if bits.len() <= word {
            bits.resize(word + 1, 0);
        }
        bits[word] |= 1 << (slot % 64);
    }

    /// Unmarks one slot: it is damaged.
    pub fn drop_slot(&mut self, pack: &PackId, slot: u32) {
        if let Some(word) = self
            .bits
            .get_mut(pack)
            .and_then(|bits| bits.get_mut(slot as usize / 64))
        {
            *word &= !(1 << (slot % 64));
        }
    }

    /// Whether a slot is marked.
    #[must_use]
    pub fn has(&self, pack: &PackId, slot: u32) -> bool {
        self.bits
            .get(pack)
            .and_then(|bits| bits.get(slot as usize / 64))
            .is_some_and(|word| word & (1 << (slot % 64)) != 0)
    }

    /// Whether the chunk, where the index finds it, is marked.
    ///
    /// # Errors
    /// When the index is damaged.
    pub fn has_chunk(&self, cache: &Cache, chunk: &ChunkId) -> Result<bool> {
        Ok(cache
            .locate(chunk)?
            .is_some_and(|location| self.has(&location.pack, location.slot)))
    }
}
