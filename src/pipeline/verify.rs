//! `repro --verify`: running stages again in isolation, and comparing what they make with the lock file. Nothing in the
//! workspace changes.

use std::sync::Mutex;

use serde_json::Value;

use super::decide::Policy;
use super::error::{PipelineError, Result};
use super::inputs::{Inputs, pointer_content};
use super::isolate::Sandbox;
use super::process::{End, describe};
use super::reason::StaleReason;
use super::repro::{Event, Repro, ReproOptions, Watch};
use super::scheduler::{Job, JobEnd, schedule};
use super::session::{Absent, Session, lock};
use super::values::{flatten, parse_values};
use super::{Out, OutKind, Stage, StageId};
use crate::fs;
use crate::git::{LockedOut, PointerContent};
use crate::path::RepoPath;
use crate::repo::RepoError;

/// What running stages again showed.
#[derive(Debug, serde::Serialize)]
pub struct VerifyRunsOutcome {
    /// Each stage.
    pub stages: Vec<VerifiedStage>,
}

/// A stage that was run again.
#[derive(Debug, serde::Serialize)]
pub struct VerifiedStage {
    /// Which.
    pub stage: StageId,
    /// What it showed.
    pub result: VerifyResult,
    /// Outputs that differ.
    pub differing: Vec<RepoPath>,
    /// Metrics that differ by less than their tolerance.
    pub tolerated: Vec<RepoPath>,
    /// Why it could not be compared: the workspace is not what the lock file was made from.
    pub reasons: Vec<StaleReason>,
    /// What it wrote and did not declare.
    pub undeclared: Vec<RepoPath>,
    /// Why it could not be run.
    pub error: Option<String>,
}

/// What running a stage again showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyResult {
    /// It makes what the lock file says.
    Identical,
    /// It makes something else.
    Different,
    /// Its definition or inputs are not those of the lock file.
    OutOfDate,
    /// It failed.
    Failed,
    /// It was not run to its end.
    Stopped,
}

impl VerifyRunsOutcome {
    /// Whether every stage makes what the lock file says.
    #[must_use]
    pub fn is_identical(&self) -> bool {
        self.stages.iter().all(|stage| stage.result == VerifyResult::Identical)
    }
}

impl Session<'_> {
    /// Runs stages again in isolation and compares what they make with the lock file.
    ///
    /// # Errors
    /// When targets cannot be used. What concerns single stages is in the outcome.
    pub fn verify(&self, options: &ReproOptions, watch: &dyn Watch) -> Result<VerifyRunsOutcome> {
        let chosen = self
            .pipelines
            .select(&self.graph, &options.targets, &self.cwd()?, options.select)?;
        let policy = Policy {
            isolated: true,
            ..options.policy
        };
        let repro = Repro::new(self, policy, super::repro::limits(&options.resources), watch);
        let jobs: Vec<Job> = chosen
            .iter()
            .map(|at| Job {
                needs: Vec::new(),
                resources: self.stages()[*at].resources.clone(),
            })
            .collect();
        let found: Vec<Mutex<Option<VerifiedStage>>> = chosen.iter().map(|_| Mutex::new(None)).collect();
        let run = |at: usize| {
            let stage = &self.stages()[chosen[at]];
            let verified = repro.verify(stage).unwrap_or_else(|error| {
                let result = if repro.is_interruption(&error) {
                    VerifyResult::Stopped
                } else {
                    VerifyResult::Failed
                };
                VerifiedStage {
                    error: Some(error.to_string()),
                    ..VerifiedStage::new(stage, result)
                }
            });
            *lock(&found[at]) = Some(verified);
            JobEnd::Done
        };
        let parallel = if options.jobs == 0 {
            self.repository.jobs()
        } else {
            options.jobs
        };
        schedule(
            &jobs,
            parallel,
            &repro.limits,
            options.on_failure,
            &|| repro.is_stopped(),
            &run,
        );
        let stages = found.into_iter().zip(&chosen).map(|(found, at)| {
            let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            found.unwrap_or_else(|| VerifiedStage::new(&self.stages()[*at], VerifyResult::Stopped))
        });
        Ok(VerifyRunsOutcome {
            stages: stages.collect(),
        })
    }

    /// Whether some stage makes what is at this path.
    pub(super) fn is_made(&self, path: &RepoPath) -> bool {
        std::iter::successors(Some(path.clone()), RepoPath::parent).any(|path| self.makers.contains_key(&path))
    }
}

impl VerifiedStage {
    fn new(stage: &Stage, result: VerifyResult) -> Self {
        Self {
            stage: stage.id.clone(),
            result,
            differing: Vec::new(),
            tolerated: Vec::new(),
            reasons: Vec::new(),
            undeclared: Vec::new(),
            error: None,
        }
    }
}

impl Repro<'_, '_> {
    fn verify(&self, stage: &Stage) -> Result<VerifiedStage> {
        let session = self.session;
        let held = self.lock_stage(stage)?;
        let judgement = session.judge(stage, Absent::Allow)?;
        let Some(locked) = &judgement.locked else {
            return Err(PipelineError::NotLocked {
                stage: stage.id.clone(),
            });
        };
        if !judgement.input_reasons.is_empty() {
            return Ok(VerifiedStage {
                reasons: judgement.input_reasons,
                ..VerifiedStage::new(stage, VerifyResult::OutOfDate)
            });
        }
        self.check_resources(stage)?;
        let inputs: Inputs = self.bring_deps(stage, &judgement.inputs)?;
        self.watch.event(&Event::Starts {
            stage: &stage.id,
            reasons: &[],
        });
        let sandbox = Sandbox::make(self, stage, &inputs)?;
        // The log of the last run stays.
        let log_path = super::logs::log_path(session.repository, &stage.id).with_extension("verify");
        let mut log = super::log::Log::create(&log_path)?;
        let ran = self.attempt(stage, &held, &mut log, None, Some(&sandbox))?;
        log.finish()?;
        if ran.end == End::Interrupted {
            return Ok(VerifiedStage::new(stage, VerifyResult::Stopped));
        }
        let log = fs::read(&log_path, super::log::MAX_LOG).unwrap_or_default();
        sandbox.explain(session, stage, &ran, &log)?;
        if ran.end != End::Exited(0) {
            return Err(PipelineError::Command {
                stage: stage.id.clone(),
                command: ran.command,
                how: describe(ran.end),
            });
        }
        let mut verified = VerifiedStage::new(stage, VerifyResult::Identical);
        verified.undeclared = sandbox.undeclared(stage)?.into_iter().collect();
        for out in &stage.outs {
            let Some(recorded) = locked.outs.get(&out.path) else {
                continue;
            };
            let made = out.path.on_disk(sandbox.root());
            let node = session.repository.content_of(&made)?;
            if node.as_ref().and_then(pointer_content) == Some(recorded.content) {
                continue;
            }
            if self.is_close(out, recorded, &made)? {
                verified.tolerated.push(out.path.clone());
            } else {
                verified.differing.push(out.path.clone());
                verified.result = VerifyResult::Different;
            }
        }
        Ok(verified)
    }

    /// Whether a metric differs from the recorded one by no more than its tolerance.
    fn is_close(&self, out: &Out, recorded: &LockedOut, made: &std::path::Path) -> Result<bool> {
        let OutKind::Metric {
            tolerance: Some(tolerance),
        } = out.kind
        else {
            return Ok(false);
        };
        let PointerContent::File { id, .. } = recorded.content else {
            return Ok(false);
        };
        let repository = self.session.repository;
        let here = self.session.contents.node(&out.path)?;
        let before = if here.as_ref().and_then(pointer_content) == Some(recorded.content) {
            fs::read(&out.path.on_disk(repository.root()), super::values::MAX_VALUES)?
        } else if repository.cache()?.contains(&id).map_err(RepoError::from)? {
            let read = repository.cache()?.read_file(id, super::values::MAX_VALUES);
            read.map_err(RepoError::from)?
        } else {
            return Ok(false);
        };
        let Some(after) = fs::read_if_exists(made, super::values::MAX_VALUES)? else {
            return Ok(false);
        };
        let (before, after) = (parse_values(&out.path, &before)?, parse_values(&out.path, &after)?);
        Ok(are_close(&before, &after, tolerance))
    }
}

/// Whether two tables have the same keys, numbers that differ by at most `tolerance`, and otherwise the same values.
fn are_close(before: &Value, after: &Value, tolerance: f64) -> bool {
    let (before, after) = (flatten(before), flatten(after));
    before.len() == after.len()
        && before.iter().zip(&after).all(|((key, a), (other, b))| {
            let close = match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() <= tolerance,
                _ => a == b,
            };
            key == other && close
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_may_differ_a_little() {
        let before = json!({"accuracy": 0.91, "model": "a", "epochs": [1, 2]});
        let close = json!({"accuracy": 0.912, "model": "a", "epochs": [1, 2]});
        assert!(are_close(&before, &close, 0.01) && !are_close(&before, &close, 0.001));
        assert!(!are_close(
            &before,
            &json!({"accuracy": 0.91, "model": "b", "epochs": [1, 2]}),
            1.0
        ));
        assert!(!are_close(&before, &json!({"accuracy": 0.91, "model": "a"}), 1.0));
    }
}
