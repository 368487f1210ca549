//! The data follows git: after a checkout, merge or rebase, the outputs whose pointers changed.
//!
//! Changed since when: since the commit that git names, or since the one that the data followed to last, which is recorded
//! when a hook is done: so a hook that was killed is made up for by the next one. What the user brought here otherwise
//! while its pointer stayed the same, or left out, stays as it is.

use std::collections::HashMap;
use std::path::PathBuf;

use super::{CheckoutOptions, CheckoutOutcome, FOLDER, Output, OutputMode, Repository, Result, Target};
use crate::fs;
use crate::git::{GitError, Hook, Lock, Operation, Pointer, PointerContent};
use crate::path::RepoPath;
use crate::workspace::State;

/// What git calls after it changed the work tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The hook.
    pub hook: Hook,
    /// The commit that was there before; `None` if there was none.
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
        let followed = self.followed()?;
        let mut before = followed.clone();
        before.extend(moved.before.clone().filter(|commit| !followed.contains(commit)));
        let mut targets = Vec::new();
        let mut found = self.outputs()?;
        let gone: Vec<RepoPath> = self
            .orphans(&mut found)?
            .here
            .into_iter()
            .map(|orphan| orphan.path)
            .collect();
        let mut locks = Locks::new();
        // Transparent files git brings itself.
        for output in found.outputs.into_iter().filter(|output| !output.is_transparent()) {
            if self.has_moved(&output, &before, &mut locks)? {
                targets.push(Target {
                    output,
                    parts: Vec::new(),
                    named: false,
                    commit: None,
                });
            }
        }
        let outcome = if targets.is_empty() && gone.is_empty() {
            None
        } else {
            let whole = CheckoutOptions {
                whole: true,
                ..CheckoutOptions::default()
            };
            // Whoever comes after this process was killed knows what it began with.
            self.write_followed(&followed, &before)?;
            Some(self.check_out(targets, gone, &whole)?)
        };
        self.note_followed()?;
        Ok(outcome)
    }

    /// The commit that the data followed to last, and what a hook that was killed began with.
    pub(super) fn followed(&self) -> Result<Vec<String>> {
        let bytes = fs::read_if_exists(&self.followed_file(), 1 << 20)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn followed_file(&self) -> PathBuf {
        self.git.git_dir().join(FOLDER).join("followed")
    }

    /// Records that the data follows to the commit that is checked out.
    pub(super) fn note_followed(&self) -> Result<()> {
        match self.git.head()?.commit() {
            Some(commit) => self.write_followed(&self.followed()?, &[commit.to_owned()]),
            None => Ok(()),
        }
    }

    fn write_followed(&self, before: &[String], after: &[String]) -> Result<()> {
        if before != after {
            fs::write_atomic_alone(&self.followed_file(), (after.join("\n") + "\n").as_bytes())?;
        }
        Ok(())
    }

    /// Forgets it.
    pub(super) fn forget_followed(&self) -> Result<()> {
        fs::remove_file(&self.followed_file())?;
        Ok(())
    }

    /// Whether the pointer changed since any of these commits, as far as they are here. Whether what is here is as it
    /// says, only a look at it tells: git or another output may have had the place since.
    fn has_moved(&self, output: &Output, before: &[String], locks: &mut Locks) -> Result<bool> {
        let base = State::base_at(&self.state_file(&output.path));
        let mut known = false;
        for commit in before {
            let then = match self.content_at(commit, output, locks) {
                Ok(then) => then,
                // It was pruned; or there was none, as when a pull fills an empty repository.
                Err(GitError::Revision { .. }) => continue,
                // A shallow or partial clone lacks it: what was never here stays out.
                Err(GitError::Object { .. }) => return Ok(base.is_some()),
                Err(GitError::Pointer(_)) => return Ok(true),
                Err(error) => return Err(error.into()),
            };
            if then != Some(output.pointer.content) {
                return Ok(true);
            }
            known = true;
        }
        Ok(!known)
    }

    /// What an output was in a commit; `None` if it was none, or what named it cannot be read.
    fn content_at(
        &self,
        commit: &str,
        output: &Output,
        locks: &mut Locks,
    ) -> std::result::Result<Option<PointerContent>, GitError> {
        let OutputMode::Stage(of) = &output.mode else {
            let pointer = match crate::git::pointer_path(&output.path) {
                Ok(pointer) => pointer,
                Err(_) => return Ok(None),
            };
            let then = self.git.pointer_bytes_at(commit, &pointer)?;
            let then = then.and_then(|bytes| Pointer::parse(&bytes, &pointer).ok());
            return Ok(then.map(|then| then.content));
        };
        let key = (commit.to_owned(), of.lock.clone());
        let lock = match locks.entry(key) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let lock = self.git.lock_at(commit, &of.lock)?;
                entry.insert(lock.and_then(std::result::Result::ok))
            }
        };
        let then = lock.as_ref().and_then(|lock| lock.cached_at(&output.path));
        Ok(then.map(|then| then.content))
    }
}

/// The lock files of commits, by commit and path: one has many outputs.
type Locks = HashMap<(String, RepoPath), Option<Lock>>;
