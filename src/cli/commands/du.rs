//! `modver du`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Show how much space tracked files take
///
/// Shows the size of each, and how much of it is stored only once because it is shared.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver du
  modver du data/")]
pub(crate) struct Args {
    /// What to measure (default: everything tracked)
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
