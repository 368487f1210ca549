//! How much each repository holds, and what is on its way there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::answer::Refusal;
use super::storage::Storage;
use crate::remote::transport::Result;

/// After this time, objects are counted again before an upload is refused.
const FRESH: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
struct Count {
    stored: u64,
    reserved: u64,
    /// All that was ever stored since the server began.
    spent: u64,
    at: Instant,
}

/// What all repositories hold.
pub(super) struct Usage {
    storage: Arc<Storage>,
    quota: Option<u64>,
    counts: Mutex<HashMap<String, Count>>,
}

/// Room for an upload, given back when it is dropped.
pub(super) struct Reservation {
    usage: Arc<Usage>,
    repository: String,
    bytes: u64,
}

impl Usage {
    pub(super) fn new(storage: Arc<Storage>, quota: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            storage,
            quota,
            counts: Mutex::default(),
        })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<String, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a repository's objects if that was not done within `age`.
    fn count(&self, repository: &str, age: Option<Duration>) -> Result<()> {
        let known = self.counts().get(repository).copied();
        if known.is_some_and(|known| age.is_none_or(|age| known.at.elapsed() < age)) {
            return Ok(());
        }
        let at = Instant::now();
        let spent_before = known.map_or(0, |known| known.spent);
        let listed: u64 = self
            .storage
            .list(repository, "")?
            .iter()
            .map(|object| object.size)
            .sum();
        let mut counts = self.counts();
        let (reserved, spent) = counts
            .get(repository)
            .map_or((0, 0), |count| (count.reserved, count.spent));
        // What was stored since then may be listed or not: rather counted twice, until the next time, than not at all.
        let stored = listed.saturating_add(spent - spent_before);
        let count = Count {
            stored,
            reserved,
            spent,
            at,
        };
        counts.insert(repository.to_owned(), count);
        Ok(())
    }

    fn take(self: &Arc<Self>, repository: &str, bytes: u64) -> Option<Reservation> {
        let mut counts = self.counts();
        let count = counts.get_mut(repository)?;
        let after = count.stored.saturating_add(count.reserved).saturating_add(bytes);
        if self.quota.is_some_and(|quota| after > quota) {
            return None;
        }
        count.reserved += bytes;
        Some(Reservation {
            usage: Arc::clone(self),
            repository: repository.to_owned(),
            bytes,
        })
    }

    /// Room for an upload. Blocks.
    pub(super) fn reserve(
        self: &Arc<Self>,
        repository: &str,
        bytes: u64,
    ) -> std::result::Result<Reservation, Refusal> {
        self.count(repository, None)?;
        if let Some(taken) = self.take(repository, bytes) {
            return Ok(taken);
        }
        self.count(repository, Some(FRESH))?;
        self.take(repository, bytes).ok_or_else(|| {
            let quota = self.quota.unwrap_or(0);
            Refusal::full(format!(
                "the repository would have more than the {quota} bytes it may have here"
            ))
        })
    }

    /// Bytes were removed, or replaced by as many less.
    pub(super) fn forget(&self, repository: &str, bytes: u64) {
        if let Some(count) = self.counts().get_mut(repository) {
            count.stored = count.stored.saturating_sub(bytes);
        }
    }

    /// Bytes by repository, of those that are known. Blocks.
    pub(super) fn all(&self) -> Vec<(String, u64)> {
        for repository in self.storage.repositories() {
            // What cannot be counted now is not shown.
            let _ = self.count(&repository, None);
        }
        let mut all: Vec<_> = self
            .counts()
            .iter()
            .map(|(name, count)| (name.clone(), count.stored))
            .collect();
        all.sort();
        all
    }
}

impl Reservation {
    /// The upload is stored; it took the place of an object of `replaced` bytes.
    pub(super) fn spend(self, replaced: u64) {
        if let Some(count) = self.usage.counts().get_mut(&self.repository) {
            count.stored = count.stored.saturating_add(self.bytes).saturating_sub(replaced);
            count.spent = count.spent.saturating_add(self.bytes);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(count) = self.usage.counts().get_mut(&self.repository) {
            count.reserved = count.reserved.saturating_sub(self.bytes);
        }
    }
}
