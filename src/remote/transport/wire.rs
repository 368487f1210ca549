//! What all that speak HTTP have in common: time-outs, redirects, and what a failure of a connection means.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Sleep;

use super::error::{Place, TransportError};
use super::pace::Pace;
use super::runtime::runtime;
use crate::progress::Progress;

/// How long making a connection may take.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection that does nothing is kept: less than servers usually do.
const KEPT: Duration = Duration::from_secs(30);
/// Redirects that are followed.
const REDIRECTS: usize = 10;

/// The beginnings of a client. It follows redirects ten times at most, and never from https to http.
pub(super) fn client() -> reqwest::ClientBuilder {
    let redirects = reqwest::redirect::Policy::custom(|attempt| {
        let from_https = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
        if attempt.previous().len() > REDIRECTS {
            attempt.error("too many redirects")
        } else if from_https && attempt.url().scheme() != "https" {
            attempt.error("a redirect from https to http")
        } else {
            attempt.follow()
        }
    });
    reqwest::Client::builder()
        .user_agent(concat!("modver/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .pool_idle_timeout(KEPT)
        .redirect(redirects)
}

/// Runs requests for what is at `place` on the threads that all share, to their end.
///
/// # Errors
/// When the operation is asked to stop, or there are no threads.
pub(super) fn drive<F: Future>(
    progress: &Progress,
    place: impl Fn() -> Place,
    work: F,
) -> Result<F::Output, TransportError> {
    let interrupted = || TransportError::Interrupted(place());
    if progress.check().is_err() {
        return Err(interrupted());
    }
    let stop = async {
        while progress.check().is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let runtime = runtime().map_err(|error| TransportError::Failed {
        place: place(),
        source: error.into(),
    })?;
    runtime.block_on(async {
        tokio::select! {
            result = work => Ok(result),
            () = stop => Err(interrupted()),
        }
    })
}

/// What became of a request's content so far.
#[derive(Debug, Default)]
pub(super) struct Sent {
    bytes: AtomicU64,
    /// Whether it waits for its turn, which is no fault of the connection.
    waits: AtomicBool,
}

impl Sent {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
}

/// Waits before each piece of a request's content until it may move.
pub(super) struct Turn {
    pace: Pace,
    sent: Arc<Sent>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whether the next piece has been waited for.
    paid: bool,
}

impl Turn {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            pace,
            sent: Arc::default(),
            sleep: None,
            paid: false,
        }
    }

    /// Counts what is sent.
    pub(super) fn sent(&self) -> Arc<Sent> {
        Arc::clone(&self.sent)
    }

    /// Bytes to send at a time, at most `most`.
    pub(super) fn piece(&self, most: usize) -> usize {
        usize::try_from(self.pace.piece(most as u64)).unwrap_or(most)
    }

    /// Ready when `bytes` may be sent; they are then counted as sent.
    pub(super) fn poll(&mut self, bytes: usize, cx: &mut Context<'_>) -> Poll<()> {
        if !std::mem::replace(&mut self.paid, true) {
            let wait = self.pace.take(bytes as u64);
            self.sleep = (!wait.is_zero()).then(|| Box::pin(tokio::time::sleep(wait)));
        }
        if let Some(sleep) = &mut self.sleep {
            let slept = sleep.as_mut().poll(cx);
            self.sent.waits.store(slept.is_pending(), Relaxed);
            std::task::ready!(slept);
        }
        (self.sleep, self.paid) = (None, false);
        self.sent.bytes.fetch_add(bytes as u64, Relaxed);
        Poll::Ready(())
    }
}

/// Waits for an answer as long as the request's content moves or waits for its turn, and `idle` longer; `None` when that
/// was too long.
pub(super) async fn while_moving<F: Future>(future: F, sent: &Sent, idle: Duration) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    loop {
        let before = sent.bytes();
        match tokio::time::timeout(idle, future.as_mut()).await {
            Ok(output) => return Some(output),
            Err(_) if sent.bytes() != before || sent.waits.load(Relaxed) => {}
            Err(_) => return None,
        }
    }
}

/// When the server asks to come again.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What a request that got no answer means. The URL is in our own error, without what may be secret in it.
pub(super) fn request_error(place: Place, error: reqwest::Error) -> TransportError {
    let (connect, redirect, builder) = (error.is_connect(), error.is_redirect(), error.is_builder());
    let source = error.without_url().into();
    if redirect {
        TransportError::Redirected { place, source }
    } else if builder {
        TransportError::Failed { place, source }
    } else if connect {
        TransportError::Unreachable { place, source }
    } else {
        TransportError::Disconnected { place, source }
    }
}
