//! The one table of settings: names, types, defaults and what they mean.
//!
//! A new setting is a new row of [`KEYS`]. Files, environment, flags, `config list` and the documentation's test all
//! read the table.

use std::fmt;

use super::error::{ConfigError, Result};
use super::name::RemoteName;
use super::nearest::nearest;

/// What a setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text without control characters.
    Text,
    /// `true` or `false`.
    Bool,
    /// A whole number from 0 to 4294967295.
    Count,
    /// A path; relative ones start at the directory of the file that sets it.
    Path,
    /// The name of a remote.
    RemoteName,
    /// A URL or path without credentials in it.
    Url,
    /// An `http://` or `https://` URL without credentials in it.
    Endpoint,
    /// Bytes per second, such as `5MiB`; 0 is no limit.
    Rate,
    /// Text that is never shown, and never kept in a file that git shares.
    Secret,
}

impl Kind {
    /// What a value of it is, with its article.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Text | Self::Secret => "a string",
            Self::Bool => "true or false",
            Self::Count => "a whole number from 0 to 4294967295",
            Self::Path => "a path (a string)",
            Self::RemoteName => "the name of a remote (a string)",
            Self::Url => "a URL or path (a string)",
            Self::Rate => "bytes per second, such as 5MiB (a string)",
            Self::Endpoint => "an http:// or https:// URL (a string)",
        }
    }
}

/// One row of the table: a setting, or with [`KeySpec::per_remote`] one setting of each remote.
#[derive(Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// The TOML table it is in.
    pub section: &'static str,
    /// Its name in the table.
    pub name: &'static str,
    /// Whether the table has one table for each remote, which holds it.
    pub per_remote: bool,
    /// What it holds.
    pub kind: Kind,
    /// The built-in value, as text; `None` when it has none, or one that is computed (`cache.dir`).
    pub default: Option<&'static str>,
    /// One sentence for help and documentation.
    pub about: &'static str,
}

impl KeySpec {
    /// How it is written in general: `core.jobs`, `remote.NAME.url`.
    #[must_use]
    pub fn pattern(&self) -> String {
        let middle = if self.per_remote { ".NAME" } else { "" };
        format!("{}{middle}.{}", self.section, self.name)
    }

    /// The environment variable that sets it: `MODVER_CORE_JOBS`, `MODVER_REMOTE_<NAME>_URL`.
    #[must_use]
    pub fn variable(&self) -> String {
        let middle = if self.per_remote { "<NAME>_" } else { "" };
        let upper = |text: &str| text.to_ascii_uppercase();
        format!("MODVER_{}_{middle}{}", upper(self.section), upper(self.name))
    }
}

const fn plain(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    about: &'static str,
) -> KeySpec {
    KeySpec {
        section,
        name,
        per_remote: false,
        kind,
        default,
        about,
    }
}

const fn remote(name: &'static str, kind: Kind, about: &'static str) -> KeySpec {
    KeySpec {
        section: "remote",
        name,
        per_remote: true,
        kind,
        default: None,
        about,
    }
}

/// Every setting.
pub static KEYS: &[KeySpec] = &[
    plain(
        "core",
        "remote",
        Kind::RemoteName,
        None,
        "The remote that push, fetch and pull use when none is named.",
    ),
    plain(
        "core",
        "autostage",
        Kind::Bool,
        Some("true"),
        "Whether pointers and `.gitignore` are staged in git's index as they are written.",
    ),
    plain(
        "core",
        "jobs",
        Kind::Count,
        Some("0"),
        "How many things are done at once; 0 is the number of processor cores.",
    ),
    plain(
        "core",
        "large_file",
        Kind::Count,
        Some("10"),
        "Files of more MiB than this are not to be committed to git itself (see `modver install`); 0 is no limit.",
    ),
    plain(
        "core",
        "smudge",
        Kind::Bool,
        Some("true"),
        "Whether `git checkout` and its like write the content of transparent files; if not, their pointers.",
    ),
    plain(
        "cache",
        "dir",
        Kind::Path,
        None,
        "Where the cache is; without it, `modver/cache` in the git directory.",
    ),
    plain(
        "cache",
        "shared",
        Kind::Bool,
        Some("false"),
        "Whether the cache's directories are writable for the group, so that several users can share it.",
    ),
    plain(
        "transfer",
        "limit_rate",
        Kind::Rate,
        Some("0"),
        "How many bytes per second all requests to remotes may move together, up and down, such as `5MiB` or `800K`; 0 is no limit.",
    ),
    plain(
        "transfer",
        "timeout",
        Kind::Count,
        Some("60"),
        "How many seconds nothing may move on a connection to a remote before the request is given up and tried again; 0 is 60.",
    ),
    plain(
        "repro",
        "grace",
        Kind::Count,
        Some("5"),
        "How many seconds the command of a stage may take to end after SIGINT, and again after SIGTERM, before it is killed.",
    ),
    remote(
        "url",
        Kind::Url,
        "Where the remote is: a directory or a URL such as `s3://bucket/prefix`; see remotes.md.",
    ),
    remote(
        "endpoint",
        Kind::Endpoint,
        "The address of the service, if it is not the usual one: an S3, Google, Azure or OSS service, an emulator.",
    ),
    remote("region", Kind::Text, "The region of S3."),
    remote(
        "profile",
        Kind::Text,
        "The profile of the AWS configuration files to take credentials from.",
    ),
    remote(
        "anonymous",
        Kind::Bool,
        "Whether requests are sent without credentials, for public buckets.",
    ),
    remote(
        "path_style",
        Kind::Bool,
        "Whether the bucket is named in the URL's path instead of its host name.",
    ),
    remote("account_name", Kind::Text, "The Azure storage account."),
    remote(
        "credential_path",
        Kind::Path,
        "A file with Google credentials, such as the key of a service account.",
    ),
    remote("user", Kind::Text, "The user at an SSH, WebDAV or WebHDFS server."),
    remote("port", Kind::Count, "The port of an SSH, WebDAV or WebHDFS server."),
    remote("keyfile", Kind::Path, "The private SSH key to use."),
    remote(
        "ca_file",
        Kind::Path,
        "A PEM file with certificates to trust besides the system's, for `https://` remotes.",
    ),
    remote(
        "access_key_id",
        Kind::Secret,
        "The access key id for S3 or OSS, if the usual places for credentials do not have it.",
    ),
    remote(
        "secret_access_key",
        Kind::Secret,
        "The secret key that belongs to the access key id.",
    ),
    remote(
        "session_token",
        Kind::Secret,
        "The session token of temporary S3 or OSS credentials.",
    ),
    remote("account_key", Kind::Secret, "The key of the Azure storage account."),
    remote(
        "sas_token",
        Kind::Secret,
        "A shared access signature for the Azure container.",
    ),
    remote(
        "connection_string",
        Kind::Secret,
        "An Azure connection string: account, key and endpoint in one.",
    ),
    remote("password", Kind::Secret, "The password at a WebDAV server."),
    remote(
        "token",
        Kind::Secret,
        "The token that `modver serve token add` printed, for `http(s)://` remotes; a bearer token for WebDAV, Google Drive or Hugging Face, a delegation token for WebHDFS.",
    ),
    remote(
        "push",
        Kind::Bool,
        "Whether a push that names no remote sends there, too, besides the default remote.",
    ),
    remote(
        "limit_rate",
        Kind::Rate,
        "How many bytes per second requests to this remote may move together, such as `5MiB`; 0 is no limit. `transfer.limit_rate` holds besides.",
    ),
    remote(
        "encryption",
        Kind::Bool,
        "Whether what the remote has is encrypted before it leaves this machine.",
    ),
    remote(
        "key_file",
        Kind::Path,
        "The file with the key of an encrypted remote; `remote add --key-file` makes it.",
    ),
    remote(
        "passphrase",
        Kind::Secret,
        "The passphrase of an encrypted remote that has no key file.",
    ),
];

/// What DVC calls settings of remotes that have another name here.
const NAMES_IN_DVC: &[(&str, &str)] = &[
    ("endpointurl", "endpoint"),
    ("allow_anonymous_login", "anonymous"),
    ("credentialpath", "credential_path"),
    ("gdrive_service_account_json_file_path", "credential_path"),
    ("oss_endpoint", "endpoint"),
    ("oss_key_id", "access_key_id"),
    ("oss_key_secret", "secret_access_key"),
    ("hdfs_token", "token"),
];

/// Top-level tables of `mv.toml` that are not settings: other parts of modver read them.
pub const OTHER_TABLES: &[&str] = &["project", "stages", "vars"];

/// One setting by its full name; for the settings of remotes, of one remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    spec: &'static KeySpec,
    remote: Option<RemoteName>,
}

impl Key {
    /// Reads `core.jobs` or `remote.NAME.url`; the remote's name may have dots.
    ///
    /// # Errors
    /// When there is no such setting, or the remote's name is not a valid one.
    pub fn parse(text: &str) -> Result<Self> {
        let unknown = || ConfigError::UnknownKey {
            origin: None,
            key: text.to_owned(),
            nearest: nearest_key(text),
        };
        let (section, rest) = text.split_once('.').ok_or_else(unknown)?;
        let (name, field) = match rest.rsplit_once('.') {
            Some((name, field)) => (Some(name), field),
            None => (None, rest),
        };
        let spec = find(section, field)
            .filter(|spec| spec.per_remote == name.is_some())
            .ok_or_else(unknown)?;
        let remote = name.map(RemoteName::new).transpose()?;
        Ok(Self { spec, remote })
    }

    /// The key of a plain setting; `None` for a row that is one of each remote.
    #[must_use]
    pub fn plain(spec: &'static KeySpec) -> Option<Self> {
        (!spec.per_remote).then_some(Self { spec, remote: None })
    }

    /// The key of one remote's setting; `None` for a row that is not.
    #[must_use]
    pub fn of_remote(spec: &'static KeySpec, remote: RemoteName) -> Option<Self> {
        spec.per_remote.then_some(Self {
            spec,
            remote: Some(remote),
        })
    }

    /// Its row of the table.
    #[must_use]
    pub const fn spec(&self) -> &'static KeySpec {
        self.spec
    }

    /// The remote it is a setting of.
    #[must_use]
    pub const fn remote(&self) -> Option<&RemoteName> {
        self.remote.as_ref()
    }

    /// Whether its value is never shown.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.spec.kind == Kind::Secret
    }

    /// The TOML tables that lead to it, outermost first.
    pub(super) fn tables(&self) -> Vec<&str> {
        std::iter::once(self.spec.section)
            .chain(self.remote.as_ref().map(RemoteName::as_str))
            .collect()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.remote {
            Some(remote) => write!(f, "{}.{remote}.{}", self.spec.section, self.spec.name),
            None => write!(f, "{}.{}", self.spec.section, self.spec.name),
        }
    }
}

impl serde::Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Our name of a remote's setting that DVC calls `name`.
pub(super) fn name_in_dvc(name: &str) -> Option<&'static str> {
    let known = NAMES_IN_DVC.iter().find(|(dvc, _)| *dvc == name);
    known.map(|(_, ours)| *ours)
}

/// The row of a setting.
pub(super) fn find(section: &str, name: &str) -> Option<&'static KeySpec> {
    KEYS.iter().find(|spec| spec.section == section && spec.name == name)
}

/// The names in one section.
pub(super) fn names(section: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter()
        .filter(move |spec| spec.section == section)
        .map(|spec| spec.name)
}

/// Whether a section has one table for each remote; `None` when there is no such section.
pub(super) fn section_is_per_remote(section: &str) -> Option<bool> {
    KEYS.iter()
        .find(|spec| spec.section == section)
        .map(|spec| spec.per_remote)
}

/// The right spelling of a full key, as near as one can tell. A remote's name is taken as it is.
fn nearest_key(text: &str) -> Option<String> {
    let middle = text
        .split_once('.')
        .and_then(|(_, rest)| rest.rsplit_once('.'))
        .map(|(name, _)| name)
        .filter(|name| RemoteName::new(name).is_ok());
    if let Some((before, field)) = text.rsplit_once('.')
        && let Some(name) = name_in_dvc(field).filter(|_| before.starts_with("remote."))
    {
        return Some(format!("{before}.{name}"));
    }
    let candidates: Vec<String> = KEYS
        .iter()
        .map(|spec| match middle {
            Some(name) if spec.per_remote => format!("{}.{name}.{}", spec.section, spec.name),
            _ => spec.pattern(),
        })
        .collect();
    nearest(text, candidates.iter().map(String::as_str)).map(str::to_owned)
}
