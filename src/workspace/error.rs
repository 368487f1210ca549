//! Errors of the workspace layer.

use std::path::PathBuf;

use super::scan::Problem;
use crate::fs::FsError;
use crate::object::{ObjectError, TreeError};
use crate::path::{PathError, RepoPath};
use crate::progress::Interrupted;
use crate::store::StoreError;

/// Result of a workspace operation.
pub type Result<T> = std::result::Result<T, WorkspaceError>;

/// Why the workspace could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A tree could not be read.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The user stopped it.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// A path is not valid.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The output holds things that cannot be tracked; all of them are listed.
    #[error("it holds what cannot be tracked: {}", list(.0))]
    Problems(Vec<Problem>),
    /// A directory cannot be recorded.
    #[error("cannot record directory `{path}`")]
    Listing {
        /// The directory, relative to the output.
        path: RepoPath,
        /// What is wrong with it.
        source: TreeError,
    },
    /// The names of one directory, or the files of one output, are more than can be counted.
    #[error("directory `{0}` has too many names")]
    TooManyNames(RepoPath),
    /// Directories are nested too deep.
    #[error("directory `{0}` is nested too deep")]
    TooDeep(RepoPath),
    /// A checkout would lose content that exists nowhere else.
    #[error("{count} files with content that is not stored are in the way, `{first}` among them")]
    Conflicts {
        /// How many.
        count: usize,
        /// One of them, relative to the output.
        first: RepoPath,
    },
    /// The file kept changing while it was read.
    #[error("`{path}` changes while it is read", path = .0.display())]
    Changing(PathBuf),
    /// There is nothing at the output's path.
    #[error("`{path}` does not exist", path = .0.display())]
    Missing(PathBuf),
    /// The output's path has no parent directory or name.
    #[error("`{path}` is not a path that can be tracked", path = .0.display())]
    NotAnOutput(PathBuf),
}

fn list(problems: &[Problem]) -> String {
    let mut text: Vec<String> = problems.iter().take(10).map(ToString::to_string).collect();
    if problems.len() > text.len() {
        text.push(format!("{} more", problems.len() - text.len()));
    }
    text.join("; ")
}
