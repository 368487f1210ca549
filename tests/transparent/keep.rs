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
    restored(&s, "stash@{0}", "stash.bin", &content(3));
}

#[test]
fn what_only_a_stash_names_is_kept() {
    let s = ready();
    let repo = s.repo();
    let content = |i: u64| noise(90 + i, 20_000);
    s.write("a.bin", content(0));
    s.write("beside", content(1));
    repo.modver(["add", "beside"]).ok();
    commit_all(repo, "Old");
    // An older stash, with a file that is staged and changed again.
    s.write("a.bin", content(2));
    repo.git(["add", "a.bin"]).ok();
    s.write("a.bin", content(3));
    repo.git(["stash", "--quiet"]).ok();
    // A newer one, with a file that nobody tracks and a pointer that stands beside its file.
    s.write("new.bin", content(4));
    s.write("beside", content(5));
    repo.modver(["add", "beside"]).ok();
    repo.git(["stash", "--quiet", "--include-untracked"]).ok();
    repo.modver(["checkout"]).ok();
    gc(&s, "--workspace").ok();
    repo.git(["stash", "pop", "--quiet"]).ok();
    assert!(s.read("new.bin") == content(4));
    repo.modver(["checkout"]).ok();
    assert!(s.read("beside") == content(5));
    commit_all(repo, "Newer");
    restored(&s, "stash@{0}^2", "a.bin", &content(2));
    repo.git(["stash", "pop", "--quiet"]).ok();
    assert!(s.read("a.bin") == content(3));
    // With the stash, the reason to keep it is gone.
    repo.git(["checkout", "--quiet", "HEAD", "a.bin"]).ok();
    gc(&s, "--workspace").ok();
    let id = modver::hash::FileId::of(&content(3)).to_string();
    let known = repo.sh(&format!("printf '# modver pointer. The content of this file: modver pull <its name>\\nversion = 1\\nkind = \"file\"\\nid = \"{id}\"\\nsize = 20000\\n' >x.bin && git add x.bin && git cat-file --filters :x.bin"));
    assert!(known.stdout.starts_with(b"# modver pointer"), "{known}");
}

#[test]
fn a_partial_clone_fetches_what_says_what_is_needed() {
    let s = ready();
    let repo = s.repo();
    let content = |i: u64| noise(100 + i, 20_000);
    for i in 0..3 {
        s.write("a.bin", content(i));
        commit_all(repo, "Version");
    }
    repo.modver(["push", "--all-commits"]).ok();
    repo.git(["config", "uploadpack.allowFilter", "true"]).ok();
    s.sh("git clone -q --filter=blob:none file://\"$PWD\" ../partial").ok();
    let partial = s.root().join("partial");
    let there = s.at(&partial);
    there.modver(["pull"]).ok();
    for rev in ["HEAD~2", "main"] {
        there.git(["checkout", "--quiet", rev]).ok();
    }
    let gc = |scope| there.modver(["gc", scope, "--yes", "--delete-data-that-exists-nowhere-else"]);
    // The pointer in between was never looked at.
    std::fs::rename(s.path(".git"), s.root().join("away")).unwrap();
    let refused = gc("--all-commits");
    assert!(refused.err().contains("not in this partial clone"), "{refused}");
    refused.fails(1);
    std::fs::rename(s.root().join("away"), s.path(".git")).unwrap();
    let removed = gc("--all-commits");
    assert!(removed.out().contains("nothing to remove"), "{removed}");
    std::fs::rename(s.root().join("remote"), s.root().join("gone")).unwrap();
    there.git(["checkout", "--quiet", "HEAD~2"]).ok();
    assert!(there.read("a.bin") == content(0));
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

#[test]
fn gc_inside_a_git_command_whose_filter_runs() {
    let s = ready();
    let repo = s.repo();
    s.write("a.bin", noise(110, 20_000));
    s.write("large.bin", noise(111, 9 << 20));
    commit_all(repo, "Add");
    // As from another terminal: the index that the commit will have is not known.
    let collect = "#!/bin/sh\nenv -u GIT_INDEX_FILE modver gc --workspace --yes --delete-data-that-exists-nowhere-else \
                   >>gc.log 2>&1 || exit\necho Message >\"$1\"\n";
    s.write("collect", collect);
    s.sh("chmod +x collect").ok();
    s.write("a.bin", noise(112, 20_000));
    s.write("large.bin", noise(113, 9 << 20));
    repo.sh("GIT_EDITOR=\"$PWD/collect\" timeout 120 git commit -q -a").ok();
    let log = String::from_utf8(s.read("gc.log")).unwrap();
    // Neither waits for a holder that is gone, nor finds anything that is pinned.
    assert!(!log.contains("held by"), "{log}");
    restored(&s, "HEAD", "a.bin", &noise(112, 20_000));
    restored(&s, "HEAD", "large.bin", &noise(113, 9 << 20));
    // And what the filter does after it opened the cache again.
    s.write(".git/hooks/pre-commit", "#!/bin/sh\nexec ./collect /dev/null\n");
    s.sh("chmod +x .git/hooks/pre-commit").ok();
    s.write("a.bin", noise(114, 20_000));
    repo.sh("timeout 120 git commit -q -m Hook a.bin").ok();
    restored(&s, "HEAD", "a.bin", &noise(114, 20_000));
    assert_eq!(
        s.sh("ls .git/modver/cache/pins .git/modver/cache/journal")
            .ok()
            .lines()
            .filter(|l| l.contains('-'))
            .count(),
        0
    );
    repo.modver(["verify"]).ok();
}
