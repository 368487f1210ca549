//! Reading and editing settings, in a repository or outside of one.
//!
//! Edits never load the layers first: they must work when a layer is the thing to be repaired.

use std::path::{Path, PathBuf};

use super::{FOLDER, PROJECT_FILE, RepoError, Result};
use crate::config::{Config, ConfigSources, FileLayer, Key, Layer, Origin, RemoteName, Setting, Value};
use crate::fs;
use crate::git::{GitError, GitRepo};
use crate::path::{Name, RepoPath};

/// The settings that hold at some place.
#[derive(Debug)]
pub struct Settings {
    pub(super) cwd: PathBuf,
    pub(super) git: Option<GitRepo>,
    sources: ConfigSources,
}

/// What editing a settings file did.
#[derive(Debug, serde::Serialize)]
pub struct SettingsEdit {
    /// The file.
    pub file: String,
    /// The layer it is.
    pub layer: Layer,
    /// Whether it was written; `false` when it said so already.
    pub changed: bool,
    /// What overrides the new value, so that it is not in force.
    pub overridden_by: Option<Origin>,
}

/// Adds the settings files of a repository.
pub(super) fn with_repository(sources: &ConfigSources, git: &GitRepo) -> Result<ConfigSources> {
    let mut sources = sources.clone();
    sources.project = Some(git.root().join(PROJECT_FILE));
    if git.is_bare() {
        // The one of the branch that a clone would check out.
        sources.project_text = Some(git.file_of_head(PROJECT_FILE)?.unwrap_or_default());
    }
    sources.local = Some(git.common_dir().join(FOLDER).join("config.toml"));
    Ok(sources)
}

impl Settings {
    /// The settings where the user stands; `sources` are those of system, user and environment.
    ///
    /// # Errors
    /// When there is a git repository that cannot be used.
    pub fn open(cwd: &Path, sources: &ConfigSources) -> Result<Self> {
        let cwd = fs::canonicalize(cwd)?;
        let git = match GitRepo::discover(&cwd) {
            Ok(git) => Some(git),
            Err(GitError::NotARepository { .. } | GitError::Bare { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let sources = match &git {
            Some(git) => with_repository(sources, git)?,
            None => sources.clone(),
        };
        Ok(Self { cwd, git, sources })
    }

    /// All layers together.
    ///
    /// # Errors
    /// When a layer cannot be read.
    pub fn load(&self) -> Result<Config> {
        Ok(Config::load(&self.sources)?)
    }

    /// The value of a setting: the one in force, or the one that `layer` gives.
    ///
    /// # Errors
    /// When there is no such setting, nothing gives it a value, or the settings cannot be read.
    pub fn get(&self, key: &str, layer: Option<FileLayer>) -> Result<Setting> {
        let key = Key::parse(key)?;
        let found = match layer {
            None => self.load()?.get(&key).cloned(),
            Some(layer) => self.only(layer)?.into_iter().find(|setting| setting.key == key),
        };
        found.ok_or_else(|| RepoError::NotSet {
            key: key.to_string(),
            layer: layer.map(Layer::from),
        })
    }

    /// All values in force, or all that `layer` gives.
    ///
    /// # Errors
    /// When the settings cannot be read.
    pub fn list(&self, layer: Option<FileLayer>) -> Result<Vec<Setting>> {
        match layer {
            None => Ok(self.load()?.list()),
            Some(layer) => self.only(layer),
        }
    }

    /// What one layer gives.
    fn only(&self, layer: FileLayer) -> Result<Vec<Setting>> {
        // Editing, too, needs the layer to have a file here.
        let path = self.sources.file(layer)?.path().to_owned();
        let mut sources = ConfigSources::default();
        match layer {
            FileLayer::System => sources.system = Some(path),
            FileLayer::User => sources.user = Some(path),
            FileLayer::Project => sources.project = Some(path),
            FileLayer::Local => sources.local = Some(path),
        }
        let mut settings = Config::load(&sources)?.list();
        settings.retain(|setting| setting.origin.layer == Layer::from(layer));
        Ok(settings)
    }

    /// Gives a setting a value; in the project's file if no layer is named.
    ///
    /// # Errors
    /// When there is no such setting, the text is not a value of it, it is a secret and the layer does not keep
    /// secrets, or the file cannot be written.
    pub fn set(&self, key: &str, value: &str, layer: Option<FileLayer>) -> Result<SettingsEdit> {
        self.put(&Key::parse(key)?, value, layer.unwrap_or(FileLayer::Project))
    }

    pub(super) fn put(&self, key: &Key, value: &str, layer: FileLayer) -> Result<SettingsEdit> {
        let edit = self.sources.file(layer)?.set(key, value)?;
        self.finish(layer, &edit, Some(key))
    }

    /// Removes a setting from a layer: the project's file if none is named.
    ///
    /// # Errors
    /// When there is no such setting, or the file cannot be written.
    pub fn unset(&self, key: &str, layer: Option<FileLayer>) -> Result<SettingsEdit> {
        let (key, layer) = (Key::parse(key)?, layer.unwrap_or(FileLayer::Project));
        let edit = self.sources.file(layer)?.unset(&key)?;
        self.finish(layer, &edit, Some(&key))
    }

    pub(super) fn drop_remote(&self, layer: FileLayer, name: &RemoteName) -> Result<SettingsEdit> {
        let edit = self.sources.file(layer)?.remove_remote(name)?;
        self.finish(layer, &edit, None)
    }

    pub(super) fn rename_in(&self, layer: FileLayer, old: &RemoteName, new: &RemoteName) -> Result<SettingsEdit> {
        let edit = self.sources.file(layer)?.rename_remote(old, new)?;
        self.finish(layer, &edit, None)
    }

    /// The file of a layer, if the layer has one here.
    pub(super) fn path(&self, layer: FileLayer) -> Option<&Path> {
        self.sources.path(layer)
    }

    /// Stages the project file as other files are, and finds out whether a value that was set is in force.
    fn finish(&self, layer: FileLayer, edit: &crate::config::ConfigEdit, key: Option<&Key>) -> Result<SettingsEdit> {
        // Another layer may be broken: that is no reason to call this edit failed.
        let config = self.load().ok();
        if let (FileLayer::Project, true, Some(git), Some(config)) = (layer, edit.changed, &self.git, &config)
            && config.autostage()
        {
            git.stage(&[RepoPath::root().join(&Name::new(PROJECT_FILE.as_bytes())?)])?;
        }
        let in_force = config.and_then(|config| config.get(key?).cloned());
        Ok(SettingsEdit {
            file: edit.file.display().to_string(),
            layer: layer.into(),
            changed: edit.changed,
            overridden_by: in_force
                .map(|setting| setting.origin)
                .filter(|origin| origin.layer > Layer::from(layer)),
        })
    }

    /// Whether a text is a value of a setting.
    pub(super) fn check(key: &Key, value: &str) -> Result<()> {
        Value::from_text(key.spec().kind, value).map_err(|defect| crate::config::ConfigError::InvalidValue {
            origin: None,
            key: key.to_string(),
            defect,
        })?;
        Ok(())
    }
}
