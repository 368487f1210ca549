//! `modver diff`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Show which tracked files differ from the last git commit
///
/// Compares the workspace with the pointers of HEAD, file by file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver diff
  modver diff data/ --json")]
pub(crate) struct Args {
    /// Tracked files or directories, or paths inside tracked directories (default: everything tracked)
    #[arg(value_name = "TARGET")]
    targets: Vec<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
