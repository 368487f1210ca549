//! `modver cat`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Write the content of a tracked file to standard output
///
/// Reads it from the cache, or from the remote if it is not there. The workspace is neither read nor changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver cat data/labels.csv | head
  modver cat data/images/cat.png > cat.png")]
pub(crate) struct Args {
    /// A tracked file, or a file inside a tracked directory
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The remote to use (default: the one that `modver remote default` shows)
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
