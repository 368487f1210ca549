//! Writing to a remote beside collectors: a lease, the tombstones, a claim; then the work; then whether the lease was
//! there all the time.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::error::{RemoteError, Result};
use super::super::store::RemoteStore;
use super::super::transport::TransportError;
use super::claim::Claimant;
use super::guards;
use super::lease::Lease;
use crate::hash::{PackId, RootId, ShardId};
use crate::object::Root;
use crate::store::shard::Shard;

/// How often the work is done again because a collector took this writer for dead.
const ATTEMPTS: usize = 3;

impl RemoteStore {
    /// Does `work`, which writes to this remote, and claims `roots` for a repository before. The remote becomes a store if
    /// it is none. When a collector took this process for dead meanwhile, the work is done again: it must ask the remote
    /// afresh what is there ([`RemoteStore::keeps`]).
    ///
    /// # Errors
    /// When the remote cannot be asked or written, or what `work` returns.
    pub fn write_beside_collectors<T, E: From<RemoteError>>(
        &self,
        claimant: &Claimant,
        roots: &HashSet<Root>,
        work: &mut dyn FnMut() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        for _ in 0..ATTEMPTS {
            let Some(lease) = self.begin(claimant, roots)? else {
                return work();
            };
            let done = match work() {
                Ok(done) => done,
                Err(error) => {
                    lease.abandon();
                    return Err(error);
                }
            };
            if lease.end()? {
                return Ok(done);
            }
        }
        Err(self.lease_lost().into())
    }

    /// In this order: a collector that does not see the lease has its tombstones seen.
    fn begin(&self, claimant: &Claimant, roots: &HashSet<Root>) -> Result<Option<Lease<'_>>> {
        self.create()?;
        let lease = match self.take_lease(&claimant.holder) {
            Ok(lease) => lease,
            // No service that does not say when: no collection there, so nothing to be safe from. Where nothing can be
            // written, the work says so, if there is any.
            Err(RemoteError::NoTimes { .. } | RemoteError::Transport(TransportError::ReadOnly { .. })) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let heed = || -> Result<()> {
            let condemned = self.read_condemned()?;
            self.refresh();
            self.condemn(condemned);
            match self.claim(claimant, roots, lease.since) {
                Err(RemoteError::Transport(TransportError::Unsupported { .. })) => Ok(()),
                claimed => claimed,
            }
        };
        match heed() {
            Ok(()) => Ok(Some(lease)),
            Err(error) => {
                lease.abandon();
                Err(error)
            }
        }
    }

    /// Whether the remote has a root in a way that no collection takes away: one that is marked counts as gone, and where
    /// something was ever collected the catalog is not believed without a look.
    ///
    /// # Errors
    /// When the remote cannot be asked.
    pub fn keeps(&self, root: &RootId) -> Result<bool> {
        let condemned = self.condemned();
        if !condemned.ever {
            return self.has(root);
        }
        if condemned.roots.contains(root) {
            return Ok(false);
        }
        for entry in self.lookup(root)? {
            if self.is_reliable(&entry)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The shards of an entry for a root that can be relied on.
    pub(in crate::remote) fn reliable_shards_of(&self, root: &RootId) -> Result<Option<Vec<Arc<Shard>>>> {
        if !self.condemned().ever {
            return self.shards_of(root);
        }
        for entry in self.lookup(root)? {
            if self.is_reliable(&entry)? {
                return entry
                    .into_iter()
                    .map(|id| self.shard(id))
                    .collect::<Result<_>>()
                    .map(Some);
            }
        }
        Ok(None)
    }

    /// Whether all shards of an entry and the packs that they name are there, and none of them is marked.
    pub(super) fn is_reliable(&self, entry: &[ShardId]) -> Result<bool> {
        for id in entry {
            if !self.is_reliable_shard(id)? {
                return Ok(false);
            }
        }
        // One of no shards restores nothing.
        Ok(!entry.is_empty())
    }

    /// The same of one shard.
    pub(in crate::remote) fn is_reliable_shard(&self, id: &ShardId) -> Result<bool> {
        let condemned = self.condemned();
        if !condemned.ever {
            return Ok(true);
        }
        let there = self.there()?;
        if condemned.shards.contains(id) || !there.shards.contains_key(id) {
            return Ok(false);
        }
        let Some(shard) = super::super::store::of_one_object(self.shard(*id))? else {
            return Ok(false);
        };
        let reliable = |pack: PackId| !condemned.packs.contains(&pack) && there.packs.contains_key(&pack);
        Ok(shard.named_packs().all(reliable))
    }

    /// Whether a pack must be made under another name.
    pub(in crate::remote) fn is_condemned_pack(&self, id: &PackId) -> bool {
        guards::writer_heeds_tombstones() && self.condemned().packs.contains(id)
    }
}
