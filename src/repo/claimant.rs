//! Who this repository is to remotes that several share.

use super::{FOLDER, Repository, Result};
use crate::fs;
use crate::remote::Claimant;

/// Names a clone that has no remote of git.
const CLONE: &str = "clone-id";
/// Hexadecimal digits.
const LONGEST: u64 = 64;

impl Repository {
    /// The repository as remotes know it: where its commits go, so that all clones of it are one; a clone whose commits go
    /// nowhere is a repository of its own.
    ///
    /// # Errors
    /// When the name of such a clone cannot be read or made.
    pub fn claimant(&self) -> Result<Claimant> {
        let repository = match self.git.origin() {
            Some(origin) => origin,
            None => format!("clone {}", self.clone_id()?),
        };
        let holder = self.git.committer();
        Ok(Claimant {
            repository,
            holder: holder.unwrap_or_else(|| "somebody".to_owned()),
        })
    }

    fn clone_id(&self) -> Result<String> {
        let dir = self.git.common_dir().join(FOLDER);
        let path = dir.join(CLONE);
        let known = fs::read_if_exists(&path, LONGEST)?.and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some(known) = known
            .map(|known| known.trim().to_owned())
            .filter(|known| !known.is_empty())
        {
            return Ok(known);
        }
        let id: String = fs::random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        fs::create_dir_all(&dir)?;
        fs::write_atomic(&path, format!("{id}\n").as_bytes())?;
        Ok(id)
    }
}
