//! `modver doctor`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Check this machine and repository
///
/// Shows versions, what the file system can do, the state of cache and remotes, and git hooks; says what to do about
/// each problem.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver doctor
  modver doctor --json")]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
