//! Damage on a remote, and having it repaired.

use std::fs;
use std::path::{Path, PathBuf};

use super::s3::S3Server;
use super::support::{Scratch, digest};
use super::{add, commit, damage_file, files, noise, sample_in, with_dir_remote, with_s3_remote};

/// A remote of some kind with the sample on it, and where its objects are as files.
struct Place {
    s: Scratch,
    store: PathBuf,
    _server: Option<S3Server>,
}

impl Place {
    fn dir() -> Self {
        let s = with_dir_remote();
        let store = s.root().join("remote");
        Self {
            s,
            store,
            _server: None,
        }
        .with_sample()
    }

    fn s3() -> Self {
        let server = S3Server::start();
        let s = with_s3_remote(&server);
        let store = server.files().join("some/prefix");
        let _server = Some(server);
        Self { s, store, _server }.with_sample()
    }

    fn with_sample(self) -> Self {
        sample_in(&self.s);
        self.s.repo().modver(["push"]).ok();
        self
    }

    /// A clone that nobody has used gets everything from the remote.
    fn check(&self, what: &str) {
        let clone = self.s.root().join("fresh");
        let _ = fs::remove_dir_all(&clone);
        self.s.clone_to("fresh");
        self.s.at(&clone).modver(["pull", "--quiet"]).ok();
        assert_eq!(digest(&clone), digest(&self.s.path("")), "{what}");
        self.s.at(&clone).modver(["verify", "--remote", "--deep"]).ok();
    }
}

/// Objects of one kind, the smallest first.
fn objects(store: &Path, kind: &str) -> Vec<PathBuf> {
    let mut found = files(&store.join(kind));
    found.retain(|(path, _)| path.file_name().unwrap().len() == 64);
    found.sort_by_key(|(_, len)| *len);
    found.into_iter().map(|(path, _)| path).collect()
}

fn largest(store: &Path, kind: &str) -> PathBuf {
    objects(store, kind).pop().unwrap()
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

type Harm = fn(&Path);

const HARMS: [(&str, Harm); 12] = [
    ("a pack with a wrong byte", |store| {
        damage_file(&largest(store, "packs"))
    }),
    ("a tree pack with a wrong byte", |store| {
        damage_file(&objects(store, "packs")[0]);
    }),
    ("a pack that is cut off", |store| cut(&largest(store, "packs"))),
    ("a missing pack", |store| {
        fs::remove_file(largest(store, "packs")).unwrap()
    }),
    ("no packs", |store| {
        fs::remove_dir_all(store.join("packs")).unwrap();
    }),
    ("a shard with a wrong byte", |store| {
        damage_file(&largest(store, "shards"));
    }),
    ("a shard that is cut off", |store| cut(&largest(store, "shards"))),
    ("a missing shard", |store| {
        fs::remove_file(largest(store, "shards")).unwrap()
    }),
    ("a run with a wrong byte", |store| {
        damage_file(&largest(store, "catalog"))
    }),
    ("a run that is cut off", |store| cut(&largest(store, "catalog"))),
    ("a run of another kind", |store| {
        fs::write(largest(store, "catalog"), "not a run").unwrap();
    }),
    ("a missing shard and a pack with a wrong byte", |store| {
        fs::remove_file(largest(store, "shards")).unwrap();
        damage_file(&largest(store, "packs"));
    }),
];

fn every_harm_is_repaired(place: &Place) {
    for (what, harm) in HARMS {
        for copies in [true, false] {
            let what = format!("{what}, {}", if copies { "known here" } else { "not known here" });
            harm(&place.store);
            if !copies {
                let _ = fs::remove_dir_all(place.s.path(".git/modver/remotes"));
            }
            let found = place.s.repo().modver(["verify", "--remote", "--deep"]);
            assert!(
                found.err().ends_with("hint: modver verify --remote --deep --repair\n"),
                "{what}: {found}"
            );
            found.fails(6);
            let repaired = place.s.repo().modver(["verify", "--remote", "--deep", "--repair"]);
            assert_eq!(repaired.code, 0, "{what}: {repaired}");
            place.s.repo().modver(["verify", "--remote", "--deep"]).ok();
            place.check(&what);
        }
    }
}

#[test]
fn a_directory_is_repaired() {
    every_harm_is_repaired(&Place::dir());
}

#[test]
fn a_bucket_is_repaired() {
    every_harm_is_repaired(&Place::s3());
}

#[test]
fn what_nobody_has_is_named_and_comes_back_with_who_has_it() {
    let place = Place::dir();
    let s = &place.s;
    let clone = s.clone_to("clone");
    let clone = s.at(&clone);
    clone.modver(["pull", "--quiet", "data/cats"]).ok();
    let before = objects(&place.store, "packs").len();
    fs::remove_file(largest(&place.store, "packs")).unwrap();
    // This clone has a part of the pack.
    let repaired = clone.modver(["verify", "--remote", "--deep", "--repair"]);
    assert!(repaired.out().contains("\nlost: big.bin: "), "{repaired}");
    assert!(repaired.out().contains("\n  data/dogs/1.txt\n"), "{repaired}");
    assert!(!repaired.out().contains("data/cats"), "{repaired}");
    repaired.fails(6);
    assert_eq!(objects(&place.store, "packs").len(), before);
    let some = s.clone_to("some");
    let pulled = s.at(&some).modver(["pull"]);
    assert!(pulled.err().contains("incomplete: big.bin: "), "{pulled}");
    pulled.fails(3);
    assert!(s.at(&some).has("data/cats/39.txt") && !s.at(&some).has("data/dogs/1.txt"));
    let json = clone.modver(["verify", "--remote", "--deep", "--json"]).json();
    assert_eq!(json["findings"][0]["object"], "big.bin");
    assert_eq!(json["exit"], 6);
    s.repo().modver(["verify", "--remote", "--deep", "--repair"]).ok();
    place.check("by the one who has it");
}

#[test]
fn other_branches_keep_what_can_be_had() {
    let place = Place::dir();
    let s = &place.s;
    s.sh("git checkout --quiet -b other").ok();
    s.write("data/cats/1.txt", "another cat");
    s.write("more", noise(8, 500_000));
    add(s.repo(), &["data", "more"]);
    s.repo().modver(["push", "--quiet"]).ok();
    let other = digest(&s.path(""));
    s.sh("git checkout --quiet main; rm more").ok();
    s.repo().modver(["checkout", "--quiet"]).ok();
    // The clone that repairs knows one branch only, and cannot write the same pack again.
    let clone = s.clone_to("clone");
    s.at(&clone).modver(["pull", "--quiet"]).ok();
    let pack = objects(&place.store, "packs");
    for pack in &pack {
        damage_file(pack);
    }
    let repaired = s.at(&clone).modver(["verify", "--remote", "--deep", "--repair"]);
    assert_eq!(repaired.code, 0, "{repaired}");
    place.check("main");
    s.sh("git checkout --quiet other").ok();
    s.repo().modver(["verify", "--remote", "--deep", "--repair"]).ok();
    s.repo().modver(["checkout", "--quiet"]).ok();
    assert_eq!(digest(&s.path("")), other);
    place.check("other");
}

#[test]
fn what_another_remote_or_the_workspace_has_is_used() {
    for from_workspace in [false, true] {
        let place = Place::dir();
        let s = &place.s;
        if !from_workspace {
            fs::create_dir(s.root().join("second")).unwrap();
            s.repo().modver(["remote", "add", "second", "../second"]).ok();
            s.repo().modver(["remote", "default", "origin"]).ok();
            s.repo().modver(["push", "--remote", "second"]).ok();
            commit(s.repo());
            let kept = digest(&s.path(""));
            s.sh("rm -rf data big.bin").ok();
            fs::remove_dir_all(s.path(".git/modver/cache")).unwrap();
            harm_all(&place.store);
            let repaired = s.repo().modver(["verify", "--remote", "--deep", "--repair"]);
            assert_eq!(repaired.code, 0, "{repaired}");
            s.repo().modver(["checkout", "--quiet"]).fails(3);
            s.repo().modver(["pull", "--quiet"]).ok();
            assert_eq!(digest(&s.path("")), kept);
        } else {
            fs::remove_dir_all(s.path(".git/modver/cache")).unwrap();
            harm_all(&place.store);
            let repaired = s.repo().modver(["verify", "--remote", "--deep", "--repair"]);
            assert_eq!(repaired.code, 0, "{repaired}");
        }
        place.check("elsewhere");
    }
}

fn harm_all(store: &Path) {
    for pack in objects(store, "packs") {
        damage_file(&pack);
    }
}

#[test]
fn a_push_does_not_believe_in_packs_that_are_gone() {
    for harm in [HARMS[2].1, HARMS[3].1] {
        let place = Place::dir();
        let s = &place.s;
        harm(&place.store);
        let mut big = s.read("big.bin");
        big[10] ^= 1;
        s.write("big.bin", &big);
        s.write("data/cats/1.txt", "another cat");
        add(s.repo(), &["data", "big.bin"]);
        s.repo().modver(["push", "--quiet"]).ok();
        place.check("pushed again");
    }
}

#[test]
fn a_damaged_run_does_not_keep_others_from_being_used() {
    let place = Place::dir();
    let s = &place.s;
    // A large run stays by itself when a small one is added.
    for i in 0..40 {
        s.write(format!("many/{i}"), format!("{i}"));
    }
    let names: Vec<String> = (0..40).map(|i| format!("many/{i}")).collect();
    add(s.repo(), &names.iter().map(String::as_str).collect::<Vec<_>>());
    s.repo().modver(["push", "--quiet"]).ok();
    s.write("last", "last");
    add(s.repo(), &["last"]);
    s.repo().modver(["push", "--quiet"]).ok();
    assert_eq!(objects(&place.store, "catalog").len(), 2);
    damage_file(&largest(&place.store, "catalog"));
    let clone = s.clone_to("clone");
    let clone = s.at(&clone);
    let pulled = clone.modver(["pull"]);
    assert!(pulled.err().contains("damaged: big.bin: catalog run "), "{pulled}");
    pulled.fails(3);
    assert!(clone.has("last") && !clone.has("big.bin"));
    // Whoever has it all makes it whole, with a push or a repair.
    fs::remove_dir_all(s.path(".git/modver/remotes")).unwrap();
    s.repo().modver(["push", "--quiet"]).ok();
    clone.modver(["pull", "--quiet"]).ok();
    s.repo().modver(["verify", "--remote", "--deep"]).fails(6);
    s.repo().modver(["verify", "--remote", "--deep", "--repair"]).ok();
    place.check("a damaged run");
}

#[test]
fn a_repair_of_what_is_sound_changes_nothing() {
    let place = Place::dir();
    let before = files(&place.store);
    place.s.repo().modver(["verify", "--remote", "--deep", "--repair"]).ok();
    assert_eq!(files(&place.store), before);
}

#[test]
fn a_pack_whose_table_is_damaged_waits_for_who_knows_what_is_in_it() {
    let place = Place::dir();
    let s = &place.s;
    // This clone has nothing, and no shard says what is in the pack.
    let clone = s.clone_to("clone");
    let shards: Vec<(PathBuf, Vec<u8>)> = objects(&place.store, "shards")
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    for (shard, _) in &shards {
        fs::remove_file(shard).unwrap();
    }
    let pack = largest(&place.store, "packs");
    let mut bytes = fs::read(&pack).unwrap();
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    fs::write(&pack, &bytes).unwrap();
    s.at(&clone)
        .modver(["verify", "--remote", "--deep", "--repair"])
        .fails(6);
    assert_eq!(fs::read(&pack).unwrap(), bytes);
    // Who knows what is in it says so again.
    let repaired = s.repo().modver(["verify", "--remote", "--deep", "--repair"]);
    assert!(repaired.out().contains("\nrepaired: "), "{repaired}");
    assert!(repaired.err().contains(" damaged, and repaired now\n"), "{repaired}");
    assert_eq!(repaired.code, 0, "{repaired}");
    let sound = s.repo().modver(["verify", "--remote", "--deep"]);
    assert!(sound.err().contains("; no damage\n"), "{sound}");
    sound.ok();
    let fresh = s.clone_to("fresh");
    s.at(&fresh).modver(["pull", "--quiet"]).ok();
    assert_eq!(digest(&fresh), digest(&s.path("")));
}
