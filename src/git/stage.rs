//! Staging: `git add` of single files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::discover::GitRepo;
use super::error::{GitError, Result};
use crate::fs::{self, FileKind};
use crate::path::RepoPath;

/// How often a locked index is tried again, and after how long.
const RETRIES: u32 = 20;
const WAIT: Duration = Duration::from_millis(100);

impl GitRepo {
    /// Makes git's index agree with the work tree for these files: added, changed or deleted. A path that neither
    /// exists nor is in the index is passed over.
    ///
    /// # Errors
    /// [`GitError::IsDirectory`] before anything is staged; [`GitError::Ignored`] when a rule of the user ignores one
    /// of the files (git stages the others); [`GitError::IndexLocked`] when another process holds the index for some
    /// seconds; otherwise what `git add` says.
    pub fn stage(&self, paths: &[RepoPath]) -> Result<()> {
        let mut list = Vec::new();
        let mut tracked = None;
        for path in paths {
            match fs::stat(&path.on_disk(self.root()))? {
                Some(stat) if stat.kind == FileKind::Dir => return Err(GitError::IsDirectory { path: path.clone() }),
                Some(_) => {}
                None => {
                    let index = match &tracked {
                        Some(index) => index,
                        None => tracked.insert(self.tracked()?),
                    };
                    if !index.contains(path) {
                        continue;
                    }
                }
            }
            list.extend_from_slice(path.as_bytes());
            list.push(0);
        }
        if list.is_empty() {
            return Ok(());
        }
        let args = [
            "--literal-pathspecs",
            "add",
            "--all",
            "--pathspec-from-file=-",
            "--pathspec-file-nul",
        ];
        match self.change_index(&args, &list) {
            Err(error @ GitError::Failed { .. }) => Err(self.ignored_path(paths)?.unwrap_or(error)),
            other => other,
        }
    }

    /// Makes git's index agree with the work tree for these files and links, also where git ignores them.
    ///
    /// # Errors
    /// When one of them does not exist or the filter fails, before anything is staged; otherwise as [`GitRepo::stage`].
    pub fn stage_ignored(&self, paths: &[RepoPath]) -> Result<()> {
        self.update_index("--add", paths)
    }

    /// Takes these files out of the index. Those in the work tree stay.
    ///
    /// # Errors
    /// As [`GitRepo::stage`].
    pub fn unstage(&self, paths: &[RepoPath]) -> Result<()> {
        self.update_index("--force-remove", paths)
    }

    fn update_index(&self, option: &str, paths: &[RepoPath]) -> Result<()> {
        let list: Vec<u8> = paths
            .iter()
            .flat_map(|path| [path.as_bytes(), b"\0"].concat())
            .collect();
        match list.is_empty() {
            true => Ok(()),
            false => self.change_index(&["update-index", option, "-z", "--stdin"], &list),
        }
    }

    /// Runs a command that writes the index, again while another process holds it.
    pub(super) fn change_index(&self, args: &[&str], stdin: &[u8]) -> Result<()> {
        for attempt in 0.. {
            match self.git(args, stdin.to_vec()) {
                Err(GitError::Failed { message, .. }) if is_lock_message(&message) => {
                    if attempt == RETRIES {
                        return Err(GitError::IndexLocked {
                            lock: lock_of(self.index_path()),
                        });
                    }
                    std::thread::sleep(WAIT);
                }
                other => return other.map(drop),
            }
        }
        Ok(())
    }

    /// The error for the first path that git ignores and does not track.
    fn ignored_path(&self, paths: &[RepoPath]) -> Result<Option<GitError>> {
        let mut excludes = self.excludes()?;
        let tracked = self.tracked()?;
        for path in paths {
            if !tracked.contains(path)
                && let Some(rule) = excludes.is_excluded(path, false)?
            {
                return Ok(Some(GitError::Ignored {
                    path: path.clone(),
                    rule,
                }));
            }
        }
        Ok(None)
    }
}

fn lock_of(index: &Path) -> PathBuf {
    let mut lock = index.as_os_str().to_owned();
    lock.push(".lock");
    PathBuf::from(lock)
}

/// Git's words for a lock that somebody holds (the program runs untranslated).
fn is_lock_message(message: &str) -> bool {
    message.contains(".lock': File exists")
}
