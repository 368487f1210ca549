//! A store at a service, spoken to through OpenDAL: buckets, containers and servers that keep files.
//!
//! What differs between services is told by [`Service`]; all else is here. An object of up to 128 MiB is one request,
//! larger ones go in parts where the service has parts. Files are sent from disk. `IfAbsent` is the condition that the
//! service knows; services that know none are asked first whether the object exists. Where a service shows objects
//! while they are written, they are written to `tmp/` and moved; see [`staged`]. Requests are driven by two threads
//! that all remotes of the process share; the calling thread waits.
//!
//! The files of services, and [`first_var`], are the places where the library reads the environment: what each
//! service's own programs honour.

#[cfg(feature = "s3")]
mod account;
mod address;
#[cfg(feature = "azure")]
mod azure;
#[cfg(any(feature = "azure", feature = "s3"))]
mod commands;
mod error;
#[cfg(feature = "gcs")]
mod gcs;
#[cfg(feature = "gdrive")]
mod gdrive;
mod http;
#[cfg(feature = "huggingface")]
mod hub;
mod listing;
#[cfg(feature = "oss")]
mod oss;
#[cfg(feature = "s3")]
mod s3;
mod staged;
#[cfg(feature = "webdav")]
mod webdav;
#[cfg(feature = "webhdfs")]
mod webhdfs;

use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use opendal::options::{ListOptions, WriteOptions};
use opendal::{Buffer, HttpTransporter, OperationContext, Operator};
use reqsign_core::{Env as _, OsEnv};

#[cfg(any(feature = "webdav", feature = "webhdfs"))]
use self::address::shown_server;
use self::address::{address, check_endpoint, shown};
use self::http::{Call, Failure, Http, Upload};
use super::error::{Place, TransportError};
use super::pace::Pace;
use super::probe::Capabilities;
use super::traffic::{Counters, Traffic};
use super::url::{Buckets, Location, RemoteSpec, Servers, UrlError};
use super::wire::drive;
use super::{Body, ObjectMeta, PutMode, PutOutcome, Result, Transport, check_key, check_prefix};
use crate::progress::Progress;

/// Larger objects are sent in parts of [`PART`] bytes.
const SINGLE_PUT: usize = 128 << 20;
/// Bytes of a part; 10,000 parts are allowed.
const PART: usize = 64 << 20;
/// The largest object that is read whole where ranges cannot be had.
const WHOLE: u64 = 1 << 30;
/// Memory that is set aside for a range before any of it arrives, at most.
const ONE_PIECE: u64 = 16 << 20;

/// Work of a service.
type Work<'a, T> = Pin<Box<dyn Future<Output = opendal::Result<T>> + Send + 'a>>;

/// How a service writes objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    /// Whole, and on the condition that OpenDAL makes of "if not exists".
    Conditional,
    /// Whole, and on the condition that this parameter of the query makes.
    ByQuery(&'static str),
    /// Whole, without conditions.
    Plain,
    /// Visibly while they arrive; so they are written elsewhere and moved.
    Staged,
}

/// How a service lists objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing {
    /// All keys with a prefix, page by page.
    Flat,
    /// One directory at a time.
    Walked,
}

/// What one service does in its own way.
trait Service: Send + Sync {
    /// The remote's URL for people.
    fn describe(&self) -> String;

    /// What its objects are in: `bucket`, `container`, `directory`.
    fn container(&self) -> &'static str;

    /// The client.
    fn operator<'a>(&'a self, http: &'a Http) -> Work<'a, Operator>;

    /// How it writes.
    fn writes(&self) -> Writes;

    /// How it lists.
    fn listing(&self) -> Listing;

    /// Whether a redirect means that the bucket is in another region.
    fn has_regions(&self) -> bool {
        false
    }

    /// Whether it sends its clients elsewhere for content.
    fn redirects(&self) -> bool {
        false
    }

    /// Objects of more bytes are sent in parts.
    fn single_put(&self) -> usize {
        SINGLE_PUT
    }

    /// Writes what is to be moved.
    fn stage<'a>(&'a self, _http: &'a Http, operator: &'a Operator, key: &'a str, body: Buffer) -> Work<'a, ()> {
        Box::pin(async move { operator.write(key, body).await.map(drop) })
    }

    /// Moves what was staged to its key; `false` when the key exists and is not to be replaced.
    fn publish<'a>(&'a self, _http: &'a Http, _move: Move<'a>) -> Work<'a, bool> {
        let error = opendal::Error::new(opendal::ErrorKind::Unsupported, "objects cannot be moved");
        Box::pin(std::future::ready(Err(error)))
    }
}

/// A staged object on its way to its key.
struct Move<'a> {
    operator: &'a Operator,
    from: &'a str,
    to: &'a str,
    replace: bool,
}

/// A service as a remote.
pub(super) struct ServiceTransport {
    service: Box<dyn Service>,
    name: Arc<str>,
    progress: Arc<Progress>,
    http: Http,
    counters: Arc<Counters>,
    abilities: Option<Capabilities>,
    operator: Mutex<Option<Operator>>,
    conditions_refused: AtomicBool,
    swept: AtomicBool,
}

/// The client of a service, if it is one that this program was built with.
fn service(location: &Location, spec: &RemoteSpec) -> std::result::Result<Box<dyn Service>, UrlError> {
    let missing = |scheme: &str, feature: &'static str| UrlError::NotBuilt {
        scheme: scheme.to_owned(),
        feature,
    };
    let endpoint = spec.endpoint.as_deref().map(check_endpoint).transpose()?;
    match location {
        #[cfg(feature = "s3")]
        Location::S3 { bucket, prefix } => Ok(Box::new(s3::S3::new(bucket, prefix, endpoint, spec)?)),
        #[cfg(feature = "gcs")]
        Location::Bucket {
            kind: Buckets::Gcs,
            bucket,
            prefix,
        } => Ok(Box::new(gcs::Gcs::new(bucket, prefix, endpoint, spec)?)),
        #[cfg(feature = "azure")]
        Location::Bucket {
            kind: Buckets::Azure,
            bucket,
            prefix,
        } => Ok(Box::new(azure::Azure::new(bucket, prefix, endpoint, spec)?)),
        #[cfg(feature = "oss")]
        Location::Bucket {
            kind: Buckets::Oss,
            bucket,
            prefix,
        } => Ok(Box::new(oss::Oss::new(bucket, prefix, endpoint, spec)?)),
        #[cfg(feature = "webdav")]
        Location::Server {
            kind: Servers::WebDav { tls },
            user,
            host,
            port,
            path,
        } => {
            let root = address(*tls, host, *port, spec);
            Ok(Box::new(webdav::WebDav::new(root, path, user.as_deref(), spec)?))
        }
        #[cfg(feature = "webhdfs")]
        Location::Server {
            kind: Servers::WebHdfs { tls },
            user,
            host,
            port,
            path,
        } => {
            let root = address(*tls, host, port.or(Some(if *tls { 9871 } else { 9870 })), spec);
            Ok(Box::new(webhdfs::WebHdfs::new(root, path, user.as_deref(), spec)))
        }
        #[cfg(feature = "gdrive")]
        Location::Drive { path } => Ok(Box::new(gdrive::Drive::new(path, spec)?)),
        #[cfg(feature = "huggingface")]
        Location::Hub {
            kind,
            repository,
            revision,
            path,
        } => Ok(Box::new(hub::Hub::new(
            kind,
            repository,
            revision.as_deref(),
            path,
            endpoint,
            spec,
        ))),
        #[allow(unreachable_patterns, reason = "depends on the features of the build")]
        location => {
            let _ = endpoint;
            Err(match location {
                Location::Bucket { kind, .. } => missing(
                    kind.scheme(),
                    match kind {
                        Buckets::Gcs => "gcs",
                        Buckets::Azure => "azure",
                        Buckets::Oss => "oss",
                    },
                ),
                Location::Server { kind, .. } => missing(
                    kind.scheme(),
                    match kind {
                        Servers::Sftp => "sftp",
                        Servers::WebDav { .. } => "webdav",
                        Servers::WebHdfs { .. } => "webhdfs",
                    },
                ),
                Location::Drive { .. } => missing("gdrive", "gdrive"),
                Location::Hub { .. } => missing("hf", "huggingface"),
                _ => missing("s3", "s3"),
            })
        }
    }
}

/// The first of these environment variables that says anything.
fn first_var(names: &[&str]) -> Option<String> {
    names
        .iter()
        .filter_map(|name| OsEnv.var(name))
        .find(|value| !value.is_empty())
}

/// A client that sends its requests by `http`.
fn operator(builder: impl opendal::Builder, http: &Http) -> opendal::Result<Operator> {
    let context = OperationContext::new().with_http_transport(HttpTransporter::new(http.clone()));
    Ok(Operator::new(builder)?.with_context(context))
}

impl ServiceTransport {
    /// Prepares requests, which keep to `pace`; sends none. Calls end early when `progress` is interrupted.
    ///
    /// # Errors
    /// When the settings cannot be used, or the runtime or TLS cannot be set up.
    pub(super) fn open(location: &Location, spec: &RemoteSpec, pace: Pace, progress: Arc<Progress>) -> Result<Self> {
        let service = service(location, spec).map_err(|source| TransportError::Url {
            remote: spec.name.clone(),
            source,
        })?;
        let name: Arc<str> = service.describe().into();
        let counters = Arc::new(Counters::default());
        let http =
            Http::new(Arc::clone(&counters), pace, service.redirects()).map_err(|error| TransportError::Failed {
                place: Place::new(Arc::clone(&name), ""),
                source: error.into(),
            })?;
        let unconditional = spec
            .abilities
            .is_some_and(|seen| seen.writable && !seen.conditional_put);
        Ok(Self {
            service,
            name,
            progress,
            http,
            counters,
            abilities: spec.abilities,
            operator: Mutex::new(None),
            conditions_refused: AtomicBool::new(unconditional),
            swept: AtomicBool::new(false),
        })
    }

    fn place(&self, key: &str) -> Place {
        Place::new(Arc::clone(&self.name), key)
    }

    fn valid<'k>(&self, key: &'k str) -> Result<&'k str> {
        if check_key(key) {
            Ok(key)
        } else {
            Err(TransportError::InvalidKey(self.place(key)))
        }
    }

    /// The client, made at the first request since that may take one.
    async fn operator(&self) -> opendal::Result<Operator> {
        let slot = || self.operator.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(operator) = slot().clone() {
            return Ok(operator);
        }
        let operator = self.service.operator(&self.http).await?;
        *slot() = Some(operator.clone());
        Ok(operator)
    }

    /// Runs one call to its end, or until the operation is interrupted.
    fn run<T>(
        &self,
        key: &str,
        call: Call,
        work: impl AsyncFnOnce(Operator, Arc<Call>) -> opendal::Result<T>,
    ) -> Result<std::result::Result<T, Failed>> {
        let call = Arc::new(call);
        let own = Arc::clone(&call);
        let work = Arc::clone(&call).scope(async { work(self.operator().await?, own).await });
        let done = drive(&self.progress, || self.place(key), work)?;
        Ok(done.map_err(|error| Failed { call, error }))
    }

    /// A call that sends `body`, and what it sends.
    fn sending(&self, key: &str, body: &Body) -> Result<(Call, Buffer)> {
        let mut call = Call::default();
        let bytes = match body {
            Body::Bytes(bytes) => bytes.clone(),
            Body::File(path) => {
                let upload = Upload::open(path).map_err(|error| TransportError::Upload {
                    place: self.place(key),
                    source: error.into(),
                })?;
                call.upload.insert(upload).bytes()
            }
        };
        Ok((call, bytes.into()))
    }

    fn write(&self, key: &str, body: &Body, conditional: bool) -> Result<std::result::Result<(), Failed>> {
        let (mut call, buffer) = self.sending(key, body)?;
        let mut options = WriteOptions {
            chunk: (buffer.len() > self.service.single_put()).then_some(PART),
            ..WriteOptions::default()
        };
        match self.service.writes() {
            Writes::ByQuery(condition) if conditional => call.condition = Some(condition),
            _ => options.if_not_exists = conditional,
        }
        self.run(key, call, async |operator, _| {
            operator.write_options(key, buffer, options).await.map(drop)
        })
    }

    fn put_whole(&self, key: &str, body: &Body, mode: PutMode) -> Result<PutOutcome> {
        let absent = mode == PutMode::IfAbsent;
        let knows = self.service.writes() != Writes::Plain;
        if absent && !knows && self.stat(key)?.is_some() {
            return Ok(PutOutcome::Existed);
        }
        let conditional = absent && knows && !self.conditions_refused.load(Relaxed);
        let failed = match self.write(key, body, conditional)? {
            Ok(()) => return Ok(PutOutcome::Created),
            Err(failed) => failed,
        };
        match failed.status() {
            _ if conditional && failed.says_exists() => Ok(PutOutcome::Existed),
            Some(400 | 405 | 501) if conditional => match self.write(key, body, false)? {
                Ok(()) => {
                    self.conditions_refused.store(true, Relaxed);
                    Ok(PutOutcome::Created)
                }
                // Then it was not the condition that was refused.
                Err(failed) => Err(self.error(key, failed)),
            },
            _ => Err(self.error(key, failed)),
        }
    }
}

/// A call that failed, with what became known of it.
struct Failed {
    call: Arc<Call>,
    error: opendal::Error,
}

impl Failed {
    fn status(&self) -> Option<u16> {
        self.call.seen().status
    }

    /// Whether the object ends before the part that was asked for.
    fn says_beyond_the_end(&self) -> bool {
        let seen = self.call.seen();
        let says = |words: &str| seen.message.as_deref().is_some_and(|message| message.contains(words));
        // HDFS has no status for it.
        seen.status == Some(416) || (seen.status == Some(403) && says("out of the range [0, "))
    }

    /// Whether a condition was not met because the object exists.
    fn says_exists(&self) -> bool {
        let seen = self.call.seen();
        let code = seen.code.as_deref().unwrap_or_default();
        seen.status == Some(412)
            || (seen.status == Some(409) && matches!(code, "BlobAlreadyExists" | "FileAlreadyExists"))
    }
}

impl Transport for ServiceTransport {
    fn describe(&self) -> &str {
        &self.name
    }

    fn get(&self, key: &str, limit: u64) -> Result<Vec<u8>> {
        let key = self.valid(key)?;
        let get = || {
            self.run(key, Call::limited(limit), async |operator, _| operator.read(key).await)?
                .map(|buffer| buffer.to_vec())
                .map_err(|failed| self.error(key, failed))
        };
        self.beside_a_move(get)
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let key = self.valid(key)?;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let outside = || TransportError::OutOfRange {
            place: self.place(key),
            start: range.start,
            end: range.end,
        };
        if self.abilities.is_some_and(|seen| seen.writable && !seen.range) {
            let mut bytes = self.get(key, WHOLE)?;
            let (start, end) = (usize::try_from(range.start), usize::try_from(range.end));
            let (Ok(start), Ok(end)) = (start, end) else {
                return Err(outside());
            };
            if end > bytes.len() {
                return Err(outside());
            }
            bytes.truncate(end);
            bytes.drain(..start);
            return Ok(bytes);
        }
        let wanted = range.end - range.start;
        // A service that ignores the header would send everything.
        let call = Call::limited(wanted);
        let read = self.run(key, call, async |operator, _| {
            // As it arrives into one piece of memory: what many calls at once hold would be twice as much otherwise.
            let mut bytes = Vec::with_capacity(wanted.min(ONE_PIECE) as usize);
            let reader = operator.reader(key).await?;
            reader.read_into(&mut bytes, range.clone()).await.map(|_| bytes)
        })?;
        match read {
            Ok(bytes) if bytes.len() as u64 == wanted => Ok(bytes),
            Ok(_) => Err(outside()),
            Err(failed) if failed.says_beyond_the_end() => Err(outside()),
            Err(failed) if failed.call.seen().failure == Some(Failure::TooLarge) => {
                Err(TransportError::Unsupported {
                    place: self.place(key),
                    source: failed.error.into(),
                })
            }
            // The service cut the range at the object's end, and said so before it sent it.
            Err(failed) if failed.call.seen().announced.is_some_and(|length| length < wanted) => Err(outside()),
            Err(failed) => Err(self.error(key, failed)),
        }
    }

    fn put(&self, key: &str, body: &Body, mode: PutMode) -> Result<PutOutcome> {
        let key = self.valid(key)?;
        match self.service.writes() {
            Writes::Staged => self.put_staged(key, body, mode),
            _ => self.put_whole(key, body, mode),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        if !check_prefix(prefix) {
            return Err(TransportError::InvalidKey(self.place(prefix)));
        }
        let listed = match self.service.listing() {
            Listing::Flat => self.run(prefix, Call::default(), async |operator, _| {
                let options = ListOptions {
                    recursive: true,
                    ..ListOptions::default()
                };
                operator.list_options(prefix, options).await
            })?,
            Listing::Walked => self.run(prefix, Call::default(), async |operator, call| {
                listing::walk(&operator, prefix, &call).await
            })?,
        };
        let entries = listed.map_err(|failed| match self.error(prefix, failed) {
            // Only the bucket itself can be missing from a listing.
            TransportError::NotFound(place) => TransportError::NoRemote {
                place,
                what: self.service.container(),
            },
            error => error,
        })?;
        let mut objects: Vec<_> = entries
            .into_iter()
            .filter(|entry| entry.metadata().is_file() && entry.path().starts_with(prefix) && check_key(entry.path()))
            .map(|entry| meta(entry.path(), entry.metadata()))
            .collect();
        objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }

    fn stat(&self, key: &str) -> Result<Option<ObjectMeta>> {
        let key = self.valid(key)?;
        match self.run(key, Call::default(), async |operator, _| operator.stat(key).await)? {
            Ok(metadata) if metadata.is_dir() => Ok(None),
            Ok(metadata) => Ok(Some(meta(key, &metadata))),
            Err(failed) => match self.error(key, failed) {
                TransportError::NotFound(_) => Ok(None),
                error => Err(error),
            },
        }
    }

    fn delete(&self, key: &str) -> Result<()> {
        let key = self.valid(key)?;
        match self.run(key, Call::default(), async |operator, _| operator.delete(key).await)? {
            Ok(()) => Ok(()),
            Err(failed) => match self.error(key, failed) {
                TransportError::NotFound(_) => Ok(()),
                error => Err(error),
            },
        }
    }

    fn traffic(&self) -> Traffic {
        self.counters.snapshot()
    }
}

fn meta(key: &str, metadata: &opendal::Metadata) -> ObjectMeta {
    ObjectMeta {
        key: key.to_owned(),
        size: metadata.content_length(),
        modified: metadata.last_modified().map(SystemTime::from),
        etag: metadata.etag().map(str::to_owned),
    }
}
