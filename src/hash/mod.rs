//! Ids: BLAKE3-256 of content, one type per thing that is named.
//!
//! Invariants: an id is 32 bytes, shown as 64 lowercase hex digits; ids of different kinds never compare.
//! The only kinds that convert into each other are those the format says are the same number: a file of one
//! chunk has its chunk's id, and a tree is stored as a file whose content is its listing.
//!
//! This module is the only user of the `blake3` crate.

pub mod keyed;

use std::fmt;
use std::str::FromStr;

/// Number of bytes in an id.
pub const ID_LEN: usize = 32;

/// A text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id: expected 64 lowercase hexadecimal digits")]
pub struct ParseIdError {
    text: String,
}

macro_rules! define_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; ID_LEN]);

        impl $name {
            /// The id with these 32 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; ID_LEN]) -> Self {
                Self(bytes)
            }

            /// The id of this content.
            #[must_use]
            pub fn of(content: &[u8]) -> Self {
                Self(*blake3::hash(content).as_bytes())
            }

            /// The 32 bytes of the id.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; ID_LEN] {
                &self.0
            }

            /// The first 12 hex digits, for people.
            #[must_use]
            pub fn short(&self) -> String {
                self.to_string()[..12].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let lowercase = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                match blake3::Hash::from_hex(text) {
                    Ok(hash) if lowercase => Ok(Self(*hash.as_bytes())),
                    _ => Err(ParseIdError {
                        text: text.chars().take(80).collect(),
                    }),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

define_id!(
    /// BLAKE3-256 of a file's content: what `b3sum` prints.
    FileId
);
define_id!(
    /// BLAKE3-256 of a directory's canonical listing (see `object::tree`).
    TreeId
);
define_id!(
    /// BLAKE3-256 of a chunk's bytes, uncompressed.
    ChunkId
);
define_id!(
    /// BLAKE3-256 of a pack file's bytes.
    PackId
);
define_id!(
    /// BLAKE3-256 of a shard file's bytes.
    ShardId
);
define_id!(
    /// BLAKE3-256 of a catalog run's bytes.
    RunId
);

define_id!(
    /// The id in a pointer or lock file: of a file or of a directory's listing.
    RootId
);

define_id!(
    /// BLAKE3-256 of a secret: what is kept in its place. Compared by [`SecretId::matches`].
    SecretId
);

impl SecretId {
    /// Whether both are of the same secret, in a time that does not depend on how far they are alike.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        blake3::Hash::from_bytes(self.0) == blake3::Hash::from_bytes(other.0)
    }
}

impl From<FileId> for RootId {
    fn from(id: FileId) -> Self {
        Self(id.0)
    }
}

impl From<TreeId> for RootId {
    fn from(id: TreeId) -> Self {
        Self(id.0)
    }
}

impl FileId {
    /// The id of the only chunk of this file, if the file has one chunk.
    #[must_use]
    pub const fn as_chunk(&self) -> ChunkId {
        ChunkId(self.0)
    }
}

impl ChunkId {
    /// The id of the file that consists of this chunk alone.
    #[must_use]
    pub const fn as_file(&self) -> FileId {
        FileId(self.0)
    }
}

impl TreeId {
    /// The id under which the listing is stored: a tree is stored like a file whose content is the listing.
    #[must_use]
    pub const fn as_file(&self) -> FileId {
        FileId(self.0)
    }
}

impl From<FileId> for TreeId {
    /// The tree whose listing is the file of this id; whether it is a listing shows when it is decoded.
    fn from(id: FileId) -> Self {
        Self(id.0)
    }
}

/// Hashes content that arrives in pieces.
#[derive(Clone, Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `bytes` to the content.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// BLAKE3-256 of the content so far; wrap it with the `from_bytes` of the kind of id it is.
    #[must_use]
    pub fn finish(&self) -> [u8; ID_LEN] {
        *self.0.finalize().as_bytes()
    }
}

/// `len` bytes of BLAKE3's extendable output for `seed`: how the format derives its constant tables.
#[must_use]
pub fn expand(seed: &[u8], len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(seed).finalize_xof().fill(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_what_b3sum_prints() {
        let hex = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(FileId::of(b"").to_string(), hex);
        assert_eq!(hex.parse::<FileId>(), Ok(FileId::of(b"")));
        let mut hasher = Hasher::new();
        hasher.update(b"ab");
        hasher.update(b"c");
        assert_eq!(FileId::from_bytes(hasher.finish()), FileId::of(b"abc"));
    }

    #[test]
    fn parse_refuses_what_display_never_prints() {
        let hex = FileId::of(b"x").to_string();
        for bad in [
            "",
            "00",
            &hex[1..],
            &format!("{hex}0"),
            &hex.to_uppercase(),
            &format!("g{}", &hex[1..]),
        ] {
            assert!(bad.parse::<FileId>().is_err(), "{bad}");
        }
    }
}
