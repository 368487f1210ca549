//! What users name on the command line, as outputs and parts of them.

use std::path::{Path, PathBuf};

use super::{BrokenPointer, Output, OutputMode, Outputs, RepoError, Repository, Result};
use crate::fs;
use crate::git::{self, PointerError};
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
    /// One commit that has this version of it; `None` for what the work tree has.
    pub commit: Option<String>,
}

/// What the user named.
#[derive(Debug, Default)]
pub struct Selected {
    /// The outputs, by path.
    pub targets: Vec<Target>,
    /// Pointers among them that cannot be read: what they stand for is left alone.
    pub broken: Vec<BrokenPointer>,
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
    /// When a target is none of these, or its own pointer cannot be read.
    pub fn targets(&self, inputs: &[PathBuf]) -> Result<Selected> {
        self.select_among(self.outputs()?, inputs, &[])
    }

    /// As [`Repository::targets`], of these outputs. A target that means one of the paths `also` need not mean an output.
    pub(crate) fn select_among(&self, mut found: Outputs, inputs: &[PathBuf], also: &[RepoPath]) -> Result<Selected> {
        let mut broken: Vec<BrokenPointer> = Vec::new();
        let mut rest = Vec::new();
        for input in inputs {
            let path = self.path_of(input)?;
            let stands_for =
                |error: &PointerError| git::output_path(&error.path).unwrap_or_else(|| error.path.clone());
            let is_named = |error: &PointerError| error.path == path || path.starts_with(&stands_for(error));
            if let Some(at) = found.broken.iter().position(is_named) {
                return Err(found.broken.swap_remove(at).into());
            }
            let below = found.broken.iter().filter(|error| stands_for(error).starts_with(&path));
            let before = broken.len();
            broken.extend(below.map(BrokenPointer::from));
            let known = broken.len() > before || self.is_among(also, &path);
            if !known || found.outputs.iter().any(|output| output.path.starts_with(&path)) {
                rest.push(input.clone());
            }
        }
        if inputs.is_empty() {
            broken.extend(found.broken.iter().map(BrokenPointer::from));
        }
        broken.sort_by(|a, b| a.path.cmp(&b.path));
        broken.dedup_by(|a, b| a.path == b.path);
        let targets = if inputs.is_empty() || !rest.is_empty() {
            self.select(&found.outputs, &rest)
                .map_err(|error| found.explain(error))?
        } else {
            Vec::new()
        };
        Ok(Selected { targets, broken })
    }

    /// Whether a target means one of these: by its own path, its pointer's, or a directory it is in.
    pub(crate) fn is_among<'a>(&self, paths: impl IntoIterator<Item = &'a RepoPath>, target: &RepoPath) -> bool {
        let stem = git::output_path(target);
        paths
            .into_iter()
            .any(|path| path.starts_with(target) || stem.as_ref() == Some(path))
    }

    /// Those that the targets mean; no targets mean all.
    pub(crate) fn meant<T>(
        &self,
        all: Vec<T>,
        inputs: &[PathBuf],
        path_of: impl Fn(&T) -> &RepoPath,
    ) -> Result<Vec<T>> {
        let inputs = inputs
            .iter()
            .map(|input| self.path_of(input))
            .collect::<Result<Vec<_>>>()?;
        let is_meant = |one: &T| inputs.is_empty() || inputs.iter().any(|input| self.is_among([path_of(one)], input));
        Ok(all.into_iter().filter(is_meant).collect())
    }

    /// As [`Repository::targets`], of these outputs alone, which may be versions of one.
    pub(crate) fn select(&self, outputs: &[Output], inputs: &[PathBuf]) -> Result<Vec<Target>> {
        if inputs.is_empty() {
            return Ok(outputs
                .iter()
                .map(|output| Target {
                    output: output.clone(),
                    parts: Vec::new(),
                    named: false,
                    commit: None,
                })
                .collect());
        }
        let mut targets: Vec<Option<Target>> = vec![None; outputs.len()];
        for input in inputs {
            let typed = self.path_of(input)?;
            let stem = git::output_path(&typed).filter(|stem| outputs.iter().any(|output| output.path == *stem));
            let path = stem.unwrap_or(typed);
            let mut known = false;
            for (output, target) in outputs.iter().zip(&mut targets) {
                let (part, named) = if let Some(inside) = path.strip_prefix(&output.path) {
                    (inside, true)
                } else if output.path.starts_with(&path) {
                    (RepoPath::root(), false)
                } else {
                    continue;
                };
                known = true;
                merge(target, output, part, named);
            }
            if !known {
                let nearest = nearest(&path, outputs);
                return Err(RepoError::NotTracked { path, nearest });
            }
        }
        let mut targets: Vec<Target> = targets.into_iter().flatten().collect();
        targets.sort_by(|a, b| a.output.path.cmp(&b.output.path));
        Ok(targets)
    }
}

/// These targets, for what is done to pointers beside outputs: transparent files and outputs of stages have none.
/// `instead` is what git does to a transparent file that was named, which is refused, as is an output of a stage.
pub(crate) fn beside(mut targets: Vec<Target>, instead: &'static str) -> Result<Vec<Target>> {
    let named = |target: &&Target| target.named && target.output.is_transparent();
    if let Some(target) = targets.iter().find(named) {
        return Err(RepoError::IsTransparent {
            path: target.output.path.clone(),
            instead,
        });
    }
    for target in targets.iter().filter(|target| target.named) {
        target.output.without_stage()?;
    }
    targets.retain(|target| matches!(target.output.mode, OutputMode::Beside));
    Ok(targets)
}

fn merge(target: &mut Option<Target>, output: &Output, part: RepoPath, named: bool) {
    let whole = part.is_root();
    match target {
        None => {
            *target = Some(Target {
                output: output.clone(),
                parts: if whole { Vec::new() } else { vec![part] },
                named,
                commit: None,
            });
        }
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
