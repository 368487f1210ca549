//! `modver import`.

use std::io::{self, Write};
use std::path::PathBuf;

use super::checkout;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::rate::RateArgs;
use crate::cli::ui::{Render, Style, human};
use crate::git::Import;
use crate::repo::{CheckoutOutcome, ImportOptions, ImportOutcome};

/// Track data of another repository
///
/// As `modver get`, but what comes is tracked here, and its pointer remembers the repository, the path and the commit.
/// `modver update` brings a newer version. `modver pull` asks the other repository if no remote of this one has the
/// content.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver import https://github.com/lab/data.git images/cats
  modver import ../other-project model.bin --rev v1.2 -o baseline.bin")]
pub(crate) struct Args {
    /// A repository: any URL that git can clone, or a directory of this machine
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// Something tracked there, something inside a tracked directory, or a file or directory of git
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// A branch, tag or commit, which later updates follow, too (default: the newest commit)
    #[arg(long, value_name = "REV")]
    rev: Option<String>,
    /// What to call it: a new name, or a directory (default: the last name of PATH, here)
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
    /// Write only the pointer; `modver pull` brings the data
    #[arg(long)]
    no_download: bool,
    /// Replace what is in the way
    #[arg(short, long)]
    force: bool,
    /// A description, kept in the pointer
    #[arg(long, value_name = "TEXT")]
    desc: Option<String>,
    /// A label, kept in the pointer; may be given several times
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    #[command(flatten)]
    rate: RateArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let context = args.rate.apply(context);
    let outcome = context.repository()?.import(&ImportOptions {
        url: args.repository.clone(),
        path: args.path.clone(),
        rev: args.rev.clone(),
        out: args.out.clone(),
        force: args.force,
        no_download: args.no_download,
        desc: args.desc.clone(),
        labels: args.labels.clone(),
    })?;
    Ok(Shown::new(outcome))
}

/// What was imported; `modver import-url` shows the same.
#[derive(Debug, serde::Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    outcome: ImportOutcome,
}

impl Shown {
    pub(super) const fn new(outcome: ImportOutcome) -> Self {
        Self { outcome }
    }
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        let got = &self.outcome;
        let files = human::count(got.files, "file", "files");
        writeln!(out, "imported {} ({files}, {})", got.path, human::bytes(got.size))
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let got = &self.outcome;
        match &got.import {
            Import::Repository(import) => writeln!(out, "from {} at commit {}", import.url, import.commit)?,
            Import::Url(import) => writeln!(out, "from {}", import.url)?,
        }
        if got.is_complete() {
            if got.checkout.is_none() {
                writeln!(out, "only the pointer was written; the data: modver pull {}", got.path)?;
            }
            return Ok(());
        }
        let outputs = got.checkout.iter().cloned().collect();
        checkout::Shown(CheckoutOutcome {
            outputs,
            left: Vec::new(),
            dry_run: false,
            rev: None,
            broken: Vec::new(),
        })
        .notes(out, style)
    }

    fn exit(&self) -> Exit {
        if self.outcome.is_complete() {
            Exit::Ok
        } else {
            Exit::Partial
        }
    }
}
