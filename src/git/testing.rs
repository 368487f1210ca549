//! Real git repositories in temporary directories, for the tests of this module.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{GitRepo, Pointer, PointerContent};
use crate::hash::FileId;
use crate::path::RepoPath;

/// A directory that is removed in the end, with a repository in `repo`.
pub(super) struct Sandbox {
    pub(super) dir: tempfile::TempDir,
}

impl Sandbox {
    /// An empty repository on branch `main`.
    pub(super) fn new() -> Self {
        Self::with_args(&[])
    }

    pub(super) fn with_args(init: &[&str]) -> Self {
        let sandbox = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(sandbox.root()).unwrap();
        sandbox.git(&[&["init", "-q", "-b", "main"], init].concat());
        for (key, value) in [
            ("user.name", "T"),
            ("user.email", "t@example.org"),
            ("core.excludesFile", "/dev/null"),
            ("core.hooksPath", ".git/hooks"),
            ("commit.gpgSign", "false"),
            ("core.autocrlf", "false"),
            ("gc.auto", "0"),
        ] {
            sandbox.git(&["config", key, value]);
        }
        sandbox
    }

    pub(super) fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("repo")
    }

    pub(super) fn open(&self) -> GitRepo {
        GitRepo::discover(&self.root()).unwrap()
    }

    /// Runs git in the repository and returns what it prints.
    pub(super) fn git<A: AsRef<OsStr>>(&self, args: &[A]) -> String {
        self.git_in(&self.root(), args)
    }

    pub(super) fn git_in<A: AsRef<OsStr>>(&self, dir: &Path, args: &[A]) -> String {
        let output = self.command(dir).args(args).output().unwrap();
        let shown: Vec<_> = args.iter().map(|a| a.as_ref().to_string_lossy()).collect();
        assert!(
            output.status.success(),
            "git {shown:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(super) fn command(&self, dir: &Path) -> Command {
        let mut command = Command::new("git");
        command
            .current_dir(dir)
            .env("HOME", self.dir.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "XDG_CONFIG_HOME"] {
            command.env_remove(name);
        }
        command
    }

    pub(super) fn write(&self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        write_below(&self.root(), path.as_ref(), content.as_ref());
    }

    /// Writes `NAME.mv` for a pointer that stands for `content`.
    pub(super) fn write_pointer(&self, path: &str, content: &str) -> Pointer {
        let pointer = pointer(content);
        self.write(path, pointer.to_bytes().unwrap());
        pointer
    }

    pub(super) fn commit_all(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }
}

pub(super) fn write_below(root: &Path, path: &[u8], content: &[u8]) {
    let path = root.join(OsStr::from_bytes(path));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

pub(super) fn pointer(content: &str) -> Pointer {
    Pointer {
        content: PointerContent::File {
            id: FileId::of(content.as_bytes()),
            executable: false,
        },
        size: content.len() as u64,
        desc: None,
        labels: Vec::new(),
        remote: None,
        import: None,
    }
}

pub(super) fn path(text: impl AsRef<[u8]>) -> RepoPath {
    RepoPath::new(text.as_ref()).unwrap()
}

pub(super) fn paths(texts: &[&str]) -> Vec<RepoPath> {
    texts.iter().map(path).collect()
}
