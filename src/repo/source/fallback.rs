//! Fetching imports from where they came from, when no remote of this repository has them.

use crate::causes::in_one_line;
use crate::repo::transfer::Paths;
use crate::repo::{FetchOutcome, FetchState, FetchedFrom, FetchedOutput, RepoError, Repository, Result, Target};

use super::shown;

impl Repository {
    /// Takes out the imports that belong to no remote, because there is none: only their sources can have them.
    pub(in crate::repo) fn imports_without_remote(
        &self,
        remote: Option<&str>,
        targets: &mut Vec<Target>,
    ) -> Result<Vec<Target>> {
        if remote.is_some() || self.default_remote_name()?.is_some() {
            return Ok(Vec::new());
        }
        let (imports, others) = std::mem::take(targets).into_iter().partition(|target| {
            let pointer = &target.output.pointer;
            pointer.import.is_some() && pointer.remote.is_none()
        });
        *targets = others;
        Ok(imports)
    }

    /// Asks the sources of these imports, and of those that the outcome says are not complete.
    pub(in crate::repo) fn fetch_from_sources(
        &self,
        imports: Vec<Target>,
        others: &[Target],
        outcome: &mut FetchOutcome,
    ) -> Result<()> {
        for target in imports {
            let mut fetched = FetchedOutput {
                path: target.output.path.clone(),
                commit: target.commit.clone(),
                parts: target.parts.clone(),
                remote: String::new(),
                instead_of: None,
                state: FetchState::Absent,
                missing: Paths::default(),
                reason: None,
            };
            self.fetch_source(&target, &mut fetched, outcome)?;
            outcome.outputs.push(fetched);
        }
        let mut outputs = std::mem::take(&mut outcome.outputs);
        for fetched in &mut outputs {
            let is_it = |target: &&Target| target.output.path == fetched.path && target.commit == fetched.commit;
            let target = others.iter().find(is_it);
            if let Some(target) = target.filter(|target| target.output.pointer.import.is_some())
                && fetched.state != FetchState::Complete
            {
                self.fetch_source(target, fetched, outcome)?;
            }
        }
        outcome.outputs = outputs;
        Ok(())
    }

    fn fetch_source(&self, target: &Target, fetched: &mut FetchedOutput, outcome: &mut FetchOutcome) -> Result<()> {
        let output = &target.output;
        let Some(import) = &output.pointer.import else {
            return Ok(());
        };
        let url = shown(import.url());
        match self.bring_import(output, &target.parts, outcome.dry_run) {
            Ok(was_here) => {
                fetched.state = FetchState::Complete;
                fetched.missing = Paths::default();
                fetched.reason = None;
                if !was_here {
                    fetched.remote.clone_from(&url);
                    outcome.remotes.push(FetchedFrom {
                        files: super::super::observe::pointer_node(output).files(),
                        bytes: output.pointer.size,
                        ..FetchedFrom::none(&url, Some(url.clone()))
                    });
                }
            }
            Err(error) => {
                self.progress().check()?;
                let own = fetched.reason.take().map(|reason| format!("{reason}; "));
                fetched.reason = Some(format!("{}{}", own.unwrap_or_default(), in_one_line(&error)));
            }
        }
        Ok(())
    }

    /// Brings an import into the cache from its source; returns whether it was there already.
    fn bring_import(
        &self,
        output: &crate::repo::Output,
        parts: &[crate::path::RepoPath],
        only_look: bool,
    ) -> std::result::Result<bool, RepoError> {
        let wanted = crate::remote::Wanted {
            root: output.root(),
            parts: parts.to_vec(),
            lineage: Vec::new(),
        };
        if super::copy::is_complete(self.cache()?, &wanted, super::copy::Depth::Content)? {
            return Ok(true);
        }
        self.fetch_import(output, parts, only_look)?;
        Ok(false)
    }
}
