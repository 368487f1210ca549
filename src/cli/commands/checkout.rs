//! `modver checkout`.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{Colour, Render, Style, broken, human};
use crate::git::Side;
use crate::repo::{CheckedOut, CheckoutOptions, CheckoutOutcome, LeftReason, SettleOutcome, shell_word};
use crate::workspace::ConflictReason;

/// Make the workspace match the pointers
///
/// Writes missing and changed files from the cache and removes files that are tracked no more, also whole outputs that
/// no pointer names since `git checkout`. Files whose content is stored nowhere are never overwritten or removed,
/// unless --force is given. Transparent files that were changed are left to git, unless --force is given.
///
/// With --rev, targets are brought to what they are in that revision, beside the code and the pointers as they are now:
/// `modver status` shows them as outdated or modified, `modver checkout TARGET` brings them back to the pointer, `modver
/// commit TARGET` makes them its new content. To git, transparent files are changed then: `git checkout TARGET` brings them
/// back, `git add TARGET` makes them the new content.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  git checkout main~3 && modver checkout
  modver checkout data/images/cats
  modver checkout --rev v1.0 data/labels.csv
  modver checkout --theirs data/labels.csv")]
pub(crate) struct Args {
    /// Tracked files or directories, or paths inside tracked directories (default: everything tracked)
    #[arg(value_name = "TARGET")]
    targets: Vec<PathBuf>,
    /// Bring the targets to what they are in a git revision, without changing pointers
    #[arg(long, value_name = "REV", requires = "targets")]
    rev: Option<String>,
    /// Also replace files whose content is stored nowhere else
    #[arg(short, long)]
    force: bool,
    /// Show what would change and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Settle what a merge left in conflict: take our side of TARGET
    #[arg(long, requires = "targets", conflicts_with_all = ["theirs", "force", "dry_run", "rev"])]
    ours: bool,
    /// Settle what a merge left in conflict: take their side of TARGET
    #[arg(long, requires = "targets", conflicts_with_all = ["force", "dry_run", "rev"])]
    theirs: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Ran, CliError> {
    let repository = context.repository()?;
    if args.ours || args.theirs {
        let side = if args.ours { Side::Ours } else { Side::Theirs };
        return Ok(Ran::Settled(repository.settle(side, &args.targets)?));
    }
    let outcome = repository.checkout(&CheckoutOptions {
        targets: args.targets.clone(),
        rev: args.rev.clone(),
        force: args.force,
        dry_run: args.dry_run,
        ..Default::default()
    })?;
    Ok(Ran::CheckedOut(Shown(outcome)))
}

/// What the command did.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Ran {
    CheckedOut(Shown),
    Settled(SettleOutcome),
}

impl Render for Ran {
    fn text(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let outcome = match self {
            Self::CheckedOut(shown) => return shown.text(out, style),
            Self::Settled(outcome) => outcome,
        };
        for output in &outcome.outputs {
            let side = match outcome.side {
                Side::Ours => "ours",
                Side::Theirs => "theirs",
            };
            let path = &output.path;
            match (output.untracked, output.left) {
                (false, 0) if crate::git::is_lock_path(path) => writeln!(
                    out,
                    "took {side} in {path}: {}",
                    human::count(output.settled, "stage", "stages")
                )?,
                (true, _) => writeln!(out, "took {side}: {path} is no longer tracked")?,
                (false, 0) => writeln!(out, "took {side}: {path} is whole again")?,
                (false, left) => writeln!(
                    out,
                    "took {side} in {path}; left: {}",
                    human::count(left, "conflict", "conflicts")
                )?,
            }
        }
        show_updates(&outcome.checkout, out)
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        match self {
            Self::CheckedOut(shown) => shown.notes(out, style),
            Self::Settled(outcome) if outcome.checkout.outputs.is_empty() => Ok(()),
            Self::Settled(outcome) => show_troubles(&outcome.checkout, true, out, style),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::CheckedOut(shown) => shown.exit(),
            Self::Settled(outcome) if outcome.checkout.is_complete() => Exit::Ok,
            Self::Settled(_) => Exit::Partial,
        }
    }
}

/// What was checked out; `modver pull` shows the same.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Shown(pub(super) CheckoutOutcome);

/// Paths of one kind that are listed before the rest is only counted.
const LISTED: usize = 20;

impl Shown {
    /// Whether there is something to say about files that were left alone.
    pub(super) fn has_left(&self) -> bool {
        !self.0.left.is_empty()
    }
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        show_updates(&self.0, out)
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        show_troubles(&self.0, true, out, style)
    }

    fn exit(&self) -> Exit {
        let bad = |output: &CheckedOut| !output.is_complete();
        let refused = |output: &CheckedOut| output.in_the_way.is_empty();
        let exit = match (
            self.0.outputs.iter().any(bad),
            self.0.outputs.iter().all(|o| bad(o) && refused(o) && o.done.is_empty()),
        ) {
            (false, _) => Exit::Ok,
            (true, false) => Exit::Partial,
            (true, true) if any_damaged(&self.0) => Exit::Corruption,
            (true, true) => Exit::Failure,
        };
        broken::exit(&self.0.broken, exit)
    }
}

fn any_damaged(outcome: &CheckoutOutcome) -> bool {
    let mut failures = outcome.outputs.iter().flat_map(|output| &output.failures);
    failures.any(|failure| failure.damaged)
}

fn show_updates(outcome: &CheckoutOutcome, out: &mut dyn Write) -> io::Result<()> {
    for output in outcome.outputs.iter().filter(|output| !output.done.is_empty()) {
        let done = &output.done;
        let parts = [
            (done.created, "added"),
            (done.replaced, "replaced"),
            (done.deleted, "deleted"),
            (done.chmods, "changed mode"),
        ];
        let mut parts: Vec<String> = parts
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{} {what}", human::number(*n)))
            .collect();
        if parts.is_empty() {
            parts.push("directories only".to_owned());
        }
        let (path, parts) = (&output.path, parts.join(", "));
        match (output.orphaned, outcome.dry_run) {
            (true, true) => writeln!(out, "would remove {path} ({parts})")?,
            (true, false) => writeln!(out, "removed {path} ({parts})")?,
            (false, true) => writeln!(out, "would update {path} ({parts}; {})", human::bytes(done.bytes))?,
            (false, false) => writeln!(out, "updated {path} ({parts}; {})", human::bytes(done.bytes))?,
        }
    }
    Ok(())
}

/// Says what is in the way and what failed; with `missing`, also for want of content.
pub(super) fn show_troubles(
    outcome: &CheckoutOutcome,
    missing: bool,
    out: &mut dyn Write,
    style: Style,
) -> io::Result<()> {
    let outputs = &outcome.outputs;
    for output in outputs {
        for conflict in output.conflicts.iter().take(LISTED) {
            let path = output.path.join_path(&conflict.path);
            let reason = match conflict.reason {
                ConflictReason::Modified => "has changes that are stored nowhere",
                ConflictReason::Untracked if output.orphaned => "was never tracked and is stored nowhere",
                ConflictReason::Untracked => "is in the way and stored nowhere",
                ConflictReason::Ignored => "is in the way and ignored",
                ConflictReason::Special => "is in the way and not a file",
                ConflictReason::Repository => "is in the way and a git repository",
                ConflictReason::Unreadable => "is in the way and cannot be read",
                ConflictReason::Root => "is not a file or directory",
            };
            writeln!(out, "{}: {path} {reason}", style.paint(Colour::Bad, "conflict"))?;
        }
        more(out, output.conflicts.len())?;
        for path in output.clashes.iter().take(LISTED) {
            let label = style.paint(Colour::Bad, "conflict");
            writeln!(
                out,
                "{label}: {path} was changed here and, in another way, in the pointer; it is as it was here"
            )?;
        }
        more(out, output.clashes.len())?;
        for path in output.in_the_way.iter().take(LISTED) {
            let label = style.paint(Colour::Bad, "conflict");
            writeln!(
                out,
                "{label}: {path} is here, and not what the pointer has; it was left"
            )?;
        }
        more(out, output.in_the_way.len())?;
        let failures = || output.failures.iter().filter(|failure| missing || !failure.missing);
        for failure in failures().take(LISTED) {
            writeln!(
                out,
                "{}: {}: {}",
                style.paint(Colour::Bad, "failed"),
                failure.path,
                failure.reason
            )?;
        }
        more(out, failures().count())?;
    }
    let force = "modver checkout --force TARGET";
    let has_conflicts = |orphaned| {
        let mut outputs = outputs.iter().filter(|output| output.orphaned == orphaned);
        outputs.any(|output| !output.conflicts.is_empty())
    };
    if has_conflicts(false) {
        writeln!(
            out,
            "hint: modver commit TARGET to keep the changes, or {force} to lose them"
        )?;
    }
    if let Some(output) = outputs.iter().find(|output| !output.clashes.is_empty()) {
        writeln!(
            out,
            "hint: modver checkout --force PATH to take what the pointer has, or modver commit --force {} to keep what is here",
            output.path
        )?;
    }
    if let Some(path) = outputs.iter().find_map(|output| output.in_the_way.first()) {
        writeln!(
            out,
            "hint: move it away, or modver pull --force {path} to take what the pointer has, or modver commit to record it"
        )?;
    }
    if has_conflicts(true) {
        writeln!(
            out,
            "hint: no pointer names it any more; modver remove TARGET to keep all of it, or {force} to lose it"
        )?;
    }
    if missing
        && outputs
            .iter()
            .any(|output| output.failures.iter().any(|failure| failure.missing))
    {
        match &outcome.rev {
            None => writeln!(out, "hint: modver pull")?,
            Some(rev) => writeln!(out, "hint: modver fetch --rev {} TARGET", shell_word(rev))?,
        }
    }
    show_left(outcome, out, style)?;
    if any_damaged(outcome) {
        writeln!(out, "hint: modver verify --repair")?;
    }
    broken::notes(&outcome.broken, out, style)?;
    if outputs.is_empty() && outcome.is_complete() {
        match &outcome.rev {
            None => writeln!(out, "everything is as the pointers say")?,
            Some(rev) => writeln!(out, "everything is as it is in revision {rev}")?,
        }
    }
    for output in outputs.iter().filter(|output| output.kept && output.clashes.is_empty()) {
        writeln!(
            out,
            "note: what was changed here in {} stays; modver status shows it",
            output.path
        )?;
    }
    for output in outputs
        .iter()
        .filter(|output| !(output.tracked || output.orphaned || output.done.is_empty()))
    {
        let add = if output.transparent { "git" } else { "modver" };
        writeln!(out, "note: {} is not tracked now; {add} add {0} tracks it", output.path)?;
    }
    Ok(())
}

/// Says what was left as it is, and why.
fn show_left(outcome: &CheckoutOutcome, out: &mut dyn Write, style: Style) -> io::Result<()> {
    for left in outcome.left.iter().take(LISTED) {
        let reason = match left.reason {
            LeftReason::Modified if outcome.rev.is_some() => "has changes that are stored nowhere",
            LeftReason::Modified => "has changes",
            LeftReason::BeingMade => "is being made: its stage runs now",
            LeftReason::Deleted => "was deleted here",
            LeftReason::TypeChanged => "is not a file here",
        };
        writeln!(out, "left alone: {} {reason}", left.path)?;
    }
    more(out, outcome.left.len())?;
    let git_keeps = |reason| matches!(reason, LeftReason::Modified | LeftReason::Deleted);
    if outcome.left.iter().any(|left| git_keeps(left.reason)) {
        let rev = outcome.rev.as_deref().map(|rev| format!("--rev {} ", shell_word(rev)));
        writeln!(
            out,
            "{} modver checkout {}--force TARGET replaces them, git add TARGET keeps them",
            style.paint(Colour::Hint, "hint:"),
            rev.unwrap_or_default()
        )?;
    }
    if outcome.left.iter().any(|left| left.reason == LeftReason::TypeChanged) {
        writeln!(
            out,
            "{} git checkout -- TARGET replaces what is no file",
            style.paint(Colour::Hint, "hint:")
        )?;
    }
    Ok(())
}

fn more(out: &mut dyn Write, all: usize) -> io::Result<()> {
    match all.saturating_sub(LISTED) {
        0 => Ok(()),
        rest => writeln!(out, "… and {} more", human::number(rest as u64)),
    }
}
