//! The second half of a collection: after the grace period, what a tombstone names and what nothing came to need is deleted.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, SystemTime};

use super::super::error::Result;
use super::super::store::{RemoteStore, pack_key, shard_key};
use super::claim::{Claim, claim_key};
use super::guards;
use super::tombstone::{Condemned, KEPT, Tombstone, done_key, tombstone_key};
use super::{CollectOptions, Swept, Waiting};
use crate::hash::{FileId, PackId, RootId, RunId, ShardId};
use crate::object::Root;
use crate::progress::Phase;

/// Clocks of one service may differ by so much: a lease counts as older than a tombstone that is so much older.
const SKEW: Duration = Duration::from_secs(3600);

/// What a sweep of one tombstone does.
#[derive(Default)]
struct Plan {
    /// The runs that were read.
    runs: Vec<RunId>,
    /// Entries of the catalog that stay.
    entries: Vec<(RootId, Vec<ShardId>)>,
    /// Roots that are named no more.
    roots: u64,
    shards: Vec<ShardId>,
    packs: Vec<PackId>,
    /// Whether the catalog says more than the entries that stay.
    changes: bool,
}

impl RemoteStore {
    /// Sweeps the tombstones whose time has come. `now` by the remote's clock.
    pub(super) fn sweep(&self, options: &CollectOptions, now: SystemTime, swept: &mut Swept) -> Result<Vec<Waiting>> {
        let mut waiting = Vec::new();
        let (_, tombstones) = self.tombstones()?;
        for tombstone in &tombstones {
            self.progress.check()?;
            if tombstone.done.is_some() {
                continue;
            }
            let ripe = tombstone.since + options.grace;
            if ripe > now {
                waiting.push(Waiting::of(tombstone, Some(ripe), None));
                continue;
            }
            if let Some(holder) = self.blocking(tombstone, options, now)? {
                waiting.push(Waiting::of(tombstone, None, Some(holder)));
                continue;
            }
            self.sweep_one(tombstone, options, swept)?;
        }
        Ok(waiting)
    }

    /// Deletes tombstones that were swept long ago. A mark must have taken what leads to what they name out of the catalog.
    pub(super) fn forget_tombstones(&self, now: SystemTime) -> Result<()> {
        let (_, tombstones) = self.tombstones()?;
        for tombstone in tombstones {
            let is_old = |done| now.duration_since(done).is_ok_and(|age| age >= KEPT);
            if tombstone.done.is_some_and(is_old) {
                self.transport().delete(&tombstone_key(tombstone.id))?;
                self.transport().delete(&done_key(tombstone.id))?;
            }
        }
        Ok(())
    }

    /// A writer that was there when the tombstone was written, and may rely on what it names. Leases of those that count
    /// as dead are taken away: should they live, they see it.
    fn blocking(
        &self,
        tombstone: &Tombstone,
        options: &CollectOptions,
        now: SystemTime,
    ) -> Result<Option<(String, SystemTime)>> {
        if !guards::sweep_waits_for_leases() {
            return Ok(None);
        }
        let mut blocking = None;
        for lease in self.leases()? {
            if lease.since > tombstone.since + SKEW {
                continue;
            }
            if now
                .duration_since(lease.since)
                .is_ok_and(|age| age >= options.leases_older_than)
            {
                if !options.dry_run {
                    self.transport().delete(&lease.key)?;
                }
            } else {
                let holder = self.lease_holder(&lease.key).unwrap_or_default();
                blocking = Some((holder, lease.since));
            }
        }
        Ok(blocking)
    }

    fn sweep_one(&self, tombstone: &Tombstone, options: &CollectOptions, swept: &mut Swept) -> Result<()> {
        let plan = self.plan_sweep(tombstone)?;
        let listed = self.list_there()?.packs;
        let bytes = plan
            .packs
            .iter()
            .filter_map(|pack| listed.get(pack))
            .map(|listed| listed.len);
        swept.bytes += bytes.sum::<u64>();
        swept.roots += plan.roots;
        swept.shards += plan.shards.len() as u64;
        swept.packs += plan.packs.len() as u64;
        swept.claims += tombstone.text.claims.len() as u64;
        if options.dry_run {
            return Ok(());
        }
        self.progress.start(Phase::Collecting, plan.packs.len() as u64, 0);
        // Names first, then what they lead to: a reader is told that it is not there, not that it is damaged.
        let Plan { packs, shards, .. } = self.forget_roots(plan)?;
        for shard in shards {
            self.progress.check()?;
            self.transport().delete(&shard_key(shard))?;
        }
        for pack in packs {
            self.progress.check()?;
            self.transport().delete(&pack_key(pack))?;
            self.progress.advance(1, 0);
        }
        for (repository, claim) in &tombstone.text.claims {
            self.transport().delete(&claim_key(repository, *claim))?;
        }
        self.put_meta(&done_key(tombstone.id), b"{}\n".to_vec())
    }

    /// Writes the catalog without what nothing needs, in the place of exactly the runs that were read.
    fn forget_roots(&self, mut plan: Plan) -> Result<Plan> {
        if plan.changes {
            let entries = std::mem::take(&mut plan.entries);
            self.replace_runs(entries, &plan.runs, &|| Ok(true))?;
        }
        Ok(plan)
    }

    /// Looks again what is needed of what a tombstone names.
    fn plan_sweep(&self, tombstone: &Tombstone) -> Result<Plan> {
        let text = &tombstone.text;
        // Whoever claims a root and then says where it is: if the second is seen here, so is the first.
        let early = match guards::sweep_reads_catalog_first() {
            true => None,
            false => Some(self.claims()?),
        };
        let snapshot = self.snapshot()?;
        let claims = match early {
            Some(claims) => claims,
            None => self.claims()?,
        };
        let (ever, tombstones) = self.tombstones()?;
        let condemned = Condemned::of(ever, &tombstones);
        let there = self.list_there()?;
        let needed = needed(&claims, &tombstones);
        let marked: HashSet<RootId> = text.roots.iter().copied().collect();
        let mut plan = Plan::default();
        let mut keeping = BTreeMap::new();
        for (root, all) in &snapshot.roots {
            if guards::sweep_looks_again() && needed.contains(root) || !marked.contains(root) {
                let kept = self.keeping(all, &condemned, &there)?;
                plan.changes |= kept.len() < all.len();
                if !kept.is_empty() {
                    keeping.insert(*root, kept);
                    continue;
                }
            }
            plan.changes = true;
            plan.roots += 1;
        }
        let (mut shards, mut packs): (HashSet<ShardId>, HashSet<PackId>) = Default::default();
        if guards::sweep_looks_again() {
            for shard in self.shards_in(keeping.values().flatten().copied())? {
                shards.insert(shard.id());
                packs.extend(shard.named_packs());
            }
        }
        plan.shards = text.shards.iter().filter(|id| !shards.contains(id)).copied().collect();
        plan.packs = text.packs.iter().filter(|id| !packs.contains(id)).copied().collect();
        plan.entries = keeping
            .into_iter()
            .flat_map(|(root, kept)| kept.into_iter().map(move |entry| (root, entry.clone())))
            .collect();
        plan.runs = snapshot.runs;
        Ok(plan)
    }
}

/// What claims name that no tombstone takes back.
fn needed(claims: &[Claim], tombstones: &[Tombstone]) -> HashSet<RootId> {
    let retired: BTreeSet<FileId> = tombstones
        .iter()
        .flat_map(|tombstone| &tombstone.text.claims)
        .map(|(_, claim)| *claim)
        .collect();
    let standing = claims.iter().filter(|claim| !retired.contains(&claim.id));
    standing.flat_map(|claim| claim.text.roots()).map(Root::id).collect()
}
