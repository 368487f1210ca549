//! What the catalog says, entry by entry: of a root several runs may say different things.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use super::super::error::{RemoteError, Result};
use super::super::store::RemoteStore;
use super::super::transport::ObjectMeta;
use super::tombstone::Condemned;
use crate::hash::{PackId, RootId, RunId, ShardId};
use crate::store::run::CatalogRun;
use crate::store::shard::Shard;

/// How often the catalog is read to see it at one moment.
const READINGS: usize = 20;

/// An object that was listed.
#[derive(Debug, Clone, Copy)]
pub(in crate::remote) struct Listed {
    pub(in crate::remote) len: u64,
    pub(in crate::remote) since: Option<SystemTime>,
}

/// The packs and shards that were listed.
#[derive(Debug, Default)]
pub(in crate::remote) struct There {
    pub(in crate::remote) packs: HashMap<PackId, Listed>,
    pub(in crate::remote) shards: HashMap<ShardId, Listed>,
}

/// The catalog at one moment.
pub(super) struct Snapshot {
    pub(super) runs: Vec<RunId>,
    /// Different entries of each root.
    pub(super) roots: BTreeMap<RootId, BTreeSet<Vec<ShardId>>>,
}

impl RemoteStore {
    /// Lists packs and shards.
    pub(in crate::remote) fn list_there(&self) -> Result<There> {
        Ok(There {
            packs: listed(&self.transport().list("packs/")?),
            shards: listed(&self.transport().list("shards/")?),
        })
    }

    /// Reads the catalog until nothing changes meanwhile: an entry that one run hands on to another is in the first, in the
    /// second, or in both.
    pub(super) fn snapshot(&self) -> Result<Snapshot> {
        for _ in 0..READINGS {
            self.refresh();
            let runs = self.runs()?;
            if let Some((run, _)) = self.damaged_runs()?.first() {
                return Err(self.cannot_collect(super::super::store::run_key(*run)));
            }
            let ids: BTreeSet<RunId> = runs.iter().map(|run| run.id()).collect();
            if self.list_runs()? == ids {
                return Ok(Snapshot::of(&runs));
            }
        }
        Err(RemoteError::Unsettled {
            remote: self.name().to_owned(),
            folder: "catalog/".to_owned(),
        })
    }

    pub(super) fn cannot_collect(&self, object: String) -> RemoteError {
        RemoteError::CannotCollect {
            remote: self.name().to_owned(),
            object,
        }
    }

    /// Of the entries of a root those that keep it: the ones that nothing marked stands in; if there are none, all whose
    /// shards are there. Empty when what the root needed was swept.
    ///
    /// # Errors
    /// When a shard is missing or damaged that was not swept.
    pub(super) fn keeping<'a>(
        &self,
        entries: &'a BTreeSet<Vec<ShardId>>,
        condemned: &Condemned,
        there: &There,
    ) -> Result<Vec<&'a Vec<ShardId>>> {
        let (mut clean, mut rest) = (Vec::new(), Vec::new());
        let mut broken = None;
        for entry in entries {
            match self.look_at(entry, condemned, there)? {
                Look::Clean => clean.push(entry),
                Look::Marked => rest.push(entry),
                Look::Swept => {}
                Look::Broken(shard) => broken = Some(shard),
            }
        }
        match (clean.is_empty(), rest.is_empty(), broken) {
            (false, _, _) => Ok(clean),
            (true, false, _) => Ok(rest),
            (true, true, None) => Ok(Vec::new()),
            (true, true, Some(shard)) => Err(self.cannot_collect(super::super::store::shard_key(shard))),
        }
    }

    fn look_at(&self, entry: &[ShardId], condemned: &Condemned, there: &There) -> Result<Look> {
        let mut look = if entry.is_empty() { Look::Swept } else { Look::Clean };
        for id in entry {
            let is_marked = condemned.shards.contains(id);
            if !there.shards.contains_key(id) {
                return Ok(if is_marked { Look::Swept } else { Look::Broken(*id) });
            }
            let Some(shard) = super::super::store::of_one_object(self.shard(*id))? else {
                return Ok(Look::Broken(*id));
            };
            let packs: Vec<PackId> = shard.named_packs().collect();
            if packs.iter().any(|pack| !there.packs.contains_key(pack)) {
                // Marked and gone; what is only gone is damage, which the reader of the rest will see.
                if packs
                    .iter()
                    .any(|pack| condemned.packs.contains(pack) && !there.packs.contains_key(pack))
                {
                    return Ok(Look::Swept);
                }
            }
            if is_marked || packs.iter().any(|pack| condemned.packs.contains(pack)) {
                look = Look::Marked;
            }
        }
        Ok(look)
    }

    /// The shards of these entries.
    pub(super) fn shards_in<'a>(&self, entries: impl Iterator<Item = &'a Vec<ShardId>>) -> Result<Vec<Arc<Shard>>> {
        let ids: BTreeSet<ShardId> = entries.flatten().copied().collect();
        ids.into_iter()
            .map(|id| {
                super::super::store::of_one_object(self.shard(id))?
                    .ok_or_else(|| self.cannot_collect(super::super::store::shard_key(id)))
            })
            .collect()
    }
}

/// What an entry is good for.
enum Look {
    Clean,
    Marked,
    /// What it needs was marked and is gone.
    Swept,
    /// This shard is missing or damaged.
    Broken(ShardId),
}

impl Snapshot {
    fn of(runs: &[Arc<CatalogRun>]) -> Self {
        let mut roots: BTreeMap<RootId, BTreeSet<Vec<ShardId>>> = BTreeMap::new();
        for (root, shards) in runs.iter().flat_map(|run| run.roots()) {
            roots.entry(root).or_default().insert(shards);
        }
        Self {
            runs: runs.iter().map(|run| run.id()).collect(),
            roots,
        }
    }
}

fn listed<I: std::str::FromStr + Eq + std::hash::Hash>(objects: &[ObjectMeta]) -> HashMap<I, Listed> {
    let id = |object: &ObjectMeta| object.key.rsplit('/').next()?.parse().ok();
    objects
        .iter()
        .filter_map(|object| {
            let found = Listed {
                len: object.size,
                since: object.modified,
            };
            Some((id(object)?, found))
        })
        .collect()
}
