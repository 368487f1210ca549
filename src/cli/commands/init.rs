//! `modver init`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

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
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
