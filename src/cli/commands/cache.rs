//! `modver cache`.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{Render, Style, human};
use crate::repo::{CacheInfo, CacheRebuilt};

/// Look at the cache
///
/// The cache is where this machine keeps stored content; several repositories can share one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver cache info
  du -sh \"$(modver cache dir)\"
  modver cache rebuild")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show where the cache is, how much it holds and how well it compresses
    Info,
    /// Print the directory of the cache
    Dir,
    /// Build the index again from the stored packs
    ///
    /// Packs say which chunks they hold, so these are always found again. How files of more than 256 KiB are put
    /// together stands in the index alone: what the damaged part of it said is lost, unless the file is in this work
    /// tree, or a remote has it.
    Rebuild,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let repository = context.repository()?;
    Ok(match args.action {
        Action::Info => Shown::Info(repository.cache_info()?),
        Action::Dir => Shown::Dir {
            dir: repository.cache_dir(),
        },
        Action::Rebuild => Shown::Rebuilt(repository.rebuild_cache()?),
    })
}

/// What was asked for or done.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    Info(CacheInfo),
    Dir {
        #[serde(serialize_with = "lossy")]
        dir: PathBuf,
    },
    Rebuilt(CacheRebuilt),
}

fn lossy<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        match self {
            // As it is, for scripts: names need not be text.
            Self::Dir { dir } => {
                out.write_all(dir.as_os_str().as_bytes())?;
                writeln!(out)
            }
            Self::Info(cache) => info(out, cache),
            Self::Rebuilt(outcome) => rebuilt(out, outcome),
        }
    }

    fn notes(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        let Self::Rebuilt(CacheRebuilt {
            rebuilt, incomplete, ..
        }) = self
        else {
            return Ok(());
        };
        if !incomplete.is_empty() {
            writeln!(
                out,
                "hint: modver fetch   gets from the remote what is not in the cache"
            )?;
        }
        if !rebuilt.damaged_packs.is_empty() {
            writeln!(out, "hint: modver verify --repair")?;
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Rebuilt(outcome) if !outcome.rebuilt.damaged_packs.is_empty() => Exit::Corruption,
            _ => Exit::Ok,
        }
    }
}

fn info(out: &mut dyn Write, cache: &CacheInfo) -> io::Result<()> {
    let mut line = |name: &str, value: &str| writeln!(out, "{name:<12} {value}");
    line("directory", &cache.dir)?;
    if !cache.exists {
        return line("state", "not there yet");
    }
    let place = if cache.shared {
        "outside of this repository, others may use it too"
    } else {
        "of this repository and its work trees"
    };
    line("place", place)?;
    let packs = human::count(cache.packs, "pack", "packs");
    let shards = human::count(cache.shards, "shard", "shards");
    line(
        "size",
        &format!("{} in {packs} and {shards}", human::bytes(cache.stored_bytes)),
    )?;
    line(
        "content",
        &format!(
            "{} before compression: {} of files, {} of listings",
            human::bytes(cache.raw_bytes),
            human::count(cache.chunks, "chunk", "chunks"),
            human::number(cache.tree_chunks)
        ),
    )?;
    line("large files", &human::number(cache.large_files))?;
    line("free", &human::bytes(cache.free_bytes))
}

fn rebuilt(out: &mut dyn Write, outcome: &CacheRebuilt) -> io::Result<()> {
    let CacheRebuilt {
        rebuilt,
        restored,
        incomplete,
    } = outcome;
    writeln!(
        out,
        "rebuilt the index: {} with {}, recipes of {}",
        human::count(rebuilt.packs, "pack", "packs"),
        human::count(rebuilt.chunks, "chunk", "chunks"),
        human::count(rebuilt.recipes, "large file", "large files")
    )?;
    if rebuilt.found_packs > 0 {
        let found = human::count(rebuilt.found_packs, "pack", "packs");
        writeln!(out, "found {found} that the index did not know")?;
    }
    for shard in &rebuilt.damaged_shards {
        writeln!(out, "replaced the damaged shard {shard}")?;
    }
    for pack in &rebuilt.missing_packs {
        writeln!(out, "missing: pack {pack}")?;
    }
    for pack in &rebuilt.damaged_packs {
        writeln!(out, "damaged: pack {pack}")?;
    }
    if rebuilt.lost_recipes > 0 {
        let lost = human::count(rebuilt.lost_recipes, "large file", "large files");
        writeln!(out, "cannot be put together any more: {lost}")?;
    }
    for path in restored {
        writeln!(out, "stored again from the workspace: {path}")?;
    }
    for output in incomplete {
        let missing = human::count(output.missing, "file or listing is", "files or listings are");
        writeln!(out, "incomplete: {} ({missing} not in the cache)", output.path)?;
    }
    Ok(())
}
