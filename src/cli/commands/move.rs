//! `modver move`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Move or rename a tracked file or directory
///
/// Moves data, pointer and `.gitignore` line together and stages the change in git.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver move data/raw data/original
  modver move model.bin models/")]
pub(crate) struct Args {
    /// The tracked file or directory
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// Its new path, or a directory to move it into
    #[arg(value_name = "TO")]
    to: PathBuf,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
