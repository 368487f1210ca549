//! Moves whole objects and ranges of them to and from a store's place: a directory, a bucket of a service, a directory
//! of a server, a web server. Also reads plain files over HTTP ([`WebReader`]), which is no place for a store.
//!
//! Invariants: an object has its key only once it is complete; [`PutMode::IfAbsent`] never replaces one; no error,
//! description or debug output holds a credential; every call ends (time-outs) and every call may be repeated,
//! because objects are named by their content. Calls block and may be made from any number of threads.
//!
//! Not promised: that [`PutMode::IfAbsent`] decides between two writers at the same moment. Services without
//! conditional writes cannot ([`probe`] tells), and both writers of a content-named object write the same bytes.
//!
//! The library reads no environment, with one exception that is confined to `service`: what the programs of each
//! service honour (`AWS_*`, `~/.aws`, `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_*`, ...), which every client is
//! expected to honour. HTTP proxies likewise (`HTTPS_PROXY`), and the program `ssh` by itself.

mod adaptive;
mod dir;
mod error;
mod http;
mod named;
mod object;
mod pace;
mod probe;
mod retry;
mod runtime;
mod sealed;
#[cfg_attr(
    not(all(
        feature = "azure",
        feature = "gcs",
        feature = "gdrive",
        feature = "huggingface",
        feature = "oss",
        feature = "s3",
        feature = "webdav",
        feature = "webhdfs"
    )),
    allow(
        dead_code,
        unused_imports,
        reason = "a program built with fewer services uses a part of it"
    )
)]
mod service;
#[cfg(feature = "sftp")]
mod sftp;
mod traffic;
#[cfg_attr(not(feature = "sftp"), allow(dead_code, reason = "as `service`"))]
mod unique;
mod url;
mod web;
mod wire;

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::progress::Progress;

use self::adaptive::Adaptive;
use self::pace::Pace;
pub use crate::config::Secret;
pub use dir::DirTransport;
pub use error::{Place, Source, TransportError};
pub use http::{COMPLETE_HEADER, HttpTransport, LENGTH_HEADER, MODIFIED_HEADER, OFFSET_HEADER, SERVER_HEADER};
pub use object::ObjectReader;
pub use probe::{Capabilities, probe};
pub use retry::{Retry, RetryPolicy};
pub use sealed::{KeyError, KeySource, Sealed, check_key_file, make_key_file};
pub use traffic::Traffic;
pub use url::{Buckets, Credentials, Location, RemoteSpec, Servers, UrlError};
pub use web::{Version, WebReader, WebStream, shown_url};

/// Result of a transport call.
pub type Result<T> = std::result::Result<T, TransportError>;

/// What is uploaded.
#[derive(Clone)]
pub enum Body {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A whole file, which nobody changes meanwhile; it is read as it is sent and never held in memory.
    File(PathBuf),
}

impl Body {
    /// A whole file.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Self::File(path) => write!(f, "Body({path:?})"),
        }
    }
}

/// Whether an object may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutMode {
    /// An object that exists is left alone.
    IfAbsent,
    /// An object that exists is replaced.
    Overwrite,
}

/// What a put did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object has the given bytes now.
    Created,
    /// An object of this key existed and is unchanged.
    Existed,
}

/// What is known of an object without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When it was last written, as far as the service says.
    pub modified: Option<SystemTime>,
    /// What the service calls this version, if it does.
    pub etag: Option<String>,
}

/// A place that holds objects by key.
///
/// A key is a relative path with `/` between its names, as in `docs/formats.md`; see [`check_key`] for what is
/// refused. Every method fails with [`TransportError::InvalidKey`] for such a key and with
/// [`TransportError::Interrupted`] once the operation was asked to stop.
pub trait Transport: Send + Sync {
    /// The URL, for people; never with a credential.
    fn describe(&self) -> &str;

    /// A whole object of at most `limit` bytes.
    ///
    /// # Errors
    /// [`TransportError::NotFound`]; [`TransportError::TooLarge`] before more than `limit` bytes were held.
    fn get(&self, key: &str, limit: u64) -> Result<Vec<u8>>;

    /// Exactly these bytes of an object; an empty range costs no request.
    ///
    /// # Errors
    /// [`TransportError::NotFound`]; [`TransportError::OutOfRange`] when the object ends before the range does.
    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>>;

    /// Stores an object; afterwards it is durable.
    ///
    /// # Errors
    /// [`TransportError::Denied`], [`TransportError::ReadOnly`], [`TransportError::NoSpace`] and others; the key
    /// then has what it had before, or the new object complete.
    fn put(&self, key: &str, body: &Body, mode: PutMode) -> Result<PutOutcome>;

    /// The objects whose key starts with `prefix` (any text, not only a directory), sorted by key.
    ///
    /// # Errors
    /// When the place does not exist or cannot be listed.
    fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>>;

    /// What is known of an object; `None` when it does not exist.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn stat(&self, key: &str) -> Result<Option<ObjectMeta>>;

    /// Removes an object; nothing happens when it does not exist.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn delete(&self, key: &str) -> Result<()>;

    /// What was asked and moved so far. For S3 these are HTTP requests, repeated ones included.
    fn traffic(&self) -> Traffic;
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn describe(&self) -> &str {
        (**self).describe()
    }

    fn get(&self, key: &str, limit: u64) -> Result<Vec<u8>> {
        (**self).get(key, limit)
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        (**self).get_range(key, range)
    }

    fn put(&self, key: &str, body: &Body, mode: PutMode) -> Result<PutOutcome> {
        (**self).put(key, body, mode)
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        (**self).list(prefix)
    }

    fn stat(&self, key: &str) -> Result<Option<ObjectMeta>> {
        (**self).stat(key)
    }

    fn delete(&self, key: &str) -> Result<()> {
        (**self).delete(key)
    }

    fn traffic(&self) -> Traffic {
        (**self).traffic()
    }
}

/// How [`open`] opens.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// What a relative path is relative to.
    pub base: PathBuf,
    /// Whether a missing root directory is created.
    pub create: bool,
    /// Stops calls and waits when the operation is interrupted.
    pub progress: Arc<Progress>,
    /// How often and how long failed calls are repeated.
    pub retry: RetryPolicy,
}

/// Opens a remote. Sends nothing yet, except that a directory must exist (or is created).
///
/// # Errors
/// When the URL is not one of a known kind, or a directory does not exist.
pub fn open(spec: &RemoteSpec, options: &OpenOptions) -> Result<Box<dyn Transport>> {
    // What is opened by its URL has that for a name.
    if spec.name.is_empty() || spec.name.contains('/') {
        return open_place(spec, options);
    }
    match open_place(spec, options) {
        Ok(place) => Ok(Box::new(named::Named::new(place, &spec.name))),
        Err(error) => Err(error.of(&spec.name.as_str().into())),
    }
}

fn open_place(spec: &RemoteSpec, options: &OpenOptions) -> Result<Box<dyn Transport>> {
    let location = Location::parse(&spec.url, &options.base).map_err(|source| TransportError::Url {
        remote: spec.name.clone(),
        source,
    })?;
    let progress = Arc::clone(&options.progress);
    let pace = Pace::new(Arc::clone(&progress), spec.limit_rate);
    let retry = pace.patient(options.retry);
    let plain: Box<dyn Transport> = match location {
        Location::Dir(path) => {
            let transport = DirTransport::open(&path, options.create)?.paced(pace);
            Box::new(Retry::new(transport, retry, progress))
        }
        Location::Http(url) => {
            let transport = HttpTransport::open(&url, spec, pace.clone(), Arc::clone(&progress))?;
            let transport = Adaptive::new(transport, Arc::clone(&progress), &pace);
            Box::new(Retry::new(transport, retry, progress))
        }
        #[cfg(feature = "sftp")]
        Location::Server {
            kind: Servers::Sftp,
            user,
            host,
            port,
            path,
        } => {
            let server = sftp::Server {
                user: user.as_deref(),
                host: &host,
                port,
                path: &path,
            };
            let transport = sftp::SftpTransport::open(&server, spec, pace.clone(), Arc::clone(&progress));
            let transport = Adaptive::new(transport, Arc::clone(&progress), &pace);
            Box::new(Retry::new(transport, retry, progress))
        }
        location => {
            let transport = service::ServiceTransport::open(&location, spec, pace.clone(), Arc::clone(&progress))?;
            let transport = Adaptive::new(transport, Arc::clone(&progress), &pace);
            Box::new(Retry::new(transport, retry, progress))
        }
    };
    Ok(match &spec.encryption {
        None => plain,
        Some(key) => Box::new(Sealed::new(Arc::<dyn Transport>::from(plain), key.clone())),
    })
}

/// Refuses keys that could leave the store or that services treat differently: empty, longer than 1,000 bytes,
/// absolute, with empty names, `.`, `..` or control characters, with white space at either end, or below `tmp/`.
#[must_use]
pub fn check_key(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= 1_000
        && key.trim() == key
        && !key.chars().any(char::is_control)
        && key != "tmp"
        && !key.starts_with("tmp/")
        && key
            .split('/')
            .all(|name| !matches!(name, "" | "." | "..") && name.len() <= 255)
}

/// As [`check_key`] for the start of a key, which may also end with `/` or be empty.
#[must_use]
pub fn check_prefix(prefix: &str) -> bool {
    prefix.is_empty() || check_key(prefix.strip_suffix('/').unwrap_or(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_could_escape_are_refused() {
        for good in [
            "modver-store.toml",
            "packs/ab/abcd",
            "a b/c+d%20&é",
            "tmpfile",
            "x/tmp/y",
            "…",
        ] {
            assert!(check_key(good), "{good}");
        }
        let long = "x".repeat(256);
        for bad in [
            "", "/a", "a/", "a//b", "a/../b", "..", "./a", " a", "a ", "a\nb", "a\0", "tmp", "tmp/x", &long,
        ] {
            assert!(!check_key(bad), "{bad:?}");
        }
        assert!(check_prefix("") && check_prefix("packs/") && check_prefix("packs/a") && !check_prefix("../"));
    }
}
