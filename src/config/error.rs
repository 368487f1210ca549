//! Errors and warnings of settings. None of them ever holds a value: it may be a secret in the wrong place.

use std::fmt;
use std::path::PathBuf;

use super::name::{RemoteName, RemoteNameError};
use super::origin::{Layer, Origin, shown};
use super::value::ValueDefect;
use crate::fs::FsError;

/// Result of reading or editing settings.
pub type Result<T> = std::result::Result<T, ConfigError>;

/// Why settings could not be read or edited.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A settings file is not UTF-8.
    #[error("{file}:{line}: not UTF-8 text", file = shown(.file))]
    NotUtf8 {
        /// The file.
        file: PathBuf,
        /// The line of the first wrong byte, from 1.
        line: usize,
    },
    /// A settings file holds a merge that was not finished.
    #[error("{file}:{line}: conflict markers of an unfinished merge", file = shown(.file))]
    ConflictMarkers {
        /// The file.
        file: PathBuf,
        /// The line of the first marker, from 1.
        line: usize,
    },
    /// A settings file is not TOML.
    #[error("{file}:{line}:{column}: {message}", file = shown(.file))]
    Syntax {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// What is wrong and what was expected; never a piece of the file.
        message: String,
    },
    /// There is no setting of that name.
    #[error("{place}unknown key `{key}`{mean}", place = Place(.origin), key = Shown(.key), mean = DidYouMean(.nearest))]
    UnknownKey {
        /// Where it is written; `None` when it was given as an argument.
        origin: Option<Box<Origin>>,
        /// What is written.
        key: String,
        /// The nearest right spelling.
        nearest: Option<String>,
    },
    /// A remote's name with a dot is written without quotes, which TOML takes for two names.
    #[error("{origin}: `{table}` is a table in a remote's settings; write a name with a dot in quotes: [remote.\"{name}\"]", table = Shown(.table), name = Shown(.name))]
    UnquotedName {
        /// Where it is written.
        origin: Box<Origin>,
        /// The table as TOML understands it.
        table: String,
        /// The name that was probably meant.
        name: String,
    },
    /// A value has the wrong type.
    #[error("{origin}: `{key}` must be {expected}, not {found}", key = Shown(.key))]
    WrongType {
        /// Where it is written.
        origin: Box<Origin>,
        /// The setting or table.
        key: String,
        /// What it must be, with its article.
        expected: &'static str,
        /// The TOML type it has.
        found: &'static str,
    },
    /// A value has the right type but cannot be.
    #[error("{place}`{key}` {defect}", place = Place(.origin))]
    InvalidValue {
        /// Where it is written; `None` when it was given as an argument.
        origin: Option<Box<Origin>>,
        /// The setting.
        key: String,
        /// What is wrong with it.
        defect: ValueDefect,
    },
    /// A section's name is not the name of a remote.
    #[error("{origin}: {defect}")]
    SectionName {
        /// Where it is written.
        origin: Box<Origin>,
        /// What is wrong with it.
        defect: RemoteNameError,
    },
    /// A name that was given is not the name of a remote.
    #[error(transparent)]
    RemoteName(#[from] RemoteNameError),
    /// A secret is in the file that git shares.
    #[error("{origin}: the secret `{key}` is in a file that git shares with everybody")]
    SecretInProject {
        /// Where it is written.
        origin: Box<Origin>,
        /// The setting.
        key: String,
    },
    /// A secret was to be written where others can read it.
    #[error("`{key}` is a secret, which the {layer} settings do not keep")]
    SecretRefused {
        /// The setting.
        key: String,
        /// The layer it was meant for.
        layer: Layer,
    },
    /// The value of an environment variable is not UTF-8.
    #[error("{variable}: not UTF-8 text")]
    VariableNotUtf8 {
        /// The variable.
        variable: String,
    },
    /// There is no remote of that name.
    #[error("no remote is named `{name}`{rest}", rest = Known(.known, .nearest))]
    UnknownRemote {
        /// The name.
        name: RemoteName,
        /// The names there are.
        known: Vec<RemoteName>,
        /// The nearest of them.
        nearest: Option<String>,
    },
    /// A remote has settings but no URL.
    #[error("{origin}: the remote `{name}` has settings but no `remote.{name}.url`")]
    RemoteWithoutUrl {
        /// The remote.
        name: RemoteName,
        /// Where one of its settings is.
        origin: Box<Origin>,
    },
    /// A remote of the new name exists already.
    #[error("{file} has a remote `{name}` already", file = shown(.file))]
    RemoteExists {
        /// The file.
        file: PathBuf,
        /// The new name.
        name: RemoteName,
    },
    /// The layer has no file here.
    #[error("there is no {0} settings file here")]
    NoFile(Layer),
    /// The file would become longer than is read.
    #[error("{file} would become longer than {limit} bytes", file = shown(.file))]
    TooLong {
        /// The file.
        file: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// The file is written in a way that the edit cannot follow.
    #[error("cannot change `{key}` in {file}: its layout is too unusual", file = shown(.file))]
    Layout {
        /// The file.
        file: PathBuf,
        /// The setting or remote.
        key: String,
    },
}

impl ConfigError {
    /// What to do about it: commands to type.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::SecretInProject { key, .. } => Some(format!(
                "modver config unset --project {key} && modver config set --local {key}; \
                 if it was ever committed, replace it at the provider: git's history keeps it"
            )),
            Self::SecretRefused { key, .. } => Some(format!(
                "modver config set --local {key} (this clone) or modver config set --user {key} (all yours)"
            )),
            Self::InvalidValue {
                defect: ValueDefect::Credentials,
                key,
                ..
            } => {
                let remote = key.rsplit_once('.').map_or(key.as_str(), |(remote, _)| remote);
                Some(format!(
                    "leave the credentials out of the URL; modver config set --local {remote}.access_key_id, \
                     then {remote}.secret_access_key"
                ))
            }
            Self::ConflictMarkers { file, .. } => Some(format!(
                "git checkout --ours {file} or git checkout --theirs {file}",
                file = shown(file)
            )),
            Self::UnknownRemote { name, .. } => Some(format!("modver remote add {name} URL")),
            Self::RemoteWithoutUrl { name, .. } => Some(format!("modver remote add {name} URL")),
            Self::NoFile(Layer::Project | Layer::Local) => Some("modver init".to_owned()),
            _ => None,
        }
    }
}

/// Something in the settings that is probably a mistake, but does not stop anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigWarning {
    /// A `MODVER_*` variable is no setting.
    UnknownVariable {
        /// The variable.
        variable: String,
        /// The nearest right spelling.
        nearest: Option<String>,
    },
    /// A variable fits several remotes; it is not used.
    AmbiguousVariable {
        /// The variable.
        variable: String,
        /// The remotes.
        remotes: Vec<RemoteName>,
    },
    /// A file with secrets can be read by other users.
    ReadableSecrets {
        /// The file.
        file: PathBuf,
    },
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVariable { variable, nearest } => {
                let (variable, mean) = (Shown(variable), DidYouMean(nearest));
                write!(
                    f,
                    "the environment variable {variable} is not a setting and is ignored{mean}"
                )
            }
            Self::AmbiguousVariable { variable, remotes } => {
                let names: Vec<&str> = remotes.iter().map(RemoteName::as_str).collect();
                let names = names.join(", ");
                write!(
                    f,
                    "the environment variable {variable} fits several remotes ({names}) and is ignored"
                )
            }
            Self::ReadableSecrets { file } => {
                let file = shown(file);
                write!(f, "{file} holds secrets and other users can read it (chmod 600 {file})")
            }
        }
    }
}

struct Place<'a>(&'a Option<Box<Origin>>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |origin| write!(f, "{origin}: "))
    }
}

struct DidYouMean<'a>(&'a Option<String>);

impl fmt::Display for DidYouMean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .as_ref()
            .map_or(Ok(()), |right| write!(f, "; did you mean `{right}`?"))
    }
}

struct Known<'a>(&'a [RemoteName], &'a Option<String>);

impl fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("; there are no remotes");
        }
        write!(f, "{}", DidYouMean(self.1))?;
        let names: Vec<&str> = self.0.iter().map(RemoteName::as_str).collect();
        write!(f, " (there are: {})", names.join(", "))
    }
}

/// Text of a file or argument, short and without control characters.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 200;
        let short: String = self.0.chars().take(LONGEST).collect();
        f.write_str(&crate::path::quote(short.as_bytes()))?;
        f.write_str(if self.0.chars().nth(LONGEST).is_some() {
            "…"
        } else {
            ""
        })
    }
}
