//! Errors of pipelines.

use std::path::PathBuf;

use super::StageId;
use super::values::ValuesError;
use crate::fs::FsError;
use crate::git::GitError;
use crate::path::RepoPath;
use crate::progress::Interrupted;
use crate::repo::{RepoError, shell_word};

/// Result of an operation on pipelines.
pub type Result<T> = std::result::Result<T, PipelineError>;

/// Why an operation on pipelines failed.
#[derive(Debug, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "the messages say it; the transparent ones are other layers' errors"
)]
pub enum PipelineError {
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error(transparent)]
    Definition(#[from] super::definition::DefinitionError),
    #[error(transparent)]
    Values(#[from] ValuesError),
    #[error("stage `{stage}` depends on `{path}`, which does not exist and which no stage makes")]
    MissingDep {
        stage: StageId,
        path: RepoPath,
        nearest: Option<String>,
    },
    #[error("stage `{stage}` depends on `{path}`, which is tracked and not here")]
    AbsentDep { stage: StageId, path: RepoPath },
    #[error("stage `{stage}` needs the parameter `{key}` of `{file}`, which is not there")]
    MissingParam {
        stage: StageId,
        file: RepoPath,
        key: String,
        nearest: Option<String>,
    },
    #[error("stage `{stage}` did not make its output `{path}`")]
    MissingOut { stage: StageId, path: RepoPath },
    #[error("stage `{stage}` changed its input `{path}` while it ran")]
    ChangedDep { stage: StageId, path: RepoPath },
    #[error("output `{path}` of stage `{stage}` cannot be kept: it is not a file or directory")]
    UnusableOut { stage: StageId, path: RepoPath },
    #[error("`{path}` is an output of stage `{stage}` and tracked by git")]
    OutInGit { stage: StageId, path: RepoPath },
    #[error("stage `{stage}` failed: `{command}` {how}")]
    Command {
        stage: StageId,
        command: String,
        how: String,
    },
    #[error("stage `{stage}` could not be started")]
    Spawn {
        stage: StageId,
        #[source]
        source: std::io::Error,
    },
    #[error("stage `{stage}` reads `{path}`, which it does not declare")]
    UndeclaredInput { stage: StageId, path: RepoPath },
    #[error("the directory `{path}` of stage `{stage}` does not exist")]
    NoDirectory { stage: StageId, path: RepoPath },
    #[error("stage `{stage}` needs {amount} of `{resource}`, and there is {available}")]
    Resource {
        stage: StageId,
        resource: String,
        amount: f64,
        available: f64,
    },
    #[error("stage `{stage}` never ran to its end: there is nothing to compare with")]
    NotLocked { stage: StageId },
    #[error("`{target}` are several stages")]
    SeveralStages { target: String, first: StageId },
    #[error("no run has an id that begins with `{prefix}`")]
    NoRun { prefix: String },
    #[error("several runs have ids that begin with `{prefix}`")]
    AmbiguousRun { prefix: String },
    #[error("stage `{stage}` has no log here")]
    NoLog { stage: StageId },
    #[error("the index of runs `{path}` cannot be used", path = .path.display())]
    Index {
        path: PathBuf,
        #[source]
        source: Box<rusqlite::Error>,
    },
    #[error("the run record {name} of the remote cannot be read")]
    Bundle {
        name: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<FsError> for PipelineError {
    fn from(error: FsError) -> Self {
        Self::Repo(error.into())
    }
}

impl From<GitError> for PipelineError {
    fn from(error: GitError) -> Self {
        Self::Repo(error.into())
    }
}

impl From<Interrupted> for PipelineError {
    fn from(error: Interrupted) -> Self {
        Self::Repo(error.into())
    }
}

impl PipelineError {
    /// The command that helps, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let word = |stage: &StageId| shell_word(&stage.to_string());
        match self {
            Self::Repo(error) => error.hint(),
            Self::Definition(error) => error.hint(),
            Self::MissingDep { nearest, .. } | Self::MissingParam { nearest, .. } => {
                nearest.as_ref().map(|nearest| format!("there is `{nearest}`"))
            }
            Self::AbsentDep { stage, path } => Some(format!(
                "modver pull {path}   or   modver repro --pull {0}   or   modver repro --allow-missing {0}",
                word(stage)
            )),
            Self::ChangedDep { path, .. } => Some(format!(
                "name in .mvignore what the command writes into `{path}` and does not read"
            )),
            Self::Command { stage, .. } => Some(format!("modver logs {}", word(stage))),
            Self::OutInGit { path, .. } => Some(format!(
                "git rm -r --cached {}   (or set cache = false for it)",
                shell_word(&path.to_string())
            )),
            Self::Resource { resource, amount, .. } => Some(format!("modver repro --resource {resource}={amount}")),
            Self::UndeclaredInput { stage, path } => {
                Some(format!("add `{path}` to the deps of `{stage}` in {}", stage.file))
            }
            Self::NotLocked { stage } => Some(format!("modver repro {}", word(stage))),
            Self::SeveralStages { first, .. } => Some(format!("modver repro --explain {}", word(first))),
            Self::NoRun { .. } | Self::AmbiguousRun { .. } => Some("modver runs".to_owned()),
            Self::NoLog { stage } => Some(format!("modver runs {}", word(stage))),
            Self::Index { path, .. } => Some(format!(
                "rm {}   (earlier runs are then known from remotes only)",
                shell_word(&path.to_string_lossy())
            )),
            _ => None,
        }
    }
}
