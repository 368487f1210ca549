//! `modver verify`.

use std::io::{self, Write};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::rate::RateArgs;
use crate::cli::ui::{Colour, Render, Style, human};
use crate::repo::{VerifyOptions, VerifyOutcome};

/// Check that stored content is what its name says
///
/// Reads everything in the cache back and computes its hashes again. Of a remote, lists what is there and compares sizes
/// with what its catalog says; `--deep` reads that back, too. Exits with 6 if anything is damaged.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver verify
  modver verify --remote
  modver verify --remote --deep
  modver verify --repair
  modver verify --remote --deep --repair")]
pub(crate) struct Args {
    /// Check a remote instead of the cache
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "NAME")]
    remote: Option<Option<String>>,
    /// Replace what is damaged with a good copy, from wherever there is one: the cache, a remote, the workspace
    #[arg(long)]
    repair: bool,
    /// Of the cache, check sizes and indexes only, not every byte
    #[arg(long)]
    quick: bool,
    /// Of a remote, read every byte and compare hashes
    #[arg(long, requires = "remote")]
    deep: bool,
    #[command(flatten)]
    rate: RateArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let context = args.rate.apply(context);
    if args.quick && args.remote.is_some() {
        return Err(CliError::QuickRemote);
    }
    let quick = if args.remote.is_some() { !args.deep } else { args.quick };
    let outcome = context.repository()?.verify(&VerifyOptions {
        remote: args.remote.clone(),
        quick,
        repair: args.repair,
    })?;
    Ok(Shown { quick, outcome })
}

/// What was found.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    quick: bool,
    #[serde(flatten)]
    outcome: VerifyOutcome,
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let outcome = &self.outcome;
        for finding in &outcome.findings {
            writeln!(
                out,
                "{} {}: {}",
                style.paint(Colour::Bad, "damaged:"),
                finding.object,
                finding.problem
            )?;
        }
        for path in &outcome.absent {
            writeln!(
                out,
                "{} {path}: the remote does not have it",
                style.paint(Colour::Bad, "absent:")
            )?;
        }
        if let Some(repair) = &outcome.repair {
            writeln!(
                out,
                "{} damaged; {} fetched again, {} stored again from the workspace",
                human::count(repair.damaged_chunks, "chunk", "chunks"),
                human::number(repair.from_remote),
                human::number(repair.from_workspace)
            )?;
            for chunk in &repair.lost {
                writeln!(out, "{} chunk {chunk}", style.paint(Colour::Bad, "lost:"))?;
            }
        }
        if let Some(repair) = &outcome.remote_repair {
            writeln!(
                out,
                "{}: {} written again, {} replaced; {} and {} sent",
                if outcome.is_sound() {
                    "repaired"
                } else {
                    "not all repaired"
                },
                human::count(repair.restored.len() as u64, "object", "objects"),
                human::number(repair.replaced.len() as u64),
                human::count(repair.chunks, "chunk", "chunks"),
                human::bytes(repair.bytes)
            )?;
            for lost in &repair.lost {
                writeln!(
                    out,
                    "{} {}: the remote cannot give all of it, nor can the cache, another remote or the workspace",
                    style.paint(Colour::Bad, "lost:"),
                    lost.path
                )?;
                super::list_paths(out, &lost.missing, &lost.path)?;
            }
            for left in &repair.left {
                let label = style.paint(Colour::Bad, "still damaged:");
                writeln!(out, "{label} {}: {}", left.object, left.problem)?;
            }
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let outcome = &self.outcome;
        let place = outcome.remote.as_deref().unwrap_or("the cache");
        let how = if self.quick { "measured" } else { "read" };
        writeln!(
            out,
            "{place}: {how} {} with {}, {}; {}",
            human::count(outcome.packs, "pack", "packs"),
            human::count(outcome.chunks, "chunk", "chunks"),
            human::bytes(outcome.bytes),
            match outcome.findings.len() as u64 {
                0 => "no damage".to_owned(),
                damaged if outcome.is_sound() => {
                    format!(
                        "{} damaged, and repaired now",
                        human::count(damaged, "object was", "objects were")
                    )
                }
                damaged => format!("{} damaged", human::count(damaged, "object", "objects")),
            }
        )?;
        let local = outcome.repair.iter().flat_map(|repair| &repair.unreachable);
        let others = outcome.remote_repair.iter().flat_map(|repair| &repair.unreachable);
        for (remote, error) in local.chain(others) {
            writeln!(
                out,
                "{} {remote} could not be asked: {error}",
                style.paint(Colour::Bad, "failed:")
            )?;
        }
        let repaired = outcome.repair.is_some() || outcome.remote_repair.is_some();
        let lost = outcome
            .remote_repair
            .as_ref()
            .is_some_and(|repair| !repair.lost.is_empty());
        let hint = if lost && self.quick {
            "modver verify --remote --repair, on a machine that has it"
        } else if lost {
            "modver verify --remote --deep --repair, on a machine that has it"
        } else if !repaired && !outcome.findings.is_empty() {
            match (&outcome.remote, self.quick) {
                (Some(_), true) => "modver verify --remote --repair",
                (Some(_), false) => "modver verify --remote --deep --repair",
                (None, _) => "modver verify --repair",
            }
        } else if !outcome.absent.is_empty() {
            "modver push"
        } else {
            return Ok(());
        };
        writeln!(out, "{} {hint}", style.paint(Colour::Hint, "hint:"))
    }

    fn exit(&self) -> Exit {
        match (self.outcome.is_sound(), self.outcome.absent.is_empty()) {
            (true, true) => Exit::Ok,
            (true, false) => Exit::Failure,
            (false, _) => Exit::Corruption,
        }
    }
}
