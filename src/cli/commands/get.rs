//! `modver get`.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::rate::RateArgs;
use crate::cli::ui::{Render, Style, human};
use crate::repo::{GetOptions, GetOutcome, get};

/// Get data out of another repository, or a file from a URL
///
/// With a PATH, SOURCE is a repository: any URL that git can clone, or a directory of this machine. It is not cloned;
/// only what is needed is fetched, and a copy of its commits is kept in `~/.cache/modver`. PATH is something tracked by
/// modver there, something inside a tracked directory, or a file or directory of git. Without a PATH, SOURCE is a plain
/// file or directory: http(s)://, s3://bucket/key, file:///path or a path.
///
/// Works outside of repositories. What is written is not tracked; `modver import` does that.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver get https://github.com/lab/data.git images/cats
  modver get ../other-project model.bin --rev v1.2 -o baseline.bin
  modver get https://example.org/table.csv")]
pub(crate) struct Args {
    /// A repository if a PATH follows, or else a URL or path of a file
    #[arg(value_name = "SOURCE")]
    source: String,
    /// What to get out of the repository
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// A branch, tag or commit of the repository (default: its newest commit)
    #[arg(long, value_name = "REV", requires = "path")]
    rev: Option<String>,
    /// Where to write it: a new name, or a directory (default: the last name of what is got, here)
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
    /// Replace files that are in the way
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    rate: RateArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let context = args.rate.apply(context);
    let outcome = get(
        &context.open_options(),
        &GetOptions {
            url: args.source.clone(),
            path: args.path.clone(),
            rev: args.rev.clone(),
            out: args.out.clone(),
            force: args.force,
        },
    )?;
    Ok(Shown(outcome))
}

/// What was got.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Shown(GetOutcome);

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        let got = &self.0;
        let files = human::count(got.files, "file", "files");
        let path = crate::path::quote(got.out.as_os_str().as_encoded_bytes());
        writeln!(out, "got {path} ({files}, {})", human::bytes(got.size))
    }

    fn notes(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        match &self.0.commit {
            Some(commit) => writeln!(out, "from {} at commit {commit}", self.0.url),
            None => writeln!(out, "from {}", self.0.url),
        }
    }
}
