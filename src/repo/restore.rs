//! `checkout --rev`: old data beside new code.

use std::collections::HashSet;
use std::path::PathBuf;

use super::checkout::note_plan;
use super::{CheckoutOptions, CheckoutOutcome, Output, RepoError, Repository, Result, Selected, Target};
use crate::fs;
use crate::git::{Pointer, PointerContent};
use crate::object::Node;
use crate::path::RepoPath;
use crate::progress::Phase;
use crate::workspace::CheckoutPlan;

impl Repository {
    /// Brings targets to what they are in a revision. The caller holds the workspace lock.
    pub(super) fn checkout_at(&self, rev: &str, options: &CheckoutOptions) -> Result<CheckoutOutcome> {
        if options.targets.is_empty() {
            return Err(RepoError::NoTarget { rev: rev.to_owned() });
        }
        let (Selected { targets, broken }, untracked) = self.targets_of(rev, &options.targets)?;
        let mut plans = Vec::with_capacity(targets.len());
        let mut outputs = Vec::new();
        self.progress.start(Phase::Scanning, 0, 0);
        for target in targets {
            let mut plan = self.plan_checkout(&target, options.force);
            if untracked.contains(&target.output.path) {
                // These are the user's files now: no checkout may take them away because no pointer names them.
                plan = plan.map(|plan| plan.map(CheckoutPlan::unrecorded));
                if matches!(plan, Ok(None)) && !options.dry_run {
                    fs::remove_file(&self.state_file(&target.output.path))?;
                }
            }
            note_plan(target.output.path, false, plan, &mut plans, &mut outputs)?;
        }
        let mut outputs = self.execute_all(plans, outputs, options)?;
        for output in outputs.iter_mut().filter(|output| untracked.contains(&output.path)) {
            output.tracked = false;
        }
        Ok(CheckoutOutcome {
            outputs,
            rev: Some(rev.to_owned()),
            broken,
            dry_run: options.dry_run,
        })
    }

    /// What the user means as it is in a revision, as targets of the outputs there are now; and which of them are not
    /// tracked now.
    fn targets_of(&self, rev: &str, inputs: &[PathBuf]) -> Result<(Selected, HashSet<RepoPath>)> {
        let now = self.outputs()?.outputs;
        let mut untracked = HashSet::new();
        let mut targets = Vec::new();
        let selected = self.select_at(Some(rev), inputs)?.1;
        for target in selected.targets {
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
                let Some(known) = now.iter().find(|now| now.path == path) else {
                    self.tracked_node(output, &path)?;
                    alone.push(part);
                    continue;
                };
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
                        mode: known.mode.clone(),
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
        let selected = Selected {
            targets,
            broken: selected.broken,
        };
        Ok((selected, untracked))
    }
}
