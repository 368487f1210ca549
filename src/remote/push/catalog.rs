//! Writing the catalog: one run for all roots of a push, merged with the runs that are not much larger. What is to
//! take the place of something is merged with all of them: where two runs name a root, a reader may take either.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::collect::guards;
use super::super::error::Result;
use super::super::store::{CURRENT, RemoteStore, run_key};
use super::super::transport::{Body, PutMode};
use crate::fs;
use crate::hash::{RootId, RunId, ShardId};
use crate::store::run::{self, CatalogRun};

/// Runs a catalog may have.
const MAX_RUNS: usize = 16;

/// Times that the list of runs is written while others change it.
const CURRENT_ATTEMPTS: usize = 5;

/// Which runs a new one takes the place of.
pub(in crate::remote) enum Replace<'a> {
    /// Small ones.
    Small,
    /// All there are, also these damaged ones. What they say of a root's shards goes through the function; a root that
    /// keeps no shard is no longer named.
    All {
        change: &'a dyn Fn(Vec<ShardId>) -> Vec<ShardId>,
        damaged: &'a [RunId],
    },
}

/// What the catalog says of a root: the root, the shards that restore it.
pub(in crate::remote) type Entry = (RootId, Vec<ShardId>);

impl RemoteStore {
    /// Makes roots visible: writes a run that names their shards.
    pub(in crate::remote) fn publish_roots(
        &self,
        roots: BTreeMap<RootId, Vec<ShardId>>,
        replace: &Replace<'_>,
    ) -> Result<()> {
        self.refresh();
        let mut existing = self.runs()?;
        existing.sort_by_key(|run| run.bytes().len());
        let (entries, old): (Vec<Entry>, Vec<RunId>) = match replace {
            Replace::Small => {
                let merged = choose(&existing, run::build(roots.clone(), Default::default())?.len());
                let merged = &existing[..merged];
                (
                    merged.iter().flat_map(|run| run.roots()).chain(roots).collect(),
                    merged.iter().map(|run| run.id()).collect(),
                )
            }
            Replace::All { change, damaged } => {
                let before = existing.iter().flat_map(|run| run.roots());
                let before = before.filter(|(root, _)| !roots.contains_key(root));
                let changed = before.map(|(root, shards)| (root, change(shards)));
                (
                    changed
                        .filter(|(_, shards)| !shards.is_empty())
                        .chain(roots.clone())
                        .collect(),
                    existing
                        .iter()
                        .map(|run| run.id())
                        .chain(damaged.iter().copied())
                        .collect(),
                )
            }
        };
        self.replace_runs(entries, &old, &|| Ok(true))?;
        Ok(())
    }

    /// Writes runs of these entries, then removes runs in whose place they are. Every entry stays, also where a root has
    /// several: whoever wrote one of them may have been asleep while another one's shards were collected, and nobody here
    /// knows which. `still` is asked when the new runs are there; if it says no they are taken back, and `false` is
    /// returned.
    pub(in crate::remote) fn replace_runs(
        &self,
        entries: Vec<Entry>,
        old: &[RunId],
        still: &dyn Fn() -> Result<bool>,
    ) -> Result<bool> {
        let mut new = Vec::new();
        for roots in spread(entries) {
            // A run's name never comes twice: who removes it, however late, removes this one.
            let bytes = run::build(roots, fs::random()?)?;
            let id = RunId::of(&bytes);
            self.put_meta(&run_key(id), bytes.clone())?;
            fs::write_atomic(&self.meta_dir("runs")?.join(id.to_string()), &bytes)?;
            new.push(id);
        }
        let holds = still()?;
        // What they say is in the new runs. Whoever has listed them and finds them gone lists again.
        for id in if holds { old } else { &new } {
            // Who may write but not remove leaves old runs behind; they say nothing wrong.
            self.delete_if_allowed(&run_key(*id))?;
        }
        self.put_current()?;
        self.refresh();
        Ok(holds)
    }

    /// Writes which runs are in force, for readers that cannot list. Whoever comes between listing and writing is seen when
    /// listing again: of several writers, the last to write has seen all runs.
    fn put_current(&self) -> Result<()> {
        let mut runs = self.list_runs()?;
        for _ in 0..CURRENT_ATTEMPTS {
            let listing: String = runs.iter().map(|id| format!("{id}\n")).collect();
            let body = Body::from(listing.into_bytes());
            self.transport().put(CURRENT, &body, PutMode::Overwrite)?;
            let now = self.list_runs()?;
            if now == runs {
                break;
            }
            runs = now;
        }
        Ok(())
    }
}

/// Entries in as few runs as have room for all: a run has one of each root.
fn spread(entries: Vec<Entry>) -> Vec<BTreeMap<RootId, Vec<ShardId>>> {
    let mut runs: Vec<BTreeMap<RootId, Vec<ShardId>>> = Vec::new();
    for (root, mut shards) in entries {
        shards.sort_unstable();
        shards.dedup();
        if runs.iter().any(|run| run.get(&root) == Some(&shards)) {
            continue;
        }
        match runs.iter().position(|run| !run.contains_key(&root)) {
            None if guards::merges_keep_entries() || runs.is_empty() => runs.push(BTreeMap::from([(root, shards)])),
            room => drop(runs[room.unwrap_or_default()].insert(root, shards)),
        }
    }
    runs
}

/// How many of the existing runs, from the smallest, are merged with a new one of `len` bytes: those that are not
/// larger than what they are merged with, so that each byte is rewritten O(log n) times, and as many as it takes to
/// keep to [`MAX_RUNS`].
fn choose(existing: &[Arc<CatalogRun>], len: usize) -> usize {
    let mut total = len;
    let mut count = 0;
    for run in existing {
        let size = run.bytes().len();
        if size > total && existing.len() + 1 - count <= MAX_RUNS {
            break;
        }
        total += size;
        count += 1;
    }
    count
}
