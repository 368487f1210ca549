//! The first half of a collection: what nothing needs is found and written down in a tombstone, and what is needed of packs
//! that are mostly dead moves. Nothing is deleted but catalog runs whose entries are in others.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::super::error::Result;
use super::super::moved::{self, Moved};
use super::super::store::{RemoteStore, of_one_object};
use super::claim::{Claim, repository_id};
use super::entries::{Snapshot, There};
use super::lease::Lease;
use super::live::Use;
use super::tombstone::{Condemned, FOLDER, Tombstone, TombstoneText};
use super::{CollectOptions, Keeping, Marked};
use crate::hash::{FileId, PackId, RootId, ShardId};
use crate::object::Root;
use crate::progress::Phase;
use crate::store::Cache;
use crate::store::shard::Shard;

/// What no entry of the catalog leads to is left alone for so long: its writer may be about to say what it is for.
const ORPHANS: Duration = Duration::from_secs(86_400);

/// Which roots stay, and which claims say so.
struct Verdict {
    /// Claims that say something that nobody needs any more.
    retired: Vec<(String, FileId)>,
    /// Roots that only those name.
    dead: HashSet<RootId>,
    /// Roots that are needed here and that no claim that stays names.
    reclaim: HashSet<Root>,
    /// What claims say that roots are.
    kinds: HashMap<RootId, Root>,
    /// Roots that no claim names, and none ever did as far as is known.
    unclaimed: u64,
    keeping: Vec<Keeping>,
}

/// What is needed where, and what is not.
struct Layout {
    /// Of each root that stays the entries that keep it.
    entries: BTreeMap<RootId, (Option<Root>, Vec<Vec<ShardId>>)>,
    /// Whether the catalog has entries that lead nowhere, or are not the best of their root.
    has_wrecks: bool,
    /// The shards in those.
    shards: Vec<Arc<Shard>>,
}

impl RemoteStore {
    /// Finds what nothing needs. `named` is what the collecting repository's own history needs; without a lease only to
    /// show it.
    pub(super) fn mark(
        &self,
        cache: &Cache,
        named: &HashSet<Root>,
        options: &CollectOptions,
        lease: Option<&Lease<'_>>,
    ) -> Result<Marked> {
        let now = lease.map_or_else(SystemTime::now, |lease| lease.since);
        self.progress.start(Phase::Comparing, 0, 0);
        let (ever, tombstones) = self.tombstones()?;
        let condemned = Condemned::of(ever, &tombstones);
        let snapshot = self.snapshot()?;
        let claims = self.claims()?;
        let there = self.list_there()?;
        let verdict = judge(&snapshot, &claims, &tombstones, named, options, now);
        let mut gone = verdict.dead.clone();
        let waiting = tombstones.iter().filter(|tombstone| tombstone.done.is_none());
        let claimed: HashSet<RootId> = claims
            .iter()
            .flat_map(|claim| claim.text.roots())
            .map(Root::id)
            .collect();
        gone.extend(
            waiting
                .flat_map(|tombstone| &tombstone.text.roots)
                .filter(|root| !claimed.contains(root)),
        );
        let layout = self.layout(&snapshot, &gone, &verdict, &condemned, &there)?;
        let mut marked = Marked {
            roots: verdict.dead.len() as u64,
            kept_roots: layout.entries.len() as u64,
            unclaimed_roots: verdict.unclaimed,
            keeping: verdict.keeping,
            ..Marked::default()
        };
        let mut moved = HashMap::new();
        if options.repack {
            moved = self.relocate(cache, &layout, lease, &mut marked)?;
        }
        let (used_shards, used_packs) = match lease {
            Some(lease) if layout.has_wrecks || !moved.is_empty() => {
                self.publish_moved(&snapshot, &gone, &layout, &moved, lease)?
            }
            _ => {
                let shards = layout.shards.iter();
                let packs = shards.clone().flat_map(|shard| shard.named_packs());
                (
                    shards.clone().map(|shard| shard.id()).collect(),
                    packs.filter(|pack| !moved.contains_key(pack)).collect(),
                )
            }
        };
        let mut text = TombstoneText {
            repository: options.claimant.repository.clone(),
            holder: options.claimant.holder.clone(),
            claims: verdict.retired,
            roots: verdict.dead.into_iter().collect(),
            ..TombstoneText::default()
        };
        let old = Age {
            now,
            least: ORPHANS.min(options.grace),
        };
        self.find_unused(
            &snapshot,
            &there,
            &condemned,
            &used_shards,
            &used_packs,
            &moved,
            old,
            &mut text,
        )?;
        text.roots.sort_unstable();
        (marked.shards, marked.packs) = (text.shards.len() as u64, text.packs.len() as u64);
        marked.bytes = text.bytes;
        marked.claims = text.claims.len() as u64;
        if lease.is_some() {
            // First what stays, then what goes.
            self.put_claims(&options.claimant, &verdict.reclaim)?;
            if !text.is_empty() {
                self.note_collected()?;
                self.put_note(FOLDER, &text)?;
            }
        }
        Ok(marked)
    }

    fn layout(
        &self,
        snapshot: &Snapshot,
        gone: &HashSet<RootId>,
        verdict: &Verdict,
        condemned: &Condemned,
        there: &There,
    ) -> Result<Layout> {
        let (mut entries, mut has_wrecks) = (BTreeMap::new(), false);
        for (root, all) in snapshot.roots.iter().filter(|(root, _)| !gone.contains(root)) {
            let keeping: Vec<Vec<ShardId>> = self.keeping(all, condemned, there)?.into_iter().cloned().collect();
            has_wrecks |= keeping.len() < all.len();
            if !keeping.is_empty() {
                entries.insert(*root, (verdict.kinds.get(root).copied(), keeping));
            }
        }
        let shards = self.shards_in(entries.values().flat_map(|(_, entries)| entries))?;
        Ok(Layout {
            entries,
            has_wrecks,
            shards,
        })
    }

    /// Finds the packs of which little or nothing is needed, and (with a lease) copies what is.
    fn relocate(
        &self,
        cache: &Cache,
        layout: &Layout,
        lease: Option<&Lease<'_>>,
        marked: &mut Marked,
    ) -> Result<HashMap<PackId, Moved>> {
        let Some(live) = self.live(cache, &layout.entries, &layout.shards)? else {
            marked.unreadable_listing = true;
            return Ok(HashMap::new());
        };
        let uses = live.uses(&layout.shards)?;
        let sparse: Vec<&Use> = uses.iter().filter(|of| of.is_sparse()).collect();
        marked.repacked = sparse.len() as u64;
        marked.repacked_bytes = sparse.iter().map(|of| of.live_bytes).sum();
        let mut moved: HashMap<PackId, Moved> = match lease {
            Some(_) => {
                self.progress.start(Phase::Collecting, 0, marked.repacked_bytes);
                self.repack(cache, &live, &sparse)?
            }
            None => sparse.iter().map(|of| (of.pack.id, Moved::default())).collect(),
        };
        let dead = uses.iter().filter(|of| of.is_dead());
        moved.extend(dead.map(|of| (of.pack.id, Moved::default())));
        Ok(moved)
    }

    /// Puts shards that say where things are now in the place of those that say where they were, for every root that stays, and
    /// leaves out entries that lead nowhere.
    /// Returns the shards and packs that are used from now on.
    fn publish_moved(
        &self,
        snapshot: &Snapshot,
        gone: &HashSet<RootId>,
        layout: &Layout,
        moved: &HashMap<PackId, Moved>,
        lease: &Lease<'_>,
    ) -> Result<(HashSet<ShardId>, HashSet<PackId>)> {
        let mut change: HashMap<ShardId, Option<ShardId>> = HashMap::new();
        let (mut shards, mut packs) = (HashSet::new(), HashSet::new());
        for shard in &layout.shards {
            let mut now = Some(Arc::clone(shard));
            if shard.named_packs().any(|pack| moved.contains_key(&pack)) {
                now = match moved::rewrite(shard, moved)? {
                    Some(bytes) => Some(self.put_shard(bytes)?),
                    None => None,
                };
                change.insert(shard.id(), now.as_ref().map(|shard| shard.id()));
            }
            if let Some(now) = now {
                shards.insert(now.id());
                packs.extend(now.named_packs());
            }
        }
        let mut entries = Vec::new();
        for (root, all) in &snapshot.roots {
            match layout.entries.get(root) {
                Some((_, keeping)) => entries.extend(keeping.iter().map(|entry| {
                    let now = entry
                        .iter()
                        .filter_map(|id| change.get(id).copied().unwrap_or(Some(*id)));
                    (*root, now.collect::<BTreeSet<_>>().into_iter().collect())
                })),
                // It goes when it is swept.
                None if gone.contains(root) => entries.extend(all.iter().map(|entry| (*root, entry.clone()))),
                // What it needed was swept.
                None => {}
            }
        }
        if !self.replace_runs(entries, &snapshot.runs, &|| lease.is_held())? {
            return Err(self.lease_lost());
        }
        Ok((shards, packs))
    }

    /// Adds the shards and packs that nothing uses to a tombstone.
    #[allow(clippy::too_many_arguments, reason = "what was found, and what is looked for")]
    fn find_unused(
        &self,
        snapshot: &Snapshot,
        there: &There,
        condemned: &Condemned,
        used_shards: &HashSet<ShardId>,
        used_packs: &HashSet<PackId>,
        moved: &HashMap<PackId, Moved>,
        old: Age,
        text: &mut TombstoneText,
    ) -> Result<()> {
        // What roots needed that are dead: nobody is about to say what it is for.
        let named: HashSet<ShardId> = snapshot.roots.values().flatten().flatten().copied().collect();
        let mut described: HashSet<PackId> = moved.keys().copied().collect();
        for id in named.difference(used_shards).filter(|id| there.shards.contains_key(id)) {
            if let Some(shard) = of_one_object(self.shard(*id))? {
                described.extend(shard.packs().map(|pack| pack.id));
            }
        }
        for (id, listed) in &there.shards {
            let settled = named.contains(id) || old.is_reached(listed.since);
            if !used_shards.contains(id) && !condemned.shards.contains(id) && settled {
                text.shards.push(*id);
            }
        }
        for (id, listed) in &there.packs {
            let settled = described.contains(id) || old.is_reached(listed.since);
            if !used_packs.contains(id) && !condemned.packs.contains(id) && settled {
                text.packs.push(*id);
                text.bytes += listed.len;
            }
        }
        text.shards.sort_unstable();
        text.packs.sort_unstable();
        Ok(())
    }
}

/// An age, and as of when.
#[derive(Clone, Copy)]
struct Age {
    now: SystemTime,
    least: Duration,
}

impl Age {
    fn is_reached(self, since: Option<SystemTime>) -> bool {
        since.is_some_and(|since| self.now.duration_since(since).is_ok_and(|age| age >= self.least))
    }
}

/// Decides which roots are dead: those that are named by old claims of the repositories that answer here, and by nothing
/// else: no other claim, nothing in the history of this repository.
fn judge(
    snapshot: &Snapshot,
    claims: &[Claim],
    tombstones: &[Tombstone],
    named: &HashSet<Root>,
    options: &CollectOptions,
    now: SystemTime,
) -> Verdict {
    let mut mine: HashSet<String> = options.also.iter().map(|name| repository_id(name)).collect();
    mine.extend(options.also.iter().cloned());
    mine.insert(options.claimant.id());
    let retired: HashSet<FileId> = tombstones
        .iter()
        .flat_map(|tombstone| &tombstone.text.claims)
        .map(|(_, id)| *id)
        .collect();
    let standing = || claims.iter().filter(|claim| !retired.contains(&claim.id));
    let is_old = |claim: &Claim| {
        let old = |age| age >= options.claims_older_than;
        mine.contains(&claim.repository) && now.duration_since(claim.since).is_ok_and(old)
    };
    let mut alive: HashSet<RootId> = named.iter().map(|root| root.id()).collect();
    for claim in standing().filter(|claim| !is_old(claim)) {
        alive.extend(claim.text.roots().map(Root::id));
    }
    let is_stale = |claim: &Claim| is_old(claim) && claim.text.roots().any(|root| !alive.contains(&root.id()));
    let mut verdict = Verdict {
        retired: Vec::new(),
        dead: HashSet::new(),
        reclaim: HashSet::new(),
        kinds: named.iter().map(|root| (root.id(), *root)).collect(),
        unclaimed: 0,
        keeping: Vec::new(),
    };
    let mut claimed: HashSet<RootId> = HashSet::new();
    let mut stale: HashSet<RootId> = HashSet::new();
    let mut of_others: BTreeMap<&str, Keeping> = BTreeMap::new();
    for claim in standing() {
        verdict.kinds.extend(claim.text.roots().map(|root| (root.id(), root)));
        let roots = claim.text.roots().map(Root::id);
        if is_stale(claim) {
            verdict.retired.push((claim.repository.clone(), claim.id));
            stale.extend(roots);
            continue;
        }
        claimed.extend(roots);
        let not_named = claim.text.roots().filter(|root| !named.contains(root)).count() as u64;
        let keeping = of_others.entry(&claim.repository).or_insert_with(|| Keeping {
            repository: claim.text.repository.clone(),
            id: claim.repository.clone(),
            claims: 0,
            roots: 0,
        });
        keeping.claims += 1;
        keeping.roots += not_named;
    }
    verdict.keeping = of_others.into_values().collect();
    let waiting: HashSet<RootId> = tombstones
        .iter()
        .filter(|tombstone| tombstone.done.is_none())
        .flat_map(|tombstone| tombstone.text.roots.iter().copied())
        .collect();
    for root in snapshot.roots.keys() {
        if stale.contains(root) && !alive.contains(root) {
            verdict.dead.insert(*root);
        } else if !claimed.contains(root) && !alive.contains(root) && !waiting.contains(root) {
            verdict.unclaimed += 1;
            if options.unclaimed {
                verdict.dead.insert(*root);
            }
        }
    }
    verdict.dead.retain(|root| !waiting.contains(root));
    verdict.reclaim = named
        .iter()
        .filter(|root| snapshot.roots.contains_key(&root.id()) && !claimed.contains(&root.id()))
        .copied()
        .collect();
    verdict
}
