//! `modver config`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Get and set settings
///
/// A setting comes from the first of these that has it: an option on the command line, a MODVER_* environment
/// variable, this clone (--local), `mv.toml` (--project), the user (--user), the machine (--system), the built-in
/// value. Secrets are never written to `mv.toml`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver config list --show-origin
  modver config set core.autostage false
  modver config get cache.dir")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Print the value of a setting
    Get {
        /// The setting, such as core.autostage
        key: String,
        /// Also print where the value comes from
        #[arg(long)]
        show_origin: bool,
        #[command(flatten)]
        layer: Layer,
    },
    /// Change a setting (in mv.toml, unless another layer is named)
    Set {
        /// The setting
        key: String,
        /// Its new value
        #[arg(allow_hyphen_values = true)]
        value: String,
        #[command(flatten)]
        layer: Layer,
    },
    /// Remove a setting (from mv.toml, unless another layer is named)
    Unset {
        /// The setting
        key: String,
        #[command(flatten)]
        layer: Layer,
    },
    /// Print all settings
    List {
        /// Also print where each value comes from
        #[arg(long)]
        show_origin: bool,
        #[command(flatten)]
        layer: Layer,
    },
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Layer {
    /// The settings of this machine
    #[arg(long)]
    system: bool,
    /// The settings of this user
    #[arg(long)]
    user: bool,
    /// The settings in mv.toml, which is committed
    #[arg(long)]
    project: bool,
    /// The settings of this clone
    #[arg(long)]
    local: bool,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
