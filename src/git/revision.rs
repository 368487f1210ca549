//! Reading pointers from revisions.

use gix::objs::{Kind, TreeRefIter};

use super::conflict::{HEADER, MAX_CONFLICT};
use super::discover::GitRepo;
use super::error::{GitError, Result};
use super::lock::{LOCK_FILE, Lock, LockError, LockProblem, MAX_LOCK};
use super::pointer::{MAX_POINTER, POINTER_SUFFIX, Pointer, PointerError, PointerProblem};
use crate::path::{Name, RepoPath};

/// What is checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// A branch without a commit yet.
    Unborn {
        /// Its name, without `refs/heads/`.
        branch: String,
    },
    /// A branch.
    Branch {
        /// Its name, without `refs/heads/`.
        branch: String,
        /// Its commit, in hex.
        commit: String,
    },
    /// A commit without a branch.
    Detached {
        /// The commit, in hex.
        commit: String,
    },
}

impl Head {
    /// The commit, in hex; `None` before the first one.
    #[must_use]
    pub fn commit(&self) -> Option<&str> {
        match self {
            Self::Unborn { .. } => None,
            Self::Branch { commit, .. } | Self::Detached { commit } => Some(commit),
        }
    }
}

/// A pointer of a revision, or why it is none.
pub type RevisionPointer = (RepoPath, std::result::Result<Pointer, PointerError>);

/// A lock file of a revision, or why it is none.
pub type RevisionLock = (RepoPath, std::result::Result<Lock, LockError>);

impl GitRepo {
    /// What is checked out.
    ///
    /// # Errors
    /// When `HEAD` cannot be read.
    pub fn head(&self) -> Result<Head> {
        let repo = self.local();
        let refs = |source: gix::Error| GitError::Refs {
            git_dir: self.git_dir().to_owned(),
            source: Box::new(source),
        };
        let mut head = repo.head().map_err(refs)?;
        let branch = head.referent_name().map(|name| name.shorten().to_string());
        let commit = head.try_peel_to_id().map_err(refs)?.map(|id| id.to_string());
        Ok(match (branch, commit) {
            (Some(branch), Some(commit)) => Head::Branch { branch, commit },
            (Some(branch), None) => Head::Unborn { branch },
            (None, commit) => Head::Detached {
                commit: commit.unwrap_or_default(),
            },
        })
    }

    /// The bytes of the file `path` in a revision; `None` if the revision has no such file (of at most
    /// [`MAX_POINTER`] bytes: a larger one is an error), or if it is `HEAD` and there is no commit yet.
    ///
    /// # Errors
    /// [`GitError::Revision`] when git does not know it, [`GitError::Object`] for missing or damaged objects.
    pub fn pointer_bytes_at(&self, rev: &str, path: &RepoPath) -> Result<Option<Vec<u8>>> {
        let repo = self.local();
        let Some(blob) = self.blob_at(&repo, rev, path)? else {
            return Ok(None);
        };
        match read_small_blob(&repo, blob)? {
            Ok(bytes) => Ok(Some(bytes)),
            Err(problem) => Err(PointerError {
                path: path.clone(),
                problem,
            }
            .into()),
        }
    }

    /// The lock file at `path` in a revision; `None` as for [`GitRepo::pointer_bytes_at`].
    ///
    /// # Errors
    /// As [`GitRepo::pointer_bytes_at`]. One that cannot be parsed is in the result.
    pub fn lock_at(&self, rev: &str, path: &RepoPath) -> Result<Option<std::result::Result<Lock, LockError>>> {
        let repo = self.local();
        let blob = self.blob_at(&repo, rev, path)?;
        blob.map(|blob| read_lock(&repo, blob, path)).transpose()
    }

    fn blob_at(&self, repo: &gix::Repository, rev: &str, path: &RepoPath) -> Result<Option<gix::ObjectId>> {
        let Some(mut tree) = self.tree_of(repo, rev)? else {
            return Ok(None);
        };
        let mut names = path.names().peekable();
        while let Some(name) = names.next() {
            let is_last = names.peek().is_none();
            let object = repo.find_object(tree).map_err(|e| GitError::object(tree, e))?;
            let found = TreeRefIter::from_bytes(&object.data, tree.kind())
                .find(|entry| entry.as_ref().is_ok_and(|entry| entry.filename == name));
            let Some(Ok(entry)) = found else {
                return Ok(None);
            };
            match (entry.mode.is_tree(), is_last) {
                (true, false) => tree = entry.oid.to_owned(),
                (false, true) if entry.mode.is_blob() => return Ok(Some(entry.oid.to_owned())),
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The bytes of a file at the top of what is checked out, or would be in a bare repository; `None` if there is none.
    ///
    /// # Errors
    /// As [`GitRepo::pointer_bytes_at`].
    pub fn file_of_head(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let repo = self.local();
        let Some(tree) = self.tree_of(&repo, "HEAD")? else {
            return Ok(None);
        };
        let object = repo.find_object(tree).map_err(|e| GitError::object(tree, e))?;
        let mut entries = TreeRefIter::from_bytes(&object.data, tree.kind()).flatten();
        let Some(entry) = entries.find(|entry| entry.filename == name && entry.mode.is_blob()) else {
            return Ok(None);
        };
        let id = entry.oid.to_owned();
        let mut blob = repo.find_blob(id).map_err(|e| GitError::object(id, e))?;
        Ok(Some(blob.take_data()))
    }

    /// The pointer of a revision that `path` belongs to: that of the output at or around it, or the pointer at `path`
    /// itself.
    ///
    /// # Errors
    /// As [`GitRepo::pointer_bytes_at`]. A pointer that cannot be parsed is in the result, not an error of its own.
    pub fn pointer_around(&self, rev: &str, path: &RepoPath) -> Result<Option<RevisionPointer>> {
        let repo = self.local();
        let Some(mut tree) = self.tree_of(&repo, rev)? else {
            return Ok(None);
        };
        let mut dir = RepoPath::root();
        for name in path.names() {
            let entries = PointerEntries::of(&repo, tree)?;
            let pointer = [name, POINTER_SUFFIX.as_bytes()].concat();
            let found = entries.pointers.iter().find(|(name, _)| name.as_bytes() == pointer);
            let itself = || entries.pointers.iter().find(|(pointer, _)| pointer.as_bytes() == name);
            if let Some((name, blob)) = found.or_else(itself) {
                let path = dir.join(name);
                let pointer = read_pointer(&repo, *blob, &path)?;
                return Ok(Some((path, pointer)));
            }
            let Some((below, id)) = entries.trees.into_iter().find(|(tree, _)| tree == name) else {
                return Ok(None);
            };
            dir = dir.join(&entry_name(&below, tree)?);
            tree = id;
        }
        Ok(None)
    }

    /// All pointers in the tree of a revision, sorted by path; none if it is `HEAD` and there is no commit yet.
    ///
    /// # Errors
    /// As [`GitRepo::pointer_bytes_at`]. A pointer that cannot be parsed is in the result, not an error of its own.
    pub fn pointers_at(&self, rev: &str) -> Result<Vec<RevisionPointer>> {
        Ok(self.tracked_at(rev)?.0)
    }

    /// All pointers, and all lock files, in the tree of a revision, each sorted by path.
    ///
    /// # Errors
    /// As [`GitRepo::pointers_at`].
    pub fn tracked_at(&self, rev: &str) -> Result<(Vec<RevisionPointer>, Vec<RevisionLock>)> {
        let repo = self.local();
        let (mut blobs, mut locks) = (Vec::new(), Vec::new());
        let mut pending: Vec<_> = self
            .tree_of(&repo, rev)?
            .map(|tree| (RepoPath::root(), tree))
            .into_iter()
            .collect();
        while let Some((dir, tree)) = pending.pop() {
            let entries = PointerEntries::of(&repo, tree)?;
            blobs.extend(entries.pointers.iter().map(|(name, id)| (dir.join(name), *id)));
            locks.extend(entries.lock.iter().map(|(name, id)| (dir.join(name), *id)));
            for (name, id) in entries.trees {
                pending.push((dir.join(&entry_name(&name, tree)?), id));
            }
        }
        blobs.sort_unstable();
        locks.sort_unstable();
        let pointers = blobs.into_iter().map(|(path, id)| {
            let pointer = read_pointer(&repo, id, &path)?;
            Ok((path, pointer))
        });
        let locks = locks.into_iter().map(|(path, id)| {
            let lock = read_lock(&repo, id, &path)?;
            Ok((path, lock))
        });
        Ok((pointers.collect::<Result<_>>()?, locks.collect::<Result<_>>()?))
    }

    pub(super) fn tree_of(&self, repo: &gix::Repository, rev: &str) -> Result<Option<gix::ObjectId>> {
        if rev == "HEAD" && self.head()?.commit().is_none() {
            return Ok(None);
        }
        let id = self.resolve_one(repo, rev)?;
        let object = repo.find_object(id).map_err(|e| GitError::object(id, e))?;
        let tree = object.peel_to_kind(Kind::Tree).map_err(|source| GitError::Revision {
            rev: rev.to_owned(),
            shallow: false,
            source: Some(source.into()),
        })?;
        Ok(Some(tree.id))
    }
}

/// What one tree says about pointers.
#[derive(Default)]
pub(super) struct PointerEntries {
    pub(super) pointers: Vec<(Name, gix::ObjectId)>,
    /// Its lock file.
    pub(super) lock: Option<(Name, gix::ObjectId)>,
    /// Names are not checked yet.
    pub(super) trees: Vec<(Vec<u8>, gix::ObjectId)>,
    /// Its `.gitattributes`.
    pub(super) attributes: Option<gix::ObjectId>,
}

impl PointerEntries {
    pub(super) fn of(repo: &gix::Repository, tree: gix::ObjectId) -> Result<Self> {
        let object = repo.find_object(tree).map_err(|e| GitError::object(tree, e))?;
        if object.kind != Kind::Tree {
            return Err(GitError::object(tree, format!("it is a {}, not a tree", object.kind)));
        }
        let mut entries = Self {
            pointers: Vec::new(),
            lock: None,
            trees: Vec::new(),
            attributes: None,
        };
        for entry in TreeRefIter::from_bytes(&object.data, tree.kind()) {
            let entry = entry.map_err(|e| GitError::object(tree, e))?;
            let name: &[u8] = entry.filename;
            if entry.mode.is_tree() {
                entries.trees.push((name.to_vec(), entry.oid.to_owned()));
            } else if entry.mode.is_blob() && name == super::transparent::ATTRIBUTES_FILE.as_bytes() {
                entries.attributes = Some(entry.oid.to_owned());
            } else if entry.mode.is_blob() && name == LOCK_FILE.as_bytes() {
                entries.lock = Some((entry_name(name, tree)?, entry.oid.to_owned()));
            } else if entry.mode.is_blob()
                && name.ends_with(POINTER_SUFFIX.as_bytes())
                && name.len() > POINTER_SUFFIX.len()
            {
                entries.pointers.push((entry_name(name, tree)?, entry.oid.to_owned()));
            }
        }
        Ok(entries)
    }
}

pub(super) fn entry_name(name: &[u8], tree: gix::ObjectId) -> Result<Name> {
    Name::new(name).map_err(|source| GitError::InvalidPath {
        place: format!("tree {tree}"),
        source,
    })
}

/// Reads the pointer in a blob. The outer error is git's, the inner one the pointer's.
pub(super) fn read_pointer(
    repo: &gix::Repository,
    id: gix::ObjectId,
    path: &RepoPath,
) -> Result<std::result::Result<Pointer, PointerError>> {
    Ok(match read_small_blob(repo, id)? {
        Ok(bytes) => Pointer::parse(&bytes, path),
        Err(problem) => Err(PointerError {
            path: path.clone(),
            problem,
        }),
    })
}

/// Reads the lock file in a blob. The outer error is git's, the inner one the lock file's.
pub(super) fn read_lock(
    repo: &gix::Repository,
    id: gix::ObjectId,
    path: &RepoPath,
) -> Result<std::result::Result<Lock, LockError>> {
    let size = repo.find_header(id).map_err(|e| GitError::object(id, e))?.size();
    if size > MAX_LOCK {
        return Ok(Err(LockError {
            path: path.clone(),
            problem: LockProblem::TooLarge(size),
        }));
    }
    let blob = repo.find_blob(id).map_err(|e| GitError::object(id, e))?;
    Ok(Lock::parse(&blob.data, path))
}

fn read_small_blob(
    repo: &gix::Repository,
    id: gix::ObjectId,
) -> Result<std::result::Result<Vec<u8>, PointerProblem>> {
    let size = repo.find_header(id).map_err(|e| GitError::object(id, e))?.size();
    if size > MAX_POINTER {
        // One in conflict may be larger.
        let is_conflict = size <= MAX_CONFLICT
            && repo
                .find_blob(id)
                .map_err(|e| GitError::object(id, e))?
                .data
                .starts_with(HEADER.as_bytes());
        return Ok(Err(if is_conflict {
            PointerProblem::Conflict
        } else {
            PointerProblem::TooLarge(size)
        }));
    }
    let mut blob = repo.find_blob(id).map_err(|e| GitError::object(id, e))?;
    Ok(Ok(blob.take_data()))
}
