//! Which versions of the outputs a command is about: those of the work tree, those of a part of history, or both.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::{BrokenPointer, Output, OutputMode, Outputs, RepoError, Repository, Result, Selected};
use crate::git::{self, Scope, Version};
use crate::object::Root;
use crate::path::RepoPath;

impl Repository {
    /// The outputs of the work tree, if a scope chooses them. A bare repository has none: they are left out of a scope
    /// that chooses something else, too.
    pub(super) fn outputs_in(&self, scope: &Scope) -> Result<Outputs> {
        match scope.workspace && !(self.git.is_bare() && scope.has_history()) {
            true => self.outputs(),
            false => Ok(Outputs::default()),
        }
    }

    /// What the user means of the outputs in the versions that a scope chooses; `here` are those of the work tree, if it
    /// chooses them. An output of several versions is there several times: first as in the work tree, then the newer
    /// ones first. A target that means one of the paths `also` need not mean an output.
    ///
    /// # Errors
    /// When a target is in none of the versions, its own pointer in the work tree cannot be read, or history cannot.
    pub(super) fn targets_in(
        &self,
        scope: &Scope,
        mut here: Outputs,
        inputs: &[PathBuf],
        also: &[RepoPath],
    ) -> Result<Selected> {
        if !scope.has_history() {
            return self.select_among(here, inputs, also);
        }
        let found = self.git.versions(scope, &self.progress)?;
        let mut commits: HashMap<Key, String> = HashMap::new();
        let mut known: HashSet<Key> = here.outputs.iter().map(key).collect();
        for version in found.versions {
            let Version {
                path,
                pointer,
                transparent,
                stage,
                commit,
            } = version;
            let (path, mode) = match (git::output_path(&path), transparent, stage) {
                (_, Some(file), _) => (path, OutputMode::InPlace(file)),
                (_, None, Some(of)) => (path, OutputMode::Stage(of)),
                (Some(output), None, None) => (output, OutputMode::Beside),
                (None, None, None) => continue,
            };
            let output = Output {
                path,
                pointer: (*pointer).clone(),
                mode,
            };
            if known.insert(key(&output)) {
                commits.insert(key(&output), commit);
                here.outputs.push(output);
            }
        }
        let mut broken = Vec::new();
        for found in found.broken {
            if self.means(inputs, &found.error.path)? {
                broken.push(BrokenPointer {
                    commit: Some(found.commit),
                    hint: None,
                    ..BrokenPointer::from(&found.error)
                });
            }
        }
        let mut selected = match self.select_among(here, inputs, also) {
            // What was named can be a pointer that was never readable.
            Err(RepoError::NotTracked { .. }) if !broken.is_empty() => Selected::default(),
            selected => selected?,
        };
        for target in &mut selected.targets {
            target.commit = commits.remove(&key(&target.output));
        }
        selected.broken.extend(broken);
        Ok(selected)
    }

    /// Whether the user means what this pointer stands for, or something above it; no targets mean all.
    fn means(&self, inputs: &[PathBuf], pointer: &RepoPath) -> Result<bool> {
        for input in inputs {
            if super::outputs::is_about(pointer, &self.path_of(input)?) {
                return Ok(true);
            }
        }
        Ok(inputs.is_empty())
    }
}

/// What makes a version of its own for those who move content: where it belongs and what it is.
type Key = (RepoPath, Root, Option<String>, bool);

fn key(output: &Output) -> Key {
    (
        output.path.clone(),
        output.root(),
        output.pointer.remote.clone(),
        output.is_pushed(),
    )
}
