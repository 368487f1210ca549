//! The data follows git: after a checkout, merge or rebase, the outputs whose pointers are others now.
//!
//! Which those are is found by comparing each pointer with what was last brought here, not by trusting what git says it
//! did: a hook that was killed, or that git never called (`git reset`, `git stash`), is made up for by the next one. An
//! output that was never brought here comes only if its pointer is new, so that what was left out on purpose stays out.

use super::{CheckoutOptions, CheckoutOutcome, Output, Repository, Result, Target};
use crate::git::{GitError, Hook, Operation};
use crate::path::RepoPath;
use crate::workspace::State;

/// What git calls after it changed the work tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The hook.
    pub hook: Hook,
    /// The commit that was there before; `None` if there was none, or it is not known.
    pub before: Option<String>,
}

impl Repository {
    /// Brings the data of outputs whose pointers changed to what the pointers say. What is in the way or missing is in the
    /// outcome; `None`: there was nothing to do.
    ///
    /// # Errors
    /// When the work tree cannot be read.
    pub fn follow(&self, moved: &Moved) -> Result<Option<CheckoutOutcome>> {
        // The end of a rebase has a hook of its own; one that has nothing to replay has not.
        if moved.hook == Hook::PostCheckout && self.git.operation()? == Some(Operation::Rebase) {
            return Ok(None);
        }
        let _lock = self.lock_workspace()?;
        let mut targets = Vec::new();
        let mut found = self.outputs()?;
        let gone: Vec<RepoPath> = self
            .orphans(&mut found)?
            .here
            .into_iter()
            .map(|orphan| orphan.path)
            .collect();
        for output in found.outputs {
            if self.has_moved(&output, moved.before.as_deref())? {
                targets.push(Target {
                    output,
                    parts: Vec::new(),
                    named: false,
                });
            }
        }
        if targets.is_empty() && gone.is_empty() {
            return Ok(None);
        }
        let whole = CheckoutOptions {
            whole: true,
            ..CheckoutOptions::default()
        };
        self.check_out(targets, gone, &whole).map(Some)
    }

    fn has_moved(&self, output: &Output, before: Option<&str>) -> Result<bool> {
        if let Some(base) = State::base_at(&self.state_file(&output.path)) {
            return Ok(base != output.root());
        }
        let Some(before) = before else { return Ok(true) };
        let pointer = output.pointer_path()?;
        let then = match self.git.pointer_bytes_at(before, &pointer) {
            Ok(Some(bytes)) => crate::git::Pointer::parse(&bytes, &pointer).ok(),
            Ok(None) => None,
            // There was nothing before, as when a pull fills an empty repository; or it was no pointer then.
            Err(GitError::Revision { .. } | GitError::Pointer(_)) => None,
            // A shallow clone may lack it. What was not here stays out then.
            Err(GitError::Object { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        Ok(then.is_none_or(|then| then.content != output.pointer.content))
    }
}
