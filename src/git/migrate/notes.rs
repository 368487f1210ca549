//! Notes of commits that were written anew.

use std::collections::HashMap;

use gix::bstr::ByteSlice as _;

use super::super::discover::GitRepo;
use super::super::error::Result;
use super::refs::text;

impl GitRepo {
    /// Copies the notes under `refs/notes/` of old commits and tags to the new ones; how many.
    pub(super) fn copy_notes(&self, renamed: &HashMap<gix::ObjectId, gix::ObjectId>) -> Result<u64> {
        let listed = self.git(&["for-each-ref", "--format=%(refname)", "refs/notes/"], Vec::new())?;
        let mut copied = 0;
        for name in listed.lines() {
            let notes = format!("--ref={}", text(name)?);
            let mut pairs = String::new();
            for line in self.git(&["notes", &notes, "list"], Vec::new())?.lines() {
                // The note, and what it is about.
                let about = line.split(|&b| b == b' ').nth(1);
                let old = about.and_then(|hex| gix::ObjectId::from_hex(hex).ok());
                if let Some((old, new)) = old.and_then(|old| renamed.get_key_value(&old)) {
                    pairs.push_str(&format!("{old} {new}\n"));
                    copied += 1;
                }
            }
            if !pairs.is_empty() {
                // Forced, for what a run that was stopped has copied.
                self.git(&["notes", &notes, "copy", "--force", "--stdin"], pairs.into_bytes())?;
            }
        }
        Ok(copied)
    }
}
