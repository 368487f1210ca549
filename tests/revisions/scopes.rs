//! Which versions push, fetch, pull and gc take.

use std::collections::BTreeSet;
use std::fs;

use super::support::{Repo, Scratch};
use super::{commit, ids, with_remote};

/// Five versions: `old` (deleted since, tagged), three of `data` on main, one on a branch.
fn history() -> Scratch {
    let s = with_remote();
    s.write("old", "a file that is gone\n");
    s.write("data/a", "one\n");
    commit(s.repo(), 1, &["old", "data"]);
    s.git(["tag", "v1"]).ok();
    s.sh("modver remove old --quiet; rm old").ok();
    s.write("data/a", "two\n");
    commit(s.repo(), 2, &["data"]);
    s.git(["checkout", "--quiet", "-b", "side"]).ok();
    s.write("data/a", "side\n");
    commit(s.repo(), 10, &["data"]);
    s.sh("git checkout --quiet main && modver checkout --quiet").ok();
    s.write("data/a", "three\n");
    commit(s.repo(), 20, &["data"]);
    s
}

const CONTENTS: [&str; 5] = ["a file that is gone\n", "one\n", "two\n", "side\n", "three\n"];

/// What of the five contents the cache of this repository has.
fn cached(repo: Repo<'_>) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    for (rev, path) in [
        ("v1", "old"),
        ("v1", "data/a"),
        ("main~1", "data/a"),
        ("origin/side", "data/a"),
        ("main", "data/a"),
    ] {
        // Without a remote, what is not cached cannot be had.
        let out = repo.modver(["cat", "--rev", rev, path, "--remote", "none"]);
        if out.code == 0 {
            found.extend(CONTENTS.iter().find(|content| **content == format!("{}\n", out.out())));
        }
    }
    found
}

fn set(names: &[&'static str]) -> BTreeSet<&'static str> {
    names.iter().copied().collect()
}

#[test]
fn push_and_fetch_take_the_versions_of_their_scope() {
    let s = history();
    // Only the workspace's version.
    assert!(s.repo().modver(["push"]).ok().starts_with("1 output, 1 file, "));
    let branches = s.repo().modver(["push", "--all-branches"]);
    assert!(branches.out().starts_with("1 version, 1 file, "), "{branches}");
    branches.ok();
    assert!(
        s.repo()
            .modver(["push", "-T"])
            .ok()
            .starts_with("2 versions, 2 files, ")
    );
    assert!(
        s.repo().modver(["push", "-A"]).ok().starts_with("1 version, 1 file, "),
        "the version between"
    );
    let again = s.repo().modver(["push", "-A", "--json"]).json();
    assert_eq!(again["outputs"].as_array().unwrap().len(), 5, "{again}");
    assert!(
        again["outputs"]
            .as_array()
            .unwrap()
            .iter()
            .all(|o| o["state"] == "up-to-date")
    );
    assert_eq!(again["remotes"][0]["packs"], serde_json::Value::Null);

    // Each in a clone of its own.
    let clone = |name: &str, args: &[&str]| {
        let dir = s.clone_to(name);
        let repo = s.at(&dir);
        repo.modver(["fetch"].iter().chain(args)).ok();
        cached(repo)
    };
    assert_eq!(clone("plain", &[]), set(&["three\n"]));
    assert_eq!(clone("branches", &["-a"]), set(&["three\n", "side\n"]));
    assert_eq!(
        clone("tags", &["-T"]),
        set(&["three\n", "one\n", "a file that is gone\n"])
    );
    assert_eq!(clone("all", &["--all-commits"]), CONTENTS.into_iter().collect());
    assert_eq!(
        clone("all of one", &["--all-commits", "old"]),
        set(&["a file that is gone\n"])
    );
    assert_eq!(
        clone("since", &["--since", "2026-01-02 00:00"]),
        set(&["three\n", "two\n"])
    );
    assert_eq!(
        clone("since of all", &["-a", "--since", "2026-01-05"]),
        set(&["three\n", "side\n"])
    );
    assert_eq!(clone("one", &["--rev", "v1"]), set(&["one\n", "a file that is gone\n"]));
    assert_eq!(clone("range", &["--rev", "v1..main"]), set(&["two\n", "three\n"]));
    assert_eq!(
        clone("both", &["--rev", "main...origin/side"]),
        set(&["side\n", "three\n"])
    );
    assert_eq!(
        clone("not", &["--rev", "origin/side", "--rev", "^v1"]),
        set(&["two\n", "side\n"])
    );
    assert_eq!(
        clone("text", &["--rev", ":/day 10", "--rev", "main~1"]),
        set(&["side\n", "two\n"])
    );
    assert_eq!(
        clone("part", &["-A", "data/a"]),
        set(&["one\n", "two\n", "side\n", "three\n"])
    );

    let dir = s.clone_to("pulled");
    let repo = s.at(&dir);
    repo.modver(["pull", "--rev", "v1"]).ok();
    assert_eq!(repo.read("data/a"), b"three\n");
    assert!(!repo.has("old"));
    assert_eq!(cached(repo), set(&["three\n", "one\n", "a file that is gone\n"]));
}

#[test]
fn gc_keeps_the_same_scopes() {
    let s = history();
    s.repo().modver(["push", "-A", "--quiet"]).ok();
    s.git(["update-ref", "refs/remotes/origin/side", "side"]).ok();
    let gc = |args: &[&str]| {
        s.repo().modver(["fetch", "-A", "--quiet"]).ok();
        assert_eq!(cached(s.repo()).len(), 5);
        s.repo().modver(["gc", "--yes"].iter().chain(args)).ok();
        cached(s.repo())
    };
    assert_eq!(gc(&["--workspace"]), set(&["three\n"]));
    assert_eq!(
        gc(&["--rev", "v1"]),
        set(&["three\n", "one\n", "a file that is gone\n"])
    );
    assert_eq!(gc(&["--rev", "v1..side"]), set(&["three\n", "two\n", "side\n"]));
    assert_eq!(gc(&["--since", "2026-01-02 00:00"]), set(&["three\n", "two\n"]));
    assert_eq!(gc(&["-a", "--since", "2026-01-05"]), set(&["three\n", "side\n"]));
}

#[test]
fn what_cannot_be_had_does_not_stop_the_rest() {
    let s = history();
    let commits = ids(s.repo());
    // The content of one old version is gone everywhere.
    s.sh("modver gc --yes --rev main~1 --rev v1 -a --delete-data-that-exists-nowhere-else")
        .ok();
    s.sh("cp -r .git/modver/cache kept").ok();
    s.sh("modver gc --yes --rev v1 -a --delete-data-that-exists-nowhere-else")
        .ok();
    let pushed = s.repo().modver(["push", "-A"]);
    let expected = format!(
        "incomplete: data of {} was not pushed: its content is not in the cache",
        commits[1]
    );
    assert!(pushed.err().starts_with(&expected), "{pushed}");
    assert!(pushed.out().starts_with("4 versions, 4 files, "), "{pushed}");
    pushed.fails(3);
    let dir = s.clone_to("clone");
    let fetched = s.at(&dir).modver(["fetch", "-A"]);
    assert!(
        fetched
            .err()
            .starts_with(&format!("absent: data of {}: remote", commits[1])),
        "{fetched}"
    );
    fetched.fails(3);
    let pulled = s.at(&dir).modver(["pull", "-A"]);
    assert_eq!(s.at(&dir).read("data/a"), b"three\n", "{pulled}");
    pulled.fails(3);

    // A broken pointer in an old commit is named.
    fs::write(s.path("odd.mv"), "not a pointer\n").unwrap();
    s.sh("git add odd.mv && git commit -qm odd && git rm -q odd.mv && git commit -qm 'odd no more'")
        .ok();
    let odd = s.repo().modver(["push", "--rev", "HEAD~2..HEAD"]);
    assert!(
        odd.err()
            .starts_with(&format!("broken: odd.mv of {}: ", ids(s.repo())[1])),
        "{odd}"
    );
    odd.fails(3);
    let odd = s.repo().modver(["push", "--rev", "HEAD~2..HEAD", "odd", "--json"]);
    assert_eq!(odd.json()["broken"][0]["path"], "odd.mv", "{odd}");
    s.repo().modver(["push", "--rev", "HEAD~2..HEAD", "data"]).ok();
    // A remote that was taken out of the settings since.
    s.write("other", "elsewhere\n");
    s.sh("modver add --quiet other && sed 's/^id/remote = \"gone\"\\nid/' -i other.mv && cat other.mv")
        .ok();
    s.sh("git add -A && git commit -qm other && modver remove -q other && git commit -qam 'no other'")
        .ok();
    let gone = s.repo().modver(["push", "--rev", "HEAD~2..HEAD"]);
    assert!(gone.err().contains("failed: 1 output not pushed to gone: "), "{gone}");
    gone.fails(3);
}

#[test]
fn bad_scopes_are_named_and_change_nothing() {
    let s = history();
    for command in ["push", "fetch", "pull"] {
        let bad = s.repo().modver([command, "--rev", "nosuch"]);
        assert_eq!(
            bad.err(),
            "error: git does not know a revision `nosuch`\nhint: git log --oneline --all\n"
        );
        bad.fails(1);
        let bad = s.repo().modver([command, "--since", "the day after"]);
        assert!(
            bad.err()
                .starts_with("error: `the day after` is not a date that git knows\n"),
            "{bad}"
        );
        bad.fails(1);
        s.repo().modver([command, "-A", "--since", "yesterday"]).fails(2);
        let bad = s.repo().modver([command, "-A", "nothing"]);
        assert!(
            bad.err().starts_with("error: `nothing` is not tracked by modver\n"),
            "{bad}"
        );
        bad.fails(1);
        s.repo().modver([command, "--rev=--all"]).fails(1);
    }
    assert_eq!(fs::read_dir(s.root().join("remote")).unwrap().count(), 0);
    // Before the first commit.
    let unborn = with_remote();
    unborn.write("data", "x\n");
    unborn.repo().modver(["add", "data", "--quiet"]).ok();
    assert!(unborn.repo().modver(["push", "-A"]).ok().starts_with("1 output, "));
    assert_eq!(
        unborn.repo().modver(["push", "--since", "yesterday"]).ok(),
        "nothing to push to origin; 1 up to date"
    );
    unborn.repo().modver(["push", "--rev", "HEAD"]).fails(1);
    // A commit without a branch counts.
    s.git(["checkout", "--quiet", "--detach"]).ok();
    s.write("data/a", "detached\n");
    commit(s.repo(), 21, &["data"]);
    s.sh("modver commit --quiet; git commit -qm back --allow-empty").ok();
    s.repo().modver(["push", "-A", "--quiet"]).ok();
}
