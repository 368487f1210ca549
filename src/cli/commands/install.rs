//! `modver install`.

use std::io::{self, Write};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{Render, Style};
use crate::git::{Hook, HookChange};
use crate::repo::InstallOutcome;

/// Make data follow git: install hooks and the merge driver
///
/// Data then follows checkouts, merges and rebases, is looked at before each commit, and is pushed before git pushes. A hook
/// that is there already is kept and runs first. Pointers of directories are merged path by path. Where `.gitattributes`
/// has patterns of transparent files (`modver track`), git is told of their filter. Running it again does no harm;
/// `modver uninstall` takes out what it put in.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver install
  modver install --pre-commit")]
pub(crate) struct Args {
    /// Write entries for the pre-commit framework into `.pre-commit-config.yaml` instead of hooks
    #[arg(long)]
    pre_commit: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    Ok(Shown {
        outcome: context.repository()?.install(args.pre_commit)?,
        framework: args.pre_commit,
    })
}

/// What was installed.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    outcome: InstallOutcome,
    #[serde(skip)]
    framework: bool,
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        let outcome = &self.outcome;
        for hook in &outcome.hooks {
            match hook.change {
                HookChange::Written => writeln!(out, "installed {}", hook.file)?,
                HookChange::Chained => writeln!(out, "installed {} (the one that was there runs first)", hook.file)?,
                _ => {}
            }
        }
        if let Some(path) = &outcome.framework {
            writeln!(out, "wrote {path}")?;
        }
        if outcome.merge_driver_changed {
            writeln!(out, "installed the merge driver for pointers")?;
        }
        if outcome.filter_changed {
            writeln!(out, "installed the filter for transparent files")?;
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        let outcome = &self.outcome;
        show_left_alone(outcome, out)?;
        let unchanged = |change| matches!(change, HookChange::Unchanged);
        if outcome.hooks.iter().all(|hook| unchanged(hook.change))
            && outcome.framework.is_none()
            && !outcome.merge_driver_changed
            && !outcome.filter_changed
        {
            writeln!(out, "everything was installed already")?;
        }
        if outcome.hooks_shared && !self.framework {
            let dir = &outcome.hooks_dir;
            writeln!(
                out,
                "note: core.hooksPath is {dir}; every repository that uses it has these hooks now"
            )?;
        }
        if self.framework {
            let types: Vec<String> = Hook::ALL.iter().map(|hook| format!("-t {}", hook.name())).collect();
            writeln!(out, "hint: pre-commit install {}", types.join(" "))?;
        }
        if outcome.attributes_missing {
            writeln!(out, "hint: modver init   so that git uses the merge driver")?;
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        exit(&self.outcome)
    }
}

/// Says which hooks were left alone, and why.
pub(super) fn show_left_alone(outcome: &InstallOutcome, out: &mut dyn Write) -> io::Result<()> {
    for hook in &outcome.hooks {
        let (file, name) = (&hook.file, hook.hook.name());
        match hook.change {
            HookChange::Edited => writeln!(
                out,
                "left alone: {file} was installed by modver and changed since\nhint: rm {file}   and again"
            )?,
            HookChange::InTheWay => writeln!(
                out,
                "left alone: {file} is another hook, and so is {file}.before-modver\n\
                 hint: make {file} run both, with a line `modver hook {name} \"$@\"`"
            )?,
            _ => {}
        }
    }
    Ok(())
}

/// Whether all was done.
pub(super) fn exit(outcome: &InstallOutcome) -> Exit {
    let left = |change| matches!(change, HookChange::Edited | HookChange::InTheWay);
    if outcome.hooks.iter().any(|hook| left(hook.change)) {
        Exit::Partial
    } else {
        Exit::Ok
    }
}
