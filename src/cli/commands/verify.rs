//! `modver verify`.

use std::io::{self, Write};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{Colour, Render, Style, human};
use crate::repo::{VerifyOptions, VerifyOutcome};

/// Check that stored content is what its name says
///
/// Reads everything back and computes its hashes again. Exits with 6 if anything is damaged.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver verify
  modver verify --remote --quick
  modver verify --repair")]
pub(crate) struct Args {
    /// Check a remote instead of the cache
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "NAME")]
    remote: Option<Option<String>>,
    /// Replace damaged content with a good copy from the cache, the remote or the workspace
    #[arg(long, conflicts_with = "remote")]
    repair: bool,
    /// Check sizes and indexes only, not every byte
    #[arg(long)]
    quick: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let outcome = context.repository()?.verify(&VerifyOptions {
        remote: args.remote.clone(),
        quick: args.quick,
        repair: args.repair,
    })?;
    Ok(Shown {
        quick: args.quick,
        outcome,
    })
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
                damaged => format!("{} damaged", human::count(damaged, "object", "objects")),
            }
        )?;
        for (remote, error) in outcome.repair.iter().flat_map(|repair| &repair.unreachable) {
            writeln!(
                out,
                "{} {remote} could not be asked: {error}",
                style.paint(Colour::Bad, "failed:")
            )?;
        }
        let hint = if outcome.remote.is_some() && !outcome.findings.is_empty() {
            "take the damaged object off the remote and push from a machine that has the data"
        } else if outcome.repair.is_none() && !outcome.findings.is_empty() {
            "modver verify --repair"
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
