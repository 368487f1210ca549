//! How a server is to run.

use std::path::PathBuf;
use std::time::Duration;

use super::log::AccessLog;
use crate::remote::transport::Transport;

/// The largest object that readers of packs accept.
const LARGEST: u64 = 4 << 30;

/// A certificate and its key, in PEM files that are read again when the server is told to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that vouch for it.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// How long a server waits for its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the first request on a connection.
    pub first: Duration,
    /// For the head of another, and while a connection does nothing.
    pub head: Duration,
    /// While no content arrives or is taken. After that time, content must have come fast enough.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(20),
            head: Duration::from_secs(60),
            idle: Duration::from_secs(60),
        }
    }
}

/// How a server is to run.
pub struct Options {
    /// Where it listens, as `HOST:PORT`.
    pub listen: String,
    /// Its directory: tokens, unfinished uploads and, without `storage`, the repositories.
    pub root: PathBuf,
    /// Where objects are kept instead of the directory.
    pub storage: Option<Box<dyn Transport>>,
    /// The certificate; plain HTTP without.
    pub tls: Option<TlsFiles>,
    /// The most bytes of an object.
    pub max_object: u64,
    /// The most bytes of a repository.
    pub quota: Option<u64>,
    /// Whether everybody may read.
    pub public_read: bool,
    /// Where each request is written down.
    pub log: AccessLog,
    /// After how long an upload that nobody goes on with is removed.
    pub upload_expiry: Duration,
    /// How long it waits for clients.
    pub patience: Patience,
    /// How long requests have to end when the server is to stop.
    pub grace: Duration,
    /// Accept keys that no store has, without looking at content: for tests of the transport.
    pub unchecked: bool,
}

impl Options {
    /// As `modver serve --root ROOT` has it.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            root,
            storage: None,
            tls: None,
            max_object: LARGEST,
            quota: None,
            public_read: false,
            log: AccessLog::None,
            upload_expiry: Duration::from_secs(24 * 3600),
            patience: Patience::default(),
            grace: Duration::from_secs(30),
            unchecked: false,
        }
    }
}
