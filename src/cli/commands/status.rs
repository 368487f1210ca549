//! `modver status`.

use std::io::{self, Write};
use std::path::PathBuf;

use super::diff::{file_line, show_counts};
use crate::causes::chain;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::human::{self, count};
use crate::cli::ui::{Colour, Render, Style};
use crate::git;
use crate::path::RepoPath;
use crate::pipeline::{DefinitionError, PipelineError, Session, StageId, StageStatus, StaleReason};
use crate::repo::{
    ConflictedOutput, Content, ContentKind, OutputState, OutputStatus, SourceState, StatusOutcome, StatusRequest,
};

/// Show what differs between workspace, pointers and stages
///
/// Compares each tracked file and directory with its pointer or lock file, and each stage with its last run. Nothing is
/// changed. What git shows, such as pointers that are not committed, is left to `git status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver status
  modver status --granular data/
  modver status --check && echo clean")]
pub(crate) struct Args {
    /// Tracked files or directories, or paths inside tracked directories (default: everything tracked)
    #[arg(value_name = "TARGET")]
    targets: Vec<PathBuf>,
    /// List each file that differs, and look for each file in the cache
    #[arg(long)]
    granular: bool,
    /// Also ask the remote what it does not have
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "NAME")]
    remote: Option<Option<String>>,
    /// Also ask the sources of imports whether they have moved on
    #[arg(long)]
    imports: bool,
    /// Exit with 1 if anything differs
    #[arg(long)]
    check: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let repository = context.repository()?;
    let outcome = repository.status(&StatusRequest {
        targets: args.targets.clone(),
        granular: args.granular,
        remote: args.remote.clone(),
        imports: args.imports,
    })?;
    let mut shown = Shown {
        outcome,
        stages: Vec::new(),
        stages_gone: Vec::new(),
        stages_problem: None,
        check: args.check,
    };
    if args.targets.is_empty() {
        // A definition that cannot be read says nothing about data.
        match Session::open(&repository, context.env.all()) {
            Ok(session) => {
                shown.stages = session.status()?;
                shown.stages_gone = session.gone(None);
            }
            Err(PipelineError::Definition(error)) => shown.stages_problem = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(shown)
}

/// What is shown.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    outcome: StatusOutcome,
    /// Stages that are out of date.
    stages: Vec<StageStatus>,
    /// Stages that lock files have and project files do not define any more.
    stages_gone: Vec<StageId>,
    /// Why stages could not be compared.
    #[serde(serialize_with = "as_text")]
    stages_problem: Option<DefinitionError>,
    #[serde(skip)]
    check: bool,
}

/// Whether something differs; a stage that runs each time is not out of date for that alone.
fn would_run(stage: &StageStatus) -> bool {
    let differs = |reason: &StaleReason| *reason != StaleReason::Always;
    !stage.frozen && (stage.problem.is_some() || stage.reasons.iter().any(differs))
}

fn as_text<S: serde::Serializer>(error: &Option<DefinitionError>, serializer: S) -> Result<S::Ok, S::Error> {
    match error {
        None => serializer.serialize_none(),
        Some(error) => serializer.serialize_some(&chain(error).join(": ")),
    }
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let outcome = &self.outcome;
        for pointer in &outcome.broken {
            let label = style.paint(Colour::Bad, label("broken"));
            writeln!(out, "{label}{} ({})", pointer.path, pointer.problem)?;
            for conflict in outcome
                .conflicts
                .iter()
                .filter(|c| is_pointer_of(&pointer.path, &c.path))
            {
                show_conflict(conflict, out)?;
            }
        }
        for pointer in &outcome.deleted_pointers {
            let what = if git::is_lock_path(pointer) {
                "lock file gone"
            } else {
                "pointer gone"
            };
            writeln!(out, "{}{pointer}", label(what))?;
        }
        for output in &outcome.outputs {
            show(output, out, style)?;
        }
        for stage in &self.stages {
            let name = if stage.frozen { "frozen" } else { "out of date" };
            let mut why: Vec<String> = stage.reasons.iter().map(ToString::to_string).collect();
            why.extend(stage.problem.clone());
            writeln!(out, "{}{} ({})", label(name), stage.stage, why.join("; "))?;
        }
        for stage in &self.stages_gone {
            writeln!(
                out,
                "{}{stage} (in mv.lock, and no longer in mv.toml)",
                label("stage gone")
            )?;
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let outcome = &self.outcome;
        if let Some(error) = &self.stages_problem {
            for message in chain(error) {
                writeln!(out, "{} stages: {message}", style.paint(Colour::Bad, "error:"))?;
            }
        }
        if self.stages.iter().any(would_run) {
            writeln!(out, "{} modver repro", style.paint(Colour::Hint, "hint:"))?;
        } else if !self.stages_gone.is_empty() {
            let command = "modver repro --all   to take what is gone out of mv.lock";
            writeln!(out, "{} {command}", style.paint(Colour::Hint, "hint:"))?;
        }
        if outcome.clean {
            let outputs = outcome.outputs.len() as u64;
            if !self.stages.is_empty() || !self.stages_gone.is_empty() || self.stages_problem.is_some() {
                return Ok(());
            }
            return match outputs {
                0 => writeln!(out, "nothing is tracked here"),
                n => writeln!(
                    out,
                    "everything is as the pointers say ({})",
                    count(n, "output", "outputs")
                ),
            };
        }
        for hint in self.hints() {
            writeln!(out, "{} {hint}", style.paint(Colour::Hint, "hint:"))?;
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        let stale = self.stages.iter().any(would_run) || self.stages_problem.is_some();
        if self.check && (stale || !self.outcome.clean) {
            Exit::Failure
        } else {
            Exit::Ok
        }
    }
}

impl Shown {
    /// One command for each kind of difference.
    fn hints(&self) -> Vec<String> {
        let outcome = &self.outcome;
        let mut hints: Vec<String> = outcome
            .broken
            .iter()
            .filter_map(|pointer| pointer.hint.clone())
            .collect();
        if let [pointer] = &outcome.deleted_pointers[..] {
            hints.push(format!("git restore {pointer}"));
        } else if !outcome.deleted_pointers.is_empty() {
            let pointers = outcome.deleted_pointers.iter().any(|file| !git::is_lock_path(file));
            let locks = outcome.deleted_pointers.iter().any(git::is_lock_path);
            let patterns = [(pointers, " '*.mv'"), (locks, " '*mv.lock'")];
            let patterns: String = patterns
                .iter()
                .filter(|(any, _)| *any)
                .map(|(_, pattern)| *pattern)
                .collect();
            hints.push(format!("git restore{patterns}"));
        }
        let mut hint = |which: &dyn Fn(&OutputStatus) -> bool, command: &str, why: &str| {
            let mut found = outcome.outputs.iter().filter(|output| which(output));
            match (found.next(), found.next()) {
                (None, _) => {}
                (Some(only), None) => hints.push(format!("modver {command} {}   {why}", only.path)),
                _ => hints.push(format!("modver {command}   {why}")),
            }
        };
        let is = |state: OutputState| move |output: &OutputStatus| output.state == state;
        hint(
            &|output| output.state == OutputState::Modified && !output.transparent && output.stage.is_none(),
            "commit",
            "to keep the changes",
        );
        hint(
            &|output| output.state == OutputState::Diverged && output.clashes.is_empty(),
            "checkout",
            "to bring what is new in the pointer; what was changed here stays",
        );
        hint(
            &|output| !output.clashes.is_empty(),
            "commit --force",
            "to keep what is here, or modver checkout --force PATH to take what the pointer has",
        );
        hint(
            &|output| {
                matches!(output.state, OutputState::Deleted | OutputState::Outdated) && !output.transparent
                    || output.state == OutputState::Absent && output.in_cache == Some(true)
            },
            "checkout",
            "to make the workspace match",
        );
        hint(
            &|output| output.state == OutputState::Absent && output.in_cache == Some(false),
            "pull",
            "to bring it here",
        );
        hint(&is(OutputState::Unknown), "fetch", "to see whether it is right");
        hint(
            &|output| output.state == OutputState::Unchanged && output.in_cache == Some(false),
            "fetch",
            "to bring it into the cache, or `modver add` to store it again",
        );
        hint(&|output| output.in_remote == Some(false), "push", "to share it");
        hint(
            &|output| output.source == Some(SourceState::MovedOn),
            "update",
            "to bring what the source has now",
        );
        hint(
            &is(OutputState::Orphaned),
            "checkout",
            "to remove what no pointer names any more (or modver remove TARGET to keep it)",
        );
        let changed = |output: &&OutputStatus| output.state == OutputState::Modified && output.stage.is_some();
        let mut of_stages = outcome.outputs.iter().filter(changed);
        match (of_stages.next(), of_stages.next()) {
            (None, _) => {}
            (Some(only), None) => hints.push(format!(
                "modver repro {}   to make it again, or, to keep it as it is, modver commit {}",
                only.stage.as_deref().unwrap_or_default(),
                only.path
            )),
            _ => hints.push(
                "modver repro   to make them again, or, to keep them as they are, modver commit OUT".to_owned(),
            ),
        }
        let changed = |output: &&OutputStatus| {
            let states = [OutputState::Modified, OutputState::Deleted, OutputState::TypeChanged];
            output.transparent && states.contains(&output.state)
        };
        let mut transparent = outcome.outputs.iter().filter(changed);
        match (transparent.next(), transparent.next()) {
            (None, _) => {}
            (Some(only), None) => hints.push(format!("git add {0}   or, to undo, git restore {0}", only.path)),
            _ => hints.push("git add -u   or, to undo, git restore PATH".to_owned()),
        }
        hints
    }
}

/// Paths of one output that are listed before the rest is only counted.
const LISTED: usize = 100;

fn is_pointer_of(pointer: &RepoPath, output: &RepoPath) -> bool {
    git::output_path(pointer).as_ref() == Some(output)
}

/// What is in conflict, path by path, with what both sides have.
fn show_conflict(conflict: &ConflictedOutput, out: &mut dyn Write) -> io::Result<()> {
    for file in conflict.files.iter().take(LISTED) {
        let what = match (&file.base, &file.ours, &file.theirs) {
            (None, ..) => "both added",
            (_, None, _) => "deleted by us",
            (_, _, None) => "deleted by them",
            _ => "both changed",
        };
        let (ours, theirs) = (side(file.ours.as_ref()), side(file.theirs.as_ref()));
        writeln!(out, "  {what}: {} (ours {ours}; theirs {theirs})", file.path)?;
    }
    if let Some(more) = conflict.files.len().checked_sub(LISTED).filter(|more| *more > 0) {
        writeln!(out, "  … and {more} more")?;
    }
    for field in &conflict.fields {
        let text = |value: &Option<String>| {
            value
                .as_ref()
                .map_or_else(|| "none".to_owned(), |value| format!("{value:?}"))
        };
        let (ours, theirs) = (text(&field.ours), text(&field.theirs));
        writeln!(
            out,
            "  both changed {}: ours {ours}; theirs {theirs}",
            field.field.name()
        )?;
    }
    Ok(())
}

fn side(content: Option<&Content>) -> String {
    let Some(content) = content else {
        return "nothing".to_owned();
    };
    let id = content.id.map_or_else(String::new, |id| format!(" {}", id.short()));
    match content.kind {
        ContentKind::File if content.executable => format!("executable,{id}, {}", human::bytes(content.size)),
        ContentKind::File => format!("{}, {}", id.trim_start(), human::bytes(content.size)),
        ContentKind::Link => format!("link to {}", content.target.as_deref().unwrap_or_default()),
        ContentKind::Dir => format!("directory{id}, {}", human::count(content.files, "file", "files")),
    }
}

fn label(text: &str) -> String {
    format!("{:<18}", format!("{text}:"))
}

fn show(output: &OutputStatus, out: &mut dyn Write, style: Style) -> io::Result<()> {
    let slash = if output.dir { "/" } else { "" };
    let path = &output.path;
    let mut details = Vec::new();
    if let Some(counts) = &output.counts
        && output.dir
    {
        details.push(show_counts(counts));
    }
    let name = match output.state {
        OutputState::Unchanged => None,
        OutputState::Modified => Some("modified"),
        OutputState::Diverged => Some("diverged"),
        OutputState::Outdated => Some("outdated"),
        OutputState::Deleted => Some("deleted"),
        OutputState::Absent => Some("absent"),
        OutputState::TypeChanged => Some("type changed"),
        OutputState::Unknown => Some("unknown"),
        OutputState::Orphaned => Some("orphaned"),
    };
    if let Some(present) = &output.present {
        details.push(format!(
            "{} of {} here",
            present.files,
            count(present.of, "file", "files")
        ));
    }
    if let Some(name) = name {
        let compared = matches!(
            output.state,
            OutputState::Modified | OutputState::Outdated | OutputState::Diverged
        );
        if compared && output.counts.is_none() && !output.transparent {
            details.push("its listing is not in the cache".to_owned());
        } else if output.in_cache == Some(false) {
            details.push("not in the cache".to_owned());
        }
        if output.in_remote == Some(false) {
            details.push("not in the remote".to_owned());
        }
        let details = if details.is_empty() {
            String::new()
        } else {
            format!(" ({})", details.join("; "))
        };
        writeln!(out, "{}{path}{slash}{details}", label(name))?;
    } else {
        if let Some(details) = details.first() {
            writeln!(out, "{}{path}{slash} ({details})", label("partly present"))?;
        }
        if output.in_cache == Some(false) {
            let files = match output.missing_files {
                Some(n) if output.dir => format!(" ({})", count(n, "file", "files")),
                _ => String::new(),
            };
            let label = style.paint(Colour::Bad, label("missing in cache"));
            writeln!(out, "{label}{path}{slash}{files}")?;
        }
        if output.in_remote == Some(false) {
            writeln!(out, "{}{path}{slash}", label("not in remote"))?;
        }
    }
    match &output.source {
        Some(SourceState::MovedOn) => writeln!(out, "{}{path}{slash}", label("source moved on"))?,
        Some(SourceState::Unknown(why)) => writeln!(out, "{}{path}{slash} ({why})", label("source unknown"))?,
        Some(SourceState::Unchanged) | None => {}
    }
    for file in output.files.iter().flatten().filter(|_| output.dir) {
        writeln!(out, "  {}", file_line(file))?;
    }
    for path in output.clashes.iter().take(LISTED) {
        writeln!(out, "  changed here and in the pointer: {path}")?;
    }
    if let Some(more) = output.clashes.len().checked_sub(LISTED).filter(|more| *more > 0) {
        writeln!(out, "  … and {more} more")?;
    }
    for problem in &output.problems {
        writeln!(
            out,
            "  {}",
            style.paint(Colour::Bad, format!("cannot be tracked: {problem}"))
        )?;
    }
    Ok(())
}
