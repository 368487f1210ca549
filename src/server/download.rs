//! Content on its way out, a piece at a time.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

use super::answer::etag;
use super::storage::Storage;
use crate::remote::transport::{Place, TransportError};

type Piece = Result<Bytes, TransportError>;

/// What is read.
pub(super) struct Source {
    pub(super) storage: Arc<Storage>,
    pub(super) repository: String,
    pub(super) key: String,
    /// What the version that was announced is called, where there may be others.
    pub(super) version: Option<String>,
}

impl Source {
    /// Reads a piece; an error if it may be another version's. Blocks.
    fn read(&self, range: Range<u64>) -> Result<Vec<u8>, TransportError> {
        let bytes = self.storage.read(&self.repository, &self.key, range)?;
        if let Some(version) = &self.version {
            let now = self.storage.stat(&self.repository, &self.key)?;
            if now.is_none_or(|now| etag(&now) != *version) {
                return Err(TransportError::Disconnected {
                    place: Place::new("storage", self.key.as_str()),
                    source: "it was replaced while it was read".into(),
                });
            }
        }
        Ok(bytes)
    }
}

/// A part of an object as an answer's content. The first piece is there already, so that a failure is an answer.
pub(super) async fn body(source: Source, range: Range<u64>) -> Result<Body, TransportError> {
    if range.is_empty() {
        return Ok(Body::empty());
    }
    let source = Arc::new(source);
    let mut next = range.start;
    let first = piece(&source, &mut next, range.end).await?;
    if next == range.end {
        return Ok(Body::from(first));
    }
    // One piece waits while the one before it is sent.
    let (sender, receiver) = mpsc::channel::<Piece>(1);
    tokio::spawn(async move {
        while next < range.end {
            let read = piece(&source, &mut next, range.end).await;
            let failed = read.is_err();
            // Nobody listens any more when the client has gone.
            if sender.send(read).await.is_err() || failed {
                return;
            }
        }
    });
    Ok(Body::new(Pieces {
        first: Some(first),
        receiver,
        left: range.end - range.start,
    }))
}

async fn piece(source: &Arc<Source>, next: &mut u64, end: u64) -> Piece {
    let range = *next..end.min(next.saturating_add(source.storage.piece()));
    *next = range.end;
    let reading = Arc::clone(source);
    match tokio::task::spawn_blocking(move || reading.read(range)).await {
        Ok(read) => read.map(Bytes::from),
        Err(error) => Err(TransportError::Failed {
            place: Place::new("storage", source.key.as_str()),
            source: error.into(),
        }),
    }
}

struct Pieces {
    first: Option<Bytes>,
    receiver: mpsc::Receiver<Piece>,
    left: u64,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let piece = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => match self.receiver.poll_recv(cx) {
                Poll::Ready(piece) => piece,
                Poll::Pending => return Poll::Pending,
            },
        };
        if let Some(Ok(bytes)) = &piece {
            self.left = self.left.saturating_sub(bytes.len() as u64);
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// What a `Range` header asks for of `size` bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Everything: nothing else was asked for, or not in a way that has to be understood.
    All,
    Part(Range<u64>),
    /// There is nothing there.
    Nothing,
}

/// Reads a `Range` header.
pub(super) fn asked(header: Option<&str>, size: u64) -> Asked {
    let Some((first, last)) = header
        .and_then(|text| text.trim().strip_prefix("bytes="))
        .and_then(|range| range.split_once('-'))
    else {
        return Asked::All;
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // A number too large to be one is beyond every end.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(length)) if first.is_empty() => size.saturating_sub(length)..size,
        _ => return Asked::All,
    };
    if range.is_empty() {
        Asked::Nothing
    } else {
        Asked::Part(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (header, expected) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=2-5", Asked::Part(2..6)),
            ("bytes=2-", Asked::Part(2..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-30", Asked::Part(0..10)),
            ("bytes=9-99999999999999999999999", Asked::Part(9..10)),
            ("bytes=10-", Asked::Nothing),
            ("bytes=10-12", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=99999999999999999999999-", Asked::Nothing),
            ("bytes=5-2", Asked::All),
            ("bytes=a-b", Asked::All),
            ("bytes=-", Asked::All),
            ("bytes=1-2,4-5", Asked::All),
            ("lines=1-2", Asked::All),
            ("bytes=+1-2", Asked::All),
        ] {
            assert_eq!(asked(Some(header), 10), expected, "{header}");
        }
        assert_eq!(asked(None, 10), Asked::All);
        assert_eq!(asked(Some("bytes=0-"), 0), Asked::Nothing);
    }
}
