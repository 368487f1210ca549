//! Which versions of the outputs a command is about: those of the work tree, those of a part of history, or both.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::{Output, Repository, Result, Target};
use crate::git::{self, PointerProblem, Scope, Version};
use crate::object::Root;
use crate::path::RepoPath;

/// A pointer in history that cannot be read.
#[derive(Debug, Clone, serde::Serialize)]
pub struct BrokenVersion {
    /// The pointer file.
    pub path: RepoPath,
    /// One commit that has it.
    pub commit: String,
    /// Why it cannot be read.
    pub reason: String,
    /// Whether it may stand for data all the same: it is of a newer version, or a conflict.
    pub promises: bool,
}

/// What a command is about.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) targets: Vec<Target>,
    pub(super) broken: Vec<BrokenVersion>,
}

impl Repository {
    /// The outputs in the versions that a scope chooses, as far as the user means them. An output of several versions
    /// is there several times: first as in the work tree, then the newer ones first.
    ///
    /// # Errors
    /// When a target is in none of the versions, a pointer of the work tree cannot be read, or history cannot.
    pub(super) fn targets_in(&self, scope: &Scope, inputs: &[PathBuf]) -> Result<Chosen> {
        let mut outputs = if scope.workspace {
            self.outputs()?.sound()?
        } else {
            Vec::new()
        };
        let mut chosen = Chosen::default();
        if scope.has_history() {
            let found = self.git.versions(scope, &self.progress)?;
            chosen.broken = found.broken.into_iter().map(broken).collect();
            let mut commits: HashMap<Key, String> = HashMap::new();
            let mut known: HashSet<Key> = outputs.iter().map(key).collect();
            for Version { path, pointer, commit } in found.versions {
                let Some(path) = git::output_path(&path) else { continue };
                let output = Output {
                    path,
                    pointer: (*pointer).clone(),
                };
                if known.insert(key(&output)) {
                    commits.insert(key(&output), commit);
                    outputs.push(output);
                }
            }
            chosen.targets = self.select(&outputs, inputs)?;
            for target in &mut chosen.targets {
                target.commit = commits.remove(&key(&target.output));
            }
        } else {
            chosen.targets = self.select(&outputs, inputs)?;
        }
        Ok(chosen)
    }
}

/// What makes a version of its own for those who move content: where it belongs and what it is.
type Key = (RepoPath, Root, Option<String>);

fn key(output: &Output) -> Key {
    (output.path.clone(), output.root(), output.pointer.remote.clone())
}

fn broken(found: git::BrokenVersion) -> BrokenVersion {
    BrokenVersion {
        reason: found.error.problem.to_string(),
        promises: matches!(
            found.error.problem,
            PointerProblem::Version(_) | PointerProblem::Conflict
        ),
        path: found.error.path,
        commit: found.commit,
    }
}
