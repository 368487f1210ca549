//! ls, du, cat, diff and checkout of any revision.

use super::support::{Scratch, digest};
use super::{commit, with_remote};

/// v1: `old`, `data` of a, b and dir/{x,y}. v2: `old` is gone, `model` is new. HEAD: a changed, dir moved, b gone, c new,
/// `model` is `best/model`.
fn history() -> Scratch {
    let s = with_remote();
    s.write("old", "a file that is gone\n");
    s.write("data/a", "a1\n");
    s.write("data/b", "b\n");
    s.write("data/dir/x", "x\n");
    s.write("data/dir/y", "y\n");
    commit(s.repo(), 1, &["old", "data"]);
    s.git(["tag", "v1"]).ok();
    s.repo().modver(["remove", "old", "--quiet"]).ok();
    std::fs::remove_file(s.path("old")).unwrap();
    s.write("model", "a model\n");
    commit(s.repo(), 2, &["model"]);
    s.git(["tag", "v2", "-a", "-m", "the second"]).ok();
    s.write("data/a", "a two\n");
    s.write("data/c", "c\n");
    s.sh("mkdir data/deep best; mv data/dir data/deep/moved; rm data/b; modver move --quiet model best/model")
        .ok();
    commit(s.repo(), 3, &["data"]);
    s
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn ls_du_and_cat_read_any_revision() {
    let s = history();
    let before = digest(s.path("").as_path());
    let ls = |args: &[&str]| lines(&s.repo().modver(["ls"].iter().chain(args)).ok());
    assert_eq!(ls(&["--rev", "v1"]), ["data/", "old"]);
    assert_eq!(ls(&["--rev", "HEAD~1"]), ["data/", "model"]);
    assert_eq!(ls(&[]), ["best/model", "data/"]);
    assert_eq!(ls(&["--rev", "v2", "-R", "data/dir"]), ["x", "y"]);
    assert_eq!(ls(&["--rev", "main@{2}", "data"]), ["a", "b", "dir/"]);
    assert_eq!(ls(&["--rev", ":/day 1", "old"]), ["old"]);
    let json = s.repo().modver(["ls", "--rev", "v1", "--json"]).json();
    assert_eq!(
        (json["rev"].as_str(), json["entries"][0]["size"].as_u64()),
        (Some("v1"), Some(9))
    );

    let du = s.repo().modver(["du", "--rev", "v1", "--json"]).json();
    assert_eq!(
        (&du["total"]["files"], &du["total"]["size"]),
        (&5.into(), &29.into()),
        "{du}"
    );
    assert_eq!(
        lines(&s.repo().modver(["du", "--rev", "v1", "data/dir"]).ok())[1]
            .split(' ')
            .next(),
        Some("2")
    );

    let cat = |rev: &str, path: &str| s.repo().modver(["cat", "--rev", rev, path]);
    assert_eq!(cat("v1", "old").ok(), "a file that is gone");
    assert_eq!(cat("v1", "old.mv").ok(), "a file that is gone");
    assert_eq!(cat("v2^{commit}", "data/dir/x").ok(), "x");
    assert_eq!(cat("HEAD^2^{/day}", "data/a").fails(1), "");
    assert_eq!(cat("HEAD^{/day 2}", "data/a").ok(), "a1");
    assert_eq!(cat("main", "data/deep/moved/y").ok(), "y");
    assert_eq!(s.at(&s.path("data")).modver(["cat", "--rev", "v1", "a"]).ok(), "a1");

    for command in ["ls", "du", "cat"] {
        let missing = s.repo().modver([command, "--rev", "v2", "old"]);
        assert_eq!(
            missing.err(),
            "error: `old` is not tracked in revision `v2`\nhint: modver ls --rev v2\n"
        );
        missing.fails(1);
        let bad = s.repo().modver([command, "--rev", "v9", "data"]);
        assert!(
            bad.err().starts_with("error: git does not know a revision `v9`\n"),
            "{bad}"
        );
        bad.fails(1);
        s.repo().modver([command, "--rev", "v1..v2", "data"]).fails(1);
    }
    assert_eq!(digest(s.path("").as_path()), before);
    // What the cache does not have.
    s.repo().modver(["push", "-A", "--quiet"]).ok();
    let dir = s.clone_to("clone");
    let clone = s.at(&dir);
    let ls = clone.modver(["ls", "--rev", "v1", "data"]);
    assert!(ls.err().ends_with("hint: modver fetch --rev v1 data\n"), "{ls}");
    ls.fails(1);
    assert_eq!(clone.modver(["cat", "--rev", "v1", "data/dir/x"]).ok(), "x");
    let missing = clone.modver(["cat", "--rev", "v1", "data/nothing"]);
    assert!(
        missing.err().starts_with("error: there is no `nothing` in `data`\n"),
        "{missing}"
    );
    clone.modver(["fetch", "--rev", "v1", "data"]).ok();
    clone.modver(["ls", "--rev", "v1", "-R"]).ok();
}

#[test]
fn diff_compares_any_two() {
    let s = history();
    let diff = |args: &[&str]| lines(&s.repo().modver(["diff"].iter().chain(args)).ok());
    let all = [
        "renamed: model -> best/model",
        "modified: data/ (1 added, 1 modified, 1 deleted, 2 renamed)",
        "modified: data/a (3 B -> 6 B)",
        "deleted: data/b (2 B)",
        "added: data/c (2 B)",
        "renamed: data/dir/ -> data/deep/moved/ (2 files, 4 B)",
    ];
    assert_eq!(diff(&["v2", "HEAD"]), all);
    assert_eq!(diff(&["v2..main"]), all);
    assert_eq!(diff(&["v2.."]), all);
    assert_eq!(diff(&["v2"]), all, "the workspace is as HEAD");
    assert_eq!(diff(&["HEAD~1...HEAD", "--", "best"]), ["added: best/model (8 B)"]);
    assert_eq!(diff(&["v1", "v2"]), ["added: model (8 B)", "deleted: old (20 B)"]);
    assert_eq!(diff(&["v2", "v1"]), ["deleted: model (8 B)", "added: old (20 B)"]);
    assert_eq!(diff(&["v2", "HEAD", "data/a"]).len(), 2);
    assert_eq!(diff(&["HEAD"]), [""; 0]);
    assert_eq!(
        diff(&["v2", "HEAD", "--stat"]),
        [
            "model -> best/model | 1 renamed; +0 B, -0 B",
            "data/ | 1 added, 1 modified, 1 deleted, 2 renamed; +8 B, -5 B"
        ]
    );
    assert_eq!(
        diff(&["v2", "HEAD", "--name-only"]),
        ["best/model", "data/a", "data/b", "data/c", "data/deep/moved"]
    );
    let md = s.repo().modver(["diff", "v2", "HEAD", "--md"]).ok();
    assert!(
        md.starts_with(
            "**Data, from `v2` to `HEAD`**: 1 added, 1 modified, 1 deleted, 3 renamed; +8 B, -5 B\n\n| Output |"
        ),
        "{md}"
    );
    assert!(
        md.contains("| `model` → `best/model` | **renamed** | 1 renamed | 8 B | +0 B | -0 B |\n"),
        "{md}"
    );
    let json = s.repo().modver(["diff", "v2", "HEAD", "--json"]).json();
    assert_eq!(json["outputs"][0]["from"], "model");
    assert_eq!(json["outputs"][1]["files"][3]["from"], "data/dir");
    assert_eq!(json["counts"]["bytes_added"], 8);

    // From where a branch left.
    s.sh("git checkout -q -b side v2; modver checkout -q").ok();
    s.write("data/side", "s\n");
    commit(s.repo(), 9, &["data"]);
    s.sh("git checkout -q main; modver checkout -q").ok();
    assert_eq!(diff(&["main...side"])[1..], ["added: data/side (2 B)"]);
    assert_eq!(diff(&["HEAD...side", "--name-only"]), ["data/side"]);

    // A file that goes from one output to another.
    s.sh("mv data/c best/c").ok();
    commit(s.repo(), 10, &["data", "best/c"]);
    assert_eq!(diff(&["HEAD~1", "HEAD"]), ["renamed: data/c -> best/c"]);
}

#[test]
fn words_of_diff_are_revisions_or_paths_as_for_git() {
    let s = history();
    let diff = |args: &[&str]| s.repo().modver(["diff"].iter().chain(args));
    assert_eq!(diff(&["data"]).ok(), "");
    s.git(["branch", "data", "v1"]).ok();
    let both = diff(&["data"]);
    assert!(
        both.err()
            .starts_with("error: `data` may be a revision or a path\nhint: modver diff data --"),
        "{both}"
    );
    both.fails(2);
    assert_eq!(diff(&["--", "data"]).ok(), "");
    assert!(diff(&["data", "--"]).ok().contains("best/model"));
    assert!(diff(&["data", "HEAD", "--", "data"]).ok().starts_with("modified:"));
    let neither = diff(&["nosuch"]);
    assert!(
        neither
            .err()
            .starts_with("error: `nosuch` is neither a revision nor a path here\n"),
        "{neither}"
    );
    neither.fails(2);
    diff(&["v1", "v2", "HEAD"]).fails(2);
    diff(&["v1..v2", "HEAD"]).fails(2);
    diff(&["v1", "v2", "HEAD", "--"]).fails(2);
    let bad = diff(&["nosuch", "--"]);
    assert!(
        bad.err().starts_with("error: git does not know a revision `nosuch`\n"),
        "{bad}"
    );
    bad.fails(1);
    diff(&["v1", "HEAD", "--", "nosuch"]).fails(1);
    // An output that is gone needs the dashes, as with git.
    diff(&["v1", "HEAD", "old"]).fails(2);
    assert_eq!(diff(&["v1", "HEAD", "--name-only", "--", "old"]).ok(), "old");
    diff(&["--stat", "--md"]).fails(2);
}

#[test]
fn checkout_brings_old_data_beside_new_code() {
    let s = history();
    let state = |path: &str| {
        let json = s.repo().modver(["status", "--json", path]).json();
        json["outputs"][0]["state"].as_str().unwrap().to_owned()
    };
    let pointers = |s: &Scratch| {
        (
            s.read("data.mv"),
            s.read("best/model.mv"),
            s.git(["status", "--porcelain"]).ok(),
        )
    };
    let before = pointers(&s);
    assert!(s.repo().modver(["checkout", "--rev", "v1"]).err().contains("required"));
    s.repo().modver(["checkout", "--rev", "v1"]).fails(2);
    // A single path.
    s.repo().modver(["checkout", "--rev", "v1", "data/a"]).ok();
    assert_eq!(s.read("data/a"), b"a1\n");
    assert!(s.repo().has("data/c") && !s.repo().has("data/b"));
    assert_eq!(state("data"), "modified");
    s.repo().modver(["checkout", "data"]).ok();
    assert_eq!(
        (s.read("data/a"), state("data")),
        (b"a two\n".to_vec(), "unchanged".to_owned())
    );
    // One that is gone.
    s.repo().modver(["checkout", "--rev", "v1", "data/dir", "data/b"]).ok();
    assert!(s.repo().has("data/dir/x") && s.repo().has("data/b") && s.repo().has("data/deep/moved/x"));
    // All of it.
    let whole = s.repo().modver(["checkout", "--rev", "v1", "data"]);
    assert_eq!(whole.err(), "");
    whole.ok();
    assert!(!s.repo().has("data/c") && !s.repo().has("data/deep/moved"));
    assert_eq!(state("data"), "outdated");
    assert_eq!(s.repo().modver(["diff", "v1", "--", "data"]).ok(), "");
    assert_eq!(pointers(&s), before);
    // What is stored nowhere is not lost.
    s.write("data/a", "mine\n");
    s.repo().modver(["checkout", "--rev", "v2", "data/a"]).fails(1);
    assert_eq!(s.read("data/a"), b"mine\n");
    s.repo().modver(["checkout", "--force"]).ok();
    assert_eq!(
        (s.read("data/a"), state("data")),
        (b"a two\n".to_vec(), "unchanged".to_owned())
    );
    // What is not tracked now, and it may be kept.
    let old = s.repo().modver(["checkout", "--rev", "v1", "old"]);
    assert_eq!(old.err(), "note: old is not tracked now; modver add old tracks it\n");
    // No checkout takes it away again.
    s.repo().modver(["checkout", "--quiet"]).ok();
    assert_eq!(
        (s.read("old"), s.repo().has("old.mv")),
        (b"a file that is gone\n".to_vec(), false)
    );
    s.repo().modver(["add", "old", "--quiet"]).ok();
    assert_eq!(state("old"), "unchanged");
    // Nothing there.
    let none = s.repo().modver(["checkout", "--rev", "v1", "data/nothing"]);
    assert!(
        none.err().starts_with("error: there is no `nothing` in `data`\n"),
        "{none}"
    );
    none.fails(1);
    // It was in pieces: `best/model` is a file of its own; in this revision a directory holds it.
    s.sh("git checkout -q -b pieces; modver remove -q best/model").ok();
    commit(s.repo(), 5, &["best"]);
    s.sh("git checkout -q main; rm -r best; git checkout -q .; modver checkout -q")
        .ok();
    s.write("best/model", "another model\n");
    commit(s.repo(), 6, &["best/model"]);
    s.repo().modver(["checkout", "--rev", "pieces", "best"]).fails(1);
    s.repo().modver(["checkout", "--rev", "pieces", "best/model"]).ok();
    assert_eq!(s.read("best/model"), b"a model\n");
    s.sh("git checkout -q -f pieces; modver checkout -q --force").ok();
    let inside = s.repo().modver(["checkout", "--rev", "main", "best/model"]);
    assert!(
        inside.err().contains("was tracked by itself in revision `main`"),
        "{inside}"
    );
    inside.fails(1);
    // What the cache does not have.
    s.repo().modver(["push", "-A", "--quiet"]).ok();
    s.sh("git checkout -q -f main").ok();
    let dir = s.clone_to("clone");
    let clone = s.at(&dir);
    clone.modver(["pull", "--quiet"]).ok();
    let absent = clone.modver(["checkout", "--rev", "v1", "data/dir/x"]);
    assert!(absent.err().ends_with("hint: modver fetch --rev v1 data\n"), "{absent}");
    absent.fails(1);
    let absent = clone.modver(["checkout", "--rev", "v2", "model"]);
    assert_eq!(
        absent.err(),
        "failed: model: its content is not in the cache\nhint: modver fetch --rev v2 TARGET\n"
    );
    absent.fails(1);
    clone.modver(["fetch", "--rev", "v1", "data", "--quiet"]).ok();
    clone.modver(["checkout", "--rev", "v1", "data/dir/x"]).ok();
    assert_eq!(clone.read("data/dir/x"), b"x\n");
}

#[test]
fn a_pointer_that_is_broken_in_an_old_commit_hides_nothing_else() {
    let s = history();
    s.sh("git checkout -q -b broken; echo rubbish > odd.mv; git add .; git commit -qm odd; git checkout -q main")
        .ok();
    let ls = s.repo().modver(["ls", "--rev", "broken"]);
    assert!(ls.err().starts_with("broken: odd.mv: "), "{ls}");
    assert_eq!(lines(&ls.fails(3)), ["best/model", "data/"]);
    s.repo().modver(["du", "--rev", "broken"]).fails(3);
    s.repo().modver(["ls", "--rev", "broken", "data"]).ok();
    assert_eq!(s.repo().modver(["cat", "--rev", "broken", "data/c"]).ok(), "c");
    let cat = s.repo().modver(["cat", "--rev", "broken", "odd"]);
    assert!(
        cat.err().starts_with("error: `odd.mv` is not a valid pointer\n"),
        "{cat}"
    );
    cat.fails(1);
    let diff = s.repo().modver(["diff", "v1", "broken", "--json"]);
    assert_eq!(diff.json()["broken"][0]["path"], "odd.mv");
    diff.fails(3);
    s.repo().modver(["diff", "v1", "broken", "data"]).ok();
}
