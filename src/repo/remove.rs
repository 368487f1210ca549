//! `remove`: an output is no longer tracked.

use std::path::PathBuf;

use super::record::Record;
use super::{RepoError, Repository, Result};
use crate::fs::{self, FileKind};
use crate::path::RepoPath;

/// What a removal did.
#[derive(Debug, serde::Serialize)]
pub struct RemoveOutcome {
    /// Outputs that are no longer tracked.
    pub removed: Vec<RepoPath>,
    /// Whether their data was removed from the workspace too.
    pub data_removed: bool,
}

impl Repository {
    /// Removes pointers and their entries in `.gitignore`; with `data`, also the data in the workspace. Data that is not
    /// in the cache as it is stays, unless `force`.
    ///
    /// # Errors
    /// When a target is no output, or its data is not stored.
    pub fn remove(&self, targets: &[PathBuf], data: bool, force: bool) -> Result<RemoveOutcome> {
        let _lock = self.lock_workspace()?;
        let targets = self.targets_beside(targets, "rm")?;
        for target in &targets {
            let path = &target.output.path;
            if !target.parts.is_empty() {
                return Err(RepoError::InsideOutput {
                    path: path.join_path(&target.parts[0]),
                    output: path.clone(),
                });
            }
            if data && !force && !self.is_stored(path, &target.output)? {
                return Err(RepoError::Modified { path: path.clone() });
            }
        }
        let removed: Vec<RepoPath> = targets.into_iter().map(|target| target.output.path).collect();
        let records: Vec<Record> = removed.iter().cloned().map(Record::Untrack).collect();
        self.record(&records)?;
        for path in &removed {
            let on_disk = path.on_disk(self.root());
            if data {
                match fs::stat(&on_disk)?.map(|stat| stat.kind) {
                    Some(FileKind::Dir) => fs::remove_dir_all(&on_disk)?,
                    Some(_) => drop(fs::remove_file(&on_disk)?),
                    None => {}
                }
            }
            // Nobody asks for the state of what is not tracked.
            let _ = self.state_path(path).and_then(|state| Ok(fs::remove_file(&state)?));
        }
        Ok(RemoveOutcome {
            removed,
            data_removed: data,
        })
    }

    /// Whether everything at `path` can be had back from the cache.
    pub(super) fn is_stored(&self, path: &RepoPath, output: &super::Output) -> Result<bool> {
        let observed = self.observe(path, Some(output.root()))?;
        if observed.scan.kind.is_none() && observed.scan.problems.is_empty() {
            return Ok(true);
        }
        if !observed.scan.problems.is_empty() || observed.scan.dirs.iter().any(|dir| !dir.skipped.is_empty()) {
            return Ok(false);
        }
        let snapshot = self.identify(observed, None)?;
        let cache = self.cache()?;
        for dir in &snapshot.scan.dirs {
            for row in dir.table.rows().iter().filter(|row| row.kind() == FileKind::File) {
                let stored = match row.id() {
                    Some(id) => cache.contains(&crate::hash::FileId::from_bytes(id))?,
                    None => false,
                };
                if !stored {
                    return Ok(false);
                }
            }
        }
        Ok(snapshot.root() == Some(output.root()))
    }
}
