//! Writing pointers and `.gitignore` entries: all of them or none.

use std::collections::BTreeMap;

use super::inputs::name_of;
use super::{Repository, Result};
use crate::git::{self, FileEdit, LockedIn, Pointer};
use crate::path::{Name, RepoPath};

/// What becomes of an output's pointer.
#[derive(Debug)]
pub(crate) enum Record {
    /// The pointer is written and the output ignored by git.
    Track(RepoPath, Pointer),
    /// The pointer and its entry in `.gitignore` go.
    Untrack(RepoPath),
    /// The lock file says so of the output of a stage.
    Lock(RepoPath, Pointer, LockedIn),
}

impl Repository {
    /// Carries out `records` and stages what changed. If a step fails, the files that were written are as before; but
    /// lock files come last, one after the other.
    ///
    /// # Errors
    /// When a file cannot be written or staged.
    pub(crate) fn record(&self, records: &[Record]) -> Result<()> {
        let mut locks: BTreeMap<&RepoPath, Vec<(&RepoPath, &Pointer, &str)>> = BTreeMap::new();
        for record in records {
            if let Record::Lock(path, pointer, of) = record {
                locks.entry(&of.lock).or_default().push((path, pointer, &of.stage));
            }
        }
        if records.len() > locks.values().map(Vec::len).sum() {
            self.record_pointers(records)?;
        }
        for (file, outs) in locks {
            self.modify_lock(file, outs.iter().map(|(.., stage)| *stage), |lock| {
                for (path, pointer, stage) in &outs {
                    if let Some(out) = lock.stages.get_mut(*stage).and_then(|stage| stage.outs.get_mut(*path)) {
                        (out.content, out.size) = (pointer.content, pointer.size);
                    }
                }
            })?;
        }
        Ok(())
    }

    fn record_pointers(&self, records: &[Record]) -> Result<()> {
        let _held = self.hold_lock_files()?;
        let mut pointers = Vec::new();
        let mut ignores: BTreeMap<RepoPath, (FileEdit, Vec<Name>)> = BTreeMap::new();
        for record in records {
            let (Record::Track(path, _) | Record::Untrack(path)) = record else {
                continue;
            };
            let mut edit = FileEdit::read(self.root(), &git::pointer_path(path)?)?;
            let dir = path.parent().unwrap_or_default();
            let name = name_of(path)?;
            let (ignore, removed) = match ignores.entry(dir.clone()) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let file = dir.join(&Name::new(b".gitignore")?);
                    entry.insert((FileEdit::read(self.root(), &file)?, Vec::new()))
                }
            };
            match record {
                Record::Track(_, pointer) => {
                    edit.after = Some(pointer.to_bytes().map_err(|problem| git::PointerError {
                        path: edit.path.clone(),
                        problem,
                    })?);
                    ignore.add_entry(&name);
                }
                Record::Untrack(_) | Record::Lock(..) => {
                    edit.after = None;
                    removed.push(name);
                }
            }
            pointers.push(edit);
        }
        // Ignored before there is a pointer and until there is none: a run that dies in between leaves no data for
        // `git add .` to take.
        let mut edits = Vec::with_capacity(pointers.len() + ignores.len());
        let mut last = Vec::new();
        for (ignore, removed) in ignores.into_values() {
            if !removed.is_empty() {
                let mut edit = FileEdit {
                    path: ignore.path.clone(),
                    before: ignore.after.clone(),
                    after: ignore.after.clone(),
                };
                removed.iter().for_each(|name| edit.remove_entry(name));
                last.push(edit);
            }
            edits.push(ignore);
        }
        edits.extend(pointers);
        edits.extend(last);
        if let Err(error) = self.apply(&edits) {
            // What cannot be taken back was changed by somebody else meanwhile, and is left to them.
            for edit in edits.iter().rev() {
                let _ = edit.revert(self.root());
            }
            return Err(error);
        }
        Ok(())
    }

    fn apply(&self, edits: &[FileEdit]) -> Result<()> {
        FileEdit::apply_all(edits, self.root())?;
        if self.config.autostage() && !edits.is_empty() {
            // Also what is as it should be: the run that wrote it may not have come to here.
            let mut paths: Vec<RepoPath> = edits.iter().map(|edit| edit.path.clone()).collect();
            paths.sort_unstable();
            paths.dedup();
            self.git.stage(&paths)?;
        }
        Ok(())
    }
}
