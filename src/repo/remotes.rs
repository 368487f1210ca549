//! Adding, changing and listing remotes. Only settings are changed, but that a remote is tried out when it is added, and
//! a directory which is to be one is made; later a missing one is a disk that is not mounted.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::{Probed, RepoError, Result, Settings, SettingsEdit, places};
use crate::config::{Config, ConfigError, FileLayer, Key, Kind, Layer, RemoteConfig, RemoteName};
use crate::fs;
use crate::git::GitRepo;
use crate::progress::Progress;
use crate::remote::transport::{
    self, Location, RemoteSpec, Transport, TransportError, check_key_file, make_key_file,
};

/// A remote to add.
#[derive(Debug, Clone, Default)]
pub struct NewRemote {
    /// Its name.
    pub name: String,
    /// A URL, or a path from where the user stands.
    pub url: String,
    /// Other settings, by the last part of their names: `region`, `path_style`.
    pub options: Vec<(String, String)>,
    /// Whether what it has is encrypted.
    pub encrypt: bool,
    /// The file with the key of an encrypted remote, made if it does not exist.
    pub key_file: Option<PathBuf>,
    /// Whether it becomes the default.
    pub default: bool,
    /// Whether it replaces one of that name.
    pub force: bool,
    /// Where to keep it; the project's file if not said.
    pub layer: Option<FileLayer>,
    /// Whether it is left alone and not tried out.
    pub no_probe: bool,
}

/// What adding a remote did.
#[derive(Debug, serde::Serialize)]
pub struct RemoteAdded {
    /// Its name.
    pub name: RemoteName,
    /// Its URL as it is written in the file.
    pub url: String,
    /// Whether it is used when none is named.
    pub default: bool,
    /// What was found where a directory was named that did not exist.
    pub directory: Option<NewDirectory>,
    /// What trying it out came to.
    pub probe: Option<Probed>,
    /// The key file that was made. Without it, nobody can read what the remote will have.
    pub new_key_file: Option<PathBuf>,
    /// The file.
    #[serde(flatten)]
    pub edit: SettingsEdit,
}

/// A directory that did not exist when it was added as a remote.
#[derive(Debug, serde::Serialize)]
pub struct NewDirectory {
    /// Its path.
    pub path: PathBuf,
    /// Whether it was made: not if what it is in does not exist either, or may not be written.
    pub made: bool,
}

/// What changing remotes did: the files that were changed.
#[derive(Debug, serde::Serialize)]
pub struct RemotesChanged {
    /// The files.
    pub edits: Vec<SettingsEdit>,
}

/// A remote in a list.
#[derive(Debug, serde::Serialize)]
pub struct ListedRemote {
    /// Whether it is used when none is named.
    pub default: bool,
    /// Its settings.
    #[serde(flatten)]
    pub config: RemoteConfig,
}

impl Settings {
    /// Adds a remote. A relative path is kept relative to the project file, so that it holds in other clones that
    /// have the place beside them; in other layers paths are absolute.
    ///
    /// # Errors
    /// When the name or URL cannot be, there is a remote of that name, or the file cannot be written. Settings of
    /// the remote are then not written, or not all of them if writing failed. That the remote cannot be tried out is no
    /// error.
    pub fn add_remote(&self, new: &NewRemote, progress: &Arc<Progress>) -> Result<RemoteAdded> {
        let name = RemoteName::new(&new.name).map_err(ConfigError::from)?;
        let layer = new.layer.unwrap_or(FileLayer::Project);
        let url = self.url_to_keep(&new.url, layer)?;
        let mut settings = vec![(remote_key(&name, "url")?, url.clone())];
        for (field, value) in &new.options {
            settings.push((remote_key(&name, &field.replace('-', "_"))?, value.clone()));
        }
        for (key, value) in &settings {
            Self::check(key, value)?;
        }
        let base = self.path(layer).and_then(Path::parent).unwrap_or(&self.cwd);
        let location = Location::parse(&url, base).map_err(|source| TransportError::Url {
            remote: name.to_string(),
            source,
        })?;
        if new.encrypt {
            settings.push((remote_key(&name, "encryption")?, "true".to_owned()));
        }
        let mut local = Vec::new();
        let before = self.load()?;
        if let Some(old) = before.remotes().remove(&name) {
            if !new.force {
                return Err(RepoError::RemoteExists { name, url: old.url });
            }
            if self
                .path(layer)
                .is_some_and(|path| old.origin.file.as_deref() == Some(path))
            {
                self.drop_remote(layer, &name)?;
            }
        }
        let new_key_file = self.prepare_key(new, &name, &before, &mut local)?;
        let mut edit = None;
        for (key, value) in &settings {
            let done = self.put(key, value, layer)?;
            edit = edit.or(Some(done));
        }
        for (key, value) in &local {
            // A path on this machine means nothing on others.
            let layer = if layer == FileLayer::Project {
                FileLayer::Local
            } else {
                layer
            };
            self.put(key, value, layer)?;
        }
        // `--force` must not take the default away from the remote it replaces.
        let was_default = before.default_remote().is_some_and(|s| {
            s.value.to_string() == name.as_str() && self.path(layer).is_some() && s.origin.layer == Layer::from(layer)
        });
        if new.default || was_default {
            self.put(&Key::parse("core.remote")?, name.as_str(), layer)?;
        }
        let edit = edit.ok_or_else(|| RepoError::NotSet {
            key: format!("remote.{name}.url"),
            layer: None,
        })?;
        let config = self.load()?;
        let directory = make_directory(&location);
        let usable = !new.no_probe && directory.as_ref().is_none_or(|directory| directory.made);
        let probe = match config.remote(name.as_str()) {
            Ok(remote) if usable => Some(self.set_up(&remote, self.probe(&remote, progress), progress)),
            _ => None,
        };
        Ok(RemoteAdded {
            default: default_remote(&config)?.as_ref() == Some(&name),
            name,
            url,
            directory,
            probe,
            new_key_file,
            edit,
        })
    }

    /// Opens the place of a remote, by its name in the settings or by a URL.
    ///
    /// # Errors
    /// When there is no such remote, or its URL or settings cannot be used.
    pub fn open_place(&self, name_or_url: &str, progress: &Arc<Progress>) -> Result<Box<dyn Transport>> {
        if name_or_url.contains('/') {
            let spec = RemoteSpec {
                name: name_or_url.to_owned(),
                url: name_or_url.to_owned(),
                ..RemoteSpec::default()
            };
            return Ok(transport::open(&spec, &places::options(&self.cwd, false, progress))?);
        }
        places::transport(&self.load()?.remote(name_or_url)?, &self.cwd, false, progress)
    }

    /// Makes the key file that a new remote names, unless there is one; returns it if it was made. What is to be set on this
    /// machine only goes into `local`.
    fn prepare_key(
        &self,
        new: &NewRemote,
        name: &RemoteName,
        before: &Config,
        local: &mut Vec<(Key, String)>,
    ) -> Result<Option<PathBuf>> {
        let Some(file) = &new.key_file else {
            let passphrase = before.get(&remote_key(name, "passphrase")?).is_some();
            return match new.encrypt && !passphrase {
                true => Err(RepoError::NoKey { name: name.clone() }),
                false => Ok(None),
            };
        };
        let file = self.cwd.join(file);
        // Without `..` in it: it is compared, and kept.
        let file = match (file.parent(), file.file_name()) {
            (Some(dir), Some(last)) => fs::canonicalize(dir)?.join(last),
            _ => file,
        };
        let key = remote_key(name, "key_file")?;
        let text = file.to_string_lossy().into_owned();
        Self::check(&key, &text)?;
        local.push((key, text));
        let root = self.git.as_ref().map(GitRepo::root);
        if root.is_some_and(|root| file.starts_with(root)) {
            return Err(RepoError::KeyFileInside { path: file });
        }
        let unusable = |source| RepoError::KeyFile {
            path: file.clone(),
            source: Box::new(source),
        };
        if fs::stat(&file)?.is_some() {
            check_key_file(&file).map_err(unusable)?;
            return Ok(None);
        }
        make_key_file(&file).map_err(unusable)?;
        Ok(Some(file))
    }

    /// All remotes, in the order of their names.
    ///
    /// # Errors
    /// When the settings cannot be read.
    pub fn remotes(&self) -> Result<Vec<ListedRemote>> {
        let config = self.load()?;
        let default = config.default_remote().map(|setting| setting.value.to_string());
        let remotes = config.remotes();
        let only = remotes.len() == 1;
        Ok(remotes
            .into_iter()
            .map(|(name, config)| ListedRemote {
                default: default.as_ref().map_or(only, |default| default == name.as_str()),
                config,
            })
            .collect())
    }

    /// Gives a setting of a remote a value, or with `None` removes it; where the remote's URL is kept if no layer is
    /// named.
    ///
    /// # Errors
    /// When there is no such remote or setting, the text is not a value of it, or the file cannot be written.
    pub fn modify_remote(
        &self,
        name: &str,
        field: &str,
        value: Option<&str>,
        layer: Option<FileLayer>,
    ) -> Result<SettingsEdit> {
        let name = RemoteName::new(name).map_err(ConfigError::from)?;
        let key = remote_key(&name, &field.replace('-', "_"))?;
        // When the settings cannot be loaded, this may be what repairs them.
        let home = match self.load() {
            Ok(config) => file_layer(config.remote(name.as_str())?.origin.layer),
            Err(_) => FileLayer::Project,
        };
        let layer = layer.unwrap_or(home);
        match value {
            None => self.unset(&key.to_string(), Some(layer)),
            Some(url) if key.spec().name == "url" => {
                let url = self.url_to_keep(url, layer)?;
                Self::check(&key, &url)?;
                Location::parse(&url, &self.cwd).map_err(|source| TransportError::Url {
                    remote: name.to_string(),
                    source,
                })?;
                self.put(&key, &url, layer)
            }
            // What is typed starts where the user stands; in a file that others have, too, it stays relative to that.
            Some(path) if key.spec().kind == Kind::Path && layer != FileLayer::Project => {
                self.put(&key, &self.cwd.join(path).to_string_lossy(), layer)
            }
            Some(value) => self.put(&key, value, layer),
        }
    }

    /// Forgets a remote: in this repository's files, or in the user's if only that has it. What it stores stays.
    ///
    /// # Errors
    /// When there is no such remote, or a file cannot be written.
    pub fn remove_remote(&self, name: &str) -> Result<RemotesChanged> {
        let name = RemoteName::new(name).map_err(ConfigError::from)?;
        self.in_each(&name, |layer| self.drop_remote(layer, &name))
    }

    /// Gives a remote another name, in the same files as [`Settings::remove_remote`].
    ///
    /// # Errors
    /// When there is no such remote, the new name is taken or cannot be, or a file cannot be written.
    pub fn rename_remote(&self, from: &str, to: &str) -> Result<RemotesChanged> {
        let from = RemoteName::new(from).map_err(ConfigError::from)?;
        let to = RemoteName::new(to).map_err(ConfigError::from)?;
        if let Some(taken) = self.load()?.remotes().remove(&to)
            && from != to
        {
            return Err(RepoError::RemoteExists {
                name: to,
                url: taken.url,
            });
        }
        self.in_each(&from, |layer| self.rename_in(layer, &from, &to))
    }

    /// The default remote.
    ///
    /// # Errors
    /// When there is none, or it does not exist.
    pub fn default_remote(&self) -> Result<RemoteName> {
        let config = self.load()?;
        match default_remote(&config)? {
            Some(name) => Ok(name),
            None => Err(no_default(&config)),
        }
    }

    /// Makes a remote the default, where its URL is kept.
    ///
    /// # Errors
    /// When there is no such remote, or the file cannot be written.
    pub fn set_default_remote(&self, name: &str) -> Result<SettingsEdit> {
        let remote = self.load()?.remote(name)?;
        let layer = file_layer(remote.origin.layer);
        self.put(&Key::parse("core.remote")?, remote.name.as_str(), layer)
    }

    /// Removes the setting that names the default remote.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn unset_default_remote(&self) -> Result<RemotesChanged> {
        let mut edits = Vec::new();
        for layer in [FileLayer::Project, FileLayer::Local] {
            edits.push(self.unset("core.remote", Some(layer))?);
        }
        edits.retain(|edit| edit.changed);
        Ok(RemotesChanged { edits })
    }

    /// Changes a remote in the files of the repository, or if none has it, in the user's.
    fn in_each(
        &self,
        name: &RemoteName,
        change: impl Fn(FileLayer) -> Result<SettingsEdit>,
    ) -> Result<RemotesChanged> {
        // An unknown name is said with the names that are known.
        let known = self.load().map_or(Ok(()), |config| {
            config.remote(name.as_str()).map(drop).or_else(|error| match error {
                ConfigError::RemoteWithoutUrl { .. } => Ok(()),
                error => Err(error),
            })
        });
        known?;
        let mut edits = Vec::new();
        for layers in [&[FileLayer::Project, FileLayer::Local][..], &[FileLayer::User]] {
            for layer in layers.iter().filter(|layer| self.path(**layer).is_some()) {
                let edit = change(*layer)?;
                if edit.changed {
                    edits.push(edit);
                }
            }
            if !edits.is_empty() {
                break;
            }
        }
        Ok(RemotesChanged { edits })
    }

    /// A URL as it is written to a layer's file.
    fn url_to_keep(&self, url: &str, layer: FileLayer) -> Result<String> {
        // `Value` refuses what a shell would have replaced, and names it.
        if url.contains("://") || url.is_empty() || url == "~" || url.starts_with("~/") {
            return Ok(url.to_owned());
        }
        let path = Path::new(url);
        let root = self.git.as_ref().map(crate::git::GitRepo::root);
        let kept = match (path.is_absolute(), layer, root) {
            (true, _, _) => path.to_owned(),
            (false, FileLayer::Project, Some(root)) => relative(&normal(&self.cwd.join(path)), root),
            (false, _, _) => normal(&self.cwd.join(path)),
        };
        kept.into_os_string()
            .into_string()
            .map_err(|path| RepoError::UrlNotText { path: path.into() })
    }
}

/// The remote that is used when none is named: `core.remote`, or the only one there is.
///
/// # Errors
/// When `core.remote` names a remote that does not exist.
pub(super) fn default_remote(config: &Config) -> Result<Option<RemoteName>> {
    if let Some(setting) = config.default_remote() {
        return Ok(Some(config.remote(&setting.value.to_string())?.name));
    }
    let mut names = config.remotes().into_keys();
    Ok(match (names.next(), names.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    })
}

/// Why there is no default remote.
pub(super) fn no_default(config: &Config) -> RepoError {
    match config.remotes().into_keys().next() {
        Some(first) => RepoError::NoDefaultRemote { first },
        None => RepoError::NoRemote,
    }
}

/// Makes the directory of a new remote if only that is missing.
fn make_directory(location: &Location) -> Option<NewDirectory> {
    let Location::Dir(path) = location else { return None };
    let there = |path: &Path| fs::canonicalize(path).is_ok();
    if there(path) {
        return None;
    }
    let made = path.parent().is_some_and(there) && fs::create_dir_all(path).is_ok();
    let path = normal(path);
    Some(NewDirectory { path, made })
}

fn remote_key(name: &RemoteName, field: &str) -> Result<Key> {
    Ok(Key::parse(&format!("remote.{name}.{field}"))?)
}

/// The file that a change belongs to when the value comes from `layer`.
fn file_layer(layer: Layer) -> FileLayer {
    FileLayer::ALL
        .into_iter()
        .find(|file| Layer::from(*file) == layer)
        .unwrap_or(FileLayer::Project)
}

/// An absolute path without `.` and `..`, by its text.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

/// The way from `root` to `path`, both absolute and normal.
pub(super) fn relative(path: &Path, root: &Path) -> PathBuf {
    let common = path
        .components()
        .zip(root.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = root.components().skip(common).map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(path.components().skip(common)).collect();
    if way.as_os_str().is_empty() { ".".into() } else { way }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_between_directories() {
        for (path, root, way) in [
            ("/a/b/store", "/a/b", "store"),
            ("/a/store", "/a/b", "../store"),
            ("/store", "/a/b", "../../store"),
            ("/a/b", "/a/b", "."),
            ("/a/bc", "/a/b", "../bc"),
        ] {
            assert_eq!(relative(Path::new(path), Path::new(root)), Path::new(way));
            assert_eq!(normal(&Path::new(root).join(way)), Path::new(path));
        }
        assert_eq!(normal(Path::new("/a/./b/../../../c/")), Path::new("/c"));
    }
}
