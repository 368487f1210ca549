//! `gc`: removes from the cache what nothing needs.
//!
//! What exists only on this machine is not removed unless the caller says so; what "elsewhere" is, the remotes are asked
//! before the cache is locked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::outputs::pointer_root;
use super::{RepoError, Repository, Result};
use crate::fs;
use crate::git::Scope;
use crate::hash::{ChunkId, FileId, PackId, TreeId};
use crate::object::{Node, Root, Trees as _};
use crate::progress::Phase;
use crate::store::gc::{Collected, Fate, GcPlan, Marks};
use crate::store::shard::Shard;
use crate::store::{self, Cache, Location};

/// What becomes of content that nothing needs and that no remote has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnlyCopies {
    /// As long as there is some, nothing is removed.
    #[default]
    Refuse,
    /// It stays, the rest goes.
    Keep,
    /// It goes, too, and is lost for good. Remotes are not asked.
    Delete,
}

/// What to keep.
#[derive(Debug, Clone, Default)]
pub struct GcOptions {
    /// What is needed.
    pub scope: Scope,
    /// Also keep what was stored in the last so many days.
    pub keep_days: Option<u32>,
    /// Ask this remote only what it has, not all of them.
    pub remote: Option<String>,
    /// What becomes of content that no remote has.
    pub only_copies: OnlyCopies,
    /// Files that are kept if they are there, whatever the scope.
    pub also: Vec<FileId>,
    /// Only find out what would be removed.
    pub dry_run: bool,
}

/// What was, or would be, removed.
#[derive(Debug, serde::Serialize)]
pub struct GcOutcome {
    /// Whether nothing was removed because only the plan was asked for.
    pub dry_run: bool,
    /// Whether nothing was removed because some of it exists only here.
    pub refused: bool,
    /// Outputs' versions that are needed.
    pub live_roots: u64,
    /// Of these, how many are not whole in the cache.
    pub incomplete_roots: u64,
    /// Chunks that are not needed and go.
    pub chunks: u64,
    /// Packs that go.
    pub packs_removed: u64,
    /// Packs that are written anew without what goes.
    pub packs_rewritten: u64,
    /// Leftovers of interrupted commands that go.
    pub leftovers: u64,
    /// Bytes of these.
    pub leftover_bytes: u64,
    /// Bytes that are free then, on disk, leftovers included.
    pub freed_bytes: u64,
    /// Bytes that are not needed and exist only here.
    pub only_here_bytes: u64,
    /// Bytes that are not needed and stay because they are recent.
    pub recent_bytes: u64,
    /// Packs that were left alone because something needed in them is damaged.
    pub damaged_packs: u64,
    /// The remotes that were asked.
    pub remotes: Vec<String>,
}

/// The shards of a remote, and its packs with their bytes.
type Store = (Vec<Arc<Shard>>, HashMap<PackId, u64>);

/// What remotes have.
#[derive(Default)]
struct Elsewhere {
    names: Vec<String>,
    stores: Vec<Store>,
}

impl Elsewhere {
    /// Whether a remote has the chunk, in a pack that is really there.
    fn has(&self, chunk: &ChunkId) -> store::Result<bool> {
        for (shards, packs) in &self.stores {
            for shard in shards {
                if let Some(location) = shard.find(chunk)?
                    && let Some(pack) = shard.pack(&location.pack)
                    && packs.get(&pack.id) == Some(&pack.file_len)
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl Repository {
    /// Removes from the cache what no pointer in the scope needs. Must be called before anything else uses the cache.
    ///
    /// # Errors
    /// [`RepoError::NoGcScope`]; when pointers or history cannot be read; when a remote cannot be asked.
    pub fn gc(&self, options: &GcOptions) -> Result<GcOutcome> {
        if !options.scope.workspace && !options.scope.has_history() {
            return Err(RepoError::NoGcScope);
        }
        self.progress.start(Phase::Scanning, 0, 0);
        let elsewhere = match options.only_copies {
            OnlyCopies::Delete => Elsewhere::default(),
            _ => self.elsewhere(options.remote.as_deref())?,
        };
        // Whoever adds holds the cache until the pointer is written: from here on there are no new pointers.
        let cache = self.cache_exclusive()?;
        // First: when a filter is done, git's index names what it had pinned.
        let pinned = cache.pinned()?;
        let roots = self.live_roots(&options.scope)?;
        let (mut marks, incomplete) = self.mark(&cache, &roots)?;
        for id in options.also.iter().chain(&pinned) {
            marks.keep_file(&cache, id)?;
        }
        let mut outcome = GcOutcome {
            dry_run: options.dry_run,
            refused: false,
            live_roots: roots.len() as u64,
            incomplete_roots: incomplete,
            chunks: 0,
            packs_removed: 0,
            packs_rewritten: 0,
            leftovers: 0,
            leftover_bytes: 0,
            freed_bytes: 0,
            only_here_bytes: 0,
            recent_bytes: 0,
            damaged_packs: 0,
            remotes: elsewhere.names.clone(),
        };
        let mut recent = Recent::new(&cache, options.keep_days);
        let mut plan = GcPlan::new(&cache, marks, &mut |location| {
            let len = u64::from(location.chunk.stored_len);
            if recent.has(&location.pack)? {
                outcome.recent_bytes += len;
                return Ok(true);
            }
            if options.only_copies == OnlyCopies::Delete || is_duplicate(&cache, location)? {
                return Ok(false);
            }
            let only_here = !elsewhere.has(&location.chunk.chunk)?;
            if only_here {
                outcome.only_here_bytes += len;
            }
            Ok(only_here)
        })?;
        if incomplete > 0 {
            // A pack without its shard may hold what is missing.
            plan.keep_orphans(&cache);
        }
        outcome.leftovers = plan.leftovers.len() as u64;
        outcome.leftover_bytes = plan.leftovers.iter().map(|(_, len)| len).sum();
        outcome.chunks = plan.removed_chunks();
        outcome.freed_bytes = plan.freed_bytes();
        for pack in &plan.packs {
            match pack.fate {
                Fate::Keep => {}
                Fate::Repack => outcome.packs_rewritten += 1,
                Fate::Remove => outcome.packs_removed += 1,
            }
        }
        outcome.refused = options.only_copies == OnlyCopies::Refuse && outcome.only_here_bytes > 0;
        if !(options.dry_run || outcome.refused || plan.is_empty()) {
            let Collected {
                packs_removed,
                packs_rewritten,
                freed_bytes,
                damaged_packs,
            } = plan.execute(&cache, &self.progress)?;
            (outcome.packs_removed, outcome.packs_rewritten) = (packs_removed, packs_rewritten);
            (outcome.freed_bytes, outcome.damaged_packs) = (freed_bytes, damaged_packs);
        }
        Ok(outcome)
    }

    /// What is needed in a scope and must not be removed.
    ///
    /// # Errors
    /// When a pointer cannot be read: it may name anything.
    pub(super) fn live_roots(&self, scope: &Scope) -> Result<HashSet<Root>> {
        // Pointers that cannot be read in the work tree may name anything.
        if !(self.git.is_bare() && scope.has_history()) {
            self.outputs()?.sound()?;
        }
        let live = self.git.pointers_in(scope, &self.progress)?;
        let promised = live.unparsed.into_iter().find(|error| error.problem.is_promise());
        // Of all work trees alike.
        if let Some(error) = live.unparsed_files.into_iter().next().or(promised) {
            return Err(error.into());
        }
        Ok(live.pointers.iter().map(pointer_root).collect())
    }

    /// What is needed in a scope, as [`Repository::gc`] has it.
    ///
    /// # Errors
    /// When pointers or history cannot be read.
    pub fn needed_roots(&self, scope: &Scope) -> Result<HashSet<Root>> {
        let live = self.git.pointers_in(scope, &self.progress)?;
        Ok(live.pointers.iter().map(pointer_root).collect())
    }

    /// What the remotes have: of the one that is named, or of all.
    fn elsewhere(&self, remote: Option<&str>) -> Result<Elsewhere> {
        let names = match remote {
            Some(name) => vec![name.to_owned()],
            None => self.config.remotes().into_keys().map(|name| name.to_string()).collect(),
        };
        let mut elsewhere = Elsewhere::default();
        for name in names {
            let ask = || -> Result<Store> {
                let remote = self.remote(Some(&name))?;
                Ok((remote.shards_there()?, remote.packs()?))
            };
            elsewhere.stores.push(ask().map_err(|source| RepoError::CannotAsk {
                remote: name.clone(),
                source: Box::new(source),
            })?);
            elsewhere.names.push(name);
        }
        Ok(elsewhere)
    }

    /// Everything that the roots need, and how many of them are not whole here.
    fn mark(&self, cache: &Cache, roots: &HashSet<Root>) -> Result<(Marks, u64)> {
        let mut marks = Marks::new();
        let mut incomplete = 0;
        let mut walked: HashMap<TreeId, bool> = HashMap::new();
        for root in roots {
            let mut whole = marks.keep_file(cache, &root.as_file())?;
            if let Root::Tree(id) = root {
                let mut pending = vec![*id];
                while let Some(id) = pending.pop() {
                    self.progress.check()?;
                    if let Some(known) = walked.get(&id) {
                        whole &= known;
                        continue;
                    }
                    let mut complete = marks.keep_file(cache, &id.as_file())?;
                    if complete {
                        for entry in cache.tree(id)?.entries() {
                            match entry.node {
                                Node::File { id, .. } => complete &= marks.keep_file(cache, &id)?,
                                Node::Dir { id, .. } => pending.push(id),
                                Node::Symlink { .. } => {}
                            }
                        }
                    }
                    whole &= complete;
                    walked.insert(id, complete);
                }
            }
            incomplete += u64::from(!whole);
        }
        Ok((marks, incomplete))
    }
}

/// Whether the index would look for this chunk in another place: that one decides.
fn is_duplicate(cache: &Cache, location: &Location) -> store::Result<bool> {
    let first = cache.locate(&location.chunk.chunk)?;
    Ok(first.is_some_and(|first| (first.pack, first.slot) != (location.pack, location.slot)))
}

/// Packs that are younger than what is to be spared.
struct Recent<'a> {
    cache: &'a Cache,
    since: Option<SystemTime>,
    known: HashMap<PackId, bool>,
}

impl<'a> Recent<'a> {
    fn new(cache: &'a Cache, days: Option<u32>) -> Self {
        let span = days.map(|days| Duration::from_secs(u64::from(days) * 86_400));
        Self {
            cache,
            since: span.map(|span| SystemTime::now().checked_sub(span).unwrap_or(SystemTime::UNIX_EPOCH)),
            known: HashMap::new(),
        }
    }

    fn has(&mut self, pack: &PackId) -> store::Result<bool> {
        let Some(since) = self.since else { return Ok(false) };
        if let Some(known) = self.known.get(pack) {
            return Ok(*known);
        }
        let stat = fs::stat(&self.cache.pack_path(pack))?;
        let recent = stat.is_some_and(|stat| stat.modified() >= since);
        self.known.insert(*pack, recent);
        Ok(recent)
    }
}
