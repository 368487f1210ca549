//! A store in an S3 bucket, at AWS or any service that speaks the same protocol.
//!
//! An object of up to 128 MiB is one PUT; larger ones go in parts. Files are sent from disk. `IfAbsent` is
//! `If-None-Match: *`; services that refuse the header get plain PUTs from then on. Requests are driven by two threads
//! that all S3 remotes of the process share; the calling thread waits.

mod account;
mod http;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opendal::options::{ListOptions, ReadOptions, WriteOptions};
use opendal::{Buffer, ErrorKind, HttpTransporter, OperationContext, Operator, services};

use self::http::{Call, Failure, Http, IDLE, Upload};
use super::error::{Place, TransportError};
use super::runtime::runtime;
use super::traffic::{Counters, Traffic};
use super::url::{RemoteSpec, UrlError, has_credentials};
use super::{Body, ObjectMeta, PutMode, PutOutcome, Result, Transport, check_key, check_prefix};
use crate::progress::Progress;

/// Larger objects are sent in parts of [`PART`] bytes.
const SINGLE_PUT: usize = 128 << 20;
/// Bytes of a part; 10,000 parts are allowed.
const PART: usize = 64 << 20;

/// A bucket, or a prefix in it, as a remote.
pub struct S3Transport {
    bucket: String,
    prefix: String,
    endpoint: Option<String>,
    spec: RemoteSpec,
    name: Arc<str>,
    progress: Arc<Progress>,
    http: Http,
    counters: Arc<Counters>,
    operator: Mutex<Option<Operator>>,
    conditions_refused: AtomicBool,
}

impl S3Transport {
    /// Prepares requests to `bucket`; sends none. Calls end early when `progress` is interrupted.
    ///
    /// # Errors
    /// When the endpoint is not a URL, or the runtime or TLS cannot be set up.
    pub fn open(bucket: &str, prefix: &str, spec: &RemoteSpec, progress: Arc<Progress>) -> Result<Self> {
        let url_error = |source| TransportError::Url {
            remote: spec.name.clone(),
            source,
        };
        let endpoint = spec.endpoint.clone().or_else(account::endpoint);
        if let Some(endpoint) = &endpoint {
            let host = endpoint
                .strip_prefix("http://")
                .or_else(|| endpoint.strip_prefix("https://"));
            let Some(host) = host.filter(|host| !host.is_empty() && !host.contains(['?', '#', ' '])) else {
                return Err(url_error(UrlError::Endpoint {
                    endpoint: endpoint.rsplit('@').next().unwrap_or_default().to_owned(),
                }));
            };
            if has_credentials(host) {
                return Err(url_error(UrlError::Credentials));
            }
        }
        let mut name = format!("s3://{bucket}");
        if !prefix.is_empty() {
            name = format!("{name}/{prefix}");
        }
        if let Some(endpoint) = &endpoint {
            name = format!("{name} at {endpoint}");
        }
        let name: Arc<str> = name.into();
        let place = Place {
            remote: Arc::clone(&name),
            key: String::new(),
        };
        let counters = Arc::new(Counters::default());
        let http = Http::new(Arc::clone(&counters)).map_err(|error| TransportError::Failed {
            place,
            source: error.into(),
        })?;
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint,
            spec: spec.clone(),
            name,
            progress,
            http,
            counters,
            operator: Mutex::new(None),
            conditions_refused: AtomicBool::new(false),
        })
    }

    fn place(&self, key: &str) -> Place {
        Place {
            remote: Arc::clone(&self.name),
            key: key.to_owned(),
        }
    }

    fn valid<'k>(&self, key: &'k str) -> Result<&'k str> {
        if check_key(key) {
            Ok(key)
        } else {
            Err(TransportError::InvalidKey(self.place(key)))
        }
    }

    /// The client, made at the first request since finding the region may take one.
    async fn operator(&self) -> opendal::Result<Operator> {
        let slot = || self.operator.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(operator) = slot().clone() {
            return Ok(operator);
        }
        let region = match (account::region(&self.spec), &self.endpoint) {
            (Some(region), _) => region,
            (None, Some(endpoint)) if endpoint.ends_with("r2.cloudflarestorage.com") => "auto".to_owned(),
            // Services other than AWS accept this name or do not care.
            (None, Some(_)) => "us-east-1".to_owned(),
            (None, None) => match self.http.aws_region(&self.bucket).await {
                Some(region) => region,
                None => "us-east-1".to_owned(),
            },
        };
        let aws = self
            .endpoint
            .as_ref()
            .is_none_or(|endpoint| endpoint.ends_with(".amazonaws.com"));
        let path_style = self.spec.path_style.unwrap_or(!aws || self.bucket.contains('.'));
        let mut builder = services::S3::default()
            .bucket(&self.bucket)
            .root(&self.prefix)
            .region(&region)
            .endpoint(self.endpoint.as_deref().unwrap_or("https://s3.amazonaws.com"))
            .disable_config_load()
            .credential_provider_chain(account::chain(&self.spec));
        if !path_style {
            builder = builder.enable_virtual_host_style();
        }
        if self.spec.anonymous {
            builder = builder.skip_signature();
        }
        let context = OperationContext::new().with_http_transport(HttpTransporter::new(self.http.clone()));
        let operator = Operator::new(builder)?.with_context(context);
        *slot() = Some(operator.clone());
        Ok(operator)
    }

    /// Runs one call to its end, or until the operation is interrupted.
    fn run<T>(
        &self,
        key: &str,
        call: Call,
        work: impl AsyncFnOnce(Operator) -> opendal::Result<T>,
    ) -> Result<std::result::Result<T, Failed>> {
        let interrupted = || TransportError::Interrupted(self.place(key));
        self.progress.check().map_err(|_| interrupted())?;
        let runtime = runtime().map_err(|error| TransportError::Failed {
            place: self.place(key),
            source: error.into(),
        })?;
        let call = Arc::new(call);
        let stop = async {
            while self.progress.check().is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let work = Arc::clone(&call).scope(async { work(self.operator().await?).await });
        let result = runtime.block_on(async {
            tokio::select! {
                result = work => Some(result),
                () = stop => None,
            }
        });
        match result {
            None => Err(interrupted()),
            Some(Ok(value)) => Ok(Ok(value)),
            Some(Err(error)) => Ok(Err(Failed { call, error })),
        }
    }

    fn write(&self, key: &str, body: &Body, conditional: bool) -> Result<std::result::Result<(), Failed>> {
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
        let options = WriteOptions {
            if_not_exists: conditional,
            chunk: (bytes.len() > SINGLE_PUT).then_some(PART),
            ..WriteOptions::default()
        };
        self.run(key, call, async |operator| {
            operator
                .write_options(key, Buffer::from(bytes), options)
                .await
                .map(drop)
        })
    }

    /// What a failure means.
    fn error(&self, key: &str, failed: Failed) -> TransportError {
        let Failed { call, error } = failed;
        let place = self.place(key);
        let seen = call.seen();
        let status = seen.status.unwrap_or(0);
        let code = seen.code.as_deref().unwrap_or_default();
        let retry_after = seen.retry_after;
        if is_signing(&error) {
            let source = error.into();
            return TransportError::NoCredentials { place, source };
        }
        match seen.failure {
            Some(Failure::TooLarge) => {
                let limit = call.limit.unwrap_or(0);
                return TransportError::TooLarge { place, limit };
            }
            Some(Failure::Idle) => return TransportError::TimedOut { place, after: IDLE },
            Some(failure) => {
                let source = error.into();
                return match failure {
                    Failure::Connect => TransportError::Unreachable { place, source },
                    Failure::Upload => TransportError::Upload { place, source },
                    _ => TransportError::Disconnected { place, source },
                };
            }
            None => {}
        }
        let temporary = error.is_temporary();
        let unsupported = error.kind() == ErrorKind::Unsupported;
        let source = error.into();
        match (status, code) {
            (_, "NoSuchBucket") => TransportError::NoRemote {
                place: self.place(""),
                what: "bucket",
            },
            (
                _,
                "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "ExpiredToken"
                | "InvalidToken"
                | "InvalidSecurity"
                | "TokenRefreshRequired"
                | "RequestTimeTooSkewed"
                | "InvalidClientTokenId"
                | "NotSignedUp",
            )
            | (401, _) => TransportError::Unauthenticated { place, source },
            (301 | 302 | 307 | 308, _)
            | (_, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                TransportError::WrongRegion {
                    place,
                    region: seen.region.unwrap_or_else(|| "unknown".to_owned()),
                    source,
                }
            }
            (507, _) | (_, "QuotaExceeded" | "XMinioStorageFull" | "InsufficientCapacity") => {
                TransportError::NoSpace { place, source }
            }
            (404, _) => TransportError::NotFound(place),
            (403, _) => TransportError::Denied { place, source },
            (429, _) | (_, "SlowDown" | "TooManyRequests") => TransportError::Throttled {
                place,
                retry_after,
                source,
            },
            (501 | 405, _) | (_, "NotImplemented") => TransportError::Unsupported { place, source },
            (408 | 409 | 425 | 499 | 500.., _) | (_, "RequestTimeout" | "IncompleteBody") => TransportError::Server {
                place,
                status,
                retry_after,
                source,
            },
            (1.., _) => TransportError::Refused { place, status, source },
            // The answer was good but ended early, or was no valid listing.
            (0, _) if temporary => TransportError::Truncated { place, source },
            (0, _) if unsupported => TransportError::Unsupported { place, source },
            (0, _) => TransportError::Failed { place, source },
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
}

impl Transport for S3Transport {
    fn describe(&self) -> &str {
        &self.name
    }

    fn get(&self, key: &str, limit: u64) -> Result<Vec<u8>> {
        let key = self.valid(key)?;
        self.run(key, Call::limited(limit), async |operator| operator.read(key).await)?
            .map(|buffer| buffer.to_vec())
            .map_err(|failed| self.error(key, failed))
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
        let wanted = range.end - range.start;
        // A service that ignores the header would send everything.
        let call = Call::limited(wanted);
        let options = ReadOptions {
            range: range.clone().into(),
            ..ReadOptions::default()
        };
        let read = self.run(key, call, async |operator| operator.read_options(key, options).await)?;
        match read {
            Ok(buffer) if buffer.len() as u64 == wanted => Ok(buffer.to_vec()),
            Ok(_) => Err(outside()),
            Err(failed) if failed.status() == Some(416) => Err(outside()),
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
        let conditional = mode == PutMode::IfAbsent && !self.conditions_refused.load(Relaxed);
        let failed = match self.write(key, body, conditional)? {
            Ok(()) => return Ok(PutOutcome::Created),
            Err(failed) => failed,
        };
        match failed.status() {
            Some(412) if conditional => Ok(PutOutcome::Existed),
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

    fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        if !check_prefix(prefix) {
            return Err(TransportError::InvalidKey(self.place(prefix)));
        }
        let options = ListOptions {
            recursive: true,
            ..ListOptions::default()
        };
        let entries = self
            .run(prefix, Call::default(), async |operator| {
                operator.list_options(prefix, options).await
            })?
            .map_err(|failed| match self.error(prefix, failed) {
                // Only the bucket itself can be missing from a listing.
                TransportError::NotFound(place) => TransportError::NoRemote { place, what: "bucket" },
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
        match self.run(key, Call::default(), async |operator| operator.stat(key).await)? {
            Ok(metadata) => Ok(Some(meta(key, &metadata))),
            Err(failed) => match self.error(key, failed) {
                TransportError::NotFound(_) => Ok(None),
                error => Err(error),
            },
        }
    }

    fn delete(&self, key: &str) -> Result<()> {
        let key = self.valid(key)?;
        match self.run(key, Call::default(), async |operator| operator.delete(key).await)? {
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

/// Whether no request was sent because it could not be signed.
fn is_signing(error: &opendal::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<reqsign_core::Error>())
}
