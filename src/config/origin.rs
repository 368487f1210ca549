//! Where a value came from.

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde::Serializer;

use super::keys::Key;
use super::value::Value;
use crate::path::quote;

/// A layer of settings; later ones win over earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// What modver does when nobody says otherwise.
    BuiltIn,
    /// The machine's file.
    System,
    /// The user's file.
    User,
    /// `mv.toml`, which git shares.
    Project,
    /// The file in the git directory: this clone only.
    Local,
    /// `MODVER_*` variables.
    Environment,
    /// `-c key=value`.
    Flag,
}

impl Layer {
    /// Its name in output and documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::System => "system",
            Self::User => "user",
            Self::Project => "project",
            Self::Local => "local",
            Self::Environment => "environment",
            Self::Flag => "flag",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A layer that is a file and can be edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileLayer {
    /// The machine's file.
    System,
    /// The user's file.
    User,
    /// `mv.toml`, which git shares.
    Project,
    /// The file in the git directory: this clone only.
    Local,
}

impl FileLayer {
    /// All of them, lowest first.
    pub const ALL: [Self; 4] = [Self::System, Self::User, Self::Project, Self::Local];
}

impl From<FileLayer> for Layer {
    fn from(layer: FileLayer) -> Self {
        match layer {
            FileLayer::System => Self::System,
            FileLayer::User => Self::User,
            FileLayer::Project => Self::Project,
            FileLayer::Local => Self::Local,
        }
    }
}

/// Where a value came from, as exactly as is known.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Origin {
    /// The layer.
    pub layer: Layer,
    /// The file, for the layers that are files.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_path")]
    pub file: Option<PathBuf>,
    /// The line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The environment variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
}

impl Origin {
    pub(super) const fn of(layer: Layer) -> Self {
        Self {
            layer,
            file: None,
            line: None,
            variable: None,
        }
    }

    pub(super) fn file(layer: Layer, file: &Path, line: usize) -> Self {
        Self {
            file: Some(file.to_owned()),
            line: Some(line),
            ..Self::of(layer)
        }
    }

    pub(super) fn variable(name: &str) -> Self {
        Self {
            variable: Some(name.to_owned()),
            ..Self::of(Layer::Environment)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line, &self.variable) {
            (Some(file), Some(line), _) => write!(f, "{}:{line}", shown(file)),
            (Some(file), None, _) => f.write_str(&shown(file)),
            (None, _, Some(variable)) => f.write_str(variable),
            (None, _, None) if self.layer == Layer::Flag => f.write_str("command line"),
            (None, _, None) => write!(f, "{}", self.layer),
        }
    }
}

/// A value that is in force, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    /// Which setting.
    pub key: Key,
    /// Its value; secrets show as `***`.
    pub value: Value,
    /// Where it came from.
    #[serde(flatten)]
    pub origin: Origin,
}

/// A path for people.
pub(super) fn shown(path: &Path) -> std::borrow::Cow<'_, str> {
    quote(path.as_os_str().as_bytes())
}

#[allow(clippy::ref_option, reason = "serde calls it with a reference to the field")]
pub(super) fn serialize_path<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => serializer.serialize_some(&shown(path)),
        None => serializer.serialize_none(),
    }
}
