//! What a stage leaves when it goes, what it leaves when it fails, and what of a directory never was an input.

use std::fs;

use super::repro::{STAGES, commit, define, nothing_to_do, project, ran, ready, results, says};
use super::support::digest;

#[test]
fn a_stage_that_was_taken_out_by_hand_leaves_the_lock_file() {
    let s = project();
    let r = s.repo();
    let lock = s.read("mv.lock");
    let without = STAGES.split("[stages.evaluate]").next().unwrap();
    let without_train = without.split("[stages.train]").next().unwrap();
    // A file that cannot be read says nothing of what is gone.
    define(&s, &format!("{without_train}[stages.broken"));
    r.modver(["repro"]).fails(1);
    assert_eq!(s.read("mv.lock"), lock);
    let status = r.modver(["status"]);
    assert!(!status.out().contains("gone"), "{status}");

    define(&s, without_train);
    let status = r.modver(["status"]);
    says(
        &status,
        &["stage gone:       evaluate (in mv.lock", "stage gone:       train"],
    );
    says(&status, &["hint: modver repro --all"]);
    let json = r.modver(["status", "--json"]).json();
    assert_eq!(json["stages_gone"][1], "train");
    // With targets nobody asked for it; a plan changes nothing.
    r.modver(["repro", "prepare"]).ok();
    let plan = r.modver(["repro", "--dry-run"]);
    says(&plan, &["would remove   train (no longer in mv.toml"]);
    plan.ok();
    assert_eq!(s.read("mv.lock"), lock);
    let done = r.modver(["repro"]);
    says(&done, &["removed   evaluate", "removed   train"]);
    done.ok();
    let text = String::from_utf8(s.read("mv.lock")).unwrap();
    assert!(text.contains("[stages.prepare]") && !text.contains("train"), "{text}");
    assert!(r.has("model/w") && r.has("metrics.json"));
    assert_eq!(s.read(".gitignore"), b"/data.txt\n");
    assert_eq!(ran(&s), [""; 0]);
    nothing_to_do(&s, r, &s.path(""));

    // It comes back as it was, without being run.
    define(&s, STAGES);
    r.modver(["repro"]).ok();
    assert_eq!(ran(&s), [""; 0]);
    assert_eq!(s.read("mv.lock"), lock);

    // With the last stage, and with the file itself, the lock file goes.
    define(&s, "");
    r.modver(["repro", "--all"]).ok();
    assert!(!r.has("mv.lock"));
    s.write("sub/mv.toml", "[stages.a]\ncmd = 'echo > a'\nouts = ['a']\n");
    r.modver(["repro", "--all"]).ok();
    fs::remove_file(s.path("sub/mv.toml")).unwrap();
    says(&r.modver(["status"]), &["sub/mv.toml:a"]);
    let done = r.modver(["repro", "--all", "--json"]);
    assert_eq!(done.json()["gone"][0], "sub/mv.toml:a");
    assert!(!r.has("sub/mv.lock") && r.has("sub/a"));
}

#[test]
fn a_stage_of_another_name_takes_over() {
    let stage = |name: &str, cmd: &str| format!("[stages.{name}]\ncmd = '{cmd}'\ndeps = ['in']\nouts = ['out']\n");
    let s = ready(&stage("old", "cat in > out"));
    let r = s.repo();
    s.write("in", "1");
    r.modver(["repro"]).ok();
    // As long as the new one did not make it, the old one says what it is.
    define(&s, &stage("new", "false"));
    r.modver(["repro"]).fails(1);
    let lock = String::from_utf8(s.read("mv.lock")).unwrap();
    assert!(lock.contains("[stages.old]"), "{lock}");
    assert_eq!(s.read(".gitignore"), b"/out\n");
    define(&s, &stage("new", "cat in in > out"));
    says(&r.modver(["repro"]), &["ran       new", "removed   old"]);
    let lock = String::from_utf8(s.read("mv.lock")).unwrap();
    assert!(
        lock.contains("[stages.new]") && !lock.contains("[stages.old]"),
        "{lock}"
    );
    assert_eq!(s.read(".gitignore"), b"/out\n");
    assert_eq!(s.read("out"), b"11");
}

#[test]
fn members_of_a_pattern_are_gone_when_their_files_are() {
    let s = ready(
        "[stages.copy]\nforeach = { glob = 'raw/*' }\ncmd = 'cp ${item} out-${key}'\ndeps = ['${item}']\nouts = ['out-${key}']\n\
         [stages.fix]\nforeach = [1, 2]\ncmd = 'cat raw/a > fix-${item}'\ndeps = ['raw/a']\nouts = ['fix-${item}']\n",
    );
    let r = s.repo();
    s.write("raw/a", "a");
    s.write("raw/b", "b");
    r.modver(["add", "raw"]).ok();
    r.modver(["repro"]).ok();
    commit(r, "Made");
    r.modver(["push"]).ok();
    // A clone without data has no files, and forgets nothing.
    let dir = s.clone_to("clone");
    let c = s.at(&dir);
    let lock = c.read("mv.lock");
    let _ = c.modver(["repro", "--allow-missing"]);
    assert_eq!(c.read("mv.lock"), lock);
    assert!(!c.modver(["status"]).out().contains("stage gone"));
    // Files that are gone, and tracked no more.
    r.modver(["remove", "raw"]).ok();
    fs::remove_file(s.path("raw/b")).unwrap();
    let text = String::from_utf8(s.read("mv.toml")).unwrap();
    s.write("mv.toml", text.replace("[1, 2]", "[1]"));
    let json = r.modver(["repro", "--json"]).json();
    assert_eq!(json["gone"].as_array().unwrap().len(), 2, "{json}");
    assert_eq!(
        (&json["gone"][0], &json["gone"][1]),
        (&"copy@b".into(), &"fix@2".into())
    );
}

#[test]
fn a_plan_fetches_nothing() {
    let s = project();
    s.repo().modver(["push"]).ok();
    let dir = s.clone_to("clone");
    let c = s.at(&dir);
    let plan = c.modver(["repro", "--dry-run", "--pull", "--json"]);
    assert_eq!(results(&plan.json()), ["prepare restored", "train restored"], "{plan}");
    let info = c.modver(["cache", "info", "--json"]).json();
    let before = digest(&dir);
    // Listings may have come; no content has.
    assert!(c.modver(["verify"]).code == 0);
    assert_eq!(info["chunks"], 0, "{info}");
    assert_eq!(digest(&dir), before);
    c.modver(["repro", "--pull"]).ok();
    assert_eq!(ran(&s), [""; 0]);
    // What the remote does not have would run.
    let s = project();
    let dir = s.clone_to("clone");
    let plan = s.at(&dir).modver(["repro", "--dry-run", "--pull", "--json"]);
    assert!(results(&plan.json()).contains(&"prepare ran".to_owned()), "{plan}");
}

#[test]
fn a_failed_first_run_leaves_no_directories() {
    let s = ready(
        "[stages.make]\ncmd = 'echo half > a/b/out; test -e in && touch a/extra'\nouts = ['a/b/out', 'c/d/e/other', 'there/x']\n",
    );
    let r = s.repo();
    fs::create_dir(s.path("there")).unwrap();
    let before = digest(&s.path(""));
    r.modver(["repro"]).fails(1);
    assert_eq!(digest(&s.path("")), before);
    // What somebody else put there stays, with its directory.
    s.write("in", "1");
    r.modver(["repro"]).fails(1);
    assert!(r.has("a/extra") && !r.has("a/b") && !r.has("c"));
}

#[test]
fn what_tools_leave_beside_sources_is_no_input() {
    let s = ready(
        "[stages.make]\ncmd = 'echo make >> \"$RUNS\"; mkdir -p src/__pycache__; date +%s%N > src/__pycache__/a.pyc; cat src/a > out'\n\
         deps = ['src']\nouts = ['out']\n",
    );
    let r = s.repo();
    s.write("src/a", "1");
    s.write("src/deep/b", "1");
    s.write(".gitignore", "__pycache__/\n*.csv\n");
    r.modver(["repro"]).ok();
    assert_eq!(ran(&s), ["make"]);
    for noise in [
        "src/__pycache__/b.pyc",
        "src/deep/__pycache__/b.pyc",
        "src/.ipynb_checkpoints/x.ipynb",
        "src/.DS_Store",
        "src/deep/.mypy_cache/3.12/x",
    ] {
        s.write(noise, "noise");
    }
    let again = r.modver(["repro"]);
    says(&again, &["everything is up to date"]);
    says(
        &r.modver(["repro", "--explain", "make"]),
        &["make is up to date", "`src/deep/__pycache__` does not count"],
    );
    let json = r.modver(["repro", "--explain", "make", "--json"]).json();
    assert_eq!(json["left_out"].as_array().unwrap().len(), 5, "{json}");
    // What git ignores may well be what a stage reads.
    s.write("src/data.csv", "1");
    says(&r.modver(["repro", "--dry-run"]), &["`src` changed"]);
    r.modver(["repro"]).ok();
    // A rule can bring back, and leave out.
    s.write("src/.mvignore", "!.ipynb_checkpoints/\n*.csv\n");
    r.modver(["repro"]).ok();
    ran(&s);
    s.write("src/data.csv", "2");
    says(&r.modver(["repro"]), &["everything is up to date"]);
    s.write("src/.ipynb_checkpoints/x.ipynb", "other");
    says(&r.modver(["repro", "--dry-run"]), &["`src` changed"]);
    // Nor is it there in isolation.
    s.write("src/.ipynb_checkpoints/x.ipynb", "noise");
    let text = String::from_utf8(s.read("mv.toml")).unwrap();
    s.write(
        "mv.toml",
        text.replace("cat src/a >", "cat src/a src/deep/__pycache__/b.pyc >"),
    );
    let refused = r.modver(["repro", "--isolated"]);
    says(
        &refused,
        &["reads `src/deep/__pycache__/b.pyc`, which it does not declare"],
    );
    refused.fails(1);
    // A stage that says what it is about by its own directory is up to date when it has run.
    s.write("lint/mv.toml", "[stages.lint]\ncmd = 'ls'\ndeps = ['.']\n");
    r.modver(["repro", "lint"]).ok();
    says(&r.modver(["repro", "lint"]), &["everything is up to date"]);
    // Another file that it writes into what it reads is told.
    s.write(
        "mv.toml",
        text.replace("date +%s%N > src/__pycache__/a.pyc", "date +%s%N > src/log"),
    );
    let refused = r.modver(["repro"]);
    says(
        &refused,
        &["changed its input `src` while it ran", "hint: name in .mvignore"],
    );
    refused.fails(1);
}

#[test]
fn runs_are_forgotten_when_they_are_old_and_nothing_names_them() {
    let s = ready("[stages.make]\ncmd = 'cat in > out; cat in'\ndeps = ['in']\nouts = ['out']\n");
    let r = s.repo();
    let runs = || r.modver(["runs", "--json"]).json()["runs"].as_array().unwrap().len();
    for n in 1..=3 {
        s.write("in", format!("{n}\n"));
        r.modver(["repro"]).ok();
    }
    s.write("in", "4");
    define(&s, "[stages.make]\ncmd = 'false'\ndeps = ['in']\nouts = ['out']\n");
    r.modver(["repro"]).fails(1);
    commit(r, "Three");
    assert_eq!(runs(), 4);
    let gc = |args: &[&str]| {
        let always = [
            "gc",
            "--workspace",
            "--delete-data-that-exists-nowhere-else",
            "--runs-older-than",
        ];
        r.modver([&always[..], args].concat())
    };
    gc(&["1", "--yes"]).ok();
    assert_eq!(runs(), 4);
    std::thread::sleep(std::time::Duration::from_millis(5));
    let plan = gc(&["0"]);
    says(&plan, &["would forget 3 runs of stages", "hint: the same with --yes"]);
    plan.ok();
    assert_eq!(runs(), 4);
    let done = gc(&["0", "--yes"]);
    says(&done, &["forgot 3 runs of stages"]);
    done.ok();
    // That of what is checked out stays, with its log.
    assert_eq!(runs(), 1);
    r.modver(["verify"]).ok();
    let id = r.modver(["runs", "--json"]).json()["runs"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    says(&r.modver(["runs", "show", &id]), &["make"]);
    r.modver(["gc", "--runs-older-than", "0"]).fails(1);
}

#[test]
fn a_stage_can_be_added_and_run() {
    let s = ready("");
    let r = s.repo();
    s.write("in", "1");
    let added = r.modver(["stage", "add", "make", "--run", "-d", "in", "-o", "out", "cat in > out"]);
    says(&added, &["added make to mv.toml", "ran       make"]);
    added.ok();
    assert_eq!(s.read("out"), b"1");
    r.modver(["stage", "add", "bad", "--run", "false"]).fails(1);
    says(&r.modver(["stage", "list"]), &["bad"]);
    let json = r.modver(["stage", "add", "more", "--run", "--json", "true"]).json();
    assert_eq!(
        (&json["stage"], &json["run"]["stages"][0]["result"]),
        (&"more".into(), &"ran".into())
    );
}
