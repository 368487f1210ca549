//! Git's ignore rules: `.gitignore` at every level, `info/exclude`, `core.excludesFile`.

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use gix::index::entry::Mode;
use gix::worktree::stack::state::ignore::Source;

use super::discover::GitRepo;
use super::error::{GitError, Result};
use crate::path::{RepoPath, quote};

/// The ignore rules of a repository, read from disk as they are needed and then kept. One thread asks it; another
/// thread takes another one. Asking in the order of a walk is fastest.
pub struct Excludes {
    stack: gix::worktree::Stack,
    objects: gix::Repository,
}

/// The rule that makes git ignore a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoreMatch {
    /// The pattern as git understands it.
    pub pattern: String,
    /// The file that holds it; below the work tree if it is there.
    pub source: Option<PathBuf>,
    /// The line in that file, from 1.
    pub line: usize,
}

impl fmt::Display for IgnoreMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pattern `{}`", quote(self.pattern.as_bytes()))?;
        match &self.source {
            Some(source) => write!(f, " in {}:{}", quote(source.as_os_str().as_bytes()), self.line),
            None => Ok(()),
        }
    }
}

impl GitRepo {
    /// The ignore rules as they are now.
    ///
    /// # Errors
    /// When the index or the rules outside the work tree cannot be read.
    pub fn excludes(&self) -> Result<Excludes> {
        let repo = self.local();
        let rules = |source: gix::Error| GitError::IgnoreRules {
            path: RepoPath::root(),
            source: Box::new(source),
        };
        // Rules of a `.gitignore` that exists only in the index hold for a sparse checkout alone; those files are
        // not on disk, and nobody asks about them.
        let index = gix::index::State::new(repo.object_hash());
        let stack = repo
            .excludes(&index, None, Source::WorktreeThenIdMappingIfNotSkipped)
            .map_err(rules)?
            .detach();
        Ok(Excludes { stack, objects: repo })
    }
}

impl Excludes {
    /// The rule that makes git ignore `path` (or a directory above it); `None` if it is not ignored. Whether git
    /// tracks it anyway is another question.
    ///
    /// # Errors
    /// When a `.gitignore` on the way cannot be read.
    pub fn is_excluded(&mut self, path: &RepoPath, is_dir: bool) -> Result<Option<IgnoreMatch>> {
        if path.is_root() {
            return Ok(None);
        }
        let mode = if is_dir { Mode::DIR } else { Mode::FILE };
        let relative = path.on_disk(std::path::Path::new(""));
        let platform = self
            .stack
            .at_path(&*relative, Some(mode), &self.objects.objects)
            .map_err(|source| GitError::IgnoreRules {
                path: path.clone(),
                source: Box::new(source),
            })?;
        Ok(platform
            .matching_exclude_pattern()
            .filter(|found| !found.pattern.is_negative())
            .map(|found| IgnoreMatch {
                pattern: found.pattern.to_string(),
                source: found.source.map(PathBuf::from),
                line: found.sequence_number,
            }))
    }
}
