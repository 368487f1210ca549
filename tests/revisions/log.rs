//! The versions of an output through history.

use serde_json::{Value, json};

use super::support::{Repo, Scratch};
use super::{commit, ids, with_remote};

/// Commits: 1 adds data, 2 something else, 3 changes data, 4 moves it, 5 changes it, 6 removes it.
fn history() -> Scratch {
    let s = with_remote();
    s.write("data/a", "a\n");
    s.write("data/sub/b", "b\n");
    commit(s.repo(), 1, &["data"]);
    s.write("code", "print\n");
    commit(s.repo(), 2, &[]);
    s.write("data/a", "a changed\n");
    commit(s.repo(), 3, &["data"]);
    s.repo().modver(["move", "--quiet", "data", "set"]).ok();
    commit(s.repo(), 4, &[]);
    s.write("set/c", "c\n");
    commit(s.repo(), 5, &["set"]);
    s.sh("modver remove --quiet set; rm -r set").ok();
    commit(s.repo(), 6, &[]);
    s
}

fn subjects(repo: Repo<'_>, args: &[&str]) -> Vec<String> {
    let json = repo.modver(["log", "--json"].iter().chain(args)).json();
    let Some(versions) = json["versions"].as_array() else {
        panic!("{json}")
    };
    let one = |version: &Value| {
        let change = version["change"].as_str().unwrap_or("same");
        format!("{} {change}", version["subject"].as_str().unwrap())
    };
    versions.iter().map(one).collect()
}

#[test]
fn versions_are_listed_through_moves_also_when_the_pointer_is_gone() {
    let s = history();
    let all = [
        "day 6 deleted",
        "day 5 modified",
        "day 4 renamed",
        "day 3 modified",
        "day 1 added",
    ];
    assert_eq!(subjects(s.repo(), &["set"]), all);
    assert_eq!(subjects(s.repo(), &["set.mv"]), all);
    assert_eq!(subjects(s.repo(), &["set", "-n", "2"]), all[..2]);
    assert_eq!(subjects(s.repo(), &["set", "--rev", "HEAD~2"]), all[2..]);
    assert_eq!(subjects(s.repo(), &["set", "--rev", "HEAD~2..HEAD"]), all[..2]);
    // By the old name, up to where it went.
    assert_eq!(
        subjects(s.repo(), &["data"]),
        ["day 4 deleted", "day 3 modified", "day 1 added"]
    );
    // A path inside: only where it changed.
    assert_eq!(
        subjects(s.repo(), &["set/a"]),
        ["day 6 deleted", "day 4 renamed", "day 3 modified", "day 1 added"]
    );
    assert_eq!(
        subjects(s.repo(), &["set/sub"]),
        ["day 6 deleted", "day 4 renamed", "day 1 added"]
    );
    assert_eq!(subjects(s.repo(), &["set/c"]), ["day 6 deleted", "day 5 added"]);

    let json = s.repo().modver(["log", "set", "--json", "--stat"]).json();
    let (third, moved) = (&json["versions"][3], &json["versions"][2]);
    assert_eq!(
        (&third["path"], &third["date"]),
        (&json!("data"), &json!("2026-01-03T12:00:00Z"))
    );
    assert_eq!(
        (&third["author"], &third["email"]),
        (&json!("Test"), &json!("test@example.org"))
    );
    assert_eq!(
        (&third["before"]["size"], &third["after"]["size"]),
        (&json!(4), &json!(12))
    );
    assert_eq!(third["counts"]["modified"], 1);
    assert_eq!((&moved["from"], &moved["path"]), (&json!("data"), &json!("set")));
    let text = s.repo().modver(["log", "set", "-n", "2"]).ok();
    let ids = ids(s.repo());
    assert_eq!(
        text.lines().take(3).collect::<Vec<_>>(),
        [
            format!("{} 2026-01-06 Test: day 6", ids[0]),
            "    deleted".to_owned(),
            format!("{} 2026-01-05 Test: day 5", ids[1])
        ]
    );
    assert!(
        text.contains("    modified: 3 files, 14 B (+1 files, +2 B), "),
        "{text}"
    );
    let data = s.repo().modver(["log", "data", "-n1"]).ok();
    assert!(data.ends_with("\n    deleted, now set"), "{data}");

    let never = s.repo().modver(["log", "nothing"]);
    assert_eq!(never.err(), "error: no commit tracks `nothing`, or ever did\n");
    never.fails(1);
    s.repo().modver(["log", "set", "--rev", "nosuch"]).fails(1);
    s.repo().modver(["log"]).fails(2);
    s.write("fresh", "x\n");
    s.repo().modver(["add", "fresh", "--quiet"]).ok();
    let fresh = s.repo().modver(["log", "fresh"]);
    assert_eq!(fresh.err(), "fresh is in no commit\n");
    fresh.ok();
}

#[test]
fn merges_show_what_they_made() {
    let s = with_remote();
    s.write("data/a", "1\n");
    commit(s.repo(), 1, &["data"]);
    s.git(["checkout", "--quiet", "-b", "side"]).ok();
    s.write("data/a", "2\n");
    commit(s.repo(), 2, &["data"]);
    s.git(["checkout", "--quiet", "main"]).ok();
    s.write("code", "x\n");
    commit(s.repo(), 3, &[]);
    // The merge takes the side's version as it is: it is no version of its own.
    s.sh("git merge --quiet --no-edit -m merge side; modver checkout -q")
        .ok();
    assert_eq!(subjects(s.repo(), &["data"]), ["day 2 modified", "day 1 added"]);
    // Both sides changed it: the merge decides, and is one.
    s.sh("git checkout -q -b other").ok();
    s.write("data/a", "3\n");
    commit(s.repo(), 4, &["data"]);
    s.sh("git checkout -q main; modver checkout -q").ok();
    s.write("data/a", "4\n");
    commit(s.repo(), 5, &["data"]);
    s.sh("git merge -q other || git checkout -q --ours data.mv").fails(0);
    s.write("data/a", "5\n");
    s.sh("modver add -q data; GIT_COMMITTER_DATE=2026-01-06T12:00:00Z git commit -qam both")
        .ok();
    assert_eq!(
        subjects(s.repo(), &["data"]),
        [
            "both modified",
            "day 5 modified",
            "day 4 modified",
            "day 2 modified",
            "day 1 added"
        ]
    );
}

#[test]
fn what_is_not_known_is_said() {
    let s = history();
    s.repo().modver(["push", "-A", "--quiet"]).ok();
    let dir = s.clone_to("clone");
    let clone = s.at(&dir);
    // Without listings, only outputs as a whole are known.
    assert_eq!(subjects(clone, &["set"]).len(), 5);
    let unknown = clone.modver(["log", "set/a"]);
    assert!(unknown.err().ends_with("hint: modver fetch -A set/a\n"), "{unknown}");
    unknown.ok();
    clone.modver(["fetch", "-A", "set/a", "data/a", "--quiet"]).ok();
    assert_eq!(subjects(clone, &["set/a"]).len(), 4);

    // A pointer that is broken in an old commit, and one with the line endings of another system.
    s.write("one", "1\n");
    commit(s.repo(), 10, &["one"]);
    s.sh("cp one.mv kept; echo rubbish > one.mv; git commit -qam broken; sed 's/$/\\r/' kept > one.mv; git commit -qam crlf")
        .ok();
    assert_eq!(
        subjects(s.repo(), &["one"]),
        ["crlf same", "broken same", "day 10 added"]
    );
    let text = s.repo().modver(["log", "one", "--rev", "HEAD~1"]);
    assert!(text.out().contains("    one unreadable: "), "{text}");
    assert_eq!(s.repo().modver(["cat", "--rev", "HEAD", "one"]).ok(), "1");
    assert_eq!(s.repo().modver(["ls", "--rev", "HEAD"]).ok(), "one");
    s.repo().modver(["push", "--rev", "HEAD~1..HEAD"]).ok();
}

#[test]
fn a_move_with_a_change_is_followed_where_it_can_be_no_other() {
    let s = with_remote();
    let r = s.repo();
    s.write("old/a", "1\n");
    s.write("one", "1\n");
    commit(r, 1, &["old", "one"]);
    r.modver(["move", "--quiet", "old", "new"]).ok();
    s.write("new/a", "2\n");
    commit(r, 2, &["new"]);
    assert_eq!(subjects(r, &["new"]), ["day 2 renamed", "day 1 added"]);
    let json = r.modver(["log", "--json", "new"]).json();
    let first = &json["versions"][0];
    assert_ne!(first["before"]["id"], first["after"]["id"], "{first}");
    // Two that went and two that came: nobody can tell.
    r.modver(["move", "--quiet", "new", "newer"]).ok();
    r.modver(["move", "--quiet", "one", "two"]).ok();
    s.write("newer/a", "3\n");
    s.write("two", "2\n");
    commit(r, 3, &["newer", "two"]);
    assert_eq!(subjects(r, &["newer"]), ["day 3 added"]);
    // A file does not become of a directory.
    r.modver(["remove", "--quiet", "--outs", "two"]).ok();
    s.write("three/x", "x\n");
    commit(r, 4, &["three"]);
    assert_eq!(subjects(r, &["three"]), ["day 4 added"]);
}
