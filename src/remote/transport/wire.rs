//! What all that speak HTTP have in common: time-outs, redirects, and what a failure of a connection means.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::error::{Place, TransportError};
use super::runtime::runtime;
use crate::progress::Progress;

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long nothing may move on a connection, in either direction.
pub(super) const IDLE: Duration = Duration::from_secs(60);
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

/// Runs requests on the threads that all share, to their end, or until the operation is asked to stop: `None`.
pub(super) fn drive<F: Future>(progress: &Progress, work: F) -> std::io::Result<Option<F::Output>> {
    if progress.check().is_err() {
        return Ok(None);
    }
    let stop = async {
        while progress.check().is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    Ok(runtime()?.block_on(async {
        tokio::select! {
            result = work => Some(result),
            () = stop => None,
        }
    }))
}

/// Waits for an answer as long as the request's content moves, and [`IDLE`] longer; `None` when that was too long.
pub(super) async fn while_moving<F: Future>(future: F, sent: &AtomicU64) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    loop {
        let before = sent.load(Relaxed);
        match tokio::time::timeout(IDLE, future.as_mut()).await {
            Ok(output) => return Some(output),
            Err(_) if sent.load(Relaxed) != before => {}
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
