//! The data of commits that git is about to push.

use std::collections::HashSet;

use super::outputs::pointer_root;
use super::{Outputs, PushOutcome, Repository, Result};
use crate::git::{PointerProblem, Scope, Unsent};
use crate::object::Root;
use crate::path::RepoPath;

impl Repository {
    /// What the commits that git is about to send name.
    ///
    /// # Errors
    /// When history cannot be read.
    pub fn unsent_roots(&self, unsent: &Unsent) -> Result<HashSet<Root>> {
        let scope = Scope {
            unsent: Some(unsent.clone()),
            ..Scope::default()
        };
        let versions = self.git.versions(&scope, &self.progress)?.versions;
        Ok(versions.iter().map(|version| pointer_root(&version.pointer)).collect())
    }

    /// Pushes the data of the commits that git is about to send; `None` when they name none that the commits on the other
    /// side do not name, too: then nobody is asked.
    ///
    /// # Errors
    /// When history cannot be read or no remote can be used.
    pub fn push_unsent(&self, unsent: &Unsent) -> Result<Option<PushOutcome>> {
        if unsent.tips.is_empty() {
            return Ok(None);
        }
        let scope = Scope {
            unsent: Some(unsent.clone()),
            ..Scope::default()
        };
        let mut chosen = self.targets_in(&scope, Outputs::default(), &[], &[])?;
        if !chosen.broken.is_empty() {
            // What is no pointer is nobody's data; what only a newer modver reads, or a conflict, is.
            let promises = PointerProblem::is_promise;
            let found = self.git.versions(&scope, &self.progress)?.broken;
            let promised: HashSet<RepoPath> = found
                .into_iter()
                .filter(|broken| promises(&broken.error.problem))
                .map(|broken| broken.error.path)
                .collect();
            chosen.broken.retain(|broken| promised.contains(&broken.path));
        }
        if !chosen.targets.is_empty() {
            let there = Scope {
                revs: self.git.sent_tips(unsent)?,
                ..Scope::default()
            };
            let sent: HashSet<_> = self
                .git
                .versions(&there, &self.progress)?
                .versions
                .into_iter()
                .map(|version| (pointer_root(&version.pointer), version.pointer.remote.clone()))
                .collect();
            chosen.targets.retain(|target| {
                let pointer = &target.output.pointer;
                !sent.contains(&(pointer_root(pointer), pointer.remote.clone()))
            });
        }
        if chosen.targets.is_empty() && chosen.broken.is_empty() {
            return Ok(None);
        }
        self.push_selected(chosen, &[], false).map(Some)
    }
}
