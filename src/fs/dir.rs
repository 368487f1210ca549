//! Directories by handle: listing, stat and writing without following symbolic links.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::{Attempt, FsError, Result, at, fault};
use crate::path::Name;

/// What kind of thing a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Special,
}

/// What `lstat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// File, directory, link or special.
    pub kind: FileKind,
    /// Permission bits (`mode & 07777`).
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Last modification, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last status change, nanoseconds since 1970.
    pub ctime_ns: i64,
    /// Inode number.
    pub ino: u64,
    /// Device number.
    pub dev: u64,
    /// Hard links.
    pub nlink: u64,
    /// Owner.
    pub uid: u32,
}

impl Stat {
    /// Whether the owner may execute it.
    #[must_use]
    pub const fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }

    /// Whether nothing suggests that the content changed between the two calls that returned these.
    #[must_use]
    pub fn same_content(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.size == other.size
            && self.mtime_ns == other.mtime_ns
            && self.ctime_ns == other.ctime_ns
            && self.ino == other.ino
    }

    /// The modification time as the standard library has it.
    #[must_use]
    pub fn modified(&self) -> SystemTime {
        let since = Duration::from_nanos(self.mtime_ns.unsigned_abs());
        if self.mtime_ns < 0 {
            SystemTime::UNIX_EPOCH - since
        } else {
            SystemTime::UNIX_EPOCH + since
        }
    }
}

#[allow(
    clippy::unnecessary_cast,
    clippy::cast_lossless,
    reason = "field types differ by platform"
)]
impl From<rustix::fs::Stat> for Stat {
    fn from(stat: rustix::fs::Stat) -> Self {
        let kind = match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
            rustix::fs::FileType::RegularFile => FileKind::File,
            rustix::fs::FileType::Directory => FileKind::Dir,
            rustix::fs::FileType::Symlink => FileKind::Symlink,
            _ => FileKind::Special,
        };
        let nanos = |sec: i64, nsec: i64| sec.saturating_mul(1_000_000_000).saturating_add(nsec);
        Self {
            kind,
            mode: (stat.st_mode as u32) & 0o7777,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime_ns: nanos(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime_ns: nanos(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            ino: stat.st_ino as u64,
            dev: stat.st_dev as u64,
            nlink: stat.st_nlink as u64,
            uid: stat.st_uid as u32,
        }
    }
}

/// One entry of a listing: its name, and its kind if the listing told.
#[derive(Debug, Clone)]
pub struct DirEntry {
    /// The name.
    pub name: Name,
    /// The kind, if the file system reports it with the name.
    pub kind: Option<FileKind>,
}

/// An open directory. Operations take one [`Name`] and never follow a symbolic link of that name.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens a directory; a symbolic link in the last component is refused.
    ///
    /// # Errors
    /// When it is not a directory or cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(at(Attempt::Open, path))?;
        Ok(Self {
            fd,
            path: path.to_owned(),
        })
    }

    /// Opens a directory in this one.
    ///
    /// # Errors
    /// When it is not a directory (a symbolic link is not) or cannot be opened.
    pub fn open_dir(&self, name: &Name) -> Result<Self> {
        let name = &*self.actual(name);
        let path = self.path.join(name.as_os());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd =
            rustix::fs::openat(&self.fd, name.as_os(), flags, Mode::empty()).map_err(at(Attempt::Open, &path))?;
        Ok(Self { fd, path })
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// When it cannot be opened or is a symbolic link.
    pub fn open_file(&self, name: &Name) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        rustix::fs::openat(&self.fd, name.as_os(), flags, Mode::empty())
            .map(File::from)
            .map_err(self.at(Attempt::Open, name))
    }

    /// Creates a file that must not exist yet, for writing. `mode` is subject to the umask.
    ///
    /// # Errors
    /// When it exists or cannot be created.
    pub fn create_file(&self, name: &Name, mode: u32) -> Result<File> {
        let name = &*self.actual(name);
        fault::pass(Attempt::Create, &self.path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name.as_os(), flags, Mode::from_raw_mode(mode))
            .map(File::from)
            .map_err(self.at(Attempt::Create, name))
    }

    /// Creates a file that must not exist yet, with this content; nothing is left when that fails. `mode` is subject
    /// to the umask. Not synced.
    ///
    /// # Errors
    /// When it exists or cannot be written.
    pub fn write_new(&self, name: &Name, mode: u32, bytes: &[u8]) -> Result<Stat> {
        let mut file = self.create_file(name, mode)?;
        let written = fault::pass(Attempt::Write, &self.path)
            .and_then(|()| file.write_all(bytes).map_err(self.at(Attempt::Write, name)))
            .and_then(|()| rustix::fs::fstat(&file).map_err(self.at(Attempt::Stat, name)));
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&self.fd, name.as_os(), AtFlags::empty());
        }
        Ok(written?.into())
    }

    /// Creates a directory; `false` when the name is taken.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create_dir(&self, name: &Name) -> Result<bool> {
        let name = &*self.actual(name);
        fault::pass(Attempt::CreateDir, &self.path)?;
        match rustix::fs::mkdirat(&self.fd, name.as_os(), Mode::from_raw_mode(0o777)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(self.at(Attempt::CreateDir, name)(error)),
        }
    }

    /// Creates a symbolic link that must not exist yet.
    ///
    /// # Errors
    /// When it exists or cannot be created.
    pub fn create_symlink(&self, name: &Name, target: &[u8]) -> Result<()> {
        let name = &*self.actual(name);
        fault::pass(Attempt::Link, &self.path)?;
        rustix::fs::symlinkat(OsStr::from_bytes(target), &self.fd, name.as_os()).map_err(self.at(Attempt::Link, name))
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// When it is not a link.
    pub fn read_link(&self, name: &Name) -> Result<Vec<u8>> {
        rustix::fs::readlinkat(&self.fd, name.as_os(), Vec::new())
            .map(std::ffi::CString::into_bytes)
            .map_err(self.at(Attempt::ReadLink, name))
    }

    /// `lstat` of an entry; `None` when it does not exist.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn stat(&self, name: &Name) -> Result<Option<Stat>> {
        let name = &*self.actual(name);
        match rustix::fs::statat(&self.fd, name.as_os(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.at(Attempt::Stat, name)(error)),
        }
    }

    /// Renames an entry within this directory, replacing `to`.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn rename(&self, from: &Name, to: &Name) -> Result<()> {
        fault::pass(Attempt::Rename, &self.path)?;
        rustix::fs::renameat(&self.fd, from.as_os(), &self.fd, to.as_os()).map_err(self.at(Attempt::Rename, to))
    }

    /// Removes a file or link; `false` when it does not exist.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_file(&self, name: &Name) -> Result<bool> {
        fault::pass(Attempt::Remove, &self.path)?;
        match rustix::fs::unlinkat(&self.fd, name.as_os(), AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.at(Attempt::Remove, name)(error)),
        }
    }

    /// Removes an empty directory; `false` when it is not empty or does not exist.
    ///
    /// # Errors
    /// When it cannot be removed for another reason.
    pub fn remove_empty_dir(&self, name: &Name) -> Result<bool> {
        fault::pass(Attempt::Remove, &self.path)?;
        match rustix::fs::unlinkat(&self.fd, name.as_os(), AtFlags::REMOVEDIR) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(error) => Err(self.at(Attempt::Remove, name)(error)),
        }
    }

    /// Sets the permission bits of an entry that is not a symbolic link.
    ///
    /// # Errors
    /// When they cannot be set.
    pub fn set_mode(&self, name: &Name, mode: u32) -> Result<()> {
        fault::pass(Attempt::SetMode, &self.path)?;
        rustix::fs::chmodat(&self.fd, name.as_os(), Mode::from_raw_mode(mode), AtFlags::empty())
            .map_err(self.at(Attempt::SetMode, name))
    }

    /// The entries, sorted by name bytes, without `.` and `..`.
    ///
    /// # Errors
    /// When it cannot be listed or a name is longer than any file system allows.
    pub fn list(&self) -> Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        self.for_each(|bytes, kind| entries.push(self.name(bytes).map(|name| DirEntry { name, kind })))?;
        let mut entries = entries.into_iter().collect::<Result<Vec<_>>>()?;
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Calls `each` with the name and, if the listing tells, the kind of every entry but `.` and `..`, in no order.
    /// Unlike [`Dir::list`] it keeps nothing.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn for_each(&self, mut each: impl FnMut(&[u8], Option<FileKind>)) -> Result<()> {
        let listing = rustix::fs::Dir::read_from(&self.fd).map_err(at(Attempt::List, &self.path))?;
        for entry in listing {
            let entry = entry.map_err(at(Attempt::List, &self.path))?;
            let bytes = entry.file_name().to_bytes();
            if matches!(bytes, b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                rustix::fs::FileType::RegularFile => Some(FileKind::File),
                rustix::fs::FileType::Directory => Some(FileKind::Dir),
                rustix::fs::FileType::Symlink => Some(FileKind::Symlink),
                rustix::fs::FileType::Unknown => None,
                _ => Some(FileKind::Special),
            };
            each(bytes, kind);
        }
        Ok(())
    }

    /// The name with these bytes, for an entry of this directory.
    ///
    /// # Errors
    /// When they are not a name, or longer than any file system allows.
    pub fn name(&self, bytes: &[u8]) -> Result<Name> {
        Name::new(bytes)
            .map_err(|error| at(Attempt::List, &self.path)(io::Error::new(io::ErrorKind::InvalidData, error)))
    }

    /// Reads a file of at most `limit` bytes.
    ///
    /// # Errors
    /// When it cannot be read, is a symbolic link or larger than `limit`.
    pub fn read(&self, name: &Name, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open_file(name)?
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(self.at(Attempt::Read, name))?;
        if bytes.len() as u64 > limit {
            let error = io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes"));
            return Err(self.at(Attempt::Read, name)(error));
        }
        Ok(bytes)
    }

    /// Makes the entries of this directory durable.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> Result<()> {
        fault::pass(Attempt::Sync, &self.path)?;
        rustix::fs::fsync(self.fd.as_fd()).map_err(at(Attempt::Sync, &self.path))
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name that stands for this one: itself, but for tests of file systems that fold case.
    fn actual<'n>(&self, name: &'n Name) -> Cow<'n, Name> {
        let fold = |name: &Name| String::from_utf8_lossy(name.as_bytes()).to_lowercase();
        if fault::folds_case()
            && let Ok(entries) = self.list()
            && let Some(entry) = entries.into_iter().find(|entry| fold(&entry.name) == fold(name))
        {
            return Cow::Owned(entry.name);
        }
        Cow::Borrowed(name)
    }

    fn at<E: Into<io::Error>>(&self, attempt: Attempt, name: &Name) -> impl FnOnce(E) -> FsError + use<E> {
        let path = self.path.join(name.as_os());
        move |error| FsError {
            attempt,
            path,
            source: error.into(),
        }
    }
}

/// `fstat` of an open file.
///
/// # Errors
/// When it cannot be asked.
pub fn stat_file(file: &File, path: &Path) -> Result<Stat> {
    rustix::fs::fstat(file).map(Stat::from).map_err(at(Attempt::Stat, path))
}

/// Reserves disk space for `len` bytes of an open file, so that a full disk shows now; does nothing where unsupported.
///
/// # Errors
/// When there is not enough space.
pub fn reserve_file(file: &File, len: u64, path: &Path) -> Result<()> {
    if len == 0 {
        return Ok(());
    }
    fault::pass(Attempt::Write, path)?;
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, len) {
        Err(Errno::NOSPC) => Err(at(Attempt::Write, path)(Errno::NOSPC)),
        _ => Ok(()),
    }
}
