//! The tracked outputs of the work tree: what its pointers and lock files say.

use std::path::PathBuf;

use super::{RepoError, Repository, Result, Selected};
use crate::fs;
use crate::git::{self, GitError, Lock, LockedIn, LockedOut, Pointer, PointerContent, PointerError, TransparentFile};
use crate::object::Root;
use crate::path::RepoPath;

/// A tracked file or directory.
#[derive(Debug, Clone)]
pub struct Output {
    /// Where it is.
    pub path: RepoPath,
    /// What its pointer says; of an output of a stage, what a pointer would.
    pub pointer: Pointer,
    /// Where its pointer is.
    pub mode: OutputMode,
}

/// Where the pointer of an output is.
#[derive(Debug, Clone)]
pub enum OutputMode {
    /// In a file beside it.
    Beside,
    /// In its place, in git: it is a transparent file.
    InPlace(TransparentFile),
    /// Nowhere: a stage made it, and its lock file names it.
    Stage(LockedIn),
}

impl Output {
    /// What it should contain.
    #[must_use]
    pub fn root(&self) -> Root {
        pointer_root(&self.pointer)
    }

    /// Whether it is a directory.
    #[must_use]
    pub const fn is_dir(&self) -> bool {
        matches!(self.pointer.content, PointerContent::Dir { .. })
    }

    /// What a lock file says of it.
    pub(crate) fn locked(path: &RepoPath, out: &LockedOut, of: LockedIn) -> Self {
        Self {
            path: path.clone(),
            pointer: out.to_pointer(),
            mode: OutputMode::Stage(of),
        }
    }

    /// The stage that made it, if one did.
    #[must_use]
    pub const fn stage(&self) -> Option<&LockedIn> {
        match &self.mode {
            OutputMode::Stage(of) => Some(of),
            OutputMode::Beside | OutputMode::InPlace(_) => None,
        }
    }

    /// Refuses an output of a stage.
    pub(super) fn without_stage(&self) -> Result<()> {
        match self.stage() {
            None => Ok(()),
            Some(of) => Err(RepoError::OfStage {
                path: self.path.clone(),
                stage: stage_target(of),
            }),
        }
    }

    /// Whether remotes shall have it.
    #[must_use]
    pub fn is_pushed(&self) -> bool {
        self.stage().is_none_or(|of| of.push)
    }

    /// Where git has its pointer, or the lock file that names it.
    ///
    /// # Errors
    /// When the path has no pointer; never for an output that was found by its pointer.
    pub fn pointer_path(&self) -> Result<RepoPath> {
        match &self.mode {
            OutputMode::Beside => Ok(git::pointer_path(&self.path)?),
            OutputMode::InPlace(_) => Ok(self.path.clone()),
            OutputMode::Stage(of) => Ok(of.lock.clone()),
        }
    }

    /// Whether it is a transparent file, which git adds, commits, moves and removes.
    #[must_use]
    pub const fn is_transparent(&self) -> bool {
        matches!(self.mode, OutputMode::InPlace(_))
    }
}

/// What a pointer names.
#[must_use]
pub(crate) fn pointer_root(pointer: &Pointer) -> Root {
    match pointer.content {
        PointerContent::File { id, .. } => Root::File(id),
        PointerContent::Dir { id, .. } => Root::Tree(id),
    }
}

/// A stage as users name it: alone at the root, otherwise with its project file.
#[must_use]
pub(crate) fn stage_target(of: &LockedIn) -> String {
    match of.lock.parent() {
        Some(dir) if !dir.is_root() => format!("{dir}/{}:{}", super::PROJECT_FILE, of.stage),
        _ => of.stage.clone(),
    }
}

/// Whether a pointer that cannot be read is about `path`: it stands for it, for something around it or for something
/// below it. What a lock file stands for is not known then; it is about the directories it is in.
pub(super) fn is_about(file: &RepoPath, path: &RepoPath) -> bool {
    match git::output_path(file) {
        Some(output) => file == path || output.starts_with(path) || path.starts_with(&output),
        None => file.starts_with(path),
    }
}

/// A pointer or lock file that cannot be read.
#[derive(Debug, Clone, serde::Serialize)]
pub struct BrokenPointer {
    /// The file, relative to the repository.
    pub path: RepoPath,
    /// One commit that has it; `null` in the work tree, or when the command is about one revision.
    pub commit: Option<String>,
    /// What is wrong with it.
    pub problem: String,
    /// The command that helps, if there is one.
    pub hint: Option<String>,
}

impl From<&PointerError> for BrokenPointer {
    fn from(error: &PointerError) -> Self {
        Self {
            path: error.path.clone(),
            commit: None,
            problem: error.problem.to_string(),
            hint: error.hint(),
        }
    }
}

/// All outputs of the work tree.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Those whose pointers can be read, by path.
    pub outputs: Vec<Output>,
    /// Pointers and lock files that cannot be read.
    pub broken: Vec<PointerError>,
    /// Pointers and lock files that git knows and that are no longer there.
    pub deleted: Vec<RepoPath>,
    /// What killed processes left beside them.
    pub(crate) leftovers: Vec<RepoPath>,
}

impl Outputs {
    /// The outputs, if all pointers could be read.
    ///
    /// # Errors
    /// The first pointer that could not.
    pub fn sound(mut self) -> Result<Vec<Output>> {
        if self.broken.is_empty() {
            Ok(self.outputs)
        } else {
            Err(self.broken.swap_remove(0).into())
        }
    }

    fn add_locked(&mut self, file: &RepoPath, lock: &Lock) {
        self.outputs.extend(lock.cached().map(|(path, stage, out)| {
            let of = LockedIn {
                lock: file.clone(),
                stage: stage.to_owned(),
                push: out.push,
            };
            Output::locked(path, out, of)
        }));
    }

    /// With transparent files, by path. Where there is a pointer as well, as after a merge, the pointer counts.
    fn complete(&mut self, files: Vec<TransparentFile>) {
        self.outputs.extend(files.into_iter().map(|file| Output {
            path: file.path.clone(),
            pointer: file.pointer.to_pointer(file.executable),
            mode: OutputMode::InPlace(file),
        }));
        self.outputs
            .sort_by(|a, b| (&a.path, a.stage().is_some()).cmp(&(&b.path, b.stage().is_some())));
        self.outputs
            .dedup_by(|second, first| second.path == first.path && second.stage().is_some());
    }

    /// A lock file that cannot be read may be why something was not found.
    pub(super) fn explain(&mut self, error: RepoError) -> RepoError {
        let lock = self.broken.iter().position(|error| git::is_lock_path(&error.path));
        match (error, lock) {
            (RepoError::NotTracked { .. }, Some(at)) => self.broken.swap_remove(at).into(),
            (error, _) => error,
        }
    }

    /// Without transparent files.
    #[must_use]
    pub fn beside(mut self) -> Self {
        self.outputs.retain(|output| !output.is_transparent());
        self
    }

    /// That no pointer that cannot be read stands for `path` or something around it.
    pub(super) fn readable(mut self, path: &RepoPath) -> Result<()> {
        match self.broken_around(path) {
            Some(at) => Err(self.broken.swap_remove(at).into()),
            None => Ok(()),
        }
    }

    /// Which of the pointers that cannot be read stands for `path` or something around it. A lock file that cannot be
    /// read may.
    #[must_use]
    pub fn broken_around(&self, path: &RepoPath) -> Option<usize> {
        self.broken
            .iter()
            .position(|error| git::output_path(&error.path).is_none_or(|output| path.starts_with(&output)))
    }

    /// The output at `path` or that `path` is in.
    #[must_use]
    pub fn around(&self, path: &RepoPath) -> Option<&Output> {
        self.outputs.iter().find(|output| path.starts_with(&output.path))
    }

    /// The outputs below `path`, not at it.
    pub fn below<'a>(&'a self, path: &'a RepoPath) -> impl Iterator<Item = &'a Output> {
        self.outputs
            .iter()
            .filter(move |output| output.path != *path && output.path.starts_with(path))
    }
}

impl Repository {
    /// The outputs as they are in a revision; none says in the work tree.
    ///
    /// # Errors
    /// When the revision is not known, or pointers cannot be found. Those that cannot be parsed are in the result.
    pub fn outputs_at(&self, rev: Option<&str>) -> Result<Outputs> {
        let Some(rev) = rev else { return self.outputs() };
        let mut outputs = Outputs::default();
        let (pointers, locks) = self.git.tracked_at(rev)?;
        for (path, lock) in locks {
            match lock {
                Ok(lock) => outputs.add_locked(&path, &lock),
                Err(error) => outputs.broken.push(error.into()),
            }
        }
        for (pointer_path, pointer) in pointers {
            match (git::output_path(&pointer_path), pointer) {
                (Some(path), Ok(pointer)) => outputs.outputs.push(Output {
                    path,
                    pointer,
                    mode: OutputMode::Beside,
                }),
                (_, Err(error)) => outputs.broken.push(error),
                (None, Ok(_)) => {}
            }
        }
        outputs.complete(self.git.transparent_at(rev)?);
        Ok(outputs)
    }

    /// All outputs of a revision (none: of the work tree), and what the user means of them.
    pub(super) fn select_at(&self, rev: Option<&str>, inputs: &[PathBuf]) -> Result<(Vec<Output>, Selected)> {
        let found = self.outputs_at(rev)?;
        let all = found.outputs.clone();
        match (self.select_among(found, inputs, &[]), rev) {
            (Err(RepoError::NotTracked { path, .. }), Some(rev)) => Err(RepoError::NotInRevision {
                path,
                rev: rev.to_owned(),
            }),
            (selected, _) => Ok((all, selected?)),
        }
    }

    /// Removes what killed processes left; the caller holds the workspace lock.
    pub(crate) fn remove_leftovers(&self, outputs: &Outputs) {
        if outputs.leftovers.is_empty() {
            return;
        }
        // Whoever changes a lock file does not hold the workspace lock; when they are done, theirs have their names.
        let Ok(_held) = self.hold_lock_files() else { return };
        for path in &outputs.leftovers {
            let on_disk = path.on_disk(self.root());
            // Whatever cannot be removed is in nobody's way.
            if !matches!(fs::remove_file(&on_disk), Ok(true)) {
                let _ = fs::remove_dir_all(&on_disk);
            }
        }
    }

    /// Finds and reads all pointers, beside files and in their place, and all lock files.
    ///
    /// # Errors
    /// When the work tree cannot be walked, or there is none. Pointers that cannot be parsed are in the result.
    pub fn outputs(&self) -> Result<Outputs> {
        if self.git.is_bare() {
            let git_dir = self.git.git_dir().to_owned();
            return Err(GitError::Bare { git_dir }.into());
        }
        let found = self.git.find_pointers()?;
        let mut outputs = Outputs {
            deleted: found.deleted,
            leftovers: found.leftovers,
            ..Outputs::default()
        };
        for pointer_path in found.present {
            let Some(path) = git::output_path(&pointer_path) else {
                continue;
            };
            let on_disk = pointer_path.on_disk(self.root());
            let size = fs::stat(&on_disk)?.map_or(0, |stat| stat.size);
            if size > git::MAX_POINTER {
                let problem = if git::is_large_conflict(&on_disk)? {
                    git::PointerProblem::Conflict
                } else {
                    git::PointerProblem::TooLarge(size)
                };
                outputs.broken.push(PointerError {
                    path: pointer_path,
                    problem,
                });
                continue;
            }
            let parsed = match fs::read_if_exists(&on_disk, git::MAX_POINTER * 2) {
                Ok(None) => continue,
                Ok(Some(bytes)) => Pointer::parse(&bytes, &pointer_path),
                Err(error) => Err(PointerError {
                    path: pointer_path,
                    problem: git::PointerProblem::Unreadable(error),
                }),
            };
            match parsed {
                Ok(pointer) => outputs.outputs.push(Output {
                    path,
                    pointer,
                    mode: OutputMode::Beside,
                }),
                Err(error) => outputs.broken.push(error),
            }
        }
        for file in &found.locks {
            match self.read_lock(file) {
                Ok(lock) => outputs.add_locked(file, &lock),
                Err(RepoError::Pointer(error)) => outputs.broken.push(error),
                Err(error) => return Err(error),
            }
        }
        outputs.complete(self.git.transparent_files()?);
        Ok(outputs)
    }
}
