//! Data goes before the commits that name it.

use std::fs;

use super::support::{Repo, Scratch};
use super::{data, ready, record};

fn with_origin() -> Scratch {
    let s = ready();
    s.git(["init", "-q", "--bare", "../origin.git"]).ok();
    s.git(["remote", "add", "origin", "../origin.git"]).ok();
    s.git(["push", "-q", "-u", "origin", "main"]).ok();
    s
}

/// The versions of `data/a` that a new clone can have.
fn versions(s: &Scratch, name: &str, branch: &str) -> Vec<String> {
    let dir = s.root().join(name);
    s.git(["clone", "-q", "-b", branch, "../origin.git", dir.to_str().unwrap()])
        .ok();
    let c = s.at(&dir);
    let commits = c.git(["rev-list", "--reverse", "HEAD", "--", "data.mv"]).ok();
    commits
        .lines()
        .map(|commit| {
            c.git(["checkout", "-q", commit]).ok();
            let pulled = c.modver(["pull"]);
            if pulled.code == 0 {
                data(c).split(' ').next().unwrap().to_owned()
            } else {
                "missing".to_owned()
            }
        })
        .collect()
}

#[test]
fn exactly_what_git_pushes() {
    let s = with_origin();
    let r = s.repo();
    for i in 1..=3 {
        r.write("data/a", format!("main {i}"));
        record(r, &format!("Main {i}"));
    }
    r.git(["switch", "-qc", "private"]).ok();
    r.write("data/a", "private");
    record(r, "Private");
    let pushed = r.git(["push", "-q", "origin", "main"]);
    assert!(pushed.err().contains("to store"), "{pushed}");
    pushed.ok();
    assert_eq!(versions(&s, "one", "main"), ["a=a", "a=main", "a=main", "a=main"]);
    let id = String::from_utf8(s.read("data.mv")).unwrap();
    let remote = r.modver(["status", "--remote", "--json"]).json();
    assert_eq!(remote["outputs"][0]["in_remote"], false, "{id}");
    // A new branch, and several refs at once.
    r.git(["tag", "v1"]).ok();
    r.git(["push", "-q", "origin", "private", "v1"]).ok();
    assert_eq!(versions(&s, "two", "private").last().unwrap(), "a=private");
    r.git(["push", "-q", "origin", ":private"]).ok();
}

#[test]
fn nothing_about_data_is_silent_and_asks_nobody() {
    let s = with_origin();
    let r = s.repo();
    fs::rename(s.root().join("store"), s.root().join("away")).unwrap();
    r.write("x", "x");
    r.git(["add", "x"]).ok();
    r.git(["commit", "-qm", "X"]).ok();
    let pushed = r.git(["push", "-q"]);
    assert_eq!(pushed.err(), "");
    pushed.ok();
    let again = r.git(["push", "-q"]);
    assert_eq!(again.err(), "");
}

#[test]
fn a_failed_data_push_stops_the_git_push() {
    let s = with_origin();
    let r = s.repo();
    let tip = |r: Repo<'_>| r.git(["ls-remote", "origin", "main"]).ok();
    let before = tip(r);
    r.write("data/a", "new");
    record(r, "New");
    let store = s.root().join("store");
    // Gone, then in the way.
    fs::rename(&store, s.root().join("away")).unwrap();
    let refused = r.git(["push", "-q"]);
    assert!(refused.err().contains("error: "), "{refused}");
    refused.fails(1);
    fs::write(&store, "a file").unwrap();
    r.git(["push", "-q"]).fails(1);
    assert_eq!(tip(r), before);
    fs::remove_file(&store).unwrap();
    fs::rename(s.root().join("away"), &store).unwrap();
    // Content that is nowhere.
    let cache = s.path(".git/modver/cache");
    fs::rename(&cache, s.root().join("cache")).unwrap();
    fs::remove_dir_all(s.path(".git/modver/remotes")).unwrap();
    let refused = r.git(["push", "-q"]);
    assert!(refused.err().contains("was not pushed: "), "{refused}");
    assert!(
        refused.err().contains("git push --no-verify pushes without the data"),
        "{refused}"
    );
    refused.fails(1);
    assert_eq!(tip(r), before);
    fs::remove_dir_all(&cache).unwrap();
    fs::rename(s.root().join("cache"), &cache).unwrap();
    r.git(["push", "-q"]).ok();
    assert_ne!(tip(r), before);
    assert_eq!(versions(&s, "one", "main").last().unwrap(), "a=new");
}

#[test]
fn without_a_remote() {
    let s = Scratch::new();
    let r = s.repo();
    r.modver(["init"]).ok();
    r.modver(["install"]).ok();
    r.git(["init", "-q", "--bare", "../origin.git"]).ok();
    r.git(["remote", "add", "origin", "../origin.git"]).ok();
    r.git(["commit", "-qm", "Init"]).ok();
    let pushed = r.git(["push", "-q", "origin", "main"]);
    assert_eq!(pushed.err(), "");
    pushed.ok();
    r.write("data/a", "a");
    record(r, "Data");
    let refused = r.git(["push", "-q", "origin", "main"]);
    assert!(
        refused.err().contains("error: no remote is configured") && refused.err().contains("hint: modver remote add"),
        "{refused}"
    );
    refused.fails(1);
    r.git(["push", "-q", "--no-verify", "origin", "main"]).ok();
}

#[test]
fn runs_go_with_what_they_made() {
    let s = with_origin();
    let r = s.repo();
    let toml = String::from_utf8(s.read("mv.toml")).unwrap();
    r.write(
        "mv.toml",
        format!("{toml}\n[stages.make]\ncmd = 'cat in > out'\ndeps = ['in']\nouts = ['out']\n"),
    );
    // One that no commit names, and one that one does.
    for n in ["private", "public"] {
        r.write("in", n);
        r.modver(["repro"]).ok();
    }
    r.git(["add", "."]).ok();
    r.git(["commit", "-qm", "Made"]).ok();
    let pushed = r.git(["push", "-q", "origin", "main"]);
    assert!(pushed.err().contains("pushed 1 run of a stage"), "{pushed}");
    pushed.ok();
    let dir = s.root().join("other");
    s.git(["clone", "-q", "../origin.git", dir.to_str().unwrap()]).ok();
    let c = s.at(&dir);
    c.modver(["pull"]).ok();
    let runs = c.modver(["runs", "--json"]).json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "{runs}");
    // What cannot be sent of them keeps nobody from pushing.
    r.write("in", "more");
    r.modver(["repro"]).ok();
    r.git(["commit", "-qam", "More"]).ok();
    r.write(
        ".git/modver/runs.db",
        "no database, and longer than a header of one would be: ".repeat(20),
    );
    let pushed = r.git(["push", "-q", "origin", "main"]);
    assert!(pushed.err().contains("runs of stages were not pushed"), "{pushed}");
    pushed.ok();
}
