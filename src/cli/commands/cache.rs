//! `modver cache`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Look at the cache
///
/// The cache is where this machine keeps stored content; several repositories can share one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver cache info
  du -sh \"$(modver cache dir)\"
  modver cache rebuild")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show where the cache is, how much it holds and how well it compresses
    Info,
    /// Print the directory of the cache
    Dir,
    /// Build the index again from the stored packs
    Rebuild,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
