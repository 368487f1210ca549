//! The tracked outputs of the work tree: what its pointers say.

use super::{Repository, Result};
use crate::fs;
use crate::git::{self, Pointer, PointerContent, PointerError, TransparentFile};
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

    /// Without transparent files.
    #[must_use]
    pub fn beside(mut self) -> Self {
        self.outputs.retain(|output| !output.is_transparent());
        self
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
    /// Finds and reads all pointers, beside files and in their place.
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
                Ok(pointer) => outputs.outputs.push(Output {
                    path,
                    pointer,
                    mode: OutputMode::Beside,
                }),
                Err(error) => outputs.broken.push(error),
            }
        }
        let transparent = self.git.transparent_files()?;
        outputs.outputs.extend(transparent.into_iter().map(|file| Output {
            path: file.path.clone(),
            pointer: file.pointer.to_pointer(file.executable),
            mode: OutputMode::InPlace(file),
        }));
        outputs.outputs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(outputs)
    }
}
