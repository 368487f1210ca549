//! Partial clones: fetching objects that are not here, many at once. Git by itself would fetch them one by one.

use super::discover::GitRepo;
use super::error::{GitError, Result};

impl GitRepo {
    /// Fetches those of these objects that a partial clone lacks, all in one go, from the remote that promised them.
    /// Does nothing in a clone that has to have all of them anyway.
    ///
    /// # Errors
    /// [`GitError::NotFetched`] when they cannot be had.
    pub(super) fn fetch_missing(
        &self,
        repo: &gix::Repository,
        ids: impl Iterator<Item = gix::ObjectId>,
    ) -> Result<()> {
        let Some(remote) = promisor(repo) else {
            return Ok(());
        };
        let missing: Vec<gix::ObjectId> = ids.filter(|id| !repo.has_object(id)).collect();
        let Some(first) = missing.first() else {
            return Ok(());
        };
        let list: String = missing.iter().map(|id| format!("{id}\n")).collect();
        // As git does it itself: nothing is found out about what else is here or there, and no ref changes.
        let args = [
            "-c",
            "fetch.negotiationAlgorithm=noop",
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--recurse-submodules=no",
            "--filter=blob:none",
            "--stdin",
            &remote,
        ];
        let fetched = self.git(&args, list.into_bytes());
        match missing.iter().find(|id| !repo.has_object(**id)) {
            None => Ok(()),
            Some(_) => Err(GitError::NotFetched {
                count: missing.len(),
                id: first.to_string(),
                remote,
                source: fetched.err().map(Box::new),
            }),
        }
    }
}

/// The remote that promised the objects that are not here; `None` when this is not a partial clone.
fn promisor(repo: &gix::Repository) -> Option<String> {
    let config = repo.config_snapshot();
    if let Some(name) = config.string("extensions.partialClone") {
        return Some(name.to_string());
    }
    let remotes = config.plumbing().sections_by_name("remote")?;
    let promised = remotes.filter_map(|section| {
        let promises = section.value("promisor").map(|value| value.to_string());
        let promises = promises.is_some_and(|value| matches!(value.as_str(), "true" | "1" | "yes" | "on"));
        let name = section.header().subsection_name().map(ToString::to_string);
        name.filter(|_| promises)
    });
    promised.last()
}
