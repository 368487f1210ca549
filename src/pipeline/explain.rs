//! All that differs between a stage as it is now and as it last ran.

use std::collections::BTreeMap;

use super::definition::SelectOptions;
use super::error::Result;
use super::inputs::node_of;
use super::reason::{Difference, StaleReason};
use super::session::{Absent, Session};
use super::{Reach, StageId};
use crate::path::RepoPath;
use crate::repo::FileDifference;

/// All that differs.
#[derive(Debug, serde::Serialize)]
pub struct Explanation {
    /// The stage.
    pub stage: StageId,
    /// What differs; empty: it is up to date.
    pub reasons: Vec<StaleReason>,
    /// For directories that changed, the files in them, where the listing of the last run is in the cache or was kept.
    pub files: BTreeMap<RepoPath, Vec<FileDifference>>,
    /// What is in directories that it depends on and does not count: ignored there, or never an input.
    pub left_out: Vec<RepoPath>,
}

impl Session<'_> {
    /// Says all that differs between a stage and its last run.
    ///
    /// # Errors
    /// When there is no such stage, or something cannot be read.
    pub fn explain(&self, stage: &str) -> Result<Explanation> {
        let select = SelectOptions {
            reach: Reach::Single,
            ..SelectOptions::default()
        };
        let mut reasons = Vec::new();
        let mut files = BTreeMap::new();
        let chosen = self.select(&[stage.to_owned()], select)?;
        let [at] = chosen[..] else {
            return Err(super::PipelineError::SeveralStages {
                target: stage.to_owned(),
                first: self.stages()[chosen[0]].id.clone(),
            });
        };
        let stage = &self.stages()[at];
        let judgement = self.judge(stage, Absent::Refuse)?;
        if stage.always {
            reasons.push(StaleReason::Always);
        }
        reasons.extend(judgement.reasons());
        if let Some(locked) = &judgement.locked {
            for reason in &reasons {
                let (path, before) = match reason {
                    StaleReason::Dep {
                        path,
                        change: Difference::Modified,
                    } => (path, locked.deps.get(path).map(|dep| node_of(dep.content, dep.size))),
                    StaleReason::Out {
                        path,
                        change: Difference::Modified,
                    } => (path, locked.outs.get(path).map(|out| node_of(out.content, out.size))),
                    _ => continue,
                };
                let Some(before) = before else { continue };
                let changes = match self.contents.differences(path, &before)? {
                    None => self.contents.kept_differences(&stage.id.to_string(), path, &before)?,
                    changes => changes,
                };
                if let Some(changes) = changes {
                    files.insert(path.clone(), changes);
                }
            }
        }
        let mut left_out = Vec::new();
        for path in &stage.deps {
            left_out.extend(self.contents.left_out(path)?);
        }
        Ok(Explanation {
            stage: stage.id.clone(),
            reasons,
            files,
            left_out,
        })
    }

    /// The stages that the user means, in the order in which they depend on each other.
    ///
    /// # Errors
    /// When a target is none.
    pub fn select(&self, targets: &[String], options: SelectOptions) -> Result<Vec<usize>> {
        Ok(self.pipelines.select(&self.graph, targets, &self.cwd()?, options)?)
    }
}
