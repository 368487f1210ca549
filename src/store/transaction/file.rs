//! Storing a large file: read ahead, cut, hash and encode in parallel, write in order.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use rayon::prelude::*;

use super::write::{Body, Message};
use super::{RecipeKey, Transaction, slot};
use crate::chunk;
use crate::fs::{self, Attempt};
use crate::hash::{ChunkId, FileId, Hasher};
use crate::progress::Progress;
use crate::store::codec::Codec;
use crate::store::{PackKind, Result, StoreError};

/// Bytes of a file that are processed together.
const WINDOW: usize = 8 << 20;
/// Windows that are read ahead.
const AHEAD: usize = 2;
/// Buffers that are kept for reuse.
const POOL: usize = 8;

/// Buffers for windows, reused from file to file.
#[derive(Debug)]
pub(super) struct Buffers {
    pool: Sender<Vec<u8>>,
    pooled: Receiver<Vec<u8>>,
}

impl Default for Buffers {
    fn default() -> Self {
        let (pool, pooled) = bounded(POOL);
        Self { pool, pooled }
    }
}

/// Bytes of a file, in a buffer that goes back to its pool when the last chunk of it is written. The first
/// [`chunk::MAX`] bytes are room for what was left over from the window before.
#[derive(Debug)]
pub(super) struct Window {
    bytes: Vec<u8>,
    pool: Sender<Vec<u8>>,
}

impl Window {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the file ended before this window.
    fn is_end(&self) -> bool {
        self.bytes.len() <= chunk::MAX
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ = self.pool.try_send(std::mem::take(&mut self.bytes));
    }
}

/// What is cut at a time: a window and the part of it that is not yet in a chunk.
struct Piece {
    window: Arc<Window>,
    /// Where the first chunk begins.
    start: usize,
    starts_file: bool,
    ends_file: bool,
}

/// What becomes of one chunk.
enum Outcome {
    Known(ChunkId),
    New(Message),
}

impl Transaction {
    /// Stores a file of any length; returns its id and length. `path` is for messages; bytes that were read are
    /// reported to `progress`.
    ///
    /// # Errors
    /// When it cannot be read or the cache cannot be written. The caller has to find out whether the file changed
    /// while it was read.
    pub fn add_reader(&self, kind: PackKind, file: &mut (dyn Read + Send), path: &Path) -> Result<(FileId, u64)> {
        let recipe = self.new_recipe();
        let result = self.add_pieces(kind, file, path, recipe);
        if result.is_err() {
            let _ = self.send(Message::DropRecipe { recipe });
        }
        result
    }

    fn add_pieces(
        &self,
        kind: PackKind,
        file: &mut (dyn Read + Send),
        path: &Path,
        recipe: RecipeKey,
    ) -> Result<(FileId, u64)> {
        let (filled, windows) = bounded::<Result<Window>>(AHEAD);
        std::thread::scope(|scope| {
            let (progress, buffers) = (&*self.progress, &self.buffers);
            scope.spawn(move || read_ahead(file, path, progress, &filled, buffers));
            let processed = self.process(kind, recipe, &windows);
            // After an error, nobody takes what was read ahead: a reader that waits to hand it over has to learn that.
            drop(windows);
            processed
        })
    }

    fn process(
        &self,
        kind: PackKind,
        recipe: RecipeKey,
        windows: &Receiver<Result<Window>>,
    ) -> Result<(FileId, u64)> {
        let receive = || windows.recv().map_err(|_| StoreError::WriterGone)?;
        let mut hasher = Hasher::new();
        let mut len = 0u64;
        let mut chunks = 0usize;
        let mut tail: Vec<u8> = Vec::new();
        let mut window = receive()?;
        loop {
            let following = if window.is_end() { None } else { Some(receive()?) };
            let ends_file = following.as_ref().is_none_or(Window::is_end);
            let start = chunk::MAX - tail.len();
            window.bytes[start..chunk::MAX].copy_from_slice(&tail);
            len += (window.bytes.len() - chunk::MAX) as u64;
            let piece = Piece {
                window: Arc::new(window),
                start,
                starts_file: chunks == 0 && tail.is_empty(),
                ends_file,
            };
            let (outcomes, end) = self.encode(kind, recipe, &piece, &mut hasher)?;
            chunks += outcomes.len();
            // A file of one chunk has no recipe.
            let single = ends_file && chunks == 1;
            for outcome in outcomes {
                match outcome {
                    Outcome::Known(_) if single => {}
                    Outcome::Known(chunk) => self.send(Message::Known { chunk, recipe })?,
                    Outcome::New(message) => self.send(message)?,
                }
            }
            tail.clear();
            tail.extend_from_slice(&piece.window.bytes[end..]);
            match following {
                Some(next) if !ends_file => window = next,
                _ => break,
            }
        }
        let file = FileId::from_bytes(hasher.finish());
        if chunks > 1 {
            self.send(Message::EndRecipe {
                recipe,
                file,
                size: len,
            })?;
        } else {
            self.send(Message::DropRecipe { recipe })?;
        }
        Ok((file, len))
    }

    /// Hashes the whole and, beside that, cuts, hashes and encodes the chunks. Returns them in order, and where the
    /// last one ends.
    fn encode(
        &self,
        kind: PackKind,
        recipe: RecipeKey,
        piece: &Piece,
        hasher: &mut Hasher,
    ) -> Result<(Vec<Outcome>, usize)> {
        let bytes = piece.window.bytes();
        let ((), (outcomes, end)) = rayon::join(
            || hasher.update(&bytes[chunk::MAX..]),
            || {
                let lengths = chunk::cut_parallel(&bytes[piece.start..], piece.starts_file, piece.ends_file);
                let mut start = piece.start;
                let ranges: Vec<_> = lengths
                    .into_iter()
                    .map(|len| {
                        start += len;
                        start - len..start
                    })
                    .collect();
                let outcomes: Result<Vec<Outcome>> = ranges
                    .into_par_iter()
                    .with_min_len(4)
                    .map(|range| {
                        let raw = &bytes[range.clone()];
                        let id = ChunkId::of(raw);
                        if self.knows(&id)? {
                            return Ok(Outcome::Known(id));
                        }
                        self.with_worker(|worker| {
                            let encoded = worker.encoder.encode(&mut worker.predictor, raw)?;
                            let slot = slot(id, raw.len(), encoded.codec, encoded.body.len());
                            let body = match encoded.codec {
                                Codec::Raw => Body::Window(Arc::clone(&piece.window), range),
                                _ => Body::Owned(encoded.body.to_vec()),
                            };
                            Ok(Outcome::New(Message::Chunk {
                                kind,
                                slot,
                                body,
                                recipe: Some(recipe),
                            }))
                        })
                    })
                    .collect();
                (outcomes, start)
            },
        );
        Ok((outcomes?, end))
    }
}

/// Reads the file in windows; one without content is its end.
fn read_ahead(
    file: &mut (dyn Read + Send),
    path: &Path,
    progress: &Progress,
    filled: &Sender<Result<Window>>,
    buffers: &Buffers,
) {
    loop {
        let mut bytes = buffers.pooled.try_recv().unwrap_or_default();
        bytes.resize(chunk::MAX + WINDOW, 0);
        let window = read_window(file, bytes, path, progress).map(|bytes| Window {
            bytes,
            pool: buffers.pool.clone(),
        });
        let last = window.as_ref().map_or(true, Window::is_end);
        if filled.send(window).is_err() || last {
            break;
        }
    }
}

/// Fills `bytes` behind the room in front as far as the file goes.
fn read_window(
    file: &mut (dyn Read + Send),
    mut bytes: Vec<u8>,
    path: &Path,
    progress: &Progress,
) -> Result<Vec<u8>> {
    let mut len = chunk::MAX;
    while len < bytes.len() {
        match file.read(&mut bytes[len..]) {
            Ok(0) => break,
            Ok(n) => {
                len += n;
                progress.advance(0, n as u64);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(fs::at(Attempt::Read, path)(error).into()),
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}
