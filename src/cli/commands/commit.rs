//! `modver commit`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Accept what changed in tracked files and directories
///
/// Like `modver add` for everything that is tracked already: stores the new content and updates the pointers.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver commit
  modver commit data/images")]
pub(crate) struct Args {
    /// Tracked files or directories, or paths inside tracked directories (default: everything tracked)
    #[arg(value_name = "TARGET")]
    targets: Vec<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
