//! `modver pull`.

use std::io::{self, Write};
use std::path::PathBuf;

use super::{checkout, fetch};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::rate::RateArgs;
use crate::cli::scope::ScopeArgs;
use crate::cli::ui::{Render, Style};
use crate::repo::{PathPatterns, PullOptions};

/// Get content from the remote and write it into the workspace
///
/// As `modver fetch` followed by `modver checkout` of the same targets. A part of a tracked directory can be pulled
/// alone; the rest stays absent. Versions in the workspace are pulled in any case; of others the content is brought into
/// the cache. Pointers of transparent files in the workspace are replaced by the content; if git's filter is not
/// configured in this clone yet, it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver pull
  modver pull data/images/cats
  modver pull --include '*.bin' --exclude archive/
  modver pull --all-branches")]
pub(crate) struct Args {
    /// Tracked files or directories, or paths inside tracked directories (default: everything tracked)
    #[arg(value_name = "TARGET")]
    targets: Vec<PathBuf>,
    /// The remote to use (default: the one that `modver remote default` shows)
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    /// Only outputs whose paths fit this pattern, as in `.gitignore`; may be given several times
    #[arg(short = 'I', long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Not the outputs whose paths fit this pattern; may be given several times
    #[arg(short = 'X', long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Also replace files whose content is stored nowhere else
    #[arg(short, long)]
    force: bool,
    /// Show what would be fetched and changed and do neither
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Leave out the records and results of runs of stages
    #[arg(long)]
    no_run_cache: bool,
    #[command(flatten)]
    rate: RateArgs,
    #[command(flatten)]
    scope: ScopeArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let context = args.rate.apply(context);
    let repository = context.repository()?;
    let outcome = repository.pull(&PullOptions {
        scope: args.scope.scope(true),
        targets: args.targets.clone(),
        remote: args.remote.clone(),
        force: args.force,
        dry_run: args.dry_run,
        patterns: PathPatterns {
            include: args.include.clone(),
            exclude: args.exclude.clone(),
        },
    })?;
    let runs = fetch::received(
        &repository,
        args.no_run_cache,
        args.dry_run,
        &args.targets,
        args.remote.as_deref(),
    )?;
    Ok(Shown {
        fetch: fetch::Shown {
            outcome: outcome.fetch,
            runs,
        },
        checkout: checkout::Shown(outcome.checkout),
    })
}

/// What was pulled.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    fetch: fetch::Shown,
    checkout: checkout::Shown,
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        if self.fetch.has_fetched() || self.fetch.runs.runs > 0 {
            self.fetch.text(out, style)?;
        }
        self.checkout.text(out, style)
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        self.fetch.notes(out, style)?;
        if self.fetch.has_failed() && self.checkout.exit() == Exit::Ok && !self.checkout.has_left() {
            return Ok(());
        }
        self.checkout.notes(out, style)
    }

    fn exit(&self) -> Exit {
        match (self.fetch.exit(), self.checkout.exit()) {
            (Exit::Ok, exit) | (exit, Exit::Ok) => exit,
            (fetch, checkout) if fetch == checkout => fetch,
            _ => Exit::Partial,
        }
    }
}
