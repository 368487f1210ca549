//! Data follows git: hooks, the merge driver and settling of conflicts, driven by real git through whole stories.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

mod support;

#[path = "hooks/commit.rs"]
mod commit;
#[path = "hooks/follow.rs"]
mod follow;
#[path = "hooks/install.rs"]
mod install;
#[path = "hooks/merge.rs"]
mod merge;
#[path = "hooks/push.rs"]
mod push;

use std::path::{Path, PathBuf};

use support::{Output, Repo, Scratch};

/// A repository with a remote, hooks, and `data/` with three files in its first commits.
fn ready() -> Scratch {
    let s = Scratch::new();
    std::fs::create_dir(s.root().join("store")).unwrap();
    let r = s.repo();
    r.modver(["init"]).ok();
    r.modver(["remote", "add", "store", "../store"]).ok();
    r.git(["add", "."]).ok();
    r.git(["commit", "-qm", "Init"]).ok();
    r.modver(["install"]).ok();
    r.write("data/a", "a");
    r.write("data/b", "b");
    r.write("data/in/c", "c");
    record(r, "Data");
    r.modver(["push"]).ok();
    s
}

/// Adds `data` and commits all.
fn record(r: Repo<'_>, message: &str) {
    r.modver(["add", "data"]).ok();
    r.git(["commit", "-qam", message]).ok();
}

/// A clone with hooks and data.
fn clone(s: &Scratch, name: &str) -> PathBuf {
    let dir = s.clone_to(name);
    s.at(&dir).modver(["install"]).ok();
    s.at(&dir).modver(["pull"]).ok();
    dir
}

/// The data as one text.
fn data(r: Repo<'_>) -> String {
    r.sh("cd data && find . -type f | LC_ALL=C sort | while read -r f; do printf '%s=%s ' \"$f\" \"$(cat \"$f\")\"; done")
        .ok()
        .replace("./", "")
}

/// The command that a message says to type.
fn hint(output: &Output) -> String {
    let err = output.err();
    let line = err.lines().find_map(|line| line.strip_prefix("hint: "));
    line.unwrap_or_else(|| panic!("no hint\n{output}")).to_owned()
}

fn executable(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, script).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
