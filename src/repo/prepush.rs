//! The data of commits that git is about to push.

use std::collections::HashSet;

use super::outputs::pointer_root;
use super::versions::Orphaned;
use super::{PushOutcome, Repository, Result};
use crate::git::{Scope, Unsent};

impl Repository {
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
        let mut chosen = self.targets_in(&scope, &[], Orphaned::Unknown)?;
        // What is no pointer is nobody's data.
        chosen.broken_versions.retain(|broken| broken.promises);
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
        if chosen.targets.is_empty() && chosen.broken_versions.is_empty() {
            return Ok(None);
        }
        self.push_chosen(chosen, None, false).map(Some)
    }
}
