//! What has to be sent, found by comparing each root with the newest of its earlier versions that the remote has, and
//! chunk by chunk with the shards of all of those.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::super::error::Result;
use super::super::store::RemoteStore;
use super::journal::Journal;
use crate::hash::{ChunkId, FileId, PackId, ShardId, TreeId};
use crate::object::{self, Node, ObjectError, Root, Trees, Visit};
use crate::progress::Phase;
use crate::store::shard::Shard;
use crate::store::{Cache, Location, StoreError};

/// A root to push and what is known of its past.
#[derive(Debug, Clone)]
pub struct PushRoot {
    /// The root.
    pub root: Root,
    /// Earlier versions, newest first: what they share with it is probably on the remote already.
    pub lineage: Vec<Root>,
}

/// A root that cannot be pushed because some of it is neither here, or not sound here, nor on the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomplete {
    /// The root.
    pub root: Root,
    /// Files or trees of it: the first one that is missing, or all that are damaged.
    pub files: Vec<FileId>,
    /// Whether they are here and damaged.
    pub damaged: bool,
}

/// One thing to send, eight bytes each: a chunk by where it is here, or a large file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// The only chunk of a file or tree: number of the local pack in `packs`, slot.
    Chunk(u32, u32),
    /// A file of more than one chunk: index into `large`.
    Large(u32),
}

/// What one root needs.
#[derive(Debug)]
pub(super) struct RootPlan {
    pub(super) root: Root,
    pub(super) files: Vec<Item>,
    pub(super) trees: Vec<Item>,
    /// Shards on the remote that already hold parts of it.
    pub(super) shards: BTreeSet<ShardId>,
}

/// What a push has to do.
pub struct PushPlan {
    pub(super) roots: Vec<RootPlan>,
    pub(super) packs: Vec<PackId>,
    pub(super) large: Vec<FileId>,
    pub(super) known: Known,
    /// Whether what the catalog says of these roots now is to be replaced.
    pub(super) replace: bool,
    /// Roots the remote has already.
    pub present: Vec<Root>,
    /// Roots that cannot be pushed.
    pub incomplete: Vec<Incomplete>,
    /// Files with something to send.
    pub files: u64,
    /// Chunks to send.
    pub chunks: u64,
    /// Bytes of packs to send, about.
    pub bytes: u64,
}

impl std::fmt::Debug for PushPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushPlan")
            .field("roots", &self.roots.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl PushPlan {
    /// The roots that are new to the remote.
    pub fn new_roots(&self) -> impl Iterator<Item = Root> {
        self.roots.iter().map(|plan| plan.root)
    }
}

/// What is known to be on the remote.
#[derive(Default)]
pub(in crate::remote) struct Known {
    pub(super) shards: Vec<Arc<Shard>>,
    pub(super) journal: Journal,
}

impl Known {
    /// Where a chunk is on the remote, and in which shard that is written; `None` for the shard when the chunk is in a
    /// pack that only the journal knows.
    pub(super) fn find(&self, chunk: &ChunkId) -> Result<Option<(Location, Option<ShardId>)>> {
        for shard in &self.shards {
            if let Some(location) = shard.find(chunk)? {
                return Ok(Some((location, Some(shard.id()))));
            }
        }
        Ok(self.journal.find(chunk)?.map(|location| (location, None)))
    }

    /// The shard that has the recipe of a file, with the shards that describe the packs it names.
    fn recipe(&self, file: &FileId) -> Result<Option<BTreeSet<ShardId>>> {
        for shard in &self.shards {
            let Some(recipe) = shard.recipe(file)? else {
                continue;
            };
            let mut shards = BTreeSet::from([shard.id()]);
            let mut size = 0_u64;
            for term in &recipe.terms {
                let home = self
                    .shards
                    .iter()
                    .find_map(|shard| Some((shard, shard.pack(&term.pack)?)));
                let Some((home, pack)) = home.filter(|(_, pack)| term.is_in(pack)) else {
                    return Ok(None);
                };
                for slot in term.first..term.first + term.count {
                    size += u64::from(home.slot_in(&pack, slot)?.chunk.raw_len);
                }
                shards.insert(home.id());
            }
            return Ok((size == recipe.size).then_some(shards));
        }
        Ok(None)
    }

    fn has(&self, shard: &ShardId) -> bool {
        self.shards.iter().any(|known| known.id() == *shard)
    }

    fn add(&mut self, shard: Arc<Shard>) {
        if !self.has(&shard.id()) {
            self.shards.push(shard);
        }
    }

    /// What these shards say, and no more.
    pub(in crate::remote) fn of(shards: Vec<Arc<Shard>>) -> Self {
        Self {
            shards,
            journal: Journal::default(),
        }
    }

    /// Whether the shards say where all of a file (or listing) is.
    pub(in crate::remote) fn describes(&self, id: &FileId) -> Result<bool> {
        Ok(self.find(&id.as_chunk())?.is_some() || self.recipe(id)?.is_some())
    }

    /// Forgets every shard that describes a pack which is not there in full length: what a reader would look for in
    /// such a pack must be sent again, and described by shards that do not lead there.
    fn believe(&mut self, there: &HashMap<PackId, u64>) {
        self.shards
            .retain(|shard| shard.packs().all(|pack| there.get(&pack.id) == Some(&pack.file_len)));
    }
}

impl RemoteStore {
    /// Finds what of `roots` the remote does not have.
    ///
    /// # Errors
    /// When the remote cannot be asked, or the cache or the remote's metadata is damaged.
    pub fn plan_push(&self, cache: &Cache, roots: &[PushRoot]) -> Result<PushPlan> {
        self.progress.start(Phase::Comparing, 0, 0);
        let mut planner = Planner::new(self, cache)?;
        let mut seen = HashSet::new();
        let mut new = Vec::new();
        for root in roots {
            if !seen.insert(root.root) {
                continue;
            }
            if self.keeps(&root.root.id())? {
                planner.plan.present.push(root.root);
            } else {
                new.push((root, planner.learn(root)?));
            }
        }
        if !new.is_empty() {
            self.must_list()?;
            // Also what was pushed from here and never committed.
            for shard in self.kept_shards()? {
                planner.plan.known.add(shard);
            }
            planner.believe()?;
        }
        for (root, base) in new {
            planner.root(root.root, base)?;
        }
        Ok(planner.plan)
    }

    /// Finds what it takes to restore these roots from the remote, whatever its catalog says of them; carried out, it
    /// takes the place of that. What `shards` describe need not be sent.
    ///
    /// # Errors
    /// As [`RemoteStore::plan_push`].
    pub(in crate::remote) fn plan_push_again(
        &self,
        cache: &Cache,
        roots: &[Root],
        shards: Vec<Arc<Shard>>,
    ) -> Result<PushPlan> {
        self.progress.start(Phase::Comparing, 0, 0);
        let mut planner = Planner::new(self, cache)?;
        planner.plan.replace = true;
        planner.plan.known.shards = shards;
        planner.believe()?;
        for root in roots {
            planner.root(*root, None)?;
        }
        Ok(planner.plan)
    }
}

/// The newest earlier version the remote has, and the shards that restore it.
type Base = Option<(Root, BTreeSet<ShardId>)>;

struct Planner<'a> {
    remote: &'a RemoteStore,
    cache: &'a Cache,
    numbers: HashMap<PackId, u32>,
    /// Chunks that this push sends anyway.
    sent: HashSet<(u32, u32)>,
    plan: PushPlan,
}

impl<'a> Planner<'a> {
    fn new(remote: &'a RemoteStore, cache: &'a Cache) -> Result<Self> {
        Ok(Self {
            remote,
            cache,
            numbers: HashMap::new(),
            sent: HashSet::new(),
            plan: PushPlan {
                roots: Vec::new(),
                packs: Vec::new(),
                large: Vec::new(),
                known: Known {
                    shards: Vec::new(),
                    journal: Journal::load(remote)?,
                },
                replace: false,
                present: Vec::new(),
                incomplete: Vec::new(),
                files: 0,
                chunks: 0,
                bytes: 0,
            },
        })
    }

    /// Asks the remote whether the packs are there that its shards describe: one request for a thousand of them.
    fn believe(&mut self) -> Result<()> {
        if !self.plan.known.shards.is_empty() {
            self.plan.known.believe(&self.remote.packs()?);
        }
        let mut reliable = Vec::with_capacity(self.plan.known.shards.len());
        for shard in std::mem::take(&mut self.plan.known.shards) {
            if self.remote.is_reliable_shard(&shard.id())? {
                reliable.push(shard);
            }
        }
        self.plan.known.shards = reliable;
        Ok(())
    }

    /// Loads the shards of the earlier versions that the remote has.
    fn learn(&mut self, root: &PushRoot) -> Result<Base> {
        let mut base = None;
        for &earlier in &root.lineage {
            // What is damaged there of an earlier version is no help and no obstacle.
            let shards = match self.remote.reliable_shards_of(&earlier.id()) {
                Ok(shards) => shards,
                Err(error) if error.is_of_one_download() => None,
                Err(error) => return Err(error),
            };
            if let Some(shards) = shards {
                let ids = shards.iter().map(|shard| shard.id()).collect();
                for shard in shards {
                    self.plan.known.add(shard);
                }
                base.get_or_insert((earlier, ids));
            }
        }
        Ok(base)
    }

    fn root(&mut self, root: Root, base: Base) -> Result<()> {
        self.remote.progress.check()?;
        let mut part = RootPlan {
            root,
            files: Vec::new(),
            trees: Vec::new(),
            shards: BTreeSet::new(),
        };
        let mark = (self.plan.files, self.plan.chunks, self.plan.bytes);
        let result = match root {
            Root::File(id) => self.file(&mut part, &id, false),
            Root::Tree(id) => self.tree(&mut part, id, base),
        };
        let damaged = matches!(result, Err(PlanError::Damaged(_)));
        match result {
            Ok(()) => self.plan.roots.push(part),
            Err(PlanError::Missing(file) | PlanError::Damaged(file)) => {
                // What it shares with other roots is counted again when they are sent.
                (self.plan.files, self.plan.chunks, self.plan.bytes) = mark;
                for item in part.files.iter().chain(&part.trees) {
                    if let Item::Chunk(pack, slot) = item {
                        self.sent.remove(&(*pack, *slot));
                    }
                }
                self.plan.incomplete.push(Incomplete {
                    root,
                    files: vec![file],
                    damaged,
                });
            }
            Err(PlanError::Remote(error)) => return Err(error),
        }
        Ok(())
    }

    fn tree(&mut self, part: &mut RootPlan, id: TreeId, base: Base) -> Planned<()> {
        if let Some((Root::Tree(earlier), shards)) = base
            && earlier != id
            && shards.iter().all(|shard| self.plan.known.has(shard))
            && self.cache.contains(&earlier.as_file())?
        {
            // Everything the earlier version has is restored by its shards; only the differences are looked at.
            part.shards.extend(shards);
            match self.changed(part, earlier, id) {
                // A tree of the earlier version is not here: look at everything.
                Err(PlanError::Missing(_)) => {}
                other => return other,
            }
        }
        self.whole(part, id)
    }

    fn changed(&mut self, part: &mut RootPlan, before: TreeId, after: TreeId) -> Planned<()> {
        let cache = self.cache;
        let mut new_trees = HashSet::new();
        object::diff::<_, PlanError>(cache, Some(before), Some(after), &mut |change| {
            if let Some(node) = &change.after {
                match node {
                    Node::File { id, .. } => self.file(part, id, false)?,
                    Node::Dir { id, .. } => self.whole(part, *id)?,
                    Node::Symlink { .. } => {}
                }
            }
            Ok(())
        })?;
        // The trees on the way to the differences.
        let mut level = vec![(Some(before), after)];
        while let Some((before, after)) = level.pop() {
            if before == Some(after) || !new_trees.insert(after) {
                continue;
            }
            self.file(part, &after.as_file(), true)?;
            let old = match before {
                Some(before) => Some(cache.tree(before)?),
                None => None,
            };
            for entry in cache.tree(after)?.entries() {
                if let Node::Dir { id, .. } = entry.node
                    && let Some(Node::Dir { id: old, .. }) = old
                        .as_ref()
                        .and_then(|tree| tree.get(entry.name.as_bytes()))
                        .map(|entry| &entry.node)
                {
                    level.push((Some(*old), id));
                }
            }
        }
        Ok(())
    }

    fn whole(&mut self, part: &mut RootPlan, id: TreeId) -> Planned<()> {
        let cache = self.cache;
        self.file(part, &id.as_file(), true)?;
        object::walk::<_, PlanError>(cache, id, |_, node| {
            match node {
                Node::File { id, .. } => self.file(part, id, false)?,
                Node::Dir { id, .. } => self.file(part, &id.as_file(), true)?,
                Node::Symlink { .. } => {}
            }
            Ok(Visit::Enter)
        })
    }

    /// Plans a file or a tree's listing.
    fn file(&mut self, part: &mut RootPlan, id: &FileId, is_tree: bool) -> Planned<()> {
        if let Some((_, shard)) = self.plan.known.find(&id.as_chunk())? {
            return match shard {
                Some(shard) => {
                    part.shards.insert(shard);
                    Ok(())
                }
                // Its pack is there, a shard that says so is not: the new shard will.
                None => self.local_chunk(part, id, is_tree, true),
            };
        }
        if let Some(shards) = self.plan.known.recipe(id)? {
            part.shards.extend(shards);
            return Ok(());
        }
        if self.cache.locate(&id.as_chunk())?.is_some() {
            return self.local_chunk(part, id, is_tree, false);
        }
        let Some(recipe) = self.cache.recipe(id)? else {
            return Err(PlanError::Missing(*id));
        };
        let mut new = false;
        for location in self.cache.locations(&recipe) {
            let location = location?;
            match self.plan.known.find(&location.chunk.chunk)? {
                Some((_, Some(shard))) => drop(part.shards.insert(shard)),
                Some((_, None)) => new = true,
                None => {
                    new = true;
                    let place = (self.number(location.pack)?, location.slot);
                    if self.sent.insert(place) {
                        self.count(&location);
                    }
                }
            }
        }
        self.plan.files += u64::from(new && !is_tree);
        let number = u32::try_from(self.plan.large.len()).map_err(|_| StoreError::TooMany)?;
        self.plan.large.push(*id);
        let items = if is_tree { &mut part.trees } else { &mut part.files };
        items.push(Item::Large(number));
        Ok(())
    }

    /// Plans a file of one chunk; `arrived` when an earlier push that was not finished has sent the chunk.
    fn local_chunk(&mut self, part: &mut RootPlan, id: &FileId, is_tree: bool, arrived: bool) -> Planned<()> {
        let Some(location) = self.cache.locate(&id.as_chunk())? else {
            return Err(PlanError::Missing(*id));
        };
        let place = (self.number(location.pack)?, location.slot);
        if self.sent.insert(place) && !arrived {
            self.count(&location);
            self.plan.files += u64::from(!is_tree);
        }
        let items = if is_tree { &mut part.trees } else { &mut part.files };
        items.push(Item::Chunk(place.0, place.1));
        Ok(())
    }

    fn count(&mut self, location: &Location) {
        self.plan.chunks += 1;
        self.plan.bytes += u64::from(location.chunk.stored_len);
    }

    fn number(&mut self, pack: PackId) -> Planned<u32> {
        if let Some(number) = self.numbers.get(&pack) {
            return Ok(*number);
        }
        let number = u32::try_from(self.plan.packs.len()).map_err(|_| StoreError::TooMany)?;
        self.plan.packs.push(pack);
        self.numbers.insert(pack, number);
        Ok(number)
    }
}

type Planned<T> = std::result::Result<T, PlanError>;

/// Why a root could not be planned.
enum PlanError {
    Missing(FileId),
    /// It is here and cannot be read.
    Damaged(FileId),
    Remote(super::super::error::RemoteError),
}

impl From<super::super::error::RemoteError> for PlanError {
    fn from(error: super::super::error::RemoteError) -> Self {
        Self::Remote(error)
    }
}

impl From<StoreError> for PlanError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::MissingFile(id) => Self::Missing(id),
            StoreError::DamagedChunk { chunk, .. } => Self::Damaged(chunk.as_file()),
            StoreError::DamagedRecipe(id) => Self::Damaged(id),
            error => Self::Remote(error.into()),
        }
    }
}

impl From<ObjectError> for PlanError {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Store(error) => error.into(),
            error => Self::Remote(error.into()),
        }
    }
}
