//! `modver ls`.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::scope::place;
use crate::cli::ui::human::bytes;
use crate::cli::ui::{Render, Style, broken};
use crate::repo::{ContentKind, LsOutcome, LsRequest};

/// List tracked files
///
/// Lists what the pointers say, whether or not the data is present. Directories end with `/`, executable files with `*`;
/// links show where they point. Listings are read from the cache; nothing is fetched.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver ls
  modver ls -R --size --hash data/
  modver ls --rev main~3")]
pub(crate) struct Args {
    /// What to list (default: the working directory)
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// List what is tracked in a git revision (default: what the pointers in the workspace say)
    #[arg(long, value_name = "REV")]
    rev: Option<String>,
    /// Also list what is inside directories
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Show sizes
    #[arg(long)]
    size: bool,
    /// Show file ids: the digits that `b3sum` prints
    #[arg(long)]
    hash: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let outcome = context.repository()?.ls(&LsRequest {
        path: args.path.clone(),
        recursive: args.recursive,
        rev: args.rev.clone(),
    })?;
    Ok(Shown {
        outcome,
        size: args.size,
        hash: args.hash,
    })
}

/// What is shown.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    outcome: LsOutcome,
    #[serde(skip)]
    size: bool,
    #[serde(skip)]
    hash: bool,
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        for entry in &self.outcome.entries {
            let content = &entry.content;
            if self.hash {
                match &content.id {
                    Some(id) => write!(out, "{id}  ")?,
                    None => write!(out, "{:64}  ", "")?,
                }
            }
            if self.size {
                write!(out, "{:>10}  ", bytes(content.size))?;
            }
            write!(out, "{}", entry.name)?;
            match (content.kind, &content.target) {
                (ContentKind::Dir, _) => writeln!(out, "/")?,
                (_, Some(target)) => writeln!(out, " -> {target}")?,
                _ if content.executable => writeln!(out, "*")?,
                _ => writeln!(out)?,
            }
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        if self.outcome.entries.is_empty() {
            writeln!(out, "nothing is tracked {}", place(self.outcome.rev.as_deref()))?;
        }
        broken::notes(&self.outcome.broken, out, style)
    }

    fn exit(&self) -> Exit {
        broken::exit(&self.outcome.broken, Exit::Ok)
    }
}
