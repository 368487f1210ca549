//! `modver status`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Show what differs between the workspace and the pointers
///
/// Compares each tracked file and directory with its pointer. Nothing is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver status
  modver status --granular data/
  modver status --check && echo clean")]
pub(crate) struct Args {
    /// Tracked files or directories, or paths inside tracked directories (default: everything tracked)
    #[arg(value_name = "TARGET")]
    targets: Vec<PathBuf>,
    /// List each file inside tracked directories
    #[arg(long)]
    granular: bool,
    /// Also ask the remote what it does not have
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "NAME")]
    remote: Option<Option<String>>,
    /// Exit with 1 if anything differs
    #[arg(long)]
    check: bool,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
