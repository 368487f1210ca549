//! Collection on a remote that others write to meanwhile, with no server and no lock.
//!
//! **What is needed** is what some claim names ([`Claimant`]): every push writes under `refs/` which roots its repository
//! needs. A collector takes back old claims of its own repository only, and only roots that its history does not name.
//! Roots that nobody ever claimed stay, unless they are asked for.
//!
//! **Mark** writes a tombstone: roots, shards and packs that nothing needs. **Sweep**, after the grace period, reads catalog and
//! claims again and deletes what is still not needed. Why nothing that is needed is lost:
//!
//! 1. A writer puts its lease before it reads the tombstones; a collector puts its tombstone before it reads the leases. So a
//!    writer that does not know of a tombstone is known to the sweep, which waits for it. When it is gone, its claim and
//!    its entry in the catalog are there, and the sweep reads both afterwards.
//! 2. A writer that knows of a tombstone relies on nothing in it, and makes nothing of a name in it: packs and shards have
//!    bytes that say nothing, for another name. So a name that is deleted, however late, is not needed.
//! 3. A lease that is old counts as a dead writer's and is taken away first. A writer that was only asleep sees, when its entry
//!    is in the catalog, that its lease is gone, and does its work again from the beginning ([`session`]). The sweep that
//!    took it away read the catalog after that.
//! 4. A sleeper's entry may lead nowhere. It never takes the place of another one: merged runs keep every entry of a root. Where
//!    something was ever collected, entries are believed after a look at what is there.
//! 5. A sweep reads the catalog, then the claims: an entry is written after its claim. It replaces exactly the runs that it
//!    read. A run's name never comes twice, so that deleting one late deletes what is in others.
//! 6. A collector that moves what is needed of a pack is a writer, under a lease of its own: it takes the old runs away only
//!    while it is there.
//!
//! Ages are differences of times that the remote itself gave to objects: no other clock matters. Listings that are no
//! snapshots are taken twice ([`RemoteStore::snapshot`]).
//!
//! Not promised: that a reader who needs longer than the grace period, or wants a root that nobody claims, gets it; safety on a
//! service that lists what was hours ago with a grace period of less; that a service which cannot list can be collected.

mod claim;
mod entries;
pub(in crate::remote) mod guards;
mod lease;
mod live;
mod mark;
#[cfg(test)]
mod model;
mod note;
mod repack;
mod session;
mod sweep;
mod tombstone;

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

pub use claim::Claimant;
pub(in crate::remote) use entries::There;
pub(in crate::remote) use tombstone::Condemned;

use super::error::{RemoteError, Result};
use super::store::RemoteStore;
use crate::object::Root;
use crate::store::Cache;
use tombstone::Tombstone;

/// What to collect.
#[derive(Debug, Clone)]
pub struct CollectOptions {
    /// Who collects.
    pub claimant: Claimant,
    /// Other repositories (their names, or ids) whose old claims this one answers for, too.
    pub also: Vec<String>,
    /// How long what was marked can still be read.
    pub grace: Duration,
    /// Claims of the repository that are older count only for what its history names.
    pub claims_older_than: Duration,
    /// Leases that are older are those of dead writers.
    pub leases_older_than: Duration,
    /// Whether roots go that nobody ever claimed.
    pub unclaimed: bool,
    /// Whether what is needed of packs that are mostly dead moves.
    pub repack: bool,
    /// Whether nothing is written.
    pub dry_run: bool,
}

/// What a collection did, or would do.
#[derive(Debug, Default, serde::Serialize)]
pub struct Collection {
    /// What was marked now.
    pub marked: Marked,
    /// What was marked before and is deleted now.
    pub swept: Swept,
    /// What was marked before and is not deleted yet.
    pub waiting: Vec<Waiting>,
}

/// What was found that nothing needs.
#[derive(Debug, Default, serde::Serialize)]
pub struct Marked {
    /// Roots.
    pub roots: u64,
    /// Roots that stay.
    pub kept_roots: u64,
    /// Roots that no claim names; they stay unless they were asked for.
    pub unclaimed_roots: u64,
    /// Claims that are taken back.
    pub claims: u64,
    /// Shards.
    pub shards: u64,
    /// Packs, those included of which the rest moves.
    pub packs: u64,
    /// Bytes of these packs.
    pub bytes: u64,
    /// Packs of which less than half is needed: that moves.
    pub repacked: u64,
    /// Bytes of what moves.
    pub repacked_bytes: u64,
    /// Whether a directory's listing cannot be had: nothing moves then.
    pub unreadable_listing: bool,
    /// Whose claims keep what this repository's history does not name.
    pub keeping: Vec<Keeping>,
}

/// Claims of a repository that stay.
#[derive(Debug, serde::Serialize)]
pub struct Keeping {
    /// The repository.
    pub repository: String,
    /// Its name in keys.
    pub id: String,
    /// How many.
    pub claims: u64,
    /// Roots in them that the collecting repository's history does not name; counted in each claim.
    pub roots: u64,
}

/// What was deleted.
#[derive(Debug, Default, serde::Serialize)]
pub struct Swept {
    /// Roots that the catalog does not name any more.
    pub roots: u64,
    /// Claims that were taken back.
    pub claims: u64,
    /// Shards.
    pub shards: u64,
    /// Packs.
    pub packs: u64,
    /// Bytes of these packs.
    pub bytes: u64,
}

/// What was marked and is not deleted yet.
#[derive(Debug, serde::Serialize)]
pub struct Waiting {
    /// Bytes of packs.
    pub bytes: u64,
    /// Who marked it.
    pub marked_by: String,
    /// When it can be deleted, in seconds since 1970; `null` if only a writer is in the way.
    pub ripe: Option<u64>,
    /// The writer in the way, and since when it writes, in seconds since 1970.
    pub writer: Option<(String, u64)>,
}

impl Waiting {
    fn of(tombstone: &Tombstone, ripe: Option<SystemTime>, writer: Option<(String, SystemTime)>) -> Self {
        Self {
            bytes: tombstone.text.bytes,
            marked_by: tombstone.text.holder.clone(),
            ripe: ripe.map(seconds),
            writer: writer.map(|(holder, since)| (holder, seconds(since))),
        }
    }
}

fn seconds(moment: SystemTime) -> u64 {
    moment
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl RemoteStore {
    /// Sweeps what was marked long enough ago, then marks what nothing needs now; without a grace period that is swept, too.
    /// `named` finds the roots that the history of the collecting repository needs; it is asked after the moment from which
    /// the ages of claims count. Listings that are not in the cache are fetched.
    ///
    /// # Errors
    /// When the remote cannot be asked or written, does not say when objects were written, or misses something that may
    /// need anything. What was done until then is done.
    pub fn collect<E: From<RemoteError>>(
        &self,
        cache: &Cache,
        named: &mut dyn FnMut() -> std::result::Result<HashSet<Root>, E>,
        options: &CollectOptions,
    ) -> std::result::Result<Collection, E> {
        let mut collection = Collection::default();
        if !self.exists()? {
            return Ok(collection);
        }
        if options.dry_run {
            collection.waiting = self.sweep(options, SystemTime::now(), &mut collection.swept)?;
            collection.marked = self.mark(cache, &named()?, options, None)?;
            return Ok(collection);
        }
        let now = self.now()?;
        collection.waiting = self.sweep(options, now, &mut collection.swept)?;
        collection.marked = self.mark_under_lease(cache, named, options)?;
        self.forget_tombstones(now)?;
        if options.grace.is_zero() {
            collection.waiting = self.sweep(options, self.now()?, &mut collection.swept)?;
        }
        self.forget_old_notes()?;
        Ok(collection)
    }

    fn mark_under_lease<E: From<RemoteError>>(
        &self,
        cache: &Cache,
        named: &mut dyn FnMut() -> std::result::Result<HashSet<Root>, E>,
        options: &CollectOptions,
    ) -> std::result::Result<Marked, E> {
        let lease = self.take_lease(&options.claimant.holder)?;
        let mut mark = || -> std::result::Result<Marked, E> {
            let named = named()?;
            self.condemn(self.read_condemned()?);
            Ok(self.mark(cache, &named, options, Some(&lease))?)
        };
        match mark() {
            Ok(marked) => {
                lease.end()?;
                Ok(marked)
            }
            Err(error) => {
                lease.abandon();
                Err(error)
            }
        }
    }

    /// What time it is at the remote.
    fn now(&self) -> Result<SystemTime> {
        let lease = self.take_lease("clock")?;
        let now = lease.since;
        lease.end()?;
        Ok(now)
    }

    fn forget_old_notes(&self) -> Result<()> {
        let (_, tombstones) = self.tombstones()?;
        let mut there: HashSet<_> = tombstones.iter().map(|tombstone| tombstone.id).collect();
        there.extend(self.claims()?.iter().map(|claim| claim.id));
        self.forget_notes(&there)
    }
}
