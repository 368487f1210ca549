//! `modver unfreeze`.

use super::freeze::{Shown, frozen};
use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Let frozen stages run again
///
/// Removes `frozen` from their definitions.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver unfreeze prepare")]
pub(crate) struct Args {
    /// Stages: NAME, or path/to/mv.toml:NAME
    #[arg(value_name = "STAGE", required = true)]
    targets: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    frozen(&args.targets, context, false)
}
