//! Storing an object: received into a file of its own, checked, then given its key.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::body::Body;
use axum::http::StatusCode;

use super::answer::{Answer, Refusal, empty};
use super::content;
use super::keys::{Entry, Kind};
use super::record::Record;
use super::routes::State;
use super::spool::{self, Sink, Spool};
use super::usage::Reservation;
use crate::causes::in_one_line;
use crate::fs::{self, TempFile};
use crate::hash::Hasher;
use crate::remote::transport::{PutMode, PutOutcome};

/// The object that a request is about.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) repository: String,
    pub(super) key: String,
    pub(super) entry: Entry,
}

/// Runs what blocks on a thread of its own; it comes to its end even when the client goes away.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Refusal::failed(error)),
    }
}

/// Looks whether an object of `length` bytes may come, and makes room for it.
pub(super) async fn prepare(
    state: &Arc<State>,
    target: &Target,
    mode: PutMode,
    length: u64,
) -> Result<Reservation, Refusal> {
    let limit = target.entry.kind.limit(state.max_object);
    if length > limit {
        return Err(Refusal::too_large(limit));
    }
    let (state, target) = (Arc::clone(state), target.clone());
    blocking(move || {
        if mode == PutMode::IfAbsent && state.storage.stat(&target.repository, &target.key)?.is_some() {
            return Err(Refusal::existed());
        }
        state.usage.reserve(&target.repository, length)
    })
    .await
}

/// Stores an object that is one request's content.
pub(super) async fn put(
    state: &Arc<State>,
    target: Target,
    mode: PutMode,
    length: u64,
    body: Body,
    record: &Record,
) -> Answer {
    let _active = state.metrics.upload();
    let prepared = prepare(state, &target, mode, length).await;
    let reservation = match prepared {
        Ok(reservation) => reservation,
        Err(refusal) => {
            spool::drain(body, state.patience.idle, record).await;
            return Err(refusal);
        }
    };
    let file = TempFile::create_in(&state.spool).map_err(|error| Refusal::failed(in_one_line(&error)))?;
    let spool = Spool {
        sink: Sink::Temp(file),
        hasher: Hasher::new(),
    };
    let (spool, received) = spool::receive(body, spool, length, state.patience.idle, record).await;
    received?;
    let Some(spool) = spool else {
        return Err(Refusal::failed("the spool is gone"));
    };
    let state = Arc::clone(state);
    blocking(move || publish(&state, &target, &spool, mode, reservation)).await
}

/// Checks content that has arrived completely and makes it visible. Blocks.
pub(super) fn publish(
    state: &State,
    target: &Target,
    spool: &Spool,
    mode: PutMode,
    reservation: Reservation,
) -> Answer {
    let failed = |error: fs::FsError| Refusal::failed(in_one_line(&error));
    let path = match &spool.sink {
        Sink::Temp(file) => file.path(),
        Sink::Session(file) => file.path(),
    };
    let Target { repository, key, entry } = target;
    let limit = entry.kind.limit(state.max_object);
    content::check(*entry, path, limit, spool.hasher.finish()).inspect_err(|_| {
        state.metrics.wrong_content.fetch_add(1, Relaxed);
    })?;
    if entry.kind == Kind::Current {
        // Whatever the client has seen: what is written is what is there.
        let _turn = state.storage.lock_catalog(repository);
        state.storage.put_current(repository)?;
        return Ok(empty(StatusCode::CREATED));
    }
    match &spool.sink {
        Sink::Temp(file) => file.sync().map_err(failed)?,
        Sink::Session(file) => file.sync().map_err(failed)?,
    }
    let replaced = match mode {
        PutMode::IfAbsent => 0,
        PutMode::Overwrite => state.storage.stat(repository, key)?.map_or(0, |object| object.size),
    };
    match state.storage.put(repository, key, path, mode)? {
        PutOutcome::Created => {
            reservation.spend(replaced);
            Ok(empty(StatusCode::CREATED))
        }
        PutOutcome::Existed => Err(Refusal::existed()),
    }
}
