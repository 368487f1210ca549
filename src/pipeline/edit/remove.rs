//! Removing stages.

use super::{edit, named};
use crate::config::without_entry;
use crate::path::RepoPath;
use crate::pipeline::StageId;
use crate::pipeline::definition::Result;
use crate::repo::Repository;

/// What removing stages did.
#[derive(Debug, serde::Serialize)]
pub struct StagesRemoved {
    /// The definitions that are gone.
    pub removed: Vec<StageId>,
}

/// Removes definitions of stages. What the stages made stays.
///
/// # Errors
/// When a target is no definition, or a file cannot be written. Then no file, or only whole files, were changed.
pub fn remove(repo: &Repository, cwd: &RepoPath, targets: &[String]) -> Result<StagesRemoved> {
    let mut removed = Vec::new();
    for (file, names) in named(repo, cwd, targets)? {
        let on_disk = file.on_disk(repo.root());
        edit(repo, &file, |text| {
            let mut text = text.to_owned();
            for name in &names {
                text = without_entry(&on_disk, &text, &["stages", name])?;
            }
            Ok(text)
        })?;
        removed.extend(names.into_iter().map(|name| StageId {
            file: file.clone(),
            name,
        }));
    }
    Ok(StagesRemoved { removed })
}
