//! What the system does not allow: no permission, no space, names that are too much alike.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::{Output, Scratch, digest};
use super::{commit, delete, everything, noise, ready};

/// A user and group that own nothing.
const NOBODY: u32 = 65_534;

/// A repository and somebody for whom permissions mean something: who runs the tests or, if that is root, nobody.
struct Somebody {
    s: Scratch,
    modver: PathBuf,
    is_root: bool,
}

impl Somebody {
    fn new(files: &[&str], outputs: &[&str]) -> Self {
        let s = ready();
        for file in files {
            s.write(file, file);
        }
        if !outputs.is_empty() {
            s.repo().modver([&["add"], outputs].concat()).ok();
            commit(&s, "Data");
        }
        // Where the program was built others may not look.
        let modver = s.root().join("modver");
        fs::copy(env!("CARGO_BIN_EXE_modver"), &modver).unwrap();
        let is_root = fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
        let this = Self { s, modver, is_root };
        if is_root {
            let owner = format!("{NOBODY}:{NOBODY}");
            let root = this.s.root().to_str().unwrap().to_owned();
            Output::of(Command::new("chown").args(["-R", &owner, &root])).ok();
        }
        this
    }

    fn modver<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        let mut command = self.s.repo().command(&self.modver);
        command.args(args);
        if self.is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        Output::of(&mut command)
    }

    /// Takes permission bits away while something is done.
    fn with_mode<T>(&self, path: &str, mode: u32, act: impl FnOnce() -> T) -> T {
        let path = self.s.path(path);
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let done = act();
        fs::set_permissions(&path, before).unwrap();
        done
    }
}

#[test]
fn add_without_permission() {
    let it = Somebody::new(&["data/in/file", "data/other", "fine", "ro/file"], &[]);
    let before = everything(&it.s);
    let mut tries = Vec::new();
    for (path, mode) in [("data/in/file", 0o000), ("data/in", 0o000), ("data/in", 0o600)] {
        tries.push(it.with_mode(path, mode, || it.modver(["add", "fine", "data"])));
    }
    tries.push(it.with_mode("ro", 0o555, || it.modver(["add", "fine", "ro/file"])));
    tries.push(it.with_mode(".git", 0o555, || it.modver(["add", "fine", "data"])));
    for output in tries {
        assert!(output.err().starts_with("error: "), "{output}");
        assert!(output.err().contains("Permission denied"), "{output}");
        output.fails(1);
        assert_eq!(everything(&it.s), before);
    }
    it.modver(["add", "fine", "data", "ro/file"]).ok();
}

#[test]
fn a_cache_that_cannot_be_written() {
    let it = Somebody::new(&["data/a", "data/b"], &["data"]);
    it.s.write("new", noise(1, 300_000));
    it.s.repo().sh("chmod -R a-w .git/modver/cache").ok();
    let before = everything(&it.s);
    let refused = it.modver(["add", "new"]);
    assert!(
        refused.err().starts_with("error: ") && refused.err().contains("Permission denied"),
        "{refused}"
    );
    refused.fails(1);
    assert_eq!(everything(&it.s), before);
    // What only reads works.
    delete(&it.s.path("data/a"));
    it.modver(["checkout"]).ok();
    assert_eq!(it.s.read("data/a"), b"data/a");
    assert_eq!(it.modver(["cat", "data/b"]).ok(), "data/b");
    it.modver(["status"]).ok();
    it.s.repo().sh("chmod -R u+w .git/modver/cache").ok();
    it.modver(["add", "new"]).ok();
}

#[test]
fn checkout_without_permission() {
    let it = Somebody::new(
        &["data/in/a", "data/in/deep/b", "data/c", "other/d", "gone/e"],
        &["data", "other", "gone"],
    );
    let whole = digest(&it.s.path("data"));
    for path in ["data/in/a", "data/in/deep", "data/c", "other"] {
        delete(&it.s.path(path));
    }
    let partly = it.with_mode("data/in", 0o555, || it.modver(["checkout"]));
    for path in ["data/in/a", "data/in/deep"] {
        assert!(partly.err().contains(&format!("failed: {path}: ")), "{partly}");
    }
    assert!(
        partly.err().contains("Permission denied") || partly.err().contains("cannot create"),
        "{partly}"
    );
    partly.fails(3);
    assert_eq!(
        (it.s.read("data/c"), it.s.read("other/d")),
        (b"data/c".to_vec(), b"other/d".to_vec())
    );
    it.modver(["checkout"]).ok();
    assert_eq!(digest(&it.s.path("data")), whole);

    // A file that was changed and cannot be read: it alone is not known.
    it.s.write("data/in/a", "changed");
    delete(&it.s.path("other"));
    let partly = it.with_mode("data/in/a", 0o000, || {
        let status = it.modver(["status"]);
        assert!(
            status.err().contains("Permission denied") || status.out().contains("Permission denied"),
            "{status}"
        );
        it.modver(["checkout", "--force"])
    });
    assert!(partly.err().contains("failed: data"), "{partly}");
    partly.fails(3);
    assert_eq!(it.s.read("data/in/a"), b"changed");
    assert_eq!(it.s.read("other/d"), b"other/d");

    // A pointer that cannot be read is as good as a broken one.
    let partly = it.with_mode("gone.mv", 0o000, || it.modver(["checkout", "--force"]));
    assert!(
        partly.err().contains("broken: gone.mv: it cannot be read\n"),
        "{partly}"
    );
    partly.fails(3);
    assert_eq!(
        (it.s.read("gone/e"), it.s.read("data/in/a")),
        (b"gone/e".to_vec(), b"data/in/a".to_vec())
    );

    // What is tracked no more and may not be removed.
    let chown = |path: &str| {
        if it.is_root {
            Output::of(Command::new("chown").args(["-R", "65534:65534"]).arg(it.s.path(path))).ok();
        }
    };
    it.s.git(["-c", "safe.directory=*", "rm", "--quiet", "gone.mv"]).ok();
    chown("");
    let before = digest(&it.s.path("gone"));
    let refused = it.with_mode("gone", 0o555, || it.modver(["checkout"]));
    assert!(refused.err().contains("failed: gone/e: "), "{refused}");
    refused.fails(1);
    assert_eq!(digest(&it.s.path("gone")), before);
    it.modver(["checkout"]).ok();
    assert!(!it.s.repo().has("gone"));
}

/// A small file system, mounted while this lives; `None` where that is not allowed.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let options = format!("size={size}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(at)
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(at.to_owned())),
            _ => {
                eprintln!("not tested: nothing can be mounted here");
                None
            }
        }
    }

    fn grow(&self, size: &str) {
        let options = format!("remount,size={size}");
        Output::of(Command::new("mount").args(["-o", &options]).arg(&self.0)).ok();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_cache_on_a_disk_that_is_really_full() {
    let s = ready();
    let at = s.root().join("small");
    let Some(disk) = Small::mount(&at, "3m") else { return };
    s.write("small", noise(1, 100_000));
    s.write("data/large", noise(2, 6 << 20));
    s.write("data/many/a", noise(3, 50_000));
    s.repo()
        .modver([
            "config",
            "set",
            "--local",
            "cache.dir",
            at.join("cache").to_str().unwrap(),
        ])
        .ok();
    s.repo().modver(["add", "small"]).ok();
    commit(&s, "Small");
    let before = everything(&s);
    for _ in 0..3 {
        let refused = s.repo().modver(["add", "data"]);
        assert!(
            refused.err().starts_with("error: ") && refused.err().contains("No space left on device"),
            "{refused}"
        );
        refused.fails(1);
        assert_eq!(everything(&s), before);
        // What is there can be read, and what failed took nothing for good.
        delete(&s.path("small"));
        s.repo().modver(["checkout"]).ok();
        s.repo().modver(["verify"]).ok();
    }
    s.write("more", noise(4, 100_000));
    s.repo().modver(["add", "more"]).ok();
    disk.grow("32m");
    s.repo().modver(["add", "data"]).ok();
    let data = digest(&s.path("data"));
    delete(&s.path("data"));
    s.repo().modver(["checkout"]).ok();
    assert_eq!(digest(&s.path("data")), data);
}

#[test]
fn a_workspace_on_a_disk_that_is_really_full() {
    let s = ready();
    let disk = Small::mount(&s.root().join("small"), "3m");
    let Some(disk) = disk else { return };
    s.write("data/a", "a");
    s.write("data/large", noise(2, 6 << 20));
    s.write("other/many", noise(3, 6 << 20));
    s.write("tiny", "tiny");
    s.repo().modver(["add", "data", "other", "tiny"]).ok();
    commit(&s, "Data");
    let whole = digest(&s.path(""));
    let clone = s.root().join("small/clone");
    let repo = s.path("");
    s.git([
        OsStr::new("clone"),
        OsStr::new("--quiet"),
        repo.as_os_str(),
        clone.as_os_str(),
    ])
    .ok();
    let here = s.at(&clone);
    let cache = s.path(".git/modver/cache");
    here.modver(["config", "set", "--local", "cache.dir", cache.to_str().unwrap()])
        .ok();
    for _ in 0..2 {
        let partly = here.modver(["checkout"]);
        for path in ["data/large", "other/many"] {
            let failed = partly.err();
            let line = failed
                .lines()
                .find(|line| line.starts_with(&format!("failed: {path}: ")));
            assert!(line.is_some_and(|line| line.contains("cannot write")), "{partly}");
        }
        assert!(matches!(partly.code, 1 | 3), "{partly}");
        assert_eq!(
            (here.read("data/a"), here.read("tiny")),
            (b"a".to_vec(), b"tiny".to_vec())
        );
        assert!(!here.has("data/large") && !here.has("other/many"));
        let left = digest(&clone);
        assert!(!left.contains(".modver-tmp"), "{left}");
    }
    disk.grow("32m");
    here.modver(["checkout"]).ok();
    assert_eq!(digest(&clone), whole);
}

/// File systems that fold case cannot be had everywhere, so the program is told to behave as if on one.
#[test]
fn names_that_differ_in_case_only() {
    let s = ready();
    for file in [
        "data/A",
        "data/a",
        "data/x",
        "data/Dir/1",
        "data/dir/2",
        "data/in/É",
        "data/in/é",
    ] {
        s.write(file, file);
    }
    if s.path("data/X").exists() {
        eprintln!("not tested: this file system does fold case");
        return;
    }
    s.repo().modver(["add", "data"]).ok();
    commit(&s, "Data");
    let whole = digest(&s.path("data"));
    let folded = |args: &[&str]| {
        let mut command = s.repo().command(env!("CARGO_BIN_EXE_modver"));
        Output::of(command.args(args).env("MODVER_TEST_FAULT", "fold-case"))
    };
    // Into a directory that is new, and into one that is there.
    delete(&s.path("data"));
    for _ in 0..2 {
        let partly = folded(&["checkout"]);
        let err = partly.err();
        for (one, other) in [("A", "a"), ("Dir", "dir"), ("in/É", "in/é")] {
            let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
            let line = |failed: &str, there: &str| {
                format!(
                    "failed: data/{failed}: `{}` has this name here: the file system does not tell upper case from lower \
                     case\n",
                    name(there)
                )
            };
            assert!(
                err.contains(&line(one, other)) || err.contains(&line(other, one)),
                "{partly}"
            );
            let there = [one, other].map(|path| s.repo().has(format!("data/{path}")));
            assert!(there[0] != there[1], "{one} {there:?}");
        }
        assert_eq!(s.read("data/x"), b"data/x");
        assert!(matches!(partly.code, 1 | 3), "{partly}");
    }
    s.repo().modver(["checkout"]).ok();
    assert_eq!(digest(&s.path("data")), whole);
}
