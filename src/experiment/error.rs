//! Errors of experiments.

use crate::git::GitError;
use crate::path::{PathError, RepoPath};
use crate::pipeline::{DefinitionError, ValuesError};
use crate::repo::{RepoError, shell_word};
use crate::store::StoreError;

/// Result of an operation on experiments.
pub type Result<T> = std::result::Result<T, ExperimentError>;

/// Why parameters, metrics or plots could not be had.
#[derive(Debug, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "the messages say it; the transparent ones are other layers' errors"
)]
pub enum ExperimentError {
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error(transparent)]
    Values(#[from] ValuesError),
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    #[error("`{path}` is larger than the {} MiB that are read", .limit >> 20)]
    TooLarge { path: RepoPath, limit: u64 },
    #[error("{path}:{line}: {problem}")]
    Table { path: RepoPath, line: u64, problem: String },
    #[error("`{path}` has no rows to draw: {why}")]
    NoRows { path: RepoPath, why: &'static str },
    #[error("`{path}` has no column `{column}`; it has {}", .columns.join(", "))]
    NoColumn {
        path: RepoPath,
        column: String,
        columns: Vec<String>,
    },
    #[error("`{path}` is no plot that is known: .csv, .tsv, .json, .yaml, .png, .jpg, .gif, .webp and .svg are")]
    NotAPlot { path: RepoPath },
    #[error("there is no template `{name}`; there are {}, and files of Vega-Lite", .known.join(", "))]
    NoTemplate { name: String, known: Vec<&'static str> },
    #[error("the template `{name}` is not valid JSON: {message}")]
    Template { name: String, message: String },
    #[error("the template `{name}` has no `<MV_DATA>`, the place for the data")]
    TemplateWithoutData { name: String },
    #[error("the template `{name}` has the unknown place `{anchor}`")]
    UnknownAnchor { name: String, anchor: String },
    #[error("`{path}` is neither here nor named by a stage")]
    Unknown { path: RepoPath },
}

impl ExperimentError {
    /// A command that helps, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Repo(error) => error.hint(),
            Self::Definition(error) => error.hint(),
            Self::NoColumn { path, columns, .. } => {
                let column = columns.last()?;
                Some(format!("modver plots show {path} -y {}", shell_word(column)))
            }
            _ => None,
        }
    }
}

impl From<GitError> for ExperimentError {
    fn from(error: GitError) -> Self {
        Self::Repo(error.into())
    }
}

impl From<StoreError> for ExperimentError {
    fn from(error: StoreError) -> Self {
        Self::Repo(error.into())
    }
}

impl From<PathError> for ExperimentError {
    fn from(error: PathError) -> Self {
        Self::Repo(error.into())
    }
}

impl From<crate::fs::FsError> for ExperimentError {
    fn from(error: crate::fs::FsError) -> Self {
        Self::Repo(error.into())
    }
}
