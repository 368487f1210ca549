//! Stages that ask much: a gigabyte of output, no disk left, no permission, no ear for signals; and a lock file that is
//! being written when modver is killed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wait4::Wait4 as _;

use super::repro::{commit, define, project, ran, ready, says};
use super::repro_kill::{
    HALF, MAKE, MODVER, count, end, is_alive, nothing_to_do_here, signal, start, wait_for, with_command, with_fault,
};
use super::support::{Output, digest};

const GIB: u64 = 1 << 30;

#[test]
fn a_gigabyte_of_output_costs_neither_memory_nor_disk() {
    // Without a single line, and in lines.
    let s = ready(&format!(
        "[stages.zeros]\ncmd = 'head -c {GIB} /dev/zero; echo end'\n\
         [stages.lines]\ncmd = 'yes \"a line that is as long as lines are, for there are many of them\" | head -c {GIB}; echo end'\n"
    ));
    for stage in ["zeros", "lines"] {
        let child = s
            .repo()
            .command(MODVER)
            .args(["repro", stage])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let used = child.wait4().unwrap();
        assert!(used.status.success());
        // modver's own, or a child's: none is large.
        assert!(used.rusage.maxrss < 256 << 20, "{} bytes", used.rusage.maxrss);
        let log = s.repo().modver(["logs", stage]);
        assert!(log.stdout.len() < 18 << 20, "{}", log.stdout.len());
        assert!(log.stdout.ends_with(b"end\n"));
        let text = String::from_utf8_lossy(&log.stdout);
        assert!(text.contains("bytes of output left out"));
        log.ok();
    }
    let stored: u64 = fs::read_dir(s.path(".git/modver/stages/logs"))
        .unwrap()
        .map(|log| log.unwrap().metadata().unwrap().len())
        .sum();
    assert!(stored < 36 << 20, "{stored}");
}

#[test]
fn logs_of_several_stages() {
    let s = ready(
        "[stages.say]\nforeach = ['a', 'b']\ncmd = 'echo this is ${item}; echo loud >&2'\n\
         [stages.silent]\ncmd = 'true'\n[stages.never]\ncmd = 'true'\nfrozen = true\n",
    );
    let r = s.repo();
    r.modver(["repro", "--all", "-j1"]).ok();
    assert_eq!(
        r.modver(["logs", "say"]).ok(),
        "==> say@a <==\nthis is a\nloud\n==> say@b <==\nthis is b\nloud"
    );
    assert_eq!(
        r.modver(["logs", "say@b", "silent"]).ok(),
        "==> say@b <==\nthis is b\nloud\n==> silent <=="
    );
    assert_eq!(r.modver(["logs", "say@a"]).ok(), "this is a\nloud");
    // One that never ran here says so; nothing is printed as if it were the answer.
    let refused = r.modver(["logs", "say", "never"]);
    says(&refused, &["never"]);
    assert!(refused.stdout.is_empty(), "{refused}");
    refused.fails(1);
    r.modver(["logs", "sya"]).fails(1);
    r.modver(["logs"]).fails(2);
    r.modver(["logs", "say", "--json"]).fails(2);
}

/// Its stage notices no signal that can be ignored.
const DEAF: &str = "trap '' INT TERM; echo $$ > ../pid; while true; do sleep 0.05; done";

#[test]
fn a_command_that_ignores_signals_is_killed() {
    let s = with_command(&format!("{HALF} {DEAF}"));
    let before = digest(&s.path(""));
    let child = start(&s, &["repro", "make", "-c", "repro.grace=0"]);
    let pid = wait_for(&s.root().join("pid"));
    signal("-INT", child.id());
    let output = end(child);
    assert_eq!(output.code, 130, "{output}");
    assert!(!is_alive(&pid));
    assert_eq!(digest(&s.path("")), before, "{output}");
    assert_eq!(s.read("kept"), b"1");

    // The same when it takes too long.
    let s = ready(&format!(
        "[stages.deaf]\ncmd = '''echo half > out; {DEAF}'''\nouts = ['out']\ntimeout = 0.3\n"
    ));
    let output = s.repo().modver(["repro", "-c", "repro.grace=0"]);
    says(&output, &["took too long and was stopped"]);
    output.fails(1);
    assert!(!s.repo().has("out"));
    assert!(!is_alive(&wait_for(&s.root().join("pid"))));
}

#[test]
fn the_second_interruption_waits_for_no_command() {
    let s = with_command(&format!("{HALF} {DEAF}"));
    let before = digest(&s.path(""));
    let child = start(&s, &["repro", "make", "-c", "repro.grace=86400"]);
    let pid = wait_for(&s.root().join("pid"));
    signal("-INT", child.id());
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(is_alive(&pid));
    signal("-INT", child.id());
    let output = end(child);
    assert_eq!(output.code, 130, "{output}");
    says(&output, &["stopped   make"]);
    assert!(!is_alive(&pid));
    assert_eq!(digest(&s.path("")), before, "{output}");
    assert_eq!(s.read("kept"), b"1");
}

#[test]
fn the_lock_file_is_at_every_moment_one_that_was_meant() {
    let s = with_command(MAKE);
    let args = ["repro", "-j1", "make"];
    let n = count(&s, &args);
    let mut seen = BTreeSet::new();
    for point in 1..=n {
        let old = s.read("mv.lock");
        s.write("in", format!("{point}"));
        let killed = with_fault(&s, &format!("kill@{point}"), &args);
        assert!(killed.code == -9 || killed.code == 0, "{killed}");
        let left = s.read("mv.lock");
        s.repo().modver(["status", "--json"]).json();
        let again = s.repo().modver(args);
        assert_eq!(again.code, 0, "{point} of {n}\n{again}");
        let new = s.read("mv.lock");
        assert!(left == old || left == new, "{point} of {n}");
        assert_eq!(s.read("file"), format!("{point}").as_bytes(), "{point} of {n}\n{again}");
        seen.insert(left == new);
        nothing_to_do_here(&s, "make");
    }
    assert_eq!(seen.len(), 2, "killed before and after");
    s.repo().modver(["verify"]).ok();
}

#[test]
fn another_directory_is_another_stage() {
    let s = project();
    let r = s.repo();
    let stages = |wdir: &str| {
        format!(
            "[stages.here]\nwdir = '{wdir}'\ncmd = 'echo here >> \"$RUNS\"; pwd > out'\ndeps = ['in']\nouts = ['out']\n"
        )
    };
    s.write("a/in", "1");
    s.write("b/in", "1");
    define(&s, &stages("a"));
    r.modver(["repro"]).ok();
    define(&s, &stages("b"));
    let plan = r.modver(["repro", "--dry-run"]);
    says(
        &plan,
        &[
            "the directory changed: a → b",
            "it depends on `b/in` now",
            "it does not depend on `a/in` any more",
            "it makes `b/out` now",
            "it does not make `a/out` any more",
        ],
    );
    plan.ok();
    says(
        &r.modver(["repro", "--explain", "here"]),
        &["the directory changed: a → b"],
    );
    assert_eq!(ran(&s), ["here"]);
    r.modver(["repro"]).ok();
    assert_eq!(ran(&s), ["here"]);
    let lock = String::from_utf8(s.read("mv.lock")).unwrap();
    assert!(lock.contains("b/out") && !lock.contains("a/out"), "{lock}");
    // What is no output any more stays, as a file of the user's.
    assert!(r.has("a/out"));
    assert!(!r.has("a/.gitignore"));
}

/// A small file system, mounted while this lives; `None` where that is not allowed.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .output();
        mount
            .is_ok_and(|done| done.status.success())
            .then(|| Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_stage_that_fills_the_disk() {
    let s = ready("");
    let at = s.root().join("small");
    let Some(_disk) = Small::mount(&at, "12m") else {
        eprintln!("NOT TESTED: no small file system can be mounted here");
        return;
    };
    let dir = at.join("repo");
    fs::rename(s.path(""), s.root().join("moved")).ok();
    let r = s.at(&at);
    r.git(["clone", "--quiet", s.root().join("moved").to_str().unwrap(), "repo"])
        .ok();
    let r = s.at(&dir);
    r.modver(["init"]).ok();
    let stage = |cmd: &str| {
        format!(
            "[stages.fill]\ncmd = '''{cmd}'''\ndeps = ['in']\nouts = ['out', 'dir']\n[stages.small]\ncmd = 'cat in > small'\ndeps = ['in']\nouts = ['small']\n"
        )
    };
    let base = fs::read_to_string(dir.join("mv.toml")).unwrap();
    let define = |cmd: &str| r.write("mv.toml", format!("{base}\n{}", stage(cmd)));
    r.write("in", "1");
    define("mkdir dir; cat in > out; cat in > dir/a");
    r.modver(["repro"]).ok();
    commit(r, "One");
    // It fails by itself.
    define("mkdir dir; cat in > out; head -c 30000000 /dev/urandom > dir/large");
    r.write("in", "2");
    let before = digest(&dir);
    for _ in 0..2 {
        let failed = r.modver(["repro", "fill"]);
        assert!(!failed.err().contains("panicked"), "{failed}");
        says(&failed, &["failed    fill"]);
        failed.fails(1);
        assert_eq!(digest(&dir), before);
    }
    // It leaves no room for the cache, and does not mind.
    define("mkdir dir; cat in > out; head -c 30000000 /dev/urandom > dir/large || true");
    let before = digest(&dir);
    for _ in 0..2 {
        let failed = r.modver(["repro", "fill"]);
        assert!(!failed.err().contains("panicked"), "{failed}");
        says(&failed, &["failed    fill", "No space left on device"]);
        failed.fails(1);
        assert_eq!(digest(&dir), before);
    }
    r.modver(["verify"]).ok();
    define("mkdir dir; cat in > out; cat in > dir/a");
    r.modver(["repro"]).ok();
    assert_eq!(r.read("dir/a"), b"2");
    assert_eq!(r.read("small"), b"2");
    let done = r.modver(["repro"]);
    says(&done, &["everything is up to date"]);
    done.ok();
}

const NOBODY: u32 = 65_534;

#[test]
fn a_directory_that_nothing_can_be_written_into() {
    let s = ready(
        "[stages.make]\ncmd = 'cat in > sub/out'\ndeps = ['in']\nouts = ['sub/out']\n\
         [stages.other]\ncmd = 'cat in > other'\ndeps = ['in']\nouts = ['other']\n",
    );
    s.write("in", "1");
    s.repo().modver(["repro"]).ok();
    commit(s.repo(), "One");
    s.write("in", "2");
    // Where the program was built others may not look; to root, permissions mean nothing.
    let modver = s.root().join("modver");
    fs::copy(MODVER, &modver).unwrap();
    let is_root = fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if is_root {
        Output::of(Command::new("chown").args(["-R", "65534:65534"]).arg(s.root())).ok();
    }
    let run = |args: &[&str]| {
        let mut command = s.repo().command(&modver);
        command.args(args);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        Output::of(&mut command)
    };
    s.repo().sh("chmod 555 sub").ok();
    let before = digest(&s.path(""));
    let refused = run(&["repro", "make"]);
    says(&refused, &["failed    make", "sub"]);
    assert!(!refused.err().contains("panicked"), "{refused}");
    refused.fails(1);
    assert_eq!(digest(&s.path("")), before);
    run(&["repro", "-k"]).fails(1);
    assert_eq!((s.read("sub/out"), s.read("other")), (b"1".to_vec(), b"2".to_vec()));
    s.repo().sh("chmod 755 sub").ok();
    let output = run(&["repro"]);
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(s.read("sub/out"), b"2");
}
