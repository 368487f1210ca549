//! Finding the repository and its directories.

use std::path::{Path, PathBuf};

use gix::discover::upwards;
use gix::open::Options;
use gix::sec::trust::Mapping;

use super::error::{GitError, Result};
use crate::fs;

/// A git repository, with a work tree unless it was asked for otherwise. Cheap to share between threads.
#[derive(Clone)]
pub struct GitRepo {
    repo: gix::ThreadSafeRepository,
    root: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    index_path: PathBuf,
    bare: bool,
}

impl std::fmt::Debug for GitRepo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GitRepo({})", self.root.display())
    }
}

impl GitRepo {
    /// Finds the repository whose work tree holds `start`: a main or linked work tree, or a submodule.
    ///
    /// # Errors
    /// [`GitError::NotARepository`], [`GitError::Bare`], [`GitError::Untrusted`] when git's own rule about owners
    /// (`safe.directory`) refuses it, [`GitError::RefStorage`], or [`GitError::Open`] for a damaged one.
    pub fn discover(start: &Path) -> Result<Self> {
        Self::find(start, false)
    }

    /// As [`GitRepo::discover`], also for a bare repository, for what needs no work tree: its root is the git directory.
    ///
    /// # Errors
    /// As [`GitRepo::discover`], without [`GitError::Bare`].
    pub fn discover_or_bare(start: &Path) -> Result<Self> {
        Self::find(start, true)
    }

    fn find(start: &Path, bare: bool) -> Result<Self> {
        let start = fs::canonicalize(start)?;
        let options = |options: Options| options.bail_if_untrusted(true);
        let repo = gix::ThreadSafeRepository::discover_opts(
            &start,
            upwards::Options::default(),
            Mapping {
                full: options(Options::default()),
                reduced: options(Options::default()),
            },
        )
        .map_err(|source| discover_error(&start, source))?;
        Self::from_gix(repo, &start, bare)
    }

    /// The same for a repository that is open; `start` is for errors.
    fn from_gix(repo: gix::ThreadSafeRepository, start: &Path, bare: bool) -> Result<Self> {
        let local = repo.to_thread_local();
        let git_dir = fs::canonicalize(local.git_dir())?;
        let mut index_path = local.index_path();
        let foreign_index = belongs_to_another(&index_path, &git_dir);
        if foreign_index || has_forced_work_tree(&local) {
            if foreign_index {
                index_path = git_dir.join("index");
            }
            return Self::without_environment(&git_dir, index_path, start);
        }
        let root = match local.workdir() {
            Some(root) => fs::canonicalize(root)?,
            None if bare => git_dir.clone(),
            None => return Err(GitError::Bare { git_dir }),
        };
        if let Some(storage) = local.config_snapshot().string("extensions.refStorage")
            && storage != "files"
        {
            return Err(GitError::RefStorage {
                git_dir,
                storage: storage.to_string(),
            });
        }
        let common_dir = fs::canonicalize(local.common_dir())?;
        let bare = local.workdir().is_none();
        Ok(Self {
            repo,
            root,
            git_dir,
            common_dir,
            index_path,
            bare,
        })
    }

    /// Opens it with its own work tree although `GIT_WORK_TREE` or `GIT_INDEX_FILE` belong to another repository.
    fn without_environment(git_dir: &Path, index_path: PathBuf, start: &Path) -> Result<Self> {
        let mut permissions = gix::open::Permissions::all();
        permissions.env.git_prefix = gix::sec::Permission::Deny;
        let repo = Options::default()
            .permissions(permissions)
            .bail_if_untrusted(true)
            .open(git_dir)
            .map_err(|source| discover_error(start, source))?;
        let local = repo.to_thread_local();
        let Some(root) = local.workdir() else {
            return Err(GitError::Bare {
                git_dir: git_dir.to_owned(),
            });
        };
        Ok(Self {
            root: fs::canonicalize(root)?,
            git_dir: git_dir.to_owned(),
            common_dir: fs::canonicalize(local.common_dir())?,
            index_path,
            repo,
            bare: false,
        })
    }

    /// Whether there is no work tree.
    #[must_use]
    pub const fn is_bare(&self) -> bool {
        self.bare
    }

    /// The top of the work tree, or of a bare repository; absolute, without symbolic links.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The git directory of this work tree (`.git`, or `.git/worktrees/NAME` of the main one); absolute.
    #[must_use]
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The git directory that all work trees of the repository share; absolute.
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// The index file: of the work tree, or the one a hook was given in `GIT_INDEX_FILE`.
    #[must_use]
    pub fn index_path(&self) -> &Path {
        &self.index_path
    }

    /// A handle for this thread.
    pub(super) fn local(&self) -> gix::Repository {
        self.repo.to_thread_local()
    }
}

/// Whether `GIT_WORK_TREE` decided where the work tree is.
fn has_forced_work_tree(repo: &gix::Repository) -> bool {
    let config = repo.config_snapshot();
    config.plumbing().sections_by_name("core").is_some_and(|mut sections| {
        sections.any(|section| {
            section.meta().source == gix::config::Source::EnvOverride && section.value("worktree").is_some()
        })
    })
}

/// Whether an index file lies in a git directory that is not this one.
fn belongs_to_another(index: &Path, git_dir: &Path) -> bool {
    let Some(dir) = index.parent().and_then(|dir| fs::canonicalize(dir).ok()) else {
        return false;
    };
    dir != git_dir && gix::discover::is_git(&dir).is_ok()
}

fn discover_error(start: &Path, source: gix::Error) -> GitError {
    let start = start.to_owned();
    match source.downcast_any_ref::<upwards::Error>() {
        Some(upwards::Error::NoTrustedGitRepository { candidate, .. }) => GitError::Untrusted {
            root: candidate.clone(),
            source: Box::new(source),
        },
        Some(_) => GitError::NotARepository { start },
        None if source.is_permission_denied() => GitError::Untrusted {
            root: start,
            source: Box::new(source),
        },
        None => GitError::Open {
            start,
            source: Box::new(source),
        },
    }
}
