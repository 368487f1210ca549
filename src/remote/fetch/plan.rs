//! What has to be fetched, found by walking the wanted trees. Trees that are missing are fetched on the way, level by
//! level; the remote is not asked anything if all is here already.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::error::{RemoteError, Result};
use super::super::store::RemoteStore;
use crate::hash::{FileId, PackId, TreeId};
use crate::object::{Node, Root, Trees};
use crate::path::RepoPath;
use crate::progress::Phase;
use crate::store::shard::{PackInfo, Shard};
use crate::store::{Cache, Location, PackKind, Recipe};

/// One root, or parts of it.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The root.
    pub root: Root,
    /// Paths inside the tree; none means all of it.
    pub parts: Vec<RepoPath>,
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
#[derive(Debug, Default)]
pub(super) struct RemoteIndex {
    pub(super) shards: Vec<Arc<Shard>>,
}

impl RemoteIndex {
    fn load(remote: &RemoteStore, wanted: &[Wanted]) -> Result<(Self, Vec<Root>)> {
        let mut seen = HashSet::new();
        let mut index = Self::default();
        let mut absent = Vec::new();
        for want in wanted {
            match remote.shards_of(&want.root.id())? {
                Some(shards) => index
                    .shards
                    .extend(shards.into_iter().filter(|shard| seen.insert(shard.id()))),
                None => absent.push(want.root),
            }
        }
        Ok((index, absent))
    }

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
        for term in &recipe.terms {
            let Some(number) = self.number(index, &term.pack) else {
                return Ok(None);
            };
            let (shard, pack) = self.packs[number as usize].clone();
            for slot in term.first..term.first.saturating_add(term.count) {
                let location = shard.slot_in(&pack, slot)?;
                if cache.locate(&location.chunk.chunk)?.is_none() {
                    self.slots.push((number, slot));
                }
            }
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
pub struct FetchPlan {
    pub(super) index: RemoteIndex,
    pub(super) needs: Needs,
    /// Files of more than one chunk.
    pub(super) recipes: Vec<FileId>,
    /// Files of one chunk, with where it is.
    pub(super) singles: Vec<(FileId, u32, u32)>,
    /// Roots that are not complete here and that the remote does not have.
    pub absent: Vec<Root>,
    /// Files the remote should have by its catalog but does not describe.
    pub lost: Vec<FileId>,
    /// Files that are missing here and can be fetched.
    pub files: u64,
    /// Bytes of packs to fetch.
    pub bytes: u64,
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
    /// When the remote cannot be asked or its metadata is damaged.
    pub fn plan_fetch(&self, cache: &Cache, wanted: &[Wanted]) -> Result<FetchPlan> {
        self.progress.start(Phase::Comparing, 0, 0);
        let mut planner = Planner {
            remote: self,
            cache,
            wanted,
            loaded: false,
            plan: FetchPlan {
                index: RemoteIndex::default(),
                needs: Needs::default(),
                recipes: Vec::new(),
                singles: Vec::new(),
                absent: Vec::new(),
                lost: Vec::new(),
                files: 0,
                bytes: 0,
            },
            seen: HashSet::new(),
        };
        planner.run()?;
        planner.finish()
    }
}

struct Planner<'a> {
    remote: &'a RemoteStore,
    cache: &'a Cache,
    wanted: &'a [Wanted],
    loaded: bool,
    plan: FetchPlan,
    seen: HashSet<FileId>,
}

/// A tree to look into: number of the wanted root, path in it, id.
type Pending = (usize, RepoPath, TreeId);

impl Planner<'_> {
    fn run(&mut self) -> Result<()> {
        let mut level: Vec<Pending> = Vec::new();
        for (number, want) in self.wanted.iter().enumerate() {
            match want.root {
                Root::File(id) => self.file(&id)?,
                Root::Tree(id) => level.push((number, RepoPath::root(), id)),
            }
        }
        let mut entered: HashSet<(TreeId, bool)> = HashSet::new();
        while !level.is_empty() {
            self.remote.progress.check()?;
            self.fetch_trees(&level)?;
            let mut below = Vec::new();
            for (number, path, id) in level {
                let tree = match self.cache.tree(id) {
                    Ok(tree) => tree,
                    // Named in `lost` or `absent` already.
                    Err(error) if error.is_missing() => continue,
                    Err(error) => return Err(error.into()),
                };
                let want = &self.wanted[number];
                for entry in tree.into_entries() {
                    let path = path.join(&entry.name);
                    match entry.node {
                        Node::File { id, .. } if want.includes(&path) => self.file(&id)?,
                        // A tree that is wanted whole need not be looked into twice.
                        Node::Dir { id, .. } if want.includes(&path) => {
                            if entered.insert((id, want.parts.is_empty())) {
                                below.push((number, path, id));
                            }
                        }
                        Node::Dir { id, .. } if want.leads_to(&path) => below.push((number, path, id)),
                        _ => {}
                    }
                }
            }
            level = below;
        }
        Ok(())
    }

    fn index(&mut self) -> Result<()> {
        if !self.loaded {
            self.loaded = true;
            let (index, absent) = RemoteIndex::load(self.remote, self.wanted)?;
            self.plan.index = index;
            self.plan.absent = absent;
        }
        Ok(())
    }

    fn file(&mut self, id: &FileId) -> Result<()> {
        if !self.seen.insert(*id) || self.cache.contains(id)? {
            return Ok(());
        }
        self.index()?;
        match self.plan.needs.add_file(self.cache, &self.plan.index, id)? {
            Some(Source::Chunk(pack, slot)) => self.plan.singles.push((*id, pack, slot)),
            Some(Source::Recipe) => self.plan.recipes.push(*id),
            None => {
                self.plan.lost.push(*id);
                return Ok(());
            }
        }
        self.plan.files += 1;
        Ok(())
    }

    /// Brings the trees of one level into the cache, all in one go.
    fn fetch_trees(&mut self, level: &[Pending]) -> Result<()> {
        let mut missing = Vec::new();
        for (_, _, id) in level {
            if !self.cache.contains(&id.as_file())? {
                missing.push(*id);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        self.index()?;
        let mut part = FetchPlan {
            index: RemoteIndex {
                shards: self.plan.index.shards.clone(),
            },
            needs: Needs::default(),
            recipes: Vec::new(),
            singles: Vec::new(),
            absent: Vec::new(),
            lost: Vec::new(),
            files: 0,
            bytes: 0,
        };
        for id in missing {
            match part.needs.add_file(self.cache, &part.index, &id.as_file())? {
                Some(Source::Chunk(pack, slot)) => part.singles.push((id.as_file(), pack, slot)),
                Some(Source::Recipe) => part.recipes.push(id.as_file()),
                None => self.plan.lost.push(id.as_file()),
            }
        }
        part.sort()?;
        let outcome = part.execute(self.remote, self.cache, PackKind::Tree)?;
        match outcome.failed.into_iter().next() {
            None => Ok(()),
            Some((file, reason)) => Err(RemoteError::File {
                remote: self.remote.name().to_owned(),
                file,
                source: reason,
            }),
        }
    }

    fn finish(mut self) -> Result<FetchPlan> {
        self.plan.sort()?;
        Ok(self.plan)
    }
}

impl FetchPlan {
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
