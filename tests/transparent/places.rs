//! Repositories of other kinds: submodules, sparse checkouts, linked work trees, bare and shallow ones, other hashes.

use super::support::Scratch;
use super::{clean, commit_all, is_pointer, noise, ready, stored};

/// Transparent files in three directories, with a history of two commits, pushed.
fn pushed() -> Scratch {
    let s = ready();
    fill(&s);
    s
}

fn fill(s: &Scratch) {
    s.write("a.bin", noise(200, 20_000));
    s.write("d/b.bin", "b");
    s.write("e/c.bin", "c");
    commit_all(s.repo(), "One");
    s.write("a.bin", noise(201, 20_000));
    s.write("beside", "beside");
    s.repo().modver(["add", "beside"]).ok();
    commit_all(s.repo(), "Two");
    s.repo().modver(["push", "--all-commits"]).ok();
}

#[test]
fn a_submodule_has_its_own_filter_and_cache() {
    let s = pushed();
    let url = s.root().join("remote");
    s.repo()
        .modver(["remote", "modify", "origin", "url", url.to_str().unwrap()])
        .ok();
    commit_all(s.repo(), "Where");
    let outer = s.root().join("outer");
    std::fs::create_dir(&outer).unwrap();
    let outer = s.at(&outer);
    outer
        .sh("git init -q && git submodule --quiet add ../repo inner && git commit -qm Super")
        .ok();
    let inner = outer.sh("cd inner && pwd").ok();
    let inner = s.at(std::path::Path::new(&inner));
    assert!(inner.read("a.bin").starts_with(b"# modver pointer"));
    inner.modver(["pull"]).ok();
    assert!(inner.read("a.bin") == noise(201, 20_000));
    clean(inner);
    clean(outer);
    inner.write("a.bin", "changed in a submodule");
    commit_all(inner, "Changed");
    is_pointer(&stored(inner, "HEAD:a.bin"), b"changed in a submodule");
    assert!(outer.has(".git/modules/inner/modver/cache/packs"));
    inner.modver(["gc", "--workspace", "--not-in-remote", "--yes"]).ok();
    inner.git(["checkout", "--quiet", "HEAD~1"]).ok();
    assert!(inner.read("a.bin") == noise(201, 20_000));
    // From above, git brings it along.
    outer
        .sh("git -C inner checkout -q - && git add inner && git commit -qm Moved")
        .ok();
    outer.sh("git checkout -q HEAD~1 && git submodule --quiet update").ok();
    assert!(inner.read("a.bin") == noise(201, 20_000));
    clean(outer);
}

#[test]
fn a_sparse_checkout_has_the_content_of_what_it_has() {
    let s = pushed();
    s.sh("git clone -q --no-checkout . ../sparse").ok();
    let sparse = s.root().join("sparse");
    let sparse = s.at(&sparse);
    sparse
        .sh("git sparse-checkout set --cone d && git checkout -q main")
        .ok();
    for sparse_index in ["false", "true"] {
        sparse.git(["config", "index.sparse", sparse_index]).ok();
        sparse.git(["sparse-checkout", "reapply"]).ok();
        sparse.modver(["pull"]).ok();
        assert!(sparse.read("a.bin") == noise(201, 20_000) && sparse.read("d/b.bin") == b"b");
        assert!(!sparse.has("e"));
        clean(sparse);
        let status = sparse.modver(["status"]);
        assert!(status.err().contains("3 outputs"), "{status}");
        // What is left out is needed all the same.
        sparse.modver(["gc", "--workspace", "--yes"]).ok();
    }
    sparse.git(["sparse-checkout", "disable"]).ok();
    assert_eq!(sparse.read("e/c.bin"), b"c");
    clean(sparse);
    assert!(sparse.modver(["status"]).err().contains("4 outputs"));
}

#[test]
fn a_repository_of_sha256_is_like_any_other() {
    let s = Scratch::bare();
    s.git(["init", "--quiet", "--object-format=sha256"]).ok();
    std::fs::create_dir(s.root().join("remote")).unwrap();
    let repo = s.repo();
    repo.modver(["init"]).ok();
    repo.modver(["remote", "add", "origin", "../remote"]).ok();
    repo.modver(["track", "*.bin"]).ok();
    fill(&s);
    is_pointer(&stored(repo, "HEAD:a.bin"), &noise(201, 20_000));
    repo.modver(["checkout", "--rev", "HEAD~1", "a.bin"]).ok();
    assert!(s.read("a.bin") == noise(200, 20_000));
    repo.git(["stash", "--quiet"]).ok();
    repo.modver(["gc", "--workspace", "--yes"]).ok();
    repo.git(["stash", "pop", "--quiet"]).ok();
    assert!(s.read("a.bin") == noise(200, 20_000));
    repo.modver(["checkout", "--force"]).ok();
    let copy = s.clone_to("copy");
    let copy = s.at(&copy);
    copy.modver(["pull"]).ok();
    assert!(copy.read("a.bin") == noise(201, 20_000));
    clean(copy);
    let tree = copy.git(["rev-parse", "HEAD^{tree}"]).ok();
    copy.modver(["migrate", "export"]).ok();
    assert!(copy.git(["cat-file", "blob", "HEAD:a.bin"]).stdout == noise(201, 20_000));
    copy.modver(["migrate", "import", "--include", "*.bin"]).ok();
    clean(copy);
    // The patterns came back with the files.
    assert_eq!(
        copy.git(["rev-parse", "HEAD:d"]).ok(),
        s.git(["rev-parse", "HEAD:d"]).ok()
    );
    assert_eq!(tree.len(), 64);
}

#[test]
fn linked_work_trees_share_one_cache() {
    let s = pushed();
    let repo = s.repo();
    repo.git(["worktree", "add", "--quiet", "../linked", "-b", "side"]).ok();
    let linked = s.root().join("linked");
    let linked = s.at(&linked);
    assert!(linked.read("a.bin") == noise(201, 20_000));
    linked.write("a.bin", "staged in the other one");
    linked.git(["add", "a.bin"]).ok();
    assert!(!s.path(".git/worktrees/linked/modver/cache").exists());
    let gc = ["gc", "--workspace", "--yes", "--delete-data-that-exists-nowhere-else"];
    repo.modver(gc).ok();
    linked.sh("rm a.bin && git checkout -q a.bin").ok();
    assert_eq!(linked.read("a.bin"), b"staged in the other one");
    commit_all(linked, "Side");
    repo.git(["merge", "--quiet", "side"]).ok();
    assert_eq!(s.read("a.bin"), b"staged in the other one");
    clean(repo);
    clean(linked);
}

#[test]
fn a_bare_repository_answers_what_needs_no_work_tree() {
    let s = pushed();
    s.git(["clone", "--quiet", "--bare", ".", "../bare.git"]).ok();
    let bare = s.root().join("bare.git");
    let bare = s.at(&bare);
    let listed = bare.modver(["ls", "--rev", "main"]).ok();
    assert_eq!(listed, "a.bin\nbeside\nd/b.bin\ne/c.bin");
    assert!(bare.modver(["cat", "--rev", "main", "a.bin"]).stdout == noise(201, 20_000));
    assert_eq!(bare.modver(["cat", "--rev", "HEAD", "beside"]).ok(), "beside");
    let log = bare.modver(["log", "beside"]).ok();
    assert!(log.contains("Two"), "{log}");
    let log = bare.modver(["log", "a.bin"]).ok();
    assert!(log.contains("Two") && log.contains("One"), "{log}");
    let diff = bare.modver(["diff", "HEAD~1", "HEAD"]).ok();
    assert!(diff.contains("beside"), "{diff}");
    bare.modver(["fetch", "--all-branches", "--all-commits"]).ok();
    std::fs::rename(s.root().join("remote"), s.root().join("away")).unwrap();
    std::fs::create_dir(s.root().join("remote")).unwrap();
    bare.modver(["push", "--all-branches"]).ok();
    let packs = bare.sh("find ../remote/packs -type f | wc -l").ok();
    assert_ne!(packs.trim(), "0");
    bare.modver(["gc", "--all-branches", "--not-in-remote", "--yes"]).ok();

    // Without the filter pointers are archived, with it the content.
    assert!(
        bare.sh("git archive main a.bin | tar xO")
            .ok()
            .starts_with("# modver pointer")
    );
    bare.sh("git config filter.modver.process 'modver filter-process' && git config filter.modver.required true")
        .ok();
    assert!(bare.sh("git archive main | tar xO a.bin").stdout == noise(201, 20_000));
    bare.sh("rm -rf modver").ok();
    assert!(
        bare.sh("git archive main | tar xO a.bin").stdout == noise(201, 20_000),
        "fetched"
    );

    for args in [
        &["status"][..],
        &["ls"],
        &["add", "x"],
        &["fetch"],
        &["gc", "--workspace"],
        &["checkout"],
        &["migrate", "import", "--include", "*.bin"],
    ] {
        let refused = bare.modver(args);
        assert!(
            refused.err().contains("is bare: it has no work tree") && refused.err().contains("git worktree add"),
            "{refused}"
        );
        refused.fails(4);
    }
    assert!(!bare.has("HEAD.mv") && !bare.has("mv.toml"));
}

#[test]
fn a_shallow_clone_has_what_it_can_see() {
    let s = pushed();
    s.sh("git clone -q --depth 1 \"file://$PWD\" ../shallow").ok();
    let shallow = s.root().join("shallow");
    let shallow = s.at(&shallow);
    shallow.modver(["pull"]).ok();
    assert!(shallow.read("a.bin") == noise(201, 20_000));
    clean(shallow);
    shallow.modver(["fetch", "--all-commits"]).ok();
    shallow
        .modver(["gc", "--all-commits", "--yes", "--delete-data-that-exists-nowhere-else"])
        .ok();
    shallow.sh("rm a.bin && git checkout -q a.bin").ok();
    assert!(shallow.read("a.bin") == noise(201, 20_000));
    let log = shallow.modver(["log", "a.bin"]);
    assert!(log.out().contains("Two") && log.err().contains("--unshallow"), "{log}");
    let refused = shallow.modver(["checkout", "--rev", "HEAD~1", "a.bin"]);
    assert!(refused.err().contains("git fetch --unshallow"), "{refused}");
    refused.fails(1);
    let refused = shallow.modver(["migrate", "export"]);
    assert!(refused.err().contains("it is shallow"), "{refused}");
    refused.fails(1);
    shallow.git(["fetch", "--quiet", "--unshallow"]).ok();
    shallow.git(["checkout", "--quiet", "HEAD~1"]).ok();
    assert!(shallow.read("a.bin") == noise(200, 20_000));
}
