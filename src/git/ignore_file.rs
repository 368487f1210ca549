//! `.gitignore` entries for outputs: one anchored line `/NAME` in the directory that holds the output.
//!
//! An entry matches exactly the name it was made for, with one exception: `.gitignore` cannot express a line feed,
//! so a name with one gets `?` in its place and the entry also matches names with another byte there.

use std::path::Path;

use super::edit::{FileEdit, Lines};
use super::error::{GitError, Result};
use crate::path::{Name, RepoPath};

/// The `.gitignore` of `dir` with an entry for `name`; unchanged if it has one. Other lines stay as they are.
///
/// # Errors
/// When the file cannot be read.
pub fn add_entry(root: &Path, dir: &RepoPath, name: &Name) -> Result<FileEdit> {
    let mut edit = FileEdit::read(root, &ignore_path(dir)?)?;
    edit.add_entry(name);
    Ok(edit)
}

/// The `.gitignore` of `dir` without the entry for `name`; no file if that was the only line.
///
/// # Errors
/// When the file cannot be read.
pub fn remove_entry(root: &Path, dir: &RepoPath, name: &Name) -> Result<FileEdit> {
    let mut edit = FileEdit::read(root, &ignore_path(dir)?)?;
    edit.remove_entry(name);
    Ok(edit)
}

impl FileEdit {
    /// Adds the entry for `name` to what this `.gitignore` shall hold: for several outputs of one directory.
    pub fn add_entry(&mut self, name: &Name) {
        let mut lines = Lines::of(self.after.as_deref().unwrap_or_default());
        if lines.add(&entry(name)) {
            self.after = Some(lines.into_bytes());
        }
    }

    /// Removes the entry for `name` from what this `.gitignore` shall hold.
    pub fn remove_entry(&mut self, name: &Name) {
        let mut lines = Lines::of(self.after.as_deref().unwrap_or_default());
        if lines.remove(&entry(name)) {
            self.after = Some(lines.into_bytes()).filter(|bytes| !bytes.is_empty());
        }
    }
}

fn ignore_path(dir: &RepoPath) -> Result<RepoPath> {
    let name = Name::new(b".gitignore").map_err(|source| GitError::InvalidPath {
        place: "work tree".to_owned(),
        source,
    })?;
    Ok(dir.join(&name))
}

/// The line that makes git ignore exactly `name`, file or directory.
fn entry(name: &Name) -> Vec<u8> {
    let bytes = name.as_bytes();
    let mut line = vec![b'/'];
    for (i, &byte) in bytes.iter().enumerate() {
        let is_last = i + 1 == bytes.len();
        match byte {
            b'\n' => line.push(b'?'),
            // At the end of a line a carriage return is part of the line end, and blanks are dropped.
            b'\r' if is_last => line.extend_from_slice(b"[\r]"),
            b'\\' | b'*' | b'?' | b'[' | b']' | b'!' | b'#' => line.extend_from_slice(&[b'\\', byte]),
            b' ' | b'\t' if is_last => line.extend_from_slice(&[b'\\', byte]),
            _ => line.push(byte),
        }
    }
    line
}
