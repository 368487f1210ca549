//! `modver remote`.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::config::{edited, overridden};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::{Colour, Render, Style};
use crate::config::{FileLayer, RemoteName};
use crate::path::quote;
use crate::repo::{ListedRemote, NewDirectory, NewRemote, Probed, RemoteAdded, RemotesChanged, SettingsEdit};

/// Manage remotes
///
/// A remote is a place where content is shared: a directory, a bucket of S3, Google or Azure, a server that is reached
/// by SSH or WebDAV. It is tried out when it is added. Remotes are kept in `mv.toml`, which is committed; --local and
/// --user keep one for this clone or for this user only. Credentials are never written to `mv.toml`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver remote add --default store s3://bucket/prefix --region eu-central-1
  modver remote add backup /mnt/backup/modver
  modver remote add lab ssh://me@server.example.org/srv/store
  modver remote modify store endpoint https://s3.example.org
  modver remote list")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add a remote
    Add(Add),
    /// List the remotes; the default one is marked
    List,
    /// Change or remove a setting of a remote
    Modify(Modify),
    /// Remove a remote; what it stores stays
    Remove {
        /// The remote
        name: String,
    },
    /// Rename a remote
    Rename {
        /// The remote
        from: String,
        /// Its new name
        to: String,
    },
    /// Show or choose the remote that is used when none is named
    Default {
        /// The remote to choose
        name: Option<String>,
        /// Have no default
        #[arg(long, conflicts_with = "name")]
        unset: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    /// Its name
    name: String,
    /// A directory, or a URL: s3://, gs:// or azure://BUCKET/PREFIX, ssh://USER@HOST/DIR, webdavs://HOST/DIR
    url: String,
    /// Use it when no remote is named
    #[arg(short, long)]
    default: bool,
    /// Replace a remote of that name
    #[arg(short, long)]
    force: bool,
    /// Keep it for this clone only
    #[arg(long, conflicts_with = "user")]
    local: bool,
    /// Keep it for this user, in all repositories
    #[arg(long)]
    user: bool,
    /// The address of a service other than the usual one
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The S3 region
    #[arg(long)]
    region: Option<String>,
    /// The profile in the AWS configuration files
    #[arg(long)]
    profile: Option<String>,
    /// Sign no requests
    #[arg(long)]
    anonymous: bool,
    /// Put the bucket into the path, not into the host name
    #[arg(long)]
    path_style: bool,
    /// Another setting, such as account_name=NAME, user=NAME, port=NUMBER, keyfile=FILE
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = option)]
    options: Vec<(String, String)>,
    /// Do not try out what the remote can do
    #[arg(long)]
    no_probe: bool,
    /// Encrypt what is stored there, with --key-file or the setting `passphrase`
    #[arg(long)]
    encrypt: bool,
    /// The file with the key, made if it does not exist
    #[arg(long, value_name = "FILE", requires = "encrypt")]
    key_file: Option<PathBuf>,
}

fn option(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

#[derive(Debug, clap::Args)]
struct Modify {
    /// The remote
    name: String,
    /// The setting: url, endpoint, region, profile, anonymous, path-style, ...
    key: String,
    /// Its new value
    #[arg(required_unless_present = "unset")]
    value: Option<String>,
    /// Remove the setting
    #[arg(short, long, conflicts_with = "value")]
    unset: bool,
    /// Change it for this clone only
    #[arg(long, conflicts_with = "user")]
    local: bool,
    /// Change it for this user, in all repositories
    #[arg(long)]
    user: bool,
}

fn layer(local: bool, user: bool) -> Option<FileLayer> {
    match (local, user) {
        (true, _) => Some(FileLayer::Local),
        (_, true) => Some(FileLayer::User),
        _ => None,
    }
}

impl Add {
    fn to_add(&self) -> NewRemote {
        let text = |field: &str, value: &Option<String>| value.clone().map(|value| (field.to_owned(), value));
        let flag = |field: &str, set: bool| set.then(|| (field.to_owned(), "true".to_owned()));
        let options = [
            text("endpoint", &self.endpoint),
            text("region", &self.region),
            text("profile", &self.profile),
            flag("anonymous", self.anonymous),
            flag("path_style", self.path_style),
        ];
        NewRemote {
            name: self.name.clone(),
            url: self.url.clone(),
            options: options.into_iter().flatten().chain(self.options.clone()).collect(),
            no_probe: self.no_probe,
            encrypt: self.encrypt,
            key_file: self.key_file.clone(),
            default: self.default,
            force: self.force,
            layer: layer(self.local, self.user),
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let settings = context.settings()?;
    Ok(match &args.action {
        Action::Add(add) => Shown::Added(settings.add_remote(&add.to_add(), &context.progress)?),
        Action::List => Shown::List {
            remotes: settings.remotes()?,
        },
        Action::Modify(modify) => Shown::Edit(settings.modify_remote(
            &modify.name,
            &modify.key,
            modify.value.as_deref(),
            layer(modify.local, modify.user),
        )?),
        Action::Remove { name } => Shown::Changed(settings.remove_remote(name)?),
        Action::Rename { from, to } => Shown::Changed(settings.rename_remote(from, to)?),
        Action::Default { name: Some(name), .. } => Shown::Edit(settings.set_default_remote(name)?),
        Action::Default { unset: true, .. } => Shown::Changed(settings.unset_default_remote()?),
        Action::Default { .. } => Shown::Default {
            name: settings.default_remote()?,
        },
    })
}

/// What was asked for or done.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    Added(RemoteAdded),
    List { remotes: Vec<ListedRemote> },
    Edit(SettingsEdit),
    Changed(RemotesChanged),
    Default { name: RemoteName },
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        match self {
            Self::Added(added) => {
                let default = if added.default { ", the default remote" } else { "" };
                writeln!(out, "added {}: {}{default}", added.name, added.url)
            }
            Self::List { remotes } => {
                let width = remotes.iter().map(|r| r.config.name.as_str().len()).max().unwrap_or(0);
                remotes.iter().try_for_each(|remote| {
                    let default = if remote.default { "  (default)" } else { "" };
                    let config = &remote.config;
                    writeln!(out, "{:width$}  {}{default}", config.name.as_str(), config.url)
                })
            }
            Self::Edit(edit) => edited(out, edit),
            Self::Changed(changed) if changed.edits.is_empty() => writeln!(out, "nothing to change"),
            Self::Changed(changed) => changed.edits.iter().try_for_each(|edit| edited(out, edit)),
            Self::Default { name } => writeln!(out, "{name}"),
        }
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        match self {
            Self::Added(added) => {
                let next = match added.edit.layer {
                    crate::config::Layer::Project => "; next: git commit",
                    _ => "",
                };
                writeln!(out, "wrote {}{next}", added.edit.file)?;
                if let Some(file) = &added.new_key_file {
                    let file = quote(file.as_os_str().as_bytes());
                    writeln!(
                        out,
                        "made the key file {file}: keep a copy; what is stored there is lost without it"
                    )?;
                }
                if let Some(NewDirectory { path, made }) = &added.directory {
                    let path = quote(path.as_os_str().as_bytes());
                    if *made {
                        writeln!(out, "made the directory {path}")?;
                    } else {
                        writeln!(out, "the directory does not exist and was not made: {path}")?;
                        writeln!(out, "{} mkdir -p {path}", style.paint(Colour::Hint, "hint:"))?;
                    }
                }
                overridden(out, &added.edit)?;
                match &added.probe {
                    Some(probe) => tried(out, style, probe),
                    None => Ok(()),
                }
            }
            Self::List { remotes } if remotes.is_empty() => {
                writeln!(out, "there are no remotes; add one with: modver remote add NAME URL")
            }
            Self::Edit(edit) => overridden(out, edit),
            _ => Ok(()),
        }
    }
}

/// Says what a new remote cannot do, or why it could not be tried.
fn tried(out: &mut dyn Write, style: Style, probe: &Probed) -> io::Result<()> {
    let name = &probe.name;
    let Some(seen) = probe.abilities else {
        let error = probe.error.as_deref().unwrap_or_default();
        writeln!(
            out,
            "{} {name} could not be tried out: {error}",
            style.paint(Colour::Hint, "warning:")
        )?;
        if let Some(hint) = &probe.hint {
            writeln!(out, "{} {hint}", style.paint(Colour::Hint, "hint:"))?;
        }
        return writeln!(
            out,
            "{} modver doctor --remote {name}   (to try again)",
            style.paint(Colour::Hint, "hint:")
        );
    };
    if !seen.writable {
        return writeln!(
            out,
            "{} {name} cannot be written with these credentials",
            style.paint(Colour::Hint, "warning:")
        );
    }
    let lacks = [
        (seen.conditional_put, "create without replacing"),
        (seen.range, "read parts"),
        (seen.list, "list"),
        (seen.delete, "delete"),
    ];
    let lacks: Vec<&str> = lacks.iter().filter(|(can, _)| !can).map(|(_, what)| *what).collect();
    if lacks.is_empty() {
        return Ok(());
    }
    writeln!(out, "tried out {name}: it cannot {}", lacks.join(", "))
}
