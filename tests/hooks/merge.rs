//! Merging pointers path by path, and settling what is in conflict.

use std::fs;
use std::path::PathBuf;

use super::support::{Repo, Scratch};
use super::{clone, data, ready, record};

/// Two branches: `main` where the repository is, `topic` with other changes.
fn diverged(s: &Scratch, ours: &[(&str, Option<&str>)], theirs: &[(&str, Option<&str>)]) {
    let r = s.repo();
    let change = |files: &[(&str, Option<&str>)]| {
        for (path, content) in files {
            let path = format!("data/{path}");
            match content {
                Some(content) => r.write(path, content),
                None => fs::remove_file(s.path(path)).unwrap(),
            }
        }
    };
    r.git(["switch", "-qc", "topic"]).ok();
    change(theirs);
    record(r, "Theirs");
    r.git(["switch", "-q", "main"]).ok();
    change(ours);
    record(r, "Ours");
}

fn merge(r: Repo<'_>, code: i32) -> String {
    let merged = r.git(["merge", "-q", "--no-edit", "topic"]);
    let err = merged.err();
    merged.fails(code);
    err
}

#[test]
fn two_clones_change_different_files_and_both_get_the_union() {
    let s = ready();
    s.git(["init", "-q", "--bare", "../origin.git"]).ok();
    s.git(["remote", "add", "origin", "../origin.git"]).ok();
    s.git(["push", "-q", "-u", "origin", "main"]).ok();
    let other: PathBuf = clone(&s, "other");
    let (a, b) = (s.repo(), s.at(&other));
    b.git(["remote", "set-url", "origin", "../origin.git"]).ok();

    b.write("data/b", "from b");
    b.write("data/in/new", "from b");
    record(b, "B");
    b.git(["push", "-q", "origin", "main"]).ok();

    a.write("data/a", "from a");
    fs::remove_file(s.path("data/in/c")).unwrap();
    record(a, "A");
    // The pull merges; what they added is not here yet, and that is said.
    let pulled = a.git(["pull", "-q", "--no-rebase", "--no-edit"]);
    assert!(pulled.err().contains("hint: modver pull"), "{pulled}");
    pulled.ok();
    a.modver(["pull"]).ok();
    let union = "a=from a b=from b in/new=from b ";
    assert_eq!(data(a), union);
    a.modver(["status", "--check"]).ok();
    // The pointer is the one that a fresh add of the merged directory would give.
    let pointer = s.read("data.mv");
    a.modver(["add", "data"]).ok();
    assert_eq!(s.read("data.mv"), pointer);
    fs::create_dir(s.root().join("fresh")).unwrap();
    let fresh = s.root().join("fresh");
    let f = s.at(&fresh);
    f.git(["init", "-q"]).ok();
    f.sh("cp -r ../repo/data data").ok();
    f.modver(["add", "data"]).ok();
    assert_eq!(f.read("data.mv"), pointer);

    a.git(["push", "-q", "origin", "main"]).ok();
    b.git(["pull", "-q"]).ok();
    b.modver(["pull"]).ok();
    assert_eq!(data(b), union);
    b.modver(["status", "--check"]).ok();
}

#[test]
fn a_pull_during_a_merge_finds_what_the_other_side_has() {
    let s = ready();
    let dir = clone(&s, "clone");
    let c = s.at(&dir);
    s.write("data/a", "theirs");
    s.write("data/new", "theirs");
    record(s.repo(), "Theirs");
    s.repo().modver(["push"]).ok();
    c.write("data/a", "ours");
    record(c, "Ours");
    c.git(["pull", "-q", "--no-rebase", "--no-edit"]).fails(1);
    // Their listing came from the remote, their files did not.
    let settled = c.modver(["checkout", "--theirs", "data/a"]);
    assert!(settled.err().contains("hint: modver pull"), "{settled}");
    settled.fails(3);
    c.modver(["pull"]).ok();
    assert_eq!(data(c), "a=theirs b=b in/c=c new=theirs ");
    c.git(["commit", "-qm", "Merged"]).ok();
}

#[test]
fn a_conflict_is_settled_path_by_path() {
    for side in ["ours", "theirs"] {
        let s = ready();
        let r = s.repo();
        diverged(
            &s,
            &[
                ("a", Some("ours")),
                ("in/c", None),
                ("both", Some("o")),
                ("mine", Some("m")),
            ],
            &[
                ("a", Some("theirs")),
                ("in/c", Some("theirs")),
                ("both", Some("t")),
                ("b", None),
            ],
        );
        let err = merge(r, 1);
        assert!(err.contains("data: 3 conflicts"), "{err}");
        assert_eq!(r.git(["ls-files", "-u", "--format=%(stage)"]).ok(), "1\n2\n3");
        assert_eq!(data(r), "a=ours b=b both=o mine=m ", "nothing happens to the workspace");
        let pointer = String::from_utf8(s.read("data.mv")).unwrap();
        for path in ["a", "both", "in/c"] {
            assert!(pointer.contains(&format!("\n>>>>>>> theirs {path}\n")), "{pointer}");
        }

        let status = r.modver(["status"]);
        for text in [
            "both changed: data/a (ours ",
            "both added: data/both",
            "deleted by us: data/in/c (ours nothing; theirs ",
        ] {
            assert!(status.out().contains(text), "{status}");
        }
        let json = r.modver(["status", "--json"]).json();
        assert_eq!(json["conflicts"][0]["files"].as_array().unwrap().len(), 3);
        assert_eq!(json["conflicts"][0]["files"][2]["theirs"]["size"], 6);

        // Everything else refuses it and says what to do.
        for args in [
            &["add", "data"][..],
            &["checkout", "data"],
            &["cat", "data/a"],
            &["push", "data"],
            &["gc", "--workspace"],
        ] {
            let refused = r.modver(args);
            assert!(refused.err().contains("modver checkout --ours data"), "{refused}");
            assert_ne!(refused.code, 0);
        }
        let refused = r.modver(["checkout", "--ours", "data/b"]);
        assert!(refused.err().contains("`data/b` is not in conflict"), "{refused}");
        assert_eq!(String::from_utf8(s.read("data.mv")).unwrap(), pointer);

        let flag = format!("--{side}");
        let left = r.modver(["checkout", &flag, "data/a"]).ok();
        assert_eq!(left, format!("took {side} in data; left: 2 conflicts"));
        r.git(["commit", "-qam", "Too early"]).fails(1);
        let left = r.sh(&format!("cd data && modver checkout {flag} in both")).ok();
        assert!(left.starts_with(&format!("took {side}: data is whole again")), "{left}");
        let expected = match side {
            "ours" => "a=ours both=o mine=m ",
            _ => "a=theirs both=t in/c=theirs mine=m ",
        };
        assert_eq!(data(r), expected);
        assert_eq!(r.git(["ls-files", "-u"]).ok(), "", "staged");
        r.git(["commit", "-qm", "Merged"]).ok();
        r.modver(["status", "--check"]).ok();
        let pointer = s.read("data.mv");
        r.modver(["add", "data"]).ok();
        assert_eq!(s.read("data.mv"), pointer, "what a fresh add gives");
    }
}

#[test]
fn whole_outputs_are_settled_by_either_program() {
    let settle: [(&[&str], &str); 5] = [
        (&["modver", "checkout", "--ours", "data"], "a=ours b=b in/c=c o=o "),
        (
            &["modver", "checkout", "--theirs", "data.mv"],
            "a=theirs b=b in/c=c o=o t=t ",
        ),
        (&["modver", "checkout", "--theirs", "."], "a=theirs b=b in/c=c o=o t=t "),
        (&["git", "checkout", "--ours", "data.mv"], "a=ours b=b in/c=c o=o "),
        (&["git", "checkout", "--theirs", "data.mv"], "a=theirs b=b in/c=c t=t "),
    ];
    for (command, expected) in settle {
        let s = ready();
        let r = s.repo();
        diverged(
            &s,
            &[("a", Some("ours")), ("o", Some("o"))],
            &[("a", Some("theirs")), ("t", Some("t"))],
        );
        merge(r, 1);
        let markers = s.read("data.mv");
        // Git can make the conflict again.
        r.git(["checkout", "-q", "--ours", "data.mv"]).ok();
        r.git(["checkout", "-q", "--merge", "data.mv"]).ok();
        assert_eq!(s.read("data.mv"), markers);
        r.sh(&command.join(" ")).ok();
        r.git(["add", "data.mv"]).ok();
        r.modver(["checkout"]).ok();
        let expected = if command[..3] == ["modver", "checkout", "--ours"] {
            "a=ours b=b in/c=c o=o t=t "
        } else {
            expected
        };
        assert_eq!(data(r), expected, "{command:?}");
        r.git(["commit", "-qm", "Merged"]).ok();
        r.modver(["status", "--check"]).ok();
    }
}

#[test]
fn what_people_wrote_is_merged_value_by_value() {
    let s = ready();
    let r = s.repo();
    r.modver(["add", "data", "--desc", "base", "--label", "x"]).ok();
    record(r, "Described");
    r.git(["switch", "-qc", "topic"]).ok();
    r.modver(["add", "data", "--label", "x", "--label", "y"]).ok();
    record(r, "Labelled");
    r.git(["switch", "-q", "main"]).ok();
    r.modver(["add", "data", "--desc", "ours"]).ok();
    record(r, "Described again");
    merge(r, 0);
    let pointer = String::from_utf8(s.read("data.mv")).unwrap();
    assert!(
        pointer.ends_with("desc = \"ours\"\nlabels = [\"x\", \"y\"]\n"),
        "{pointer}"
    );

    r.git(["switch", "-q", "topic"]).ok();
    r.git(["merge", "-q", "main"]).ok();
    r.modver(["add", "data", "--desc", "theirs"]).ok();
    record(r, "Theirs");
    r.git(["switch", "-q", "main"]).ok();
    r.modver(["add", "data", "--desc", "other"]).ok();
    record(r, "Other");
    merge(r, 1);
    let status = r.modver(["status"]);
    assert!(
        status
            .out()
            .contains("both changed desc: ours \"other\"; theirs \"theirs\""),
        "{status}"
    );
    r.modver(["checkout", "--theirs", "data"]).ok();
    assert!(
        String::from_utf8(s.read("data.mv"))
            .unwrap()
            .contains("desc = \"theirs\"\n")
    );
    r.git(["commit", "-qm", "Merged"]).ok();
}

#[test]
fn files_and_kinds_and_what_one_side_no_longer_tracks() {
    let s = ready();
    let r = s.repo();
    for (name, content) in [("model", "base"), ("kind", "base"), ("gone", "base")] {
        r.write(name, content);
        r.modver(["add", name]).ok();
    }
    record(r, "Base");
    r.git(["switch", "-qc", "topic"]).ok();
    r.write("model", "theirs");
    fs::remove_file(s.path("kind")).unwrap();
    r.write("kind/x", "theirs");
    r.write("gone", "theirs");
    r.modver(["add", "model", "kind", "gone"]).ok();
    record(r, "Theirs");
    r.git(["switch", "-q", "main"]).ok();
    r.write("model", "ours");
    r.write("kind", "ours");
    r.modver(["add", "model", "kind"]).ok();
    r.modver(["remove", "gone"]).ok();
    record(r, "Ours");
    merge(r, 1);
    let status = r.modver(["status"]);
    assert!(status.out().contains("both changed: model (ours "), "{status}");
    assert!(
        status.out().contains("both changed: kind (ours ") && status.out().contains("theirs directory "),
        "{status}"
    );
    r.modver(["checkout", "--theirs", "model", "kind"]).ok();
    assert_eq!(
        (s.read("model"), s.read("kind/x")),
        (b"theirs".to_vec(), b"theirs".to_vec())
    );
    // They changed what we no longer track.
    r.modver(["checkout", "--ours", "gone"]).ok();
    assert!(!s.path("gone.mv").exists());
    assert_eq!(r.git(["ls-files", "-u"]).ok(), "");
    r.git(["commit", "-qm", "Merged"]).ok();
    let ignored = String::from_utf8(s.read(".gitignore")).unwrap();
    assert!(!ignored.contains("/gone"), "{ignored}");
}

#[test]
fn without_the_driver_git_merges_text_and_it_can_be_settled_all_the_same() {
    let s = ready();
    let r = s.repo();
    r.modver(["uninstall"]).ok();
    r.git(["switch", "-qc", "topic"]).ok();
    r.write("data/a", "theirs");
    r.write("data/t", "t");
    record(r, "Theirs");
    r.git(["switch", "-q", "main"]).ok();
    r.modver(["checkout"]).ok();
    let _ = fs::remove_file(s.path("data/t"));
    r.write("data/a", "ours");
    record(r, "Ours");
    merge(r, 1);
    let status = r.modver(["status"]);
    assert!(status.out().contains("both changed: data (ours directory "), "{status}");
    r.modver(["checkout", "--theirs", "data/a"]).ok();
    assert_eq!(data(r), "a=theirs b=b in/c=c t=t ");
    r.git(["commit", "-qm", "Merged"]).ok();
}

#[test]
fn what_is_no_pointer_is_merged_as_text() {
    let s = ready();
    let r = s.repo();
    r.write("movie.mv", "one\ntwo\nthree\n");
    r.git(["add", "movie.mv"]).ok();
    r.git(["commit", "-qm", "Text", "--no-verify"]).ok();
    r.git(["switch", "-qc", "topic"]).ok();
    r.write("movie.mv", "uno\ntwo\nthree\n");
    r.git(["commit", "-qam", "Theirs", "--no-verify"]).ok();
    r.git(["switch", "-q", "main"]).ok();
    r.write("movie.mv", "eins\ntwo\nthree\n");
    r.git(["commit", "-qam", "Ours", "--no-verify"]).ok();
    merge(r, 1);
    assert!(
        String::from_utf8(s.read("movie.mv"))
            .unwrap()
            .contains("<<<<<<< ours movie.mv\neins\n")
    );
}

#[test]
fn listings_that_are_missing_come_from_the_remote_or_the_output_is_left_whole() {
    for reachable in [true, false] {
        let s = ready();
        s.write("data/in/c", "theirs");
        record(s.repo(), "Theirs");
        s.repo().modver(["push"]).ok();
        s.git(["reset", "-q", "--hard", "HEAD~1"]).ok();
        let dir = clone(&s, "clone");
        let c = s.at(&dir);
        c.write("data/a", "ours");
        record(c, "Ours");
        s.git(["reset", "-q", "--hard", "HEAD@{1}"]).ok();
        let store = s.root().join("store");
        if !reachable {
            fs::rename(&store, s.root().join("away")).unwrap();
        }
        let pulled = c.git(["pull", "-q", "--no-rebase", "--no-edit"]);
        if reachable {
            pulled.ok();
        } else {
            assert!(
                pulled.err().contains("data.mv was not merged path by path: "),
                "{pulled}"
            );
            pulled.fails(1);
            fs::rename(s.root().join("away"), &store).unwrap();
            // Now it can be: nothing inside is in conflict after all.
            let settled = c.modver(["checkout", "--ours", "data/a"]);
            assert!(settled.err().contains("`data/a` is not in conflict"), "{settled}");
            c.git(["checkout", "-q", "--merge", "data.mv"]).ok();
            c.git(["commit", "-qam", "Merged"]).ok();
        }
        c.modver(["pull"]).ok();
        assert_eq!(data(c), "a=ours b=b in/c=theirs ");
    }
}

#[test]
fn lock_files_are_merged_by_stage() {
    let s = ready();
    let r = s.repo();
    let lock = |stages: &[(&str, u8)]| {
        let tables = stages
            .iter()
            .map(|(name, dep)| format!("\n[stages.{name}]\ncmd = [\"run {dep}\"]\n"));
        format!("version = 1\n{}", tables.collect::<String>())
    };
    let commit = |stages: &[(&str, u8)]| {
        r.write("sub/mv.lock", lock(stages));
        r.git(["add", "sub/mv.lock"]).ok();
        r.git(["commit", "-qm", "Lock"]).ok();
    };
    commit(&[("b", 1), ("c", 1)]);
    r.git(["switch", "-qc", "topic"]).ok();
    commit(&[("b", 1), ("c", 2), ("d", 1)]);
    r.git(["switch", "-q", "main"]).ok();
    commit(&[("a", 1), ("b", 2), ("c", 1)]);
    r.git(["merge", "-q", "--no-edit", "topic"]).ok();
    let merged = String::from_utf8(r.read("sub/mv.lock")).unwrap();
    assert_eq!(merged, lock(&[("a", 1), ("b", 2), ("c", 2), ("d", 1)]));
    // A stage that both changed.
    r.git(["switch", "-q", "topic"]).ok();
    commit(&[("b", 3), ("c", 2), ("d", 2)]);
    r.git(["switch", "-q", "main"]).ok();
    let failed = r.git(["merge", "--no-edit", "topic"]);
    assert!(
        failed.err().contains(
            "sub/mv.lock: 1 conflict\nhint: modver checkout --ours sub/mv.lock or modver checkout --theirs sub/mv.lock, \
             then modver repro"
        ),
        "{failed}"
    );
    failed.fails(1);
    let merged = String::from_utf8(r.read("sub/mv.lock")).unwrap();
    let marked =
        "<<<<<<< ours\n\n[stages.b]\ncmd = [\"run 2\"]\n=======\n\n[stages.b]\ncmd = [\"run 3\"]\n>>>>>>> theirs\n";
    assert!(
        merged.contains(marked) && merged.ends_with("[stages.d]\ncmd = [\"run 2\"]\n"),
        "{merged}"
    );
}
