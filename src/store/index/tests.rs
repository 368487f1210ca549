use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::hash::ShardId;
use crate::store::shard::testing::{Content, chunk_id, content, file_id, pack_id, pack_slots, recipe};

/// A cache directory with `shards` and `tmp`.
fn dirs() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let (shards, tmp) = (root.path().join("shards"), root.path().join("tmp"));
    std::fs::create_dir(&tmp).unwrap();
    (root, shards, tmp)
}

fn one(n: u16) -> Content {
    Content {
        packs: vec![n],
        recipes: vec![(n, vec![n, n / 2])],
    }
}

fn everything_is_there(index: &Index, content: &Content) {
    for chunk in content.chunks().into_keys() {
        let place = index.locate(&chunk).unwrap().unwrap();
        assert_eq!(place.chunk.chunk, chunk);
        assert_eq!(index.slot(&place.pack, place.slot).unwrap(), place);
        assert!(index.locate_all(&chunk).unwrap().contains(&place));
    }
    for (file, _) in &content.recipes {
        let found = index.recipe(&file_id(*file)).unwrap().unwrap();
        let packs = |recipe: &Recipe| recipe.terms.iter().all(|term| index.has_pack(&term.pack));
        if packs(&found) {
            let chunks: Vec<Location> = index.resolve(&found).collect::<Result<_>>().unwrap();
            let len: u64 = chunks.iter().map(|place| u64::from(place.chunk.raw_len)).sum();
            assert_eq!(len, found.size);
        } else {
            assert!(matches!(
                index.resolve(&found).last(),
                Some(Err(StoreError::MissingPack(_)))
            ));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn transactions_and_merges_keep_everything(parts in prop::collection::vec(content(), 1..40)) {
        let (_root, shards, tmp) = dirs();
        let mut stored = Vec::new();
        for part in &parts {
            publish_shard(&shards, &tmp, &part.bytes()).unwrap();
            stored.push(part.clone());
            let index = Index::open(&shards).unwrap().tidy(&shards, &tmp, &|_| true).unwrap();
            prop_assert!(index.shards().len() <= 16);
            prop_assert!(index.damaged().is_empty());
        }
        let index = Index::open(&shards).unwrap();
        everything_is_there(&index, &Content::union(&stored));
        prop_assert_eq!(index.locate(&chunk_id(9999)).unwrap(), None);
        prop_assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 0);
        let stats = index.stats();
        prop_assert_eq!(stats.shards, index.shard_ids().count() as u64);
    }
}

#[test]
fn processes_that_merge_at_once_lose_nothing() {
    let (_root, shards, tmp) = dirs();
    let work = |from: u16| {
        for n in from..from + 40 {
            publish_shard(&shards, &tmp, &one(n).bytes()).unwrap();
            let index = Index::open(&shards).unwrap();
            assert!(index.damaged().is_empty(), "{:?}", index.damaged());
            everything_is_there(&index, &Content::union(&(from..=n).map(one).collect::<Vec<_>>()));
            index.tidy(&shards, &tmp, &|_| true).unwrap();
        }
    };
    std::thread::scope(|scope| {
        // The two overlap, so that they publish equal shards too.
        scope.spawn(|| work(0));
        scope.spawn(|| work(30));
    });
    let index = Index::open(&shards).unwrap();
    everything_is_there(&index, &Content::union(&(0..70).map(one).collect::<Vec<_>>()));
}

fn paths(dir: &Path) -> BTreeSet<ShardId> {
    Index::open(dir).unwrap().shard_ids().collect()
}

#[test]
fn damaged_shards_are_left_out_and_reported() {
    let (_root, shards, tmp) = dirs();
    assert_eq!(Index::open(&shards).unwrap().stats(), IndexStats::default());
    let ids: Vec<ShardId> = (0..12)
        .map(|n| publish_shard(&shards, &tmp, &one(n).bytes()).unwrap())
        .collect();
    std::fs::write(shards.join("README"), "not a shard").unwrap();
    std::fs::write(shard_path(&shards, ids[3]), "").unwrap();
    let mut flipped = std::fs::read(shard_path(&shards, ids[4])).unwrap();
    flipped[100] ^= 1;
    std::fs::write(shard_path(&shards, ids[4]), flipped).unwrap();

    let index = Index::open(&shards).unwrap();
    assert_eq!(index.damaged().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [ids[3]]);
    // Only reading all of it shows the flipped bit; then it is left alone and the others are merged.
    let index = index.tidy(&shards, &tmp, &|_| true).unwrap();
    assert!(index.shards().len() < 10, "{:?}", index.shards());
    assert!(std::fs::exists(shard_path(&shards, ids[4])).unwrap());
    assert!(index.locate(&pack_slots(9)[0].chunk).unwrap().is_some());
}

/// What the system does not let be read may be whole: nobody may call it damaged, or make a new index without it.
#[test]
fn shards_that_cannot_be_read_are_not_damaged() {
    let (_root, shards, tmp) = dirs();
    let ids: Vec<ShardId> = (0..2)
        .map(|n| publish_shard(&shards, &tmp, &one(n).bytes()).unwrap())
        .collect();
    std::fs::write(shard_path(&shards, ids[0]), "").unwrap();
    assert!(Index::open(&shards).unwrap().all_readable().is_ok());
    let path = shard_path(&shards, ids[1]);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let index = Index::open(&shards).unwrap();
    assert!(matches!(
        index.all_readable(),
        Err(StoreError::UnreadableShard { shard, .. }) if shard == ids[1]
    ));
}

#[test]
fn a_merge_into_an_input_keeps_it() {
    let (_root, shards, tmp) = dirs();
    let all = Content::union(&[one(0), one(1), one(2)]);
    let whole = publish_shard(&shards, &tmp, &all.bytes()).unwrap();
    let part = publish_shard(&shards, &tmp, &one(1).bytes()).unwrap();
    let index = Index::open(&shards).unwrap();
    assert_eq!(
        index.execute_merge(&[whole, part], &shards, &tmp, &|_| true).unwrap(),
        whole
    );
    assert_eq!(paths(&shards), BTreeSet::from([whole]));
    // The old index still reads what it has mapped.
    everything_is_there(&index, &all);
}

#[test]
fn a_recipe_of_known_packs_wins_over_a_shorter_one() {
    let lost = Content {
        packs: vec![],
        recipes: vec![(1, vec![50])],
    };
    let again = Content {
        packs: vec![3, 4],
        recipes: vec![(1, vec![3, 4])],
    };
    let (_root, shards, tmp) = dirs();
    for content in [&lost, &again] {
        publish_shard(&shards, &tmp, &content.bytes()).unwrap();
    }
    let index = Index::open(&shards).unwrap();
    assert_eq!(index.recipe(&file_id(1)).unwrap(), Some(recipe(1, &[3, 4])));
    let plan: Vec<ShardId> = index.shard_ids().collect();
    index.execute_merge(&plan, &shards, &tmp, &|_| true).unwrap();
    let index = Index::open(&shards).unwrap();
    assert_eq!(index.recipe(&file_id(1)).unwrap(), Some(recipe(1, &[3, 4])));

    let mut wrong = recipe(1, &[3, 4]);
    wrong.size -= 1;
    assert!(matches!(
        index.resolve(&wrong).last(),
        Some(Err(StoreError::DamagedRecipe(_)))
    ));
    wrong.terms[0].count = u32::MAX;
    wrong.size = u64::MAX;
    assert_eq!(index.resolve(&wrong).count(), pack_slots(3).len() + 1);
    assert!(matches!(index.slot(&pack_id(50), 0), Err(StoreError::MissingPack(_))));
    assert_eq!(index.slots(&pack_id(3)).unwrap().count(), pack_slots(3).len());
}
