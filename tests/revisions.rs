//! Data of any revision, by the real binaries.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

#[path = "revisions/log.rs"]
mod log;
#[path = "revisions/read.rs"]
mod read;
#[path = "revisions/repositories.rs"]
mod repositories;
#[path = "revisions/scopes.rs"]
mod scopes;
mod support;

use std::fs;

use support::{Repo, Scratch};

/// A repository whose remote is the directory `remote/` beside it.
fn with_remote() -> Scratch {
    with_remote_in(Scratch::new())
}

fn with_remote_in(s: Scratch) -> Scratch {
    let url = s.root().join("remote");
    fs::create_dir(&url).unwrap();
    s.write(
        "mv.toml",
        format!("[remote.origin]\nurl = {:?}\n", url.to_str().unwrap()),
    );
    s
}

/// Adds outputs and commits everything in git, on the day of January 2026 that is given.
fn commit(repo: Repo<'_>, day: u32, outputs: &[&str]) {
    if !outputs.is_empty() {
        repo.modver(["add", "--quiet"].iter().chain(outputs)).ok();
    }
    repo.sh(&format!(
        "export GIT_AUTHOR_DATE=2026-01-{day:02}T12:00:00Z GIT_COMMITTER_DATE=2026-01-{day:02}T12:00:00Z\n\
         git add -A; git commit --quiet --message 'day {day}'"
    ))
    .ok();
}

/// The ids of the commits of `HEAD`, newest first, as text shows them.
fn ids(repo: Repo<'_>) -> Vec<String> {
    let ids = repo.git(["log", "--format=%H"]).ok();
    ids.lines().map(|id| id[..10].to_owned()).collect()
}
