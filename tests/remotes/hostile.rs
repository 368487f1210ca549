//! Remotes whose objects have the right names and say what they should not; and halves of pushes.

use std::fs;
use std::path::Path;

use modver::hash::{RunId, ShardId};
use modver::store::run::{self, CatalogRun};

use super::support::{Repo, Scratch, digest};
use super::{files, sample_in, with_dir_remote};

fn pushed() -> Scratch {
    let s = with_dir_remote();
    sample_in(&s);
    s.repo().modver(["push"]).ok();
    s
}

fn only_run(store: &Path) -> CatalogRun {
    let found = files(&store.join("catalog"));
    let (path, _) = found.iter().find(|(path, _)| !path.ends_with("current")).unwrap();
    let bytes = fs::read(path).unwrap();
    CatalogRun::parse(RunId::of(&bytes), bytes).unwrap()
}

/// Makes this the only run.
fn set_run(store: &Path, bytes: &[u8]) {
    fs::remove_dir_all(store.join("catalog")).unwrap();
    fs::create_dir(store.join("catalog")).unwrap();
    fs::write(store.join("catalog").join(RunId::of(bytes).to_string()), bytes).unwrap();
}

/// Pulls into what has nothing yet: it must end with an error, and what it wrote must be right.
fn pull_fails(s: &Scratch, clone: Repo<'_>, what: &str) {
    clone.sh("rm -rf .git/modver data big.bin").ok();
    let pulled = clone.modver(["pull"]);
    assert!(matches!(pulled.code, 1 | 3 | 6), "{what}: {pulled}");
    assert!(!pulled.err().contains("bug in modver"), "{what}: {pulled}");
    let named = ["big.bin", "data", "error: "];
    assert!(named.iter().any(|name| pulled.err().contains(name)), "{what}: {pulled}");
    if clone.has("big.bin") {
        assert_eq!(clone.read("big.bin"), s.read("big.bin"), "{what}");
    }
    if clone.has("data/cats/1.txt") {
        assert_eq!(clone.read("data/cats/1.txt"), s.read("data/cats/1.txt"), "{what}");
    }
    let verified = clone.modver(["verify"]);
    assert_eq!(verified.code, 0, "{what}: {verified}");
}

#[test]
fn hostile_shards_lead_nowhere() {
    let s = pushed();
    let store = s.root().join("remote");
    let clone = s.clone_to("clone");
    let clone = s.at(&clone);
    let good = fs::read(&files(&store.join("shards"))[0].0).unwrap();
    let roots: Vec<_> = only_run(&store).roots().map(|(root, _)| root).collect();
    let count = |at: usize| u32::from_le_bytes(good[at..at + 4].try_into().unwrap()) as usize;
    let (packs, slots) = (count(8), count(12));
    let fan = 32 + packs * 64 + slots * 40;
    let recipes = fan + 1024 + slots * 4 + 1024;
    // Counts, packs, the first slots of each pack, fan-outs, the recipe's and the terms' numbers.
    let mut places: Vec<usize> = (8..32 + packs * 64).step_by(4).collect();
    places.retain(|at| *at < 32 || (at - 32) % 64 >= 32);
    places.extend([
        32 + packs * 64 + 32,
        32 + packs * 64 + 36,
        fan,
        fan + 1020,
        fan + 1024,
        fan + 1028,
    ]);
    places.extend([recipes - 4, recipes + 32, recipes + 36, recipes + 40, recipes + 44]);
    places.extend([good.len() - 12, good.len() - 8, good.len() - 4]);
    for value in [u32::MAX, 0x7fff_fff0] {
        for &at in &places {
            let mut bad = good.clone();
            bad[at..at + 4].copy_from_slice(&value.to_le_bytes());
            let id = ShardId::of(&bad);
            let name = id.to_string();
            let dir = store.join("shards").join(&name[..2]);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join(&name), &bad).unwrap();
            set_run(
                &store,
                &run::build(roots.iter().map(|root| (*root, vec![id])), Default::default()).unwrap(),
            );
            let what = format!("{value:x} at {at} of {}", good.len());
            clone.sh("rm -rf .git/modver data big.bin").ok();
            let pulled = clone.modver(["pull"]);
            if pulled.code == 0 {
                // What does not matter for these files may be wrong.
                assert_eq!(clone.read("big.bin"), s.read("big.bin"), "{what}");
            } else {
                pull_fails(&s, clone, &what);
            }
        }
    }
    let repaired = s.repo().modver(["verify", "--remote", "--deep", "--repair"]);
    assert_eq!(repaired.code, 0, "{repaired}");
    clone.sh("rm -rf .git/modver data big.bin").ok();
    clone.modver(["pull", "--quiet"]).ok();
    assert_eq!(digest(&s.root().join("clone")), digest(&s.path("")));
}

#[test]
fn hostile_runs_are_named() {
    let s = pushed();
    let store = s.root().join("remote");
    let clone = s.clone_to("clone");
    let clone = s.at(&clone);
    let good = only_run(&store).bytes().to_vec();
    for at in [8, 12, 16, 64, 1084, good.len() - 4, good.len() - 12] {
        let mut bad = good.clone();
        bad[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        set_run(&store, &bad);
        pull_fails(&s, clone, &format!("at {at} of {}", good.len()));
    }
    // Shards that do not exist, and none at all.
    let roots: Vec<_> = only_run_roots(&good);
    for shards in [vec![ShardId::of(b"nothing")], vec![]] {
        set_run(
            &store,
            &run::build(roots.iter().map(|root| (*root, shards.clone())), Default::default()).unwrap(),
        );
        pull_fails(&s, clone, "strange shards");
        clone.modver(["verify", "--remote", "--deep"]).fails(6);
    }
    s.repo().modver(["verify", "--remote", "--deep", "--repair"]).ok();
    clone.modver(["pull", "--quiet"]).ok();
    assert_eq!(digest(&s.root().join("clone")), digest(&s.path("")));
}

fn only_run_roots(bytes: &[u8]) -> Vec<modver::hash::RootId> {
    let run = CatalogRun::parse(RunId::of(bytes), bytes.to_vec()).unwrap();
    run.roots().map(|(root, _)| root).collect()
}

#[test]
fn half_a_push_is_invisible_and_completed_by_the_next() {
    let s = pushed();
    let store = s.root().join("remote");
    for gone in [
        &["catalog"][..],
        &["catalog", "shards"],
        &["catalog", "shards", "modver-store.toml"],
    ] {
        let before = files(&store.join("packs"));
        for name in gone {
            let path = store.join(name);
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
        let clone = s.clone_to("clone");
        s.at(&clone).modver(["pull"]).fails(1);
        s.repo().modver(["push", "--quiet"]).ok();
        assert_eq!(files(&store.join("packs")), before);
        s.at(&clone).modver(["pull", "--quiet"]).ok();
        assert_eq!(digest(&clone), digest(&s.path("")), "{gone:?}");
        fs::remove_dir_all(&clone).unwrap();
    }
}
