//! `modver import-url`.

use std::path::PathBuf;

use super::import::Shown;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::rate::RateArgs;
use crate::repo::ImportUrlOptions;

/// Track a file or directory from a URL
///
/// Reads http(s)://, s3://bucket/key (or a prefix), file:///path or a path. What comes is tracked here, and its pointer
/// remembers the URL and what tells its version: the ETag, size and date that the service gives. `modver update` brings
/// a newer version.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver import-url https://example.org/table.csv data/table.csv
  modver import-url s3://bucket/raw/2026 raw")]
pub(crate) struct Args {
    /// Where the data is
    #[arg(value_name = "URL")]
    url: String,
    /// What to call it: a new name, or a directory (default: the last name of URL, here)
    #[arg(value_name = "OUT")]
    out: Option<PathBuf>,
    /// Replace what is in the way
    #[arg(short, long)]
    force: bool,
    /// A description, kept in the pointer
    #[arg(long, value_name = "TEXT")]
    desc: Option<String>,
    /// A label, kept in the pointer; may be given several times
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    #[command(flatten)]
    rate: RateArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let context = args.rate.apply(context);
    let outcome = context.repository()?.import_url(&ImportUrlOptions {
        url: args.url.clone(),
        out: args.out.clone(),
        force: args.force,
        desc: args.desc.clone(),
        labels: args.labels.clone(),
    })?;
    Ok(Shown::new(outcome))
}
