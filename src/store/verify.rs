//! Reading the cache to find damage.

use std::collections::HashSet;

use super::cache::Cache;
use super::{Result, StoreError, pack};
use crate::fs;
use crate::hash::{ChunkId, PackId, ShardId};
use crate::progress::{Phase, Progress};

/// Something in the cache that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// A pack that shards describe is not there.
    PackMissing(PackId),
    /// A pack is not as long as its shard says.
    PackLength(PackId),
    /// A pack's bytes are not those of its name, and each chunk in it that is damaged.
    Pack {
        /// The pack.
        pack: PackId,
        /// Chunks that cannot be read from it; none when only bytes between them changed.
        chunks: Vec<ChunkId>,
    },
    /// A shard cannot be used.
    Shard(ShardId),
}

/// What was looked at and found.
#[derive(Debug, Default)]
pub struct VerifyReport {
    /// Packs looked at.
    pub packs: u64,
    /// Chunks in them.
    pub chunks: u64,
    /// Bytes of pack files read (or, in a quick check, only measured).
    pub bytes: u64,
    /// What is wrong.
    pub damage: Vec<Damage>,
}

impl Cache {
    /// Checks every shard, and that every pack is there in full length; unless `quick`, also reads all of them and
    /// compares every chunk with its id.
    ///
    /// # Errors
    /// On an interrupt, or when the disk fails in a way that says nothing about one object.
    pub fn verify(&self, quick: bool, progress: &Progress) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        let index = self.index();
        index.all_readable()?;
        report
            .damage
            .extend(index.damaged().iter().map(|(id, _)| Damage::Shard(*id)));
        let mut packs = Vec::new();
        let mut seen = HashSet::new();
        for shard in index.shards() {
            if shard.verify_hash().is_err() || shard.verify().is_err() {
                report.damage.push(Damage::Shard(shard.id()));
            }
            for pack in shard.packs() {
                if pack.kind.is_some() && seen.insert(pack.id) {
                    packs.push((pack.id, pack.file_len, pack.slots));
                }
            }
        }
        drop(index);
        packs.sort();
        progress.start(
            Phase::Verifying,
            packs.len() as u64,
            packs.iter().map(|(_, len, _)| len).sum(),
        );
        for (id, len, chunks) in packs {
            progress.check()?;
            report.packs += 1;
            report.chunks += u64::from(chunks);
            let path = self.pack_path(&id);
            match fs::stat(&path)? {
                None => report.damage.push(Damage::PackMissing(id)),
                Some(stat) if stat.size != len && quick => report.damage.push(Damage::PackLength(id)),
                Some(_) if quick => report.bytes += len,
                Some(_) => {
                    report.bytes += len;
                    let mut damaged = Vec::new();
                    match pack::verify(&path, id, progress, &mut |chunk| damaged.push(chunk)) {
                        Ok(verdict) if verdict.is_sound() => {}
                        Ok(_) | Err(StoreError::DamagedPack { .. } | StoreError::DamagedChunk { .. }) => {
                            report.damage.push(Damage::Pack {
                                pack: id,
                                chunks: damaged,
                            });
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            progress.advance(1, if quick { len } else { 0 });
        }
        Ok(report)
    }
}
