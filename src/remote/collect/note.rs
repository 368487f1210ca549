//! Small immutable texts on a remote, named by their hash: claims and tombstones. Each has a salt, so that no name comes
//! twice: whoever deletes one deletes that one, however late.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::error::{RemoteError, Result};
use super::super::store::RemoteStore;
use super::super::transport::ObjectMeta;
use crate::fs;
use crate::hash::FileId;

/// The largest text that is accepted, in bytes.
pub(super) const MAX_NOTE: u64 = 64 << 20;
/// How often a folder is listed to see it twice alike.
const LISTINGS: usize = 20;
/// What is written with every text.
const VERSION: u32 = 1;

/// A text with its frame.
#[derive(Serialize, serde::Deserialize)]
struct Framed<T> {
    version: u32,
    salt: String,
    #[serde(flatten)]
    content: T,
}

/// The least that is read of a text of any version.
#[derive(serde::Deserialize)]
struct Versioned {
    version: u32,
}

impl RemoteStore {
    /// Writes a text into a folder (`refs/x/`, `tombstones/`).
    pub(super) fn put_note<T: Serialize>(&self, folder: &str, content: &T) -> Result<FileId> {
        let framed = Framed {
            version: VERSION,
            salt: hex(&fs::random::<8>()?),
            content,
        };
        let bytes = serde_json::to_vec(&framed).map_err(|error| self.bad_note(folder, &error.to_string()))?;
        let id = FileId::of(&bytes);
        self.put_meta(&format!("{folder}{id}"), bytes.clone())?;
        fs::write_atomic(&self.meta_dir("notes")?.join(id.to_string()), &bytes)?;
        Ok(id)
    }

    /// Reads a text; there is a copy here of those that were read before.
    pub(super) fn get_note<T: DeserializeOwned>(&self, key: &str, id: FileId) -> Result<T> {
        let path = self.meta_dir("notes")?.join(id.to_string());
        let kept = fs::read_if_exists(&path, MAX_NOTE)?.filter(|bytes| FileId::of(bytes) == id);
        let bytes = match kept {
            Some(bytes) => bytes,
            None => {
                let bytes = self.transport().get(key, MAX_NOTE)?;
                if FileId::of(&bytes) != id {
                    return Err(self.bad_note(key, "its content does not have the hash that is its name"));
                }
                fs::write_atomic(&path, &bytes)?;
                bytes
            }
        };
        let wrong = |error: serde_json::Error| self.bad_note(key, &error.to_string());
        let versioned: Versioned = serde_json::from_slice(&bytes).map_err(wrong)?;
        if versioned.version != VERSION {
            return Err(self.bad_note(key, "a newer modver wrote it"));
        }
        let framed: Framed<T> = serde_json::from_slice(&bytes).map_err(wrong)?;
        Ok(framed.content)
    }

    /// Forgets the copies of texts that are not among these.
    pub(super) fn forget_notes(&self, there: &std::collections::HashSet<FileId>) -> Result<()> {
        let dir = self.meta_dir("notes")?;
        for name in fs::list(&dir)? {
            let id = name.to_str().and_then(|name| name.parse::<FileId>().ok());
            if id.is_some_and(|id| !there.contains(&id)) {
                fs::remove_file(&dir.join(name))?;
            }
        }
        Ok(())
    }

    /// Lists a folder until two listings in a row are alike: what stands in both stood there at one moment, also where a
    /// listing is no snapshot and something is written in the place of something else meanwhile.
    pub(super) fn list_settled(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        let keys = |objects: &[ObjectMeta]| objects.iter().map(|object| object.key.clone()).collect::<Vec<_>>();
        let mut before = self.transport().list(prefix)?;
        for _ in 0..LISTINGS {
            let now = self.transport().list(prefix)?;
            if keys(&now) == keys(&before) {
                return Ok(now);
            }
            before = now;
        }
        Err(RemoteError::Unsettled {
            remote: self.name().to_owned(),
            folder: prefix.to_owned(),
        })
    }

    fn bad_note(&self, key: &str, problem: &str) -> RemoteError {
        RemoteError::BadNote {
            remote: self.name().to_owned(),
            key: key.to_owned(),
            problem: problem.to_owned(),
        }
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
