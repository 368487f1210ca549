//! Another repository at one commit.

use std::path::Path;
use std::sync::OnceLock;

use super::copy::{Depth, copy, is_complete};
use super::desk::Desk;
use super::place::{NamedBy, Place, check_rev, open};
use super::{files, of_source};
use crate::config::{Config, ConfigSources, FileLayer, Layer, MAX_FILE, RemoteConfig};
use crate::fs;
use crate::git::{
    self, EntryKind, Lock, LockError, LockProblem, LockedIn, MAX_LOCK, MAX_POINTER, Pointer, PointerError,
    SourceEntry, SourceRepo, TransparentPointer, is_git_url,
};
use crate::object::{self, Node, Root};
use crate::path::RepoPath;
use crate::progress::Phase;
use crate::remote::Wanted;
use crate::repo::cat::follow;
use crate::repo::observe::pointer_node;
use crate::repo::{Output, OutputMode, PROJECT_FILE, RepoError, Result};
use crate::store::{Access, Cache, PackKind};

/// How many links are followed from one to the next.
const MAX_LINKS: usize = 40;
/// The longest target of a link that is read, in bytes.
const MAX_TARGET: u64 = 64 * 1024;

/// Another repository at one commit.
pub(in crate::repo) struct SourceRepository<'a> {
    desk: &'a Desk<'a>,
    url: String,
    git: SourceRepo,
    /// The commit, in hex.
    pub(in crate::repo) commit: String,
    entries: Vec<SourceEntry>,
    place: Place,
    /// What its lock files name, and those that cannot be read; read when something is looked for.
    locked: OnceLock<(Vec<Output>, Vec<SourceEntry>)>,
}

/// What stands at a path of the repository.
enum Picked {
    /// An output, or something inside one.
    Output(Box<Output>, RepoPath),
    /// A file or link of git.
    File(SourceEntry),
    /// A directory: what git has in it, by path inside it, and the outputs in it.
    Dir(Vec<(RepoPath, SourceEntry)>, Vec<(RepoPath, Output)>),
}

/// What was picked: its node, and where the content comes from.
pub(in crate::repo) struct Found {
    /// What it is. Unless it is of an output, its content is in the cache already.
    pub(in crate::repo) node: Node,
    /// The outputs that it is of, with the parts of them.
    outputs: Vec<(Output, Vec<RepoPath>)>,
}

impl<'a> SourceRepository<'a> {
    /// The repository at a revision; without one, at its newest commit.
    pub(in crate::repo) fn open(
        desk: &'a Desk<'a>,
        url: &str,
        base: &Path,
        by: NamedBy,
        rev: Option<&str>,
    ) -> Result<Self> {
        let work = || {
            check_rev(rev)?;
            let (git, place) = open(desk, url, base, by)?;
            let commit = git.resolve(rev, &desk.progress, |holder| (desk.waiting)(holder))?;
            let entries = git.entries(&commit)?;
            Ok(Self {
                desk,
                url: url.to_owned(),
                git,
                commit,
                entries,
                place,
                locked: OnceLock::new(),
            })
        };
        desk.progress.start(Phase::Comparing, 0, 0);
        work().map_err(of_source(url))
    }

    fn entry(&self, path: &RepoPath) -> Option<&SourceEntry> {
        let at = self.entries.binary_search_by(|entry| entry.path.cmp(path)).ok()?;
        self.entries.get(at)
    }

    fn file(&self, path: &RepoPath) -> Option<&SourceEntry> {
        self.entry(path)
            .filter(|entry| matches!(entry.kind, EntryKind::File { .. }))
    }

    fn prefetch(&self, entries: &[&SourceEntry]) -> Result<()> {
        let blobs: Vec<&str> = entries.iter().map(|entry| entry.blob.as_str()).collect();
        if blobs.is_empty() {
            return Ok(());
        }
        Ok(self
            .git
            .prefetch(&blobs, &self.desk.progress, |holder| (self.desk.waiting)(holder))?)
    }

    /// The output that a pointer stands for.
    fn output(&self, pointer: &SourceEntry) -> Result<Output> {
        let path = git::output_path(&pointer.path).ok_or(RepoError::WholeRepository)?;
        let pointer = match self.git.blob(&pointer.blob, MAX_POINTER)? {
            Some(bytes) => Pointer::parse(&bytes, &pointer.path)?,
            None => {
                return Err(PointerError {
                    path: pointer.path.clone(),
                    problem: git::PointerProblem::TooLarge(MAX_POINTER + 1),
                }
                .into());
            }
        };
        Ok(Output {
            path,
            pointer,
            mode: OutputMode::Beside,
        })
    }

    fn lock(&self, file: &SourceEntry) -> Result<std::result::Result<Lock, PointerError>> {
        let read = match self.git.blob(&file.blob, MAX_LOCK)? {
            Some(bytes) => Lock::parse(&bytes, &file.path),
            None => Err(LockError {
                path: file.path.clone(),
                problem: LockProblem::TooLarge(MAX_LOCK + 1),
            }),
        };
        Ok(read.map_err(PointerError::from))
    }

    /// The outputs of stages, and the lock files that cannot be read.
    fn locked(&self) -> Result<&(Vec<Output>, Vec<SourceEntry>)> {
        if let Some(known) = self.locked.get() {
            return Ok(known);
        }
        let is_lock =
            |entry: &&SourceEntry| matches!(entry.kind, EntryKind::File { .. }) && git::is_lock_path(&entry.path);
        let files: Vec<&SourceEntry> = self.entries.iter().filter(is_lock).collect();
        self.prefetch(&files)?;
        let (mut outputs, mut unreadable) = (Vec::new(), Vec::new());
        for file in files {
            let Ok(lock) = self.lock(file)? else {
                unreadable.push(file.clone());
                continue;
            };
            outputs.extend(lock.cached().map(|(path, stage, out)| {
                let of = LockedIn {
                    lock: file.path.clone(),
                    stage: stage.to_owned(),
                    push: out.push,
                };
                Output::locked(path, out, of)
            }));
        }
        Ok(self.locked.get_or_init(|| (outputs, unreadable)))
    }

    /// The outputs at or below a path, and the pointers that cannot be read.
    pub(super) fn outputs(&self, path: &RepoPath) -> Result<(Vec<Output>, Vec<PointerError>)> {
        let pointers: Vec<&SourceEntry> = self
            .entries
            .iter()
            .filter(|entry| matches!(entry.kind, EntryKind::File { .. }))
            .filter(|entry| git::output_path(&entry.path).is_some_and(|output| output.starts_with(path)))
            .collect();
        self.prefetch(&pointers)?;
        let (mut outputs, mut broken) = (Vec::new(), Vec::new());
        for pointer in pointers {
            match self.output(pointer) {
                Ok(output) => outputs.push(output),
                Err(RepoError::Pointer(error)) => broken.push(error),
                Err(error) => return Err(error),
            }
        }
        let (of_stages, unreadable) = self.locked()?;
        let is_new = |output: &&Output| outputs.iter().all(|known: &Output| known.path != output.path);
        let below = of_stages.iter().filter(|output| output.path.starts_with(path));
        let below: Vec<Output> = below.filter(is_new).cloned().collect();
        outputs.extend(below);
        for file in unreadable.iter().filter(|file| file.path.starts_with(path)) {
            broken.extend(self.lock(file)?.err());
        }
        outputs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((outputs, broken))
    }

    /// The output at a path or around it.
    pub(super) fn output_around(&self, path: &RepoPath) -> Result<Option<(Output, RepoPath)>> {
        let mut at = Some(path.clone());
        while let Some(here) = at.filter(|here| !here.is_root()) {
            if let Ok(pointer) = git::pointer_path(&here)
                && let Some(pointer) = self.file(&pointer)
            {
                let inside = path.strip_prefix(&here).unwrap_or_default();
                return Ok(Some((self.output(pointer)?, inside)));
            }
            at = here.parent();
        }
        let around = self.locked()?.0.iter().find(|output| path.starts_with(&output.path));
        Ok(around.map(|output| {
            let inside = path.strip_prefix(&output.path).unwrap_or_default();
            (output.clone(), inside)
        }))
    }

    fn pick(&self, path: &RepoPath) -> Result<Picked> {
        if let Some((output, inside)) = self.output_around(path)? {
            return Ok(Picked::Output(Box::new(output), inside));
        }
        if let Some(entry) = self.entry(path) {
            return Ok(Picked::File(entry.clone()));
        }
        let (outputs, broken) = self.outputs(path)?;
        if let Some(error) = broken.into_iter().next() {
            return Err(error.into());
        }
        let below = |entry: &&SourceEntry| {
            let is_output =
                git::output_path(&entry.path).is_some_and(|output| outputs.iter().any(|known| known.path == output));
            entry.path.starts_with(path) && !is_output
        };
        let inside = |full: &RepoPath| full.strip_prefix(path).unwrap_or_default();
        let entries: Vec<_> = self
            .entries
            .iter()
            .filter(below)
            .map(|entry| (inside(&entry.path), entry.clone()))
            .collect();
        if entries.is_empty() && outputs.is_empty() {
            return Err(self.nothing_at(path));
        }
        let outputs = outputs
            .into_iter()
            .map(|output| (inside(&output.path), output))
            .collect();
        Ok(Picked::Dir(entries, outputs))
    }

    pub(super) fn nothing_at(&self, path: &RepoPath) -> RepoError {
        RepoError::NotInSource {
            path: path.clone(),
            commit: self.commit.get(..12).unwrap_or(&self.commit).to_owned(),
        }
    }

    /// The path that is meant: a pointer stands for its output.
    pub(in crate::repo) fn path(&self, typed: RepoPath) -> RepoPath {
        match git::output_path(&typed) {
            Some(output) if self.file(&typed).is_some() => output,
            _ => typed,
        }
    }

    /// What stands at a path. Listings of outputs come into the cache, and the content of what git keeps.
    pub(in crate::repo) fn find(&self, path: &RepoPath) -> Result<Found> {
        self.find_linked(path).map_err(of_source(&self.url))
    }

    fn find_linked(&self, path: &RepoPath) -> Result<Found> {
        let mut at = path.clone();
        for _ in 0..MAX_LINKS {
            let link = match self.pick(&at)? {
                Picked::Output(output, inside) => return self.in_output(*output, &inside),
                Picked::Dir(entries, outputs) => return self.git_dir(entries, outputs),
                Picked::File(entry) => entry,
            };
            let EntryKind::File { executable } = link.kind else {
                let target = self.git.blob(&link.blob, MAX_TARGET)?.unwrap_or_default();
                match follow(&RepoPath::root(), &at, &target) {
                    Some(next) if !next.is_root() => at = next,
                    _ => break,
                }
                continue;
            };
            if let Some(output) = self.transparent(&link, executable)? {
                return self.in_output(output, &RepoPath::root());
            }
            let transaction = self.desk.cache()?.transaction(&self.desk.progress)?;
            let node = self.store(&transaction, &link);
            let node = match node {
                Ok(node) => node,
                Err(RepoError::Store(error)) => return Err(transaction.cause(error).into()),
                Err(error) => return Err(error),
            };
            transaction.commit()?;
            return Ok(Found {
                node,
                outputs: Vec::new(),
            });
        }
        Err(RepoError::DanglingLink {
            path: path.clone(),
            output: RepoPath::root(),
        })
    }

    /// A file in whose place git keeps a pointer.
    fn transparent(&self, entry: &SourceEntry, executable: bool) -> Result<Option<Output>> {
        let Some(bytes) = self.git.blob(&entry.blob, MAX_POINTER)? else {
            return Ok(None);
        };
        Ok(TransparentPointer::parse(&bytes).map(|pointer| Output {
            path: entry.path.clone(),
            pointer: pointer.to_pointer(executable),
            mode: OutputMode::Beside,
        }))
    }

    fn in_output(&self, output: Output, inside: &RepoPath) -> Result<Found> {
        let mut at = inside.clone();
        for _ in 0..MAX_LINKS {
            if at.is_root() {
                let node = pointer_node(&output);
                return Ok(Found {
                    node,
                    outputs: vec![(output, Vec::new())],
                });
            }
            let path = output.path.join_path(&at);
            let Root::Tree(tree) = output.root() else {
                return Err(self.nothing_at(&path));
            };
            self.bring(&output, std::slice::from_ref(&at), Depth::Listings)?;
            match object::find(self.desk.cache()?, tree, &at)? {
                None => return Err(self.nothing_at(&path)),
                Some(Node::Symlink { target }) => match follow(&output.path, &path, &target) {
                    Some(next) => at = next.strip_prefix(&output.path).unwrap_or_default(),
                    None => break,
                },
                Some(node) => {
                    return Ok(Found {
                        node,
                        outputs: vec![(output, vec![at])],
                    });
                }
            }
        }
        Err(RepoError::DanglingLink {
            path: output.path.join_path(inside),
            output: output.path,
        })
    }

    fn git_dir(&self, entries: Vec<(RepoPath, SourceEntry)>, outputs: Vec<(RepoPath, Output)>) -> Result<Found> {
        self.prefetch(&entries.iter().map(|(_, entry)| entry).collect::<Vec<_>>())?;
        let transaction = self.desk.cache()?.transaction(&self.desk.progress)?;
        let mut wanted = Vec::new();
        let mut items = Vec::new();
        let stored = (|| {
            for (path, entry) in &entries {
                self.desk.progress.check()?;
                if let EntryKind::File { executable } = entry.kind
                    && let Some(output) = self.transparent(entry, executable)?
                {
                    items.push((path.clone(), pointer_node(&output)));
                    wanted.push((output, Vec::new()));
                } else {
                    items.push((path.clone(), self.store(&transaction, entry)?));
                }
            }
            for (path, output) in outputs {
                items.push((path, pointer_node(&output)));
                wanted.push((output, Vec::new()));
            }
            files::directory(&transaction, items)
        })();
        let node = match stored {
            Ok(node) => node,
            Err(RepoError::Store(error)) => return Err(transaction.cause(error).into()),
            Err(error) => return Err(error),
        };
        transaction.commit()?;
        Ok(Found { node, outputs: wanted })
    }

    /// Stores a file or link of git.
    fn store(&self, transaction: &crate::store::Transaction, entry: &SourceEntry) -> Result<Node> {
        match entry.kind {
            EntryKind::Symlink => {
                let target = self.git.blob(&entry.blob, MAX_TARGET)?.unwrap_or_default();
                Ok(Node::Symlink { target: target.into() })
            }
            EntryKind::File { executable } => {
                let mut blob = self.git.open_blob(&entry.blob)?;
                let path = entry.path.on_disk(Path::new(""));
                let (id, size) = transaction.add_reader(PackKind::Data, &mut blob, &path)?;
                blob.finish()?;
                Ok(Node::File { id, size, executable })
            }
        }
    }

    /// Brings the content of what was found into the cache; of an output only these parts, unless there are none.
    pub(in crate::repo) fn fetch(&self, found: &Found, parts: &[RepoPath]) -> Result<()> {
        for (output, inside) in &found.outputs {
            // Parts are of what was found; in a directory of several outputs they are not looked for.
            let wanted = match (&found.outputs[..], parts.is_empty()) {
                ([_], false) if found.is_of_output(output, inside) => {
                    let base = inside.first().cloned().unwrap_or_default();
                    parts.iter().map(|part| base.join_path(part)).collect()
                }
                _ => inside.clone(),
            };
            self.bring(output, &wanted, Depth::Content)
                .map_err(of_source(&self.url))?;
        }
        Ok(())
    }

    /// A cache that has all of what was found: that of the other repository, if it can be used as it is.
    pub(in crate::repo) fn content(&self, found: &Found) -> Result<Cache> {
        if let [(output, parts)] = &found.outputs[..] {
            let wanted = Wanted {
                root: output.root(),
                parts: parts.clone(),
                lineage: Vec::new(),
            };
            if found.is_of_output(output, parts)
                && let Ok(Some(theirs)) = self.their_cache()
                && is_complete(&theirs, &wanted, Depth::Content).unwrap_or(false)
            {
                return Ok(theirs);
            }
        }
        self.fetch(found, &[])?;
        Ok(self.desk.cache()?.clone())
    }

    fn their_cache(&self) -> Result<Option<Cache>> {
        let Some(dir) = &self.place.cache else { return Ok(None) };
        if fs::stat(&dir.join("shards"))?.is_none() || dir == self.desk.cache()?.dir() {
            return Ok(None);
        }
        let open = Cache::open(dir, Access::Shared, &self.desk.progress, |holder| {
            (self.desk.waiting)(holder)
        });
        Ok(Some(open?))
    }

    /// Brings parts of an output (none: all of it) into the cache: from the other repository's own, or its remotes.
    pub(super) fn bring(&self, output: &Output, parts: &[RepoPath], depth: Depth) -> Result<()> {
        let cache = self.desk.cache()?;
        let wanted = Wanted {
            root: output.root(),
            parts: parts.to_vec(),
            lineage: Vec::new(),
        };
        if is_complete(cache, &wanted, depth)? {
            return Ok(());
        }
        let mut failed: Option<RepoError> = None;
        let theirs = self.their_cache().and_then(|theirs| match theirs {
            Some(theirs) => copy(&theirs, cache, &wanted, depth, &self.desk.progress),
            None => Ok(()),
        });
        if let Err(error) = theirs {
            self.desk.progress.check()?;
            failed = Some(error);
        }
        if is_complete(cache, &wanted, depth)? {
            return Ok(());
        }
        let (remotes, far) = self.remotes(output.pointer.remote.as_deref())?;
        let mut tried = Vec::new();
        for remote in &remotes {
            tried.push(remote.name.to_string());
            match self.fetch_from_remote(remote, cache, &wanted, depth) {
                Ok(()) if is_complete(cache, &wanted, depth)? => return Ok(()),
                Ok(()) => {}
                Err(error) => {
                    self.desk.progress.check()?;
                    failed.get_or_insert(error);
                }
            }
        }
        Err(RepoError::NowhereInSource {
            path: output.path.clone(),
            tried,
            far,
            source: failed.map(Box::new),
        })
    }

    fn fetch_from_remote(&self, remote: &RemoteConfig, cache: &Cache, wanted: &Wanted, depth: Depth) -> Result<()> {
        let store = self.desk.remote_store(remote)?;
        let plan = store.plan_fetch(cache, std::slice::from_ref(wanted))?;
        let fail = |source| {
            Err(RepoError::NotFetched {
                path: RepoPath::root(),
                source,
            })
        };
        if let Some((_, error)) = plan.broken.first() {
            return fail(std::sync::Arc::clone(error));
        }
        if depth == Depth::Listings {
            return Ok(());
        }
        let fetched = plan.execute(&store, cache)?;
        match fetched.failed.into_iter().next() {
            Some((_, error)) => fail(error),
            None => Ok(()),
        }
    }

    /// The remotes of the repository, the likeliest first; and those whose place is a directory beside it, which is
    /// elsewhere.
    fn remotes(&self, wanted: Option<&str>) -> Result<(Vec<RemoteConfig>, Vec<String>)> {
        let project = RepoPath::new(PROJECT_FILE.as_bytes())?;
        let text = match self.file(&project) {
            Some(entry) => self.git.blob(&entry.blob, MAX_FILE)?.unwrap_or_default(),
            None => Vec::new(),
        };
        let config = Config::load(&ConfigSources {
            project: Some(self.place.project.clone()),
            project_text: Some(text),
            local: self.place.local.clone(),
            ..self.desk.user_settings().clone()
        })?;
        let default = config.default_remote().map(|setting| setting.value.to_string());
        let of_repository = |remote: &RemoteConfig| {
            [FileLayer::Project, FileLayer::Local]
                .iter()
                .any(|layer| Layer::from(*layer) == remote.origin.layer)
        };
        let rank = |remote: &RemoteConfig| {
            let is = |name: Option<&str>| name == Some(remote.name.as_str());
            match () {
                () if is(wanted) => Some(0),
                () if is(default.as_deref()) => Some(1),
                () if of_repository(remote) => Some(2),
                () => None,
            }
        };
        let (mut near, mut far) = (Vec::new(), Vec::new());
        for remote in config.remotes().into_values() {
            let Some(rank) = rank(&remote) else { continue };
            let is_relative = !is_git_url(&remote.url) && Path::new(&remote.url).is_relative();
            if is_relative && !self.place.is_here && remote.origin.layer == Layer::Project {
                far.push(remote.name.to_string());
            } else {
                near.push((rank, remote));
            }
        }
        near.sort_by_key(|(rank, _)| *rank);
        Ok((near.into_iter().map(|(_, remote)| remote).collect(), far))
    }
}

impl Found {
    /// Whether it is an output, or a part of one, rather than a directory with outputs in it.
    fn is_of_output(&self, output: &Output, inside: &[RepoPath]) -> bool {
        !inside.is_empty() || pointer_node(output) == self.node
    }
}
