//! The directory of shards: listing, opening, publishing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Index;
use crate::fs::{self, TempFile};
use crate::hash::ShardId;
use crate::store::shard::Shard;
use crate::store::{Result, StoreError};

/// How often opening begins again because shards came and went meanwhile.
const ATTEMPTS: u32 = 100;

/// Where a shard is.
#[must_use]
pub fn shard_path(shards_dir: &Path, id: ShardId) -> PathBuf {
    let name = id.to_string();
    shards_dir.join(&name[..2]).join(name)
}

impl Index {
    /// Opens all shards in a directory that has the layout of a store's `shards/`. A directory that does not exist
    /// has none; files with other names are not looked at; shards that cannot be used are in [`Index::damaged`].
    ///
    /// # Errors
    /// When the directory cannot be listed, or when others change it faster than it can be read.
    pub fn open(shards_dir: &Path) -> Result<Self> {
        let mut opened: BTreeMap<ShardId, Result<Arc<Shard>>> = BTreeMap::new();
        let mut listed = list_shards(shards_dir)?;
        for attempt in 0.. {
            let mut vanished = None;
            opened.retain(|id, _| listed.contains(id));
            for id in &listed {
                if opened.contains_key(id) {
                    continue;
                }
                match Shard::open(&shard_path(shards_dir, *id), *id) {
                    Err(StoreError::Fs(error)) if error.is_not_found() => vanished = Some(error),
                    shard => {
                        opened.insert(*id, shard.map(Arc::new));
                    }
                }
            }
            // Directories are listed one after the other, and a merge may have put its shard into one already read
            // and taken the old ones from one not yet read: only a listing that repeats shows all.
            let again = list_shards(shards_dir)?;
            if vanished.is_none() && again == listed {
                break;
            }
            if let Some(error) = vanished
                && attempt >= ATTEMPTS
            {
                return Err(error.into());
            }
            if attempt >= ATTEMPTS {
                break;
            }
            listed = again;
        }
        let mut index = Self::default();
        for (id, shard) in opened {
            match shard {
                Ok(shard) => index.add(shard),
                Err(error) => index.damaged.push((id, Arc::new(error))),
            }
        }
        Ok(index)
    }
}

fn list_shards(shards_dir: &Path) -> Result<BTreeSet<ShardId>> {
    let mut ids = BTreeSet::new();
    for prefix in list_if_exists(shards_dir)? {
        let Some(prefix) = prefix.to_str().filter(|name| is_prefix(name)) else {
            continue;
        };
        for name in list_if_exists(&shards_dir.join(prefix))? {
            let id = name.to_str().filter(|name| name.starts_with(prefix)).map(str::parse::<ShardId>);
            ids.extend(id.and_then(std::result::Result::ok));
        }
    }
    Ok(ids)
}

fn is_prefix(name: &str) -> bool {
    name.len() == 2 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn list_if_exists(dir: &Path) -> Result<Vec<std::ffi::OsString>> {
    match fs::list(dir) {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        listed => Ok(listed?),
    }
}

/// Gives a shard its place in the directory, durably: what it describes may be relied on afterwards, if its packs
/// were durable before. `tmp_dir` must be on the same file system. Publishing what is there is harmless.
///
/// # Errors
/// When it cannot be written.
pub fn publish_shard(shards_dir: &Path, tmp_dir: &Path, bytes: &[u8]) -> Result<ShardId> {
    let mut file = TempFile::create_in(tmp_dir)?;
    file.write_all(bytes)?;
    let id = ShardId::of(bytes);
    publish_file(shards_dir, file, id)?;
    Ok(id)
}

pub(super) fn publish_file(shards_dir: &Path, file: TempFile, id: ShardId) -> Result<()> {
    let path = shard_path(shards_dir, id);
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
        fs::sync_parent(dir)?;
    }
    Ok(file.persist(&path)?)
}
