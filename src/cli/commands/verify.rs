//! `modver verify`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Check that stored content is what its name says
///
/// Reads everything back and computes its hashes again. Exits with 6 if anything is damaged.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver verify
  modver verify --remote --quick
  modver verify --repair")]
pub(crate) struct Args {
    /// Check a remote instead of the cache
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "NAME")]
    remote: Option<Option<String>>,
    /// Replace damaged content with a good copy from the cache, the remote or the workspace
    #[arg(long)]
    repair: bool,
    /// Check sizes and indexes only, not every byte
    #[arg(long)]
    quick: bool,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
