//! Where reachability begins, besides the refs and reflogs that `git rev-list --all --reflog` knows.
//!
//! Git keeps commits alive through files that are no refs: `MERGE_HEAD` and its like, what a stopped rebase or
//! cherry-pick remembers (an autostash is in no ref at all), and the refs that belong to one work tree.

use std::path::{Path, PathBuf};

use super::discover::GitRepo;
use super::error::{GitError, Result};
use super::index::Tracked;
use crate::fs::{self, FileKind};

/// Files of an operation in progress that begin with a commit id.
const OPERATION_DIRS: [&str; 3] = ["rebase-merge", "rebase-apply", "sequencer"];
/// Refs of one work tree, which `--all` reports for the current work tree only.
const WORKTREE_REFS: [&str; 3] = ["refs/bisect", "refs/worktree", "refs/rewritten"];
/// Files that hold ids are small; `FETCH_HEAD` of a remote with many branches is the largest.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// A work tree of the repository: this one, the main one, or a linked one.
pub(super) struct WorkTree {
    pub(super) git_dir: PathBuf,
    pub(super) index_path: PathBuf,
    /// Where its files are; `None` if it has none or they are not there now.
    pub(super) root: Option<PathBuf>,
}

impl GitRepo {
    /// All work trees, this one first.
    pub(super) fn work_trees(&self) -> Result<Vec<WorkTree>> {
        let repo = self.local();
        let refs = |source: gix::Error| GitError::Refs {
            git_dir: self.common_dir().to_owned(),
            source: Box::new(source),
        };
        let mut found = vec![WorkTree {
            git_dir: self.git_dir().to_owned(),
            index_path: self.index_path().to_owned(),
            root: (!self.is_bare()).then(|| self.root().to_owned()),
        }];
        if self.index_path() != self.git_dir().join("index") {
            found.push(WorkTree {
                git_dir: self.git_dir().to_owned(),
                index_path: self.git_dir().join("index"),
                root: None,
            });
        }
        let mut add = |git_dir: &Path, base: Option<PathBuf>| -> Result<()> {
            let git_dir = fs::canonicalize(git_dir)?;
            if git_dir == self.git_dir() {
                return Ok(());
            }
            let root = match base {
                Some(base) if fs::stat(&base)?.is_some_and(|stat| stat.kind == FileKind::Dir) => Some(base),
                _ => None,
            };
            found.push(WorkTree {
                index_path: git_dir.join("index"),
                git_dir,
                root,
            });
            Ok(())
        };
        let main = repo.main_repo().map_err(refs)?;
        add(self.common_dir(), main.workdir().map(Path::to_owned))?;
        for linked in repo.worktrees().map_err(refs)? {
            add(linked.git_dir(), linked.base().ok())?;
        }
        Ok(found)
    }
}

impl WorkTree {
    /// Its index.
    pub(super) fn tracked(&self, repo: &gix::Repository) -> Result<Tracked> {
        Tracked::read(repo, &self.index_path)
    }

    /// Ids in files of its git directory that keep objects alive; some may be of objects that are gone.
    pub(super) fn stray_ids(&self) -> Result<Vec<gix::ObjectId>> {
        let mut files: Vec<PathBuf> = Vec::new();
        for name in list(&self.git_dir)? {
            if name.as_encoded_bytes().ends_with(b"HEAD") || name == "AUTO_MERGE" {
                files.push(self.git_dir.join(name));
            }
        }
        let operations = OPERATION_DIRS.iter().chain(&WORKTREE_REFS);
        let mut dirs: Vec<PathBuf> = operations.map(|name| self.git_dir.join(name)).collect();
        while let Some(dir) = dirs.pop() {
            for name in list(&dir)? {
                let path = dir.join(name);
                match fs::stat(&path)?.map(|stat| stat.kind) {
                    Some(FileKind::Dir) => dirs.push(path),
                    Some(FileKind::File) => files.push(path),
                    _ => {}
                }
            }
        }
        let mut ids = Vec::new();
        for file in files {
            let bytes = match fs::read_if_exists(&file, MAX_FILE) {
                Ok(bytes) => bytes.unwrap_or_default(),
                Err(error) if error.source.kind() == std::io::ErrorKind::IsADirectory => continue,
                Err(error) => return Err(error.into()),
            };
            for line in bytes.split(|&b| b == b'\n') {
                // The todo list of a rebase has the id in the second place: `pick ID title`.
                let words = line.split(u8::is_ascii_whitespace).take(2);
                ids.extend(words.filter_map(|word| gix::ObjectId::from_hex(word).ok()));
            }
        }
        Ok(ids)
    }
}

fn list(dir: &Path) -> Result<Vec<std::ffi::OsString>> {
    match fs::list(dir) {
        Ok(names) => Ok(names),
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
