//! Collection keeps what any pointer in the place of a file needs.

use super::support::{Output, Scratch};
use super::{commit_all, noise, ready};

fn gc(s: &Scratch, scope: &str) -> Output {
    s.repo()
        .modver(["gc", scope, "--yes", "--delete-data-that-exists-nowhere-else"])
}

/// Removes the files and has them back from the cache.
#[track_caller]
fn restored(s: &Scratch, revision: &str, path: &str, content: &[u8]) {
    let out = s.git(["cat-file", "--filters", &format!("{revision}:{path}")]);
    assert!(out.stdout == content, "{revision}:{path}: {}", out.err());
}

#[test]
fn what_only_a_transparent_pointer_names_is_kept() {
    let s = ready();
    let repo = s.repo();
    let content = |i: u64| noise(30 + i, 20_000);
    s.write("a.bin", content(0));
    commit_all(repo, "Old");
    s.write("a.bin", content(1));
    commit_all(repo, "New");
    // In a commit of its own, in the index, in a stash.
    repo.git(["switch", "--quiet", "--create", "side"]).ok();
    s.write("side.bin", content(2));
    commit_all(repo, "Side");
    repo.git(["switch", "--quiet", "main"]).ok();
    s.write("stash.bin", content(3));
    repo.git(["add", "stash.bin"]).ok();
    repo.git(["stash", "--quiet"]).ok();
    s.write("staged.bin", content(4));
    repo.git(["add", "staged.bin"]).ok();

    gc(&s, "--all-commits").ok();
    restored(&s, "HEAD~1", "a.bin", &content(0));
    restored(&s, "HEAD", "a.bin", &content(1));
    restored(&s, "side", "side.bin", &content(2));
    restored(&s, "stash@{0}", "stash.bin", &content(3));
    restored(&s, "", "staged.bin", &content(4));

    gc(&s, "--all-branches").ok();
    restored(&s, "side", "side.bin", &content(2));
    restored(&s, "", "staged.bin", &content(4));
    let gone = s.git(["cat-file", "--filters", "HEAD~1:a.bin"]);
    assert!(gone.stdout.starts_with(b"# modver pointer"), "{gone}");

    gc(&s, "--workspace").ok();
    restored(&s, "HEAD", "a.bin", &content(1));
    restored(&s, "", "staged.bin", &content(4));
}

#[test]
fn history_is_kept_when_nothing_is_transparent_any_more() {
    let s = ready();
    let repo = s.repo();
    s.write("a.bin", "old content");
    commit_all(repo, "Old");
    repo.modver(["untrack", "*.bin"]).ok();
    // Without the filter, git takes the content for a change.
    repo.git(["rm", "--quiet", "--force", "a.bin"]).ok();
    commit_all(repo, "Gone");
    repo.git(["config", "--remove-section", "filter.modver"]).ok();
    gc(&s, "--all-commits").ok();
    let id = modver::hash::FileId::of(b"old content").to_string();
    repo.git(["switch", "--quiet", "--detach", "HEAD~1"]).ok();
    assert!(String::from_utf8(s.read("a.bin")).unwrap().contains(&id));
    repo.modver(["checkout"]).ok();
    assert_eq!(s.read("a.bin"), b"old content");
}

#[test]
fn a_merge_in_conflict_keeps_all_sides() {
    let s = ready();
    let repo = s.repo();
    s.write("a.bin", "base");
    commit_all(repo, "Base");
    repo.git(["switch", "--quiet", "--create", "theirs"]).ok();
    s.write("a.bin", "theirs");
    commit_all(repo, "Theirs");
    repo.git(["switch", "--quiet", "main"]).ok();
    s.write("a.bin", "ours");
    commit_all(repo, "Ours");
    repo.git(["merge", "theirs"]).fails(1);
    gc(&s, "--workspace").ok();
    for (stage, content) in [(1, "base"), (2, "ours"), (3, "theirs")] {
        restored(&s, &format!(":{stage}"), "a.bin", content.as_bytes());
    }
}
