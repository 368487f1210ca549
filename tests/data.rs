//! `add`, `commit`, `checkout`, `remove` and `move` as a hostile user meets them: strange names, refusals, lost races,
//! full disks and `kill -9`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may panic, say what it cannot test, and uses files as a user would"
)]

mod support;

#[path = "data/add.rs"]
mod add;
#[path = "data/broken.rs"]
mod broken;
#[path = "data/checkout.rs"]
mod checkout;
#[path = "data/crash.rs"]
mod crash;
#[path = "data/limits.rs"]
mod limits;
#[path = "data/orphans.rs"]
mod orphans;
#[path = "data/race.rs"]
mod race;
#[path = "data/refuse.rs"]
mod refuse;
#[path = "data/round_trip.rs"]
mod round_trip;
#[path = "data/shared_cache.rs"]
mod shared_cache;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use support::{Scratch, digest, noise};

fn name(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

/// A repository after `modver init` and a first commit.
fn ready() -> Scratch {
    let scratch = Scratch::new();
    scratch.repo().modver(["init"]).ok();
    scratch.git(["add", "."]).ok();
    commit(&scratch, "Init");
    scratch
}

fn commit(scratch: &Scratch, message: &str) {
    scratch.git(["commit", "--quiet", "--allow-empty", "-m", message]).ok();
}

/// Work tree and index, to see that nothing changed.
fn everything(scratch: &Scratch) -> String {
    let index = scratch.path(".git/index");
    let index = std::fs::read(index).unwrap_or_default();
    format!("{}{}", digest(&scratch.path("")), modver::hash::FileId::of(&index))
}

/// Removes a file or directory.
fn delete(path: &Path) {
    if path.symlink_metadata().unwrap().is_dir() {
        std::fs::remove_dir_all(path).unwrap();
    } else {
        std::fs::remove_file(path).unwrap();
    }
}
