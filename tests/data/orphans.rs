//! Data that no pointer names any more: a checkout removes what modver brought here, and nothing else.

use std::fs;

use super::support::{Scratch, digest};
use super::{commit, delete, everything, ready};

/// A commit with `data/`, `single` and `sub/deep/x`, on top of one without; the older one is checked out by git.
fn before_they_were_tracked() -> Scratch {
    let s = tracked();
    s.git(["checkout", "--quiet", "HEAD~1"]).ok();
    s
}

fn tracked() -> Scratch {
    let s = ready();
    for file in ["data/a", "data/in/b", "sub/deep/x/file"] {
        s.write(file, file);
    }
    std::os::unix::fs::symlink("in/b", s.path("data/link")).unwrap();
    fs::create_dir(s.path("data/empty")).unwrap();
    s.write("single", "single");
    s.repo().modver(["add", "data", "single", "sub/deep/x"]).ok();
    commit(&s, "Data");
    s
}

fn states(s: &Scratch) -> usize {
    fs::read_dir(s.path(".git/modver/state")).unwrap().count()
}

#[test]
fn what_is_tracked_no_more_goes_and_comes_back() {
    let s = tracked();
    let with = digest(&s.path(""));
    for _ in 0..2 {
        s.git(["checkout", "--quiet", "HEAD~1"]).ok();
        let status = s.repo().modver(["status"]);
        assert_eq!(
            status.out(),
            "orphaned:         data/\norphaned:         single\norphaned:         sub/deep/x/"
        );
        assert_eq!(
            status.err(),
            "hint: modver checkout   to remove what no pointer names any more (or modver remove TARGET to keep it)\n"
        );
        s.repo().modver(["status", "--check"]).fails(1);
        assert_eq!(s.repo().modver(["status", "sub"]).ok(), "orphaned:         sub/deep/x/");
        let before = everything(&s);
        let dry = s.repo().modver(["checkout", "--dry-run"]);
        assert_eq!(
            dry.ok(),
            "would remove data (3 deleted)\nwould remove single (1 deleted)\nwould remove sub/deep/x (1 deleted)"
        );
        assert_eq!(everything(&s), before);
        let done = s.repo().modver(["checkout", "--json"]).json();
        assert_eq!(
            (&done["outputs"][0]["orphaned"], &done["outputs"][0]["done"]["deleted"]),
            (&true.into(), &3.into())
        );
        assert_eq!(states(&s), 0);
        for gone in ["data", "single", "sub"] {
            assert!(!s.repo().has(gone), "{gone}");
        }
        assert_eq!(s.git(["status", "--porcelain", "--ignored"]).ok(), "");
        assert_eq!(s.repo().modver(["status"]).err(), "nothing is tracked here\n");
        s.git(["checkout", "--quiet", "main"]).ok();
        s.repo().modver(["pull"]).fails(1);
        s.repo().modver(["checkout"]).ok();
        assert_eq!(digest(&s.path("")), with);
    }
    // By their own names, by their pointers', and by a directory above.
    s.git(["checkout", "--quiet", "HEAD~1"]).ok();
    s.repo().modver(["checkout", "single.mv"]).ok();
    assert!(!s.repo().has("single") && s.repo().has("data") && s.repo().has("sub"));
    s.repo().modver(["checkout", "sub"]).ok();
    assert!(s.repo().has("data") && !s.repo().has("sub"));
    s.repo().modver(["checkout", "data/in"]).fails(1);
    assert!(s.repo().has("data/in/b"));
    // A pull of what is tracked no more needs no remote.
    s.repo().modver(["pull", "data"]).ok();
    assert!(!s.repo().has("data"));
}

#[test]
fn what_is_stored_nowhere_stays() {
    let s = before_they_were_tracked();
    s.write("data/a", "modified");
    s.write("data/in/new", "untracked");
    let data = digest(&s.path("data"));
    let partly = s.repo().modver(["checkout"]);
    assert_eq!(
        partly.err(),
        "conflict: data/a has changes that are stored nowhere\n\
         conflict: data/in/new was never tracked and is stored nowhere\n\
         hint: no pointer names it any more; modver remove TARGET to keep all of it, or modver checkout --force TARGET \
         to lose it\n"
    );
    assert_eq!(
        partly.fails(3),
        "removed single (1 deleted)\nremoved sub/deep/x (1 deleted)"
    );
    assert_eq!(digest(&s.path("data")), data);
    s.repo().modver(["checkout"]).fails(1);
    assert_eq!(digest(&s.path("data")), data);
    s.repo().modver(["checkout", "--force", "data"]).ok();
    assert!(!s.repo().has("data"));

    // Ignored files were never modver's.
    let s = before_they_were_tracked();
    s.write(".mvignore", "*.log\n");
    s.write("data/in/x.log", "ignored");
    s.repo().modver(["checkout"]).ok();
    let left = digest(&s.path("data"));
    assert_eq!(left.lines().count(), 2, "{left}");
    assert_eq!(s.read("data/in/x.log"), b"ignored");
    assert_eq!(s.repo().modver(["status"]).ok(), "");

    // Something else has taken the place.
    let s = before_they_were_tracked();
    delete(&s.path("single"));
    s.write("single/mine", "mine");
    delete(&s.path("data"));
    s.write("data", "mine");
    s.repo().modver(["checkout"]).fails(3);
    assert_eq!(
        (s.read("single/mine"), s.read("data")),
        (b"mine".to_vec(), b"mine".to_vec())
    );

    // The cache was collected: the workspace has the only copy.
    let s = before_they_were_tracked();
    delete(&s.path(".git/modver/cache"));
    let before = everything(&s);
    s.repo().modver(["checkout"]).fails(1);
    assert_eq!(everything(&s), before);
}

#[test]
fn what_has_a_pointer_somewhere_stays() {
    // Deleted in the work tree only.
    let s = tracked();
    delete(&s.path("data.mv"));
    let data = digest(&s.path("data"));
    s.repo().modver(["checkout"]).ok();
    let status = s.repo().modver(["status"]);
    assert_eq!(
        (status.out(), status.err()),
        (
            "pointer gone:     data.mv".to_owned(),
            "hint: git restore data.mv\n".to_owned()
        )
    );
    assert_eq!(digest(&s.path("data")), data);
    // Broken.
    s.write("data.mv", "<<<<<<< HEAD\n");
    s.git(["rm", "--quiet", "--cached", "data.mv"]).ok();
    s.repo().modver(["checkout"]).fails(3);
    assert_eq!(digest(&s.path("data")), data);
    // Left out by a sparse checkout.
    let s = tracked();
    let before = digest(&s.path("sub/deep/x"));
    s.git(["sparse-checkout", "set", "--no-cone", "/*", "!/sub"]).ok();
    s.repo().modver(["checkout"]).ok();
    assert!(!s.repo().has("sub/deep/x.mv"));
    assert_eq!(digest(&s.path("sub/deep/x")), before);
}

#[test]
fn what_is_not_modvers_alone_stays() {
    // Git tracks it in the other commit.
    let s = ready();
    s.write("data/a", "of git");
    s.git(["add", "data"]).ok();
    commit(&s, "In git");
    s.git(["rm", "--quiet", "-r", "--cached", "data"]).ok();
    s.write("data/b", "of modver");
    s.repo().modver(["add", "data"]).ok();
    commit(&s, "In modver");
    s.git(["checkout", "--quiet", "--force", "HEAD~1"]).ok();
    s.repo().modver(["checkout"]).ok();
    assert_eq!(
        (s.read("data/a"), s.read("data/b")),
        (b"of git".to_vec(), b"of modver".to_vec())
    );
    assert_eq!(s.repo().modver(["status"]).ok(), "");

    // Another output covers it, or lies in it; and everything is right when it is checked out again.
    let s = ready();
    s.write("data/in/a", "a");
    s.write("data/other", "o");
    s.repo().modver(["add", "data/in"]).ok();
    commit(&s, "Inner");
    s.repo().modver(["remove", "data/in"]).ok();
    s.repo().modver(["add", "data"]).ok();
    commit(&s, "Outer");
    let outer = digest(&s.path("data"));
    for _ in 0..2 {
        s.git(["checkout", "--quiet", "HEAD~1"]).ok();
        s.repo().modver(["checkout"]).ok();
        assert_eq!(
            (s.read("data/in/a"), s.read("data/other")),
            (b"a".to_vec(), b"o".to_vec())
        );
        assert_eq!(s.repo().modver(["status"]).ok(), "");
        s.git(["checkout", "--quiet", "main"]).ok();
        s.repo().modver(["checkout"]).ok();
        assert_eq!(digest(&s.path("data")), outer);
        assert_eq!(s.repo().modver(["status"]).ok(), "");
    }

    // Behind a link, or in another repository.
    let s = before_they_were_tracked();
    let outside = s.root().join("outside");
    fs::rename(s.path("sub"), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, s.path("sub")).unwrap();
    let before = digest(&outside);
    s.repo().modver(["checkout", "--force"]).ok();
    assert_eq!(digest(&outside), before);
    delete(&s.path("sub"));
    fs::rename(&outside, s.path("sub")).unwrap();
    s.repo().sh("git init --quiet sub").ok();
    s.repo().modver(["checkout", "--force"]).ok();
    assert_eq!(s.read("sub/deep/x/file"), b"sub/deep/x/file");
}

#[test]
fn a_file_makes_room_for_a_directory_of_another_output() {
    let s = ready();
    s.write("x/y/file", "1");
    s.repo().modver(["add", "x/y"]).ok();
    commit(&s, "Inner");
    s.repo().modver(["remove", "--outs", "x/y"]).ok();
    if s.repo().has("x") {
        delete(&s.path("x"));
    }
    s.write("x", "a file");
    s.repo().modver(["add", "x"]).ok();
    commit(&s, "File");
    for _ in 0..2 {
        // Git itself does not let the pointer into a directory where a file is.
        s.repo().sh("git checkout --quiet --force HEAD~1").ok();
        s.repo().modver(["checkout"]).ok();
        assert_eq!(s.read("x/y/file"), b"1");
        s.repo().sh("git checkout --quiet --force main").ok();
        s.repo().modver(["checkout"]).ok();
        assert_eq!(s.read("x"), b"a file");
    }
}

#[test]
fn files_in_it_that_look_like_pointers_are_data() {
    let s = ready();
    s.write("films/clip.mv", "a film");
    s.write("films/x", "1");
    s.repo().modver(["add", "films"]).ok();
    commit(&s, "Films");
    s.git(["checkout", "--quiet", "HEAD~1"]).ok();
    assert_eq!(s.repo().modver(["status"]).ok(), "orphaned:         films/");
    s.repo().modver(["checkout"]).ok();
    assert!(!s.repo().has("films"));
}

#[test]
fn remove_keeps_it_or_removes_it() {
    let s = before_they_were_tracked();
    let before = everything(&s);
    s.repo().modver(["remove", "nothing"]).fails(1);
    assert_eq!(
        s.repo().modver(["remove", "data"]).ok(),
        "no longer tracked: data, data kept"
    );
    assert_eq!(everything(&s), before);
    s.repo().modver(["checkout"]).ok();
    assert!(s.repo().has("data/a") && !s.repo().has("single"));
    let s = before_they_were_tracked();
    s.write("single", "changed");
    s.repo().modver(["remove", "--outs", "single"]).fails(1);
    s.repo().modver(["remove", "--outs", "data"]).ok();
    s.repo().modver(["remove", "--outs", "--force", "single"]).ok();
    assert!(!s.repo().has("data") && !s.repo().has("single"));
    // What is kept by a remove is not taken for left behind later.
    let s = tracked();
    s.repo().modver(["remove", "data"]).ok();
    s.repo().modver(["checkout"]).ok();
    assert!(s.repo().has("data/a"));
    // A pointer that somebody removed already.
    delete(&s.path("single.mv"));
    assert_eq!(
        s.repo().modver(["remove", "single"]).ok(),
        "no longer tracked: single, data kept"
    );
    assert_eq!(
        s.git(["status", "--porcelain", "--untracked-files=no"]).ok(),
        "D  .gitignore\nD  data.mv\nD  single.mv"
    );
    assert_eq!(s.read("single"), b"single");
}
