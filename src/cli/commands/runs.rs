//! `modver runs`.

use std::io::{self, Write};
use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::{Colour, Render, Style, human};
use crate::hash::FileId;
use crate::pipeline::runs::{RunQuery, RunRecord, find_run, list_runs};

/// List what was run, from what to what
///
/// Every run of a stage is recorded: its inputs and outputs by content, the commit, the machine, what it used and how it
/// ended. Runs with the same inputs are restored instead of repeated.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  modver runs
  modver runs train -n 5
  modver runs show 3f2a"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only runs of this stage, or of all members of a matrix
    #[arg(value_name = "STAGE")]
    stage: Option<String>,
    /// At most N, the newest
    #[arg(short = 'n', long, value_name = "N")]
    number: Option<u32>,
}

#[derive(Debug, clap::Subcommand)]
enum Sub {
    /// Print everything that is recorded of a run
    Show {
        /// Its id, or the beginning of it
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let repository = context.repository()?;
    let runs = match &args.command {
        Some(Sub::Show { id }) => vec![find_run(&repository, id)?],
        None => list_runs(
            &repository,
            &RunQuery {
                stage: args.list.stage.clone(),
                limit: args.list.number,
            },
        )?,
    };
    Ok(Shown {
        runs: runs.into_iter().map(|(id, record)| Run { id, record }).collect(),
        whole: args.command.is_some(),
    })
}

/// What is shown.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    runs: Vec<Run>,
    #[serde(skip)]
    whole: bool,
}

#[derive(Debug, serde::Serialize)]
struct Run {
    id: FileId,
    #[serde(flatten)]
    record: RunRecord,
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        if let ([run], true) = (&self.runs[..], self.whole) {
            let text = run.record.to_text(&run.id).map_err(io::Error::other)?;
            return out.write_all(text.as_bytes());
        }
        for Run { id, record } in &self.runs {
            let exit = match record.exit {
                0 if record.failure.is_some() => style.paint(Colour::Bad, "failed".to_owned()),
                0 => style.paint(Colour::Good, "ok".to_owned()),
                code => style.paint(Colour::Bad, format!("exit {code}")),
            };
            let commit = record
                .commit
                .as_deref()
                .map_or("-", |commit| &commit[..commit.len().min(7)]);
            writeln!(
                out,
                "{}  {}  {:<8} {commit}{} {}  {exit}",
                id.short(),
                human::time(record.started_ms),
                human::duration(Duration::from_millis(record.usage.wall_ms)),
                if record.dirty { "+" } else { " " },
                record.stage,
            )?;
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        if self.runs.is_empty() {
            writeln!(out, "nothing was run yet")?;
        }
        Ok(())
    }
}
