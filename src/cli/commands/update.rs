//! `modver update`.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::rate::RateArgs;
use crate::cli::ui::{Colour, Render, Style, broken, human};
use crate::repo::{UpdateOptions, UpdateOutcome, UpdateState, Updated};

/// Bring imports to what their sources have now
///
/// Asks each source whether its branch, tag or URL has another version than the one that is here; one request each. An
/// import that was changed here is left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver update --dry-run
  modver update images/cats --rev v2")]
pub(crate) struct Args {
    /// Imports, or directories they are in (default: all)
    #[arg(value_name = "TARGET")]
    targets: Vec<PathBuf>,
    /// Another branch, tag or commit to follow from now on
    #[arg(long, value_name = "REV", requires = "targets")]
    rev: Option<String>,
    /// Only say which sources have another version; exit with 1 if any has
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Also replace imports that were changed here
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    rate: RateArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let context = args.rate.apply(context);
    let outcome = context.repository()?.update(&UpdateOptions {
        targets: args.targets.clone(),
        rev: args.rev.clone(),
        dry_run: args.dry_run,
        force: args.force,
    })?;
    Ok(Shown(outcome))
}

/// What became of the imports.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Shown(UpdateOutcome);

/// A commit as git shortens it; other marks as they are.
fn short(mark: Option<&String>) -> &str {
    let mark = mark.map_or("?", String::as_str);
    let is_commit = matches!(mark.len(), 40 | 64) && mark.bytes().all(|b| b.is_ascii_hexdigit());
    if is_commit { &mark[..12] } else { mark }
}

fn is_written(updated: &Updated) -> bool {
    let complete = |out: &crate::repo::CheckedOut| out.conflicts.is_empty() && out.failures.is_empty();
    updated.checkout.as_ref().is_none_or(complete)
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        for updated in &self.0.imports {
            let Updated { path, url, .. } = updated;
            let (before, after) = (short(updated.before.as_ref()), short(updated.after.as_ref()));
            match updated.state {
                UpdateState::Unchanged => writeln!(out, "unchanged {path}")?,
                UpdateState::SameContent => {
                    writeln!(out, "unchanged {path} ({before} -> {after}, the same content)")?
                }
                UpdateState::Updated => writeln!(out, "updated {path} ({before} -> {after})")?,
                UpdateState::MovedOn => writeln!(out, "moved on {path} ({url})")?,
                UpdateState::Modified | UpdateState::Failed => {}
            }
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        broken::notes(&self.0.broken, out, style)?;
        let imports = &self.0.imports;
        if imports.is_empty() {
            return writeln!(out, "nothing is imported here");
        }
        for updated in imports {
            let path = &updated.path;
            match updated.state {
                UpdateState::Modified => {
                    let label = style.paint(Colour::Bad, "modified:");
                    writeln!(out, "{label} {path} was changed here and is left as it is")?;
                    let hint = style.paint(Colour::Hint, "hint:");
                    writeln!(out, "{hint} modver update --force {path}   to lose the changes")?;
                }
                UpdateState::Failed => {
                    let reason = updated.reason.as_deref().unwrap_or_default();
                    writeln!(out, "{} {path}: {reason}", style.paint(Colour::Bad, "failed:"))?;
                }
                _ if !is_written(updated) => {
                    let label = style.paint(Colour::Bad, "incomplete:");
                    writeln!(out, "{label} {path} could not be written: modver checkout {path}")?;
                }
                _ => {}
            }
        }
        let moved = imports.iter().filter(|one| one.state == UpdateState::MovedOn).count();
        if moved > 0 {
            let sources = human::count(moved as u64, "source has", "sources have");
            writeln!(out, "{sources} another version; nothing was changed (--dry-run)")?;
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        let imports = &self.0.imports;
        let bad =
            |one: &Updated| matches!(one.state, UpdateState::Modified | UpdateState::Failed) || !is_written(one);
        let exit = match (imports.iter().any(bad), imports.iter().all(bad)) {
            (true, true) => Exit::Failure,
            (true, false) => Exit::Partial,
            (false, _) if imports.iter().any(|one| one.state == UpdateState::MovedOn) => Exit::Failure,
            (false, _) => Exit::Ok,
        };
        broken::exit(&self.0.broken, exit)
    }
}
