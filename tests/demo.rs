//! `modver demo`, which README's first command runs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

mod support;

use support::Scratch;

/// A home without any settings, and variables that would break git if they reached it.
fn scratch() -> Scratch {
    let mut s = Scratch::bare();
    std::fs::remove_file(s.home().join(".gitconfig")).unwrap();
    let temp = s.root().join("temp");
    std::fs::create_dir(&temp).unwrap();
    s.set_env("TMPDIR", temp);
    s.set_env("GIT_CONFIG_GLOBAL", "/nonexistent/config");
    s.set_env("GIT_DIR", "/nonexistent/repository");
    s.set_env("MODVER_CORE_REMOTE", "nowhere");
    s
}

#[test]
fn it_shows_every_step_and_leaves_nothing() {
    let s = scratch();
    let shown = s.repo().modver(["demo"]);
    let text = shown.out();
    assert_eq!(shown.code, 0, "{shown}");
    for line in [
        "$ modver init",
        "$ modver add data model.bin",
        "$ modver push",
        "$ git clone project clone",
        "$ modver pull",
        "$ modver verify",
        "$ modver checkout",
        "$ modver repro",
        "everything is up to date (3 stages)",
        "restored  train",
        "$ modver metrics diff",
        "Everything came back byte for byte, and only what had to run did.",
    ] {
        assert!(text.lines().any(|l| l == line), "no line `{line}` in\n{text}");
    }
    let ran = |stage: &str| {
        text.lines()
            .filter(|l| l.starts_with(&format!("ran       {stage} ")))
            .count()
    };
    assert_eq!([ran("prepare"), ran("train"), ran("evaluate")], [1, 2, 2], "{text}");
    for dir in [s.root().join("temp"), s.home(), s.path("")] {
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0, "{}", dir.display());
    }
}

#[test]
fn it_keeps_a_directory_that_was_named() {
    let s = scratch();
    s.write("full/file", "");
    s.repo().modver(["demo", "--dir", "full"]).fails(1);
    let shown = s.repo().modver(["demo", "--json", "--dir", "here"]);
    let json = shown.json();
    assert_eq!(json["ok"], true, "{shown}");
    assert!(json["steps"].as_array().unwrap().len() > 15);
    let (all, stored) = (
        json["model_bytes"].as_u64().unwrap(),
        json["second_version_stored_bytes"].as_u64().unwrap(),
    );
    assert!(stored * 8 < all, "{stored} of {all}");
    assert!(s.repo().has("here/clone/model.bin"));
    let metrics: serde_json::Value = serde_json::from_slice(&s.repo().read("here/project/metrics.json")).unwrap();
    assert!(metrics["accuracy"].as_f64().unwrap() > 0.9, "{metrics}");
}
