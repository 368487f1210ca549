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
