//! `pull`: fetch, then checkout of the same targets.

use std::path::PathBuf;

use super::{CheckoutOptions, CheckoutOutcome, FetchOptions, FetchOutcome, FetchState, Repository, Result};
use crate::git::Scope;

/// What to pull.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// Which versions are fetched besides what the work tree needs.
    pub scope: Scope,
    /// What the user named; nothing means all outputs, and of those that are partly present the parts that are.
    pub targets: Vec<PathBuf>,
    /// The remote for all of them.
    pub remote: Option<String>,
    /// Replace and remove content that exists nowhere else.
    pub force: bool,
    /// Only find out what would be done.
    pub dry_run: bool,
}

/// What was pulled.
#[derive(Debug, serde::Serialize)]
pub struct PullOutcome {
    /// From the remotes into the cache.
    pub fetch: FetchOutcome,
    /// From the cache into the workspace. Files that the fetch could not have are listed there.
    pub checkout: CheckoutOutcome,
}

impl Repository {
    /// Brings what the outputs need from their remotes and writes it into the workspace. What cannot be had does not
    /// keep the rest from being written.
    ///
    /// # Errors
    /// As [`Repository::fetch`] and [`Repository::checkout`].
    pub fn pull(&self, options: &PullOptions) -> Result<PullOutcome> {
        let mut fetch = self.fetch(&FetchOptions {
            scope: Scope {
                workspace: true,
                ..options.scope.clone()
            },
            targets: options.targets.clone(),
            remote: options.remote.clone(),
            dry_run: options.dry_run,
            present_parts: true,
        })?;
        let mut checkout = self.checkout(&CheckoutOptions {
            rev: None,
            targets: options.targets.clone(),
            force: options.force,
            dry_run: options.dry_run,
        })?;
        // Once is enough, and the checkout names them too.
        fetch.broken.retain(|broken| broken.commit.is_some());
        // What is missing now a dry run would have fetched, and the fetch has named otherwise.
        let named = options.dry_run
            || fetch
                .outputs
                .iter()
                .any(|output| output.commit.is_none() && output.state != FetchState::Complete);
        for output in checkout.outputs.iter_mut().filter(|_| named) {
            output.failures.retain(|failure| !failure.missing);
        }
        Ok(PullOutcome { fetch, checkout })
    }
}
