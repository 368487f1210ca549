//! The tracked outputs of the work tree: what its pointers say.

use std::path::PathBuf;

use super::{RepoError, Repository, Result, Selected};
use crate::fs;
use crate::git::{self, GitError, Pointer, PointerContent, PointerError, TransparentFile};
use crate::object::Root;
use crate::path::RepoPath;

/// A tracked file or directory.
#[derive(Debug, Clone)]
pub struct Output {
    /// Where it is.
    pub path: RepoPath,
    /// What its pointer says.
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

    /// Where git has its pointer.
    ///
    /// # Errors
    /// When the path has no pointer; never for an output that was found by its pointer.
    pub fn pointer_path(&self) -> Result<RepoPath> {
        match self.mode {
            OutputMode::Beside => Ok(git::pointer_path(&self.path)?),
            OutputMode::InPlace(_) => Ok(self.path.clone()),
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

/// A pointer that cannot be read.
#[derive(Debug, Clone, serde::Serialize)]
pub struct BrokenPointer {
    /// The pointer file, relative to the repository.
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
    /// Pointers that cannot be read.
    pub broken: Vec<PointerError>,
    /// Pointers that git knows and that are no longer there.
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

    fn add_transparent(&mut self, files: Vec<TransparentFile>) {
        self.outputs.extend(files.into_iter().map(|file| Output {
            path: file.path.clone(),
            pointer: file.pointer.to_pointer(file.executable),
            mode: OutputMode::InPlace(file),
        }));
        self.outputs.sort_by(|a, b| a.path.cmp(&b.path));
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

    /// Which of the pointers that cannot be read stands for `path` or something around it.
    #[must_use]
    pub fn broken_around(&self, path: &RepoPath) -> Option<usize> {
        self.broken
            .iter()
            .position(|error| git::output_path(&error.path).is_some_and(|output| path.starts_with(&output)))
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
        for (pointer_path, pointer) in self.git.pointers_at(rev)? {
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
        outputs.add_transparent(self.git.transparent_at(rev)?);
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
        for path in &outputs.leftovers {
            let on_disk = path.on_disk(self.root());
            // Whatever cannot be removed is in nobody's way.
            if !matches!(fs::remove_file(&on_disk), Ok(true)) {
                let _ = fs::remove_dir_all(&on_disk);
            }
        }
    }

    /// Finds and reads all pointers, beside files and in their place.
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
        outputs.add_transparent(self.git.transparent_files()?);
        Ok(outputs)
    }
}
