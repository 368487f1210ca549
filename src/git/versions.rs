//! The versions of the tracked data in a part of history.
//!
//! As in [`super::liveness`], every tree of every commit is looked at, each once for each place where it stands, and
//! objects are read as they are, without the replacements of `git replace`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::discover::GitRepo;
use super::error::{GitError, Result};
use super::pointer::{Pointer, PointerError};
use super::revision::{PointerEntries, entry_name, read_pointer};
use super::scope::Scope;
use crate::path::RepoPath;
use crate::progress::Progress;

/// Memory for trees that are read again and again.
const OBJECT_CACHE: usize = 8 * 1024 * 1024;

/// A pointer as it is in a commit.
#[derive(Debug, Clone)]
pub struct Version {
    /// The pointer's file.
    pub path: RepoPath,
    /// What it says.
    pub pointer: Arc<Pointer>,
    /// One commit (or tree) that has it, in hex.
    pub commit: String,
}

/// A pointer in history that cannot be read.
#[derive(Debug)]
pub struct BrokenVersion {
    /// Why.
    pub error: PointerError,
    /// One commit (or tree) that has it, in hex.
    pub commit: String,
}

/// The pointers of a part of history.
#[derive(Debug, Default)]
pub struct Versions {
    /// Each pointer file as each of its versions once, the newest commits first.
    pub versions: Vec<Version>,
    /// Those that cannot be read.
    pub broken: Vec<BrokenVersion>,
}

impl GitRepo {
    /// The pointers of the commits of a scope: each file with each of its contents once. What is not committed is not
    /// looked at, whatever [`Scope::workspace`] says.
    ///
    /// # Errors
    /// When a revision or date is not known, or an object is missing or damaged; nothing is skipped.
    pub fn versions(&self, scope: &Scope, progress: &Progress) -> Result<Versions> {
        let mut repo = self.local();
        repo.objects.ignore_replacements = true;
        repo.object_cache_size_if_unset(OBJECT_CACHE);
        let mut tips = self.scope_tips(&repo, scope)?;
        if scope.all_commits {
            tips.extend(self.all_commits()?);
        }
        let mut search = Search {
            repo: &repo,
            progress,
            commits: HashSet::new(),
            trees: HashSet::new(),
            seen: HashSet::new(),
            found: Vec::new(),
        };
        for tip in tips {
            search.add(tip)?;
        }
        search.finish()
    }
}

struct Search<'a> {
    repo: &'a gix::Repository,
    progress: &'a Progress,
    commits: HashSet<gix::ObjectId>,
    trees: HashSet<(RepoPath, gix::ObjectId)>,
    seen: HashSet<(RepoPath, gix::ObjectId)>,
    /// Path, blob and commit.
    found: Vec<(RepoPath, gix::ObjectId, gix::ObjectId)>,
}

impl Search<'_> {
    fn add(&mut self, tip: gix::ObjectId) -> Result<()> {
        if !self.commits.insert(tip) {
            return Ok(());
        }
        self.progress.check()?;
        let object = self.repo.find_object(tip).map_err(|e| GitError::object(tip, e))?;
        let object = object.peel_tags_to_end().map_err(|e| GitError::object(tip, e))?;
        // A blob that a tag names has no path.
        if object.kind == gix::objs::Kind::Blob {
            return Ok(());
        }
        let commit = object.id;
        let tree = object.peel_to_tree().map_err(|e| GitError::object(commit, e))?;
        let mut pending = vec![(RepoPath::root(), tree.id)];
        while let Some(place) = pending.pop() {
            if self.trees.contains(&place) {
                continue;
            }
            let (dir, tree) = &place;
            let entries = PointerEntries::of(self.repo, *tree)?;
            for (name, blob) in entries.pointers {
                let version = (dir.join(&name), blob);
                if self.seen.insert(version.clone()) {
                    self.found.push((version.0, blob, commit));
                }
            }
            for (name, id) in entries.trees {
                pending.push((dir.join(&entry_name(&name, *tree)?), id));
            }
            self.trees.insert(place);
        }
        Ok(())
    }

    fn finish(self) -> Result<Versions> {
        let mut known: HashMap<gix::ObjectId, Arc<Pointer>> = HashMap::new();
        let mut versions = Versions::default();
        for (path, blob, commit) in self.found {
            self.progress.check()?;
            let commit = commit.to_string();
            let pointer = if let Some(pointer) = known.get(&blob) {
                Arc::clone(pointer)
            } else {
                match read_pointer(self.repo, blob, &path)? {
                    Ok(pointer) => {
                        let pointer = Arc::new(pointer);
                        known.insert(blob, Arc::clone(&pointer));
                        pointer
                    }
                    Err(error) => {
                        versions.broken.push(BrokenVersion { error, commit });
                        continue;
                    }
                }
            };
            versions.versions.push(Version { path, pointer, commit });
        }
        Ok(versions)
    }
}
