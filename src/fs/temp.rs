//! A file that does not have its name yet.

use std::fs::{self, File};
use std::hash::Hasher as _;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Attempt, Result, at, fault, sync_parent};

/// What direct writes must be aligned to, in bytes: enough for every disk in use.
pub const DIRECT_ALIGN: usize = 4096;

/// A file under a temporary name; removed when dropped without [`TempFile::persist`].
#[derive(Debug)]
pub struct TempFile {
    file: File,
    path: PathBuf,
    persisted: bool,
}

impl TempFile {
    /// Creates an empty file with a unique name in `dir`, mode 0666 less the umask.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create_in(dir: &Path) -> Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        loop {
            let nanos = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |d| d.subsec_nanos());
            let path = dir.join(format!(
                ".modver-tmp-{}-{}-{nanos:08x}",
                std::process::id(),
                COUNTER.fetch_add(1, Ordering::Relaxed)
            ));
            fault::pass(Attempt::Create, &path)?;
            let opened = fs::OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o666)
                .open(&path);
            match opened {
                Ok(file) => {
                    let temp = Self {
                        file,
                        path,
                        persisted: false,
                    };
                    super::share::settle_file(&temp.file, &temp.path)?;
                    return Ok(temp);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(at(Attempt::Create, &path)(error)),
            }
        }
    }

    /// Creates it beside `path` under the one name that every run of this uses for that path, after removing what a
    /// killed run left under it. The caller holds a lock that keeps others from doing the same.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create_alone(path: &Path) -> Result<Self> {
        let temp = path.with_file_name(alone_name(path.file_name().unwrap_or_default().as_encoded_bytes()));
        fault::pass(Attempt::Create, &temp)?;
        let create = || {
            fs::OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o666)
                .open(&temp)
        };
        let opened = match create() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&temp).map_err(at(Attempt::Remove, &temp))?;
                create()
            }
            opened => opened,
        };
        Ok(Self {
            file: opened.map_err(at(Attempt::Create, &temp))?,
            path: temp,
            persisted: false,
        })
    }

    /// Creates it in the directory of `path`, which it is meant to replace.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create_beside(path: &Path) -> Result<Self> {
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => Self::create_in(parent),
            _ => Self::create_in(Path::new(".")),
        }
    }

    /// Whether `name` is one that [`TempFile`] gives, so that leftovers of killed processes can be removed.
    #[must_use]
    pub fn is_temp_name(name: &std::ffi::OsStr) -> bool {
        name.as_encoded_bytes().starts_with(b".modver-tmp-")
    }

    /// Whether `name` is a temporary name that only the holder of a lock gives: to a file ([`alone_name`]), or to a
    /// directory that a checkout fills.
    #[must_use]
    pub fn is_alone_name(name: &std::ffi::OsStr) -> bool {
        let name = name.as_encoded_bytes();
        name.starts_with(b".modver-tmp-f-") || name.starts_with(b".modver-tmp-d-")
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        fault::pass(Attempt::Write, &self.path)?;
        self.file.write_all(bytes).map_err(at(Attempt::Write, &self.path))
    }

    /// Appends the rest of another file: shared blocks where both are on one file system that has them, otherwise
    /// copied inside the kernel. Returns how many bytes there were.
    ///
    /// # Errors
    /// When the other cannot be read or this cannot be written.
    pub fn copy_from(&mut self, mut source: &File) -> Result<u64> {
        fault::pass(Attempt::Copy, &self.path)?;
        // Uses copy_file_range, which clones blocks on file systems that can.
        io::copy(&mut source, &mut self.file).map_err(at(Attempt::Copy, &self.path))
    }

    /// Writes bytes at an offset.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        fault::pass(Attempt::Write, &self.path)?;
        self.file
            .write_all_at(bytes, offset)
            .map_err(at(Attempt::Write, &self.path))
    }

    /// Reserves disk space for `len` bytes, so that a full disk shows now; does nothing where unsupported.
    ///
    /// # Errors
    /// When there is not enough space.
    pub fn reserve(&self, len: u64) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        fault::pass(Attempt::Write, &self.path)?;
        match rustix::fs::fallocate(self.file.as_fd(), rustix::fs::FallocateFlags::empty(), 0, len) {
            Err(rustix::io::Errno::NOSPC) => Err(at(Attempt::Write, &self.path)(rustix::io::Errno::NOSPC)),
            _ => Ok(()),
        }
    }

    /// Sets permission bits.
    ///
    /// # Errors
    /// When they cannot be set.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        fault::pass(Attempt::SetMode, &self.path)?;
        rustix::fs::fchmod(self.file.as_fd(), rustix::fs::Mode::from_raw_mode(mode))
            .map_err(at(Attempt::SetMode, &self.path))
    }

    /// Makes writes go to the disk past the page cache, or back again; `false` when the file system cannot. While it is
    /// on, memory, offset and length of each write must be multiples of [`DIRECT_ALIGN`].
    #[must_use]
    pub fn set_direct(&self, on: bool) -> bool {
        #[cfg(target_os = "linux")]
        if let Ok(flags) = rustix::fs::fcntl_getfl(&self.file) {
            let flags = if on {
                flags | rustix::fs::OFlags::DIRECT
            } else {
                flags - rustix::fs::OFlags::DIRECT
            };
            return rustix::fs::fcntl_setfl(&self.file, flags).is_ok();
        }
        !on
    }

    /// Moves the write position to the start.
    ///
    /// # Errors
    /// When the file cannot seek.
    pub fn rewind(&mut self) -> Result<()> {
        self.file
            .seek(SeekFrom::Start(0))
            .map(drop)
            .map_err(at(Attempt::Write, &self.path))
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its temporary path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the content to disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> Result<()> {
        fault::pass(Attempt::Sync, &self.path)?;
        self.file.sync_all().map_err(at(Attempt::Sync, &self.path))
    }

    /// Syncs, renames to `path` (replacing what is there) and syncs the directory.
    ///
    /// # Errors
    /// When a step fails; `path` is then as before, or complete but perhaps not yet durable.
    pub fn persist(self, path: &Path) -> Result<()> {
        self.sync()?;
        self.rename(path)?;
        sync_parent(path)
    }

    /// Renames to `path` without any sync: for files whose loss in a crash costs nothing but work, or whose
    /// durability the caller arranges (sync before, [`sync_parent`] after, once for many files).
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn rename(mut self, path: &Path) -> Result<()> {
        fault::pass(Attempt::Rename, &self.path)?;
        fs::rename(&self.path, path).map_err(at(Attempt::Rename, path))?;
        self.persisted = true;
        Ok(())
    }

    /// Closes the file, which keeps its temporary name.
    #[must_use]
    pub fn close(mut self) -> ClosedTemp {
        self.persisted = true;
        ClosedTemp {
            path: std::mem::take(&mut self.path),
            persisted: false,
        }
    }

    /// Gives the file the name `path` only if nothing has it; `false` when something has (the temporary is gone
    /// then). Synced before and after.
    ///
    /// # Errors
    /// When a step fails.
    pub fn persist_new(self, path: &Path) -> Result<bool> {
        self.sync()?;
        fault::pass(Attempt::Link, path)?;
        match fs::hard_link(&self.path, path) {
            Ok(()) => {
                sync_parent(path)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            // FAT and some network file systems have no hard links.
            Err(error) if error.kind() == io::ErrorKind::Unsupported || is_not_permitted(&error) => {
                if super::stat(path)?.is_some() {
                    return Ok(false);
                }
                self.rename(path)?;
                sync_parent(path)?;
                Ok(true)
            }
            Err(error) => Err(at(Attempt::Link, path)(error)),
        }
    }
}

/// A file under a temporary name that is complete and closed: of these there may be any number at once. Removed when
/// dropped.
#[derive(Debug)]
pub struct ClosedTemp {
    path: PathBuf,
    persisted: bool,
}

impl ClosedTemp {
    /// As [`TempFile::rename`].
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn rename(mut self, path: &Path) -> Result<()> {
        fault::pass(Attempt::Rename, &self.path)?;
        fs::rename(&self.path, path).map_err(at(Attempt::Rename, path))?;
        self.persisted = true;
        Ok(())
    }
}

impl Drop for ClosedTemp {
    fn drop(&mut self) {
        if !self.persisted {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The temporary name for a file of this name, for use by one process at a time.
#[must_use]
pub fn alone_name(name: &[u8]) -> String {
    // Two names that collide only cost the later one its chance to be written at the same time.
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(name);
    format!(".modver-tmp-f-{:016x}", hasher.finish())
}

fn is_not_permitted(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error())
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.persisted {
            let _ = fs::remove_file(&self.path);
        }
    }
}
