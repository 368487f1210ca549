//! `push`: what the pointers name, from the cache to the remotes.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::outputs::{pointer_root, stage_target};
use super::transfer::{Paths, paths_of};
use super::{BrokenPointer, Output, RepoError, Repository, Result, Selected, Target};
use crate::causes::in_one_line;
use crate::git::Scope;
use crate::object::Root;
use crate::path::RepoPath;
use crate::progress::Phase;
use crate::remote::{Incomplete, PushPlan, PushRoot, RemoteError, RemoteStore, Wanted};

/// How many earlier versions of an output are looked at for what the remote has already.
const LINEAGE: usize = 20;

/// What to push.
#[derive(Debug, Clone)]
pub struct PushOptions {
    /// Which versions.
    pub scope: Scope,
    /// What the user named; nothing means all outputs. An output is pushed whole, also if a part was named.
    pub targets: Vec<PathBuf>,
    /// The remotes for all of them; nothing means each output's own, or else those that the settings say.
    pub remotes: Vec<String>,
    /// Only find out what would be sent.
    pub dry_run: bool,
    /// Whether imports are left out: their sources have them.
    pub no_imports: bool,
}

/// What was pushed.
#[derive(Debug, serde::Serialize)]
pub struct PushOutcome {
    /// Whether nothing was sent because only the plan was asked for.
    pub dry_run: bool,
    /// What each remote was sent.
    pub remotes: Vec<PushedTo>,
    /// What became of each version of each output.
    pub outputs: Vec<PushedOutput>,
    /// Pointers that cannot be read: what they stand for was not pushed.
    pub broken: Vec<BrokenPointer>,
}

/// What a remote was sent.
#[derive(Debug, serde::Serialize)]
pub struct PushedTo {
    /// The remote's name.
    pub remote: String,
    /// Its address; `null` if its settings cannot be used.
    pub url: Option<String>,
    /// Versions of outputs that it did not have.
    pub outputs: u64,
    /// Files of which something was sent.
    pub files: u64,
    /// Chunks sent.
    pub chunks: u64,
    /// Bytes of packs sent.
    pub bytes: u64,
    /// Packs sent; not known before.
    pub packs: Option<u64>,
    /// Why nothing could be sent, if so.
    pub error: Option<String>,
}

/// What became of an output.
#[derive(Debug, serde::Serialize)]
pub struct PushedOutput {
    /// The output.
    pub path: RepoPath,
    /// One commit that has this version of it; `null` for what the work tree has.
    pub commit: Option<String>,
    /// The remote's name.
    pub remote: String,
    /// What became of it.
    pub state: PushState,
    /// What is neither in the cache nor known to be on the remote (the first of it), or is damaged in the cache.
    pub missing: Paths,
    /// What the remote said, if it does not take some of it.
    pub reason: Option<String>,
}

/// What became of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PushState {
    /// The remote has it now (or, in a dry run, would).
    Pushed,
    /// The remote had it.
    UpToDate,
    /// Some of it is not here.
    Incomplete,
    /// Some of it is damaged here.
    Damaged,
    /// The remote does not take some of it.
    Refused,
    /// The remote could not be used.
    Failed,
}

impl Repository {
    /// Sends what the outputs need and their remotes do not have.
    ///
    /// # Errors
    /// When the only remote cannot be used; when one of several cannot, its outputs are [`PushState::Failed`].
    pub fn push(&self, options: &PushOptions) -> Result<PushOutcome> {
        self.progress.start(Phase::Scanning, 0, 0);
        let found = self.outputs_in(&options.scope)?;
        let mut selected = self.targets_in(&options.scope, found, &options.targets, &[])?;
        if options.no_imports {
            selected.targets.retain(|target| target.output.pointer.import.is_none());
        }
        self.push_selected(selected, &options.remotes, options.dry_run)
    }

    /// As [`Repository::push`], of these.
    pub(super) fn push_selected(&self, selected: Selected, remotes: &[String], dry_run: bool) -> Result<PushOutcome> {
        let Selected { mut targets, broken } = selected;
        for target in targets
            .iter()
            .filter(|target| target.named && !target.output.is_pushed())
        {
            if let Some(of) = target.output.stage() {
                return Err(RepoError::NotPushed {
                    path: target.output.path.clone(),
                    stage: stage_target(of),
                });
            }
        }
        targets.retain(|target| target.output.is_pushed());
        let mut outcome = PushOutcome {
            dry_run,
            remotes: Vec::new(),
            outputs: Vec::new(),
            broken,
        };
        let groups = self.by_push_remote(remotes, targets, |target| &target.output)?;
        let several = groups.len() > 1;
        let asked = self.with_remotes(
            groups,
            &mut outcome,
            |remote, targets, outcome| self.push_to(remote, targets, dry_run, outcome),
            |(name, url), targets, error, outcome| {
                outcome.outputs.extend(targets.into_iter().map(|target| PushedOutput {
                    path: target.output.path,
                    commit: target.commit,
                    remote: name.to_owned(),
                    state: PushState::Failed,
                    missing: Paths::default(),
                    reason: None,
                }));
                outcome.remotes.push(PushedTo {
                    error: Some(error),
                    ..PushedTo::none(name, url)
                });
            },
        );
        self.progress.check()?;
        // What was wrong with each of several is in the outcome.
        if !several {
            asked?;
        }
        outcome.outputs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(outcome)
    }

    fn push_to(
        &self,
        remote: &Arc<RemoteStore>,
        targets: &[Target],
        dry_run: bool,
        outcome: &mut PushOutcome,
    ) -> Result<()> {
        let (sent, outputs) = if dry_run {
            self.send(remote, targets, true)?
        } else {
            let roots = targets.iter().map(|target| target.output.root()).collect();
            let mut send = || self.send(remote, targets, false);
            remote.write_beside_collectors(&self.claimant()?, &roots, &mut send)?
        };
        outcome.remotes.push(sent);
        outcome.outputs.extend(outputs);
        Ok(())
    }

    /// Sends what a remote does not keep of these.
    fn send(
        &self,
        remote: &Arc<RemoteStore>,
        targets: &[Target],
        dry_run: bool,
    ) -> Result<(PushedTo, Vec<PushedOutput>)> {
        let mut new = Vec::new();
        for target in targets {
            if !remote.keeps(&target.output.root().id())? {
                new.push(&target.output);
            }
        }
        let mut sent = PushedTo::none(remote.name(), Some(remote.describe().to_owned()));
        let mut incomplete = HashMap::new();
        let mut refused = HashMap::new();
        let mut pushed = HashSet::new();
        if !new.is_empty() {
            let roots = self.with_lineage(&new)?;
            let mut plan = remote.plan_push(self.cache()?, &roots)?;
            if plan.incomplete.iter().any(|one| !one.damaged) {
                // Parts that were never here are known by the listings of earlier versions, which the remote has.
                let incomplete: HashSet<Root> = plan.incomplete.iter().map(|one| one.root).collect();
                let lacking = roots.iter().filter(|root| incomplete.contains(&root.root));
                if self.bring_listings(remote, lacking)? {
                    plan = remote.plan_push(self.cache()?, &roots)?;
                }
            }
            let mut lacking = plan.incomplete.clone();
            (sent.files, sent.chunks, sent.bytes) = (plan.files, plan.chunks, plan.bytes);
            pushed = self.carry_out(plan, remote, dry_run, &mut sent, &mut lacking, &mut refused)?;
            incomplete.extend(lacking.into_iter().map(|one| (one.root, one)));
        }
        let mut outputs = Vec::with_capacity(targets.len());
        for Target { output, commit, .. } in targets {
            let root = output.root();
            let (state, missing) = match incomplete.get(&root) {
                Some(lacking) => {
                    let files = lacking.files.iter().copied().collect();
                    let state = if lacking.damaged {
                        PushState::Damaged
                    } else {
                        PushState::Incomplete
                    };
                    (state, paths_of(self.cache()?, output, &[], &files)?)
                }
                None if refused.contains_key(&root) => (PushState::Refused, Paths::default()),
                None if pushed.contains(&root) => {
                    sent.outputs += 1;
                    (PushState::Pushed, Paths::default())
                }
                None => (PushState::UpToDate, Paths::default()),
            };
            outputs.push(PushedOutput {
                path: output.path.clone(),
                commit: commit.clone(),
                remote: remote.name().to_owned(),
                state,
                missing,
                reason: refused.get(&root).map(|error| in_one_line(&**error)),
            });
        }
        Ok((sent, outputs))
    }

    /// Has the listings of the newest earlier versions that the remote has in the cache; whether any may be new there.
    fn bring_listings<'a>(&self, remote: &RemoteStore, roots: impl Iterator<Item = &'a PushRoot>) -> Result<bool> {
        let mut wanted = Vec::new();
        for root in roots {
            for earlier in &root.lineage {
                if matches!(earlier, Root::Tree(_)) && *earlier != root.root && remote.has(&earlier.id())? {
                    wanted.push(Wanted {
                        root: *earlier,
                        parts: Vec::new(),
                        lineage: Vec::new(),
                    });
                    break;
                }
            }
        }
        if wanted.is_empty() {
            return Ok(false);
        }
        // Planning fetches listings; the plan itself is about the files. What cannot be had is named as before.
        Ok(remote.plan_fetch(self.cache()?, &wanted).is_ok())
    }

    fn carry_out(
        &self,
        plan: PushPlan,
        remote: &Arc<RemoteStore>,
        dry_run: bool,
        sent: &mut PushedTo,
        lacking: &mut Vec<Incomplete>,
        refused: &mut HashMap<Root, Arc<RemoteError>>,
    ) -> Result<HashSet<Root>> {
        if dry_run {
            return Ok(plan.new_roots().collect());
        }
        let done = plan.execute(remote, self.cache()?)?;
        (sent.files, sent.chunks, sent.bytes) = (done.files, done.chunks, done.bytes);
        sent.packs = Some(done.packs);
        lacking.extend(done.damaged);
        refused.extend(done.refused);
        Ok(done.pushed.into_iter().collect())
    }

    /// The outputs' roots and those of their versions in history.
    pub(super) fn with_lineage(&self, outputs: &[&Output]) -> Result<Vec<PushRoot>> {
        let (mut pointers, mut locked) = (Vec::new(), Vec::new());
        for output in outputs {
            match output.stage() {
                None => pointers.push(output.pointer_path()?),
                Some(of) => locked.push((of.lock.clone(), output.path.clone())),
            }
        }
        pointers.sort_unstable();
        pointers.dedup();
        let history = self.git.lineage(&pointers, LINEAGE)?;
        let of_stages = self.git.locked_lineage(&locked, LINEAGE)?;
        let lineage = |output: &Output| -> Result<Vec<Root>> {
            let earlier = match output.stage() {
                None => history.get(&output.pointer_path()?),
                Some(of) => of_stages.get(&(of.lock.clone(), output.path.clone())),
            };
            Ok(earlier.into_iter().flatten().map(pointer_root).collect())
        };
        outputs
            .iter()
            .map(|output| {
                Ok(PushRoot {
                    root: output.root(),
                    lineage: lineage(output)?,
                })
            })
            .collect()
    }
}

impl PushedTo {
    fn none(remote: &str, url: Option<String>) -> Self {
        Self {
            remote: remote.to_owned(),
            url,
            outputs: 0,
            files: 0,
            chunks: 0,
            bytes: 0,
            packs: None,
            error: None,
        }
    }
}
