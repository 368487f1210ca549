//! The versions of the tracked data in a part of history.
//!
//! As in [`super::liveness`], every tree of every commit is looked at, each once for each place where it stands, and
//! objects are read as they are, without the replacements of `git replace`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::discover::GitRepo;
use super::error::{GitError, Result};
use super::pointer::{Pointer, PointerContent, PointerError};
use super::revision::{PointerEntries, entry_name, read_lock, read_pointer};
use super::scope::Scope;
use super::transparent::{TransparentFile, TransparentPointer, mentions, transparent_in};
use crate::path::RepoPath;
use crate::progress::Progress;

/// Memory for trees that are read again and again.
const OBJECT_CACHE: usize = 8 * 1024 * 1024;

/// A pointer as it is in a commit.
#[derive(Debug, Clone)]
pub struct Version {
    /// The pointer's file; of an output of a stage, the output.
    pub path: RepoPath,
    /// What it says.
    pub pointer: Arc<Pointer>,
    /// The transparent file that it is in the place of.
    pub transparent: Option<TransparentFile>,
    /// The stage that made it, if a lock file names it.
    pub stage: Option<LockedIn>,
    /// One commit (or tree) that has it, in hex.
    pub commit: String,
}

/// Where a lock file names an output.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LockedIn {
    /// The lock file.
    pub lock: RepoPath,
    /// The stage.
    pub stage: String,
    /// Whether the output is pushed.
    pub push: bool,
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
            trees: HashMap::new(),
            attributes: HashSet::new(),
            seen: HashSet::new(),
            found: Vec::new(),
            locks: Vec::new(),
        };
        for tip in tips {
            search.add(tip)?;
        }
        let transparent = search.transparent(self.may_be_transparent(&self.tracked()?)?)?;
        let mut versions = search.finish()?;
        versions.versions.extend(transparent);
        Ok(versions)
    }
}

struct Search<'a> {
    repo: &'a gix::Repository,
    progress: &'a Progress,
    commits: HashSet<gix::ObjectId>,
    /// With one commit that has it.
    trees: HashMap<(RepoPath, gix::ObjectId), gix::ObjectId>,
    /// Every `.gitattributes` that was met.
    attributes: HashSet<gix::ObjectId>,
    seen: HashSet<(RepoPath, gix::ObjectId)>,
    /// Path, blob and commit.
    found: Vec<(RepoPath, gix::ObjectId, gix::ObjectId)>,
    /// The same of lock files.
    locks: Vec<(RepoPath, gix::ObjectId, gix::ObjectId)>,
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
            if self.trees.contains_key(&place) {
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
            if let Some((name, blob)) = entries.lock {
                let version = (dir.join(&name), blob);
                if self.seen.insert(version.clone()) {
                    self.locks.push((version.0, blob, commit));
                }
            }
            for (name, id) in entries.trees {
                pending.push((dir.join(&entry_name(&name, *tree)?), id));
            }
            self.attributes.extend(entries.attributes);
            self.trees.insert(place, commit);
        }
        Ok(())
    }

    /// The versions of transparent files, if there may be any: `suspected`, or some attributes that were met name the
    /// filter. Each path with each of its contents once.
    fn transparent(&mut self, suspected: bool) -> Result<Vec<Version>> {
        let mut suspected = suspected;
        for id in &self.attributes {
            let blob = self.repo.find_blob(*id).map_err(|e| GitError::object(id, e))?;
            suspected = suspected || mentions(&blob.data);
        }
        let mut found = Vec::new();
        if !suspected {
            return Ok(found);
        }
        let mut known: HashMap<gix::ObjectId, Option<TransparentPointer>> = HashMap::new();
        for ((dir, tree), commit) in &self.trees {
            self.progress.check()?;
            for file in transparent_in(self.repo, dir, *tree, &mut known)? {
                let version = (file.path.clone(), file.blob());
                if self.seen.insert(version) {
                    found.push(Version {
                        path: file.path.clone(),
                        pointer: Arc::new(file.pointer.to_pointer(file.executable)),
                        transparent: Some(file),
                        stage: None,
                        commit: commit.to_string(),
                    });
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path).then_with(|| a.commit.cmp(&b.commit)));
        Ok(found)
    }

    /// What the lock files name, each output with each of its contents once.
    fn add_locked(&mut self, versions: &mut Versions) -> Result<()> {
        let mut known: HashSet<(RepoPath, PointerContent, Option<String>, bool)> = HashSet::new();
        for (lock, blob, commit) in std::mem::take(&mut self.locks) {
            self.progress.check()?;
            let read = match read_lock(self.repo, blob, &lock)? {
                Ok(read) => read,
                Err(error) => {
                    versions.broken.push(BrokenVersion {
                        error: error.into(),
                        commit: commit.to_string(),
                    });
                    continue;
                }
            };
            for (path, stage, out) in read.cached() {
                if known.insert((path.clone(), out.content, out.remote.clone(), out.push)) {
                    versions.versions.push(Version {
                        path: path.clone(),
                        pointer: Arc::new(out.to_pointer()),
                        transparent: None,
                        stage: Some(LockedIn {
                            lock: lock.clone(),
                            stage: stage.to_owned(),
                            push: out.push,
                        }),
                        commit: commit.to_string(),
                    });
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Versions> {
        let mut known: HashMap<gix::ObjectId, Arc<Pointer>> = HashMap::new();
        let mut versions = Versions::default();
        self.add_locked(&mut versions)?;
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
            versions.versions.push(Version {
                path,
                pointer,
                transparent: None,
                stage: None,
                commit,
            });
        }
        Ok(versions)
    }
}
