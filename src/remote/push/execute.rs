//! Sending what a plan says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use super::super::error::{RemoteError, Result};
use super::super::store::RemoteStore;
use super::catalog::Replace;
use super::plan::{Incomplete, Item, PushPlan, RootPlan};
use super::upload::{RefusedPack, Uploader, Uploads};
use crate::fs;
use crate::hash::{ChunkId, FileId, PackId, RootId, ShardId};
use crate::object::Root;
use crate::progress::Phase;
use crate::store::draft::{Draft, Place};
use crate::store::pack::{PackFiller, PageCache};
use crate::store::shard::{self, Shard, ShardBuilder};
use crate::store::{Cache, Location, PackKind, Reader, StoreError};

/// Packs described by one shard: 2 GiB of bodies, and a bound on the memory for their tables.
const PACKS_PER_SHARD: u32 = 32;
/// Shards smaller than this are merged by later pushes, in bytes.
const SMALL_SHARD: usize = 1 << 20;
/// Small shards a root may have before they are merged into one.
const MANY_SMALL: usize = 8;

/// What a push did.
#[derive(Debug, Default)]
pub struct PushOutcome {
    /// Roots that are on the remote now and were not before.
    pub pushed: Vec<Root>,
    /// Files of which something was sent.
    pub files: u64,
    /// Chunks sent.
    pub chunks: u64,
    /// Bytes of packs sent.
    pub bytes: u64,
    /// Packs sent.
    pub packs: u64,
    /// Roots that were not completed because some of them is damaged here.
    pub damaged: Vec<Incomplete>,
    /// Roots that were not completed because the remote does not take some of it, and what it says.
    pub refused: Vec<(Root, Arc<RemoteError>)>,
}

impl PushPlan {
    /// Sends everything and writes the catalog. `remote` must be the one the plan was made for. A root of which a chunk
    /// is damaged here, or that needs a pack which the remote does not take, is not named there; the others are.
    ///
    /// # Errors
    /// When something cannot be sent. Nothing is visible on the remote then, but packs that arrived are remembered and
    /// not sent again.
    pub fn execute(mut self, remote: &Arc<RemoteStore>, cache: &Cache) -> Result<PushOutcome> {
        if self.roots.is_empty() {
            return Ok(PushOutcome::default());
        }
        remote.progress.start(Phase::Pushing, self.files, self.bytes);
        remote.create()?;
        let roots = std::mem::take(&mut self.roots);
        let mut sender = Sender {
            remote,
            cache,
            reader: Reader::new(cache),
            buffer: Vec::new(),
            uploader: Uploader::start(remote),
            packs: PackFiller::new(cache.tmp_dir(), PageCache::Keep),
            sent: HashMap::new(),
            drafts: Vec::new(),
            names: HashMap::new(),
            refused: HashMap::new(),
            journal_packs: BTreeSet::new(),
            journaled: BTreeSet::new(),
            journal_files: Vec::new(),
            group: 0,
            new_shards: Vec::new(),
            outcome: PushOutcome {
                files: self.files,
                ..PushOutcome::default()
            },
            plan: self,
        };
        let mut placed = Vec::with_capacity(roots.len());
        for root in roots {
            match sender.root(root)? {
                Ok(root) => placed.push(root),
                Err(damaged) => sender.outcome.damaged.push(damaged),
            }
        }
        if placed.is_empty() {
            // What was sent is remembered, so that it is not sent again when the rest is repaired.
            sender.seal(PackKind::Data)?;
            sender.seal(PackKind::Tree)?;
            let uploads = sender.uploader.finish()?;
            sender.count_out(&uploads.refused);
            return Ok(sender.outcome);
        }
        sender.finish(placed)
    }
}

/// A root whose content is in packs: shards that are on the remote, and groups of packs of this push.
struct Placed {
    root: Root,
    shards: BTreeSet<ShardId>,
    groups: BTreeSet<usize>,
    /// Packs of this push that it needs, by number.
    packs: BTreeSet<u32>,
}

struct Sender<'a> {
    plan: PushPlan,
    remote: &'a Arc<RemoteStore>,
    cache: &'a Cache,
    reader: Reader,
    buffer: Vec<u8>,
    uploader: Uploader,
    packs: PackFiller,
    /// Chunks of the current group: what one new shard will describe.
    sent: HashMap<ChunkId, Place>,
    drafts: Vec<(FileId, u64, Draft)>,
    names: HashMap<u32, PackId>,
    /// Packs that the remote does not take, by number.
    refused: HashMap<u32, Arc<RemoteError>>,
    /// Packs of earlier pushes that the next shard has to describe.
    journal_packs: BTreeSet<PackId>,
    /// All of those that some shard of this push describes.
    journaled: BTreeSet<PackId>,
    /// What was noted of packs of this push, with their groups.
    journal_files: Vec<(usize, PathBuf)>,
    group: usize,
    new_shards: Vec<Arc<Shard>>,
    outcome: PushOutcome,
}

impl Sender<'_> {
    fn root(&mut self, plan: RootPlan) -> Result<std::result::Result<Placed, Incomplete>> {
        let mut bad = BTreeSet::new();
        let mut placed = Placed {
            root: plan.root,
            shards: plan.shards,
            groups: BTreeSet::new(),
            packs: BTreeSet::new(),
        };
        for (items, kind) in [(plan.files, PackKind::Data), (plan.trees, PackKind::Tree)] {
            for item in items {
                let (file, done) = match item {
                    Item::Chunk(pack, slot) => {
                        let location = self.cache.index().slot(&self.plan.packs[pack as usize], slot)?;
                        let file = location.chunk.chunk.as_file();
                        (file, self.chunk(&location, kind, &mut placed, None))
                    }
                    Item::Large(number) => {
                        let file = self.plan.large[number as usize];
                        (file, self.large(file, kind, &mut placed))
                    }
                };
                match done {
                    Ok(()) => {}
                    Err(RemoteError::Store(error)) if error.is_of_content() => drop(bad.insert(file)),
                    Err(error) => return Err(error),
                }
                self.remote.progress.advance(u64::from(kind == PackKind::Data), 0);
            }
        }
        Ok(if bad.is_empty() {
            Ok(placed)
        } else {
            Err(Incomplete {
                root: placed.root,
                files: bad.into_iter().collect(),
                damaged: true,
            })
        })
    }

    fn large(&mut self, file: FileId, kind: PackKind, placed: &mut Placed) -> Result<()> {
        let Some(recipe) = self.cache.recipe(&file)? else {
            return Err(StoreError::MissingFile(file).into());
        };
        let mut draft = Draft::default();
        let cache = self.cache;
        for location in cache.locations(&recipe) {
            self.chunk(&location?, kind, placed, Some(&mut draft))?;
        }
        placed.groups.insert(self.group);
        self.drafts.push((file, recipe.size, draft));
        Ok(())
    }

    /// Makes sure that a chunk is on the remote, or in a pack on its way there.
    fn chunk(
        &mut self,
        local: &Location,
        kind: PackKind,
        placed: &mut Placed,
        mut draft: Option<&mut Draft>,
    ) -> Result<()> {
        let id = local.chunk.chunk;
        if let Some(&place) = self.sent.get(&id) {
            placed.groups.insert(self.group);
            placed.packs.insert(place.0);
            if let Some(draft) = &mut draft {
                draft.push_new(place);
            }
            return Ok(());
        }
        if let Some((location, group)) = self.find_new(&id)? {
            placed.groups.insert(group);
            if let Some(draft) = &mut draft {
                draft.push_old(&location);
            }
            return Ok(());
        }
        if let Some((location, shard)) = self.plan.known.find(&id)? {
            match shard {
                Some(shard) => drop(placed.shards.insert(shard)),
                None => {
                    self.journal_packs.insert(location.pack);
                    placed.groups.insert(self.group);
                }
            }
            if let Some(draft) = &mut draft {
                draft.push_old(&location);
            }
            return Ok(());
        }
        placed.groups.insert(self.group);
        let place = self.append(local, kind)?;
        placed.packs.insert(place.0);
        if let Some(draft) = &mut draft {
            draft.push_new(place);
        }
        Ok(())
    }

    /// A chunk that an earlier shard of this push describes.
    fn find_new(&self, chunk: &ChunkId) -> Result<Option<(Location, usize)>> {
        for (group, shard) in self.new_shards.iter().enumerate() {
            if let Some(location) = shard.find(chunk)? {
                return Ok(Some((location, group)));
            }
        }
        Ok(None)
    }

    /// Copies a chunk, still compressed, into the open pack. It is decoded once to see that it is sound: what is
    /// damaged here must not be trusted there.
    fn append(&mut self, local: &Location, kind: PackKind) -> Result<Place> {
        self.remote.progress.check()?;
        self.reader.chunk(local, &mut self.buffer)?;
        let (place, full) = self.packs.append(kind, local.chunk, self.reader.last_body())?;
        self.sent.insert(local.chunk.chunk, place);
        self.outcome.chunks += 1;
        self.outcome.bytes += u64::from(local.chunk.stored_len);
        if full {
            self.seal(kind)?;
            if self.packs.begun() >= PACKS_PER_SHARD * (self.group as u32 + 1) {
                self.end_group(&mut [])?;
            }
        }
        Ok(place)
    }

    fn seal(&mut self, kind: PackKind) -> Result<()> {
        if let Some((number, pack)) = self.packs.seal(kind)? {
            self.outcome.packs += 1;
            self.uploader.send(number, pack)?;
        }
        Ok(())
    }

    /// Waits for the packs of the current group and uploads the shard that describes them. `lists` are the roots of the
    /// whole push if this is the last group.
    fn end_group(&mut self, lists: &mut [Placed]) -> Result<()> {
        self.seal(PackKind::Data)?;
        self.seal(PackKind::Tree)?;
        let mut uploader = std::mem::replace(&mut self.uploader, Uploader::start(self.remote));
        let mut builder = ShardBuilder::new();
        let Uploads { there, refused } = uploader.finish()?;
        self.count_out(&refused);
        for pack in refused {
            self.refused.insert(pack.number, pack.error);
        }
        for pack in there {
            self.names.insert(pack.number, pack.id);
            builder.add_pack(pack.id, pack.kind, pack.file_len, &pack.slots)?;
            self.journal_files.push((self.group, pack.journal));
        }
        for pack in std::mem::take(&mut self.journal_packs) {
            self.plan.known.journal.describe(&pack, &mut builder)?;
            self.journaled.insert(pack);
        }
        for (file, size, draft) in self.drafts.drain(..) {
            match draft.resolve(file, size, &self.names) {
                Some(recipe) => builder.add_recipe(recipe)?,
                // The roots that need it are not named.
                None if !self.refused.is_empty() => {}
                None => return Err(StoreError::MissingFile(file).into()),
            }
        }
        self.sent.clear();
        if builder.is_empty() {
            return Ok(());
        }
        let bytes = self.absorb_small(builder.build()?, lists)?;
        self.new_shards.push(self.remote.put_shard(bytes)?);
        self.group += 1;
        Ok(())
    }

    /// Takes what did not arrive out of what was sent.
    fn count_out(&mut self, refused: &[RefusedPack]) {
        for pack in refused {
            self.outcome.packs -= 1;
            self.outcome.bytes -= pack.bytes;
            self.outcome.chunks -= pack.chunks;
        }
    }

    /// Merges the small shards of these roots into the new one once there are many, so that a root with a long past does
    /// not need ever more requests to restore.
    fn absorb_small(&self, new: Vec<u8>, lists: &mut [Placed]) -> Result<Vec<u8>> {
        let used: BTreeSet<_> = lists.iter().flat_map(|list| &list.shards).copied().collect();
        let small: Vec<_> = self
            .plan
            .known
            .shards
            .iter()
            .filter(|shard| used.contains(&shard.id()) && shard.bytes().len() < SMALL_SHARD)
            .collect();
        if small.len() < MANY_SMALL || new.len() >= SMALL_SHARD {
            return Ok(new);
        }
        let absorbed: BTreeSet<_> = small.iter().map(|shard| shard.id()).collect();
        let new = Shard::parse(ShardId::of(&new), new)?;
        let all: Vec<&Shard> = small.into_iter().map(AsRef::as_ref).chain([&new]).collect();
        for list in lists {
            let before = list.shards.len();
            list.shards.retain(|shard| !absorbed.contains(shard));
            if list.shards.len() < before {
                list.groups.insert(self.group);
            }
        }
        Ok(shard::merge(&all)?)
    }

    fn finish(mut self, mut placed: Vec<Placed>) -> Result<PushOutcome> {
        self.end_group(&mut placed)?;
        let mut roots: BTreeMap<RootId, Vec<ShardId>> = BTreeMap::new();
        let mut named = BTreeSet::new();
        for list in placed {
            if let Some(error) = list.packs.iter().find_map(|pack| self.refused.get(pack)) {
                self.outcome.refused.push((list.root, Arc::clone(error)));
                continue;
            }
            let mut shards = list.shards;
            for group in list.groups {
                named.insert(group);
                let shard = self.new_shards.get(group).ok_or(RemoteError::UploaderGone)?;
                shards.insert(shard.id());
            }
            roots.insert(list.root.id(), shards.into_iter().collect());
            self.outcome.pushed.push(list.root);
        }
        if roots.is_empty() {
            return Ok(self.outcome);
        }
        let change = |shards| shards;
        let replace = if self.plan.replace {
            Replace::All {
                change: &change,
                damaged: &[],
            }
        } else {
            Replace::Small
        };
        self.remote.publish_roots(roots, &replace)?;
        // From here on the catalog says where the packs are, except those of roots that are not complete.
        if self.outcome.damaged.is_empty() && self.outcome.refused.is_empty() {
            self.plan.known.journal.forget(&self.journaled)?;
        }
        for (_, path) in self.journal_files.iter().filter(|(group, _)| named.contains(group)) {
            fs::remove_file(path)?;
        }
        Ok(self.outcome)
    }
}
