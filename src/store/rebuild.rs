//! Building the index again from what is stored.
//!
//! Packs describe themselves: their tables say which chunks they hold. How files of several chunks are put together
//! stands in shards alone, so recipes can only be taken over from shards that can still be read; those of a damaged
//! shard are kept if reading the file by them gives its id.
//!
//! Invariant: a shard is removed only after the new ones are durable, so a rebuild that is stopped anywhere leaves an
//! index that knows at least as much as before.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::sync::Arc;

use super::cache::{Access, Cache};
use super::index::{Index, publish_shard, shard_path};
use super::pack::PackFile;
use super::shard::{Shard, ShardBuilder};
use super::{Recipe, Result, StoreError};
use crate::fs;
use crate::hash::{FileId, PackId, ShardId};
use crate::progress::{Phase, Progress};

/// Records described by one new shard: bounds memory.
const RECORDS_PER_SHARD: usize = 1 << 20;

/// What a rebuild found and did.
#[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Rebuilt {
    /// Packs that are described now.
    pub packs: u64,
    /// Chunks in them.
    pub chunks: u64,
    /// Files of several chunks that can be put together now.
    pub recipes: u64,
    /// Packs that were on disk and that no shard described before.
    pub found_packs: u64,
    /// Packs that shards described and that are not on disk.
    pub missing_packs: Vec<PackId>,
    /// Packs on disk whose own table is damaged. They are left where they are; if a shard described one, that stays
    /// in force, and chunks of it that are sound can be read.
    pub damaged_packs: Vec<PackId>,
    /// Shards that could not be read, or not all of them.
    pub damaged_shards: Vec<ShardId>,
    /// Files of several chunks whose recipe was known and is given up, because chunks of them are gone or other
    /// content came out.
    pub lost_recipes: u64,
    /// Shards written.
    pub shards: u64,
}

impl Cache {
    /// Builds the index again from the tables of the packs on disk and the recipes of the shards that can be read.
    /// Reads the tables, not the content: [`Cache::verify`] does that.
    ///
    /// # Errors
    /// When the cache is not held exclusively, or cannot be read or written. The old index is then still there.
    pub fn rebuild(&self, progress: &Progress) -> Result<Rebuilt> {
        if self.access() != Access::Exclusive {
            return Err(StoreError::NotExclusive);
        }
        // What was in the way may have gone.
        let old = Index::open(&self.shards_dir())?;
        old.all_readable()?;
        let mut rebuild = Rebuild {
            cache: self,
            progress,
            builder: ShardBuilder::new(),
            recipes_in_builder: 0,
            published: BTreeSet::new(),
            slots: HashMap::new(),
            outcome: Rebuilt::default(),
        };
        rebuild.packs(&old)?;
        let (sound, doubtful) = rebuild.recipes(&old)?;
        for recipe in sound {
            rebuild.keep(recipe)?;
        }
        rebuild.publish_if(0)?;
        // What the doubtful recipes give can be read only by an index that describes the packs.
        *self.index_mut() = Index::open(&self.shards_dir())?;
        for recipe in doubtful {
            progress.check()?;
            match self.copy_recipe(&recipe, &mut |_| Ok::<(), StoreError>(())) {
                Ok(_) => rebuild.keep(recipe)?,
                Err(StoreError::Fs(error)) => return Err(error.into()),
                Err(_) => rebuild.outcome.lost_recipes += 1,
            }
        }
        rebuild.publish_if(0)?;
        let Rebuild {
            published, mut outcome, ..
        } = rebuild;
        let before: BTreeSet<ShardId> = old.shard_ids().chain(old.damaged().iter().map(|(id, _)| *id)).collect();
        for id in before.difference(&published) {
            fs::remove_file(&shard_path(&self.shards_dir(), *id))?;
        }
        *self.index_mut() = Index::open(&self.shards_dir())?;
        outcome.shards = published.len() as u64;
        // With a damaged index it may not have been possible before.
        super::journal::take_in(self);
        Ok(outcome)
    }

    /// The packs that are in the directory of packs, by name; whether they are sound is not asked.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn packs_on_disk(&self) -> Result<Vec<PackId>> {
        let mut packs = BTreeSet::new();
        for prefix in fs::list(&self.packs_dir())? {
            match fs::list(&self.packs_dir().join(&prefix)) {
                Ok(names) => packs.extend(names.iter().filter_map(|name| pack_of(&prefix, name))),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(packs.into_iter().collect())
    }
}

fn pack_of(prefix: &OsStr, name: &OsStr) -> Option<PackId> {
    let name = name.to_str()?;
    prefix.to_str().filter(|prefix| name.starts_with(prefix))?;
    name.parse().ok()
}

struct Rebuild<'a> {
    cache: &'a Cache,
    progress: &'a Progress,
    builder: ShardBuilder,
    recipes_in_builder: usize,
    published: BTreeSet<ShardId>,
    /// Packs that are described now, and how many slots each has.
    slots: HashMap<PackId, u32>,
    outcome: Rebuilt,
}

impl Rebuild<'_> {
    /// Describes the packs on disk.
    fn packs(&mut self, old: &Index) -> Result<()> {
        let packs = self.cache.packs_on_disk()?;
        self.progress.start(Phase::Verifying, packs.len() as u64, 0);
        for id in &packs {
            self.progress.check()?;
            let table = PackFile::open(&self.cache.pack_path(id), *id).and_then(|pack| pack.table());
            match table {
                Ok(table) => {
                    self.builder
                        .add_pack(*id, table.kind(), table.file_len(), table.slots())?;
                    self.slots.insert(*id, table.slots().len() as u32);
                    self.outcome.packs += 1;
                    self.outcome.chunks += table.slots().len() as u64;
                    self.outcome.found_packs += u64::from(!old.has_pack(id));
                    self.publish_if(RECORDS_PER_SHARD)?;
                }
                Err(StoreError::DamagedPack { .. }) => {
                    self.outcome.damaged_packs.push(*id);
                    self.describe_as_before(old, id)?;
                }
                Err(error) => return Err(error),
            }
            self.progress.advance(1, 0);
        }
        let on_disk: HashSet<&PackId> = packs.iter().collect();
        let described = old.shards().iter().flat_map(|shard| shard.packs());
        let missing: BTreeSet<PackId> = described
            .map(|pack| pack.id)
            .filter(|id| !on_disk.contains(id))
            .collect();
        self.outcome.missing_packs = missing.into_iter().collect();
        Ok(())
    }

    /// A pack whose own table is damaged may still hold chunks where a shard says: whoever reads one checks its id.
    fn describe_as_before(&mut self, old: &Index, id: &PackId) -> Result<()> {
        let Some((shard, pack)) = old.pack(id) else {
            return Ok(());
        };
        let slots: Result<Vec<_>> = shard.slots(pack).map(|slot| slot.map(|slot| slot.chunk)).collect();
        if let (Some(kind), Ok(slots)) = (pack.kind, slots) {
            self.builder.add_pack(*id, kind, pack.file_len, &slots)?;
            self.slots.insert(*id, pack.slots);
        }
        Ok(())
    }

    /// The recipes that are known and whose packs are there: those of sound shards, and those of damaged ones.
    fn recipes(&mut self, old: &Index) -> Result<(Vec<Recipe>, Vec<Recipe>)> {
        self.outcome.damaged_shards = old.damaged().iter().map(|(id, _)| *id).collect();
        let (sound, unsound): (Vec<&Arc<Shard>>, _) = old.shards().iter().partition(|shard| shard.verify().is_ok());
        self.outcome
            .damaged_shards
            .extend(unsound.iter().map(|shard| shard.id()));
        let mut kept: HashMap<FileId, Recipe> = HashMap::new();
        let mut lost: HashSet<FileId> = HashSet::new();
        for shard in sound {
            for recipe in shard.recipes() {
                self.progress.check()?;
                let recipe = recipe?;
                if kept.contains_key(&recipe.file) {
                    continue;
                }
                if self.is_whole(&recipe) {
                    lost.remove(&recipe.file);
                    kept.insert(recipe.file, recipe);
                } else {
                    lost.insert(recipe.file);
                }
            }
        }
        self.outcome.lost_recipes = lost.len() as u64;
        let mut doubtful: HashMap<FileId, Recipe> = HashMap::new();
        for recipe in unsound.iter().flat_map(|shard| shard.recipes()).flatten() {
            if !kept.contains_key(&recipe.file) && self.is_whole(&recipe) {
                doubtful.insert(recipe.file, recipe);
            }
        }
        Ok((kept.into_values().collect(), doubtful.into_values().collect()))
    }

    fn is_whole(&self, recipe: &Recipe) -> bool {
        recipe.terms.iter().all(|term| {
            let slots = self.slots.get(&term.pack);
            slots.is_some_and(|slots| term.first.checked_add(term.count).is_some_and(|end| end <= *slots))
        })
    }

    fn keep(&mut self, recipe: Recipe) -> Result<()> {
        self.builder.add_recipe(recipe)?;
        self.outcome.recipes += 1;
        self.recipes_in_builder += 1;
        self.publish_if(RECORDS_PER_SHARD)
    }

    /// Publishes what was collected if it is more than `above` records.
    fn publish_if(&mut self, above: usize) -> Result<()> {
        if self.builder.is_empty() || self.builder.chunk_count() + self.recipes_in_builder < above {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.builder).build()?;
        self.recipes_in_builder = 0;
        let id = publish_shard(&self.cache.shards_dir(), &self.cache.tmp_dir(), &bytes)?;
        self.published.insert(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::PackKind;
    use std::os::unix::fs::FileExt as _;

    fn content(n: u64) -> Vec<u8> {
        crate::hash::expand(&n.to_le_bytes(), 1 << 20)
    }

    fn filled(dir: &std::path::Path) -> Vec<FileId> {
        let cache = Cache::open(dir, Access::Shared, &crate::progress::Progress::new(), |_| ()).unwrap();
        (0..3)
            .map(|n| {
                let transaction = cache.transaction(&Arc::new(Progress::new())).unwrap();
                let id = transaction.add_bytes(PackKind::Data, &content(n)).unwrap();
                transaction.add_bytes(PackKind::Data, &[n as u8]).unwrap();
                transaction.commit().unwrap();
                id
            })
            .collect()
    }

    fn exclusive(dir: &std::path::Path) -> Cache {
        Cache::open(dir, Access::Exclusive, &crate::progress::Progress::new(), |_| ()).unwrap()
    }

    fn shards(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
        let cache = exclusive(dir);
        let index = cache.index();
        index
            .shard_ids()
            .map(|id| shard_path(&cache.shards_dir(), id))
            .collect()
    }

    #[test]
    fn a_sound_index_is_rebuilt_to_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let files = filled(dir.path());
        let rebuilt = exclusive(dir.path()).rebuild(&Progress::new()).unwrap();
        assert_eq!((rebuilt.recipes, rebuilt.lost_recipes, rebuilt.shards), (3, 0, 1));
        assert_eq!((rebuilt.found_packs, rebuilt.missing_packs.len()), (0, 0));
        let cache = exclusive(dir.path());
        assert_eq!(cache.index().shards().len(), 1);
        for (n, id) in (0..).zip(files) {
            assert_eq!(cache.read_file(id, 1 << 20).unwrap(), content(n));
        }
        let again = cache.rebuild(&Progress::new()).unwrap();
        assert_eq!(again, rebuilt);
    }

    #[test]
    fn small_files_need_no_shard_and_large_ones_do() {
        let dir = tempfile::tempdir().unwrap();
        let files = filled(dir.path());
        for shard in shards(dir.path()) {
            std::fs::remove_file(shard).unwrap();
        }
        let cache = exclusive(dir.path());
        let rebuilt = cache.rebuild(&Progress::new()).unwrap();
        assert_eq!((rebuilt.found_packs, rebuilt.recipes), (3, 0));
        assert!(cache.contains(&FileId::of(&[1])).unwrap());
        assert!(!cache.contains(&files[0]).unwrap());
    }

    #[test]
    fn a_damaged_shard_gives_the_recipes_that_hold() {
        let dir = tempfile::tempdir().unwrap();
        let files = filled(dir.path());
        let path = &shards(dir.path())[0];
        let id = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let recipe = Shard::open(path, id).unwrap().recipes().next().unwrap().unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        // A byte of a chunk id damages the shard, not the recipe.
        file.write_all_at(&[0xff; 4], 32 + 64).unwrap();
        let cache = exclusive(dir.path());
        let rebuilt = cache.rebuild(&Progress::new()).unwrap();
        assert_eq!(
            (rebuilt.damaged_shards.len(), rebuilt.recipes, rebuilt.lost_recipes),
            (1, 3, 0)
        );
        assert!(files.contains(&recipe.file) && cache.contains(&recipe.file).unwrap());
        assert!(cache.verify(false, &Progress::new()).unwrap().damage.is_empty());
    }

    #[test]
    fn missing_and_damaged_packs_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let files = filled(dir.path());
        let cache = exclusive(dir.path());
        let packs = cache.packs_on_disk().unwrap();
        std::fs::remove_file(cache.pack_path(&packs[0])).unwrap();
        // The last byte of the magic: its table cannot be found, its bodies can.
        let path = cache.pack_path(&packs[1]);
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(b"x", file.metadata().unwrap().len() - 1).unwrap();
        let rebuilt = cache.rebuild(&Progress::new()).unwrap();
        assert_eq!(rebuilt.missing_packs, [packs[0]]);
        assert_eq!(rebuilt.damaged_packs, [packs[1]]);
        assert_eq!((rebuilt.recipes, rebuilt.lost_recipes), (2, 1));
        let left = files
            .iter()
            .filter(|id| cache.copy_file(**id, &mut |_| Ok::<(), StoreError>(())).is_ok());
        assert_eq!(left.count(), 2);
    }
}
