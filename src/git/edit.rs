//! A change of one small file of the work tree, as a value: shown for `--dry-run`, applied, and taken back when
//! what it belonged to fails.

use std::path::Path;

use super::error::{GitError, Result};
use crate::fs::{self, FileKind};
use crate::path::RepoPath;

/// The largest file that is edited, in bytes.
const MAX_EDITED: u64 = 16 * 1024 * 1024;

/// Up to this many changes are synced one by one.
const FEW: usize = 4;

/// The content of a file before and after a change; `None` is no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEdit {
    /// The file.
    pub path: RepoPath,
    /// What it holds.
    pub before: Option<Vec<u8>>,
    /// What it shall hold.
    pub after: Option<Vec<u8>>,
}

impl FileEdit {
    /// The file as it is, without a change yet.
    ///
    /// # Errors
    /// When it is not a regular file (git does not follow links to `.gitignore` and its like) or cannot be read.
    pub fn read(root: &Path, path: &RepoPath) -> Result<Self> {
        let before = content(root, path)?;
        Ok(Self {
            path: path.clone(),
            after: before.clone(),
            before,
        })
    }

    /// Whether there is something to write.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.before != self.after
    }

    /// Makes the change.
    ///
    /// # Errors
    /// [`GitError::Changed`] when the file does not hold what it did, or when it cannot be written.
    pub fn apply(&self, root: &Path) -> Result<()> {
        self.replace(root, self.before.as_deref(), self.after.as_deref())
    }

    /// Makes many changes, in order; with one sync for all of them where there are many.
    ///
    /// # Errors
    /// As [`FileEdit::apply`]; some of the changes may have been made then.
    pub fn apply_all(edits: &[Self], root: &Path) -> Result<()> {
        if edits.len() <= FEW || edits.iter().any(|edit| edit.after.is_none()) {
            return edits.iter().try_for_each(|edit| edit.apply(root));
        }
        let mut files = Vec::with_capacity(edits.len());
        for edit in edits.iter().filter(|edit| edit.is_change()) {
            if content(root, &edit.path)? != edit.before {
                return Err(GitError::Changed {
                    path: edit.path.clone(),
                });
            }
            files.push((edit.path.on_disk(root), edit.after.as_deref().unwrap_or_default()));
        }
        Ok(fs::write_atomic_all(&files)?)
    }

    /// Takes the change back.
    ///
    /// # Errors
    /// [`GitError::Changed`] when the file does not hold what [`FileEdit::apply`] wrote, or when it cannot be written.
    pub fn revert(&self, root: &Path) -> Result<()> {
        self.replace(root, self.after.as_deref(), self.before.as_deref())
    }

    fn replace(&self, root: &Path, from: Option<&[u8]>, to: Option<&[u8]>) -> Result<()> {
        if from == to {
            return Ok(());
        }
        if content(root, &self.path)?.as_deref() != from {
            return Err(GitError::Changed {
                path: self.path.clone(),
            });
        }
        let path = self.path.on_disk(root);
        match to {
            Some(bytes) => fs::write_atomic_alone(&path, bytes)?,
            None => {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

fn content(root: &Path, path: &RepoPath) -> Result<Option<Vec<u8>>> {
    let on_disk = path.on_disk(root);
    match fs::stat(&on_disk)? {
        None => Ok(None),
        Some(stat) if stat.kind == FileKind::File => Ok(fs::read_if_exists(&on_disk, MAX_EDITED)?),
        Some(_) => Err(GitError::NotRegular { path: path.clone() }),
    }
}

/// Lines of a text file, without their ends, and how they end.
pub(super) struct Lines {
    lines: Vec<Vec<u8>>,
    ends: &'static [u8],
}

impl Lines {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let first_end = bytes.iter().position(|&b| b == b'\n');
        let ends: &[u8] = match first_end {
            Some(at) if at > 0 && bytes[at - 1] == b'\r' => b"\r\n",
            _ => b"\n",
        };
        let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
        if let Some(last) = lines.last_mut()
            && !last.ends_with(b"\n")
        {
            last.extend_from_slice(ends);
        }
        Self { lines, ends }
    }

    pub(super) fn contains(&self, line: &[u8]) -> bool {
        self.lines.iter().any(|held| is_line(held, line))
    }

    /// Appends a line if the file does not have it; whether it did.
    pub(super) fn add(&mut self, line: &[u8]) -> bool {
        let missing = !self.contains(line);
        if missing {
            self.lines.push([line, self.ends].concat());
        }
        missing
    }

    /// Whether a line, with its end, is as asked.
    pub(super) fn any(&self, is: impl Fn(&[u8]) -> bool) -> bool {
        self.lines.iter().any(|held| is(held))
    }

    /// Removes every occurrence of a line; whether there was one.
    pub(super) fn remove(&mut self, line: &[u8]) -> bool {
        self.remove_if(|held| is_line(held, line))
    }

    /// Removes the lines that are, with their ends, as asked; whether there was one.
    pub(super) fn remove_if(&mut self, is: impl Fn(&[u8]) -> bool) -> bool {
        let before = self.lines.len();
        self.lines.retain(|held| !is(held));
        self.lines.len() < before
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.lines.concat()
    }
}

fn is_line(held: &[u8], line: &[u8]) -> bool {
    let held = held.strip_suffix(b"\n").unwrap_or(held);
    held == line || held.strip_suffix(b"\r") == Some(line)
}
