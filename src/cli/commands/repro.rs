//! `modver repro`.

use std::io::{self, Write};
use std::num::NonZeroUsize;

use crate::causes::chain;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{Colour, Render, Style, human};
use crate::pipeline::{
    Explanation, OnFailure, Policy, Reach, ReproOptions, ReproOutcome, SelectOptions, Session, StageOutcome,
    StageResult, VerifyResult, VerifyRunsOutcome,
};

/// Run the stages that are out of date
///
/// Compares command, dependencies, parameters, variables and outputs of each stage with what mv.lock says of its last run,
/// by content. What differs runs, in parallel where nothing depends on each other, or is restored if the same was run
/// before. Without targets: the stages of the nearest mv.toml.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver repro
  modver repro --dry-run
  modver repro train -j 4
  modver repro --explain train
  modver repro --verify")]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Args {
    /// Stages (NAME, DIR/mv.toml:NAME), project files, outputs or directories
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Show what would run and why, and change nothing
    #[arg(short = 'n', long, visible_alias = "dry")]
    dry_run: bool,
    /// Print all that differs from the last run of a stage, key by key and file by file, and change nothing
    #[arg(long, value_name = "STAGE", conflicts_with_all = ["targets", "dry_run", "verify"])]
    explain: Option<String>,
    /// Run stages again in isolation and compare what they make with mv.lock; exit with 1 if it differs
    #[arg(long, conflicts_with_all = ["dry_run", "force", "no_commit"])]
    verify: bool,
    /// Run also what is up to date
    #[arg(short, long)]
    force: bool,
    /// The targets alone, not what they depend on
    #[arg(short, long, conflicts_with_all = ["downstream", "pipeline"])]
    single: bool,
    /// The targets and what depends on them, not what they depend on
    #[arg(long, conflicts_with = "pipeline")]
    downstream: bool,
    /// All stages that are connected with the targets
    #[arg(short, long)]
    pipeline: bool,
    /// All stages of the repository
    #[arg(short = 'P', long, visible_alias = "all-pipelines", conflicts_with = "targets")]
    all: bool,
    /// Targets are patterns on the names of stages
    #[arg(long)]
    glob: bool,
    /// After a failure, run everything that does not depend on it
    #[arg(short, long)]
    keep_going: bool,
    /// After a failure, stop what is running
    #[arg(long, conflicts_with = "keep_going")]
    fail_fast: bool,
    /// Fetch inputs and outputs of earlier runs that are not in the cache
    #[arg(long)]
    pull: bool,
    /// Accept inputs and outputs that are not here if it is known what they are
    #[arg(long)]
    allow_missing: bool,
    /// Do not look for earlier runs
    #[arg(long)]
    no_run_cache: bool,
    /// Do not store outputs; `modver commit` does it later
    #[arg(long)]
    no_commit: bool,
    /// Run each stage in a directory that holds only what it declares and what git tracks
    #[arg(long)]
    isolated: bool,
    /// How much there is of a resource on this machine; may be given several times
    #[arg(long = "resource", value_name = "NAME=AMOUNT", value_parser = resource)]
    resources: Vec<(String, f64)>,
}

fn resource(text: &str) -> Result<(String, f64), String> {
    let wrong = || "expected NAME=AMOUNT, such as gpus=2".to_owned();
    let (name, amount) = text.split_once('=').ok_or_else(wrong)?;
    let amount: f64 = amount.parse().map_err(|_| wrong())?;
    if name.is_empty() || !amount.is_finite() || amount < 0.0 {
        return Err(wrong());
    }
    Ok((name.to_owned(), amount))
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let repository = context.repository()?;
    let session = Session::open(&repository, context.env.all())?;
    if let Some(stage) = &args.explain {
        return Ok(Shown::Explained(session.explain(stage)?));
    }
    let reach = match (args.single, args.downstream, args.pipeline) {
        (true, ..) => Reach::Single,
        (_, true, _) => Reach::Downstream,
        (_, _, true) => Reach::Pipeline,
        // To verify is to look at what was named.
        _ if args.verify && !args.targets.is_empty() => Reach::Single,
        _ => Reach::Upstream,
    };
    let options = ReproOptions {
        targets: args.targets.clone(),
        select: SelectOptions {
            all: args.all,
            reach,
            glob: args.glob,
        },
        policy: Policy {
            force: args.force,
            no_run_cache: args.no_run_cache,
            no_commit: args.no_commit,
            pull: args.pull,
            only_ask: false,
            allow_missing: args.allow_missing,
            isolated: args.isolated,
        },
        jobs: context.jobs.map_or(0, NonZeroUsize::get),
        on_failure: if args.keep_going {
            OnFailure::KeepGoing
        } else {
            OnFailure::Finish
        },
        fail_fast: args.fail_fast,
        resources: args.resources.iter().cloned().collect(),
        dry_run: args.dry_run,
    };
    let lines = context.stage_lines();
    if args.verify {
        return Ok(Shown::Verified(session.verify(&options, &lines)?));
    }
    let outcome = session.repro(&options, &lines)?;
    Ok(Shown::Ran(outcome))
}

/// What is shown.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    Ran(ReproOutcome),
    Verified(VerifyRunsOutcome),
    Explained(Explanation),
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        match self {
            Self::Ran(outcome) => {
                for stage in &outcome.stages {
                    show(stage, outcome.dry_run, out, style)?;
                }
                for stage in &outcome.gone {
                    let label = match outcome.dry_run {
                        true => format!("{:<15}", "would remove"),
                        false => format!("{:<10}", "removed"),
                    };
                    let why = "no longer in mv.toml; what it made stays";
                    writeln!(out, "{}{stage} ({why})", style.paint(Colour::Hint, &label))?;
                }
            }
            Self::Verified(outcome) => {
                for stage in &outcome.stages {
                    let (label, colour) = match stage.result {
                        VerifyResult::Identical => ("identical", Colour::Good),
                        VerifyResult::Different => ("different", Colour::Bad),
                        VerifyResult::OutOfDate => ("out of date", Colour::Bad),
                        VerifyResult::Failed => ("failed", Colour::Bad),
                        VerifyResult::Stopped => ("stopped", Colour::Bad),
                    };
                    writeln!(out, "{}{}", style.paint(colour, &format!("{label:<13}")), stage.stage)?;
                    for path in &stage.differing {
                        writeln!(out, "  `{path}` differs")?;
                    }
                    for path in &stage.tolerated {
                        writeln!(out, "  `{path}` differs within its tolerance")?;
                    }
                    for path in &stage.undeclared {
                        writeln!(out, "  `{path}` was written and is not declared")?;
                    }
                    for reason in &stage.reasons {
                        writeln!(out, "  {reason}")?;
                    }
                    if let Some(error) = &stage.error {
                        writeln!(out, "  {error}")?;
                    }
                }
            }
            Self::Explained(explanation) => explain(explanation, out)?,
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let Self::Ran(outcome) = self else { return Ok(()) };
        for stage in &outcome.stages {
            let Some(error) = &stage.error else { continue };
            let messages = chain(error);
            for (at, message) in messages.iter().enumerate() {
                let label = if at == 0 { "error:" } else { "caused by:" };
                writeln!(out, "{} {message}", style.paint(Colour::Bad, label))?;
            }
            if let Some(hint) = error.hint() {
                writeln!(out, "{} {hint}", style.paint(Colour::Hint, "hint:"))?;
            }
        }
        if outcome.stages.is_empty() && outcome.gone.is_empty() {
            return writeln!(out, "there are no stages");
        }
        let changed = outcome
            .stages
            .iter()
            .filter(|stage| stage.result != StageResult::Unchanged);
        if changed.count() == 0 && outcome.gone.is_empty() {
            let count = human::count(outcome.stages.len() as u64, "stage", "stages");
            writeln!(out, "everything is up to date ({count})")?;
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Ran(outcome) if outcome.interrupted => Exit::Interrupted,
            Self::Ran(outcome) if outcome.is_complete() => Exit::Ok,
            Self::Verified(outcome) if outcome.is_identical() => Exit::Ok,
            Self::Explained(_) => Exit::Ok,
            _ => Exit::Failure,
        }
    }
}

fn show(stage: &StageOutcome, dry_run: bool, out: &mut dyn Write, style: Style) -> io::Result<()> {
    let (label, colour) = match (stage.result, dry_run) {
        (StageResult::Unchanged, _) => return Ok(()),
        (StageResult::Frozen, _) => ("frozen", Colour::Hint),
        (StageResult::Restored, false) => ("restored", Colour::Good),
        (StageResult::Restored, true) => ("would restore", Colour::Good),
        (StageResult::Ran, false) => ("ran", Colour::Good),
        (StageResult::Ran, true) => ("would run", Colour::Good),
        (StageResult::Failed, _) => ("failed", Colour::Bad),
        (StageResult::Blocked, _) => ("blocked", Colour::Bad),
        (StageResult::Stopped, _) => ("stopped", Colour::Bad),
    };
    let width = if dry_run { 15 } else { 10 };
    let time = stage.usage.filter(|_| !dry_run).map(|usage| {
        format!(
            " ({})",
            human::duration(std::time::Duration::from_millis(usage.wall_ms))
        )
    });
    writeln!(
        out,
        "{}{}{}",
        style.paint(colour, &format!("{label:<width$}")),
        stage.stage,
        time.unwrap_or_default()
    )?;
    if dry_run || stage.result == StageResult::Frozen {
        for reason in &stage.reasons {
            writeln!(out, "  {reason}")?;
        }
    }
    for path in &stage.undeclared {
        writeln!(out, "  `{path}` was written and is not declared")?;
    }
    Ok(())
}

fn explain(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    use crate::pipeline::StaleReason;
    if explanation.reasons.is_empty() {
        writeln!(out, "{} is up to date", explanation.stage)?;
    }
    for reason in &explanation.reasons {
        writeln!(out, "{reason}")?;
        if let StaleReason::Command { before, after } = reason {
            before.iter().try_for_each(|line| writeln!(out, "  - {line}"))?;
            after.iter().try_for_each(|line| writeln!(out, "  + {line}"))?;
        }
        if let StaleReason::Dep { path, .. } | StaleReason::Out { path, .. } = reason
            && let Some(files) = explanation.files.get(path)
        {
            for file in files {
                writeln!(out, "  {} {}", file.change, file.path)?;
            }
        }
    }
    for path in &explanation.left_out {
        writeln!(out, "`{path}` does not count")?;
    }
    Ok(())
}
