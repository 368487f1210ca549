//! History with files in git becomes history with pointers, and back.

use super::support::{Scratch, digest};
use super::{clean, commit_all, is_pointer, noise, stored};

/// Two branches that are merged, with tags, odd encodings and files of several sizes.
fn history() -> Scratch {
    let s = Scratch::new();
    let repo = s.repo();
    s.write("note.txt", "before anything large\n");
    commit_all(repo, "Zero");
    s.write("a.bin", noise(70, 50_000));
    s.write("deep/b.bin", noise(71, 9 << 20));
    s.write("small.bin", "small");
    s.write(".gitattributes", "*.txt text\n");
    commit_all(repo, "One");
    repo.git(["tag", "-a", "v1", "-m", "Version 1"]).ok();
    repo.git(["switch", "--quiet", "--create", "side"]).ok();
    s.write("a.bin", noise(72, 60_000));
    s.sh(
        "git add . && GIT_AUTHOR_NAME='Émile' GIT_AUTHOR_DATE='2001-02-03T04:05:06+0530' \
          git -c i18n.commitEncoding=ISO-8859-1 commit -qm 'Side: caf\u{e9}'",
    )
    .ok();
    repo.git(["switch", "--quiet", "main"]).ok();
    s.write("note.txt", "main\n");
    commit_all(repo, "Main");
    repo.git(["merge", "--quiet", "--no-edit", "side"]).ok();
    repo.git(["tag", "light"]).ok();
    s
}

/// Everything of all commits that has to stay: who, when, what was said, and how it hangs together.
fn metadata(s: &Scratch) -> String {
    s.git([
        "log",
        "--topo-order",
        "--format=%an|%ae|%ad|%cn|%cd|%e|%B|%D",
        "main",
        "side",
        "v1",
    ])
    .ok()
}

fn trees(s: &Scratch) -> String {
    s.git(["log", "--topo-order", "--format=%T %s", "main", "side"]).ok()
}

#[test]
fn there_and_back_gives_the_same_trees() {
    let s = history();
    let repo = s.repo();
    let (files, said, before) = (digest(&s.path("")), metadata(&s), trees(&s));
    let zero = s.git(["rev-parse", ":/Zero"]).ok();
    let dry = repo.modver(["migrate", "import", "--include", "*.bin", "--everything", "--dry-run"]);
    assert!(dry.out().contains("9.1 MiB  .bin (4 versions)"), "{dry}");
    dry.ok();
    assert_eq!(trees(&s), before);

    let out = repo.modver(["migrate", "import", "--include", "*.bin", "--everything"]);
    assert!(
        out.out().contains("rewrote 4 commits of 5") && out.out().contains("moved refs/tags/v1"),
        "{out}"
    );
    assert!(out.err().contains("refs/original/modver/1/"), "{out}");
    out.ok();
    clean(repo);
    assert_eq!(said, metadata(&s));
    for revision in ["v1", "main", "side", "light"] {
        let text = stored(repo, &format!("{revision}:deep/b.bin"));
        is_pointer(&text, &noise(71, 9 << 20));
        let attributes = stored(repo, &format!("{revision}:.gitattributes"));
        assert_eq!(attributes, "*.txt text\n*.bin filter=modver merge=binary -text");
    }
    assert_eq!(s.git(["rev-parse", ":/Zero"]).ok(), zero);
    assert_eq!(s.git(["cat-file", "-t", "v1"]).ok(), "tag");
    assert_eq!(s.read("a.bin"), noise(72, 60_000));
    repo.git(["checkout", "--quiet", "v1"]).ok();
    assert_eq!(s.read("a.bin"), noise(70, 50_000));
    repo.git(["checkout", "--quiet", "main"]).ok();
    // Nothing is lost that the old history had.
    let old = s
        .git(["rev-parse", "refs/original/modver/1/refs/heads/main^{tree}"])
        .ok();
    assert!(before.contains(&old));

    repo.modver(["migrate", "export", "--everything"]).ok();
    assert_eq!(trees(&s), before);
    assert_eq!(digest(&s.path("")), files);
    clean(repo);
    assert_eq!(said, metadata(&s));
}

#[test]
fn large_files_alone_and_one_branch_alone() {
    let s = history();
    let repo = s.repo();
    let (side, before) = (s.git(["rev-parse", "side"]).ok(), trees(&s));
    repo.modver(["migrate", "import", "--above", "55KB", "--exclude", "none"])
        .ok();
    assert_eq!(s.git(["rev-parse", "side"]).ok(), side);
    is_pointer(&stored(repo, "main:deep/b.bin"), &noise(71, 9 << 20));
    is_pointer(&stored(repo, "main:a.bin"), &noise(72, 60_000));
    assert_eq!(stored(repo, "main:small.bin"), "small");
    let first = s.git(["rev-parse", "main^{/One}"]).ok();
    assert!(repo.git(["cat-file", "blob", &format!("{first}:a.bin")]).stdout == noise(70, 50_000));
    assert_eq!(
        stored(repo, &format!("{first}:.gitattributes")),
        "*.txt text\n/deep/b.bin filter=modver merge=binary -text"
    );
    clean(repo);
    repo.modver(["migrate", "export", "main"]).ok();
    assert_eq!(trees(&s), before);
}

#[test]
fn nothing_is_rewritten_over_work_that_is_not_committed() {
    let s = history();
    let repo = s.repo();
    let before = trees(&s);
    let import = ["migrate", "import", "--include", "*.bin"];
    s.write("note.txt", "changed\n");
    let refused = repo.modver(import);
    assert!(refused.err().contains("changes that are not committed"), "{refused}");
    refused.fails(1);
    repo.git(["restore", "note.txt"]).ok();
    let refused = repo.modver(["migrate", "import"]);
    assert!(refused.err().contains("--above 10MiB"), "{refused}");
    refused.fails(1);
    repo.modver(["migrate", "import", "--include", "*.bin", "no-such-branch"])
        .fails(1);
    repo.git(["worktree", "add", "--quiet", "../other", "side"]).ok();
    let refused = repo.modver(["migrate", "import", "--include", "*.bin", "--everything"]);
    assert!(
        refused.err().contains("`refs/heads/side` is checked out in"),
        "{refused}"
    );
    refused.fails(1);
    assert_eq!(trees(&s), before);
    assert_eq!(repo.git(["for-each-ref", "refs/original"]).ok(), "");
}

#[test]
fn an_export_without_content_changes_nothing() {
    let s = history();
    let repo = s.repo();
    repo.modver(["migrate", "import", "--include", "*.bin"]).ok();
    let before = trees(&s);
    s.sh("rm -rf .git/modver/cache").ok();
    std::fs::create_dir(s.root().join("remote")).unwrap();
    repo.modver(["remote", "add", "--local", "origin", "../remote"]).ok();
    let refused = repo.modver(["migrate", "export"]);
    assert!(
        refused.err().contains("neither in the cache nor on the remote"),
        "{refused}"
    );
    refused.fails(1);
    assert_eq!(trees(&s), before);
    clean(repo);
}

#[test]
fn an_export_of_a_pointer_of_the_wrong_size_changes_nothing() {
    let s = history();
    let repo = s.repo();
    repo.modver(["migrate", "import", "--include", "*.bin"]).ok();
    s.sh(
        "id=$(git cat-file blob HEAD:a.bin | sed 's/size = 60000/size = 60001/' | git hash-object -w --stdin) && \
          git update-index --cacheinfo 100644,$id,a.bin && git commit -qm Wrong && git add a.bin && git commit -qm Right",
    )
    .ok();
    clean(repo);
    let refs = repo.git(["for-each-ref"]).ok();
    let refused = repo.modver(["migrate", "export"]);
    assert!(
        refused
            .err()
            .contains("`a.bin`, says 60001 bytes, but its content has 60000"),
        "{refused}"
    );
    refused.fails(1);
    assert_eq!(repo.git(["for-each-ref"]).ok(), refs);
    repo.git(["fsck", "--full", "--strict"]).ok();
    clean(repo);
}

#[test]
fn a_bottomless_tree_is_refused() {
    let s = history();
    let repo = s.repo();
    let dirs = "d/".repeat(600);
    s.write(
        ".git/deep",
        format!("commit refs/heads/deep\ncommitter T <t@example.org> 0 +0000\ndata 0\nM 100644 inline {dirs}x.bin\ndata 3\nabc\n"),
    );
    s.sh("git fast-import --quiet <.git/deep && rm .git/deep").ok();
    let refs = repo.git(["for-each-ref"]).ok();
    let refused = repo.modver(["migrate", "import", "--include", "*.bin", "deep"]);
    assert!(refused.err().contains("nested too deeply below `d`"), "{refused}");
    refused.fails(1);
    assert_eq!(repo.git(["for-each-ref"]).ok(), refs);
}

#[test]
fn a_ref_whose_name_is_no_text_is_not_left_out_in_silence() {
    let s = history();
    let repo = s.repo();
    let before = trees(&s);
    s.sh("git update-ref \"$(printf 'refs/heads/caf\\351')\" main").ok();
    let refused = repo.modver(["migrate", "import", "--include", "*.bin", "--everything"]);
    assert!(refused.err().contains("is not UTF-8"), "{refused}");
    refused.fails(1);
    assert_eq!(trees(&s), before);
    assert_eq!(repo.git(["for-each-ref", "refs/original"]).ok(), "");
}

/// A hook of git's refs that runs `script` in the work tree when refs that fit `pattern` are about to move.
fn when_refs_move(s: &Scratch, pattern: &str, script: &str) {
    let hook =
        format!("#!/bin/sh\n[ \"$1\" = prepared ] || exit 0\nif grep -q '{pattern}'; then {script}; fi\nexit 0\n");
    s.write(".git/hooks/reference-transaction", hook);
    s.sh("chmod +x .git/hooks/reference-transaction").ok();
}

#[test]
fn an_edit_while_history_is_rewritten_is_not_lost() {
    let s = history();
    let repo = s.repo();
    let (before, refs) = (trees(&s), repo.git(["for-each-ref", "refs/heads", "refs/tags"]).ok());
    let import = ["migrate", "import", "--include", "*.bin", "--everything"];
    repo.git(["notes", "add", "-m", "A note", "HEAD"]).ok();
    // Notes are copied when everything is written, before the last look.
    when_refs_move(&s, "refs/notes/", "echo edited >deep/b.bin");
    let refused = repo.modver(import);
    assert!(refused.err().contains("changes that are not committed"), "{refused}");
    refused.fails(1);
    assert_eq!(s.read("deep/b.bin"), b"edited\n");
    assert_eq!(repo.git(["for-each-ref", "refs/heads", "refs/tags"]).ok(), refs);
    assert_eq!(repo.git(["for-each-ref", "refs/original"]).ok(), "");
    repo.git(["restore", "deep/b.bin"]).ok();

    // After the last look, the refs have moved.
    when_refs_move(&s, "refs/heads/main", "echo edited >a.bin");
    let late = repo.modver(import);
    let old = refs.lines().find(|line| line.ends_with("refs/heads/main")).unwrap();
    let old = old.split(' ').next().unwrap();
    assert!(
        late.err().contains("have moved to the new history") && late.err().contains("refs/original/modver/1/"),
        "{late}"
    );
    assert!(late.err().contains(&format!("git reset --soft {old}")), "{late}");
    late.fails(1);
    assert_eq!(s.read("a.bin"), b"edited\n");
    s.sh("rm .git/hooks/reference-transaction").ok();
    repo.git(["reset", "--soft", old]).ok();
    assert_eq!(repo.git(["status", "--porcelain"]).ok(), " M a.bin");
    assert_eq!(
        s.git([
            "log",
            "--topo-order",
            "--format=%T %s",
            "main",
            "refs/original/modver/1/refs/heads/side"
        ])
        .ok(),
        before
    );
    // And on again.
    repo.git(["reset", "--soft", "ORIG_HEAD"]).ok();
    repo.git(["reset", "--quiet", "--hard"]).ok();
    clean(repo);
    is_pointer(&stored(repo, "HEAD:a.bin"), &s.read("a.bin"));
}

#[test]
fn files_of_nobody_and_of_others_stay_and_notes_follow() {
    let s = history();
    let repo = s.repo();
    s.write("mine", "untracked");
    let one = s.git(["rev-parse", ":/One"]).ok();
    repo.git(["notes", "add", "-m", "About one", &one]).ok();
    repo.git(["notes", "--ref=review", "add", "-m", "Reviewed", "v1"]).ok();
    repo.git(["notes", "add", "-m", "About zero", ":/Zero"]).ok();
    let out = repo.modver(["migrate", "import", "--include", "*.bin", "--everything"]);
    assert!(out.err().contains("copied 2 notes"), "{out}");
    out.ok();
    clean_but_for_mine(&s);
    let new = s.git(["rev-parse", "main^{/One}"]).ok();
    assert_ne!(one, new);
    for (ref_name, object, said) in [
        ("commits", &*new, "About one"),
        ("commits", &one, "About one"),
        ("commits", ":/Zero", "About zero"),
        ("review", "v1", "Reviewed"),
    ] {
        let shown = repo.git(["notes", &format!("--ref={ref_name}"), "show", object]);
        assert_eq!(shown.ok(), said, "{object}");
    }
}

fn clean_but_for_mine(s: &Scratch) {
    assert_eq!(s.git(["status", "--porcelain"]).ok(), "?? mine");
    assert_eq!(s.read("mine"), b"untracked");
}
