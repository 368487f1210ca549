//! Plots: rows of CSV, TSV, JSON and YAML as charts, and images, of one or more versions.

mod base64;
mod page;
mod rows;
mod sparkline;
mod template;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::declared::Declared;
use super::snapshot::{Found, Problem, ProblemKind, Snapshot, is_fatal};
use super::table::extension;
use super::{ExperimentError, Result, metrics};
use crate::path::RepoPath;
use crate::pipeline::PlotOptions;
use crate::repo::Repository;

pub use page::page;
pub use sparkline::sparkline;

use rows::Row;
use template::Template;

/// Which plots to draw.
#[derive(Debug, Clone, Default)]
pub struct PlotsRequest {
    /// Files, or directories; none: what the stages name.
    pub targets: Vec<PathBuf>,
    /// The versions, in order; `None`: the workspace.
    pub revs: Vec<Option<String>>,
    /// What goes before the options of the stages.
    pub overrides: PlotOverrides,
}

/// How plots are drawn, whatever the stages say.
#[derive(Debug, Clone, Default)]
pub struct PlotOverrides {
    /// Name of a template, or a file.
    pub template: Option<PathBuf>,
    /// Column of the horizontal axis.
    pub x: Option<String>,
    /// Columns of the vertical axis.
    pub y: Vec<String>,
    /// Heading.
    pub title: Option<String>,
    /// Text at the horizontal axis.
    pub x_label: Option<String>,
    /// Text at the vertical axis.
    pub y_label: Option<String>,
    /// The first row of CSV and TSV is data.
    pub no_header: bool,
}

/// The plots.
#[derive(Debug, serde::Serialize)]
pub struct PlotsOutcome {
    /// The versions, as people call them.
    pub revs: Vec<String>,
    /// By path.
    pub plots: Vec<Plot>,
    /// What could not be drawn.
    pub problems: Vec<Problem>,
}

/// A plot.
#[derive(Debug, serde::Serialize)]
pub struct Plot {
    /// The file.
    pub path: RepoPath,
    /// Its heading.
    pub title: String,
    /// What is drawn.
    #[serde(flatten)]
    pub body: PlotBody,
}

/// What is drawn.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PlotBody {
    /// A chart.
    Chart {
        /// In Vega-Lite, with its data.
        spec: Value,
        /// Its lines.
        #[serde(skip)]
        series: Vec<PlotSeries>,
    },
    /// Images, one for each version that has it.
    Images {
        /// In order of the versions.
        images: Vec<PlotImage>,
    },
}

/// The values of one column in one version.
#[derive(Debug, Clone, PartialEq)]
pub struct PlotSeries {
    /// The version.
    pub rev: String,
    /// The column.
    pub column: String,
    /// The numbers, in order of the rows.
    pub values: Vec<f64>,
}

/// An image.
#[derive(Debug, serde::Serialize)]
pub struct PlotImage {
    /// The version.
    pub rev: String,
    /// Bytes.
    pub size: usize,
    /// As the `src` of an `img`.
    #[serde(skip)]
    pub data: String,
}

/// What was found of one plot.
#[derive(Default)]
struct Gathered {
    options: Option<(PlotOptions, RepoPath)>,
    rows: Vec<(String, Vec<Row>)>,
    images: Vec<PlotImage>,
}

/// Reads and draws.
///
/// # Errors
/// When a target is nowhere, a revision or template is not known, or the stages of the only version cannot be read.
pub fn plots(repository: &Repository, request: &PlotsRequest) -> Result<PlotsOutcome> {
    let targets = metrics::paths(repository, &request.targets)?;
    let overrides = &request.overrides;
    let given = match &overrides.template {
        Some(template) => Some(Template::given(repository, template)?),
        None => None,
    };
    let snapshots = request.revs.iter().map(|rev| Snapshot::of(repository, rev.as_deref()));
    let snapshots = snapshots.collect::<Result<Vec<_>>>()?;
    let (mut gathered, mut problems) = (BTreeMap::new(), Vec::new());
    // The options of the workspace, or else of the last version, count for all.
    for snapshot in snapshots
        .iter()
        .filter(|s| s.commit.is_some())
        .chain(snapshots.iter().filter(|s| s.commit.is_none()))
    {
        let known = if targets.is_empty() {
            snapshot.declared()?.plots()
        } else {
            snapshot.declared().map(Declared::plots).unwrap_or_default()
        };
        gather(
            snapshot,
            known,
            &targets,
            overrides.no_header,
            &mut gathered,
            &mut problems,
        )?;
    }
    let mut outcome = PlotsOutcome {
        revs: snapshots.iter().map(|snapshot| snapshot.name.clone()).collect(),
        plots: Vec::new(),
        problems,
    };
    for (path, mut found) in gathered {
        let order = |rev: &str| outcome.revs.iter().position(|name| name == rev);
        found.rows.sort_by_key(|(rev, _)| order(rev));
        found.images.sort_by_key(|image| order(&image.rev));
        if found.rows.is_empty() && found.images.is_empty() {
            continue;
        }
        let (options, dir) = found.options.take().unwrap_or_default();
        let options = overridden(options, overrides);
        let title = options.title.clone().unwrap_or_else(|| path.to_string());
        if !found.images.is_empty() {
            outcome.plots.push(Plot {
                path,
                title,
                body: PlotBody::Images { images: found.images },
            });
            continue;
        }
        let drawn = match (&given, &options.template) {
            (Some(given), _) => draw(&path, &title, &options, given, found.rows),
            (None, name) => Template::named(repository, name.as_deref(), &dir)
                .and_then(|template| draw(&path, &title, &options, &template, found.rows)),
        };
        match drawn {
            Ok(body) => outcome.plots.push(Plot { path, title, body }),
            Err(error) => outcome
                .problems
                .extend(snapshots.last().map(|s| s.unreadable(Some(&path), &error))),
        }
    }
    let is_known = |target: &&RepoPath| {
        let damaged = |p: &Problem| {
            p.kind == ProblemKind::Unreadable && p.path.as_ref().is_some_and(|path| path.starts_with(target))
        };
        outcome.plots.iter().any(|plot| plot.path.starts_with(target)) || outcome.problems.iter().any(damaged)
    };
    if let Some(target) = targets.iter().find(|target| !is_known(target)) {
        return Err(ExperimentError::Unknown { path: target.clone() });
    }
    // What one version has and another not is drawn.
    for problem in &mut outcome.problems {
        let drawn = |plot: &Plot| Some(&plot.path) == problem.path.as_ref();
        problem.counts &= !(problem.kind == ProblemKind::Missing && outcome.plots.iter().any(drawn));
    }
    Ok(outcome)
}

fn overridden(mut options: PlotOptions, overrides: &PlotOverrides) -> PlotOptions {
    let replace = |option: &mut Option<String>, value: &Option<String>| {
        if value.is_some() {
            option.clone_from(value);
        }
    };
    replace(&mut options.x, &overrides.x);
    replace(&mut options.title, &overrides.title);
    replace(&mut options.x_label, &overrides.x_label);
    replace(&mut options.y_label, &overrides.y_label);
    if !overrides.y.is_empty() {
        options.y.clone_from(&overrides.y);
    }
    options
}

fn gather(
    snapshot: &Snapshot<'_>,
    known: BTreeMap<RepoPath, (PlotOptions, RepoPath)>,
    targets: &[RepoPath],
    no_header: bool,
    gathered: &mut BTreeMap<RepoPath, Gathered>,
    problems: &mut Vec<Problem>,
) -> Result<()> {
    let mut wanted: Vec<(RepoPath, Option<(PlotOptions, RepoPath)>)> = Vec::new();
    for target in targets {
        if !known.keys().any(|path| path.starts_with(target)) {
            // Inside a directory of plots its options count.
            let around = known.iter().find(|(path, _)| target.starts_with(path));
            wanted.push((target.clone(), around.map(|(_, options)| options.clone())));
        }
    }
    for (path, options) in known {
        if targets.is_empty() || targets.iter().any(|target| path.starts_with(target)) {
            wanted.push((path, Some(options)));
        }
    }
    for (path, options) in wanted {
        match snapshot.read(&path) {
            Ok(Found::File(bytes)) => take(snapshot, &path, &bytes, options.as_ref(), no_header, gathered, problems),
            Ok(Found::Dir(files)) => {
                for file in files.iter().filter(|file| is_plot(file)) {
                    match snapshot.read(file) {
                        Ok(Found::File(bytes)) => {
                            take(snapshot, file, &bytes, options.as_ref(), no_header, gathered, problems);
                        }
                        Ok(_) => {}
                        Err(error) if is_fatal(&error) => return Err(error),
                        Err(error) => problems.push(snapshot.unreadable(Some(file), &error)),
                    }
                }
            }
            Ok(Found::Absent) => problems.push(snapshot.missing(&path)),
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) => problems.push(snapshot.unreadable(Some(&path), &error)),
        }
    }
    Ok(())
}

fn is_plot(path: &RepoPath) -> bool {
    mime(path).is_some()
        || matches!(
            extension(path).as_deref(),
            Some("csv" | "tsv" | "json" | "yaml" | "yml")
        )
}

/// What kind of image a file is, by the end of its name.
fn mime(path: &RepoPath) -> Option<&'static str> {
    match extension(path)?.as_str() {
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        "gif" => Some("image/gif"),
        "webp" => Some("image/webp"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

fn take(
    snapshot: &Snapshot<'_>,
    path: &RepoPath,
    bytes: &[u8],
    options: Option<&(PlotOptions, RepoPath)>,
    no_header: bool,
    gathered: &mut BTreeMap<RepoPath, Gathered>,
    problems: &mut Vec<Problem>,
) {
    let header = !no_header && options.is_none_or(|(options, _)| options.header);
    let rows = if mime(path).is_some() {
        None
    } else {
        match rows::read(path, bytes, header) {
            Ok(rows) => Some(rows),
            Err(error) => {
                problems.push(snapshot.unreadable(Some(path), &error));
                return;
            }
        }
    };
    let plot = gathered.entry(path.clone()).or_default();
    if let Some(options) = options {
        plot.options = Some(options.clone());
    }
    match (rows, mime(path)) {
        (Some(rows), _) => plot.rows.push((snapshot.name.clone(), rows)),
        (None, mime) => plot.images.push(PlotImage {
            rev: snapshot.name.clone(),
            size: bytes.len(),
            data: format!("data:{};base64,{}", mime.unwrap_or_default(), base64::encode(bytes)),
        }),
    }
}

fn draw(
    path: &RepoPath,
    title: &str,
    options: &PlotOptions,
    template: &Template,
    rows: Vec<(String, Vec<Row>)>,
) -> Result<PlotBody> {
    let points = rows::Points::new(path, options, template.is_matrix(), rows)?;
    let series = points.series();
    Ok(PlotBody::Chart {
        spec: template.fill(title, options, points)?,
        series,
    })
}
