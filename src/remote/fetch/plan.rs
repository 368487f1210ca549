//! What has to be fetched, found by walking the wanted trees. Trees that are missing are fetched on the way, level by
//! level; the remote is not asked anything if all is here already.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::super::error::{RemoteError, Result};
use super::super::store::RemoteStore;
use crate::hash::{FileId, PackId, RootId, ShardId, TreeId};
use crate::object::{Node, Root, Trees};
use crate::path::RepoPath;
use crate::progress::Phase;
use crate::store::shard::{PackInfo, Shard};
use crate::store::{Cache, Location, Recipe, StoreError};

/// One root, or parts of it.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The root.
    pub root: Root,
    /// Paths inside the tree; none means all of it.
    pub parts: Vec<RepoPath>,
    /// Other versions, which may have what the root needs if the remote does not know the root itself: a merged
    /// directory is new, its files are not.
    pub lineage: Vec<Root>,
}

impl Wanted {
    fn includes(&self, path: &RepoPath) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|part| path.starts_with(part))
    }

    fn leads_to(&self, path: &RepoPath) -> bool {
        self.includes(path) || self.parts.iter().any(|part| part.starts_with(path))
    }
}

/// The shards that describe what is wanted.
#[derive(Debug, Default, Clone)]
pub(super) struct RemoteIndex {
    pub(super) shards: Vec<Arc<Shard>>,
}

impl RemoteIndex {
    pub(super) fn recipe(&self, file: &FileId) -> Result<Option<Recipe>> {
        for shard in &self.shards {
            if let Some(recipe) = shard.recipe(file)? {
                return Ok(Some(recipe));
            }
        }
        Ok(None)
    }

    fn find(&self, file: &FileId) -> Result<Option<Location>> {
        for shard in &self.shards {
            if let Some(location) = shard.find(&file.as_chunk())? {
                return Ok(Some(location));
            }
        }
        Ok(None)
    }

    fn pack(&self, id: &PackId) -> Option<(Arc<Shard>, PackInfo)> {
        self.shards
            .iter()
            .find_map(|shard| Some((Arc::clone(shard), shard.pack(id).filter(|pack| pack.kind.is_some())?)))
    }
}

/// Slots that are to be fetched: (number of the pack in `packs`, slot). Eight bytes each, so that plans of many
/// millions of chunks stay small.
#[derive(Default)]
pub(super) struct Needs {
    pub(super) packs: Vec<(Arc<Shard>, PackInfo)>,
    numbers: HashMap<PackId, u32>,
    pub(super) slots: Vec<(u32, u32)>,
}

impl Needs {
    fn number(&mut self, index: &RemoteIndex, id: &PackId) -> Option<u32> {
        if let Some(number) = self.numbers.get(id) {
            return Some(*number);
        }
        let found = index.pack(id)?;
        let number = u32::try_from(self.packs.len()).ok()?;
        self.packs.push(found);
        self.numbers.insert(*id, number);
        Some(number)
    }

    /// Adds the chunks of a file that the cache does not have; `None` when the shards do not say where they are.
    fn add_file(&mut self, cache: &Cache, index: &RemoteIndex, file: &FileId) -> Result<Option<Source>> {
        if let Some(location) = index.find(file)? {
            let Some(number) = self.number(index, &location.pack) else {
                return Ok(None);
            };
            self.slots.push((number, location.slot));
            return Ok(Some(Source::Chunk(number, location.slot)));
        }
        let Some(recipe) = index.recipe(file)? else {
            return Ok(None);
        };
        let (mut size, before) = (0_u64, self.slots.len());
        for term in &recipe.terms {
            let Some(number) = self.number(index, &term.pack) else {
                self.slots.truncate(before);
                return Ok(None);
            };
            let (shard, pack) = self.packs[number as usize].clone();
            if !term.is_in(&pack) {
                self.slots.truncate(before);
                return Ok(None);
            }
            for slot in term.first..term.first + term.count {
                let location = shard.slot_in(&pack, slot)?;
                size += u64::from(location.chunk.raw_len);
                if cache.locate(&location.chunk.chunk)?.is_none() {
                    self.slots.push((number, slot));
                }
            }
        }
        if size != recipe.size {
            self.slots.truncate(before);
            return Ok(None);
        }
        Ok(Some(Source::Recipe))
    }

    pub(super) fn location(&self, (pack, slot): (u32, u32)) -> Result<Location> {
        let (shard, pack) = &self.packs[pack as usize];
        Ok(shard.slot_in(pack, slot)?)
    }
}

enum Source {
    Chunk(u32, u32),
    Recipe,
}

/// What is missing here and where it is.
#[derive(Default)]
pub struct FetchPlan {
    pub(super) index: RemoteIndex,
    pub(super) needs: Needs,
    /// Files of more than one chunk.
    pub(super) recipes: Vec<FileId>,
    /// Files of one chunk, with where it is.
    pub(super) singles: Vec<(FileId, u32, u32)>,
    /// Roots that are not complete here and that the remote does not have.
    pub absent: Vec<Root>,
    /// Roots that are not complete here and whose shards on the remote are missing or damaged, and how.
    pub broken: Vec<(Root, Arc<RemoteError>)>,
    /// Files and trees that are missing here and that no shard describes: of absent or broken roots, or lost.
    pub lost: Vec<FileId>,
    /// Trees that could not be fetched, and why; what is in them is not known.
    pub failed: Vec<(FileId, Arc<RemoteError>)>,
    /// Files that are missing here and can be fetched.
    pub files: u64,
    /// Bytes of packs to fetch.
    pub bytes: u64,
}

impl FetchPlan {
    /// Whether all that is wanted and missing here can be fetched.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.absent.is_empty() && self.broken.is_empty() && self.lost.is_empty() && self.failed.is_empty()
    }
}

impl std::fmt::Debug for FetchPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchPlan")
            .field("files", &self.files)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl RemoteStore {
    /// Finds what of `wanted` is missing in `cache`. Fetches missing trees into the cache.
    ///
    /// # Errors
    /// When the remote cannot be asked. What concerns single roots or trees is in the plan.
    pub fn plan_fetch(&self, cache: &Cache, wanted: &[Wanted]) -> Result<FetchPlan> {
        self.progress.start(Phase::Comparing, 0, 0);
        let mut planner = Planner {
            remote: self,
            cache,
            wanted,
            asked: HashSet::new(),
            shards: HashSet::new(),
            seen: HashSet::new(),
            unfound: BTreeSet::new(),
            plan: FetchPlan::default(),
        };
        planner.run()?;
        planner.finish()
    }

    /// Finds these files (a chunk alone is a file, too), wherever the remote has them. Those that it does not have are
    /// left out.
    ///
    /// # Errors
    /// When the remote cannot be asked.
    pub fn plan_fetch_files(&self, cache: &Cache, files: &[FileId]) -> Result<FetchPlan> {
        self.progress.start(Phase::Comparing, 0, 0);
        let mut plan = FetchPlan::default();
        plan.index.shards = self.sound_shards()?;
        for file in files {
            if !cache.contains(file)? {
                plan.add_file(cache, file)?;
            }
        }
        plan.sort()?;
        Ok(plan)
    }
}

impl RemoteStore {
    /// As [`RemoteStore::plan_fetch_files`], of chunks, in packs that are there and are not among `not_in`.
    pub(super) fn plan_fetch_elsewhere(
        &self,
        cache: &Cache,
        chunks: &[FileId],
        not_in: &HashSet<PackId>,
    ) -> Result<FetchPlan> {
        // It may be that a collection moved them since the catalog was read.
        self.refresh();
        let there = self.packs()?;
        let mut plan = FetchPlan::default();
        plan.index.shards = self.sound_shards()?;
        let is_there = |pack: PackInfo| !not_in.contains(&pack.id) && there.get(&pack.id) == Some(&pack.file_len);
        plan.index.shards.retain(|shard| shard.packs().all(is_there));
        for chunk in chunks {
            plan.add_file(cache, chunk)?;
        }
        plan.sort()?;
        Ok(plan)
    }
}

struct Planner<'a> {
    remote: &'a RemoteStore,
    cache: &'a Cache,
    wanted: &'a [Wanted],
    /// Roots whose shards were asked for.
    asked: HashSet<RootId>,
    /// Shards in the plan's index.
    shards: HashSet<ShardId>,
    seen: HashSet<FileId>,
    /// Files that none of the shards so far describes; shards of another root may.
    unfound: BTreeSet<FileId>,
    plan: FetchPlan,
}

/// A tree to look into: number of the wanted root, path in it, id.
type Pending = (usize, RepoPath, TreeId);

impl Planner<'_> {
    fn run(&mut self) -> Result<()> {
        let mut level: Vec<Pending> = Vec::new();
        for (number, want) in self.wanted.iter().enumerate() {
            match want.root {
                Root::File(id) => self.file(number, &id)?,
                Root::Tree(id) => level.push((number, RepoPath::root(), id)),
            }
        }
        let mut entered: HashSet<TreeId> = HashSet::new();
        while !level.is_empty() {
            self.remote.progress.check()?;
            self.fetch_trees(&level)?;
            let mut below = Vec::new();
            for (number, path, id) in level {
                let tree = match self.cache.tree(id) {
                    Ok(tree) => tree,
                    // Named in `lost` or `failed` already.
                    Err(error) if error.is_missing() => continue,
                    Err(error) => return Err(error.into()),
                };
                let want = &self.wanted[number];
                for entry in tree.into_entries() {
                    let path = path.join(&entry.name);
                    match entry.node {
                        Node::File { id, .. } if want.includes(&path) => self.file(number, &id)?,
                        // What is wanted whole need not be looked into twice.
                        Node::Dir { id, .. } if want.includes(&path) && !entered.insert(id) => {}
                        Node::Dir { id, .. } if want.leads_to(&path) => below.push((number, path, id)),
                        _ => {}
                    }
                }
            }
            level = below;
        }
        Ok(())
    }

    /// Adds the shards of a root to the index.
    fn ask(&mut self, number: usize) -> Result<()> {
        let root = self.wanted[number].root;
        if !self.asked.insert(root.id()) {
            return Ok(());
        }
        match self.remote.shards_of(&root.id()) {
            Ok(Some(shards)) => {
                let new = shards.into_iter().filter(|shard| self.shards.insert(shard.id()));
                self.plan.index.shards.extend(new);
            }
            Ok(None) => {
                match self.remote.damaged_runs()?.first() {
                    // It may have named it.
                    Some(&(run, defect)) => {
                        let error = RemoteError::from(StoreError::DamagedRun { run, defect });
                        self.plan.broken.push((root, Arc::new(error)));
                    }
                    None => self.plan.absent.push(root),
                }
                self.ask_lineage(number)?;
            }
            Err(error) if error.is_of_one_download() => self.plan.broken.push((root, Arc::new(error))),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn ask_lineage(&mut self, number: usize) -> Result<()> {
        for root in &self.wanted[number].lineage {
            match self.remote.shards_of(&root.id()) {
                Ok(shards) => {
                    let new = shards
                        .into_iter()
                        .flatten()
                        .filter(|shard| self.shards.insert(shard.id()));
                    self.plan.index.shards.extend(new);
                }
                // Another version may have it.
                Err(error) if error.is_of_one_download() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn file(&mut self, number: usize, id: &FileId) -> Result<()> {
        if !self.seen.insert(*id) {
            if self.unfound.contains(id) {
                self.ask(number)?;
            }
            return Ok(());
        }
        if self.cache.contains(id)? {
            return Ok(());
        }
        self.ask(number)?;
        if !self.plan.add_file(self.cache, id)? {
            self.unfound.insert(*id);
        }
        Ok(())
    }

    /// Brings the trees of one level into the cache, all in one go.
    fn fetch_trees(&mut self, level: &[Pending]) -> Result<()> {
        let mut missing = BTreeSet::new();
        for (number, _, id) in level {
            if !self.cache.contains(&id.as_file())? {
                self.ask(*number)?;
                missing.insert(id.as_file());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut part = FetchPlan {
            index: self.plan.index.clone(),
            ..FetchPlan::default()
        };
        for id in missing {
            if !part.add_file(self.cache, &id)? {
                self.plan.lost.push(id);
            }
        }
        part.sort()?;
        let outcome = part.execute(self.remote, self.cache)?;
        self.plan.failed.extend(outcome.failed);
        Ok(())
    }

    fn finish(mut self) -> Result<FetchPlan> {
        for id in std::mem::take(&mut self.unfound) {
            if !self.plan.add_file(self.cache, &id)? {
                self.plan.lost.push(id);
            }
        }
        self.plan.sort()?;
        Ok(self.plan)
    }
}

impl FetchPlan {
    /// Plans a missing file if the index knows where it is.
    fn add_file(&mut self, cache: &Cache, id: &FileId) -> Result<bool> {
        match self.needs.add_file(cache, &self.index, id)? {
            Some(Source::Chunk(pack, slot)) => self.singles.push((*id, pack, slot)),
            Some(Source::Recipe) => self.recipes.push(*id),
            None => return Ok(false),
        }
        self.files += 1;
        Ok(true)
    }

    /// Puts what is needed into the order of the packs, each once, and adds up the bytes.
    fn sort(&mut self) -> Result<()> {
        self.needs.slots.sort_unstable();
        self.needs.slots.dedup();
        self.bytes = 0;
        for &need in &self.needs.slots {
            self.bytes += u64::from(self.needs.location(need)?.chunk.stored_len);
        }
        Ok(())
    }

    /// Whether there is nothing to fetch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.needs.slots.is_empty() && self.recipes.is_empty()
    }
}
