//! Repeats calls that failed for a reason that may pass.
//!
//! Every call may be repeated: content-named objects are equal however often they are written. A put whose answer
//! was lost finds its own object the next time and reports [`PutOutcome::Existed`].

use std::hash::{BuildHasher as _, Hasher as _};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{Place, TransportError};
use super::traffic::Traffic;
use super::{Body, ObjectMeta, PutMode, PutOutcome, Result, Transport};
use crate::progress::Progress;

/// How often and how long a call is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// Attempts in all when no connection can be made: an address that is wrong stays wrong.
    pub connect_attempts: u32,
    /// The first wait is a random part of this; it doubles each time.
    pub base: Duration,
    /// No wait is longer than this, unless the service asks for it.
    pub longest: Duration,
    /// No attempt begins later than this after the first: when a service asks to wait for longer, its error is reported
    /// at once.
    pub deadline: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 7,
            connect_attempts: 3,
            base: Duration::from_millis(300),
            longest: Duration::from_secs(20),
            deadline: Duration::from_secs(300),
        }
    }
}

impl RetryPolicy {
    /// How long to wait before the attempt after `failed` ones; `None` to give up.
    fn wait(&self, failed: u32, error: &TransportError, elapsed: Duration, random: u64) -> Option<Duration> {
        let attempts = match error {
            TransportError::Unreachable { .. } => self.connect_attempts.min(self.attempts),
            error if error.is_retryable() => self.attempts,
            _ => return None,
        };
        if failed >= attempts {
            return None;
        }
        let longest = self
            .base
            .saturating_mul(1_u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX))
            .min(self.longest);
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        let jitter = Duration::from_nanos(random.checked_rem(nanos.saturating_add(1)).unwrap_or(random));
        let wait = error.retry_after().map_or(jitter, |asked| asked.saturating_add(jitter));
        (elapsed.saturating_add(wait) <= self.deadline).then_some(wait)
    }

    /// Makes a call as often as the policy allows. `stopped` makes the error for an operation that is to stop.
    pub(super) fn run<R>(
        &self,
        progress: &Progress,
        stopped: impl Fn() -> TransportError,
        mut call: impl FnMut() -> Result<R>,
    ) -> Result<R> {
        let begin = Instant::now();
        let mut failed = 0;
        loop {
            progress.count_request();
            progress.check().map_err(|_| stopped())?;
            let error = match call() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            failed += 1;
            match self.wait(failed, &error, begin.elapsed(), random()) {
                Some(wait) => sleep(wait, progress, &stopped)?,
                None => return Err(error),
            }
        }
    }
}

/// Waits, unless the operation is asked to stop.
pub(super) fn sleep(wait: Duration, progress: &Progress, stopped: impl Fn() -> TransportError) -> Result<()> {
    let end = Instant::now() + wait;
    loop {
        progress.check().map_err(|_| stopped())?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}

/// A transport that repeats failed calls of another.
pub struct Retry<T> {
    inner: T,
    policy: RetryPolicy,
    progress: Arc<Progress>,
}

impl<T: Transport> Retry<T> {
    /// Wraps `inner`; waits end early when `progress` is interrupted.
    pub fn new(inner: T, policy: RetryPolicy, progress: Arc<Progress>) -> Self {
        Self {
            inner,
            policy,
            progress,
        }
    }

    fn interrupted(&self, key: &str) -> TransportError {
        TransportError::Interrupted(Place::new(self.inner.describe(), key))
    }

    fn run<R>(&self, key: &str, call: impl Fn() -> Result<R>) -> Result<R> {
        self.policy.run(&self.progress, || self.interrupted(key), call)
    }
}

/// The standard library's random hash keys are the only randomness that back-off needs.
pub(super) fn random() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

impl<T: Transport> Transport for Retry<T> {
    fn describe(&self) -> &str {
        self.inner.describe()
    }

    fn get(&self, key: &str, limit: u64) -> Result<Vec<u8>> {
        self.run(key, || self.inner.get(key, limit))
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        self.run(key, || self.inner.get_range(key, range.clone()))
    }

    fn put(&self, key: &str, body: &Body, mode: PutMode) -> Result<PutOutcome> {
        self.run(key, || self.inner.put(key, body, mode))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        self.run(prefix, || self.inner.list(prefix))
    }

    fn stat(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.run(key, || self.inner.stat(key))
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.run(key, || self.inner.delete(key))
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place::new("test", "k")
    }

    fn lost() -> TransportError {
        TransportError::Disconnected {
            place: place(),
            source: "reset".into(),
        }
    }

    #[test]
    fn waits_grow_to_a_limit_and_end() {
        let policy = RetryPolicy::default();
        let longest = |failed| policy.wait(failed, &lost(), Duration::ZERO, policy_max(failed));
        // With the largest random number below each bound, the wait is that bound.
        assert_eq!(longest(1), Some(Duration::from_millis(300)));
        assert_eq!(longest(2), Some(Duration::from_millis(600)));
        assert_eq!(longest(6), Some(Duration::from_millis(9_600)));
        assert_eq!(longest(7), None);
        assert_eq!(policy.wait(1, &lost(), policy.deadline, 1), None);
        assert_eq!(policy.wait(1, &lost(), Duration::ZERO, 0), Some(Duration::ZERO));
        let gone = TransportError::NotFound(place());
        assert_eq!(policy.wait(1, &gone, Duration::ZERO, 0), None);
        let busy = TransportError::Throttled {
            place: place(),
            retry_after: Some(Duration::from_secs(30)),
            source: "slow down".into(),
        };
        assert_eq!(policy.wait(1, &busy, Duration::ZERO, 0), Some(Duration::from_secs(30)));
        // What no attempt would follow on is not waited for, however long it is.
        for asked in [Duration::from_secs(301), Duration::from_secs(u64::MAX), Duration::MAX] {
            let absurd = TransportError::Throttled {
                place: place(),
                retry_after: Some(asked),
                source: "slow down".into(),
            };
            assert_eq!(policy.wait(1, &absurd, Duration::ZERO, u64::MAX), None);
        }
        let forever = RetryPolicy {
            deadline: Duration::MAX,
            ..policy
        };
        assert_eq!(
            forever.wait(1, &lost(), Duration::MAX, 1),
            Some(Duration::from_nanos(1))
        );
    }

    fn policy_max(failed: u32) -> u64 {
        300_000_000_u64 << (failed - 1)
    }
}
