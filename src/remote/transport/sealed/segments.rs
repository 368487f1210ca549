//! The content of a sealed object: a header, then segments of 64 KiB, each with a tag of its own, so that ranges can be
//! read.
//!
//! The key of an object is made of the store's, a random salt, the length and the object's name: objects cannot be
//! swapped, cut off or joined, and no two ever share a key and a nonce. The nonce is the segment's number.

use chacha20poly1305::aead::Aead as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};

use crate::hash::keyed::keyed;

/// Bytes of a header: magic, salt, length of the content (little-endian).
pub(super) const HEADER: u64 = 48;
const MAGIC: &[u8; 8] = b"mvsealed";
/// Bytes of content of a segment; the last may be shorter.
pub(super) const SEGMENT: u64 = 64 << 10;
/// Bytes of a segment's tag.
const TAG: u64 = 16;

/// Begins an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) salt: [u8; 32],
    /// Bytes of the content.
    pub(super) len: u64,
}

impl Header {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        [&MAGIC[..], &self.salt, &self.len.to_le_bytes()].concat()
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (salt, rest) = rest.split_first_chunk::<32>()?;
        let (len, _) = rest.split_first_chunk::<8>()?;
        let len = u64::from_le_bytes(*len);
        // What no file has is no length.
        (len < 1 << 60).then_some(Self { salt: *salt, len })
    }

    /// What seals and opens the segments of the object with this header and name.
    pub(super) fn cipher(&self, content_key: &[u8; 32], key: &str) -> Cipher {
        let parts = [&self.salt[..], &self.len.to_le_bytes(), key.as_bytes()];
        Cipher(XChaCha20Poly1305::new(&keyed(content_key, &parts).into()))
    }
}

/// Bytes of a sealed object with `len` bytes of content.
pub(super) const fn sealed_len(len: u64) -> u64 {
    HEADER + len + TAG * count(len)
}

/// Bytes of content in a sealed object of `sealed` bytes; `None` for a length that none has.
pub(super) const fn plain_len(sealed: u64) -> Option<u64> {
    let Some(body) = sealed.checked_sub(HEADER) else {
        return None;
    };
    let Some(len) = body.checked_sub(TAG * body.div_ceil(SEGMENT + TAG)) else {
        return None;
    };
    if sealed_len(len) == sealed { Some(len) } else { None }
}

/// Segments of `len` bytes of content; even no content has one, whose tag says so.
pub(super) const fn count(len: u64) -> u64 {
    if len == 0 { 1 } else { len.div_ceil(SEGMENT) }
}

/// Where the sealed segments `first..=last` of an object with `len` bytes of content are.
pub(super) fn place(first: u64, last: u64, len: u64) -> std::ops::Range<u64> {
    let end = HEADER + (last + 1) * (SEGMENT + TAG);
    HEADER + first * (SEGMENT + TAG)..end.min(sealed_len(len))
}

pub(super) struct Cipher(XChaCha20Poly1305);

impl Cipher {
    fn nonce(number: u64) -> XNonce {
        let mut nonce = [0; 24];
        nonce[..8].copy_from_slice(&number.to_le_bytes());
        nonce.into()
    }

    /// A sealed segment. `None` only for more bytes than the cipher can take, which no segment has.
    pub(super) fn seal(&self, number: u64, content: &[u8]) -> Option<Vec<u8>> {
        self.0.encrypt(&Self::nonce(number), content).ok()
    }

    /// Opens sealed segments, of which the first has this number, and whether each was what was sealed. One that was not is
    /// zeros, so that damage is no larger than it is.
    pub(super) fn open(&self, first: u64, sealed: &[u8]) -> (Vec<u8>, bool) {
        let mut content = Vec::with_capacity(sealed.len());
        let mut is_sound = true;
        let pieces = sealed.chunks((SEGMENT + TAG) as usize);
        for (number, piece) in (first..).zip(pieces) {
            match self.0.decrypt(&Self::nonce(number), piece) {
                Ok(segment) => content.extend(segment),
                Err(_) => {
                    is_sound = false;
                    content.resize(content.len() + piece.len().saturating_sub(TAG as usize), 0);
                }
            }
        }
        (content, is_sound)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seal(header: Header, name: &str, content: &[u8]) -> Vec<u8> {
        let cipher = header.cipher(&[7; 32], name);
        let mut sealed = header.to_bytes();
        let pieces: Vec<&[u8]> = if content.is_empty() {
            vec![b""]
        } else {
            content.chunks(SEGMENT as usize).collect()
        };
        for (number, piece) in (0..).zip(pieces) {
            sealed.extend(cipher.seal(number, piece).unwrap());
        }
        sealed
    }

    proptest! {
        #[test]
        fn lengths_are_exact(len in 0_u64..1 << 40) {
            prop_assert_eq!(plain_len(sealed_len(len)), Some(len));
        }

        #[test]
        fn what_is_sealed_opens_and_nothing_else(len in 0_usize..200_000, at in any::<prop::sample::Index>(), bit in 0..8) {
            let content: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            let header = Header { salt: [3; 32], len: len as u64 };
            let sealed = seal(header, "packs/x", &content);
            prop_assert_eq!(sealed.len() as u64, sealed_len(len as u64));
            let open = |sealed: &[u8], name| {
                let header = Header::parse(sealed)?;
                let (content, is_sound) = header.cipher(&[7; 32], name).open(0, &sealed[HEADER as usize..]);
                is_sound.then_some(content)
            };
            prop_assert!(open(&sealed, "packs/x") == Some(content));
            prop_assert_eq!(open(&sealed, "packs/y"), None);
            let mut damaged = sealed.clone();
            damaged[at.index(sealed.len())] ^= 1_u8 << bit;
            prop_assert_eq!(open(&damaged, "packs/x"), None);
        }
    }

    #[test]
    fn lengths_that_no_object_has() {
        for bad in [
            0,
            1,
            HEADER,
            HEADER + 15,
            HEADER + SEGMENT + TAG + 3,
            sealed_len(SEGMENT) + TAG,
        ] {
            assert_eq!(plain_len(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_format_is_frozen() {
        let header = Header { salt: [1; 32], len: 5 };
        let sealed = seal(header, "packs/ab/abcd", b"hello");
        assert_eq!(&sealed[..8], MAGIC);
        assert_eq!(
            super::super::keys::hex(&sealed[HEADER as usize..]),
            "1be9763ad89f3159b5dc5cfb2c781a19c3f76c4b70"
        );
    }
}
