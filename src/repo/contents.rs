//! What is in the workspace at the paths that stages read and write, and bringing it there.
//!
//! Each path is looked at once per [`Contents`]; an unchanged file costs one `lstat`. A directory that is neither an
//! output nor in one is looked at as `add` would.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::observe::{Observed, pointer_node};
use super::{Output, Outputs, RepoError, Repository, Result};
use crate::fs::{self, FileKind};
use crate::object::{Node, Root, Trees};
use crate::path::RepoPath;
use crate::remote::Wanted;
use crate::store::{PackKind, Stored, Transaction};
use crate::workspace::{
    ChangeKind, CheckoutPlan, CheckoutRequest, FailureReason, IgnoreRules, KnownFiles, Mode, ScanRequest, Scopes,
    Snapshot, State, StateFile, WorkspaceError, changes, scan,
};

/// What is in the workspace, remembered.
pub struct Contents<'a> {
    pub(super) repository: &'a Repository,
    outputs: HashMap<RepoPath, Output>,
    files: KnownFiles,
    seen: Mutex<HashMap<RepoPath, Option<Node>>>,
    /// Outputs in which single paths are asked for.
    whole: Mutex<HashMap<RepoPath, Arc<Snapshot>>>,
}

/// A file in a directory that differs from what it was.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FileDifference {
    /// In the repository.
    pub path: RepoPath,
    /// In one word.
    pub change: &'static str,
}

/// Content that was stored.
#[derive(Debug)]
pub struct StoredContent {
    /// What it is, in the order of the paths; `None` where there is nothing.
    pub nodes: Vec<Option<Node>>,
    /// What was new to the cache.
    pub stored: Stored,
}

impl Repository {
    /// Starts to look at the workspace, in which `outputs` are tracked.
    #[must_use]
    pub fn contents(&self, outputs: &Outputs) -> Contents<'_> {
        let outputs = outputs
            .outputs
            .iter()
            .map(|output| (output.path.clone(), output.clone()));
        Contents {
            repository: self,
            outputs: outputs.collect(),
            files: KnownFiles::read(&self.known_files()),
            seen: Mutex::default(),
            whole: Mutex::default(),
        }
    }

    fn known_files(&self) -> std::path::PathBuf {
        self.stage_dir().join("files")
    }

    /// Where what is known about stages in this work tree is kept.
    #[must_use]
    pub fn stage_dir(&self) -> std::path::PathBuf {
        self.git().git_dir().join(super::FOLDER).join("stages")
    }

    /// Where what is known about runs in all work trees is kept.
    #[must_use]
    pub fn runs_dir(&self) -> std::path::PathBuf {
        self.git().common_dir().join(super::FOLDER)
    }

    /// Stores what is at these paths, and besides the bytes that `extra` makes of what was found there. What is at the first
    /// `tracked` paths is modver's from now on: a checkout may replace it. The caller holds the workspace lock if there are
    /// paths.
    ///
    /// # Errors
    /// When something cannot be read, tracked or stored.
    pub fn store_contents(
        &self,
        paths: &[RepoPath],
        tracked: usize,
        extra: impl FnOnce(&[Option<Node>]) -> Result<Vec<Vec<u8>>>,
    ) -> Result<StoredContent> {
        let transaction = self.cache()?.transaction(self.progress())?;
        let (snapshots, nodes) = match self.add_contents(paths, extra, &transaction) {
            Ok(done) => done,
            Err(RepoError::Workspace(WorkspaceError::Store(error))) => return Err(transaction.cause(error).into()),
            Err(error) => return Err(error),
        };
        let stored = transaction.commit()?;
        for (path, snapshot) in paths.iter().zip(&snapshots).take(tracked) {
            // Without it, the next look only takes longer.
            let to = self.state_path(path)?;
            let _ = snapshot.write_state(&to, snapshot.root(), &Scopes::whole());
        }
        Ok(StoredContent { nodes, stored })
    }

    fn add_contents(
        &self,
        paths: &[RepoPath],
        extra: impl FnOnce(&[Option<Node>]) -> Result<Vec<Vec<u8>>>,
        transaction: &Transaction,
    ) -> Result<(Vec<Snapshot>, Vec<Option<Node>>)> {
        let mut snapshots = Vec::with_capacity(paths.len());
        for path in paths {
            let seen = self.observe(path, None)?;
            let seen = Observed {
                base: None,
                scopes: Scopes::whole(),
                ..seen
            };
            let snapshot = self
                .identify(seen, Some(transaction))
                .map_err(|error| RepoError::in_output(path, error))?;
            snapshots.push(snapshot);
        }
        let nodes: Vec<Option<Node>> = snapshots.iter().map(|snapshot| snapshot.node.clone()).collect();
        for bytes in extra(&nodes)? {
            transaction.add_reader(PackKind::Data, &mut bytes.as_slice(), std::path::Path::new("memory"))?;
        }
        Ok((snapshots, nodes))
    }

    /// Brings the path to `node`, which is in the cache, whatever is there now. If it is `tracked`, it is modver's from now
    /// on: a checkout may replace it. The caller holds the workspace lock.
    ///
    /// # Errors
    /// When it cannot be written, or some of it is not in the cache.
    pub fn restore_content(&self, path: &RepoPath, node: &Node, tracked: bool) -> Result<()> {
        self.restore(path, node)?;
        if !tracked {
            let _ = fs::remove_file(&self.state_file(path));
        }
        Ok(())
    }

    fn restore(&self, path: &RepoPath, node: &Node) -> Result<()> {
        let mut observed = self.observe(path, None)?;
        (observed.base, observed.scopes) = (None, Scopes::whole());
        let last = observed.last;
        let snapshot = self.identify(observed, None)?;
        if snapshot.node.as_ref() == Some(node) && snapshot.scan.problems.is_empty() {
            let _ = snapshot.write_state(&self.state_path(path)?, snapshot.root(), &Scopes::whole());
            return Ok(());
        }
        // Nothing goes for what cannot be had.
        if !self.has_content(node)? {
            return Err(RepoError::NotRestored {
                path: path.clone(),
                reason: FailureReason::Missing,
            });
        }
        let scopes = Scopes::whole();
        // What is there and not in the listing was made by nobody that counts.
        let request = CheckoutRequest {
            target: Some(node),
            scopes: &scopes,
            base: snapshot.root().or(last),
            present: None,
            force: true,
        };
        let overlaid = snapshot.root();
        let plan = match CheckoutPlan::new(request, snapshot, self.cache()?) {
            Err(_) if overlaid.is_some() => {
                // What is in the way is unknown to the cache: it goes first.
                remove_path(&path.on_disk(self.root()))?;
                let mut observed = self.observe(path, None)?;
                (observed.base, observed.scopes) = (None, Scopes::whole());
                let request = CheckoutRequest { base: None, ..request };
                CheckoutPlan::new(request, self.identify(observed, None)?, self.cache()?)?
            }
            plan => plan?,
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(&parent.on_disk(self.root()))?;
        }
        let checked = plan.execute(&self.state_path(path)?, self.progress())?;
        self.progress().check()?;
        match checked.failures.into_iter().next() {
            None => Ok(()),
            Some(failure) => Err(RepoError::NotRestored {
                path: path.join_path(&failure.path),
                reason: failure.reason,
            }),
        }
    }

    /// Brings `node`, which is in the cache, to a place outside of the workspace where nothing is.
    ///
    /// # Errors
    /// As [`Repository::restore_content`].
    pub fn export_content(&self, path: &RepoPath, node: &Node, to: &std::path::Path) -> Result<()> {
        let ignore = IgnoreRules::none();
        let request = ScanRequest {
            root: to,
            state: None,
            ignore: &ignore,
        };
        let scopes = Scopes::whole();
        let snapshot =
            scan(&request, self.progress())?.snapshot(Mode::HashOnly, None, &scopes, self, self.progress())?;
        let request = CheckoutRequest {
            target: Some(node),
            scopes: &scopes,
            base: None,
            present: None,
            force: false,
        };
        let plan = CheckoutPlan::new(request, snapshot, self.cache()?)?;
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        let state = StateFile {
            path: self.stage_dir().join("export"),
            output: path.clone(),
        };
        let checked = plan.execute(&state, self.progress())?;
        self.progress().check()?;
        match checked.failures.into_iter().next() {
            None => Ok(()),
            Some(failure) => Err(RepoError::NotRestored {
                path: path.join_path(&failure.path),
                reason: failure.reason,
            }),
        }
    }

    /// Whether what is at this path was brought there or recorded by modver.
    ///
    /// # Errors
    /// When that cannot be asked.
    pub fn is_tracked(&self, path: &RepoPath) -> Result<bool> {
        Ok(fs::stat(&self.state_file(path))?.is_some())
    }

    /// Whether all of `node` is in the cache.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn has_content(&self, node: &Node) -> Result<bool> {
        let cache = self.cache()?;
        let mut pending = vec![node.clone()];
        while let Some(node) = pending.pop() {
            match node {
                Node::Symlink { .. } => {}
                Node::File { id, .. } => {
                    if !cache.contains(&id)? {
                        return Ok(false);
                    }
                }
                Node::Dir { id, .. } => {
                    if !cache.contains(&id.as_file())? {
                        return Ok(false);
                    }
                    pending.extend(cache.tree(id)?.into_entries().into_iter().map(|entry| entry.node));
                }
            }
        }
        Ok(true)
    }

    /// Brings these into the cache from their remote, the default one, or (`only_ask`) their listings. Whether all of them
    /// are there then, or could be.
    ///
    /// # Errors
    /// When there is no remote, or it cannot be used.
    pub fn fetch_content(&self, wanted: &[(RepoPath, Node)], only_ask: bool) -> Result<bool> {
        let remote = self.remote(None)?;
        let wanted_roots: Vec<Wanted> = wanted
            .iter()
            .filter_map(|(_, node)| {
                Some(Wanted {
                    root: root_of(node)?,
                    parts: Vec::new(),
                    lineage: Vec::new(),
                })
            })
            .collect();
        let plan = remote.plan_fetch(self.cache()?, &wanted_roots)?;
        if only_ask {
            return Ok(plan.is_whole());
        }
        plan.execute(&remote, self.cache()?)?;
        for (_, node) in wanted {
            if !self.has_content(node)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is in any place now, by id; nothing is kept about it.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn content_of(&self, on_disk: &std::path::Path) -> Result<Option<Node>> {
        let ignore = IgnoreRules::none();
        let request = ScanRequest {
            root: on_disk,
            state: None,
            ignore: &ignore,
        };
        let scan = scan(&request, self.progress())?;
        let snapshot = scan.snapshot(Mode::HashOnly, None, &Scopes::whole(), self, self.progress())?;
        Ok(snapshot.node)
    }
}

/// Removes whatever is at a path.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_path(path: &std::path::Path) -> fs::Result<()> {
    match fs::stat(path)?.map(|stat| stat.kind) {
        None => Ok(()),
        Some(FileKind::Dir) => fs::remove_dir_all(path),
        Some(_) => fs::remove_file(path).map(drop),
    }
}

impl Contents<'_> {
    /// What is at `path` now; `None`: nothing.
    ///
    /// # Errors
    /// When it cannot be read, or is no file or directory.
    pub fn node(&self, path: &RepoPath) -> Result<Option<Node>> {
        if let Some(node) = self.seen().get(path) {
            return Ok(node.clone());
        }
        let node = self.look(path)?;
        self.seen().insert(path.clone(), node.clone());
        Ok(node)
    }

    /// What `path` was told to be: an output, or something in one. `None` if it is neither, or its listing is not here.
    #[must_use]
    pub fn promised(&self, path: &RepoPath) -> Option<Node> {
        if let Some(output) = self.outputs.get(path) {
            return Some(pointer_node(output));
        }
        let output = self.around(path)?;
        node_in(self.repository, pointer_node(output), &path.strip_prefix(&output.path)?)
    }

    /// How what is at `path` now differs from `before`, file by file; `None` if a listing cannot be had.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn differences(&self, path: &RepoPath, before: &Node) -> Result<Option<Vec<FileDifference>>> {
        let on_disk = path.on_disk(self.repository.root());
        let is_dir = fs::stat(&on_disk)?.is_some_and(|stat| stat.kind == FileKind::Dir);
        if !is_dir || !matches!(before, Node::Dir { .. }) {
            return Ok(None);
        }
        let snapshot = match self.outputs.get(path) {
            Some(output) => self.snapshot(path, Some(output))?,
            None => self.plain_snapshot(path, &on_disk)?,
        };
        let Ok(found) = changes(&snapshot.over(self.repository), Some(before), snapshot.node.as_ref()) else {
            return Ok(None);
        };
        let differences = found.into_iter().map(|change| FileDifference {
            path: path.join_path(&change.path),
            change: match change.kind {
                ChangeKind::Added => "added",
                ChangeKind::Deleted => "deleted",
                ChangeKind::Renamed { .. } => "renamed",
                ChangeKind::Modified | ChangeKind::TypeChanged => "modified",
            },
        });
        Ok(Some(differences.collect()))
    }

    /// Forgets what was seen at `path` and what is around or in it: it was changed.
    pub fn forget(&self, path: &RepoPath) {
        let is_apart = |other: &RepoPath| !other.starts_with(path) && !path.starts_with(other);
        self.seen().retain(|other, _| is_apart(other));
        let mut whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        whole.retain(|other, _| is_apart(other));
    }

    /// Says what is at `path` now.
    pub fn put(&self, path: &RepoPath, node: Option<Node>) {
        self.forget(path);
        self.seen().insert(path.clone(), node);
    }

    /// Keeps what was learned for the next time.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self) -> Result<()> {
        let dir = self.repository.stage_dir();
        fs::create_dir_all(&dir)?;
        Ok(self.files.write(&self.repository.known_files())?)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<RepoPath, Option<Node>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `path` is an output or in one.
    pub(super) fn is_in_output(&self, path: &RepoPath) -> bool {
        self.outputs.contains_key(path) || self.around(path).is_some()
    }

    /// The output that `path` is in, but not at.
    fn around(&self, path: &RepoPath) -> Option<&Output> {
        std::iter::successors(path.parent(), RepoPath::parent).find_map(|dir| self.outputs.get(&dir))
    }

    fn look(&self, path: &RepoPath) -> Result<Option<Node>> {
        let repository = self.repository;
        let mut on_disk = path.on_disk(repository.root());
        let mut stat = fs::stat(&on_disk)?;
        if matches!(stat, Some(stat) if stat.kind == FileKind::Symlink) {
            // What is read through a link is what it leads to.
            match fs::canonicalize(&on_disk) {
                Ok(real) => (stat, on_disk) = (fs::stat(&real)?, real),
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        let Some(stat) = stat else { return Ok(None) };
        match stat.kind {
            FileKind::Special | FileKind::Symlink => Err(RepoError::SpecialFile { path: path.clone() }),
            FileKind::File => {
                if let Some(node) = self.files.find(path, &stat) {
                    return Ok(Some(node));
                }
                if self.outputs.contains_key(path) {
                    let snapshot = self.snapshot(path, None)?;
                    self.files.adopt(path, &snapshot);
                    return Ok(snapshot.node);
                }
                Ok(self.files.learn(path, &on_disk, repository, repository.progress())?)
            }
            FileKind::Dir => {
                if let Some(output) = self.outputs.get(path) {
                    return Ok(self.snapshot(path, Some(output))?.node);
                }
                if let Some(output) = self.around(path) {
                    return self.inside(output, path);
                }
                self.plain_dir(path, &on_disk)
            }
        }
    }

    fn snapshot(&self, path: &RepoPath, output: Option<&Output>) -> Result<Snapshot> {
        let seen = match output {
            Some(output) => self.repository.observe_output(output)?,
            None => self.repository.observe(path, None)?,
        };
        let last = seen.last;
        let scopes = seen.scopes.clone();
        let snapshot = self.repository.identify(seen, None)?;
        if snapshot.read.0 > 0 && last.is_some() {
            // The next look is faster.
            let _ = snapshot.write_state(&self.repository.state_path(path)?, last, &scopes);
        }
        Ok(snapshot)
    }

    /// A directory in an output: all of the output is looked at, once.
    fn inside(&self, output: &Output, path: &RepoPath) -> Result<Option<Node>> {
        let known = {
            let whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
            whole.get(&output.path).cloned()
        };
        let snapshot = match known {
            Some(snapshot) => snapshot,
            None => {
                let snapshot = Arc::new(self.snapshot(&output.path, Some(output))?);
                let mut whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
                whole.insert(output.path.clone(), Arc::clone(&snapshot));
                snapshot
            }
        };
        let (Some(node), Some(below)) = (snapshot.node.clone(), path.strip_prefix(&output.path)) else {
            return Ok(None);
        };
        Ok(node_in(&snapshot.over(self.repository), node, &below))
    }

    fn plain_dir(&self, path: &RepoPath, on_disk: &std::path::Path) -> Result<Option<Node>> {
        Ok(self.plain_snapshot(path, on_disk)?.node)
    }

    pub(super) fn plain_snapshot(&self, path: &RepoPath, on_disk: &std::path::Path) -> Result<Snapshot> {
        let repository = self.repository;
        let name = crate::hash::FileId::of(path.as_bytes()).to_string();
        let dir = repository.stage_dir().join("dirs");
        let file = dir.join(name);
        let state = State::read(&file);
        let ignore = IgnoreRules::above_input(repository.root(), path)?;
        let request = ScanRequest {
            root: on_disk,
            state: state.as_ref(),
            ignore: &ignore,
        };
        let scan = scan(&request, repository.progress())?;
        let snapshot = scan.snapshot(
            Mode::HashOnly,
            None,
            &Scopes::whole(),
            repository,
            repository.progress(),
        )?;
        if snapshot.read.0 > 0 {
            fs::create_dir_all(&dir)?;
            let to = StateFile {
                path: file,
                output: path.clone(),
            };
            let _ = snapshot.write_state(&to, None, &Scopes::whole());
        }
        Ok(snapshot)
    }
}

/// What a file or directory is named by.
pub fn root_of(node: &Node) -> Option<Root> {
    match *node {
        Node::File { id, .. } => Some(Root::File(id)),
        Node::Dir { id, .. } => Some(Root::Tree(id)),
        Node::Symlink { .. } => None,
    }
}

/// What is at `path` in a node; `None` if nothing is or a listing cannot be had.
fn node_in<T: Trees + ?Sized>(trees: &T, node: Node, path: &RepoPath) -> Option<Node> {
    let mut node = node;
    for name in path.names() {
        let Node::Dir { id, .. } = node else { return None };
        node = trees.tree(id).ok()?.get(name)?.node.clone();
    }
    Some(node)
}
