//! `modver remote`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Manage remotes
///
/// A remote is a directory or an S3 bucket where content is shared. Remotes are kept in `mv.toml`, which is committed;
/// --local and --user keep one for this clone or for this user only. Credentials are never written to `mv.toml`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver remote add --default store s3://bucket/prefix --region eu-central-1
  modver remote add backup /mnt/backup/modver
  modver remote modify store endpoint https://s3.example.org
  modver remote list")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add a remote
    Add(Add),
    /// List the remotes; the default one is marked
    List,
    /// Change or remove a setting of a remote
    Modify(Modify),
    /// Remove a remote; what it stores stays
    Remove {
        /// The remote
        name: String,
    },
    /// Rename a remote
    Rename {
        /// The remote
        from: String,
        /// Its new name
        to: String,
    },
    /// Show or choose the remote that is used when none is named
    Default {
        /// The remote to choose
        name: Option<String>,
        /// Have no default
        #[arg(long, conflicts_with = "name")]
        unset: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    /// Its name
    name: String,
    /// A directory, file:///DIR or s3://BUCKET/PREFIX
    url: String,
    /// Use it when no remote is named
    #[arg(short, long)]
    default: bool,
    /// Replace a remote of that name
    #[arg(short, long)]
    force: bool,
    /// Keep it for this clone only
    #[arg(long, conflicts_with = "user")]
    local: bool,
    /// Keep it for this user, in all repositories
    #[arg(long)]
    user: bool,
    /// The address of an S3 service other than AWS
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The S3 region
    #[arg(long)]
    region: Option<String>,
    /// The profile in the AWS configuration files
    #[arg(long)]
    profile: Option<String>,
    /// Sign no requests
    #[arg(long)]
    anonymous: bool,
    /// Put the bucket into the path, not into the host name
    #[arg(long)]
    path_style: bool,
}

#[derive(Debug, clap::Args)]
struct Modify {
    /// The remote
    name: String,
    /// The setting: url, endpoint, region, profile, anonymous, path-style, ...
    key: String,
    /// Its new value
    #[arg(required_unless_present = "unset")]
    value: Option<String>,
    /// Remove the setting
    #[arg(short, long, conflicts_with = "value")]
    unset: bool,
    /// Change it for this clone only
    #[arg(long, conflicts_with = "user")]
    local: bool,
    /// Change it for this user, in all repositories
    #[arg(long)]
    user: bool,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotWired)
}
