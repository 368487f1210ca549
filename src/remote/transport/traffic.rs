//! Counts requests and bytes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What was asked and moved up to a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Requests for content.
    pub gets: u64,
    /// Requests that write: whole objects, parts, and what opens and closes a multi-part upload.
    pub puts: u64,
    /// Pages of listings.
    pub lists: u64,
    /// Questions after one object.
    pub stats: u64,
    /// Removals.
    pub deletes: u64,
    /// Bytes sent.
    pub bytes_up: u64,
    /// Bytes received as content.
    pub bytes_down: u64,
}

impl Traffic {
    /// All requests.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.gets + self.puts + self.lists + self.stats + self.deletes
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) gets: AtomicU64,
    pub(super) puts: AtomicU64,
    pub(super) lists: AtomicU64,
    pub(super) stats: AtomicU64,
    pub(super) deletes: AtomicU64,
    pub(super) bytes_up: AtomicU64,
    pub(super) bytes_down: AtomicU64,
}

impl Counters {
    pub(super) fn snapshot(&self) -> Traffic {
        Traffic {
            gets: self.gets.load(Relaxed),
            puts: self.puts.load(Relaxed),
            lists: self.lists.load(Relaxed),
            stats: self.stats.load(Relaxed),
            deletes: self.deletes.load(Relaxed),
            bytes_up: self.bytes_up.load(Relaxed),
            bytes_down: self.bytes_down.load(Relaxed),
        }
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Relaxed);
}
