//! A plain URL as a source: a file over HTTP, an object or prefix on S3, a file or directory of this machine.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::desk::Desk;
use super::{files, of_source, shown};
use crate::fs::{self, FileKind, TempFile};
use crate::git::UrlImport;
use crate::hash::FileId;
use crate::object::Node;
use crate::progress::{Phase, Progress};
use crate::remote::transport::{
    self, Location, ObjectMeta, ObjectReader, RemoteSpec, Transport, TransportError, Version, WebReader,
};
use crate::repo::{Output, RepoError, Result, places};
use crate::store::{PackKind, Transaction};
use crate::workspace::{IgnoreRules, Mode, Scan, ScanRequest, Scopes, scan};

/// How often a file is read that changed meanwhile, or that can only be had from its beginning.
const ATTEMPTS: u32 = 3;
/// Bytes that are handed on at a time.
const PIECE: usize = 256 * 1024;

/// A plain URL or path.
pub(in crate::repo) struct UrlSource<'a> {
    desk: &'a Desk<'a>,
    url: String,
    place: Place,
}

enum Place {
    Web(WebReader),
    Object { transport: Box<dyn Transport>, key: String },
    Local(PathBuf),
}

/// Content of a URL that is in the cache now.
pub(in crate::repo) struct Fetched {
    pub(in crate::repo) node: Node,
    pub(in crate::repo) version: Version,
}

/// What is at a URL.
enum There {
    /// One file, and how many bytes it has.
    File(Version),
    /// A directory or prefix.
    Dir(Version, Vec<ObjectMeta>),
}

impl<'a> UrlSource<'a> {
    /// The place that `url` names; paths start at `base`.
    pub(in crate::repo) fn open(desk: &'a Desk<'a>, url: &str, base: &Path) -> Result<Self> {
        let open = || {
            let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
            if url.is_empty() || url.chars().any(char::is_control) {
                return Err(RepoError::BadSource { url: shown(url) });
            }
            if matches!(scheme.as_deref(), Some("http" | "https")) {
                let progress = std::sync::Arc::clone(&desk.progress);
                let reader = WebReader::new(progress, transport::RetryPolicy::default())?;
                return Ok(Place::Web(reader));
            }
            match Location::parse(url, base) {
                Ok(Location::Dir(path)) => match fs::canonicalize(&path) {
                    Err(error) if error.is_not_found() => Err(RepoError::NotFound { path }),
                    path => Ok(Place::Local(path?)),
                },
                Ok(Location::Http(_)) | Err(transport::UrlError::Scheme { .. }) => {
                    Err(RepoError::UnknownScheme { url: shown(url) })
                }
                Ok(location) => object_place(desk, url, &location),
                Err(source) => Err(TransportError::Url {
                    remote: shown(url),
                    source,
                }
                .into()),
            }
        };
        let place = open().map_err(of_source(url))?;
        Ok(Self {
            desk,
            url: url.to_owned(),
            place,
        })
    }

    /// The last name of the URL.
    pub(in crate::repo) fn name(&self) -> Result<String> {
        let end = self
            .url
            .find(['?', '#'])
            .filter(|_| matches!(self.place, Place::Web(_)));
        let path = &self.url[..end.unwrap_or(self.url.len())];
        let path = path
            .split_once("://")
            .map_or(path, |(_, rest)| rest.split_once('/').unwrap_or_default().1);
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        if matches!(name, "" | "." | "..") {
            return Err(RepoError::NoName { url: shown(&self.url) });
        }
        Ok(name.to_owned())
    }

    /// What is there now; `None` when it is still the version `known`.
    pub(in crate::repo) fn ask(&self, known: &Version) -> Result<Option<Version>> {
        self.desk.progress.start(Phase::Comparing, 0, 0);
        let ask = || {
            let now = match &self.place {
                Place::Web(reader) => return Ok(reader.ask(&self.url, known)?),
                _ => match self.look()? {
                    There::File(version) | There::Dir(version, _) => version,
                },
            };
            Ok((!now.is_same(known)).then_some(now))
        };
        ask().map_err(of_source(&self.url))
    }

    /// What is at an object's key or path, not on the web.
    fn look(&self) -> Result<There> {
        match &self.place {
            Place::Web(_) => Ok(There::File(Version::default())),
            Place::Object { transport, key } => {
                // With a slash at its end, an object is not what is meant.
                if !self.url.ends_with('/')
                    && let Some(object) = transport.stat(key)?
                {
                    return Ok(There::File(version_of(&object)));
                }
                let objects = transport.list(&format!("{key}/"))?;
                if objects.is_empty() {
                    return Err(RepoError::NothingThere { url: shown(&self.url) });
                }
                Ok(There::Dir(marks(objects.iter().map(describe)), objects))
            }
            Place::Local(path) => match fs::stat(path)? {
                None => Err(RepoError::NotFound { path: path.clone() }),
                Some(stat) if stat.kind == FileKind::Dir => {
                    Ok(There::Dir(marks(rows(&self.scan(path)?).into_iter()), Vec::new()))
                }
                Some(stat) => Ok(There::File(Version {
                    size: Some(stat.size),
                    etag: None,
                    modified: Some(seconds(stat.mtime_ns)),
                })),
            },
        }
    }

    fn scan(&self, path: &Path) -> Result<Scan> {
        let request = ScanRequest {
            root: path,
            state: None,
            ignore: &IgnoreRules::none(),
        };
        Ok(scan(&request, &self.desk.progress)?)
    }

    /// Brings what is there into the cache. If the output whose content it should be is given, nothing is read beyond
    /// its size: whoever serves it must not fill the disk with something else.
    pub(in crate::repo) fn fetch(&self, of: Option<&Output>) -> Result<Fetched> {
        let mut attempt = 1;
        loop {
            let cache = self.desk.cache()?;
            let transaction = cache.transaction(&self.desk.progress)?;
            let error = match self.store(&transaction, of) {
                Ok(Some(fetched)) => {
                    transaction.commit()?;
                    return Ok(fetched);
                }
                Ok(None) if attempt < ATTEMPTS => {
                    attempt += 1;
                    continue;
                }
                Ok(None) => RepoError::Restless { url: shown(&self.url) },
                Err(RepoError::Store(error)) => transaction.cause(error).into(),
                Err(error) => error,
            };
            self.desk.progress.check()?;
            return Err(of_source(&self.url)(error));
        }
    }

    /// `None`: it changed meanwhile, or has to be read from its beginning.
    fn store(&self, transaction: &Transaction, of: Option<&Output>) -> Result<Option<Fetched>> {
        let progress = &self.desk.progress;
        let check = |version: &Version| match of {
            Some(of) if version.size.is_some_and(|size| size != of.pointer.size) => Err(changed(of)),
            _ => Ok(()),
        };
        let mut left = of.map_or(u64::MAX, |of| of.pointer.size);
        let file = |id, size, version| {
            let node = Node::File {
                id,
                size,
                executable: false,
            };
            Ok(Some(Fetched { node, version }))
        };
        let name = PathBuf::from(shown(&self.url));
        match &self.place {
            Place::Web(reader) => {
                let mut stream = reader.open(&self.url)?;
                check(stream.version())?;
                progress.start(Phase::Fetching, 1, stream.version().size.unwrap_or(0));
                let mut limited = Limited::new(&mut stream, &mut left);
                let added = transaction.add_reader(PackKind::Data, &mut limited, &name);
                let exceeded = limited.exceeded;
                match (added, of) {
                    (_, Some(of)) if exceeded => Err(changed(of)),
                    (Ok((id, size)), _) => file(id, size, stream.version().clone()),
                    (Err(_), _) if stream.must_begin_again() => Ok(None),
                    (Err(error), _) => Err(error.into()),
                }
            }
            Place::Object { transport, key } => match self.look()? {
                There::File(version) => {
                    check(&version)?;
                    progress.start(Phase::Fetching, 1, version.size.unwrap_or(0));
                    let mut reader = ObjectReader::new(&**transport, object(key, &version));
                    let (id, size) = transaction.add_reader(PackKind::Data, &mut reader, &name)?;
                    if self.has_changed(&version)? {
                        return Ok(None);
                    }
                    file(id, size, version)
                }
                There::Dir(version, objects) => {
                    check(&version)?;
                    progress.start(Phase::Fetching, objects.len() as u64, version.size.unwrap_or(0));
                    let mut items = Vec::new();
                    for object in objects {
                        let inside = object.key.get(key.len() + 1..).unwrap_or_default();
                        let path = files::inside(inside.as_bytes()).ok_or_else(|| RepoError::BadKey {
                            key: object.key.clone(),
                        })?;
                        let mut reader = ObjectReader::new(&**transport, object);
                        let (id, size) = transaction.add_reader(PackKind::Data, &mut reader, &name)?;
                        let executable = false;
                        items.push((path, Node::File { id, size, executable }));
                        progress.advance(1, 0);
                    }
                    let node = files::directory(transaction, items)?;
                    if self.has_changed(&version)? {
                        return Ok(None);
                    }
                    Ok(Some(Fetched { node, version }))
                }
            },
            Place::Local(path) => {
                let (There::File(version) | There::Dir(version, _)) = self.look()?;
                check(&version)?;
                progress.start(Phase::Adding, 0, version.size.unwrap_or(0));
                let scan = self.scan(path)?;
                let none: &crate::store::Cache = self.desk.cache()?;
                let snapshot = scan.snapshot(Mode::Store(transaction), None, &Scopes::whole(), none, progress)?;
                let Some(node) = snapshot.node else {
                    return Err(RepoError::NotFound { path: path.clone() });
                };
                Ok(Some(Fetched { node, version }))
            }
        }
    }

    fn has_changed(&self, version: &Version) -> Result<bool> {
        let (There::File(now) | There::Dir(now, _)) = self.look()?;
        Ok(now != *version)
    }

    /// Hands a single file to a temporary file; `None` if it is no single file.
    pub(in crate::repo) fn download(&self, beside: &Path) -> Result<Option<(TempFile, Version)>> {
        let download = || {
            for _ in 0..ATTEMPTS {
                let mut out = TempFile::create_beside(beside)?;
                let (version, copied) = match &self.place {
                    Place::Web(reader) => {
                        let mut stream = reader.open(&self.url)?;
                        let version = stream.version().clone();
                        let copied = self.copy(&mut stream, &mut out, &version);
                        if copied.is_err() && stream.must_begin_again() {
                            continue;
                        }
                        (version, copied)
                    }
                    Place::Object { transport, key } => {
                        let There::File(version) = self.look()? else {
                            return Ok(None);
                        };
                        let mut reader = ObjectReader::new(&**transport, object(key, &version));
                        let copied = self.copy(&mut reader, &mut out, &version);
                        if copied.is_ok() && self.has_changed(&version)? {
                            continue;
                        }
                        (version, copied)
                    }
                    Place::Local(path) => {
                        let There::File(version) = self.look()? else {
                            return Ok(None);
                        };
                        let mut file = fs::open(path)?;
                        if fs::stat_file(&file, path)?.kind != FileKind::File {
                            return Err(RepoError::NotAFile { path: path.clone() });
                        }
                        if fs::stat(path)?.is_some_and(|stat| stat.is_executable()) {
                            out.set_mode(0o755)?;
                        }
                        let copied = self.copy(&mut file, &mut out, &version);
                        if copied.is_ok() && self.has_changed(&version)? {
                            continue;
                        }
                        (version, copied)
                    }
                };
                let size = copied?;
                if version.size.is_some_and(|expected| expected != size) {
                    continue;
                }
                return Ok(Some((out, version)));
            }
            Err(RepoError::Restless { url: shown(&self.url) })
        };
        download().map_err(of_source(&self.url))
    }

    fn copy(&self, from: &mut dyn Read, to: &mut TempFile, version: &Version) -> Result<u64> {
        let progress: &Progress = &self.desk.progress;
        progress.start(Phase::Fetching, 1, version.size.unwrap_or(0));
        let mut buffer = vec![0; PIECE];
        let mut copied = 0;
        loop {
            progress.check()?;
            let read = from.read(&mut buffer).map_err(|error| self.unreadable(error))?;
            if read == 0 {
                return Ok(copied);
            }
            to.write_all(&buffer[..read])?;
            copied += read as u64;
            progress.advance(0, read as u64);
        }
    }

    fn unreadable(&self, error: std::io::Error) -> RepoError {
        match error.downcast::<TransportError>() {
            Ok(error) => error.into(),
            Err(error) => fs::at(fs::Attempt::Read, Path::new(&shown(&self.url)))(error).into(),
        }
    }
}

fn changed(of: &Output) -> RepoError {
    let path = of.path.clone();
    RepoError::SourceChanged { path }
}

/// Reads only so many bytes; more is an error.
struct Limited<'a, R> {
    from: &'a mut R,
    left: &'a mut u64,
    exceeded: bool,
}

impl<'a, R> Limited<'a, R> {
    fn new(from: &'a mut R, left: &'a mut u64) -> Self {
        let exceeded = false;
        Self { from, left, exceeded }
    }
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(buf)?;
        let Some(left) = self.left.checked_sub(read as u64) else {
            self.exceeded = true;
            return Err(std::io::ErrorKind::FileTooLarge.into());
        };
        *self.left = left;
        Ok(read)
    }
}

/// Where an object is. The settings of a remote that is set up here and lies at the same place hold for it, too.
fn object_place(desk: &Desk<'_>, url: &str, location: &Location) -> Result<Place> {
    let (parent, name) = url.trim_end_matches('/').rsplit_once('/').unwrap_or_default();
    let named = match location {
        Location::S3 { prefix: path, .. }
        | Location::Bucket { prefix: path, .. }
        | Location::Server { path, .. }
        | Location::Drive { path }
        | Location::Hub { path, .. } => !path.is_empty(),
        Location::Dir(_) | Location::Http(_) => true,
    };
    if !named || !parent.contains("://") {
        return Err(RepoError::NoName { url: shown(url) });
    }
    let same = desk.own_remotes().into_iter().find(|remote| {
        let theirs = Location::parse(&remote.url, Path::new("/"));
        theirs.is_ok_and(|theirs| is_same_place(&theirs, location))
    });
    let spec = RemoteSpec {
        name: parent.to_owned(),
        url: parent.to_owned(),
        // What is there besides the store is not encrypted.
        encryption: None,
        ..same.as_ref().map(places::spec).unwrap_or_default()
    };
    let options = places::options(Path::new("/"), false, &desk.progress);
    Ok(Place::Object {
        transport: transport::open(&spec, &options)?,
        key: name.to_owned(),
    })
}

/// Whether both are in one bucket, or on one server.
fn is_same_place(one: &Location, other: &Location) -> bool {
    match (one, other) {
        (Location::S3 { bucket: a, .. }, Location::S3 { bucket: b, .. }) => a == b,
        (Location::Bucket { kind: k, bucket: a, .. }, Location::Bucket { kind: l, bucket: b, .. }) => {
            k == l && a == b
        }
        (Location::Server { kind: k, host: a, .. }, Location::Server { kind: l, host: b, .. }) => k == l && a == b,
        (Location::Drive { .. }, Location::Drive { .. }) => true,
        (Location::Hub { repository: a, .. }, Location::Hub { repository: b, .. }) => a == b,
        _ => false,
    }
}

fn version_of(object: &ObjectMeta) -> Version {
    let modified = object.modified.and_then(|time| {
        let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_nanos()).ok()
    });
    Version {
        size: Some(object.size),
        etag: object.etag.clone(),
        modified: modified.map(seconds),
    }
}

fn object(key: &str, version: &Version) -> ObjectMeta {
    ObjectMeta {
        key: key.to_owned(),
        size: version.size.unwrap_or(0),
        modified: None,
        etag: version.etag.clone(),
    }
}

/// Seconds since 1970 with nine decimals.
fn seconds(nanos: i64) -> String {
    let (whole, rest) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    format!("{whole}.{rest:09}")
}

/// The marks of a directory: what tells that something in it changed.
fn marks(files: impl Iterator<Item = (String, u64)>) -> Version {
    let mut lines = String::new();
    let mut size = 0u64;
    for (line, bytes) in files {
        lines.push_str(&line);
        lines.push('\n');
        size = size.saturating_add(bytes);
    }
    Version {
        size: Some(size),
        etag: Some(format!("listing-{}", FileId::of(lines.as_bytes()))),
        modified: None,
    }
}

fn describe(object: &ObjectMeta) -> (String, u64) {
    let version = version_of(object);
    let mark = version.etag.or(version.modified).unwrap_or_default();
    (format!("{:?} {} {mark}", object.key, object.size), object.size)
}

/// What a scan found, as lines that change when a file does.
fn rows(scan: &Scan) -> Vec<(String, u64)> {
    let mut lines = Vec::new();
    for dir in &scan.dirs {
        for row in dir.table.rows() {
            let name = dir.table.name(row).escape_ascii();
            let line = match row.kind() {
                FileKind::File => (format!("{} {name} {} {}", dir.path, row.size, row.mtime_ns), row.size),
                FileKind::Symlink => (
                    format!("{} {name} -> {}", dir.path, dir.table.target(row).escape_ascii()),
                    0,
                ),
                _ => (format!("{} {name}/", dir.path), 0),
            };
            lines.push(line);
        }
    }
    lines.sort();
    lines
}

impl From<&UrlImport> for Version {
    fn from(import: &UrlImport) -> Self {
        Self {
            size: import.size,
            etag: import.etag.clone(),
            modified: import.modified.clone(),
        }
    }
}

/// What the pointer remembers.
pub(in crate::repo) fn remember(url: String, version: Version) -> UrlImport {
    UrlImport {
        url,
        etag: version.etag,
        size: version.size.filter(|size| i64::try_from(*size).is_ok()),
        modified: version.modified,
    }
}
