//! `modver fetch`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::rate::RateArgs;
use crate::cli::scope::{ScopeArgs, versioned};
use crate::cli::ui::{Colour, Render, Style, broken, human};
use crate::pipeline::runs::{SharedRuns, fetch_runs};
use crate::repo::{FetchOptions, FetchOutcome, FetchState, FetchedInstead, PathPatterns, RepoError, Repository};

/// Get content from the remote into the cache
///
/// Of the versions in the workspace, and of those in history that the options choose, deleted outputs included. The
/// workspace stays as it is; `modver checkout` writes the files, `modver pull` does both.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver fetch
  modver fetch data/images/cats
  modver fetch --rev v1.0 data/
  modver fetch --all-branches --since \"2 weeks ago\"")]
pub(crate) struct Args {
    /// Tracked files or directories, or paths inside tracked directories (default: everything tracked)
    #[arg(value_name = "TARGET")]
    targets: Vec<PathBuf>,
    /// The remote to use (default: the one that `modver remote default` shows)
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    /// Show what would be fetched and fetch nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Leave out the records and results of runs of stages
    #[arg(long)]
    no_run_cache: bool,
    #[command(flatten)]
    rate: RateArgs,
    #[command(flatten)]
    scope: ScopeArgs,
}

/// Outputs that are named in one line.
const MOST_NAMED: usize = 5;

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let context = args.rate.apply(context);
    let repository = context.repository_or_bare()?;
    let outcome = repository.fetch(&FetchOptions {
        scope: args.scope.scope(true),
        targets: args.targets.clone(),
        remote: args.remote.clone(),
        dry_run: args.dry_run,
        present_parts: false,
        patterns: PathPatterns::default(),
    })?;
    let runs = received(
        &repository,
        args.no_run_cache,
        args.dry_run,
        &args.targets,
        args.remote.as_deref(),
    )?;
    Ok(Shown { outcome, runs })
}

/// What was fetched; `modver pull` shows the same.
#[derive(Debug, serde::Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    pub(super) outcome: FetchOutcome,
    /// Runs of stages that were received.
    pub(super) runs: SharedRuns,
}

/// Receives records of runs, if that is wanted and the work tree has stages; `modver pull` does the same.
pub(super) fn received(
    repository: &Repository,
    not_wanted: bool,
    dry_run: bool,
    targets: &[PathBuf],
    remote: Option<&str>,
) -> Result<SharedRuns, CliError> {
    let git = repository.git();
    if not_wanted || dry_run || !targets.is_empty() || git.is_bare() {
        return Ok(SharedRuns::default());
    }
    // Without stages there are no runs to ask for.
    let has_stages = !git.find_pointers().map_err(RepoError::from)?.locks.is_empty();
    Ok(if has_stages {
        fetch_runs(repository, remote)?
    } else {
        SharedRuns::default()
    })
}

impl Shown {
    /// Whether something was brought here.
    pub(super) fn has_fetched(&self) -> bool {
        self.outcome.remotes.iter().any(|from| from.files > 0)
    }

    /// Whether something could not be had.
    pub(super) fn has_failed(&self) -> bool {
        self.outcome
            .outputs
            .iter()
            .any(|output| output.state != FetchState::Complete)
    }

    /// Says what came from another remote than it should.
    fn instead(&self, out: &mut dyn Write) -> io::Result<()> {
        let would = if self.outcome.dry_run { "would come" } else { "came" };
        let mut told: BTreeMap<(&str, &str), (&FetchedInstead, Vec<String>)> = BTreeMap::new();
        for output in &self.outcome.outputs {
            if let Some(instead) = &output.instead_of {
                let (_, outputs) = told
                    .entry((&instead.remote, &output.remote))
                    .or_insert_with(|| (instead, Vec::new()));
                outputs.push(versioned(&output.path, output.commit.as_deref()));
            }
        }
        for ((first, other), (instead, outputs)) in told {
            let names = &outputs[..outputs.len().min(MOST_NAMED)];
            let more = match outputs.len() - names.len() {
                0 => String::new(),
                more => format!(" and {} more", human::number(more as u64)),
            };
            let names = names.join(", ");
            writeln!(
                out,
                "{names}{more} {would} from {other}: {first} cannot give it: {}",
                instead.reason
            )?;
        }
        Ok(())
    }

    fn has_damage(&self) -> bool {
        self.outcome
            .outputs
            .iter()
            .any(|output| output.state == FetchState::Damaged)
    }
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        if self.outcome.outputs.is_empty() {
            return match self.outcome.broken.is_empty() {
                true => writeln!(out, "nothing is tracked"),
                false => Ok(()),
            };
        }
        let fetched = if self.outcome.dry_run { "would fetch" } else { "fetched" };
        for from in self.outcome.remotes.iter().filter(|from| from.files > 0) {
            writeln!(
                out,
                "{fetched} {}, {} from {}",
                human::count(from.files, "file", "files"),
                human::bytes(from.bytes),
                from.remote
            )?;
        }
        super::push::show_runs(self.runs, "fetched", out)?;
        if !self.has_fetched() && !self.has_failed() && self.runs.runs == 0 {
            writeln!(out, "nothing to fetch: all of it is in the cache")?;
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        self.instead(out)?;
        let mut absent = false;
        for output in &self.outcome.outputs {
            if matches!(output.state, FetchState::Complete | FetchState::Failed) {
                continue;
            }
            absent |= output.state == FetchState::Absent;
            let label = match output.state {
                FetchState::Absent => "absent:",
                FetchState::Damaged => "damaged:",
                _ => "incomplete:",
            };
            let reason = output.reason.as_deref().unwrap_or_default();
            writeln!(
                out,
                "{} {}: {reason}",
                style.paint(Colour::Bad, label),
                versioned(&output.path, output.commit.as_deref())
            )?;
            super::list_paths(out, &output.missing, &output.path)?;
        }
        for from in &self.outcome.remotes {
            if let Some(error) = &from.error {
                writeln!(
                    out,
                    "{} nothing fetched from {}: {error}",
                    style.paint(Colour::Bad, "failed:"),
                    from.remote
                )?;
            }
        }
        broken::notes(&self.outcome.broken, out, style)?;
        let hint = if absent {
            "modver push, on the machine that has it"
        } else if self.has_damage() {
            "modver verify --remote --deep --repair, on a machine that has it"
        } else {
            return Ok(());
        };
        writeln!(out, "{} {hint}", style.paint(Colour::Hint, "hint:"))
    }

    fn exit(&self) -> Exit {
        let complete = self
            .outcome
            .outputs
            .iter()
            .any(|output| output.state == FetchState::Complete);
        let exit = match (self.has_failed(), complete || self.has_fetched(), self.has_damage()) {
            (false, ..) => Exit::Ok,
            (true, true, _) => Exit::Partial,
            (true, false, true) => Exit::Corruption,
            (true, false, false) => Exit::Failure,
        };
        broken::exit(&self.outcome.broken, exit)
    }
}
