//! Keys made with BLAKE3: derived from others, or of what they are for. 32 bytes each.

/// A key for one purpose, which `context` names, of secret material.
#[must_use]
pub fn derive(context: &str, material: &[u8]) -> [u8; 32] {
    blake3::derive_key(context, material)
}

/// As [`fn@derive`], of any length.
pub fn derive_into(context: &str, material: &[u8], key: &mut [u8]) {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(material).finalize_xof().fill(key);
}

/// The keyed hash of these parts, one after the other.
#[must_use]
pub fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// As 64 hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*bytes).to_hex().to_string()
}

/// From 64 hexadecimal digits.
#[must_use]
pub fn from_hex(digits: &str) -> Option<[u8; 32]> {
    blake3::Hash::from_hex(digits).ok().map(|hash| *hash.as_bytes())
}

/// Whether both are equal; how long that takes says nothing about where they differ.
#[must_use]
pub fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    blake3::Hash::from_bytes(*one) == blake3::Hash::from_bytes(*other)
}
