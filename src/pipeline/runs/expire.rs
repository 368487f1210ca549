//! Forgetting runs.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::remote::has_made;
use super::{RunIndex, RunQuery};
use crate::hash::FileId;
use crate::object::Root;
use crate::pipeline::error::Result;
use crate::repo::Repository;

/// The runs that ended more than so many days ago and made nothing of what is `needed`.
///
/// # Errors
/// When the index cannot be read.
pub fn old_runs(repository: &Repository, days: u32, needed: &HashSet<Root>) -> Result<Vec<FileId>> {
    let Some(index) = RunIndex::open_existing(&repository.runs_dir())? else {
        return Ok(Vec::new());
    };
    let age = Duration::from_secs(u64::from(days) * 86_400);
    let since = SystemTime::now().checked_sub(age).unwrap_or(UNIX_EPOCH);
    let since = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let runs = index.list(&RunQuery::default())?.into_iter();
    let old = runs.filter(|(_, record)| u128::from(record.ended_ms) < since && !has_made(record, needed));
    Ok(old.map(|(id, _)| id).collect())
}

/// Takes runs out of the index. What a remote has of them stays there, and does not come back here.
///
/// # Errors
/// When the index cannot be written.
pub fn forget_runs(repository: &Repository, runs: &[FileId]) -> Result<()> {
    match RunIndex::open_existing(&repository.runs_dir())? {
        Some(mut index) if !runs.is_empty() => index.remove(runs),
        _ => Ok(()),
    }
}
