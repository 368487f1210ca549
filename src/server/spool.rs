//! Content on its way in: hashed and written to a file as it arrives, never held.

use std::pin::Pin;
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;

use super::answer::Refusal;
use super::record::Record;
use crate::causes::in_one_line;
use crate::fs::{self, AppendFile, TempFile};
use crate::hash::Hasher;

/// Bytes a second below which a body is not waited for after the time in which nothing may arrive.
const SLOWEST: u64 = 128;
/// Bytes that are written at a time.
const PIECE: usize = 256 * 1024;
/// Bytes of a body that are taken in before a refusal, so that the client gets to read it.
const DRAINED: u64 = 20 << 20;

/// Where content goes.
pub(super) enum Sink {
    Temp(TempFile),
    Session(AppendFile),
}

/// Content that has arrived so far.
pub(super) struct Spool {
    pub(super) sink: Sink,
    pub(super) hasher: Hasher,
}

impl Spool {
    fn write(&mut self, pieces: &[Bytes]) -> fs::Result<()> {
        for bytes in pieces {
            match &mut self.sink {
                Sink::Temp(file) => file.write_all(bytes)?,
                Sink::Session(file) => file.append(bytes)?,
            }
            self.hasher.update(bytes);
        }
        Ok(())
    }
}

/// The next piece of a body; `None` at its end.
async fn next(body: &mut Body, idle: Duration) -> Result<Option<Bytes>, Refusal> {
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
        match tokio::time::timeout(idle, frame).await {
            Err(_) => return Err(too_slow()),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => return Err(Refusal::bad("the content ended early")),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

fn too_slow() -> Refusal {
    Refusal::new(
        axum::http::StatusCode::REQUEST_TIMEOUT,
        "the content arrives too slowly",
    )
}

/// Takes in a body of `expected` bytes, in which nothing may arrive for `idle`. What arrived of one that breaks off is in the file all the same. `None` in the
/// place of the spool when that cannot be known.
pub(super) async fn receive(
    mut body: Body,
    spool: Spool,
    expected: u64,
    idle: Duration,
    record: &Record,
) -> (Option<Spool>, Result<(), Refusal>) {
    let begin = Instant::now();
    let mut spool = Some(spool);
    let mut pieces: Vec<Bytes> = Vec::new();
    let (mut held, mut received) = (0, 0_u64);
    loop {
        let piece = next(&mut body, idle).await;
        let piece = match piece {
            Ok(Some(bytes)) => {
                received += bytes.len() as u64;
                record.add_in(bytes.len() as u64);
                held += bytes.len();
                pieces.push(bytes);
                let waited = begin.elapsed();
                if received > expected {
                    Err(Refusal::bad("there is more content than was announced"))
                } else if waited > idle && received < waited.as_secs() * SLOWEST {
                    Err(too_slow())
                } else {
                    Ok(true)
                }
            }
            Ok(None) if received < expected => Err(Refusal::bad("the content ended early")),
            Ok(None) => Ok(false),
            Err(refusal) => Err(refusal),
        };
        if matches!(piece, Ok(true)) && held < PIECE {
            continue;
        }
        let done = std::mem::take(&mut pieces);
        held = 0;
        let Some(mut writing) = spool.take() else {
            return (None, Err(Refusal::failed("the spool is gone")));
        };
        let written = tokio::task::spawn_blocking(move || {
            let result = writing.write(&done);
            (writing, result)
        });
        match written.await {
            Ok((back, Ok(()))) => spool = Some(back),
            Ok((_, Err(error))) => {
                let full = matches!(
                    error.source.kind(),
                    std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
                );
                let mut refusal = if full {
                    Refusal::full("the server has no space left")
                } else {
                    Refusal::failed("")
                };
                refusal.private = Some(in_one_line(&error));
                return (None, Err(refusal));
            }
            Err(error) => return (None, Err(Refusal::failed(error))),
        }
        match piece {
            Ok(true) => {}
            Ok(false) => return (spool, Ok(())),
            Err(refusal) => return (spool, Err(refusal)),
        }
    }
}

/// Takes in the rest of a body that nobody wants, if it is not long and does not take longer than `idle` in all: whoever
/// may do nothing here may not hold a connection either.
pub(super) async fn drain(mut body: Body, idle: Duration, record: &Record) {
    let mut left = DRAINED;
    let all = async {
        while let Ok(Some(bytes)) = next(&mut body, idle).await {
            record.add_in(bytes.len() as u64);
            left = left.saturating_sub(bytes.len() as u64);
            if left == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(idle, all).await;
}
