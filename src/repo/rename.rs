//! `move`: data, pointer and `.gitignore` entry together.

use std::path::{Path, PathBuf};

use super::record::Record;
use super::targets::beside;
use super::unfinished::Move;
use super::{RepoError, Repository, Result};
use crate::fs::{self, FileKind};
use crate::path::RepoPath;

/// What a move did.
#[derive(Debug, serde::Serialize)]
pub struct MoveOutcome {
    /// Where the output was.
    pub from: RepoPath,
    /// Where it is.
    pub to: RepoPath,
    /// Whether there was data in the workspace that moved along.
    pub data_moved: bool,
}

impl Repository {
    /// Moves an output to a new path, or into a directory that exists.
    ///
    /// # Errors
    /// When it is not an output, or something is at the new path; nothing has moved then.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<MoveOutcome> {
        let _lock = self.wait_for_workspace()?;
        let finished = self.finish_move()?;
        if let Some(done) = finished.filter(|done| self.is_that_move(done, from, to)) {
            return Ok(MoveOutcome {
                data_moved: fs::stat(&done.to.on_disk(self.root()))?.is_some(),
                from: done.from,
                to: done.to,
            });
        }
        let mut outputs = self.outputs()?;
        let selected = self.select_among(self.outputs()?, &[from.to_owned()], &[])?;
        let output = match &beside(selected.targets, "mv")?[..] {
            [target] if target.named && target.parts.is_empty() => target.output.clone(),
            _ => {
                return Err(RepoError::NotTracked {
                    path: self.path_of(from)?,
                    nearest: None,
                });
            }
        };
        let from = output.path;
        let mut to = self.path_of(to)?;
        let is_dir = to.is_root() || fs::stat(&to.on_disk(self.root()))?.is_some_and(|s| s.kind == FileKind::Dir);
        if is_dir {
            to = to.join(&super::inputs::name_of(&from)?);
        }
        let (old, new) = (from.on_disk(self.root()), to.on_disk(self.root()));
        let there = fs::stat(&old)?.is_some();
        if let Some(at) = outputs.broken_around(&to) {
            return Err(outputs.broken.swap_remove(at).into());
        }
        let pointer_there = fs::stat(&crate::git::pointer_path(&to)?.on_disk(self.root()))?.is_some();
        self.check_new_path(&to, &outputs)?;
        if fs::stat(&new)?.is_some() || pointer_there {
            return Err(RepoError::Exists { path: to });
        }
        if self.is_ignored(&to, fs::stat(&old)?.is_some_and(|s| s.kind == FileKind::Dir))? {
            return Err(RepoError::Ignored { path: to });
        }
        let is_missing = |dir: &RepoPath| matches!(fs::stat(&dir.on_disk(self.root())), Ok(None));
        let missing: Vec<RepoPath> = std::iter::successors(to.parent(), RepoPath::parent)
            .take_while(is_missing)
            .collect();
        let begun = Move {
            from,
            to,
            pointer: output.pointer,
            data: there,
        };
        let records = [
            Record::Track(begun.to.clone(), begun.pointer.clone()),
            Record::Untrack(begun.from.clone()),
        ];
        self.begin_move(&begun)?;
        let Move { from, to, .. } = begun;
        if let Err(error) = self.move_and_record(there.then_some((&old, &new)), &new, &records) {
            for dir in missing {
                // One that somebody has put something into stays.
                let _ = fs::remove_empty_dir(&dir.on_disk(self.root()));
            }
            let pointer = crate::git::pointer_path(&to)?.on_disk(self.root());
            if matches!((fs::stat(&new), fs::stat(&pointer)), (Ok(None), Ok(None))) {
                self.end_move();
            }
            return Err(error);
        }
        self.move_state(&from, &to);
        self.end_move();
        Ok(MoveOutcome {
            from,
            to,
            data_moved: there,
        })
    }

    /// Whether this is what the user asks for, again.
    fn is_that_move(&self, done: &Move, from: &Path, to: &Path) -> bool {
        let is_from =
            |path: RepoPath| path == done.from || crate::git::output_path(&path).as_ref() == Some(&done.from);
        let is_to = |path: RepoPath| {
            let into = done.from.file_name().map(|name| path.join(&name));
            path == done.to || into.as_ref() == Some(&done.to)
        };
        self.path_of(from).is_ok_and(is_from) && self.path_of(to).is_ok_and(is_to)
    }

    fn move_and_record(&self, data: Option<(&PathBuf, &PathBuf)>, new: &Path, records: &[Record]) -> Result<()> {
        if let Some(parent) = new.parent() {
            fs::create_dir_all(parent)?;
        }
        let renamed = data.map_or(Ok(()), |(old, new)| fs::rename(old, new));
        let done = renamed.map_err(RepoError::from).and_then(|()| self.record(records));
        // A rename may fail when it is done already, because it could not be made durable.
        if let (Err(_), Some((old, new))) = (&done, data)
            && fs::stat(old)?.is_none()
        {
            fs::rename(new, old)?;
        }
        done
    }
}
