//! `modver push`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::causes::chain;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::rate::RateArgs;
use crate::cli::scope::{ScopeArgs, versioned};
use crate::cli::ui::{Colour, Render, Style, broken, human};
use crate::pipeline::runs::{SharedRuns, push_runs};
use crate::repo::{PushOptions, PushOutcome, PushState, PushedTo, Repository};

/// Send content to the remote
///
/// Sends what the tracked files need and the remote does not have: of the versions in the workspace, and of those in
/// history that the options choose, deleted outputs included. A version whose content is not here is named and does not
/// keep the others from being sent.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver push
  modver push data/ --remote backup
  modver push --remote lab --remote cloud
  modver push --dry-run
  modver push --all-branches --all-tags
  modver push --rev v1.0..main")]
pub(crate) struct Args {
    /// Tracked files or directories, or paths inside tracked directories (default: everything tracked)
    #[arg(value_name = "TARGET")]
    targets: Vec<PathBuf>,
    /// The remote to push to; may be given several times (default: the one that `modver remote default` shows, and those
    /// whose setting `push` is true)
    #[arg(short, long = "remote", value_name = "NAME")]
    remotes: Vec<String>,
    /// Show what would be sent and send nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Leave out what was imported: its source has it
    #[arg(long)]
    no_imports: bool,
    /// Leave out the records and results of runs of stages
    #[arg(long)]
    no_run_cache: bool,
    #[command(flatten)]
    rate: RateArgs,
    #[command(flatten)]
    scope: ScopeArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let context = args.rate.apply(context);
    let repository = context.repository_or_bare()?;
    let outcome = repository.push(&PushOptions {
        scope: args.scope.scope(false),
        targets: args.targets.clone(),
        remotes: args.remotes.clone(),
        dry_run: args.dry_run,
        no_imports: args.no_imports,
    })?;
    // What runs made are outputs, too.
    let refused = outcome.outputs.iter().any(|output| output.state == PushState::Refused);
    let with_runs = !(args.no_run_cache || args.dry_run || refused) && args.targets.is_empty();
    let mut shown = Shown {
        outcome,
        runs: SharedRuns::default(),
        runs_failed: BTreeMap::new(),
    };
    if with_runs {
        shown.push_runs(&repository, &args.remotes)?;
    }
    Ok(shown)
}

impl Shown {
    /// Sends runs to each remote that took the outputs. What is wrong with one of several does not concern the others.
    fn push_runs(&mut self, repository: &Repository, named: &[String]) -> Result<(), CliError> {
        let remotes = match repository.push_remotes(named) {
            Ok(remotes) => remotes,
            // Each output has one of its own, or there is none to push.
            Err(_) if named.is_empty() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let several = remotes.len() > 1;
        for remote in remotes {
            let pushed = &self.outcome.remotes;
            if pushed.iter().any(|sent| sent.remote == remote && sent.error.is_some()) {
                continue;
            }
            match push_runs(repository, Some(&remote), None) {
                Ok(sent) => self.runs = self.runs.and(sent),
                Err(error) if several && repository.progress().check().is_ok() => {
                    self.runs_failed.insert(remote, chain(&error).join(": "));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// What was pushed.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    outcome: PushOutcome,
    /// Runs of stages that were sent.
    runs: SharedRuns,
    /// Remotes that runs could not be sent to, and why.
    runs_failed: BTreeMap<String, String>,
}

fn count(outcome: &PushOutcome, state: PushState, remote: &str) -> u64 {
    let outputs = outcome.outputs.iter();
    outputs
        .filter(|output| output.state == state && output.remote == remote)
        .count() as u64
}

fn line(outcome: &PushOutcome, sent: &PushedTo) -> String {
    let up_to_date = count(outcome, PushState::UpToDate, &sent.remote);
    // Several versions of one output are several.
    let (one, many) = match outcome.outputs.iter().any(|output| output.commit.is_some()) {
        true => ("version", "versions"),
        false => ("output", "outputs"),
    };
    if sent.outputs == 0 {
        return format!(
            "nothing to push to {}; {} up to date",
            sent.remote,
            human::number(up_to_date)
        );
    }
    let would = if outcome.dry_run { "would push " } else { "" };
    let packs = match sent.packs {
        Some(packs) => human::count(packs, "pack", "packs"),
        None => human::count(sent.chunks, "chunk", "chunks"),
    };
    let mut line = format!(
        "{would}{}, {}, {} in {packs} to {}",
        human::count(sent.outputs, one, many),
        human::count(sent.files, "file", "files"),
        human::bytes(sent.bytes),
        sent.remote
    );
    if up_to_date > 0 {
        line.push_str(&format!("; {} up to date", human::number(up_to_date)));
    }
    line
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        text(&self.outcome, out)?;
        show_runs(self.runs, "pushed", out)
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        for (remote, error) in &self.runs_failed {
            let label = style.paint(Colour::Bad, "failed:");
            writeln!(out, "{label} runs of stages not pushed to {remote}: {error}")?;
        }
        notes(&self.outcome, out, style)
    }

    fn exit(&self) -> Exit {
        match exit(&self.outcome) {
            Exit::Ok if !self.runs_failed.is_empty() => Exit::Partial,
            exit => exit,
        }
    }
}

/// Writes how many runs were sent or received.
pub(super) fn show_runs(runs: SharedRuns, verb: &str, out: &mut dyn Write) -> io::Result<()> {
    match runs.runs {
        0 => Ok(()),
        n => writeln!(out, "{verb} {} of stages", human::count(n, "run", "runs")),
    }
}

/// Writes what was pushed; `modver add --to-remote` shows the same.
pub(super) fn text(outcome: &PushOutcome, out: &mut dyn Write) -> io::Result<()> {
    if outcome.outputs.is_empty() {
        return match outcome.broken.is_empty() {
            true => writeln!(out, "nothing is tracked"),
            false => Ok(()),
        };
    }
    for sent in outcome.remotes.iter().filter(|sent| sent.error.is_none()) {
        writeln!(out, "{}", line(outcome, sent))?;
    }
    Ok(())
}

/// Writes what was not pushed.
pub(super) fn notes(outcome: &PushOutcome, out: &mut dyn Write, style: Style) -> io::Result<()> {
    let mut incomplete = false;
    for output in outcome
        .outputs
        .iter()
        .filter(|output| output.state == PushState::Incomplete)
    {
        incomplete = true;
        let what = match output.missing.first.first() {
            Some(path) if *path != output.path => format!("`{path}` (and perhaps more of it)"),
            _ => "its content".to_owned(),
        };
        writeln!(
            out,
            "{} {} was not pushed: {what} is not in the cache, nor known to be on {}",
            style.paint(Colour::Bad, "incomplete:"),
            versioned(&output.path, output.commit.as_deref()),
            output.remote
        )?;
    }
    let mut damaged = false;
    for output in outcome
        .outputs
        .iter()
        .filter(|output| output.state == PushState::Damaged)
    {
        damaged = true;
        writeln!(
            out,
            "{} {} was not pushed to {}: some of it is damaged in the cache",
            style.paint(Colour::Bad, "damaged:"),
            output.path,
            output.remote
        )?;
        super::list_paths(out, &output.missing, &output.path)?;
    }
    if damaged {
        writeln!(out, "{} modver verify --repair", style.paint(Colour::Hint, "hint:"))?;
    }
    if incomplete {
        writeln!(
            out,
            "{} modver push, on the machine that has it; or modver add, if the workspace has it",
            style.paint(Colour::Hint, "hint:")
        )?;
    }
    for output in outcome
        .outputs
        .iter()
        .filter(|output| output.state == PushState::Refused)
    {
        writeln!(
            out,
            "{} {} was not pushed: {}",
            style.paint(Colour::Bad, "refused:"),
            versioned(&output.path, output.commit.as_deref()),
            output.reason.as_deref().unwrap_or_default()
        )?;
    }
    for sent in &outcome.remotes {
        if let Some(error) = &sent.error {
            let outputs = human::count(count(outcome, PushState::Failed, &sent.remote), "output", "outputs");
            writeln!(
                out,
                "{} {outputs} not pushed to {}: {error}",
                style.paint(Colour::Bad, "failed:"),
                sent.remote
            )?;
        }
    }
    broken::notes(&outcome.broken, out, style)
}

/// How a push ended.
pub(super) fn exit(outcome: &PushOutcome) -> Exit {
    let bad = |state| {
        matches!(
            state,
            PushState::Incomplete | PushState::Damaged | PushState::Refused | PushState::Failed
        )
    };
    let outputs = &outcome.outputs;
    let exit = match (
        outputs.iter().any(|output| bad(output.state)),
        outputs.iter().all(|output| bad(output.state)),
    ) {
        (false, _) => Exit::Ok,
        (true, false) => Exit::Partial,
        (true, true) if outputs.iter().any(|output| output.state == PushState::Damaged) => Exit::Corruption,
        (true, true) => Exit::Failure,
    };
    broken::exit(&outcome.broken, exit)
}
