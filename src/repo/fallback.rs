//! Fetching from the other remotes what an output's own cannot give.

use std::collections::HashMap;

use super::fetch::{FetchOutcome, FetchState, FetchedFrom, FetchedInstead};
use super::{RepoError, Repository, Result, Target};
use crate::causes::in_one_line;
use crate::path::RepoPath;

impl Repository {
    /// Looks on the other remotes, in the order of their names, for what the outcome says is not complete. Nobody is
    /// asked when everything is.
    ///
    /// # Errors
    /// When the cache cannot be used, or because of what the user named. What is wrong with a remote is in the outcome.
    pub(super) fn fall_back(&self, targets: &[Target], dry_run: bool, outcome: &mut FetchOutcome) -> Result<()> {
        let asked: HashMap<String, Option<String>> = outcome
            .remotes
            .iter()
            .map(|from| (from.remote.clone(), from.error.clone()))
            .collect();
        for name in self.config.remotes().into_keys().map(|name| name.to_string()) {
            self.progress.check()?;
            let places: HashMap<(&RepoPath, Option<&str>), usize> = outcome
                .outputs
                .iter()
                .enumerate()
                .filter(|(_, output)| output.state != FetchState::Complete && output.remote != name)
                .map(|(at, output)| ((&output.path, output.commit.as_deref()), at))
                .collect();
            let place = |target: &Target| places.get(&(&target.output.path, target.commit.as_deref())).copied();
            let (at, open): (Vec<usize>, Vec<Target>) = targets
                .iter()
                .filter_map(|target| Some((place(target)?, target.clone())))
                .unzip();
            // One that could not be used a moment ago is not asked again.
            if open.is_empty() || asked.get(&name).is_some_and(Option::is_some) {
                continue;
            }
            let mut tried = FetchOutcome::empty(dry_run);
            let result = self
                .remote(Some(&name))
                .and_then(|remote| self.fetch_from(&remote, &open, dry_run, &mut tried));
            match result {
                Ok(()) => {}
                Err(error @ RepoError::NoEntry { .. }) => return Err(error),
                Err(error) => {
                    self.progress.check()?;
                    outcome.remotes.push(FetchedFrom {
                        error: Some(in_one_line(&error)),
                        ..FetchedFrom::none(&name, None)
                    });
                    continue;
                }
            }
            for (at, mut found) in at.into_iter().zip(tried.outputs) {
                let first = &mut outcome.outputs[at];
                if found.state == FetchState::Complete {
                    let told = asked.get(&first.remote).cloned().flatten();
                    found.instead_of = Some(FetchedInstead {
                        remote: std::mem::take(&mut first.remote),
                        state: first.state,
                        reason: first.reason.take().or(told).unwrap_or_default(),
                    });
                    *first = found;
                } else if first.state != FetchState::Failed {
                    // Some of it may have come from there.
                    first.missing = found.missing;
                }
            }
            outcome
                .remotes
                .extend(tried.remotes.into_iter().filter(|from| from.files > 0));
        }
        Ok(())
    }
}
