//! `modver init`.

use std::io::{self, Write};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::{Render, Style};
use crate::repo::InitOutcome;

/// Set up data versioning in this git repository
///
/// Writes `mv.toml` and `.mvignore` and marks pointer files as text in `.gitattributes`. What is there already stays
/// as it is, so running it again does no harm. Works from any directory of the work tree.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver init
  git commit -m 'Set up modver'")]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: &Args, context: &Context) -> Result<Shown, CliError> {
    Ok(Shown(context.repository()?.init()?))
}

/// What was written.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Shown(InitOutcome);

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        for path in &self.0.written {
            writeln!(out, "wrote {path}")?;
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        if self.0.written.is_empty() {
            writeln!(out, "modver was set up in {} already", self.0.root)
        } else {
            writeln!(
                out,
                "modver is set up in {}; next: git commit, modver add PATH",
                self.0.root
            )
        }
    }
}
