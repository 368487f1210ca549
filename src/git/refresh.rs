//! Files that were written behind git's back: the index has to see them again.

use super::discover::GitRepo;
use super::error::Result;
use crate::path::RepoPath;

impl GitRepo {
    /// Makes the index know these files of the work tree as they are now. Of transparent files whose pointer text was
    /// replaced by its content only what git remembers of the file (size, times) changes: the filter gives the same
    /// text again. Git would otherwise take the new size for a change, and not look at the content at all.
    ///
    /// The paths are in the index, and the filter is configured: without it, git would store the content itself.
    ///
    /// # Errors
    /// As [`GitRepo::stage`].
    pub fn refresh(&self, paths: &[RepoPath]) -> Result<()> {
        let mut list = Vec::new();
        for path in paths {
            list.extend_from_slice(path.as_bytes());
            list.push(0);
        }
        if list.is_empty() {
            return Ok(());
        }
        self.change_index(&["update-index", "-q", "-z", "--stdin"], &list)
    }
}
