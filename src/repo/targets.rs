//! What users name on the command line, as outputs and parts of them.

use std::path::{Path, PathBuf};

use super::{Output, RepoError, Repository, Result};
use crate::fs;
use crate::git;
use crate::path::RepoPath;

/// An output, or parts of one.
#[derive(Debug, Clone)]
pub struct Target {
    /// The output.
    pub output: Output,
    /// Paths inside it; none means all of it.
    pub parts: Vec<RepoPath>,
    /// Whether the user named it (rather than a directory above it, or nothing).
    pub named: bool,
}

impl Repository {
    /// What the user typed, as a path in the repository.
    ///
    /// # Errors
    /// When it is outside.
    pub fn path_of(&self, input: &Path) -> Result<RepoPath> {
        // An absolute path may lead here by links; where the user stands is resolved already.
        let resolved = match (input.is_absolute(), input.parent(), input.file_name()) {
            (true, Some(parent), Some(name)) => fs::canonicalize(parent).ok().map(|parent| parent.join(name)),
            _ => None,
        };
        let input = resolved.as_deref().unwrap_or(input);
        Ok(RepoPath::from_user(input, &self.cwd, self.root())?)
    }

    /// The outputs that the user means: by their own path, their pointer's, a path inside them, or a directory they are
    /// in. No targets mean all outputs.
    ///
    /// # Errors
    /// When a target is none of these, or a pointer cannot be read.
    pub fn targets(&self, inputs: &[PathBuf]) -> Result<Vec<Target>> {
        self.select(&self.outputs()?.sound()?, inputs)
    }

    /// As [`Repository::targets`], for what is done to files beside outputs: transparent files have none. `instead` is
    /// what git does to one that is named.
    pub(crate) fn targets_beside(&self, inputs: &[PathBuf], instead: &'static str) -> Result<Vec<Target>> {
        let mut targets = self.targets(inputs)?;
        let named = |target: &&Target| target.named && target.output.is_transparent();
        if let Some(target) = targets.iter().find(named) {
            return Err(RepoError::IsTransparent {
                path: target.output.path.clone(),
                instead,
            });
        }
        targets.retain(|target| !target.output.is_transparent());
        Ok(targets)
    }

    /// As [`Repository::targets`], of these outputs.
    pub(crate) fn select(&self, outputs: &[Output], inputs: &[PathBuf]) -> Result<Vec<Target>> {
        let mut targets: Vec<Target> = Vec::new();
        if inputs.is_empty() {
            return Ok(outputs
                .iter()
                .map(|output| Target {
                    output: output.clone(),
                    parts: Vec::new(),
                    named: false,
                })
                .collect());
        }
        for input in inputs {
            let typed = self.path_of(input)?;
            let stem = git::output_path(&typed).filter(|stem| outputs.iter().any(|output| output.path == *stem));
            let path = stem.unwrap_or(typed);
            let before = targets.len();
            let mut known = false;
            for output in outputs {
                let (part, named) = if let Some(inside) = path.strip_prefix(&output.path) {
                    (inside, true)
                } else if output.path.starts_with(&path) {
                    (RepoPath::root(), false)
                } else {
                    continue;
                };
                known = true;
                merge(&mut targets, output, part, named);
            }
            if !known && targets.len() == before {
                let nearest = nearest(&path, outputs);
                return Err(RepoError::NotTracked { path, nearest });
            }
        }
        targets.sort_by(|a, b| a.output.path.cmp(&b.output.path));
        Ok(targets)
    }
}

fn merge(targets: &mut Vec<Target>, output: &Output, part: RepoPath, named: bool) {
    let whole = part.is_root();
    match targets.iter_mut().find(|target| target.output.path == output.path) {
        None => targets.push(Target {
            output: output.clone(),
            parts: if whole { Vec::new() } else { vec![part] },
            named,
        }),
        Some(target) => {
            target.named |= named;
            if whole {
                target.parts.clear();
            } else if !target.parts.is_empty() && !target.parts.contains(&part) {
                target.parts.push(part);
            }
        }
    }
}

/// The output whose path is most like `path`, if one is.
fn nearest(path: &RepoPath, outputs: &[Output]) -> Option<RepoPath> {
    let names: Vec<String> = outputs.iter().map(|output| output.path.to_string()).collect();
    let found = crate::config::nearest(&path.to_string(), names.iter().map(String::as_str))?;
    let at = names.iter().position(|name| name == found)?;
    Some(outputs[at].path.clone())
}
