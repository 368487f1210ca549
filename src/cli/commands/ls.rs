//! `modver ls`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// List tracked files
///
/// Lists what the pointers say, whether or not the data is present.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver ls
  modver ls -R --size --hash data/")]
pub(crate) struct Args {
    /// What to list (default: the working directory)
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Also list what is inside directories
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Show sizes
    #[arg(long)]
    size: bool,
    /// Show file ids: the digits that `b3sum` prints
    #[arg(long)]
    hash: bool,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
