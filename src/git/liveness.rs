//! Which pointers are in use: what garbage collection must keep.
//!
//! Invariant: complete or an error. Every tree that a scope reaches is read and each of its `*.mv` entries taken, so a
//! pointer is found under whatever other names its blob is known; and each `mv.lock`, for what its stages made. Pointers in the place of their files may have any
//! name: if any attributes that are in reach, or git's configuration, name the filter, every blob small enough to be
//! one is looked into ([`Search::add_transparent`]); a repository that never had the filter does not pay for that. Objects are read as they are, without the
//! replacements of `git replace` (which are reachable by their own refs). Whatever the scope: the files, the index
//! and the `HEAD` of every work tree are in it, and every stash, since what is staged, edited or put away there may
//! exist nowhere else. What a partial clone lacks is fetched, all of it in one go.

use std::collections::{HashMap, HashSet};
use std::io::BufRead as _;

use super::discover::GitRepo;
use super::error::{GitError, Result};
use super::index::Tracked;
use super::lock::{Lock, LockError, LockProblem, MAX_LOCK};
use super::pointer::{MAX_POINTER, Pointer, PointerError};
use super::revision::{PointerEntries, read_pointer};
use super::scope::Scope;
use super::transparent::{looks_like_pointer, mentions, read_tiny_blob};
use crate::fs;
use crate::path::RepoPath;
use crate::progress::Progress;

/// The pointers in use.
#[derive(Debug, Default)]
pub struct LivePointers {
    /// Each distinct pointer once, in no order.
    pub pointers: HashSet<Pointer>,
    /// Files of commits and indexes that are named like pointers and cannot be read as one. Whoever deletes data must
    /// look at them: one written by a newer modver stands for data that is in use.
    pub unparsed: Vec<PointerError>,
    /// The same of the files in all work trees. They are being edited, and may stand for anything.
    pub unparsed_files: Vec<PointerError>,
}

impl GitRepo {
    /// All pointers in a scope. What is checked out or staged in any work tree, or stashed, is always in it, and
    /// [`Scope::all_commits`] means also what only a reflog or an operation in progress reaches.
    ///
    /// # Errors
    /// When anything in the scope cannot be read, or be fetched where a partial clone lacks it; nothing is skipped.
    pub fn pointers_in(&self, scope: &Scope, progress: &Progress) -> Result<LivePointers> {
        let mut repo = self.local();
        repo.objects.ignore_replacements = true;
        let mut search = Search {
            repo: &repo,
            progress,
            trees: HashSet::new(),
            blobs: HashMap::new(),
            locks: HashMap::new(),
            attributes: HashSet::new(),
            transparent: self.may_be_transparent(&self.tracked()?)?,
            indexes: Vec::new(),
            live: LivePointers::default(),
        };
        self.add_work_trees(&mut search)?;
        self.add_stashes(&mut search)?;
        for tip in self.scope_tips(&repo, scope)? {
            search.add_tip(tip)?;
        }
        if scope.all_commits {
            self.add_history(&mut search)?;
        }
        search.finish(self)
    }

    fn add_work_trees(&self, search: &mut Search<'_>) -> Result<()> {
        for work_tree in self.work_trees()? {
            let index = work_tree.tracked(search.repo)?;
            for pointer in index.pointers()? {
                search.blobs.entry(pointer.blob).or_insert(pointer.path);
            }
            for lock in index.locks()? {
                search.locks.entry(lock.blob).or_insert(lock.path);
            }
            for tree in index.sparse_dirs() {
                search.add_tree(tree)?;
            }
            search.attributes.extend(index.attributes());
            search.indexes.push(index);
            let head = work_tree.git_dir.join("HEAD");
            if let Some(head) = self.resolve_head(search.repo, &head)? {
                search.add_tip(head)?;
            }
            let Some(root) = work_tree.root else { continue };
            let files = match Self::discover(&root) {
                Ok(other) if other.root() == root || other.git_dir() == work_tree.git_dir => other.find_pointers()?,
                Ok(_) | Err(GitError::NotARepository { .. }) => continue,
                Err(error) => return Err(error),
            };
            if let Some(error) = files.unreadable.into_iter().next() {
                return Err(error.into());
            }
            for path in files.present {
                search.add_file(&root, path)?;
            }
            for path in files.locks {
                search.add_lock_file(&root, path)?;
            }
        }
        Ok(())
    }

    /// Every stash: what it says of the work tree, and its further parents, which are the index and the untracked files.
    /// Its first parent is the commit it was made on, which is an ordinary one.
    fn add_stashes(&self, search: &mut Search<'_>) -> Result<()> {
        let refs = |source: gix::Error| self.refs_error(source);
        let Some(mut stash) = search.repo.try_find_reference("refs/stash").map_err(refs)? else {
            return Ok(());
        };
        let mut stashes = HashSet::from([stash.peel_to_id().map_err(refs)?.detach()]);
        let mut log = stash.log_iter();
        let lines = log.all().map_err(|error| self.refs_error(error))?;
        for line in lines.into_iter().flatten() {
            stashes.insert(line.map_err(|error| self.refs_error(error))?.new_oid());
        }
        for id in stashes {
            // One whose commit is gone is a stash no more, for git either.
            if !search.repo.has_object(id) {
                continue;
            }
            search.add_tip(id)?;
            let commit = search.repo.find_commit(id).map_err(|e| GitError::object(id, e))?;
            let parents: Vec<_> = commit.parent_ids().skip(1).map(gix::Id::detach).collect();
            for parent in parents {
                search.add_tip(parent)?;
            }
        }
        Ok(())
    }

    /// The object `HEAD` of a work tree stands for; `None` before its first commit.
    fn resolve_head(&self, repo: &gix::Repository, head: &std::path::Path) -> Result<Option<gix::ObjectId>> {
        let text = fs::read_if_exists(head, 4096)?.unwrap_or_default();
        let text = text.trim_ascii();
        let Some(name) = text.strip_prefix(b"ref:") else {
            if text.is_empty() {
                return Ok(None);
            }
            let detached = gix::ObjectId::from_hex(text).map_err(|e| self.refs_error(e))?;
            return Ok(Some(detached));
        };
        let refs = |source: gix::Error| self.refs_error(source);
        let name = String::from_utf8_lossy(name.trim_ascii()).into_owned();
        let Some(mut found) = repo.try_find_reference(&*name).map_err(refs)? else {
            return Ok(None);
        };
        Ok(Some(found.peel_to_id().map_err(refs)?.detach()))
    }

    /// Every tree in history. Git finds them, since it knows what keeps objects alive.
    fn add_history(&self, search: &mut Search<'_>) -> Result<()> {
        let mut extra = Vec::new();
        for work_tree in self.work_trees()? {
            for id in work_tree.stray_ids()? {
                // Git does not keep what only `FETCH_HEAD` and its like name: it may be gone, and data with it.
                if search.repo.has_object(id) {
                    extra.extend_from_slice(format!("{id}\n").as_bytes());
                }
            }
        }
        let args = [
            "rev-list",
            "--objects",
            "--filter=blob:none",
            "--all",
            "--reflog",
            "--stdin",
        ];
        let mut run = self.git_start_unreplaced(&args, extra)?;
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = run.stdout.read_until(b'\n', &mut line);
            if read.map_err(run.failed_io())? == 0 {
                return run.finish();
            }
            let hex = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
            let Ok(id) = gix::ObjectId::from_hex(hex) else {
                return Err(run.unexpected(&line));
            };
            search.add_object(id)?;
        }
    }
}

struct Search<'a> {
    repo: &'a gix::Repository,
    progress: &'a Progress,
    /// Trees that were read.
    trees: HashSet<gix::ObjectId>,
    /// Blobs that pointers are read from, with one of their paths, for errors.
    blobs: HashMap<gix::ObjectId, RepoPath>,
    /// The same of lock files.
    locks: HashMap<gix::ObjectId, RepoPath>,
    /// Every `.gitattributes` that was met.
    attributes: HashSet<gix::ObjectId>,
    /// Whether there may be pointers under other names than `*.mv`.
    transparent: bool,
    /// The index of each work tree.
    indexes: Vec<Tracked>,
    live: LivePointers,
}

impl Search<'_> {
    /// The whole tree of a commit, tag or tree.
    fn add_tip(&mut self, id: gix::ObjectId) -> Result<()> {
        let object = self.repo.find_object(id).map_err(|e| GitError::object(id, e))?;
        let object = object.peel_tags_to_end().map_err(|e| GitError::object(id, e))?;
        match object.kind {
            gix::objs::Kind::Blob => {
                self.add_blob(object.id, RepoPath::root());
                Ok(())
            }
            _ => {
                let tree = object.peel_to_tree().map_err(|e| GitError::object(id, e))?;
                self.add_tree(tree.id)
            }
        }
    }

    /// A tree and all below it.
    fn add_tree(&mut self, id: gix::ObjectId) -> Result<()> {
        let mut pending = vec![id];
        while let Some(id) = pending.pop() {
            if let Some(entries) = self.read_tree(id)? {
                pending.extend(entries.trees.into_iter().map(|(_, id)| id));
            }
        }
        Ok(())
    }

    /// Takes the pointers of one tree; `None` if it was read before.
    fn read_tree(&mut self, id: gix::ObjectId) -> Result<Option<PointerEntries>> {
        if !self.trees.insert(id) {
            return Ok(None);
        }
        self.progress.check()?;
        let entries = PointerEntries::of(self.repo, id)?;
        for (name, blob) in &entries.pointers {
            self.add_blob(*blob, RepoPath::root().join(name));
        }
        if let Some((name, blob)) = &entries.lock {
            self.locks.entry(*blob).or_insert_with(|| RepoPath::root().join(name));
        }
        self.attributes.extend(entries.attributes);
        Ok(Some(entries))
    }

    fn add_blob(&mut self, id: gix::ObjectId, path: RepoPath) {
        self.blobs.entry(id).or_insert(path);
    }

    /// One object that `git rev-list` listed; the trees below a tree are listed too.
    fn add_object(&mut self, id: gix::ObjectId) -> Result<()> {
        let header = self.repo.find_header(id).map_err(|e| GitError::object(id, e))?;
        match header.kind() {
            gix::objs::Kind::Tree => {
                self.read_tree(id)?;
            }
            // A ref names it directly.
            gix::objs::Kind::Blob => self.add_blob(id, RepoPath::root()),
            gix::objs::Kind::Commit | gix::objs::Kind::Tag => {}
        }
        Ok(())
    }

    fn add_file(&mut self, root: &std::path::Path, path: RepoPath) -> Result<()> {
        // One byte more than allowed is enough to be told that it is too large.
        let on_disk = path.on_disk(root);
        let size = fs::stat(&on_disk)?.map_or(0, |stat| stat.size);
        if size > MAX_POINTER {
            let problem = if super::conflict::is_large_conflict(&on_disk)? {
                super::pointer::PointerProblem::Conflict
            } else {
                super::pointer::PointerProblem::TooLarge(size)
            };
            self.live.unparsed_files.push(PointerError { path, problem });
            return Ok(());
        }
        if let Some(bytes) = fs::read_if_exists(&on_disk, MAX_POINTER)? {
            match Pointer::parse(&bytes, &path) {
                Ok(pointer) => drop(self.live.pointers.insert(pointer)),
                Err(error) => self.live.unparsed_files.push(error),
            }
        }
        Ok(())
    }

    fn add_lock_file(&mut self, root: &std::path::Path, path: RepoPath) -> Result<()> {
        // One byte more than allowed is enough to be told that it is too large.
        let Some(bytes) = fs::read_if_exists(&path.on_disk(root), MAX_LOCK + 1)? else {
            return Ok(());
        };
        match Lock::parse(&bytes, &path) {
            Ok(lock) => {
                let outs = lock.cached().map(|(_, _, out)| out.to_pointer());
                self.live.pointers.extend(outs);
            }
            Err(error) => self.live.unparsed_files.push(error.into()),
        }
        Ok(())
    }

    fn read_locks(&mut self) -> Result<()> {
        for (blob, path) in std::mem::take(&mut self.locks) {
            self.progress.check()?;
            let object = self.repo.find_blob(blob).map_err(|e| GitError::object(blob, e))?;
            let live = match object.data.len() as u64 {
                size if size > MAX_LOCK => Err(LockProblem::TooLarge(size)),
                _ => Lock::live(&object.data),
            };
            match live {
                Ok(outs) => self.live.pointers.extend(outs),
                Err(problem) => self.live.unparsed.push(LockError { path, problem }.into()),
            }
        }
        Ok(())
    }

    /// The pointers that stand in the place of their files, whatever attributes say about them now: any small blob of
    /// the trees and indexes that were met and begins as a pointer does.
    fn add_transparent(&mut self, git: &GitRepo) -> Result<()> {
        git.fetch_missing(self.repo, self.attributes.iter().copied())?;
        for id in &self.attributes {
            let blob = self.repo.find_blob(*id).map_err(|e| GitError::object(id, e))?;
            self.transparent = self.transparent || mentions(&blob.data);
        }
        if !self.transparent {
            return Ok(());
        }
        let mut candidates: HashMap<gix::ObjectId, Vec<u8>> = HashMap::new();
        for tree in &self.trees {
            self.progress.check()?;
            let object = self.repo.find_object(*tree).map_err(|e| GitError::object(tree, e))?;
            for entry in gix::objs::TreeRefIter::from_bytes(&object.data, tree.kind()) {
                let entry = entry.map_err(|e| GitError::object(tree, e))?;
                if entry.mode.is_blob() {
                    let name = || entry.filename.to_vec();
                    candidates.entry(entry.oid.to_owned()).or_insert_with(name);
                }
            }
        }
        for index in &self.indexes {
            for (id, path) in index.blobs() {
                candidates.entry(id).or_insert_with(|| path.to_vec());
            }
        }
        git.fetch_missing(self.repo, candidates.keys().copied())?;
        for (id, path) in candidates {
            self.progress.check()?;
            if let Some(bytes) = read_tiny_blob(self.repo, id)?
                && looks_like_pointer(&bytes)
            {
                self.add_blob(id, RepoPath::new(&path).unwrap_or_default());
            }
        }
        Ok(())
    }

    fn finish(mut self, git: &GitRepo) -> Result<LivePointers> {
        self.add_transparent(git)?;
        git.fetch_missing(self.repo, self.blobs.keys().chain(self.locks.keys()).copied())?;
        self.read_locks()?;
        for (blob, path) in std::mem::take(&mut self.blobs) {
            self.progress.check()?;
            match read_pointer(self.repo, blob, &path)? {
                Ok(pointer) => drop(self.live.pointers.insert(pointer)),
                Err(error) => self.live.unparsed.push(error),
            }
        }
        Ok(self.live)
    }
}
