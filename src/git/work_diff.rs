//! How the files of the work tree differ from the commit that is checked out.

use std::io::Read as _;

use super::discover::GitRepo;
use super::error::Result;

impl GitRepo {
    /// The text of `git diff HEAD`, staged or not, binary files included; `None` if it is longer than `limit` bytes.
    /// Files that git does not know are not in it.
    ///
    /// # Errors
    /// When there is no commit, or `git` fails.
    pub fn work_diff(&self, limit: u64) -> Result<Option<Vec<u8>>> {
        let args = ["diff", "--no-ext-diff", "--no-color", "--binary", "HEAD"];
        let mut run = self.git_start(&args, Vec::new())?;
        let mut text = Vec::new();
        let read = (&mut run.stdout).take(limit + 1).read_to_end(&mut text);
        read.map_err(run.failed_io())?;
        if text.len() as u64 > limit {
            return Ok(None);
        }
        run.finish()?;
        Ok(Some(text))
    }
}
