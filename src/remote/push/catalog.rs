//! Writing the catalog: one run for all roots of a push, merged with the runs that are not much larger. What is to
//! take the place of something is merged with all of them: where two runs name a root, a reader may take either.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::error::Result;
use super::super::store::{CURRENT, RemoteStore, run_key};
use super::super::transport::{Body, PutMode};
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
        // Later ones win where two name one root; the new run comes last.
        let (bytes, old) = match replace {
            Replace::Small => {
                let new = run::build(roots)?;
                let new = CatalogRun::parse(RunId::of(&new), new)?;
                let merged = choose(&existing, new.bytes().len());
                let all: Vec<&CatalogRun> = existing[..merged].iter().map(Arc::as_ref).chain([&new]).collect();
                let old = existing[..merged].iter().map(|run| run.id()).collect();
                (
                    if merged == 0 {
                        new.bytes().to_vec()
                    } else {
                        run::merge(&all)?
                    },
                    old,
                )
            }
            Replace::All { change, damaged } => {
                let before = existing.iter().flat_map(|run| run.roots());
                let changed = before.map(|(root, shards)| (root, change(shards)));
                let named = changed.filter(|(_, shards)| !shards.is_empty()).chain(roots);
                let old: Vec<RunId> = existing
                    .iter()
                    .map(|run| run.id())
                    .chain(damaged.iter().copied())
                    .collect();
                (run::build(named)?, old)
            }
        };
        let id = RunId::of(&bytes);
        self.put_meta(&run_key(id), bytes)?;
        // What they say is in the new run. Whoever has listed them and finds them gone lists again.
        for old in old.into_iter().filter(|old| *old != id) {
            // Who may write but not remove leaves old runs behind; they say nothing wrong.
            self.delete_if_allowed(&run_key(old))?;
        }
        self.put_current()?;
        self.refresh();
        Ok(())
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
