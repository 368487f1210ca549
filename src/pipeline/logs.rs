//! Where the logs of stages are.

use std::path::PathBuf;

use super::error::{PipelineError, Result};
use super::{StageId, inputs};
use crate::fs;
use crate::repo::Repository;

/// The log of the last run of a stage in this work tree.
#[must_use]
pub(super) fn log_path(repository: &Repository, stage: &StageId) -> PathBuf {
    repository.stage_dir().join("logs").join(inputs::file_name(stage))
}

/// What the last run of a stage in this work tree printed, as far as it is kept.
///
/// # Errors
/// When it never ran here, or the log cannot be read.
pub fn last_log(repository: &Repository, stage: &StageId) -> Result<Vec<u8>> {
    match fs::read_if_exists(&log_path(repository, stage), super::log::MAX_LOG)? {
        Some(bytes) => Ok(bytes),
        None => Err(PipelineError::NoLog { stage: stage.clone() }),
    }
}
