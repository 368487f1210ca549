//! `checkout`: cache → workspace, as the pointers say.

use std::path::PathBuf;

use super::observe::pointer_node;
use super::{Repository, Result, Target};
use crate::path::RepoPath;
use crate::progress::Phase;
use crate::workspace::{CheckoutPlan, CheckoutRequest, Conflict, FailureReason, PlanCounts, Scopes};

/// What to check out.
#[derive(Debug, Default)]
pub struct CheckoutOptions {
    /// Outputs, paths inside them, directories; none: everything.
    pub targets: Vec<PathBuf>,
    /// Replace and remove content that exists nowhere else.
    pub force: bool,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What happened to one output.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CheckedOut {
    /// The output.
    pub path: RepoPath,
    /// What was (or would be) done.
    pub done: PlanCounts,
    /// What is in the way and exists nowhere else; nothing was done to this output then.
    pub conflicts: Vec<Conflict>,
    /// Paths that could not be brought to the pointer, with why.
    pub failures: Vec<CheckoutFailure>,
}

/// A path that could not be brought to the pointer.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CheckoutFailure {
    /// In the repository.
    pub path: RepoPath,
    /// Whether only its content is missing in the cache.
    pub missing: bool,
    /// Why.
    pub reason: String,
}

/// What a checkout did.
#[derive(Debug, serde::Serialize)]
pub struct CheckoutOutcome {
    /// The outputs.
    pub outputs: Vec<CheckedOut>,
    /// Whether nothing was written because that was asked.
    pub dry_run: bool,
}

impl CheckoutOutcome {
    /// Whether everything is as the pointers say.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.outputs
            .iter()
            .all(|o| o.conflicts.is_empty() && o.failures.is_empty())
    }
}

impl Repository {
    /// Makes the workspace match the pointers. Outputs with conflicts are left alone, the others are done.
    ///
    /// # Errors
    /// When targets are not tracked, or the workspace cannot be read. What concerns single paths is in the outcome.
    pub fn checkout(&self, options: &CheckoutOptions) -> Result<CheckoutOutcome> {
        let _lock = self.lock_workspace()?;
        let targets = self.targets(&options.targets)?;
        let mut plans = Vec::with_capacity(targets.len());
        self.progress.start(Phase::Scanning, 0, 0);
        for target in targets {
            if let Some(plan) = self.plan_checkout(&target, options.force)? {
                plans.push((target.output.path, plan));
            }
        }
        let (files, bytes) = plans.iter().fold((0, 0), |(files, bytes), (_, plan)| {
            let counts = &plan.counts;
            (files + counts.created + counts.replaced, bytes + counts.bytes)
        });
        self.progress.start(Phase::CheckingOut, files, bytes);
        let mut outputs = Vec::with_capacity(plans.len());
        for (path, plan) in plans {
            outputs.push(self.execute_checkout(path, plan, options)?);
        }
        Ok(CheckoutOutcome {
            outputs,
            dry_run: options.dry_run,
        })
    }

    /// `None`: the output is as it should be.
    fn plan_checkout(&self, target: &Target, force: bool) -> Result<Option<CheckoutPlan>> {
        let node = pointer_node(&target.output);
        let observed = self.observe(&target.output.path, Some(target.output.root()))?;
        let present = observed.last.map(|_| observed.scopes.clone());
        let wanted = match (&present, target.named, target.parts.is_empty()) {
            (_, _, false) => Scopes::new(target.parts.clone()),
            // What is only partly present stays so, unless it is asked for by name.
            (Some(present), false, true) => present.clone(),
            _ => Scopes::whole(),
        };
        let last = observed.last;
        // The plan compares with what is really here, without what is absent.
        let observed = super::observe::Observed {
            base: None,
            scopes: Scopes::whole(),
            ..observed
        };
        let snapshot = self.identify(observed, None)?;
        if snapshot.scan.problems.is_empty()
            && last == Some(target.output.root())
            && present.as_ref().is_some_and(|present| present.is_whole())
            && snapshot.node.as_ref() == Some(&node)
        {
            return Ok(None);
        }
        let request = CheckoutRequest {
            target: Some(&node),
            scopes: &wanted,
            base: last,
            present: present.as_ref(),
            force,
        };
        Ok(Some(CheckoutPlan::new(request, snapshot, self.cache()?)?))
    }

    fn execute_checkout(&self, path: RepoPath, plan: CheckoutPlan, options: &CheckoutOptions) -> Result<CheckedOut> {
        let mut outcome = CheckedOut {
            done: plan.counts,
            conflicts: plan.conflicts.clone(),
            failures: Vec::new(),
            path,
        };
        let failures = if options.dry_run || !(plan.conflicts.is_empty() || options.force) {
            if !options.dry_run {
                outcome.done = PlanCounts::default();
            }
            plan.failures
        } else {
            if let Some(parent) = outcome.path.parent() {
                crate::fs::create_dir_all(&parent.on_disk(self.root()))?;
            }
            let checked = plan.execute(&self.state_path(&outcome.path)?, &self.progress)?;
            outcome.done = checked.done;
            if options.force {
                outcome.conflicts.clear();
            }
            self.progress.check()?;
            checked.failures
        };
        outcome.failures = failures
            .into_iter()
            .map(|failure| CheckoutFailure {
                path: outcome.path.join_path(&failure.path),
                missing: matches!(failure.reason, FailureReason::Missing),
                reason: failure.reason.to_string(),
            })
            .collect();
        Ok(outcome)
    }

    /// The parts of an output that are present here; `None` when nothing was ever checked out.
    pub(crate) fn present_parts(&self, path: &RepoPath) -> Result<Option<Scopes>> {
        let state = crate::workspace::State::read(&self.state_path(path)?);
        Ok(state
            .filter(|state| state.base().is_some())
            .map(|state| state.scopes().clone()))
    }
}
