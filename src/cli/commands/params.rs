//! `modver params`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::values::{DiffArgs, DiffShown};
use crate::experiment::{ParamsRequest, params_diff};

/// Compare parameters
///
/// Parameters are the values that stages depend on, in TOML, YAML and JSON: all of the `params.toml` beside each
/// `mv.toml`, and what stages name of other files.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver params diff
  modver params diff main
  modver params diff v1.0 v2.0 --md")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show how parameters differ between two versions
    #[command(after_help = "\
Examples:
  modver params diff
  modver params diff HEAD~1 --deps
  modver params diff main --targets config/train.yaml")]
    Diff {
        #[command(flatten)]
        diff: DiffArgs,
        /// Only the parameters that a stage names
        #[arg(long)]
        deps: bool,
    },
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<DiffShown, CliError> {
    let repository = context.repository()?;
    let Action::Diff { diff, deps } = &args.action;
    let request = ParamsRequest {
        diff: diff.request(&repository)?,
        only_deps: *deps,
    };
    let outcome = params_diff(&repository, &request)?;
    Ok(DiffShown::new(outcome, diff, "Param", "parameters"))
}
