//! `metrics show` and `metrics diff`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use super::declared::Declared;
use super::diff::{Leaves, compare};
use super::snapshot::{Found, Problem, ProblemKind, Snapshot, is_fatal};
use super::table::extension;
use super::{ExperimentError, Result, ValuesDiff, values};
use crate::git::Scope;
use crate::path::RepoPath;
use crate::pipeline::flatten;
use crate::repo::Repository;

/// Which metrics to show.
#[derive(Debug, Clone, Default)]
pub struct MetricsRequest {
    /// Files of metrics, or directories; none: what the stages name.
    pub targets: Vec<PathBuf>,
    /// Of which versions.
    pub scope: Scope,
}

/// The values in a file.
#[derive(Debug, serde::Serialize)]
pub struct FileValues {
    /// The file.
    pub path: RepoPath,
    /// What is in it.
    pub values: Value,
}

/// The metrics of a version.
#[derive(Debug, serde::Serialize)]
pub struct VersionMetrics {
    /// As people call it: `workspace`, a branch, a tag, the beginning of a commit.
    pub rev: String,
    /// The commit; `null` for the workspace.
    pub commit: Option<String>,
    /// By path.
    pub metrics: Vec<FileValues>,
}

/// The metrics of versions.
#[derive(Debug, serde::Serialize)]
pub struct MetricsOutcome {
    /// Each version that has metrics.
    pub versions: Vec<VersionMetrics>,
    /// What could not be shown.
    pub problems: Vec<Problem>,
}

/// Which versions to compare.
#[derive(Debug, Clone, Default)]
pub struct DiffRequest {
    /// The first; none: `HEAD`.
    pub from: Option<String>,
    /// The second; none: the workspace.
    pub to: Option<String>,
    /// Files, or directories; none: what the stages name.
    pub targets: Vec<PathBuf>,
    /// Also what is the same.
    pub all: bool,
}

/// Reads metrics.
///
/// # Errors
/// When a target is nowhere, a revision is not known, or the stages of the only version cannot be read.
pub fn metrics_show(repository: &Repository, request: &MetricsRequest) -> Result<MetricsOutcome> {
    let targets = paths(repository, &request.targets)?;
    let snapshots = Snapshot::all(repository, &request.scope)?;
    let only = snapshots.len() == 1;
    let mut outcome = MetricsOutcome {
        versions: Vec::new(),
        problems: Vec::new(),
    };
    for snapshot in &snapshots {
        repository.progress().check().map_err(crate::repo::RepoError::from)?;
        let metrics = match of_version(snapshot, &targets, &mut outcome.problems) {
            Ok(metrics) => metrics,
            Err(error) if only || is_fatal(&error) => return Err(error),
            Err(error) => {
                outcome.problems.push(snapshot.unreadable(None, &error));
                continue;
            }
        };
        if !metrics.is_empty() {
            outcome.versions.push(VersionMetrics {
                rev: snapshot.name.clone(),
                commit: snapshot.commit.clone(),
                metrics,
            });
        }
    }
    let is_shown = |target: &RepoPath| {
        let mut shown = outcome.versions.iter().flat_map(|version| &version.metrics);
        shown.any(|file| file.path.starts_with(target))
    };
    let is_damaged = |target: &RepoPath| {
        let mut damaged = outcome.problems.iter().filter(|p| p.kind == ProblemKind::Unreadable);
        damaged.any(|problem| problem.path.as_ref().is_some_and(|path| path.starts_with(target)))
    };
    match targets
        .into_iter()
        .find(|target| !is_shown(target) && !is_damaged(target))
    {
        Some(path) => Err(ExperimentError::Unknown { path }),
        None => Ok(outcome),
    }
}

/// Compares the metrics of two versions.
///
/// # Errors
/// As [`metrics_show`].
pub fn metrics_diff(repository: &Repository, request: &DiffRequest) -> Result<ValuesDiff> {
    let targets = paths(repository, &request.targets)?;
    let from = Snapshot::of(repository, Some(request.from.as_deref().unwrap_or("HEAD")))?;
    let to = Snapshot::of(repository, request.to.as_deref())?;
    let read = |snapshot: &Snapshot<'_>| -> Result<(Leaves, Vec<Problem>)> {
        let mut problems = Vec::new();
        let metrics = of_version(snapshot, &targets, &mut problems)?;
        let leaves = metrics.into_iter().map(|file| (file.path, leaves(&file.values)));
        Ok((leaves.collect(), problems))
    };
    let (before, after) = (read(&from)?, read(&to)?);
    diff(&from, &to, before, after, &targets, request.all)
}

/// What both kinds of `diff` end with.
pub(super) fn diff(
    from: &Snapshot<'_>,
    to: &Snapshot<'_>,
    (before, mut problems): (Leaves, Vec<Problem>),
    (after, more): (Leaves, Vec<Problem>),
    targets: &[RepoPath],
    all: bool,
) -> Result<ValuesDiff> {
    problems.extend(more);
    let files: BTreeSet<&RepoPath> = before.keys().chain(after.keys()).collect();
    let known = |target: &RepoPath| {
        let mut unreadable = problems.iter().filter(|p| p.kind == ProblemKind::Unreadable);
        files.iter().any(|file| file.starts_with(target))
            || unreadable.any(|problem| problem.path.as_ref().is_some_and(|path| path.starts_with(target)))
    };
    if let Some(target) = targets.iter().find(|target| !known(target)) {
        return Err(ExperimentError::Unknown { path: target.clone() });
    }
    // What one of the two does not have yet, or no more, is a difference; what neither has was asked for in vain.
    for problem in &mut problems {
        let has_it = problem.path.as_ref().is_some_and(|path| files.contains(path));
        problem.counts &= !(problem.kind == ProblemKind::Missing && has_it);
    }
    Ok(ValuesDiff {
        from: from.name.clone(),
        to: to.name.clone(),
        changes: compare(&before, &after, all),
        problems,
        files: files.len(),
    })
}

/// The paths that the user typed.
pub(super) fn paths(repository: &Repository, targets: &[PathBuf]) -> Result<Vec<RepoPath>> {
    let paths = targets.iter().map(|target| Ok(repository.path_of(target)?));
    paths.collect()
}

/// The values of a file that have no values in them, with their keys.
pub(super) fn leaves(values: &Value) -> Vec<(String, Value)> {
    // A file without values has no leaf, rather than one that is nothing.
    if values.is_null() || values.as_object().is_some_and(serde_json::Map::is_empty) {
        return Vec::new();
    }
    let leaves = flatten(values).into_iter();
    leaves.map(|(key, value)| (key, value.clone())).collect()
}

fn of_version(snapshot: &Snapshot<'_>, targets: &[RepoPath], problems: &mut Vec<Problem>) -> Result<Vec<FileValues>> {
    let declared = if targets.is_empty() {
        snapshot.declared()?.metrics()
    } else {
        // What is named can be read even where the stages cannot.
        snapshot.declared().map(Declared::metrics).unwrap_or_default()
    };
    let mut wanted: Vec<RepoPath> = Vec::new();
    if targets.is_empty() {
        wanted.extend(declared.iter().cloned());
    }
    for target in targets {
        let below = declared.iter().filter(|path| path.starts_with(target));
        let before = wanted.len();
        wanted.extend(below.cloned());
        if wanted.len() == before {
            wanted.push(target.clone());
        }
    }
    let mut metrics = Vec::new();
    let mut read = |path: &RepoPath, bytes: &[u8], problems: &mut Vec<Problem>| match values::metrics(path, bytes) {
        Ok(values) => metrics.push(FileValues {
            path: path.clone(),
            values,
        }),
        Err(error) => problems.push(snapshot.unreadable(Some(path), &error)),
    };
    for path in &wanted {
        match snapshot.read(path) {
            Ok(Found::File(bytes)) => read(path, &bytes, problems),
            Ok(Found::Dir(files)) => {
                for file in files.iter().filter(|file| is_metrics(file)) {
                    match snapshot.read(file) {
                        Ok(Found::File(bytes)) => read(file, &bytes, problems),
                        Ok(_) => {}
                        Err(error) if is_fatal(&error) => return Err(error),
                        Err(error) => problems.push(snapshot.unreadable(Some(file), &error)),
                    }
                }
            }
            Ok(Found::Absent) => problems.push(snapshot.missing(path)),
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) => problems.push(snapshot.unreadable(Some(path), &error)),
        }
    }
    metrics.sort_by(|a, b| a.path.cmp(&b.path));
    metrics.dedup_by(|a, b| a.path == b.path);
    Ok(metrics)
}

/// Whether a file in a directory of metrics has metrics, by the end of its name.
fn is_metrics(path: &RepoPath) -> bool {
    matches!(
        extension(path).as_deref(),
        Some("json" | "yaml" | "yml" | "toml" | "csv" | "tsv")
    )
}
