//! `params diff`.

use serde_json::Value;

use super::declared::Keys;
use super::diff::Leaves;
use super::metrics::{self, DiffRequest};
use super::snapshot::{Found, Problem, Snapshot, is_fatal};
use super::{ExperimentError, Result, ValuesDiff};
use crate::path::RepoPath;
use crate::pipeline::{flatten, lookup, parse_values};
use crate::repo::Repository;

/// Which parameters to compare.
#[derive(Debug, Clone, Default)]
pub struct ParamsRequest {
    /// Which versions and files; targets are files of parameters.
    pub diff: DiffRequest,
    /// Only the parameters that a stage names.
    pub only_deps: bool,
}

/// Compares parameters of two versions: all of each `params.toml` beside a project file, and what stages name of other
/// files.
///
/// # Errors
/// When a target is nowhere, a revision is not known, or stages cannot be read.
pub fn params_diff(repository: &Repository, request: &ParamsRequest) -> Result<ValuesDiff> {
    let targets = metrics::paths(repository, &request.diff.targets)?;
    let from = Snapshot::of(repository, Some(request.diff.from.as_deref().unwrap_or("HEAD")))?;
    let to = Snapshot::of(repository, request.diff.to.as_deref())?;
    let before = of_version(&from, &targets, request.only_deps)?;
    let after = of_version(&to, &targets, request.only_deps)?;
    metrics::diff(&from, &to, before, after, &targets, request.diff.all)
}

fn of_version(snapshot: &Snapshot<'_>, targets: &[RepoPath], only_deps: bool) -> Result<(Leaves, Vec<Problem>)> {
    let declared = match snapshot.declared() {
        Ok(declared) => Some(declared),
        // What is named can be read even where the stages cannot.
        Err(_) if !targets.is_empty() && !only_deps => None,
        Err(error) => return Err(error),
    };
    let mut files = declared.map(|declared| declared.params(only_deps)).unwrap_or_default();
    if !targets.is_empty() {
        files.retain(|path, _| targets.iter().any(|target| path.starts_with(target)));
        for target in targets.iter().filter(|_| !only_deps) {
            if !files.keys().any(|path| path.starts_with(target)) {
                files.insert(target.clone(), Keys::All);
            }
        }
    }
    let (mut leaves, mut problems) = (Leaves::new(), Vec::new());
    for (path, keys) in files {
        let read = snapshot.read(&path).and_then(|found| match found {
            Found::File(bytes) => Ok(Some(parse_values(&path, &bytes)?)),
            Found::Dir(_) => Err(ExperimentError::Unknown { path: path.clone() }),
            Found::Absent => Ok(None),
        });
        match read {
            Ok(Some(values)) => {
                leaves.insert(path, chosen(&values, &keys));
            }
            // The default file need not be there.
            Ok(None) => {
                let named = targets.contains(&path) || declared.is_some_and(|declared| declared.names_params(&path));
                problems.extend(named.then(|| snapshot.missing(&path)));
            }
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) => problems.push(snapshot.unreadable(Some(&path), &error)),
        }
    }
    Ok((leaves, problems))
}

/// The values that are meant, as leaves.
fn chosen(values: &Value, keys: &Keys) -> Vec<(String, Value)> {
    let keys = match keys {
        Keys::All => return metrics::leaves(values),
        Keys::Some(keys) => keys,
    };
    let mut leaves = Vec::new();
    for key in keys {
        let Some(value) = lookup(values, key) else { continue };
        for (below, value) in flatten(value) {
            let key = match below.as_str() {
                "" => key.clone(),
                below if below.starts_with('[') => format!("{key}{below}"),
                below => format!("{key}.{below}"),
            };
            leaves.push((key, value.clone()));
        }
    }
    leaves
}
