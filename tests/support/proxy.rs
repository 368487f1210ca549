//! What may stand between a program and its S3 service: everything a network does to requests and answers, at random
//! but the same for the same seed and order of requests.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::service::S3Service;

use super::s3::S3Server;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The connection ends before the service sees the request.
    LostRequest,
    /// The service does what is asked, and the connection ends: success that looks like failure.
    LostAnswer,
    /// The request takes its time.
    Late,
    /// The service sees half of what is sent.
    CutRequest,
    /// Half of the answer arrives.
    CutAnswer,
    /// The request reaches the service twice.
    Twice,
    /// A listing of an earlier moment.
    Stale,
    /// The service is not asked; the answer is an error.
    Status(u16),
}

const FAULTS: [Fault; 12] = [
    Fault::LostRequest,
    Fault::LostAnswer,
    Fault::Late,
    Fault::CutRequest,
    Fault::CutAnswer,
    Fault::Twice,
    Fault::Stale,
    Fault::Status(409),
    Fault::Status(412),
    Fault::Status(429),
    Fault::Status(500),
    Fault::Status(503),
];

/// A rule: the status that a request of this method, path and length of body is refused with.
type Rule = Box<dyn Fn(&Method, &str, usize) -> Option<u16> + Send + Sync>;

/// An answer as it can be given again.
#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

struct State {
    random: AtomicU64,
    percent: u64,
    lists: Mutex<BTreeMap<String, Vec<Answer>>>,
    rule: Mutex<Option<Rule>>,
    seen: Mutex<BTreeMap<Fault, u64>>,
}

/// A proxy in front of an [`S3Server`], for as long as that runs.
pub struct Proxy {
    /// `http://127.0.0.1:port`.
    pub endpoint: String,
    state: Arc<State>,
}

impl Proxy {
    /// Does something to `percent` of the requests.
    pub fn start(server: &S3Server, seed: u64, percent: u64) -> Self {
        let (service, runtime) = server.parts();
        let state = Arc::new(State {
            random: AtomicU64::new(seed),
            percent,
            lists: Mutex::default(),
            rule: Mutex::default(),
            seen: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(&state);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                let (service, state) = (service.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let handle = hyper::service::service_fn(move |request| {
                        let (service, state) = (service.clone(), Arc::clone(&state));
                        async move { state.handle(&service, request).await }
                    });
                    let _ = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(socket), handle)
                        .await;
                });
            }
        });
        Self { endpoint, state }
    }

    /// From now on, what the rule gives a status for is refused with it.
    pub fn refuse(&self, rule: impl Fn(&Method, &str, usize) -> Option<u16> + Send + Sync + 'static) {
        *self.state.rule.lock().unwrap() = Some(Box::new(rule));
    }

    /// What went wrong so far, and how often.
    pub fn seen(&self) -> BTreeMap<Fault, u64> {
        self.state.seen.lock().unwrap().clone()
    }
}

impl State {
    fn random(&self) -> u64 {
        // SplitMix64.
        let mut z = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, SeqCst);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    async fn handle(
        &self,
        service: &S3Service,
        request: Request<hyper::body::Incoming>,
    ) -> io::Result<Response<Sent>> {
        let (parts, body) = request.into_parts();
        let body = s3s::Body::from(body)
            .store_all_limited(usize::MAX)
            .await
            .map_err(io::Error::other)?;
        let rule = |rule: &Rule| rule(&parts.method, parts.uri.path(), body.len());
        let refused = self.rule.lock().unwrap().as_ref().and_then(rule);
        if let Some(status) = refused {
            return Ok(error(status, None).sent());
        }
        let listing = parts.uri.query().filter(|query| query.contains("list-type="));
        let mut fault = (self.random() % 100 < self.percent).then(|| FAULTS[(self.random() % 12) as usize]);
        if fault == Some(Fault::Stale) && listing.is_none() {
            fault = Some(Fault::LostAnswer);
        }
        if let Some(fault) = fault {
            *self.seen.lock().unwrap().entry(fault).or_default() += 1;
        }
        let pass = |sent: s3s::Body| async {
            let answer = service.call(Request::from_parts(parts.clone(), sent)).await;
            let (parts, mut body) = answer.map_err(|_| lost())?.into_parts();
            let body = body.store_all_limited(usize::MAX).await.map_err(io::Error::other)?;
            Ok::<_, io::Error>(Answer {
                status: parts.status,
                headers: parts.headers,
                body,
            })
        };
        let whole = || s3s::Body::from(body.clone());
        match fault {
            Some(Fault::LostRequest) => return Err(lost()),
            Some(Fault::LostAnswer) => {
                pass(whole()).await?;
                return Err(lost());
            }
            Some(Fault::CutRequest) => {
                let half = Sent(VecDeque::from([Ok(body.slice(..body.len() / 2)), Err(lost())]));
                let _ = pass(s3s::Body::http_body(half)).await;
                return Err(lost());
            }
            Some(Fault::Status(status)) => return Ok(error(status, Some(self.random() % 4 / 3)).sent()),
            Some(Fault::Twice) => drop(pass(whole()).await?),
            Some(Fault::Late) => tokio::time::sleep(Duration::from_millis(self.random() % 200)).await,
            Some(Fault::CutAnswer | Fault::Stale) | None => {}
        }
        let answer = pass(whole()).await?;
        if let Some(query) = listing {
            let mut lists = self.lists.lock().unwrap();
            let earlier = lists.entry(format!("{}?{query}", parts.uri.path())).or_default();
            earlier.push(answer.clone());
            if fault == Some(Fault::Stale) {
                return Ok(earlier[(self.random() % earlier.len() as u64) as usize].clone().sent());
            }
        }
        Ok(if fault == Some(Fault::CutAnswer) {
            answer.cut()
        } else {
            answer.sent()
        })
    }
}

impl Answer {
    fn response(self, body: Sent) -> Response<Sent> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    fn sent(self) -> Response<Sent> {
        let body = Sent(VecDeque::from([Ok(self.body.clone())]));
        self.response(body)
    }

    fn cut(mut self) -> Response<Sent> {
        if self.body.is_empty() {
            return self.sent();
        }
        self.headers.insert(header::CONTENT_LENGTH, self.body.len().into());
        let half = self.body.slice(..self.body.len() / 2);
        self.response(Sent(VecDeque::from([Ok(half), Err(lost())])))
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the proxy ends the connection")
}

fn error(status: u16, retry_after: Option<u64>) -> Answer {
    let mut headers = HeaderMap::new();
    if let (429 | 503, Some(seconds)) = (status, retry_after) {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: Bytes::from_static(
            b"<?xml version=\"1.0\"?><Error><Code>Injected</Code><Message>by the proxy</Message></Error>",
        ),
    }
}

/// A body in pieces, of which the last may be an error.
struct Sent(VecDeque<io::Result<Bytes>>);

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(self.0.pop_front().map(|piece| piece.map(Frame::data)))
    }
}
