//! `modver migrate`.

use std::ffi::OsString;
use std::io::{self, Write};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::{Colour, Render, Style, human};
use crate::config::parse_size;
use crate::git::{Direction, RefChoice};
use crate::repo::{MigrateOptions, MigrateOutcome};

/// Rewrite history so that files are transparent in it, or are git's own again
///
/// Commits are written anew with the same authors, dates and messages; commits in which nothing changes keep their
/// ids; signatures are dropped and counted. Old branches and tags are kept under refs/original/modver/. Everybody who
/// has the old history has to fetch the new one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver migrate import --above 10MiB --everything --dry-run
  modver migrate import --include '*.bin' --include models/
  modver migrate export --include '*.bin'
  git update-ref -d refs/original/modver/1/refs/heads/main    forget the old history")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Store files of the history with modver, and pointers in git
    Import(What),
    /// Put the content of transparent files into git
    Export(What),
}

#[derive(Debug, clap::Args)]
struct What {
    /// Branches and tags to rewrite (default: the current branch)
    #[arg(value_name = "REF")]
    refs: Vec<String>,
    /// Rewrite all branches and tags of this clone
    #[arg(long, conflicts_with = "refs")]
    everything: bool,
    /// Files that fit this pattern, as in `modver track`; may be given several times
    #[arg(short = 'I', long, value_name = "PATTERN")]
    include: Vec<OsString>,
    /// Not files that fit this pattern; may be given several times
    #[arg(short = 'X', long, value_name = "PATTERN")]
    exclude: Vec<OsString>,
    /// Only files larger than this, such as 500KiB or 10MB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    above: Option<u64>,
    /// The remote to fetch missing content from (default: the one that `modver remote default` shows)
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    /// Show what would change and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let (direction, what) = match &args.action {
        Action::Import(what) => (Direction::Import, what),
        Action::Export(what) => (Direction::Export, what),
    };
    let outcome = context.repository()?.migrate(&MigrateOptions {
        direction,
        include: what.include.clone(),
        exclude: what.exclude.clone(),
        above: what.above,
        refs: match (what.everything, what.refs.is_empty()) {
            (true, _) => RefChoice::Everything,
            (false, true) => RefChoice::Current,
            (false, false) => RefChoice::Named(what.refs.clone()),
        },
        remote: what.remote.clone(),
        dry_run: what.dry_run,
    })?;
    Ok(Shown(outcome))
}

/// What was rewritten.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Shown(MigrateOutcome);

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        for kind in &self.0.files {
            let suffix = match kind.suffix.as_str() {
                "" => "no suffix",
                suffix => suffix,
            };
            let versions = human::count(kind.versions, "version", "versions");
            writeln!(out, "{:>10}  {suffix} ({versions})", human::bytes(kind.bytes))?;
        }
        let Some(rewritten) = self.0.rewritten else {
            return Ok(());
        };
        let commits = human::count(rewritten, "commit", "commits");
        writeln!(out, "rewrote {commits} of {}", human::number(self.0.commits))?;
        for name in &self.0.refs {
            writeln!(out, "moved {name}")?;
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let outcome = &self.0;
        let hint = style.paint(Colour::Hint, "hint:");
        if outcome.versions == 0 {
            return writeln!(out, "nothing to migrate");
        }
        if outcome.dry_run {
            let refs = human::count(outcome.refs.len() as u64, "ref", "refs");
            let commits = human::count(outcome.commits, "commit", "commits");
            writeln!(out, "looked at {commits} of {refs}; nothing was written (--dry-run)")?;
        }
        if outcome.signatures > 0 {
            let signatures = human::count(outcome.signatures, "signature", "signatures");
            writeln!(out, "dropped {signatures} that would not hold any more")?;
        }
        if outcome.notes > 0 {
            let notes = human::count(outcome.notes, "note", "notes");
            writeln!(out, "copied {notes} to the new commits")?;
        }
        if let Some(backup) = &outcome.backup {
            writeln!(
                out,
                "the old history is kept under {backup}/\n{hint} modver push && git push --force-with-lease"
            )?;
        }
        Ok(())
    }
}
