//! Lock files: reading them, and changing what they say of single stages.
//!
//! Stages run beside everything else, and beside each other: so a change of a lock file does not take the workspace lock
//! but one of its own, which is held only while files are read and written, and which is taken after the workspace lock
//! by whoever holds that. Everything that edits a `.gitignore` takes it, too. Order of writes: entries in `.gitignore`
//! that come, the lock file, entries that go, git's index: a run that dies in between leaves no data for `git add .` to
//! take.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::inputs::name_of;
use super::{FOLDER, RepoError, Repository, Result};
use crate::fs::{self, FileLock, LockKind};
use crate::git::{self, FileEdit, GitError, Lock, LockError, LockProblem, LockedStage, MAX_LOCK, PointerError};
use crate::path::{Name, RepoPath};

/// How often a change is tried again that somebody else's got in the way of.
const TRIES: usize = 20;

/// The `.gitignore` files that a change concerns.
type Ignores = BTreeMap<RepoPath, FileEdit>;

/// Lock files as they were last read or written, by path, with their bytes: one that still has these is not parsed again.
pub(super) type KnownLocks = Mutex<HashMap<RepoPath, (Vec<u8>, Arc<Lock>)>>;

impl Repository {
    /// What the lock file says; nothing if there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_lock(&self, file: &RepoPath) -> Result<Arc<Lock>> {
        Ok(self.lock_and_bytes(file)?.0)
    }

    /// Changes what the lock file says of these stages; `None`: nothing any more. Outputs in the cache get entries in
    /// `.gitignore`, those that are of no stage any more lose theirs. Whether the lock file changed. Safe beside any other
    /// command.
    ///
    /// # Errors
    /// When an output may not be where it is, or something cannot be read or written: the lock file is then as before.
    pub fn update_lock(&self, file: &RepoPath, changes: &BTreeMap<String, Option<LockedStage>>) -> Result<bool> {
        self.modify_lock(file, changes.keys().map(String::as_str), |lock| {
            for (name, change) in changes {
                match change {
                    Some(stage) => lock.stages.insert(name.clone(), stage.clone()),
                    None => lock.stages.remove(name),
                };
            }
        })
    }

    /// As [`Repository::update_lock`]: `change` makes the new lock of the old one, and touches only these stages.
    pub(crate) fn modify_lock<'a>(
        &self,
        file: &RepoPath,
        stages: impl Iterator<Item = &'a str> + Clone,
        change: impl Fn(&mut Lock),
    ) -> Result<bool> {
        let _held = self.hold_lock_files()?;
        let mut tries = 0;
        loop {
            let (old, before) = self.lock_and_bytes(file)?;
            let mut new = Lock::clone(&old);
            change(&mut new);
            let new = Arc::new(new);
            let touched: BTreeSet<&RepoPath> = stages
                .clone()
                .filter_map(|name| new.stages.get(name))
                .flat_map(|stage| stage.outs.iter().filter(|(_, out)| out.cache).map(|(path, _)| path))
                .collect();
            let added: Vec<&RepoPath> = touched
                .iter()
                .copied()
                .filter(|path| old.cached_at(path).is_none())
                .collect();
            self.check_stage_outs(&added)?;
            match self.write_lock(file, (&old, before), &new, &touched) {
                // Somebody edited one of the files since it was read.
                Err(RepoError::Git(GitError::Changed { .. })) if tries < TRIES => tries += 1,
                done => return done,
            }
        }
    }

    /// The lock of all lock files and `.gitignore` files of this work tree.
    pub(crate) fn hold_lock_files(&self) -> Result<FileLock> {
        let dir = self.git.git_dir().join(FOLDER);
        fs::create_dir_all(&dir)?;
        let path = dir.join("lock-files");
        Ok(FileLock::acquire(
            &path,
            LockKind::Exclusive,
            &self.progress,
            |holder| {
                (self.waiting)(holder);
            },
        )?)
    }

    pub(crate) fn lock_and_bytes(&self, file: &RepoPath) -> Result<(Arc<Lock>, Option<Vec<u8>>)> {
        let on_disk = file.on_disk(self.root());
        let broken = |problem| {
            PointerError::from(LockError {
                path: file.clone(),
                problem,
            })
        };
        if let Some(stat) = fs::stat(&on_disk)?
            && stat.size > MAX_LOCK
        {
            return Err(broken(LockProblem::TooLarge(stat.size)).into());
        }
        match fs::read_if_exists(&on_disk, MAX_LOCK) {
            Ok(None) => Ok((Arc::default(), None)),
            Ok(Some(bytes)) => {
                let mut known = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
                let lock = match known.get(file) {
                    Some((same, lock)) if *same == bytes => Arc::clone(lock),
                    _ => {
                        let lock = Arc::new(Lock::parse(&bytes, file).map_err(PointerError::from)?);
                        known.insert(file.clone(), (bytes.clone(), Arc::clone(&lock)));
                        lock
                    }
                };
                Ok((lock, Some(bytes)))
            }
            Err(error) => Err(broken(LockProblem::Unreadable(error)).into()),
        }
    }

    /// Writes a lock file and what goes with it; the caller holds the lock of lock files.
    pub(crate) fn write_lock(
        &self,
        file: &RepoPath,
        (old, before): (&Lock, Option<Vec<u8>>),
        new: &Arc<Lock>,
        touched: &BTreeSet<&RepoPath>,
    ) -> Result<bool> {
        let mut come = Ignores::new();
        for path in touched {
            self.ignore_edit(&mut come, path)?.add_entry(&name_of(path)?);
        }
        let mut go = Ignores::new();
        let stay: HashSet<&RepoPath> = new.cached().map(|(path, ..)| path).collect();
        for (path, ..) in old.cached().filter(|(path, ..)| !stay.contains(path)) {
            // A pointer may have it now.
            if fs::stat(&git::pointer_path(path)?.on_disk(self.root()))?.is_some() {
                continue;
            }
            let file = path.parent().unwrap_or_default().join(&Name::new(b".gitignore")?);
            if let Some(come) = come.get(&file) {
                go.entry(file).or_insert_with(|| FileEdit {
                    path: come.path.clone(),
                    before: come.after.clone(),
                    after: come.after.clone(),
                });
            }
            self.ignore_edit(&mut go, path)?.remove_entry(&name_of(path)?);
        }
        let changed = **new != *old;
        let lock = FileEdit {
            path: file.clone(),
            after: if !changed {
                before.clone()
            } else if new.stages.is_empty() {
                None
            } else {
                Some(new.to_bytes(file).map_err(PointerError::from)?)
            },
            before,
        };
        let edits: Vec<FileEdit> = come
            .into_values()
            .chain([lock])
            .chain(go.into_values())
            .filter(FileEdit::is_change)
            .collect();
        if edits.is_empty() {
            return Ok(false);
        }
        for (n, edit) in edits.iter().enumerate() {
            if let Some(dir) = edit.path.parent() {
                fs::create_dir_all(&dir.on_disk(self.root()))?;
            }
            if let Err(error) = edit.apply(self.root()) {
                for done in edits[..n].iter().rev() {
                    // What cannot be taken back was changed by somebody else meanwhile, and is left to them.
                    let _ = done.revert(self.root());
                }
                return Err(error.into());
            }
        }
        if let Some(edit) = edits.iter().find(|edit| edit.path == *file)
            && let Some(bytes) = &edit.after
        {
            let mut known = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(file.clone(), (bytes.clone(), Arc::clone(new)));
        }
        if self.config.autostage() {
            let mut paths: Vec<RepoPath> = edits.into_iter().map(|edit| edit.path).collect();
            paths.sort_unstable();
            paths.dedup();
            // Staging would settle a `.gitignore` that is in conflict, as it is.
            for ignore in std::mem::take(&mut paths) {
                if ignore == *file || self.git.unmerged(&ignore)?.is_none() {
                    paths.push(ignore);
                }
            }
            self.git.stage(&paths)?;
        }
        Ok(changed)
    }

    fn ignore_edit<'a>(&self, edits: &'a mut Ignores, path: &RepoPath) -> Result<&'a mut FileEdit> {
        let file = path.parent().unwrap_or_default().join(&Name::new(b".gitignore")?);
        Ok(match edits.entry(file.clone()) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(FileEdit::read(self.root(), &file)?),
        })
    }

    /// Checks that outputs of stages may be kept in the cache where they are: git must not have anything there, and no
    /// other output may be there, around it or inside.
    ///
    /// # Errors
    /// The first that may not.
    pub fn check_stage_outs(&self, paths: &[&RepoPath]) -> Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        let tracked = self.git.tracked()?;
        for path in paths {
            let path = *path;
            name_of(path)?;
            for above in std::iter::successors(Some(path.clone()), RepoPath::parent).filter(|above| !above.is_root())
            {
                let pointer = git::pointer_path(&above)?;
                if fs::stat(&pointer.on_disk(self.root()))?.is_some() || tracked.contains(&pointer) {
                    return Err(if above == *path {
                        RepoError::AnotherOutput { path: above }
                    } else {
                        RepoError::InsideOutput {
                            path: path.clone(),
                            output: above,
                        }
                    });
                }
            }
            let inside = tracked.under(path)?;
            if let Some(output) = inside.iter().find_map(git::output_path) {
                return Err(RepoError::ContainsOutput {
                    path: path.clone(),
                    output,
                });
            }
            if !inside.is_empty() {
                return Err(RepoError::StageOutInGit {
                    path: path.clone(),
                    count: inside.len(),
                });
            }
        }
        Ok(())
    }
}
