//! What is to become of each pack.

use std::collections::HashSet;
use std::path::PathBuf;

use super::Marks;
use crate::fs::{self, FileKind};
use crate::hash::PackId;
use crate::store::{Cache, Location, PackKind, Result, StoreError};

/// Share of a pack's bodies that has to be dead for its live ones to be copied into a new pack: one in four.
const REPACK: u64 = 4;

/// What becomes of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is.
    Keep,
    /// Its live chunks move to a new pack.
    Repack,
    /// Nothing in it is needed.
    Remove,
}

/// A pack and what becomes of it.
#[derive(Debug, Clone)]
pub struct PackFate {
    /// The pack.
    pub id: PackId,
    /// Data or trees.
    pub kind: PackKind,
    /// Bytes of the pack file.
    pub file_len: u64,
    /// Chunks it has.
    pub chunks: u32,
    /// Chunks that are needed.
    pub live_chunks: u32,
    /// Bytes of their bodies.
    pub live_bytes: u64,
    /// What becomes of it.
    pub fate: Fate,
}

/// What a collection will do.
#[derive(Debug, Default)]
pub struct GcPlan {
    /// Every pack that shards describe.
    pub packs: Vec<PackFate>,
    /// Files below the cache that no shard describes: of writers that were killed.
    pub leftovers: Vec<(PathBuf, u64)>,
    /// Bytes of chunks that only stay because `spare` said so.
    pub spared_bytes: u64,
    /// Chunks that only stay because `spare` said so.
    pub spared_chunks: u64,
    pub(super) marks: Marks,
}

impl GcPlan {
    /// Plans for a cache: what `marks` has stays, and of the rest every chunk of which `spare` is true.
    ///
    /// # Errors
    /// When a shard is damaged (what only it describes would look like leftovers) or the cache cannot be listed.
    pub fn new(cache: &Cache, mut marks: Marks, spare: &mut dyn FnMut(&Location) -> Result<bool>) -> Result<Self> {
        let mut plan = Self::default();
        let index = cache.index();
        index.all_readable()?;
        if let Some((shard, _)) = index.damaged().first() {
            return Err(StoreError::DamagedShard {
                shard: *shard,
                defect: "it cannot be read",
            });
        }
        let mut described = HashSet::new();
        for shard in index.shards() {
            shard.verify_hash()?;
            for pack in shard.packs() {
                let Some(kind) = pack.kind else { continue };
                if !described.insert(pack.id) {
                    continue;
                }
                let (mut live_chunks, mut live_bytes, mut all_bytes) = (0, 0, 0u64);
                for location in shard.slots(pack) {
                    let location = location?;
                    let len = u64::from(location.chunk.stored_len);
                    all_bytes += len;
                    let mut live = marks.has(&pack.id, location.slot);
                    if !live && spare(&location)? {
                        marks.keep(&location);
                        plan.spared_bytes += len;
                        plan.spared_chunks += 1;
                        live = true;
                    }
                    if live {
                        live_chunks += 1;
                        live_bytes += len;
                    }
                }
                let fate = if live_chunks == 0 {
                    Fate::Remove
                } else if (all_bytes - live_bytes) * REPACK >= all_bytes && live_chunks < pack.slots {
                    Fate::Repack
                } else {
                    Fate::Keep
                };
                plan.packs.push(PackFate {
                    id: pack.id,
                    kind,
                    file_len: pack.file_len,
                    chunks: pack.slots,
                    live_chunks,
                    live_bytes,
                    fate,
                });
            }
        }
        drop(index);
        plan.packs.sort_by_key(|pack| pack.id);
        plan.leftovers = leftovers(cache, &described)?;
        plan.marks = marks;
        Ok(plan)
    }

    /// Repacks these packs and every one of which a chunk is not marked, whatever its share.
    pub fn force_repack(&mut self, also: &HashSet<PackId>) {
        for pack in &mut self.packs {
            if pack.fate == Fate::Keep && (pack.live_chunks < pack.chunks || also.contains(&pack.id)) {
                pack.fate = Fate::Repack;
            }
        }
    }

    /// Leaves packs that no shard describes where they are.
    pub fn keep_orphans(&mut self, cache: &Cache) {
        let packs = cache.packs_dir();
        self.leftovers.retain(|(path, _)| !path.starts_with(&packs));
    }

    /// Bytes on disk that will be free.
    #[must_use]
    pub fn freed_bytes(&self) -> u64 {
        let packs: u64 = self
            .packs
            .iter()
            .map(|pack| match pack.fate {
                Fate::Keep => 0,
                Fate::Repack => pack.file_len.saturating_sub(pack.live_bytes),
                Fate::Remove => pack.file_len,
            })
            .sum();
        packs + self.leftovers.iter().map(|(_, len)| len).sum::<u64>()
    }

    /// Chunks that will be removed.
    #[must_use]
    pub fn removed_chunks(&self) -> u64 {
        self.packs
            .iter()
            .filter(|pack| pack.fate != Fate::Keep)
            .map(|pack| u64::from(pack.chunks - pack.live_chunks))
            .sum()
    }

    /// Whether nothing will change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leftovers.is_empty() && self.packs.iter().all(|pack| pack.fate == Fate::Keep)
    }
}

/// Packs that no shard describes, and everything in `tmp`. Only meaningful while nobody adds.
fn leftovers(cache: &Cache, described: &HashSet<PackId>) -> Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for folder in fs::list(&cache.packs_dir())? {
        let dir = cache.packs_dir().join(folder);
        if fs::stat(&dir)?.is_none_or(|stat| stat.kind != FileKind::Dir) {
            continue;
        }
        for name in fs::list(&dir)? {
            let id: Option<PackId> = name.to_str().and_then(|name| name.parse().ok());
            if id.is_none_or(|id| !described.contains(&id)) {
                found.push(dir.join(name));
            }
        }
    }
    for name in fs::list(&cache.tmp_dir())? {
        found.push(cache.tmp_dir().join(name));
    }
    found.sort();
    found
        .into_iter()
        .map(|path| {
            let len = fs::stat(&path)?.map_or(0, |stat| stat.size);
            Ok((path, len))
        })
        .collect()
}
