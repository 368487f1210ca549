//! `modver ls`.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::scope::place;
use crate::cli::ui::human::bytes;
use crate::cli::ui::{Render, Style, broken};
use crate::fs::{FileKind, stat};
use crate::git::is_git_url;
use crate::repo::{ContentKind, LsOutcome, LsRequest, Repository, SourceRequest, ls_source};

/// List tracked files
///
/// Lists what the pointers say, whether or not the data is present. Directories end with `/`, executable files with `*`;
/// links show where they point. Listings are read from the cache; nothing is fetched.
///
/// With two arguments, or if the first is a URL or a directory outside of this repository, it lists what is tracked in
/// another repository: any URL that git can clone, or a directory of this machine. Its listings are fetched, files are
/// not.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver ls
  modver ls -R --size --hash data/
  modver ls --rev main~3
  modver ls https://github.com/lab/data.git images --rev v2")]
pub(crate) struct Args {
    /// What to list (default: the working directory), or another repository
    #[arg(value_name = "PATH|REPOSITORY")]
    path: Option<PathBuf>,
    /// What to list of the other repository (default: everything)
    #[arg(value_name = "PATH")]
    inside: Option<PathBuf>,
    /// List what is tracked in a revision (default: what the pointers in the workspace say; of another repository, its
    /// newest commit)
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
    let shown = |outcome, url, commit| Shown {
        outcome,
        url,
        commit,
        size: args.size,
        hash: args.hash,
    };
    if let Some(url) = elsewhere(args, context) {
        let request = SourceRequest {
            url,
            path: args.inside.clone(),
            rev: args.rev.clone(),
            recursive: args.recursive,
        };
        let found = ls_source(&context.open_options(), &request)?;
        return Ok(shown(found.listing, Some(found.url), Some(found.commit)));
    }
    let outcome = context.repository_or_bare()?.ls(&LsRequest {
        path: args.path.clone(),
        recursive: args.recursive,
        rev: args.rev.clone(),
    })?;
    Ok(shown(outcome, None, None))
}

/// The other repository, if one is meant.
fn elsewhere(args: &Args, context: &Context) -> Option<String> {
    let first = args.path.as_ref()?;
    let text = first.to_str()?.to_owned();
    if args.inside.is_some() || is_git_url(&text) {
        return Some(text);
    }
    let is_outside = match Repository::open(&context.open_options_or_bare()) {
        Ok(repository) => repository.path_of(first).is_err(),
        Err(_) => matches!(stat(&context.cwd.join(first)), Ok(Some(there)) if there.kind == FileKind::Dir),
    };
    is_outside.then_some(text)
}

/// What is shown.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    outcome: LsOutcome,
    /// The other repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Its commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
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
            match self.url {
                Some(_) => writeln!(out, "nothing is tracked there")?,
                None => writeln!(out, "nothing is tracked {}", place(self.outcome.rev.as_deref()))?,
            }
        }
        broken::notes(&self.outcome.broken, out, style)
    }

    fn exit(&self) -> Exit {
        broken::exit(&self.outcome.broken, Exit::Ok)
    }
}
