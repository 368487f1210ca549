//! What can be wrong with a lock file.

use super::super::pointer::{PointerError, PointerProblem};
use super::{MAX_LOCK, VERSION};
use crate::fs::FsError;
use crate::hash::ParseIdError;
use crate::path::{PathError, RepoPath};

/// A lock file that cannot be read, or a lock that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` is not a valid lock file")]
pub struct LockError {
    /// The lock file.
    pub path: RepoPath,
    /// What is wrong with it.
    #[source]
    pub problem: LockProblem,
}

impl LockError {
    /// The command that helps, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.problem.hint(&self.path)
    }
}

impl From<LockError> for PointerError {
    /// For those to whom an output is an output, wherever it is named.
    fn from(error: LockError) -> Self {
        Self {
            path: error.path,
            problem: match error.problem {
                LockProblem::Conflict => PointerProblem::Conflict,
                problem => PointerProblem::Lock(Box::new(problem)),
            },
        }
    }
}

/// What is wrong with a lock file. Keys are named in full, as `stages.train.outs`.
#[derive(Debug, thiserror::Error)]
pub enum LockProblem {
    /// Git's conflict markers are in it.
    #[error("two versions of it were merged, and it is still in conflict")]
    Conflict,
    /// It is larger than [`MAX_LOCK`].
    #[error("it has {0} bytes, more than the {MAX_LOCK} a lock file may have")]
    TooLarge(u64),
    /// The file cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[source] FsError),
    /// It is not UTF-8.
    #[error("it is not UTF-8 text")]
    NotText(#[source] std::str::Utf8Error),
    /// It is not TOML.
    #[error("it is not TOML")]
    Syntax(#[source] Box<toml::de::Error>),
    /// A newer modver wrote it.
    #[error("it has version {0}, written by a newer modver; this one reads version {VERSION}")]
    Version(i64),
    /// A key is not known.
    #[error("it has the unknown key `{0}`")]
    UnknownKey(String),
    /// A key is missing.
    #[error("the key `{0}` is missing")]
    MissingKey(String),
    /// A value has another type.
    #[error("the value of `{key}` is not {expected}")]
    WrongType {
        /// The key.
        key: String,
        /// What it should be.
        expected: &'static str,
    },
    /// An id is none.
    #[error("the value of `{key}` is not an id")]
    Id {
        /// The key.
        key: String,
        /// Why.
        #[source]
        source: ParseIdError,
    },
    /// A path is none.
    #[error("`{key}` is not a path")]
    Path {
        /// The key.
        key: String,
        /// Why, if it is one outside of the lock file.
        #[source]
        source: Option<PathError>,
    },
    /// A path leads out of the repository.
    #[error("the path of `{key}` leads out of the repository")]
    Outside {
        /// The key.
        key: String,
    },
    /// A path stands there twice, in two spellings.
    #[error("`{key}` names the same path as another key")]
    Duplicate {
        /// The key.
        key: String,
    },
    /// A number cannot be written.
    #[error("the value of `{key}` is too large")]
    TooBig {
        /// The key.
        key: String,
    },
}

impl LockProblem {
    /// The command that helps with it in the lock file `path`, if there is one.
    #[must_use]
    pub fn hint(&self, path: &RepoPath) -> Option<String> {
        match self {
            Self::Conflict => Some(format!(
                "modver checkout --ours {path}   or   modver checkout --theirs {path}"
            )),
            Self::Version(_) | Self::Unreadable(_) | Self::TooLarge(_) | Self::TooBig { .. } => None,
            _ => Some(format!("git checkout HEAD -- {path}")),
        }
    }
}
