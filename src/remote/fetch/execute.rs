//! Fetching ranges of packs in parallel; each chunk is verified before it enters the cache.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::error::{RemoteError, Result};
use super::super::parallel::in_parallel;
use super::super::store::{RemoteStore, pack_key};
use super::plan::FetchPlan;
use crate::hash::{FileId, PackId};
use crate::progress::Phase;
use crate::store::{Cache, PackKind, StoreError, Stored, Transaction, chunk_ids};

/// Gaps between needed bodies that are fetched along rather than split into two requests, in bytes.
const MAX_HOLE: u64 = 256 * 1024;
/// Bytes of one request, about.
const REQUEST: u64 = 8 << 20;
/// Requests at once: each holds its bytes until they are verified, so this bounds the memory of a fetch.
const AT_ONCE: usize = 10;

/// What a fetch did.
#[derive(Debug, Default)]
pub struct FetchOutcome {
    /// Files that are now complete here.
    pub files: u64,
    /// Bytes of packs that were received.
    pub bytes: u64,
    /// Range requests that were made.
    pub requests: u64,
    /// What was new to the cache.
    pub stored: Stored,
    /// Files that could not be completed, and why.
    pub failed: Vec<(FileId, Arc<RemoteError>)>,
}

/// A range of a pack and which needs it serves.
struct Request {
    pack: u32,
    bytes: Range<u64>,
    needs: Range<usize>,
}

type Failed = HashMap<(u32, u32), Arc<RemoteError>>;

impl FetchPlan {
    /// Fetches everything into the cache. What cannot be had is listed in the outcome; the rest is done.
    ///
    /// # Errors
    /// When the cache cannot be written, or on an interrupt; what arrived until then stays and is not fetched again.
    pub fn execute(self, remote: &RemoteStore, cache: &Cache) -> Result<FetchOutcome> {
        remote.progress.start(Phase::Fetching, self.files, self.bytes);
        let mut outcome = FetchOutcome::default();
        if self.is_empty() {
            return Ok(outcome);
        }
        let requests = self.requests()?;
        outcome.requests = requests.len() as u64;
        let transaction = cache.transaction(&remote.progress)?;
        let (received, failed) = match self.receive_from_anywhere(remote, cache, &transaction, &requests) {
            Ok(done) => done,
            Err(RemoteError::Store(error)) => return Err(transaction.cause(error).into()),
            Err(error) => {
                // What arrived stays; that it could not be kept matters less than why no more came.
                let _ = transaction.commit();
                return Err(error);
            }
        };
        outcome.bytes = received;
        if let Err(error) = self.finish_files(&transaction, &failed, &mut outcome) {
            return Err(match error {
                RemoteError::Store(error) => transaction.cause(error).into(),
                error => error,
            });
        }
        outcome.stored = transaction.commit()?;
        Ok(outcome)
    }

    /// Joins neighbouring needs into requests.
    fn requests(&self) -> Result<Vec<Request>> {
        let mut requests: Vec<Request> = Vec::new();
        for (i, &need) in self.needs.slots.iter().enumerate() {
            let location = self.needs.location(need)?;
            let bytes = location.offset..location.end();
            match requests.last_mut() {
                Some(last)
                    if last.pack == need.0
                        && bytes.start.saturating_sub(last.bytes.end) <= MAX_HOLE
                        && bytes.end - last.bytes.start <= REQUEST =>
                {
                    last.bytes.end = bytes.end;
                    last.needs.end = i + 1;
                }
                _ => requests.push(Request {
                    pack: need.0,
                    bytes,
                    needs: i..i + 1,
                }),
            }
        }
        Ok(requests)
    }

    /// As [`FetchPlan::receive`]; chunks that are not where they should be are looked for in all packs that are there. An
    /// entry of the catalog may be of a push that slept while what it relied on was collected, and another one be whole.
    fn receive_from_anywhere(
        &self,
        remote: &RemoteStore,
        cache: &Cache,
        transaction: &Transaction,
        requests: &[Request],
    ) -> Result<(u64, Failed)> {
        let (mut received, mut failed) = self.receive(remote, transaction, requests)?;
        if failed.is_empty() {
            return Ok((received, failed));
        }
        let mut chunks = HashMap::new();
        for &need in failed.keys() {
            chunks.insert(self.needs.location(need)?.chunk.chunk.as_file(), need);
        }
        let wanted: Vec<FileId> = chunks.keys().copied().collect();
        let Ok(again) = remote.plan_fetch_elsewhere(cache, &wanted, &self.failed_packs(&failed)) else {
            // Why it failed in the first place is what matters.
            return Ok((received, failed));
        };
        let (more, missing) = again.receive(remote, transaction, &again.requests()?)?;
        received += more;
        for (chunk, pack, slot) in &again.singles {
            if !missing.contains_key(&(*pack, *slot))
                && let Some(need) = chunks.get(chunk)
            {
                failed.remove(need);
            }
        }
        Ok((received, failed))
    }

    fn failed_packs(&self, failed: &Failed) -> HashSet<PackId> {
        failed
            .keys()
            .map(|(pack, _)| self.needs.packs[*pack as usize].1.id)
            .collect()
    }

    fn receive(
        &self,
        remote: &RemoteStore,
        transaction: &Transaction,
        requests: &[Request],
    ) -> Result<(u64, Failed)> {
        let received = AtomicU64::new(0);
        let failed = Mutex::new(Failed::new());
        in_parallel(remote.jobs().min(AT_ONCE), requests, |request| {
            let bytes = self.receive_one(remote, transaction, request, &failed)?;
            received.fetch_add(bytes, Relaxed);
            Ok(())
        })?;
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((received.into_inner(), failed))
    }

    /// One request. Fails only for what must stop everything; what concerns single chunks is put into `failed`.
    fn receive_one(
        &self,
        remote: &RemoteStore,
        transaction: &Transaction,
        request: &Request,
        failed: &Mutex<Failed>,
    ) -> Result<u64> {
        remote.progress.check()?;
        let (_, pack) = &self.needs.packs[request.pack as usize];
        let kind = pack.kind.unwrap_or(PackKind::Data);
        let fail = |need, error: &Arc<RemoteError>| {
            let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.insert(need, Arc::clone(error));
        };
        let needs = &self.needs.slots[request.needs.clone()];
        let bytes = match remote.transport().get_range(&pack_key(pack.id), request.bytes.clone()) {
            Ok(bytes) => bytes,
            Err(error) => {
                let error = RemoteError::from(error);
                if !error.is_of_one_download() {
                    return Err(error);
                }
                let error = Arc::new(error);
                for &need in needs {
                    fail(need, &error);
                }
                return Ok(0);
            }
        };
        for &need in needs {
            let location = self.needs.location(need)?;
            let start = (location.offset - request.bytes.start) as usize;
            let body = bytes
                .get(start..start + location.chunk.stored_len as usize)
                .unwrap_or_default();
            match transaction.add_encoded(kind, location.chunk, body) {
                Ok(()) => remote.progress.advance(0, body.len() as u64),
                Err(StoreError::DamagedBody(chunk)) => fail(
                    need,
                    &Arc::new(RemoteError::DamagedChunk {
                        remote: remote.name().to_owned(),
                        chunk,
                        pack: pack.id,
                    }),
                ),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(bytes.len() as u64)
    }

    /// Adds the recipes of files whose chunks all arrived, and says which files are not complete.
    fn finish_files(&self, transaction: &Transaction, failed: &Failed, outcome: &mut FetchOutcome) -> Result<()> {
        let mut bad_chunks = HashMap::new();
        for (&need, error) in failed {
            bad_chunks.insert(self.needs.location(need)?.chunk.chunk, error);
        }
        for (file, pack, slot) in &self.singles {
            match failed.get(&(*pack, *slot)) {
                Some(error) => outcome.failed.push((*file, Arc::clone(error))),
                None => outcome.files += 1,
            }
        }
        for file in &self.recipes {
            let Some(recipe) = self.index.recipe(file)? else {
                continue;
            };
            let bad = if bad_chunks.is_empty() {
                None
            } else {
                let mut bad = None;
                for chunk in chunk_ids(&self.index.shards, &recipe) {
                    if let Some(error) = bad_chunks.get(&chunk?) {
                        bad = Some(Arc::clone(error));
                        break;
                    }
                }
                bad
            };
            match bad {
                None => {
                    transaction.add_recipe(recipe.file, recipe.size, chunk_ids(&self.index.shards, &recipe))?;
                    outcome.files += 1;
                }
                Some(error) => outcome.failed.push((*file, error)),
            }
        }
        Ok(())
    }
}
