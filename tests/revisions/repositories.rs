//! Kinds of git repositories: shallow and partial clones, no commit yet, no branch, sha256.

use super::support::Scratch;
use super::{commit, with_remote, with_remote_in};

fn history(s: &Scratch) {
    for (day, text) in [(1, "one\n"), (2, "two\n"), (3, "three\n")] {
        s.write("data/a", text);
        commit(s.repo(), day, &["data"]);
    }
    s.repo().modver(["push", "-A", "--quiet"]).ok();
}

#[test]
fn a_shallow_clone_has_what_it_has() {
    let s = with_remote();
    history(&s);
    let dir = s.root().join("shallow");
    s.sh("git clone -q --depth 2 \"file://$PWD\" ../shallow").ok();
    let clone = s.at(&dir);
    assert_eq!(clone.modver(["cat", "--rev", "HEAD~1", "data/a"]).ok(), "two");
    let gone = clone.modver(["cat", "--rev", "HEAD~2", "data/a"]);
    assert!(
        gone.err().starts_with("error: git does not know a revision `HEAD~2`\n"),
        "{gone}"
    );
    assert!(gone.err().ends_with("hint: git fetch --unshallow\n"), "{gone}");
    gone.fails(1);
    clone.modver(["fetch", "-A", "--quiet"]).ok();
    assert!(clone.modver(["diff", "HEAD~1", "HEAD"]).ok().contains("modified:"));
    let log = clone.modver(["log", "data"]);
    assert!(log.err().ends_with("hint: git fetch --unshallow\n"), "{log}");
    assert_eq!(log.ok().lines().count(), 4);
    clone.modver(["push", "-A"]).ok();
    clone.modver(["gc", "--since", "2026-01-02 00:00", "--yes"]).ok();
}

#[test]
fn a_partial_clone_says_what_is_missing() {
    let s = with_remote();
    history(&s);
    s.git(["config", "uploadpack.allowFilter", "true"]).ok();
    s.sh("git clone -q --filter=blob:none \"file://$PWD\" ../partial").ok();
    let dir = s.root().join("partial");
    let clone = s.at(&dir);
    // The blobs of what is checked out are there.
    clone.modver(["pull"]).ok();
    assert_eq!(clone.modver(["cat", "--rev", "HEAD", "data/a"]).ok(), "three");
    for args in [
        ["cat", "--rev", "HEAD~1", "data/a"],
        ["fetch", "--rev", "HEAD~1", "data"],
    ] {
        let missing = clone.modver(args);
        assert!(
            missing.err().starts_with("error: cannot read git's object "),
            "{missing}"
        );
        assert!(missing.err().contains("in a partial clone, git log -p"), "{missing}");
        missing.fails(1);
    }
    let log = clone.modver(["log", "data"]);
    assert_eq!(log.out().matches("unreadable: git's object ").count(), 3, "{log}");
    log.ok();
    // As the hint says.
    clone.sh("git log -p --all -- '*.mv' > /dev/null").ok();
    assert_eq!(clone.modver(["cat", "--rev", "HEAD~1", "data/a"]).ok(), "two");
    clone.modver(["fetch", "-A"]).ok();
}

#[test]
fn a_head_without_a_branch_or_without_a_commit() {
    let s = with_remote();
    s.write("data/a", "new\n");
    s.repo().modver(["add", "data", "--quiet"]).ok();
    // No commit yet.
    assert!(s.repo().modver(["diff"]).ok().contains("added:"));
    for args in [
        &["ls", "--rev", "HEAD~1"][..],
        &["diff", "main", "HEAD"],
        &["checkout", "--rev", "main", "data"],
    ] {
        let failed = s.repo().modver(args);
        assert!(failed.code == 1 || failed.code == 2, "{failed}");
        assert!(failed.err().starts_with("error: "), "{failed}");
    }
    let log = s.repo().modver(["log", "data"]);
    assert_eq!(log.err(), "data is in no commit\n");
    log.ok();
    s.repo().modver(["log", "other"]).fails(1);
    history(&s);
    // No branch.
    s.sh("git checkout -q --detach HEAD~1 && modver checkout -q").ok();
    assert_eq!(s.read("data/a"), b"two\n");
    assert_eq!(s.repo().modver(["cat", "--rev", "main", "data/a"]).ok(), "three");
    assert_eq!(s.repo().modver(["log", "data"]).ok().lines().count(), 4);
    assert_eq!(s.repo().modver(["diff", "@", "main", "--name-only"]).ok(), "data/a");
    assert_eq!(s.repo().modver(["cat", "--rev", "@{1}", "data/a"]).ok(), "three");
}

#[test]
fn a_sha256_repository_is_like_any_other() {
    let s = Scratch::bare();
    s.git(["init", "--quiet", "--object-format=sha256"]).ok();
    let s = with_remote_in(s);
    history(&s);
    assert_eq!(s.repo().modver(["cat", "--rev", "HEAD~2", "data/a"]).ok(), "one");
    assert_eq!(s.repo().modver(["log", "data"]).ok().lines().count(), 6);
    assert_eq!(s.repo().modver(["diff", "HEAD~2..HEAD", "--name-only"]).ok(), "data/a");
    s.repo().modver(["checkout", "--rev", "HEAD~1", "data/a"]).ok();
    assert_eq!(s.read("data/a"), b"two\n");
    s.repo().modver(["gc", "--rev", "HEAD~1", "--yes"]).ok();
    s.repo().modver(["fetch", "-A"]).ok();
}
