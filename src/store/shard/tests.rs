use proptest::prelude::*;

use super::testing::{Content, chunk_id, content, file_id, ident, open, pack_id, pack_kind, pack_slots, recipe};
use super::*;
use crate::hash::{ChunkId, FileId, ShardId};
use crate::store::codec::Codec;
use crate::store::{Slot, Term};

fn golden() -> Vec<u8> {
    let pack = |n| PackId::from_bytes(ident(n));
    let slot = |n, stored_len, raw_len, codec| Slot {
        chunk: ChunkId::from_bytes(ident(n)),
        stored_len,
        raw_len,
        codec: Codec::from_u8(codec).unwrap(),
    };
    let term = |n, first, count| Term {
        pack: pack(n),
        first,
        count,
    };
    let mut builder = ShardBuilder::new();
    let trees = [slot(20, 0, 0, 0), slot(11, 7, 9, 1)];
    builder
        .add_pack(pack(2), PackKind::Tree, 15 + 2 * 40 + 48, &trees)
        .unwrap();
    let data: Vec<Slot> = (0..5)
        .map(|i| slot(10 + i, 100 + u32::from(i), 200 + u32::from(i), i as u8 % 4))
        .collect();
    builder
        .add_pack(pack(1), PackKind::Data, 518 + 5 * 40 + 48, &data)
        .unwrap();
    for (n, size, terms) in [
        (51, 409, vec![term(3, 5, 1), term(1, 0, 1), term(2, 1, 1)]),
        (50, 1006, vec![term(1, 0, 5)]),
    ] {
        let file = FileId::from_bytes(ident(n));
        builder.add_recipe(Recipe { file, size, terms }).unwrap();
    }
    assert_eq!(builder.chunk_count(), 7);
    builder.build().unwrap()
}

#[test]
fn golden_bytes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/formats/shard-1.bin");
    assert_eq!(golden(), std::fs::read(path).unwrap());
    let shard = Shard::open(path.as_ref(), ShardId::of(&golden())).unwrap();
    shard.verify().unwrap();
    let place = shard.find(&ChunkId::from_bytes(ident(12))).unwrap().unwrap();
    assert_eq!(
        (place.pack, place.slot, place.offset),
        (PackId::from_bytes(ident(1)), 2, 209)
    );
    assert_eq!(
        (place.chunk.stored_len, place.chunk.raw_len, place.chunk.codec),
        (102, 202, Codec::Shuffle2)
    );
    assert_eq!(shard.named_packs().count(), 3);
    assert_eq!(shard.packs().count(), 2);
    assert!(shard.pack(&PackId::from_bytes(ident(3))).is_none());
    assert_eq!(merge(&[&shard, &shard]).unwrap(), golden());
}

#[test]
fn builder_refuses_what_no_pack_has() {
    let mut builder = ShardBuilder::new();
    let mut slots = pack_slots(5);
    assert!(builder.add_pack(pack_id(1), PackKind::Data, 7, &slots).is_err());
    assert!(builder.add_pack(pack_id(1), PackKind::Data, 70, &[]).is_err());
    slots[0].raw_len = 1;
    assert!(builder.add_pack(pack_id(1), PackKind::Data, 1 << 20, &slots).is_err());
    let mut bad = recipe(1, &[1]);
    bad.terms[0].count = 0;
    assert!(builder.add_recipe(bad).is_err());
    assert!(builder.is_empty());
    let mut beyond = recipe(1, &[5]);
    beyond.terms[0].first = 1;
    builder
        .add_pack(pack_id(5), PackKind::Data, 1 << 20, &pack_slots(5))
        .unwrap();
    builder.add_recipe(beyond).unwrap();
    assert!(matches!(builder.build(), Err(StoreError::DamagedRecipe(_))));
}

/// Every lookup there is; results do not matter.
fn ask_everything(shard: &Shard) {
    for n in 0..80 {
        let _ = shard.find(&chunk_id(n));
        let _ = shard.find(&ChunkId::from_bytes(ident(n)));
        let _ = shard.recipe(&file_id(n));
        let _ = shard.recipe(&FileId::from_bytes(ident(n)));
    }
    for pack in shard.packs() {
        assert!(shard.slots(pack).count() <= shard.chunk_count() as usize);
    }
    shard.recipes().for_each(drop);
    shard.named_packs().for_each(drop);
    let _ = (shard.verify(), merge(&[shard]));
}

#[test]
fn damage_is_noticed() {
    let bytes = golden();
    let id = ShardId::of(&bytes);
    let mut refused = 0;
    for i in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[i / 8] ^= 1 << (i % 8);
        match Shard::parse(id, bad) {
            Ok(shard) => {
                ask_everything(&shard);
                assert!(matches!(merge(&[&shard]), Err(StoreError::DamagedShard { .. })));
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 1000, "{refused}");
    for len in 0..bytes.len() {
        assert!(Shard::parse(id, bytes[..len].to_vec()).is_err());
    }
}

proptest! {
    #[test]
    fn shards_are_maps(content in content()) {
        let shard = content.shard();
        let chunks = content.chunks();
        for n in 0..220 {
            match (shard.find(&chunk_id(n)).unwrap(), chunks.get(&chunk_id(n))) {
                (Some(place), Some(places)) => {
                    prop_assert!(places.contains(&(place.pack, place.slot)));
                    prop_assert_eq!(place.chunk.chunk, chunk_id(n));
                }
                (found, expected) => prop_assert!(found.is_none() && expected.is_none()),
            }
        }
        for n in 0..60 {
            let pack = shard.pack(&pack_id(n));
            prop_assert_eq!(pack.is_some(), content.packs.contains(&n));
            if let Some(pack) = pack {
                prop_assert_eq!(pack.kind, Some(pack_kind(n)));
                let slots: Vec<Slot> = shard.slots(pack).map(|place| place.unwrap().chunk).collect();
                prop_assert_eq!(slots, pack_slots(n));
            }
            let found = shard.recipe(&file_id(n)).unwrap();
            prop_assert_eq!(found.is_some(), content.recipes.iter().any(|(file, _)| *file == n));
            prop_assert!(found.is_none_or(|found| content.recipes.iter().any(|(n, packs)| recipe(*n, packs) == found)));
        }
    }

    #[test]
    fn merging_is_adding(parts in prop::collection::vec(content(), 1..5), cut in 0_usize..5, turn in 0_usize..5) {
        let whole = Content::union(&parts).bytes();
        let mut shards: Vec<Shard> = parts.iter().map(Content::shard).collect();
        let cut = cut.min(shards.len());
        let half = |shards: &[Shard]| open(merge(&shards.iter().collect::<Vec<_>>()).unwrap());
        let (left, right) = (half(&shards[..cut]), half(&shards[cut..]));
        prop_assert_eq!(merge(&[&right, &left]).unwrap(), whole.clone());
        let turn = turn % shards.len();
        shards.rotate_left(turn);
        let all = half(&shards);
        prop_assert_eq!(all.bytes(), whole);
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        counts in prop::array::uniform4(0_u32..4),
        mut bytes in prop::collection::vec(any::<u8>(), 3000),
        tame in any::<bool>(),
        zeros in prop::collection::vec(0_usize..3000, 0..40),
    ) {
        let [packs, slots, recipes, terms] = counts;
        let counts = Counts { packs, slots, recipes, terms };
        let len = 32 + packs * 64 + slots * 44 + 2048 + recipes * 48 + terms * 12;
        bytes.truncate(len as usize);
        for at in zeros { if let Some(rest) = bytes.get_mut(at..(at + 60).min(len as usize)) { rest.fill(0); } }
        if tame {
            bytes[..32].copy_from_slice(&counts.encode());
            let layout = counts.layout(bytes.len()).unwrap();
            for (at, total) in [(layout.fan, slots), (layout.recipe_fan, recipes)] {
                for (i, field) in bytes[at..at + 1024].chunks_exact_mut(4).enumerate() {
                    field.copy_from_slice(&(total * (i > 100) as u32).to_le_bytes());
                }
            }
            for i in 0..packs {
                let mut info = PackInfo::elsewhere(PackId::from_bytes([i as u8; 32]));
                if i + 1 == packs {
                    (info.kind, info.slots, info.bodies_end, info.file_len) = (Some(PackKind::Data), slots, 9999, 99999);
                }
                let at = 32 + i as usize * 64;
                bytes[at..at + 64].copy_from_slice(&info.encode());
            }
        }
        if let Ok(shard) = Shard::parse(ShardId::of(&bytes), bytes) {
            ask_everything(&shard);
        }
    }
}
