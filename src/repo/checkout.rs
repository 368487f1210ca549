//! `checkout`: cache → workspace, as the pointers say.

use std::path::PathBuf;

use super::observe::pointer_node;
use super::orphans::Orphans;
use super::transfer::in_one_line;
use super::{BrokenPointer, PathPatterns, RepoError, Repository, Result, Selected, Target};
use crate::fs;
use crate::path::RepoPath;
use crate::progress::Phase;
use crate::workspace::{
    Checked, CheckoutPlan, CheckoutRequest, Conflict, FailureReason, PlanCounts, Scopes, WorkspaceError,
};

/// What to check out.
#[derive(Debug, Default)]
pub struct CheckoutOptions {
    /// Outputs, paths inside them, directories; none: everything.
    pub targets: Vec<PathBuf>,
    /// Bring the targets, of which there must be some, to what they are in this revision; pointers stay as they are.
    pub rev: Option<String>,
    /// Replace and remove content that exists nowhere else.
    pub force: bool,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Leave an output as it is if some of its new content is not in the cache.
    pub whole: bool,
    /// Only outputs whose paths fit.
    pub patterns: PathPatterns,
}

/// What happened to one output.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CheckedOut {
    /// The output, or what in a revision was one.
    pub path: RepoPath,
    /// Whether it is tracked now.
    pub tracked: bool,
    /// Whether no pointer names it any more, so that it goes.
    pub orphaned: bool,
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
    /// The revision they were brought to; `null` for what the pointers of the work tree say.
    pub rev: Option<String>,
    /// Pointers that cannot be read: what they stand for was left alone.
    pub broken: Vec<BrokenPointer>,
    /// Whether nothing was written because that was asked.
    pub dry_run: bool,
}

impl CheckoutOutcome {
    /// Whether everything is as the pointers say.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.broken.is_empty()
            && self
                .outputs
                .iter()
                .all(|o| o.conflicts.is_empty() && o.failures.is_empty())
    }
}

impl Repository {
    /// Makes the workspace match the pointers. Outputs with conflicts are left alone, the others are done. What was
    /// brought here and no pointer names any more is removed. With a revision, brings the targets to what they are there,
    /// and does nothing else.
    ///
    /// # Errors
    /// When targets are not tracked, or the workspace cannot be read. What concerns single paths is in the outcome.
    pub fn checkout(&self, options: &CheckoutOptions) -> Result<CheckoutOutcome> {
        let _lock = self.lock_workspace()?;
        if let Some(rev) = &options.rev {
            return self.checkout_at(rev, options).map_err(|error| error.at(Some(rev)));
        }
        let mut found = self.outputs()?;
        if !options.dry_run {
            self.remove_leftovers(&found);
        }
        let Orphans { here, stale } = self.orphans(&mut found)?;
        let here: Vec<RepoPath> = here.into_iter().map(|orphan| orphan.path).collect();
        let Selected { targets, broken } = self.select_among(found, &options.targets, &here)?;
        for file in stale.iter().filter(|_| !options.dry_run) {
            let _ = fs::remove_file(file);
        }
        let gone = self.meant(here, &options.targets, |path| path)?;
        Ok(CheckoutOutcome {
            broken,
            ..self.check_out(targets, gone, options)?
        })
    }

    /// Makes these outputs match, and removes what was brought to the paths of those that are gone; the caller holds the
    /// workspace lock.
    pub(super) fn check_out(
        &self,
        targets: Vec<Target>,
        gone: Vec<RepoPath>,
        options: &CheckoutOptions,
    ) -> Result<CheckoutOutcome> {
        let mut plans = Vec::with_capacity(targets.len());
        let mut outputs = Vec::new();
        let mut transparent = Vec::new();
        self.progress.start(Phase::Scanning, 0, 0);
        // First, since something else may have the place now.
        let wanted = options.patterns.matcher()?;
        for path in gone.into_iter().filter(|path| wanted.has(path)) {
            let plan = self.plan_removal(&path, options.force);
            note_plan(path, true, plan.map(Some), &mut plans, &mut outputs)?;
        }
        for target in targets.into_iter().filter(|target| wanted.has(&target.output.path)) {
            if target.output.is_transparent() {
                transparent.push(target);
                continue;
            }
            if self.is_made_here(&target)? {
                continue;
            }
            let plan = self.plan_checkout(&target, options.force);
            note_plan(target.output.path, false, plan, &mut plans, &mut outputs)?;
        }
        let mut outputs = self.execute_all(plans, outputs, options)?;
        if !transparent.is_empty() {
            outputs.extend(self.write_transparent(&transparent, options.dry_run)?);
            outputs.sort_by(|a, b| a.path.cmp(&b.path));
        }
        Ok(CheckoutOutcome {
            outputs,
            rev: None,
            broken: Vec::new(),
            dry_run: options.dry_run,
        })
    }

    /// Whether an output is not here, nor in the cache, and no remote is to have it: only its stage can make it.
    fn is_made_here(&self, target: &Target) -> Result<bool> {
        let output = &target.output;
        Ok(!(target.named || output.is_pushed())
            && fs::stat(&output.path.on_disk(self.root()))?.is_none()
            && !self.cache()?.contains(&output.root().as_file())?)
    }

    /// Does what was planned of each output.
    pub(super) fn execute_all(
        &self,
        plans: Vec<(RepoPath, bool, CheckoutPlan)>,
        mut outputs: Vec<CheckedOut>,
        options: &CheckoutOptions,
    ) -> Result<Vec<CheckedOut>> {
        let (files, bytes) = plans.iter().fold((0, 0), |(files, bytes), (_, _, plan)| {
            let counts = &plan.counts;
            (files + counts.created + counts.replaced, bytes + counts.bytes)
        });
        self.progress.start(Phase::CheckingOut, files, bytes);
        for (path, orphaned, plan) in plans {
            outputs.push(self.execute_checkout(path, orphaned, plan, options)?);
        }
        outputs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(outputs)
    }

    /// What it takes to remove everything that was brought to `path`.
    pub(super) fn plan_removal(&self, path: &RepoPath, force: bool) -> Result<CheckoutPlan> {
        let observed = self.observe(path, None)?;
        let request = CheckoutRequest {
            target: None,
            scopes: &Scopes::whole(),
            base: observed.last,
            present: None,
            force,
        };
        let snapshot = self.identify(observed, None)?;
        Ok(CheckoutPlan::new(request, snapshot, self.cache()?)?)
    }

    /// After what was at `path` went: its state, and the directories that held nothing else, as git does it.
    pub(super) fn forget(&self, path: &RepoPath) {
        let _ = fs::remove_file(&self.state_file(path));
        let mut dir = path.parent();
        while let Some(empty) = dir.filter(|dir| !dir.is_root()) {
            let on_disk = empty.on_disk(self.root());
            // Nobody's working directory is taken away.
            if self.cwd.starts_with(&on_disk) || !matches!(fs::remove_empty_dir(&on_disk), Ok(true)) {
                break;
            }
            dir = empty.parent();
        }
    }

    /// `None`: the output is as it should be.
    pub(super) fn plan_checkout(&self, target: &Target, force: bool) -> Result<Option<CheckoutPlan>> {
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

    fn execute_checkout(
        &self,
        path: RepoPath,
        orphaned: bool,
        plan: CheckoutPlan,
        options: &CheckoutOptions,
    ) -> Result<CheckedOut> {
        let mut outcome = CheckedOut {
            done: plan.counts,
            conflicts: plan.conflicts.clone(),
            ..CheckedOut::new(path, orphaned)
        };
        let missing = if options.whole { plan.missing()? } else { Vec::new() };
        let failures = if !missing.is_empty() {
            outcome.done = PlanCounts::default();
            missing
        } else if options.dry_run || !(plan.conflicts.is_empty() || options.force) {
            if !options.dry_run {
                outcome.done = PlanCounts::default();
            }
            plan.failures
        } else {
            let checked = match self.execute_plan(&outcome.path, plan) {
                Ok(checked) => checked,
                // A file in the way, a full disk: the other outputs may be luckier.
                Err(error) => {
                    outcome.done = PlanCounts::default();
                    outcome.failures.push(failure_of(&outcome.path, error)?);
                    return Ok(outcome);
                }
            };
            outcome.done = checked.done;
            if options.force {
                outcome.conflicts.clear();
            }
            self.progress.check()?;
            if orphaned && checked.failures.is_empty() {
                self.forget(&outcome.path);
            }
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

    fn execute_plan(&self, path: &RepoPath, plan: CheckoutPlan) -> Result<Checked> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(&parent.on_disk(self.root()))?;
        }
        Ok(plan.execute(&self.state_path(path)?, &self.progress)?)
    }

    /// The parts of an output that are present here; `None` when nothing was ever checked out.
    pub(crate) fn present_parts(&self, path: &RepoPath) -> Result<Option<Scopes>> {
        let state = crate::workspace::State::read(&self.state_file(path));
        Ok(state
            .filter(|state| state.base().is_some())
            .map(|state| state.scopes().clone()))
    }
}

impl CheckedOut {
    pub(super) fn new(path: RepoPath, orphaned: bool) -> Self {
        Self {
            path,
            tracked: !orphaned,
            orphaned,
            done: PlanCounts::default(),
            conflicts: Vec::new(),
            failures: Vec::new(),
        }
    }
}

/// Keeps a plan, or notes that the output could not be looked at.
pub(super) fn note_plan(
    path: RepoPath,
    orphaned: bool,
    plan: Result<Option<CheckoutPlan>>,
    plans: &mut Vec<(RepoPath, bool, CheckoutPlan)>,
    outputs: &mut Vec<CheckedOut>,
) -> Result<()> {
    match plan {
        Ok(plan) => plans.extend(plan.map(|plan| (path, orphaned, plan))),
        Err(error) => {
            let mut outcome = CheckedOut::new(path, orphaned);
            outcome.failures.push(failure_of(&outcome.path, error)?);
            outputs.push(outcome);
        }
    }
    Ok(())
}

/// What the file system refused of one output does not keep the others from being done; everything else does.
fn failure_of(path: &RepoPath, error: RepoError) -> Result<CheckoutFailure> {
    match error {
        RepoError::Fs(_) | RepoError::Workspace(WorkspaceError::Fs(_)) => Ok(CheckoutFailure {
            path: path.clone(),
            missing: false,
            reason: in_one_line(&error),
        }),
        error => Err(error),
    }
}
