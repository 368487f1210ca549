//! One cache for several users of a machine.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use super::support::{Output, Scratch};

/// Numbers that no account of a usual machine has.
const GROUP: u32 = 61_000;
const ANN: u32 = 61_001;
const BOB: u32 = 61_002;

/// Runs a script as a user of the group, or of none, in a directory of that user's own.
fn as_user(s: &Scratch, user: u32, group: u32, umask: &str, script: &str) -> Output {
    let home = s.root().join(format!("home-{user}"));
    if !home.exists() {
        std::fs::create_dir(&home).unwrap();
        std::os::unix::fs::chown(&home, Some(user), Some(user)).unwrap();
    }
    let script = format!("umask {umask}\n{script}");
    let mut command: Command = s.repo().command("setpriv");
    command
        .args([
            format!("--reuid={user}"),
            format!("--regid={group}"),
            "--clear-groups".to_owned(),
        ])
        .args(["sh", "-euc", &script])
        .current_dir(&home)
        .env("HOME", &home)
        .env("MODVER_CACHE_DIR", s.root().join("cache"))
        .env("MODVER_CACHE_SHARED", "true");
    Output::of(&mut command)
}

fn is_root(s: &Scratch) -> bool {
    let root = s.sh("id -u && command -v setpriv").out().starts_with("0\n/");
    if !root {
        std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: only root can be several users\n").unwrap();
    }
    root
}

fn all(dir: &Path, each: &mut impl FnMut(&Path, &std::fs::Metadata)) {
    let meta = dir.symlink_metadata().unwrap();
    each(dir, &meta);
    if meta.is_dir() {
        for entry in std::fs::read_dir(dir).unwrap() {
            all(&entry.unwrap().path(), each);
        }
    }
}

/// A place that everybody can get to, and the program.
fn scratch() -> Scratch {
    let s = Scratch::new();
    std::fs::set_permissions(s.root(), std::fs::Permissions::from_mode(0o777)).unwrap();
    s.sh("chmod 644 ../home/.gitconfig; chmod 755 ../home").ok();
    s
}

const MAKE: &str =
    "git init -q r && cd r && seq 1 200000 > big && mkdir d && for i in 1 2 3; do echo \"$USER_ID $i\" > d/$i; done
modver add -q big d";

#[test]
fn what_one_user_stores_the_others_use_whatever_their_umask() {
    let s = scratch();
    if !is_root(&s) {
        return;
    }
    as_user(&s, ANN, GROUP, "077", &format!("USER_ID=ann\n{MAKE}")).ok();
    as_user(&s, BOB, GROUP, "027", &format!("USER_ID=bob\n{MAKE}")).ok();
    let cache = s.root().join("cache");
    let mut owners = std::collections::BTreeSet::new();
    all(&cache, &mut |path, meta| {
        let wanted = if meta.is_dir() { 0o2070 } else { 0o060 };
        assert_eq!(meta.mode() & wanted, wanted, "{} {:o}", path.display(), meta.mode());
        assert_eq!(meta.gid(), GROUP, "{}", path.display());
        owners.insert(meta.uid());
    });
    assert_eq!(owners.into_iter().collect::<Vec<_>>(), [ANN, BOB]);
    // Bob's workspace from what Ann stored: her pointers, and nothing of her files.
    as_user(&s, ANN, GROUP, "022", "cat r/big.mv > ../big.mv; cat r/d.mv > ../d.mv").ok();
    as_user(
        &s,
        BOB,
        GROUP,
        "077",
        "git init -q s && cd s && cp ../../big.mv ../../d.mv . && modver checkout && modver verify && cat d/1",
    )
    .ok();
    // Bob's collection removes what only he had left, of files that Ann made, too.
    as_user(
        &s,
        ANN,
        GROUP,
        "077",
        "cd r && echo more > more && modver add -q more && rm more.mv more",
    )
    .ok();
    as_user(
        &s,
        BOB,
        GROUP,
        "077",
        "cd s && modver gc --workspace --yes --delete-data-that-exists-nowhere-else && modver verify",
    )
    .ok();
    as_user(
        &s,
        ANN,
        GROUP,
        "077",
        "cd r && rm -rf big d && modver checkout && modver verify",
    )
    .ok();
}

#[test]
fn what_does_not_let_one_in_is_named_and_nothing_changes() {
    let s = scratch();
    if !is_root(&s) {
        return;
    }
    as_user(&s, ANN, GROUP, "077", &format!("USER_ID=ann\n{MAKE}")).ok();
    let cache = s.root().join("cache");
    let state = |dir: &Path| {
        let mut lines = Vec::new();
        all(dir, &mut |path, meta| {
            lines.push(format!("{} {:o} {}", path.display(), meta.mode(), meta.uid()))
        });
        lines.sort();
        lines
    };
    let before = state(&cache);
    // Of another group.
    let output = as_user(&s, BOB, BOB, "022", &format!("USER_ID=bob\n{MAKE}"));
    let err = output.err();
    assert!(
        err.contains(&format!("belongs to {ANN}, who does not let you use it")),
        "{output}"
    );
    assert!(
        err.contains("hint: chgrp -R GROUP ") && err.contains(&format!("typed by {ANN}")),
        "{output}"
    );
    output.fails(1);
    assert_eq!(state(&cache), before);
    // Of the group, but the directory is not open to it; nobody changes what another owns.
    let packs = cache.join("packs");
    std::fs::set_permissions(&packs, std::fs::Permissions::from_mode(0o700)).unwrap();
    let before = state(&cache);
    let output = as_user(&s, BOB, GROUP, "022", "cd r && modver add -q big");
    assert!(
        output
            .err()
            .contains(&format!("hint: chmod g+rwxs {}", packs.display())),
        "{output}"
    );
    output.fails(1);
    assert_eq!(state(&cache), before);
    // The owner's next command mends that.
    as_user(&s, ANN, GROUP, "077", "cd r && modver status").ok();
    as_user(&s, ANN, GROUP, "077", "cd r && echo x > x && modver add -q x").ok();
}
