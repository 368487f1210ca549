//! A request's content: bytes, or a part of a file that is read as it is sent.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::super::pace::Pace;
use super::super::wire::{Sent, Turn};
use super::Body;
use crate::fs::{self, File};

/// Bytes that are read and sent at a time.
const PIECE: usize = 256 * 1024;

enum From {
    Bytes(Bytes),
    File(File),
}

/// A request's content.
pub(super) struct Content {
    from: From,
    at: u64,
    end: u64,
    turn: Turn,
}

impl Content {
    /// All of a body, or a part of it.
    pub(super) fn new(body: &Body, part: Option<Range<u64>>, pace: Pace) -> fs::Result<Self> {
        let (from, size) = match body {
            Body::Bytes(bytes) => (From::Bytes(bytes.clone()), bytes.len() as u64),
            Body::File(path) => {
                let file = fs::open(path)?;
                let size = fs::stat_file(&file, path)?.size;
                (From::File(file), size)
            }
        };
        let part = part.unwrap_or(0..size);
        Ok(Self {
            from,
            at: part.start,
            end: part.end,
            turn: Turn::new(pace),
        })
    }

    pub(super) const fn len(&self) -> u64 {
        self.end - self.at
    }

    /// Counts what was sent.
    pub(super) fn sent(&self) -> Arc<Sent> {
        self.turn.sent()
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let begin = self.at;
        let left = usize::try_from(self.end - begin).unwrap_or(usize::MAX);
        let len = left.min(self.turn.piece(PIECE));
        if len == 0 {
            return Poll::Ready(None);
        }
        ready!(self.turn.poll(len, cx));
        self.at += len as u64;
        Poll::Ready(Some(match &self.from {
            From::Bytes(bytes) => {
                let begin = usize::try_from(begin).unwrap_or(usize::MAX);
                Ok(bytes.slice(begin..begin + len))
            }
            From::File(file) => {
                let mut read = vec![0; len];
                file.read_exact_at(&mut read, begin).map(|()| read.into())
            }
        }))
    }
}

impl http_body::Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = ready!(self.get_mut().poll_piece(cx));
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.at == self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}
