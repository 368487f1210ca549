//! A store in a directory, on this file system or another.
//!
//! Objects are written in the store's own `tmp/`, synced, renamed (or linked, where an object must not be
//! replaced), and their directory is synced. Temporary files and `tmp/` never appear in listings.
//! The root must exist unless creation was asked for: a missing root is most likely a disk that is not mounted.

use crate::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Place, TransportError};
use super::pace::Pace;
use super::traffic::{Counters, Traffic, add};
use super::{Body, ObjectMeta, PutMode, PutOutcome, Result, Transport, check_key, check_prefix};
use crate::fs::{self, Attempt, FileKind, FsError, Stat, TempFile};

/// Directories below this depth are not listed; a store is three levels deep.
const MAX_DEPTH: usize = 16;
/// Bytes that are copied at a time where there is a limit.
const PIECE: u64 = 256 << 10;

/// A directory as a remote.
#[derive(Debug)]
pub struct DirTransport {
    root: PathBuf,
    name: Arc<str>,
    counters: Counters,
    pace: Option<Pace>,
}

impl DirTransport {
    /// Opens the directory `root`; creates it and its parents if `create`.
    ///
    /// # Errors
    /// [`TransportError::NoRemote`] when it does not exist, others when it cannot be used.
    pub fn open(root: &Path, create: bool) -> Result<Self> {
        let name: Arc<str> = crate::path::quote(std::os::unix::ffi::OsStrExt::as_bytes(root.as_os_str())).into();
        let place = || Place::new(Arc::clone(&name), "");
        if create {
            fs::create_dir_all(root).map_err(|error| failure(place(), error))?;
        }
        let root = match fs::canonicalize(root) {
            Ok(root) => root,
            Err(error) if error.is_not_found() => return Err(no_remote(place())),
            Err(error) => return Err(failure(place(), error)),
        };
        match fs::stat(&root).map_err(|error| failure(place(), error))? {
            Some(stat) if stat.kind == FileKind::Dir => {}
            _ => return Err(no_remote(place())),
        }
        Ok(Self {
            root,
            name,
            counters: Counters::default(),
            pace: None,
        })
    }

    /// Keeps to a pace: a directory may be on another machine.
    pub(super) fn paced(self, pace: Pace) -> Self {
        Self {
            pace: Some(pace),
            ..self
        }
    }

    /// Waits until these bytes may move.
    fn wait(&self, key: &str, bytes: u64) -> Result<()> {
        match &self.pace {
            Some(pace) => pace.block(bytes, || TransportError::Interrupted(self.place(key))),
            None => Ok(()),
        }
    }

    /// Copies a file piece by piece, as fast as it may.
    fn copy(&self, key: &str, source: &File, path: &Path, to: &mut TempFile, piece: u64) -> Result<u64> {
        let mut bytes = vec![0; usize::try_from(piece).unwrap_or(0).max(1)];
        let mut at = 0;
        loop {
            let read = match source.read_at(&mut bytes, at) {
                Ok(0) => return Ok(at),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(TransportError::Upload {
                        place: self.place(key),
                        source: fs::at(Attempt::Read, path)(error).into(),
                    });
                }
            };
            self.wait(key, read as u64)?;
            to.write_all(&bytes[..read])
                .map_err(|error| failure(self.place(key), error))?;
            at += read as u64;
        }
    }

    fn place(&self, key: &str) -> Place {
        Place::new(Arc::clone(&self.name), key)
    }

    fn path(&self, key: &str) -> Result<PathBuf> {
        if check_key(key) {
            Ok(self.root.join(key))
        } else {
            Err(TransportError::InvalidKey(self.place(key)))
        }
    }

    /// A key's error: if even the root is gone, that is what to report.
    fn failure(&self, key: &str, error: FsError) -> TransportError {
        if error.is_not_found() {
            return match fs::stat(&self.root) {
                Ok(None) => no_remote(self.place("")),
                _ => TransportError::NotFound(self.place(key)),
            };
        }
        failure(self.place(key), error)
    }

    /// Opens an object; only regular files are objects.
    fn object(&self, key: &str) -> Result<(File, Stat)> {
        let path = self.path(key)?;
        let stat = follow(&path).map_err(|error| self.failure(key, error))?;
        if stat.is_some_and(|stat| stat.kind == FileKind::File) {
            let file = fs::open(&path).map_err(|error| self.failure(key, error))?;
            let stat = fs::stat_file(&file, &path).map_err(|error| self.failure(key, error))?;
            return Ok((file, stat));
        }
        match fs::stat(&self.root) {
            Ok(None) => Err(no_remote(self.place(""))),
            _ => Err(TransportError::NotFound(self.place(key))),
        }
    }

    /// Creates what is missing of a directory below the root, durably, but never the root itself.
    fn create_dirs(&self, dir: &Path, key: &str) -> Result<()> {
        let fail = |error| failure(self.place(key), error);
        let mut missing = Vec::new();
        for level in dir.ancestors() {
            if fs::stat(level).map_err(fail)?.is_some() {
                break;
            }
            if level == self.root {
                return Err(no_remote(self.place("")));
            }
            missing.push(level);
        }
        fs::create_dir_all(dir).map_err(fail)?;
        for level in missing {
            fs::sync_parent(level).map_err(fail)?;
        }
        Ok(())
    }

    fn write(&self, key: &str, body: &Body) -> Result<TempFile> {
        let fail = |error| failure(self.place(key), error);
        let tmp = self.root.join("tmp");
        let mut file = match TempFile::create_in(&tmp) {
            Err(error) if error.is_not_found() => {
                self.create_dirs(&tmp, key)?;
                TempFile::create_in(&tmp)
            }
            result => result,
        }
        .map_err(fail)?;
        let written = match body {
            Body::Bytes(bytes) => {
                self.wait(key, bytes.len() as u64)?;
                file.write_all(bytes).map_err(fail)?;
                bytes.len() as u64
            }
            Body::File(path) => {
                let upload = |error: FsError| TransportError::Upload {
                    place: self.place(key),
                    source: error.into(),
                };
                let source = fs::open(path).map_err(upload)?;
                let size = fs::stat_file(&source, path).map_err(upload)?.size;
                let pace = self.pace.as_ref().filter(|pace| pace.rate().is_some());
                let copied = match pace.map(|pace| pace.piece(PIECE)) {
                    Some(piece) => self.copy(key, &source, path, &mut file, piece)?,
                    None => file.copy_from(&source).map_err(fail)?,
                };
                if copied != size {
                    let changed = io::Error::new(io::ErrorKind::InvalidData, "the file changed while it was read");
                    return Err(upload(fs::at(Attempt::Read, path)(changed)));
                }
                copied
            }
        };
        add(&self.counters.bytes_up, written);
        Ok(file)
    }

    /// Gives a complete and synced file of the same file system its key. It is gone from where it was, unless the key
    /// existed and was not to be replaced.
    ///
    /// # Errors
    /// As [`Transport::put`].
    pub fn adopt(&self, key: &str, file: &Path, mode: PutMode) -> Result<PutOutcome> {
        let path = self.path(key)?;
        let fail = |error| failure(self.place(key), error);
        let parent = path.parent().unwrap_or(&self.root);
        if fs::stat(parent).map_err(fail)?.is_none() {
            self.create_dirs(parent, key)?;
        }
        let moved = match mode {
            PutMode::Overwrite => fs::rename(file, &path).map(|()| true),
            PutMode::IfAbsent => fs::rename_new(file, &path),
        };
        match moved {
            Ok(true) => {
                add(&self.counters.puts, 1);
                Ok(PutOutcome::Created)
            }
            Ok(false) => Ok(PutOutcome::Existed),
            // An administrator may have moved `packs/` to another disk.
            Err(error) if error.source.kind() == io::ErrorKind::CrossesDevices => {
                let outcome = self.put(key, &Body::file(file), mode)?;
                fs::remove_file(file).map_err(fail)?;
                Ok(outcome)
            }
            Err(error) => Err(fail(error)),
        }
    }

    fn walk(&self, dir: &Path, key: &str, prefix: &str, depth: usize, found: &mut Vec<ObjectMeta>) -> Result<()> {
        let names = match fs::list(dir) {
            Ok(names) => names,
            // Removed since its name was read.
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(self.failure(key, error)),
        };
        for name in names {
            // A name that is not text was not given by a store.
            let Some(text) = name.to_str() else { continue };
            let key = if key.is_empty() {
                text.to_owned()
            } else {
                format!("{key}/{text}")
            };
            if TempFile::is_temp_name(&name) || !check_key(&key) {
                continue;
            }
            let inside = key.starts_with(prefix);
            if !inside && !prefix.starts_with(&key) {
                continue;
            }
            let path = dir.join(text);
            match follow(&path).map_err(|error| self.failure(&key, error))? {
                Some(stat) if stat.kind == FileKind::Dir && depth < MAX_DEPTH => {
                    self.walk(&path, &key, prefix, depth + 1, found)?;
                }
                Some(stat) if stat.kind == FileKind::File && inside => found.push(meta(key, &stat)),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Transport for DirTransport {
    fn describe(&self) -> &str {
        &self.name
    }

    fn get(&self, key: &str, limit: u64) -> Result<Vec<u8>> {
        add(&self.counters.gets, 1);
        self.object(key)?;
        let path = self.path(key)?;
        let bytes = fs::read(&path, limit).map_err(|error| match error.source.kind() {
            io::ErrorKind::FileTooLarge => TransportError::TooLarge {
                place: self.place(key),
                limit,
            },
            _ => self.failure(key, error),
        })?;
        add(&self.counters.bytes_down, bytes.len() as u64);
        self.wait(key, bytes.len() as u64)?;
        Ok(bytes)
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let outside = || TransportError::OutOfRange {
            place: self.place(key),
            start: range.start,
            end: range.end,
        };
        if range.is_empty() {
            return self.path(key).map(|_| Vec::new());
        }
        add(&self.counters.gets, 1);
        let (file, stat) = self.object(key)?;
        if range.end > stat.size {
            return Err(outside());
        }
        let len = usize::try_from(range.end - range.start).map_err(|_| outside())?;
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, range.start).map_err(|error| {
            let truncated = error.kind() == io::ErrorKind::UnexpectedEof;
            let error = fs::at(Attempt::Read, &self.root.join(key))(error);
            if truncated {
                TransportError::Truncated {
                    place: self.place(key),
                    source: error.into(),
                }
            } else {
                self.failure(key, error)
            }
        })?;
        add(&self.counters.bytes_down, bytes.len() as u64);
        self.wait(key, bytes.len() as u64)?;
        Ok(bytes)
    }

    fn put(&self, key: &str, body: &Body, mode: PutMode) -> Result<PutOutcome> {
        add(&self.counters.puts, 1);
        let path = self.path(key)?;
        let fail = |error| failure(self.place(key), error);
        if mode == PutMode::IfAbsent && fs::stat(&path).map_err(fail)?.is_some() {
            return Ok(PutOutcome::Existed);
        }
        let file = self.write(key, body)?;
        let parent = path.parent().unwrap_or(&self.root);
        if fs::stat(parent).map_err(fail)?.is_none() {
            self.create_dirs(parent, key)?;
        }
        match mode {
            PutMode::Overwrite => file.persist(&path).map_err(fail)?,
            PutMode::IfAbsent => {
                if !file.persist_new(&path).map_err(fail)? {
                    return Ok(PutOutcome::Existed);
                }
            }
        }
        Ok(PutOutcome::Created)
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        if !check_prefix(prefix) {
            return Err(TransportError::InvalidKey(self.place(prefix)));
        }
        add(&self.counters.lists, 1);
        if fs::stat(&self.root).map_err(|error| self.failure("", error))?.is_none() {
            return Err(no_remote(self.place("")));
        }
        let base = prefix.rfind('/').map_or("", |end| &prefix[..end]);
        let dir = if base.is_empty() {
            self.root.clone()
        } else {
            self.root.join(base)
        };
        let mut found = Vec::new();
        self.walk(&dir, base, prefix, 0, &mut found)?;
        found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    fn stat(&self, key: &str) -> Result<Option<ObjectMeta>> {
        add(&self.counters.stats, 1);
        match self.object(key) {
            Ok((_, stat)) => Ok(Some(meta(key.to_owned(), &stat))),
            Err(TransportError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn delete(&self, key: &str) -> Result<()> {
        add(&self.counters.deletes, 1);
        let path = self.path(key)?;
        match fs::remove_file(&path) {
            Ok(true) => fs::sync_parent(&path).map_err(|error| self.failure(key, error)),
            Ok(false) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(self.failure(key, error)),
        }
    }

    fn traffic(&self) -> Traffic {
        self.counters.snapshot()
    }
}

/// `stat`, following links: an administrator may have moved `packs/` to another disk.
fn follow(path: &Path) -> fs::Result<Option<Stat>> {
    match fs::stat(path)? {
        Some(stat) if stat.kind == FileKind::Symlink => match fs::canonicalize(path) {
            Ok(target) => fs::stat(&target),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        },
        stat => Ok(stat),
    }
}

fn meta(key: String, stat: &Stat) -> ObjectMeta {
    ObjectMeta {
        key,
        size: stat.size,
        modified: Some(stat.modified()),
        etag: None,
    }
}

fn no_remote(place: Place) -> TransportError {
    TransportError::NoRemote {
        place: Place {
            key: String::new(),
            ..place
        },
        what: "directory",
    }
}

/// What a file system error means.
fn failure(place: Place, error: FsError) -> TransportError {
    let kind = error.source.kind();
    let source = error.into();
    match kind {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => TransportError::NotFound(place),
        io::ErrorKind::PermissionDenied => TransportError::Denied { place, source },
        io::ErrorKind::ReadOnlyFilesystem => TransportError::ReadOnly { place, source },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => TransportError::NoSpace { place, source },
        // A network file system that lost its server.
        io::ErrorKind::StaleNetworkFileHandle | io::ErrorKind::HostUnreachable | io::ErrorKind::NotConnected => {
            TransportError::Disconnected { place, source }
        }
        _ => TransportError::Failed { place, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_become_what_to_do() {
        let mapped = |code| {
            let place = Place::new("/r", "k");
            failure(
                place,
                fs::at(Attempt::Write, Path::new("/r/k"))(io::Error::from_raw_os_error(code)),
            )
        };
        use rustix::io::Errno;
        assert!(matches!(
            mapped(Errno::ROFS.raw_os_error()),
            TransportError::ReadOnly { .. }
        ));
        assert!(matches!(
            mapped(Errno::NOSPC.raw_os_error()),
            TransportError::NoSpace { .. }
        ));
        assert!(matches!(
            mapped(Errno::DQUOT.raw_os_error()),
            TransportError::NoSpace { .. }
        ));
        assert!(matches!(
            mapped(Errno::ACCESS.raw_os_error()),
            TransportError::Denied { .. }
        ));
        assert!(matches!(
            mapped(Errno::PERM.raw_os_error()),
            TransportError::Denied { .. }
        ));
        assert!(matches!(
            mapped(Errno::IO.raw_os_error()),
            TransportError::Failed { .. }
        ));
        let text = mapped(Errno::NOSPC.raw_os_error()).to_string();
        assert_eq!(text, "no space left for `k` in remote `/r`");
    }

    #[test]
    fn leftovers_and_links_do_not_disturb() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("store");
        assert!(matches!(
            DirTransport::open(&root, false),
            Err(TransportError::NoRemote { what: "directory", .. })
        ));
        let remote = DirTransport::open(&root, true).unwrap();
        std::fs::create_dir_all(root.join("tmp")).unwrap();
        std::fs::write(root.join("tmp/.modver-tmp-1"), "x").unwrap();
        std::fs::write(root.join(".modver-tmp-2"), "x").unwrap();
        std::fs::create_dir(dir.path().join("disk2")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("disk2"), root.join("packs")).unwrap();
        std::os::unix::fs::symlink(&root, root.join("loop")).unwrap();
        std::fs::remove_file(root.join("loop")).unwrap();
        remote
            .put("packs/ab/x", &b"1".to_vec().into(), PutMode::IfAbsent)
            .unwrap();
        let keys: Vec<_> = remote.list("").unwrap().into_iter().map(|o| o.key).collect();
        assert_eq!(keys, ["packs/ab/x"]);
        assert!(dir.path().join("disk2/ab/x").exists());
        assert_eq!(
            std::fs::read_dir(root.join("tmp")).unwrap().count(),
            1,
            "our own temporaries are gone"
        );
        assert!(matches!(remote.get("packs/ab", 9), Err(TransportError::NotFound(_))));

        std::fs::remove_dir_all(&root).unwrap();
        let gone = |error| matches!(error, TransportError::NoRemote { .. });
        assert!(gone(remote.list("").unwrap_err()));
        assert!(gone(remote.get("a", 9).unwrap_err()));
        assert!(gone(remote.put("a", &vec![1].into(), PutMode::IfAbsent).unwrap_err()));
        assert!(!root.exists(), "a root that vanished is not made again");
    }
}
