//! Whole files, read from memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::path::Name;
use crate::pipeline::{Graph, OutKind, Params};
use crate::repo::PROJECT_FILE;

/// Files by path.
struct Memory(BTreeMap<RepoPath, Vec<u8>>);

impl Memory {
    fn new(files: &[(&str, &str)]) -> Self {
        Self(
            files
                .iter()
                .map(|(name, text)| (path(name), text.as_bytes().to_vec()))
                .collect(),
        )
    }
}

impl ProjectFiles for Memory {
    fn project_files(&self) -> Result<Vec<RepoPath>> {
        let name = Name::new(PROJECT_FILE.as_bytes()).unwrap();
        let is_project = |path: &&RepoPath| path.file_name().as_ref() == Some(&name);
        Ok(self.0.keys().filter(is_project).cloned().collect())
    }

    fn read(&self, path: &RepoPath, _limit: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(path).cloned())
    }

    fn list(&self, dir: &RepoPath) -> Result<Vec<(Name, bool)>> {
        let mut names = BTreeSet::new();
        for inside in self.0.keys().filter_map(|path| path.strip_prefix(dir)) {
            let mut parts = inside.names();
            let first = parts.next().map(|name| Name::new(name).unwrap());
            names.extend(first.map(|first| (first, parts.next().is_some())));
        }
        Ok(names.into_iter().collect())
    }
}

fn path(text: &str) -> RepoPath {
    RepoPath::new(text.as_bytes()).unwrap()
}

fn load(files: &[(&str, &str)]) -> Pipelines {
    Pipelines::load(&Memory::new(files)).unwrap_or_else(|error| panic!("{error}"))
}

fn one(text: &str) -> Stage {
    let pipelines = load(&[("mv.toml", text)]);
    assert_eq!(pipelines.stages().len(), 1);
    pipelines.stages()[0].clone()
}

fn names(pipelines: &Pipelines) -> Vec<String> {
    pipelines.stages().iter().map(|stage| stage.id.to_string()).collect()
}

/// The message for a wrong `mv.toml` at the root.
#[track_caller]
fn wrong(text: &str) -> String {
    match Pipelines::load(&Memory::new(&[("mv.toml", text)])) {
        Ok(pipelines) => match Graph::new(pipelines.stages()) {
            Ok(_) => panic!("nothing is wrong with\n{text}"),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_key_is_read() {
    let pipelines = load(&[(
        "sub/mv.toml",
        r#"
# A stage with everything.
[stages.train]
cmd = ["prepare", "train ${lr}"]
wdir = "code"
deps = ["train.py", "../data", "train.py"]
outs = ["model.bin", { path = "../logs", cache = false, persist = true, push = false, remote = "lab", desc = "d", type = "t", labels = ["b", "a"] }]
params = ["seed", "lr", { file = "conf.yaml", keys = ["a.b"] }, { file = "all.json" }]
metrics = ["m.json", { path = "n.json", cache = true, tolerance = 0.1 }]
plots = ["p.csv", { path = "q.csv", x = "e", y = ["a", "b"], title = "T", x_label = "X", y_label = "Y", template = "scatter", header = false }]
env = ["SEED", "A"]
frozen = true
always = true
desc = "not ${filled}"
meta = { a = [1, { b = "${no}" }] }
timeout = "1h30m"
retries = 2
resources = { cpus = 2, memory = "2GiB", licence = 0.5 }

[vars]
lr = 0.1
"#,
    )]);
    let stage = &pipelines.stages()[0];
    assert_eq!(stage.id.to_string(), "sub/mv.toml:train");
    assert_eq!((stage.line, &stage.group), (3, &None));
    assert_eq!(stage.cmd, ["prepare", "train 0.1"]);
    assert_eq!(stage.wdir, path("sub/code"));
    assert_eq!(stage.deps, [path("sub/code/train.py"), path("sub/data")]);
    let outs: Vec<String> = stage
        .outs
        .iter()
        .map(|out| format!("{} {}", out.path, out.cache))
        .collect();
    assert_eq!(
        outs,
        [
            "sub/code/m.json false",
            "sub/code/model.bin true",
            "sub/code/n.json true",
            "sub/code/p.csv true",
            "sub/code/q.csv true",
            "sub/logs false"
        ]
    );
    let logs = &stage.outs[5];
    assert!(logs.persist && !logs.push && stage.outs[1].push && !stage.outs[1].persist);
    assert_eq!((logs.remote.as_deref(), logs.desc.as_deref()), (Some("lab"), Some("d")));
    assert_eq!(
        (logs.r#type.as_deref(), &logs.labels[..]),
        (Some("t"), &["b".to_owned(), "a".to_owned()][..])
    );
    assert_eq!(stage.outs[0].kind, OutKind::Metric { tolerance: None });
    assert_eq!(stage.outs[2].kind, OutKind::Metric { tolerance: Some(0.1) });
    let OutKind::Plot(plot) = &stage.outs[4].kind else {
        panic!()
    };
    assert_eq!(
        (plot.x.as_deref(), &plot.y[..]),
        (Some("e"), &["a".to_owned(), "b".to_owned()][..])
    );
    assert_eq!((plot.template.as_deref(), plot.header), (Some("scatter"), false));
    let params = |file, keys: &[&str]| Params {
        file: path(file),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    assert_eq!(
        stage.params,
        [
            params("sub/code/all.json", &[]),
            params("sub/code/conf.yaml", &["a.b"]),
            params("sub/code/params.toml", &["lr", "seed"])
        ]
    );
    assert_eq!(stage.env, ["A", "SEED"]);
    assert!(stage.frozen && stage.always);
    assert_eq!(stage.desc.as_deref(), Some("not ${filled}"));
    assert_eq!(stage.meta, Some(json!({ "a": [1, { "b": "${no}" }] })));
    assert_eq!((stage.timeout, stage.retries), (Some(Duration::from_secs(5400)), 2));
    let resources: Vec<(&str, f64)> = stage.resources.iter().map(|(key, n)| (key.as_str(), *n)).collect();
    assert_eq!(
        resources,
        [("cpus", 2.0), ("licence", 0.5), ("memory", 2_147_483_648.0)]
    );
}

#[test]
fn the_smallest_stage() {
    let stage = one("[stages.a]\ncmd = 'echo $HOME'\n[core]\njobs = 1\n");
    assert_eq!(
        (&stage.cmd[..], &stage.wdir),
        (&["echo $HOME".to_owned()][..], &RepoPath::root())
    );
    assert!(stage.outs.is_empty() && !stage.frozen && stage.timeout.is_none());
    assert_eq!(load(&[("mv.toml", ""), ("a/mv.toml", "")]).stages().len(), 0);
}

#[test]
fn variables_come_from_files_and_tables() {
    let files = [
        (
            "sub/mv.toml",
            r#"
vars = ["more.yaml", "big.json:a,b", { x = { y = 1 } }]
[stages.s]
vars = [{ x = { z = 2 } }, "params.toml"]
cmd = "${seed} ${deep.list[1]} ${a} ${x.y}${x.z}"
outs = ["${out}"]
frozen = "${yes}"
"#,
        ),
        ("sub/params.toml", "seed = 7\nout = 'o/p'\nyes = true\n"),
        ("sub/more.yaml", "deep:\n  list: [1, two]\n"),
        ("sub/big.json", r#"{ "a": "A", "b": 1, "seed": 8 }"#),
    ];
    let pipelines = load(&files);
    let stage = &pipelines.stages()[0];
    assert_eq!(stage.cmd, ["7 two A 12"]);
    assert_eq!(stage.outs[0].path, path("sub/o/p"));
    assert!(stage.frozen);

    let mut clash = files;
    clash[0].1 = "vars = [{ x = 1 }, 'big.json']\n[stages.s]\ncmd = 'c'\n";
    let error = Pipelines::load(&Memory::new(&clash)).unwrap_err().to_string();
    assert_eq!(
        error,
        "sub/mv.toml:1: `seed` has another value in sub/params.toml: a variable has one"
    );
    clash[0].1 = "[vars]\na.b = 1\n[stages.s]\nvars = { a = { b = 2 } }\ncmd = 'c'\n";
    let error = Pipelines::load(&Memory::new(&clash)).unwrap_err().to_string();
    assert_eq!(
        error,
        "sub/mv.toml:4: `a.b` has another value in sub/mv.toml:1: a variable has one"
    );
    clash[0].1 = "vars = ['mor.yaml']\n[stages.s]\ncmd = 'c'\n";
    let error = Pipelines::load(&Memory::new(&clash)).unwrap_err().to_string();
    assert_eq!(
        error,
        "sub/mv.toml:1: there is no file of variables `sub/mor.yaml`; did you mean `sub/more.yaml`?"
    );
    clash[0].1 = "vars = ['big.json:sed']\n[stages.s]\ncmd = 'c'\n";
    let error = Pipelines::load(&Memory::new(&clash)).unwrap_err().to_string();
    assert_eq!(
        error,
        "sub/mv.toml:1: `sed` is no key of `sub/big.json`; did you mean `seed`?"
    );
}

#[test]
fn a_matrix_has_its_product_without_and_with() {
    let pipelines = load(&[(
        "mv.toml",
        r#"
[vars]
seeds = [1, 2]
[stages.train]
cmd = "train ${item.model} ${matrix.seed} ${key}"
outs = ["m/${key}"]
[stages.train.matrix]
model = ["cnn", "a/b"]
seed = "${seeds}"
exclude = [{ model = "a/b", seed = 2 }]
include = [{ model = "rnn", seed = 9 }]
[stages.deep]
cmd = "x ${item.c.lr} ${item.c.n}"
matrix = { c = [{ lr = 0.1, n = [1, 2] }, { lr = 1.0, n = [] }] }
"#,
    )]);
    assert_eq!(
        names(&pipelines),
        [
            "deep@c0",
            "deep@c1",
            "train@a_b-1",
            "train@cnn-1",
            "train@cnn-2",
            "train@rnn-9"
        ]
    );
    let train = &pipelines.stages()[4];
    assert_eq!(train.cmd, ["train cnn 2 cnn-2"]);
    assert_eq!((train.group.as_deref(), train.line), (Some("train"), 4));
    assert_eq!(train.outs[0].path, path("m/cnn-2"));
    assert_eq!(pipelines.stages()[0].cmd, ["x 0.1 1 2"]);
}

#[test]
fn foreach_takes_lists_tables_and_files() {
    let pipelines = load(&[
        (
            "sub/mv.toml",
            r#"
[stages.list]
foreach = ["us", 2.5, { a = "x y" }]
cmd = "do ${key}"
[stages.table]
foreach = { uk = { n = 3 }, de = { n = 4 } }
cmd = "do ${key} ${item.n}"
[stages.files]
foreach = { glob = "raw/**/*.csv" }
cmd = "do ${item}"
deps = ["${item}"]
outs = ["out/${key}.csv"]
[stages.none]
foreach = { glob = "raw/*.none" }
cmd = "do"
"#,
        ),
        ("sub/raw/a.csv", ""),
        ("sub/raw/deep/er/b.c.csv", ""),
        ("sub/raw/.hidden.csv", ""),
        ("sub/raw/c.txt", ""),
    ]);
    let commands: Vec<String> = pipelines
        .stages()
        .iter()
        .map(|stage| format!("{} {}", stage.id.name, stage.cmd[0]))
        .collect();
    assert_eq!(
        commands,
        [
            "files@a do raw/a.csv",
            "files@deep-er-b.c do raw/deep/er/b.c.csv",
            "list@2 do 2",
            "list@2.5 do 2.5",
            "list@us do us",
            "table@de do de 4",
            "table@uk do uk 3",
        ]
    );
    assert_eq!(pipelines.stages()[1].deps, [path("sub/raw/deep/er/b.c.csv")]);
}

#[test]
fn mistakes_have_a_line_and_the_right_spelling() {
    for (text, message) in [
        (
            "[stages.a]\ncmd = 'x'\ndep = ['y']",
            "mv.toml:3: unknown key `stages.a.dep`; did you mean `deps`?",
        ),
        (
            "[stages.a]\ncmd = 'x'\nouts = [{ path = 'y', cahce = false }]",
            "mv.toml:3: unknown key `stages.a.outs.cahce`; did you mean `cache`?",
        ),
        (
            "[stages.a]\ncmd = 'x'\nmetrics = [{ path = 'y', tolerance = 'z' }]",
            "mv.toml:3: `stages.a.metrics.tolerance` must be a number, not a string",
        ),
        ("[stages.a]\ndeps = ['y']", "mv.toml:1: `stages.a.cmd` is missing"),
        ("[stages.a]\ncmd = []", "mv.toml:2: `stages.a.cmd` has no command"),
        (
            "[stages.a]\ncmd = ['x', ' ']",
            "mv.toml:2: `stages.a.cmd` has an empty command",
        ),
        (
            "[stages.a]\ncmd = 1",
            "mv.toml:2: `stages.a.cmd` must be a command, or a list of commands, not an integer",
        ),
        (
            "[stages.a]\ncmd = 'x'\ndeps = 'y'",
            "mv.toml:3: `stages.a.deps` must be a list of strings, not a string",
        ),
        (
            "[stages.a]\ncmd = 'x'\nfrozen = 'yes'",
            "mv.toml:3: `stages.a.frozen` must be true or false, not a string",
        ),
        (
            "[stages.a]\ncmd = 'x'\nouts = [\n  'y',\n  '../z',\n]",
            "mv.toml:5: output `../z` is outside the repository",
        ),
        (
            "[stages.a]\ncmd = 'x'\nouts = ['/z']",
            "mv.toml:3: output `/z` is absolute; paths start at the stage's `wdir`",
        ),
        (
            "[stages.a]\ncmd = 'x'\ndeps = ['.git/config']",
            "mv.toml:3: dep `.git/config` is in git's own directory",
        ),
        (
            "[stages.a]\ncmd = 'x'\ndeps = ['s3://b/x']",
            "mv.toml:3: dep `s3://b/x` is a URL, not a path in the repository",
        ),
        (
            "[stages.a]\ncmd = 'x'\nwdir = '../x'",
            "mv.toml:3: wdir `../x` is outside the repository",
        ),
        (
            "[stages.a]\ncmd = 'x'\nouts = ['mv.lock']",
            "mv.toml:3: output `mv.lock` is a file that git and modver need themselves",
        ),
        (
            "[stages.a]\ncmd = 'x'\nouts = ['.']",
            "mv.toml:3: output `.` is the whole repository",
        ),
        ("[stages.a]\ncmd = '${x}'", "mv.toml:2: unknown variable `x`"),
        (
            "[vars]\nepochs = 1\n[stages.a]\ncmd = ['x', 'y ${epoch}']",
            "mv.toml:4: unknown variable `epoch`; did you mean `epochs`?",
        ),
        (
            "[stages.a]\ncmd = 'x'\n[stages.a]\ncmd = 'y'",
            "mv.toml:3: there are two definitions of `a`",
        ),
        (
            "[stages]\na = { cmd = 'x' }\na = { cmd = 'y' }",
            "mv.toml:3: there are two definitions of `a`",
        ),
        (
            "[stages.'a@b']\ncmd = 'x'",
            "mv.toml:1: `a@b` is not a name of a stage: letters, digits, `_`, `-` and `.`, starting with a letter, digit or `_`",
        ),
        (
            "[stages.-a]\ncmd = 'x'",
            "mv.toml:1: `-a` is not a name of a stage: letters, digits, `_`, `-` and `.`, starting with a letter, digit or `_`",
        ),
        (
            "[stages]\na = 'x'",
            "mv.toml:2: `stages.a` must be a table, not a string",
        ),
        (
            "stages = 1",
            "mv.toml:1: `stages` must be a table: [stages.NAME], not an integer",
        ),
        (
            "[stages.a]\ncmd = 'x'\ntimeout = '10 minutes'",
            "mv.toml:3: `stages.a.timeout` is `10 minutes`: not a duration, such as \"90s\", \"10m\" or \"1h30m\"",
        ),
        (
            "[stages.a]\ncmd = 'x'\nretries = -1",
            "mv.toml:3: `stages.a.retries` is `-1`: not a number of retries",
        ),
        (
            "[stages.a]\ncmd = 'x'\nresources = { memory = 'much' }",
            "mv.toml:3: `stages.a.resources.memory` is `much`: not an amount of memory, such as \"512MB\" or \"4GiB\"",
        ),
        (
            "[stages.a]\ncmd = 'x'\nresources = { gpus = -1 }",
            "mv.toml:3: `stages.a.resources.gpus` is `-1`: not a positive number",
        ),
        (
            "[stages.a]\ncmd = 'x'\nenv = ['A=1']",
            "mv.toml:3: `stages.a.env` is `A=1`: not a name of a variable; values are taken from the environment",
        ),
        (
            "[stages.a]\ncmd = 'x'\nparams = [{ fil = 'y' }]",
            "mv.toml:3: `stages.a.params.file` is missing",
        ),
        (
            "[stages.a]\ncmd = 'x'\nmatrix = { m = [1] }\nforeach = [1]",
            "mv.toml:3: a stage has either `matrix` or `foreach`",
        ),
        (
            "[stages.a]\ncmd = 'x'\nmatrix = { m = 1 }",
            "mv.toml:3: `stages.a.matrix.m` must be a list, not an integer",
        ),
        (
            "[stages.a]\ncmd = 'x'\nmatrix = { model = [1], exclude = [{ modle = 1 }] }",
            "mv.toml:3: a combination to exclude names `modle`, which is no axis of the matrix; did you mean `model`?",
        ),
        (
            "[stages.a]\ncmd = 'x'\nmatrix = { m = [1], include = [{ n = 1 }] }",
            "mv.toml:3: a combination to include does not say `m`",
        ),
        (
            "[stages.a]\ncmd = 'x'\nforeach = ['a/b', 'a b']",
            "mv.toml:3: two members of `a` would be called `a@a_b`: \"a/b\" and \"a b\"",
        ),
        (
            "[stages.a]\ncmd = '${item.modle}'\nmatrix = { model = [1] }",
            "mv.toml:2: unknown variable `item.modle`; did you mean `item.model`?",
        ),
        ("[stages.a\ncmd = 'x'", "mv.toml:1:10: unclosed table, expected `]`"),
        (
            "a = 1\n<<<<<<< HEAD\n",
            "mv.toml:2: conflict markers of an unfinished merge",
        ),
        (
            "[stages.a]\ncmd = 'x'\nouts = ['d']\n[stages.b]\ncmd = 'y'\nouts = ['d/e']",
            "mv.toml:4: output `d/e` of stage `b` overlaps output `d` of stage `a` (mv.toml:1)",
        ),
        (
            "[stages.a]\ncmd = 'x'\nouts = ['d']\n[stages.b]\ncmd = 'y'\nmetrics = ['d']",
            "mv.toml:4: output `d` of stage `b` is also output `d` of stage `a` (mv.toml:1)",
        ),
        (
            "[stages.a]\ncmd = 'x'\nouts = ['d', './d']",
            "mv.toml:1: output `d` of stage `a` is also output `d` of stage `a` (mv.toml:1)",
        ),
        (
            "[stages.a]\ncmd = 'x'\ndeps = ['src']\nouts = ['src/m']",
            "mv.toml:1: stage `a` depends on its own output: dep `src`, output `src/m`",
        ),
        (
            "[stages.b]\ncmd = 'x'\ndeps = ['a']\nouts = ['b']\n[stages.c]\ncmd = 'x'\ndeps = ['b/x']\nouts = ['c']\n[stages.a]\ncmd = 'x'\ndeps = ['c']\nouts = ['a']",
            "mv.toml:9: stages depend on each other in a circle: `a` → `b` → `c` → `a`",
        ),
    ] {
        assert_eq!(wrong(text), message, "{text}");
    }
}

#[test]
fn settings_belong_to_the_root() {
    let error = |text| {
        Pipelines::load(&Memory::new(&[("a/mv.toml", text)]))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error("[core]\njobs = 1"),
        "a/mv.toml:1: `core` are settings, which belong into the `mv.toml` at the root of the repository"
    );
    assert_eq!(
        error("[stage.x]\n"),
        "a/mv.toml:1: unknown key `stage`; did you mean `stages`?"
    );
    let files = Memory::new(&[("mv.toml", "[stages.a]\ncmd = 'x'\nouts = ['a']"), ("a/mv.toml", "")]);
    assert_eq!(
        Pipelines::load(&files).unwrap_err().to_string(),
        "mv.toml:1: output `a` holds the project file of a stage"
    );
}

fn some() -> Pipelines {
    load(&[
        (
            "mv.toml",
            r#"
[stages.prepare]
cmd = "p"
deps = ["raw"]
outs = ["data"]
[stages.train]
cmd = "t ${item.m}"
matrix = { m = ["cnn", "rnn"] }
deps = ["data/train"]
outs = ["models/${item.m}"]
[stages.report]
cmd = "r"
deps = ["models"]
metrics = ["report.json"]
[stages.other]
cmd = "o"
"#,
        ),
        (
            "sub/mv.toml",
            "[stages.late]\ncmd = 'x'\ndeps = ['../report.json']\nouts = ['z']\n",
        ),
        ("sub/deep/mv.toml", ""),
    ])
}

#[test]
fn the_graph_connects_what_contains_and_what_is_inside() {
    let pipelines = some();
    assert_eq!(
        names(&pipelines),
        [
            "other",
            "prepare",
            "report",
            "train@cnn",
            "train@rnn",
            "sub/mv.toml:late"
        ]
    );
    let graph = Graph::new(pipelines.stages()).unwrap();
    assert_eq!(graph.order(), [0, 1, 3, 4, 2, 5]);
    assert_eq!(graph.upstream(2), [3, 4]);
    assert_eq!(graph.downstream(1), [3, 4]);
    assert_eq!(graph.upstream(5), [2]);
}

#[test]
fn targets_mean_stages() {
    let pipelines = some();
    let graph = Graph::new(pipelines.stages()).unwrap();
    let select = |targets: &[&str], cwd: &str, options: SelectOptions| {
        let targets: Vec<String> = targets.iter().map(|target| (*target).to_owned()).collect();
        let cwd = RepoPath::new(cwd.as_bytes()).unwrap();
        let found = pipelines.select(&graph, &targets, &cwd, options);
        found
            .map(|found| {
                found
                    .iter()
                    .map(|&at| pipelines.stages()[at].id.to_string())
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .map_err(|error| format!("{error}; {}", error.hint().unwrap_or_default()))
    };
    let reach = |reach| SelectOptions {
        reach,
        ..SelectOptions::default()
    };
    let single = reach(Reach::Single);
    let ok = |text: &str| Ok(text.to_owned());
    assert_eq!(select(&["train"], "", single), ok("train@cnn train@rnn"));
    assert_eq!(select(&["train@rnn"], "", single), ok("train@rnn"));
    assert_eq!(select(&["late"], "sub/deep", single), ok("sub/mv.toml:late"));
    assert_eq!(select(&["mv.toml:late"], "sub", single), ok("sub/mv.toml:late"));
    assert_eq!(select(&["sub/mv.toml"], "", single), ok("sub/mv.toml:late"));
    assert_eq!(select(&["sub/mv.lock"], "", single), ok("sub/mv.toml:late"));
    assert_eq!(select(&["sub/"], "", single), ok("sub/mv.toml:late"));
    assert_eq!(select(&["models/cnn"], "", single), ok("train@cnn"));
    assert_eq!(select(&["../models/cnn/weights"], "sub", single), ok("train@cnn"));
    assert_eq!(select(&["../mv.toml:other"], "sub", single), ok("other"));
    assert_eq!(select(&["data", "other"], "", single), ok("other prepare"));
    assert_eq!(select(&[], "", single), ok("other prepare train@cnn train@rnn report"));
    assert_eq!(select(&[], "sub/deep", single), ok("sub/mv.toml:late"));
    let all = SelectOptions {
        all: true,
        ..SelectOptions::default()
    };
    assert_eq!(
        select(&[], "sub", all),
        ok("other prepare train@cnn train@rnn report sub/mv.toml:late")
    );
    assert_eq!(
        select(&["train@cnn"], "", reach(Reach::Upstream)),
        ok("prepare train@cnn")
    );
    assert_eq!(
        select(&["train@cnn"], "", reach(Reach::Downstream)),
        ok("train@cnn report sub/mv.toml:late")
    );
    assert_eq!(
        select(&["train@cnn"], "", reach(Reach::Pipeline)),
        ok("prepare train@cnn train@rnn report sub/mv.toml:late")
    );
    let glob = SelectOptions { glob: true, ..single };
    assert_eq!(select(&["t*", "ot?er"], "", glob), ok("other train@cnn train@rnn"));
    assert_eq!(select(&["sub/mv.toml:l*"], "", glob), ok("sub/mv.toml:late"));
    let failed = |text: &str| Err(text.to_owned());
    assert_eq!(
        select(&["trian"], "", single),
        failed("there is no stage, output or project file `trian`; did you mean train?")
    );
    assert_eq!(
        select(&["late"], "", single),
        failed("there is no stage, output or project file `late`; did you mean sub/mv.toml:late?")
    );
    assert_eq!(
        select(&["../.."], "sub", single),
        failed("there is no stage, output or project file `../..`; modver stage list --all")
    );
    assert_eq!(
        select(&["z*"], "", glob),
        failed("no stage has a name like `z*`; modver stage list --all")
    );
}

proptest! {
    #[test]
    fn a_matrix_has_as_many_members_as_its_product(sizes in proptest::collection::vec(0..5_usize, 1..4)) {
        let axes: Vec<String> = sizes
            .iter()
            .enumerate()
            .map(|(axis, size)| format!("a{axis} = {:?}", (0..*size).collect::<Vec<_>>()))
            .collect();
        let text = format!("[stages.s]\ncmd = '${{key}}'\nmatrix = {{ {} }}\n", axes.join(", "));
        let pipelines = load(&[("mv.toml", &text)]);
        prop_assert_eq!(pipelines.stages().len(), sizes.iter().product::<usize>());
        for stage in pipelines.stages() {
            prop_assert_eq!(format!("s@{}", stage.cmd[0]), stage.id.name.clone());
        }
    }

    #[test]
    fn the_order_keeps_every_edge(edges in proptest::collection::vec((0..20_usize, 0..20_usize), 0..60)) {
        let mut text = String::new();
        for at in 0..20 {
            let deps: Vec<String> = edges
                .iter()
                .filter(|(from, to)| from < to && *to == at)
                .map(|(from, _)| format!("'o{from}'"))
                .collect();
            // Names in another order than the graph's.
            let name = (at * 7) % 20;
            text.push_str(&format!("[stages.s{name}]\ncmd = 'x'\nouts = ['o{at}']\ndeps = [{}]\n", deps.join(",")));
        }
        let pipelines = load(&[("mv.toml", &text)]);
        let graph = Graph::new(pipelines.stages()).unwrap();
        let mut place = [0; 20];
        for (index, &at) in graph.order().iter().enumerate() {
            place[at] = index;
        }
        prop_assert_eq!(graph.order().len(), 20);
        for at in 0..20 {
            for &above in graph.upstream(at) {
                prop_assert!(place[above] < place[at]);
                prop_assert!(graph.downstream(above).contains(&at));
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z\\[\\]{}=.'\"$@\n ]{0,60}") {
        let _ = Pipelines::load(&Memory::new(&[("mv.toml", &format!("[stages.a]\ncmd='x'\n{text}"))]));
    }
}
