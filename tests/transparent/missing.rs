//! Content that is not here, or not wanted here.

use super::support::Output;
use super::{clean, commit_all, is_pointer, noise, ready, stored};

/// A clone of a repository with five files, its filter configured, its cache empty.
fn shared() -> (super::support::Scratch, std::path::PathBuf) {
    let s = ready();
    for i in 0..4 {
        s.write(format!("dir/{i}.bin"), noise(10 + i, 100_000));
    }
    s.write("top.bin", "top");
    commit_all(s.repo(), "Add");
    s.repo().modver(["push"]).ok();
    let copy = s.clone_to("copy");
    s.at(&copy).modver(["track", "*.bin"]).ok();
    (s, copy)
}

#[test]
fn checkout_fetches_what_is_missing() {
    let (s, copy) = shared();
    let copy = s.at(&copy);
    copy.sh("rm -r top.bin dir && git checkout .").ok();
    assert_eq!(copy.read("top.bin"), b"top");
    assert_eq!(copy.read("dir/3.bin"), noise(13, 100_000));
    clean(copy);
    // With the filter in git's configuration beforehand, the clone itself does.
    let config = "-c filter.modver.process='modver filter-process' -c filter.modver.required=true";
    s.sh(&format!("git {config} clone -q . ../direct")).ok();
    let direct = s.root().join("direct");
    assert_eq!(s.at(&direct).read("dir/2.bin"), noise(12, 100_000));
    assert_eq!(s.at(&direct).sh(&format!("git {config} status --porcelain")).ok(), "");
}

#[test]
fn one_remote_round_for_a_whole_checkout() {
    let (s, copy) = shared();
    let copy = s.at(&copy);
    // Packs are counted as they come: four files of one push are one pack, read once.
    copy.sh("rm -r top.bin dir && git checkout .").ok();
    let packs = copy.sh("find .git/modver/cache/packs -type f | wc -l").ok();
    assert_eq!(packs.trim(), "1");
}

#[test]
fn what_cannot_be_had_leaves_its_pointer_and_says_so() {
    let (s, copy) = shared();
    let copy = s.at(&copy);
    std::fs::rename(s.root().join("remote"), s.root().join("away")).unwrap();
    let out = copy.sh("rm -r top.bin dir && git checkout .");
    assert!(
        out.err().contains("pointers were left in the place of 5 files"),
        "{out}"
    );
    assert!(
        out.err().contains("\n  dir/0.bin\n") && out.err().contains("hint: modver pull"),
        "{out}"
    );
    out.ok();
    is_pointer(&String::from_utf8(copy.read("top.bin")).unwrap(), b"top");
    clean(copy);
    let status = copy.modver(["status", "--check"]);
    assert!(
        status.out().contains("absent:           top.bin (not in the cache)"),
        "{status}"
    );
    status.fails(1);
    let pulled = copy.modver(["pull"]);
    assert_eq!(pulled.code, 1, "{pulled}");
    std::fs::rename(s.root().join("away"), s.root().join("remote")).unwrap();
    copy.modver(["pull"]).ok();
    assert_eq!(copy.read("top.bin"), b"top");
    clean(copy);
}

#[test]
fn smudging_can_be_skipped_and_pull_picks() {
    let (mut s, copy) = shared();
    s.set_env("MODVER_SKIP_SMUDGE", "1");
    let repo = s.at(&copy);
    let out = repo.sh("rm -r top.bin dir && git checkout .");
    assert!(!out.err().contains("pointers were left"), "{out}");
    is_pointer(&String::from_utf8(repo.read("top.bin")).unwrap(), b"top");
    clean(repo);
    repo.modver(["pull", "--include", "dir/", "--exclude", "1.bin"]).ok();
    assert_eq!(repo.read("dir/0.bin"), noise(10, 100_000));
    for still in ["dir/1.bin", "top.bin"] {
        assert!(repo.read(still).starts_with(b"# modver pointer"), "{still}");
    }
    clean(repo);
    s.set_env("MODVER_SKIP_SMUDGE", "0");
    let repo = s.at(&copy);
    repo.modver(["config", "set", "--local", "core.smudge", "false"]).ok();
    repo.sh("rm top.bin && git checkout top.bin").ok();
    assert!(repo.read("top.bin").starts_with(b"# modver pointer"));
    repo.modver(["config", "unset", "--local", "core.smudge"]).ok();
    repo.sh("rm top.bin && git checkout top.bin").ok();
    assert_eq!(repo.read("top.bin"), b"top");
}

#[test]
fn a_file_that_was_changed_is_not_overwritten() {
    let (s, copy) = shared();
    let copy = s.at(&copy);
    copy.write("top.bin", "mine");
    let other = stored(copy, "HEAD:dir/0.bin");
    copy.write("dir/1.bin", format!("{other}\n"));
    copy.modver(["pull"]).ok();
    assert_eq!(copy.read("top.bin"), b"mine");
    assert_eq!(copy.read("dir/1.bin"), format!("{other}\n").as_bytes());
    let status = copy.modver(["status"]);
    assert_eq!(
        status.out(),
        "modified:         dir/1.bin\nmodified:         top.bin",
        "{status}"
    );
    assert_eq!(copy.read("dir/2.bin"), noise(12, 100_000));
}

#[test]
fn damaged_content_is_named_and_never_handed_out() {
    let s = ready();
    let repo = s.repo();
    s.write("a.bin", noise(20, 100_000));
    commit_all(repo, "Add");
    let pack = repo.sh("find .git/modver/cache/packs -type f").ok();
    let mut bytes = std::fs::read(s.path(&pack)).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(s.path(&pack), bytes).unwrap();
    let out = repo.sh("rm a.bin && git checkout a.bin");
    assert!(out.err().contains("is damaged"), "{out}");
    assert!(repo.read("a.bin").starts_with(b"# modver pointer"), "{out}");
}

#[test]
fn the_filter_is_for_git_only() {
    let s = ready();
    let out = s.repo().modver(["filter-process"]);
    assert!(out.err().contains("git's filter protocol"), "{out}");
    out.fails(1);
    let help = s.repo().modver(["help"]).ok();
    assert!(!help.contains("filter-process") && help.contains("untrack"), "{help}");
    // Where it cannot run, git does not store content in the place of a pointer.
    s.write("a.bin", "a");
    let broken = ["-c", "filter.modver.process=no-such-program", "add", "a.bin"];
    let out: Output = s.git(broken);
    assert_ne!(out.code, 0, "{out}");
    assert_eq!(s.git(["ls-files", "a.bin"]).ok(), "");
}
