//! Transparent files as users of plain git meet them: add, commit, clone, switch, stash, merge; strange names, missing
//! content, killed filters, collection.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

mod support;

#[path = "transparent/crash.rs"]
mod crash;
#[path = "transparent/everyday.rs"]
mod everyday;
#[path = "transparent/hooks.rs"]
mod hooks;
#[path = "transparent/keep.rs"]
mod keep;
#[path = "transparent/migrate.rs"]
mod migrate;
#[path = "transparent/missing.rs"]
mod missing;
#[path = "transparent/names.rs"]
mod names;
#[path = "transparent/places.rs"]
mod places;

use support::{Repo, Scratch, noise};

/// A repository with a remote beside it, in which `*.bin` is transparent; committed.
fn ready() -> Scratch {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.root().join("remote")).unwrap();
    let modver = |args: &[&str]| scratch.repo().modver(args).ok();
    modver(&["init"]);
    modver(&["remote", "add", "origin", "../remote"]);
    modver(&["track", "*.bin"]);
    commit_all(scratch.repo(), "Init");
    scratch
}

fn commit_all(repo: Repo<'_>, message: &str) {
    repo.git(["add", "--all"]).ok();
    repo.git(["commit", "--quiet", "--allow-empty", "-m", message]).ok();
}

/// What git has at a path of a revision, such as `HEAD:a.bin`.
fn stored(repo: Repo<'_>, object: &str) -> String {
    repo.git(["cat-file", "blob", object]).ok()
}

#[track_caller]
fn is_pointer(text: &str, content: &[u8]) {
    let id = modver::hash::FileId::of(content);
    let expected = format!(
        "# modver pointer. The content of this file: modver pull <its name>\n\
         version = 1\nkind = \"file\"\nid = \"{id}\"\nsize = {}",
        content.len()
    );
    assert_eq!(text.trim_end(), expected);
}

#[track_caller]
fn clean(repo: Repo<'_>) {
    assert_eq!(repo.git(["status", "--porcelain"]).ok(), "");
}
