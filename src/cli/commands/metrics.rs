//! `modver metrics`.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::scope::ScopeArgs;
use crate::cli::ui::table::{Cell, Table};
use crate::cli::ui::values::{self, DiffArgs, DiffShown, FormArgs};
use crate::cli::ui::{Render, Style};
use crate::experiment::{MetricsOutcome, MetricsRequest, metrics_diff, metrics_show};
use crate::pipeline::flatten;

/// Show and compare metrics
///
/// Metrics are the files that stages name as such, or any that are named here: TOML, YAML, JSON, CSV and TSV. Of CSV and
/// TSV the last row counts. Of another version they come from git or, where they are tracked data, from the cache or
/// remote.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver metrics show
  modver metrics show --all-branches
  modver metrics diff
  modver metrics diff main --md")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show the metrics of the workspace, or of other versions
    #[command(after_help = "\
Examples:
  modver metrics show
  modver metrics show eval/metrics.json
  modver metrics show -a -T
  modver metrics show --rev v1.0 --rev main")]
    Show {
        /// Files of metrics, or directories (default: what the stages name)
        #[arg(value_name = "TARGET")]
        targets: Vec<PathBuf>,
        #[command(flatten)]
        scope: ScopeArgs,
        #[command(flatten)]
        form: FormArgs,
    },
    /// Show how metrics differ between two versions
    #[command(after_help = "\
Examples:
  modver metrics diff
  modver metrics diff v1.0 v2.0 --all
  modver metrics diff main...feature --md")]
    Diff(DiffArgs),
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let repository = context.repository()?;
    Ok(match &args.action {
        Action::Show { targets, scope, form } => {
            let request = MetricsRequest {
                targets: targets.clone(),
                scope: scope.scope(false),
            };
            Shown::Metrics {
                outcome: metrics_show(&repository, &request)?,
                form: form.clone(),
            }
        }
        Action::Diff(args) => {
            let outcome = metrics_diff(&repository, &args.request(&repository)?)?;
            Shown::Diff(DiffShown::new(outcome, args, "Metric", "metrics"))
        }
    })
}

/// What was asked for.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    Metrics {
        #[serde(flatten)]
        outcome: MetricsOutcome,
        #[serde(skip)]
        form: FormArgs,
    },
    Diff(DiffShown),
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        match self {
            Self::Metrics { outcome, form } => show(outcome, form, out),
            Self::Diff(diff) => diff.text(out, style),
        }
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        match self {
            Self::Metrics { outcome, .. } => {
                values::problems(&outcome.problems, out, style)?;
                if outcome.versions.is_empty() && outcome.problems.is_empty() {
                    writeln!(out, "no stage names metrics")?;
                    writeln!(out, "hint: modver metrics show FILE")?;
                }
                Ok(())
            }
            Self::Diff(diff) => diff.notes(out, style),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Metrics { outcome, .. } => values::exit(&outcome.problems),
            Self::Diff(diff) => diff.exit(),
        }
    }
}

/// A row for each file of each version, a column for each metric.
fn show(outcome: &MetricsOutcome, form: &FormArgs, out: &mut dyn Write) -> io::Result<()> {
    let mut keys: Vec<String> = Vec::new();
    for file in outcome.versions.iter().flat_map(|version| &version.metrics) {
        for (key, _) in flatten(&file.values) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    let with_revs = outcome.versions.len() > 1 || outcome.versions.iter().any(|version| version.commit.is_some());
    let heads = with_revs
        .then_some("Revision")
        .into_iter()
        .chain(["Path"])
        .map(str::to_owned);
    let mut table = Table::new(heads.chain(keys.iter().map(|key| values::key(key).to_owned())));
    for version in &outcome.versions {
        for file in &version.metrics {
            let leaves = flatten(&file.values);
            let mut row = Vec::new();
            row.extend(with_revs.then(|| Cell::text(version.rev.as_str())));
            row.push(Cell::text(file.path.to_string()));
            row.extend(keys.iter().map(|key| {
                let value = leaves.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
                Cell::value(value, form.precision)
            }));
            table.row(row);
        }
    }
    table.write(out, form.md)
}
