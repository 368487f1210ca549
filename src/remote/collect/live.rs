//! Which chunks in packs are needed: found by walking the trees of all roots that stay.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::super::error::Result;
use super::super::store::RemoteStore;
use crate::hash::{FileId, PackId, RootId, ShardId, TreeId};
use crate::object::{Node, ObjectError, Root, Trees as _};
use crate::store::gc::Marks;
use crate::store::shard::{PackInfo, Shard};
use crate::store::{Cache, Location};

/// Trees that are fetched at once.
const TREES: usize = 4096;

/// What is needed in packs.
pub(super) struct Live {
    marks: Marks,
    /// Packs of which everything is needed, because nobody knows what the roots are that they belong to.
    whole_packs: HashSet<PackId>,
}

/// A pack, and how much of it is needed.
pub(super) struct Use {
    pub(super) shard: Arc<Shard>,
    pub(super) pack: PackInfo,
    /// Bytes of bodies, of those that are needed, and how many these are.
    pub(super) bytes: u64,
    pub(super) live_bytes: u64,
    pub(super) live: u32,
}

impl RemoteStore {
    /// Marks what these roots need in the packs of these shards. `None` if a listing cannot be had, so that nobody can say.
    /// Listings that are missing in the cache are fetched.
    pub(super) fn live(
        &self,
        cache: &Cache,
        roots: &BTreeMap<RootId, (Option<Root>, Vec<Vec<ShardId>>)>,
        shards: &[Arc<Shard>],
    ) -> Result<Option<Live>> {
        let mut live = Live {
            marks: Marks::new(),
            whole_packs: HashSet::new(),
        };
        let mut whole: HashSet<ShardId> = HashSet::new();
        let mut files: HashSet<FileId> = HashSet::new();
        let mut trees: Vec<TreeId> = Vec::new();
        let mut seen: HashSet<TreeId> = HashSet::new();
        for (root, entries) in roots.values() {
            match root {
                Some(Root::File(id)) => drop(files.insert(*id)),
                Some(Root::Tree(id)) if seen.insert(*id) => trees.push(*id),
                Some(Root::Tree(_)) => {}
                None => whole.extend(entries.iter().flatten()),
            }
        }
        for shard in shards.iter().filter(|shard| whole.contains(&shard.id())) {
            live.whole_packs.extend(shard.named_packs());
        }
        for file in files {
            live.keep(shards, &file)?;
        }
        while !trees.is_empty() {
            self.progress.check()?;
            let part = trees.split_off(trees.len().saturating_sub(TREES));
            self.bring(cache, &part)?;
            for id in part {
                live.keep(shards, &id.as_file())?;
                let tree = match cache.tree(id) {
                    Ok(tree) => tree,
                    Err(ObjectError::Store(error)) if error.is_of_content() => return Ok(None),
                    Err(error) if error.is_missing() => return Ok(None),
                    Err(error) => return Err(error.into()),
                };
                for entry in tree.entries() {
                    match entry.node {
                        Node::File { id, .. } => live.keep(shards, &id)?,
                        Node::Dir { id, .. } if seen.insert(id) => trees.push(id),
                        _ => {}
                    }
                }
            }
        }
        Ok(Some(live))
    }

    /// Fetches listings into the cache.
    fn bring(&self, cache: &Cache, trees: &[TreeId]) -> Result<()> {
        let mut missing = Vec::new();
        for id in trees {
            if !cache.contains(&id.as_file())? {
                missing.push(id.as_file());
            }
        }
        if !missing.is_empty() {
            self.plan_fetch_files(cache, &missing)?.execute(self, cache)?;
        }
        Ok(())
    }
}

impl Live {
    /// Marks a file (or listing) wherever it is: which place a reader takes depends on the root it comes from.
    fn keep(&mut self, shards: &[Arc<Shard>], file: &FileId) -> Result<()> {
        for shard in shards {
            if let Some(location) = shard.find(&file.as_chunk())? {
                self.marks.keep(&location);
            }
            if let Some(recipe) = shard.recipe(file)? {
                for term in &recipe.terms {
                    for slot in term.first..term.first.saturating_add(term.count) {
                        self.marks.keep_slot(&term.pack, slot);
                    }
                }
            }
        }
        Ok(())
    }

    /// The packs that these shards describe, each once, and how much of them is needed.
    pub(super) fn uses(&self, shards: &[Arc<Shard>]) -> Result<Vec<Use>> {
        let mut uses: BTreeMap<PackId, Use> = BTreeMap::new();
        for shard in shards {
            for pack in shard.packs() {
                if uses.contains_key(&pack.id) {
                    continue;
                }
                let mut of = Use {
                    shard: Arc::clone(shard),
                    pack,
                    bytes: 0,
                    live_bytes: 0,
                    live: 0,
                };
                for location in shard.slots(pack) {
                    let location = location?;
                    let len = u64::from(location.chunk.stored_len);
                    of.bytes += len;
                    if self.needs(&location) {
                        of.live_bytes += len;
                        of.live += 1;
                    }
                }
                uses.insert(pack.id, of);
            }
        }
        Ok(uses.into_values().collect())
    }

    /// The needed slots of a pack, in its order.
    pub(super) fn slots<'a>(&'a self, of: &'a Use) -> impl Iterator<Item = Result<Location>> + 'a {
        let slots = of.shard.slots(of.pack);
        slots
            .filter(|location| location.as_ref().map_or(true, |location| self.needs(location)))
            .map(|location| Ok(location?))
    }

    fn needs(&self, location: &Location) -> bool {
        self.whole_packs.contains(&location.pack) || self.marks.has(&location.pack, location.slot)
    }
}

impl Use {
    /// Whether nothing in it is needed.
    pub(super) const fn is_dead(&self) -> bool {
        self.live == 0
    }

    /// Whether something is needed, and more than half of it is dead.
    pub(super) const fn is_sparse(&self) -> bool {
        self.live > 0 && self.live_bytes * 2 < self.bytes
    }
}
