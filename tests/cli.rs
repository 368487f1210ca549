//! What all commands have in common: output, errors, exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

mod support;

use std::process::Stdio;

use serde_json::json;
use support::{Output, Scratch};

#[test]
fn errors_are_text_or_json() {
    let s = Scratch::bare();
    let modver = |args: &[&str]| s.repo().modver(args);

    let refused = modver(&["-C", "nowhere", "status"]);
    assert_eq!(refused.err(), "error: `nowhere` (given with -C) is not a directory\n");
    assert_eq!(refused.fails(2), "");

    let refused = modver(&["-C", "nowhere", "--json", "status"]);
    assert_eq!(refused.err(), "");
    let error = json!({"message": "`nowhere` (given with -C) is not a directory", "caused_by": [], "hint": null});
    assert_eq!(
        refused.json(),
        json!({"modver": 1, "command": "status", "ok": false, "exit": 2, "error": error})
    );
    assert_eq!(refused.code, 2);

    let usage = modver(&["--json", "no-such-command"]);
    assert_eq!(usage.json()["command"], json!(null));
    assert_eq!(usage.json()["error"]["hint"], "modver help");
    assert_eq!(usage.code, 2);
    assert!(modver(&["no-such-command"]).err().contains("unrecognized subcommand"));
    assert!(modver(&["help", "nonsense"]).err().ends_with("hint: modver help\n"));
}

#[test]
fn every_command_has_help_with_an_example() {
    let s = Scratch::bare();
    let commands = s.repo().modver(["--help"]).ok();
    let names = commands.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names: Vec<&str> = names.map_while(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 20, "{commands}");
    for name in names {
        let help = s.repo().modver([name, "--help"]).ok();
        assert!(
            help.contains(&format!("\n  modver {name}")) || name == "cache",
            "{help}"
        );
        assert_eq!(s.repo().modver(["help", name]).ok().trim_end(), help.trim_end());
        for option in ["--json", "--quiet", "--verbose", "--jobs", "--no-progress", "-C"] {
            assert!(help.contains(option), "{name}: {option}");
        }
    }
}

#[test]
fn completions_are_for_the_name_that_was_asked_for() {
    let s = Scratch::bare();
    for (shell, modver, mv) in [
        ("bash", "_modver()", "_mv()"),
        ("zsh", "#compdef modver", "#compdef mv"),
        ("fish", "complete -c modver", "complete -c mv"),
    ] {
        assert!(s.repo().modver(["completions", shell]).ok().contains(modver));
        assert!(
            s.repo()
                .modver(["completions", shell, "--name", "mv"])
                .ok()
                .contains(mv)
        );
    }
    let json = s.repo().modver(["completions", "bash", "--json"]).json();
    assert_eq!(json["ok"], true);
    assert!(json["script"].as_str().unwrap().contains("_modver()"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let s = Scratch::bare();
    for args in [
        &["completions", "zsh"][..],
        &["completions", "zsh", "--json"],
        &["--help"],
    ] {
        let mut command = s.repo().command(env!("CARGO_BIN_EXE_modver"));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = command.args(args).stdout(writer).stderr(Stdio::null()).spawn().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}");
        let output = Output::of(
            s.repo()
                .command("sh")
                .args(["-c", "modver completions zsh | head -n 1"]),
        );
        assert_eq!(output.err(), "");
    }
}

#[test]
fn colours_are_for_terminals() {
    let s = Scratch::bare();
    let output = s.repo().modver(["help", "nonsense"]);
    assert!(!output.stderr.contains(&0x1b), "{output}");
}

#[test]
fn the_scratch_place_is_sealed() {
    let s = Scratch::new();
    s.write("dir/file", "1");
    s.git(["add", "."]).ok();
    s.git(["commit", "--quiet", "-m", "One"]).ok();
    assert_eq!(
        s.git(["log", "--format=%an %ad", "--date=iso"]).ok(),
        "Test 2026-01-01 00:00:00 +0000"
    );
    let clone = s.clone_to("clone");
    assert_eq!(support::digest(&clone), support::digest(&s.path("")));
    s.at(&clone).write("dir/file", "2");
    assert_ne!(support::digest(&clone), support::digest(&s.path("")));
}
