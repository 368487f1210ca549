//! The local cache: a store in a directory, used by many threads and processes at once.
//!
//! Invariants: objects are only added, complete and synced, under their content's name; a chunk counts as present
//! only if a shard names it and the pack that shard names is on disk with the length the shard gives. Whoever has a
//! [`Cache`] holds the cache's lock shared; what removes objects (gc, rebuild, repair) opens it exclusively.
//!
//! Opening reads no object. The index is mapped when it is first asked.

mod read;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use read::Reader;

use super::index::{Index, shard_path};
use super::pack::PackFile;
use super::shard::Shard;
use super::{Location, Recipe, Result, StoreError, marker};
use crate::fs::{self, FileLock, LockKind};
use crate::hash::{ChunkId, FileId, PackId, ShardId};
use crate::progress::Progress;

/// File handles to packs that are kept open.
const OPEN_PACKS: usize = 64;

/// How a cache is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads and adds, beside others.
    Shared,
    /// Removes: nobody else may use the cache meanwhile.
    Exclusive,
}

/// A handle to the local cache; clones share it.
#[derive(Debug, Clone)]
pub struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    access: Access,
    index: RwLock<Index>,
    open_packs: Mutex<OpenPacks>,
    /// What was found out about packs on disk: the length, or that there is none.
    on_disk: Mutex<HashMap<PackId, Option<u64>>>,
    #[expect(dead_code, reason = "held for as long as the cache is used")]
    lock: FileLock,
}

#[derive(Debug, Default)]
struct OpenPacks {
    files: HashMap<PackId, (Arc<PackFile>, u64)>,
    clock: u64,
}

impl Cache {
    /// Opens the cache in `dir`, making an empty one if there is none. Waits for whoever excludes this access, after
    /// telling `waiting` who that is. What a killed process left in a journal is taken in first, if it
    /// can be.
    ///
    /// # Errors
    /// When the directory cannot be made or locked, or holds a store of another format.
    pub fn open(dir: &Path, access: Access, progress: &Progress, waiting: impl FnOnce(&str)) -> Result<Self> {
        Self::open_as_is(dir, access, progress, waiting).map_err(StoreError::explained)
    }

    /// As [`Cache::open`], of a cache that several users share: each lets the group use what is theirs.
    ///
    /// # Errors
    /// As [`Cache::open`], and when another user's directory cannot be used; nothing is changed then.
    pub fn open_shared(dir: &Path, access: Access, progress: &Progress, waiting: impl FnOnce(&str)) -> Result<Self> {
        for dir in [dir.to_owned(), dir.join("packs"), dir.join("shards"), dir.join("tmp")] {
            if let Some(belongs) = fs::belongs(&dir)
                && !belongs.is_ours
                && !fs::may_use(&dir)
            {
                return Err(StoreError::NotShared {
                    path: dir,
                    belongs: Box::new(belongs),
                });
            }
        }
        fs::share(dir).map_err(|error| StoreError::from(error).explained())?;
        Self::open(dir, access, progress, waiting)
    }

    fn open_as_is(dir: &Path, access: Access, progress: &Progress, waiting: impl FnOnce(&str)) -> Result<Self> {
        for sub in ["packs", "shards", "tmp"] {
            fs::create_dir_all(&dir.join(sub))?;
        }
        let kind = match access {
            Access::Shared => LockKind::Shared,
            Access::Exclusive => LockKind::Exclusive,
        };
        let lock = FileLock::acquire(&dir.join("lock"), kind, progress, waiting)?;
        let marker_path = dir.join(marker::NAME);
        match fs::read_if_exists(&marker_path, marker::MAX_LEN)? {
            None => fs::write_atomic(&marker_path, marker::text().as_bytes())?,
            Some(bytes) => marker::check(&bytes).map_err(|source| StoreError::Marker {
                path: dir.to_owned(),
                source,
            })?,
        }
        let index = Index::open(&dir.join("shards"))?;
        let cache = Self(Arc::new(Inner {
            dir: dir.to_owned(),
            access,
            index: RwLock::new(index),
            open_packs: Mutex::default(),
            on_disk: Mutex::default(),
            lock,
        }));
        super::journal::take_in(&cache);
        Ok(cache)
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// How it was opened.
    #[must_use]
    pub fn access(&self) -> Access {
        self.0.access
    }

    /// Where packs are.
    #[must_use]
    pub fn packs_dir(&self) -> PathBuf {
        self.0.dir.join("packs")
    }

    /// Where shards are.
    #[must_use]
    pub fn shards_dir(&self) -> PathBuf {
        self.0.dir.join("shards")
    }

    /// Where journals are, if there are any.
    pub(super) fn journal_dir(&self) -> PathBuf {
        self.0.dir.join("journal")
    }

    /// Where pins are, if there are any.
    pub(super) fn pins_dir(&self) -> PathBuf {
        self.0.dir.join("pins")
    }

    /// Where unfinished files are.
    #[must_use]
    pub fn tmp_dir(&self) -> PathBuf {
        self.0.dir.join("tmp")
    }

    /// The file of a pack.
    #[must_use]
    pub fn pack_path(&self, id: &PackId) -> PathBuf {
        super::object_path(&self.packs_dir(), &id.to_string())
    }

    /// The merged index.
    pub fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.0.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.0.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a chunk is, if it is present.
    ///
    /// # Errors
    /// When the index is damaged or the disk cannot be asked.
    pub fn locate(&self, chunk: &ChunkId) -> Result<Option<Location>> {
        let index = self.index();
        let Some(first) = index.locate(chunk)? else {
            return Ok(None);
        };
        if self.has_pack(&index, &first.pack)? {
            return Ok(Some(first));
        }
        // Another shard may know it in a pack that is there.
        for location in index.locate_all(chunk)? {
            if self.has_pack(&index, &location.pack)? {
                return Ok(Some(location));
            }
        }
        Ok(None)
    }

    /// The recipe of a file of more than one chunk, if all of it is present.
    ///
    /// # Errors
    /// When the index is damaged or the disk cannot be asked.
    pub fn recipe(&self, file: &FileId) -> Result<Option<Recipe>> {
        let index = self.index();
        // A disk that cannot be asked is asked again below, where that is an error.
        let present = |pack: &PackId| self.has_pack(&index, pack).unwrap_or(false);
        let Some(recipe) = index.recipe_among(file, &present)? else {
            return Ok(None);
        };
        for term in &recipe.terms {
            if !self.has_pack(&index, &term.pack)? {
                return Ok(None);
            }
        }
        Ok(Some(recipe))
    }

    /// Whether a file (or listing) can be read back whole.
    ///
    /// # Errors
    /// When the index is damaged or the disk cannot be asked.
    pub fn contains(&self, file: &FileId) -> Result<bool> {
        Ok(self.locate(&file.as_chunk())?.is_some() || self.recipe(file)?.is_some())
    }

    /// The bytes of a file (or listing) that can be read back whole.
    ///
    /// # Errors
    /// When the index is damaged or the disk cannot be asked.
    pub fn size_of(&self, file: &FileId) -> Result<Option<u64>> {
        if let Some(location) = self.locate(&file.as_chunk())? {
            return Ok(Some(u64::from(location.chunk.raw_len)));
        }
        Ok(self.recipe(file)?.map(|recipe| recipe.size))
    }

    /// Whether a pack is described by a shard and is on disk in the length the shard gives.
    fn has_pack(&self, index: &Index, id: &PackId) -> Result<bool> {
        let Some(expected) = index.pack(id).map(|(_, pack)| pack.file_len) else {
            return Ok(false);
        };
        let known = lock(&self.0.on_disk).get(id).copied();
        let actual = match known {
            Some(actual) => actual,
            None => {
                let actual = fs::stat(&self.pack_path(id))?.map(|stat| stat.size);
                lock(&self.0.on_disk).insert(*id, actual);
                actual
            }
        };
        Ok(actual == Some(expected))
    }

    /// A pack was published or removed: look again.
    pub(super) fn forget_pack(&self, id: &PackId) {
        lock(&self.0.on_disk).remove(id);
        lock(&self.0.open_packs).files.remove(id);
    }

    /// A shard was published: search it too.
    pub(super) fn add_shard(&self, id: ShardId) -> Result<()> {
        let shard = Shard::open(&shard_path(&self.shards_dir(), id), id)?;
        self.index_mut().add(Arc::new(shard));
        Ok(())
    }

    /// Merges shards while there are more than a search should look into.
    pub(super) fn merge_shards(&self) -> Result<()> {
        let index = self.index().clone();
        if index.merge_plan().is_some() {
            let on_disk = index.clone();
            let present = |pack: &PackId| self.has_pack(&on_disk, pack).unwrap_or(false);
            let tidied = index.tidy(&self.shards_dir(), &self.tmp_dir(), &present)?;
            *self.index_mut() = tidied;
        }
        Ok(())
    }

    fn open_pack(&self, id: &PackId) -> Result<Arc<PackFile>> {
        let mut open = lock(&self.0.open_packs);
        open.clock += 1;
        let clock = open.clock;
        if let Some((file, used)) = open.files.get_mut(id) {
            *used = clock;
            return Ok(Arc::clone(file));
        }
        let file = match PackFile::open(&self.pack_path(id), *id) {
            Ok(file) => Arc::new(file),
            Err(StoreError::Fs(error)) if error.is_not_found() => return Err(StoreError::MissingPack(*id)),
            Err(error) => return Err(error.explained()),
        };
        if open.files.len() >= OPEN_PACKS
            && let Some(oldest) = open.files.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id)
        {
            open.files.remove(&oldest);
        }
        open.files.insert(*id, (Arc::clone(&file), clock));
        Ok(file)
    }
}

/// A poisoned lock guards nothing that a panic elsewhere could have left half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
