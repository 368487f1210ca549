//! Others at work at the same time.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::support::{Output, digest};
use super::{commit, delete, noise, ready};

#[test]
fn a_file_that_grows_while_it_is_read() {
    let s = ready();
    let path = s.path("log");
    let first = noise(7, 6 << 20);
    fs::write(&path, &first).unwrap();
    let stop = AtomicBool::new(false);
    let outcomes: Vec<Output> = thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            while !stop.load(Ordering::Relaxed) {
                file.write_all(b"another line\n").unwrap();
                thread::sleep(Duration::from_millis(1));
            }
        });
        let outcomes = (0..3).map(|_| s.repo().modver(["add", "log"])).collect();
        stop.store(true, Ordering::Relaxed);
        outcomes
    });
    for output in outcomes {
        if output.code != 0 {
            assert!(output.err().contains("changes while it is read"), "{output}");
            assert!(output.err().contains("log"), "{output}");
        }
    }
    let whole = fs::read(&path).unwrap();
    if s.repo().has("log.mv") {
        fs::rename(&path, s.path("aside")).unwrap();
        s.repo().modver(["checkout"]).ok();
        let read_back = s.read("log");
        assert!(read_back.len() >= first.len() && whole.starts_with(&read_back));
        fs::rename(s.path("aside"), &path).unwrap();
    }
    s.repo().modver(["add", "log"]).ok();
    delete(&path);
    s.repo().modver(["checkout"]).ok();
    assert_eq!(s.read("log"), whole);
}

#[test]
fn several_processes_add_while_another_collects() {
    let s = ready();
    s.write("junk", noise(77, 400_000));
    s.repo().modver(["add", "junk"]).ok();
    s.repo().modver(["remove", "--outs", "junk"]).ok();
    for i in 0..20 {
        s.write(format!("a/{i}"), noise(i, 50_000));
        s.write(format!("b/{i}/f"), noise(1000 + i, 50_000));
    }
    s.write("same", noise(5, 300_000));
    let before = digest(&s.path(""));
    thread::scope(|scope| {
        for dir in ["a", "b"] {
            let s = &s;
            scope.spawn(move || {
                for i in 0..20 {
                    s.repo().modver(["add", &format!("{dir}/{i}")]).ok();
                }
            });
        }
        for _ in 0..2 {
            let s = &s;
            scope.spawn(move || (0..5).for_each(|_| drop(s.repo().modver(["add", "same"]).ok())));
        }
        let gc = ["gc", "--workspace", "--yes", "--delete-data-that-exists-nowhere-else"];
        let s = &s;
        scope.spawn(move || (0..8).for_each(|_| drop(s.repo().modver(gc).ok())));
    });
    commit(&s, "All");
    assert_eq!(s.git(["status", "--porcelain"]).ok(), "");
    assert_eq!(s.git(["ls-files", "*.mv"]).ok().lines().count(), 41);
    for path in ["a", "b"] {
        for i in 0..20 {
            delete(&s.path(format!("{path}/{i}")));
        }
    }
    delete(&s.path("same"));
    s.repo().modver(["checkout"]).ok();
    s.repo().modver(["verify"]).ok();
    let after = digest(&s.path(""));
    for line in before.lines() {
        assert!(after.lines().any(|l| l == line), "{line}");
    }
}

#[test]
fn ctrl_c_leaves_nothing_and_is_no_obstacle() {
    let s = ready();
    let large = fs::File::create(s.path("large")).unwrap();
    let block = noise(3, 8 << 20);
    for i in 0..24_u8 {
        (&large).write_all(&[i]).unwrap();
        (&large).write_all(&block[usize::from(i)..]).unwrap();
    }
    drop(large);
    let before = super::everything(&s);
    let mut interrupted = false;
    for wait in [60, 120, 30, 200, 15] {
        let mut command = s.repo().command(env!("CARGO_BIN_EXE_modver"));
        let child = command
            .args(["add", "large"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = child.spawn().unwrap();
        thread::sleep(Duration::from_millis(wait));
        let pid = child.id().to_string();
        let started = Instant::now();
        drop(Output::of(s.repo().command("kill").args(["-INT", &pid])));
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            break;
        }
        if output.status.signal().is_none() {
            assert_eq!(
                output.status.code(),
                Some(130),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            interrupted = true;
        }
        assert!(started.elapsed() < Duration::from_secs(10));
        assert_eq!(super::everything(&s), before);
        if interrupted {
            break;
        }
    }
    assert!(interrupted, "the file is too small for this machine");
    s.repo().modver(["add", "large"]).ok();
    let before = digest(&s.path(""));
    delete(&s.path("large"));
    s.repo().modver(["checkout"]).ok();
    assert_eq!(digest(&s.path("")), before);
}
