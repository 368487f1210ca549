//! `install` and `uninstall`: git's hooks, the merge driver, and the filter where there are transparent files.

use super::{Repository, Result};
use crate::git::{self, FileEdit, Hook, HookChange};
use crate::path::{RepoPath, quote};

/// What an installation or removal did.
#[derive(Debug, serde::Serialize)]
pub struct InstallOutcome {
    /// Where git looks for hooks.
    pub hooks_dir: String,
    /// Whether other repositories use that directory, too.
    pub hooks_shared: bool,
    /// What became of each hook; none if the pre-commit framework runs them.
    pub hooks: Vec<HookOutcome>,
    /// Whether the merge driver came, or went.
    pub merge_driver_changed: bool,
    /// Whether the filter for transparent files came, or went.
    pub filter_changed: bool,
    /// The configuration of the pre-commit framework, if it was changed.
    pub framework: Option<RepoPath>,
    /// Whether `.gitattributes` lacks what makes git use the merge driver.
    pub attributes_missing: bool,
}

/// What became of a hook.
#[derive(Debug, serde::Serialize)]
pub struct HookOutcome {
    /// Which one.
    pub hook: Hook,
    /// What became of it.
    pub change: HookChange,
    /// Its file.
    pub file: String,
}

impl Repository {
    /// Puts hooks and merge driver in, where they are missing, and the filter if patterns of transparent files ask for
    /// it. With `framework`, the hooks are entries for the pre-commit
    /// framework instead.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn install(&self, framework: bool) -> Result<InstallOutcome> {
        let _lock = self.lock_workspace()?;
        let mut outcome = self.nothing_installed()?;
        if framework {
            outcome.framework = self.apply_framework(&git::framework_edit(self.root())?)?;
        } else {
            outcome.hooks = self.each_hook(|hook| Ok(self.git.install_hook(hook)?))?;
        }
        outcome.merge_driver_changed = self.git.install_merge_driver()?;
        if !self.git.tracked_patterns(&RepoPath::root())?.is_empty() {
            outcome.filter_changed = self.git.configure_filter()?;
        }
        if self.followed()?.is_empty() {
            self.note_followed()?;
        }
        outcome.attributes_missing = git::attributes_edit(self.root())?.is_change();
        Ok(outcome)
    }

    /// Takes out what [`Repository::install`] put in, in both ways.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn uninstall(&self) -> Result<InstallOutcome> {
        let _lock = self.lock_workspace()?;
        let mut outcome = self.nothing_installed()?;
        outcome.hooks = self.each_hook(|hook| Ok(self.git.uninstall_hook(hook)?))?;
        outcome.merge_driver_changed = self.git.uninstall_merge_driver()?;
        outcome.filter_changed = self.git.remove_filter()?;
        outcome.framework = self.apply_framework(&git::framework_removal(self.root())?)?;
        self.forget_followed()?;
        Ok(outcome)
    }

    /// Whether git runs all of our hooks, or the pre-commit framework is told to.
    pub(super) fn has_hooks(&self) -> Result<bool> {
        let installed = self.git.installed_hooks()?;
        Ok(Hook::ALL.iter().all(|hook| installed.contains(hook)) || git::framework_removal(self.root())?.is_change())
    }

    fn nothing_installed(&self) -> Result<InstallOutcome> {
        let dir = self.git.hooks_dir()?;
        Ok(InstallOutcome {
            hooks_shared: !(dir.starts_with(self.root()) || dir.starts_with(self.git.common_dir())),
            hooks_dir: quote(dir.as_os_str().as_encoded_bytes()).into_owned(),
            hooks: Vec::new(),
            merge_driver_changed: false,
            filter_changed: false,
            framework: None,
            attributes_missing: false,
        })
    }

    fn each_hook(&self, change: impl Fn(Hook) -> Result<HookChange>) -> Result<Vec<HookOutcome>> {
        let dir = self.git.hooks_dir()?;
        let outcome = |hook: Hook| {
            Ok(HookOutcome {
                hook,
                change: change(hook)?,
                file: quote(dir.join(hook.name()).as_os_str().as_encoded_bytes()).into_owned(),
            })
        };
        Hook::ALL.into_iter().map(outcome).collect()
    }

    fn apply_framework(&self, edit: &FileEdit) -> Result<Option<RepoPath>> {
        edit.apply(self.root())?;
        Ok(edit.is_change().then(|| edit.path.clone()))
    }
}
