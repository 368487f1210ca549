//! `modver pull`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Get content from the remote and write it into the workspace
///
/// As `modver fetch` followed by `modver checkout` of the same targets. A part of a tracked directory can be pulled
/// alone; the rest stays absent.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver pull
  modver pull data/images/cats")]
pub(crate) struct Args {
    /// Tracked files or directories, or paths inside tracked directories (default: everything tracked)
    #[arg(value_name = "TARGET")]
    targets: Vec<PathBuf>,
    /// The remote to use (default: the one that `modver remote default` shows)
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    /// Also replace files whose content is stored nowhere else
    #[arg(short, long)]
    force: bool,
    /// Show what would be fetched and changed and do neither
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
