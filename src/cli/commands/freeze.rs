//! `modver freeze`.

use std::io::{self, Write};

use super::stage::here;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::{Render, Style};
use crate::pipeline::edit::{self, StagesFrozen};

/// Keep stages from running
///
/// Writes `frozen = true` into their definitions. A frozen stage counts as up to date, whatever changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver freeze prepare
  modver freeze sub/mv.toml:train")]
pub(crate) struct Args {
    /// Stages: NAME, or path/to/mv.toml:NAME
    #[arg(value_name = "STAGE", required = true)]
    targets: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    frozen(&args.targets, context, true)
}

/// Freezes or unfreezes.
pub(super) fn frozen(targets: &[String], context: &Context, frozen: bool) -> Result<Shown, CliError> {
    let repo = context.repository()?;
    Ok(Shown(edit::freeze(&repo, &here(&repo)?, targets, frozen)?))
}

/// What was changed.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Shown(StagesFrozen);

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        let done = if self.0.frozen { "froze" } else { "unfroze" };
        self.0.changed.iter().try_for_each(|id| writeln!(out, "{done} {id}"))
    }

    fn notes(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        let is = if self.0.frozen {
            "is frozen already"
        } else {
            "is not frozen"
        };
        self.0.unchanged.iter().try_for_each(|id| writeln!(out, "{id} {is}"))
    }
}
