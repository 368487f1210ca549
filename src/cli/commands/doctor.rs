//! `modver doctor`.

use std::io::{self, Write};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{Colour, Render, Style};
use crate::repo::{Diagnosis, Level, diagnose};

/// Check this machine and repository
///
/// Shows versions, what the file system can do, the state of cache and remotes, and git hooks; says what to do about
/// each problem. Exits 1 if there is one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver doctor
  modver doctor --json")]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: &Args, context: &Context) -> Result<Shown, CliError> {
    Ok(Shown(diagnose(&context.open_options(), env!("CARGO_PKG_VERSION"))))
}

/// What was found.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Shown(Diagnosis);

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        for finding in &self.0.findings {
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
        if self.0.worst() == Level::Problem {
            Exit::Failure
        } else {
            Exit::Ok
        }
    }
}
