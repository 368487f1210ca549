//! `modver doctor`.

use std::io::{self, Write};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{Colour, Render, Style};
use crate::repo::{Diagnosis, Level, ProbeOutcome, Repository, diagnose};

/// Check this machine and repository
///
/// Shows versions, what the file system can do, the state of cache and remotes, and git hooks; says what to do about
/// each problem. Exits 1 if there is one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver doctor
  modver doctor --json
  modver doctor --remote store")]
pub(crate) struct Args {
    /// Try out what a remote, or each of them, can do, and remember it
    #[arg(long, num_args = 0..=1, value_name = "NAME")]
    remote: Option<Option<String>>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    if let Some(remote) = &args.remote {
        let repository = Repository::open(&context.open_options())?;
        return Ok(Shown::Remotes(repository.probe_remotes(remote.as_deref())?));
    }
    Ok(Shown::All(diagnose(&context.open_options(), env!("CARGO_PKG_VERSION"))))
}

/// What was found.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    All(Diagnosis),
    Remotes(ProbeOutcome),
}

/// A table of what each remote can do.
fn abilities(out: &mut dyn Write, style: Style, outcome: &ProbeOutcome) -> io::Result<()> {
    for (n, probe) in outcome.remotes.iter().enumerate() {
        if n > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}  {}", probe.name, probe.place)?;
        let Some(seen) = probe.abilities else {
            let error = probe.error.as_deref().unwrap_or_default();
            writeln!(out, "  {}  {error}", style.paint(Colour::Bad, "problem"))?;
            if let Some(hint) = &probe.hint {
                writeln!(out, "           {} {hint}", style.paint(Colour::Hint, "hint:"))?;
            }
            continue;
        };
        for (what, can) in [
            ("write", seen.writable),
            ("create without replacing", seen.conditional_put),
            ("read parts", seen.range),
            ("list", seen.list),
            ("delete", seen.delete),
        ] {
            // What needs an object that could not be written is not known.
            let known = seen.writable || matches!(what, "write" | "list");
            let answer = match (known, can) {
                (false, _) => "not known",
                (true, true) => "yes",
                (true, false) => "no",
            };
            writeln!(out, "  {what:<26}{answer}")?;
        }
    }
    Ok(())
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let found = match self {
            Self::All(found) => found,
            Self::Remotes(outcome) => return abilities(out, style, outcome),
        };
        for finding in &found.findings {
            let word = match finding.level {
                Level::Ok => "ok     ",
                Level::Warning => "warning",
                Level::Problem => "problem",
            };
            let colour = match finding.level {
                Level::Ok => None,
                Level::Warning => Some(Colour::Hint),
                Level::Problem => Some(Colour::Bad),
            };
            match colour {
                Some(colour) => write!(out, "{}", style.paint(colour, word))?,
                None => write!(out, "{word}")?,
            }
            writeln!(out, "  {}", finding.message)?;
            if let Some(hint) = &finding.hint {
                writeln!(out, "         {} {hint}", style.paint(Colour::Hint, "hint:"))?;
            }
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        let bad = match self {
            Self::All(found) => found.worst() == Level::Problem,
            Self::Remotes(outcome) => outcome.remotes.iter().any(|probe| probe.abilities.is_none()),
        };
        if bad { Exit::Failure } else { Exit::Ok }
    }
}
