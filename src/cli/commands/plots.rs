//! `modver plots`.

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::human::count;
use crate::cli::ui::table::number;
use crate::cli::ui::{Render, Style, values};
use crate::experiment::{PlotBody, PlotOverrides, PlotSeries, PlotsOutcome, PlotsRequest, page, plots, sparkline};
use crate::fs;
use crate::git::Compared;
use crate::repo::{RepoError, Repository};

/// Where the page is written if nothing else is said, relative to the root of the repository.
const OUT_DIR: &str = "modver_plots";
const OUT_FILE: &str = "index.html";
/// Characters of a line of bars.
const BARS: usize = 40;

/// Draw plots of one version or several
///
/// Plots are the files that stages name as such, or any that are named here: rows of CSV, TSV, JSON and YAML as charts, and
/// images. They are written into one HTML file that needs no network. On a terminal, and with --text, each line of
/// numbers is also shown as a line of bars.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver plots show
  modver plots show loss.csv -x epoch -y train -y valid
  modver plots diff main
  modver plots diff v1.0 v2.0 -o compare.html")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Draw the plots of the workspace
    #[command(after_help = "\
Examples:
  modver plots show
  modver plots show predictions.csv -t confusion -x actual -y predicted
  modver plots show --text")]
    Show {
        /// Files, or directories (default: what the stages name)
        #[arg(value_name = "TARGET")]
        targets: Vec<PathBuf>,
        #[command(flatten)]
        form: FormArgs,
    },
    /// Draw the plots of several versions together
    #[command(after_help = "\
Examples:
  modver plots diff
  modver plots diff main feature
  modver plots diff v1.0 --targets loss.csv")]
    Diff {
        /// Revisions; one alone is compared with the workspace (default: HEAD)
        #[arg(value_name = "REV")]
        revs: Vec<String>,
        /// Only these files, or the files in these directories. May be given more than once
        #[arg(long, value_name = "PATH", num_args = 1..)]
        targets: Vec<PathBuf>,
        #[command(flatten)]
        form: FormArgs,
    },
}

#[derive(Debug, clap::Args)]
struct FormArgs {
    /// The HTML file to write (default: modver_plots/index.html, which git ignores)
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Show lines of bars; write no file unless -o names it
    #[arg(long)]
    text: bool,
    /// linear, simple, smooth, scatter, bar_horizontal, bar_horizontal_sorted, confusion, confusion_normalized, or a file
    /// of Vega-Lite with places such as <MV_DATA>
    #[arg(short, long, value_name = "TEMPLATE")]
    template: Option<PathBuf>,
    /// The column of the horizontal axis (default: the number of the row)
    #[arg(short, value_name = "COLUMN")]
    x: Option<String>,
    /// The column of the vertical axis (default: the last one). May be given more than once
    #[arg(short, value_name = "COLUMN")]
    y: Vec<String>,
    /// The heading
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// The text at the horizontal axis
    #[arg(long, value_name = "TEXT")]
    x_label: Option<String>,
    /// The text at the vertical axis
    #[arg(long, value_name = "TEXT")]
    y_label: Option<String>,
    /// The first row of CSV and TSV is data; columns are called 0, 1 and so on
    #[arg(long)]
    no_header: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let repository = context.repository()?;
    let (targets, revs, form) = match &args.action {
        Action::Show { targets, form } => (targets, vec![None], form),
        Action::Diff { revs, targets, form } => (targets, versions(&repository, revs)?, form),
    };
    let request = PlotsRequest {
        targets: targets.clone(),
        revs,
        overrides: PlotOverrides {
            template: form.template.clone(),
            x: form.x.clone(),
            y: form.y.clone(),
            title: form.title.clone(),
            x_label: form.x_label.clone(),
            y_label: form.y_label.clone(),
            no_header: form.no_header,
        },
    };
    let outcome = plots(&repository, &request)?;
    let mut file = None;
    if !outcome.plots.is_empty() && (form.out.is_some() || !(form.text || context.json)) {
        file = Some(write(&repository, context, form.out.as_deref(), &outcome)?);
    }
    Ok(Shown {
        outcome,
        file: file.map(|file| file.to_string_lossy().into_owned()),
        bars: form.text || io::stdout().is_terminal(),
    })
}

/// The versions that are drawn together.
fn versions(repository: &Repository, revs: &[String]) -> Result<Vec<Option<String>>, CliError> {
    Ok(match revs {
        [] => vec![Some("HEAD".to_owned()), None],
        [one] => match repository.git().compared(one).map_err(RepoError::from)? {
            Compared::One(rev) => vec![Some(rev), None],
            Compared::Two(from, to) => vec![Some(from), Some(to)],
        },
        several => several.iter().cloned().map(Some).collect(),
    })
}

fn write(
    repository: &Repository,
    context: &Context,
    out: Option<&Path>,
    outcome: &PlotsOutcome,
) -> Result<PathBuf, CliError> {
    let file = match out {
        Some(out) => context.cwd.join(out),
        None => {
            let dir = repository.root().join(OUT_DIR);
            fs::create_dir_all(&dir)?;
            let ignore = dir.join(".gitignore");
            if fs::stat(&ignore)?.is_none() {
                fs::write_atomic(&ignore, b"*\n")?;
            }
            dir.join(OUT_FILE)
        }
    };
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write_atomic(&file, page(outcome).as_bytes())?;
    Ok(file)
}

/// What was drawn.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    outcome: PlotsOutcome,
    /// The page, if one was written.
    file: Option<String>,
    #[serde(skip)]
    bars: bool,
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        if self.bars {
            bars(&self.outcome, out)?;
        }
        match &self.file {
            Some(file) => writeln!(out, "{}", url(file)),
            None => Ok(()),
        }
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        values::problems(&self.outcome.problems, out, style)?;
        if self.outcome.plots.is_empty() && self.outcome.problems.is_empty() {
            writeln!(out, "no stage names plots")?;
            writeln!(out, "hint: modver plots show FILE")?;
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        values::exit(&self.outcome.problems)
    }
}

fn bars(outcome: &PlotsOutcome, out: &mut dyn Write) -> io::Result<()> {
    for plot in &outcome.plots {
        writeln!(out, "{}", plot.path)?;
        match &plot.body {
            PlotBody::Images { images } => {
                let revs: Vec<&str> = images.iter().map(|image| image.rev.as_str()).collect();
                let images = count(images.len() as u64, "image", "images");
                writeln!(out, "  {images}: {}", revs.join(", "))?;
            }
            PlotBody::Chart { series, .. } => lines(series, outcome.revs.len() > 1, out)?,
        }
    }
    Ok(())
}

fn lines(series: &[PlotSeries], with_revs: bool, out: &mut dyn Write) -> io::Result<()> {
    let names: Vec<String> = series
        .iter()
        .map(|one| match with_revs {
            true => format!("{} ({})", one.column, one.rev),
            false => one.column.clone(),
        })
        .collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    for (name, one) in names.iter().zip(series) {
        let bars = sparkline(&one.values, BARS);
        let (first, last) = (one.values.first(), one.values.last());
        let shown = |n: Option<&f64>| n.map_or_else(String::new, |&n| number(n, 5));
        let low = one.values.iter().copied().reduce(f64::min);
        let high = one.values.iter().copied().reduce(f64::max);
        writeln!(
            out,
            "  {name:width$}  {bars:BARS$}  {} → {}  (lowest {}, highest {})",
            shown(first),
            shown(last),
            shown(low.as_ref()),
            shown(high.as_ref())
        )?;
    }
    if series.is_empty() {
        writeln!(out, "  no numbers to show as bars")?;
    }
    Ok(())
}

/// A path as browsers take it.
fn url(path: &str) -> String {
    let mut url = "file://".to_owned();
    for &byte in path.as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~') {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}
