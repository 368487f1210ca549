//! `modver track`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::{Colour, Render, Style, human};
use crate::repo::{TrackOptions, TrackOutcome};

/// Keep files that fit a pattern out of git, without pointers beside them
///
/// Such files are transparent: `git add`, `git commit` and `git checkout` work on them as on any other, but git stores
/// a pointer in their place and modver the content. Patterns go into `.gitattributes` of the current directory, and
/// the filter into git's configuration of this clone. Without arguments, the patterns in force are listed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver track '*.bin' models/ && git add .
  modver track --filename 'odd [name].bin'
  modver track --convert data        make a tracked directory transparent
  modver track                       list the patterns")]
pub(crate) struct Args {
    /// Patterns as in `.gitignore`, without `!`; `DIR/` is everything in a directory
    #[arg(value_name = "PATTERN")]
    patterns: Vec<OsString>,
    /// The patterns are names of files: nothing in them is special
    #[arg(long)]
    filename: bool,
    /// Make a tracked output transparent: its pointer file goes, its files are added to git as transparent ones
    #[arg(long, value_name = "TARGET")]
    convert: Vec<PathBuf>,
    /// Show what would be done and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let outcome = context.repository()?.track(&TrackOptions {
        patterns: args.patterns.clone(),
        literal: args.filename,
        convert: args.convert.clone(),
        dry_run: args.dry_run,
    })?;
    Ok(Shown {
        listed: args.patterns.is_empty() && args.convert.is_empty(),
        outcome,
    })
}

/// What is tracked.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    #[serde(skip)]
    listed: bool,
    #[serde(flatten)]
    outcome: TrackOutcome,
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        for tracked in &self.outcome.patterns {
            let (pattern, file) = (&tracked.pattern, &tracked.file);
            match (self.listed, tracked.new, self.outcome.dry_run) {
                (true, _, _) => writeln!(out, "{pattern} ({file})")?,
                (false, true, true) => writeln!(out, "would track {pattern} ({file})")?,
                (false, true, false) => writeln!(out, "tracking {pattern} ({file})")?,
                (false, false, _) => writeln!(out, "tracked already: {pattern} ({file})")?,
            }
        }
        for converted in &self.outcome.converted {
            let slash = if converted.dir { "/" } else { "" };
            let would = if self.outcome.dry_run { "would make" } else { "made" };
            writeln!(out, "{would} {}{slash} transparent", converted.path)?;
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let outcome = &self.outcome;
        let hint = style.paint(Colour::Hint, "hint:");
        if self.listed && outcome.patterns.is_empty() {
            writeln!(out, "no files are transparent\n{hint} modver track '*.bin'")?;
        }
        if outcome.configured {
            writeln!(out, "configured git's filter in this clone")?;
        }
        if let Some(example) = &outcome.unfiltered_example {
            let files = human::count(outcome.unfiltered, "file", "files");
            writeln!(
                out,
                "git has {files} that fit the patterns, such as {example}, as they are\n\
                 {hint} git add --renormalize .   to store pointers from now on; modver migrate import, to also change \
                 history"
            )?;
        }
        for converted in outcome.converted.iter().filter(|one| one.empty_dirs > 0) {
            let dirs = human::count(converted.empty_dirs, "directory", "directories");
            writeln!(out, "git does not keep {dirs} without files in {}/", converted.path)?;
        }
        if outcome.dry_run {
            writeln!(out, "nothing was written (--dry-run)")?;
        }
        Ok(())
    }
}
