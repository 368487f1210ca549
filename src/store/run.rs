//! Catalog runs: which shards restore a root, on a remote.
//!
//! The bytes are those of `docs/formats.md`. [`build`] writes one canonical form; parsing checks all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::sorted::{FAN_LEN, FanOut, bucket, fan_is_sound, id_at, search, u32_at};
use super::{Result, StoreError};
use crate::hash::{RootId, RunId, ShardId};

const MAGIC: [u8; 8] = *b"MVCRUN\x01\x00";
const HEADER_LEN: usize = 32;
const SHARD_LEN: usize = 32;
const ROOT_LEN: usize = 40;
const REF_LEN: usize = 4;

/// Bytes in a run that make its name unique.
pub const SALT_LEN: usize = 12;

/// The bytes of a run of these roots, each with the shards that restore it, in any order. The last entry of a root
/// stays. `salt` makes the run's name another one than that of any run that says the same.
///
/// # Errors
/// [`StoreError::TooMany`] when the format cannot count them.
pub fn build(roots: impl IntoIterator<Item = (RootId, Vec<ShardId>)>, salt: [u8; SALT_LEN]) -> Result<Vec<u8>> {
    let roots: BTreeMap<RootId, BTreeSet<ShardId>> = roots
        .into_iter()
        .map(|(root, shards)| (root, shards.into_iter().collect()))
        .collect();
    let shards: Vec<ShardId> = roots
        .values()
        .flatten()
        .copied()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let count = |n: usize| u32::try_from(n).map_err(|_| StoreError::TooMany);
    let refs = roots.values().map(BTreeSet::len).sum();

    let mut out = MAGIC.to_vec();
    for n in [shards.len(), roots.len(), refs] {
        out.extend_from_slice(&count(n)?.to_le_bytes());
    }
    out.extend_from_slice(&salt);
    out.extend(shards.iter().flat_map(|shard| *shard.as_bytes()));
    let mut fan = FanOut::new();
    for root in roots.keys() {
        fan.count(root.as_bytes());
    }
    out.extend_from_slice(&fan.to_bytes());
    let mut first = 0_u32;
    for (root, named) in &roots {
        out.extend_from_slice(root.as_bytes());
        out.extend_from_slice(&first.to_le_bytes());
        out.extend_from_slice(&(named.len() as u32).to_le_bytes());
        first += named.len() as u32;
    }
    for named in roots.values().flatten() {
        let index = shards.partition_point(|shard| shard < named);
        out.extend_from_slice(&(index as u32).to_le_bytes());
    }
    Ok(out)
}

/// A parsed catalog run.
pub struct CatalogRun {
    id: RunId,
    bytes: Vec<u8>,
    shards: u32,
    roots: u32,
}

impl fmt::Debug for CatalogRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogRun")
            .field("id", &self.id)
            .field("shards", &self.shards)
            .field("roots", &self.roots)
            .finish_non_exhaustive()
    }
}

impl CatalogRun {
    /// Takes bytes for the run `id`. Checks their form, not their hash.
    ///
    /// # Errors
    /// [`StoreError::DamagedRun`] when they are not a catalog run of this version in canonical form.
    pub fn parse(id: RunId, bytes: Vec<u8>) -> Result<Self> {
        match sections(&bytes) {
            Ok((shards, roots)) => Ok(Self {
                id,
                bytes,
                shards,
                roots,
            }),
            Err(defect) => Err(StoreError::DamagedRun { run: id, defect }),
        }
    }

    /// Whether the bytes have the hash that is the run's name.
    ///
    /// # Errors
    /// [`StoreError::DamagedRun`] when not.
    pub fn verify_hash(&self) -> Result<()> {
        if RunId::of(&self.bytes) == self.id {
            return Ok(());
        }
        Err(StoreError::DamagedRun {
            run: self.id,
            defect: "its content does not have the hash that is its name",
        })
    }

    /// The run's name.
    #[must_use]
    pub const fn id(&self) -> RunId {
        self.id
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of roots.
    #[must_use]
    pub const fn root_count(&self) -> u32 {
        self.roots
    }

    /// The shards that restore a root, sorted, if this run knows.
    #[must_use]
    pub fn lookup(&self, root: &RootId) -> Option<Vec<ShardId>> {
        let key = root.as_bytes();
        let at = |i: u32| id_at(&self.bytes, self.root_at(i));
        let range = bucket(&self.bytes, self.fan_at(), key);
        search(range, key, at).map(|i| self.shards_of(i))
    }

    /// All roots in the order of their ids, each with its shards.
    pub fn roots(&self) -> impl Iterator<Item = (RootId, Vec<ShardId>)> {
        (0..self.roots).map(|i| {
            (
                RootId::from_bytes(*id_at(&self.bytes, self.root_at(i))),
                self.shards_of(i),
            )
        })
    }

    /// All shards that a root needs, sorted.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> {
        (0..self.shards).map(|i| self.shard(i))
    }

    fn shard(&self, i: u32) -> ShardId {
        ShardId::from_bytes(*id_at(&self.bytes, HEADER_LEN + i as usize * SHARD_LEN))
    }

    const fn fan_at(&self) -> usize {
        HEADER_LEN + self.shards as usize * SHARD_LEN
    }

    const fn root_at(&self, i: u32) -> usize {
        self.fan_at() + FAN_LEN + i as usize * ROOT_LEN
    }

    fn shards_of(&self, i: u32) -> Vec<ShardId> {
        let root = self.root_at(i);
        let (first, count) = (u32_at(&self.bytes, root + 32), u32_at(&self.bytes, root + 36));
        let refs = self.root_at(self.roots);
        (first..first + count)
            .map(|i| self.shard(u32_at(&self.bytes, refs + i as usize * REF_LEN)))
            .collect()
    }
}

/// Checks all of a run; returns its numbers of shards and roots.
fn sections(bytes: &[u8]) -> std::result::Result<(u32, u32), &'static str> {
    let header = bytes.first_chunk::<HEADER_LEN>().ok_or("it is too short")?;
    if header[..6] != MAGIC[..6] {
        return Err("it is not a catalog run");
    }
    // The last twelve bytes make the name of a run unique; they say nothing.
    if header[6..8] != MAGIC[6..] {
        return Err("it is of another version");
    }
    let (shards, roots, refs) = (u32_at(header, 8), u32_at(header, 12), u32_at(header, 16));
    let size = (HEADER_LEN + FAN_LEN) as u64
        + u64::from(shards) * SHARD_LEN as u64
        + u64::from(roots) * ROOT_LEN as u64
        + u64::from(refs) * REF_LEN as u64;
    if size != bytes.len() as u64 {
        return Err("its length is not what its header says");
    }
    let fan_at = HEADER_LEN + shards as usize * SHARD_LEN;
    let roots_at = fan_at + FAN_LEN;
    let refs_at = roots_at + roots as usize * ROOT_LEN;
    let ascending = |start: usize, len: usize, count: u32| {
        (1..count as usize).all(|i| id_at(bytes, start + (i - 1) * len) < id_at(bytes, start + i * len))
    };
    if !ascending(HEADER_LEN, SHARD_LEN, shards) || !ascending(roots_at, ROOT_LEN, roots) {
        return Err("its shards or roots are not sorted");
    }
    let mut fan = FanOut::new();
    let mut next = 0_u32;
    let mut named = vec![false; shards as usize];
    for root in 0..roots as usize {
        let at = roots_at + root * ROOT_LEN;
        fan.count(id_at(bytes, at));
        let end = next
            .checked_add(u32_at(bytes, at + 36))
            .filter(|end| u32_at(bytes, at + 32) == next && *end <= refs)
            .ok_or("a root's references are out of range")?;
        let mut before = None;
        for i in next..end {
            let shard = u32_at(bytes, refs_at + i as usize * REF_LEN);
            if before.is_some_and(|before| before >= shard) {
                return Err("a root's references are not sorted");
            }
            before = Some(shard);
            *named.get_mut(shard as usize).ok_or("a reference names no shard")? = true;
        }
        next = end;
    }
    if next != refs || named.contains(&false) {
        return Err("it has shards that no root needs");
    }
    if !fan_is_sound(bytes, fan_at, roots) || bytes.get(fan_at..roots_at) != Some(&fan.to_bytes()) {
        return Err("its fan-out does not count its roots");
    }
    Ok((shards, roots))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::shard::testing::ident;
    use proptest::prelude::*;

    fn root(n: u16) -> RootId {
        RootId::from_bytes(ident(n))
    }

    fn shard(n: u8) -> ShardId {
        ShardId::from_bytes(ident(100 + u16::from(n)))
    }

    fn open(bytes: Vec<u8>) -> CatalogRun {
        CatalogRun::parse(RunId::of(&bytes), bytes).unwrap()
    }

    fn golden() -> Vec<u8> {
        let roots = (0..40).map(|n| (root(n), vec![shard((n % 3) as u8), shard((n % 5) as u8)]));
        build(roots, Default::default()).unwrap()
    }

    #[test]
    fn golden_bytes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/formats/run-1.bin");
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(golden(), bytes);
        let run = open(bytes.clone());
        assert_eq!(run.root_count(), 40);
        assert_eq!(run.shards().count(), 5);
        assert_eq!(build(run.roots(), Default::default()).unwrap(), bytes);
    }

    #[test]
    fn damage_is_noticed() {
        let bytes = golden();
        let id = RunId::of(&bytes);
        for i in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[i / 8] ^= 1 << (i % 8);
            if let Ok(run) = CatalogRun::parse(id, bad) {
                assert!(run.verify_hash().is_err());
                assert_eq!(run.roots().count(), 40);
                let _ = run.lookup(&root(7));
            }
        }
        for len in 0..bytes.len() {
            assert!(CatalogRun::parse(id, bytes[..len].to_vec()).is_err());
        }
    }

    proptest! {
        #[test]
        fn runs_are_maps(entries in prop::collection::vec((0_u16..60, prop::collection::vec(0_u8..9, 0..4)), 0..80)) {
            let all: Vec<(RootId, Vec<ShardId>)> =
                entries.iter().map(|(n, shards)| (root(*n), shards.iter().map(|n| shard(*n)).collect())).collect();
            let model: BTreeMap<RootId, BTreeSet<ShardId>> =
                all.iter().map(|(root, shards)| (*root, shards.iter().copied().collect())).collect();
            let whole = build(all.clone(), Default::default()).unwrap();
            let run = open(whole.clone());
            for n in 0..60 {
                let found = run.lookup(&root(n));
                prop_assert_eq!(found, model.get(&root(n)).map(|shards| shards.iter().copied().collect()));
            }
            let salted = open(build(all, [7; SALT_LEN]).unwrap());
            prop_assert!(salted.verify_hash().is_ok() && salted.id() != run.id());
            prop_assert!(salted.roots().eq(run.roots()));
        }

        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..2000), magic in any::<bool>()) {
            if magic && bytes.len() >= 32 {
                bytes[..8].copy_from_slice(&MAGIC);
                for i in [9, 10, 11, 13, 14, 15, 17, 18, 19] { bytes[i] = 0; }
            }
            if let Ok(run) = CatalogRun::parse(RunId::of(b""), bytes) {
                prop_assert!(run.verify_hash().is_err());
            }
        }
    }
}
