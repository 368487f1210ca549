//! What is to be done about a stage.

use std::collections::BTreeMap;

use super::Stage;
use super::error::{PipelineError, Result};
use super::inputs::{RunKey, node_of};
use super::reason::StaleReason;
use super::session::{Absent, Judgement, Session};
use crate::hash::FileId;
use crate::object::Node;
use crate::path::RepoPath;

/// How stages are brought up to date.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command")]
pub struct Policy {
    /// Run also what is up to date.
    pub force: bool,
    /// Earlier runs are not looked for.
    pub no_run_cache: bool,
    /// Outputs are identified, but not stored.
    pub no_commit: bool,
    /// What is not in the cache is fetched.
    pub pull: bool,
    /// Of what would be fetched, it is only found out whether the remote has it.
    pub only_ask: bool,
    /// What is known by id need not be here.
    pub allow_missing: bool,
    /// Stages run in directories that hold only what they declare.
    pub isolated: bool,
}

/// What is to be done about a stage, and why.
#[derive(Debug, Clone)]
pub(super) struct Decision {
    /// What.
    pub action: Action,
    /// Why; empty if it is up to date.
    pub reasons: Vec<StaleReason>,
    /// What its runs are found by; `None` if inputs are missing.
    pub key: Option<RunKey>,
    /// What it was found to be.
    pub judgement: Judgement,
}

/// What is to be done about a stage.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Nothing: it is up to date.
    Keep,
    /// Nothing, though it is out of date: it is frozen.
    KeepFrozen,
    /// Its outputs are brought back from the cache.
    Restore {
        /// What they are.
        outs: BTreeMap<RepoPath, Node>,
        /// The earlier run that made them, if it is not the one of the lock file.
        run: Option<FileId>,
    },
    /// It runs.
    Run,
}

impl Session<'_> {
    /// Decides what is to be done about a stage, as everything is now.
    ///
    /// # Errors
    /// When something cannot be read, or an input is nowhere.
    pub(super) fn decide(&self, stage: &Stage, policy: &Policy) -> Result<Decision> {
        self.decide_with(stage, policy, Absent::Refuse)
    }

    /// As [`Session::decide`]; inputs that are not here may be taken to be what is known of them.
    ///
    /// # Errors
    /// As [`Session::decide`].
    pub(super) fn decide_with(&self, stage: &Stage, policy: &Policy, absent: Absent) -> Result<Decision> {
        let absent = if policy.allow_missing || policy.pull {
            Absent::Allow
        } else {
            absent
        };
        let mut judgement = self.judge(stage, absent)?;
        if absent == Absent::Allow && !policy.allow_missing {
            // Outputs that are known and not here are brought.
            judgement.out_reasons = judgement.locked.as_ref().map_or_else(Vec::new, |locked| {
                super::reason::out_reasons(stage, locked, &judgement.outs)
            });
        }
        let key = judgement.inputs.key(stage);
        let mut reasons = judgement.reasons();
        if stage.frozen {
            let action = if reasons.is_empty() {
                Action::Keep
            } else {
                Action::KeepFrozen
            };
            return Ok(Decision {
                action,
                reasons,
                key,
                judgement,
            });
        }
        if let Some(missing) = judgement.inputs.missing() {
            return Err(self.missing(stage, missing));
        }
        if stage.always {
            reasons.push(StaleReason::Always);
        }
        if policy.force {
            reasons.push(StaleReason::Forced);
        }
        let action = if reasons.is_empty() {
            Action::Keep
        } else if policy.force || stage.always {
            Action::Run
        } else if let Some(outs) = self.locked_outs(stage, &judgement, policy)? {
            Action::Restore { outs, run: None }
        } else if let Some((run, outs)) = self.earlier_run(stage, key.as_ref(), policy)? {
            Action::Restore { outs, run: Some(run) }
        } else {
            Action::Run
        };
        Ok(Decision {
            action,
            reasons,
            key,
            judgement,
        })
    }

    /// The outputs of the last run, if nothing but they are missing and they are in the cache.
    fn locked_outs(
        &self,
        stage: &Stage,
        judgement: &Judgement,
        policy: &Policy,
    ) -> Result<Option<BTreeMap<RepoPath, Node>>> {
        let Some(locked) = judgement.locked.as_ref().filter(|_| judgement.only_lacks_outs()) else {
            return Ok(None);
        };
        let mut outs = BTreeMap::new();
        for out in &stage.outs {
            let Some(made) = locked.outs.get(&out.path) else {
                return Ok(None);
            };
            outs.insert(out.path.clone(), node_of(made.content, made.size));
        }
        Ok(self.can_restore(&outs, policy)?.then_some(outs))
    }

    /// An earlier run with the same inputs whose outputs can be had.
    fn earlier_run(
        &self,
        stage: &Stage,
        key: Option<&RunKey>,
        policy: &Policy,
    ) -> Result<Option<(FileId, BTreeMap<RepoPath, Node>)>> {
        let Some(key) = key.filter(|_| !policy.no_run_cache && is_reusable(stage)) else {
            return Ok(None);
        };
        for (id, record) in self.reusable_runs(key)? {
            let mut outs = BTreeMap::new();
            for out in &stage.outs {
                let quoted = crate::path::quote(out.path.as_bytes());
                if let Some(made) = record.outs.get(&*quoted) {
                    let (content, size) = made.content();
                    outs.insert(out.path.clone(), node_of(content, size));
                }
            }
            if outs.len() == stage.outs.len() && self.can_restore(&outs, policy)? {
                return Ok(Some((id, outs)));
            }
        }
        Ok(None)
    }

    /// Whether all of these are in the cache, or can be fetched.
    fn can_restore(&self, outs: &BTreeMap<RepoPath, Node>, policy: &Policy) -> Result<bool> {
        for node in outs.values() {
            if !self.repository.has_content(node)? {
                if !policy.pull {
                    return Ok(false);
                }
                let wanted: Vec<(RepoPath, Node)> =
                    outs.iter().map(|(path, node)| (path.clone(), node.clone())).collect();
                return self.fetch_nodes(&wanted, policy.only_ask);
            }
        }
        Ok(true)
    }

    /// Fetches these from the default remote; whether all of them are in the cache then, or could be.
    pub(super) fn fetch_nodes(&self, wanted: &[(RepoPath, Node)], only_ask: bool) -> Result<bool> {
        self.repository
            .fetch_content(wanted, only_ask)
            .map_err(PipelineError::from)
    }
}

/// Whether runs of a stage may answer for each other: it makes something, all of it is kept, and it starts from nothing.
#[must_use]
pub(super) fn is_reusable(stage: &Stage) -> bool {
    let is_kept = |out: &super::Out| !out.persist && (out.cache || out.kind != super::OutKind::Data);
    !stage.always && !stage.outs.is_empty() && stage.outs.iter().all(is_kept)
}
