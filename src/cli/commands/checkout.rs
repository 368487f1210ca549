//! `modver checkout`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Make the workspace match the pointers
///
/// Writes missing and changed files from the cache and removes files that are tracked no more. Files whose content is
/// stored nowhere are never overwritten or removed, unless --force is given.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  git checkout main~3 && modver checkout
  modver checkout data/images/cats")]
pub(crate) struct Args {
    /// Tracked files or directories, or paths inside tracked directories (default: everything tracked)
    #[arg(value_name = "TARGET")]
    targets: Vec<PathBuf>,
    /// Also replace files whose content is stored nowhere else
    #[arg(short, long)]
    force: bool,
    /// Show what would change and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
