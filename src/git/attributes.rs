//! `.gitattributes` entries: pointers and lock files are text with line feeds, on every platform and in every clone,
//! so that the same pointer is the same blob. Pointers are merged by modver where its driver is installed, and as text
//! where it is not.

use std::path::Path;

use super::edit::{FileEdit, Lines};
use super::error::{GitError, Result};
use crate::path::RepoPath;

const ENTRIES: [&[u8]; 2] = [b"*.mv text eol=lf merge=modver", b"mv.lock text eol=lf merge=modver"];
/// What was written before there was a merge driver.
const FORMER: [&[u8]; 2] = [b"*.mv text eol=lf", b"mv.lock text eol=lf"];

/// The top-level `.gitattributes` with the entries for pointers and lock files; unchanged if it has them.
///
/// # Errors
/// When the file cannot be read.
pub fn attributes_edit(root: &Path) -> Result<FileEdit> {
    let path = RepoPath::new(b".gitattributes").map_err(|source| GitError::InvalidPath {
        place: "work tree".to_owned(),
        source,
    })?;
    let mut edit = FileEdit::read(root, &path)?;
    let mut lines = Lines::of(edit.after.as_deref().unwrap_or_default());
    let mut added = false;
    for former in FORMER {
        added |= lines.remove(former);
    }
    for entry in ENTRIES {
        added |= lines.add(entry);
    }
    if added {
        edit.after = Some(lines.into_bytes());
    }
    Ok(edit)
}
