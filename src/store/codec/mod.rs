//! How a chunk's bytes become a body in a pack, and back.
//!
//! Invariants: what [`Encoder::encode`] returns was decoded again and gave the chunk; a body is never longer than its
//! chunk; [`Decoder::decode`] allocates no more than a chunk's greatest length, whatever the body says.
//!
//! Not promised: which codec a chunk gets. It is no part of any identity and may change with every release.

mod predict;
mod shuffle;

use zstd::zstd_safe::{CCtx, DCtx, compress_bound, find_frame_compressed_size};

use super::{Result, StoreError};
use crate::chunk;
pub use predict::Predictor;

/// zstd's level; see `docs/decisions/0002-codec.md`.
const LEVEL: i32 = 1;

/// How a body was made from a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// The bytes themselves.
    Raw = 0,
    /// One zstd frame.
    Zstd = 1,
    /// Shuffled in elements of 2 bytes, then one zstd frame.
    Shuffle2 = 2,
    /// Shuffled in elements of 4 bytes, then one zstd frame.
    Shuffle4 = 3,
}

impl Codec {
    /// The codec of a number in a pack or shard; `None` if the format has no such codec.
    #[must_use]
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Raw),
            1 => Some(Self::Zstd),
            2 => Some(Self::Shuffle2),
            3 => Some(Self::Shuffle4),
            _ => None,
        }
    }
}

/// A chunk as it goes into a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoded<'a> {
    /// How the body was made.
    pub codec: Codec,
    /// The body: at most as long as the chunk.
    pub body: &'a [u8],
}

/// Why a body does not give a chunk back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The chunk would be longer than chunks are.
    #[error("a chunk of {0} bytes is longer than chunks are")]
    TooLong(u32),
    /// A stored chunk and its body differ in length.
    #[error("the body does not have the chunk's length")]
    WrongLength,
    /// The body is not one zstd frame of the chunk's length.
    #[error("the body is not one zstd frame of the chunk's length")]
    BadFrame,
}

/// Makes bodies of chunks. One per thread: it keeps a compressor and its buffers.
pub struct Encoder {
    context: CCtx<'static>,
    decoder: Decoder,
    shuffled: Vec<u8>,
    decoded: Vec<u8>,
    best: Vec<u8>,
    trial: Vec<u8>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder with empty buffers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            context: CCtx::create(),
            decoder: Decoder::new(),
            shuffled: Vec::new(),
            decoded: Vec::new(),
            best: Vec::new(),
            trial: Vec::new(),
        }
    }

    /// The body of a chunk, by the codec that `predictor` expects to be worth its time. A compressed body was decoded
    /// and compared with `raw`; if that ever fails, the chunk is stored as it is.
    ///
    /// # Errors
    /// [`StoreError::Compress`] when the compressor has no memory, [`StoreError::InvalidSlot`] when `raw` is longer
    /// than chunks are.
    pub fn encode<'a>(&'a mut self, predictor: &mut Predictor, raw: &'a [u8]) -> Result<Encoded<'a>> {
        let Some(raw_len) = u32::try_from(raw.len()).ok().filter(|&len| len as usize <= chunk::MAX) else {
            return Err(StoreError::InvalidSlot {
                defect: "the chunk is longer than chunks are",
            });
        };
        let plan = predictor.plan(raw);
        let mut codec = Codec::Raw;
        for &candidate in plan.candidates() {
            self.compress(candidate, raw)?;
            if predict::is_worth_it(self.trial.len(), raw.len())
                && (codec == Codec::Raw || self.trial.len() < self.best.len())
            {
                codec = candidate;
                std::mem::swap(&mut self.best, &mut self.trial);
            }
        }
        let stored_len = if codec == Codec::Raw {
            raw.len()
        } else {
            self.best.len()
        };
        predictor.learn(plan, codec, stored_len, raw.len());
        let body = match codec {
            Codec::Raw => raw,
            _ if self
                .decoder
                .decode(codec, &self.best, raw_len, &mut self.decoded)
                .is_ok()
                && self.decoded == raw =>
            {
                &self.best
            }
            _ => {
                codec = Codec::Raw;
                raw
            }
        };
        Ok(Encoded { codec, body })
    }

    /// The body of a chunk by a given codec.
    #[cfg(test)]
    pub(crate) fn body(&mut self, codec: Codec, raw: &[u8]) -> Vec<u8> {
        if codec == Codec::Raw {
            return raw.to_vec();
        }
        self.compress(codec, raw).unwrap();
        self.trial.clone()
    }

    /// Compresses into `self.trial`.
    fn compress(&mut self, codec: Codec, raw: &[u8]) -> Result<()> {
        let bytes = match codec {
            Codec::Raw | Codec::Zstd => raw,
            Codec::Shuffle2 => {
                shuffle::split::<2>(raw, &mut self.shuffled);
                &self.shuffled
            }
            Codec::Shuffle4 => {
                shuffle::split::<4>(raw, &mut self.shuffled);
                &self.shuffled
            }
        };
        self.trial.clear();
        self.trial.reserve(compress_bound(bytes.len()));
        match self.context.compress(&mut self.trial, bytes, LEVEL) {
            Ok(_) => Ok(()),
            Err(code) => Err(StoreError::Compress {
                len: raw.len(),
                source: std::io::Error::other(zstd::zstd_safe::get_error_name(code)),
            }),
        }
    }
}

/// Makes chunks of bodies. One per thread: it keeps a decompressor and its buffer.
pub struct Decoder {
    context: DCtx<'static>,
    shuffled: Vec<u8>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder with an empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self {
            context: DCtx::create(),
            shuffled: Vec::new(),
        }
    }

    /// Replaces the content of `out` by the chunk of `raw_len` bytes whose body this is. Whether it is the right chunk,
    /// its id tells. After an error the content of `out` is anything.
    ///
    /// # Errors
    /// When the body is not what the codec makes of a chunk of that length.
    pub fn decode(
        &mut self,
        codec: Codec,
        body: &[u8],
        raw_len: u32,
        out: &mut Vec<u8>,
    ) -> std::result::Result<(), DecodeError> {
        let len = raw_len as usize;
        if len > chunk::MAX {
            return Err(DecodeError::TooLong(raw_len));
        }
        out.clear();
        match codec {
            Codec::Raw if body.len() == len => out.extend_from_slice(body),
            Codec::Raw => return Err(DecodeError::WrongLength),
            Codec::Zstd => unpack(&mut self.context, body, len, out)?,
            Codec::Shuffle2 => {
                unpack(&mut self.context, body, len, &mut self.shuffled)?;
                shuffle::join::<2>(&self.shuffled, out);
            }
            Codec::Shuffle4 => {
                unpack(&mut self.context, body, len, &mut self.shuffled)?;
                shuffle::join::<4>(&self.shuffled, out);
            }
        }
        Ok(())
    }
}

fn unpack(
    context: &mut DCtx<'static>,
    body: &[u8],
    len: usize,
    out: &mut Vec<u8>,
) -> std::result::Result<(), DecodeError> {
    // zstd would accept several frames in a row; the format has one.
    if find_frame_compressed_size(body) != Ok(body.len()) {
        return Err(DecodeError::BadFrame);
    }
    out.resize(len, 0);
    match context.decompress(out.as_mut_slice(), body) {
        Ok(filled) if filled == len => Ok(()),
        _ => Err(DecodeError::BadFrame),
    }
}

#[cfg(test)]
mod tests;
