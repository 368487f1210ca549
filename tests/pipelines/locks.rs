//! Lock files are changed by many at once, beside every other command.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use modver::config::ConfigSources;
use modver::git::{Lock, LockedOut, LockedStage, PointerContent};
use modver::object::Node;
use modver::path::RepoPath;
use modver::progress::Progress;
use modver::repo::{OpenOptions, RepoError, Repository};

use super::support::{Output, Repo, Scratch};

pub(super) fn path(text: &str) -> RepoPath {
    RepoPath::new(text.as_bytes()).unwrap()
}

pub(super) fn open(dir: &Path) -> Repository {
    Repository::open(&OpenOptions {
        cwd: dir.to_owned(),
        config: ConfigSources::default(),
        user_cache: None,
        bare: false,
        jobs: 1,
        progress: Arc::new(Progress::new()),
        waiting: Arc::new(|_| {}),
    })
    .unwrap()
}

/// What a stage did: these outputs are as they are in the workspace now. Mentioned with `!`: not pushed.
pub(super) fn stage(repository: &Repository, lock: &str, name: &str, outs: &[&str]) -> modver::repo::Result<bool> {
    let pushed = |out: &&str| !out.ends_with('!');
    let paths: Vec<RepoPath> = outs.iter().map(|out| path(out.trim_end_matches('!'))).collect();
    let nodes = repository
        .store_contents(&paths, paths.len(), |_| Ok(Vec::new()))
        .unwrap()
        .nodes;
    let mut locked = LockedStage {
        cmd: vec![format!("make {name}")],
        wdir: path(lock).parent().unwrap(),
        ..LockedStage::default()
    };
    for ((out, path), node) in outs.iter().zip(paths).zip(nodes) {
        let (content, size) = match node.unwrap() {
            Node::File { id, size, executable } => (PointerContent::File { id, executable }, size),
            Node::Dir { id, size, files } => (PointerContent::Dir { id, files }, size),
            Node::Symlink { .. } => panic!("{path} is a link"),
        };
        let out = LockedOut {
            content,
            size,
            cache: true,
            push: pushed(out),
            remote: None,
        };
        locked.outs.insert(path, out);
    }
    repository.update_lock(&path(lock), &BTreeMap::from([(name.to_owned(), Some(locked))]))
}

fn read(r: Repo<'_>, file: &str) -> Lock {
    Lock::parse(&r.read(file), &path(file)).unwrap()
}

/// Nothing differs. Stages of these tests are in lock files alone, which is said.
#[track_caller]
pub(super) fn nothing_but_gone(status: Output) {
    let out = status.ok();
    assert!(out.lines().all(|line| line.starts_with("stage gone: ")), "{out}");
}

fn initialised() -> Scratch {
    let s = Scratch::new();
    s.mv(["init"]).ok();
    s
}

#[test]
fn stages_that_end_at_once_are_all_there_and_so_is_what_is_added_meanwhile() {
    let s = initialised();
    let r = s.repo();
    let root = s.path("");
    for n in 0..8 {
        r.write(format!("d/out{n}"), format!("content {n}"));
        r.write(format!("d/added{n}"), format!("added {n}"));
    }
    std::thread::scope(|scope| {
        for n in 0..8 {
            let root = &root;
            scope.spawn(move || {
                assert!(stage(&open(root), "d/mv.lock", &format!("s{n}"), &[&format!("d/out{n}")]).unwrap());
            });
        }
        scope.spawn(|| {
            for n in 0..8 {
                r.modver(["add", &format!("d/added{n}")]).ok();
                r.modver(["status"]).ok();
            }
        });
    });
    let lock = read(r, "d/mv.lock");
    assert_eq!(lock.stages.len(), 8, "{lock:?}");
    let ignored = String::from_utf8(r.read("d/.gitignore")).unwrap();
    for n in 0..8 {
        for line in [format!("/out{n}"), format!("/added{n}")] {
            assert!(ignored.lines().any(|held| held == line), "{line} in {ignored}");
        }
    }
    nothing_but_gone(r.modver(["status"]));
    // All of it is staged.
    assert_eq!(
        r.git(["status", "--porcelain=v1"])
            .ok()
            .lines()
            .filter(|line| !line.starts_with("A "))
            .count(),
        0
    );
}

#[test]
fn only_real_changes_are_written() {
    let s = initialised();
    let r = s.repo();
    let repository = open(&s.path(""));
    r.write("a/x", "1");
    r.write("b", "2");
    assert!(stage(&repository, "mv.lock", "one", &["a/x", "b"]).unwrap());
    let text = r.read("mv.lock");
    let before = fs::metadata(s.path("mv.lock")).unwrap();
    assert!(!stage(&repository, "mv.lock", "one", &["a/x", "b"]).unwrap());
    let after = fs::metadata(s.path("mv.lock")).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    assert_eq!(r.read("a/.gitignore"), b"/x\n");

    // An entry that somebody took out comes back.
    fs::write(s.path(".gitignore"), "mine\n").unwrap();
    assert!(!stage(&repository, "mv.lock", "one", &["a/x", "b"]).unwrap());
    assert_eq!(r.read(".gitignore"), b"mine\n/b\n");

    // An output less: its entry goes, and the file with it if that was all.
    assert!(stage(&repository, "mv.lock", "one", &["b"]).unwrap());
    assert!(!r.has("a/.gitignore"));
    let gone = BTreeMap::from([("one".to_owned(), None)]);
    assert!(repository.update_lock(&path("mv.lock"), &gone).unwrap());
    assert!(!r.has("mv.lock"));
    assert_eq!(r.read(".gitignore"), b"mine\n");
    assert!(!repository.update_lock(&path("mv.lock"), &gone).unwrap());
    assert!(stage(&repository, "mv.lock", "one", &["a/x", "b"]).unwrap());
    assert_eq!(r.read("mv.lock"), text);
}

#[test]
fn a_lock_file_that_cannot_be_read_and_places_that_are_taken_are_left_alone() {
    let s = initialised();
    let r = s.repo();
    let repository = open(&s.path(""));
    r.write("out", "1");
    for bad in ["version = 2\n", "<<<<<<< ours\n", "version = 1\n[stages.x]\ncmd = 1\n"] {
        r.write("mv.lock", bad);
        assert!(matches!(
            stage(&repository, "mv.lock", "one", &["out"]),
            Err(RepoError::Pointer(_))
        ));
        assert_eq!(r.read("mv.lock"), bad.as_bytes());
        assert!(!r.has(".gitignore"));
    }
    fs::remove_file(s.path("mv.lock")).unwrap();

    r.write("code.py", "1");
    r.git(["add", "code.py"]).ok();
    r.write("data/x", "1");
    r.write("dir/own", "1");
    r.modver(["add", "data", "dir/own"]).ok();
    let refused = |out: &str| stage(&repository, "mv.lock", "one", &[out]).unwrap_err();
    assert!(matches!(refused("code.py"), RepoError::StageOutInGit { .. }));
    assert!(matches!(refused("data"), RepoError::AnotherOutput { .. }));
    assert!(matches!(refused("data/x"), RepoError::InsideOutput { .. }));
    assert!(matches!(refused("dir"), RepoError::ContainsOutput { .. }));
    assert!(!r.has("mv.lock"));
}
