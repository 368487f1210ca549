//! Putting hooks in and taking them out again.

use std::fs;
use std::path::Path;

use super::support::{Output, Scratch, digest};
use super::{clone, executable, ready};

const NAMES: [&str; 5] = ["post-checkout", "post-merge", "post-rewrite", "pre-commit", "pre-push"];

/// A hook that notes what it is given.
fn noting(s: &Scratch, status: i32) -> String {
    let log = s.root().join("log");
    format!(
        "#!/bin/sh\n{{ printf '%s' \"${{0##*/}}\"; for a in \"$@\"; do printf ' <%s>' \"$a\"; done; echo; \
         case $0 in *pre-push*|*post-rewrite*) cat;; esac; }} >> {}\nexit {status}\n",
        log.display()
    )
}

fn log(s: &Scratch) -> String {
    fs::read_to_string(s.root().join("log")).unwrap_or_default()
}

fn fresh(setting: Option<&str>) -> Scratch {
    let s = Scratch::new();
    s.repo().modver(["init"]).ok();
    s.git(["commit", "-qm", "Init"]).ok();
    if let Some(path) = setting {
        let path = path.replace("ROOT", s.root().to_str().unwrap());
        s.git(["config", "core.hooksPath", &path]).ok();
    }
    s
}

fn hooks_dir(s: &Scratch, setting: Option<&str>) -> std::path::PathBuf {
    match setting {
        None => s.path(".git/hooks"),
        Some(path) => s.path(path.replace("ROOT", s.root().to_str().unwrap())),
    }
}

#[test]
fn comes_and_goes_without_a_trace() {
    for setting in [None, Some("ROOT/elsewhere"), Some(".githooks"), Some("tools/my hooks")] {
        for with_theirs in [false, true] {
            let s = fresh(setting);
            let dir = hooks_dir(&s, setting);
            if with_theirs {
                executable(&dir.join("pre-push"), &noting(&s, 0));
                executable(
                    &dir.join("post-checkout"),
                    "#!/usr/bin/env python3\nprint('not a shell')\n",
                );
                fs::write(dir.join("pre-commit"), "not executable").unwrap();
                executable(&dir.join("commit-msg"), "#!/bin/sh\n");
            }
            let all = || {
                let config = fs::read_to_string(s.path(".git/config")).unwrap();
                let hooks = if dir.exists() { digest(&dir) } else { String::new() };
                format!("{config}{hooks}{}", digest(&s.path("")))
            };
            let before = all();
            s.repo().modver(["install"]).ok();
            for name in NAMES {
                let script = fs::read_to_string(dir.join(name)).unwrap();
                assert!(script.contains(&format!("modver hook {name} \"$@\"")), "{script}");
                let syntax = s.repo().sh(&format!("sh -n '{}'", dir.join(name).display()));
                syntax.ok();
                assert_eq!(
                    dir.join(format!("{name}.before-modver")).exists(),
                    with_theirs && name != "post-merge" && name != "post-rewrite"
                );
            }
            let with = all();
            let again = s.repo().modver(["install"]);
            assert!(again.err().contains("everything was installed already"), "{again}");
            again.ok();
            assert_eq!(all(), with);
            s.repo().modver(["uninstall"]).ok();
            assert_eq!(all(), before, "{setting:?}");
            let nothing = s.repo().modver(["uninstall"]);
            assert!(nothing.err().contains("nothing of modver was installed"), "{nothing}");
        }
    }
}

#[test]
fn hooks_that_were_there_run_first_with_arguments_and_input() {
    let s = ready();
    s.repo().modver(["uninstall"]).ok();
    for name in NAMES {
        executable(&s.path(".git/hooks").join(name), &noting(&s, 0));
    }
    s.repo().modver(["install"]).ok();
    s.git(["init", "-q", "--bare", "../bare.git"]).ok();
    s.git(["switch", "-qc", "two words"]).fails(128);
    s.git(["switch", "-qc", "other"]).ok();
    s.write("x", "x");
    s.git(["add", "x"]).ok();
    s.git(["commit", "-qm", "X"]).ok();
    let head = s.git(["rev-parse", "HEAD"]).ok();
    s.git(["push", "-q", "../bare.git", "other"]).ok();
    s.git(["commit", "-q", "--amend", "-m", "Y"]).ok();
    s.git(["switch", "-q", "main"]).ok();
    s.git(["merge", "-q", "other"]).ok();
    let log = log(&s);
    for line in [
        "pre-commit.before-modver\n",
        "pre-push.before-modver <../bare.git> <../bare.git>\n",
        &format!("refs/heads/other {head} refs/heads/other 0000000000000000000000000000000000000000\n"),
        "post-rewrite.before-modver <amend>\n",
        "post-merge.before-modver <0>\n",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
    assert_eq!(log.matches("post-checkout.before-modver").count(), 2, "{log}");
    // Data was pushed, too: both got the list of refs.
    let dir = s.clone_to("clone");
    s.at(&dir).modver(["pull"]).ok();
}

#[test]
fn their_failure_stops_what_it_stopped_before() {
    let s = ready();
    s.repo().modver(["uninstall"]).ok();
    for name in ["pre-commit", "pre-push", "post-checkout"] {
        executable(&s.path(".git/hooks").join(name), &noting(&s, 7));
    }
    s.repo().modver(["install"]).ok();
    s.write("x", "x");
    s.git(["add", "x"]).ok();
    s.git(["commit", "-qm", "X"]).fails(1);
    s.git(["init", "-q", "--bare", "../bare.git"]).ok();
    s.git(["push", "-q", "../bare.git", "main"]).fails(1);
    assert_eq!(s.git(["ls-remote", "../bare.git"]).ok(), "");
    // Git makes any failure of this one its own.
    s.git(["switch", "-qc", "other"]).fails(1);
}

#[test]
fn what_somebody_changed_is_left_alone() {
    let s = fresh(None);
    s.repo().modver(["install"]).ok();
    s.sh("echo 'echo mine' >> .git/hooks/pre-commit").ok();
    executable(&s.path(".git/hooks/pre-push"), "#!/bin/sh\nexit 0\n");
    executable(&s.path(".git/hooks/pre-push.before-modver"), "#!/bin/sh\nexit 1\n");
    let before = digest(&s.path(".git/hooks"));
    for command in ["install", "uninstall"] {
        let output = s.repo().modver([command]);
        for text in [
            "pre-commit was installed by modver and changed since",
            "pre-push is another hook",
        ] {
            assert!(output.err().contains(text), "{output}");
        }
        output.fails(3);
        if command == "install" {
            assert_eq!(digest(&s.path(".git/hooks")), before);
        }
    }
    assert!(
        fs::read_to_string(s.path(".git/hooks/pre-commit"))
            .unwrap()
            .contains("echo mine")
    );
    assert!(!s.path(".git/hooks/post-merge").exists());
}

#[test]
fn an_install_that_died_in_between_is_completed_or_undone() {
    for command in ["install", "uninstall"] {
        let s = fresh(None);
        executable(&s.path(".git/hooks/pre-push"), &noting(&s, 0));
        let before = digest(&s.path(".git/hooks"));
        s.sh("mv .git/hooks/pre-push .git/hooks/pre-push.before-modver").ok();
        s.repo().modver([command]).ok();
        s.repo().modver(["uninstall"]).ok();
        assert_eq!(digest(&s.path(".git/hooks")), before);
    }
}

/// A PATH with git and the shell's programs, and no modver.
fn without_modver(s: &Scratch, args: &[&str]) -> Output {
    let bin = s.root().join("bin");
    if !bin.exists() {
        fs::create_dir(&bin).unwrap();
        for program in ["git", "sh", "cat"] {
            let at = s.repo().sh(&format!("command -v {program}")).ok();
            std::os::unix::fs::symlink(at, bin.join(program)).unwrap();
        }
    }
    Output::of(s.repo().command(bin.join("git")).args(args).env("PATH", &bin))
}

#[test]
fn without_modver_only_a_push_stops() {
    let s = ready();
    s.git(["init", "-q", "--bare", "../bare.git"]).ok();
    let switched = without_modver(&s, &["switch", "-qc", "other"]);
    assert!(switched.err().contains("modver is not on PATH"), "{switched}");
    switched.ok();
    s.write("x", "x");
    s.git(["add", "x"]).ok();
    let committed = without_modver(&s, &["commit", "-qm", "X"]);
    assert!(committed.err().contains("nothing looked at the data"), "{committed}");
    committed.ok();
    let pushed = without_modver(&s, &["push", "-q", "../bare.git", "other"]);
    assert!(pushed.err().contains("git push --no-verify"), "{pushed}");
    pushed.fails(1);
    without_modver(&s, &["push", "-q", "--no-verify", "../bare.git", "other"]).ok();
}

#[test]
fn hooks_that_others_share_do_no_harm_elsewhere() {
    let s = fresh(None);
    let shared = s.root().join("shared");
    s.git(["config", "--global", "core.hooksPath", shared.to_str().unwrap()])
        .ok();
    let installed = s.repo().modver(["install"]);
    assert!(installed.err().contains("every repository that uses it"), "{installed}");
    installed.ok();
    let other = s.root().join("other");
    fs::create_dir(&other).unwrap();
    let r = s.at(&other);
    r.git(["init", "-q"]).ok();
    r.write("x", "x");
    r.git(["add", "x"]).ok();
    let output = r.git(["commit", "-qm", "X"]);
    assert_eq!(output.err(), "");
    output.ok();
    let output = r.git(["switch", "-qc", "topic"]);
    assert_eq!(output.err(), "");
    s.git(["init", "-q", "--bare", "../bare.git"]).ok();
    let output = r.git(["push", "-q", "../bare.git", "topic"]);
    assert_eq!(output.err(), "");
    output.ok();
    assert!(!other.join(".git/modver/cache").exists());
}

#[test]
fn the_doctor_sees_what_is_missing() {
    let s = ready();
    let says = |text: &str| {
        let found = s.repo().modver(["doctor"]);
        assert!(found.out().contains(text), "{text}\n{found}");
    };
    says("data follows git: hooks and merge driver are installed");
    fs::remove_file(s.path(".git/hooks/pre-push")).unwrap();
    says("hooks of modver are missing\n         hint: modver install");
    s.repo().modver(["uninstall"]).ok();
    says("data does not follow git by itself");
    s.repo().modver(["install", "--pre-commit"]).ok();
    says("data follows git: hooks and merge driver are installed");
}

#[test]
fn entries_for_the_framework_come_and_go() {
    let s = fresh(None);
    let theirs = "# ours\nrepos:\n  - repo: https://example.org/x\n    rev: v1\n    hooks:\n      - id: x\n";
    s.write(".pre-commit-config.yaml", theirs);
    let installed = s.repo().modver(["install", "--pre-commit"]);
    assert!(
        installed.err().contains("hint: pre-commit install -t post-checkout"),
        "{installed}"
    );
    let with = String::from_utf8(s.read(".pre-commit-config.yaml")).unwrap();
    assert!(
        with.contains("entry: modver hook pre-push\n") && with.ends_with(&theirs[theirs.find("  - repo").unwrap()..])
    );
    assert!(!s.path(".git/hooks/pre-push").exists());
    s.repo().modver(["install", "--pre-commit"]).ok();
    assert_eq!(String::from_utf8(s.read(".pre-commit-config.yaml")).unwrap(), with);
    s.repo().modver(["uninstall"]).ok();
    assert_eq!(s.read(".pre-commit-config.yaml"), theirs.as_bytes());
}

#[test]
fn one_installation_serves_all_work_trees() {
    let s = ready();
    let tree = s.root().join("tree");
    s.git(["worktree", "add", "-q", "-b", "exp", tree.to_str().unwrap()])
        .ok();
    let again = s.at(&tree).modver(["install"]);
    assert!(again.err().contains("everything was installed already"), "{again}");
    let dir = clone(&s, "clone");
    assert!(Path::new(&dir).join("data/a").exists());
}
