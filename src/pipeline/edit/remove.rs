//! Removing stages.

use super::{edit, named};
use crate::config::without_entry;
use crate::path::RepoPath;
use crate::pipeline::definition::Result;
use crate::pipeline::{StageId, lock_file};
use crate::repo::Repository;

/// What removing stages did.
#[derive(Debug, serde::Serialize)]
pub struct StagesRemoved {
    /// The definitions that are gone.
    pub removed: Vec<StageId>,
}

/// Removes definitions of stages, and what the lock file says of them. What the stages made stays; git sees it from then on.
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
        // In this order: an entry without its stage is only the past of something that is gone.
        let ids: Vec<StageId> = names
            .into_iter()
            .map(|name| StageId {
                file: file.clone(),
                name,
            })
            .collect();
        let Some(lock_file) = ids.first().map(lock_file) else {
            continue;
        };
        let lock = repo.read_lock(&lock_file)?;
        let of_one = |locked: &str, name: &str| {
            let rest = locked.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
        };
        let locked = lock.stages.keys().cloned();
        let gone = locked.filter(|locked| ids.iter().any(|id| of_one(locked, &id.name)));
        repo.update_lock(&lock_file, &gone.map(|name| (name, None)).collect())?;
        removed.extend(ids);
    }
    Ok(StagesRemoved { removed })
}
