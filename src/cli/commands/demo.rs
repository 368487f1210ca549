//! `modver demo`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Show what modver does, on real data, in a temporary directory
///
/// Adds, commits, pushes, changes, clones, pulls and goes back, printing each command. Needs nothing but git.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver demo
  modver demo --dir /tmp/modver-demo")]
pub(crate) struct Args {
    /// Work in this directory, which must not exist yet or be empty, and keep it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
