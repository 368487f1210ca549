//! `metrics` and `params`.

use crate::support::Scratch;
use crate::{complaint, project, shown};

#[test]
fn shows_what_stages_name() {
    let s = project();
    let metrics = shown(s.mv(["metrics", "show"]));
    assert_eq!(
        metrics,
        "Path              acc  loss.train  loss.valid    n\n\
         metrics.json  0.91235         nan         1.5   10\n"
    );
    let metrics = shown(s.mv(["metrics", "show", "--precision", "2", "--md", "--rev", "HEAD"]));
    assert_eq!(
        metrics,
        "| Revision | Path         |  acc | loss.train | loss.valid |   n |\n\
         | -------- | ------------ | ---: | ---------: | ---------: | --: |\n\
         | HEAD     | metrics.json | 0.91 |        nan |        1.5 |  10 |\n"
    );
    let json = s.mv(["metrics", "show", "--json"]).ok();
    assert!(
        json.contains(r#""versions":[{"rev":"workspace","commit":null,"metrics":[{"path":"metrics.json","values":{"acc":0.912345678,"#),
        "{json}"
    );
}

#[test]
fn compares_with_a_commit_and_commits_with_each_other() {
    let s = project();
    let nothing = complaint(s.mv(["metrics", "diff"]), 0);
    assert!(nothing.contains("nothing is different"), "{nothing}");
    s.write(
        "metrics.json",
        r#"{"acc": 0.95, "loss": {"train": NaN}, "n": 12, "new": "x"}"#,
    );
    let expected = "Path          Metric         HEAD  workspace    Change\n\
                    metrics.json  acc         0.91235  0.95       0.037654\n\
                    metrics.json  loss.valid      1.5  -                 -\n\
                    metrics.json  n                10  12                2\n\
                    metrics.json  new               -  x                 -\n";
    assert_eq!(shown(s.mv(["metrics", "diff"])), expected);
    s.git(["commit", "--quiet", "-am", "two"]).ok();
    let two = s.mv(["metrics", "diff", "HEAD~1..HEAD"]).ok();
    assert!(
        two.contains("metrics.json  acc") && two.starts_with("Path          Metric       HEAD~1  HEAD"),
        "{two}"
    );
    assert_eq!(s.mv(["metrics", "diff", "HEAD~1", "HEAD"]).ok(), two);
    assert!(s.mv(["metrics", "diff", "--all"]).ok().contains("acc"));
    let all = s.mv(["metrics", "show", "--all-commits"]).ok();
    assert_eq!(all.lines().count(), 4, "head, workspace and two commits: {all}");
    complaint(s.mv(["metrics", "diff", "nowhere"]), 1);
}

#[test]
fn missing_and_broken_metrics_are_said() {
    let s = project();
    std::fs::remove_file(s.path("metrics.json")).unwrap();
    let out = complaint(s.mv(["metrics", "show"]), 3);
    assert!(
        out.contains("missing: metrics.json (workspace)") && out.contains("hint: modver repro evaluate"),
        "{out}"
    );
    // What one of two versions has is a difference.
    assert!(s.mv(["metrics", "diff"]).ok().contains("acc"));
    s.write("metrics.json", "{\"acc\": 1,\n  oops}");
    let out = complaint(s.mv(["metrics", "show"]), 3);
    assert!(out.contains("metrics.json:2:3: not valid JSON"), "{out}");
    let out = complaint(s.mv(["metrics", "show", "no.json"]), 1);
    assert!(out.contains("`no.json`"), "{out}");
    let empty = Scratch::new();
    let out = complaint(empty.mv(["metrics", "show"]), 0);
    assert!(out.contains("no stage names metrics"), "{out}");
}

#[test]
fn files_named_directly_in_each_format() {
    let s = Scratch::new();
    for (name, text) in [
        ("m/a.toml", "acc = 0.5\nday = 2026-01-02\n"),
        ("m/b.yaml", "acc: 0.25\n"),
        ("m/c.csv", "epoch,acc\n1,0.1\n2,0.75\n"),
        ("m/d.tsv", "acc\n1\n"),
        ("score", "0.125\n"),
    ] {
        s.write(name, text);
    }
    let metrics = s.mv(["metrics", "show", "m", "score"]).ok();
    for line in [
        "m/a.toml   0.5  2026-01-02",
        "m/b.yaml  0.25",
        "m/c.csv   0.75",
        "m/d.tsv      1",
        "score        -",
        "0.125",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[test]
fn tracked_metrics_come_from_the_cache() {
    let s = Scratch::new();
    s.mv(["init", "--quiet"]).ok();
    s.write("big/m.json", "{\"acc\": 1}");
    s.mv(["add", "--quiet", "big"]).ok();
    s.git(["add", "-A"]).ok();
    s.git(["commit", "--quiet", "-m", "one"]).ok();
    s.write("big/m.json", "{\"acc\": 2}");
    let expected = "Path        Metric  HEAD  workspace  Change\nbig/m.json  acc        1          2       1\n";
    for target in ["big", "big/m.json"] {
        assert_eq!(
            shown(s.mv(["metrics", "diff", "--targets", target])),
            expected,
            "{target}"
        );
    }
}

#[test]
fn params() {
    let s = project();
    s.write("params.toml", "seed = 8\n[train]\nlr = 0.1\nlayers = [1, 3]\n");
    assert_eq!(
        shown(s.mv(["params", "diff"])),
        "Path         Param         HEAD    workspace  Change\n\
         params.toml  seed          7       8               1\n\
         params.toml  train.layers  [1, 2]  [1, 3]          -\n"
    );
    assert_eq!(s.mv(["params", "diff", "--deps"]).ok(), "", "no stage names these");
    let all = s.mv(["params", "diff", "--deps", "--all"]).ok();
    assert!(all.contains("train.lr") && !all.contains("seed"), "{all}");
    s.write("other.yaml", "a: {b: no}\n");
    let other = s.mv(["params", "diff", "--targets", "other.yaml", "--md"]).ok();
    assert!(other.contains("| other.yaml | a.b   |    - | no        |"), "{other}");
    s.write("params.toml", "seed = \n");
    let broken = complaint(s.mv(["params", "diff", "--targets", "params.toml"]), 3);
    assert!(broken.contains("params.toml:1:"), "{broken}");
}

#[test]
fn cached_metrics_of_stages_come_from_the_lock_file() {
    let s = Scratch::new();
    s.mv(["init", "--quiet"]).ok();
    let stage = |acc| {
        format!(
            "[stages.train]\ncmd = \"echo acc: {acc} > m.yaml\"\nmetrics = [{{ path = \"m.yaml\", cache = true }}]\n"
        )
    };
    s.write("mv.toml", stage(1));
    s.mv(["repro"]).ok();
    s.git(["add", "-A"]).ok();
    s.git(["commit", "--quiet", "-m", "one"]).ok();
    s.write("mv.toml", stage(2));
    s.mv(["repro"]).ok();
    assert_eq!(s.git(["ls-files", "m.yaml"]).ok(), "", "git does not have it");
    let expected = "Path    Metric  HEAD  workspace  Change\nm.yaml  acc        1          2       1\n";
    assert_eq!(shown(s.mv(["metrics", "diff"])), expected);
}
