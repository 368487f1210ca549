//! Carrying out a plan.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::plan::{Fate, GcPlan, PackFate};
use crate::fs;
use crate::hash::{FileId, PackId, ShardId};
use crate::progress::{Phase, Progress};
use crate::store::draft::{Draft, Place};
use crate::store::index::{Index, publish_shard, shard_path};
use crate::store::pack::{PackFiller, PageCache};
use crate::store::shard::{Shard, ShardBuilder};
use crate::store::{Access, Cache, Location, PackKind, Reader, Result, Slot, StoreError};

/// Chunks described by one new shard: bounds memory.
const CHUNKS_PER_SHARD: usize = 1 << 20;

/// What a collection did.
#[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Collected {
    /// Packs removed.
    pub packs_removed: u64,
    /// Packs whose live chunks were copied into new ones.
    pub packs_rewritten: u64,
    /// Bytes freed on disk.
    pub freed_bytes: u64,
    /// Packs that were left alone because a needed chunk in them is damaged.
    pub damaged_packs: u64,
}

impl GcPlan {
    /// Removes what the plan says.
    ///
    /// # Errors
    /// When the cache is not held exclusively, or cannot be read or written. What was marked is never lost.
    pub fn execute(self, cache: &Cache, progress: &Progress) -> Result<Collected> {
        if cache.access() != Access::Exclusive {
            return Err(StoreError::NotExclusive);
        }
        let live = self.packs.iter().filter(|pack| pack.fate == Fate::Repack);
        progress.start(Phase::Collecting, 0, live.map(|pack| pack.live_bytes).sum());
        let mut rewrite = Rewrite {
            cache,
            progress,
            plan: &self,
            reader: Reader::new(cache),
            packs: PackFiller::new(cache.tmp_dir(), PageCache::Bypass),
            names: HashMap::new(),
            moved: HashMap::new(),
            sealed: Vec::new(),
            untouched: HashSet::new(),
        };
        for pack in self.packs.iter().filter(|pack| pack.fate == Fate::Repack) {
            rewrite.repack(pack)?;
        }
        rewrite.seal(PackKind::Data)?;
        rewrite.seal(PackKind::Tree)?;
        let shards = rewrite.publish_shards()?;
        let damaged = std::mem::take(&mut rewrite.untouched);
        // After a collection that was killed, what it wrote is dead or a leftover, and the same was written again.
        let written: HashSet<PackId> = rewrite.names.values().copied().collect();
        drop(rewrite);
        let mut outcome = Collected {
            damaged_packs: damaged.len() as u64,
            ..Collected::default()
        };
        // The new shards describe all that stays; now the old ones may go, and after them the packs.
        let old: BTreeSet<ShardId> = cache.index().shard_ids().collect();
        for id in old.difference(&shards) {
            fs::remove_file(&shard_path(&cache.shards_dir(), *id))?;
        }
        for pack in &self.packs {
            let gone = match pack.fate {
                Fate::Keep => continue,
                _ if written.contains(&pack.id) => continue,
                Fate::Repack if damaged.contains(&pack.id) => continue,
                Fate::Repack => &mut outcome.packs_rewritten,
                Fate::Remove => &mut outcome.packs_removed,
            };
            *gone += 1;
            outcome.freed_bytes += match pack.fate {
                Fate::Repack => pack.file_len.saturating_sub(pack.live_bytes),
                _ => pack.file_len,
            };
            fs::remove_file(&cache.pack_path(&pack.id))?;
            cache.forget_pack(&pack.id);
        }
        let kept: HashSet<_> = written.iter().map(|id| cache.pack_path(id)).collect();
        for (path, len) in self.leftovers.iter().filter(|(path, _)| !kept.contains(path)) {
            fs::remove_file(path)?;
            outcome.freed_bytes += len;
        }
        *cache.index_mut() = Index::open(&cache.shards_dir())?;
        Ok(outcome)
    }
}

struct Rewrite<'a> {
    cache: &'a Cache,
    progress: &'a Progress,
    plan: &'a GcPlan,
    reader: Reader,
    packs: PackFiller,
    names: HashMap<u32, PackId>,
    /// Where live chunks of repacked packs went: (pack, slot) before → place.
    moved: HashMap<PackId, HashMap<u32, Place>>,
    sealed: Vec<(PackId, PackKind, u64, Vec<Slot>)>,
    /// Packs with a damaged live chunk: kept as they are.
    untouched: HashSet<PackId>,
}

impl Rewrite<'_> {
    fn repack(&mut self, pack: &PackFate) -> Result<()> {
        let mut live = Vec::with_capacity(pack.live_chunks as usize);
        for location in self.cache.index().slots(&pack.id)? {
            let location = location?;
            if self.plan.marks.has(&pack.id, location.slot) {
                live.push(location);
            }
        }
        let mut buffer = Vec::new();
        let mut places = HashMap::with_capacity(live.len());
        for location in &live {
            self.progress.check()?;
            match self.reader.chunk(location, &mut buffer) {
                Ok(()) => {}
                Err(StoreError::DamagedChunk { .. } | StoreError::MissingPack(_)) => {
                    // Its other chunks may be copied twice; nothing is lost by that.
                    self.untouched.insert(pack.id);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            let place = self.append(location, pack.kind)?;
            places.insert(location.slot, place);
            self.progress.advance(0, u64::from(location.chunk.stored_len));
        }
        self.moved.insert(pack.id, places);
        Ok(())
    }

    fn append(&mut self, location: &Location, kind: PackKind) -> Result<Place> {
        let (place, full) = self.packs.append(kind, location.chunk, self.reader.last_body())?;
        if full {
            self.seal(kind)?;
        }
        Ok(place)
    }

    fn seal(&mut self, kind: PackKind) -> Result<()> {
        if let Some((number, pack)) = self.packs.seal(kind)? {
            let info = pack.publish(&self.cache.packs_dir())?;
            self.cache.forget_pack(&info.id);
            self.names.insert(number, info.id);
            self.sealed.push((info.id, info.kind, info.file_len, info.slots));
        }
        Ok(())
    }

    /// Shards that describe the packs that stay, the new ones, and every recipe whose chunks all stay.
    fn publish_shards(&mut self) -> Result<BTreeSet<ShardId>> {
        let mut published = BTreeSet::new();
        let mut builder = ShardBuilder::new();
        let mut described = HashSet::new();
        for (id, kind, len, slots) in std::mem::take(&mut self.sealed) {
            described.insert(id);
            builder.add_pack(id, kind, len, &slots)?;
            self.publish_if(&mut builder, CHUNKS_PER_SHARD, &mut published)?;
        }
        let stays: HashSet<PackId> = self
            .plan
            .packs
            .iter()
            .filter(|pack| pack.fate == Fate::Keep || self.untouched.contains(&pack.id))
            .map(|pack| pack.id)
            .collect();
        let shards: Vec<Arc<Shard>> = self.cache.index().shards().to_vec();
        let mut recipes: HashSet<FileId> = HashSet::new();
        for shard in &shards {
            for pack in shard.packs() {
                if stays.contains(&pack.id) && described.insert(pack.id) {
                    builder.add_described(shard, pack)?;
                    self.publish_if(&mut builder, CHUNKS_PER_SHARD, &mut published)?;
                }
            }
        }
        for shard in &shards {
            for recipe in shard.recipes() {
                let recipe = recipe?;
                if recipes.contains(&recipe.file) {
                    continue;
                }
                let mut draft = Draft::default();
                let mut whole = true;
                'terms: for term in &recipe.terms {
                    for slot in term.first..term.first.saturating_add(term.count) {
                        if !self.place(&stays, &term.pack, slot, &mut draft)? {
                            whole = false;
                            break 'terms;
                        }
                    }
                }
                if whole && let Some(recipe) = draft.resolve(recipe.file, recipe.size, &self.names) {
                    recipes.insert(recipe.file);
                    builder.add_recipe(recipe)?;
                    self.publish_if(&mut builder, CHUNKS_PER_SHARD, &mut published)?;
                }
            }
        }
        self.publish_if(&mut builder, 0, &mut published)?;
        Ok(published)
    }

    /// Adds to a recipe where the chunk of this slot is now; `false` when it is gone.
    fn place(&self, stays: &HashSet<PackId>, pack: &PackId, slot: u32, draft: &mut Draft) -> Result<bool> {
        let index = self.cache.index();
        let mut put = |pack: &PackId, slot: u32| -> Result<bool> {
            if let Some(place) = self.moved.get(pack).and_then(|places| places.get(&slot)) {
                draft.push_new(*place);
                return Ok(true);
            }
            if stays.contains(pack) {
                draft.push_old(&index.slot(pack, slot)?);
                return Ok(true);
            }
            Ok(false)
        };
        if put(pack, slot)? {
            return Ok(true);
        }
        // The same chunk may be in another pack.
        let Ok(gone) = index.slot(pack, slot) else {
            return Ok(false);
        };
        for other in index.locate_all(&gone.chunk.chunk)? {
            if put(&other.pack, other.slot)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn publish_if(&self, builder: &mut ShardBuilder, above: usize, published: &mut BTreeSet<ShardId>) -> Result<()> {
        if builder.is_empty() || builder.chunk_count() < above {
            return Ok(());
        }
        let bytes = std::mem::take(builder).build()?;
        published.insert(publish_shard(&self.cache.shards_dir(), &self.cache.tmp_dir(), &bytes)?);
        Ok(())
    }
}
