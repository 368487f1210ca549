//! Taking damage out of a remote, so that a fresh clone can pull everything again.
//!
//! What is tried for an object that is missing or damaged, in this order:
//!
//! 1. **The same object again.** A run or shard of which there is a sound local copy, and a pack whose bodies (what can
//!    still be read of it, and the cache) give a file with the hash that is its name, are written over the damaged ones.
//!    The bytes are those every reader expects under that name, so nothing else has to change, and doing it twice, or
//!    beside another who does it, is the same as doing it once.
//! 2. **Its content elsewhere.** The chunks of a pack that can be had go into a fresh pack; every shard in force that
//!    names the old pack is written anew with the fresh one in its place; of a lost shard, the packs on the remote that
//!    no shard describes are described by a new one. Then one run takes the place of all runs, with the new shards where
//!    the old ones stood, for *every* root that the catalog names and not only those of this work tree.
//! 3. **What is still not described** of this work tree's outputs is pushed again from the cache ([`PushPlan`]), and the
//!    new entries take the place of the old ones.
//!
//! Why nothing gets worse, wherever it is stopped. Steps add objects under names of their content, or write over an
//! object the bytes of its name; a put is atomic. The catalog changes by one put of a run that says all the old runs
//! said of what is sound; until they are deleted a reader may take either, as it would have before. Objects are deleted
//! at the very end, and only damaged ones: runs that the new one replaced, shards that no run names, and packs that no
//! shard in force names, whose readable chunks are in a fresh pack then. A pack that no shard here describes and whose
//! own table is damaged stays: another clone may have the shard that describes it. Damaged is what is missing, has
//! another length or does not have the hash of its name; a body that ends early, as behind a proxy that cuts large ones,
//! stops the repair before anything is deleted. A repair that was stopped is found damaged as
//! before by the next one, which writes the same objects under the same names.
//!
//! Not promised: that a push which runs at the same time, and relies on a pack that is deleted here, leaves its root
//! complete (`verify` finds it); that damage is found in packs which only other branches' outputs need; that a file of
//! several chunks whose recipe stood in a lost shard alone can be put together without a copy of the file.

mod packs;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::error::Result;
use super::moved::{self, Moved};
use super::push::{PushPlan, Replace};
use super::store::{RemoteStore, of_one_object, pack_key, run_key, shard_key};
use super::transport::{Body, PutMode};
use super::verify::{RemoteDamage, RemoteFinding, RemoteReport};
use crate::hash::{ChunkId, PackId, RootId, RunId, ShardId};
use crate::object::Root;
use crate::progress::Phase;
use crate::store::Cache;
use crate::store::run::CatalogRun;

/// How often the catalog is written again because another run with the old shards came up meanwhile.
const ATTEMPTS: usize = 4;

/// What was done about damage.
#[derive(Debug, Default)]
pub struct RemoteRepair {
    /// Keys of objects that have their bytes again.
    pub restored: Vec<String>,
    /// Keys of objects in whose place there are others now, as far as their content could be had.
    pub replaced: Vec<String>,
    /// Chunks that were sent.
    pub chunks: u64,
    /// Bytes that were sent.
    pub bytes: u64,
    /// Whether a run could not be restored: what only it named is not named any more.
    pub lost_run: bool,
    /// Packs that must not be believed in any more.
    gone: HashSet<PackId>,
}

impl RemoteStore {
    /// Chunks of the damaged packs that neither those nor the cache can give.
    ///
    /// # Errors
    /// When the remote cannot be asked, or the cache not be read.
    pub fn lacking(&self, cache: &Cache, report: &RemoteReport) -> Result<Vec<ChunkId>> {
        let mut lacking = BTreeSet::new();
        let shards = self.sound_shards()?;
        for id in report.packs() {
            if let Some((shard, info)) = packs::describing(&shards, &id) {
                self.bodies(cache, shard, info, &mut |location, found| {
                    if found.is_none() {
                        lacking.insert(location.chunk.chunk);
                    }
                    Ok(())
                })?;
            }
        }
        Ok(lacking.into_iter().collect())
    }

    /// Repairs what a report of this remote names, from what is left of it and the cache; see the module.
    ///
    /// # Errors
    /// When the remote cannot be asked, listed or written, or the cache not be read. Nothing is worse then than before.
    pub fn repair(&self, cache: &Cache, report: &RemoteReport) -> Result<RemoteRepair> {
        self.must_list()?;
        self.progress.start(Phase::Pushing, 0, 0);
        // What is sent from here on under the name of a damaged pack takes its place.
        self.distrust_all();
        let mut done = RemoteRepair::default();
        let (mut lost_runs, mut lost_shards) = (Vec::new(), BTreeSet::new());
        for finding in &report.findings {
            match finding.damage {
                RemoteDamage::Run(id) => match self.runs()?.iter().find(|run| run.id() == id) {
                    Some(run) => self.write_again(&run_key(id), run.bytes().to_vec(), &mut done)?,
                    None => lost_runs.push(id),
                },
                RemoteDamage::Shard(id) => match self.kept_shard(id)?.filter(|shard| shard.verify().is_ok()) {
                    Some(shard) => self.write_again(&shard_key(id), shard.bytes().to_vec(), &mut done)?,
                    None => drop(lost_shards.insert(id)),
                },
                RemoteDamage::Pack(_) => {}
            }
        }
        let mut shards = self.sound_shards()?;
        shards.retain(|shard| !lost_shards.contains(&shard.id()));
        let mut moved: HashMap<PackId, Moved> = HashMap::new();
        for id in report.packs() {
            self.progress.check()?;
            if let Some((shard, info)) = packs::describing(&shards, &id)
                && let Some(to) = self.rebuild_pack(cache, shard, info, &mut done)?
            {
                moved.insert(id, to);
            }
        }
        let mut change: BTreeMap<ShardId, Option<ShardId>> = BTreeMap::new();
        if !lost_shards.is_empty() {
            let new = self.describe_orphans(cache, &shards, &mut moved, &mut done)?;
            change.extend(lost_shards.iter().map(|id| (*id, new)));
        }
        for shard in &shards {
            if shard.named_packs().any(|pack| moved.contains_key(&pack)) {
                let new = match moved::rewrite(shard, &moved)? {
                    Some(bytes) => Some(self.put_shard(bytes)?.id()),
                    None => None,
                };
                change.insert(shard.id(), new);
            }
        }
        done.lost_run = !lost_runs.is_empty();
        self.publish_repaired(&change, &lost_runs)?;
        done.gone.extend(moved.keys());
        done.replaced.extend(lost_runs.iter().map(|id| run_key(*id)));
        done.replaced.extend(lost_shards.iter().map(|id| shard_key(*id)));
        done.replaced.extend(moved.keys().map(|id| pack_key(*id)));
        self.remove_damaged(&lost_shards, &moved)?;
        Ok(done)
    }

    fn write_again(&self, key: &str, bytes: Vec<u8>, done: &mut RemoteRepair) -> Result<()> {
        done.bytes += bytes.len() as u64;
        self.transport().put(key, &Body::from(bytes), PutMode::Overwrite)?;
        done.restored.push(key.to_owned());
        Ok(())
    }

    /// Puts new shards in the place of old ones for every root, and takes over what damaged runs still say.
    fn publish_repaired(&self, change: &BTreeMap<ShardId, Option<ShardId>>, lost_runs: &[RunId]) -> Result<()> {
        if change.is_empty() && lost_runs.is_empty() {
            return Ok(());
        }
        let replace = |shards: Vec<ShardId>| {
            let new = |id: ShardId| change.get(&id).copied().unwrap_or(Some(id));
            shards.into_iter().filter_map(new).collect::<Vec<_>>()
        };
        let mut roots: BTreeMap<RootId, Vec<ShardId>> = BTreeMap::new();
        for id in lost_runs {
            // A run of the right form with a wrong hash has one or a few wrong bytes: entries whose shards exist are kept.
            let Some(bytes) = of_one_object(self.run_bytes(*id))? else {
                continue;
            };
            let Ok(run) = CatalogRun::parse(*id, bytes) else {
                continue;
            };
            for (root, shards) in run.roots() {
                let shards = replace(shards);
                if !shards.is_empty() && self.lookup(&root)?.is_empty() && self.are_there(&shards)? {
                    roots.insert(root, shards);
                }
            }
        }
        for _ in 0..ATTEMPTS {
            let all = Replace::All {
                change: &replace,
                damaged: lost_runs,
            };
            self.publish_roots(std::mem::take(&mut roots), &all)?;
            let old = |id: ShardId| change.contains_key(&id);
            if !self.runs()?.iter().any(|run| run.shards().any(old)) {
                break;
            }
        }
        Ok(())
    }

    fn are_there(&self, shards: &[ShardId]) -> Result<bool> {
        for id in shards {
            if of_one_object(self.shard(*id))?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Deletes damaged objects that nothing in force names.
    fn remove_damaged(&self, lost_shards: &BTreeSet<ShardId>, moved: &HashMap<PackId, Moved>) -> Result<()> {
        let mut named = BTreeSet::new();
        for run in self.runs()? {
            named.extend(run.shards());
        }
        for id in lost_shards.difference(&named) {
            self.delete_if_allowed(&shard_key(*id))?;
        }
        let mut packs = HashSet::new();
        for id in &named {
            match of_one_object(self.shard(*id))? {
                Some(shard) => packs.extend(shard.named_packs()),
                // It may name any.
                None => return Ok(()),
            }
        }
        for id in moved.keys().filter(|id| !packs.contains(*id)) {
            self.delete_if_allowed(&pack_key(*id))?;
        }
        Ok(())
    }

    /// What has to be sent so that these roots can be restored, whatever the catalog says of them now.
    ///
    /// # Errors
    /// When the remote cannot be asked, or the cache is damaged.
    pub fn plan_completion(&self, cache: &Cache, roots: &[Root], repair: &RemoteRepair) -> Result<PushPlan> {
        let mut shards = self.sound_shards()?;
        if repair.lost_run {
            // What only the lost run named is there all the same.
            let known: HashSet<ShardId> = shards.iter().map(|shard| shard.id()).collect();
            for object in self.transport().list("shards/")? {
                let id: Option<ShardId> = object.key.rsplit('/').next().and_then(|name| name.parse().ok());
                if let Some(id) = id.filter(|id| !known.contains(id))
                    && let Some(shard) = of_one_object(self.shard_again(id))?
                    && !shard.named_packs().any(|pack| repair.gone.contains(&pack))
                {
                    shards.push(self.shard(id)?);
                }
            }
        }
        self.plan_push_again(cache, roots, shards)
    }
}

impl RemoteRepair {
    /// Adds what a further round did.
    pub fn extend(&mut self, more: Self) {
        self.restored.extend(more.restored);
        self.replaced.extend(more.replaced);
        self.chunks += more.chunks;
        self.bytes += more.bytes;
        self.lost_run |= more.lost_run;
        self.gone.extend(more.gone);
    }
}

impl RemoteReport {
    /// Whether it could not look at all there is because runs or shards are damaged.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        let pack = |finding: &RemoteFinding| matches!(finding.damage, RemoteDamage::Pack(_));
        !self.findings.iter().all(pack)
    }

    /// The damaged packs.
    fn packs(&self) -> impl Iterator<Item = PackId> {
        self.findings.iter().filter_map(|finding| match finding.damage {
            RemoteDamage::Pack(id) => Some(id),
            _ => None,
        })
    }
}
