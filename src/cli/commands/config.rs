//! `modver config`.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::{Render, Style};
use crate::config::keys::KEYS;
use crate::config::{FileLayer, Setting};
use crate::repo::SettingsEdit;

/// Get and set settings
///
/// A setting comes from the first of these that has it: a MODVER_* environment variable, this clone (--local),
/// `mv.toml` (--project), the user (--user), the machine (--system), the built-in value. Secrets are kept by --local
/// and --user only and are never shown.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Print the value of a setting
    Get {
        /// The setting, such as core.autostage
        key: String,
        /// Also print where the value comes from
        #[arg(long)]
        show_origin: bool,
        #[command(flatten)]
        layer: Layer,
    },
    /// Change a setting (in mv.toml, unless another layer is named)
    Set {
        /// The setting
        key: String,
        /// Its new value
        #[arg(allow_hyphen_values = true)]
        value: String,
        #[command(flatten)]
        layer: Layer,
    },
    /// Remove a setting (from mv.toml, unless another layer is named)
    Unset {
        /// The setting
        key: String,
        #[command(flatten)]
        layer: Layer,
    },
    /// Print all settings
    List {
        /// Also print where each value comes from
        #[arg(long)]
        show_origin: bool,
        #[command(flatten)]
        layer: Layer,
    },
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Layer {
    /// The settings of this machine
    #[arg(long)]
    system: bool,
    /// The settings of this user
    #[arg(long)]
    user: bool,
    /// The settings in mv.toml, which is committed
    #[arg(long)]
    project: bool,
    /// The settings of this clone
    #[arg(long)]
    local: bool,
}

impl Layer {
    /// The layer that was named.
    pub(super) const fn chosen(&self) -> Option<FileLayer> {
        match self {
            Self { system: true, .. } => Some(FileLayer::System),
            Self { user: true, .. } => Some(FileLayer::User),
            Self { project: true, .. } => Some(FileLayer::Project),
            Self { local: true, .. } => Some(FileLayer::Local),
            _ => None,
        }
    }
}

/// The settings that there are, for the help.
fn after_help() -> String {
    let mut help = "\
Examples:
  modver config list --show-origin
  modver config set core.autostage false
  modver config get cache.dir

Settings:"
        .to_owned();
    for spec in KEYS {
        // Writing to a String cannot fail.
        let _ = write!(help, "\n  {:<33} {}", spec.pattern(), spec.about);
    }
    help
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let settings = context.settings()?;
    let listed = |settings, show_origin| Shown::Settings(Listed { settings, show_origin });
    Ok(match &args.action {
        Action::Get {
            key,
            show_origin,
            layer,
        } => Shown::Value(Value {
            setting: settings.get(key, layer.chosen())?,
            show_origin: *show_origin,
        }),
        Action::Set { key, value, layer } => Shown::Edit(settings.set(key, value, layer.chosen())?),
        Action::Unset { key, layer } => Shown::Edit(settings.unset(key, layer.chosen())?),
        Action::List { show_origin, layer } => listed(settings.list(layer.chosen())?, *show_origin),
    })
}

/// What was asked for or done.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    Value(Value),
    Settings(Listed),
    Edit(SettingsEdit),
}

#[derive(Debug, serde::Serialize)]
pub(crate) struct Value {
    #[serde(flatten)]
    setting: Setting,
    #[serde(skip)]
    show_origin: bool,
}

#[derive(Debug, serde::Serialize)]
pub(crate) struct Listed {
    settings: Vec<Setting>,
    #[serde(skip)]
    show_origin: bool,
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        match self {
            Self::Value(Value { setting, show_origin }) => {
                write!(out, "{}", setting.value)?;
                origin(out, setting, *show_origin)
            }
            Self::Settings(Listed { settings, show_origin }) => settings.iter().try_for_each(|setting| {
                write!(out, "{} = {}", setting.key, setting.value)?;
                origin(out, setting, *show_origin)
            }),
            Self::Edit(edit) => edited(out, edit),
        }
    }

    fn notes(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        match self {
            Self::Edit(edit) => overridden(out, edit),
            Self::Value(_) | Self::Settings(_) => Ok(()),
        }
    }
}

fn origin(out: &mut dyn Write, setting: &Setting, show: bool) -> io::Result<()> {
    if show {
        writeln!(out, "\t({})", setting.origin)
    } else {
        writeln!(out)
    }
}

/// Says which file was changed.
pub(super) fn edited(out: &mut dyn Write, edit: &SettingsEdit) -> io::Result<()> {
    let what = if edit.changed { "wrote" } else { "nothing to change in" };
    writeln!(out, "{what} {}", edit.file)
}

/// Warns of a value that is not in force.
pub(super) fn overridden(out: &mut dyn Write, edit: &SettingsEdit) -> io::Result<()> {
    match &edit.overridden_by {
        Some(origin) => writeln!(out, "note: not in force here, since {origin} sets it too"),
        None => Ok(()),
    }
}
