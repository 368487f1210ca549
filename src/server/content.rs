//! Whether content is what its key says, before anybody can see it.

use std::path::Path;

use super::answer::Refusal;
use super::keys::{Entry, Kind};
use crate::causes::in_one_line;
use crate::fs;
use crate::hash::{FileId, ID_LEN, RunId};
use crate::store::marker::{self, MarkerError};

/// Checks a file that was received, whose BLAKE3 is `hash`.
pub(super) fn check(entry: Entry, file: &Path, limit: u64, hash: [u8; ID_LEN]) -> Result<(), Refusal> {
    if let Some(expected) = entry.hash {
        if expected == hash {
            return Ok(());
        }
        return Err(Refusal::wrong_content(format!(
            "the content has the BLAKE3 {}, which is not the object's name",
            FileId::from_bytes(hash)
        )));
    }
    let read = || fs::read(file, limit).map_err(|error| Refusal::failed(in_one_line(&error)));
    match entry.kind {
        // A feature that this program does not have is its clients' matter.
        Kind::Marker => match marker::check(&read()?) {
            Ok(()) | Err(MarkerError::Feature(_) | MarkerError::Encrypted) => Ok(()),
            Err(error) => Err(Refusal::wrong_content(error.to_string())),
        },
        Kind::Current => {
            let bytes = read()?;
            let text = std::str::from_utf8(&bytes).unwrap_or("?");
            match text.lines().all(|line| line.parse::<RunId>().is_ok()) {
                true => Ok(()),
                false => Err(Refusal::wrong_content("a list of runs has one id in a line")),
            }
        }
        _ => Ok(()),
    }
}
