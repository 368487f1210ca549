//! A file that one process appends to, and that another may take over when that process is gone.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::{Attempt, Result, at, fault};

/// A file that is appended to, locked for as long as this value or its process lives.
#[derive(Debug)]
pub struct AppendFile {
    file: File,
    path: PathBuf,
}

impl AppendFile {
    /// Creates an empty file; `None` when there is one of that name, or somebody was faster to take it over.
    ///
    /// # Errors
    /// When it cannot be created or locked.
    pub fn create(path: &Path) -> Result<Option<Self>> {
        fault::pass(Attempt::Create, path)?;
        let opened = fs::OpenOptions::new()
            .read(true)
            .append(true)
            .create_new(true)
            .mode(0o666)
            .open(path);
        match opened {
            Ok(file) => {
                super::share::settle_file(&file, path)?;
                Self::lock(file, path)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(at(Attempt::Create, path)(error)),
        }
    }

    /// Takes over a file whose process is gone; `None` when it is in use, or gone itself.
    ///
    /// # Errors
    /// When it cannot be opened or locked.
    pub fn take_over(path: &Path) -> Result<Option<Self>> {
        match fs::OpenOptions::new().read(true).append(true).open(path) {
            Ok(file) => Self::lock(file, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(Attempt::Open, path)(error)),
        }
    }

    fn lock(file: File, path: &Path) -> Result<Option<Self>> {
        match rustix::fs::flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(at(Attempt::Lock, path)(error)),
        }
        // Between opening and locking, whoever had it may have removed it.
        let inode = file.metadata().map_err(at(Attempt::Stat, path))?.ino();
        let there = match fs::symlink_metadata(path) {
            Ok(meta) => Some(meta.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(at(Attempt::Stat, path)(error)),
        };
        Ok((there == Some(inode)).then(|| Self {
            file,
            path: path.to_owned(),
        }))
    }

    /// Appends bytes: they are the kernel's when this returns, and survive this process, but not the machine.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        fault::pass(Attempt::Write, &self.path)?;
        self.file.write_all(bytes).map_err(at(Attempt::Write, &self.path))
    }

    /// Syncs the content to disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> Result<()> {
        fault::pass(Attempt::Sync, &self.path)?;
        self.file.sync_all().map_err(at(Attempt::Sync, &self.path))
    }

    /// Its length in bytes.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn size(&self) -> Result<u64> {
        let meta = self.file.metadata().map_err(at(Attempt::Stat, &self.path))?;
        Ok(meta.len())
    }

    /// Fills `buf` from an offset.
    ///
    /// # Errors
    /// When it cannot be read or is too short.
    pub fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.file
            .read_exact_at(buf, offset)
            .map_err(at(Attempt::Read, &self.path))
    }

    /// Cuts it off behind `len` bytes.
    ///
    /// # Errors
    /// When it cannot be changed.
    pub fn truncate(&mut self, len: u64) -> Result<()> {
        fault::pass(Attempt::Write, &self.path)?;
        self.file.set_len(len).map_err(at(Attempt::Write, &self.path))
    }

    /// Removes it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(self) -> Result<()> {
        super::remove_file(&self.path).map(drop)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
