//! The hooks and the merge driver that modver puts into a repository, and takes out again.
//!
//! Invariants: a hook of somebody else keeps its content and its mode; it moves aside (`NAME.before-modver`) and ours runs
//! it with the same arguments and input, before our part; its exit status is the hook's. A hook of ours that was changed
//! is left alone. Taking out restores what was there, byte for byte. A process that dies in between leaves what the
//! next run of either completes.
//!
//! The scripts are POSIX shell and do nothing themselves: they call `modver hook`. Where there is no `modver` on PATH they
//! say so; only a push stops then, because nobody who fetches it could have the data.

use std::path::{Path, PathBuf};

use super::discover::GitRepo;
use super::error::{GitError, Result};
use crate::fs::{self, FileKind, TempFile};

/// What a hook that was there before is called.
const BEFORE: &str = ".before-modver";
/// Hooks are small; a larger one is somebody's program.
const MAX_HOOK: u64 = 64 * 1024;

const DRIVER_NAME: (&str, &str) = ("merge.modver.name", "modver: merges tracked directories path by path");
const DRIVER: (&str, &str) = ("merge.modver.driver", "modver hook merge %O %A %B %L %P");

/// A hook that modver installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// Data follows `git checkout`, `switch`, `bisect`, `clone`, `worktree add`.
    PostCheckout,
    /// Data follows `git merge` and `pull`.
    PostMerge,
    /// Data follows `git rebase`.
    PostRewrite,
    /// Looks at what is about to be committed.
    PreCommit,
    /// Pushes data before git pushes commits.
    PrePush,
}

/// What became of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookChange {
    /// It was written.
    Written,
    /// It was written, and runs the one that was there.
    Chained,
    /// It was there already.
    Unchanged,
    /// It is ours and somebody changed it; it was left alone.
    Edited,
    /// Another hook moved aside long ago, and there is a third one now; nothing was done.
    InTheWay,
    /// It was removed.
    Removed,
    /// It was removed, and the one from before is back.
    Restored,
    /// There was none of ours.
    None,
}

/// What is in the place of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Ours,
    Edited,
    Foreign,
}

impl Hook {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::PostCheckout,
        Self::PostMerge,
        Self::PostRewrite,
        Self::PreCommit,
        Self::PrePush,
    ];

    /// Its name for git.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PostCheckout => "post-checkout",
            Self::PostMerge => "post-merge",
            Self::PostRewrite => "post-rewrite",
            Self::PreCommit => "pre-commit",
            Self::PrePush => "pre-push",
        }
    }

    /// What it does when there is no `modver`.
    const fn without_modver(self) -> &'static str {
        match self {
            Self::PostCheckout | Self::PostMerge | Self::PostRewrite => {
                "echo 'modver is not on PATH: data was not brought up to date (modver checkout)' >&2"
            }
            Self::PreCommit => "echo 'modver is not on PATH: nothing looked at the data' >&2",
            Self::PrePush => {
                "echo 'modver is not on PATH: data cannot be pushed (git push --no-verify pushes without)' >&2; exit 1"
            }
        }
    }

    fn marker(self) -> String {
        format!("# modver hook {}, version 1", self.name())
    }

    /// The script.
    fn script(self) -> String {
        let (name, marker, without) = (self.name(), self.marker(), self.without_modver());
        let has_input = matches!(self, Self::PostRewrite | Self::PrePush);
        // A shell drops line feeds at the end of what it captures, so there is an x behind them.
        let capture = if has_input { "input=$(cat; echo x)\n" } else { "" };
        let feed = if has_input { "printf '%s' \"${input%x}\" | " } else { "" };
        let last = match self {
            Self::PreCommit => format!("modver hook {name} \"$@\"\n"),
            // What git prints there may be for a program.
            Self::PrePush => format!("{feed}modver hook {name} \"$@\" >&2\n"),
            // These run when all is done: there is nothing left to stop.
            _ => format!("{feed}modver hook {name} \"$@\" || :\nexit \"$status\"\n"),
        };
        let theirs = match self {
            Self::PreCommit | Self::PrePush => "|| exit",
            _ => "|| status=$?",
        };
        let status = if theirs == "|| exit" { "" } else { "status=0\n" };
        let exit = if theirs == "|| exit" {
            "exit"
        } else {
            "exit \"$status\""
        };
        format!(
            "#!/bin/sh\n{marker}: made by `modver install`, taken out by `modver uninstall`.\n\
             before=\"${{0%/*}}/{name}{BEFORE}\"\n{status}{capture}\
             if [ -x \"$before\" ]; then\n\t{feed}\"$before\" \"$@\" {theirs}\nfi\n\
             if ! command -v modver >/dev/null 2>&1; then\n\t{without}\n\t{exit}\nfi\n{last}"
        )
    }

    fn found(self, file: &Path) -> Result<Found> {
        let Some(stat) = fs::stat(file)? else {
            return Ok(Found::Nothing);
        };
        if stat.kind != FileKind::File || stat.size > MAX_HOOK {
            return Ok(Found::Foreign);
        }
        let content = fs::read_if_exists(file, MAX_HOOK)?.unwrap_or_default();
        Ok(if content == self.script().as_bytes() {
            Found::Ours
        } else if String::from_utf8_lossy(&content).contains(&format!("# modver hook {}", self.name())) {
            Found::Edited
        } else {
            Found::Foreign
        })
    }
}

impl GitRepo {
    /// Puts a hook into the directory where git looks for it.
    ///
    /// # Errors
    /// When git looks nowhere, or the directory cannot be written.
    pub fn install_hook(&self, hook: Hook) -> Result<HookChange> {
        let (dir, file, before) = self.hook_files(hook)?;
        match fs::stat(&dir)? {
            None => fs::create_dir_all(&dir)?,
            Some(_) if matches!(fs::list(&dir), Err(error) if !error.is_not_found()) => {
                return Err(GitError::NoHooks { dir });
            }
            Some(_) => {}
        }
        let mut moved = fs::stat(&before)?.is_some();
        match hook.found(&file)? {
            Found::Ours => return Ok(HookChange::Unchanged),
            Found::Edited => return Ok(HookChange::Edited),
            Found::Foreign if moved => return Ok(HookChange::InTheWay),
            Found::Foreign => {
                fs::rename(&file, &before)?;
                moved = true;
            }
            Found::Nothing => {}
        }
        let mut temp = TempFile::create_beside(&file)?;
        temp.write_all(hook.script().as_bytes())?;
        temp.set_mode(0o755)?;
        if !temp.persist_new(&file)? {
            return Err(GitError::HookChanged { file });
        }
        Ok(if moved {
            HookChange::Chained
        } else {
            HookChange::Written
        })
    }

    /// Takes out a hook that [`GitRepo::install_hook`] put in.
    ///
    /// # Errors
    /// When the directory cannot be read or written.
    pub fn uninstall_hook(&self, hook: Hook) -> Result<HookChange> {
        let (dir, file, before) = self.hook_files(hook)?;
        let moved = matches!(fs::stat(&before), Ok(Some(_)));
        let found = match fs::stat(&dir) {
            Ok(Some(_)) => hook.found(&file).unwrap_or(Found::Nothing),
            _ => Found::Nothing,
        };
        match found {
            Found::Edited => return Ok(HookChange::Edited),
            Found::Foreign if moved => return Ok(HookChange::InTheWay),
            Found::Nothing | Found::Foreign if !moved => return Ok(HookChange::None),
            _ => {}
        }
        if moved {
            fs::rename(&before, &file)?;
            return Ok(HookChange::Restored);
        }
        fs::remove_file(&file)?;
        // With the directories that were made for it, in the work tree: git keeps no empty ones there.
        fs::remove_empty_dirs(&dir, self.root(), None);
        Ok(HookChange::Removed)
    }

    /// The hooks of ours that git would run.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn installed_hooks(&self) -> Result<Vec<Hook>> {
        let mut found = Vec::new();
        for hook in Hook::ALL {
            let (_, file, _) = self.hook_files(hook)?;
            if matches!(hook.found(&file), Ok(Found::Ours | Found::Edited)) {
                found.push(hook);
            }
        }
        Ok(found)
    }

    fn hook_files(&self, hook: Hook) -> Result<(PathBuf, PathBuf, PathBuf)> {
        let dir = self.hooks_dir()?;
        let (file, before) = (dir.join(hook.name()), dir.join(format!("{}{BEFORE}", hook.name())));
        Ok((dir, file, before))
    }

    /// Whether pointers are merged by modver: the driver in force is ours (or one that somebody put in its place).
    #[must_use]
    pub fn has_merge_driver(&self) -> bool {
        self.local().config_snapshot().string(DRIVER.0).is_some()
    }

    /// Puts the merge driver into the repository's configuration; whether it was not there. One that somebody else put in
    /// its place stays.
    ///
    /// # Errors
    /// When git cannot change its configuration.
    pub fn install_merge_driver(&self) -> Result<bool> {
        if self.local_config(DRIVER.0)?.is_some() {
            return Ok(false);
        }
        for (key, value) in [DRIVER_NAME, DRIVER] {
            self.git(&["config", "--local", key, value], Vec::new())?;
        }
        Ok(true)
    }

    /// Takes the merge driver out of the repository's configuration; whether it was there.
    ///
    /// # Errors
    /// When git cannot change its configuration.
    pub fn uninstall_merge_driver(&self) -> Result<bool> {
        let mut was_there = false;
        for (key, value) in [DRIVER, DRIVER_NAME] {
            if self.local_config(key)?.as_deref() == Some(value.as_bytes()) {
                self.git(&["config", "--local", "--unset", key], Vec::new())?;
                was_there = true;
            }
        }
        Ok(was_there)
    }

    /// A value of the repository's own configuration.
    pub(super) fn local_config(&self, key: &str) -> Result<Option<Vec<u8>>> {
        match self.git(&["config", "--local", "--null", "--get", key], Vec::new()) {
            Ok(mut value) => {
                value.pop();
                Ok(Some(value))
            }
            Err(GitError::Failed { status, .. }) if status.code() == Some(1) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
