//! How fast bodies move: not faster than the operation's limit, which all transports share, nor than the remote's own.
//!
//! Whoever sends takes a piece out and waits before it is sent; whoever receives waits before asking for more, and the
//! connection holds the sender back. While a request waits for its turn no time-out runs: each waits for the
//! connection, not for the limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::TransportError;
use super::{Result, RetryPolicy, retry};
use crate::progress::{Bucket, Progress};

/// A call gets at least so many bytes per second: a limit that is lower allows for one call at a time. With less, the
/// other side takes a connection for dead.
const PER_CALL: u64 = 64 << 10;
/// Pieces in a second: what is taken out at once.
const PIECES: u64 = 8;
/// The smallest piece, in bytes.
const SMALLEST: u64 = 1024;
/// What calls that run at once may have moved when one has to be repeated: some whole packs.
const REPEATED: u64 = 256 << 20;

/// The limits of one transport.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    progress: Arc<Progress>,
    own: Option<Arc<Bucket>>,
}

impl Pace {
    /// The operation's limit, and one of `own` bytes per second.
    pub(super) fn new(progress: Arc<Progress>, own: Option<u64>) -> Self {
        Self {
            progress,
            own: own
                .filter(|rate| *rate > 0)
                .map(|rate| Arc::new(Bucket::new(Some(rate)))),
        }
    }

    /// Bytes per second; `None` is no limit.
    pub(super) fn rate(&self) -> Option<u64> {
        let own = self.own.as_ref().and_then(|own| own.rate());
        self.progress.limits().rate.rate().into_iter().chain(own).min()
    }

    /// How long nothing may move on a connection.
    pub(super) fn idle(&self) -> Duration {
        self.progress.limits().idle()
    }

    /// Takes bytes out; how long to wait for them.
    pub(super) fn take(&self, bytes: u64) -> Duration {
        let now = Instant::now();
        let all = self.progress.limits().rate.take(bytes, now);
        self.own.as_ref().map_or(all, |own| all.max(own.take(bytes, now)))
    }

    /// Bytes to move at a time, at most `most`.
    pub(super) fn piece(&self, most: u64) -> u64 {
        let piece = self.rate().map(|rate| (rate / PIECES).max(SMALLEST));
        piece.map_or(most, |piece| piece.min(most))
    }

    /// Calls that are worth having at once, at most `most`.
    pub(super) fn calls(&self, most: usize) -> usize {
        let calls = self.rate().map(|rate| (rate / PER_CALL).max(1));
        calls.map_or(most, |calls| {
            usize::try_from(calls).map_or(most, |calls| calls.min(most))
        })
    }

    /// Waits until these bytes may move.
    pub(super) async fn wait(&self, bytes: u64) {
        let wait = self.take(bytes);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// The same for threads that block; ends early with what `stopped` makes when the operation is asked to stop.
    pub(super) fn block(&self, bytes: u64, stopped: impl Fn() -> TransportError) -> Result<()> {
        match self.take(bytes) {
            Duration::ZERO => Ok(()),
            wait => retry::sleep(wait, &self.progress, stopped),
        }
    }

    /// A policy with time for what the limit makes slow.
    pub(super) fn patient(&self, policy: RetryPolicy) -> RetryPolicy {
        let more = self.rate().map_or(0, |rate| REPEATED / rate);
        RetryPolicy {
            deadline: policy.deadline.saturating_add(Duration::from_secs(more)),
            ..policy
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_limit_counts_and_slow_ones_have_fewer_calls() {
        let progress = Arc::new(Progress::new());
        let pace = Pace::new(Arc::clone(&progress), Some(0));
        assert_eq!((pace.rate(), pace.piece(1 << 20), pace.calls(16)), (None, 1 << 20, 16));
        let pace = Pace::new(Arc::clone(&progress), Some(1 << 20));
        assert_eq!(
            (pace.rate(), pace.piece(1 << 20), pace.calls(16)),
            (Some(1 << 20), 1 << 17, 16)
        );
        progress.limits().rate.set_rate(Some(2048));
        assert_eq!(
            (pace.rate(), pace.piece(1 << 20), pace.calls(16)),
            (Some(2048), 1024, 1)
        );
        assert!(pace.patient(RetryPolicy::default()).deadline > Duration::from_secs(100_000));
        // Both are paid.
        assert!(pace.take(1 << 20) > Duration::from_secs(500));
        progress.limits().rate.set_rate(None);
        assert!(pace.take(10 << 20) > Duration::from_secs(9));
    }

    #[test]
    fn whoever_is_to_stop_does_not_wait() {
        let progress = Arc::new(Progress::new());
        let pace = Pace::new(Arc::clone(&progress), Some(1024));
        progress.interrupt();
        let stopped = || TransportError::Interrupted(super::super::Place::new("r", ""));
        assert!(pace.block(1 << 30, stopped).is_err());
    }
}
