//! The tracked outputs of the work tree: what its pointers say.

use std::path::PathBuf;

use super::{BrokenPointer, RepoError, Repository, Result, Target};
use crate::fs;
use crate::git::{self, Pointer, PointerContent, PointerError};
use crate::object::Root;
use crate::path::RepoPath;

/// A tracked file or directory.
#[derive(Debug, Clone)]
pub struct Output {
    /// Where it is.
    pub path: RepoPath,
    /// What its pointer says.
    pub pointer: Pointer,
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

    /// Its pointer file.
    ///
    /// # Errors
    /// When the path has no pointer; never for an output that was found by its pointer.
    pub fn pointer_path(&self) -> Result<RepoPath> {
        Ok(git::pointer_path(&self.path)?)
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

/// All outputs of the work tree.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Those whose pointers can be read, by path.
    pub outputs: Vec<Output>,
    /// Pointers that cannot be read.
    pub broken: Vec<PointerError>,
    /// Pointers that git knows and that are no longer there.
    pub deleted: Vec<RepoPath>,
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

    /// Why `path` is not to be had from them, when they are of a revision.
    pub(super) fn not_in(self, rev: &str, path: RepoPath) -> RepoError {
        let belongs = |error: &PointerError| {
            error.path == path || git::output_path(&error.path).is_some_and(|output| path.starts_with(&output))
        };
        match self.broken.into_iter().find(belongs) {
            Some(error) => error.into(),
            None => RepoError::NotInRevision {
                path,
                rev: rev.to_owned(),
            },
        }
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

/// What the user means of the outputs of the work tree or a revision.
pub(super) struct Selected {
    /// All outputs.
    pub(super) all: Vec<Output>,
    /// Those that are meant.
    pub(super) targets: Vec<Target>,
    /// Pointers of a revision that cannot be read, as far as they are meant.
    pub(super) broken: Vec<BrokenPointer>,
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
                (Some(path), Ok(pointer)) => outputs.outputs.push(Output { path, pointer }),
                (_, Err(error)) => outputs.broken.push(error),
                (None, Ok(_)) => {}
            }
        }
        outputs.outputs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(outputs)
    }

    /// What the user means of the outputs of a revision (none: of the work tree). A pointer that cannot be read is an
    /// error in the work tree, where it can be mended, and when it is named; in a revision it is passed over.
    pub(super) fn select_at(&self, rev: Option<&str>, inputs: &[PathBuf]) -> Result<Selected> {
        let found = self.outputs_at(rev)?;
        let Some(rev) = rev else {
            let all = found.sound()?;
            return Ok(Selected {
                targets: self.select(&all, inputs)?,
                all,
                broken: Vec::new(),
            });
        };
        let targets = match self.select(&found.outputs, inputs) {
            Err(RepoError::NotTracked { path, .. }) => return Err(found.not_in(rev, path)),
            targets => targets?,
        };
        let typed = inputs
            .iter()
            .map(|input| self.path_of(input))
            .collect::<Result<Vec<_>>>()?;
        let meant = |error: &&PointerError| typed.is_empty() || typed.iter().any(|path| error.path.starts_with(path));
        Ok(Selected {
            targets,
            broken: found.broken.iter().filter(meant).map(BrokenPointer::from).collect(),
            all: found.outputs,
        })
    }

    /// Finds and reads all pointers.
    ///
    /// # Errors
    /// When the work tree cannot be walked. Pointers that cannot be parsed are in the result.
    pub fn outputs(&self) -> Result<Outputs> {
        let found = self.git.find_pointers()?;
        let mut outputs = Outputs {
            deleted: found.deleted,
            ..Outputs::default()
        };
        for pointer_path in found.present {
            let Some(path) = git::output_path(&pointer_path) else {
                continue;
            };
            let on_disk = pointer_path.on_disk(self.root());
            let size = fs::stat(&on_disk)?.map_or(0, |stat| stat.size);
            if size > git::MAX_POINTER {
                outputs.broken.push(PointerError {
                    path: pointer_path,
                    problem: git::PointerProblem::TooLarge(size),
                });
                continue;
            }
            let Some(bytes) = fs::read_if_exists(&on_disk, git::MAX_POINTER * 2)? else {
                continue;
            };
            match Pointer::parse(&bytes, &pointer_path) {
                Ok(pointer) => outputs.outputs.push(Output { path, pointer }),
                Err(error) => outputs.broken.push(error),
            }
        }
        outputs.outputs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(outputs)
    }
}
