//! `modver remove`.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{Render, Style, broken};
use crate::repo::RemoveOutcome;

/// Stop tracking files or directories
///
/// Removes the pointer and its line in `.gitignore`. The data stays in the workspace unless --outs is given, and in
/// the cache until `modver gc`. Also for data that `modver status` calls orphaned: to keep it, or to remove it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver remove data.mv
  modver remove --outs old-model.bin")]
pub(crate) struct Args {
    /// Tracked files or directories, or their pointers
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<PathBuf>,
    /// Also remove the data from the workspace
    #[arg(long)]
    outs: bool,
    /// With --outs: also remove data that is not stored
    #[arg(short, long, requires = "outs")]
    force: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let outcome = context.repository()?.remove(&args.targets, args.outs, args.force)?;
    Ok(Shown(outcome))
}

/// What was removed.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Shown(RemoveOutcome);

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        let data = if self.0.data_removed {
            ", data removed"
        } else {
            ", data kept"
        };
        self.0
            .removed
            .iter()
            .try_for_each(|path| writeln!(out, "no longer tracked: {path}{data}"))
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        broken::notes(&self.0.broken, out, style)
    }

    fn exit(&self) -> Exit {
        broken::exit(&self.0.broken, Exit::Ok)
    }
}
