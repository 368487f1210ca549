//! `modver untrack`.

use std::ffi::OsString;
use std::io::{self, Write};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::{Colour, Render, Style, human};
use crate::repo::UntrackOutcome;

/// Take patterns of transparent files out of `.gitattributes`
///
/// The opposite of `modver track` in the same directory. Files stay as they are, in the workspace and in git; those
/// that are added from now on are stored by git itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver untrack '*.bin'
  git add --renormalize .   # put the content itself into git")]
pub(crate) struct Args {
    /// Patterns as they were given to `modver track`
    #[arg(value_name = "PATTERN", required = true)]
    patterns: Vec<OsString>,
    /// The patterns are names of files: nothing in them is special
    #[arg(long)]
    filename: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let outcome = context.repository()?.untrack(&args.patterns, args.filename)?;
    Ok(Shown(outcome))
}

/// What is no longer tracked.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Shown(UntrackOutcome);

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        for pattern in &self.0.patterns {
            writeln!(out, "no longer tracking {pattern} ({})", self.0.file)?;
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        if self.0.left > 0 {
            let files = human::count(self.0.left, "file", "files");
            let hint = style.paint(Colour::Hint, "hint:");
            writeln!(
                out,
                "git has pointers of {files} still\n{hint} modver pull before, and git add --renormalize . after this \
                 puts their content into git"
            )?;
        }
        Ok(())
    }
}
