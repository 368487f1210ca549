//! `modver add`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Track files and directories
///
/// Stores their content in the cache, writes a pointer (PATH.mv) beside each, keeps them out of git with `.gitignore`
/// and stages both in git. Directories are tracked as one output; identical content is stored once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver add data/
  modver add model.bin --desc 'Baseline, 3 epochs' --label kind=model
  modver add 'runs/*.parquet' --dry-run")]
pub(crate) struct Args {
    /// Files, directories or glob patterns
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Show what would be added and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Send the content straight to the remote, not into the cache
    #[arg(long)]
    to_remote: bool,
    /// The remote for --to-remote (default: the one that `modver remote default` shows)
    #[arg(short, long, value_name = "NAME", requires = "to_remote")]
    remote: Option<String>,
    /// A description, kept in the pointer
    #[arg(long, value_name = "TEXT")]
    desc: Option<String>,
    /// A label, kept in the pointer; may be given several times
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
