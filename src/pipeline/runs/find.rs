//! Finding runs.

use super::{RunIndex, RunQuery, RunRecord};
use crate::hash::FileId;
use crate::pipeline::error::{PipelineError, Result};
use crate::repo::Repository;

/// The runs that are asked for, the newest first.
///
/// # Errors
/// When the index cannot be read.
pub fn list_runs(repository: &Repository, query: &RunQuery) -> Result<Vec<(FileId, RunRecord)>> {
    match RunIndex::open_existing(&repository.runs_dir())? {
        None => Ok(Vec::new()),
        Some(index) => index.list(query),
    }
}

/// The run whose id begins with these digits.
///
/// # Errors
/// When there is none, or several.
pub fn find_run(repository: &Repository, prefix: &str) -> Result<(FileId, RunRecord)> {
    let mut found = match RunIndex::open_existing(&repository.runs_dir())? {
        None => Vec::new(),
        Some(index) => index.find(prefix)?,
    };
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(PipelineError::NoRun {
            prefix: prefix.to_owned(),
        }),
        (Some(run), true) => Ok(run),
        (Some(_), false) => Err(PipelineError::AmbiguousRun {
            prefix: prefix.to_owned(),
        }),
    }
}
