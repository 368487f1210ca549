//! `modver move`.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::{Render, Style};
use crate::repo::MoveOutcome;

/// Move or rename a tracked file or directory
///
/// Moves data, pointer and `.gitignore` line together and stages the change in git.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver move data/raw data/original
  modver move model.bin models/")]
pub(crate) struct Args {
    /// The tracked file or directory
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// Its new path, or a directory to move it into
    #[arg(value_name = "TO")]
    to: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    Ok(Shown(context.repository()?.rename(&args.from, &args.to)?))
}

/// What was moved.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Shown(MoveOutcome);

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        let MoveOutcome { from, to, data_moved } = &self.0;
        let data = if *data_moved { "" } else { " (no data here to move)" };
        writeln!(out, "moved {from} to {to}{data}")
    }
}
