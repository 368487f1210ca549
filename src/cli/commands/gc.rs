//! `modver gc`.

use std::io::{self, Write};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::rate::RateArgs;
use crate::cli::ui::{Colour, Render, Style, human};
use crate::git::Scope;
use crate::pipeline::runs::{forget_runs, kept_files, old_runs};
use crate::repo::{GcOptions, GcOutcome, OnlyCopies, RemoteGcOptions, RemoteGcOutcome};

/// Remove stored content that is not needed
///
/// Shows what it would remove; --yes removes it. What to keep must be said by at least one of the scope options.
/// What any work tree has checked out or staged and what any stash holds is always kept.
/// Content that exists only on this machine is kept, unless the option that says so in plain words is given.
/// With --remote it is a remote that is collected, safely beside others who use it: what no repository that pushes there
/// needs is marked, and deleted by a later gc, when the grace period is over.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver gc --workspace
  modver gc --all-branches --all-tags --keep-days 30 --yes
  modver gc --remote origin --all-commits")]
pub(crate) struct Args {
    /// Keep what the workspace needs
    #[arg(short, long)]
    workspace: bool,
    /// Keep what the tips of all branches need
    #[arg(short = 'a', long)]
    all_branches: bool,
    /// Keep what all tags need
    #[arg(short = 'T', long)]
    all_tags: bool,
    /// Keep what any commit needs
    #[arg(short = 'A', long)]
    all_commits: bool,
    /// Keep what every commit since DATE (as `git log --since`) needs: of HEAD, or of the branches and tags with -a and -T
    #[arg(long, value_name = "DATE")]
    since: Option<String>,
    /// Keep what a revision needs, or all commits of a range such as A..B; may be given more than once
    #[arg(long = "rev", value_name = "REV")]
    revs: Vec<String>,
    /// Keep what was stored in the last N days
    #[arg(long, value_name = "N", conflicts_with = "remote")]
    keep_days: Option<u32>,
    /// Also forget runs of stages that ended more than N days ago and made nothing that is kept, with their logs
    #[arg(long, value_name = "N", conflicts_with = "remote")]
    runs_older_than: Option<u32>,
    /// Keep what no remote has
    #[arg(long, conflicts_with = "remote")]
    not_in_remote: bool,
    /// The remote to ask what it has (default: all of them)
    #[arg(long, value_name = "NAME", conflicts_with = "remote")]
    ask_remote: Option<String>,
    /// Collect on this remote, not in the cache
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    #[command(flatten)]
    on_remote: OnRemote,
    /// Really remove it
    #[arg(short, long)]
    yes: bool,
    /// Also remove content that exists on this machine only and would be lost for good
    #[arg(long, conflicts_with_all = ["not_in_remote", "remote"])]
    delete_data_that_exists_nowhere_else: bool,
    #[command(flatten)]
    rate: RateArgs,
}

/// What there is to say with --remote only.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --remote")]
struct OnRemote {
    /// Days that what was marked can still be had before it is deleted
    #[arg(long, value_name = "DAYS", default_value_t = 7, requires = "remote")]
    grace: u32,
    /// Days after which what was pushed stays only if a commit in scope needs it
    #[arg(long, value_name = "DAYS", default_value_t = 90, requires = "remote")]
    claims_older_than: u32,
    /// Days after which a push that has not ended is taken for dead
    #[arg(long, value_name = "DAYS", default_value_t = 7, requires = "remote")]
    leases_older_than: u32,
    /// Answer for this repository, too, by its name or id: for one that was moved or is gone; may be given more than once
    #[arg(long = "repository", value_name = "NAME", requires = "remote")]
    repositories: Vec<String>,
    /// Also take what no repository ever claimed, as what was pushed before there were claims
    #[arg(long, requires = "remote")]
    unclaimed: bool,
    /// Leave packs as they are, however little of them is needed
    #[arg(long, requires = "remote")]
    no_repack: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let context = args.rate.apply(context);
    let repository = context.repository_or_bare()?;
    let scope = Scope {
        workspace: args.workspace,
        all_branches: args.all_branches,
        all_tags: args.all_tags,
        all_commits: args.all_commits,
        tracking_branches: true,
        since: args.since.clone(),
        revs: args.revs.clone(),
        unsent: None,
    };
    if let Some(remote) = &args.remote {
        let on = &args.on_remote;
        let outcome = repository.gc_remote(&RemoteGcOptions {
            remote: remote.clone(),
            scope,
            also: kept_files(&repository, &[])?,
            repositories: on.repositories.clone(),
            grace_days: on.grace,
            claim_days: on.claims_older_than,
            lease_days: on.leases_older_than,
            unclaimed: on.unclaimed,
            no_repack: on.no_repack,
            dry_run: !args.yes,
        })?;
        return Ok(Shown::Remote(outcome));
    }
    let old = match args.runs_older_than {
        Some(days) if scope.workspace || scope.has_history() => {
            old_runs(&repository, days, &repository.needed_roots(&scope)?)?
        }
        _ => Vec::new(),
    };
    let gc = repository.gc(&GcOptions {
        also: kept_files(&repository, &old)?,
        scope,
        keep_days: args.keep_days,
        remote: args.ask_remote.clone(),
        only_copies: match (args.delete_data_that_exists_nowhere_else, args.not_in_remote) {
            (true, _) => OnlyCopies::Delete,
            (false, true) => OnlyCopies::Keep,
            (false, false) => OnlyCopies::Refuse,
        },
        dry_run: !args.yes,
    })?;
    if !(gc.dry_run || gc.refused) {
        forget_runs(&repository, &old)?;
    }
    Ok(Shown::Cache(OfCache {
        gc,
        forgotten_runs: old.len() as u64,
    }))
}

/// What was, or would be, removed.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    /// From the cache.
    Cache(OfCache),
    /// From a remote.
    Remote(RemoteGcOutcome),
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        match self {
            Self::Cache(shown) => shown.text(out, style),
            Self::Remote(shown) => shown.text(out, style),
        }
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        match self {
            Self::Cache(shown) => shown.notes(out, style),
            Self::Remote(shown) => shown.notes(out, style),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Cache(shown) => shown.exit(),
            Self::Remote(shown) => shown.exit(),
        }
    }
}

/// What was, or would be, removed from the cache.
#[derive(Debug, serde::Serialize)]
pub(crate) struct OfCache {
    #[serde(flatten)]
    gc: GcOutcome,
    /// Runs that are, or would be, forgotten.
    forgotten_runs: u64,
}

impl Render for OfCache {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        let gc = &self.gc;
        if gc.refused {
            return writeln!(
                out,
                "nothing removed: {} that nothing needs exist only on this machine",
                human::bytes(gc.only_here_bytes)
            );
        }
        if self.forgotten_runs > 0 {
            let forget = if gc.dry_run { "would forget" } else { "forgot" };
            let runs = human::count(self.forgotten_runs, "run of a stage", "runs of stages");
            writeln!(out, "{forget} {runs}")?;
        }
        if gc.freed_bytes == 0 {
            return writeln!(out, "nothing to remove");
        }
        let (freed, removed, rewritten) = if gc.dry_run {
            ("would free", "to remove", "to write anew")
        } else {
            ("freed", "removed", "written anew")
        };
        writeln!(
            out,
            "{freed} {}: {}; {} {removed}, {} {rewritten}",
            human::bytes(gc.freed_bytes),
            human::count(gc.chunks, "chunk", "chunks"),
            human::count(gc.packs_removed, "pack", "packs"),
            human::number(gc.packs_rewritten),
        )?;
        if gc.leftovers > 0 {
            writeln!(
                out,
                "of that {} in {} of interrupted commands",
                human::bytes(gc.leftover_bytes),
                human::count(gc.leftovers, "leftover", "leftovers")
            )?;
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let gc = &self.gc;
        let hint = style.paint(Colour::Hint, "hint:");
        if gc.recent_bytes > 0 {
            writeln!(out, "kept: {} that were stored recently", human::bytes(gc.recent_bytes))?;
        }
        if gc.only_here_bytes > 0 && !gc.refused {
            writeln!(
                out,
                "kept: {} that exist only on this machine",
                human::bytes(gc.only_here_bytes)
            )?;
        }
        if gc.incomplete_roots > 0 {
            writeln!(
                out,
                "{} not whole in the cache; modver pull brings the rest",
                human::count(gc.incomplete_roots, "needed version is", "needed versions are")
            )?;
        }
        if gc.damaged_packs > 0 {
            writeln!(
                out,
                "{} left alone: something needed in them is damaged\n{hint} modver verify --repair",
                human::count(gc.damaged_packs, "pack", "packs")
            )?;
        }
        if gc.refused {
            writeln!(
                out,
                "{hint} modver push, from a commit that needs them; or modver gc --not-in-remote, to keep them and \
                 remove the rest;\n      or --delete-data-that-exists-nowhere-else, to lose them for good"
            )?;
        } else if gc.dry_run && (gc.freed_bytes > 0 || self.forgotten_runs > 0) {
            writeln!(out, "{hint} the same with --yes removes it")?;
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        if self.gc.refused && !self.gc.dry_run {
            Exit::Failure
        } else if self.gc.damaged_packs > 0 {
            Exit::Corruption
        } else {
            Exit::Ok
        }
    }
}
