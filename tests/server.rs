//! `modver serve` by the real binary: what clients push and pull, who may do what, what hostile clients get.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

#[path = "server/plain.rs"]
mod plain;
#[path = "server/protocol.rs"]
mod protocol;
#[path = "server/raw.rs"]
mod raw;
#[path = "server/resume.rs"]
mod resume;
#[path = "server/run.rs"]
mod run;
#[path = "server/share.rs"]
mod share;
#[path = "server/slow.rs"]
mod slow;
mod support;
#[path = "server/tokens.rs"]
mod tokens;
#[path = "support/web.rs"]
mod web;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::{Repo, Scratch, noise};

/// A running `modver serve`, killed at the end.
struct Serve {
    child: Child,
    /// `http://127.0.0.1:port`.
    url: String,
    /// Its directory.
    root: PathBuf,
    /// What it said on standard error.
    said: Arc<Mutex<String>>,
}

impl Serve {
    /// Starts it on a free port, with its directory `serve/` in the scratch place.
    fn start(s: &Scratch, args: &[&str]) -> Self {
        Self::at(s, "127.0.0.1:0", args)
    }

    fn at(s: &Scratch, listen: &str, args: &[&str]) -> Self {
        let root = s.root().join("serve");
        let mut child = s
            .repo()
            .command(env!("CARGO_BIN_EXE_modver"))
            .args(["serve", "--listen", listen, "--root"])
            .arg(&root)
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let url = match first.split_once("listening on ") {
            Some((_, url)) => url.trim().to_owned(),
            None => {
                lines.read_to_string(&mut first).unwrap();
                panic!("the server did not start: {first}");
            }
        };
        let said = Arc::new(Mutex::new(String::new()));
        let to = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut said = to.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        Self { child, url, root, said }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// `host:port`.
    fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    /// The path of something in a repository.
    fn path(&self, key: &str) -> PathBuf {
        self.root.join("repositories").join(key)
    }

    fn signal(&self, name: &str) {
        let status = std::process::Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Ends it as a service manager does; returns its exit code.
    fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().unwrap().code()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let said = self.said();
        assert!(!said.contains("panicked"), "{said}");
    }
}

/// Makes a token of the server in `serve/`.
fn token(s: &Scratch, args: &[&str]) -> String {
    let root = s.root().join("serve");
    let mut all = vec!["serve", "token", "add", "--root", root.to_str().unwrap()];
    all.extend(args);
    s.repo().modver(all).ok()
}

/// A repository with two outputs, whose remote is this URL.
fn with_remote(s: &Scratch, url: &str) {
    s.write("mv.toml", format!("[remote.hub]\nurl = {url:?}\n"));
    for i in 0..20_u64 {
        s.write(format!("data/{i}.bin"), noise(i, 20_000));
    }
    s.write("big.bin", noise(99, 12_000_000));
    s.repo().modver(["add", "data", "big.bin"]).ok();
    commit(s.repo());
}

fn commit(repo: Repo<'_>) {
    repo.git(["add", "--all"]).ok();
    repo.git(["commit", "--quiet", "--message", "x"]).ok();
}

fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !check() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// All files below a directory, as paths relative to it.
fn files(dir: &Path) -> Vec<String> {
    fn walk(dir: &Path, prefix: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                walk(&entry.path(), &format!("{name}/"), found);
            } else {
                found.push(name);
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, "", &mut found);
    found.sort();
    found
}
