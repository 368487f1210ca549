//! What stages made is data like any other to every command, but that only its stage, or `commit`, says what it is.

use std::fs;

use super::locks::{open, stage};
use super::support::{Output, Repo, Scratch};

/// A repository with a remote, hooks, and the outputs of two stages in its first commit.
fn ready() -> Scratch {
    let s = Scratch::new();
    fs::create_dir(s.root().join("store")).unwrap();
    let r = s.repo();
    r.modver(["init"]).ok();
    r.modver(["remote", "add", "store", "../store"]).ok();
    r.write("out/a", "a");
    r.write("out/in/b", "b");
    r.write("sub/model.bin", "model 1");
    let repository = open(&s.path(""));
    stage(&repository, "mv.lock", "prepare", &["out"]).unwrap();
    stage(&repository, "sub/mv.lock", "train@cnn-1", &["sub/model.bin"]).unwrap();
    r.git(["add", "."]).ok();
    r.git(["commit", "-qm", "First"]).ok();
    s
}

/// The stage makes another model.
fn train(s: &Scratch, r: Repo<'_>, content: &str) {
    r.write("sub/model.bin", content);
    let root = s.path("");
    stage(&open(&root), "sub/mv.lock", "train@cnn-1", &["sub/model.bin"]).unwrap();
}

fn commit(r: Repo<'_>, message: &str) {
    r.git(["commit", "-qam", message]).ok();
}

#[track_caller]
fn refused(output: Output, code: i32, says: &[&str]) {
    for text in says {
        assert!(output.err().contains(text), "{text} in {output}");
    }
    output.fails(code);
}

#[test]
fn a_clone_gets_what_stages_made() {
    let s = ready();
    let r = s.repo();
    assert_eq!(
        r.git(["ls-files"]).ok(),
        ".gitattributes\n.gitignore\n.mvignore\nmv.lock\nmv.toml\nsub/.gitignore\nsub/mv.lock"
    );
    assert_eq!(r.git(["status", "--porcelain"]).ok(), "");
    let pushed = r.modver(["push", "--json"]).json();
    assert_eq!(pushed["outputs"].as_array().unwrap().len(), 2, "{pushed}");

    let clone = s.clone_to("clone");
    let c = s.at(&clone);
    let status = c.modver(["status"]);
    assert!(status.out().contains("absent:           out/"), "{status}");
    c.modver(["pull"]).ok();
    assert_eq!(c.read("out/in/b"), b"b");
    assert_eq!(c.read("sub/model.bin"), b"model 1");
    super::locks::nothing_but_gone(c.modver(["status", "--check"]));
    super::locks::nothing_but_gone(c.modver(["status", "--remote", "--check"]));
    c.modver(["verify", "--remote", "--deep"]).ok();
    assert_eq!(c.modver(["fetch", "sub"]).code, 0);

    // What is deleted comes back.
    fs::remove_dir_all(clone.join("out")).unwrap();
    c.modver(["checkout", "out"]).ok();
    assert_eq!(c.read("out/a"), b"a");
    assert!(c.modver(["doctor"]).out().contains("tracked outputs: 2"));
}

#[test]
fn what_is_not_pushed_stays_here_and_is_missed_by_nobody() {
    let s = ready();
    let r = s.repo();
    r.write("tmp.bin", "only here");
    stage(&open(&s.path("")), "mv.lock", "scratch", &["tmp.bin!"]).unwrap();
    commit(r, "Scratch");
    let pushed = r.modver(["push", "--all-commits", "--json"]).json();
    let paths: Vec<&str> = pushed["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|out| out["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["out", "sub/model.bin"]);
    refused(
        r.modver(["push", "tmp.bin"]),
        1,
        &[
            "`tmp.bin` is not pushed: the stage `scratch` says so",
            "modver repro scratch",
        ],
    );
    super::locks::nothing_but_gone(r.modver(["status", "--remote", "--check"]));
    let clone = s.clone_to("clone");
    s.at(&clone).modver(["pull"]).ok();
    assert!(!s.at(&clone).has("tmp.bin"));
}

#[test]
fn status_and_commit_of_what_was_changed_by_hand() {
    let s = ready();
    let r = s.repo();
    r.write("sub/model.bin", "by hand");
    let status = r.modver(["status"]);
    assert!(status.out().contains("modified:         sub/model.bin"), "{status}");
    assert!(
        status.err().contains(
            "hint: modver repro sub/mv.toml:train@cnn-1   to make it again, or, to keep it as it is, modver commit sub/model.bin"
        ),
        "{status}"
    );
    let json = r.modver(["status", "--json"]).json();
    assert_eq!(json["outputs"][1]["stage"], "sub/mv.toml:train@cnn-1");

    // It may be half made: who does not name it does not mean it.
    let before = r.read("sub/mv.lock");
    r.modver(["commit"]).ok();
    assert_eq!(r.read("sub/mv.lock"), before);
    r.modver(["commit", "-n", "sub/model.bin"]).ok();
    assert_eq!(r.read("sub/mv.lock"), before);
    r.modver(["commit", "sub/model.bin"]).ok();
    let id = modver::hash::FileId::of(b"by hand").to_string();
    let after = String::from_utf8(r.read("sub/mv.lock")).unwrap();
    assert!(
        after.contains(&id) && after.contains("cmd = [\"make train@cnn-1\"]"),
        "{after}"
    );
    assert!(!r.has("sub/model.bin.mv"));
    super::locks::nothing_but_gone(r.modver(["status", "--check"]));
    assert_eq!(r.git(["diff", "--cached", "--name-only"]).ok(), "sub/mv.lock");
}

#[test]
fn data_goes_where_git_goes() {
    let s = ready();
    let r = s.repo();
    train(&s, r, "model 2");
    commit(r, "Second");
    r.git(["rm", "-q", "mv.lock"]).ok();
    commit(r, "No prepare");
    // While the lock file is only gone from the work tree, nothing is anybody's orphan.
    r.modver(["checkout"]).ok();
    assert!(!r.has("out"), "an output of no stage goes");
    r.git(["checkout", "-q", "HEAD~2"]).ok();
    assert!(r.modver(["status"]).out().contains("outdated:         sub/model.bin"));
    r.modver(["checkout"]).ok();
    assert_eq!(r.read("sub/model.bin"), b"model 1");
    assert_eq!(r.read("out/a"), b"a");

    fs::remove_file(s.path("mv.lock")).unwrap();
    let status = r.modver(["status"]);
    assert!(status.out().contains("lock file gone:   mv.lock"), "{status}");
    assert!(status.err().contains("git restore mv.lock"), "{status}");
    r.modver(["checkout"]).ok();
    assert_eq!(r.read("out/a"), b"a", "a lock file that can be restored names it");
    r.git(["restore", "mv.lock"]).ok();

    // One output as it was in another commit.
    r.modver(["checkout", "--rev", "main", "sub/model.bin"]).ok();
    assert_eq!(r.read("sub/model.bin"), b"model 2");
    r.modver(["checkout", "sub/model.bin"]).ok();
    assert_eq!(r.read("sub/model.bin"), b"model 1");
}

#[test]
fn hooks_know_what_stages_made() {
    let s = ready();
    let r = s.repo();
    r.modver(["install"]).ok();
    r.git(["add", "."]).ok();
    r.git(["commit", "-q", "--allow-empty", "-m", "Hooks"]).ok();
    train(&s, r, "model 2");
    commit(r, "Second");

    r.write("sub/model.bin", "by hand");
    refused(
        r.git(["commit", "-q", "--allow-empty", "-m", "No"]),
        1,
        &[
            "not committed: sub/model.bin has changes that the staged lock file does not name",
            "hint: modver repro sub/mv.toml:train@cnn-1   or, to keep it as it is, modver commit sub/model.bin",
        ],
    );
    r.modver(["-c", "core.autostage=false", "commit", "sub/model.bin"]).ok();
    refused(
        r.git(["commit", "-q", "--allow-empty", "-m", "No"]),
        1,
        &[
            "the lock file of sub/model.bin is not staged as it is",
            "git add sub/mv.lock",
        ],
    );
    commit(r, "Third");

    // Git moves, and the data with it.
    r.git(["checkout", "-q", "HEAD~1"]).ok();
    assert_eq!(r.read("sub/model.bin"), b"model 2");
    r.git(["checkout", "-q", "main"]).ok();
    assert_eq!(r.read("sub/model.bin"), b"by hand");

    // What git pushes, its data goes along.
    r.git(["init", "-q", "--bare", "../origin.git"]).ok();
    r.git(["remote", "add", "origin", "../origin.git"]).ok();
    r.git(["push", "-q", "origin", "main"]).ok();
    let clone = s.clone_to("clone");
    let c = s.at(&clone);
    c.modver(["pull", "--all-commits"]).ok();
    assert_eq!(c.read("sub/model.bin"), b"by hand");
    assert_eq!(c.modver(["cat", "--rev", "HEAD~1", "sub/model.bin"]).ok(), "model 2");
}

#[test]
fn collection_keeps_what_a_lock_file_in_scope_names() {
    let s = ready();
    let r = s.repo();
    train(&s, r, "model 2");
    commit(r, "Second");
    train(&s, r, "model 3");
    // Committed in conflict: both sides may be meant.
    let three = String::from_utf8(r.read("sub/mv.lock")).unwrap();
    let two = r.git(["show", "HEAD:sub/mv.lock"]).ok();
    r.write(
        "sub/mv.lock",
        format!("<<<<<<< ours\n{three}\n=======\n{two}\n>>>>>>> theirs\n"),
    );
    commit(r, "In conflict");
    let broken = r.modver(["gc", "--all-commits", "--yes", "--delete-data-that-exists-nowhere-else"]);
    refused(
        broken,
        1,
        &["`sub/mv.lock` is not a valid lock file", "still in conflict"],
    );
    r.git(["checkout", "-q", "HEAD~1", "--", "sub/mv.lock"]).ok();
    r.modver(["checkout", "--force"]).ok();
    commit(r, "Second again");

    let collect = |scope: &str| {
        r.modver(["gc", scope, "--yes", "--delete-data-that-exists-nowhere-else"])
            .ok();
    };
    let has = |rev: &str| r.modver(["cat", "--rev", rev, "sub/model.bin"]).code == 0;
    collect("--all-commits");
    assert!(has("HEAD~3") && has("HEAD~2"));
    let id = modver::hash::FileId::of(b"model 3").to_string();
    r.write(
        "restored.mv",
        format!("version = 1\nkind = \"file\"\nid = \"{id}\"\nsize = 7\n"),
    );
    r.modver(["checkout", "restored"]).ok();
    assert_eq!(r.read("restored"), b"model 3", "it was only in a lock file in conflict");
    r.modver(["remove", "--outs", "restored"]).ok();

    collect("--all-branches");
    assert!(!has("HEAD~3") && has("HEAD"));
    fs::remove_dir_all(s.path("out")).unwrap();
    collect("--workspace");
    r.modver(["checkout"]).ok();
    assert_eq!(r.read("out/in/b"), b"b");
    super::locks::nothing_but_gone(r.modver(["status", "--check"]));

    // Staged only, then nowhere.
    train(&s, r, "model 4");
    r.git(["commit", "-qm", "Fourth"]).ok();
    r.git(["checkout", "-q", "HEAD~1"]).ok();
    collect("--workspace");
    assert!(!has("main"));
}

#[test]
fn looking_at_what_stages_made() {
    let s = ready();
    let r = s.repo();
    train(&s, r, "model 2");
    r.write("out/new", "new");
    stage(&open(&s.path("")), "mv.lock", "prepare", &["out"]).unwrap();
    commit(r, "Second");
    assert_eq!(r.modver(["cat", "sub/model.bin"]).ok(), "model 2");
    assert_eq!(r.modver(["cat", "--rev", "HEAD~1", "sub/model.bin"]).ok(), "model 1");
    assert_eq!(r.modver(["cat", "--rev", "HEAD", "out/in/b"]).ok(), "b");
    let listed = r.modver(["ls", "-R"]).out();
    assert!(
        listed.contains("out") && listed.contains("sub/model.bin") && listed.contains("out/in/b"),
        "{listed}"
    );
    assert!(!r.modver(["ls", "-R", "--rev", "HEAD~1"]).out().contains("out/new"));
    assert!(r.modver(["du"]).out().contains("sub/model.bin"));
    let diff = r.modver(["diff", "HEAD~1", "HEAD"]).out();
    assert!(diff.contains("out/new") && diff.contains("sub/model.bin"), "{diff}");
    r.write("out/later", "later");
    assert!(r.modver(["diff"]).out().contains("out/later"));

    let log = r.modver(["log", "--json", "sub/model.bin"]).json();
    let subjects: Vec<&str> = log["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["subject"].as_str().unwrap())
        .collect();
    assert_eq!(subjects, ["Second", "First"], "{log}");
    assert_eq!(log["versions"][0]["path"], "sub/model.bin");
    let log = r.modver(["log", "--json", "out/new"]).json();
    assert_eq!(log["versions"].as_array().unwrap().len(), 1, "{log}");
    // One that is no output any more.
    let other = s.path("");
    r.write("sub/other", "x");
    stage(&open(&other), "sub/mv.lock", "train@cnn-1", &["sub/other"]).unwrap();
    commit(r, "Third");
    let log = r.modver(["log", "--json", "sub/model.bin"]).json();
    assert_eq!(log["versions"][0]["change"], "deleted", "{log}");
    refused(r.modver(["log", "never"]), 1, &["no commit tracks `never`"]);
}

#[test]
fn only_its_stage_says_what_an_output_is() {
    let s = ready();
    let r = s.repo();
    r.write("out/a", "changed");
    let of_stage = "is an output of the stage `prepare`";
    for args in [
        &["add", "out"][..],
        &["remove", "out"],
        &["move", "out", "there"],
        &["remove", "--outs", "out"],
    ] {
        refused(
            r.modver(args),
            1,
            &[of_stage, "modver commit out", "modver stage remove prepare"],
        );
    }
    refused(
        r.modver(["add", "out/a"]),
        1,
        &["`out/a` is inside `out`, which is tracked"],
    );
    refused(r.modver(["add", "sub"]), 1, &["sub"]);
    refused(r.modver(["add", "sub/mv.lock"]), 1, &["belongs to git or modver"]);
    r.write("other/x", "x");
    r.modver(["add", "other"]).ok();
    refused(r.modver(["move", "other", "out/other"]), 1, &["inside `out`"]);
    refused(r.modver(["import-url", "mv.toml", "out", "--force"]), 1, &[of_stage]);
    // Patterns mean what can be added.
    r.write("sub/model.txt", "notes");
    r.modver(["add", "sub/model.*"]).ok();
    assert!(r.has("sub/model.txt.mv") && !r.has("sub/model.bin.mv"));
    // Below a directory that is named, others are meant.
    r.modver(["remove", "sub"]).ok();
    assert!(!r.has("sub/model.txt.mv"));
    assert_eq!(r.read("out/a"), b"changed");
    assert!(r.has("mv.lock") && r.has("sub/mv.lock"));
}

#[test]
fn branches_merge_stage_by_stage_and_conflicts_are_settled() {
    let s = ready();
    let r = s.repo();
    r.modver(["install"]).ok();
    // Both append to `.gitignore`, which is git's to merge.
    r.sh("echo '.gitignore merge=union' >>.gitattributes").ok();
    r.git(["add", "."]).ok();
    r.git(["commit", "-q", "--allow-empty", "-m", "Hooks"]).ok();
    let run = |name: &str, path: &str, content: &str| {
        r.write(path, content);
        stage(&open(&s.path("")), "mv.lock", name, &[path]).unwrap();
    };
    r.git(["switch", "-qc", "topic"]).ok();
    run("theirs", "theirs.bin", "theirs");
    run("both", "both.bin", "both, theirs");
    r.git(["commit", "-qm", "Theirs"]).ok();
    r.git(["switch", "-q", "main"]).ok();
    assert!(!r.has("theirs.bin"));
    run("ours", "ours.bin", "ours");
    r.git(["commit", "-qm", "Ours"]).ok();
    r.git(["switch", "-qc", "conflict"]).ok();
    run("both", "both.bin", "both, ours");
    r.git(["commit", "-qm", "Ours, too"]).ok();

    r.git(["switch", "-q", "main"]).ok();
    r.git(["merge", "-q", "--no-edit", "topic"]).ok();
    r.modver(["checkout"]).ok();
    assert_eq!(
        (r.read("ours.bin"), r.read("theirs.bin")),
        (b"ours".to_vec(), b"theirs".to_vec())
    );
    super::locks::nothing_but_gone(r.modver(["status", "--check"]));

    r.git(["switch", "-q", "conflict"]).ok();
    let merged = r.git(["merge", "-q", "--no-edit", "main"]);
    assert!(merged.err().contains("mv.lock: 1 conflict"), "{merged}");
    assert!(
        merged
            .err()
            .contains("modver checkout --ours mv.lock or modver checkout --theirs mv.lock"),
        "{merged}"
    );
    assert_eq!(merged.code, 1);
    let status = r.modver(["status"]);
    assert!(
        status
            .out()
            .contains("broken:           mv.lock (two versions of it were merged"),
        "{status}"
    );
    assert!(
        status
            .err()
            .contains("modver checkout --ours mv.lock   or   modver checkout --theirs mv.lock"),
        "{status}"
    );
    // Nothing of it is taken for what no lock file names.
    refused(r.modver(["checkout"]), 3, &["mv.lock"]);
    assert!(r.has("both.bin") && r.has("ours.bin") && r.has("out/a"));
    refused(
        r.modver(["add", "both.bin"]),
        1,
        &["`mv.lock` is not a valid lock file"],
    );
    refused(
        r.modver(["checkout", "--ours", "both.bin"]),
        1,
        &["`mv.lock` is not a valid lock file", "--ours mv.lock"],
    );
    refused(
        r.modver(["checkout", "--ours", "sub/mv.lock"]),
        1,
        &["is not in conflict"],
    );

    r.sh("git stash list && cp -r . ../again").ok();
    let settled = r.modver(["checkout", "--theirs", "mv.lock"]).ok();
    assert!(settled.starts_with("took theirs in mv.lock: 1 stage\n"), "{settled}");
    assert_eq!(r.read("both.bin"), b"both, theirs");
    assert_eq!(r.read("theirs.bin"), b"theirs");
    super::locks::nothing_but_gone(r.modver(["status", "--check"]));
    r.git(["commit", "-q", "--no-edit"]).ok();
    let again = s.root().join("again");
    let again = s.at(&again);
    again.modver(["checkout", "--ours", "."]).ok();
    assert_eq!(again.read("both.bin"), b"both, ours");
    assert_eq!(again.read("theirs.bin"), b"theirs");
}

#[test]
fn other_repositories_get_what_stages_made() {
    let s = ready();
    s.repo().modver(["push"]).ok();
    let other = s.root().join("other");
    fs::create_dir(&other).unwrap();
    let o = s.at(&other);
    o.git(["init", "-q"]).ok();
    o.modver(["init"]).ok();
    o.modver(["get", "../repo", "out"]).ok();
    assert_eq!(o.read("out/in/b"), b"b");
    o.modver(["get", "../repo", "out/a", "-o", "alone"]).ok();
    assert_eq!(o.read("alone"), b"a");
    o.modver(["import", "../repo", "sub/model.bin"]).ok();
    assert_eq!(o.read("model.bin"), b"model 1");
    o.modver(["get", "../repo", "sub", "-o", "whole"]).ok();
    assert_eq!(o.read("whole/model.bin"), b"model 1");
    assert!(o.modver(["ls", "../repo"]).out().contains("out"));
    train(&s, s.repo(), "model 2");
    commit(s.repo(), "Second");
    o.modver(["update"]).ok();
    assert_eq!(o.read("model.bin"), b"model 2");
}

#[test]
fn a_lock_file_that_cannot_be_read_is_named() {
    let s = ready();
    let r = s.repo();
    r.write("mv.lock", "version = 1\n[stages.prepare]\ncmd = [\"x\"]\nwhen = 1\n");
    let status = r.modver(["status"]);
    assert!(
        status
            .out()
            .contains("mv.lock (it has the unknown key `stages.prepare.when`)"),
        "{status}"
    );
    assert!(status.err().contains("git checkout HEAD -- mv.lock"), "{status}");
    assert!(r.modver(["status", "out"]).out().contains("mv.lock"));
    refused(
        r.modver(["cat", "out/a"]),
        1,
        &["`mv.lock` is not a valid lock file", "unknown key"],
    );
    refused(r.modver(["push", "out"]), 1, &["`mv.lock` is not a valid lock file"]);
    refused(r.modver(["checkout"]), 3, &["mv.lock"]);
    assert_eq!(r.read("out/a"), b"a");
    assert_eq!(r.modver(["checkout", "sub/model.bin"]).code, 0);
    assert!(r.modver(["doctor"]).out().contains("mv.lock"));
    refused(
        r.modver(["gc", "--workspace", "--yes"]),
        1,
        &["`mv.lock` is not a valid lock file"],
    );
}
