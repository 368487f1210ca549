//! Advisory file locks that die with their holder.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::{Attempt, Result, at, fault};
use crate::progress::Progress;

/// The longest time between two looks at a lock that is waited for.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Shared by many, or held by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// Any number of holders, none of them exclusive.
    Shared,
    /// One holder.
    Exclusive,
}

/// A held lock; released when dropped or when the process dies.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
}

impl FileLock {
    /// Takes the lock if it is free; `None` if somebody holds it in a way that excludes this.
    ///
    /// # Errors
    /// When the lock file cannot be created or the file system has no locks.
    pub fn try_acquire(path: &Path, kind: LockKind) -> Result<Option<Self>> {
        fault::pass(Attempt::Lock, path)?;
        let file = open(path, kind)?;
        super::share::settle_file(&file, path)?;
        let operation = match kind {
            LockKind::Shared => FlockOperation::NonBlockingLockShared,
            LockKind::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        match rustix::fs::flock(file.as_fd(), operation) {
            Ok(()) => Ok(Some(Self::held(file, path, kind))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(at(Attempt::Lock, path)(error)),
        }
    }

    /// Takes the lock, waiting for it. Before it waits it calls `waiting` with what the holder wrote about itself.
    /// Looks again and again instead of blocking, so that a request to stop ends the wait.
    ///
    /// # Errors
    /// When the lock file cannot be created, the file system has no locks, or `progress` was asked to stop.
    pub fn acquire(path: &Path, kind: LockKind, progress: &Progress, waiting: impl FnOnce(&str)) -> Result<Self> {
        if let Some(lock) = Self::try_acquire(path, kind)? {
            return Ok(lock);
        }
        // Sharers do not write themselves down: what stands there is of somebody who held it alone before them.
        let is_shared = kind == LockKind::Exclusive && Self::try_acquire(path, LockKind::Shared)?.is_some();
        let holder = match is_shared {
            true => Vec::new(),
            false => super::read(path, 4096).unwrap_or_default(),
        };
        waiting(String::from_utf8_lossy(&holder).trim());
        let mut wait = Duration::from_millis(1);
        loop {
            progress
                .check()
                .map_err(|stop| at(Attempt::Lock, path)(std::io::Error::new(ErrorKind::Interrupted, stop)))?;
            std::thread::sleep(wait);
            wait = LONGEST_WAIT.min(wait * 2);
            if let Some(lock) = Self::try_acquire(path, kind)? {
                return Ok(lock);
            }
        }
    }

    fn held(file: File, path: &Path, kind: LockKind) -> Self {
        if kind == LockKind::Exclusive {
            // For the message of those who wait; not needed for the lock itself.
            let text = format!("process {}\n", std::process::id());
            let _ = file.set_len(0);
            let _ = std::os::unix::fs::FileExt::write_all_at(&file, text.as_bytes(), 0);
        }
        Self {
            file,
            path: path.to_owned(),
        }
    }

    /// A descriptor of the lock for a process that is started, as its input: at the end of the file, so that there is
    /// nothing to read. The lock is held until that process ends, too.
    ///
    /// # Errors
    /// When it cannot be duplicated.
    pub fn as_input(&self) -> std::io::Result<File> {
        use std::io::Seek as _;
        let mut file = self.file.try_clone()?;
        file.seek(std::io::SeekFrom::End(0))?;
        Ok(file)
    }

    /// Whether the lock file is still the one at its path: somebody who held it before may have removed it.
    ///
    /// # Errors
    /// When the file cannot be looked at.
    pub fn is_in_place(&self) -> Result<bool> {
        use std::os::unix::fs::MetadataExt as _;
        let held = self.file.metadata().map_err(at(Attempt::Stat, &self.path))?;
        match fs::symlink_metadata(&self.path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (held.dev(), held.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(at(Attempt::Stat, &self.path)(error)),
        }
    }

    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Also where a descriptor lives on in a process that left what was started with it.
        let _ = rustix::fs::flock(self.file.as_fd(), FlockOperation::Unlock);
    }
}

fn open(path: &Path, kind: LockKind) -> Result<File> {
    let opened = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    let opened = match opened {
        // Who may only read may all the same keep others from removing.
        Err(error)
            if kind == LockKind::Shared
                && matches!(
                    error.kind(),
                    ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
                ) =>
        {
            File::open(path)
        }
        opened => opened,
    };
    opened.map_err(at(Attempt::Open, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_holds_it_now_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let stopped = Progress::new();
        stopped.interrupt();
        let named = |kind| {
            let mut named = None;
            let waited = FileLock::acquire(&path, kind, &stopped, |holder| named = Some(holder.to_owned()));
            assert!(waited.is_err());
            named
        };
        let me = format!("process {}", std::process::id());
        let alone = FileLock::try_acquire(&path, LockKind::Exclusive).unwrap();
        assert_eq!(named(LockKind::Shared), Some(me.clone()));
        assert_eq!(named(LockKind::Exclusive), Some(me));
        drop(alone);
        let shared = FileLock::try_acquire(&path, LockKind::Shared).unwrap();
        assert_eq!(named(LockKind::Exclusive), Some(String::new()));
        drop(shared);
    }

    #[test]
    fn a_lock_of_a_removed_file_is_not_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = FileLock::try_acquire(&path, LockKind::Exclusive).unwrap().unwrap();
        assert!(lock.is_in_place().unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!lock.is_in_place().unwrap());
        let other = FileLock::try_acquire(&path, LockKind::Exclusive).unwrap().unwrap();
        assert!(other.is_in_place().unwrap());
        assert!(!lock.is_in_place().unwrap());
    }
}
