//! Packs that earlier, unfinished pushes to this remote uploaded: one small shard each, in the remote's local
//! metadata directory. Each is believed only after the remote confirmed that it has the pack in full length.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::super::error::Result;
use super::super::store::{RemoteStore, pack_key};
use crate::fs;
use crate::hash::{ChunkId, PackId, ShardId};
use crate::store::shard::{Shard, ShardBuilder};
use crate::store::{Location, PackKind, Slot};

/// The packs of unfinished pushes.
#[derive(Debug, Default)]
pub(super) struct Journal {
    shards: Vec<Shard>,
    paths: Vec<PathBuf>,
}

impl Journal {
    /// Reads the journal and asks the remote about each pack in it. Entries that no longer hold are removed.
    pub(super) fn load(remote: &RemoteStore) -> Result<Self> {
        let dir = remote.meta_dir("uploaded")?;
        let mut journal = Self::default();
        for name in fs::list(&dir)? {
            let path = dir.join(&name);
            // Temporary files may be another process's.
            let Some(id) = name.to_str().and_then(|name| name.parse::<ShardId>().ok()) else {
                continue;
            };
            let shard = Shard::open(&path, id).ok().filter(|shard| shard.verify_hash().is_ok());
            let mut confirmed = false;
            if let Some(shard) = &shard {
                confirmed = true;
                for pack in shard.packs() {
                    let object = remote.transport().stat(&pack_key(pack.id))?;
                    confirmed &= object.is_some_and(|object| object.size == pack.file_len);
                    confirmed &= !remote.is_condemned_pack(&pack.id);
                }
            }
            match shard {
                Some(shard) if confirmed => {
                    journal.shards.push(shard);
                    journal.paths.push(path);
                }
                _ => drop(fs::remove_file(&path)?),
            }
        }
        Ok(journal)
    }

    /// Notes that a pack was uploaded.
    pub(super) fn note(
        remote: &RemoteStore,
        id: PackId,
        kind: PackKind,
        len: u64,
        slots: &[Slot],
    ) -> Result<PathBuf> {
        let mut builder = ShardBuilder::new();
        builder.add_pack(id, kind, len, slots)?;
        let bytes = builder.build()?;
        let path = remote.meta_dir("uploaded")?.join(ShardId::of(&bytes).to_string());
        fs::write_atomic(&path, &bytes)?;
        Ok(path)
    }

    /// Where a chunk is in one of these packs.
    pub(super) fn find(&self, chunk: &ChunkId) -> Result<Option<Location>> {
        for shard in &self.shards {
            if let Some(location) = shard.find(chunk)? {
                return Ok(Some(location));
            }
        }
        Ok(None)
    }

    /// Adds the description of a pack to a shard.
    pub(super) fn describe(&self, id: &PackId, builder: &mut ShardBuilder) -> Result<()> {
        for shard in &self.shards {
            if let Some(pack) = shard.pack(id) {
                builder.add_described(shard, pack)?;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Forgets these packs: a shard on the remote describes them now.
    pub(super) fn forget(&self, described: &BTreeSet<PackId>) -> Result<()> {
        for (shard, path) in self.shards.iter().zip(&self.paths) {
            if shard.packs().all(|pack| described.contains(&pack.id)) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}
