//! `modver diff`.

mod markdown;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;

use crate::cli::args::has_separator;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::human::{bytes, count, number};
use crate::cli::ui::{Render, Style, broken};
use crate::git::Compared;
use crate::repo::{
    Changed, Content, ContentKind, DiffOutcome, FileCounts, FileDiff, OutputDiff, RepoError, Repository, Source,
    shell_word,
};

/// Show which tracked files differ between the workspace and a commit, or two commits
///
/// Without a revision, compares the workspace with the pointers of HEAD; with one, with those of that revision; with
/// two, or A..B, the second with the first; with A...B, B with where it left A. Files are told one by one; those that
/// stand elsewhere with the same content are renamed, and so are directories as a whole. Where the listing of a
/// directory is not in the cache, only the directory is named. If a word may be both a revision and a path, put paths
/// behind `--`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver diff
  modver diff HEAD~2 -- data/
  modver diff v1.0 v2.0 --stat
  modver diff main...feature --md")]
pub(crate) struct Args {
    /// Up to two revisions, then targets
    #[arg(value_name = "REV|TARGET")]
    words: Vec<OsString>,
    /// Tracked files or directories, or paths inside tracked directories (default: everything tracked)
    #[arg(last = true, value_name = "TARGET")]
    targets: Vec<PathBuf>,
    /// Show for each tracked file or directory only how much differs
    #[arg(long, group = "form")]
    stat: bool,
    /// Show only the paths of what differs
    #[arg(long, group = "form")]
    name_only: bool,
    /// Show a Markdown table, as for a pull request
    #[arg(long, group = "form")]
    md: bool,
}

/// How it is shown as text.
#[derive(Debug, Clone, Copy)]
enum Form {
    Files,
    Stat,
    Names,
    Markdown,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let repository = context.repository_or_bare()?;
    let (revs, mut targets) = sort_out(args, context, &repository)?;
    targets.extend(args.targets.iter().cloned());
    let (from, to) = match &revs[..] {
        [] => (Source::Revision("HEAD".to_owned()), Source::Workspace),
        [one] => match repository.git().compared(one).map_err(RepoError::from)? {
            Compared::One(rev) => (Source::Revision(rev), Source::Workspace),
            Compared::Two(from, to) => (Source::Revision(from), Source::Revision(to)),
        },
        [one, two, ..] => {
            for rev in [one, two] {
                if !matches!(
                    repository.git().compared(rev).map_err(RepoError::from)?,
                    Compared::One(_)
                ) {
                    return Err(CliError::TooManyRevisions);
                }
            }
            (Source::Revision(one.clone()), Source::Revision(two.clone()))
        }
    };
    Ok(Shown {
        outcome: repository.diff(from, to, &targets)?,
        form: match (args.stat, args.name_only, args.md) {
            (true, ..) => Form::Stat,
            (_, true, _) => Form::Names,
            (.., true) => Form::Markdown,
            _ => Form::Files,
        },
    })
}

/// Tells revisions from targets as git does: with `--`, all that is before it are revisions; without, each word is a
/// revision if it can be one, and may then not be a path, too; after the first target there are only targets.
fn sort_out(
    args: &Args,
    context: &Context,
    repository: &Repository,
) -> Result<(Vec<String>, Vec<PathBuf>), CliError> {
    let text = |word: &OsStr| word.to_string_lossy().into_owned();
    if has_separator() {
        if args.words.len() > 2 {
            return Err(CliError::TooManyRevisions);
        }
        return Ok((args.words.iter().map(|word| text(word)).collect(), Vec::new()));
    }
    let mut words = args.words.iter().peekable();
    let mut revs = Vec::new();
    while let Some(word) = words.peek() {
        let is_revision = match word.to_str() {
            Some(word) => repository.git().is_revision(word).map_err(RepoError::from)?,
            None => false,
        };
        match (is_revision, is_path(word, context, repository)) {
            (true, true) => return Err(CliError::Ambiguous(text(word))),
            (true, false) if revs.len() == 2 => return Err(CliError::TooManyRevisions),
            (true, false) => revs.push(text(word)),
            (false, true) => break,
            (false, false) => return Err(CliError::NeitherRevisionNorPath(text(word))),
        }
        words.next();
    }
    Ok((revs, words.map(PathBuf::from).collect()))
}

/// Whether something of this name is here, or tracked.
fn is_path(word: &OsStr, context: &Context, repository: &Repository) -> bool {
    // The files of a bare repository are git's own.
    if repository.git().is_bare() {
        return false;
    }
    !matches!(crate::fs::stat(&context.cwd.join(word)), Ok(None))
        || repository.targets(&[PathBuf::from(word)]).is_ok()
}

/// What is shown.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    outcome: DiffOutcome,
    #[serde(skip)]
    form: Form,
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        match self.form {
            Form::Markdown => return markdown::show(&self.outcome, out),
            Form::Stat => return stat(&self.outcome.outputs, out),
            Form::Files | Form::Names => {}
        }
        for output in &self.outcome.outputs {
            match (self.form, &output.files) {
                (Form::Names, Some(files)) => {
                    for file in files {
                        writeln!(out, "{}", file.path)?;
                    }
                }
                (Form::Names, None) => writeln!(out, "{}", output.path)?,
                _ => show(output, out)?,
            }
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let DiffOutcome {
            outputs,
            counts,
            from,
            to,
            broken: unreadable,
        } = &self.outcome;
        broken::notes(unreadable, out, style)?;
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
            let revs = [from, to].into_iter().filter_map(|source| match source {
                Source::Revision(rev) => Some(format!(" --rev {}", shell_word(rev))),
                Source::Workspace => None,
            });
            writeln!(out, "hint: modver fetch{}", revs.collect::<String>())?;
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        broken::exit(&self.outcome.broken, Exit::Ok)
    }
}

/// One line for each output, with paths and numbers below each other.
fn stat(outputs: &[OutputDiff], out: &mut dyn Write) -> io::Result<()> {
    let names: Vec<String> = outputs
        .iter()
        .map(|output| match &output.from {
            Some(from) => format!("{from} -> {}{}", output.path, slash(output)),
            None => format!("{}{}", output.path, slash(output)),
        })
        .collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    for (name, output) in names.iter().zip(outputs) {
        let details = match &output.counts {
            Some(counts) => format!(
                "{}; +{}, -{}",
                show_counts(counts),
                bytes(counts.bytes_added),
                bytes(counts.bytes_deleted)
            ),
            None => unknown(output),
        };
        writeln!(out, "{name:width$} | {details}")?;
    }
    Ok(())
}

fn is_dir(output: &OutputDiff) -> bool {
    let dir = |content: &Option<Content>| content.as_ref().is_some_and(|content| content.kind == ContentKind::Dir);
    dir(&output.before) || dir(&output.after)
}

fn slash(output: &OutputDiff) -> &'static str {
    if is_dir(output) { "/" } else { "" }
}

/// What can be said of an output whose files are not known.
fn unknown(output: &OutputDiff) -> String {
    match (&output.before, &output.after) {
        (Some(before), Some(after)) => format!("{} -> {}", whole(before), whole(after)),
        (before, after) => before.iter().chain(after).map(whole).collect(),
    }
}

fn show(output: &OutputDiff, out: &mut dyn Write) -> io::Result<()> {
    match &output.files {
        // A file of its own says it all, and so does an output that only stands elsewhere.
        Some(files) if !is_dir(output) || output.change == Changed::Renamed => {
            for file in files {
                writeln!(out, "{}", file_line(file))?;
            }
            return Ok(());
        }
        files => {
            let details = match &output.counts {
                Some(counts) => show_counts(counts),
                None => unknown(output),
            };
            writeln!(
                out,
                "{:<14}{}{} ({details})",
                word(output.change),
                output.path,
                slash(output)
            )?;
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
        (Changed::Renamed, Some(from)) => match &file.after {
            Some(dir) if dir.kind == ContentKind::Dir => format!("{word}{from}/ -> {path}/ ({})", whole(dir)),
            _ => format!("{word}{from} -> {path}"),
        },
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
