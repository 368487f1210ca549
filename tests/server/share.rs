//! What one pushes, others pull.

use super::support::{Output, Scratch, digest};
use super::{Serve, commit, files, noise, token, with_remote};

#[test]
fn what_one_pushes_others_pull() {
    let mut s = Scratch::new();
    let ann = token(&s, &["--write", "ann"]);
    let serve = Serve::start(&s, &[]);
    with_remote(&s, &format!("{}/project", serve.url));
    s.set_env("MODVER_REMOTE_HUB_TOKEN", ann);
    let pushed = s.repo().modver(["push"]).ok();
    assert!(
        pushed.starts_with("2 outputs, 21 files, 11.8 MiB in 2 packs to hub"),
        "{pushed}"
    );
    assert_eq!(s.repo().modver(["push"]).ok(), "nothing to push to hub; 2 up to date");

    let clone = s.clone_to("clone");
    let clone = s.at(&clone);
    clone.modver(["pull", "--quiet"]).ok();
    assert_eq!(digest(&s.root().join("clone")), digest(&s.path("")));
    // Nothing is left of uploads, and the list for readers that cannot list is right.
    assert_eq!(files(&serve.root.join("uploads")), [""; 0]);
    let runs: Vec<String> = files(&serve.path("project/catalog"));
    assert_eq!(runs.len(), 2);
    let current = std::fs::read_to_string(serve.path("project/catalog/current")).unwrap();
    assert!(runs.contains(&current.trim_end().to_owned()), "{current}");
    s.repo().modver(["verify", "--remote", "--deep", "--quiet"]).ok();
    // What the server keeps is a store as any other.
    let dir = serve.path("project");
    let as_dir = format!("remote.hub.url={}", dir.to_str().unwrap());
    s.repo()
        .modver(["-c", &as_dir, "verify", "--remote", "--deep", "--quiet"])
        .ok();

    // A name that nobody has pushed to is an empty remote.
    let elsewhere = format!("remote.hub.url={}/projekt", serve.url);
    let other = s.clone_to("other");
    let pulled = s.at(&other).modver(["-c", &elsewhere, "pull"]);
    assert_ne!(pulled.code, 0, "{pulled}");
    assert!(pulled.err().contains("remote `hub` does not have it"), "{pulled}");
}

fn gc(s: &Scratch) -> Output {
    let claims = ["--claims-older-than", "0", "--grace", "0"];
    let gc = ["gc", "--remote", "hub", "--all-branches", "--yes"];
    s.repo().modver(gc.iter().chain(&claims))
}

#[test]
fn who_administers_a_repository_collects_it() {
    let mut s = Scratch::new();
    let ann = token(&s, &["--write", "ann"]);
    let root = token(&s, &["--admin", "root"]);
    let serve = Serve::start(&s, &[]);
    with_remote(&s, &format!("{}/project", serve.url));
    s.set_env("MODVER_REMOTE_HUB_TOKEN", ann);
    s.repo().modver(["push", "--quiet"]).ok();
    s.git(["checkout", "--quiet", "-b", "side"]).ok();
    s.write("big.bin", noise(100, 8_000_000));
    s.repo().modver(["add", "--quiet", "big.bin"]).ok();
    commit(s.repo());
    s.repo().modver(["push", "--quiet"]).ok();
    s.sh("git checkout --quiet - && git branch --quiet -D side").ok();
    // Who may write gives back what shows that he writes.
    assert_eq!(files(&serve.path("project/leases")), [""; 0]);
    let before = digest(&serve.path("project/packs"));
    let refused = gc(&s);
    assert!(refused.err().contains("token"), "{refused}");
    refused.fails(1);
    assert_eq!(digest(&serve.path("project/packs")), before);
    s.set_env("MODVER_REMOTE_HUB_TOKEN", root);
    let gone = gc(&s).ok();
    assert!(gone.contains("deleted 7.6 MiB: 1 version, 1 pack"), "{gone}");
    assert_eq!(gc(&s).ok(), "nothing to remove on `hub`");
    let clone = s.clone_to("clone");
    s.at(&clone).modver(["pull", "--quiet"]).ok();
    assert_eq!(s.read(clone.join("big.bin")), noise(99, 12_000_000));
    s.repo().modver(["verify", "--remote", "--deep", "--quiet"]).ok();
}

#[test]
fn two_push_at_once() {
    let s = Scratch::new();
    let serve = Serve::start(&s, &[]);
    with_remote(&s, &format!("{}/project", serve.url));
    let clones: Vec<_> = (0..3).map(|i| s.clone_to(&format!("clone{i}"))).collect();
    std::thread::scope(|scope| {
        for (i, clone) in clones.iter().enumerate() {
            let repo = s.at(clone);
            scope.spawn(move || {
                repo.write("own.bin", noise(1_000 + i as u64, 400_000));
                repo.write("same.bin", noise(7, 9_000_000));
                repo.modver(["add", "own.bin", "same.bin"]).ok();
                commit(repo);
                repo.modver(["push", "--quiet", "own.bin", "same.bin"]).ok();
            });
        }
        s.repo().modver(["push", "--quiet"]).ok();
    });
    for clone in &clones {
        s.at(clone).modver(["verify", "--remote", "--deep"]).ok();
    }
    let current = std::fs::read_to_string(serve.path("project/catalog/current")).unwrap();
    let runs: String = files(&serve.path("project/catalog"))
        .iter()
        .filter(|name| *name != "current")
        .map(|name| format!("{name}\n"))
        .collect();
    assert_eq!(current, runs);
}

/// A server whose storage is another remote.
#[test]
fn storage_may_be_elsewhere() {
    let s = Scratch::new();
    let store = s.root().join("store");
    std::fs::create_dir(&store).unwrap();
    let serve = Serve::start(&s, &["--storage", store.to_str().unwrap()]);
    with_remote(&s, &format!("{}/project", serve.url));
    s.repo().modver(["push", "--quiet"]).ok();
    let clone = s.clone_to("clone");
    s.at(&clone).modver(["pull", "--quiet"]).ok();
    assert_eq!(digest(&s.root().join("clone")), digest(&s.path("")));
    assert!(files(&store.join("project")).len() > 4);
    assert!(!serve.root.join("repositories").exists());
}

#[test]
fn a_full_repository_says_so() {
    let s = Scratch::new();
    let serve = Serve::start(&s, &["--quota", "3MiB"]);
    with_remote(&s, &format!("{}/project", serve.url));
    let refused = s.repo().modver(["push"]);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.err().contains("no space left"), "{refused}");
    assert!(refused.err().contains("3145728 bytes"), "{refused}");
    s.repo().modver(["push", "data"]).ok();
    // Another repository has its own.
    let other = format!("remote.hub.url={}/other", serve.url);
    s.repo().modver(["-c", &other, "push", "data"]).ok();
}

/// A small file system, unmounted at the end.
struct Disk(std::path::PathBuf);

impl Disk {
    /// `None` where that is not allowed.
    fn of(path: std::path::PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&path)
            .stderr(std::process::Stdio::null())
            .status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Self(path));
        }
        // Written past the test's captured output on purpose: a skipped test must be seen.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: only root mounts a small disk\n");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// What does not fit is told, and keeps no room from what does.
#[test]
fn a_full_disk_says_so_and_is_not_kept_full() {
    let s = Scratch::new();
    let Some(_disk) = Disk::of(s.root().join("serve"), "8m") else {
        return;
    };
    let serve = Serve::start(&s, &[]);
    with_remote(&s, &format!("{}/project", serve.url));
    let refused = s.repo().modver(["push", "big.bin"]);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.err().contains("the server has no space left"), "{refused}");
    assert_eq!(files(&serve.root.join("uploads")), [""; 0]);
    s.repo().modver(["push", "--quiet", "data"]).ok();
    s.repo().modver(["verify", "--remote"]).fails(1);
    let clone = s.clone_to("clone");
    let clone = s.at(&clone);
    clone.modver(["pull", "--quiet", "data"]).ok();
    assert_eq!(clone.read("data/7.bin"), s.read("data/7.bin"));
}

/// What is encrypted before it leaves is kept like anything else, but for what only its content could tell.
#[test]
fn encrypted_stores() {
    let mut s = Scratch::new();
    let ann = token(&s, &["--write", "ann"]);
    s.set_env("MODVER_REMOTE_HUB_TOKEN", ann);
    let serve = Serve::start(&s, &[]);
    with_remote(&s, "unused");
    let url = format!("{}/secret", serve.url);
    let key = s.root().join("key");
    let add = [
        "remote",
        "add",
        "--force",
        "--encrypt",
        "--key-file",
        key.to_str().unwrap(),
        "hub",
        &url,
    ];
    s.repo().modver(add).ok();
    commit(s.repo());
    s.repo().modver(["push", "--quiet"]).ok();
    s.write("more.bin", noise(55, 100_000));
    s.repo().modver(["add", "more.bin"]).ok();
    commit(s.repo());
    s.repo().modver(["push", "--quiet"]).ok();
    let kept = files(&serve.path("secret"));
    assert!(
        kept.iter()
            .all(|name| name == "modver-store.toml" || name.starts_with("sealed/")),
        "{kept:?}"
    );
    let clone = s.clone_to("clone");
    let with_key = format!("remote.hub.key_file={}", key.to_str().unwrap());
    s.at(&clone).modver(["-c", &with_key, "pull", "--quiet"]).ok();
    assert_eq!(digest(&s.root().join("clone")), digest(&s.path("")));
}
