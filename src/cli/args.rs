//! The command line: global options and one subcommand.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::commands::Command;

/// Version data, models and pipelines together with code, inside git.
///
/// Large files and directories live in a store beside git; git keeps a small pointer file (NAME.mv) for each. Any
/// commit leads back to the same bytes.
#[derive(Debug, clap::Parser)]
#[command(
    name = "modver",
    version,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "\
Examples:
  modver init                 set up data versioning in this git repository
  modver add data/            track a directory
  git commit -m 'Add data'    record it
  modver push                 share it

`mv` is the short name: see `modver help names`. Exit codes: `modver help exit-codes`."
)]
pub(crate) struct Cli {
    /// The options that every command takes.
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The options that every command takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    // The name is also an id that no command may use for an argument of its own.
    /// Run as if started in DIR
    #[arg(short = 'C', global = true, value_name = "DIR")]
    pub(crate) directory_to_work_in: Option<PathBuf>,
    /// Print nothing but data and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Also say which repository and cache are used, how long it took and how many requests were sent
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show no progress line
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
    /// Work on N things at once (default: as many as there are processors)
    #[arg(short, long, global = true, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Use this value of a setting, whatever files and environment say; may be given several times
    #[arg(short = 'c', long = "config", global = true, value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) settings: Vec<(String, String)>,
}

/// Splits `KEY=VALUE`; what the key means is found out when settings are loaded.
fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, such as core.remote=origin".to_owned()),
    }
}

/// Whether the command line has a `--`; what is before it and what is behind it is told apart by clap.
pub(crate) fn has_separator() -> bool {
    std::env::args_os().any(|arg| arg == "--")
}
