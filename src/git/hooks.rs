//! What `doctor` wants to know about git.

use std::path::PathBuf;

use super::discover::GitRepo;
use super::error::{GitError, Result};
use super::program;
use crate::fs::{self, FileKind};

/// The hooks of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooks {
    /// The directory where git looks for them (`core.hooksPath`, or `hooks` in the git directory).
    pub dir: PathBuf,
    /// The names of those that git would run, sorted.
    pub active: Vec<String>,
}

impl GitRepo {
    /// The hooks that git would run here.
    ///
    /// # Errors
    /// When the setting or the directory cannot be read.
    pub fn hooks(&self) -> Result<Hooks> {
        let dir = self.hooks_dir()?;
        let names = match fs::list(&dir) {
            Ok(names) => names,
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let mut active = Vec::new();
        for name in names {
            let name = name.to_string_lossy().into_owned();
            let path = dir.join(&name);
            if !name.ends_with(".sample") && is_program(&path)? {
                active.push(name);
            }
        }
        active.sort_unstable();
        Ok(Hooks { dir, active })
    }

    /// Where git looks for hooks.
    ///
    /// # Errors
    /// When the setting cannot be read.
    pub fn hooks_dir(&self) -> Result<PathBuf> {
        let key = "core.hooksPath";
        let config = |source: gix::Error| GitError::Config {
            key,
            source: Box::new(source),
        };
        Ok(
            match self.local().config_snapshot().trusted_path(key).map_err(config)? {
                // Relative to where hooks run: the top of the work tree.
                Some(path) => self.root().join(path),
                None => self.common_dir().join("hooks"),
            },
        )
    }

    /// Who git would say commits, such as `Ada <ada@example.org>`; `None` when git could not make a commit.
    ///
    /// # Errors
    /// When the `git` program cannot be run.
    pub fn identity(&self) -> Result<Option<String>> {
        let ident = match self.git(&["var", "GIT_COMMITTER_IDENT"], Vec::new()) {
            Ok(ident) => ident,
            Err(GitError::Failed { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let ident = String::from_utf8_lossy(&ident);
        // What follows is the time.
        Ok(ident.rfind('>').and_then(|end| ident.get(..=end)).map(str::to_owned))
    }

    /// The version of the `git` program, such as `2.47.3`.
    ///
    /// # Errors
    /// [`GitError::NoProgram`] when there is none.
    pub fn git_version() -> Result<String> {
        program::version()
    }
}

fn is_program(path: &std::path::Path) -> Result<bool> {
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.is_not_found() => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    Ok(fs::stat(&target)?.is_some_and(|stat| stat.kind == FileKind::File && stat.is_executable()))
}
