//! `modver cat`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;
use crate::repo::RepoError;
use crate::store::StoreError;

/// Write the content of a tracked file to standard output
///
/// Reads it from the cache; if it is not there, this file alone is fetched from the remote first. The workspace is
/// neither read nor changed. Content is verified: if it is damaged, the command fails, though a large file may then have
/// been written in part. There is no --json, as the output is the file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver cat data/labels.csv | head
  modver cat data/images/cat.png > cat.png
  modver cat --rev v1.0 data/labels.csv")]
pub(crate) struct Args {
    /// A tracked file, or a file inside a tracked directory
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The file as it is in a git revision (default: as the pointer in the workspace says)
    #[arg(long, value_name = "REV")]
    rev: Option<String>,
    /// The remote to use (default: the one that `modver remote default` shows)
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Nothing, CliError> {
    if context.json {
        return Err(CliError::NoJson("cat"));
    }
    let repository = context.repository_or_bare()?;
    let mut out = io::stdout().lock();
    let done = repository.cat::<Stop>(&args.path, args.rev.as_deref(), args.remote.as_deref(), &mut |bytes| {
        out.write_all(bytes).map_err(Stop::Output)
    });
    match done.map(|_| ()).and_then(|()| out.flush().map_err(Stop::Output)) {
        Ok(()) => Ok(Nothing {}),
        Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Nothing {}),
        Err(Stop::Output(error)) => Err(CliError::Output(error)),
        Err(Stop::Repo(error)) => Err(error.into()),
    }
}

/// Why no more is written.
enum Stop {
    Output(io::Error),
    Repo(RepoError),
}

impl From<RepoError> for Stop {
    fn from(error: RepoError) -> Self {
        Self::Repo(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Repo(error.into())
    }
}
