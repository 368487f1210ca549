//! The progress line: one line on standard error while a command works, gone when it ends.
//!
//! A thread reads the counters of [`Progress`] a few times per second; the work itself never waits for the terminal.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::human;
use crate::progress::{Phase, Progress, Snapshot};

/// A command that is done by then shows nothing.
const APPEARS_AFTER: Duration = Duration::from_millis(250);

const REDRAWN_EVERY: Duration = Duration::from_millis(100);

/// Weight of the newest measurement in the rate.
const SMOOTHING: f64 = 0.1;

/// A running progress line; dropping it clears the line.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ProgressLine {
    /// Starts to watch `progress`.
    pub(super) fn start(progress: Arc<Progress>) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut meter = Meter::new(progress.snapshot(), Instant::now());
            let wait = |time| matches!(stopped.recv_timeout(time), Err(RecvTimeoutError::Timeout));
            if !wait(APPEARS_AFTER) {
                return;
            }
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
                bar.set_style(style);
            }
            loop {
                meter.measure(progress.snapshot(), Instant::now());
                let stopping = progress.check().is_err();
                bar.set_message(if stopping {
                    "Stopping; press Ctrl-C again to leave at once".to_owned()
                } else {
                    meter.line()
                });
                bar.tick();
                if !wait(REDRAWN_EVERY) {
                    break;
                }
            }
            bar.finish_and_clear();
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to return, and its panic was reported by the hook.
            let _ = thread.join();
        }
    }
}

/// What is done per second, smoothed, for the current phase.
#[derive(Debug)]
struct Meter {
    last: Snapshot,
    at: Instant,
    bytes_per_second: Option<f64>,
    files_per_second: Option<f64>,
}

impl Meter {
    const fn new(first: Snapshot, at: Instant) -> Self {
        Self {
            last: first,
            at,
            bytes_per_second: None,
            files_per_second: None,
        }
    }

    fn measure(&mut self, now: Snapshot, at: Instant) {
        if now.phase != self.last.phase || now.bytes.0 < self.last.bytes.0 || now.files.0 < self.last.files.0 {
            *self = Self::new(now, at);
            return;
        }
        let seconds = at.duration_since(self.at).as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        let smooth = |old: Option<f64>, before: u64, after: u64| {
            #[allow(clippy::cast_precision_loss, reason = "an estimate for people")]
            let new = (after - before) as f64 / seconds;
            Some(old.map_or(new, |old| old + (new - old) * SMOOTHING))
        };
        self.bytes_per_second = smooth(self.bytes_per_second, self.last.bytes.0, now.bytes.0);
        self.files_per_second = smooth(self.files_per_second, self.last.files.0, now.files.0);
        self.last = now;
        self.at = at;
    }

    /// The text: phase, bytes, files, rate, time left; what is not known is left out.
    fn line(&self) -> String {
        let mut parts = Vec::new();
        match self.last.bytes {
            (0, 0) => {}
            (done, 0) => parts.push(human::bytes(done)),
            (done, total) => parts.push(format!("{} of {}", human::bytes(done), human::bytes(total))),
        }
        match self.last.files {
            (0, 0) => {}
            (done, 0) => parts.push(human::count(done, "file", "files")),
            (done, total) => {
                parts.push(format!(
                    "{} of {}",
                    human::number(done),
                    human::count(total, "file", "files")
                ));
            }
        }
        if let Some(rate) = self.bytes_per_second.filter(|rate| *rate >= 1.0) {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "positive and for people"
            )]
            parts.push(format!("{}/s", human::bytes(rate as u64)));
        }
        // The slower of the two tells when it ends: many small files are not held up by their bytes.
        let left = [
            time_left(self.last.bytes, self.bytes_per_second),
            time_left(self.last.files, self.files_per_second),
        ];
        if let Some(left) = left.into_iter().flatten().max() {
            parts.push(format!("{} left", human::duration(left)));
        }
        let phase = phase(self.last.phase);
        if parts.is_empty() {
            phase.to_owned()
        } else {
            format!("{phase}: {}", parts.join(", "))
        }
    }
}

fn time_left((done, total): (u64, u64), per_second: Option<f64>) -> Option<Duration> {
    let per_second = per_second.filter(|rate| *rate > 0.0)?;
    let rest = total.checked_sub(done).filter(|rest| *rest > 0)?;
    #[allow(clippy::cast_precision_loss, reason = "an estimate for people")]
    Duration::try_from_secs_f64(rest as f64 / per_second).ok()
}

const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Scanning => "Scanning",
        Phase::Adding => "Adding",
        Phase::Hashing => "Hashing",
        Phase::CheckingOut => "Checking out",
        Phase::Comparing => "Comparing with the remote",
        Phase::Pushing => "Pushing",
        Phase::Fetching => "Fetching",
        Phase::Replicating => "Replicating",
        Phase::Verifying => "Verifying",
        Phase::Collecting => "Collecting",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(phase: Phase, files: (u64, u64), bytes: (u64, u64)) -> Snapshot {
        Snapshot { phase, files, bytes }
    }

    #[test]
    fn the_line_says_what_is_known() {
        let start = Instant::now();
        let second = |n| start + Duration::from_secs(n);
        let mut meter = Meter::new(snapshot(Phase::Scanning, (0, 0), (0, 0)), start);
        assert_eq!(meter.line(), "Scanning");

        meter.measure(snapshot(Phase::Pushing, (0, 3120), (0, 4 << 20)), second(1));
        assert_eq!(meter.line(), "Pushing: 0 B of 4.0 MiB, 0 of 3,120 files");

        meter.measure(snapshot(Phase::Pushing, (312, 3120), (2 << 20, 4 << 20)), second(2));
        assert_eq!(
            meter.line(),
            "Pushing: 2.0 MiB of 4.0 MiB, 312 of 3,120 files, 2.0 MiB/s, 9 s left"
        );

        meter.measure(snapshot(Phase::Hashing, (7, 0), (1 << 20, 0)), second(3));
        assert_eq!(meter.line(), "Hashing: 1.0 MiB, 7 files");
    }

    #[test]
    fn a_quick_command_ends_quickly() {
        drop(ProgressLine::start(Arc::new(Progress::new())));
    }
}
