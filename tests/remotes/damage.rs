//! Remotes and caches that are not what they should be.

use std::fs;
use std::path::PathBuf;

use super::support::{Scratch, digest};
use super::{add, damage_file, files, noise, sample_in, with_dir_remote};

/// The largest pack in a store.
fn largest_pack(store: &std::path::Path) -> PathBuf {
    let packs = files(&store.join("packs"));
    packs.into_iter().max_by_key(|(_, len)| *len).unwrap().0
}

#[test]
fn another_format_is_refused_by_name() {
    let s = with_dir_remote();
    sample_in(&s);
    s.repo().modver(["push"]).ok();
    let marker = s.root().join("remote/modver-store.toml");
    let text = fs::read_to_string(&marker).unwrap();
    let clone = s.clone_to("clone");
    for (text, said) in [
        (
            "format = 2\n".to_owned(),
            "the store has format 2; this modver knows format 1",
        ),
        (text.replace("[]", "[\"dance\"]"), "the store needs the feature `dance`"),
        ("?".to_owned(), "`modver-store.toml` is not a store description"),
    ] {
        fs::write(&marker, text).unwrap();
        for (repo, command) in [(s.repo(), "push"), (s.at(&clone), "pull")] {
            let refused = repo.modver([command]);
            let expected = format!("error: cannot use the store on remote `origin`\ncaused by: {said}");
            assert!(refused.err().starts_with(&expected), "{refused}");
            refused.fails(1);
        }
    }
}

#[test]
fn a_remote_that_is_not_there_is_named() {
    let s = with_dir_remote();
    sample_in(&s);
    fs::remove_dir(s.root().join("remote")).unwrap();
    let refused = s.repo().modver(["push"]);
    assert!(
        refused.err().starts_with("error: remote directory does not exist: `"),
        "{refused}"
    );
    assert!(refused.err().contains("\nhint: mkdir -p "), "{refused}");
    refused.fails(1);
    s.write("mv.toml", "");
    assert_eq!(
        s.repo().modver(["push"]).err(),
        "error: no remote is configured\nhint: modver remote add origin s3://bucket/prefix\n"
    );
}

#[test]
fn a_read_only_remote_is_named() {
    let s = with_dir_remote();
    sample_in(&s);
    let sealed = s.sh("chmod a-w ../remote; ! touch ../remote/x 2>/dev/null");
    if sealed.code != 0 {
        // The superuser writes anywhere.
        return;
    }
    let refused = s.repo().modver(["push"]);
    assert!(refused.err().starts_with("error: permission denied: "), "{refused}");
    refused.fails(1);
}

/// Two outputs in packs of their own; the first one's pack is treated.
fn half_damaged(treat: impl Fn(&std::path::Path)) -> (Scratch, PathBuf) {
    let s = with_dir_remote();
    s.write("a.bin", noise(1, 900_000));
    add(s.repo(), &["a.bin"]);
    s.repo().modver(["push"]).ok();
    treat(&largest_pack(&s.root().join("remote")));
    s.write("data/1", "one");
    add(s.repo(), &["data"]);
    s.repo().modver(["push"]).ok();
    let clone = s.clone_to("clone");
    (s, clone)
}

#[test]
fn a_missing_pack_spoils_only_what_is_in_it() {
    let (s, clone) = half_damaged(|pack| fs::remove_file(pack).unwrap());
    let clone = s.at(&clone);
    let pulled = clone.modver(["pull"]);
    assert!(pulled.err().starts_with("incomplete: a.bin: "), "{pulled}");
    assert!(pulled.err().contains("packs/"), "{pulled}");
    pulled.fails(3);
    assert!(clone.has("data/1") && !clone.has("a.bin"));
    clone.modver(["verify"]).ok();
    let verified = clone.modver(["verify", "--remote", "--deep"]);
    assert!(verified.out().starts_with("damaged: packs/"), "{verified}");
    verified.fails(6);
    let json = clone.modver(["fetch", "--json"]).json();
    assert_eq!(json["outputs"][0]["state"], "incomplete");
    assert_eq!(json["exit"], 3);
}

#[test]
fn a_damaged_pack_does_not_reach_the_cache() {
    let (s, clone) = half_damaged(damage_file);
    let clone = s.at(&clone);
    let pulled = clone.modver(["pull"]);
    assert!(pulled.err().starts_with("damaged: a.bin: chunk "), "{pulled}");
    pulled.fails(3);
    assert!(clone.has("data/1") && !clone.has("a.bin"));
    clone.modver(["verify"]).ok();
    clone.modver(["fetch", "a.bin"]).fails(6);
    clone.modver(["verify", "--remote"]).ok();
    clone.modver(["verify", "--remote", "--deep"]).fails(6);
}

#[test]
fn what_lists_show_is_found_without_reading_and_repaired() {
    let cut = |path: &std::path::Path| {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(10).unwrap();
    };
    for treat in ["pack", "shard", "run", "no pack"] {
        let (s, clone) = half_damaged(|_| ());
        s.repo().modver(["verify", "--remote"]).ok();
        let store = s.root().join("remote");
        let name = |dir: &str| {
            let mut found = files(&store.join(dir));
            found.retain(|(path, _)| !path.ends_with("current"));
            found.swap_remove(0).0
        };
        match treat {
            "pack" => cut(&largest_pack(&store)),
            "shard" => cut(&name("shards")),
            "run" => cut(&name("catalog")),
            _ => fs::remove_file(largest_pack(&store)).unwrap(),
        }
        let found = s.repo().modver(["verify", "--remote"]);
        assert!(
            found.err().ends_with("hint: modver verify --remote --repair\n"),
            "{treat}: {found}"
        );
        found.fails(6);
        s.repo().modver(["verify", "--remote", "--repair"]).ok();
        s.repo().modver(["verify", "--remote", "--deep"]).ok();
        s.at(&clone).modver(["pull"]).ok();
    }
    let s = with_dir_remote();
    let refused = s.repo().modver(["verify", "--remote", "--quick"]);
    assert!(refused.err().ends_with("hint: modver verify --remote\n"), "{refused}");
    refused.fails(2);
    s.repo().modver(["verify", "--deep"]).fails(2);
}

#[test]
fn a_damaged_shard_is_named() {
    let (s, clone) = half_damaged(|pack| {
        let store = pack.ancestors().nth(3).unwrap();
        damage_file(&files(&store.join("shards"))[0].0);
    });
    let clone = s.at(&clone);
    let pulled = clone.modver(["pull"]);
    assert!(pulled.err().starts_with("damaged: a.bin: shard "), "{pulled}");
    pulled.fails(3);
    assert!(clone.has("data/1"));
}

#[test]
fn a_push_names_what_is_damaged_here_and_sends_the_rest() {
    let s = with_dir_remote();
    s.write("a.bin", noise(1, 900_000));
    s.write("other/1", "one");
    add(s.repo(), &["a.bin", "other"]);
    s.write("data/1", noise(2, 200_000));
    s.write("data/2", noise(3, 300_000));
    add(s.repo(), &["data"]);
    let pack = s.path(".git/modver/cache/packs");
    // The one of `data`; the other is larger.
    let packs = files(&pack);
    let (of_data, _) = packs
        .iter()
        .filter(|(_, len)| *len > 400_000)
        .min_by_key(|(_, len)| *len)
        .unwrap();
    damage_file(of_data);
    let pushed = s.repo().modver(["push"]);
    let err = pushed.err();
    assert!(
        err.starts_with("damaged: data was not pushed to origin: some of it is damaged in the cache\n  data/"),
        "{err}"
    );
    assert!(err.ends_with("\nhint: modver verify --repair\n"), "{err}");
    assert!(pushed.fails(3).starts_with("2 outputs, "));
    let clone = s.clone_to("clone");
    let clone = s.at(&clone);
    let pulled = clone.modver(["pull"]);
    assert!(pulled.err().starts_with("absent: data: "), "{pulled}");
    pulled.fails(3);
    assert!(clone.has("a.bin") && clone.has("other/1"));
    // Alone it is corruption, and what was sent of it is not sent again.
    let json = s.repo().modver(["push", "data", "--json"]).json();
    assert_eq!(json["exit"], 6);
    assert_eq!(json["outputs"][0]["state"], "damaged");
    assert_eq!(json["outputs"][0]["missing"]["count"], 1);
    s.repo().modver(["verify", "--repair"]).ok();
    let json = s.repo().modver(["push", "--json"]).json();
    assert!(json["remotes"][0]["bytes"].as_u64().unwrap() < 400_000, "{json}");
    clone.modver(["pull", "--quiet"]).ok();
    assert_eq!(digest(&s.root().join("clone")), digest(&s.path("")));
    s.repo().modver(["verify", "--remote", "--deep"]).ok();
}

#[test]
fn a_push_with_a_damaged_listing_or_no_pack_names_the_output() {
    let s = with_dir_remote();
    sample_in(&s);
    let packs = files(&s.path(".git/modver/cache/packs"));
    let (trees, _) = packs.iter().min_by_key(|(_, len)| *len).unwrap();
    damage_file(trees);
    let pushed = s.repo().modver(["push"]);
    assert!(
        pushed.err().starts_with("damaged: data was not pushed to origin: "),
        "{pushed}"
    );
    pushed.fails(3);
    s.repo().modver(["verify", "--repair"]).ok();
    s.repo().modver(["push"]).ok();
    s.repo().modver(["verify", "--remote", "--deep"]).ok();
}

#[test]
fn one_remote_of_two_that_is_gone_does_not_stop_the_other() {
    let s = with_dir_remote();
    fs::create_dir(s.root().join("second")).unwrap();
    s.repo().modver(["remote", "add", "second", "../second"]).ok();
    s.repo().modver(["remote", "default", "origin"]).ok();
    sample_in(&s);
    let pointer = String::from_utf8(s.read("big.bin.mv")).unwrap();
    s.write("big.bin.mv", format!("{pointer}remote = \"second\"\n"));
    fs::remove_dir(s.root().join("second")).unwrap();
    let pushed = s.repo().modver(["push"]);
    assert!(
        pushed
            .err()
            .starts_with("failed: 1 output not pushed to second: remote directory does not exist: `"),
        "{pushed}"
    );
    assert!(pushed.fails(3).starts_with("1 output, 81 files, "));
    let clone = s.clone_to("clone");
    s.at(&clone).write("big.bin.mv", s.read("big.bin.mv"));
    let pulled = s.at(&clone).modver(["pull"]);
    assert!(
        pulled.err().contains("failed: nothing fetched from second: "),
        "{pulled}"
    );
    pulled.fails(3);
    assert!(s.at(&clone).has("data/cats/1.txt"));
}

#[test]
fn the_cache_is_repaired_from_the_remote_and_from_the_workspace() {
    for (pushed, in_workspace) in [(true, false), (false, true), (false, false)] {
        let s = with_dir_remote();
        sample_in(&s);
        if pushed {
            s.repo().modver(["push"]).ok();
        }
        let before = digest(&s.path(""));
        if !in_workspace {
            s.sh("rm -rf data big.bin").ok();
        }
        damage_file(&largest_pack(&s.path(".git/modver/cache")));
        let found = s.repo().modver(["verify"]);
        assert!(found.out().starts_with("damaged: pack "), "{found}");
        assert!(found.err().ends_with("hint: modver verify --repair\n"), "{found}");
        found.fails(6);
        let repaired = s.repo().modver(["verify", "--repair", "--json"]);
        let repair = repaired.json()["repair"].clone();
        assert_eq!(repair["damaged_chunks"], 1, "{repaired}");
        assert_eq!(repair["from_remote"], u64::from(pushed), "{repaired}");
        assert_eq!(repair["from_workspace"], u64::from(in_workspace), "{repaired}");
        if pushed || in_workspace {
            repaired.ok();
            s.repo().modver(["verify"]).ok();
            s.sh("rm -rf data big.bin").ok();
            s.repo().modver(["checkout", "--quiet"]).ok();
            assert_eq!(digest(&s.path("")), before);
        } else {
            assert_eq!(repair["lost"].as_array().unwrap().len(), 1);
            repaired.fails(6);
            // All that is sound is still there, and nothing that is not.
            s.repo().modver(["verify"]).ok();
            s.repo().modver(["checkout", "data/cats"]).ok();
        }
    }
}

#[test]
fn a_lost_index_or_pack_of_the_cache_is_repaired() {
    let s = with_dir_remote();
    sample_in(&s);
    s.repo().modver(["push"]).ok();
    let before = digest(&s.path(""));
    let shard = &files(&s.path(".git/modver/cache/shards"))[0].0;
    damage_file(shard);
    s.repo().modver(["gc", "--workspace", "--yes"]).fails(6);
    s.repo().modver(["verify"]).fails(6);
    s.repo().modver(["verify", "--repair"]).ok();
    fs::remove_file(largest_pack(&s.path(".git/modver/cache"))).unwrap();
    s.repo().modver(["verify", "--quick"]).fails(6);
    s.repo().modver(["verify", "--repair"]).ok();
    s.sh("rm -rf data big.bin").ok();
    s.repo().modver(["checkout", "--quiet"]).ok();
    assert_eq!(digest(&s.path("")), before);
}

#[test]
fn damage_of_the_cache_is_said_to_be_that() {
    let s = with_dir_remote();
    s.write("data/a", noise(1, 90_000));
    s.write("one.bin", noise(2, 90_000));
    add(s.repo(), &["data", "one.bin"]);
    s.repo().modver(["push"]).ok();
    fs::remove_file(s.path("one.bin")).unwrap();
    fs::remove_file(s.path("data/a")).unwrap();
    let packs = files(&s.path(".git/modver/cache/packs"));
    assert_eq!(packs.len(), 2);
    damage_file(&largest_pack(&s.path(".git/modver/cache")));
    // In the middle of it are both.
    let failed = s.repo().modver(["checkout"]);
    assert!(failed.err().contains(" is damaged\n"), "{failed}");
    assert!(failed.err().ends_with("hint: modver verify --repair\n"), "{failed}");
    let all = failed.out().is_empty();
    failed.fails(if all { 6 } else { 3 });
    for (path, _) in packs {
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, vec![0xee; bytes.len()]).unwrap();
    }
    let failed = s.repo().modver(["checkout"]);
    assert!(failed.err().contains("hint: modver verify --repair\n"), "{failed}");
    failed.fails(6);
    let asked = s.repo().modver(["verify", "--remote", "--deep"]);
    assert!(
        asked
            .err()
            .starts_with("error: the cache on this machine is damaged\ncaused by: "),
        "{asked}"
    );
    assert!(asked.err().ends_with("hint: modver verify --repair\n"), "{asked}");
    asked.fails(6);
    s.repo().modver(["verify", "--repair"]).ok();
    s.repo().modver(["verify", "--remote", "--deep"]).ok();
    s.repo().modver(["checkout"]).ok();
    assert_eq!(s.read("one.bin"), noise(2, 90_000));
}
