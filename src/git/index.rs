//! Reading git's index: what is tracked by git.

use gix::bstr::ByteSlice as _;
use gix::index::entry::{Flags, Mode, Stage};

use super::discover::GitRepo;
use super::error::{GitError, Result};
use super::lock::{LOCK_FILE, is_lock_path};
use super::pointer::{POINTER_SUFFIX, is_pointer_path};
use crate::path::RepoPath;

/// The paths in git's index at one moment.
pub struct Tracked {
    pub(super) index: gix::index::File,
}

/// A pointer or lock file in the index.
pub(super) struct IndexedPointer {
    pub(super) path: RepoPath,
    pub(super) blob: gix::ObjectId,
    /// Whether a sparse checkout leaves it out of the work tree on purpose.
    pub(super) absent: bool,
}

impl GitRepo {
    /// Reads the index; one that does not exist is empty.
    ///
    /// # Errors
    /// [`GitError::Index`] when it is damaged.
    pub fn tracked(&self) -> Result<Tracked> {
        Tracked::read(&self.local(), self.index_path())
    }

    /// The files in git's index at or below each of `paths`, in index order, each once.
    ///
    /// # Errors
    /// As [`GitRepo::tracked`].
    pub fn tracked_under(&self, paths: &[RepoPath]) -> Result<Vec<RepoPath>> {
        let tracked = self.tracked()?;
        let mut found = Vec::new();
        for path in paths {
            found.extend(tracked.under(path)?);
        }
        let mut seen = std::collections::HashSet::new();
        found.retain(|path| seen.insert(path.clone()));
        Ok(found)
    }
}

impl Tracked {
    /// Reads the index of `repo` from `path`.
    pub(super) fn read(repo: &gix::Repository, path: &std::path::Path) -> Result<Self> {
        let error = |source: gix::Error| GitError::Index {
            path: path.to_owned(),
            source: Box::new(source),
        };
        let index = if crate::fs::stat(path)?.is_none_or(|stat| stat.size == 0) {
            gix::index::File::from_state(gix::index::State::new(repo.object_hash()), path.to_owned())
        } else {
            let options = gix::index::decode::Options::default();
            gix::index::File::at(path, repo.object_hash(), false, options).map_err(error)?
        };
        Ok(Self { index })
    }

    /// Whether the index has a file of this path, at whatever stage of a merge.
    #[must_use]
    pub fn contains(&self, path: &RepoPath) -> bool {
        self.index.entry_range(path.as_bytes().as_bstr()).is_some()
    }

    /// Whether the index still has this pointer in the place of this file.
    pub(super) fn has(&self, file: &super::TransparentFile) -> bool {
        let path = file.path.as_bytes().as_bstr();
        let entry = self.index.entry_by_path_and_stage(path, Stage::Unconflicted);
        entry.is_some_and(|entry| entry.id == file.blob() && (entry.mode == Mode::FILE_EXECUTABLE) == file.executable)
    }

    /// The files at or below `path`, in index order. Of a directory that a sparse index keeps as one entry, the
    /// directory.
    ///
    /// # Errors
    /// [`GitError::InvalidPath`] for a damaged index.
    pub fn under(&self, path: &RepoPath) -> Result<Vec<RepoPath>> {
        let mut prefix = path.as_bytes().to_vec();
        if !path.is_root() {
            prefix.push(b'/');
        }
        let own = self.index.entry_range(path.as_bytes().as_bstr()).into_iter().flatten();
        let below = self
            .index
            .prefixed_entries_range(prefix.as_bstr())
            .into_iter()
            .flatten();
        let mut paths = Vec::new();
        for at in own.chain(below) {
            let path = entry_path(self.index.entries()[at].path(&self.index))?;
            if paths.last() != Some(&path) {
                paths.push(path);
            }
        }
        // A sparse index may hold a directory above `path` as one entry.
        let mut above = path.parent();
        while let Some(dir) = above.filter(|dir| !dir.is_root()) {
            let entry = [dir.as_bytes(), b"/"].concat();
            if self.index.entry_by_path(entry.as_bstr()).is_some() {
                paths.push(dir.clone());
            }
            above = dir.parent();
        }
        Ok(paths)
    }

    /// Every pointer file, at every stage of a merge.
    pub(super) fn pointers(&self) -> Result<Vec<IndexedPointer>> {
        self.named(POINTER_SUFFIX, is_pointer_path)
    }

    /// Every lock file, at every stage of a merge.
    pub(super) fn locks(&self) -> Result<Vec<IndexedPointer>> {
        self.named(LOCK_FILE, is_lock_path)
    }

    fn named(&self, end: &str, is: fn(&RepoPath) -> bool) -> Result<Vec<IndexedPointer>> {
        let mut found = Vec::new();
        for entry in self.index.entries() {
            let path = entry.path(&self.index);
            if !path.ends_with(end.as_bytes()) || !matches!(entry.mode, Mode::FILE | Mode::FILE_EXECUTABLE) {
                continue;
            }
            let path = entry_path(path)?;
            if is(&path) {
                found.push(IndexedPointer {
                    path,
                    blob: entry.id,
                    absent: entry.flags.contains(Flags::SKIP_WORKTREE),
                });
            }
        }
        Ok(found)
    }

    /// Every `.gitattributes`, at every stage of a merge.
    pub(super) fn attributes(&self) -> impl Iterator<Item = gix::ObjectId> {
        let name = super::transparent::ATTRIBUTES_FILE.as_bytes();
        self.blobs()
            .filter(move |(_, path)| path.rsplit(|&b| b == b'/').next() == Some(name))
            .map(|(id, _)| id)
    }

    /// The blob and path of every file, at every stage of a merge; not those that are only intended to be added.
    pub(super) fn blobs(&self) -> impl Iterator<Item = (gix::ObjectId, &[u8])> {
        let is_file = |mode| matches!(mode, Mode::FILE | Mode::FILE_EXECUTABLE);
        self.index
            .entries()
            .iter()
            .filter(move |entry| is_file(entry.mode) && !entry.flags.contains(Flags::INTENT_TO_ADD))
            .map(|entry| (entry.id, entry.path(&self.index).as_ref()))
    }

    /// The trees of directories that a sparse index keeps as one entry.
    pub(super) fn sparse_dirs(&self) -> impl Iterator<Item = gix::ObjectId> {
        self.index
            .entries()
            .iter()
            .filter(|e| e.mode == Mode::DIR)
            .map(|e| e.id)
    }
}

pub(super) fn entry_path(path: &gix::bstr::BStr) -> Result<RepoPath> {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    RepoPath::new(path).map_err(|source| GitError::InvalidPath {
        place: "index".to_owned(),
        source,
    })
}
