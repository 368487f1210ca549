//! Fail points for tests: the n-th operation that changes the disk kills the process or fails.
//!
//! A debug binary arms this from `MODVER_TEST_FAULT` (see `cli`); in release builds it is empty.

use std::path::Path;

use super::{Attempt, Result};

/// What happens at the chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process dies as by `kill -9`.
    Kill,
    /// The operation fails with this OS error number; so do all later ones if `sticky`.
    Errno {
        /// The error number, such as 28 for ENOSPC.
        code: i32,
        /// Whether every later operation fails too (a full disk stays full).
        sticky: bool,
    },
}

#[cfg(debug_assertions)]
mod armed {
    use super::Fault;
    use std::sync::OnceLock;
    use std::sync::atomic::AtomicU64;

    pub(super) static FOLDS_CASE: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    pub(super) static PLAN: OnceLock<(u64, Fault)> = OnceLock::new();
    pub(super) static SEEN: AtomicU64 = AtomicU64::new(0);
}

/// Arms `fault` at the `nth` operation (from 1) of this process. Only the first call counts.
#[cfg(debug_assertions)]
pub fn arm(nth: u64, fault: Fault) {
    let _ = armed::PLAN.set((nth, fault));
}

/// From now on [`super::Dir`] takes names that differ only in case for one, as some file systems do.
#[cfg(debug_assertions)]
pub fn fold_case() {
    armed::FOLDS_CASE.store(true, std::sync::atomic::Ordering::SeqCst);
}

/// Whether names that differ only in case are one.
#[cfg(debug_assertions)]
pub(super) fn folds_case() -> bool {
    armed::FOLDS_CASE.load(std::sync::atomic::Ordering::Relaxed)
}

/// Whether names that differ only in case are one.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(super) const fn folds_case() -> bool {
    false
}

/// How many operations have passed.
#[cfg(debug_assertions)]
#[must_use]
pub fn count() -> u64 {
    armed::SEEN.load(std::sync::atomic::Ordering::SeqCst)
}

/// Called before each operation that changes the disk.
#[cfg(debug_assertions)]
pub(crate) fn pass(attempt: Attempt, path: &Path) -> Result<()> {
    let seen = armed::SEEN.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
    match armed::PLAN.get() {
        Some((nth, Fault::Kill)) if seen == *nth => {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            Ok(())
        }
        Some((nth, Fault::Errno { code, sticky })) if seen == *nth || (*sticky && seen > *nth) => {
            Err(super::at(attempt, path)(std::io::Error::from_raw_os_error(*code)))
        }
        _ => Ok(()),
    }
}

/// Called before each operation that changes the disk.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn pass(_attempt: Attempt, _path: &Path) -> Result<()> {
    Ok(())
}
