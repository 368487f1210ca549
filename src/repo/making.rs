//! Which outputs the commands of stages are making at this moment. What is at their paths is nobody's yet: it is neither
//! replaced nor recorded.

use serde::Deserialize;

use super::{RepoError, Repository, Result};
use crate::fs::{self, FileLock, LockKind};
use crate::path::{RepoPath, unquote};

/// The name of the list of a stage's outputs, in the directory of what was put aside for it.
pub const ASIDE_LIST: &str = "list.json";

/// Of an entry of the list, only what is needed here; `pipeline::aside` writes it.
#[derive(Deserialize)]
struct Listed {
    path: String,
}

impl Repository {
    /// Where what stages made before is while they run, in a directory for each, by the name of its lock.
    #[must_use]
    pub fn aside_dir(&self) -> std::path::PathBuf {
        self.stage_dir().join("aside")
    }

    /// Where the locks are that the commands of stages hold.
    #[must_use]
    pub fn stage_locks_dir(&self) -> std::path::PathBuf {
        self.stage_dir().join("locks")
    }

    /// The outputs of the stages that run now. Who holds the workspace lock can rely on it until that is given back: a
    /// stage's outputs are put aside under it.
    pub(super) fn outputs_being_made(&self) -> Result<Vec<RepoPath>> {
        let dir = self.aside_dir();
        if fs::stat(&dir)?.is_none() {
            return Ok(Vec::new());
        }
        let mut making = Vec::new();
        for name in fs::list(&dir)? {
            let Some(list) = fs::read_if_exists(&dir.join(&name).join(ASIDE_LIST), 16 << 20)? else {
                continue;
            };
            // Nobody holds the lock of one whose process was killed: the next `repro` sets that right.
            let lock = self.stage_locks_dir().join(&name);
            if fs::stat(&lock)?.is_none() || FileLock::try_acquire(&lock, LockKind::Shared)?.is_some() {
                continue;
            }
            let listed: Vec<Listed> = serde_json::from_slice(&list).unwrap_or_default();
            let paths = listed.iter().filter_map(|listed| unquote(&listed.path));
            making.extend(paths.filter_map(|path| RepoPath::new(&path).ok()));
        }
        Ok(making)
    }

    /// Refuses paths that a stage is making.
    pub(super) fn check_not_being_made<'a>(&self, paths: impl Iterator<Item = &'a RepoPath>) -> Result<()> {
        let making = self.outputs_being_made()?;
        let mut paths = paths.filter(|path| overlaps(&making, path));
        paths
            .next()
            .map_or(Ok(()), |path| Err(RepoError::BeingMade { path: path.clone() }))
    }
}

/// Whether `path` is one of these, in one or around one.
pub(super) fn overlaps(making: &[RepoPath], path: &RepoPath) -> bool {
    making
        .iter()
        .any(|made| made.starts_with(path) || path.starts_with(made))
}
