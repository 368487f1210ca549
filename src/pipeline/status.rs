//! Which stages are out of date, for a look at everything.

use super::StageId;
use super::error::{PipelineError, Result};
use super::reason::StaleReason;
use super::session::{Absent, Session};

/// A stage that is out of date.
#[derive(Debug, serde::Serialize)]
pub struct StageStatus {
    /// Which.
    pub stage: StageId,
    /// Whether it is frozen, so that it stays so.
    pub frozen: bool,
    /// Why.
    pub reasons: Vec<StaleReason>,
    /// Why it could not be compared.
    pub problem: Option<String>,
}

impl Session<'_> {
    /// The stages of the repository that are out of date, in the order in which they depend on each other. What is known by
    /// id and not here counts as being here.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn status(&self) -> Result<Vec<StageStatus>> {
        let mut stale = vec![false; self.stages().len()];
        let mut found = Vec::new();
        for at in self.graph.order() {
            let stage = &self.stages()[*at];
            let mut status = StageStatus {
                stage: stage.id.clone(),
                frozen: stage.frozen,
                reasons: Vec::new(),
                problem: None,
            };
            match self.judge(stage, Absent::Allow) {
                Ok(judgement) => {
                    status.reasons = judgement.reasons();
                    if let Some(missing) = judgement.inputs.missing() {
                        status.problem = Some(self.missing(stage, missing).to_string());
                    }
                }
                Err(error @ PipelineError::Values(_)) => status.problem = Some(error.to_string()),
                Err(error) => return Err(error),
            }
            let upstream = self.graph.upstream(*at).iter().filter(|need| stale[**need]);
            let upstream: Vec<StaleReason> = upstream
                .map(|need| StaleReason::Upstream {
                    stage: self.stages()[*need].id.clone(),
                })
                .collect();
            if !upstream.is_empty() {
                // What is missing will be made.
                status.problem = None;
            }
            status.reasons.extend(upstream);
            if stage.always {
                status.reasons.push(StaleReason::Always);
            }
            if !status.reasons.is_empty() || status.problem.is_some() {
                stale[*at] = !stage.frozen;
                found.push(status);
            }
        }
        let _ = self.contents.keep();
        Ok(found)
    }
}
