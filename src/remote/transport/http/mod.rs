//! A store behind HTTP: at `modver serve`, or as plain files of any web server or public bucket.
//!
//! Which of both it is shows in a header of the first answer. Plain files are read only and cannot be listed: readers find
//! the catalog by `catalog/current`. What a server of ours speaks is in `docs/server.md`.

mod content;
mod resume;
mod send;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, RANGE};
use reqwest::{Method, StatusCode};

use self::content::Content;
use self::send::Answer;
use super::error::{Place, TransportError};
use super::pace::Pace;
use super::traffic::{Counters, Traffic, add};
use super::url::{RemoteSpec, UrlError, has_credentials};
use super::wire;
use super::{Body, ObjectMeta, PutMode, PutOutcome, Result, Secret, Transport, check_key, check_prefix};
use crate::hash::FileId;
use crate::path::percent_encode;
use crate::progress::Progress;
use crate::store::marker;

/// Header in every answer of `modver serve`.
pub const SERVER_HEADER: &str = "modver-server";
/// Header: when an object was written, in nanoseconds since 1970.
pub const MODIFIED_HEADER: &str = "modver-modified";
/// Header: bytes of a resumable upload that have arrived, or where content is to be appended.
pub const OFFSET_HEADER: &str = "upload-offset";
/// Header: bytes that a resumable upload will have.
pub const LENGTH_HEADER: &str = "upload-length";
/// Header: `?1` with the last content of a resumable upload.
pub const COMPLETE_HEADER: &str = "upload-complete";

/// The longest certificate file that is read.
const MAX_CERTIFICATES: u64 = 16 << 20;
/// The longest page of a listing that is read.
const MAX_PAGE: u64 = 64 << 20;
/// Larger files are uploaded in such a way that what has arrived need not be sent again.
const RESUMABLE: u64 = 8 << 20;

/// Why something cannot be done.
const PLAIN: &str = "it answers as a web server of plain files, not as `modver serve`: it can only be pulled from";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A server of ours.
    Modver,
    /// Files.
    Plain,
}

/// A store behind an `http://` or `https://` URL.
pub struct HttpTransport {
    name: Arc<str>,
    client: reqwest::Client,
    token: Option<HeaderValue>,
    pace: Pace,
    progress: Arc<Progress>,
    counters: Counters,
    kind: Mutex<Option<Kind>>,
}

impl HttpTransport {
    /// Prepares requests, which keep to `pace`; sends none. Calls end early when `progress` is interrupted.
    ///
    /// # Errors
    /// When the URL, the token or the certificates cannot be used.
    pub(super) fn open(url: &str, spec: &RemoteSpec, pace: Pace, progress: Arc<Progress>) -> Result<Self> {
        let wrong = |source| TransportError::Url {
            remote: spec.name.clone(),
            source,
        };
        let url = url.trim_end_matches('/');
        let host = url.split_once("://").map_or("", |(_, rest)| rest);
        if has_credentials(host) {
            return Err(wrong(UrlError::Credentials));
        }
        if reqwest::Url::parse(url).is_err() {
            return Err(wrong(UrlError::Endpoint {
                endpoint: url.to_owned(),
            }));
        }
        let name: Arc<str> = url.into();
        let place = || Place::new(Arc::clone(&name), "");
        let failed = |source: super::error::Source| TransportError::Failed { place: place(), source };
        let mut builder = wire::client();
        if let Some(path) = &spec.ca_file {
            let pem = crate::fs::read(path, MAX_CERTIFICATES).map_err(|error| failed(error.into()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.into()))?;
            if certificates.is_empty() {
                return Err(failed(format!("{} has no certificate in it", path.display()).into()));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let bearer = |token: &Secret| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| failed("the token has characters that no token has".into()))?;
            value.set_sensitive(true);
            Ok(value)
        };
        let token = match &spec.token {
            Some(token) if !spec.anonymous => Some(bearer(token)?),
            _ => None,
        };
        Ok(Self {
            client: builder.build().map_err(|error| failed(error.into()))?,
            token,
            name,
            pace,
            progress,
            counters: Counters::default(),
            kind: Mutex::new(None),
        })
    }

    fn place(&self, key: &str) -> Place {
        Place::new(Arc::clone(&self.name), key)
    }

    fn url(&self, key: &str) -> Result<String> {
        if check_key(key) {
            Ok(format!("{}/{}", self.name, percent_encode(key)))
        } else {
            Err(TransportError::InvalidKey(self.place(key)))
        }
    }

    fn known_kind(&self) -> Option<Kind> {
        *self.kind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_kind(&self, kind: Kind) {
        *self.kind.lock().unwrap_or_else(PoisonError::into_inner) = Some(kind);
    }

    /// Which kind it is; costs a request if none was answered before.
    fn kind(&self, key: &str) -> Result<Kind> {
        if let Some(kind) = self.known_kind() {
            return Ok(kind);
        }
        match self.stat(marker::NAME) {
            // Whatever the answer was: if it came from a server of ours, that is known now.
            Err(error) if self.known_kind().is_none() => Err(error),
            _ => Ok(self.known_kind().unwrap_or(Kind::Plain)),
        }
        .map_err(|error| error.at(self.place(key)))
    }

    /// Goes on only where something can be written.
    fn writable(&self, key: &str) -> Result<()> {
        match self.kind(key)? {
            Kind::Modver => Ok(()),
            Kind::Plain => Err(TransportError::ReadOnly {
                place: self.place(key),
                source: PLAIN.into(),
            }),
        }
    }

    fn put_whole(&self, key: &str, body: &Body, mode: PutMode) -> Result<PutOutcome> {
        add(&self.counters.puts, 1);
        let content = self.content(key, body, None)?;
        let answer = self.send(key, Method::PUT, &self.url(key)?, condition(mode), Some(content))?;
        match answer.status {
            StatusCode::PRECONDITION_FAILED => Ok(PutOutcome::Existed),
            status if status.is_success() => Ok(PutOutcome::Created),
            _ => Err(self.refused(key, &answer)),
        }
    }

    /// What is to be sent of a body: all, or a part of a file.
    fn content(&self, key: &str, body: &Body, part: Option<Range<u64>>) -> Result<Content> {
        Content::new(body, part, self.pace.clone()).map_err(|error| TransportError::Upload {
            place: self.place(key),
            source: error.into(),
        })
    }
}

/// The header that keeps what exists.
fn condition(mode: PutMode) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if mode == PutMode::IfAbsent {
        headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
    }
    headers
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn with_number(headers: &mut HeaderMap, name: &'static str, value: u64) {
    headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
}

fn moment(nanoseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}

/// What an answer says of an object.
fn meta(key: &str, answer: &Answer) -> Option<ObjectMeta> {
    Some(ObjectMeta {
        key: key.to_owned(),
        size: number(&answer.headers, "content-length")?,
        modified: number(&answer.headers, MODIFIED_HEADER).map(moment),
        etag: answer
            .headers
            .get(ETAG)
            .and_then(|tag| tag.to_str().ok())
            .map(str::to_owned),
    })
}

/// One page of a listing.
#[derive(serde::Deserialize)]
struct Page {
    objects: Vec<Listed>,
    next: Option<String>,
}

#[derive(serde::Deserialize)]
struct Listed {
    key: String,
    size: u64,
    modified: Option<u64>,
    etag: Option<String>,
}

impl Transport for HttpTransport {
    fn describe(&self) -> &str {
        &self.name
    }

    fn get(&self, key: &str, limit: u64) -> Result<Vec<u8>> {
        let url = self.url(key)?;
        add(&self.counters.gets, 1);
        let answer = self.send(key, Method::GET, &url, HeaderMap::new(), None)?;
        if answer.status != StatusCode::OK {
            return Err(self.refused(key, &answer));
        }
        self.receive(key, answer, 0, limit, None)
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let url = self.url(key)?;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let outside = || TransportError::OutOfRange {
            place: self.place(key),
            start: range.start,
            end: range.end,
        };
        add(&self.counters.gets, 1);
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(&format!("bytes={}-{}", range.start, range.end - 1)) {
            headers.insert(RANGE, value);
        }
        let answer = self.send(key, Method::GET, &url, headers, None)?;
        let wanted = range.end - range.start;
        let (skip, there) = match answer.status {
            StatusCode::PARTIAL_CONTENT => (0, part(&answer.headers) == Some(range.clone())),
            // A server that knows no parts sends everything; what is behind the part is not waited for.
            StatusCode::OK => {
                let size = number(&answer.headers, "content-length");
                (range.start, size.is_none_or(|size| size >= range.end))
            }
            StatusCode::RANGE_NOT_SATISFIABLE => return Err(outside()),
            _ => return Err(self.refused(key, &answer)),
        };
        if !there {
            return Err(outside());
        }
        let bytes = self.receive(key, answer, skip, wanted, Some(wanted))?;
        if bytes.len() as u64 == wanted {
            Ok(bytes)
        } else {
            Err(outside())
        }
    }

    fn put(&self, key: &str, body: &Body, mode: PutMode) -> Result<PutOutcome> {
        self.url(key)?;
        self.writable(key)?;
        let named = key
            .rsplit('/')
            .next()
            .is_some_and(|name| name.parse::<FileId>().is_ok());
        if let Body::File(path) = body
            && named
        {
            let size = crate::fs::stat(path).map_err(|error| TransportError::Upload {
                place: self.place(key),
                source: error.into(),
            })?;
            if let Some(size) = size.map(|stat| stat.size).filter(|size| *size > RESUMABLE) {
                return self.put_resumably(key, body, size, mode);
            }
        }
        self.put_whole(key, body, mode)
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        if !check_prefix(prefix) {
            return Err(TransportError::InvalidKey(self.place(prefix)));
        }
        if self.kind(prefix)? == Kind::Plain {
            return Err(TransportError::Unsupported {
                place: self.place(prefix),
                source: PLAIN.into(),
            });
        }
        let mut objects: Vec<ObjectMeta> = Vec::new();
        let mut url = format!("{}/?list={}", self.name, percent_encode(prefix));
        let mut after: Option<String> = None;
        loop {
            add(&self.counters.lists, 1);
            let answer = self.send(prefix, Method::GET, &url, HeaderMap::new(), None)?;
            if answer.status != StatusCode::OK {
                return Err(self.refused(prefix, &answer));
            }
            let bytes = self.receive(prefix, answer, 0, MAX_PAGE, None)?;
            let page: Page = serde_json::from_slice(&bytes).map_err(|error| TransportError::Failed {
                place: self.place(prefix),
                source: error.into(),
            })?;
            // An answer is input.
            let listed = page.objects.into_iter();
            let listed = listed.filter(|object| object.key.starts_with(prefix) && check_key(&object.key));
            objects.extend(listed.map(|object| ObjectMeta {
                key: object.key,
                size: object.size,
                modified: object.modified.map(moment),
                etag: object.etag,
            }));
            let Some(next) = page.next else { break };
            if after.is_some_and(|after| next <= after) {
                return Err(TransportError::Failed {
                    place: self.place(prefix),
                    source: "the server's list does not end".into(),
                });
            }
            url = format!(
                "{}/?list={}&after={}",
                self.name,
                percent_encode(prefix),
                percent_encode(&next)
            );
            after = Some(next);
        }
        Ok(objects)
    }

    fn stat(&self, key: &str) -> Result<Option<ObjectMeta>> {
        let url = self.url(key)?;
        add(&self.counters.stats, 1);
        let answer = self.send(key, Method::HEAD, &url, HeaderMap::new(), None)?;
        match answer.status {
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            status if status.is_success() => match meta(key, &answer) {
                Some(meta) => Ok(Some(meta)),
                None => Err(TransportError::Unsupported {
                    place: self.place(key),
                    source: "the server does not say how long a file is".into(),
                }),
            },
            _ => Err(self.refused(key, &answer)),
        }
    }

    fn delete(&self, key: &str) -> Result<()> {
        let url = self.url(key)?;
        self.writable(key)?;
        add(&self.counters.deletes, 1);
        let answer = self.send(key, Method::DELETE, &url, HeaderMap::new(), None)?;
        match answer.status {
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(()),
            status if status.is_success() => Ok(()),
            _ => Err(self.refused(key, &answer)),
        }
    }

    fn traffic(&self) -> Traffic {
        self.counters.snapshot()
    }
}

/// Which bytes an answer says it has.
fn part(headers: &HeaderMap) -> Option<Range<u64>> {
    let text = headers
        .get(CONTENT_RANGE)?
        .to_str()
        .ok()?
        .trim()
        .strip_prefix("bytes ")?;
    let (range, _) = text.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let last: u64 = last.trim().parse().ok()?;
    Some(first.trim().parse().ok()?..last.checked_add(1)?)
}
