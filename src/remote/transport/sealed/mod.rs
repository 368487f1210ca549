//! A transport that encrypts objects and their names before they leave this machine, and decrypts them when they come
//! back. What the place sees: how many objects there are, how large they are and when they come and go. See
//! `docs/remotes.md` for what that protects from.
//!
//! The key is checked against the store's marker, which stays readable: it says how the key is derived, and that whoever
//! has none must keep out. What does not open and has its hash for a name is passed on as it is: everybody who reads such
//! objects checks them, and knows what is damaged. Nobody could tell of any other whose it is, so that is an error.

mod keys;
mod names;
mod segments;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use self::keys::Keys;
pub use self::keys::{KeyError, KeySource, check_key_file, make_key_file};
use self::segments::{HEADER, Header, SEGMENT, count, place, plain_len, sealed_len};
use super::error::{Place, TransportError};
use super::traffic::Traffic;
use super::{Body, ObjectMeta, PutMode, PutOutcome, Result, Transport, check_key, check_prefix};
use crate::fs::{self, TempFile};
use crate::hash::FileId;
use crate::store::marker;

/// Headers that are remembered, so that ranges of an object cost a request for its header once.
const REMEMBERED: usize = 10_000;

/// See the module.
pub struct Sealed<T> {
    inner: T,
    source: Option<KeySource>,
    keys: Mutex<Option<Arc<Keys>>>,
    headers: Mutex<HashMap<String, Header>>,
}

/// A file that goes when it was sent.
struct SealedBody {
    body: Body,
    _file: Option<TempFile>,
}

impl<T: Transport> Sealed<T> {
    /// Wraps `inner`; nothing is asked yet.
    pub fn new(inner: T, source: Option<KeySource>) -> Self {
        Self {
            inner,
            source,
            keys: Mutex::default(),
            headers: Mutex::default(),
        }
    }

    fn place(&self, key: &str) -> Place {
        Place::new(self.describe(), key)
    }

    fn failed(&self, key: &str, problem: KeyError) -> TransportError {
        TransportError::Encryption {
            place: self.place(key),
            problem: Box::new(problem),
        }
    }

    /// What does not open, and could be anybody's.
    fn not_ours(&self, key: &str) -> TransportError {
        TransportError::Failed {
            place: self.place(key),
            source: "it was not written with this key, or was changed since".into(),
        }
    }

    fn source(&self) -> Result<&KeySource> {
        let missing = || self.failed("", KeyError::Missing);
        self.source.as_ref().ok_or_else(missing)
    }

    /// The keys; `None` as long as there is no store.
    fn keys(&self) -> Result<Option<Arc<Keys>>> {
        let mut known = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            match self.inner.get(marker::NAME, marker::MAX_LEN) {
                Ok(bytes) => *known = Some(Arc::new(self.unlock(&bytes)?)),
                Err(TransportError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(known.clone())
    }

    fn unlock(&self, bytes: &[u8]) -> Result<Keys> {
        let encryption = marker::encryption(bytes).ok_or_else(|| self.failed("", KeyError::NotEncrypted))?;
        self.source()?
            .unlock(&encryption)
            .map_err(|problem| self.failed("", problem))
    }

    /// Sets the store up, unless somebody has; whose marker is there then counts.
    fn set_up(&self, mode: PutMode) -> Result<PutOutcome> {
        let (encryption, _) = self.source()?.set_up().map_err(|problem| self.failed("", problem))?;
        let body = Body::from(marker::encrypted_text(&encryption).into_bytes());
        // One that is there is never replaced: everything in the store would be lost with it.
        let outcome = match (mode, self.keys()?) {
            (_, Some(_)) => PutOutcome::Existed,
            (_, None) if self.holds_objects() && self.keys()?.is_none() => {
                return Err(self.failed("", KeyError::MarkerLost));
            }
            (_, None) => self.inner.put(marker::NAME, &body, PutMode::IfAbsent)?,
        };
        match self.keys()? {
            Some(_) => Ok(outcome),
            None => Err(TransportError::NotFound(self.place(marker::NAME))),
        }
    }

    /// Whether something was sealed here under a marker that is gone: a new one would have another salt, and nobody would see
    /// that everything is lost that the old one is needed for.
    fn holds_objects(&self) -> bool {
        self.inner.list(names::ROOT_PREFIX).is_ok_and(|there| !there.is_empty())
    }

    /// The keys of a store that must be there, and the name of an object in it.
    fn named(&self, key: &str) -> Result<(Arc<Keys>, String)> {
        let invalid = || TransportError::InvalidKey(self.place(key));
        if !check_key(key) {
            return Err(invalid());
        }
        let keys = self.keys()?.ok_or_else(|| TransportError::NotFound(self.place(key)))?;
        let name = keys.seal_name(key).ok_or_else(invalid)?;
        Ok((keys, name))
    }

    /// What an error of the place is about, by its key instead of its name.
    fn about<R>(&self, key: &str, result: Result<R>) -> Result<R> {
        result.map_err(|mut error| {
            if let Some(place) = error.place_mut() {
                key.clone_into(&mut place.key);
            }
            error
        })
    }

    fn headers(&self) -> std::sync::MutexGuard<'_, HashMap<String, Header>> {
        self.headers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The header of an object, remembered or asked for, and whether it was remembered; `None` if it has none.
    fn header(&self, name: &str) -> Result<Option<(Header, bool)>> {
        if let Some(header) = self.headers().get(name) {
            return Ok(Some((*header, true)));
        }
        let bytes = match self.inner.get_range(name, 0..HEADER) {
            Err(TransportError::OutOfRange { .. }) => return Ok(None),
            bytes => bytes?,
        };
        let Some(header) = Header::parse(&bytes) else {
            return Ok(None);
        };
        let mut headers = self.headers();
        if headers.len() >= REMEMBERED {
            headers.clear();
        }
        headers.insert(name.to_owned(), header);
        Ok(Some((header, false)))
    }

    fn seal(&self, keys: &Keys, key: &str, body: &Body) -> Result<SealedBody> {
        let unread = |error: fs::FsError| TransportError::Upload {
            place: self.place(key),
            source: error.into(),
        };
        let salt = fs::random().map_err(|problem| self.failed(key, problem.into()))?;
        match body {
            Body::Bytes(bytes) => {
                let header = Header {
                    salt,
                    len: bytes.len() as u64,
                };
                let cipher = header.cipher(&keys.content, key);
                let mut sealed = header.to_bytes();
                for number in 0..count(header.len) {
                    let begin = (number * SEGMENT) as usize;
                    let end = bytes.len().min(begin + SEGMENT as usize);
                    let segment = bytes.get(begin..end).and_then(|bytes| cipher.seal(number, bytes));
                    sealed.extend(segment.ok_or_else(|| TransportError::InvalidKey(self.place(key)))?);
                }
                Ok(SealedBody {
                    body: Body::from(sealed),
                    _file: None,
                })
            }
            Body::File(path) => {
                let file = self.seal_file(keys, key, path, salt).map_err(unread)?;
                Ok(SealedBody {
                    body: Body::file(file.path()),
                    _file: Some(file),
                })
            }
        }
    }

    /// A sealed copy beside a file.
    fn seal_file(&self, keys: &Keys, key: &str, path: &Path, salt: [u8; 32]) -> fs::Result<TempFile> {
        let source = fs::open(path)?;
        let len = fs::stat_file(&source, path)?.size;
        let header = Header { salt, len };
        let cipher = header.cipher(&keys.content, key);
        let mut sealed = TempFile::create_beside(path)?;
        sealed.write_all(&header.to_bytes())?;
        let mut buffer = vec![0; SEGMENT as usize];
        for number in 0..count(len) {
            let begin = number * SEGMENT;
            let piece = &mut buffer[..(len - begin).min(SEGMENT) as usize];
            fs::read_exact_at(&source, path, piece, begin)?;
            let segment = cipher.seal(number, piece).unwrap_or_default();
            sealed.write_all(&segment)?;
        }
        Ok(sealed)
    }
}

/// Whether a key says the hash of its object.
fn is_named(key: &str) -> bool {
    key.rsplit('/')
        .next()
        .is_some_and(|name| name.parse::<FileId>().is_ok())
}

impl<T: Transport> Transport for Sealed<T> {
    fn describe(&self) -> &str {
        self.inner.describe()
    }

    fn get(&self, key: &str, limit: u64) -> Result<Vec<u8>> {
        if key == marker::NAME {
            let bytes = self.inner.get(key, limit)?;
            self.keys()?;
            return marker::without_encryption(&bytes).ok_or_else(|| self.failed("", KeyError::Unknown));
        }
        let (keys, name) = self.named(key)?;
        let sealed = match self.about(key, self.inner.get(&name, sealed_len(limit))) {
            Err(TransportError::TooLarge { place, .. }) => return Err(TransportError::TooLarge { place, limit }),
            sealed => sealed?,
        };
        let opened = Header::parse(&sealed).and_then(|header| {
            let segments = sealed.get(HEADER as usize..)?;
            let (content, is_sound) = header.cipher(&keys.content, key).open(0, segments);
            // Every segment that is there may be sound, and the last ones missing.
            (is_sound && content.len() as u64 == header.len).then_some(content)
        });
        match opened {
            Some(opened) => Ok(opened),
            None if is_named(key) => Ok(sealed),
            None => Err(self.not_ours(key)),
        }
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let (keys, name) = self.named(key)?;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        loop {
            let Some((header, remembered)) = self.about(key, self.header(&name))? else {
                if !is_named(key) {
                    return Err(self.not_ours(key));
                }
                return self.about(key, self.inner.get_range(&name, range));
            };
            let first = range.start / SEGMENT;
            let is_in_it = range.end <= header.len;
            let sealed = match is_in_it {
                true => self.about(
                    key,
                    self.inner
                        .get_range(&name, place(first, (range.end - 1) / SEGMENT, header.len)),
                ),
                false => Err(TransportError::OutOfRange {
                    place: self.place(key),
                    start: range.start,
                    end: range.end,
                }),
            };
            let (opened, is_sound) = match sealed {
                Ok(sealed) => header.cipher(&keys.content, key).open(first, &sealed),
                Err(TransportError::OutOfRange { .. }) if remembered => (Vec::new(), false),
                Err(error) => return Err(error),
            };
            if !is_sound && remembered {
                // It may have been replaced since its header was read.
                self.headers().remove(&name);
                continue;
            }
            if !is_sound && !is_named(key) {
                return Err(self.not_ours(key));
            }
            // As many bytes as were asked for; those that could not be opened are no content.
            let skip = (range.start - first * SEGMENT) as usize;
            let len = (range.end - range.start) as usize;
            let zeros = std::iter::repeat(0);
            return Ok(opened.into_iter().skip(skip).chain(zeros).take(len).collect());
        }
    }

    fn put(&self, key: &str, body: &Body, mode: PutMode) -> Result<PutOutcome> {
        if key == marker::NAME {
            return self.set_up(mode);
        }
        if self.keys()?.is_none() {
            self.set_up(PutMode::IfAbsent)?;
        }
        let (keys, name) = self.named(key)?;
        self.headers().remove(&name);
        let sealed = self.seal(&keys, key, body)?;
        self.about(key, self.inner.put(&name, &sealed.body, mode))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        if !check_prefix(prefix) {
            return Err(TransportError::InvalidKey(self.place(prefix)));
        }
        let Some(keys) = self.keys()? else {
            // That the place cannot be used is to be seen all the same.
            return self.inner.list(names::ROOT_PREFIX);
        };
        let Some(sealed) = keys.seal_prefix(prefix) else {
            return Ok(Vec::new());
        };
        let listed = self.about(prefix, self.inner.list(&sealed))?;
        let mut objects: Vec<ObjectMeta> = listed
            .into_iter()
            .filter_map(|object| {
                let key = keys.open_name(&object.key)?;
                // What has the length of no sealed object is damaged: no reader expects this length either.
                let size = plain_len(object.size).unwrap_or(u64::MAX);
                key.starts_with(prefix).then_some(ObjectMeta { key, size, ..object })
            })
            .collect();
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }

    fn stat(&self, key: &str) -> Result<Option<ObjectMeta>> {
        if key == marker::NAME {
            return self.inner.stat(key);
        }
        let Some(keys) = self.keys()? else { return Ok(None) };
        let (_, name) = self.named(key)?;
        drop(keys);
        let found = self.about(key, self.inner.stat(&name))?;
        Ok(found.map(|object| ObjectMeta {
            key: key.to_owned(),
            size: plain_len(object.size).unwrap_or(u64::MAX),
            ..object
        }))
    }

    fn delete(&self, key: &str) -> Result<()> {
        if key == marker::NAME {
            return self.inner.delete(key);
        }
        if self.keys()?.is_none() {
            return Ok(());
        }
        let (_, name) = self.named(key)?;
        self.headers().remove(&name);
        self.about(key, self.inner.delete(&name))
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}
