//! get, import, import-url, update and `ls` of other places, by the real binaries.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

#[path = "imports/get.rs"]
mod get;
#[path = "imports/hostile.rs"]
mod hostile;
#[path = "imports/import.rs"]
mod import;
#[path = "support/s3.rs"]
mod s3;
mod support;
#[path = "imports/urls.rs"]
mod urls;
#[path = "support/web.rs"]
mod web;

use std::fs;
use std::path::{Path, PathBuf};

use support::{Repo, Scratch, noise};

/// A scratch place with `source/` (a repository with data, whose remote is `store/` beside it, not pushed yet),
/// `repo/` (an empty repository that uses modver) and `out/` (outside of all).
fn scratch() -> (Scratch, PathBuf, PathBuf) {
    let s = Scratch::new();
    let (source, out) = (s.root().join("source"), s.root().join("out"));
    for dir in [&source, &out, &s.root().join("store")] {
        fs::create_dir(dir).unwrap();
    }
    let other = s.at(&source);
    other.git(["init", "--quiet"]).ok();
    other.modver(["init", "--quiet"]).ok();
    other.modver(["remote", "add", "--quiet", "store", "../store"]).ok();
    for i in 0..5 {
        other.write(format!("data/cats/{i}.txt"), format!("cat {i}\n"));
        other.write(format!("data/dogs/{i}.txt"), format!("dog {i}\n"));
    }
    other.write("model.bin", noise(1, 1_000_000));
    other.write("code/run.py", "print(1)\n");
    other.write("code/weights.bin", "weights\n");
    other
        .sh("mkdir data/empty; ln -s cats/1.txt data/link; chmod +x data/cats/0.txt code/run.py")
        .ok();
    other
        .modver(["add", "--quiet", "data", "model.bin", "code/weights.bin"])
        .ok();
    commit(other, "one");
    other.git(["tag", "v1"]).ok();
    s.repo().modver(["init", "--quiet"]).ok();
    commit(s.repo(), "init");
    (s, source, out)
}

fn commit(repo: Repo<'_>, message: &str) {
    repo.sh(&format!(
        "git add -A && git commit --quiet --allow-empty --message '{message}'"
    ))
    .ok();
}

/// A second version of the source's data.
fn second_version(other: Repo<'_>) {
    other.write("data/cats/1.txt", "another cat\n");
    other.write("data/cats/9.txt", "a ninth cat\n");
    other.modver(["commit", "--quiet"]).ok();
    commit(other, "two");
}

fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// The names in a directory, sorted.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
