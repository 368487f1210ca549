//! The only place that touches files.
//!
//! Everything here returns [`FsError`], which carries what was attempted and on which path. Writes that must
//! survive a crash go through [`TempFile`] or [`write_atomic`]: complete and synced under a temporary name in the
//! same directory, then renamed, then the directory synced; a reader sees the old file or the new one, never a
//! part. Locks are advisory (`flock`) and die with the process that holds them. [`Dir`] walks and writes trees by
//! directory handle and never follows a symbolic link.
//!
//! In debug builds every call that changes the disk passes [`fault`], where tests kill the process or inject
//! errors at the n-th operation; release builds compile that to nothing.

#![allow(clippy::disallowed_methods, reason = "this module is what the ban points to")]

mod append;
mod dir;
mod direct;
pub mod fault;
mod lock;
mod probe;
mod random;
mod share;
mod temp;

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

pub use append::AppendFile;
pub use dir::{Dir, DirEntry, FileKind, Stat, reserve_file, stat_file};
pub use direct::{DirectBuffer, open_direct, read_range};
pub use std::fs::File;

pub use lock::{FileLock, LockKind};
pub use memmap2::Mmap;
pub use probe::{Abilities, filesystem_type, probe};
#[cfg(test)]
pub(crate) use random::drawn;
pub use random::random;
pub use share::{Belongs, belongs, give, may_use, share};
pub use temp::{ClosedTemp, DIRECT_ALIGN, TempFile, alone_name};

/// What was being done to a path when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Attempt {
    Open,
    Read,
    Write,
    Sync,
    Create,
    CreateDir,
    List,
    Stat,
    Rename,
    Remove,
    Link,
    ReadLink,
    SetMode,
    Lock,
    Map,
    Copy,
}

impl Attempt {
    const fn verb(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Create => "create",
            Self::CreateDir => "create directory",
            Self::List => "list",
            Self::Stat => "stat",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::Link => "link",
            Self::ReadLink => "read link",
            Self::SetMode => "change mode of",
            Self::Lock => "lock",
            Self::Map => "map",
            Self::Copy => "copy",
        }
    }
}

/// An I/O error with what was attempted and where.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} `{path}`", verb = .attempt.verb(), path = crate::path::quote(std::os::unix::ffi::OsStrExt::as_bytes(.path.as_os_str())))]
pub struct FsError {
    /// What was attempted.
    pub attempt: Attempt,
    /// On which path.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

impl FsError {
    /// Whether the path does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        )
    }

    /// Whether the path exists already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.source.kind() == io::ErrorKind::AlreadyExists
    }
}

/// Result of an operation on a file.
pub type Result<T> = std::result::Result<T, FsError>;

/// Adds the attempt and the path to an [`io::Error`].
pub fn at<E: Into<io::Error>>(attempt: Attempt, path: &Path) -> impl FnOnce(E) -> FsError + '_ {
    move |source| FsError {
        attempt,
        path: path.to_owned(),
        source: source.into(),
    }
}

/// Opens a file for reading.
///
/// # Errors
/// When it cannot be opened.
pub fn open(path: &Path) -> Result<fs::File> {
    fs::File::open(path).map_err(at(Attempt::Open, path))
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// When it cannot be read or is larger than `limit` (`FileTooLarge`).
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(at(Attempt::Read, path))?;
    if bytes.len() as u64 > limit {
        return Err(at(Attempt::Read, path)(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {limit} bytes"),
        )));
    }
    Ok(bytes)
}

/// As [`read`], but a file that does not exist is `None`.
///
/// # Errors
/// As [`read`].
pub fn read_if_exists(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    match read(path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Fills `buf` from an offset of an open file; `path` is for the error. Any number of threads may do so at once.
///
/// # Errors
/// When it cannot be read or is too short.
pub fn read_exact_at(file: &fs::File, path: &Path, buf: &mut [u8], offset: u64) -> Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buf, offset).map_err(at(Attempt::Read, path))
}

/// Bytes of a file on a network file system that are read rather than mapped.
const IN_MEMORY: u64 = 64 << 20;

/// Maps a whole file for reading; on a file system that maps no files, its content is read into memory. The file must be
/// one that is never changed in place (packs, shards, stat caches are only ever replaced by rename).
///
/// # Errors
/// When it cannot be opened, mapped or read.
#[allow(unsafe_code)]
pub fn map(path: &Path) -> Result<Mmap> {
    let file = open(path)?;
    // Privately: some network file systems map nothing that is shared.
    // SAFETY: the callers' files are immutable once they have their name; modver itself never writes to them in
    // place. Truncation by another program would raise SIGBUS, as it would for git's packs.
    let mapped = unsafe { memmap2::MmapOptions::new().map_copy_read_only(&file) };
    mapped.or_else(|error| in_memory(&file, path, error))
}

/// The same for a file of which others may take the name away meanwhile. Where a map of it would end the process then (on
/// network file systems a file is gone with its name), one of up to 64 MiB is read into memory.
///
/// # Errors
/// As [`map`].
pub fn map_or_read(path: &Path) -> Result<Mmap> {
    let file = open(path)?;
    if probe::is_remote(&file) && stat_file(&file, path)?.size <= IN_MEMORY {
        return in_memory(&file, path, io::ErrorKind::OutOfMemory.into());
    }
    map(path)
}

/// What stands for a map of a file that could not be mapped, for that reason.
fn in_memory(file: &fs::File, path: &Path, error: io::Error) -> Result<Mmap> {
    let len = usize::try_from(stat_file(file, path)?.size).unwrap_or(usize::MAX);
    let Ok(mut memory) = memmap2::MmapMut::map_anon(len) else {
        return Err(at(Attempt::Map, path)(error));
    };
    read_exact_at(file, path, &mut memory, 0)?;
    memory.make_read_only().map_err(at(Attempt::Map, path))
}

/// Replaces `path` by a file with `bytes`, durably and atomically.
///
/// # Errors
/// When any step fails; `path` is then as before.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = TempFile::create_beside(path)?;
    file.write_all(bytes)?;
    file.persist(path)
}

/// As [`write_atomic`], for a caller whose lock keeps others from writing this file: a run that was killed leaves a
/// temporary file that the next one replaces.
///
/// # Errors
/// When any step fails; `path` is then as before.
pub fn write_atomic_alone(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = TempFile::create_alone(path)?;
    file.write_all(bytes)?;
    file.persist(path)
}

/// As [`write_atomic_alone`] for many files of one file system: many are written, synced together, and then take their
/// names in the given order.
///
/// # Errors
/// When any step fails; each file is then as before or complete.
pub fn write_atomic_all(files: &[(PathBuf, &[u8])]) -> Result<()> {
    /// Files that are open at once.
    const BATCH: usize = 256;
    let mut parents = std::collections::BTreeSet::new();
    for batch in files.chunks(BATCH) {
        let mut written = Vec::with_capacity(batch.len());
        for (path, bytes) in batch {
            let mut file = TempFile::create_alone(path)?;
            file.write_all(bytes)?;
            written.push(file);
        }
        if let Some(any) = written.first() {
            fault::pass(Attempt::Sync, any.path())?;
            rustix::fs::syncfs(any.file()).map_err(at(Attempt::Sync, any.path()))?;
        }
        for (file, (path, _)) in written.into_iter().zip(batch) {
            file.rename(path)?;
            parents.insert(path.parent());
        }
    }
    for path in parents.iter().flatten() {
        sync_dir(path)?;
    }
    Ok(())
}

/// Creates a directory and its parents; nothing happens when it exists.
///
/// # Errors
/// When it cannot be created.
pub fn create_dir_all(path: &Path) -> Result<()> {
    fault::pass(Attempt::CreateDir, path)?;
    if share::is_shared(path) {
        return share::create_dir_all(path);
    }
    fs::create_dir_all(path).map_err(at(Attempt::CreateDir, path))
}

/// Removes a file; `false` when it did not exist.
///
/// # Errors
/// When it exists and cannot be removed.
pub fn remove_file(path: &Path) -> Result<bool> {
    fault::pass(Attempt::Remove, path)?;
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at(Attempt::Remove, path)(error)),
    }
}

/// Removes `dir` and the directories around it as long as they are empty and inside `top`, which stays, as does what
/// `keep` is in.
pub fn remove_empty_dirs(dir: &Path, top: &Path, keep: Option<&Path>) {
    let mut next = Some(dir);
    while let Some(here) = next
        && here != top
        && !keep.is_some_and(|keep| keep.starts_with(here))
        && matches!(remove_empty_dir(here), Ok(true))
    {
        next = here.parent().filter(|above| above.starts_with(top));
    }
}

/// Removes a directory if it is empty; `false` when it is not empty or does not exist.
///
/// # Errors
/// When it cannot be removed for another reason.
pub fn remove_empty_dir(path: &Path) -> Result<bool> {
    fault::pass(Attempt::Remove, path)?;
    match fs::remove_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => Ok(false),
        Err(error) => Err(at(Attempt::Remove, path)(error)),
    }
}

/// Removes a directory with everything in it (never following links); nothing happens when it does not exist.
///
/// # Errors
/// When something in it cannot be removed.
pub fn remove_dir_all(path: &Path) -> Result<()> {
    fault::pass(Attempt::Remove, path)?;
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(Attempt::Remove, path)(error)),
        _ => Ok(()),
    }
}

/// Copies a file with its permissions; blocks are shared where the file system can. Not synced.
///
/// # Errors
/// When it cannot be read or written.
pub fn copy_file(from: &Path, to: &Path) -> Result<()> {
    fault::pass(Attempt::Copy, to)?;
    fs::copy(from, to).map(drop).map_err(at(Attempt::Copy, from))
}

/// Copies a symbolic link as it is.
///
/// # Errors
/// When it cannot be read or made.
pub fn copy_link(from: &Path, to: &Path) -> Result<()> {
    fault::pass(Attempt::Link, to)?;
    let target = fs::read_link(from).map_err(at(Attempt::ReadLink, from))?;
    std::os::unix::fs::symlink(target, to).map_err(at(Attempt::Link, to))
}

/// Renames within one file system and makes that durable.
///
/// # Errors
/// When it cannot be renamed.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fault::pass(Attempt::Rename, from)?;
    fs::rename(from, to).map_err(at(Attempt::Rename, from))?;
    sync_parent(to)
}

/// As [`rename`], but only if nothing has the name `to`; `false` when something has.
///
/// # Errors
/// When it cannot be renamed.
pub fn rename_new(from: &Path, to: &Path) -> Result<bool> {
    use rustix::io::Errno;
    fault::pass(Attempt::Rename, from)?;
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(rustix::fs::CWD, from, rustix::fs::CWD, to, flags) {
            Ok(()) => return sync_parent(to).map(|()| true),
            Err(Errno::EXIST) => return Ok(false),
            // Some file systems do not know the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            Err(error) => return Err(at(Attempt::Rename, from)(error)),
        }
    }
    if stat(to)?.is_some() {
        return Ok(false);
    }
    // Of a directory, nothing but an empty one can take the place. Not every file system has hard links.
    let is_dir = stat(from)?.is_some_and(|stat| stat.kind == FileKind::Dir);
    match if is_dir {
        Err(Errno::PERM)
    } else {
        rustix::fs::link(from, to)
    } {
        Ok(()) => {
            remove_file(from)?;
        }
        Err(Errno::EXIST) => return Ok(false),
        Err(_) => fs::rename(from, to).map_err(at(Attempt::Rename, from))?,
    }
    sync_parent(to).map(|()| true)
}

/// What `lstat` says about a path; `None` when it does not exist.
///
/// # Errors
/// When it cannot be asked.
pub fn stat(path: &Path) -> Result<Option<Stat>> {
    match rustix::fs::lstat(path) {
        Ok(stat) => Ok(Some(Stat::from(stat))),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
        Err(error) => Err(at(Attempt::Stat, path)(error)),
    }
}

/// The absolute path with all symbolic links resolved.
///
/// # Errors
/// When it does not exist.
pub fn canonicalize(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(at(Attempt::Open, path))
}

/// The names in a directory, in no order.
///
/// # Errors
/// When it cannot be listed.
pub fn list(path: &Path) -> Result<Vec<std::ffi::OsString>> {
    let entries = fs::read_dir(path).map_err(at(Attempt::List, path))?;
    entries
        .map(|entry| entry.map(|e| e.file_name()).map_err(at(Attempt::List, path)))
        .collect()
}

/// Bytes free to this user on the file system of `path`.
///
/// # Errors
/// When it cannot be asked.
pub fn free_space(path: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(path).map_err(at(Attempt::Stat, path))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The columns of the terminal that standard output is; `None` if it is none.
#[must_use]
pub fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Makes the entry of `path` in its directory durable.
///
/// # Errors
/// When the directory cannot be synced.
pub fn sync_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => sync_dir(Path::new(".")),
    }
}

/// Makes the entries of a directory durable.
fn sync_dir(dir: &Path) -> Result<()> {
    fault::pass(Attempt::Sync, dir)?;
    let open = fs::File::open(dir).map_err(at(Attempt::Open, dir))?;
    open.sync_all().map_err(at(Attempt::Sync, dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_mapped_is_read() {
        let dir = tempfile::tempdir().unwrap();
        for content in [&b""[..], b"content"] {
            let path = dir.path().join("file");
            std::fs::write(&path, content).unwrap();
            let file = open(&path).unwrap();
            let read = in_memory(&file, &path, io::ErrorKind::Unsupported.into()).unwrap();
            assert_eq!(&read[..], content);
            assert_eq!(&map(&path).unwrap()[..], content);
            assert_eq!(&map_or_read(&path).unwrap()[..], content);
            assert!(!probe::is_remote(&file));
        }
    }
}
