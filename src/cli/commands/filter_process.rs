//! `modver filter-process`.

use std::io::{self, BufReader, Write};
use std::os::fd::AsFd as _;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{Colour, Render, Style, human};
use crate::fs::File;
use crate::repo::{FilterOutcome, Repository};

/// The variable that leaves pointers in the work tree.
const SKIP: &str = "MODVER_SKIP_SMUDGE";

/// Be git's filter for transparent files (git starts this)
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: &Args, context: &Context) -> Result<Shown, CliError> {
    if context.json {
        return Err(CliError::NoJson("filter-process"));
    }
    let skip = context.env.get(SKIP).is_some_and(|value| {
        let value = value.to_string_lossy().to_ascii_lowercase();
        !["0", "no", "off", "false"].contains(&&*value)
    });
    // Without the buffers and locks of the standard library: packets are read and written whole.
    let handle = |fd: std::os::fd::BorrowedFd<'_>| {
        let owned = fd.try_clone_to_owned().map_err(CliError::Output)?;
        Ok::<_, CliError>(File::from(owned))
    };
    let input = BufReader::with_capacity(128 * 1024, handle(io::stdin().as_fd())?);
    let output = handle(io::stdout().as_fd())?;
    let outcome = Repository::filter(&context.open_options_or_bare(), skip, input, output)?;
    Ok(Shown(outcome))
}

/// What git was not given.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Shown(FilterOutcome);

impl Render for Shown {
    fn text(&self, _out: &mut dyn Write, _style: Style) -> io::Result<()> {
        // Standard output is git's.
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let FilterOutcome {
            missing,
            missing_paths,
            reason,
            failed,
            edited,
            edited_paths,
        } = &self.0;
        for (path, reason) in failed {
            writeln!(out, "modver: {}: {path}: {reason}", style.paint(Colour::Bad, "error"))?;
        }
        if *edited > 0 {
            writeln!(
                out,
                "modver: warning: what begins as a pointer does and is none was stored as content:"
            )?;
            list(out, edited_paths, *edited)?;
            let hint = style.paint(Colour::Hint, "hint:");
            writeln!(
                out,
                "{hint} if a pointer was edited: git checkout HEAD -- PATH, then modver pull PATH"
            )?;
        }
        if *missing == 0 {
            return Ok(());
        }
        let files = human::count(*missing, "file", "files");
        writeln!(
            out,
            "modver: pointers were left in the place of {files} whose content is not here:"
        )?;
        list(out, missing_paths, *missing)?;
        if let Some(reason) = reason {
            writeln!(out, "{reason}")?;
        }
        writeln!(out, "{} modver pull", style.paint(Colour::Hint, "hint:"))
    }

    fn exit(&self) -> Exit {
        if self.0.failed.is_empty() {
            Exit::Ok
        } else {
            Exit::Failure
        }
    }
}

/// The first paths of `all`.
fn list(out: &mut dyn Write, paths: &[String], all: u64) -> io::Result<()> {
    for path in paths {
        writeln!(out, "  {path}")?;
    }
    match all.saturating_sub(paths.len() as u64) {
        0 => Ok(()),
        more => writeln!(out, "  … and {} more", human::number(more)),
    }
}
