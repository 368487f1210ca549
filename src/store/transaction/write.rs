//! The writer thread: bodies into packs, packs and recipes into shards.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::file::Window;
use super::{FLUSH_PACKS, Pending, RecipeKey, Stored};
use crate::hash::{ChunkId, FileId, PackId};
use crate::store::cache::{Cache, lock};
use crate::store::draft::Draft;
use crate::store::index::publish_shard;
use crate::store::pack::{PackInfo, PackWriter, PageCache, SealedPack};
use crate::store::shard::ShardBuilder;
use crate::store::{PackKind, Result, Slot, StoreError};

/// Chunks since the last flush that force another: bounds the map of pending chunks to about 50 MiB.
const FLUSH_CHUNKS: usize = 1 << 19;
/// Packs of one transaction that are left in the page cache: 512 MiB, which are likely to be read again soon.
const CACHED_PACKS: u32 = 8;
/// Packs that wait for their sync.
const UNPUBLISHED: usize = 2;

/// The bytes of a chunk's body.
#[derive(Debug)]
pub(super) enum Body {
    /// Its own bytes.
    Owned(Vec<u8>),
    /// A part of a window of a large file.
    Window(Arc<Window>, Range<usize>),
}

impl Body {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Window(window, range) => &window.bytes()[range.clone()],
        }
    }
}

/// What producers tell the writer.
#[derive(Debug)]
pub(super) enum Message {
    /// A chunk to store; it is the next of `recipe`, if of any.
    Chunk {
        kind: PackKind,
        slot: Slot,
        body: Body,
        recipe: Option<RecipeKey>,
    },
    /// The next chunk of `recipe` is stored or was sent before.
    Known { chunk: ChunkId, recipe: RecipeKey },
    /// All chunks of `recipe` were sent.
    EndRecipe { recipe: RecipeKey, file: FileId, size: u64 },
    /// The chunks of `recipe` are of no use: the file changed while it was read.
    DropRecipe { recipe: RecipeKey },
    /// Publish everything; the last message.
    Commit,
}

/// A pack that is being filled.
struct OpenPack {
    number: u32,
    writer: PackWriter,
}

/// State of the writer thread.
pub(super) struct Writer {
    cache: Cache,
    pending: Arc<Pending>,
    next_number: u32,
    open: [Option<OpenPack>; 2],
    to_publish: Option<Sender<(u32, SealedPack)>>,
    published: Receiver<Result<(u32, PackInfo)>>,
    publisher: Option<JoinHandle<()>>,
    under_way: usize,
    ready: Vec<(u32, PackInfo)>,
    names: HashMap<u32, PackId>,
    drafts: HashMap<RecipeKey, Draft>,
    complete: Vec<(FileId, u64, Draft)>,
    stored: Stored,
}

impl Writer {
    pub(super) fn new(cache: Cache, pending: Arc<Pending>) -> Self {
        let (to_publish, inbox) = bounded::<(u32, SealedPack)>(UNPUBLISHED);
        let (outbox, published) = unbounded();
        let packs_dir = cache.packs_dir();
        let publisher = std::thread::spawn(move || {
            for (number, sealed) in inbox {
                if outbox
                    .send(sealed.publish(&packs_dir).map(|info| (number, info)))
                    .is_err()
                {
                    break;
                }
            }
        });
        Self {
            cache,
            pending,
            next_number: 0,
            open: [None, None],
            to_publish: Some(to_publish),
            published,
            publisher: Some(publisher),
            under_way: 0,
            ready: Vec::new(),
            names: HashMap::new(),
            drafts: HashMap::new(),
            complete: Vec::new(),
            stored: Stored::default(),
        }
    }

    /// Takes messages until the producers commit or go away.
    pub(super) fn run(mut self, messages: &Receiver<Message>) -> Result<Stored> {
        let outcome = self.take(messages);
        self.to_publish = None;
        if let Some(publisher) = self.publisher.take() {
            // It ends when its channel closes; it does not panic.
            let _ = publisher.join();
        }
        outcome.map(|()| self.stored)
    }

    fn take(&mut self, messages: &Receiver<Message>) -> Result<()> {
        for message in messages {
            match message {
                Message::Chunk {
                    kind,
                    slot,
                    body,
                    recipe,
                } => self.chunk(kind, slot, &body, recipe)?,
                Message::Known { chunk, recipe } => self.known(&chunk, recipe)?,
                Message::EndRecipe { recipe, file, size } => {
                    let draft = self.drafts.remove(&recipe).unwrap_or_default();
                    if self.cache.recipe(&file)?.is_none() {
                        self.complete.push((file, size, draft));
                    }
                }
                Message::DropRecipe { recipe } => drop(self.drafts.remove(&recipe)),
                Message::Commit => return self.commit(),
            }
            self.collect_published(false)?;
            if self.ready.len() >= FLUSH_PACKS || lock(&self.pending).len() >= FLUSH_CHUNKS {
                self.collect_published(true)?;
                self.flush()?;
            }
        }
        // Stopped without a commit: keep the packs that are complete, so that a repeated add finds them.
        self.collect_published(true)?;
        self.flush()
    }

    fn chunk(&mut self, kind: PackKind, slot: Slot, body: &Body, recipe: Option<RecipeKey>) -> Result<()> {
        // Two producers may have encoded the same chunk at the same time.
        let place = lock(&self.pending).get(&slot.chunk).copied();
        if let Some(place) = place {
            if let Some(recipe) = recipe {
                self.drafts.entry(recipe).or_default().push_new(place);
            }
            return Ok(());
        }
        if let Some(location) = self.cache.locate(&slot.chunk)? {
            if let Some(recipe) = recipe {
                self.drafts.entry(recipe).or_default().push_old(&location);
            }
            return Ok(());
        }
        let open = match &mut self.open[kind as usize] {
            Some(open) => open,
            none => {
                let number = self.next_number;
                self.next_number += 1;
                let page_cache = if number < CACHED_PACKS {
                    PageCache::Keep
                } else {
                    PageCache::Bypass
                };
                none.insert(OpenPack {
                    number,
                    writer: PackWriter::create(&self.cache.tmp_dir(), kind, page_cache)?,
                })
            }
        };
        let place = (open.number, open.writer.append(slot, body.as_bytes())?);
        let full = open.writer.is_full();
        lock(&self.pending).insert(slot.chunk, place);
        if let Some(recipe) = recipe {
            self.drafts.entry(recipe).or_default().push_new(place);
        }
        self.stored.chunks += 1;
        self.stored.bytes += u64::from(slot.raw_len);
        self.stored.stored_bytes += u64::from(slot.stored_len);
        if full {
            self.seal(kind)?;
        }
        Ok(())
    }

    fn known(&mut self, chunk: &ChunkId, recipe: RecipeKey) -> Result<()> {
        let place = lock(&self.pending).get(chunk).copied();
        let draft = self.drafts.entry(recipe).or_default();
        match place {
            Some(place) => draft.push_new(place),
            None => match self.cache.locate(chunk)? {
                Some(location) => draft.push_old(&location),
                None => return Err(StoreError::MissingChunk(*chunk)),
            },
        }
        Ok(())
    }

    fn seal(&mut self, kind: PackKind) -> Result<()> {
        let Some(open) = self.open[kind as usize].take() else {
            return Ok(());
        };
        let sealed = open.writer.finish()?;
        match &self.to_publish {
            Some(publisher) if publisher.send((open.number, sealed)).is_ok() => {
                self.under_way += 1;
                Ok(())
            }
            _ => Err(StoreError::WriterGone),
        }
    }

    /// Takes what the publisher has finished; with `all`, waits for everything it was given.
    fn collect_published(&mut self, all: bool) -> Result<()> {
        while self.under_way > 0 {
            let result = if all {
                self.published.recv().map_err(|_| StoreError::WriterGone)?
            } else {
                match self.published.try_recv() {
                    Ok(result) => result,
                    Err(_) => break,
                }
            };
            self.under_way -= 1;
            let (number, info) = result?;
            self.cache.forget_pack(&info.id);
            self.names.insert(number, info.id);
            self.ready.push((number, info));
        }
        Ok(())
    }

    /// Publishes a shard of the packs that have their names and of the recipes that need no other.
    fn flush(&mut self) -> Result<()> {
        let mut builder = ShardBuilder::new();
        let mut flushed = Vec::new();
        for (_, info) in self.ready.drain(..) {
            flushed.extend(info.slots.iter().map(|slot| slot.chunk));
            builder.add_pack(info.id, info.kind, info.file_len, &info.slots)?;
        }
        let mut waiting = Vec::new();
        for (file, size, draft) in self.complete.drain(..) {
            match draft.resolve(file, size, &self.names) {
                Some(recipe) => builder.add_recipe(recipe)?,
                None => waiting.push((file, size, draft)),
            }
        }
        self.complete = waiting;
        if builder.is_empty() {
            return Ok(());
        }
        let id = publish_shard(&self.cache.shards_dir(), &self.cache.tmp_dir(), &builder.build()?)?;
        self.cache.add_shard(id)?;
        self.stored.shards.push(id);
        // Only now: whoever does not find a chunk in the map any more must find it in the index.
        let mut pending = lock(&self.pending);
        for chunk in flushed {
            pending.remove(&chunk);
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.seal(PackKind::Data)?;
        self.seal(PackKind::Tree)?;
        self.collect_published(true)?;
        self.flush()?;
        debug_assert!(self.complete.is_empty() && self.drafts.is_empty());
        self.cache.merge_shards()
    }
}
