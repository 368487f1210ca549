//! How a chunk's bytes become a body in a pack, and back.

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
