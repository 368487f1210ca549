//! What stops a commit, and that the command it names lets the next one through.

use std::fs;

use super::support::{Output, Repo};
use super::{hint, ready, record};

fn commit(r: Repo<'_>) -> Output {
    r.git(["commit", "-q", "--allow-empty", "-m", "Commit"])
}

/// The commit is refused for this reason; what it says to type is typed, and then it is not.
#[track_caller]
fn refused_then_mended(r: Repo<'_>, reason: &str, command: &str) {
    let refused = commit(r);
    assert!(refused.err().contains(reason), "{refused}");
    assert_eq!(hint(&refused), command);
    assert_eq!(refused.code, 1, "{refused}");
    r.sh(command).ok();
    let committed = commit(r);
    assert_eq!(committed.err(), "", "{committed}");
    committed.ok();
}

#[test]
fn data_that_is_not_what_the_pointer_names() {
    let s = ready();
    let r = s.repo();
    r.write("data/a", "changed");
    refused_then_mended(
        r,
        "not committed: data has changes that the staged pointer does not name",
        "modver add data",
    );
    assert_eq!(r.git(["show", "--name-only", "--format=", "HEAD"]).ok(), "data.mv");

    // Added, and not staged.
    r.write("data/a", "again");
    r.modver(["-c", "core.autostage=false", "add", "data"]).ok();
    refused_then_mended(r, "the pointer of data is not staged as it is", "git add data.mv");

    // Git went back, the data did not.
    r.git(["-c", "core.hooksPath=/dev/null", "switch", "-q", "--detach", "HEAD~1"])
        .ok();
    refused_then_mended(r, "but an earlier version", "modver checkout data");

    // Another kind of thing.
    fs::remove_dir_all(s.path("data")).unwrap();
    r.write("data", "a file");
    refused_then_mended(r, "data has changes", "modver add data");

    // What is not here cannot be wrong.
    fs::remove_file(s.path("data")).unwrap();
    commit(r).ok();
}

#[test]
fn data_that_git_does_not_ignore() {
    let s = ready();
    let r = s.repo();
    r.write("model", "1");
    r.modver(["add", "model"]).ok();
    r.git(["restore", "--staged", ".gitignore"]).ok();
    refused_then_mended(
        r,
        "because of .gitignore, which is not staged as it is",
        "git add .gitignore",
    );

    r.write("other", "1");
    r.modver(["add", "other"]).ok();
    r.git(["checkout", "-q", "HEAD", ".gitignore"]).ok();
    refused_then_mended(
        r,
        "other is tracked by modver and not ignored by git",
        "modver add other",
    );

    // A rule of the user's will do.
    r.write("runs/.gitignore", "*.bin\n");
    r.write("runs/x.bin", "1");
    r.modver(["add", "runs/x.bin"]).ok();
    r.write("runs/.gitignore", "*.bin\n");
    r.git(["add", "runs/.gitignore"]).ok();
    commit(r).ok();
}

#[test]
fn a_large_file() {
    let s = ready();
    let r = s.repo();
    r.git(["commit", "-q", "--allow-empty", "-m", "Before"]).ok();
    r.write("big", vec![7; 11 << 20]);
    r.git(["add", "big"]).ok();
    refused_then_mended(
        r,
        "big has 11.0 MiB, and git would keep it for ever",
        "git rm --cached big && modver add big",
    );
    assert_eq!(r.git(["ls-files", "big*"]).ok(), "big.mv");

    r.write("small", vec![7; 2 << 20]);
    r.git(["add", "small"]).ok();
    r.modver(["config", "set", "core.large_file", "1"]).ok();
    commit(r).fails(1);
    r.modver(["config", "set", "core.large_file", "0"]).ok();
    commit(r).ok();
    // Only what is new is looked at.
    r.modver(["config", "set", "core.large_file", "1"]).ok();
    commit(r).ok();
}

#[test]
fn what_is_staged_counts_not_what_lies_around() {
    let s = ready();
    let r = s.repo();
    r.write("big", vec![7; 11 << 20]);
    r.write("x", "x");
    r.git(["add", "x"]).ok();
    // `git commit PATH` commits from an index of its own.
    r.write("x", "y");
    r.git(["commit", "-qm", "X", "x"]).ok();
    r.write("data/a", "changed");
    r.git(["commit", "-qm", "X", "--allow-empty"]).fails(1);
    r.git(["commit", "-qm", "X", "--allow-empty", "--no-verify"]).ok();
    // The pointer as it is staged, whatever the file says.
    record(r, "Changed");
    fs::write(s.path("data.mv"), "nonsense").unwrap();
    commit(r).ok();
    r.git(["add", "data.mv"]).ok();
    let refused = commit(r);
    assert!(
        refused.err().contains("data.mv is staged and no valid pointer"),
        "{refused}"
    );
    assert_eq!(hint(&refused), "git restore --staged data.mv");
    r.sh("git restore --staged data.mv").ok();
    commit(r).ok();
}

#[test]
fn the_first_commit() {
    let s = super::support::Scratch::new();
    let r = s.repo();
    r.modver(["init"]).ok();
    r.modver(["install"]).ok();
    r.write("big", vec![7; 11 << 20]);
    r.git(["add", "."]).ok();
    let refused = commit(r);
    assert!(refused.err().contains("big has 11.0 MiB"), "{refused}");
    r.sh(&hint(&refused)).ok();
    commit(r).ok();
}
