//! Small shards for tests.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Shard, ShardBuilder};
use crate::hash::{ChunkId, FileId, PackId, ShardId};
use crate::store::codec::Codec;
use crate::store::{PackKind, Recipe, Slot, Term};

/// The ids of the fixtures.
pub(crate) fn ident(n: u16) -> [u8; 32] {
    std::array::from_fn(|i| (usize::from(n) * 37 + i * 11) as u8)
}

pub(crate) fn pack_id(n: u16) -> PackId {
    PackId::of(&n.to_le_bytes())
}

pub(crate) fn file_id(n: u16) -> FileId {
    FileId::of(&n.to_le_bytes())
}

pub(crate) fn chunk_id(n: u16) -> ChunkId {
    ChunkId::of(&n.to_le_bytes())
}

/// The slots of pack `n`: always the same, as a pack's name says.
pub(crate) fn pack_slots(n: u16) -> Vec<Slot> {
    (0..=n % 7)
        .map(|i| Slot {
            chunk: chunk_id(n / 2 * 5 + i),
            stored_len: u32::from(n + i),
            raw_len: u32::from(n + i) + 3,
            codec: Codec::from_u8((i % 4) as u8).unwrap(),
        })
        .collect()
}

pub(crate) fn pack_kind(n: u16) -> PackKind {
    if n.is_multiple_of(3) {
        PackKind::Tree
    } else {
        PackKind::Data
    }
}

/// A recipe of file `n` over some packs; its size is right.
pub(crate) fn recipe(n: u16, packs: &[u16]) -> Recipe {
    let whole = |pack: &u16| Term {
        pack: pack_id(*pack),
        first: 0,
        count: pack_slots(*pack).len() as u32,
    };
    Recipe {
        file: file_id(n),
        size: packs
            .iter()
            .flat_map(|pack| pack_slots(*pack))
            .map(|slot| u64::from(slot.raw_len))
            .sum(),
        terms: packs.iter().map(whole).collect(),
    }
}

/// What one transaction stores: packs, and recipes over any packs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    pub(crate) packs: Vec<u16>,
    pub(crate) recipes: Vec<(u16, Vec<u16>)>,
}

impl Content {
    pub(crate) fn union(all: &[Self]) -> Self {
        Self {
            packs: all.iter().flat_map(|one| one.packs.clone()).collect(),
            recipes: all.iter().flat_map(|one| one.recipes.clone()).collect(),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut builder = ShardBuilder::new();
        for n in &self.packs {
            let slots = pack_slots(*n);
            builder.add_pack(pack_id(*n), pack_kind(*n), 100_000, &slots).unwrap();
        }
        for (n, packs) in &self.recipes {
            builder.add_recipe(recipe(*n, packs)).unwrap();
        }
        assert_eq!(builder.is_empty(), self.packs.is_empty() && self.recipes.is_empty());
        builder.build().unwrap()
    }

    pub(crate) fn shard(&self) -> Shard {
        open(self.bytes())
    }

    /// The chunks with all places where they are.
    pub(crate) fn chunks(&self) -> BTreeMap<ChunkId, Vec<(PackId, u32)>> {
        let mut chunks: BTreeMap<ChunkId, Vec<(PackId, u32)>> = BTreeMap::new();
        for pack in &self.packs {
            for (i, slot) in (0..).zip(pack_slots(*pack)) {
                chunks.entry(slot.chunk).or_default().push((pack_id(*pack), i));
            }
        }
        chunks
    }
}

pub(crate) fn open(bytes: Vec<u8>) -> Shard {
    let shard = Shard::parse(ShardId::of(&bytes), bytes).unwrap();
    shard.verify().unwrap();
    shard
}

pub(crate) fn content() -> impl Strategy<Value = Content> {
    let packs = prop::collection::vec(0_u16..60, 0..8);
    let recipes = prop::collection::vec((0_u16..30, prop::collection::vec(0_u16..60, 1..4)), 0..6);
    (packs, recipes).prop_map(|(packs, recipes)| Content { packs, recipes })
}
