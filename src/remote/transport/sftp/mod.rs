//! A store in a directory of a server that is reached by SSH.
//!
//! Objects are written in the store's own `tmp/`, synced as far as the server knows how, linked to their key (a link
//! never replaces a file: a true creation) or renamed over it, where an object may be replaced. Temporary files and
//! `tmp/` never appear in listings; what an interrupted command left there is removed by a later one, a day after.
//!
//! This is not OpenDAL's SFTP, which writes in place, cannot link, and has a process for every request at a time.

mod files;
mod session;

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use openssh_sftp_client::error::SftpErrorKind;
use openssh_sftp_client::file::File;
use openssh_sftp_client::metadata::MetaData;

use self::files::{Trouble, patient};
use self::session::{Failed, Session, Target};
use super::error::{Place, Source, TransportError};
use super::pace::Pace;
use super::traffic::{Counters, Traffic, add};
use super::unique::unique;
use super::url::RemoteSpec;
use super::wire::drive;
use super::{Body, ObjectMeta, PutMode, PutOutcome, Result, Transport, check_key, check_prefix};
use crate::progress::Progress;

/// What is older in `tmp/` was left by somebody who is gone.
const LEFT: Duration = Duration::from_hours(24);
/// Directories below this depth are not listed; a store is three levels deep.
const MAX_DEPTH: usize = 16;

/// A directory of a server as a remote.
pub(super) struct SftpTransport {
    target: Target,
    root: PathBuf,
    name: Arc<str>,
    pace: Pace,
    progress: Arc<Progress>,
    counters: Counters,
    session: tokio::sync::Mutex<Option<Arc<Session>>>,
    swept: AtomicBool,
    /// Whether links were refused although the server knows them, as on some file systems.
    no_links: AtomicBool,
    /// Directories that are known to exist.
    made: Mutex<std::collections::HashSet<PathBuf>>,
}

/// A server, as a URL names it.
pub(super) struct Server<'a> {
    pub(super) user: Option<&'a str>,
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
    pub(super) path: &'a str,
}

/// What a call came to: a failure of the session, or what the server answered.
type Answer<T> = std::result::Result<T, Trouble>;

impl SftpTransport {
    /// Prepares a connection, which keeps to `pace`; makes none.
    pub(super) fn open(server: &Server<'_>, spec: &RemoteSpec, pace: Pace, progress: Arc<Progress>) -> Self {
        let user = server.user.map(str::to_owned).or_else(|| spec.user.clone());
        let port = server.port.map(u32::from).or(spec.port);
        let shown_user = user.as_ref().map_or_else(String::new, |user| format!("{user}@"));
        let shown_port = port.map_or_else(String::new, |port| format!(":{port}"));
        Self {
            name: format!("ssh://{shown_user}{}{shown_port}/{}", server.host, server.path).into(),
            target: Target {
                user,
                host: server.host.to_owned(),
                port,
                keyfile: spec.keyfile.clone(),
                program: spec.ssh.clone(),
            },
            root: Path::new("/").join(server.path),
            pace,
            progress,
            counters: Counters::default(),
            session: tokio::sync::Mutex::new(None),
            swept: AtomicBool::new(false),
            no_links: AtomicBool::new(false),
            made: Mutex::default(),
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

    async fn session(&self) -> Result<Arc<Session>> {
        let mut slot = self.session.lock().await;
        if let Some(session) = slot.as_ref() {
            return Ok(Arc::clone(session));
        }
        let session = Session::connect(&self.target, self.pace.clone())
            .await
            .map_err(|error| self.no_session(error))?;
        let session = Arc::new(session);
        *slot = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Runs one call to its end, or until the operation is interrupted.
    fn run<T>(&self, key: &str, work: impl AsyncFnOnce(&Session) -> Answer<T>) -> Result<Answer<T>> {
        let work = async {
            let session = self.session().await?;
            let answer = work(&session).await;
            let broken = match &answer {
                Err(trouble @ Trouble::Sftp(_)) => trouble.answer().is_none(),
                Err(Trouble::Idle) => true,
                _ => false,
            };
            if broken {
                let mut slot = self.session.lock().await;
                // Another thread may have made a new one meanwhile.
                if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, &session)) {
                    *slot = None;
                }
            }
            Ok(match answer {
                Err(Trouble::Sftp(error)) if broken => {
                    let words = session.words();
                    let words = if words.is_empty() { error.to_string() } else { words };
                    return Err(TransportError::Disconnected {
                        place: self.place(key),
                        source: words.into(),
                    });
                }
                answer => answer,
            })
        };
        drive(&self.progress, || self.place(key), work)?
    }

    /// Why there is no connection.
    fn no_session(&self, error: Failed) -> TransportError {
        let place = self.place("");
        if let Some(key) = session::missing_key(&self.target) {
            return TransportError::NoCredentials {
                place,
                source: format!("there is no key file {}", key.display()).into(),
            };
        }
        match error {
            Failed::NoProgram(error) => TransportError::Failed {
                place,
                source: format!("the program `ssh` cannot be run: {error}").into(),
            },
            Failed::Login(words) => TransportError::Unauthenticated {
                place,
                source: words.into(),
            },
            Failed::HostKey(words) => TransportError::HostKey {
                place,
                target: self.target.words(),
                changed: words.contains("has changed"),
                source: words.into(),
            },
            Failed::NoSftp(words) => TransportError::Unsupported {
                place,
                source: words.into(),
            },
            Failed::Unreachable(words) => TransportError::Unreachable {
                place,
                source: words.into(),
            },
            Failed::TimedOut(after) => TransportError::TimedOut { place, after },
        }
    }

    /// What a server's answer means.
    fn error(&self, key: &str, trouble: Trouble) -> TransportError {
        let place = self.place(key);
        match trouble {
            Trouble::Idle => TransportError::TimedOut {
                place,
                after: self.pace.idle(),
            },
            Trouble::Local(error) => TransportError::Upload {
                place,
                source: error.into(),
            },
            Trouble::NoFile => TransportError::NotFound(place),
            Trouble::Short => TransportError::Truncated {
                place,
                source: "the file became shorter".into(),
            },
            Trouble::Sftp(error) => {
                let (kind, source): (_, Source) = match &error {
                    openssh_sftp_client::Error::SftpError(kind, said) => {
                        let said: String = said.get().0.chars().filter(|c| !c.is_control()).collect();
                        (Some(*kind), format!("the server says: {said}").into())
                    }
                    _ => (None, error.into()),
                };
                match kind {
                    Some(SftpErrorKind::NoSuchFile) => TransportError::NotFound(place),
                    Some(SftpErrorKind::PermDenied) => TransportError::Denied { place, source },
                    Some(SftpErrorKind::OpUnsupported) => TransportError::Unsupported { place, source },
                    _ => TransportError::Failed { place, source },
                }
            }
        }
    }

    /// Opens an object; only regular files are objects.
    async fn object(&self, session: &Session, path: &Path) -> Answer<(File, u64)> {
        let mut options = session.sftp.options();
        options.read(true);
        let mut file = match patient(session.pace.idle(), options.open(path)).await {
            Ok(file) => file,
            // A directory cannot be opened; neither can what is below a file.
            Err(trouble) if matches!(trouble.answer(), Some(SftpErrorKind::Failure)) => {
                return match stat(session, path).await {
                    Ok(Some(meta)) if is_file(&meta) => Err(trouble),
                    Ok(_) => Err(Trouble::NoFile),
                    Err(_) => Err(trouble),
                };
            }
            Err(trouble) => return Err(trouble),
        };
        let meta = patient(session.pace.idle(), file.metadata()).await?;
        if !is_file(&meta) {
            return Err(Trouble::NoFile);
        }
        Ok((file, meta.len().unwrap_or(0)))
    }

    /// Makes a directory and those it is in, up to one that exists.
    async fn make_dirs(&self, session: &Session, dir: &Path) -> Answer<()> {
        let known = |dir: &Path| self.made.lock().unwrap_or_else(PoisonError::into_inner).contains(dir);
        if known(dir) {
            return Ok(());
        }
        let mut missing = Vec::new();
        for level in dir.ancestors() {
            if known(level) || stat(session, level).await?.is_some() {
                break;
            }
            missing.push(level);
        }
        for level in missing.iter().rev() {
            let mut fs = session.sftp.fs();
            match patient(session.pace.idle(), fs.create_dir(level)).await {
                Ok(()) => {}
                // Somebody else made it.
                Err(_) if stat(session, level).await?.is_some() => {}
                Err(trouble) => return Err(trouble),
            }
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.insert(dir.to_owned());
        Ok(())
    }

    /// Gives a written file its key; `false` when the key exists and is not to be replaced.
    async fn publish(&self, session: &Session, from: &Path, to: &Path, mode: PutMode) -> Answer<bool> {
        if let Some(parent) = to.parent() {
            self.make_dirs(session, parent).await?;
        }
        let mut fs = session.sftp.fs();
        if mode == PutMode::IfAbsent {
            if session.sftp.support_hardlink() && !self.no_links.load(Relaxed) {
                match patient(session.pace.idle(), fs.hard_link(from, to)).await {
                    Ok(()) => {
                        // One that stays is swept later.
                        let _ = patient(session.pace.idle(), fs.remove_file(from)).await;
                        return Ok(true);
                    }
                    Err(trouble) if trouble.answer().is_none() => return Err(trouble),
                    Err(trouble) => {
                        if stat(session, to).await?.is_some() {
                            return Ok(false);
                        }
                        if matches!(
                            trouble.answer(),
                            Some(SftpErrorKind::PermDenied | SftpErrorKind::NoSuchFile)
                        ) {
                            return Err(trouble);
                        }
                        self.no_links.store(true, Relaxed);
                    }
                }
            }
            if stat(session, to).await?.is_some() {
                return Ok(false);
            }
        } else if !session.sftp.support_posix_rename() {
            // The plain rename of the protocol replaces nothing.
            match patient(session.pace.idle(), fs.remove_file(to)).await {
                Err(trouble) if !trouble.is_missing() => return Err(trouble),
                _ => {}
            }
        }
        patient(session.pace.idle(), fs.rename(from, to)).await.map(|()| true)
    }

    /// Removes what others left long ago, as far as that is possible.
    async fn sweep(&self, session: &Session, tmp: &Path) {
        let Ok(Some(entries)) = files::entries(session, tmp).await else {
            return;
        };
        for entry in entries {
            let modified = modified(&entry.metadata());
            let age = modified.and_then(|then| SystemTime::now().duration_since(then).ok());
            if age.is_some_and(|age| age > LEFT) && is_file(&entry.metadata()) {
                let _ = patient(
                    session.pace.idle(),
                    session.sftp.fs().remove_file(tmp.join(entry.filename())),
                )
                .await;
            }
        }
    }

    async fn store(&self, session: &Session, path: &Path, source: &files::Source, mode: PutMode) -> Answer<bool> {
        let tmp = self.root.join("tmp");
        if !self.swept.swap(true, Relaxed) {
            self.sweep(session, &tmp).await;
        }
        if mode == PutMode::IfAbsent && stat(session, path).await?.is_some() {
            return Ok(false);
        }
        self.make_dirs(session, &tmp).await?;
        let temporary = tmp.join(unique());
        let mut written = files::write(session, &temporary, source).await;
        if matches!(&written, Err(trouble) if trouble.is_missing()) {
            // Somebody removed directories that were there before.
            self.made.lock().unwrap_or_else(PoisonError::into_inner).clear();
            self.make_dirs(session, &tmp).await?;
            written = files::write(session, &temporary, source).await;
        }
        let done = match written {
            Ok(()) => self.publish(session, &temporary, path, mode).await,
            Err(trouble) => Err(trouble),
        };
        if !matches!(done, Ok(true)) {
            let _ = patient(session.pace.idle(), session.sftp.fs().remove_file(&temporary)).await;
        }
        done
    }

    async fn walk(&self, session: &Session, prefix: &str) -> Answer<Vec<ObjectMeta>> {
        let base = prefix.rfind('/').map_or("", |end| &prefix[..end]);
        let mut todo = VecDeque::from([(base.to_owned(), 0)]);
        let mut found = Vec::new();
        while let Some((dir, depth)) = todo.pop_front() {
            let path = if dir.is_empty() {
                self.root.clone()
            } else {
                self.root.join(&dir)
            };
            // Removed since its name was read, or not there yet.
            let Some(entries) = files::entries(session, &path).await? else {
                continue;
            };
            for entry in entries {
                // A name that is not text was not given by a store.
                let Some(name) = entry.filename().to_str() else {
                    continue;
                };
                let key = if dir.is_empty() {
                    name.to_owned()
                } else {
                    format!("{dir}/{name}")
                };
                if !check_key(&key) || !(key.starts_with(prefix) || prefix.starts_with(&key)) {
                    continue;
                }
                let mut meta = entry.metadata();
                if meta.file_type().is_none_or(|kind| kind.is_symlink()) {
                    // An administrator may have moved `packs/` to another disk.
                    let Some(target) = stat(session, &path.join(name)).await? else {
                        continue;
                    };
                    meta = target;
                }
                if meta.file_type().is_some_and(|kind| kind.is_dir()) {
                    if depth < MAX_DEPTH {
                        todo.push_back((key, depth + 1));
                    }
                } else if is_file(&meta) && key.starts_with(prefix) {
                    found.push(object_meta(key, &meta));
                }
            }
        }
        found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }
}

/// What is at a path, links followed; `None` when nothing is.
async fn stat(session: &Session, path: &Path) -> Answer<Option<MetaData>> {
    match patient(session.pace.idle(), session.sftp.fs().metadata(path)).await {
        Ok(meta) => Ok(Some(meta)),
        Err(trouble) if trouble.is_missing() => Ok(None),
        // What OpenSSH answers for a path below a file.
        Err(trouble) if matches!(trouble.answer(), Some(SftpErrorKind::Failure)) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

fn is_file(meta: &MetaData) -> bool {
    meta.file_type().is_none_or(|kind| kind.is_file())
}

fn modified(meta: &MetaData) -> Option<SystemTime> {
    meta.modified().map(|time| time.as_system_time())
}

fn object_meta(key: String, meta: &MetaData) -> ObjectMeta {
    ObjectMeta {
        key,
        size: meta.len().unwrap_or(0),
        modified: modified(meta),
        etag: None,
    }
}

impl Transport for SftpTransport {
    fn describe(&self) -> &str {
        &self.name
    }

    fn get(&self, key: &str, limit: u64) -> Result<Vec<u8>> {
        let path = self.path(key)?;
        add(&self.counters.gets, 1);
        let read = self.run(key, async |session| {
            let (file, size) = self.object(session, &path).await?;
            if size > limit {
                return Ok(None);
            }
            files::read(&self.pace, &file, 0, size).await.map(Some)
        })?;
        match read.map_err(|trouble| self.error(key, trouble))? {
            Some(bytes) => {
                add(&self.counters.bytes_down, bytes.len() as u64);
                Ok(bytes)
            }
            None => Err(TransportError::TooLarge {
                place: self.place(key),
                limit,
            }),
        }
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let path = self.path(key)?;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        add(&self.counters.gets, 1);
        let read = self.run(key, async |session| {
            let (file, size) = self.object(session, &path).await?;
            if range.end > size {
                return Ok(None);
            }
            files::read(&self.pace, &file, range.start, range.end).await.map(Some)
        })?;
        match read.map_err(|trouble| self.error(key, trouble))? {
            Some(bytes) => {
                add(&self.counters.bytes_down, bytes.len() as u64);
                Ok(bytes)
            }
            None => Err(TransportError::OutOfRange {
                place: self.place(key),
                start: range.start,
                end: range.end,
            }),
        }
    }

    fn put(&self, key: &str, body: &Body, mode: PutMode) -> Result<PutOutcome> {
        let path = self.path(key)?;
        add(&self.counters.puts, 1);
        let source = match body {
            Body::Bytes(bytes) => files::Source::Memory(bytes.clone()),
            Body::File(path) => {
                let upload = |error: crate::fs::FsError| TransportError::Upload {
                    place: self.place(key),
                    source: error.into(),
                };
                let file = crate::fs::open(path).map_err(upload)?;
                let size = crate::fs::stat_file(&file, path).map_err(upload)?.size;
                files::Source::File(Arc::new(file), size)
            }
        };
        let stored = self.run(key, async |session| self.store(session, &path, &source, mode).await)?;
        match stored {
            Ok(true) => {
                add(&self.counters.bytes_up, source.len());
                Ok(PutOutcome::Created)
            }
            Ok(false) => Ok(PutOutcome::Existed),
            Err(trouble) => Err(match self.error(key, trouble) {
                // What is missing is a directory, which somebody removes while this writes.
                TransportError::NotFound(place) => TransportError::Failed {
                    place,
                    source: "a directory is missing on the server and cannot be made, or a file has its name".into(),
                },
                error => error,
            }),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        if !check_prefix(prefix) {
            return Err(TransportError::InvalidKey(self.place(prefix)));
        }
        add(&self.counters.lists, 1);
        self.run(prefix, async |session| self.walk(session, prefix).await)?
            .map_err(|trouble| self.error(prefix, trouble))
    }

    fn stat(&self, key: &str) -> Result<Option<ObjectMeta>> {
        let path = self.path(key)?;
        add(&self.counters.stats, 1);
        let meta = self
            .run(key, async |session| stat(session, &path).await)?
            .map_err(|trouble| self.error(key, trouble))?;
        Ok(meta.filter(is_file).map(|meta| object_meta(key.to_owned(), &meta)))
    }

    fn delete(&self, key: &str) -> Result<()> {
        let path = self.path(key)?;
        add(&self.counters.deletes, 1);
        match self.run(key, async |session| {
            patient(session.pace.idle(), session.sftp.fs().remove_file(&path)).await
        })? {
            Ok(()) => Ok(()),
            Err(trouble) if trouble.is_missing() => Ok(()),
            Err(trouble) => Err(self.error(key, trouble)),
        }
    }

    fn traffic(&self) -> Traffic {
        self.counters.snapshot()
    }
}
