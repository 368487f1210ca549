//! `modver diff`.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::human::{bytes, count, number};
use crate::cli::ui::{Render, Style};
use crate::repo::{Changed, Content, ContentKind, DiffOutcome, FileCounts, FileDiff, OutputDiff, Source};

/// Show which tracked files differ from the last git commit
///
/// Compares the workspace with the pointers of HEAD, file by file. Where the listing of a directory is not in the
/// cache, only the directory is named.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver diff
  modver diff data/ --json")]
pub(crate) struct Args {
    /// Tracked files or directories, or paths inside tracked directories (default: everything tracked)
    #[arg(value_name = "TARGET")]
    targets: Vec<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let repository = context.repository()?;
    let head = Source::Revision("HEAD".to_owned());
    Ok(Shown {
        outcome: repository.diff(head, Source::Workspace, &args.targets)?,
    })
}

/// What is shown.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    outcome: DiffOutcome,
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        for output in &self.outcome.outputs {
            show(output, out)?;
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        let DiffOutcome { outputs, counts, .. } = &self.outcome;
        if outputs.is_empty() {
            return writeln!(out, "nothing is different");
        }
        writeln!(
            out,
            "{}: {}; +{}, -{}",
            count(outputs.len() as u64, "output differs", "outputs differ"),
            show_counts(counts),
            bytes(counts.bytes_added),
            bytes(counts.bytes_deleted)
        )?;
        let unknown = outputs.iter().filter(|output| output.files.is_none()).count() as u64;
        if unknown > 0 {
            let listings = count(unknown, "listing is", "listings are");
            writeln!(out, "{listings} not in the cache, so the files cannot be compared")?;
        }
        Ok(())
    }
}

fn show(output: &OutputDiff, out: &mut dyn Write) -> io::Result<()> {
    let is_dir = |content: &Option<Content>| content.as_ref().is_some_and(|content| content.kind == ContentKind::Dir);
    let dir = is_dir(&output.before) || is_dir(&output.after);
    match &output.files {
        // A file of its own says it all.
        Some(files) if !dir => {
            for file in files {
                writeln!(out, "{}", file_line(file))?;
            }
            return Ok(());
        }
        files => {
            let details = match (&output.counts, &output.before, &output.after) {
                (Some(counts), _, _) => show_counts(counts),
                (None, Some(before), Some(after)) => format!("{} -> {}", whole(before), whole(after)),
                (None, before, after) => before.iter().chain(after).map(whole).collect(),
            };
            let slash = if dir { "/" } else { "" };
            writeln!(out, "{:<14}{}{slash} ({details})", word(output.change), output.path)?;
            for file in files.iter().flatten() {
                writeln!(out, "  {}", file_line(file))?;
            }
        }
    }
    Ok(())
}

fn whole(content: &Content) -> String {
    format!("{}, {}", count(content.files, "file", "files"), bytes(content.size))
}

fn word(change: Changed) -> &'static str {
    match change {
        Changed::Added => "added:",
        Changed::Deleted => "deleted:",
        Changed::Modified => "modified:",
        Changed::TypeChanged => "type changed:",
        Changed::Renamed => "renamed:",
    }
}

/// One changed file.
pub(super) fn file_line(file: &FileDiff) -> String {
    let word = format!("{:<14}", word(file.change));
    let size = |content: &Option<Content>| content.as_ref().map_or(0, |content| content.size);
    let path = &file.path;
    match (file.change, &file.from) {
        (Changed::Renamed, Some(from)) => format!("{word}{from} -> {path}"),
        (Changed::Added, _) => format!("{word}{path} ({})", bytes(size(&file.after))),
        (Changed::Deleted, _) => format!("{word}{path} ({})", bytes(size(&file.before))),
        (Changed::TypeChanged, _) => {
            let kind = |content: &Option<Content>| match content.as_ref().map(|content| content.kind) {
                Some(ContentKind::File) => "file",
                Some(ContentKind::Dir) => "directory",
                Some(ContentKind::Link) => "link",
                None => "nothing",
            };
            format!("{word}{path} ({} -> {})", kind(&file.before), kind(&file.after))
        }
        _ if size(&file.before) == size(&file.after) => {
            format!("{word}{path} ({})", bytes(size(&file.after)))
        }
        _ => format!(
            "{word}{path} ({} -> {})",
            bytes(size(&file.before)),
            bytes(size(&file.after))
        ),
    }
}

/// `2 added, 1 deleted`.
pub(super) fn show_counts(counts: &FileCounts) -> String {
    let parts = [
        (counts.added, "added"),
        (counts.modified, "modified"),
        (counts.deleted, "deleted"),
        (counts.renamed, "renamed"),
        (counts.type_changed, "type changed"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{} {word}", number(*n)))
        .collect();
    if parts.is_empty() {
        "no file changed".to_owned()
    } else {
        parts.join(", ")
    }
}
