//! The local cache as a whole: what it holds, and building its index again.

use std::collections::HashSet;

use super::{Output, Repository, Result};
use crate::fs;
use crate::hash::{FileId, PackId};
use crate::object::{self, Node, ObjectError, Root, Visit};
use crate::path::RepoPath;
use crate::progress::Phase;
use crate::store::{Cache, PackKind, Rebuilt};
use crate::workspace::{IgnoreRules, Mode, ScanRequest, Scopes, scan};

/// What the cache holds.
#[derive(Debug, Default, serde::Serialize)]
pub struct CacheInfo {
    /// Its directory.
    pub dir: String,
    /// Whether it is there; the first command that stores something makes it.
    pub exists: bool,
    /// Whether it is outside of this repository, so that others may use it too.
    pub shared: bool,
    /// Packs.
    pub packs: u64,
    /// Shards.
    pub shards: u64,
    /// Different chunks of files.
    pub chunks: u64,
    /// Different chunks of directory listings.
    pub tree_chunks: u64,
    /// Files (and listings) of several chunks.
    pub large_files: u64,
    /// Bytes of the chunks before compression, listings included.
    pub raw_bytes: u64,
    /// Bytes of packs and shards on disk.
    pub stored_bytes: u64,
    /// Bytes free on its file system, for this user.
    pub free_bytes: u64,
}

/// What `cache rebuild` did.
#[derive(Debug, serde::Serialize)]
pub struct CacheRebuilt {
    /// What was found in the cache.
    #[serde(flatten)]
    pub rebuilt: Rebuilt,
    /// Outputs whose content is complete again because their files were read from the workspace.
    pub restored: Vec<RepoPath>,
    /// Outputs of this work tree whose content is not all in the cache, and how many of their files (or listings)
    /// are not there. Content that was never fetched counts too.
    pub incomplete: Vec<Incomplete>,
}

/// An output whose content is not all in the cache.
#[derive(Debug, serde::Serialize)]
pub struct Incomplete {
    /// The output.
    pub path: RepoPath,
    /// Files and listings that are not there; what a missing listing holds is not counted.
    pub missing: u64,
}

impl Repository {
    /// Looks at the cache. Does not make one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn cache_info(&self) -> Result<CacheInfo> {
        let dir = self.cache_dir();
        let mut info = CacheInfo {
            dir: dir.display().to_string(),
            shared: !dir.starts_with(self.git.common_dir()),
            ..CacheInfo::default()
        };
        let existing = dir.ancestors().find(|dir| matches!(fs::stat(dir), Ok(Some(_))));
        if let Some(existing) = existing {
            info.free_bytes = fs::free_space(existing)?;
        }
        if existing != Some(&*dir) {
            return Ok(info);
        }
        info.exists = true;
        let cache = self.cache()?;
        let index = cache.index();
        let (mut packs, mut chunks, mut recipes) = (HashSet::new(), HashSet::new(), HashSet::new());
        for shard in index.shards() {
            info.shards += 1;
            info.stored_bytes += shard.bytes().len() as u64;
            for pack in shard.packs().filter(|pack| packs.insert(pack.id)) {
                let on_disk = fs::stat(&cache.pack_path(&pack.id))?;
                if on_disk.is_none_or(|stat| stat.size != pack.file_len) {
                    continue;
                }
                info.packs += 1;
                info.stored_bytes += pack.file_len;
                for slot in shard.slots(pack) {
                    let slot = slot?.chunk;
                    if !chunks.insert(slot.chunk) {
                        continue;
                    }
                    info.raw_bytes += u64::from(slot.raw_len);
                    match pack.kind {
                        Some(PackKind::Tree) => info.tree_chunks += 1,
                        _ => info.chunks += 1,
                    }
                }
            }
            for recipe in shard.recipes() {
                recipes.insert(recipe?.file);
            }
        }
        info.large_files = recipes.len() as u64;
        Ok(info)
    }

    /// Builds the index of the cache again from the packs, alone with the cache; then reads those outputs of this work
    /// tree again whose content is not complete by that.
    ///
    /// # Errors
    /// When the cache cannot be read or written. It is then no worse than before.
    pub fn rebuild_cache(&self) -> Result<CacheRebuilt> {
        let rebuilt = self.cache_exclusive()?.rebuild(&self.progress)?;
        let mut outcome = CacheRebuilt {
            rebuilt,
            restored: Vec::new(),
            incomplete: Vec::new(),
        };
        let _lock = self.lock_workspace()?;
        let cache = self.cache()?;
        for output in self.outputs()?.outputs {
            if self.missing(cache, &output)? == 0 {
                continue;
            }
            self.store_again(cache, &output)?;
            match self.missing(cache, &output)? {
                0 => outcome.restored.push(output.path),
                missing => outcome.incomplete.push(Incomplete {
                    path: output.path,
                    missing,
                }),
            }
        }
        Ok(outcome)
    }

    /// How many files and listings of an output are not in the cache.
    fn missing(&self, cache: &Cache, output: &Output) -> Result<u64> {
        let root = match output.root() {
            Root::File(id) => return Ok(u64::from(!cache.contains(&id)?)),
            Root::Tree(id) => id,
        };
        if !cache.contains(&root.as_file())? {
            return Ok(1);
        }
        let mut missing = 0;
        let mut seen: HashSet<FileId> = HashSet::new();
        object::walk(cache, root, |_, node| {
            self.progress
                .check()
                .map_err(crate::store::StoreError::from)
                .map_err(ObjectError::from)?;
            let id = match node {
                Node::File { id, .. } => *id,
                Node::Dir { id, .. } => id.as_file(),
                Node::Symlink { .. } => return Ok(Visit::Skip),
            };
            if !seen.insert(id) {
                return Ok(Visit::Skip);
            }
            if cache.contains(&id).map_err(ObjectError::from)? {
                return Ok(Visit::Enter);
            }
            missing += 1;
            Ok::<_, ObjectError>(Visit::Skip)
        })?;
        Ok(missing)
    }

    /// Stores what the workspace has of an output, whatever was known about it.
    fn store_again(&self, cache: &Cache, output: &Output) -> Result<()> {
        let ignore = IgnoreRules::above(self.root(), &output.path)?;
        let found = scan(
            &ScanRequest {
                root: &output.path.on_disk(self.root()),
                state: None,
                ignore: &ignore,
            },
            &self.progress,
        )?;
        if found.kind.is_none() || !found.problems.is_empty() {
            return Ok(());
        }
        let (files, bytes) = found.totals();
        self.progress.start(Phase::Adding, files, bytes);
        let transaction = cache.transaction(&self.progress)?;
        let snapshot = found.snapshot(Mode::Store(&transaction), None, &Scopes::whole(), cache, &self.progress);
        snapshot?;
        transaction.commit()?;
        Ok(())
    }

    /// Packs on disk that no shard describes.
    pub(super) fn undescribed_packs(cache: &Cache) -> Result<Vec<PackId>> {
        let index = cache.index();
        let mut packs = cache.packs_on_disk()?;
        packs.retain(|id| !index.has_pack(id));
        Ok(packs)
    }
}
