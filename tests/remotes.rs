//! Push, fetch, pull, verify and gc by the real binaries, against remotes in directories and on an S3 service.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

#[path = "remotes/collect.rs"]
mod collect;
#[path = "remotes/crash.rs"]
mod crash;
#[path = "remotes/damage.rs"]
mod damage;
#[path = "remotes/encrypted.rs"]
mod encrypted;
#[path = "remotes/gc.rs"]
mod gc;
#[path = "remotes/proxy.rs"]
mod hard_network;
#[path = "remotes/hostile.rs"]
mod hostile;
#[path = "remotes/limits.rs"]
mod limits;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "remotes/repair.rs"]
mod repair;
#[path = "remotes/replicate.rs"]
mod replicate;
#[path = "remotes/requests.rs"]
mod requests;
#[path = "support/s3.rs"]
mod s3;
#[path = "remotes/several.rs"]
mod several;
#[path = "remotes/share.rs"]
mod share;
mod support;
#[path = "remotes/unlisted.rs"]
mod unlisted;
#[path = "support/web.rs"]
mod web;

use std::fs;
use std::path::{Path, PathBuf};

use support::{Repo, Scratch, noise};

/// A repository whose remote is the directory `remote/` beside it.
fn with_dir_remote() -> Scratch {
    let s = Scratch::new();
    fs::create_dir(s.root().join("remote")).unwrap();
    let url = s.root().join("remote");
    s.write(
        "mv.toml",
        format!("[remote.origin]\nurl = {:?}\n", url.to_str().unwrap()),
    );
    s
}

/// A repository whose remote is on this server.
fn with_s3_remote(server: &s3::S3Server) -> Scratch {
    let mut s = Scratch::new();
    s.write(
        "mv.toml",
        format!(
            "[remote.origin]\nurl = \"s3://{}/some/prefix\"\nendpoint = \"{}\"\nregion = \"us-east-1\"\npath_style = true\n",
            server.bucket, server.endpoint
        ),
    );
    s.set_env("AWS_ACCESS_KEY_ID", &server.access_key);
    s.set_env("AWS_SECRET_ACCESS_KEY", &server.secret_key);
    s
}

/// A directory with a bit of everything, and a larger file.
fn sample(repo: Repo<'_>) {
    for i in 0..40 {
        repo.write(format!("data/cats/{i}.txt"), format!("cat {i}\n"));
        repo.write(format!("data/dogs/{i}.txt"), format!("dog {i}\n"));
    }
    repo.write("data/deep/er/file", noise(1, 700_000));
    repo.write("big.bin", noise(2, 3_000_000));
    repo.sh("mkdir data/empty; ln -s cats/1.txt data/link; chmod +x data/cats/0.txt")
        .ok();
}

/// Adds outputs and commits everything in git.
fn add(repo: Repo<'_>, paths: &[&str]) {
    repo.modver(["add", "--quiet"].iter().chain(paths)).ok();
    commit(repo);
}

fn commit(repo: Repo<'_>) {
    repo.sh("git add -A && git commit --quiet --message next").ok();
}

/// The sample, tracked and committed.
fn sample_in(s: &Scratch) {
    sample(s.repo());
    add(s.repo(), &["data", "big.bin"]);
}

/// All files below a directory with their sizes, sorted.
fn files(dir: &Path) -> Vec<(PathBuf, u64)> {
    fn collect(dir: &Path, found: &mut Vec<(PathBuf, u64)>) {
        let Ok(entries) = fs::read_dir(dir) else { return };
        for entry in entries {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                collect(&entry.path(), found);
            } else {
                found.push((entry.path(), entry.metadata().unwrap().len()));
            }
        }
    }
    let mut found = Vec::new();
    collect(dir, &mut found);
    found.sort();
    found
}

/// Changes one byte in the middle of a file.
fn damage_file(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(path, bytes).unwrap();
}
