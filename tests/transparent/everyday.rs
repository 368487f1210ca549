//! Plain git, with pointers in its store and content in the work tree.

use std::os::unix::fs::PermissionsExt as _;

use super::support::digest;
use super::{clean, commit_all, is_pointer, noise, ready, stored};

#[test]
fn git_add_commit_switch_and_clone_work_on_content() {
    let s = ready();
    let repo = s.repo();
    let (small, large) = (noise(1, 5000), noise(2, 30 << 20));
    s.write("small.bin", &small);
    s.write("deep/in/large.bin", &large);
    s.write("deep/one-chunk.bin", noise(3, 262_144));
    s.write("twice.bin", &small);
    s.write("empty.bin", "");
    s.write("run.bin", "#!/bin/sh\n");
    std::fs::set_permissions(s.path("run.bin"), std::fs::Permissions::from_mode(0o755)).unwrap();
    s.write("text.txt", "text\n");
    commit_all(repo, "One");
    is_pointer(&stored(repo, "HEAD:small.bin"), &small);
    is_pointer(&stored(repo, "HEAD:deep/in/large.bin"), &large);
    assert_eq!(stored(repo, "HEAD:small.bin"), stored(repo, "HEAD:twice.bin"));
    assert_eq!(stored(repo, "HEAD:empty.bin"), "");
    assert_eq!(stored(repo, "HEAD:text.txt"), "text");
    clean(repo);
    let one = digest(&s.path(""));

    let mut changed = large.clone();
    changed.splice(9_000_000..9_000_000, *b"inserted");
    s.write("deep/in/large.bin", &changed);
    s.write("new.bin", "new");
    std::fs::remove_file(s.path("twice.bin")).unwrap();
    let diff = repo.git(["diff", "--", "deep/in/large.bin"]).ok();
    assert!(
        diff.contains("\n-size = 31457280\n") && diff.contains("\n+size = 31457288"),
        "{diff}"
    );
    assert!(!diff.contains("Binary"), "{diff}");
    repo.git(["switch", "--quiet", "--create", "other"]).ok();
    commit_all(repo, "Two");
    let two = digest(&s.path(""));

    for (revision, expected) in [("main", &one), ("other", &two), ("main", &one)] {
        repo.git(["switch", "--quiet", revision]).ok();
        assert_eq!(digest(&s.path("")), **expected, "{revision}");
        clean(repo);
    }

    assert!(repo.modver(["push"]).ok().contains("origin"));
    let copy = s.clone_to("copy");
    let copy = s.at(&copy);
    is_pointer(&String::from_utf8(copy.read("small.bin")).unwrap(), &small);
    clean(copy);
    let pulled = copy.modver(["pull"]).ok();
    assert!(pulled.contains("updated deep/in/large.bin"), "{pulled}");
    clean(copy);
    assert_eq!(digest(&s.root().join("copy")), one);
    let status = copy.modver(["status", "--check"]);
    assert!(status.err().contains("5 outputs"), "{status}");
    status.ok();
    // The pull has told git about the filter.
    copy.write("mine.bin", "mine");
    commit_all(copy, "Mine");
    is_pointer(&stored(copy, "HEAD:mine.bin"), b"mine");
    assert_eq!(copy.modver(["cat", "mine.bin"]).stdout, b"mine");
}

#[test]
fn equal_content_is_equal_text_in_every_clone() {
    let s = ready();
    let content = noise(4, 700_000);
    s.write("a.bin", &content);
    commit_all(s.repo(), "Add");
    let id = s.git(["rev-parse", "HEAD:a.bin"]).ok();
    let other = ready();
    other.write("b.bin", &content);
    other.git(["add", "b.bin"]).ok();
    assert_eq!(other.git(["rev-parse", ":b.bin"]).ok(), id);
    // Nothing was changed by touching it, and git finds that out through the filter.
    s.sh("touch -d '2001-01-01' a.bin").ok();
    clean(s.repo());
}

#[test]
fn stash_and_checkout_of_paths_bring_content_back() {
    let s = ready();
    let repo = s.repo();
    s.write("a.bin", noise(5, 400_000));
    commit_all(repo, "Add");
    let before = digest(&s.path(""));
    s.write("a.bin", noise(6, 400_000));
    s.write("b.bin", "b");
    let after = digest(&s.path(""));
    repo.git(["stash", "--quiet", "--include-untracked"]).ok();
    assert_eq!(digest(&s.path("")), before);
    repo.git(["stash", "pop", "--quiet"]).ok();
    assert_eq!(digest(&s.path("")), after);
    repo.git(["restore", "a.bin"]).ok();
    assert_eq!(s.read("a.bin"), noise(5, 400_000));
    std::fs::remove_file(s.path("a.bin")).unwrap();
    let status = repo.modver(["status"]);
    assert!(status.out().contains("deleted:          a.bin"), "{status}");
    assert!(status.err().contains("git restore a.bin"), "{status}");
    repo.git(["checkout", "--quiet", "--", "a.bin"]).ok();
    assert_eq!(s.read("a.bin"), noise(5, 400_000));
    let archived = repo.sh("git archive HEAD a.bin | tar -xO");
    assert!(archived.stdout == noise(5, 400_000));
}

#[test]
fn merges_keep_content_and_conflicts_are_decided_by_sides() {
    let s = ready();
    let repo = s.repo();
    s.write("a.bin", "base a");
    s.write("b.bin", "base b");
    commit_all(repo, "Base");
    repo.git(["switch", "--quiet", "--create", "theirs"]).ok();
    s.write("a.bin", "their a");
    s.write("new.bin", "their new");
    commit_all(repo, "Theirs");
    repo.git(["switch", "--quiet", "main"]).ok();
    s.write("b.bin", "our b");
    commit_all(repo, "Ours");
    repo.git(["merge", "--quiet", "--no-edit", "theirs"]).ok();
    for (path, content) in [("a.bin", "their a"), ("b.bin", "our b"), ("new.bin", "their new")] {
        assert_eq!(s.read(path), content.as_bytes());
    }
    clean(repo);

    repo.git(["switch", "--quiet", "theirs"]).ok();
    s.write("b.bin", "their b");
    commit_all(repo, "Theirs again");
    repo.git(["switch", "--quiet", "main"]).ok();
    let merged = repo.git(["merge", "--quiet", "--no-edit", "theirs"]);
    assert_eq!(merged.code, 1, "{merged}");
    // A pointer with conflict markers would be a file of nothing: ours stays until somebody decides.
    assert_eq!(s.read("b.bin"), b"our b");
    repo.modver(["status"]).ok();
    repo.git(["checkout", "--quiet", "--theirs", "b.bin"]).ok();
    assert_eq!(s.read("b.bin"), b"their b");
    commit_all(repo, "Merged");
    is_pointer(&stored(repo, "HEAD:b.bin"), b"their b");
}

#[test]
fn a_clone_without_modver_has_readable_pointers_and_loses_nothing() {
    let s = ready();
    s.write("a.bin", "content");
    commit_all(s.repo(), "Add");
    let copy = s.clone_to("copy");
    let copy = s.at(&copy);
    is_pointer(&String::from_utf8(copy.read("a.bin")).unwrap(), b"content");
    copy.write("note.txt", "n");
    copy.sh("cp a.bin b.bin").ok();
    commit_all(copy, "Without modver");
    s.git(["pull", "--quiet", "../copy", "main"]).ok();
    assert_eq!(s.read("b.bin"), b"content");
    clean(s.repo());
}

#[test]
fn outputs_become_transparent_and_back() {
    let s = ready();
    let repo = s.repo();
    s.write("data/a", "a");
    s.write("data/in/b", noise(7, 300_000));
    s.write("model", noise(8, 50_000));
    repo.modver(["add", "data", "model"]).ok();
    commit_all(repo, "With pointers");
    s.write("model", "changed");
    let refused = repo.modver(["track", "--convert", "model"]);
    assert!(
        refused.err().contains("`model` has changes that are not stored"),
        "{refused}"
    );
    refused.fails(1);
    clean(repo);
    s.write("model", noise(8, 50_000));
    let shown = repo
        .modver(["track", "--convert", "data", "--convert", "model", "--dry-run"])
        .ok();
    assert!(shown.contains("would make data/ transparent"), "{shown}");
    clean(repo);
    let shown = repo.modver(["track", "--convert", "data", "--convert", "model"]).ok();
    assert_eq!(shown, "made data/ transparent\nmade model transparent");
    repo.git(["commit", "--quiet", "-m", "Transparent"]).ok();
    clean(repo);
    let files = repo.git(["ls-files"]).ok();
    assert!(
        files.contains("data/in/b") && !files.contains(".mv\n") && !files.contains("data.mv"),
        "{files}"
    );
    is_pointer(&stored(repo, "HEAD:model"), &noise(8, 50_000));
    is_pointer(&stored(repo, "HEAD:data/a"), b"a");
    assert_eq!(repo.modver(["ls"]).ok(), "data/a\ndata/in/b\nmodel");

    let refused = repo.modver(["add", "model"]);
    assert!(
        refused.err().contains("git rm -r --cached model && modver add model"),
        "{refused}"
    );
    for (args, hint) in [
        (&["remove", "model"][..], "git rm model"),
        (&["move", "model", "other"], "git mv model"),
        (&["commit", "model"], "git add model"),
    ] {
        let refused = repo.modver(args);
        assert!(refused.err().contains(hint), "{refused}");
        refused.fails(1);
    }
    repo.sh("git rm -rq --cached model && modver add model").ok();
    repo.git(["commit", "--quiet", "-m", "With a pointer"]).ok();
    clean(repo);
    assert!(repo.git(["ls-files"]).ok().contains("model.mv"));
    assert_eq!(s.read("model"), noise(8, 50_000));
}

#[test]
fn a_conversion_takes_exactly_what_the_pointer_stands_for() {
    let s = ready();
    let repo = s.repo();
    s.write(".gitignore", "*.log\n");
    for name in ["data/a", "data/run.log"] {
        s.write(name, name);
    }
    s.sh("mkdir -p data/none/deep && ln -s a data/link && chmod +x data/a && : > data/zero")
        .ok();
    repo.modver(["add", "data"]).ok();
    commit_all(repo, "With pointers");
    let converted = repo.modver(["track", "--convert", "data"]);
    assert!(
        converted
            .err()
            .contains("git does not keep 1 directory without files in data/"),
        "{converted}"
    );
    converted.ok();
    assert_eq!(
        repo.git(["ls-files", "data", "data.mv"]).ok(),
        "data/a\ndata/link\ndata/run.log\ndata/zero"
    );
    is_pointer(&stored(repo, ":data/run.log"), b"data/run.log");

    // What git would not give back as it is stays as it is, and so does everything else.
    s.write("text", stored(repo, ":data/a") + "\n");
    repo.modver(["add", "text"]).ok();
    commit_all(repo, "Looks like a pointer");
    let refused = repo.modver(["track", "--convert", "text"]);
    assert!(refused.err().contains("git does not hold `text` as it is"), "{refused}");
    refused.fails(1);
    clean(repo);
}

#[test]
fn patterns_are_listed_and_taken_out() {
    let s = ready();
    let repo = s.repo();
    std::fs::create_dir(s.path("sub")).unwrap();
    let sub = s.path("sub");
    s.at(&sub).modver(["track", "raw/", "*.bin"]).ok();
    assert_eq!(
        repo.modver(["track"]).ok(),
        "*.bin (.gitattributes)\nraw/** (sub/.gitattributes)\n*.bin (sub/.gitattributes)"
    );
    assert!(repo.modver(["track", "*.bin"]).ok().contains("tracked already"));
    for (pattern, why) in [("*", "`.gitattributes`"), ("../x", "leads out"), ("", "empty")] {
        let refused = repo.modver(["track", "good", pattern]);
        assert!(refused.err().contains(why), "{refused}");
        refused.fails(1);
    }
    assert!(!repo.modver(["track"]).ok().contains("good"));
    s.write("a.bin", "a");
    commit_all(repo, "Add");
    let refused = repo.modver(["untrack", "*.txt"]);
    assert!(refused.err().contains("is not in `.gitattributes`"), "{refused}");
    let gone = repo.modver(["untrack", "*.bin"]);
    assert!(gone.err().contains("pointers of 1 file still"), "{gone}");
    gone.ok();
    repo.git(["add", "--renormalize", "."]).ok();
    assert_eq!(stored(repo, ":a.bin"), "a");
    s.write("b.bin", "b");
    repo.git(["add", "b.bin"]).ok();
    repo.git(["commit", "--quiet", "-m", "In git itself"]).ok();
    let tracked = repo.modver(["track", "*.bin"]);
    assert!(
        tracked
            .err()
            .contains("git has 2 files that fit the patterns, such as a.bin"),
        "{tracked}"
    );
    tracked.ok();
    repo.git(["add", "--renormalize", "."]).ok();
    is_pointer(&stored(repo, ":b.bin"), b"b");
}

#[test]
fn versions_in_history_are_pushed_fetched_and_read() {
    let s = ready();
    let repo = s.repo();
    s.write("a.bin", noise(80, 5000));
    commit_all(repo, "Old");
    s.write("a.bin", noise(81, 5000));
    s.write("b.bin", "b");
    commit_all(repo, "New");
    assert_eq!(repo.modver(["ls", "--rev", "HEAD~1"]).ok(), "a.bin");
    assert!(repo.modver(["cat", "--rev", "HEAD~1", "a.bin"]).stdout == noise(80, 5000));
    let refused = repo.modver(["cat", "--rev", "HEAD~1", "b.bin"]);
    assert!(refused.err().contains("b.bin"), "{refused}");
    refused.fails(1);
    repo.modver(["push", "--all-commits"]).ok();
    let copy = s.clone_to("copy");
    let copy = s.at(&copy);
    copy.modver(["fetch", "--all-commits"]).ok();
    std::fs::rename(s.root().join("remote"), s.root().join("away")).unwrap();
    for (revision, seed) in [("HEAD~1", 80), ("HEAD", 81)] {
        let cat = copy.modver(["cat", "--rev", revision, "a.bin"]);
        assert!(cat.stdout == noise(seed, 5000), "{cat}");
    }
}
