//! `checkout --rev`: old data beside new code.

use std::collections::HashSet;
use std::path::PathBuf;

use super::checkout::{Plan, note_plan};
use super::{CheckoutOptions, CheckoutOutcome, Output, OutputMode, RepoError, Repository, Result, Selected, Target};
use crate::fs;
use crate::git::{Pointer, PointerContent, TransparentFile, TransparentPointer};
use crate::object::Node;
use crate::path::RepoPath;
use crate::progress::Phase;

impl Repository {
    /// Brings targets to what they are in a revision. The caller holds the workspace lock.
    pub(super) fn checkout_at(&self, rev: &str, options: &CheckoutOptions) -> Result<CheckoutOutcome> {
        if options.targets.is_empty() {
            return Err(RepoError::NoTarget { rev: rev.to_owned() });
        }
        let now = self.outputs()?.outputs;
        let (Selected { targets, broken }, untracked) = self.targets_of(rev, &now, &options.targets)?;
        self.check_not_being_made(targets.iter().map(|target| &target.output.path))?;
        let mut transparent = Vec::new();
        let mut plans = Vec::with_capacity(targets.len());
        let mut outputs = Vec::new();
        self.progress.start(Phase::Scanning, 0, 0);
        for target in targets {
            let target = as_now(target, &now)?;
            if target.output.is_transparent() {
                transparent.push(target);
                continue;
            }
            let mut plan = self.plan_checkout(&target, options.force, false);
            if untracked.contains(&target.output.path) {
                // These are the user's files now: no checkout may take them away because no pointer names them.
                plan = plan.map(|plan| plan.map(Plan::unrecorded));
                if matches!(plan, Ok(None)) && !options.dry_run {
                    fs::remove_file(&self.state_file(&target.output.path))?;
                }
            }
            note_plan(target.output.path, false, plan, &mut plans, &mut outputs)?;
        }
        let mut outputs = self.execute_all(plans, outputs, options)?;
        let written = self.restore_transparent(&transparent, options)?;
        outputs.extend(written.outputs);
        outputs.sort_by(|a, b| a.path.cmp(&b.path));
        for output in outputs.iter_mut().filter(|output| untracked.contains(&output.path)) {
            output.tracked = false;
        }
        Ok(CheckoutOutcome {
            outputs,
            left: written.left,
            rev: Some(rev.to_owned()),
            broken,
            dry_run: options.dry_run,
        })
    }

    /// What the user means as it is in a revision, as targets of the outputs there are now; and which of them are not
    /// tracked now.
    fn targets_of(&self, rev: &str, now: &[Output], inputs: &[PathBuf]) -> Result<(Selected, HashSet<RepoPath>)> {
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

/// An output of a revision in the mode that it has now, if it is an output now: that says who knows of its file.
fn as_now(mut target: Target, now: &[Output]) -> Result<Target> {
    let Some(now) = now.iter().find(|now| now.path == target.output.path) else {
        return Ok(target);
    };
    let output = &mut target.output;
    match (now.is_transparent(), output.is_transparent(), &output.pointer.content) {
        (false, _, _) => output.mode.clone_from(&now.mode),
        (true, true, _) => {}
        (true, false, PointerContent::File { id, executable }) => {
            let pointer = TransparentPointer {
                id: *id,
                size: output.pointer.size,
            };
            let file = TransparentFile::new(output.path.clone(), pointer, *executable);
            output.mode = OutputMode::InPlace(file);
        }
        (true, false, PointerContent::Dir { .. }) => {
            return Err(RepoError::IsDirectory {
                path: output.path.clone(),
            });
        }
    }
    Ok(target)
}
