//! `modver uninstall`.

use std::io::{self, Write};

use super::install;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{Render, Style};
use crate::git::HookChange;
use crate::repo::InstallOutcome;

/// Take out the hooks, the merge driver and the filter that `modver install` put in
///
/// Hooks that were there before are back as they were. Pointers, settings and the cache are not touched.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver uninstall")]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: &Args, context: &Context) -> Result<Shown, CliError> {
    Ok(Shown(context.repository()?.uninstall()?))
}

/// What was taken out.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Shown(InstallOutcome);

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        for hook in &self.0.hooks {
            match hook.change {
                HookChange::Removed => writeln!(out, "removed {}", hook.file)?,
                HookChange::Restored => writeln!(out, "restored {} as it was before", hook.file)?,
                _ => {}
            }
        }
        if let Some(path) = &self.0.framework {
            writeln!(out, "took the entries of modver out of {path}")?;
        }
        if self.0.merge_driver_changed {
            writeln!(out, "removed the merge driver for pointers")?;
        }
        if self.0.filter_changed {
            writeln!(out, "removed the filter: git takes transparent files as they are now")?;
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        install::show_left_alone(&self.0, out)?;
        let nothing = self.0.hooks.iter().all(|hook| hook.change == HookChange::None);
        if nothing && self.0.framework.is_none() && !self.0.merge_driver_changed && !self.0.filter_changed {
            writeln!(out, "nothing of modver was installed")?;
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        install::exit(&self.0)
    }
}
