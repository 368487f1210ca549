//! What became known of one request, for the log and the numbers.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::log::Line;
use super::routes::State;

/// One request.
pub(super) struct Record {
    pub(super) begin: Instant,
    pub(super) peer: SocketAddr,
    pub(super) method: &'static str,
    pub(super) target: String,
    who: Mutex<String>,
    bytes_in: AtomicU64,
}

impl Record {
    pub(super) fn new(peer: SocketAddr, method: &'static str, target: String) -> Arc<Self> {
        Arc::new(Self {
            begin: Instant::now(),
            peer,
            method,
            target,
            who: Mutex::new("-".to_owned()),
            bytes_in: AtomicU64::new(0),
        })
    }

    pub(super) fn add_in(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Relaxed);
    }

    pub(super) fn set_who(&self, name: &str) {
        name.clone_into(&mut self.who.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// An answer's content, which is counted; the request is over when it is dropped.
pub(super) struct Counted {
    body: Body,
    sent: u64,
    status: StatusCode,
    record: Arc<Record>,
    state: Arc<State>,
}

impl Counted {
    pub(super) const fn new(body: Body, status: StatusCode, record: Arc<Record>, state: Arc<State>) -> Self {
        Self {
            body,
            sent: 0,
            status,
            record,
            state,
        }
    }
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let record = &self.record;
        let took = record.begin.elapsed();
        let bytes_in = record.bytes_in.load(Relaxed);
        self.state
            .metrics
            .count(record.method, self.status.as_u16(), bytes_in, self.sent, took);
        self.state.log.write(&Line {
            peer: record.peer,
            who: &record.who.lock().unwrap_or_else(PoisonError::into_inner),
            method: record.method,
            target: &record.target,
            status: self.status.as_u16(),
            bytes_in,
            bytes_out: self.sent,
            took,
        });
    }
}
