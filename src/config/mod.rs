//! Layered settings; every value remembers where it came from.
//!
//! Layers, lowest first: built-in, system file, user file, project file (`mv.toml`), local file (in the git
//! directory), environment (`MODVER_*`), flags (`-c key=value`). The highest layer that sets a key wins.
//!
//! Invariants: [`keys::KEYS`] is the only list of settings; unknown keys in files are refused; secrets show as `***`
//! everywhere but in [`Secret::expose`], no error holds a value, and no secret is read from or written to the project
//! file. Edits keep comments, order and everything else they are not about.
//!
//! Not promised: that `core.remote` names a remote that exists ([`Config::remote`] says so when it is used), or that
//! a remote can be reached.

mod edit;
mod error;
mod file;
pub mod keys;
mod name;
mod nearest;
mod origin;
mod size;
mod template;
#[cfg(test)]
mod tests;
mod value;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use edit::{ConfigEdit, ConfigFile, without_entry};
pub use error::{ConfigError, ConfigWarning, Result};
pub use file::MAX_FILE;
pub use keys::{Key, Kind};
pub use name::{MAX_REMOTE_NAME, RemoteName, RemoteNameError};
pub use nearest::nearest;
pub use origin::{FileLayer, Layer, Origin, Setting};
pub use size::{parse_rate, parse_size};
pub use template::{MVIGNORE_TEMPLATE, PROJECT_TEMPLATE};
pub use value::{Secret, Value, ValueDefect, has_credentials as url_has_credentials};
pub use variables::OTHER_VARIABLES;

use keys::KEYS;

/// Where settings are. Paths of files that do not exist are fine.
#[derive(Clone, Default)]
pub struct ConfigSources {
    /// `/etc/modver/config.toml`.
    pub system: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME/modver/config.toml`.
    pub user: Option<PathBuf>,
    /// `mv.toml` at the root of the work tree; relative paths in variables and flags start at its directory.
    pub project: Option<PathBuf>,
    /// What `mv.toml` says, where it is not read from the disk: in a revision of another repository.
    pub project_text: Option<Vec<u8>>,
    /// `modver/config.toml` in the git directory that all work trees share; the cache is beside it by default.
    pub local: Option<PathBuf>,
    /// The environment; variables that do not start with `MODVER_` are ignored.
    pub env: Vec<(OsString, OsString)>,
    /// `-c key=value`, in order; the last of a key wins.
    pub flags: Vec<(String, String)>,
}

impl ConfigSources {
    /// The path of a layer's file.
    #[must_use]
    pub fn path(&self, layer: FileLayer) -> Option<&Path> {
        match layer {
            FileLayer::System => self.system.as_deref(),
            FileLayer::User => self.user.as_deref(),
            FileLayer::Project => self.project.as_deref(),
            FileLayer::Local => self.local.as_deref(),
        }
    }

    /// A layer's file, for editing.
    ///
    /// # Errors
    /// When the layer has no file here: no repository, or no home directory.
    pub fn file(&self, layer: FileLayer) -> Result<ConfigFile> {
        let path = self.path(layer).ok_or(ConfigError::NoFile(layer.into()))?;
        // Not beside `mv.toml`, where git would show it.
        let lock = match (layer, self.local.as_deref().and_then(Path::parent)) {
            (FileLayer::Project, Some(dir)) => dir.join("mv.toml.lock"),
            _ => path.with_added_extension("lock"),
        };
        Ok(ConfigFile::new(layer, path.to_owned(), lock))
    }
}

impl fmt::Debug for ConfigSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of variables and flags may be secrets.
        let flags: Vec<&str> = self.flags.iter().map(|(key, _)| key.as_str()).collect();
        f.debug_struct("ConfigSources")
            .field("system", &self.system)
            .field("user", &self.user)
            .field("project", &self.project)
            .field("local", &self.local)
            .field("flags", &flags)
            .finish_non_exhaustive()
    }
}

/// The settings of all layers together.
#[derive(Debug, Clone)]
pub struct Config {
    /// By the full name of the key.
    settings: BTreeMap<String, Setting>,
    /// Directory that relative URLs of variables and flags start at.
    root: Option<PathBuf>,
    warnings: Vec<ConfigWarning>,
}

/// The settings of one remote.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RemoteConfig {
    /// Its name.
    pub name: RemoteName,
    /// Where it is; never holds credentials.
    pub url: String,
    /// The directory at which a relative path in `url` starts; `None` is where the process stands.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "origin::serialize_path")]
    pub base: Option<PathBuf>,
    /// The S3 service, if it is not Amazon's.
    pub endpoint: Option<String>,
    /// The S3 region.
    pub region: Option<String>,
    /// The profile of the AWS configuration files.
    pub profile: Option<String>,
    /// Whether requests are not signed.
    pub anonymous: bool,
    /// Whether the bucket is in the path; `None` leaves it to the transport.
    pub path_style: Option<bool>,
    /// Certificates to trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The Azure storage account.
    pub account_name: Option<String>,
    /// A file with Google credentials.
    #[serde(serialize_with = "origin::serialize_path")]
    pub credential_path: Option<PathBuf>,
    /// The user at a server.
    pub user: Option<String>,
    /// The port of a server.
    pub port: Option<u32>,
    /// The private SSH key.
    #[serde(serialize_with = "origin::serialize_path")]
    pub keyfile: Option<PathBuf>,
    /// The access key id of S3 or OSS.
    pub access_key_id: Option<Secret>,
    /// The secret key that belongs to it.
    pub secret_access_key: Option<Secret>,
    /// The session token of temporary credentials.
    pub session_token: Option<Secret>,
    /// The key of the Azure storage account.
    pub account_key: Option<Secret>,
    /// A shared access signature of Azure.
    pub sas_token: Option<Secret>,
    /// An Azure connection string.
    pub connection_string: Option<Secret>,
    /// The password at a WebDAV server.
    pub password: Option<Secret>,
    /// A bearer or delegation token.
    pub token: Option<Secret>,
    /// Whether a push that names no remote sends there, too.
    pub push: bool,
    /// Bytes per second that may be moved; `None` is no limit of its own.
    pub limit_rate: Option<u64>,
    /// Whether what it has is encrypted.
    pub encryption: bool,
    /// The file with the key, as an absolute path.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "origin::serialize_path")]
    pub key_file: Option<PathBuf>,
    /// The passphrase that stands for a key.
    pub passphrase: Option<Secret>,
    /// Where `url` came from.
    pub origin: Origin,
}

impl Config {
    /// Reads all layers.
    ///
    /// # Errors
    /// When a file cannot be read, or something in a layer cannot be; see [`ConfigError`].
    pub fn load(sources: &ConfigSources) -> Result<Self> {
        let mut config = Self {
            settings: BTreeMap::new(),
            root: sources.project.as_deref().and_then(Path::parent).map(Path::to_owned),
            warnings: Vec::new(),
        };
        config.built_in(sources)?;
        for layer in FileLayer::ALL {
            if let Some(path) = sources.path(layer) {
                let text = sources.project_text.as_ref().filter(|_| layer == FileLayer::Project);
                config.file(layer, path, text.map(Vec::as_slice))?;
            }
        }
        let known: BTreeSet<RemoteName> = config
            .settings
            .values()
            .filter_map(|s| s.key.remote().cloned())
            .collect();
        let (settings, warnings) = variables::parse(&sources.env, &known)?;
        config.warnings.extend(warnings);
        for setting in settings {
            config.put(setting);
        }
        for (key, text) in &sources.flags {
            config.flag(key, text)?;
        }
        Ok(config)
    }

    fn built_in(&mut self, sources: &ConfigSources) -> Result<()> {
        for spec in KEYS {
            if let (Some(key), Some(text)) = (Key::plain(spec), spec.default) {
                self.text(key, text, Origin::of(Layer::BuiltIn))?;
            }
        }
        if let Some(dir) = sources.local.as_deref().and_then(Path::parent) {
            self.put(Setting {
                key: Key::parse("cache.dir")?,
                value: Value::Path(dir.join("cache")),
                origin: Origin::of(Layer::BuiltIn),
            });
        }
        Ok(())
    }

    /// Reads a layer: `text`, or else the file.
    fn file(&mut self, layer: FileLayer, path: &Path, text: Option<&[u8]>) -> Result<()> {
        let read = match text {
            Some(_) => None,
            None => crate::fs::read_if_exists(path, MAX_FILE)?,
        };
        let Some(bytes) = text.or(read.as_deref()) else {
            return Ok(());
        };
        let settings = file::parse(layer.into(), path, bytes)?;
        if settings.iter().any(|setting| setting.key.is_secret()) && readable_by_others(path)? {
            self.warnings
                .push(ConfigWarning::ReadableSecrets { file: path.to_owned() });
        }
        for setting in settings {
            self.put(setting);
        }
        Ok(())
    }

    fn flag(&mut self, key: &str, text: &str) -> Result<()> {
        let origin = Origin::of(Layer::Flag);
        let key = Key::parse(key).map_err(|error| match error {
            ConfigError::UnknownKey { key, nearest, .. } => ConfigError::UnknownKey {
                origin: Some(Box::new(origin.clone())),
                key,
                nearest,
            },
            other => other,
        })?;
        self.text(key, text, origin)
    }

    fn text(&mut self, key: Key, text: &str, origin: Origin) -> Result<()> {
        match Value::from_text(key.spec().kind, text) {
            Ok(value) => self.put(Setting { key, value, origin }),
            Err(defect) => {
                return Err(ConfigError::InvalidValue {
                    origin: Some(Box::new(origin)),
                    key: key.to_string(),
                    defect,
                });
            }
        }
        Ok(())
    }

    fn put(&mut self, mut setting: Setting) {
        setting.value = setting.value.resolved(self.root.as_deref());
        self.settings.insert(setting.key.to_string(), setting);
    }

    /// The value in force of one setting; `None` when no layer sets it.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Setting> {
        self.settings.get(&key.to_string())
    }

    /// Every value in force, by key. Secrets show as `***`.
    #[must_use]
    pub fn list(&self) -> Vec<Setting> {
        self.settings.values().cloned().collect()
    }

    /// What is probably a mistake but stops nothing.
    #[must_use]
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.warnings
    }

    /// `core.autostage`.
    #[must_use]
    pub fn autostage(&self) -> bool {
        self.flag_of("core.autostage") == Some(true)
    }

    /// `core.smudge`.
    #[must_use]
    pub fn smudge(&self) -> bool {
        self.flag_of("core.smudge") == Some(true)
    }

    /// `core.jobs`; `None` is the number of processor cores.
    #[must_use]
    pub fn jobs(&self) -> Option<NonZeroU32> {
        match self.settings.get("core.jobs")?.value {
            Value::Count(count) => NonZeroU32::new(count),
            _ => None,
        }
    }

    /// `repro.grace`.
    #[must_use]
    pub fn grace(&self) -> Duration {
        match self.settings.get("repro.grace").map(|setting| &setting.value) {
            Some(Value::Count(seconds)) => Duration::from_secs(u64::from(*seconds)),
            _ => Duration::from_secs(5),
        }
    }

    /// `transfer.limit_rate` in bytes per second; `None` is no limit.
    #[must_use]
    pub fn limit_rate(&self) -> Option<u64> {
        match &self.settings.get("transfer.limit_rate")?.value {
            Value::Text(text) => rate_of(text),
            _ => None,
        }
    }

    /// `transfer.timeout` in seconds; 0 is the built-in time.
    #[must_use]
    pub fn transfer_timeout(&self) -> u32 {
        match self.settings.get("transfer.timeout").map(|setting| &setting.value) {
            Some(Value::Count(seconds)) => *seconds,
            _ => 0,
        }
    }

    /// `core.large_file` in bytes; `None` is no limit.
    #[must_use]
    pub fn large_file(&self) -> Option<u64> {
        match self.settings.get("core.large_file")?.value {
            Value::Count(0) => None,
            Value::Count(count) => Some(u64::from(count) << 20),
            _ => None,
        }
    }

    /// `cache.dir`; `None` outside a repository when nothing sets it.
    #[must_use]
    pub fn cache_dir(&self) -> Option<&Path> {
        match &self.settings.get("cache.dir")?.value {
            Value::Path(path) => Some(path),
            _ => None,
        }
    }

    /// `cache.shared`.
    #[must_use]
    pub fn cache_shared(&self) -> bool {
        self.flag_of("cache.shared") == Some(true)
    }

    /// `core.remote`; whether there is such a remote, [`Config::remote`] tells.
    #[must_use]
    pub fn default_remote(&self) -> Option<&Setting> {
        self.settings.get("core.remote")
    }

    /// The remotes that have a URL.
    #[must_use]
    pub fn remotes(&self) -> BTreeMap<RemoteName, RemoteConfig> {
        let remotes = self
            .settings
            .values()
            .filter(|setting| setting.key.spec().name == "url");
        remotes
            .filter_map(|setting| {
                let name = setting.key.remote()?;
                Some((name.clone(), self.remote_with(name, setting)))
            })
            .collect()
    }

    /// One remote.
    ///
    /// # Errors
    /// When `name` is not a remote's name, there is no such remote, or it has no URL.
    pub fn remote(&self, name: &str) -> Result<RemoteConfig> {
        let name = RemoteName::new(name)?;
        if let Some(url) = self.of_remote(&name, "url") {
            return Ok(self.remote_with(&name, url));
        }
        if let Some(setting) = self.settings.values().find(|s| s.key.remote() == Some(&name)) {
            return Err(ConfigError::RemoteWithoutUrl {
                name,
                origin: Box::new(setting.origin.clone()),
            });
        }
        let known: Vec<RemoteName> = self.remotes().into_keys().collect();
        let nearest = nearest::nearest(name.as_str(), known.iter().map(RemoteName::as_str)).map(str::to_owned);
        Err(ConfigError::UnknownRemote { name, known, nearest })
    }

    fn remote_with(&self, name: &RemoteName, url: &Setting) -> RemoteConfig {
        let text = |field| match &self.of_remote(name, field)?.value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        let flag = |field| match self.of_remote(name, field)?.value {
            Value::Bool(value) => Some(value),
            _ => None,
        };
        let path = |field| match &self.of_remote(name, field)?.value {
            Value::Path(path) => Some(path.clone()),
            _ => None,
        };
        let count = |field| match self.of_remote(name, field)?.value {
            Value::Count(count) => Some(count),
            _ => None,
        };
        let secret = |field| match &self.of_remote(name, field)?.value {
            Value::Secret(secret) => Some(secret.clone()),
            _ => None,
        };
        RemoteConfig {
            name: name.clone(),
            url: url.value.to_string(),
            base: match &url.origin.file {
                Some(file) => file.parent().map(Path::to_owned),
                None => self.root.clone(),
            },
            endpoint: text("endpoint"),
            region: text("region"),
            profile: text("profile"),
            anonymous: flag("anonymous").unwrap_or(false),
            path_style: flag("path_style"),
            ca_file: path("ca_file"),
            account_name: text("account_name"),
            credential_path: path("credential_path"),
            user: text("user"),
            port: count("port"),
            keyfile: path("keyfile"),
            access_key_id: secret("access_key_id"),
            secret_access_key: secret("secret_access_key"),
            session_token: secret("session_token"),
            account_key: secret("account_key"),
            sas_token: secret("sas_token"),
            connection_string: secret("connection_string"),
            password: secret("password"),
            token: secret("token"),
            push: flag("push").unwrap_or(false),
            limit_rate: text("limit_rate").and_then(|text| rate_of(&text)),
            encryption: flag("encryption").unwrap_or(false),
            key_file: match self.of_remote(name, "key_file").map(|setting| &setting.value) {
                Some(Value::Path(path)) => Some(path.clone()),
                _ => None,
            },
            passphrase: secret("passphrase"),
            origin: url.origin.clone(),
        }
    }

    fn of_remote(&self, name: &RemoteName, field: &str) -> Option<&Setting> {
        self.settings.get(&format!("remote.{name}.{field}"))
    }

    fn flag_of(&self, key: &str) -> Option<bool> {
        match self.settings.get(key)?.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }
}

/// The rate that a checked text stands for; `None` is no limit.
fn rate_of(text: &str) -> Option<u64> {
    parse_rate(text).ok().filter(|rate| *rate > 0)
}

fn readable_by_others(path: &Path) -> Result<bool> {
    let path = crate::fs::canonicalize(path)?;
    Ok(crate::fs::stat(&path)?.is_some_and(|stat| stat.mode & 0o077 != 0))
}
