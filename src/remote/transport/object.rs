//! An object as a stream.

use std::io::{self, Read};

use super::{ObjectMeta, Transport};

/// Bytes of one request.
const PIECE: u64 = 8 << 20;

/// Reads an object in pieces, each a request of its own, which is repeated if it fails for a reason that may pass.
///
/// Errors are [`TransportError`](super::TransportError)s inside an [`io::Error`]. That all pieces are of one version is
/// for the caller to find out: by asking again at the end.
pub struct ObjectReader<'a> {
    transport: &'a dyn Transport,
    object: ObjectMeta,
    offset: u64,
    piece: io::Cursor<Vec<u8>>,
}

impl<'a> ObjectReader<'a> {
    /// Reads what `object` describes.
    #[must_use]
    pub fn new(transport: &'a dyn Transport, object: ObjectMeta) -> Self {
        Self {
            transport,
            object,
            offset: 0,
            piece: io::Cursor::default(),
        }
    }
}

impl Read for ObjectReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.piece.position() == self.piece.get_ref().len() as u64 {
            let end = self.object.size.min(self.offset.saturating_add(PIECE));
            if end == self.offset {
                return Ok(0);
            }
            let bytes = self
                .transport
                .get_range(&self.object.key, self.offset..end)
                .map_err(io::Error::other)?;
            self.offset = end;
            self.piece = io::Cursor::new(bytes);
        }
        self.piece.read(buf)
    }
}
