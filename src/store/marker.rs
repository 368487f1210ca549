//! `modver-store.toml`: says what a directory or remote is, so that a newer format is refused by name.

use serde::{Deserialize, Serialize};

use crate::chunk;

/// Name of the marker in a store's root.
pub const NAME: &str = "modver-store.toml";
/// The longest marker that is read, in bytes.
pub const MAX_LEN: u64 = 64 * 1024;

const FORMAT: u64 = 1;
const HASH: &str = "blake3";

/// Why a marker is not that of a store this program can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkerError {
    /// Not a marker at all.
    #[error("`{NAME}` is not a store description")]
    Invalid,
    /// A newer (or older) format.
    #[error("the store has format {0}; this modver knows format {FORMAT}")]
    Format(u64),
    /// Another chunking algorithm.
    #[error("the store cuts chunks by `{0}`; this modver knows `{known}`", known = chunk::ALGORITHM)]
    Chunker(String),
    /// Another hash.
    #[error("the store hashes by `{0}`; this modver knows `{HASH}`")]
    Hash(String),
    /// A feature that every reader must know.
    #[error("the store needs the feature `{0}`, which this modver does not have")]
    Feature(String),
    /// Encrypted, and read by somebody who does not decrypt.
    #[error("it is encrypted, and the settings do not say so")]
    Encrypted,
}

/// The marker of a new store.
#[must_use]
pub fn text() -> String {
    format!(
        "# modver store: see docs/formats.md\nformat = {FORMAT}\nchunker = \"{}\"\nhash = \"{HASH}\"\nrequired = []\n",
        chunk::ALGORITHM
    )
}

/// The feature of stores whose objects are encrypted.
const ENCRYPTION: &str = "encryption";

/// How the objects of a store are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// With what.
    pub cipher: String,
    /// How the key comes from what the user has.
    pub kdf: Kdf,
    /// 32 random bytes, as hexadecimal digits.
    pub salt: String,
    /// 32 bytes that only the right key gives, as hexadecimal digits.
    pub check: String,
}

/// How a key comes from what the user has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kdf {
    /// By BLAKE3 from a key file.
    KeyFile,
    /// By Argon2id (RFC 9106) from a passphrase.
    Argon2id {
        /// Memory it takes, in KiB.
        memory_kib: u32,
        /// Passes over it.
        passes: u32,
        /// Lanes in it.
        lanes: u32,
    },
}

/// The marker of a new store whose objects are encrypted.
#[must_use]
pub fn encrypted_text(encryption: &Encryption) -> String {
    #[derive(Serialize)]
    struct Tables<'a> {
        encryption: &'a Encryption,
    }
    let required = format!("required = [\"{ENCRYPTION}\"]");
    let tables = toml::to_string(&Tables { encryption }).unwrap_or_default();
    format!("{}\n{tables}", text().replace("required = []", &required))
}

/// How a marker says that the store is encrypted; `None` if it does not.
#[must_use]
pub fn encryption(bytes: &[u8]) -> Option<Encryption> {
    #[derive(Deserialize)]
    struct Marker {
        required: Vec<String>,
        encryption: Encryption,
    }
    let marker: Marker = toml::from_str(std::str::from_utf8(bytes).ok()?).ok()?;
    let is_required = marker.required.iter().any(|feature| feature == ENCRYPTION);
    is_required.then_some(marker.encryption)
}

/// The marker as it is for whoever has the key: without the feature.
#[must_use]
pub fn without_encryption(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut marker: toml::Table = toml::from_str(std::str::from_utf8(bytes).ok()?).ok()?;
    marker.remove("encryption");
    let required = marker.get_mut("required")?.as_array_mut()?;
    required.retain(|feature| feature.as_str() != Some(ENCRYPTION));
    Some(marker.to_string().into_bytes())
}

/// Checks a marker's bytes.
///
/// # Errors
/// When this program must not touch the store.
pub fn check(bytes: &[u8]) -> Result<(), MarkerError> {
    #[derive(Deserialize)]
    struct Marker {
        format: u64,
        chunker: String,
        hash: String,
        required: Vec<String>,
    }
    #[derive(Deserialize)]
    struct FormatOnly {
        format: u64,
    }
    let text = std::str::from_utf8(bytes).map_err(|_| MarkerError::Invalid)?;
    // The number first: a newer format may spell everything else differently.
    let FormatOnly { format } = toml::from_str(text).map_err(|_| MarkerError::Invalid)?;
    if format != FORMAT {
        return Err(MarkerError::Format(format));
    }
    let marker: Marker = toml::from_str(text).map_err(|_| MarkerError::Invalid)?;
    debug_assert_eq!(marker.format, FORMAT);
    if marker.chunker != chunk::ALGORITHM {
        return Err(MarkerError::Chunker(marker.chunker));
    }
    if marker.hash != HASH {
        return Err(MarkerError::Hash(marker.hash));
    }
    let (encryption, mut others): (Vec<_>, Vec<_>) =
        marker.required.into_iter().partition(|feature| feature == ENCRYPTION);
    match (others.pop(), encryption.is_empty()) {
        (Some(feature), _) => Err(MarkerError::Feature(feature)),
        (None, false) => Err(MarkerError::Encrypted),
        (None, true) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_marker_is_accepted_and_strange_ones_are_named() {
        assert_eq!(check(text().as_bytes()), Ok(()));
        assert_eq!(check(format!("{}extra = 1\n", text()).as_bytes()), Ok(()));
        assert_eq!(check(b"format = 2\n"), Err(MarkerError::Format(2)));
        assert_eq!(check(b"\xff"), Err(MarkerError::Invalid));
        assert_eq!(check(b"format = 1\n"), Err(MarkerError::Invalid));
        let other = text().replace("gear-64k-v1", "x");
        assert_eq!(check(other.as_bytes()), Err(MarkerError::Chunker("x".into())));
        let sealed = encrypted_text(&Encryption {
            cipher: "c".into(),
            kdf: Kdf::Argon2id {
                memory_kib: 1,
                passes: 2,
                lanes: 3,
            },
            salt: "s".into(),
            check: "k".into(),
        });
        assert_eq!(check(sealed.as_bytes()), Err(MarkerError::Encrypted));
        assert_eq!(check(&without_encryption(sealed.as_bytes()).unwrap()), Ok(()));
        let read = encryption(sealed.as_bytes()).unwrap();
        assert_eq!(encrypted_text(&read), sealed);
        assert_eq!(encryption(text().as_bytes()), None);
        let other = text().replace("[]", "[\"encryption\"]");
        assert_eq!(check(other.as_bytes()), Err(MarkerError::Encrypted));
    }
}
