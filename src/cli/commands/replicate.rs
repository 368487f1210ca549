//! `modver replicate`.

use std::io::{self, Write};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::rate::RateArgs;
use crate::cli::ui::{Colour, Render, Style, human};
use crate::repo::{ReplicateOptions, ReplicateOutcome};

/// Copy what one remote has to another
///
/// Everything that anybody pushed to FROM and TO does not have goes through this machine to TO: content, and the records
/// of runs of stages. The cache and the workspace are not used. What is stopped goes on where it was. Each pack's hash is
/// checked on the way; what is damaged is named and keeps back only what needs it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver replicate lab cloud --dry-run
  modver replicate lab cloud --limit-rate 20MiB")]
pub(crate) struct Args {
    /// The remote that has it
    #[arg(value_name = "FROM")]
    from: String,
    /// The remote that is to have it
    #[arg(value_name = "TO")]
    to: String,
    /// Show what would be copied and copy nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    rate: RateArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let context = args.rate.apply(context);
    let outcome = context.repository_or_bare()?.replicate(&ReplicateOptions {
        from: args.from.clone(),
        to: args.to.clone(),
        dry_run: args.dry_run,
    })?;
    Ok(Shown(outcome))
}

/// What was replicated.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Shown(ReplicateOutcome);

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        let done = &self.0;
        let there = format!("; {} there already", human::number(done.up_to_date));
        let there = if done.up_to_date > 0 { there.as_str() } else { "" };
        if done.roots == 0 && done.packs == 0 && done.records == 0 {
            return writeln!(out, "nothing to copy to {}{there}", done.to);
        }
        let copied = if done.dry_run { "would copy" } else { "copied" };
        let records = match done.records {
            0 => String::new(),
            n => format!(", {}", human::count(n, "file of run records", "files of run records")),
        };
        writeln!(
            out,
            "{copied} {}, {} in {}{records} from {} to {}{there}",
            human::count(done.roots, "root", "roots"),
            human::bytes(done.bytes),
            human::count(done.packs, "pack", "packs"),
            done.from,
            done.to
        )
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let done = &self.0;
        for failed in &done.failed {
            let label = if failed.is_damage { "damaged:" } else { "refused:" };
            writeln!(
                out,
                "{} {} on {}: {}",
                style.paint(Colour::Bad, label),
                failed.object,
                failed.remote,
                failed.problem
            )?;
        }
        if done.left_out > 0 {
            writeln!(
                out,
                "{} {} not copied, for what is named above",
                style.paint(Colour::Bad, "left out:"),
                human::count(done.left_out, "root was", "roots were")
            )?;
        }
        if done.failed.iter().any(|failed| failed.is_damage) {
            writeln!(
                out,
                "{} modver verify --remote={} --deep --repair, on a machine that has it",
                style.paint(Colour::Hint, "hint:"),
                done.from
            )?;
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        let done = &self.0;
        let has_some = done.roots > 0 || done.up_to_date > 0;
        match (done.failed.is_empty() && done.left_out == 0, has_some) {
            (true, _) => Exit::Ok,
            (false, true) => Exit::Partial,
            (false, false) if done.failed.iter().any(|failed| failed.is_damage) => Exit::Corruption,
            (false, false) => Exit::Failure,
        }
    }
}
