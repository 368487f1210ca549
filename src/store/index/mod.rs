//! The index: one view over many shards.
//!
//! For the local cache it is opened on the directory `shards/`, where other processes publish and merge shards at
//! the same time: shards are immutable and mapped, so an open index stays valid, it just does not see what came
//! later. A damaged shard is left out and reported, the rest is used.
//!
//! Not promised: that packs which the shards describe exist.

mod dir;
mod tidy;

use std::sync::Arc;

use super::shard::{PackInfo, Shard};
use super::{Location, Recipe, Result, StoreError};
use crate::hash::{ChunkId, FileId, PackId, ShardId};

pub use dir::{publish_shard, shard_path};

/// A view over shards. Cloning shares them.
#[derive(Debug, Default, Clone)]
pub struct Index {
    /// The largest first: it is the likeliest to have what is asked for.
    shards: Vec<Arc<Shard>>,
    damaged: Vec<(ShardId, Arc<StoreError>)>,
}

/// What an index holds. What is in several shards counts several times.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct IndexStats {
    /// Shards.
    pub shards: u64,
    /// Packs introduced.
    pub packs: u64,
    /// Slots of those packs.
    pub chunks: u64,
    /// Recipes.
    pub recipes: u64,
    /// Bytes of the shards.
    pub bytes: u64,
}

impl Index {
    /// The view over these shards.
    #[must_use]
    pub fn from_shards(shards: Vec<Arc<Shard>>) -> Self {
        let mut index = Self::default();
        for shard in shards {
            index.add(shard);
        }
        index
    }

    /// Adds a shard; nothing happens if it is there.
    pub fn add(&mut self, shard: Arc<Shard>) {
        let order = |shard: &Shard| (std::cmp::Reverse(shard.bytes().len()), shard.id());
        if let Err(place) = self.shards.binary_search_by_key(&order(&shard), |other| order(other)) {
            self.shards.insert(place, shard);
        }
    }

    /// The shards that are not used because they cannot be, and why.
    #[must_use]
    pub fn damaged(&self) -> &[(ShardId, Arc<StoreError>)] {
        &self.damaged
    }

    /// Goes on only if every shard could be read, damaged or not: before anything is removed or called damaged.
    ///
    /// # Errors
    /// [`StoreError::UnreadableShard`] for the first that the system did not let be read.
    pub fn all_readable(&self) -> Result<()> {
        match self
            .damaged
            .iter()
            .find(|(_, error)| matches!(**error, StoreError::Fs(_)))
        {
            None => Ok(()),
            Some((shard, error)) => Err(StoreError::UnreadableShard {
                shard: *shard,
                source: Arc::clone(error),
            }),
        }
    }

    /// The shards in use.
    #[must_use]
    pub fn shards(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    /// The ids of the shards in use.
    pub fn shard_ids(&self) -> impl Iterator<Item = ShardId> {
        self.shards.iter().map(|shard| shard.id())
    }

    /// Where the chunk is, in the first shard that knows.
    ///
    /// # Errors
    /// [`StoreError::DamagedShard`] when no shard knows and one of them could not tell.
    pub fn locate(&self, chunk: &ChunkId) -> Result<Option<Location>> {
        self.first(|shard| shard.find(chunk))
    }

    /// All places where the chunk is: one for each shard that knows it.
    ///
    /// # Errors
    /// As [`Index::locate`].
    pub fn locate_all(&self, chunk: &ChunkId) -> Result<Vec<Location>> {
        let mut found: Vec<Location> = Vec::new();
        self.first(|shard| {
            if let Some(place) = shard.find(chunk)?
                && !found.contains(&place)
            {
                found.push(place);
            }
            Ok(None::<()>)
        })
        .or_else(|error| if found.is_empty() { Err(error) } else { Ok(None) })?;
        Ok(found)
    }

    /// The recipe of the file. Of several one whose packs are all described is taken, if there is one.
    ///
    /// # Errors
    /// [`StoreError::DamagedShard`] when no shard has one and one of them could not tell.
    pub fn recipe(&self, file: &FileId) -> Result<Option<Recipe>> {
        self.recipe_among(file, &|_| true)
    }

    /// As [`Index::recipe`], preferring one whose packs are also `present`.
    ///
    /// # Errors
    /// As [`Index::recipe`].
    pub fn recipe_among(&self, file: &FileId, present: &dyn Fn(&PackId) -> bool) -> Result<Option<Recipe>> {
        let mut dangling = None;
        let usable = self.first(|shard| {
            let Some(recipe) = shard.recipe(file)? else {
                return Ok(None);
            };
            if recipe
                .terms
                .iter()
                .all(|term| self.has_pack(&term.pack) && present(&term.pack))
            {
                return Ok(Some(recipe));
            }
            dangling.get_or_insert(recipe);
            Ok(None)
        });
        match (usable, dangling) {
            (Ok(None) | Err(_), Some(recipe)) => Ok(Some(recipe)),
            (usable, _) => usable,
        }
    }

    /// Whether a shard describes the pack.
    #[must_use]
    pub fn has_pack(&self, pack: &PackId) -> bool {
        self.pack(pack).is_some()
    }

    /// The pack and a shard that describes it.
    #[must_use]
    pub fn pack(&self, pack: &PackId) -> Option<(&Shard, PackInfo)> {
        self.shards
            .iter()
            .find_map(|shard| shard.pack(pack).map(|info| (&**shard, info)))
    }

    /// One slot of a pack, counted from 0.
    ///
    /// # Errors
    /// [`StoreError::MissingPack`] when no shard describes the pack, [`StoreError::DamagedShard`] when the pack has
    /// no such slot.
    pub fn slot(&self, pack: &PackId, slot: u32) -> Result<Location> {
        let (shard, info) = self.pack(pack).ok_or(StoreError::MissingPack(*pack))?;
        shard.slot_in(&info, slot)
    }

    /// The slots of a pack, in order.
    ///
    /// # Errors
    /// [`StoreError::MissingPack`] when no shard describes the pack; an item is an error when the slot is not sound.
    pub fn slots(&self, pack: &PackId) -> Result<impl Iterator<Item = Result<Location>>> {
        let (shard, info) = self.pack(pack).ok_or(StoreError::MissingPack(*pack))?;
        Ok(shard.slots(info))
    }

    /// Where the chunks of a recipe are, in the order of the file. Ends after the first error.
    ///
    /// # Errors
    /// An item is [`StoreError::MissingPack`] or [`StoreError::DamagedShard`] as for [`Index::slot`], or
    /// [`StoreError::DamagedRecipe`] when the chunks have not together the size of the file.
    pub fn resolve<'a>(&'a self, recipe: &'a Recipe) -> Resolve<'a> {
        Resolve {
            index: self,
            recipe,
            term: 0,
            done: 0,
            pack: None,
            rest: recipe.size,
            ended: false,
        }
    }

    /// Counts.
    #[must_use]
    pub fn stats(&self) -> IndexStats {
        let mut stats = IndexStats::default();
        for shard in &self.shards {
            stats.shards += 1;
            stats.packs += shard.packs().count() as u64;
            stats.chunks += u64::from(shard.chunk_count());
            stats.recipes += u64::from(shard.recipe_count());
            stats.bytes += shard.bytes().len() as u64;
        }
        stats
    }

    /// The first answer; the first error only if nobody answers.
    fn first<T>(&self, mut ask: impl FnMut(&Shard) -> Result<Option<T>>) -> Result<Option<T>> {
        let mut failed = None;
        for shard in &self.shards {
            match ask(shard) {
                Ok(Some(answer)) => return Ok(Some(answer)),
                Ok(None) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(None), Err)
    }
}

/// The locations of a recipe's chunks: see [`Index::resolve`].
#[derive(Debug)]
pub struct Resolve<'a> {
    index: &'a Index,
    recipe: &'a Recipe,
    term: usize,
    /// Slots of the term that were returned.
    done: u32,
    /// The pack of the term.
    pack: Option<(&'a Shard, PackInfo)>,
    /// Bytes of the file that are yet to come.
    rest: u64,
    ended: bool,
}

impl Resolve<'_> {
    fn step(&mut self) -> Result<Option<Location>> {
        loop {
            let Some(term) = self.recipe.terms.get(self.term) else {
                return match self.rest {
                    0 => Ok(None),
                    _ => Err(StoreError::DamagedRecipe(self.recipe.file)),
                };
            };
            if self.done >= term.count {
                self.term += 1;
                self.done = 0;
                self.pack = None;
                continue;
            }
            let (shard, info) = match self.pack {
                Some(pack) => pack,
                None => self.index.pack(&term.pack).ok_or(StoreError::MissingPack(term.pack))?,
            };
            self.pack = Some((shard, info));
            let slot = term.first.checked_add(self.done).filter(|slot| *slot < info.slots);
            let place = shard.slot_in(&info, slot.ok_or(StoreError::DamagedRecipe(self.recipe.file))?)?;
            self.done += 1;
            self.rest = self
                .rest
                .checked_sub(u64::from(place.chunk.raw_len))
                .filter(|_| place.chunk.raw_len > 0)
                .ok_or(StoreError::DamagedRecipe(self.recipe.file))?;
            return Ok(Some(place));
        }
    }
}

impl Iterator for Resolve<'_> {
    type Item = Result<Location>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.step().transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}

impl std::iter::FusedIterator for Resolve<'_> {}

#[cfg(test)]
mod tests;
