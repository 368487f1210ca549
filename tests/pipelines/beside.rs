//! Commands beside a stage that runs: what it is making is nobody's yet.

use std::fs;

use super::repro::{commit, define, ran, ready, says};
use super::repro_kill::{end, start, wait_for};

#[test]
fn what_is_being_made_is_neither_replaced_nor_recorded() {
    let s = ready("");
    let r = s.repo();
    s.write("in", "1");
    let stage = |cmd: &str| format!("[stages.make]\ncmd = '''{cmd}'''\ndeps = ['in']\nouts = ['out']\n");
    define(&s, &stage("cat in > out"));
    r.modver(["repro"]).ok();
    r.modver(["push"]).ok();
    r.modver(["install"]).ok();
    commit(r, "One");
    ran(&s);
    let go = s.root().join("go");
    let at = s.root().join("at");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &go,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let cmd = format!(
        "echo half > out; echo x > {}; read line < {}; cat in >> out",
        at.display(),
        go.display()
    );
    define(&s, &stage(&cmd));
    s.write("in", "2");
    let running = start(&s, &["repro"]);
    wait_for(&at);
    for args in [
        &["checkout"][..],
        &["checkout", "--force"],
        &["pull"],
        &["checkout", "out", "--force"],
    ] {
        let output = r.modver(args);
        says(&output, &["left alone: out is being made: its stage runs now"]);
        assert_eq!(s.read("out"), b"half\n", "{args:?}");
    }
    let left = r.modver(["checkout", "--json"]).json();
    assert_eq!(left["left"][0]["reason"], "being-made", "{left}");
    for args in [&["checkout", "--rev", "HEAD", "out", "--force"][..], &["commit", "out"]] {
        let refused = r.modver(args);
        says(&refused, &["`out` is being made: its stage runs now", "modver logs"]);
        refused.fails(1);
    }
    // Another branch, with git's hooks.
    r.git(["stash", "-q"]).ok();
    r.git(["stash", "pop", "-q"]).ok();
    assert_eq!(s.read("out"), b"half\n");
    fs::write(&go, "\n").unwrap();
    let output = end(running);
    says(&output, &["ran       make"]);
    output.ok();
    assert_eq!(s.read("out"), b"half\n2");
    assert_eq!(r.modver(["checkout"]).ok(), "");
    assert_eq!(s.read("out"), b"half\n2");
}

#[test]
fn a_command_that_succeeds_without_its_output_is_no_success() {
    let s = ready("[stages.make]\ncmd = 'true'\nouts = ['out']\n");
    let r = s.repo();
    r.modver(["repro"]).fails(1);
    let runs = r.modver(["runs"]);
    assert!(runs.out().ends_with("make  failed"), "{runs}");
    let json = r.modver(["runs", "--json"]).json();
    let record = &json["runs"][0];
    assert_eq!(
        (&record["exit"], &record["reusable"]),
        (&0.into(), &false.into()),
        "{json}"
    );
    assert_eq!(record["failure"], "stage `make` did not make its output `out`");
    let id = record["id"].as_str().unwrap();
    assert!(r.modver(["runs", "show", id]).ok().contains("failure = "));
}
