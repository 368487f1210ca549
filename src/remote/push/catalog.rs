//! Writing the catalog: one run for all roots of a push, merged with the runs that are not much larger.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::error::Result;
use super::super::store::{RemoteStore, run_key};
use super::super::transport::{Body, PutMode, TransportError};
use crate::hash::{RootId, RunId, ShardId};
use crate::store::run::{self, CatalogRun};

/// Runs a catalog may have.
const MAX_RUNS: usize = 16;

impl RemoteStore {
    /// Makes roots visible: writes a run that names their shards.
    pub(super) fn publish_roots(&self, roots: BTreeMap<RootId, Vec<ShardId>>) -> Result<()> {
        self.refresh();
        let mut existing = self.runs()?;
        existing.sort_by_key(|run| run.bytes().len());
        let new = run::build(roots)?;
        let new = CatalogRun::parse(RunId::of(&new), new)?;
        let merged = choose(&existing, new.bytes().len());
        let run = if merged == 0 {
            new
        } else {
            // Later ones win where two name one root; the new run comes last.
            let all: Vec<&CatalogRun> = existing[..merged].iter().map(Arc::as_ref).chain([&new]).collect();
            let bytes = run::merge(&all)?;
            CatalogRun::parse(RunId::of(&bytes), bytes)?
        };
        let body = Body::from(run.bytes().to_vec());
        self.transport().put(&run_key(run.id()), &body, PutMode::IfAbsent)?;
        // What they say is in the new run. Whoever has listed them and finds them gone lists again.
        for old in existing[..merged].iter().filter(|old| old.id() != run.id()) {
            match self.transport().delete(&run_key(old.id())) {
                // Who may write but not remove leaves old runs behind; they say nothing wrong.
                Ok(())
                | Err(
                    TransportError::NotFound(_)
                    | TransportError::Denied { .. }
                    | TransportError::Refused { .. }
                    | TransportError::Unsupported { .. },
                ) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let listing: String = self.list_runs()?.iter().map(|id| format!("{id}\n")).collect();
        let body = Body::from(listing.into_bytes());
        self.transport().put("catalog/current", &body, PutMode::Overwrite)?;
        self.refresh();
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
