//! Bytes that exist nowhere else are never lost; everything else becomes what the pointers say.

use std::fs;
use std::os::unix::fs::symlink;

use super::support::{Scratch, digest};
use super::{commit, delete, everything, ready};

/// `data/` with a few files, committed.
fn with_data() -> Scratch {
    let s = ready();
    for file in ["a", "b", "in/c", "in/deep/d", "gone"] {
        s.write(format!("data/{file}"), file);
    }
    s.repo().modver(["add", "data"]).ok();
    commit(&s, "One");
    s
}

#[test]
fn nothing_that_is_stored_nowhere_is_lost() {
    let mut all = Vec::new();
    type Case = (&'static str, fn(&Scratch), &'static str);
    let cases: [Case; 6] = [
        (
            "data/a",
            |s| s.write("data/a", "modified"),
            "has changes that are stored nowhere",
        ),
        (
            "data/in/deep",
            |s| {
                delete(&s.path("data/in/deep"));
                s.write("data/in/deep", "a file where a directory should be");
            },
            "is in the way and stored nowhere",
        ),
        (
            "data/b/precious",
            |s| {
                delete(&s.path("data/b"));
                s.write("data/b/precious", "a directory where a file should be");
            },
            "is in the way and stored nowhere",
        ),
        (
            "data/b/x.log",
            |s| {
                delete(&s.path("data/b"));
                s.write("data/.mvignore", "*.log\n");
                s.write("data/b/x.log", "ignored in the way");
            },
            "is in the way and ignored",
        ),
        (
            "data/a",
            |s| {
                delete(&s.path("data/a"));
                s.repo().sh("mkfifo data/a").ok();
            },
            "is in the way and not a file",
        ),
        (
            "data/b/.git",
            |s| {
                delete(&s.path("data/b"));
                s.repo().sh("git init --quiet data/b").ok();
            },
            "is in the way and a git repository",
        ),
    ];
    for (path, spoil, why) in cases {
        let s = with_data();
        delete(&s.path("data/gone"));
        spoil(&s);
        let before = everything(&s);
        let refused = s.repo().modver(["checkout"]);
        assert!(
            refused.err().contains(&format!("conflict: {path} {why}\n")),
            "{refused}"
        );
        assert!(
            refused.err().contains("hint: modver commit TARGET to keep the changes"),
            "{refused}"
        );
        refused.fails(1);
        assert_eq!(everything(&s), before, "{path}");
        let forced = s.repo().modver(["checkout", "--force"]);
        all.push((path, why, forced.code));
        assert_eq!(s.read("data/gone"), b"gone", "the rest is done: {forced}");
        if matches!(
            why,
            "has changes that are stored nowhere" | "is in the way and stored nowhere"
        ) {
            forced.ok();
            for file in ["a", "b", "in/c", "in/deep/d"] {
                assert_eq!(s.read(format!("data/{file}")), file.as_bytes());
            }
        } else {
            // Not even force removes what nobody can bring back and nobody named.
            forced.fails(3);
        }
    }
}

#[test]
fn untracked_files_stay_and_tracked_ones_go() {
    let s = with_data();
    delete(&s.path("data/gone"));
    delete(&s.path("data/in"));
    s.write("data/new/e", "e");
    s.repo().modver(["commit"]).ok();
    commit(&s, "Two");
    let two = digest(&s.path("data"));
    s.git(["checkout", "--quiet", "HEAD~1"]).ok();
    s.write("data/new/untracked", "mine");
    s.repo().modver(["checkout"]).ok();
    for file in ["a", "b", "in/c", "in/deep/d", "gone"] {
        assert_eq!(s.read(format!("data/{file}")), file.as_bytes());
    }
    assert_eq!(s.read("data/new/untracked"), b"mine");
    assert!(!s.repo().has("data/new/e"));
    s.git(["checkout", "--quiet", "main"]).ok();
    s.repo().modver(["checkout"]).ok();
    assert_eq!(s.read("data/new/untracked"), b"mine");
    assert!(!s.repo().has("data/gone") && !s.repo().has("data/in"));
    delete(&s.path("data/new/untracked"));
    assert_eq!(digest(&s.path("data")), two);
    // Back and forth, nothing is left behind.
    for _ in 0..3 {
        s.git(["checkout", "--quiet", "HEAD~1"]).ok();
        s.repo().modver(["checkout"]).ok();
        assert!(!s.repo().has("data/new"));
        s.git(["checkout", "--quiet", "main"]).ok();
        s.repo().modver(["checkout"]).ok();
        assert_eq!(digest(&s.path("data")), two);
    }
    // Committed content is not lost by a checkout of a part of it.
    s.write("data/a", "changed");
    delete(&s.path("data/new/e"));
    delete(&s.path("data/b"));
    s.repo().modver(["checkout", "data/new"]).ok();
    assert_eq!(
        (s.read("data/a"), s.read("data/new/e")),
        (b"changed".to_vec(), b"e".to_vec())
    );
    assert!(!s.repo().has("data/b"));
    s.at(&s.path("data")).modver(["checkout", "b"]).ok();
    assert_eq!(s.read("data/b"), b"b");
}

#[test]
fn files_become_directories_and_back() {
    let s = ready();
    s.write("data/x", "file");
    s.write("data/y/1", "dir");
    s.write("data/y/2", "dir");
    symlink("y", s.path("data/z")).unwrap();
    s.write("whole", "file");
    s.repo().modver(["add", "data", "whole"]).ok();
    commit(&s, "One");
    let one = digest(&s.path(""));
    for path in ["data/x", "data/y", "data/z", "whole"] {
        delete(&s.path(path));
    }
    s.write("data/x/in/x", "dir now");
    symlink("x", s.path("data/y")).unwrap();
    s.write("data/z/1", "dir now");
    s.write("whole/is", "dir now");
    s.repo().modver(["commit"]).ok();
    commit(&s, "Two");
    let two = digest(&s.path(""));
    for _ in 0..2 {
        s.git(["checkout", "--quiet", "HEAD~1"]).ok();
        s.repo().modver(["checkout"]).ok();
        assert_eq!(digest(&s.path("")), one);
        s.git(["checkout", "--quiet", "main"]).ok();
        s.repo().modver(["checkout"]).ok();
        assert_eq!(digest(&s.path("")), two);
    }
    assert_eq!(s.git(["status", "--porcelain"]).ok(), "");
}

#[test]
fn missing_content_is_listed_and_the_rest_is_done() {
    let s = with_data();
    s.write("other", "other");
    s.repo().modver(["add", "other"]).ok();
    commit(&s, "Other");
    // A pointer from elsewhere, whose content never came here.
    let pointer = String::from_utf8(s.read("other.mv")).unwrap();
    let id = pointer
        .lines()
        .find_map(|line| line.strip_prefix("id = \""))
        .unwrap()
        .trim_end_matches('"');
    s.write("absent.mv", pointer.replace(id, &"ab".repeat(32)));
    for path in ["data", "other"] {
        delete(&s.path(path));
    }
    let partly = s.repo().modver(["checkout"]);
    assert!(
        partly
            .err()
            .contains("failed: absent: its content is not in the cache\nhint: modver pull\n"),
        "{partly}"
    );
    partly.fails(3);
    assert_eq!(
        (s.read("other"), s.read("data/in/deep/d")),
        (b"other".to_vec(), b"in/deep/d".to_vec())
    );
    assert!(!s.repo().has("absent"));
    let json = s.repo().modver(["checkout", "--json", "absent"]);
    assert_eq!(json.json()["outputs"][0]["failures"][0]["missing"], true, "{json}");
    json.fails(1);

    // A directory whose listing is missing; what is there stays.
    s.write(
        "absent.mv",
        pointer.replace(id, &"ab".repeat(32)).replace("\"file\"", "\"dir\"") + "files = 3\n",
    );
    s.write("absent/mine", "mine");
    s.repo().modver(["checkout", "absent"]).fails(1);
    assert_eq!(s.read("absent/mine"), b"mine");
    // Nothing in the cache at all.
    delete(&s.path(".git/modver"));
    delete(&s.path("data"));
    s.repo().modver(["checkout", "data", "other"]).fails(3);
    assert_eq!(s.read("other"), b"other");
    s.repo().modver(["checkout", "data"]).fails(1);
}

#[test]
fn links_are_never_followed() {
    let s = with_data();
    let outside = s.root().join("outside");
    fs::create_dir_all(outside.join("deep")).unwrap();
    fs::write(outside.join("victim"), "victim").unwrap();
    let before = digest(&outside);
    let reset = || {
        for path in ["data", "sub"] {
            let path = s.path(path);
            if path.symlink_metadata().is_ok() {
                delete(&path);
            }
        }
        s.git(["checkout", "--quiet", "--", "."]).ok();
        s.repo().modver(["checkout", "--force"]).ok();
    };
    s.write("sub/inner/file", "1");
    s.repo().modver(["add", "sub/inner"]).ok();
    commit(&s, "Sub");

    // Inside an output.
    delete(&s.path("data/in"));
    symlink(&outside, s.path("data/in")).unwrap();
    s.repo().modver(["checkout"]).fails(1);
    assert_eq!(fs::read_link(s.path("data/in")).unwrap(), outside);
    s.repo().modver(["checkout", "--force"]).ok();
    assert_eq!(s.read("data/in/c"), b"in/c");
    assert_eq!(digest(&outside), before);
    // A file.
    delete(&s.path("data/a"));
    symlink(outside.join("victim"), s.path("data/a")).unwrap();
    s.repo().modver(["checkout"]).fails(1);
    s.repo().modver(["checkout", "--force"]).ok();
    assert_eq!((s.read("data/a"), digest(&outside)), (b"a".to_vec(), before.clone()));
    // The output itself.
    reset();
    delete(&s.path("data"));
    symlink(&outside, s.path("data")).unwrap();
    for force in [&["checkout"][..], &["checkout", "--force"]] {
        assert_ne!(s.repo().modver(force).code, 0);
        assert_eq!(digest(&outside), before);
    }
    s.repo().modver(["commit"]).fails(1);
    // A directory above it, with a pointer that git knows to be there.
    reset();
    delete(&s.path("sub"));
    fs::copy(s.path("data.mv"), outside.join("inner.mv")).unwrap();
    let before = digest(&outside);
    symlink(&outside, s.path("sub")).unwrap();
    for args in [
        &["checkout"][..],
        &["checkout", "--force"],
        &["checkout", "sub/inner"],
        &["commit"],
    ] {
        let output = s.repo().modver(args);
        assert_eq!(digest(&outside), before, "{output}");
    }
    s.repo().modver(["remove", "--outs", "--force", "sub/inner"]).fails(1);
    assert_eq!(digest(&outside), before);
}

#[test]
fn a_file_where_the_directory_of_an_output_should_be() {
    let s = with_data();
    s.write("sub/inner/file", "1");
    s.repo().modver(["add", "sub/inner"]).ok();
    commit(&s, "Sub");
    delete(&s.path("sub"));
    delete(&s.path("data"));
    s.write("sub", "mine");
    s.repo().modver(["checkout"]).ok();
    assert_eq!((s.read("sub"), s.read("data/a")), (b"mine".to_vec(), b"a".to_vec()));
}

#[test]
fn hostile_pointers() {
    let s = with_data();
    let good = String::from_utf8(s.read("data.mv")).unwrap();
    let conflict = format!("<<<<<<< HEAD\n{good}=======\n{good}>>>>>>> theirs\n");
    let cases: [(String, &str); 9] = [
        (conflict, "two versions of it were merged, and it is still in conflict"),
        (good[..good.len() / 2].to_owned(), ""),
        (String::new(), "the key `version` is missing"),
        (format!("{good}future = 1\n"), "it has the unknown key `future`"),
        (
            good.replace("version = 1", "version = 2"),
            "it has version 2, written by a newer modver; this one reads version 1",
        ),
        (
            good.replace("\"dir\"", "\"pipe\""),
            "it has the unknown kind `pipe`; known are `file` and `dir`",
        ),
        (good.replace("id = \"", "id = \"zz"), "the value of `id` is not an id"),
        (good.replace("size = ", "size = -"), ""),
        ("\u{0}\u{1}\u{2}".repeat(100), ""),
    ];
    for (bytes, why) in cases {
        s.write("data.mv", &bytes);
        let before = everything(&s);
        for args in [
            &["checkout", "data"][..],
            &["checkout", "--force", "data"],
            &["commit", "data"],
            &["add", "data"],
            &["add", "data/a"],
            &["remove", "data"],
            &["move", "data", "new"],
        ] {
            let output = s.repo().modver(args);
            let err = output.err();
            assert!(
                err.starts_with("error: `data.mv` is not a valid pointer\ncaused by: "),
                "{output}"
            );
            assert!(err.contains(why), "{output}");
            assert_eq!(
                err.contains("hint: modver checkout --ours data   or   modver checkout --theirs data\n"),
                why.contains("conflict"),
                "{output}"
            );
            output.fails(1);
            assert_eq!(everything(&s), before, "{args:?}");
        }
    }
}

/// What a pointer claims is looked at before anything goes, so that a slip of the hand costs nothing.
#[test]
fn pointers_that_claim_what_is_not_so() {
    let s = with_data();
    s.write("single", "single");
    s.repo().modver(["add", "single"]).ok();
    let good = String::from_utf8(s.read("data.mv")).unwrap();
    let single = String::from_utf8(s.read("single.mv")).unwrap();
    let id = |pointer: &str| pointer.lines().find(|line| line.starts_with("id")).unwrap().to_owned();
    let file_for_dir = good.replace("\"dir\"", "\"file\"").replace("files = 5\n", "");
    let dir_for_file = single.replace("\"file\"", "\"dir\"") + "files = 1\n";
    let nowhere = format!("id = \"{}\"", "ab".repeat(32));
    let lies = [
        ("data.mv", good.replace("size = ", "size = 9")),
        ("data.mv", good.replace("files = ", "files = 9")),
        ("data.mv", good.replace(&id(&good), &id(&single))),
        ("data.mv", good.replace(&id(&good), &nowhere)),
        ("data.mv", file_for_dir.replace(&id(&good), &nowhere)),
        ("data.mv", file_for_dir.replace(&id(&good), &id(&single))),
        ("data.mv", file_for_dir),
        ("single.mv", single.replace("size = ", "size = 9")),
        ("single.mv", single.replace(&id(&single), &id(&good))),
        ("single.mv", dir_for_file.replace(&id(&single), &nowhere)),
        ("single.mv", dir_for_file),
    ];
    let data = (digest(&s.path("data")), s.read("single"));
    for (pointer, lie) in lies {
        for force in [&["checkout"][..], &["checkout", "--force"]] {
            s.write(pointer, &lie);
            let output = s.repo().modver(force);
            assert!(output.err().contains("failed: "), "{lie}\n{output}");
            output.fails(1);
            assert_eq!((digest(&s.path("data")), s.read("single")), data, "{lie}");
            s.write("data.mv", &good);
            s.write("single.mv", &single);
            s.repo().modver(["checkout"]).ok();
            assert_eq!((digest(&s.path("data")), s.read("single")), data, "{lie}");
        }
    }
    // Inside a directory: what takes the place of something else is there, or that stays.
    delete(&s.path("data/in"));
    s.write("data/in", "a file now");
    delete(&s.path("data/a"));
    s.write("data/a/x", "a directory now");
    s.repo().modver(["commit", "data"]).ok();
    let here = digest(&s.path("data"));
    s.write("data.mv", &good);
    let aside = s.root().join("packs");
    fs::rename(s.path(".git/modver/cache/packs"), &aside).unwrap();
    s.repo().modver(["checkout"]).fails(1);
    fs::rename(&aside, s.path(".git/modver/cache/packs")).unwrap();
    assert_eq!(digest(&s.path("data")), here);
    s.repo().modver(["checkout"]).ok();
    assert_eq!((digest(&s.path("data")), s.read("single")), data);
}

#[test]
fn what_became_ignored_is_replaced_when_that_is_said() {
    let s = with_data();
    let r = s.repo();
    let first = r.sh("cd data && find . -type f | sort | head -1").ok();
    let file = format!("data/{}", first.trim_start_matches("./"));
    let content = r.read(&file);
    let name = file.rsplit('/').next().unwrap();
    r.write("data/.mvignore", format!("{name}\n"));
    r.write(&file, "of some other program");
    let refused = r.modver(["checkout"]);
    assert!(refused.err().contains("is in the way and ignored"), "{refused}");
    assert!(refused.code != 0);
    assert_eq!(r.read(&file), b"of some other program");
    let forced = r.modver(["checkout", "--force", &file]);
    assert!(!forced.err().contains("failed"), "{forced}");
    forced.ok();
    assert_eq!(r.read(&file), content);
    // A directory is not taken for a file.
    r.sh(&format!("rm '{file}'; mkdir '{file}'; echo x > '{file}/inside'"))
        .ok();
    let refused = r.modver(["checkout", "--force", &file]);
    assert!(refused.code != 0, "{refused}");
    assert_eq!(r.read(format!("{file}/inside")), b"x\n");
}
