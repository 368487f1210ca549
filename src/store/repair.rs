//! Taking damage out of the cache, so that what was damaged counts as missing and can be had again from elsewhere.
//! What can still be read is never dropped.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::cache::{Access, Cache, Reader};
use super::gc::{GcPlan, Marks};
use super::index::{Index, publish_shard, shard_path};
use super::pack::PackFile;
use super::shard::ShardBuilder;
use super::{Damage, Location, Result, StoreError, VerifyReport};
use crate::fs::{self, FileKind};
use crate::hash::{ChunkId, FileId, PackId, ShardId};
use crate::progress::Progress;

/// What was damaged and is out of the cache now.
#[derive(Debug, Default)]
pub struct Dropped {
    /// Chunks of which no good copy is left.
    pub chunks: Vec<ChunkId>,
    /// Files that these belong to: size and chunks of each.
    pub recipes: Vec<(FileId, u64, Vec<ChunkId>)>,
    /// Packs that were written anew without them.
    pub packs: u64,
}

impl Cache {
    /// Replaces damaged shards by a new one that describes the packs that only they described; recipes in them are lost.
    /// `false` when there is no damaged shard.
    ///
    /// # Errors
    /// When the cache is not held exclusively, or cannot be read or written.
    pub fn replace_damaged_shards(&self, report: &VerifyReport) -> Result<bool> {
        let damaged: BTreeSet<ShardId> = report
            .damage
            .iter()
            .filter_map(|damage| match damage {
                Damage::Shard(id) => Some(*id),
                _ => None,
            })
            .collect();
        if damaged.is_empty() {
            return Ok(false);
        }
        if self.access() != Access::Exclusive {
            return Err(StoreError::NotExclusive);
        }
        let shards = self.index().shards().to_vec();
        let sound = Index::from_shards(shards.into_iter().filter(|shard| !damaged.contains(&shard.id())).collect());
        let mut builder = ShardBuilder::new();
        for id in self.packs_on_disk()? {
            if sound.has_pack(&id) {
                continue;
            }
            // A pack whose table is damaged as well stays a leftover.
            if let Ok(table) = PackFile::open(&self.pack_path(&id), id).and_then(|pack| pack.table()) {
                builder.add_pack(id, table.kind(), table.file_len(), table.slots())?;
            }
        }
        if !builder.is_empty() {
            publish_shard(&self.shards_dir(), &self.tmp_dir(), &builder.build()?)?;
        }
        for id in damaged {
            fs::remove_file(&shard_path(&self.shards_dir(), id))?;
        }
        *self.index_mut() = Index::open(&self.shards_dir())?;
        Ok(true)
    }

    fn packs_on_disk(&self) -> Result<Vec<PackId>> {
        let mut found = Vec::new();
        for folder in fs::list(&self.packs_dir())? {
            let dir = self.packs_dir().join(folder);
            if fs::stat(&dir)?.is_some_and(|stat| stat.kind == FileKind::Dir) {
                let names = fs::list(&dir)?;
                found.extend(names.iter().filter_map(|name| name.to_str()?.parse::<PackId>().ok()));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Writes the packs that a report names anew without what is damaged in them.
    ///
    /// # Errors
    /// When the cache is not held exclusively, or cannot be read or written.
    pub fn drop_damaged(&self, report: &VerifyReport, progress: &Progress) -> Result<Dropped> {
        let mut packs = HashSet::new();
        let mut dropped = Dropped::default();
        let mut marks = Marks::new();
        let mut bad = HashSet::new();
        let mut reader = Reader::new(self);
        let mut buffer = Vec::new();
        for damage in &report.damage {
            match damage {
                Damage::PackMissing(id) | Damage::PackLength(id) | Damage::Pack { pack: id, .. } => {
                    packs.insert(*id);
                }
                Damage::Shard(_) => {}
            }
        }
        if packs.is_empty() {
            return Ok(dropped);
        }
        let slots: Vec<Location> = {
            let index = self.index();
            let mut described = HashSet::new();
            let mut slots = Vec::new();
            for shard in index.shards() {
                for pack in shard.packs().filter(|pack| described.insert(pack.id)) {
                    for location in shard.slots(pack) {
                        slots.push(location?);
                    }
                }
            }
            slots
        };
        for location in &slots {
            progress.check()?;
            let good = !packs.contains(&location.pack)
                || match reader.chunk(location, &mut buffer) {
                    Ok(()) => true,
                    Err(StoreError::Interrupted(error)) => return Err(error.into()),
                    Err(_) => false,
                };
            if good {
                marks.keep(location);
            } else {
                bad.insert((location.pack, location.slot));
            }
        }
        let lost = |location: &Location| bad.contains(&(location.pack, location.slot));
        for location in slots.iter().filter(|location| lost(location)) {
            let others = self.index().locate_all(&location.chunk.chunk)?;
            if others.iter().all(lost) {
                dropped.chunks.push(location.chunk.chunk);
            }
        }
        dropped.chunks.sort();
        dropped.chunks.dedup();
        dropped.recipes = self.recipes_with(&bad)?;
        let mut plan = GcPlan::new(self, marks, &mut |_| Ok(false))?;
        plan.leftovers.clear();
        plan.force_repack(&packs);
        plan.execute(self, progress)?;
        dropped.packs = packs.len() as u64;
        Ok(dropped)
    }

    /// The recipes that name one of these slots.
    fn recipes_with(&self, bad: &HashSet<(PackId, u32)>) -> Result<Vec<(FileId, u64, Vec<ChunkId>)>> {
        let shards: Vec<_> = self.index().shards().iter().map(Arc::clone).collect();
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for shard in &shards {
            for recipe in shard.recipes() {
                let recipe = recipe?;
                let slots = |term: &super::Term| term.first..term.first.saturating_add(term.count);
                let touched = |term: &super::Term| slots(term).any(|slot| bad.contains(&(term.pack, slot)));
                if recipe.terms.iter().any(touched)
                    && seen.insert(recipe.file)
                    && let Ok(chunks) = super::chunk_ids(&shards, &recipe).collect::<Result<Vec<_>>>()
                {
                    found.push((recipe.file, recipe.size, chunks));
                }
            }
        }
        Ok(found)
    }
}
