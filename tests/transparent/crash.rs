//! The filter dies, or its disk is full, at any operation: no pointer in git's index without its content.

use std::fs;

use super::support::{Output, Scratch, digest};
use super::{clean, commit_all, noise, ready, stored};

const FAULT: &str = "MODVER_TEST_FAULT";

/// Files for the journal, and two for transactions of their own.
fn files() -> Scratch {
    let s = ready();
    for i in 0..6 {
        s.write(format!("small-{i}.bin"), noise(40 + i, 3000));
    }
    s.write("large.bin", noise(50, 9 << 20));
    s.write("larger.bin", noise(51, 11 << 20));
    s
}

fn add(s: &Scratch, fault: &str) -> Output {
    Output::of(s.repo().command("git").args(["add", "."]).env(FAULT, fault))
}

/// Everything that the index names is here.
#[track_caller]
fn index_is_whole(s: &Scratch, when: &str) {
    for path in s.git(["ls-files", "*.bin"]).ok().lines() {
        let out = s.git(["cat-file", "--filters", &format!(":{path}")]);
        assert!(out.stdout == s.read(path), "{when}: {path}: {}", out.err());
    }
}

#[test]
fn killed_anywhere_and_added_again() {
    let s = files();
    let file = s.root().join("count");
    add(&s, &format!("count:{}", file.display())).ok();
    let n: u64 = fs::read_to_string(file).unwrap().parse().unwrap();
    assert!(n > 20, "{n}");
    let before = digest(&s.path(""));
    let mut succeeded = 0;
    for (round, at) in (1..=n + 1).step_by(2).chain([n - 1, n]).enumerate() {
        s.sh("git reset -q && rm -rf .git/modver/cache").ok();
        let fault = match round % 2 {
            0 => format!("kill@{at}"),
            _ => format!("errno=28@{at}+"),
        };
        let out = add(&s, &fault);
        fs::remove_file(s.path(".git/index.lock")).ok();
        // Git does not always notice: then the content must be here all the same.
        succeeded += u32::from(out.code == 0);
        assert!(!out.err().contains("panicked"), "{fault}: {out}");
        index_is_whole(&s, &fault);
        s.git(["add", "."]).ok();
        index_is_whole(&s, &fault);
        assert_eq!(s.git(["ls-files", "*.bin"]).ok().lines().count(), 8, "{fault}");
        assert_eq!(digest(&s.path("")), before, "{fault}");
    }
    assert!(succeeded > 0, "no fault came after the last answer");
    s.repo().modver(["verify"]).ok();
}

#[test]
fn gc_takes_in_what_a_killed_filter_left() {
    let s = ready();
    s.write("a.bin", noise(60, 3000));
    let file = s.root().join("count");
    add(&s, &format!("count:{}", file.display())).ok();
    assert_eq!(s.sh("ls .git/modver/cache/journal").ok(), "", "nothing is left of it");
    let n: u64 = fs::read_to_string(file).unwrap().parse().unwrap();
    // The last operations are those after git has its answers.
    s.sh("git reset -q && rm -rf .git/modver/cache").ok();
    let out = add(&s, &format!("kill@{}", n - 3));
    assert_eq!(out.code, 0, "{out}");
    let journals = s.sh("ls .git/modver/cache/journal").ok();
    assert!(!journals.is_empty());
    let gc = ["gc", "--workspace", "--yes", "--delete-data-that-exists-nowhere-else"];
    s.repo().modver(gc).ok();
    assert_eq!(s.sh("ls .git/modver/cache/journal").ok(), "");
    index_is_whole(&s, "gc");
}

#[test]
fn a_checkout_whose_filter_dies_is_repeated() {
    let s = files();
    commit_all(s.repo(), "Add");
    let before = digest(&s.path(""));
    for at in [1, 2, 3, 5, 8] {
        s.sh("rm *.bin").ok();
        let fault = format!("kill@{at}");
        let _ = Output::of(s.repo().command("git").args(["checkout", "."]).env(FAULT, fault));
        fs::remove_file(s.path(".git/index.lock")).ok();
        s.git(["checkout", "--quiet", "."]).ok();
        assert_eq!(digest(&s.path("")), before);
        clean(s.repo());
    }
}

#[test]
fn a_conversion_that_dies_anywhere_loses_nothing() {
    let convert = |s: &Scratch, fault: &str| {
        let args = ["track", "--convert", "data"];
        Output::of(
            s.repo()
                .command(env!("CARGO_BIN_EXE_modver"))
                .args(args)
                .env(FAULT, fault),
        )
    };
    let prepared = || {
        let s = ready();
        s.write("data/a", noise(80, 3000));
        s.write("data/in/b", "b");
        s.repo().modver(["add", "data"]).ok();
        commit_all(s.repo(), "Add");
        s
    };
    let s = prepared();
    let file = s.root().join("count");
    convert(&s, &format!("count:{}", file.display())).ok();
    let n: u64 = fs::read_to_string(file).unwrap().parse().unwrap();
    for at in 1..=n {
        for fault in [format!("kill@{at}"), format!("errno=28@{at}+")] {
            let s = prepared();
            let before = digest(&s.path("data"));
            let _ = convert(&s, &fault);
            fs::remove_file(s.path(".git/index.lock")).ok();
            s.repo().modver(["checkout"]).ok();
            assert_eq!(digest(&s.path("data")), before, "{fault}");
            s.repo().modver(["track", "--convert", "data"]).ok();
            s.repo().modver(["checkout"]).ok();
            assert_eq!(digest(&s.path("data")), before, "{fault}");
            let unstaged = s.git(["status", "--porcelain"]).ok();
            let ignored = fs::read_to_string(s.path(".gitignore")).unwrap_or_default();
            assert!(!ignored.contains("data"), "{fault}: {ignored}");
            let is_staged = |line: &str| line.as_bytes()[1] == b' ';
            assert!(unstaged.lines().all(is_staged), "{fault}: {unstaged}");
            let held = s.git(["ls-files", "data", "data.mv"]).ok();
            assert_eq!(held, "data/a\ndata/in/b", "{fault}");
        }
    }
}

/// Pointers in the place of three files whose content is in the cache.
fn placeholders() -> Scratch {
    let s = ready();
    for i in 0..3 {
        s.write(format!("{i}.bin"), noise(140 + i, 30_000));
    }
    commit_all(s.repo(), "Add");
    s.sh("rm *.bin && MODVER_SKIP_SMUDGE=1 git checkout -q .").ok();
    assert!(s.read("0.bin").starts_with(b"# modver pointer"));
    s
}

fn checkout(s: &Scratch, fault: &str) -> Output {
    Output::of(
        s.repo()
            .command(env!("CARGO_BIN_EXE_modver"))
            .arg("checkout")
            .env(FAULT, fault),
    )
}

#[test]
fn a_checkout_of_content_that_stops_anywhere_is_made_up_for() {
    let s = placeholders();
    let file = s.root().join("count");
    checkout(&s, &format!("count:{}", file.display())).ok();
    let n: u64 = fs::read_to_string(file).unwrap().parse().unwrap();
    let mut killed_between = false;
    for at in 1..=n {
        let s = placeholders();
        let _ = checkout(&s, &format!("kill@{at}"));
        killed_between |= s.git(["status", "--porcelain"]).ok().contains(" M ");
        let file = s.root().join("count");
        checkout(&s, &format!("count:{}", file.display())).ok();
        clean(s.repo());
        assert_eq!(s.read("2.bin"), noise(142, 30_000), "{at}");

        // Where it stops by itself, nothing is left to be made up for.
        let s = placeholders();
        let _ = checkout(&s, &format!("errno=5@{at}"));
        clean(s.repo());
    }
    assert!(killed_between);
}

#[test]
fn an_edit_during_a_checkout_of_content_is_not_staged() {
    let s = placeholders();
    let before = stored(s.repo(), ":1.bin");
    // Right before git is told about the files, somebody changes one.
    let git = s.sh("command -v git").ok();
    s.write(
        "../bin/git",
        format!("#!/bin/sh\ncase \"$*\" in *update-index*) echo mine >1.bin;; esac\nexec {git} \"$@\"\n"),
    );
    s.sh("chmod +x ../bin/git && PATH=$PWD/../bin:$PATH modver checkout")
        .ok();
    assert_eq!(s.read("1.bin"), b"mine\n");
    assert_eq!(stored(s.repo(), ":1.bin"), before);
    assert_eq!(s.git(["status", "--porcelain"]).ok(), " M 1.bin");
}
