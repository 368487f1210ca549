//! `modver gc`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Remove stored content that is not needed
///
/// Shows what it would remove; --yes removes it. What to keep must be said by at least one of the scope options.
/// Content that exists only on this machine is kept, unless the option that says so in plain words is given.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver gc --workspace
  modver gc --all-branches --all-tags --keep-days 30 --yes")]
pub(crate) struct Args {
    /// Keep what the workspace needs
    #[arg(short, long)]
    workspace: bool,
    /// Keep what the tips of all branches need
    #[arg(short = 'a', long)]
    all_branches: bool,
    /// Keep what all tags need
    #[arg(short = 'T', long)]
    all_tags: bool,
    /// Keep what any commit needs
    #[arg(short = 'A', long)]
    all_commits: bool,
    /// Keep what was stored in the last N days
    #[arg(long, value_name = "N")]
    keep_days: Option<u32>,
    /// Keep what the remote does not have
    #[arg(long)]
    not_in_remote: bool,
    /// The remote to ask (default: the one that `modver remote default` shows)
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    /// Really remove it
    #[arg(short, long)]
    yes: bool,
    /// Also remove content that exists on this machine only and would be lost for good
    #[arg(long)]
    delete_data_that_exists_nowhere_else: bool,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
