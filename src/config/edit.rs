//! Changing a settings file, keeping everything the change is not about.

use std::path::{Path, PathBuf};

use super::error::{ConfigError, Result};
use super::file::{self, MAX_FILE};
use super::keys::Key;
use super::name::RemoteName;
use super::origin::FileLayer;
use super::value::Value;
use crate::fs::{FileLock, LockKind, Stat, TempFile};

mod remove;
mod rename;
mod set;

pub use remove::without_entry;

/// A settings file to edit; see [`super::ConfigSources::file`].
#[derive(Debug, Clone)]
pub struct ConfigFile {
    layer: FileLayer,
    path: PathBuf,
    lock: PathBuf,
}

/// What an edit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEdit {
    /// The file.
    pub file: PathBuf,
    /// Whether it was written; `false` when it said so already.
    pub changed: bool,
}

impl ConfigFile {
    pub(super) const fn new(layer: FileLayer, path: PathBuf, lock: PathBuf) -> Self {
        Self { layer, path, lock }
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives `key` the value `text`, in place if it has one.
    ///
    /// # Errors
    /// When the text is not a value of the key, a secret is meant for the system or project layer, or the file is not
    /// TOML or cannot be written. The file is then as before.
    pub fn set(&self, key: &Key, text: &str) -> Result<ConfigEdit> {
        if key.is_secret() && !self.keeps_secrets() {
            return Err(ConfigError::SecretRefused {
                key: key.to_string(),
                layer: self.layer.into(),
            });
        }
        let value = Value::from_text(key.spec().kind, text).map_err(|defect| ConfigError::InvalidValue {
            origin: None,
            key: key.to_string(),
            defect,
        })?;
        self.edit(|text| set::set(&self.path, text, key, &value))
    }

    /// Removes `key`; also one that [`super::Config::load`] refuses, such as a secret in the project file.
    ///
    /// # Errors
    /// When the file is not TOML or cannot be written. The file is then as before.
    pub fn unset(&self, key: &Key) -> Result<ConfigEdit> {
        self.edit(|text| remove::unset(&self.path, text, key))
    }

    /// Gives the settings of the remote `old` to `new`, and makes `new` the default remote if `old` is this file's.
    ///
    /// # Errors
    /// When this file has a remote `new`, or is not TOML or cannot be written. The file is then as before.
    pub fn rename_remote(&self, old: &RemoteName, new: &RemoteName) -> Result<ConfigEdit> {
        self.edit(|text| rename::rename(&self.path, text, old, new))
    }

    /// Removes the settings of a remote, and `core.remote` if it names it in this file.
    ///
    /// # Errors
    /// When the file is not TOML or cannot be written. The file is then as before.
    pub fn remove_remote(&self, name: &RemoteName) -> Result<ConfigEdit> {
        self.edit(|text| remove::remove_remote(&self.path, text, name))
    }

    const fn keeps_secrets(&self) -> bool {
        matches!(self.layer, FileLayer::User | FileLayer::Local)
    }

    fn edit(&self, change: impl Fn(&str) -> Result<String>) -> Result<ConfigEdit> {
        let done = |changed| ConfigEdit {
            file: self.path.clone(),
            changed,
        };
        // Without the lock first: nothing to change needs no right to write.
        let bytes = self.read()?;
        let text = file::utf8(&self.path, &bytes)?;
        if change(text)? == text {
            return Ok(done(false));
        }
        for file in [&self.path, &self.lock] {
            if let Some(dir) = file.parent().filter(|dir| !dir.as_os_str().is_empty()) {
                crate::fs::create_dir_all(dir)?;
            }
        }
        let _lock = FileLock::acquire(
            &self.lock,
            LockKind::Exclusive,
            &crate::progress::Progress::new(),
            |_| (),
        )?;
        let bytes = self.read()?;
        let text = file::utf8(&self.path, &bytes)?;
        let edited = line_ends_of(text, change(text)?);
        if edited == text {
            return Ok(done(false));
        }
        if edited.len() as u64 > MAX_FILE {
            return Err(ConfigError::TooLong {
                file: self.path.clone(),
                limit: MAX_FILE,
            });
        }
        self.write(&edited)?;
        Ok(done(true))
    }

    fn read(&self) -> Result<Vec<u8>> {
        Ok(crate::fs::read_if_exists(&self.path, MAX_FILE)?.unwrap_or_default())
    }

    fn write(&self, text: &str) -> Result<()> {
        let stat = crate::fs::stat(&self.path)?;
        // People link their own settings to where they keep them. `mv.toml` comes from others: what it links to is
        // not ours to write.
        let target = match stat {
            Some(_) if self.layer != FileLayer::Project => crate::fs::canonicalize(&self.path)?,
            _ => self.path.clone(),
        };
        let old = crate::fs::stat(&target)?.filter(|stat| stat.kind == crate::fs::FileKind::File);
        let mut temp = TempFile::create_beside(&target)?;
        if let Some(mode) = self.mode(old, text)? {
            temp.set_mode(mode)?;
        }
        temp.write_all(text.as_bytes())?;
        temp.persist(&target)?;
        Ok(())
    }

    /// The permissions of the new file; `None` leaves them to the umask.
    fn mode(&self, old: Option<Stat>, text: &str) -> Result<Option<u32>> {
        if self.keeps_secrets() && holds_secrets(&self.path, text)? {
            return Ok(Some(0o600));
        }
        Ok(old.map(|stat| stat.mode & 0o777))
    }
}

fn holds_secrets(path: &Path, text: &str) -> Result<bool> {
    let document = file::document(path, text)?;
    let remotes = document.get("remote").and_then(toml_edit::Item::as_table_like);
    let secret =
        |field: &str| super::keys::find("remote", field).is_some_and(|s| s.kind == super::keys::Kind::Secret);
    Ok(remotes.is_some_and(|remotes| {
        let mut tables = remotes.iter().filter_map(|(_, item)| item.as_table_like());
        tables.any(|table| table.iter().any(|(field, _)| secret(field)))
    }))
}

/// `edited` with the line ends of `text`: the TOML writer knows only `\n`.
fn line_ends_of(text: &str, edited: String) -> String {
    if text.contains("\r\n") {
        edited.replace("\r\n", "\n").replace('\n', "\r\n")
    } else {
        edited
    }
}

/// A table is missing, or something else is in its place.
fn wrong_place(path: &Path, key: impl std::fmt::Display) -> ConfigError {
    ConfigError::Layout {
        file: path.to_owned(),
        key: key.to_string(),
    }
}
