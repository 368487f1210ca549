//! `repro --isolated` and `repro --verify`.

use std::fs;

use super::repro::{commit, define, project, ran, ready, results, says};
use super::support::{Scratch, digest};

const STAGE: &str = r#"
[stages.make]
cmd = 'echo make >> "$RUNS"; mkdir -p out && sh code/run.sh > out/all && echo x >> log && cat code/run.sh > copy'
deps = ["code", "data"]
params = ["n"]
outs = ["out", { path = "log", persist = true }, { path = "copy", cache = false }]
"#;

/// A dep that git tracks, one that modver tracks, and one that nobody tracks.
fn sample() -> Scratch {
    let s = ready(STAGE);
    let r = s.repo();
    s.write("code/run.sh", "cat data/a data/in/b\n");
    s.write("data/a", "a\n");
    s.write("data/in/b", "b\n");
    s.write("params.toml", "n = 1\n");
    r.modver(["add", "data"]).ok();
    r.git(["add", "code"]).ok();
    commit(r, "Code");
    s
}

#[test]
fn only_what_is_declared_is_there() {
    let s = sample();
    let r = s.repo();
    r.modver(["repro", "--isolated"]).ok();
    assert_eq!(s.read("out/all"), b"a\nb\n");
    assert_eq!(s.read("log"), b"x\n");
    assert_eq!(ran(&s), ["make"]);
    let again = r.modver(["repro"]);
    says(&again, &["everything is up to date"]);
    commit(r, "Made");

    // An input that is not declared, and that git does not track.
    s.write("secret/key", "k\n");
    s.write(".gitignore", [s.read(".gitignore"), b"/secret\n".to_vec()].concat());
    s.write("code/run.sh", "cat data/a secret/key\n");
    let before = digest(&s.path(""));
    let refused = r.modver(["repro", "--isolated"]);
    says(
        &refused,
        &[
            "stage `make` reads `secret/key`, which it does not declare",
            "hint: add `secret/key` to the deps of `make`",
        ],
    );
    refused.fails(1);
    assert_eq!(digest(&s.path("")), before);
    r.modver(["repro"]).ok();
    assert_eq!(s.read("out/all"), b"a\nk\n");

    // Outputs that are not declared are told and not taken.
    s.write(
        "code/run.sh",
        "cat data/a; echo extra > extra; echo more > code/more; echo changed >> data/a\n",
    );
    let told = r.modver(["repro", "--isolated"]);
    says(
        &told,
        &[
            "`extra` was written and is not declared",
            "`code/more` was",
            "`data/a` was",
        ],
    );
    told.ok();
    assert!(!r.has("extra") && !r.has("code/more"));
    assert_eq!(s.read("data/a"), b"a\n");
    let json = {
        s.write("code/run.sh", "cat data/a; echo extra > extra\n");
        r.modver(["repro", "--isolated", "--json"]).json()
    };
    assert_eq!(results(&json), ["make ran"]);
    assert_eq!(json["stages"][0]["undeclared"][0], "extra");
    // Nothing is left of the directories.
    assert_eq!(fs::read_dir(s.path(".git/modver/stages/isolated")).unwrap().count(), 0);
}

#[test]
fn a_failed_run_in_isolation_leaves_everything() {
    let s = sample();
    let r = s.repo();
    r.modver(["repro"]).ok();
    s.write("code/run.sh", "echo half; exit 5\n");
    let before = digest(&s.path(""));
    let failed = r.modver(["repro", "--isolated"]);
    says(&failed, &["ended with exit code 5"]);
    failed.fails(1);
    assert_eq!(digest(&s.path("")), before);
    s.write("code/run.sh", "echo fine\n");
    define(&s, &STAGE.replace("mkdir -p out && sh code/run.sh > out/all && ", ""));
    let before = digest(&s.path(""));
    let failed = r.modver(["repro", "--isolated"]);
    says(&failed, &["did not make its output `out`"]);
    failed.fails(1);
    assert_eq!(digest(&s.path("")), before);
}

#[test]
fn a_row_of_stages_in_isolation() {
    let s = project();
    s.write("raw/a", "other\n");
    s.repo().modver(["repro", "--isolated"]).ok();
    assert_eq!(ran(&s), ["prepare", "train", "evaluate"]);
    let isolated = digest(&s.path(""));
    s.repo().modver(["repro", "--force"]).ok();
    assert_eq!(digest(&s.path("")), isolated);
}

#[test]
fn what_the_lock_file_says_can_be_made_again() {
    let s = project();
    let r = s.repo();
    r.modver(["push"]).ok();
    let dir = s.clone_to("clone");
    let c = s.at(&dir);
    c.modver(["pull"]).ok();
    let before = digest(&dir);
    let verified = c.modver(["repro", "--verify"]);
    assert_eq!(
        verified.out().split_whitespace().collect::<Vec<_>>(),
        ["identical", "prepare", "identical", "train", "identical", "evaluate"],
        "{verified}"
    );
    verified.ok();
    assert_eq!(ran(&s).len(), 3);
    assert_eq!(digest(&dir), before);
    assert_eq!(c.git(["status", "--porcelain"]).ok(), "");
    let json = c.modver(["repro", "--verify", "train", "--json"]).json();
    assert_eq!(json["stages"][0]["result"], "identical");
    assert_eq!(json["stages"].as_array().unwrap().len(), 1);
    // What is not what the lock file was made from cannot be compared.
    c.write("train.txt", "other\n");
    let verified = c.modver(["repro", "--verify"]);
    says(&verified, &["out of date  train", "`train.txt` changed"]);
    verified.fails(1);
    define(&s, &format!("{}[stages.new]\ncmd = 'true'\n", super::repro::STAGES));
    let verified = r.modver(["repro", "--verify", "new"]);
    says(&verified, &["failed       new", "never ran to its end"]);
    verified.fails(1);
}

#[test]
fn what_is_different_each_time_is_named() {
    let stages = r#"
[stages.random]
cmd = 'echo $$ > id; date +%s%N > out; echo same > fixed; echo "{\"loss\": $LOSS, \"name\": \"n\"}" > m.json'
outs = ["out", "fixed"]
metrics = [{ path = "m.json", tolerance = 0.01 }]
"#;
    let mut s = ready(stages);
    s.set_env("LOSS", "0.5");
    s.repo().modver(["repro"]).ok();
    commit(s.repo(), "Made");
    let before = digest(&s.path(""));
    s.set_env("LOSS", "0.505");
    let verified = s.repo().modver(["repro", "--verify"]);
    says(
        &verified,
        &[
            "different    random",
            "`out` differs",
            "`m.json` differs within its tolerance",
            "`id` was written and is not declared",
        ],
    );
    assert!(!verified.out().contains("fixed"), "{verified}");
    verified.fails(1);
    assert_eq!(digest(&s.path("")), before);
    define(&s, &stages.replace("date +%s%N", "echo"));
    s.repo().modver(["repro"]).ok();
    s.repo().modver(["repro", "--verify"]).ok();
    s.set_env("LOSS", "0.52");
    let verified = s.repo().modver(["repro", "--verify", "--json"]);
    assert_eq!(verified.json()["stages"][0]["differing"][0], "m.json", "{verified}");
    verified.fails(1);
    s.set_env("LOSS", "nonsense");
    s.repo().modver(["repro", "--verify"]).fails(1);

    // A command that fails is no difference.
    let cmd = stages.replace("date +%s%N > out", "echo > out; test -e ../nothing");
    define(&s, &cmd);
    let verified = s.repo().modver(["repro", "--verify"]);
    says(&verified, &["out of date  random"]);
    verified.fails(1);
}

#[test]
fn an_absolute_path_into_the_workspace_is_found() {
    let s = ready("");
    let r = s.repo();
    s.write("in", "1");
    s.write("more", "2");
    let stage = |path: &str, deps: &str| {
        let path = s.path(path);
        format!(
            "[stages.make]\ncmd = \"cat in '{}' > out\"\ndeps = [{deps}]\nouts = ['out']\n",
            path.display()
        )
    };
    define(&s, &stage("more", "'in'"));
    let refused = r.modver(["repro", "--isolated"]);
    says(
        &refused,
        &[
            "reads `more`, which it does not declare",
            "hint: add `more` to the deps",
        ],
    );
    refused.fails(1);
    assert!(!r.has("out"));
    define(&s, &stage("more", "'in', 'more'"));
    r.modver(["repro", "--isolated"]).ok();
    assert_eq!(s.read("out"), b"12");
}
