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
    copy.sh("rm dir/3.bin").ok();
    let pulled = copy.modver(["pull"]);
    for said in [
        "left alone: top.bin has changes",
        "left alone: dir/1.bin has changes",
        "left alone: dir/3.bin was deleted here",
        "modver checkout --force TARGET",
    ] {
        assert!(pulled.err().contains(said), "{said}: {pulled}");
    }
    assert!(!pulled.err().contains("everything is"), "{pulled}");
    pulled.ok();
    assert_eq!(copy.read("top.bin"), b"mine");
    assert_eq!(copy.read("dir/1.bin"), format!("{other}\n").as_bytes());
    let status = copy.modver(["status"]);
    assert_eq!(
        status.out(),
        "modified:         dir/1.bin\ndeleted:          dir/3.bin\nmodified:         top.bin",
        "{status}"
    );
    assert_eq!(copy.read("dir/2.bin"), noise(12, 100_000));
    // An edited pointer is content to git, which is said.
    copy.write("dir/1.bin", format!("{other}\nan appended line\n"));
    let added = copy.git(["add", "dir/1.bin"]);
    assert!(
        added.err().contains("was stored as content:\n  dir/1.bin\n")
            && added.err().contains("git checkout HEAD -- PATH"),
        "{added}"
    );
    added.ok();
    copy.git(["reset", "--quiet"]).ok();

    // The pointer of another version is in the place of content, too.
    copy.write("dir/0.bin", stored(copy, "HEAD:dir/2.bin") + "\n");
    assert!(
        copy.modver(["checkout"])
            .err()
            .contains("left alone: dir/0.bin has changes")
    );
    let dry = copy.modver(["checkout", "--force", "--dry-run"]);
    assert!(dry.out().contains("would update dir/0.bin"), "{dry}");
    assert_eq!(copy.read("top.bin"), b"mine");
    copy.modver(["checkout", "--force", "dir/0.bin"]).ok();
    assert_eq!(copy.read("dir/0.bin"), noise(10, 100_000));
    assert_eq!(copy.read("top.bin"), b"mine");
    copy.modver(["pull", "--force"]).ok();
    assert_eq!(copy.read("top.bin"), b"top");
    assert_eq!(copy.read("dir/3.bin"), noise(13, 100_000));
    clean(copy);
    assert!(
        copy.modver(["checkout"])
            .err()
            .contains("everything is as the pointers say")
    );

    // What is no file is not written through.
    copy.sh("mv dir ../elsewhere && ln -s ../elsewhere dir && rm dir/0.bin")
        .ok();
    let behind = copy.modver(["checkout", "--force"]);
    assert!(
        behind.err().contains("left alone: dir/0.bin is not a file here"),
        "{behind}"
    );
    assert!(!copy.has("dir/0.bin"));
}

#[test]
fn old_data_beside_new_code() {
    let s = ready();
    let repo = s.repo();
    let content = |i: u64| noise(120 + i, 20_000);
    s.write("a.bin", content(0));
    s.write("gone.bin", "gone");
    s.write("beside", "beside, old");
    repo.modver(["add", "beside"]).ok();
    commit_all(repo, "Old");
    s.write("a.bin", content(1));
    s.sh("git rm -q gone.bin && chmod +x a.bin").ok();
    s.write("beside", "beside, new");
    repo.modver(["add", "beside"]).ok();
    repo.modver(["track", "--convert", "beside"]).ok();
    commit_all(repo, "New");
    let brought = repo.modver(["checkout", "--rev", "HEAD~1", "a.bin", "gone.bin", "beside"]);
    assert!(
        brought
            .err()
            .contains("note: gone.bin is not tracked now; git add gone.bin tracks it"),
        "{brought}"
    );
    brought.ok();
    assert_eq!(s.read("a.bin"), content(0));
    assert_eq!(s.read("gone.bin"), b"gone");
    assert_eq!(s.read("beside"), b"beside, old");
    assert_eq!(
        repo.git(["status", "--porcelain"]).ok(),
        " M a.bin\n M beside\n?? gone.bin"
    );
    // No pointer names it, but it is nobody's to take away.
    repo.modver(["checkout"]).ok();
    assert_eq!(s.read("gone.bin"), b"gone");
    let again = repo.modver(["checkout", "--rev", "HEAD~1", "a.bin"]);
    assert!(
        again.err().contains("everything is as it is in revision HEAD~1"),
        "{again}"
    );
    // What is stored is replaced, what is not is left.
    repo.modver(["checkout", "--rev", "HEAD", "a.bin"]).ok();
    assert_eq!(s.read("a.bin"), content(1));
    repo.git(["checkout", "--quiet", "a.bin"]).ok();
    s.write("a.bin", "mine");
    let refused = repo.modver(["checkout", "--rev", "HEAD~1", "a.bin"]);
    assert!(
        refused
            .err()
            .contains("left alone: a.bin has changes that are stored nowhere")
            && refused.err().contains("modver checkout --rev HEAD~1 --force TARGET"),
        "{refused}"
    );
    assert_eq!(s.read("a.bin"), b"mine");
    repo.modver(["checkout", "--rev", "HEAD~1", "--force", "a.bin"]).ok();
    assert_eq!(s.read("a.bin"), content(0));
    repo.modver(["checkout", "--force"]).ok();
    assert_eq!(s.read("beside"), b"beside, new");
    assert_eq!(repo.git(["status", "--porcelain"]).ok(), "?? gone.bin");
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
