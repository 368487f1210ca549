//! The module against real git, where several of its files work together.

use std::collections::HashSet;
use std::path::Path;

use super::testing::{Sandbox, path, paths, pointer};
use super::*;
use crate::path::RepoPath;
use crate::progress::Progress;

fn live(sandbox: &Sandbox, scope: &Scope) -> HashSet<Pointer> {
    let live = sandbox.open().pointers_in(scope, &Progress::new()).unwrap();
    assert!(live.unparsed.is_empty(), "{:?}", live.unparsed);
    assert!(live.unparsed_files.is_empty(), "{:?}", live.unparsed_files);
    live.pointers
}

fn everything() -> Scope {
    Scope {
        all_commits: true,
        ..Scope::default()
    }
}

#[test]
fn discovers_from_subdirectories_and_links() {
    let sandbox = Sandbox::new();
    sandbox.write("a/b/file", "x");
    sandbox.commit_all("one");
    let root = sandbox.root();
    let repo = GitRepo::discover(&root.join("a/b")).unwrap();
    assert_eq!(repo.root(), root);
    assert_eq!(repo.git_dir(), root.join(".git"));
    assert_eq!(repo.common_dir(), root.join(".git"));

    sandbox.git(&["worktree", "add", "-q", "../linked", "-b", "side"]);
    let linked = sandbox.dir.path().canonicalize().unwrap().join("linked");
    let repo = GitRepo::discover(&linked.join("a")).unwrap();
    assert_eq!(repo.root(), linked);
    assert_eq!(repo.git_dir(), root.join(".git/worktrees/linked"));
    assert_eq!(repo.common_dir(), root.join(".git"));
    assert_eq!(repo.index_path(), root.join(".git/worktrees/linked/index"));

    sandbox.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        root.to_str().unwrap(),
        "sub",
    ]);
    let repo = GitRepo::discover(&root.join("sub/a")).unwrap();
    assert_eq!(repo.root(), root.join("sub"));
    assert_eq!(repo.git_dir(), root.join(".git/modules/sub"));

    let link = sandbox.dir.path().join("symlink");
    std::os::unix::fs::symlink(root.join("a"), &link).unwrap();
    assert_eq!(GitRepo::discover(&link).unwrap().root(), root);
}

#[test]
fn what_is_no_usable_repository_is_named() {
    let outside = tempfile::tempdir().unwrap();
    let error = GitRepo::discover(outside.path()).unwrap_err();
    assert!(matches!(error, GitError::NotARepository { .. }), "{error:?}");
    assert_eq!(error.hint().unwrap(), "git init");

    let sandbox = Sandbox::new();
    sandbox.git_in(outside.path(), &["init", "-q", "--bare", "bare.git"]);
    let error = GitRepo::discover(&outside.path().join("bare.git")).unwrap_err();
    assert!(matches!(error, GitError::Bare { .. }), "{error:?}");

    sandbox.git_in(outside.path(), &["init", "-q", "--ref-format=reftable", "tables"]);
    let error = GitRepo::discover(&outside.path().join("tables")).unwrap_err();
    assert!(matches!(error, GitError::RefStorage { .. }), "{error:?}");

    std::fs::create_dir_all(outside.path().join("broken/.git/refs")).unwrap();
    std::fs::create_dir_all(outside.path().join("broken/.git/objects")).unwrap();
    std::fs::write(outside.path().join("broken/.git/HEAD"), "ref: refs/heads/main").unwrap();
    std::fs::write(outside.path().join("broken/.git/config"), "[core\nx").unwrap();
    let error = GitRepo::discover(&outside.path().join("broken")).unwrap_err();
    assert!(matches!(error, GitError::Open { .. }), "{error:?}");
}

#[test]
fn a_repository_of_another_user_is_refused() {
    let sandbox = Sandbox::new();
    let root = sandbox.root();
    let give = |path: &Path| std::os::unix::fs::chown(path, Some(12_345), None);
    if give(&root).and_then(|()| give(&root.join(".git"))).is_err() {
        return; // Only root can give files away.
    }
    let error = GitRepo::discover(&root).unwrap_err();
    assert!(matches!(error, GitError::Untrusted { .. }), "{error:?}");
    assert_eq!(
        error.hint().unwrap(),
        format!("git config --global --add safe.directory {}", root.display())
    );
}

#[test]
fn finds_pointers_and_never_enters_data() {
    let sandbox = Sandbox::new();
    let root = sandbox.root();
    sandbox.write(".gitignore", "/ignored\n*.tmp\n");
    for file in [
        "top.mv",
        "a/b/deep.mv",
        "a/data.mv",
        "a/data/inside.mv",
        "ignored/no.mv",
        "nested/.git/HEAD",
        "nested/no.mv",
        ".mv",
        "x.mv/inner.mv",
        "ignored/kept.mv",
        "plain.txt",
    ] {
        sandbox.write(file, "");
    }
    sandbox.git(&["add", "-f", "top.mv", "ignored/kept.mv", "a/data.mv"]);
    sandbox.write("gone.mv", "");
    sandbox.git(&["add", "gone.mv"]);
    std::fs::remove_file(root.join("gone.mv")).unwrap();
    std::os::unix::fs::symlink("top.mv", root.join("link.mv")).unwrap();
    std::os::unix::fs::symlink("a", root.join("loop")).unwrap();
    let found = sandbox.open().find_pointers().unwrap();
    assert_eq!(
        found.present,
        paths(&["a/b/deep.mv", "a/data.mv", "ignored/kept.mv", "top.mv", "x.mv/inner.mv"])
    );
    assert_eq!(found.deleted, paths(&["gone.mv"]));
    assert!(found.unreadable.is_empty());
}

#[test]
fn knows_what_git_tracks() {
    let sandbox = Sandbox::new();
    assert!(sandbox.open().tracked_under(&[RepoPath::root()]).unwrap().is_empty());
    for file in ["data", "data-x", "dir/a", "dir/b/c", "dir.txt", "other"] {
        sandbox.write(file, file);
    }
    sandbox.write(*b"caf\xe9\n", "");
    sandbox.git(&["add", "-A"]);
    let repo = sandbox.open();
    let under = repo
        .tracked_under(&paths(&["data", "dir", "dir/b", "no", "oth"]))
        .unwrap();
    assert_eq!(under, paths(&["data", "dir/a", "dir/b/c"]));
    assert_eq!(repo.tracked().unwrap().under(&RepoPath::root()).unwrap().len(), 7);
    assert!(repo.tracked().unwrap().contains(&path(b"caf\xe9\n")));
    assert!(!repo.tracked().unwrap().contains(&path("dir")));
}

#[test]
fn ignore_rules_are_gits() {
    let sandbox = Sandbox::new();
    let extra = sandbox.dir.path().join("mine");
    std::fs::write(&extra, "*.swp\n").unwrap();
    sandbox.git(&["config", "core.excludesFile", extra.to_str().unwrap()]);
    sandbox.write(".git/info/exclude", "secret\n");
    sandbox.write(".gitignore", "*.log\nbuild/\n!keep.log\n");
    sandbox.write("sub/.gitignore", "!*.log\n/only-here\n");
    let mut excludes = sandbox.open().excludes().unwrap();
    let mut rule = |file: &str, dir| excludes.is_excluded(&path(file), dir).unwrap();
    let found = rule("x.log", false).unwrap();
    assert_eq!((found.pattern.as_str(), found.line), ("*.log", 1));
    assert!(found.source.unwrap().ends_with(".gitignore"));
    assert!(rule("x.swp", false).unwrap().source.unwrap().ends_with("mine"));
    assert!(rule("a/secret", false).is_some());
    assert!(rule("build", true).is_some());
    assert!(rule("build", false).is_none());
    assert!(rule("build/in/it", false).is_some());
    assert!(rule("keep.log", false).is_none());
    assert!(rule("sub/y.log", false).is_none());
    assert!(rule("sub/only-here", false).is_some());
    assert!(rule("only-here", false).is_none());
}

#[test]
fn stages_literally_and_says_why_not() {
    let sandbox = Sandbox::new();
    let repo = sandbox.open();
    let odd: &[u8] = b":(glob)*\n\xff.mv";
    sandbox.write(odd, "1");
    sandbox.write("a.mv", "2");
    sandbox.write("b.mv", "3");
    sandbox.write("dir/c.mv", "3");
    repo.stage(&[path(odd), path("a.mv")]).unwrap();
    let tracked = repo.tracked().unwrap().under(&RepoPath::root()).unwrap();
    assert_eq!(tracked, vec![path(odd), path("a.mv")]);

    std::fs::remove_file(sandbox.root().join("a.mv")).unwrap();
    repo.stage(&paths(&["a.mv", "never-there.mv"])).unwrap();
    assert!(!repo.tracked().unwrap().contains(&path("a.mv")));
    assert!(matches!(
        repo.stage(&paths(&["dir"])),
        Err(GitError::IsDirectory { .. })
    ));

    sandbox.write(".gitignore", "b.*\n");
    let error = repo.stage(&paths(&["b.mv"])).unwrap_err();
    assert!(
        matches!(&error, GitError::Ignored { rule, .. } if rule.pattern == "b.*"),
        "{error:?}"
    );
    assert_eq!(error.hint().unwrap(), "git add -f b.mv");

    sandbox.write(".git/index.lock", "");
    let error = repo.stage(&paths(&["dir/c.mv"])).unwrap_err();
    assert!(
        matches!(&error, GitError::IndexLocked { lock } if lock.ends_with("index.lock")),
        "{error:?}"
    );
}

#[test]
fn reads_revisions() {
    let sandbox = Sandbox::new();
    let repo = sandbox.open();
    assert_eq!(repo.head().unwrap(), Head::Unborn { branch: "main".into() });
    assert!(repo.pointers_at("HEAD").unwrap().is_empty());
    assert_eq!(repo.pointer_bytes_at("HEAD", &path("a.mv")).unwrap(), None);
    assert!(matches!(repo.pointers_at("nothing"), Err(GitError::Revision { .. })));

    let first = sandbox.write_pointer("d/a.mv", "one");
    sandbox.write("bad.mv", "hello");
    sandbox.commit_all("one");
    sandbox.git(&["tag", "-a", "-m", "t", "v1"]);
    let second = sandbox.write_pointer("d/a.mv", "two");
    sandbox.commit_all("two");
    let repo = sandbox.open();
    let commit = sandbox.git(&["rev-parse", "HEAD"]).trim().to_owned();
    assert_eq!(
        repo.head().unwrap(),
        Head::Branch {
            branch: "main".into(),
            commit: commit.clone()
        }
    );
    for (rev, expected) in [
        ("HEAD", &second),
        ("v1", &first),
        ("HEAD~1", &first),
        (&commit[..10], &second),
    ] {
        let at = repo.pointers_at(rev).unwrap();
        assert_eq!(at.len(), 2);
        assert!(at[0].0 == path("bad.mv") && at[0].1.is_err());
        assert_eq!(at[1].1.as_ref().unwrap(), expected);
        let bytes = repo.pointer_bytes_at(rev, &path("d/a.mv")).unwrap().unwrap();
        assert_eq!(bytes, expected.to_bytes().unwrap());
    }
    assert_eq!(repo.pointer_bytes_at("HEAD", &path("d")).unwrap(), None);
    assert_eq!(repo.pointer_bytes_at("HEAD", &path("bad.mv/x")).unwrap(), None);
    sandbox.git(&["checkout", "-q", "--detach"]);
    assert_eq!(sandbox.open().head().unwrap(), Head::Detached { commit });
}

#[test]
fn works_with_sha256_objects() {
    let sandbox = Sandbox::with_args(&["--object-format=sha256"]);
    let one = sandbox.write_pointer("a.mv", "one");
    sandbox.commit_all("one");
    let two = sandbox.write_pointer("a.mv", "two");
    sandbox.open().stage(&paths(&["a.mv"])).unwrap();
    assert_eq!(*sandbox.open().pointers_at("HEAD").unwrap()[0].1.as_ref().unwrap(), one);
    assert_eq!(live(&sandbox, &everything()), HashSet::from([one.clone(), two]));
    assert_eq!(
        sandbox.open().lineage(&paths(&["a.mv"]), 3).unwrap()[&path("a.mv")],
        vec![one]
    );
}

#[test]
fn lineage_is_newest_first_through_merges() {
    let sandbox = Sandbox::new();
    assert!(sandbox.open().lineage(&paths(&["a.mv"]), 3).unwrap().is_empty());
    let mut versions = Vec::new();
    for i in 0..4 {
        versions.insert(0, sandbox.write_pointer("d/a.mv", &i.to_string()));
        sandbox.write_pointer(&format!("many/{i}.mv"), "same");
        sandbox.commit_all("next");
    }
    let repo = sandbox.open();
    let all = paths(&["d/a.mv", "many/0.mv", "none.mv"]);
    let found = repo.lineage(&all, 10).unwrap();
    assert_eq!(found[&path("d/a.mv")], versions);
    assert_eq!(found[&path("many/0.mv")], vec![pointer("same")]);
    assert_eq!(found.len(), 2);
    assert_eq!(repo.lineage(&all, 2).unwrap()[&path("d/a.mv")], versions[..2]);

    let mut many: Vec<RepoPath> = (0..200).map(|i| path(format!("other/{i}.mv"))).collect();
    many.extend(all);
    assert_eq!(repo.lineage(&many, 10).unwrap(), found);

    sandbox.git(&["checkout", "-q", "-b", "side", "HEAD~2"]);
    let side = sandbox.write_pointer("d/a.mv", "side");
    sandbox.commit_all("side");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.git(&["merge", "-q", "-s", "ours", "-m", "m", "side"]);
    let merged = sandbox.open().lineage(&paths(&["d/a.mv"]), 10).unwrap();
    let merged: HashSet<_> = merged[&path("d/a.mv")].iter().cloned().collect();
    assert_eq!(merged, versions.iter().cloned().chain([side]).collect());

    let url = format!("file://{}", sandbox.root().display());
    let dir = sandbox.dir.path();
    sandbox.git_in(dir, &["clone", "-q", "--depth=2", &url, "shallow"]);
    let shallow = GitRepo::discover(&dir.join("shallow")).unwrap();
    assert!(!shallow.lineage(&paths(&["d/a.mv"]), 10).unwrap().is_empty());
    sandbox.git(&["config", "uploadpack.allowFilter", "true"]);
    for filter in ["blob:none", "tree:0"] {
        let name = filter.replace(':', "-");
        sandbox.git_in(dir, &["clone", "-q", &format!("--filter={filter}"), &url, &name]);
        let partial = GitRepo::discover(&dir.join(&name)).unwrap();
        let found = partial.lineage(&paths(&["d/a.mv"]), 10).unwrap();
        if filter == "blob:none" {
            assert_eq!(found[&path("d/a.mv")], versions[..1]);
        }
        let found = partial.pointers_in(&everything(), &Progress::new());
        // Blobs are fetched; trees are not, and never is a part taken for all.
        match filter {
            "blob:none" => assert_eq!(found.unwrap().pointers, live(&sandbox, &everything())),
            _ => assert!(found.is_err(), "{found:?}"),
        }
    }
}

#[test]
fn everything_that_git_keeps_is_live() {
    let sandbox = Sandbox::new();
    let mut expected = HashSet::new();
    let mut step = |name: &str| {
        let pointer = sandbox.write_pointer("p.mv", name);
        expected.insert(pointer);
    };
    step("first");
    // The same blob under a name that is no pointer's, listed first by git.
    std::fs::copy(sandbox.root().join("p.mv"), sandbox.root().join("a-copy.txt")).unwrap();
    sandbox.commit_all("first");
    step("reset away: only in a reflog");
    sandbox.commit_all("lost");
    sandbox.git(&["reset", "-q", "--hard", "HEAD~1"]);
    for n in ["older stash", "newer stash"] {
        step(n);
        sandbox.git(&["stash", "-q"]);
    }
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    step("side");
    sandbox.commit_all("side");
    sandbox.git(&["checkout", "-q", "main"]);
    step("ours");
    sandbox.commit_all("ours");
    // An evil merge: what it holds is in neither parent.
    sandbox.git(&["merge", "-q", "--no-commit", "-s", "ours", "side"]);
    step("only in the merge");
    sandbox.commit_all("merge");
    sandbox.git(&["tag", "-a", "-m", "tag", "tagged"]);
    // A detached work tree, its reflog emptied, and what is staged and edited there.
    sandbox.git(&["worktree", "add", "-q", "--detach", "../linked"]);
    let linked = sandbox.dir.path().join("linked");
    let mut there = |name: &str| {
        let pointer = pointer(name);
        std::fs::write(linked.join("p.mv"), pointer.to_bytes().unwrap()).unwrap();
        expected.insert(pointer);
    };
    there("committed in a detached work tree");
    sandbox.git_in(&linked, &["commit", "-qam", "detached"]);
    there("staged in another work tree");
    sandbox.git_in(&linked, &["add", "-A"]);
    there("edited in another work tree");
    let _ = std::fs::remove_dir_all(sandbox.root().join(".git/worktrees/linked/logs"));
    let mut step = |name: &str| {
        let pointer = sandbox.write_pointer("p.mv", name);
        expected.insert(pointer);
    };
    step("staged");
    sandbox.git(&["add", "-A"]);
    step("edited");
    // A fetched commit that only MERGE_HEAD names.
    let other = Sandbox::new();
    expected.insert(other.write_pointer("theirs.mv", "theirs"));
    other.commit_all("theirs");
    sandbox.git(&["fetch", "-q", other.root().to_str().unwrap(), "main"]);
    let theirs = other.git(&["rev-parse", "HEAD"]);
    sandbox.write(".git/rebase-merge/autostash", &theirs);
    std::fs::remove_file(sandbox.root().join(".git/FETCH_HEAD")).unwrap();

    let missing: Vec<_> = expected.difference(&live(&sandbox, &everything())).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
    // Seen from the other work tree it is the same.
    let from_linked = GitRepo::discover(&linked).unwrap();
    let seen = from_linked.pointers_in(&everything(), &Progress::new()).unwrap();
    assert_eq!(seen.pointers, live(&sandbox, &everything()));

    let small = live(&sandbox, &Scope::default());
    for name in [
        "staged",
        "edited",
        "only in the merge",
        "staged in another work tree",
        "older stash",
        "newer stash",
    ] {
        assert!(small.contains(&pointer(name)), "{name}");
    }
    assert!(!small.contains(&pointer("side")) && !small.contains(&pointer("ours")));
    let branches = Scope {
        all_branches: true,
        tracking_branches: true,
        ..Scope::default()
    };
    assert!(live(&sandbox, &branches).contains(&pointer("side")));
    sandbox.git(&["tag", "old", "main~1"]);
    let tags = Scope {
        all_tags: true,
        ..Scope::default()
    };
    assert!(live(&sandbox, &tags).contains(&pointer("ours")) && !live(&sandbox, &tags).contains(&pointer("side")));
}

#[test]
fn the_versions_of_commits_that_are_about_to_be_pushed() {
    let sandbox = Sandbox::new();
    let id = |rev: &str| sandbox.git(&["rev-parse", rev]).trim().to_owned();
    for (name, content) in [
        ("p.mv", "one"),
        ("p.mv", "two"),
        ("sub/q.mv", "three"),
        ("p.mv", "four"),
    ] {
        sandbox.write_pointer(name, content);
        sandbox.commit_all(content);
    }
    sandbox.git(&["rm", "-q", "p.mv"]);
    sandbox.commit_all("gone");
    let versions = |unsent: Unsent| {
        let scope = Scope {
            unsent: Some(unsent),
            ..Scope::default()
        };
        let found = sandbox.open().versions(&scope, &Progress::new()).unwrap();
        assert!(found.broken.is_empty());
        let shown = found
            .versions
            .iter()
            .map(|v| (v.path.to_string(), (*v.pointer).clone()));
        shown.collect::<HashSet<_>>()
    };
    let expected = |all: &[(&str, &str)]| -> HashSet<_> {
        all.iter()
            .map(|(path, content)| ((*path).to_owned(), pointer(content)))
            .collect()
    };
    let all = [
        ("p.mv", "one"),
        ("p.mv", "two"),
        ("p.mv", "four"),
        ("sub/q.mv", "three"),
    ];
    let zeros = "0".repeat(40);
    // A new branch: all there is. What the other side has and we do not know says nothing.
    let new = Unsent {
        tips: vec![id("HEAD"), zeros.clone()],
        known: vec![zeros, "1".repeat(40)],
        remote: Some("origin".to_owned()),
    };
    assert_eq!(versions(new.clone()), expected(&all));
    // What goes with the commits that are not there yet, also in what they did not change.
    let some = Unsent {
        known: vec![id("HEAD~2")],
        ..new.clone()
    };
    assert_eq!(versions(some), expected(&all[2..]));
    sandbox.git(&["update-ref", "refs/remotes/origin/main", "HEAD~1"]);
    assert_eq!(versions(new.clone()), expected(&all[3..]));
    let elsewhere = Unsent {
        remote: Some("backup".to_owned()),
        ..new
    };
    assert_eq!(versions(elsewhere), expected(&all));
}

#[test]
fn both_sides_of_a_conflict_are_live() {
    let sandbox = Sandbox::new();
    sandbox.write_pointer("p.mv", "base");
    sandbox.commit_all("base");
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    let side = sandbox.write_pointer("p.mv", "side");
    sandbox.commit_all("side");
    sandbox.git(&["checkout", "-q", "main"]);
    let main = sandbox.write_pointer("p.mv", "main");
    sandbox.commit_all("main");
    let merge = sandbox
        .command(&sandbox.root())
        .args(["merge", "-q", "side"])
        .output()
        .unwrap();
    assert!(!merge.status.success());
    let found = sandbox.open().pointers_in(&Scope::default(), &Progress::new()).unwrap();
    assert!(found.pointers.contains(&side) && found.pointers.contains(&main));
    assert!(matches!(
        found.unparsed_files[..],
        [PointerError {
            problem: PointerProblem::Conflict,
            ..
        }]
    ));
}

#[test]
fn a_large_conflict_in_git_is_one() {
    let sandbox = Sandbox::new();
    let conflict = [super::conflict::HEADER.as_bytes(), &[b'x'; MAX_POINTER as usize]].concat();
    sandbox.write("p.mv", &conflict);
    sandbox.write("large.mv", &conflict[1..]);
    sandbox.git(&["add", "-A"]);
    std::fs::remove_file(sandbox.root().join("p.mv")).unwrap();
    std::fs::remove_file(sandbox.root().join("large.mv")).unwrap();
    let staged = sandbox.open().pointers_in(&Scope::default(), &Progress::new()).unwrap();
    assert!(staged.unparsed_files.is_empty());
    for error in &staged.unparsed {
        match &error.problem {
            PointerProblem::Conflict => assert_eq!(error.path, path("p.mv")),
            PointerProblem::TooLarge(_) => assert_eq!(error.path, path("large.mv")),
            other => panic!("{other}"),
        }
    }
    assert_eq!(staged.unparsed.len(), 2);
}

#[test]
fn a_missing_object_is_an_error_not_a_gap() {
    let sandbox = Sandbox::new();
    sandbox.write_pointer("p.mv", "one");
    sandbox.commit_all("one");
    let id = sandbox.git(&["rev-parse", "HEAD:p.mv"]).trim().to_owned();
    sandbox.write_pointer("p.mv", "two");
    sandbox.commit_all("two");
    std::fs::remove_file(sandbox.root().join(format!(".git/objects/{}/{}", &id[..2], &id[2..]))).unwrap();
    let error = sandbox.open().pointers_in(&everything(), &Progress::new()).unwrap_err();
    assert!(matches!(error, GitError::Object { id: found, .. } if found == id));
}

#[test]
fn attributes_and_hooks() {
    let sandbox = Sandbox::new();
    let root = sandbox.root();
    sandbox.write(".gitattributes", "*.png binary\n");
    attributes_edit(&root).unwrap().apply(&root).unwrap();
    assert!(!attributes_edit(&root).unwrap().is_change());
    let attributes = sandbox.git(&[
        "check-attr",
        "text",
        "eol",
        "binary",
        "--",
        "a/b.mv",
        "mv.lock",
        "c.png",
    ]);
    for line in ["a/b.mv: eol: lf", "mv.lock: text: set", "c.png: binary: set"] {
        assert!(attributes.contains(line), "{attributes}");
    }

    std::fs::remove_dir_all(root.join(".git/hooks")).unwrap();
    assert_eq!(
        sandbox.open().hooks().unwrap(),
        Hooks {
            dir: root.join(".git/hooks"),
            active: vec![]
        }
    );
    sandbox.git(&["config", "core.hooksPath", "tools"]);
    sandbox.write("tools/pre-commit", "#!/bin/sh\n");
    sandbox.write("tools/post-merge", "#!/bin/sh\n");
    make_executable(&root.join("tools/pre-commit"));
    let hooks = sandbox.open().hooks().unwrap();
    assert_eq!(
        (hooks.dir, hooks.active),
        (root.join("tools"), vec!["pre-commit".to_owned()])
    );
    assert!(
        GitRepo::git_version()
            .unwrap()
            .starts_with(|c: char| c.is_ascii_digit())
    );
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs inside the hook of the test below; does nothing otherwise.
#[test]
fn inside_a_hook() {
    let Some(other) = std::env::var_os("MODVER_TEST_HOOK") else {
        return;
    };
    let here = GitRepo::discover(Path::new(".")).unwrap();
    here.stage(&paths(&["from-hook.mv"])).unwrap();
    assert!(here.tracked().unwrap().contains(&path("from-hook.mv")));
    let other = GitRepo::discover(Path::new(&other)).unwrap();
    assert_eq!(other.index_path(), other.git_dir().join("index"));
    assert_eq!(other.root(), other.git_dir().parent().unwrap());
    other.stage(&paths(&["elsewhere.mv"])).unwrap();
}

#[test]
fn a_hook_of_a_partial_commit_stages_into_it_and_not_into_others() {
    let sandbox = Sandbox::new();
    let other = Sandbox::new();
    other.write("elsewhere.mv", "");
    sandbox.write("file", "1");
    sandbox.commit_all("one");
    sandbox.write("file", "2");
    sandbox.write("unrelated", "2");
    sandbox.write("from-hook.mv", "");
    sandbox.git(&["add", "unrelated"]);
    let hook = format!(
        "#!/bin/sh\nexport GIT_WORK_TREE=\"$PWD\"\nMODVER_TEST_HOOK='{}' exec '{}' --exact git::tests::inside_a_hook\n",
        other.root().display(),
        std::env::current_exe().unwrap().display()
    );
    sandbox.write(".git/hooks/pre-commit", hook);
    make_executable(&sandbox.root().join(".git/hooks/pre-commit"));
    sandbox.git(&["commit", "-qam", "all"]);
    let files = sandbox.git(&["ls-tree", "--name-only", "HEAD"]);
    assert_eq!(files, "file\nfrom-hook.mv\nunrelated\n");
    assert_eq!(other.git(&["ls-files"]), "elsewhere.mv\n");
    assert!(!sandbox.git(&["ls-files"]).contains("elsewhere"));
}
