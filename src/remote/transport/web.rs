//! Reads plain files over HTTP.
//!
//! Invariants: a body that ends before the announced length is an error, never a shorter file; a connection that is
//! lost is taken up again where it broke only if the server confirms that the content is the same. Redirects are
//! followed ten times at most and never from https to http. No error shows a user, a password or the query of a URL:
//! signed URLs have their credentials there.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};

use super::Result;
use super::error::{Place, TransportError};
use super::pace::Pace;
use super::retry::RetryPolicy;
use super::wire::{self, drive, request_error, retry_after};
use crate::progress::Progress;

/// How often a broken connection is taken up again for one file.
const RESUMES: u32 = 50;
/// The longest value of a header that is kept.
const MAX_HEADER: usize = 1024;

/// What tells one version of a file from another, as far as its server says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    /// Bytes.
    pub size: Option<u64>,
    /// What the server calls this version.
    pub etag: Option<String>,
    /// When it was last changed, in the server's words.
    pub modified: Option<String>,
}

impl Version {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| {
            let value: &HeaderValue = headers.get(name)?;
            let text = value.to_str().ok().filter(|text| text.len() <= MAX_HEADER)?;
            Some(text.to_owned())
        };
        Self {
            size: text(header::CONTENT_LENGTH).and_then(|text| text.parse().ok()),
            etag: text(header::ETAG),
            modified: text(header::LAST_MODIFIED),
        }
    }

    /// Whether another version has the marks of this one; `false` when there is nothing to go by.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.etag, &other.etag) {
            (Some(one), Some(other)) => one == other,
            _ => self.modified.is_some() && self.modified == other.modified && self.size == other.size,
        }
    }

    fn conditions(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut add = |name, text: &Option<String>| {
            if let Some(value) = text.as_ref().and_then(|text| HeaderValue::from_str(text).ok()) {
                headers.insert(name, value);
            }
        };
        add(header::IF_NONE_MATCH, &self.etag);
        if self.etag.is_none() {
            add(header::IF_MODIFIED_SINCE, &self.modified);
        }
        headers
    }
}

/// Speaks HTTP for reading.
#[derive(Debug)]
pub struct WebReader {
    client: reqwest::Client,
    progress: Arc<Progress>,
    retry: RetryPolicy,
    pace: Pace,
}

/// A URL for people: without user, password and query.
#[must_use]
pub fn shown_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (path, hidden) = match rest.find(['?', '#']) {
        Some(at) => (&rest[..at], "?…"),
        None => (rest, ""),
    };
    let (host, path) = path.split_at(path.find('/').unwrap_or(path.len()));
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}{hidden}")
}

impl WebReader {
    /// Prepares requests; sends none.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(progress: Arc<Progress>, retry: RetryPolicy) -> Result<Self> {
        let client = wire::client().build().map_err(|error| TransportError::Failed {
            place: place(""),
            source: error.into(),
        })?;
        let pace = Pace::new(Arc::clone(&progress), None);
        Ok(Self {
            client,
            progress,
            retry: pace.patient(retry),
            pace,
        })
    }

    /// What the server says about a file without sending it; `None` when it is still the version `known`.
    ///
    /// # Errors
    /// When it cannot be asked, or there is none.
    pub fn ask(&self, url: &str, known: &Version) -> Result<Option<Version>> {
        let answer = match self.send(Method::HEAD, url, &known.conditions()) {
            // Servers that make their answers on the fly often know only GET; its content is not waited for.
            Err(TransportError::Status {
                status: 400 | 403 | 405 | 501,
                ..
            }) => self.send(Method::GET, url, &known.conditions())?,
            answer => answer?,
        };
        if answer.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let now = Version::of(answer.headers());
        Ok((!now.is_same(known)).then_some(now))
    }

    /// Begins to read a file.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn open(&self, url: &str) -> Result<WebStream<'_>> {
        let response = self.send(Method::GET, url, &HeaderMap::new())?;
        if response.status() != StatusCode::OK {
            return Err(status_error(place(url), response.status(), None));
        }
        let version = Version::of(response.headers());
        Ok(WebStream {
            reader: self,
            url: url.to_owned(),
            version,
            response,
            offset: 0,
            resumes: 0,
            buffer: Bytes::new(),
            ended: false,
            begin_again: false,
        })
    }

    fn interrupted(url: &str) -> TransportError {
        TransportError::Interrupted(place(url))
    }

    /// Waits for something, but not longer than nothing may move on a connection, and not when the operation is asked to stop.
    fn wait<T>(&self, url: &str, work: impl Future<Output = reqwest::Result<T>>) -> Result<T> {
        let idle = self.pace.idle();
        let limited = async { tokio::time::timeout(idle, work).await };
        match drive(&self.progress, || place(url), limited)? {
            Err(_) => Err(TransportError::TimedOut {
                place: place(url),
                after: idle,
            }),
            Ok(result) => result.map_err(|error| request_error(place(url), error)),
        }
    }

    /// Sends a request until it is answered with success or "not modified", as often as the policy allows.
    fn send(&self, method: Method, url: &str, headers: &HeaderMap) -> Result<Response> {
        let stopped = || Self::interrupted(url);
        self.retry.run(&self.progress, stopped, || {
            let request = self
                .client
                .request(method.clone(), url)
                .headers(headers.clone())
                // What is counted, and taken up again, are the bytes of the file itself.
                .header(header::ACCEPT_ENCODING, "identity");
            let response = self.wait(url, request.send())?;
            let status = response.status();
            if status.is_success() || status == StatusCode::NOT_MODIFIED {
                return Ok(response);
            }
            let later = retry_after(response.headers());
            Err(status_error(place(url), status, later))
        })
    }
}

fn place(url: &str) -> Place {
    Place::new(shown_url(url), "")
}

fn status_error(place: Place, status: StatusCode, retry_after: Option<Duration>) -> TransportError {
    let reason = status.canonical_reason().unwrap_or("no known status").to_owned();
    match status.as_u16() {
        429 => TransportError::Throttled {
            place,
            retry_after,
            source: reason.into(),
        },
        code @ (408 | 425 | 500 | 502 | 503 | 504) => TransportError::Server {
            place,
            status: code,
            retry_after,
            source: reason.into(),
        },
        status => TransportError::Status { place, status, reason },
    }
}

/// A file as it arrives. Errors are [`TransportError`]s inside an [`io::Error`].
#[derive(Debug)]
pub struct WebStream<'a> {
    reader: &'a WebReader,
    url: String,
    version: Version,
    response: Response,
    /// Bytes that have arrived.
    offset: u64,
    resumes: u32,
    buffer: Bytes,
    ended: bool,
    begin_again: bool,
}

impl WebStream<'_> {
    /// What the server said about the file.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Whether reading failed for a reason that may pass, but only the whole file can be had again.
    #[must_use]
    pub fn must_begin_again(&self) -> bool {
        self.begin_again
    }

    fn more(&mut self) -> Result<()> {
        loop {
            let error = match self.reader.wait(&self.url, self.response.chunk()) {
                Ok(Some(bytes)) => {
                    let reader = self.reader;
                    reader
                        .pace
                        .block(bytes.len() as u64, || WebReader::interrupted(&self.url))?;
                    self.offset += bytes.len() as u64;
                    self.buffer = bytes;
                    if self.version.size.is_some_and(|size| self.offset > size) {
                        return Err(TransportError::TooLarge {
                            place: place(&self.url),
                            limit: self.version.size.unwrap_or(0),
                        });
                    }
                    return Ok(());
                }
                Ok(None) if self.version.size.is_none_or(|size| self.offset == size) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(None) => TransportError::Truncated {
                    place: place(&self.url),
                    source: format!("{} bytes arrived", self.offset).into(),
                },
                Err(error) => error,
            };
            if !error.is_retryable() {
                return Err(error);
            }
            self.resume(error)?;
        }
    }

    /// Asks for the rest, on the condition that it is of the same version.
    fn resume(&mut self, error: TransportError) -> Result<()> {
        let strong = self.version.etag.clone().filter(|etag| etag.starts_with('"'));
        let mark = strong.or_else(|| self.version.modified.clone().filter(|_| self.version.etag.is_none()));
        let Some(mark) = mark.and_then(|mark| HeaderValue::from_str(&mark).ok()) else {
            self.begin_again = true;
            return Err(error);
        };
        self.resumes += 1;
        if self.resumes > RESUMES {
            return Err(error);
        }
        let mut headers = HeaderMap::new();
        let range = HeaderValue::from_str(&format!("bytes={}-", self.offset));
        if let Ok(range) = range {
            headers.insert(header::RANGE, range);
        }
        headers.insert(header::IF_RANGE, mark);
        let response = self.reader.send(Method::GET, &self.url, &headers)?;
        let range = response.headers().get(header::CONTENT_RANGE);
        let continues = range
            .and_then(|value| value.to_str().ok()?.trim().strip_prefix("bytes "))
            .and_then(|range| range.split('-').next()?.trim().parse().ok())
            == Some(self.offset);
        if response.status() == StatusCode::PARTIAL_CONTENT && continues {
            self.response = response;
            return Ok(());
        }
        self.begin_again = true;
        Err(error)
    }
}

impl Read for WebStream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.buffer.is_empty() && !self.ended {
            self.more().map_err(io::Error::other)?;
        }
        let len = self.buffer.len().min(buf.len());
        buf[..len].copy_from_slice(&self.buffer.split_to(len));
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_urls_hold_no_secrets() {
        for (url, shown) in [
            ("https://h/a/b.csv", "https://h/a/b.csv"),
            ("https://u:p@h:1/a", "https://h:1/a"),
            ("https://h/a?X-Amz-Signature=s", "https://h/a?…"),
            ("https://h?a@b", "https://h?…"),
            ("https://u:p@h#x", "https://h?…"),
            ("https://h/a@b", "https://h/a@b"),
        ] {
            assert_eq!(shown_url(url), shown);
        }
    }

    #[test]
    fn versions_are_told_apart() {
        let version = |etag: Option<&str>, modified: Option<&str>, size| Version {
            etag: etag.map(str::to_owned),
            modified: modified.map(str::to_owned),
            size,
        };
        let one = version(Some("\"a\""), Some("Mon"), Some(1));
        assert!(one.is_same(&version(Some("\"a\""), None, None)));
        assert!(!one.is_same(&version(Some("\"b\""), Some("Mon"), Some(1))));
        assert!(one.is_same(&version(None, Some("Mon"), Some(1))));
        assert!(!one.is_same(&version(None, Some("Mon"), Some(2))));
        assert!(!version(None, None, Some(1)).is_same(&version(None, None, Some(1))));
    }
}
