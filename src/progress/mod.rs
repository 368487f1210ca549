//! Counters, limits and cancellation as data.
//!
//! An operation writes what it has done; whoever draws a progress line reads it at its own pace from another
//! thread. Nothing here knows a terminal. All methods are cheap and may be called from any thread.

mod limits;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

pub use limits::{Bucket, Limits};

/// What an operation is doing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Looking around; nothing to count yet.
    Scanning,
    /// Reading, hashing and storing files.
    Adding,
    /// Reading and hashing files.
    Hashing,
    /// Writing files into the workspace.
    CheckingOut,
    /// Asking the remote what it has.
    Comparing,
    /// Sending packs.
    Pushing,
    /// Receiving packs.
    Fetching,
    /// Copying from one remote to another.
    Replicating,
    /// Reading stored chunks back.
    Verifying,
    /// Removing what is not needed.
    Collecting,
}

const PHASES: [Phase; 10] = [
    Phase::Scanning,
    Phase::Adding,
    Phase::Hashing,
    Phase::CheckingOut,
    Phase::Comparing,
    Phase::Pushing,
    Phase::Fetching,
    Phase::Replicating,
    Phase::Verifying,
    Phase::Collecting,
];

/// The operation was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// What was counted up to a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// The phase the counters belong to.
    pub phase: Phase,
    /// Files done and to do (0 to do: unknown).
    pub files: (u64, u64),
    /// Bytes done and to do (0 to do: unknown).
    pub bytes: (u64, u64),
}

/// Shared counters of one running operation.
#[derive(Debug, Default)]
pub struct Progress {
    phase: AtomicU8,
    files_done: AtomicU64,
    files_total: AtomicU64,
    bytes_done: AtomicU64,
    bytes_total: AtomicU64,
    requests: AtomicU64,
    interrupted: AtomicBool,
    shields: AtomicU64,
    /// Commands that are running on the operation's behalf.
    commands: AtomicU64,
    hurried: AtomicBool,
    limits: Limits,
}

/// While it lives, [`Progress::check`] lets everything go on: for what has to be put in order before an operation may end.
#[derive(Debug)]
pub struct Shield<'a>(&'a Progress);

impl Drop for Shield<'_> {
    fn drop(&mut self) {
        self.0.shields.fetch_sub(1, Relaxed);
    }
}

/// While it lives, a command runs that can be ended at once.
#[derive(Debug)]
pub struct Running<'a>(&'a Progress);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.commands.fetch_sub(1, Relaxed);
    }
}

impl Progress {
    /// Counters at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How much may be moved, and how long is waited; whoever loads the settings sets them.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Starts a phase with totals known so far (0 = unknown); resets what was done.
    pub fn start(&self, phase: Phase, files_total: u64, bytes_total: u64) {
        self.files_done.store(0, Relaxed);
        self.bytes_done.store(0, Relaxed);
        self.files_total.store(files_total, Relaxed);
        self.bytes_total.store(bytes_total, Relaxed);
        self.phase.store(phase as u8, Relaxed);
    }

    /// More work was found.
    pub fn grow(&self, files: u64, bytes: u64) {
        self.files_total.fetch_add(files, Relaxed);
        self.bytes_total.fetch_add(bytes, Relaxed);
    }

    /// Work was done.
    pub fn advance(&self, files: u64, bytes: u64) {
        self.files_done.fetch_add(files, Relaxed);
        self.bytes_done.fetch_add(bytes, Relaxed);
    }

    /// A request is sent to a remote. Counted over all phases.
    pub fn count_request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Requests sent so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// The counters now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            phase: PHASES[usize::from(self.phase.load(Relaxed)) % PHASES.len()],
            files: (self.files_done.load(Relaxed), self.files_total.load(Relaxed)),
            bytes: (self.bytes_done.load(Relaxed), self.bytes_total.load(Relaxed)),
        }
    }

    /// Asks the operation to stop at the next safe point.
    pub fn interrupt(&self) {
        self.interrupted.store(true, Relaxed);
    }

    /// To be called between units of work.
    ///
    /// # Errors
    /// [`Interrupted`] once [`Progress::interrupt`] was called, unless there is a [`Shield`].
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.is_interrupted() && self.shields.load(Relaxed) == 0 {
            Err(Interrupted)
        } else {
            Ok(())
        }
    }

    /// Whether [`Progress::interrupt`] was called.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Relaxed)
    }

    /// Says that a command runs, until the answer is dropped.
    #[must_use]
    pub fn running(&self) -> Running<'_> {
        self.commands.fetch_add(1, Relaxed);
        Running(self)
    }

    /// Asks again, and not kindly: commands that are running end at once. False if there is nobody to ask, or it was asked
    /// before.
    pub fn hurry(&self) -> bool {
        self.commands.load(Relaxed) > 0 && !self.hurried.swap(true, Relaxed)
    }

    /// Whether [`Progress::hurry`] was called.
    #[must_use]
    pub fn is_hurried(&self) -> bool {
        self.hurried.load(Relaxed)
    }

    /// Lets what has to be done before the end be done.
    #[must_use]
    pub fn shield(&self) -> Shield<'_> {
        self.shields.fetch_add(1, Relaxed);
        Shield(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_stops() {
        let progress = Progress::new();
        progress.start(Phase::Pushing, 2, 10);
        progress.grow(1, 5);
        progress.advance(1, 7);
        let now = progress.snapshot();
        assert_eq!((now.phase, now.files, now.bytes), (Phase::Pushing, (1, 3), (7, 15)));
        assert_eq!(progress.check(), Ok(()));
        progress.interrupt();
        assert_eq!(progress.check(), Err(Interrupted));
        let shield = progress.shield();
        assert!(progress.check().is_ok() && progress.is_interrupted());
        drop(shield);
        assert_eq!(progress.check(), Err(Interrupted));
        assert!(!progress.hurry() && !progress.is_hurried());
        let running = progress.running();
        assert!(progress.hurry() && progress.is_hurried() && !progress.hurry());
        drop(running);
        for (i, phase) in PHASES.iter().enumerate() {
            assert_eq!(*phase as usize, i);
        }
    }
}
