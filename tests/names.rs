//! `mv` on PATH in front of the system's: scripts must not notice.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;

use support::{Output, Scratch};

const OURS: &str = env!("CARGO_BIN_EXE_mv");

/// A directory whose `mv` is a copy (another inode) of ours.
fn copy_in(dir: &Path) {
    fs::create_dir(dir).unwrap();
    fs::copy(OURS, dir.join("mv")).unwrap();
}

/// A directory whose `mv` is a shell script.
fn script_in(dir: &Path, script: &str) {
    fs::create_dir(dir).unwrap();
    let file = dir.join("mv");
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn scripts_get_the_systems_mv() {
    let mut s = Scratch::bare();
    s.set_env("OURS", OURS);
    s.sh("
        test \"$(command -v mv)\" = \"$OURS\"
        echo 1 > a;              mv a b;                       test ! -e a; test \"$(cat b)\" = 1
        echo 2 > a;              mv -f a b;                    test ! -e a; test \"$(cat b)\" = 2
        mkdir dir; echo 3 > a;   mv -t dir a b;                test -e dir/a; test -e dir/b
        echo 4 > ./-x;           mv -- -x y;                   test \"$(cat y)\" = 4
        touch 1.t 2.t; mkdir t;  find . -maxdepth 1 -name '*.t' -exec mv -t t {} +
        test -e t/1.t; test -e t/2.t
        ls t | sed 's/.*/t\\/&/' | xargs -I{} mv {} .;          test -e 1.t; test -e 2.t
        touch 3.t; mkdir u;      find . -name 3.t -exec mv {} u \\;;  test -e u/3.t
        touch a;                 env mv a c;                   test -e c
        ")
        .ok();
}

#[test]
fn a_file_called_like_a_command_can_be_moved() {
    let s = Scratch::bare();
    s.write("add", "1");
    s.mv(["add", "data"]).ok();
    assert_eq!(s.read("data"), b"1");
    symlink("nowhere", s.path("push")).unwrap();
    s.mv(["push", "pull"]).ok();
    assert!(s.repo().has("pull"), "also a dangling link");
}

#[test]
fn commands_are_ours() {
    let s = Scratch::bare();
    for args in [&["--version"][..], &["--json", "--version"]] {
        assert_eq!(s.mv(args).ok(), concat!("modver ", env!("CARGO_PKG_VERSION")));
    }
    assert!(s.mv(["help", "names"]).ok().contains("the system's"));
    assert!(s.mv(["add", "--help"]).ok().contains("mv add"));
    assert!(s.mv(["add"]).err().contains("PATH"), "clap's message, not coreutils'");
    let none: [&str; 0] = [];
    assert!(s.mv(none).err().contains("Usage: mv"));
}

#[test]
fn links_and_copies_never_loop() {
    let mut s = Scratch::bare();
    let dir = |name: &str| s.root().join(name);
    for name in ["link", "hard"] {
        fs::create_dir(dir(name)).unwrap();
    }
    symlink(OURS, dir("link/mv")).unwrap();
    // A hard link needs the same file system; a link to the link is as good where that is not given.
    if fs::hard_link(OURS, dir("hard/mv")).is_err() {
        symlink(dir("link/mv"), dir("hard/mv")).unwrap();
    }
    copy_in(&dir("copy1"));
    copy_in(&dir("copy2"));
    fs::create_dir_all(dir("folder/mv")).unwrap();
    fs::create_dir(dir("plain")).unwrap();
    fs::write(dir("plain/mv"), "not executable").unwrap();
    script_in(&dir("last"), "echo \"system: $*\"");
    // A wrapper that hands over to us by our full path.
    script_in(&dir("wrapper"), &format!("exec {OURS} \"$@\""));

    let farm = ["copy1", "link", "folder", "copy2", "hard", "plain", "copy1", "link"].map(dir);
    let mut path: Vec<&Path> = farm.iter().map(|dir| dir.as_path()).collect();
    set_path(&mut s, &path);
    let output = s
        .repo()
        .command(within(&s, "copy2/mv"))
        .args(["a", "b"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(127), "only copies of ourselves");

    let last = s.root().join("last");
    path.push(&last);
    set_path(&mut s, &path);
    for start in ["copy1/mv", "copy2/mv", "link/mv", "hard/mv"] {
        let mut command = s.repo().command(within(&s, start));
        assert_eq!(Output::of(command.args(["a", "b"])).ok(), "system: a b", "{start}");
    }
    let wrapper = s.root().join("wrapper");
    for path in [[&*wrapper, &*last], [&*last, &*wrapper]] {
        set_path(&mut s, &path);
        let mut command = s.repo().command(OURS);
        assert_eq!(Output::of(command.args(["a", "b"])).ok(), "system: a b");
    }
}

fn set_path(s: &mut Scratch, path: &[&Path]) {
    s.set_env("PATH", std::env::join_paths(path).unwrap());
}

fn within(s: &Scratch, name: &str) -> std::path::PathBuf {
    s.root().join(name)
}

#[test]
fn without_another_mv_it_says_so() {
    let mut s = Scratch::bare();
    let ours = Path::new(OURS).parent().unwrap();
    s.set_env("PATH", ours);
    let output = s.mv(["a", "b"]);
    assert_eq!(output.code, 127, "{output}");
    assert!(output.err().contains("hint: modver help names"), "{output}");
}

#[test]
fn everything_passes_through() {
    let mut s = Scratch::bare();
    let bin = s.root().join("bin");
    let ours = Path::new(OURS).parent().unwrap().to_owned();
    script_in(
        &bin,
        "printf '%s|' \"$@\"; pwd; env | grep -c MODVER || true; cat; test \"$1\" != kill || kill -TERM $$; exit 42",
    );
    let path = std::env::var_os("PATH").unwrap();
    let mut dirs = vec![ours, bin];
    dirs.extend(std::env::split_paths(&path));
    s.set_env("PATH", std::env::join_paths(dirs).unwrap());

    let odd = OsStr::from_bytes(b"\xff\xfe b");
    let mut child = s
        .repo()
        .command(OURS)
        .args([OsStr::new("-i"), odd, OsStr::new(""), OsStr::new("b")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"an answer").unwrap();
    let output = child.wait_with_output().unwrap();
    let mut expected = b"-i|\xff\xfe b||b|".to_vec();
    expected.extend_from_slice(s.path("").parent().unwrap().join("repo").as_os_str().as_bytes());
    expected.extend_from_slice(b"\n0\nan answer");
    assert_eq!(
        output.stdout.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
    assert_eq!(output.status.code(), Some(42));

    assert_eq!(s.mv(["kill", "b"]).code, -15, "a signal stays a signal");
}

#[test]
fn the_question_of_mv_i_is_answered() {
    let s = Scratch::bare();
    s.write("a", "new");
    s.write("b", "old");
    s.sh("echo n | mv -i a b || true").ok();
    assert_eq!(s.read("b"), b"old");
    s.sh("echo y | mv -i a b").ok();
    assert_eq!(s.read("b"), b"new");
    let output = s.mv(["gone", "b"]);
    assert_eq!(output.code, 1);
    assert!(output.err().starts_with("mv: "), "{output}");
}
