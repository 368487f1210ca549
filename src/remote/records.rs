//! Records of runs on a remote: immutable objects named by their content, each with any number of records. What is in them
//! is not looked at here.

use super::error::{RemoteError, Result};
use super::store::RemoteStore;
use crate::hash::FileId;

const PREFIX: &str = "records/";
/// The largest object with records that is accepted, in bytes.
const MAX_RECORDS: u64 = 256 << 20;

impl RemoteStore {
    /// Adds records to a remote that has a store.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_records(&self, bytes: Vec<u8>) -> Result<FileId> {
        let id = FileId::of(&bytes);
        self.put_meta(&format!("{PREFIX}{id}"), bytes)?;
        Ok(id)
    }

    /// The names of all objects with records; none if there is no store.
    ///
    /// # Errors
    /// When the remote cannot be asked.
    pub fn list_records(&self) -> Result<Vec<FileId>> {
        if !self.exists()? {
            return Ok(Vec::new());
        }
        let objects = match self.transport().list(PREFIX) {
            // What was pushed can be read where nothing can be listed; records of runs cannot be found.
            Err(error) if error.is_refusal() => return Ok(Vec::new()),
            listed => listed?,
        };
        let name = |key: &str| key.rsplit('/').next()?.parse().ok();
        Ok(objects.iter().filter_map(|object| name(&object.key)).collect())
    }

    /// Reads records.
    ///
    /// # Errors
    /// When they cannot be had, or are not what their name says.
    pub fn get_records(&self, id: FileId) -> Result<Vec<u8>> {
        let key = format!("{PREFIX}{id}");
        let bytes = self.transport().get(&key, MAX_RECORDS)?;
        if FileId::of(&bytes) == id {
            Ok(bytes)
        } else {
            Err(RemoteError::DamagedRecords {
                remote: self.name().to_owned(),
                id,
            })
        }
    }
}
