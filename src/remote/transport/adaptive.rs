//! How many calls are under way at once: more while that moves more, half as many when the service is in trouble.
//!
//! The limit starts small and doubles from window to window as long as throughput follows (slow start); after that it
//! grows by one and goes back when that brought nothing. A throttled or timed-out call halves it, at most once for all
//! calls that began before (the additive increase and multiplicative decrease of Jacobson, "Congestion Avoidance and
//! Control", 1988, with calls for packets). Callers only have to bring enough threads.

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::{Place, TransportError};
use super::pace::Pace;
use super::traffic::Traffic;
use super::{Body, ObjectMeta, PutMode, PutOutcome, Result, Transport};
use crate::progress::Progress;

/// Calls at once when nothing is known yet.
const FIRST: usize = 4;
/// Never more than this: each call may hold some megabytes.
const MOST: usize = 16;
/// A window is judged once it has this many times the limit of calls, and lasted [`WINDOW`].
const ROUNDS: usize = 2;
/// The shortest window: throughput over less time is noise.
const WINDOW: Duration = Duration::from_millis(100);
/// A call counts as this many bytes besides what it moves: small calls are worth something, too.
const CALL: u64 = 64 << 10;

/// The limit and what it follows from. Times are given by the caller.
#[derive(Debug)]
struct Control {
    limit: usize,
    /// The limit never exceeds this.
    most: usize,
    under_way: usize,
    /// Whether the limit still doubles.
    is_starting: bool,
    /// Whether the last growth is still to be judged, and the throughput before it.
    before: f64,
    grew: usize,
    window: Window,
    /// Calls that began before this do not halve the limit again.
    halved: Option<Instant>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    /// Bytes moved when it began.
    moved: u64,
    calls: usize,
    /// Whether the limit was ever reached in it: otherwise it says nothing about the limit.
    was_full: bool,
}

impl Control {
    fn new(now: Instant, most: usize) -> Self {
        let most = most.clamp(1, MOST);
        Self {
            limit: FIRST.min(most),
            most,
            under_way: 0,
            is_starting: true,
            before: 0.0,
            grew: 0,
            window: Window::new(now, 0),
            halved: None,
        }
    }

    fn begin(&mut self) {
        self.under_way += 1;
        self.window.was_full |= self.under_way >= self.limit;
    }

    /// A call that began at `began` is over; `moved` bytes were moved so far by all.
    fn end(&mut self, began: Instant, now: Instant, moved: u64, in_trouble: bool) {
        self.under_way = self.under_way.saturating_sub(1);
        if in_trouble {
            if self.halved.is_none_or(|halved| began > halved) {
                self.limit = (self.limit / 2).max(1);
                (self.is_starting, self.grew, self.before) = (false, 0, 0.0);
                self.halved = Some(now);
                self.window = Window::new(now, moved);
            }
            return;
        }
        self.window.calls += 1;
        let lasted = now.saturating_duration_since(self.window.began);
        if self.window.calls < ROUNDS * self.limit || lasted < WINDOW {
            return;
        }
        let bytes = moved.saturating_sub(self.window.moved) + self.window.calls as u64 * CALL;
        let rate = bytes as f64 / lasted.as_secs_f64();
        if self.window.was_full {
            self.judge(rate);
        }
        self.window = Window::new(now, moved);
    }

    /// What a full window with this throughput says.
    fn judge(&mut self, rate: f64) {
        let helped = rate > self.before * 1.05;
        if self.grew > 0 && !helped {
            // It only made calls wait for each other. Try again later from here.
            self.limit -= self.grew;
            (self.is_starting, self.grew) = (false, 0);
            // What other things there are to slow it down changes; old measurements fade.
            self.before = self.before.min(rate) * 0.9;
            return;
        }
        self.before = rate;
        let step = if self.is_starting { self.limit } else { 1 };
        self.grew = step.min(self.most.saturating_sub(self.limit));
        self.limit += self.grew;
    }
}

impl Window {
    const fn new(began: Instant, moved: u64) -> Self {
        Self {
            began,
            moved,
            calls: 0,
            was_full: false,
        }
    }
}

/// A transport of which no more calls are under way at once than do it good.
pub(super) struct Adaptive<T> {
    inner: T,
    control: Mutex<Control>,
    freed: Condvar,
    progress: Arc<Progress>,
}

impl<T: Transport> Adaptive<T> {
    /// Wraps `inner`, with as many calls at once as `pace` makes sensible; waiting ends early when `progress` is
    /// interrupted.
    pub(super) fn new(inner: T, progress: Arc<Progress>, pace: &Pace) -> Self {
        Self {
            inner,
            control: Mutex::new(Control::new(Instant::now(), pace.calls(MOST))),
            freed: Condvar::new(),
            progress,
        }
    }

    fn call<R>(&self, key: &str, call: impl FnOnce() -> Result<R>) -> Result<R> {
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        while control.under_way >= control.limit {
            if self.progress.check().is_err() {
                return Err(TransportError::Interrupted(Place::new(self.describe(), key)));
            }
            let waited = self.freed.wait_timeout(control, Duration::from_millis(100));
            control = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        control.begin();
        drop(control);
        let began = Instant::now();
        let result = call();
        let in_trouble = matches!(
            result,
            Err(TransportError::Throttled { .. } | TransportError::TimedOut { .. } | TransportError::Server { .. })
        );
        let traffic = self.inner.traffic();
        let moved = traffic.bytes_up + traffic.bytes_down;
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        control.end(began, Instant::now(), moved, in_trouble);
        drop(control);
        self.freed.notify_all();
        result
    }
}

impl<T: Transport> Transport for Adaptive<T> {
    fn describe(&self) -> &str {
        self.inner.describe()
    }

    fn get(&self, key: &str, limit: u64) -> Result<Vec<u8>> {
        self.call(key, || self.inner.get(key, limit))
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        self.call(key, || self.inner.get_range(key, range))
    }

    fn put(&self, key: &str, body: &Body, mode: PutMode) -> Result<PutOutcome> {
        self.call(key, || self.inner.put(key, body, mode))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        self.call(prefix, || self.inner.list(prefix))
    }

    fn stat(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.call(key, || self.inner.stat(key))
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.call(key, || self.inner.delete(key))
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a service that moves `alone` bytes/s for one call, `most` for all together, with `latency` per call of 8 MiB;
    /// returns the limit after so many rounds of calls that begin and end together.
    fn play(
        control: &mut Control,
        mut now: Instant,
        mut moved: u64,
        rounds: usize,
        alone: f64,
        most: f64,
    ) -> (Instant, u64) {
        const BYTES: u64 = 8 << 20;
        for _ in 0..rounds {
            let at_once = control.limit;
            let began = now;
            (0..at_once).for_each(|_| control.begin());
            let each = alone.min(most / at_once as f64);
            now += Duration::from_millis(50) + Duration::from_secs_f64(BYTES as f64 / each);
            for _ in 0..at_once {
                moved += BYTES;
                control.end(began, now, moved, false);
            }
        }
        (now, moved)
    }

    #[test]
    fn it_grows_while_that_helps_and_no_further() {
        let start = Instant::now();
        let mut far = Control::new(start, MOST);
        play(&mut far, start, 0, 40, 20e6, 1e12);
        assert_eq!(far.limit, MOST);
        let mut narrow = Control::new(start, MOST);
        let (now, moved) = play(&mut narrow, start, 0, 40, 20e6, 100e6);
        // It was eight, or is trying one more.
        assert!((4..=9).contains(&narrow.limit), "{}", narrow.limit);
        // The way becomes wider.
        play(&mut narrow, now, moved, 200, 20e6, 1e12);
        assert_eq!(narrow.limit, MOST);
    }

    #[test]
    fn trouble_halves_it_once_for_all_that_was_under_way() {
        let start = Instant::now();
        let mut control = Control::new(start, MOST);
        let (mut now, moved) = play(&mut control, start, 0, 40, 20e6, 1e12);
        assert_eq!(control.limit, MOST);
        let began = now;
        (0..MOST).for_each(|_| control.begin());
        for _ in 0..MOST {
            now += Duration::from_millis(1);
            control.end(began, now, moved, true);
        }
        assert_eq!((control.limit, control.under_way), (MOST / 2, 0));
        for expected in [4, 2, 1, 1] {
            now += Duration::from_millis(1);
            control.begin();
            control.end(now, now + Duration::from_millis(1), moved, true);
            now += Duration::from_millis(1);
            assert_eq!(control.limit, expected);
        }
        play(&mut control, now, moved, 100, 20e6, 1e12);
        assert!(control.limit > 4, "{}", control.limit);
    }

    #[test]
    fn few_calls_say_nothing_about_the_limit() {
        let start = Instant::now();
        let mut control = Control::new(start, MOST);
        let mut now = start;
        for n in 0..100 {
            control.begin();
            let began = now;
            now += Duration::from_millis(200);
            control.end(began, now, n << 20, false);
        }
        assert_eq!(control.limit, FIRST);
    }
}
