//! From what the user has (a key file or a passphrase) to the keys that seal objects and their names.

use std::path::{Path, PathBuf};

use aes_siv::KeyInit as _;
use aes_siv::siv::Aes256Siv;

use crate::config::Secret;
use crate::fs;
use crate::fs::TempFile;
use crate::hash::{SecretId, keyed};
use crate::store::marker::{Encryption, Kdf};

/// Begins a key file; 64 hexadecimal digits follow.
const KEY_FILE: &str = "modver-key-1:";
/// What this program seals with, as markers name it.
pub(super) const CIPHER: &str = "xchacha20poly1305-64k-aes256siv";
/// Argon2id for new stores: second of the recommended options of RFC 9106, section 4.
const NEW: Kdf = Kdf::Argon2id {
    memory_kib: 64 << 10,
    passes: 3,
    lanes: 4,
};

/// What the key of an encrypted remote is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file that `remote add --key-file` wrote.
    File(PathBuf),
    /// Something that people remember.
    Passphrase(Secret),
}

/// Why an encrypted remote cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The settings name no key.
    #[error("it is encrypted, and the settings name no key")]
    Missing,
    /// The key is another one.
    #[error("its content was encrypted with another key")]
    Wrong,
    /// What is there is not encrypted.
    #[error("it holds a store that is not encrypted")]
    NotEncrypted,
    /// There are sealed objects and no marker.
    #[error("it holds encrypted objects, and `modver-store.toml`, without which they cannot be read, is gone")]
    MarkerLost,
    /// The marker asks for something this program does not know or allow.
    #[error("its marker asks for an encryption that this modver does not know")]
    Unknown,
    /// A key file that holds no key.
    #[error("`{path}` is not a key file", path = .0.display())]
    NotAKey(PathBuf),
    /// A key file cannot be read or made.
    #[error(transparent)]
    File(#[from] fs::FsError),
}

/// The keys of one store.
pub(super) struct Keys {
    /// For the keys of objects.
    pub(super) content: [u8; 32],
    /// For names.
    pub(super) names: std::sync::Mutex<Aes256Siv>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

/// Writes a new key into a file that does not exist yet and that only its owner may read.
///
/// # Errors
/// When it cannot be written.
pub fn make_key_file(path: &Path) -> Result<(), KeyError> {
    let text = format!("{KEY_FILE}{}\n", SecretId::from_bytes(fs::random()?));
    let mut file = TempFile::create_beside(path)?;
    file.set_mode(0o600)?;
    file.write_all(text.as_bytes())?;
    match file.persist_new(path)? {
        true => Ok(()),
        false => {
            Err(fs::at(fs::Attempt::Create, path)(std::io::Error::from(std::io::ErrorKind::AlreadyExists)).into())
        }
    }
}

/// Whether a file is a key file.
///
/// # Errors
/// When it is none, or cannot be read.
pub fn check_key_file(path: &Path) -> Result<(), KeyError> {
    read_key_file(path).map(drop)
}

fn read_key_file(path: &Path) -> Result<[u8; 32], KeyError> {
    let bytes = fs::read(path, 4096)?;
    let text = std::str::from_utf8(&bytes).ok();
    let digits = text.and_then(|text| text.trim().strip_prefix(KEY_FILE));
    digits
        .and_then(bytes_of)
        .ok_or_else(|| KeyError::NotAKey(path.to_owned()))
}

fn bytes_of(digits: &str) -> Option<[u8; 32]> {
    digits.parse::<SecretId>().ok().map(|id| *id.as_bytes())
}

/// What only the right key gives.
fn check_of(master: &[u8; 32]) -> SecretId {
    SecretId::from_bytes(keyed::derive("modver 2026 encryption: check", master))
}

impl KeySource {
    /// What the marker of a new store with this key says, and the keys.
    pub(super) fn set_up(&self) -> Result<(Encryption, Keys), KeyError> {
        let mut encryption = Encryption {
            cipher: CIPHER.to_owned(),
            kdf: match self {
                Self::File(_) => Kdf::KeyFile,
                Self::Passphrase(_) => NEW,
            },
            salt: SecretId::from_bytes(fs::random()?).to_string(),
            check: String::new(),
        };
        let master = self.master(&encryption)?;
        encryption.check = check_of(&master).to_string();
        Ok((encryption, Keys::new(&master)))
    }

    /// The keys of a store whose marker says `encryption`.
    pub(super) fn unlock(&self, encryption: &Encryption) -> Result<Keys, KeyError> {
        if encryption.cipher != CIPHER {
            return Err(KeyError::Unknown);
        }
        let master = self.master(encryption)?;
        match encryption.check.parse::<SecretId>() {
            Ok(expected) if expected.matches(&check_of(&master)) => Ok(Keys::new(&master)),
            _ => Err(KeyError::Wrong),
        }
    }

    fn master(&self, encryption: &Encryption) -> Result<[u8; 32], KeyError> {
        let salt = bytes_of(&encryption.salt).ok_or(KeyError::Unknown)?;
        match (self, &encryption.kdf) {
            (Self::File(path), Kdf::KeyFile) => {
                let mut material = read_key_file(path)?.to_vec();
                material.extend(salt);
                Ok(keyed::derive("modver 2026 encryption: key file", &material))
            }
            (
                Self::Passphrase(passphrase),
                &Kdf::Argon2id {
                    memory_kib,
                    passes,
                    lanes,
                },
            ) => {
                // A marker is input: it may not ask for all memory.
                if memory_kib > 1 << 20 || passes > 16 || lanes > 16 {
                    return Err(KeyError::Unknown);
                }
                let params =
                    argon2::Params::new(memory_kib, passes, lanes, Some(32)).map_err(|_| KeyError::Unknown)?;
                let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
                let mut master = [0; 32];
                argon
                    .hash_password_into(passphrase.expose().as_bytes(), &salt, &mut master)
                    .map_err(|_| KeyError::Unknown)?;
                Ok(master)
            }
            _ => Err(KeyError::Wrong),
        }
    }
}

impl Keys {
    fn new(master: &[u8; 32]) -> Self {
        let mut names = [0; 64];
        keyed::derive_into("modver 2026 encryption: names", master, &mut names);
        Self {
            content: keyed::derive("modver 2026 encryption: content", master),
            names: std::sync::Mutex::new(Aes256Siv::new(&names.into())),
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match *pair {
            [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
            _ => None,
        })
        .collect()
}
