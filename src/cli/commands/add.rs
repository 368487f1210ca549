//! `modver add`.

use std::io::{self, Write};
use std::path::PathBuf;

use super::push;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::rate::RateArgs;
use crate::cli::ui::{Render, Style, broken, human};
use crate::repo::{AddOptions, AddOutcome, Recorded};

/// Track files and directories
///
/// Stores their content in the cache, writes a pointer (PATH.mv) beside each, keeps them out of git with `.gitignore`
/// and stages both in git. Directories are tracked as one output; identical content is stored once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver add data/
  modver add model.bin --desc 'Baseline, 3 epochs' --label kind=model
  modver add 'runs/*.parquet' --dry-run")]
pub(crate) struct Args {
    /// Files, directories or glob patterns
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Show what would be added and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Also record what is here where the pointer changed since it was brought here, which undoes what is new there
    #[arg(short, long)]
    force: bool,
    /// Also push the content to the remote at once
    #[arg(long)]
    to_remote: bool,
    /// The remote these outputs belong to, kept in the pointer (default: the one that `modver remote default` shows)
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
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
    let outcome = context.repository()?.add(&AddOptions {
        paths: args.paths.clone(),
        dry_run: args.dry_run,
        desc: args.desc.clone(),
        labels: args.labels.clone(),
        remote: args.remote.clone(),
        to_remote: args.to_remote,
        force: args.force,
    })?;
    Ok(Shown(outcome))
}

/// What was added; `modver commit` shows the same.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(super) struct Shown(pub(super) AddOutcome);

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        for output in &self.0.outputs {
            let what = match (output.change, self.0.dry_run) {
                (Recorded::New, false) => "added",
                (Recorded::Updated, false) => "updated",
                (Recorded::Unchanged, _) => "unchanged",
                (Recorded::New, true) => "would add",
                (Recorded::Updated, true) => "would update",
            };
            let files = human::count(output.files, "file", "files");
            writeln!(out, "{what} {} ({files}, {})", output.path, human::bytes(output.size))?;
        }
        self.0.pushed.as_ref().map_or(Ok(()), |pushed| push::text(pushed, out))
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let AddOutcome {
            outputs,
            stored,
            broken,
            dry_run,
            pushed,
        } = &self.0;
        for output in outputs.iter().filter(|output| output.files_absent > 0) {
            let absent = human::count(output.files_absent, "file", "files");
            writeln!(out, "{}: {absent} that are not present here were kept", output.path)?;
        }
        for output in outputs {
            if let Some(url) = &output.was_import {
                writeln!(
                    out,
                    "{}: changed here, so it does not count as an import of {url} any more",
                    output.path
                )?;
            }
        }
        if !broken.is_empty() && outputs.is_empty() {
            writeln!(out, "nothing was stored")?;
        } else if outputs.is_empty() {
            writeln!(out, "nothing is tracked here; begin with: modver add PATH")?;
        } else if *dry_run {
            writeln!(out, "nothing was written (--dry-run)")?;
        } else if stored.chunks == 0 {
            writeln!(out, "all content was in the cache already")?;
        } else {
            let (new, packed) = (human::bytes(stored.bytes), human::bytes(stored.stored_bytes));
            writeln!(out, "stored {new} of new content in {packed}")?;
        }
        broken::notes(broken, out, style)?;
        pushed.as_ref().map_or(Ok(()), |pushed| push::notes(pushed, out, style))
    }

    fn exit(&self) -> Exit {
        let pushed = self.0.pushed.as_ref().map_or(Exit::Ok, push::exit);
        broken::exit(&self.0.broken, pushed)
    }
}
