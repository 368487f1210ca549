//! Which versions of the outputs a command is about: those of the work tree, those of a part of history, or both.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::{BrokenPointer, Output, Outputs, Repository, Result, Selected, Target};
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
    /// Pointers of the work tree that cannot be read.
    pub(super) broken: Vec<BrokenPointer>,
    /// Pointers in history that cannot be read.
    pub(super) broken_versions: Vec<BrokenVersion>,
}

/// Whether data that no pointer names any more may be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Orphaned {
    /// It may, and means nothing.
    Known,
    /// It is not tracked.
    Unknown,
}

impl Repository {
    /// The outputs in the versions that a scope chooses, as far as the user means them. An output of several versions
    /// is there several times: first as in the work tree, then the newer ones first.
    ///
    /// # Errors
    /// When a target is in none of the versions, its pointer in the work tree cannot be read, or history cannot.
    pub(super) fn targets_in(&self, scope: &Scope, inputs: &[PathBuf], orphaned: Orphaned) -> Result<Chosen> {
        let mut found = Outputs::default();
        let mut orphans = Vec::new();
        if scope.workspace {
            found = self.outputs()?;
            if orphaned == Orphaned::Known {
                orphans.extend(self.orphans(&mut found)?.here.into_iter().map(|orphan| orphan.path));
            }
        }
        let mut broken_versions = Vec::new();
        let mut commits: HashMap<Key, String> = HashMap::new();
        if scope.has_history() {
            let history = self.git.versions(scope, &self.progress)?;
            broken_versions.extend(history.broken.into_iter().map(broken));
            let mut known: HashSet<Key> = found.outputs.iter().map(key).collect();
            for Version { path, pointer, commit } in history.versions {
                let Some(path) = git::output_path(&path) else { continue };
                let output = Output {
                    path,
                    pointer: (*pointer).clone(),
                };
                if known.insert(key(&output)) {
                    commits.insert(key(&output), commit);
                    found.outputs.push(output);
                }
            }
        }
        let Selected {
            mut targets, broken, ..
        } = self.select_among(found, inputs, &orphans)?;
        for target in &mut targets {
            target.commit = commits.remove(&key(&target.output));
        }
        Ok(Chosen {
            targets,
            broken,
            broken_versions,
        })
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
