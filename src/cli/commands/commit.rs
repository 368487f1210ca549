//! `modver commit`.

use std::path::PathBuf;

use super::add::Shown;
use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Accept what changed in tracked files and directories
///
/// Like `modver add` for everything that is tracked already: stores the new content and updates the pointers. What is as
/// an earlier pointer says was not changed here and is left alone, unless it is named.
///
/// What a stage made is left alone, too, unless it is named: it may be half made. Then the lock file says that this is
/// what the stage made.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver commit
  modver commit data/images")]
pub(crate) struct Args {
    /// Tracked files or directories, or paths inside tracked directories (default: everything tracked)
    #[arg(value_name = "TARGET")]
    targets: Vec<PathBuf>,
    /// Also record what is here where the pointer changed since it was brought here, which undoes what is new there
    #[arg(short, long)]
    force: bool,
    /// Show what would be stored and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    Ok(Shown(context.repository()?.commit(
        &args.targets,
        args.force,
        args.dry_run,
    )?))
}
