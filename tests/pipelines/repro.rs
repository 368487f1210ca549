//! `repro`: what runs, what does not, and what becomes of it.

use std::fs;

use serde_json::Value;

use super::support::{Output, Repo, Scratch, digest};

pub(super) const STAGES: &str = r#"
[stages.prepare]
cmd = 'echo prepare >> "$RUNS"; cat raw/a raw/b > data.txt'
deps = ["raw"]
outs = ["data.txt"]

[stages.train]
cmd = 'echo train >> "$RUNS"; mkdir model; cat data.txt train.txt params.toml > model/w; echo "$SEED" > model/seed'
deps = ["data.txt", "train.txt"]
params = ["train.rate"]
env = ["SEED"]
outs = ["model"]

[stages.evaluate]
cmd = 'echo evaluate >> "$RUNS"; echo "{\"size\": $(wc -c < model/w)}" > metrics.json'
deps = ["model"]
metrics = ["metrics.json"]
"#;

/// A repository with a remote, in which stages leave their names in a file outside when they run.
pub(super) fn ready(stages: &str) -> Scratch {
    let mut s = Scratch::new();
    s.set_env("RUNS", s.root().join("runs"));
    fs::create_dir(s.root().join("store")).unwrap();
    let store = s.root().join("store");
    let r = s.repo();
    r.modver(["init"]).ok();
    r.modver(["remote", "add", "store", store.to_str().unwrap()]).ok();
    fs::copy(s.path("mv.toml"), s.root().join("base")).unwrap();
    define(&s, stages);
    s
}

/// These are the stages now.
pub(super) fn define(s: &Scratch, stages: &str) {
    let base = fs::read_to_string(s.root().join("base")).unwrap();
    s.write("mv.toml", format!("{base}\n{stages}"));
}

/// Three stages in a row, in git, run.
pub(super) fn project() -> Scratch {
    let s = ready(STAGES);
    s.write("raw/a", "a\n");
    s.write("raw/b", "b\n");
    s.write("train.txt", "train\n");
    s.write("params.toml", "other = 1\n[train]\nrate = 0.1\n");
    s.repo().modver(["repro"]).ok();
    assert_eq!(ran(&s), ["prepare", "train", "evaluate"]);
    commit(s.repo(), "First");
    s
}

pub(super) fn commit(r: Repo<'_>, message: &str) {
    r.git(["add", "."]).ok();
    r.git(["commit", "-qm", message]).ok();
}

/// The stages that ran since this was last asked.
pub(super) fn ran(s: &Scratch) -> Vec<String> {
    let file = s.root().join("runs");
    let text = fs::read_to_string(&file).unwrap_or_default();
    let _ = fs::remove_file(&file);
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
pub(super) fn says(output: &Output, texts: &[&str]) {
    for text in texts {
        assert!(
            output.err().contains(text) || output.out().contains(text),
            "{text:?} in {output}"
        );
    }
}

/// Result of each stage that is not unchanged, by name, as `NAME RESULT`.
pub(super) fn results(outcome: &Value) -> Vec<String> {
    let stages = outcome["stages"].as_array().unwrap().iter();
    let stages = stages.filter(|stage| stage["result"] != "unchanged");
    stages
        .map(|stage| {
            format!(
                "{} {}",
                stage["stage"].as_str().unwrap(),
                stage["result"].as_str().unwrap()
            )
        })
        .collect()
}

/// Nothing runs, and nothing that git or a user sees changes by one byte.
#[track_caller]
pub(super) fn nothing_to_do(s: &Scratch, r: Repo<'_>, dir: &std::path::Path) {
    let index = fs::read(dir.join(".git/index")).unwrap();
    let before = digest(dir);
    let again = r.modver(["repro", "--all"]);
    assert!(again.err().contains("everything is up to date"), "{again}");
    again.ok();
    assert_eq!(digest(dir), before);
    assert_eq!(fs::read(dir.join(".git/index")).unwrap(), index);
    assert_eq!(ran(s), [""; 0]);
}

#[test]
fn what_is_up_to_date_is_left_alone() {
    let s = project();
    let r = s.repo();
    assert_eq!(r.git(["status", "--porcelain"]).ok(), "");
    let ignored = String::from_utf8(s.read(".gitignore")).unwrap();
    assert!(ignored.contains("/data.txt") && ignored.contains("/model"), "{ignored}");
    assert!(!ignored.contains("metrics"), "{ignored}");
    nothing_to_do(&s, r, &s.path(""));
    // Times mean nothing, nor does what no stage depends on.
    r.sh("touch -d '2001-01-01' raw/a data.txt model/w train.txt params.toml model raw mv.toml mv.lock")
        .ok();
    nothing_to_do(&s, r, &s.path(""));
    s.write("params.toml", "# comment\n[train]\nrate = 0.1\n[more]\na = 1\n");
    s.write("unrelated", "x");
    nothing_to_do(&s, r, &s.path(""));
    assert_eq!(r.modver(["status", "--check"]).code, 0);
}

#[test]
fn every_difference_is_a_reason() {
    let s = project();
    let r = s.repo();
    let lock = s.read("mv.lock");
    // One difference at a time; `reason` is said of `stage`, by the plan and while it runs.
    let check = |args: &[&str], stage: &str, reason: &str| {
        let before = digest(&s.path(""));
        let plan = r.modver([&["repro", "--dry-run"][..], args].concat());
        says(&plan, &[&format!("{stage}\n  {reason}")]);
        plan.ok();
        assert_eq!(digest(&s.path("")), before);
        assert_eq!(ran(&s), [""; 0]);
        let explained = r.modver(["repro", "--explain", stage]);
        says(&explained, &[reason]);
        explained.ok();
        let done = r.modver([&["repro", "--json"][..], args].concat());
        let json = done.json();
        done.ok();
        let stages = json["stages"].as_array().unwrap();
        let found = stages.iter().find(|found| found["stage"] == stage).unwrap();
        assert_eq!(found["result"], "ran", "{reason}: {json}");
        assert!(ran(&s).contains(&stage.to_owned()), "{reason}");
        nothing_to_do(&s, r, &s.path(""));
        assert_ne!(s.read("mv.lock"), lock);
    };
    define(
        &s,
        &STAGES.replace("raw/a raw/b > data.txt", "raw/a raw/b raw/a > data.txt"),
    );
    check(&[], "prepare", "the command changed");
    s.write("train.txt", "another\n");
    check(&[], "train", "`train.txt` changed");
    s.write("raw/c", "c\n");
    check(&[], "prepare", "`raw` changed");
    s.write("params.toml", "[train]\nrate = 0.2\n");
    check(&[], "train", "parameter `train.rate` changed: 0.1 → 0.2");
    let more = STAGES.replace(r#"["train.rate"]"#, r#"["train.rate", "train.seed"]"#);
    s.write("params.toml", "[train]\nrate = 0.2\nseed = 7\n");
    define(&s, &more);
    check(&[], "train", "parameter `train.seed` changed: nothing → 7");
    let more = more.replace(r#"["data.txt", "train.txt"]"#, r#"["data.txt", "train.txt", "raw/a"]"#);
    define(&s, &more);
    check(&[], "train", "it depends on `raw/a` now");
    let more = more.replace("> model/seed'", "> model/seed; echo log > log.txt'");
    let more = more.replace(r#"outs = ["model"]"#, r#"outs = ["model", "log.txt"]"#);
    define(&s, &more);
    check(&[], "train", "it makes `log.txt` now");
    let more = more.replace(r#"outs = ["model", "log.txt"]"#, r#"outs = ["model"]"#);
    define(&s, &more);
    check(&[], "train", "it does not make `log.txt` any more");
    assert!(s.repo().has("log.txt"), "it is the user's now");
    let more = more.replace("[stages.train]\n", "[stages.train]\nwdir = \".\"\nalways = true\n");
    define(&s, &more);
    let always = r.modver(["repro", "-n"]);
    says(&always, &["would run      train\n  it runs each time"]);
}

#[test]
fn variables_count_where_they_are_declared() {
    let mut s = project();
    s.set_env("SEED", "7");
    let plan = s.repo().modver(["repro", "-n"]);
    says(&plan, &["train\n  variable `SEED` changed: not set → `7`"]);
    s.repo().modver(["repro"]).ok();
    assert_eq!(ran(&s), ["train", "evaluate"]);
    assert_eq!(s.read("model/seed"), b"7\n");
    s.set_env("OTHER", "8");
    nothing_to_do(&s, s.repo(), &s.path(""));
    s.set_env("SEED", "8");
    s.repo().modver(["repro"]).ok();
    // The metric has the same content, but its input has not.
    assert_eq!(ran(&s), ["train", "evaluate"]);
}

#[test]
fn outputs_come_back_without_a_run() {
    let s = project();
    let r = s.repo();
    let before = digest(&s.path(""));
    fs::remove_file(s.path("data.txt")).unwrap();
    fs::remove_file(s.path("model/w")).unwrap();
    let plan = r.modver(["repro", "--dry-run"]);
    says(&plan, &["would restore  prepare\n  output `data.txt` is missing"]);
    says(&plan, &["would restore  train\n  output `model` is not what it made"]);
    says(&r.modver(["repro"]), &["restored  prepare", "restored  train"]);
    assert_eq!(digest(&s.path("")), before);
    assert_eq!(ran(&s), [""; 0]);
    nothing_to_do(&s, r, &s.path(""));
    for out in ["data.txt", "model"] {
        r.sh(&format!("rm -rf {out}")).ok();
        let plan = r.modver(["repro", "--dry-run", "--json"]).json();
        assert_eq!(results(&plan).len(), 1, "what is behind it is not concerned: {plan}");
        r.modver(["repro", "--no-run-cache"]).ok();
        assert_eq!(digest(&s.path("")), before);
    }
    fs::remove_file(s.path("metrics.json")).unwrap();
    r.modver(["repro"]).ok();
    assert_eq!(digest(&s.path("")), before);
    assert_eq!(ran(&s), [""; 0], "metrics are kept with the run");

    // What a user wrote into an output is in the cache, wherever it goes.
    s.write("model/w", "mine");
    r.modver(["repro"]).ok();
    assert_eq!(digest(&s.path("")), before);
    assert!(has_content(&s, b"mine"));
}

/// Whether the cache has a file of these bytes.
fn has_content(s: &Scratch, bytes: &[u8]) -> bool {
    use modver::object::Node;
    let node = Node::File {
        id: modver::hash::FileId::of(bytes),
        size: bytes.len() as u64,
        executable: false,
    };
    super::locks::open(&s.path("")).has_content(&node).unwrap()
}

#[test]
fn what_a_user_wrote_into_an_output_survives_a_run() {
    let s = project();
    let r = s.repo();
    s.write("data.txt", "edited by hand");
    s.write("model/extra", "an extra file");
    s.write("raw/a", "new\n");
    r.modver(["repro"]).ok();
    assert_eq!(ran(&s), ["prepare", "train", "evaluate"]);
    assert!(has_content(&s, b"edited by hand"));
    assert!(has_content(&s, b"an extra file"));
    assert!(!r.has("model/extra"));

    // Also what was there before the stage ever ran.
    let stages = format!("{STAGES}[stages.late]\ncmd = 'echo late > late.txt'\nouts = ['late.txt']\n");
    define(&s, &stages);
    s.write("late.txt", "precious");
    r.modver(["repro"]).ok();
    assert_eq!(s.read("late.txt"), b"late\n");
    assert!(has_content(&s, b"precious"));

    // And where the run fails, it is put back.
    s.write("late.txt", "precious again");
    define(
        &s,
        &stages.replace("'echo late > late.txt'", "'echo half > late.txt; exit 3'"),
    );
    r.modver(["repro", "late"]).fails(1);
    assert_eq!(s.read("late.txt"), b"precious again");
}

#[test]
fn what_was_run_before_is_not_run_again() {
    let s = project();
    let r = s.repo();
    let one = digest(&s.path(""));
    s.write("params.toml", "[train]\nrate = 0.5\n");
    r.modver(["repro"]).ok();
    assert_eq!(ran(&s), ["train", "evaluate"]);
    let two = digest(&s.path(""));
    for _ in 0..2 {
        s.write("params.toml", "other = 1\n[train]\nrate = 0.1\n");
        let plan = r.modver(["repro", "-n"]);
        says(
            &plan,
            &["would restore  train\n  parameter `train.rate` changed: 0.5 → 0.1"],
        );
        r.modver(["repro"]).ok();
        assert_eq!(digest(&s.path("")), one);
        s.write("params.toml", "[train]\nrate = 0.5\n");
        let done = r.modver(["repro", "--json"]).json();
        assert_eq!(results(&done), ["train restored", "evaluate restored"]);
        assert_eq!(digest(&s.path("")), two);
    }
    assert_eq!(ran(&s), [""; 0]);
    s.write("params.toml", "other = 1\n[train]\nrate = 0.1\n");
    r.modver(["repro", "--no-run-cache"]).ok();
    assert_eq!(ran(&s)[0], "train");
    r.modver(["repro", "--force", "train"]).ok();
    assert_eq!(ran(&s), ["prepare", "train"]);
    r.modver(["repro", "-f", "-s", "train"]).ok();
    assert_eq!(ran(&s), ["train"]);
    assert_eq!(digest(&s.path("")), one);
}

#[test]
fn another_machine_runs_nothing() {
    let s = project();
    let r = s.repo();
    r.modver(["push"]).ok();
    let dir = s.clone_to("clone");
    let c = s.at(&dir);
    // Nothing is here, but all is known.
    let absent = digest(&dir);
    let outcome = c.modver(["repro", "--allow-missing"]);
    says(&outcome, &["everything is up to date"]);
    outcome.ok();
    assert_eq!(digest(&dir), absent);
    let fetched = s.clone_to("fetched");
    s.at(&fetched).modver(["repro", "--pull"]).ok();
    assert_eq!(digest(&fetched), digest(&s.path("")));
    c.modver(["pull"]).ok();
    nothing_to_do(&s, c, &dir);
    assert_eq!(digest(&dir), digest(&s.path("")));

    // What only a branch of the first ran.
    r.git(["checkout", "-qb", "topic"]).ok();
    s.write("params.toml", "[train]\nrate = 0.9\n");
    r.modver(["repro"]).ok();
    assert_eq!(ran(&s), ["train", "evaluate"]);
    let wanted = digest(&s.path(""));
    let lock = s.read("mv.lock");
    commit(r, "Topic");
    r.modver(["push"]).ok();
    r.git(["checkout", "-q", "main"]).ok();
    c.modver(["pull"]).ok();
    c.write("params.toml", "[train]\nrate = 0.9\n");
    // The outputs themselves are fetched when they are wanted.
    let pulled = c.modver(["repro", "--pull", "--json"]);
    assert_eq!(
        results(&pulled.json()),
        ["train restored", "evaluate restored"],
        "{pulled}"
    );
    assert_eq!(ran(&s), [""; 0]);
    assert_eq!(digest(&dir), wanted);
    assert_eq!(c.read("mv.lock"), lock);
    // In a third, which was told not to.
    let third = s.clone_to("third");
    let t = s.at(&third);
    t.modver(["pull", "--no-run-cache"]).ok();
    t.write("params.toml", "[train]\nrate = 0.9\n");
    t.modver(["repro"]).ok();
    assert_eq!(ran(&s), ["train", "evaluate"]);
}

#[test]
fn absent_inputs_are_named() {
    let s = project();
    s.repo().modver(["push"]).ok();
    let dir = s.clone_to("clone");
    let c = s.at(&dir);
    c.write("train.txt", "other\n");
    let refused = c.modver(["repro", "-s", "train"]);
    says(
        &refused,
        &[
            "stage `train` depends on `data.txt`, which is tracked and not here",
            "modver pull data.txt",
        ],
    );
    refused.fails(1);
    let refused = c.modver(["repro", "-s", "train", "--allow-missing"]);
    says(&refused, &["`data.txt`"]);
    refused.fails(1);
    c.modver(["repro", "-s", "train", "--pull"]).ok();
    assert_eq!(ran(&s), ["train"]);
    assert_eq!(c.read("data.txt"), b"a\nb\n");
    fs::remove_dir_all(s.path("raw")).unwrap();
    let refused = s.repo().modver(["repro"]);
    says(&refused, &["`raw`, which does not exist and which no stage makes"]);
    refused.fails(1);
    s.write("row/a", "");
    says(&s.repo().modver(["repro"]), &["there is `row`"]);
}

#[test]
fn the_choice_of_stages() {
    let s = ready(
        r#"
[stages.a]
cmd = 'echo a >> "$RUNS"; cat in > a.txt'
deps = ["in"]
outs = ["a.txt"]
[stages.b]
cmd = 'echo b >> "$RUNS"; cat a.txt > b.txt'
deps = ["a.txt"]
outs = ["b.txt"]
[stages.b2]
cmd = 'echo b2 >> "$RUNS"; cat a.txt > b2.txt'
deps = ["a.txt"]
outs = ["b2.txt"]
[stages.other]
cmd = 'echo other >> "$RUNS"; echo > other.txt'
outs = ["other.txt"]
[stages.grid]
matrix = { x = [1, 2] }
cmd = 'echo grid@${x} >> "$RUNS"; echo ${x} > grid-${x}.txt'
outs = ["grid-${x}.txt"]
"#,
    );
    let r = s.repo();
    s.write("in", "1");
    r.write(
        "sub/mv.toml",
        "[stages.c]\ncmd = 'echo c >> \"$RUNS\"; cat ../b.txt > c.txt'\ndeps = ['../b.txt']\nouts = ['c.txt']\n",
    );
    let chosen = |args: &[&str]| {
        r.modver([&["repro", "-f", "-j1"][..], args].concat()).ok();
        let mut ran = ran(&s);
        ran.sort();
        ran.join(" ")
    };
    assert_eq!(chosen(&["b"]), "a b");
    assert_eq!(chosen(&[]), "a b b2 grid@1 grid@2 other");
    assert_eq!(chosen(&["--all"]), "a b b2 c grid@1 grid@2 other");
    assert_eq!(chosen(&["-s", "b"]), "b");
    assert_eq!(chosen(&["--downstream", "b"]), "b c");
    assert_eq!(chosen(&["-p", "b2"]), "a b b2 c");
    assert_eq!(chosen(&["--glob", "b*", "-s"]), "b b2");
    assert_eq!(chosen(&["grid"]), "grid@1 grid@2");
    assert_eq!(chosen(&["grid@2"]), "grid@2");
    assert_eq!(chosen(&["sub/mv.toml:c"]), "a b c");
    assert_eq!(chosen(&["sub/c.txt"]), "a b c");
    let sub = s.path("sub");
    s.at(&sub).modver(["repro", "-f", "-s"]).ok();
    assert_eq!(ran(&s), ["c"]);
    assert_eq!(s.read("sub/c.txt"), b"1");
    assert!(r.has("sub/mv.lock") && r.has("sub/.gitignore"));
    commit(r, "All");
    nothing_to_do(&s, r, &s.path(""));
    let wrong = r.modver(["repro", "gird"]);
    says(&wrong, &["gird", "grid"]);
    assert!(matches!(wrong.code, 1 | 2), "{wrong}");

    // Frozen stages stay, and say so only where they are out of date.
    r.modver(["freeze", "a"]).ok();
    nothing_to_do(&s, r, &s.path(""));
    s.write("in", "2");
    says(&r.modver(["repro", "-n"]), &["frozen         a\n  `in` changed"]);
    let frozen = r.modver(["repro"]);
    says(&frozen, &["frozen    a"]);
    frozen.ok();
    assert_eq!(ran(&s), [""; 0]);
    r.modver(["unfreeze", "a"]).ok();
    says(&r.modver(["repro", "-n"]), &["would run      b\n  `a` runs first"]);
    r.modver(["repro"]).ok();
    assert_eq!(ran(&s).len(), 3);
}

#[test]
fn what_stages_read_and_write_may_lie_in_each_other() {
    let s = ready(
        r#"
[stages.split]
cmd = 'echo split >> "$RUNS"; mkdir -p parts/in; cut -c1 in > parts/in/one; cut -c2 in > parts/two'
deps = ["in"]
outs = ["parts"]
[stages.one]
cmd = 'echo one >> "$RUNS"; cat parts/in/one > all/one'
deps = ["parts/in"]
outs = ["all/one"]
[stages.two]
cmd = 'echo two >> "$RUNS"; cat parts/two > all/two'
deps = ["parts/two"]
outs = ["all/two"]
[stages.sum]
cmd = 'echo sum >> "$RUNS"; cat all/* > sum'
deps = ["all"]
outs = ["sum"]
[stages.values]
cmd = 'echo values >> "$RUNS"; echo "{\"n\": $(cat sum | wc -l)}" > values.json'
deps = ["sum"]
outs = ["values.json"]
[stages.last]
cmd = 'echo last >> "$RUNS"; cp values.json last'
params = [{ file = "values.json", keys = ["n"] }]
outs = ["last"]
"#,
    );
    s.write("in", "12\n");
    let r = s.repo();
    r.modver(["repro", "-j4"]).ok();
    assert_eq!(ran(&s).len(), 6);
    commit(r, "All");
    nothing_to_do(&s, r, &s.path(""));
    s.write("in", "13\n");
    let done = r.modver(["repro", "--json"]).json();
    assert_eq!(results(&done), ["split ran", "two ran", "sum ran", "values ran"]);
    assert_eq!(s.read("sum"), b"1\n3\n");
    commit(r, "Two");
    let digested = digest(&s.path(""));
    r.modver(["push"]).ok();
    let dir = s.clone_to("clone");
    s.at(&dir).modver(["repro", "--pull"]).ok();
    assert_eq!(digest(&dir), digested);
    ran(&s);
    // What is missing in one part.
    r.sh("rm -r parts/in").ok();
    r.modver(["repro"]).ok();
    assert_eq!(ran(&s), [""; 0]);
    assert_eq!(digest(&s.path("")), digested);
}

#[test]
fn outputs_of_git_and_of_nobody() {
    let stages = r#"
[stages.make]
cmd = 'echo make >> "$RUNS"; cat in > big; cat in > small.txt; echo "{}" > m.json'
deps = ["in"]
outs = ["big", { path = "small.txt", cache = false }]
metrics = ["m.json"]
"#;
    let s = ready(stages);
    let r = s.repo();
    s.write("in", "1");
    r.modver(["repro"]).ok();
    commit(r, "One");
    assert!(r.git(["ls-files"]).ok().contains("small.txt"));
    ran(&s);
    nothing_to_do(&s, r, &s.path(""));
    s.write("in", "2");
    r.modver(["repro"]).ok();
    assert_eq!(s.read("small.txt"), b"2");
    assert_eq!(ran(&s), ["make"]);
    s.write("in", "1");
    r.modver(["repro"]).ok();
    assert_eq!(ran(&s), ["make"], "what is not kept cannot be restored");
    // They are nobody's to remove, also when the stage goes.
    define(&s, "");
    r.modver(["checkout"]).ok();
    r.modver(["gc"]).ok();
    assert_eq!(
        (s.read("small.txt"), s.read("m.json")),
        (b"1".to_vec(), b"{}\n".to_vec())
    );
    // Nor may a stage take what git tracks.
    define(
        &s,
        &stages
            .replace(r#""big""#, r#""big", "in2""#)
            .replace("> big", "> big; echo x > in2"),
    );
    s.write("in2", "git's");
    r.git(["add", "in2"]).ok();
    let before = digest(&s.path(""));
    let refused = r.modver(["repro"]);
    says(
        &refused,
        &[
            "`in2` is an output of stage `make` and tracked by git",
            "git rm -r --cached in2",
        ],
    );
    refused.fails(1);
    assert_eq!(digest(&s.path("")), before);
    assert_eq!(ran(&s), [""; 0]);
}

#[test]
fn without_storing() {
    let s = ready(STAGES);
    let r = s.repo();
    for file in ["raw/a", "raw/b", "train.txt"] {
        s.write(file, file);
    }
    s.write("params.toml", "[train]\nrate = 0.1\n");
    r.modver(["repro", "--no-commit"]).ok();
    assert_eq!(ran(&s).len(), 3);
    let data = s.read("data.txt");
    assert!(!has_content(&s, &data));
    nothing_to_do_unstaged(&s);
    r.modver(["commit"]).ok();
    assert!(has_content(&s, &data));
    nothing_to_do_unstaged(&s);
    fs::remove_file(s.path("data.txt")).unwrap();
    r.modver(["checkout"]).ok();
    assert_eq!(s.read("data.txt"), data);
    assert_eq!(ran(&s), [""; 0]);
}

fn nothing_to_do_unstaged(s: &Scratch) {
    let again = s.repo().modver(["repro"]);
    says(&again, &["everything is up to date"]);
    again.ok();
}

#[test]
fn explained_key_by_key_and_file_by_file() {
    let s = project();
    let r = s.repo();
    s.write("raw/a", "other");
    s.write("raw/in/new", "new");
    fs::remove_file(s.path("raw/b")).unwrap();
    let explained = r.modver(["repro", "--explain", "prepare"]);
    says(
        &explained,
        &[
            "`raw` changed",
            "  modified raw/a",
            "  deleted raw/b",
            "  added raw/in/new",
        ],
    );
    explained.ok();
    define(&s, &STAGES.replace("cat data.txt", "tac data.txt"));
    s.write("model/w", "");
    let explained = r.modver(["repro", "--explain", "train"]);
    says(
        &explained,
        &[
            "the command changed",
            "  - echo train",
            "  + echo train",
            "tac data.txt",
            "output `model` is not what it made",
            "  modified model/w",
        ],
    );
    for args in [&["--explain", "train"][..], &["--dry-run"], &["--explain", "evaluate"]] {
        let json = r.modver([&["repro", "--json"][..], args].concat()).json();
        assert!(json.is_object());
    }
    says(&r.modver(["repro", "--explain", "evaluate"]), &["output", "model"][1..]);
    assert_eq!(ran(&s), [""; 0]);
}

#[test]
fn logs_and_runs() {
    let s = ready(
        r#"
[stages.talk]
cmd = ["echo one; echo two >&2", "printf three; cat in > out"]
deps = ["in"]
outs = ["out"]
params = ["n"]
"#,
    );
    let r = s.repo();
    s.write("in", "1");
    s.write("params.toml", "n = 7\n");
    says(&r.modver(["runs"]), &["nothing was run yet"]);
    let none = r.modver(["logs", "talk"]);
    says(&none, &["has no log here"]);
    none.fails(1);
    commit(r, "First");
    let shown = r.modver(["repro"]);
    says(&shown, &["one", "two", "three", "ran       talk"]);
    assert_eq!(r.modver(["logs", "talk"]).ok(), "one\ntwo\nthree");
    s.write("in", "2");
    define(
        &s,
        "[stages.talk]\ncmd = 'echo bad; exit 9'\ndeps = ['in']\nouts = ['out']\nparams = ['n']\n",
    );
    let failed = r.modver(["repro"]);
    says(&failed, &["ended with exit code 9", "hint: modver logs talk"]);
    failed.fails(1);
    assert_eq!(r.modver(["logs", "talk"]).ok(), "bad");
    let list = r.modver(["runs", "talk"]);
    let lines: Vec<String> = list.out().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{list}");
    assert!(lines[0].ends_with("exit 9") && lines[1].ends_with("ok"), "{list}");
    let json = r.modver(["runs", "--json"]).json();
    let good = &json["runs"][1];
    assert_eq!(good["dirty"], false, "as it was before the stage ran: {good}");
    assert_eq!(json["runs"][0]["dirty"], true);
    assert!(json["runs"][0]["diff"].is_string());
    assert_eq!(good["params"]["params.toml"]["n"], 7);
    assert_eq!(good["outs"]["out"]["file"]["size"], 1);
    assert_eq!(good["commit"].as_str().unwrap(), r.git(["rev-parse", "HEAD"]).ok());
    assert_eq!(good["exit"], 0);
    let id = good["id"].as_str().unwrap().to_owned();
    let show = r.modver(["runs", "show", &id[..10]]);
    says(&show, &["stage = \"talk\"", "exit = 0"]);
    let shown = r.modver(["runs", "show", &id, "--json"]).json();
    assert!(shown.to_string().contains(&id));
    assert_eq!(
        r.modver(["runs", "-n", "1", "--json"]).json()["runs"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    r.modver(["runs", "show", "ffffffffffff"]).fails(1);
    let logs = r.modver(["logs", "talk", "--json"]);
    assert!(logs.json().is_object());
    // Times are nowhere in the lock file.
    assert!(!String::from_utf8(s.read("mv.lock")).unwrap().contains("time"));
}
