//! A request's content: bytes, or a part of a file that is read as it is sent.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::Body;
use crate::fs::{self, File};

/// Bytes that are read and sent at a time.
const PIECE: u64 = 256 * 1024;

enum From {
    Bytes(Bytes),
    File(File),
}

/// A request's content.
pub(super) struct Content {
    from: From,
    at: u64,
    end: u64,
    sent: Arc<AtomicU64>,
}

impl Content {
    /// All of a body, or a part of it.
    pub(super) fn new(body: &Body, part: Option<Range<u64>>) -> fs::Result<Self> {
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
            sent: Arc::default(),
        })
    }

    pub(super) const fn len(&self) -> u64 {
        self.end - self.at
    }

    /// Counts what was sent.
    pub(super) fn sent(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }

    fn piece(&mut self) -> Option<io::Result<Bytes>> {
        let begin = self.at;
        let len = usize::try_from((self.end - begin).min(PIECE)).unwrap_or(0);
        if len == 0 {
            return None;
        }
        self.at += len as u64;
        self.sent.fetch_add(len as u64, Relaxed);
        Some(match &self.from {
            From::Bytes(bytes) => {
                let begin = usize::try_from(begin).unwrap_or(usize::MAX);
                Ok(bytes.slice(begin..begin + len))
            }
            From::File(file) => {
                let mut read = vec![0; len];
                file.read_exact_at(&mut read, begin).map(|()| read.into())
            }
        })
    }
}

impl http_body::Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(self.get_mut().piece().map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.at == self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}
