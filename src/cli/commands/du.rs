//! `modver du`.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::scope::place;
use crate::cli::ui::human::{bytes, number};
use crate::cli::ui::{Render, Style, broken};
use crate::repo::{DuOutcome, Usage};

/// Show how much space tracked files take
///
/// Shows the size of each as files, the bytes it takes in the cache (compressed, equal pieces once), how many of these
/// no other output of this work tree (with --rev, of that revision) uses, and the size of files that are not in the cache.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver du
  modver du data/
  modver du --rev v1.0")]
pub(crate) struct Args {
    /// What to measure (default: everything tracked)
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Measure what is tracked in a git revision (default: what the pointers in the workspace say)
    #[arg(long, value_name = "REV")]
    rev: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    Ok(Shown {
        outcome: context.repository_or_bare()?.du(&args.paths, args.rev.as_deref())?,
    })
}

/// What is shown.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    outcome: DuOutcome,
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        let DuOutcome { outputs, total, .. } = &self.outcome;
        if outputs.is_empty() {
            return Ok(());
        }
        row(
            out,
            ["files", "size", "stored", "unique", "missing"].map(str::to_owned),
            "",
        )?;
        for usage in outputs {
            row(out, columns(usage), &usage.path.to_string())?;
        }
        if outputs.len() > 1 {
            row(out, columns(total), "total")?;
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        if self.outcome.outputs.is_empty() {
            writeln!(out, "nothing is tracked {}", place(self.outcome.rev.as_deref()))?;
        }
        broken::notes(&self.outcome.broken, out, style)
    }

    fn exit(&self) -> Exit {
        broken::exit(&self.outcome.broken, Exit::Ok)
    }
}

fn columns(usage: &Usage) -> [String; 5] {
    [
        number(usage.files),
        bytes(usage.size),
        bytes(usage.stored),
        bytes(usage.unique),
        bytes(usage.missing),
    ]
}

fn row(out: &mut dyn Write, [files, size, stored, unique, missing]: [String; 5], path: &str) -> io::Result<()> {
    let line = format!("{files:>10}  {size:>10}  {stored:>10}  {unique:>10}  {missing:>10}  {path}");
    writeln!(out, "{}", line.trim_end())
}
