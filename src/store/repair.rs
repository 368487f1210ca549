//! Taking damage out of the cache, so that what was damaged counts as missing and can be had again from elsewhere.
//! What can still be read is never dropped.

use std::collections::HashSet;
use std::sync::Arc;

use super::cache::{Cache, Reader};
use super::gc::{GcPlan, Marks};
use super::{Damage, Location, Result, StoreError, VerifyReport};
use crate::hash::{ChunkId, FileId, PackId};
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
