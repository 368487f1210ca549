//! Stages that a lock file has and that no project file defines any more: somebody took them out of `mv.toml` by hand.

use std::collections::{BTreeMap, BTreeSet};

use super::definition::{Pipelines, WorkTreeFiles, project_file_in};
use super::error::Result;
use super::session::{Session, lock_file};
use super::{Stage, StageId};
use crate::fs;
use crate::git::LockedStage;
use crate::path::RepoPath;

impl Session<'_> {
    /// The stages that lock files have and project files do not: of one project file, or of all.
    ///
    /// Not among them are members of a list that a pattern makes, as long as what they read is there or tracked: a clone
    /// without data has none of them. Nor is a stage whose outputs another one is to make and has not yet made: until
    /// then nothing else says what they are.
    pub fn gone(&self, file: Option<&RepoPath>) -> Vec<StageId> {
        self.gone_from(&self.pipelines, file)
    }

    fn gone_from(&self, pipelines: &Pipelines, file: Option<&RepoPath>) -> Vec<StageId> {
        let mut files: BTreeSet<RepoPath> = match file {
            Some(file) => [file.clone()].into(),
            None => pipelines.files().iter().cloned().collect(),
        };
        if file.is_none() {
            // Also of project files that are no more.
            let locks = self.outputs.outputs.iter().filter_map(|output| output.stage());
            files.extend(locks.map(|of| project_file_in(&of.lock.parent().unwrap_or_default())));
        }
        let mut gone = Vec::new();
        for file in files {
            let id = |name: &str| StageId {
                file: file.clone(),
                name: name.to_owned(),
            };
            // One that cannot be read is told where it is needed.
            let found = self.with_lock(&lock_file(&id("")), |lock| {
                let left = lock.stages.iter().filter(|(name, locked)| {
                    pipelines.find(&id(name)).is_none()
                        && !self.may_come_back(pipelines, &id(name), locked)
                        && !self.is_taken_over(pipelines, locked)
                });
                left.map(|(name, _)| id(name)).collect::<Vec<_>>()
            });
            gone.extend(found.unwrap_or_default());
        }
        gone
    }

    /// Whether it is of a list that a pattern makes, and what it read is known.
    fn may_come_back(&self, pipelines: &Pipelines, id: &StageId, locked: &LockedStage) -> bool {
        let Some((group, _)) = id.name.split_once('@') else {
            return false;
        };
        let group = StageId {
            file: id.file.clone(),
            name: group.to_owned(),
        };
        let is_known = |path: &RepoPath| {
            self.contents.promised(path).is_some()
                || self.outputs.around(path).is_some()
                || fs::stat(&path.on_disk(self.repository.root())).is_ok_and(|stat| stat.is_some())
        };
        pipelines.is_by_pattern(&group) && locked.deps.keys().all(is_known)
    }

    /// Whether a stage is to make one of its outputs and did not yet.
    fn is_taken_over(&self, pipelines: &Pipelines, locked: &LockedStage) -> bool {
        let waits = |stage: &Stage| {
            let made = self.locked(&stage.id).ok().flatten();
            stage.outs.iter().any(|out| {
                locked.outs.contains_key(&out.path)
                    && made.as_ref().is_none_or(|made| !made.outs.contains_key(&out.path))
            })
        };
        pipelines.stages().iter().any(waits)
    }

    /// Takes out of lock files what [`Session::gone`] finds, and the outputs out of `.gitignore`; the outputs stay. Looks at
    /// the definitions again: they may have been edited since stages began to run.
    pub(super) fn take_out_gone(&self, file: Option<&RepoPath>) -> Result<Vec<StageId>> {
        if self.gone(file).is_empty() {
            return Ok(Vec::new());
        }
        let Ok(pipelines) = Pipelines::load(&WorkTreeFiles::new(self.repository)) else {
            return Ok(Vec::new());
        };
        let gone = self.gone_from(&pipelines, file);
        let mut changes: BTreeMap<RepoPath, BTreeMap<String, Option<LockedStage>>> = BTreeMap::new();
        for id in &gone {
            let lock = changes.entry(lock_file(id)).or_default();
            lock.insert(id.name.clone(), None);
        }
        for (lock, changes) in changes {
            self.repository.update_lock(&lock, &changes)?;
        }
        Ok(gone)
    }
}
