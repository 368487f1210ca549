//! The HTTP connection under the clients of services.
//!
//! OpenDAL builds and signs requests and hands them to [`Http`], which counts them, sends files without holding
//! them in memory, notices connections on which nothing moves, and remembers of each call what an error needs to
//! be told apart: status, the service's code and words, `Retry-After`.

use crate::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http_body::Frame;
use opendal::raw::Operation;
use opendal::{Buffer, ErrorKind, HttpBody, HttpTransport};
use tokio::time::{Instant, Sleep};

use super::super::pace::Pace;
use super::super::traffic::{Counters, add};
use super::super::wire::{self, CONNECT, Turn, while_moving};

/// As for connections, and for the first answer, of the addresses inside cloud machines that hand out credentials: elsewhere
/// nobody answers there.
const METADATA: Duration = Duration::from_secs(2);
/// Bytes of a file that are read and sent at a time.
const PIECE: usize = 256 * 1024;
/// Bytes of an error page that are looked at.
const ERROR_PAGE: usize = 64 * 1024;

tokio::task_local! {
    static CALL: Arc<Call>;
}

/// How a request failed below HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Connect,
    Lost,
    Idle,
    TooLarge,
    Upload,
}

/// What became known during one call.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    pub(super) status: Option<u16>,
    pub(super) code: Option<String>,
    /// The service's own words about a failure.
    pub(super) message: Option<String>,
    pub(super) retry_after: Option<Duration>,
    pub(super) region: Option<String>,
    pub(super) failure: Option<Failure>,
    /// Bytes of content the last good answer announced.
    pub(super) announced: Option<u64>,
}

/// One call of the transport: what it sends, how much it accepts, and what became known.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) limit: Option<u64>,
    pub(super) upload: Option<Upload>,
    /// What is added to the query of requests that write.
    pub(super) condition: Option<&'static str>,
    seen: Mutex<Seen>,
}

impl Call {
    /// A call that accepts at most `limit` bytes.
    pub(super) fn limited(limit: u64) -> Self {
        Self {
            limit: Some(limit),
            ..Self::default()
        }
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes what became known during a part of this call known of the whole.
    pub(super) fn adopt(&self, part: &Self) {
        let seen = part.seen();
        self.note(|own| *own = seen);
    }

    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Runs `future` so that the requests it makes belong to this call.
    pub(super) async fn scope<F: Future>(self: Arc<Self>, future: F) -> F::Output {
        CALL.scope(self, future).await
    }
}

/// A file on its way. OpenDAL passes memory around, so it gets the file mapped; [`Http`] recognises the addresses and
/// reads the file instead: mapped pages would count as this process's memory until the upload ends.
#[derive(Debug)]
pub(super) struct Upload {
    file: Arc<File>,
    map: Bytes,
}

impl Upload {
    pub(super) fn open(path: &Path) -> crate::fs::Result<Self> {
        let file = Arc::new(crate::fs::open(path)?);
        let empty = crate::fs::stat_file(&file, path)?.size == 0;
        let map = if empty {
            Bytes::new()
        } else {
            Bytes::from_owner(crate::fs::map(path)?)
        };
        Ok(Self { file, map })
    }

    pub(super) fn bytes(&self) -> Bytes {
        self.map.clone()
    }

    /// Where in the file these bytes are, if they are of it.
    fn offset(&self, bytes: &Bytes) -> Option<u64> {
        let begin = (bytes.as_ptr() as usize).checked_sub(self.map.as_ptr() as usize)?;
        (begin.checked_add(bytes.len())? <= self.map.len()).then_some(begin as u64)
    }
}

/// A request's content, in pieces.
struct Sending {
    buffer: Buffer,
    now: Bytes,
    call: Arc<Call>,
    left: u64,
    turn: Turn,
}

impl Sending {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        while self.now.is_empty() {
            match self.buffer.next() {
                Some(next) => self.now = next,
                None => return Poll::Ready(None),
            }
        }
        let len = self.now.len().min(self.turn.piece(PIECE));
        ready!(self.turn.poll(len, cx));
        let piece = self.now.split_to(len);
        self.left = self.left.saturating_sub(len as u64);
        let Some((upload, offset)) = self
            .call
            .upload
            .as_ref()
            .and_then(|u| u.offset(&piece).map(|at| (u, at)))
        else {
            return Poll::Ready(Some(Ok(piece)));
        };
        let mut read = vec![0; piece.len()];
        Poll::Ready(Some(match upload.file.read_exact_at(&mut read, offset) {
            Ok(()) => Ok(read.into()),
            Err(error) => {
                self.call.note(|seen| seen.failure = Some(Failure::Upload));
                Err(error)
            }
        }))
    }
}

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = ready!(self.get_mut().poll_piece(cx));
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.left)
    }
}

type Incoming = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send + Sync>>;

/// A response's content.
struct Receiving {
    stream: Incoming,
    idle: Pin<Box<Sleep>>,
    /// Until more may be received.
    pause: Option<Pin<Box<Sleep>>>,
    pace: Pace,
    received: u64,
    limit: Option<u64>,
    call: Arc<Call>,
    counters: Arc<Counters>,
}

impl Stream for Receiving {
    type Item = opendal::Result<Buffer>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
            this.idle.as_mut().reset(Instant::now() + this.pace.idle());
        }
        match this.stream.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                this.idle.as_mut().reset(Instant::now() + this.pace.idle());
                let wait = this.pace.take(bytes.len() as u64);
                this.pause = (!wait.is_zero()).then(|| Box::pin(tokio::time::sleep(wait)));
                this.received += bytes.len() as u64;
                add(&this.counters.bytes_down, bytes.len() as u64);
                if this.limit.is_some_and(|limit| this.received > limit) {
                    return Poll::Ready(Some(Err(too_large(&this.call))));
                }
                Poll::Ready(Some(Ok(Buffer::from(bytes))))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(lost(&this.call, error)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if this.idle.as_mut().poll(cx).is_ready() => Poll::Ready(Some(Err(idle(&this.call)))),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Content that is here already.
struct Once(Option<Bytes>);

impl Stream for Once {
    type Item = opendal::Result<Buffer>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.get_mut().0.take().map(|bytes| Ok(Buffer::from(bytes))))
    }
}

/// Sends requests.
#[derive(Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    counters: Arc<Counters>,
    pace: Pace,
}

impl Http {
    /// `redirects` is whether the service sends its clients to other hosts.
    pub(super) fn new(counters: Arc<Counters>, pace: Pace, redirects: bool) -> reqwest::Result<Self> {
        let client = match redirects {
            true => wire::client(),
            // A signature is for one host: following a redirect would only fail there, with a misleading error.
            false => wire::client().redirect(reqwest::redirect::Policy::none()),
        };
        Ok(Self {
            client: client.build()?,
            counters,
            pace,
        })
    }

    /// The region of a bucket at AWS, which tells it to everybody.
    pub(super) async fn aws_region(&self, bucket: &str) -> Option<String> {
        let request = self.client.head(format!("https://s3.amazonaws.com/{bucket}"));
        let response = tokio::time::timeout(CONNECT, request.send()).await.ok()?.ok()?;
        header(response.headers(), "x-amz-bucket-region")
    }

    /// Counts a request; those that ask for credentials, which are no operation, are not counted.
    fn count(&self, request: &http::request::Parts) {
        let Some(operation) = request.extensions.get::<Operation>() else {
            return;
        };
        let counter = match operation {
            Operation::List => &self.counters.lists,
            Operation::Read => &self.counters.gets,
            Operation::Stat => &self.counters.stats,
            Operation::Delete => &self.counters.deletes,
            _ => &self.counters.puts,
        };
        add(counter, 1);
    }

    /// Sends a request that OpenDAL has no method for; a refusal is an error.
    pub(super) async fn ask(
        &self,
        operation: Operation,
        request: http::request::Builder,
        body: Buffer,
    ) -> opendal::Result<Answer> {
        let request = request.extension(operation).body(body).map_err(|error| {
            opendal::Error::new(ErrorKind::Unexpected, "cannot build the request").set_source(error)
        })?;
        let (parts, mut body) = self.fetch(request).await?.into_parts();
        let page = body.to_buffer().await?;
        Ok(Answer {
            status: parts.status,
            page: page.to_bytes(),
        })
    }
}

/// An answer that is here wholly.
pub(super) struct Answer {
    pub(super) status: http::StatusCode,
    pub(super) page: Bytes,
}

impl Answer {
    /// Success, or what this answer says as an error.
    pub(super) fn ok(self) -> opendal::Result<Bytes> {
        if self.status.is_success() {
            Ok(self.page)
        } else {
            Err(opendal::Error::new(
                ErrorKind::Unexpected,
                format!("status {}", self.status),
            ))
        }
    }
}

/// Where cloud machines ask for their credentials.
fn is_metadata(uri: &http::Uri) -> bool {
    uri.host()
        .is_some_and(|host| host.starts_with("169.254.") || host == "metadata.google.internal")
}

/// Adds to the query of a URL.
fn with_query(uri: &http::Uri, parameter: &str) -> String {
    let separator = if uri.query().is_some() { '&' } else { '?' };
    format!("{uri}{separator}{parameter}")
}

/// What errors may show of a URL: its query may hold a signature.
fn without_query(uri: &http::Uri) -> Option<http::Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = uri.path().parse().ok();
    http::Uri::from_parts(parts).ok()
}

impl HttpTransport for Http {
    async fn fetch(&self, request: http::Request<Buffer>) -> opendal::Result<http::Response<HttpBody>> {
        let call = CALL.try_with(Arc::clone).unwrap_or_default();
        call.note(|seen| *seen = Seen::default());
        let (parts, buffer) = request.into_parts();
        let metadata = is_metadata(&parts.uri);
        self.count(&parts);
        let writes = matches!(parts.extensions.get(), Some(Operation::Write));
        let url = match call.condition.filter(|_| writes) {
            Some(condition) => with_query(&parts.uri, condition),
            None => parts.uri.to_string(),
        };
        let head = parts.method == http::Method::HEAD;
        let length = buffer.len() as u64;
        let turn = Turn::new(self.pace.clone());
        let sent = turn.sent();
        let mut builder = self.client.request(parts.method, url).headers(parts.headers);
        if length > 0 {
            builder = builder.body(reqwest::Body::wrap(Sending {
                buffer,
                now: Bytes::new(),
                call: Arc::clone(&call),
                left: length,
                turn,
            }));
        }
        let patience = if metadata { METADATA } else { self.pace.idle() };
        let result = while_moving(builder.send(), &sent, patience).await;
        add(&self.counters.bytes_up, sent.bytes());
        let response = match result {
            None => return Err(idle(&call)),
            Some(Err(error)) => return Err(lost(&call, error)),
            Some(Ok(response)) => response,
        };

        let status = response.status();
        let headers = response.headers().clone();
        let announced = header(&headers, http::header::CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
        let length = if head { None } else { announced };
        let failed = status.is_client_error() || status.is_server_error() || status.is_redirection();
        let mut receiving = Receiving {
            stream: Box::pin(response.bytes_stream()),
            idle: Box::pin(tokio::time::sleep(self.pace.idle())),
            pause: None,
            pace: self.pace.clone(),
            received: 0,
            // What the caller allows is content, not the page that explains an error.
            limit: call.limit.filter(|_| !failed),
            call: Arc::clone(&call),
            counters: Arc::clone(&self.counters),
        };
        let body = if failed {
            let page = receiving.page().await;
            let (code, message) = said(&page);
            call.note(|seen| {
                seen.status = Some(status.as_u16());
                seen.code = code.or_else(|| header(&headers, "x-ms-error-code"));
                seen.message = message;
                seen.retry_after = header(&headers, http::header::RETRY_AFTER.as_str())
                    .and_then(|text| text.trim().parse().ok())
                    .map(Duration::from_secs);
                seen.region =
                    header(&headers, "x-amz-bucket-region").or_else(|| between(&page, "<Region>", "</Region>"));
            });
            HttpBody::new(Once(Some(page)), None)
        } else {
            if let (Some(limit), Some(length)) = (call.limit, length)
                && length > limit
            {
                return Err(too_large(&call));
            }
            call.note(|seen| seen.announced = length);
            HttpBody::new(receiving, length)
        };
        let mut answer = http::Response::new(body);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        if let Some(uri) = without_query(&parts.uri) {
            answer.extensions_mut().insert(uri);
        }
        Ok(answer)
    }
}

impl Receiving {
    /// The start of an error page, as far as it arrives.
    async fn page(&mut self) -> Bytes {
        let mut page = Vec::new();
        while page.len() < ERROR_PAGE {
            match std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await {
                Some(Ok(buffer)) => page.extend_from_slice(&buffer.to_bytes()),
                _ => break,
            }
        }
        self.call.note(|seen| seen.failure = None);
        page.into()
    }
}

fn header(headers: &http::HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// The code and the words of an error page, which is XML or JSON.
fn said(page: &[u8]) -> (Option<String>, Option<String>) {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(page) else {
        return (
            between(page, "<Code>", "</Code>"),
            between(page, "<Message>", "</Message>"),
        );
    };
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let error = &json["error"];
    let hdfs = &json["RemoteException"];
    (
        text(&error["errors"][0]["reason"])
            .or_else(|| text(&hdfs["exception"]))
            // As Google's authorization server has it.
            .or_else(|| text(error)),
        text(&error["message"])
            .or_else(|| text(&hdfs["message"]))
            .or_else(|| text(&json["error_description"])),
    )
}

fn between(page: &[u8], begin: &str, end: &str) -> Option<String> {
    let text = String::from_utf8_lossy(page);
    let (_, rest) = text.split_once(begin)?;
    rest.split_once(end).map(|(inner, _)| inner.trim().to_owned())
}

fn lost(call: &Call, error: reqwest::Error) -> opendal::Error {
    call.note(|seen| {
        seen.failure.get_or_insert(if error.is_connect() {
            Failure::Connect
        } else {
            Failure::Lost
        });
    });
    // The URL is in our own error, and in OpenDAL's it may hold a signature.
    opendal::Error::new(ErrorKind::Unexpected, "HTTP request failed").set_source(error.without_url())
}

fn idle(call: &Call) -> opendal::Error {
    call.note(|seen| seen.failure = Some(Failure::Idle));
    opendal::Error::new(ErrorKind::Unexpected, "nothing moved on the connection for too long")
}

fn too_large(call: &Call) -> opendal::Error {
    call.note(|seen| seen.failure = Some(Failure::TooLarge));
    opendal::Error::new(ErrorKind::Unexpected, "more bytes than allowed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_urls() {
        let xml = b"<Error><Code>AccessDenied</Code><Message>No.</Message></Error>";
        let (code, message) = said(xml);
        assert_eq!(
            (code.as_deref(), message.as_deref()),
            (Some("AccessDenied"), Some("No."))
        );
        let json = br#"{"error":{"code":404,"message":"gone","errors":[{"reason":"notFound"}]}}"#;
        let (code, message) = said(json);
        assert_eq!((code.as_deref(), message.as_deref()), (Some("notFound"), Some("gone")));
        assert_eq!(said(b"<html>"), (None, None));
        let uri: http::Uri = "https://h/a%20b?sig=hush".parse().unwrap();
        assert_eq!(without_query(&uri).unwrap().to_string(), "https://h/a%20b");
        assert_eq!(with_query(&uri, "x=0"), "https://h/a%20b?sig=hush&x=0");
    }
}
