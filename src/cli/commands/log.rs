//! `modver log`.

use std::io::{self, Write};
use std::path::PathBuf;

use super::diff::show_counts;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::scope::short;
use crate::cli::ui::human::{bytes, count};
use crate::cli::ui::{Colour, Render, Style};
use crate::repo::{Changed, Content, ContentKind, LogOutcome, LogRequest, LoggedVersion};

/// Show the versions of tracked data through git history
///
/// Lists the commits that changed the target, newest first, with what it was since. Where the target was moved with its
/// content, the log goes on with the old name. Of a path inside a tracked directory, only commits are shown in which
/// that path changed; for those whose listing is not in the cache, that is not known. The target need not be there any
/// more.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver log data/
  modver log data/labels.csv -n 5
  modver log model.bin --stat --rev v1.0..main")]
pub(crate) struct Args {
    /// A tracked file or directory, or a path inside a tracked directory
    #[arg(value_name = "TARGET")]
    target: PathBuf,
    /// Where to begin, or a range such as A..B (default: HEAD)
    #[arg(long, value_name = "REV")]
    rev: Option<String>,
    /// Show at most N versions
    #[arg(short = 'n', long = "max-count", value_name = "N")]
    limit: Option<usize>,
    /// Also show how many files changed, and bytes
    #[arg(long)]
    stat: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let outcome = context.repository_or_bare()?.log(&LogRequest {
        target: args.target.clone(),
        rev: args.rev.clone(),
        limit: args.limit,
        stat: args.stat,
    })?;
    Ok(Shown {
        outcome,
        stat: args.stat,
    })
}

/// What is shown.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    outcome: LogOutcome,
    #[serde(skip)]
    stat: bool,
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        for version in &self.outcome.versions {
            let commit = &version.commit;
            writeln!(
                out,
                "{} {} {}: {}",
                style.paint(Colour::Hint, short(&commit.commit)),
                commit.date.get(..10).unwrap_or(&commit.date),
                commit.author,
                commit.subject
            )?;
            writeln!(out, "    {}", change(version))?;
            if let Some(counts) = version.counts.as_ref().filter(|_| self.stat) {
                writeln!(
                    out,
                    "    {}; +{}, -{}",
                    show_counts(counts),
                    bytes(counts.bytes_added),
                    bytes(counts.bytes_deleted)
                )?;
            }
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let hint = style.paint(Colour::Hint, "hint:");
        let LogOutcome {
            path,
            versions,
            shallow,
            unknown,
        } = &self.outcome;
        if versions.is_empty() {
            writeln!(out, "{path} is in no commit")?;
        }
        if *unknown > 0 {
            let versions = count(*unknown, "version", "versions");
            writeln!(
                out,
                "the listings of {versions} are not in the cache\n{hint} modver fetch -A {path}"
            )?;
        }
        if *shallow {
            writeln!(out, "the git history ends early here\n{hint} git fetch --unshallow")?;
        }
        Ok(())
    }
}

/// What became of the target.
fn change(version: &LoggedVersion) -> String {
    if let Some(problem) = &version.problem {
        return format!("{} unreadable: {problem}", version.path);
    }
    let word = match version.change {
        None => "same content",
        Some(Changed::Added) => "added",
        Some(Changed::Deleted) => "deleted",
        Some(Changed::Modified) => "modified",
        Some(Changed::TypeChanged) => "type changed",
        Some(Changed::Renamed) => "renamed",
    };
    let mut line = word.to_owned();
    if let Some(from) = &version.from {
        line.push_str(&format!(" {from} -> {}", version.path));
    }
    if let Some(to) = &version.to {
        line.push_str(&format!(", now {to}"));
    }
    let Some(after) = &version.after else { return line };
    line.push_str(&format!(": {}", whole(after)));
    if let Some(before) = version
        .before
        .as_ref()
        .filter(|_| version.change == Some(Changed::Modified))
    {
        let size = i128::from(after.size) - i128::from(before.size);
        let files = i128::from(after.files) - i128::from(before.files);
        let mut parts = Vec::new();
        if files != 0 {
            parts.push(format!("{files:+} files"));
        }
        if size != 0 {
            let sign = if size < 0 { '-' } else { '+' };
            parts.push(format!(
                "{sign}{}",
                bytes(size.unsigned_abs().try_into().unwrap_or(u64::MAX))
            ));
        }
        if !parts.is_empty() {
            line.push_str(&format!(" ({})", parts.join(", ")));
        }
    }
    if let Some(id) = &after.id {
        line.push_str(&format!(", {}", short(&id.to_string())));
    }
    line
}

fn whole(content: &Content) -> String {
    match content.kind {
        ContentKind::Dir => format!("{}, {}", count(content.files, "file", "files"), bytes(content.size)),
        ContentKind::File => bytes(content.size),
        ContentKind::Link => format!("link to {}", content.target.as_deref().unwrap_or_default()),
    }
}
