//! `remove`: an output is no longer tracked.

use std::path::PathBuf;

use super::record::Record;
use super::{BrokenPointer, RepoError, Repository, Result, Selected};
use crate::fs::{self, FileKind};
use crate::git;
use crate::path::RepoPath;

/// What a removal did.
#[derive(Debug, serde::Serialize)]
pub struct RemoveOutcome {
    /// Outputs that are no longer tracked.
    pub removed: Vec<RepoPath>,
    /// Whether their data was removed from the workspace too.
    pub data_removed: bool,
    /// Pointers that cannot be read: they were left alone.
    pub broken: Vec<BrokenPointer>,
}

impl Repository {
    /// Removes pointers and their entries in `.gitignore`; with `data`, also the data in the workspace. Data that is not
    /// in the cache as it is stays, unless `force`. What a killed run left, or `git checkout`, is removed or forgotten
    /// in the same way: outputs whose pointers are gone from the work tree, and data that no pointer names any more.
    ///
    /// # Errors
    /// When a target is no output, or its data is not stored.
    pub fn remove(&self, inputs: &[PathBuf], data: bool, force: bool) -> Result<RemoveOutcome> {
        let _lock = self.lock_workspace()?;
        let mut found = self.outputs()?;
        let orphans = self.orphans(&mut found)?.here.into_iter().map(|orphan| orphan.path);
        let orphans = self.meant(orphans.collect(), inputs, |path| path)?;
        let gone = found.deleted.iter().filter_map(git::output_path).collect();
        let gone = self.meant(gone, inputs, |path| path)?;
        let also = [&orphans[..], &gone].concat();
        let Selected { targets, broken } = self.select_among(found, inputs, &also)?;
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
        let mut plans = Vec::new();
        for path in also.iter().filter(|_| data) {
            let plan = self.plan_removal(path, force)?;
            if !force && !plan.conflicts.is_empty() {
                return Err(RepoError::Modified { path: path.clone() });
            }
            plans.push((path, plan));
        }
        let tracked: Vec<RepoPath> = targets.into_iter().map(|target| target.output.path).collect();
        let records: Vec<Record> = tracked.iter().chain(&gone).cloned().map(Record::Untrack).collect();
        if data {
            self.record(&records)?;
        } else {
            // Without a pointer, what has a state is taken for data that has to go.
            self.without_states(tracked.iter().chain(&also), || self.record(&records))?;
        }
        for path in tracked.iter().filter(|_| data) {
            let on_disk = path.on_disk(self.root());
            match fs::stat(&on_disk)?.map(|stat| stat.kind) {
                Some(FileKind::Dir) => fs::remove_dir_all(&on_disk)?,
                Some(_) => drop(fs::remove_file(&on_disk)?),
                None => {}
            }
            let _ = fs::remove_file(&self.state_file(path));
        }
        for (path, plan) in plans {
            let checked = plan.execute(&self.state_path(path)?, &self.progress)?;
            self.progress.check()?;
            if let Some(failure) = checked.failures.into_iter().next() {
                return Err(RepoError::NotRemoved {
                    path: path.join_path(&failure.path),
                    source: Box::new(failure.reason),
                });
            }
            self.forget(path);
        }
        let mut removed = [&tracked[..], &also].concat();
        removed.sort_unstable();
        Ok(RemoveOutcome {
            removed,
            data_removed: data,
            broken,
        })
    }

    /// Does something after the states of these outputs are gone; if it fails, they are back.
    fn without_states<'a>(
        &self,
        paths: impl Iterator<Item = &'a RepoPath>,
        act: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let mut aside = Vec::new();
        let mut done = Ok(());
        for path in paths {
            let state = self.state_file(path);
            let name = state.file_name().unwrap_or_default().as_encoded_bytes();
            let temp = state.with_file_name(fs::alone_name(name));
            if matches!(fs::stat(&state), Ok(Some(_))) {
                done = fs::rename(&state, &temp).map_err(RepoError::from);
                aside.push((state, temp));
            }
            if done.is_err() {
                break;
            }
        }
        let done = done.and_then(|()| act());
        for (state, temp) in aside {
            let _ = if done.is_ok() {
                fs::remove_file(&temp).map(drop)
            } else {
                fs::rename(&temp, &state)
            };
        }
        done
    }

    /// Whether everything at `path` can be had back from the cache.
    fn is_stored(&self, path: &RepoPath, output: &super::Output) -> Result<bool> {
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
