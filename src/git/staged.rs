//! What the index holds that the last commit does not: what a commit would add, and what a merge left open.

use std::ffi::OsStr;
use std::path::Path;

use gix::bstr::ByteSlice as _;
use gix::index::entry::{Mode, Stage};

use super::discover::GitRepo;
use super::error::{GitError, Result};
use super::index::{Tracked, entry_path};
use super::lock::is_lock_path;
use super::pointer::is_pointer_path;
use super::revision::{RevisionLock, RevisionPointer, read_lock, read_pointer};
use crate::fs;
use crate::path::RepoPath;

/// A file that a commit would add or change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedFile {
    /// Where it is.
    pub path: RepoPath,
    /// Its bytes in git.
    pub size: u64,
}

/// The versions of a file that a merge left open; `None` where a side has no such file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmerged {
    /// What both sides began with.
    pub base: Option<Vec<u8>>,
    /// Ours.
    pub ours: Option<Vec<u8>>,
    /// Theirs.
    pub theirs: Option<Vec<u8>>,
}

/// What git is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A rebase that has commits left to replay.
    Rebase,
    /// A rebase with nothing left to replay.
    RebaseEnd,
    /// A merge, cherry-pick or revert.
    Merge,
}

impl GitRepo {
    /// What git is in the middle of in this work tree.
    ///
    /// # Errors
    /// When the git directory cannot be read.
    pub fn operation(&self) -> Result<Option<Operation>> {
        let there = |name: &str| fs::stat(&self.git_dir().join(name)).map(|stat| stat.is_some());
        if there("rebase-merge")? {
            let todo = self.git_dir().join("rebase-merge/git-rebase-todo");
            let todo = fs::read_if_exists(&todo, 64 * 1024 * 1024)?.unwrap_or_default();
            let is_step = |line: &[u8]| !(line.is_empty() || line.starts_with(b"#") || line.starts_with(b"noop"));
            let left = todo.split(|&b| b == b'\n').any(|line| is_step(line.trim_ascii()));
            return Ok(Some(if left { Operation::Rebase } else { Operation::RebaseEnd }));
        }
        if there("rebase-apply")? {
            return Ok(Some(Operation::Rebase));
        }
        for name in ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD"] {
            if there(name)? {
                return Ok(Some(Operation::Merge));
            }
        }
        Ok(None)
    }

    /// The pointers in the index, by path; not those that a merge left open.
    ///
    /// # Errors
    /// When the index or an object cannot be read. A pointer that cannot be parsed is in the result.
    pub fn indexed_pointers(&self) -> Result<Vec<RevisionPointer>> {
        let repo = self.local();
        let tracked = Tracked::read(&repo, self.index_path())?;
        let mut found = Vec::new();
        for entry in tracked.index.entries() {
            let path = entry.path(&tracked.index);
            if !path.ends_with(super::pointer::POINTER_SUFFIX.as_bytes())
                || !matches!(entry.mode, Mode::FILE | Mode::FILE_EXECUTABLE)
                || entry.stage() != Stage::Unconflicted
            {
                continue;
            }
            let path = entry_path(path)?;
            if is_pointer_path(&path) {
                let pointer = read_pointer(&repo, entry.id, &path)?;
                found.push((path, pointer));
            }
        }
        Ok(found)
    }

    /// The lock files in the index, by path; not those that a merge left open.
    ///
    /// # Errors
    /// As [`GitRepo::indexed_pointers`].
    pub fn indexed_locks(&self) -> Result<Vec<RevisionLock>> {
        let repo = self.local();
        let tracked = Tracked::read(&repo, self.index_path())?;
        let mut found = Vec::new();
        for lock in tracked.locks()? {
            let entry = tracked
                .index
                .entry_by_path_and_stage(lock.path.as_bytes().as_bstr(), Stage::Unconflicted);
            if entry.is_some() {
                let read = read_lock(&repo, lock.blob, &lock.path)?;
                found.push((lock.path, read));
            }
        }
        Ok(found)
    }

    /// The versions of a file that a merge left open; `None` when it did not.
    ///
    /// # Errors
    /// When the index or an object cannot be read.
    pub fn unmerged(&self, path: &RepoPath) -> Result<Option<Unmerged>> {
        let repo = self.local();
        let tracked = Tracked::read(&repo, self.index_path())?;
        let version = |stage| -> Result<Option<Vec<u8>>> {
            let entry = tracked.index.entry_by_path_and_stage(path.as_bytes().as_bstr(), stage);
            entry.map(|entry| read_blob(&repo, entry.id)).transpose()
        };
        let versions = Unmerged {
            base: version(Stage::Base)?,
            ours: version(Stage::Ours)?,
            theirs: version(Stage::Theirs)?,
        };
        Ok(Some(versions).filter(|v| v.ours.is_some() || v.theirs.is_some()))
    }

    /// The pointers and lock files that a merge left open, by path.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn unmerged_pointers(&self) -> Result<Vec<RepoPath>> {
        let tracked = self.tracked()?;
        let mut found = Vec::new();
        for entry in tracked.index.entries() {
            if entry.stage() != Stage::Unconflicted {
                let path = entry_path(entry.path(&tracked.index))?;
                if (is_pointer_path(&path) || is_lock_path(&path)) && found.last() != Some(&path) {
                    found.push(path);
                }
            }
        }
        Ok(found)
    }

    /// Merges files as git merges text, into the first of `[ours, base, theirs]`; the number of conflicts.
    ///
    /// # Errors
    /// When `git` cannot be run or fails.
    pub fn merge_as_text(&self, files: [&Path; 3], path: &RepoPath, marker_size: &str) -> Result<u64> {
        let label = |side: &str| format!("{side} {path}");
        let size = format!("--marker-size={marker_size}");
        let labels = [label("ours"), label("base"), label("theirs")];
        let mut args: Vec<&OsStr> = vec!["merge-file".as_ref(), size.as_ref()];
        for label in &labels {
            args.extend([OsStr::new("-L"), OsStr::new(label)]);
        }
        args.extend(files.map(Path::as_os_str));
        match self.git(&args, Vec::new()) {
            Ok(_) => Ok(0),
            // The status is the number of conflicts.
            Err(GitError::Failed { status, .. }) if matches!(status.code(), Some(1..=127)) => {
                Ok(status.code().map_or(1, |code| u64::from(code.unsigned_abs())))
            }
            Err(error) => Err(error),
        }
    }

    /// The content of a small file in the index.
    ///
    /// # Errors
    /// When the index or the object cannot be read.
    pub fn indexed_file(&self, path: &RepoPath) -> Result<Option<Vec<u8>>> {
        let repo = self.local();
        let tracked = Tracked::read(&repo, self.index_path())?;
        let entry = tracked
            .index
            .entry_by_path_and_stage(path.as_bytes().as_bstr(), Stage::Unconflicted);
        entry.map(|entry| read_blob(&repo, entry.id)).transpose()
    }

    /// The files that a commit would add or change. In a merge, not those that are as one of the sides has them.
    ///
    /// # Errors
    /// When `git` cannot be run or an object cannot be read.
    pub fn staged_files(&self) -> Result<Vec<StagedFile>> {
        let repo = self.local();
        let mut parents = Vec::new();
        match self.head()?.commit() {
            Some(commit) => parents.push(commit.to_owned()),
            None => parents.push(gix::ObjectId::empty_tree(repo.object_hash()).to_string()),
        }
        let merged = fs::read_if_exists(&self.git_dir().join("MERGE_HEAD"), 1 << 20)?.unwrap_or_default();
        let merged = String::from_utf8_lossy(&merged).into_owned();
        parents.extend(merged.lines().map(str::to_owned));
        let mut files: Option<Vec<(RepoPath, gix::ObjectId)>> = None;
        for parent in parents {
            let changed = self.changed_against(&parent)?;
            files = Some(match files {
                None => changed,
                Some(files) => files.into_iter().filter(|file| changed.contains(file)).collect(),
            });
        }
        let sized = |(path, id): (RepoPath, gix::ObjectId)| {
            let size = repo.find_header(id).map_err(|e| GitError::object(id, e))?.size();
            Ok(StagedFile { path, size })
        };
        files.unwrap_or_default().into_iter().map(sized).collect()
    }

    fn changed_against(&self, tree: &str) -> Result<Vec<(RepoPath, gix::ObjectId)>> {
        let args = [
            "diff-index",
            "--cached",
            "--raw",
            "-z",
            "--no-abbrev",
            "--no-renames",
            "--diff-filter=ACMT",
            tree,
            "--",
        ];
        let out = self.git(&args, Vec::new())?;
        let mut fields = out.split(|&b| b == 0).filter(|field| !field.is_empty());
        let mut found = Vec::new();
        // `:OLDMODE MODE OLD NEW STATUS NUL PATH NUL`
        while let (Some(change), Some(path)) = (fields.next(), fields.next()) {
            let words: Vec<&[u8]> = change.split(|&b| b == b' ').collect();
            let [_, mode, _, id, _] = words[..] else { continue };
            if mode.starts_with(b"100")
                && let Ok(id) = gix::ObjectId::from_hex(id)
            {
                found.push((entry_path(path.as_bstr())?, id));
            }
        }
        Ok(found)
    }
}

fn read_blob(repo: &gix::Repository, id: gix::ObjectId) -> Result<Vec<u8>> {
    let mut blob = repo.find_blob(id).map_err(|e| GitError::object(id, e))?;
    Ok(blob.take_data())
}
