//! `checkout`: cache → workspace, as the pointers say.

use std::collections::HashSet;
use std::path::PathBuf;

use super::observe::pointer_node;
use super::orphans::Orphans;
use super::transfer::in_one_line;
use super::{BrokenPointer, Output, RepoError, Repository, Result, Selected, Target};
use crate::fs;
use crate::git::{Pointer, PointerContent};
use crate::object::Node;
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
}

/// Whether a pointer of the work tree names what was checked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// One does.
    Tracked,
    /// None does any more, so that it goes.
    Orphaned,
    /// None does; it was tracked in the revision that was asked for.
    Untracked,
}

/// What happened to one output.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CheckedOut {
    /// The output, or what in a revision was one.
    pub path: RepoPath,
    /// Whether a pointer names it.
    pub standing: Standing,
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
    /// Pointers that cannot be read: what they stand for was left alone.
    pub broken: Vec<BrokenPointer>,
    /// The revision they were brought to; `null` for what the pointers of the work tree say.
    pub rev: Option<String>,
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
    /// Makes the workspace match the pointers, or what the pointers were in a revision. Outputs with conflicts are left
    /// alone, the others are done. What was brought here and no pointer names any more is removed, unless a revision is
    /// asked for.
    ///
    /// # Errors
    /// When targets are not tracked, or the workspace cannot be read. What concerns single paths is in the outcome.
    pub fn checkout(&self, options: &CheckoutOptions) -> Result<CheckoutOutcome> {
        let _lock = self.lock_workspace()?;
        let mut work = Work::default();
        let broken = match &options.rev {
            Some(rev) => {
                let (targets, untracked) = self
                    .targets_of(rev, &options.targets)
                    .map_err(|error| error.at(Some(rev)))?;
                self.progress.start(Phase::Scanning, 0, 0);
                for target in targets {
                    let standing = if untracked.contains(&target.output.path) {
                        Standing::Untracked
                    } else {
                        Standing::Tracked
                    };
                    let plan = self.plan_checkout(&target, options.force);
                    work.note(target.output.path, standing, plan)?;
                }
                Vec::new()
            }
            None => self.plan_by_pointers(options, &mut work)?,
        };
        let Work { plans, mut outputs } = work;
        let (files, bytes) = plans.iter().fold((0, 0), |(files, bytes), (_, _, plan)| {
            let counts = &plan.counts;
            (files + counts.created + counts.replaced, bytes + counts.bytes)
        });
        self.progress.start(Phase::CheckingOut, files, bytes);
        for (path, standing, plan) in plans {
            outputs.push(self.execute_checkout(path, standing, plan, options)?);
        }
        outputs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(CheckoutOutcome {
            outputs,
            broken,
            rev: options.rev.clone(),
            dry_run: options.dry_run,
        })
    }

    /// Plans everything that the pointers of the work tree ask for; returns those that cannot be read.
    fn plan_by_pointers(&self, options: &CheckoutOptions, work: &mut Work) -> Result<Vec<BrokenPointer>> {
        let mut found = self.outputs()?;
        if !options.dry_run {
            self.remove_leftovers(&found);
        }
        let Orphans { here, stale } = self.orphans(&mut found)?;
        let here: Vec<RepoPath> = here.into_iter().map(|orphan| orphan.path).collect();
        let Selected { targets, broken, .. } = self.select_among(found, &options.targets, &here)?;
        for file in stale.iter().filter(|_| !options.dry_run) {
            let _ = fs::remove_file(file);
        }
        self.progress.start(Phase::Scanning, 0, 0);
        // First, since something else may have the place now.
        for path in self.meant(here, &options.targets, |path| path)? {
            let plan = self.plan_removal(&path, options.force);
            work.note(path, Standing::Orphaned, plan.map(Some))?;
        }
        for target in targets {
            let plan = self.plan_checkout(&target, options.force);
            work.note(target.output.path, Standing::Tracked, plan)?;
        }
        Ok(broken)
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

    /// What the user means as it is in a revision, as targets of the outputs there are now; and which of them are not
    /// tracked now.
    fn targets_of(&self, rev: &str, inputs: &[PathBuf]) -> Result<(Vec<Target>, HashSet<RepoPath>)> {
        if inputs.is_empty() {
            return Err(RepoError::NoTarget { rev: rev.to_owned() });
        }
        let now = self.outputs()?.outputs;
        let mut untracked = HashSet::new();
        let mut targets = Vec::new();
        for target in self.select_at(Some(rev), inputs)?.targets {
            let output = &target.output;
            if now.iter().any(|now| now.path == output.path) {
                for part in &target.parts {
                    self.tracked_node(output, &output.path.join_path(part))?;
                }
                targets.push(target);
                continue;
            }
            // It was tracked in other pieces.
            let parts = if target.parts.is_empty() {
                vec![RepoPath::root()]
            } else {
                target.parts.clone()
            };
            let mut alone = Vec::new();
            for part in parts {
                let path = output.path.join_path(&part);
                if let Some(around) = now.iter().find(|now| path.starts_with(&now.path) && path != now.path) {
                    return Err(RepoError::InsideOutputNow {
                        path,
                        rev: rev.to_owned(),
                        output: around.path.clone(),
                    });
                }
                if let Some(inside) = now.iter().find(|now| now.path.starts_with(&path) && path != now.path) {
                    return Err(RepoError::ContainsOutput {
                        path,
                        output: inside.path.clone(),
                    });
                }
                if !now.iter().any(|now| now.path == path) {
                    self.tracked_node(output, &path)?;
                    alone.push(part);
                    continue;
                }
                let (node, path) = self.tracked_node(output, &path)?;
                targets.push(Target {
                    output: Output {
                        pointer: Pointer {
                            content: match node {
                                Node::File { id, executable, .. } => PointerContent::File { id, executable },
                                Node::Dir { id, files, .. } => PointerContent::Dir { id, files },
                                Node::Symlink { .. } => return Err(RepoError::IsLink(path)),
                            },
                            size: node.size(),
                            ..output.pointer.clone()
                        },
                        path,
                    },
                    parts: Vec::new(),
                    named: target.named,
                    commit: None,
                });
            }
            if !alone.is_empty() {
                untracked.insert(output.path.clone());
                targets.push(Target {
                    parts: alone.into_iter().filter(|part| !part.is_root()).collect(),
                    ..target
                });
            }
        }
        Ok((targets, untracked))
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

    fn execute_checkout(
        &self,
        path: RepoPath,
        standing: Standing,
        plan: CheckoutPlan,
        options: &CheckoutOptions,
    ) -> Result<CheckedOut> {
        let mut outcome = CheckedOut {
            done: plan.counts,
            conflicts: plan.conflicts.clone(),
            ..CheckedOut::new(path, standing)
        };
        let failures = if options.dry_run || !(plan.conflicts.is_empty() || options.force) {
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
            match standing {
                Standing::Orphaned if checked.failures.is_empty() => self.forget(&outcome.path),
                // With a state it would count as brought here by a pointer, and go with the next checkout.
                Standing::Untracked => drop(fs::remove_file(&self.state_file(&outcome.path))),
                _ => {}
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
    fn new(path: RepoPath, standing: Standing) -> Self {
        Self {
            path,
            standing,
            done: PlanCounts::default(),
            conflicts: Vec::new(),
            failures: Vec::new(),
        }
    }
}

/// What is to be done, and what could not be looked at.
#[derive(Default)]
struct Work {
    plans: Vec<(RepoPath, Standing, CheckoutPlan)>,
    outputs: Vec<CheckedOut>,
}

impl Work {
    /// Keeps a plan, or notes that the output could not be looked at.
    fn note(&mut self, path: RepoPath, standing: Standing, plan: Result<Option<CheckoutPlan>>) -> Result<()> {
        match plan {
            Ok(plan) => self.plans.extend(plan.map(|plan| (path, standing, plan))),
            Err(error) => {
                let mut outcome = CheckedOut::new(path, standing);
                outcome.failures.push(failure_of(&outcome.path, error)?);
                self.outputs.push(outcome);
            }
        }
        Ok(())
    }
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
