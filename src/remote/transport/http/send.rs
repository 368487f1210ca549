//! One request and its answer.

use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Response, StatusCode};

use super::super::error::TransportError;
use super::super::traffic::add;
use super::super::wire::{self, drive, while_moving};
use super::content::Content;
use super::{HttpTransport, Kind, Result, SERVER_HEADER};

/// Bytes of an explanation that are read.
const EXPLANATION: usize = 4096;

/// An answer whose content has not been read, but for a refusal's explanation.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    response: Option<Response>,
    explanation: String,
}

impl HttpTransport {
    /// Runs requests to their end, or until the operation is interrupted.
    fn drive<T>(&self, key: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        drive(&self.progress, || self.place(key), work)?
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) fn send(
        &self,
        key: &str,
        method: Method,
        url: &str,
        headers: HeaderMap,
        content: Option<Content>,
    ) -> Result<Answer> {
        self.drive(key, self.request(key, method, url, headers, content))
    }

    async fn request(
        &self,
        key: &str,
        method: Method,
        url: &str,
        headers: HeaderMap,
        content: Option<Content>,
    ) -> Result<Answer> {
        let head = method == Method::HEAD;
        let mut request = self
            .client
            .request(method, url)
            .headers(headers)
            // What is counted are the bytes of the file itself.
            .header(ACCEPT_ENCODING, "identity");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        let idle = self.pace.idle();
        let sent = content.as_ref().map(Content::sent).unwrap_or_default();
        if let Some(content) = content {
            request = request.header(CONTENT_LENGTH, content.len());
            if content.len() > 0 {
                request = request.body(reqwest::Body::wrap(content));
            }
        }
        let result = while_moving(request.send(), &sent, idle).await;
        add(&self.counters.bytes_up, sent.bytes());
        let mut response = match result {
            None => {
                return Err(TransportError::TimedOut {
                    place: self.place(key),
                    after: idle,
                });
            }
            Some(Err(error)) => return Err(wire::request_error(self.place(key), error)),
            Some(Ok(response)) => response,
        };
        let (status, headers) = (response.status(), response.headers().clone());
        self.learn(status, &headers);
        let mut explanation = String::new();
        if !head && !status.is_success() {
            let is_text = headers
                .get(CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
            let mut page = Vec::new();
            while page.len() < EXPLANATION {
                match tokio::time::timeout(idle, response.chunk()).await {
                    Ok(Ok(Some(bytes))) => page.extend_from_slice(&bytes),
                    _ => break,
                }
            }
            if is_text {
                let text = String::from_utf8_lossy(&page);
                explanation = text
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(300)
                    .collect();
            }
        }
        Ok(Answer {
            status,
            headers,
            response: Some(response),
            explanation,
        })
    }

    /// Notes which kind of server answered.
    fn learn(&self, status: StatusCode, headers: &HeaderMap) {
        if headers.contains_key(SERVER_HEADER) {
            self.set_kind(Kind::Modver);
        } else if self.known_kind().is_none() && (status.is_success() || status == StatusCode::NOT_FOUND) {
            // An error of a proxy in front of a server says nothing.
            self.set_kind(Kind::Plain);
        }
    }

    /// Reads an answer's content from behind `skip` bytes on: not more than `limit`, and no further than `enough`.
    pub(super) fn receive(
        &self,
        key: &str,
        answer: Answer,
        skip: u64,
        limit: u64,
        enough: Option<u64>,
    ) -> Result<Vec<u8>> {
        let too_large = || TransportError::TooLarge {
            place: self.place(key),
            limit,
        };
        let announced = super::number(&answer.headers, CONTENT_LENGTH.as_str());
        if enough.is_none() && announced.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let Some(mut response) = answer.response else {
            return Ok(Vec::new());
        };
        let idle = self.pace.idle();
        self.drive(key, async {
            let expected = enough.or(announced).unwrap_or(0).min(64 << 20);
            let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
            let mut skip = skip;
            loop {
                let mut piece = match tokio::time::timeout(idle, response.chunk()).await {
                    Err(_) => {
                        return Err(TransportError::TimedOut {
                            place: self.place(key),
                            after: idle,
                        });
                    }
                    Ok(Err(error)) => {
                        return Err(TransportError::Truncated {
                            place: self.place(key),
                            source: error.without_url().into(),
                        });
                    }
                    Ok(Ok(None)) => return Ok(bytes),
                    Ok(Ok(Some(piece))) => piece,
                };
                add(&self.counters.bytes_down, piece.len() as u64);
                self.pace.wait(piece.len() as u64).await;
                let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
                skip -= skipped as u64;
                let _ = piece.split_to(skipped);
                if let Some(enough) = enough {
                    let left = usize::try_from(enough - bytes.len() as u64).unwrap_or(usize::MAX);
                    piece.truncate(left);
                }
                bytes.extend_from_slice(&piece);
                if bytes.len() as u64 > limit {
                    return Err(too_large());
                }
                if enough == Some(bytes.len() as u64) {
                    return Ok(bytes);
                }
            }
        })
    }

    /// What a refusal means.
    pub(super) fn refused(&self, key: &str, answer: &Answer) -> TransportError {
        let place = self.place(key);
        let retry_after = wire::retry_after(&answer.headers);
        let reason = answer.status.canonical_reason().unwrap_or("no known status");
        let source = if answer.explanation.is_empty() {
            reason.to_owned().into()
        } else {
            answer.explanation.clone().into()
        };
        match answer.status.as_u16() {
            401 if self.token.is_none() => TransportError::NoCredentials { place, source },
            401 => TransportError::Unauthenticated { place, source },
            403 => TransportError::Denied { place, source },
            404 | 410 => TransportError::NotFound(place),
            405 | 501 => TransportError::Unsupported { place, source },
            429 => TransportError::Throttled {
                place,
                retry_after,
                source,
            },
            507 => TransportError::NoSpace { place, source },
            status @ (408 | 409 | 425 | 500..) => TransportError::Server {
                place,
                status,
                retry_after,
                source,
            },
            status => TransportError::Refused { place, status, source },
        }
    }
}
