//! A directory for one operation that is in no repository; gone at its end.

use std::path::{Path, PathBuf};

use crate::fs::{self, FileLock, LockKind, Result};
use crate::hash::FileId;

/// A directory of this process alone. What a killed process leaves is removed by the next one: the lock beside it is
/// free then.
#[derive(Debug)]
pub(super) struct Scratch {
    dir: PathBuf,
    lock: FileLock,
}

impl Scratch {
    /// Makes one in `parent`.
    pub(super) fn new(parent: &Path) -> Result<Self> {
        fs::create_dir_all(parent)?;
        for name in fs::list(parent)? {
            let lock = parent.join(&name);
            if lock.extension().is_some_and(|extension| extension == "lock")
                && let Ok(Some(_free)) = FileLock::try_acquire(&lock, LockKind::Exclusive)
            {
                // Whoever does not succeed here has lost nothing but disk space.
                let _ = fs::remove_dir_all(&lock.with_extension(""));
                let _ = fs::remove_file(&lock);
            }
        }
        let unique = format!("{} {:?}", std::process::id(), std::time::SystemTime::now());
        let dir = parent.join(FileId::of(unique.as_bytes()).short());
        let lock = FileLock::acquire(
            &dir.with_extension("lock"),
            LockKind::Exclusive,
            &crate::progress::Progress::new(),
            |_| {},
        )?;
        fs::create_dir_all(&dir)?;
        Ok(Self { dir, lock })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
        let _ = fs::remove_file(self.lock.path());
    }
}
