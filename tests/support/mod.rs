//! A scratch place for tests that run the real binaries: a temporary directory with its own home, a git repository
//! and an environment that nothing of the machine's leaks into.
//!
//! Each test binary says `mod support;` and uses what it needs.

#![allow(dead_code, reason = "no test binary uses all of it")]
#![allow(unreachable_pub, reason = "each test binary has its own copy")]

mod noise;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[allow(unused_imports, reason = "no test binary uses all of it")]
pub use noise::noise;

/// A temporary directory with a git repository in `repo/`; removed at the end.
pub struct Scratch {
    temp: tempfile::TempDir,
    repo: PathBuf,
    env: BTreeMap<OsString, OsString>,
}

/// What a process left behind.
#[must_use = "call ok() or fails(CODE)"]
pub struct Output {
    command: String,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// The exit code; -SIGNAL when a signal ended it.
    pub code: i32,
}

/// A repository in a [`Scratch`], to run things in.
#[derive(Clone, Copy)]
pub struct Repo<'a> {
    scratch: &'a Scratch,
    dir: &'a Path,
}

impl Scratch {
    /// With an empty git repository.
    pub fn new() -> Self {
        let scratch = Self::bare();
        scratch.git(["init", "--quiet"]).ok();
        scratch
    }

    /// Without a git repository: `repo/` is an empty directory.
    pub fn bare() -> Self {
        let temp = tempfile::Builder::new().prefix("modver-test-").tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        let repo = root.join("repo");
        let home = root.join("home");
        fs::create_dir(&repo).unwrap();
        fs::create_dir(&home).unwrap();
        let git_config = home.join(".gitconfig");
        fs::write(
            &git_config,
            "[user]\n\tname = Test\n\temail = test@example.org\n[init]\n\tdefaultBranch = main\n\
             [protocol \"file\"]\n\tallow = always\n[commit]\n\tgpgSign = false\n",
        )
        .unwrap();
        let binaries = Path::new(env!("CARGO_BIN_EXE_modver")).parent().unwrap();
        let mut path = OsString::from(binaries);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let env = [
            ("PATH", path),
            ("HOME", home.into()),
            ("LC_ALL", "C".into()),
            ("TZ", "UTC".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_CONFIG_GLOBAL", git_config.into()),
            ("GIT_TERMINAL_PROMPT", "0".into()),
            ("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z".into()),
            ("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z".into()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ];
        Self {
            temp,
            repo,
            env: env.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        }
    }

    /// The temporary directory: `repo/` and `home/` are in it.
    pub fn root(&self) -> &Path {
        // Canonical, unlike `temp.path()` where the system's temporary directory is a link.
        self.repo.parent().unwrap()
    }

    /// The home directory of everything that runs here.
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// Sets an environment variable for everything that runs here.
    pub fn set_env(&mut self, name: &str, value: impl Into<OsString>) {
        self.env.insert(name.into(), value.into());
    }

    /// The first repository.
    pub fn repo(&self) -> Repo<'_> {
        self.at(&self.repo)
    }

    /// Another directory to run things in, such as a clone or a subdirectory.
    pub fn at<'a>(&'a self, dir: &'a Path) -> Repo<'a> {
        Repo { scratch: self, dir }
    }

    /// Clones the first repository to `NAME` beside it; returns the path for [`Scratch::at`].
    pub fn clone_to(&self, name: &str) -> PathBuf {
        let to = self.root().join(name);
        let args = [
            OsStr::new("clone"),
            OsStr::new("--quiet"),
            self.repo.as_os_str(),
            to.as_os_str(),
        ];
        self.git(args).ok();
        to
    }

    /// Runs our `mv` in the first repository.
    pub fn mv<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.repo().mv(args)
    }

    /// Runs `git` in the first repository.
    pub fn git<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.repo().git(args)
    }

    /// Runs a shell script in the first repository.
    pub fn sh(&self, script: &str) -> Output {
        self.repo().sh(script)
    }

    /// Writes a file of the first repository; makes its directories.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        self.repo().write(path, content);
    }

    /// Reads a file of the first repository.
    pub fn read(&self, path: impl AsRef<Path>) -> Vec<u8> {
        self.repo().read(path)
    }

    /// The path of something in the first repository.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.repo.join(path)
    }
}

impl Repo<'_> {
    /// A process with the scratch environment, here, with no input.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(&self.scratch.env)
            .current_dir(self.dir)
            .stdin(Stdio::null());
        command
    }

    /// Runs `modver` (the same program as our `mv` without the question whose `mv` is meant).
    pub fn modver<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.run(env!("CARGO_BIN_EXE_modver"), args)
    }

    /// Runs our `mv`.
    pub fn mv<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.run(env!("CARGO_BIN_EXE_mv"), args)
    }

    /// Runs `git`.
    pub fn git<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.run("git", args)
    }

    /// Runs a shell script.
    pub fn sh(&self, script: &str) -> Output {
        self.run("sh", ["-euc", script])
    }

    fn run<A: AsRef<OsStr>>(&self, program: &str, args: impl IntoIterator<Item = A>) -> Output {
        let mut command = self.command(program);
        command.args(args);
        Output::of(&mut command)
    }

    /// Writes a file; makes its directories.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Reads a file.
    pub fn read(&self, path: impl AsRef<Path>) -> Vec<u8> {
        let path = self.dir.join(path);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Whether there is a directory entry of that name, of whatever kind.
    pub fn has(&self, path: impl AsRef<Path>) -> bool {
        self.dir.join(path).symlink_metadata().is_ok()
    }
}

impl Output {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            command: format!("{command:?}"),
            stdout: output.stdout,
            stderr: output.stderr,
            code: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap()),
        }
    }

    /// It must have succeeded; returns what it printed, without the last newline.
    #[track_caller]
    pub fn ok(self) -> String {
        self.fails(0)
    }

    /// It must have ended with `code`; returns what it printed, without the last newline.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self}");
        self.out()
    }

    /// Standard output as text, without the last newline.
    pub fn out(&self) -> String {
        let text = String::from_utf8_lossy(&self.stdout);
        text.strip_suffix('\n').unwrap_or(&text).to_owned()
    }

    /// Standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Standard output as one JSON object.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\nended with {}\n--- stdout\n{}\n--- stderr\n{}",
            self.command,
            self.code,
            self.out(),
            self.err()
        )
    }
}

/// A directory as text that is equal for equal trees: names, kinds, permission bits and contents; without `.git` at
/// the top. For comparing, and for reading when the comparison fails.
pub fn digest(dir: &Path) -> String {
    let mut lines = Vec::new();
    collect(dir, b"", &mut lines);
    lines.sort();
    lines.concat()
}

fn collect(dir: &Path, prefix: &[u8], lines: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if prefix.is_empty() && name == ".git" {
            continue;
        }
        let mut path = prefix.to_vec();
        path.extend_from_slice(name.as_bytes());
        let meta = entry.path().symlink_metadata().unwrap();
        let mut line = format!("{} ", path.escape_ascii());
        if meta.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            let _ = writeln!(line, "-> {}", target.as_os_str().as_bytes().escape_ascii());
        } else if meta.is_dir() {
            let _ = writeln!(line, "dir");
            path.push(b'/');
            collect(&entry.path(), &path, lines);
        } else if meta.is_file() {
            let mode = meta.permissions().mode() & 0o777;
            let hash = modver::hash::FileId::of(&fs::read(entry.path()).unwrap());
            let _ = writeln!(line, "{mode:o} {} {hash}", meta.len());
        } else {
            let _ = writeln!(line, "special");
        }
        lines.push(line);
    }
}
