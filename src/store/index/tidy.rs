//! Keeping the number of shards small.
//!
//! Any number of processes may merge at the same time without a lock. A shard is removed only after one that holds
//! all of it is durable, so whoever lists the directory finds everything; a crash in between leaves both, which
//! says the same twice.

use std::path::Path;

use super::Index;
use super::dir::{publish_file, shard_path};
use crate::fs::{self, TempFile};
use crate::hash::{Hasher, PackId, ShardId};
use crate::store::shard::{Shard, merge_into};
use crate::store::{Result, StoreError};

/// With fewer shards than this a merge is not worth its syncs.
const FEW: usize = 8;
/// How many shards a merge leaves at most.
const MANY: usize = 16;

impl Index {
    /// Which shards should become one now. Shards are chosen so that each is at least a third larger for it or
    /// more: n transactions rewrite a record O(log n) times. At most 16 shards remain.
    #[must_use]
    pub fn merge_plan(&self) -> Option<Vec<ShardId>> {
        let sizes: Vec<u64> = self
            .shards
            .iter()
            .rev()
            .map(|shard| shard.bytes().len() as u64)
            .collect();
        let count = plan(&sizes)?;
        Some(self.shard_ids().skip(self.shards.len() - count).collect())
    }

    /// Merges the shards of a [`Index::merge_plan`] of this index: publishes the merged one, then removes the old
    /// ones. This index is left as it was; open it again to see the new shard. Of several recipes of a file one stays
    /// whose packs are all `present`, if there is one.
    ///
    /// # Errors
    /// [`StoreError::DamagedShard`] when one of them is damaged (nothing is changed then), or when the new one
    /// cannot be written.
    pub fn execute_merge(
        &self,
        plan: &[ShardId],
        shards_dir: &Path,
        tmp_dir: &Path,
        present: &dyn Fn(&PackId) -> bool,
    ) -> Result<ShardId> {
        let shards: Vec<&Shard> = self
            .shards
            .iter()
            .filter(|shard| plan.contains(&shard.id()))
            .map(|shard| &**shard)
            .collect();
        let mut file = TempFile::create_in(tmp_dir)?;
        let mut hasher = Hasher::new();
        merge_into(&shards, &|pack| self.has_pack(pack) && present(pack), &mut |bytes| {
            hasher.update(bytes);
            Ok(file.write_all(bytes)?)
        })?;
        let merged = ShardId::from_bytes(hasher.finish());
        publish_file(shards_dir, file, merged)?;
        for shard in shards.iter().filter(|shard| shard.id() != merged) {
            fs::remove_file(&shard_path(shards_dir, shard.id()))?;
        }
        Ok(merged)
    }

    /// Merges if [`Index::merge_plan`] says so and opens the result; a shard that turns out to be damaged is moved
    /// to [`Index::damaged`] and the rest is merged.
    ///
    /// # Errors
    /// When the merged shard cannot be written or the directory not be read.
    pub fn tidy(mut self, shards_dir: &Path, tmp_dir: &Path, present: &dyn Fn(&PackId) -> bool) -> Result<Self> {
        while let Some(plan) = self.merge_plan() {
            match self.execute_merge(&plan, shards_dir, tmp_dir, present) {
                Ok(_) => return Self::open(shards_dir),
                Err(error) => match error {
                    StoreError::DamagedShard { shard, .. } => {
                        self.shards.retain(|other| other.id() != shard);
                        self.damaged.push((shard, std::sync::Arc::new(error)));
                    }
                    error => return Err(error),
                },
            }
        }
        Ok(self)
    }
}

/// How many of the smallest shards to merge, given all sizes in ascending order.
fn plan(sizes: &[u64]) -> Option<usize> {
    if sizes.len() <= FEW {
        return None;
    }
    let mut smaller = 0;
    let mut count = 0;
    for (i, size) in sizes.iter().enumerate() {
        // A shard of at least twice all smaller ones together would be rewritten for little.
        if i > 0 && *size < 2 * smaller {
            count = i + 1;
        }
        smaller += size;
    }
    let count = count.max((sizes.len() + 1).saturating_sub(MANY));
    (count > 1).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn few_remain_and_records_move_rarely(added in prop::collection::vec(1_u64..100_000, 1..3000)) {
            let mut shards: Vec<u64> = Vec::new();
            let mut written = 0;
            for size in &added {
                shards.push(*size);
                shards.sort_unstable();
                if let Some(count) = plan(&shards) {
                    let merged = shards.drain(..count).sum();
                    written += merged;
                    shards.push(merged);
                    shards.sort_unstable();
                }
                prop_assert!(shards.len() <= MANY);
            }
            let total: u64 = added.iter().sum();
            prop_assert_eq!(shards.iter().sum::<u64>(), total);
            let rounds = (total as f64).log(1.5) + 1.0;
            prop_assert!(written as f64 <= total as f64 * rounds, "{written} of {total}");
        }
    }
}
