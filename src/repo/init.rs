//! `init`: the files modver keeps in git.

use super::{PROJECT_FILE, Repository, Result};
use crate::config::{MVIGNORE_TEMPLATE, PROJECT_TEMPLATE};
use crate::git::{self, FileEdit};
use crate::path::{Name, RepoPath};
use crate::workspace::IGNORE_FILE;

/// What `init` did.
#[derive(Debug, serde::Serialize)]
pub struct InitOutcome {
    /// The root of the work tree.
    pub root: String,
    /// Files that were created or extended.
    pub written: Vec<RepoPath>,
    /// Files that were as they should be.
    pub unchanged: Vec<RepoPath>,
}

impl Repository {
    /// Creates `mv.toml`, `.mvignore` and the entries in `.gitattributes`, where they are missing. What is there is
    /// never replaced.
    ///
    /// # Errors
    /// When a file cannot be written or staged.
    pub fn init(&self) -> Result<InitOutcome> {
        let _lock = self.lock_workspace()?;
        let mut edits = Vec::new();
        for (name, template) in [(PROJECT_FILE, PROJECT_TEMPLATE), (IGNORE_FILE, MVIGNORE_TEMPLATE)] {
            let path = RepoPath::root().join(&Name::new(name.as_bytes())?);
            let mut edit = FileEdit::read(self.root(), &path)?;
            edit.after.get_or_insert_with(|| template.as_bytes().to_vec());
            edits.push(edit);
        }
        edits.push(git::attributes_edit(self.root())?);
        let (written, unchanged): (Vec<_>, Vec<_>) = edits.into_iter().partition(FileEdit::is_change);
        for edit in &written {
            edit.apply(self.root())?;
        }
        let written: Vec<_> = written.into_iter().map(|edit| edit.path).collect();
        if self.config.autostage() && !written.is_empty() {
            self.git.stage(&written)?;
        }
        Ok(InitOutcome {
            root: self.root().display().to_string(),
            written,
            unchanged: unchanged.into_iter().map(|edit| edit.path).collect(),
        })
    }
}
