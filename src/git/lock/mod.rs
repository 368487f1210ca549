//! The lock file: `mv.lock` beside `mv.toml`, what each stage last ran from and made (`docs/formats.md`, "Lock file").
//!
//! Invariants: [`Lock::to_bytes`] is canonical, the same value gives the same bytes; what it writes, [`Lock::parse`]
//! reads back as the same value. Parsing is strict, as for pointers. The text merges by stages (`super::lock_merge`): no
//! value has more than one line, and each line that begins with `[` is the header of one stage's table.

mod error;
mod live;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

pub use error::{LockError, LockProblem};

use super::pointer::{Pointer, PointerContent};
use crate::path::RepoPath;

/// The name of a lock file.
pub const LOCK_FILE: &str = "mv.lock";

/// The largest lock file, in bytes.
pub const MAX_LOCK: u64 = 64 * 1024 * 1024;

const VERSION: i64 = 1;

/// The key of what TOML has no value for: its text in JSON.
const JSON: &str = "json";

/// Whether a path is that of a lock file.
#[must_use]
pub fn is_lock_path(path: &RepoPath) -> bool {
    path.names().next_back() == Some(LOCK_FILE.as_bytes())
}

/// A lock file, parsed. Paths are relative to the repository.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lock {
    /// By the name of the stage, such as `train` or `train@cnn-1`.
    pub stages: BTreeMap<String, LockedStage>,
}

impl Lock {
    /// The outputs whose content is in the cache, with their stages.
    pub fn cached(&self) -> impl Iterator<Item = (&RepoPath, &str, &LockedOut)> {
        self.stages.iter().flat_map(|(name, stage)| {
            let cached = stage.outs.iter().filter(|(_, out)| out.cache);
            cached.map(move |(path, out)| (path, name.as_str(), out))
        })
    }

    /// What the lock says of the output at `path`, if it is one in the cache.
    #[must_use]
    pub fn cached_at(&self, path: &RepoPath) -> Option<&LockedOut> {
        let mut outs = self.stages.values().filter_map(|stage| stage.outs.get(path));
        outs.find(|out| out.cache)
    }
}

impl LockedOut {
    /// The pointer that would stand for it.
    #[must_use]
    pub fn to_pointer(&self) -> Pointer {
        Pointer {
            content: self.content,
            size: self.size,
            desc: None,
            labels: Vec::new(),
            remote: self.remote.clone(),
            import: None,
        }
    }
}

/// What a stage last ran from, and what it made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LockedStage {
    /// The commands, as they were given to the shell.
    pub cmd: Vec<String>,
    /// Where they ran; the root for the directory of the lock file is written as nothing.
    pub wdir: RepoPath,
    /// Inputs.
    pub deps: BTreeMap<RepoPath, LockedDep>,
    /// By parameter file: the values of the keys that the stage names; the key is empty for the whole file.
    pub params: BTreeMap<RepoPath, BTreeMap<String, serde_json::Value>>,
    /// Environment variables that count as inputs; `None`: it was not set.
    pub env: BTreeMap<String, Option<String>>,
    /// Outputs.
    pub outs: BTreeMap<RepoPath, LockedOut>,
}

/// Content that a stage read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockedDep {
    /// What it was.
    pub content: PointerContent,
    /// Bytes.
    pub size: u64,
}

/// Content that a stage made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedOut {
    /// What it was.
    pub content: PointerContent,
    /// Bytes.
    pub size: u64,
    /// Whether it is kept in the cache; otherwise git keeps it, or nobody.
    pub cache: bool,
    /// Whether it is pushed.
    pub push: bool,
    /// The remote it belongs to, if not the default one.
    pub remote: Option<String>,
}
