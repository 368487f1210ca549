//! `checkout`: cache → workspace, as the pointers say.

use std::path::PathBuf;

use super::making::overlaps;
use super::observe::pointer_node;
use super::orphans::Orphans;
use super::threeway::{Joined, Layers};
use super::{BrokenPointer, Output, PathPatterns, RepoError, Repository, Result, Selected, Target};
use crate::causes::in_one_line;
use crate::fs::{self, FileKind};
use crate::object::{NewTrees, Node, Root, Trees};
use crate::path::RepoPath;
use crate::progress::Phase;
use crate::workspace::{
    Checked, CheckoutPlan, CheckoutRequest, Conflict, FailureReason, Merging, PlanCounts, Scopes, Snapshot, Within,
    WorkspaceError,
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
    /// Whether git's filter puts its pointer in its place.
    pub transparent: bool,
    /// Whether no pointer names it any more, so that it goes.
    pub orphaned: bool,
    /// What was (or would be) done.
    pub done: PlanCounts,
    /// What is in the way and exists nowhere else; nothing was done to this output then.
    pub conflicts: Vec<Conflict>,
    /// Whether what was changed here stays, beside what is new in the pointer.
    pub kept: bool,
    /// Of that, paths that the pointer changed too, in another way; as they were here.
    pub clashes: Vec<RepoPath>,
    /// Files beside the parts that are present, with the names of others that belong to the output. They stay.
    pub in_the_way: Vec<RepoPath>,
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
    /// Whether something of it is damaged in the cache.
    pub damaged: bool,
    /// Why.
    pub reason: String,
}

/// A transparent file or output that was left as it is.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LeftAlone {
    /// The file or directory.
    pub path: RepoPath,
    /// How it differs, or what keeps it so.
    pub reason: LeftReason,
}

/// Why something was left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftReason {
    /// Its stage runs now and is making it.
    BeingMade,
    /// It was changed here; or, for a checkout of another revision, its content is stored nowhere.
    Modified,
    /// It was deleted here.
    Deleted,
    /// It, or a directory it should be in, is something else here.
    TypeChanged,
}

/// What a checkout did.
#[derive(Debug, serde::Serialize)]
pub struct CheckoutOutcome {
    /// The outputs.
    pub outputs: Vec<CheckedOut>,
    /// Transparent files and outputs that stages are making, left as they are, which may not be as their pointers say.
    pub left: Vec<LeftAlone>,
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
        self.broken.is_empty() && self.left.is_empty() && self.outputs.iter().all(CheckedOut::is_complete)
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
        let making = self.outputs_being_made()?;
        let mut left = Vec::new();
        let mut is_left = |path: &RepoPath| {
            let is_made = overlaps(&making, path);
            if is_made {
                left.push(LeftAlone {
                    path: path.clone(),
                    reason: LeftReason::BeingMade,
                });
            }
            is_made
        };
        for path in gone.into_iter().filter(|path| wanted.has(path)) {
            if is_left(&path) {
                continue;
            }
            let plan = self.plan_removal(&path, options.force);
            note_plan(path, true, plan.map(|plan| Some(plan.into())), &mut plans, &mut outputs)?;
        }
        for target in targets.into_iter().filter(|target| wanted.has(&target.output.path)) {
            if target.output.is_transparent() {
                transparent.push(target);
                continue;
            }
            if is_left(&target.output.path) || self.is_made_here(&target)? {
                continue;
            }
            let plan = self.plan_checkout(&target, options.force, true);
            note_plan(target.output.path, false, plan, &mut plans, &mut outputs)?;
        }
        let mut outputs = self.execute_all(plans, outputs, options)?;
        if !transparent.is_empty() {
            let written = self.write_transparent(&transparent, options)?;
            outputs.extend(written.outputs);
            outputs.sort_by(|a, b| a.path.cmp(&b.path));
            left.extend(written.left);
        }
        Ok(CheckoutOutcome {
            outputs,
            left,
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
        plans: Vec<Planned>,
        mut outputs: Vec<CheckedOut>,
        options: &CheckoutOptions,
    ) -> Result<Vec<CheckedOut>> {
        let (files, bytes) = plans.iter().fold((0, 0), |(files, bytes), planned| {
            let counts = &planned.plan.plan.counts;
            (files + counts.created + counts.replaced, bytes + counts.bytes)
        });
        self.progress.start(Phase::CheckingOut, files, bytes);
        for planned in plans {
            outputs.push(self.execute_checkout(planned, options)?);
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
        if let Some(dir) = path.parent() {
            // Nobody's working directory is taken away.
            fs::remove_empty_dirs(&dir.on_disk(self.root()), self.root(), Some(&self.cwd));
        }
    }

    /// `None`: the output is as it should be. With `join`, what was changed here stays if the pointer is another since it
    /// was brought here.
    pub(super) fn plan_checkout(&self, target: &Target, force: bool, join: bool) -> Result<Option<Plan>> {
        let node = pointer_node(&target.output);
        let observed = self.observe(&target.output.path, Some(target.output.root()))?;
        let present = observed.last.map(|_| observed.scopes.clone());
        let wanted = match (&present, target.named, target.parts.is_empty()) {
            (_, _, false) => Scopes::new(target.parts.clone()),
            // What is only partly present stays so, unless it is asked for by name.
            (Some(present), false, true) => present.clone(),
            _ => Scopes::whole(),
        };
        let (last, scopes) = (observed.last, observed.scopes.clone());
        // The plan compares with what is really here, without what is absent.
        let observed = super::observe::Observed {
            base: None,
            scopes: Scopes::whole(),
            ..observed
        };
        let snapshot = self.identify(observed, None)?;
        if snapshot.scan.problems.is_empty()
            && !snapshot.scan.unfinished
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
        let joined = match last.filter(|last| join && !force && *last != target.output.root()) {
            Some(last) => self.joined_here(&target.output, last, &scopes, &snapshot)?,
            None => None,
        };
        let Some((joined, over)) = joined else {
            let in_the_way = if force || target.named || scopes.is_whole() || last.is_none() {
                Vec::new()
            } else {
                self.beside_what_is_present(&target.output, &scopes, &snapshot)?
            };
            return Ok(Some(Plan {
                in_the_way,
                ..CheckoutPlan::new(request, snapshot, self.cache()?)?.into()
            }));
        };
        let request = CheckoutRequest {
            target: Some(&joined.node),
            ..request
        };
        let over = over.as_ref().map(|over| over.over(self));
        let trees = Layers {
            new: &joined.trees,
            below: over.as_ref().map_or(self as &dyn Trees, |over| over),
        };
        let merging = Merging {
            trees: &trees,
            becomes: joined.becomes,
        };
        Ok(Some(Plan {
            plan: CheckoutPlan::merging(request, snapshot, self.cache()?, Some(merging))?,
            kept: joined.node != node,
            clashes: joined.clashes,
            in_the_way: Vec::new(),
            trees: joined.base_trees,
        }))
    }

    /// Files beside what is present of an output that have the names of others that belong to it; directories, where it is
    /// not known here what belongs into them.
    fn beside_what_is_present(&self, output: &Output, present: &Scopes, here: &Snapshot) -> Result<Vec<RepoPath>> {
        let mut found = Vec::new();
        let Root::Tree(root) = output.root() else {
            return Ok(found);
        };
        let mut pending = vec![(RepoPath::root(), root)];
        while let Some((path, id)) = pending.pop() {
            let Some(dir) = here.scan.dir(&path) else { continue };
            let tree = match self.tree(id) {
                Ok(tree) => tree,
                Err(error) if error.is_missing() => {
                    if !dir.table.rows().is_empty() && present.within(&path) == Within::Outside {
                        found.push(path);
                    }
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for entry in tree.into_entries() {
                let below = path.join(&entry.name);
                let Some(row) = dir.table.find(entry.name.as_bytes()) else {
                    continue;
                };
                let is_same = match &entry.node {
                    Node::Dir { id, .. } if row.kind() == FileKind::Dir => {
                        if present.within(&below) != Within::Inside {
                            pending.push((below, *id));
                        }
                        continue;
                    }
                    Node::Dir { .. } => false,
                    Node::File { id, executable, .. } => {
                        row.id() == Some(*id.as_bytes()) && row.is_executable() == *executable
                    }
                    Node::Symlink { target } => {
                        row.kind() == FileKind::Symlink && dir.table.target(row) == &target[..]
                    }
                };
                if !is_same && present.within(&below) == Within::Outside {
                    found.push(below);
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// What the pointer and what was changed here come to; `None` if nothing was, or it cannot be told. With the snapshot
    /// that has the listings of it, if it is another than `here`, which has only what is present.
    fn joined_here(
        &self,
        output: &Output,
        last: Root,
        scopes: &Scopes,
        here: &Snapshot,
    ) -> Result<Option<(Joined, Option<Snapshot>)>> {
        if scopes.is_whole() {
            let changed = here.root() != Some(last);
            let joined = if changed { self.join(output, here, last) } else { None };
            return Ok(joined.map(|joined| (joined, None)));
        }
        match self.over_base(&output.path, last, scopes)? {
            Some(over) if over.root() != Some(last) => {
                let joined = self.join(output, &over, last);
                Ok(joined.map(|joined| (joined, Some(over))))
            }
            _ => Ok(None),
        }
    }

    fn execute_checkout(&self, planned: Planned, options: &CheckoutOptions) -> Result<CheckedOut> {
        let Planned { path, orphaned, plan } = planned;
        let Plan {
            plan,
            kept,
            clashes,
            in_the_way,
            trees,
        } = plan;
        let mut outcome = CheckedOut {
            kept,
            clashes: clashes.iter().map(|clash| path.join_path(clash)).collect(),
            in_the_way: in_the_way.iter().map(|inside| path.join_path(inside)).collect(),
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
            self.store_trees(&trees)?;
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
                damaged: failure.reason.is_damage(),
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
    /// Whether it is as its pointer says, but for what was changed here and stays.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.conflicts.is_empty() && self.clashes.is_empty() && self.in_the_way.is_empty() && self.failures.is_empty()
    }

    pub(super) fn new(path: RepoPath, orphaned: bool) -> Self {
        Self {
            path,
            tracked: !orphaned,
            transparent: false,
            orphaned,
            done: PlanCounts::default(),
            conflicts: Vec::new(),
            kept: false,
            clashes: Vec::new(),
            in_the_way: Vec::new(),
            failures: Vec::new(),
        }
    }
}

/// What is to be done to one output.
pub(super) struct Planned {
    path: RepoPath,
    /// Whether no pointer names it any more.
    orphaned: bool,
    plan: Plan,
}

/// A plan, and what it leaves as it is.
pub(super) struct Plan {
    plan: CheckoutPlan,
    /// Whether what was changed here stays.
    kept: bool,
    /// Of that, what the pointer has otherwise, relative to the output.
    clashes: Vec<RepoPath>,
    /// Files that belong to nothing that is present, and have the names of others that belong to the output.
    in_the_way: Vec<RepoPath>,
    /// Listings to store before.
    trees: NewTrees,
}

impl Plan {
    /// As [`CheckoutPlan::unrecorded`].
    pub(super) fn unrecorded(self) -> Self {
        Self {
            plan: self.plan.unrecorded(),
            ..self
        }
    }
}

impl From<CheckoutPlan> for Plan {
    fn from(plan: CheckoutPlan) -> Self {
        Self {
            plan,
            kept: false,
            clashes: Vec::new(),
            in_the_way: Vec::new(),
            trees: Vec::new(),
        }
    }
}

/// Keeps a plan, or notes that the output could not be looked at.
pub(super) fn note_plan(
    path: RepoPath,
    orphaned: bool,
    plan: Result<Option<Plan>>,
    plans: &mut Vec<Planned>,
    outputs: &mut Vec<CheckedOut>,
) -> Result<()> {
    match plan {
        Ok(plan) => plans.extend(plan.map(|plan| Planned { path, orphaned, plan })),
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
            damaged: false,
            reason: in_one_line(&error),
        }),
        error => Err(error),
    }
}
