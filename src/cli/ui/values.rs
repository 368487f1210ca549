//! Options and tables that `metrics` and `params` share.

use std::io::{self, Write};
use std::path::PathBuf;

use super::table::{Cell, Table};
use super::{Colour, Render, Style};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::experiment::{DiffRequest, Problem, ProblemKind, ValuesDiff};
use crate::git::Compared;
use crate::repo::{RepoError, Repository};

/// How values are shown.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct FormArgs {
    /// Show a Markdown table, as for a pull request
    #[arg(long)]
    pub(crate) md: bool,
    /// Significant digits of numbers that are no integers; JSON has them all
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) precision: usize,
}

/// What is compared.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DiffArgs {
    /// One revision to compare the workspace with (default: HEAD), or two, or a range such as A..B
    #[arg(value_name = "REV", num_args = 0..=2)]
    revs: Vec<String>,
    /// Only these files, or the files in these directories; they need not be named by a stage. May be given more than once
    #[arg(long, value_name = "PATH", num_args = 1..)]
    targets: Vec<PathBuf>,
    /// Also show what is the same
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    pub(crate) form: FormArgs,
}

impl DiffArgs {
    /// What they ask for.
    pub(crate) fn request(&self, repository: &Repository) -> Result<DiffRequest, CliError> {
        let (from, to) = match &self.revs[..] {
            [] => (None, None),
            [one] => match repository.git().compared(one).map_err(RepoError::from)? {
                Compared::One(rev) => (Some(rev), None),
                Compared::Two(from, to) => (Some(from), Some(to)),
            },
            [one, two, ..] => (Some(one.clone()), Some(two.clone())),
        };
        Ok(DiffRequest {
            from,
            to,
            targets: self.targets.clone(),
            all: self.all,
        })
    }
}

/// Differences.
#[derive(Debug, serde::Serialize)]
pub(crate) struct DiffShown {
    #[serde(flatten)]
    outcome: ValuesDiff,
    #[serde(skip)]
    form: FormArgs,
    /// The head of the column of keys.
    #[serde(skip)]
    head: &'static str,
    /// What the values are.
    #[serde(skip)]
    what: &'static str,
}

impl DiffShown {
    /// What `args` led to.
    pub(crate) fn new(outcome: ValuesDiff, args: &DiffArgs, head: &'static str, what: &'static str) -> Self {
        Self {
            outcome,
            form: args.form.clone(),
            head,
            what,
        }
    }
}

impl Render for DiffShown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        let ValuesDiff { from, to, changes, .. } = &self.outcome;
        let with_change = changes.iter().any(|change| change.change.is_some());
        let heads = ["Path", self.head, from, to];
        let mut table = Table::new(heads.into_iter().chain(with_change.then_some("Change")));
        for change in changes {
            let value = |value| Cell::value(value, self.form.precision);
            let mut row = vec![
                Cell::text(change.path.to_string()),
                Cell::text(key(&change.key)),
                value(change.before.as_ref()),
                value(change.after.as_ref()),
            ];
            let growth = change.change.clone().map(serde_json::Value::Number);
            row.extend(with_change.then(|| value(growth.as_ref())));
            table.row(row);
        }
        if changes.is_empty() && self.form.md {
            return writeln!(out, "No {} differ between {from} and {to}.", self.what);
        }
        table.write(out, self.form.md)
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        problems(&self.outcome.problems, out, style)?;
        match (self.outcome.files, self.outcome.changes.is_empty()) {
            (0, _) if self.outcome.problems.is_empty() => {
                writeln!(out, "there are no {} in either version", self.what)
            }
            (1.., true) if !self.form.md => writeln!(out, "nothing is different"),
            _ => Ok(()),
        }
    }

    fn exit(&self) -> Exit {
        exit(&self.outcome.problems)
    }
}

/// A key as it is shown: a file that is one value has none.
pub(crate) fn key(key: &str) -> &str {
    if key.is_empty() { "(value)" } else { key }
}

/// Says what could not be shown.
pub(crate) fn problems(problems: &[Problem], out: &mut dyn Write, style: Style) -> io::Result<()> {
    for problem in problems {
        let label = match problem.kind {
            ProblemKind::Missing => "missing:",
            ProblemKind::Unreadable => "cannot be read:",
        };
        let label = style.paint(Colour::Bad, label);
        match &problem.path {
            Some(path) if problem.problem.starts_with(&format!("{path}:")) => {
                writeln!(out, "{label} {} ({})", problem.problem, problem.rev)?;
            }
            Some(path) => writeln!(out, "{label} {path} ({}): {}", problem.rev, problem.problem)?,
            None => writeln!(out, "{label} {}: {}", problem.rev, problem.problem)?,
        }
        if let Some(hint) = &problem.hint {
            writeln!(out, "  {} {hint}", style.paint(Colour::Hint, "hint:"))?;
        }
    }
    Ok(())
}

/// The exit code where some of what was asked for could not be shown.
pub(crate) fn exit(problems: &[Problem]) -> Exit {
    if problems.iter().any(|problem| problem.counts) {
        Exit::Partial
    } else {
        Exit::Ok
    }
}
