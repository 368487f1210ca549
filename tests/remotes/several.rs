//! More than one remote: pushing to many, and pulling from who has it.

use std::fs;

use super::support::{Scratch, digest};
use super::{add, damage_file, files, sample_in};

/// A repository with the remotes `a`, `b` and `c` in directories beside it; `a` is the default.
pub(super) fn with_remotes() -> Scratch {
    let s = Scratch::new();
    let mut text = "[core]\nremote = \"a\"\n".to_owned();
    for name in ["a", "b", "c"] {
        fs::create_dir(s.root().join(name)).unwrap();
        text.push_str(&format!("[remote.{name}]\nurl = \"../{name}\"\n"));
    }
    s.write("mv.toml", text);
    s
}

fn packs(s: &Scratch, remote: &str) -> usize {
    files(&s.root().join(remote).join("packs")).len()
}

#[test]
fn a_push_goes_to_every_remote_that_is_named_and_one_does_not_stop_another() {
    let s = with_remotes();
    sample_in(&s);
    s.repo().modver(["push", "-r", "b", "-r", "c", "-r", "b"]).ok();
    assert!(packs(&s, "a") == 0 && packs(&s, "b") > 0 && packs(&s, "c") > 0);
    // A name that is none changes nothing.
    let refused = s.repo().modver(["push", "-r", "a", "-r", "d"]);
    assert!(refused.err().contains("`d`"), "{refused}");
    refused.fails(1);
    assert!(packs(&s, "a") == 0);
    fs::rename(s.root().join("b"), s.root().join("gone")).unwrap();
    let half = s.repo().modver(["push", "-r", "b", "-r", "a"]);
    assert!(half.err().starts_with("failed: 2 outputs not pushed to b: "), "{half}");
    assert!(half.out().ends_with(" to a"), "{half}");
    half.fails(3);
    fs::rename(s.root().join("a"), s.root().join("away")).unwrap();
    let none = s.repo().modver(["push", "-r", "b", "-r", "a"]);
    assert!(
        none.err().contains("not pushed to a: ") && none.err().contains("not pushed to b: "),
        "{none}"
    );
    none.fails(1);
    fs::rename(s.root().join("away"), s.root().join("a")).unwrap();
    for name in ["a", "c"] {
        let clone = s.clone_to(&format!("clone-{name}"));
        s.at(&clone).modver(["pull", "--remote", name]).ok();
        assert_eq!(digest(&clone), digest(&s.path("")));
    }
}

#[test]
fn settings_say_where_else_a_push_goes() {
    let s = with_remotes();
    s.repo().modver(["remote", "modify", "c", "push", "true"]).ok();
    sample_in(&s);
    s.write("own.bin", "of b alone");
    s.repo().modver(["add", "own.bin", "--remote", "b"]).ok();
    super::commit(s.repo());
    let json = s.repo().modver(["push", "--json"]).json();
    let to: Vec<_> = json["remotes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|to| to["outputs"].as_u64())
        .collect();
    assert_eq!(to, [Some(2), Some(1), Some(2)], "{json}");
    let there = |name| {
        s.repo()
            .modver(["verify", &format!("--remote={name}"), "--deep", "--json"])
            .json()
    };
    assert_eq!(there("c")["absent"], serde_json::json!(["own.bin"]));
    assert_eq!(there("a")["absent"], serde_json::json!(["own.bin"]));
}

#[test]
fn what_a_remote_cannot_give_is_pulled_from_another_and_that_is_said() {
    for treat in ["nothing", "a pack", "a shard", "damage", "all"] {
        let s = with_remotes();
        sample_in(&s);
        s.repo().modver(["push", "-r", "a", "-r", "c"]).ok();
        let a = s.root().join("a");
        let first = |dir: &str| files(&a.join(dir)).swap_remove(0).0;
        match treat {
            "nothing" => {}
            "a pack" => fs::remove_file(first("packs")).unwrap(),
            "a shard" => fs::remove_file(first("shards")).unwrap(),
            "damage" => files(&a.join("packs")).iter().for_each(|(pack, _)| damage_file(pack)),
            _ => fs::rename(&a, s.root().join("gone")).unwrap(),
        }
        let clone = s.clone_to("clone");
        let only = s.at(&clone).modver(["fetch", "--remote", "a"]);
        if treat == "nothing" {
            only.ok();
            continue;
        }
        assert!(only.code != 0, "{treat}: {only}");
        let pulled = s.at(&clone).modver(["pull"]);
        assert!(pulled.err().contains("from c: "), "{treat}: {pulled}");
        pulled.ok();
        assert_eq!(digest(&clone), digest(&s.path("")), "{treat}");
        let other = s.clone_to("other");
        let json = s.at(&other).modver(["fetch", "--json"]).json();
        let outputs = json["outputs"].as_array().unwrap();
        let instead: Vec<_> = outputs.iter().filter(|output| output["remote"] == "c").collect();
        assert!(!instead.is_empty(), "{treat}: {json}");
        for output in instead {
            assert_eq!(output["instead_of"]["remote"], "a", "{treat}: {json}");
            assert_eq!(output["state"], "complete", "{treat}: {json}");
        }
        // Nobody has it: the first remote's reason stays.
        fs::remove_dir_all(s.root().join("c")).unwrap();
        let third = s.clone_to("third");
        let failed = s.at(&third).modver(["fetch"]);
        assert!(failed.code != 0 && failed.err().contains('a'), "{treat}: {failed}");
    }
}

#[test]
fn other_remotes_are_not_asked_when_the_first_has_everything() {
    let s = with_remotes();
    sample_in(&s);
    s.repo().modver(["push"]).ok();
    // Asking them would be an error.
    for name in ["b", "c"] {
        fs::write(s.root().join(name).join("modver-store.toml"), "?").unwrap();
    }
    let clone = s.clone_to("clone");
    let pulled = s.at(&clone).modver(["pull"]);
    assert!(!pulled.err().contains("failed"), "{pulled}");
    pulled.ok();
    s.write("new", "new");
    add(s.repo(), &["new"]);
    s.git(["-C", clone.to_str().unwrap(), "pull", "--quiet"]).ok();
    let pulled = s.at(&clone).modver(["pull"]);
    assert!(
        pulled.err().contains("absent: new: remote `a` does not have it"),
        "{pulled}"
    );
    assert!(pulled.err().contains("failed: nothing fetched from b: "), "{pulled}");
    pulled.fails(3);
}
