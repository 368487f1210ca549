//! How much an operation may move in a second, and how long it waits for something to move.
//!
//! A limit is a token bucket: what is taken out is paid by waiting, in the order of taking, so that all who move
//! something share it. What was not used is kept for [`BURST`] only.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Unused time that may be caught up on.
const BURST: Duration = Duration::from_millis(250);
/// How long nothing may move on a connection, if nobody says otherwise.
const IDLE: Duration = Duration::from_secs(60);

/// Bytes per second, shared by all who take from it.
#[derive(Debug, Default)]
pub struct Bucket {
    /// Bytes per second; 0 is no limit.
    rate: AtomicU64,
    /// Up to when what was taken is paid.
    paid: Mutex<Option<Instant>>,
}

impl Bucket {
    /// Allows `rate` bytes per second; `None` is no limit.
    #[must_use]
    pub fn new(rate: Option<u64>) -> Self {
        let bucket = Self::default();
        bucket.set_rate(rate);
        bucket
    }

    /// Changes the limit. What was taken before stays as it was reckoned.
    pub fn set_rate(&self, rate: Option<u64>) {
        self.rate.store(rate.unwrap_or(0), Relaxed);
    }

    /// Bytes per second; `None` is no limit.
    #[must_use]
    pub fn rate(&self) -> Option<u64> {
        Some(self.rate.load(Relaxed)).filter(|rate| *rate > 0)
    }

    /// Takes out `bytes` and says how long to wait, from `now` on, before they are moved (or, where they have arrived,
    /// before more is asked for).
    pub fn take(&self, bytes: u64, now: Instant) -> Duration {
        let Some(rate) = self.rate() else {
            return Duration::ZERO;
        };
        let cost = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let until = paid.unwrap_or(earliest).max(earliest) + cost;
        *paid = Some(until);
        until.saturating_duration_since(now)
    }
}

/// The limits of an operation's transfers.
#[derive(Debug, Default)]
pub struct Limits {
    /// Of all requests together, in both directions.
    pub rate: Bucket,
    /// Seconds; 0 if nobody said.
    idle: AtomicU64,
}

impl Limits {
    /// How long nothing may move on a connection.
    #[must_use]
    pub fn idle(&self) -> Duration {
        match self.idle.load(Relaxed) {
            0 => IDLE,
            seconds => Duration::from_secs(seconds),
        }
    }

    /// Sets that; 0 is as if nobody had said.
    pub fn set_idle(&self, seconds: u32) {
        self.idle.store(u64::from(seconds), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_bucket_gives_its_rate_and_no_more() {
        let bucket = Bucket::new(Some(1000));
        let mut now = Instant::now();
        let begin = now;
        // Whoever waits as told moves at the rate, whatever the pieces.
        let mut moved = 0;
        for piece in [1, 999, 10, 5000, 300, 0, 2000].into_iter().cycle().take(700) {
            now += bucket.take(piece, now);
            moved += piece;
        }
        let lasted = now.duration_since(begin).as_secs_f64();
        let expected = moved as f64 / 1000.0;
        assert!((lasted - expected).abs() < 0.3, "{lasted} {expected}");

        // Several at once wait one behind the other.
        let waits: Vec<Duration> = (0..3).map(|_| bucket.take(1000, now)).collect();
        assert_eq!((waits[1] - waits[0], waits[2] - waits[1]), (SECOND, SECOND));
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let bucket = Bucket::new(Some(1000));
        let now = Instant::now() + SECOND * 1000;
        bucket.take(1000, now);
        let later = now + SECOND * 1000;
        assert_eq!(bucket.take(250, later), Duration::ZERO);
        assert_eq!(bucket.take(1000, later), SECOND);
    }

    #[test]
    fn no_limit_costs_no_time() {
        let bucket = Bucket::default();
        assert_eq!(bucket.take(u64::MAX, Instant::now()), Duration::ZERO);
        bucket.set_rate(Some(1));
        // However much it is, it can be reckoned.
        assert!(bucket.take(1 << 40, Instant::now()) > SECOND);
    }

    #[test]
    fn patience_has_a_default() {
        let limits = Limits::default();
        assert_eq!(limits.idle(), IDLE);
        limits.set_idle(5);
        assert_eq!(limits.idle(), SECOND * 5);
    }
}
