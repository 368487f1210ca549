//! What `mv.toml` says, as `stage list` understands it, and what is wrong with it.

use serde_json::json;

use super::support::Scratch;

/// What a wrong `mv.toml` in `sub/` or at the root is answered with.
#[track_caller]
fn refused(s: &Scratch, text: &str) -> String {
    s.write("mv.toml", text);
    let listed = s.repo().modver(["stage", "list", "--all"]);
    let message = listed.err();
    listed.fails(1);
    message
}

#[test]
fn stages_are_listed_as_they_are_understood() {
    let s = Scratch::new();
    s.write("params.toml", "[train]\nepochs = 10\nrates = [0.1, 0.01]\n");
    s.write(
        "more.yaml",
        "models:\n  - cnn\n  - rnn\nflags: { depth: 3, verbose: true }\n",
    );
    s.write("raw/de.csv", "");
    s.write("raw/fr.csv", "");
    s.write("sub/.keep", "");
    s.write(
        "mv.toml",
        r#"vars = ["more.yaml"]

[core]
jobs = 2

[stages.clean]
foreach = { glob = "raw/*.csv" }
cmd = "clean ${item} > data/${key}.csv"
deps = ["${item}"]
outs = ["data/${key}.csv"]

[stages.train]
desc = "Train a model"
matrix = { model = "${models}", rate = "${train.rates}" }
cmd = "train --model ${item.model} --rate ${item.rate} ${flags} \\${HOME}"
deps = ["data"]
params = ["train.epochs"]
outs = ["models/${key}.bin"]
metrics = ["metrics/${key}.json"]
timeout = "10m"
"#,
    );
    assert_eq!(
        s.repo().modver(["stage", "list"]).ok(),
        "clean@de        makes data/de.csv\n\
         clean@fr        makes data/fr.csv\n\
         train@cnn-0.01  Train a model\n\
         train@cnn-0.1   Train a model\n\
         train@rnn-0.01  Train a model\n\
         train@rnn-0.1   Train a model"
    );
    let sub = s.path("sub");
    let listed = s.at(&sub).modver(["stage", "list", "--json", "train@rnn-0.1"]).json();
    let stage = &listed["stages"][0];
    assert_eq!(
        stage["cmd"],
        json!(["train --model rnn --rate 0.1 --depth 3 --verbose ${HOME}"])
    );
    assert_eq!(stage["line"], 12);
    assert_eq!(stage["group"], "train");
    assert_eq!(stage["timeout"], 600.0);
    assert_eq!(stage["after"], json!(["clean@de", "clean@fr"]));
    assert_eq!(
        stage["params"],
        json!([{ "file": "params.toml", "keys": ["train.epochs"] }])
    );
    assert_eq!(stage["outs"][0]["path"], "metrics/rnn-0.1.json");
    assert_eq!(stage["outs"][0]["cache"], false);
    assert_eq!(stage["outs"][1]["cache"], true);
    let named = |args: &[&str]| {
        let args = ["stage", "list", "--name-only"].iter().chain(args);
        s.at(&sub).modver(args).ok()
    };
    assert_eq!(named(&["clean"]), "clean@de\nclean@fr");
    assert_eq!(named(&["../data/de.csv"]), "clean@de");
    assert_eq!(named(&["../mv.toml"]).lines().count(), 6);
}

#[test]
fn each_directory_may_have_a_project_file() {
    let s = Scratch::new();
    s.write("mv.toml", "[stages.a]\ncmd = 'x'\nouts = ['a']\n");
    s.write(
        "deep/er/mv.toml",
        "[stages.a]\ncmd = 'x'\nwdir = 'w'\ndeps = ['../../../a']\nouts = ['../o']\n",
    );
    s.write("ignored/mv.toml", "not toml\n");
    s.write(".gitignore", "/ignored\n");
    let er = s.path("deep/er");
    let list = |args: &[&str]| s.at(&er).modver(["stage", "list"].iter().chain(args));
    assert_eq!(list(&[]).ok(), "deep/er/mv.toml:a  makes deep/er/o");
    assert_eq!(
        list(&["--all"]).ok(),
        "a                  makes a\ndeep/er/mv.toml:a  makes deep/er/o"
    );
    assert_eq!(list(&["../../mv.toml:a"]).ok(), "a  makes a");
    assert_eq!(list(&["../../deep"]).ok(), "deep/er/mv.toml:a  makes deep/er/o");
    assert_eq!(
        s.repo().modver(["stage", "list", "deep/mv.toml:a"]).err(),
        "error: there is no stage, output or project file `deep/mv.toml:a`\n\
         hint: did you mean deep/er/mv.toml:a?\n"
    );
    s.write("deep/er/mv.toml", "[core]\njobs = 1\n");
    let refused = list(&["--all"]);
    assert_eq!(
        refused.err(),
        "error: deep/er/mv.toml:1: `core` are settings, which belong into the `mv.toml` at the root of the repository\n"
    );
    refused.fails(1);
}

#[test]
fn every_mistake_has_its_line_and_the_right_spelling() {
    let s = Scratch::new();
    s.write("params.toml", "[train]\nepochs = 10\n");
    s.write("params.yaml", "a: [\n");
    for (text, message) in [
        (
            "[stages.a]\ncmd = 'x'\n\nmetric = ['y']\n",
            "mv.toml:4: unknown key `stages.a.metric`; did you mean `metrics`?",
        ),
        (
            "[stages.a]\ncmd = 'x'\nalways_changed = true\n",
            "mv.toml:3: unknown key `stages.a.always_changed`\nhint: always = true",
        ),
        (
            "[stages.a]\ncmd = 'x'\noutputs = ['y']\n",
            "mv.toml:3: unknown key `stages.a.outputs`\nhint: outs = [\"PATH\"]",
        ),
        (
            "[stages.a]\ncmd = [\n  'x',\n  'y ${train.epoch}',\n]\n",
            "mv.toml:4: unknown variable `train.epoch`; did you mean `train.epochs`?",
        ),
        (
            "[stages.a]\ncmd = 'x ${HOME}'\n",
            "mv.toml:2: unknown variable `HOME`\nhint: for a variable of the shell write $HOME, or \\${HOME} in single quotes",
        ),
        (
            "vars = ['params.yaml']\n[stages.a]\ncmd = 'x'\n",
            "params.yaml:1:4: not valid YAML: ",
        ),
        (
            "vars = ['parms.toml']\n[stages.a]\ncmd = 'x'\n",
            "mv.toml:1: there is no file of variables `parms.toml`; did you mean `params.toml`?",
        ),
        (
            "[stages.a]\ncmd = 'x'\ndeps = ['c']\nouts = ['a']\n[stages.b]\ncmd = 'x'\ndeps = ['a']\nouts = ['b']\n\
             [stages.c]\ncmd = 'x'\ndeps = ['b/x']\nouts = ['c']\n",
            "mv.toml:1: stages depend on each other in a circle: `a` → `b` → `c` → `a`",
        ),
        (
            "[stages.a]\ncmd = 'x'\nouts = ['out']\n[stages.b]\ncmd = 'y'\nouts = ['out/b']\n",
            "mv.toml:4: output `out/b` of stage `b` overlaps output `out` of stage `a` (mv.toml:1)",
        ),
        (
            "[stages.a]\ncmd = 'x'\nouts = ['../out']\n",
            "mv.toml:3: output `../out` is outside the repository",
        ),
        (
            "[stages.a]\ncmd = 'x'\nouts = ['.git/hooks']\n",
            "mv.toml:3: output `.git/hooks` is in git's own directory",
        ),
        (
            "[stages.a]\ncmd = 'x'\nouts = ['/out']\n",
            "mv.toml:3: output `/out` is absolute; paths start at the stage's `wdir`",
        ),
        (
            "[stages.a]\ncmd = 'x'\ntimeout = 'soon'\n",
            "mv.toml:3: `stages.a.timeout` is `soon`: not a duration, such as \"90s\", \"10m\" or \"1h30m\"",
        ),
        (
            "[stages.a]\ncmd = 'x'\ndeps = [1]\n",
            "mv.toml:3: `stages.a.deps` must be a list of strings, not an integer",
        ),
        (
            "[stages.a]\ncmd = 'x'\ndeps = ['s3://bucket/x']\n",
            "mv.toml:3: dep `s3://bucket/x` is a URL, not a path in the repository\n\
             hint: modver import-url URL, and use the file it makes",
        ),
    ] {
        let said = refused(&s, text);
        assert!(said.starts_with(&format!("error: {message}")), "{text}\n{said}");
    }
    let twice = "[stages.a]\ncmd = 'x'\n\n[stages.b]\ncmd = 'x'\n\n[stages.a]\ncmd = 'y'\n";
    assert!(refused(&s, twice).contains("mv.toml:7:9: there are two definitions of `a`"));
    // What is no TOML the settings say first, in the same form.
    assert!(refused(&s, "[stages.a]\ncmd = 'x\n").contains("mv.toml:2:9: "));
    assert!(refused(&s, "<<<<<<< ours\n[stages.a]\n").contains("mv.toml:1: conflict markers"));
}

#[test]
fn unknown_targets_and_no_stages() {
    let s = Scratch::new();
    assert_eq!(s.repo().modver(["stage", "list"]).err(), "there are no stages\n");
    s.write(
        "sub/mv.toml",
        "[stages.train]\ncmd = 'x'\nmatrix = { m = [] }\n[stages.test]\ncmd = 'x'\n",
    );
    let list = |args: &[&str]| {
        let listed = s.repo().modver(["stage", "list"].iter().chain(args));
        let message = listed.err();
        listed.fails(1);
        message
    };
    assert!(
        list(&[]).starts_with("error: no `mv.toml` in this directory or above it has stages\nhint: modver stage add")
    );
    assert_eq!(
        list(&["sub/mv.toml:tset"]),
        "error: there is no stage, output or project file `sub/mv.toml:tset`\nhint: did you mean sub/mv.toml:test?\n"
    );
    assert_eq!(
        list(&["sub/mv.toml:train"]),
        "error: stage `sub/mv.toml:train` has no members: its `matrix` or `foreach` is empty\n"
    );
    assert_eq!(
        list(&["test"]),
        "error: there is no stage, output or project file `test`\nhint: did you mean sub/mv.toml:test?\n"
    );
}

#[test]
fn a_revision_is_read_without_a_checkout() {
    use modver::pipeline::{Graph, Pipelines, RevisionProjectFiles, WorkTreeFiles};
    use modver::repo::{OpenOptions, Repository};

    let s = Scratch::new();
    s.repo().modver(["init"]).ok();
    s.write("params.toml", "seed = 1\n");
    s.write("raw/a.csv", "1");
    s.write("raw/b.csv", "2");
    s.repo().modver(["add", "raw/b.csv"]).ok();
    s.write(
        "sub/mv.toml",
        "vars = ['../params.toml']\n[stages.each]\nforeach = { glob = 'in/*' }\ncmd = 'x ${seed}'\n\
         [stages.one]\ncmd = 'one'\n",
    );
    s.write("sub/in/x.txt", "");
    s.write(
        "mv.toml",
        "[stages.each]\nforeach = { glob = 'raw/*.csv' }\ncmd = 'y ${seed} ${item}'\n",
    );
    s.git(["add", "."]).ok();
    s.git(["commit", "--quiet", "-m", "One"]).ok();
    s.write("params.toml", "seed = 2\n");
    s.write("sub/mv.toml", "broken");
    s.write("new/mv.toml", "[stages.late]\ncmd = 'z'\n");

    let repository = Repository::open(&OpenOptions {
        cwd: s.path(""),
        config: modver::config::ConfigSources::default(),
        user_cache: None,
        jobs: 1,
        bare: false,
        progress: std::sync::Arc::default(),
        waiting: std::sync::Arc::new(|_: &str| ()),
    })
    .unwrap();
    let files = RevisionProjectFiles::new(&repository, "HEAD").unwrap();
    let pipelines = Pipelines::load(&files).unwrap();
    let commands: Vec<String> = pipelines
        .stages()
        .iter()
        .map(|stage| format!("{}: {}", stage.id, stage.cmd[0]))
        .collect();
    assert_eq!(
        commands,
        [
            "each@a: y 1 raw/a.csv",
            "each@b: y 1 raw/b.csv",
            "sub/mv.toml:each@x: x 1",
            "sub/mv.toml:one: one"
        ]
    );
    assert_eq!(Graph::new(pipelines.stages()).unwrap().order(), [0, 1, 2, 3]);
    assert!(RevisionProjectFiles::new(&repository, "nonsense").is_err());
    let error = Pipelines::load(&WorkTreeFiles::new(&repository))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("sub/mv.toml:1:"), "{error}");
}
