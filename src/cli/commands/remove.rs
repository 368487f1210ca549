//! `modver remove`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Stop tracking files or directories
///
/// Removes the pointer and its line in `.gitignore`. The data stays in the workspace unless --outs is given, and in
/// the cache until `modver gc`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver remove data.mv
  modver remove --outs old-model.bin")]
pub(crate) struct Args {
    /// Tracked files or directories, or their pointers
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<PathBuf>,
    /// Also remove the data from the workspace
    #[arg(long)]
    outs: bool,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
