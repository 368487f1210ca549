//! The `git` program: the one place that runs it.
//!
//! Invariants: it runs in the work tree it belongs to, whatever `GIT_DIR` and `GIT_WORK_TREE` say; it never prompts,
//! pages, translates, takes optional locks or fetches missing objects. Its index is the one that
//! [`GitRepo`] reads (see the header of [`super`] for `GIT_INDEX_FILE`).

use std::ffi::OsStr;
use std::io::{self, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use super::discover::GitRepo;
use super::error::{GitError, Result};

/// Variables that would make the program work on something else than what it is told.
const UNSET: [&str; 11] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "GIT_INDEX_FILE",
    "GIT_GLOB_PATHSPECS",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_NO_REPLACE_OBJECTS",
];

/// Further variables that hold for the user's repository only: what is left of `git rev-parse --local-env-vars` without
/// configuration, and the one by which a hook of `git receive-pack` may change no references.
const UNSET_ELSEWHERE: [&str; 7] = [
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_QUARANTINE_PATH",
];

/// How much of the program's standard error is kept.
const MAX_MESSAGE: u64 = 4096;

/// A run of `git` whose output is read while it runs. Killed when dropped.
pub(super) struct Run {
    command: String,
    child: Child,
    /// Its standard output.
    pub(super) stdout: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    stdin: Option<JoinHandle<io::Result<()>>>,
}

impl GitRepo {
    /// Starts `git ARGS` with `stdin` as its input.
    pub(super) fn git_start<A: AsRef<OsStr>>(&self, args: &[A], stdin: Vec<u8>) -> Result<Run> {
        self.start(args, stdin, |_| {})
    }

    /// As [`GitRepo::git_start`], but objects are read as they are, without those of `git replace`.
    pub(super) fn git_start_unreplaced<A: AsRef<OsStr>>(&self, args: &[A], stdin: Vec<u8>) -> Result<Run> {
        self.start(args, stdin, |command| {
            command.env("GIT_NO_REPLACE_OBJECTS", "1").env("GIT_FLUSH", "0");
        })
    }

    /// As [`GitRepo::git_start`], for all the output: it comes in large pieces, not commit by commit.
    pub(super) fn git_start_for_all<A: AsRef<OsStr>>(&self, args: &[A], stdin: Vec<u8>) -> Result<Run> {
        self.start(args, stdin, |command| {
            command.env("GIT_FLUSH", "0");
        })
    }

    /// Runs `git ARGS` with `stdin` as its input and returns what it prints.
    pub(super) fn git<A: AsRef<OsStr>>(&self, args: &[A], stdin: Vec<u8>) -> Result<Vec<u8>> {
        self.git_start(args, stdin)?.output()
    }

    fn start<A: AsRef<OsStr>>(&self, args: &[A], stdin: Vec<u8>, adapt: impl FnOnce(&mut Command)) -> Result<Run> {
        let mut command = command_in(self.root());
        command
            .env("GIT_INDEX_FILE", self.index_path())
            .env("GIT_NO_LAZY_FETCH", "1");
        adapt(&mut command);
        start(command, args, stdin)
    }
}

/// How `git` runs for another repository than the user's.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Elsewhere {
    /// Whether objects that a partial clone lacks are fetched when they are read.
    pub(super) lazy: bool,
    /// Whether the URL was in a file rather than typed: then programs that serve unusual kinds of URLs are not started
    /// by it, unless the user's configuration allows that.
    pub(super) not_from_user: bool,
}

/// Starts `git ARGS` for the repository `git_dir`, which is not the user's, or for none.
pub(super) fn start_elsewhere<A: AsRef<OsStr>>(
    dir: &Path,
    git_dir: Option<&Path>,
    how: Elsewhere,
    args: &[A],
    stdin: Vec<u8>,
) -> Result<Run> {
    let mut command = command_in(dir);
    for name in UNSET_ELSEWHERE {
        command.env_remove(name);
    }
    if !how.lazy {
        command.env("GIT_NO_LAZY_FETCH", "1");
    }
    if how.not_from_user {
        command.env("GIT_PROTOCOL_FROM_USER", "0");
        command.args(["-c", "protocol.file.allow=always"]);
    }
    if let Some(git_dir) = git_dir {
        command.arg("--git-dir").arg(git_dir);
    }
    start(command, args, stdin)
}

fn command_in(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(dir);
    for name in UNSET {
        command.env_remove(name);
    }
    command
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_PAGER", "cat")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C");
    command
}

fn start<A: AsRef<OsStr>>(mut command: Command, args: &[A], stdin: Vec<u8>) -> Result<Run> {
    command.args(["-c", "core.quotepath=off"]).args(args);
    // A setting for this run stands before the command.
    let words = match args.first() {
        Some(first) if first.as_ref() == "-c" => args.get(2..).unwrap_or_default(),
        _ => args,
    };
    let subcommand = words
        .iter()
        .find(|arg| !arg.as_ref().as_encoded_bytes().starts_with(b"-"));
    let name = match subcommand {
        Some(first) => format!("git {}", first.as_ref().display()),
        None => "git".to_owned(),
    };
    spawn(command, name, stdin)
}

/// What `git --version` prints, without `git version `; works outside a repository.
///
/// # Errors
/// [`GitError::NoProgram`] when there is no `git`.
pub(super) fn version() -> Result<String> {
    let mut command = Command::new("git");
    command.arg("--version").env("LC_ALL", "C");
    let mut run = spawn(command, "git --version".to_owned(), Vec::new())?;
    let mut out = String::new();
    run.stdout.read_to_string(&mut out).map_err(run.failed_io())?;
    run.finish()?;
    Ok(out.trim().trim_start_matches("git version ").to_owned())
}

fn spawn(mut command: Command, name: String, stdin: Vec<u8>) -> Result<Run> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => GitError::NoProgram { source },
        _ => GitError::Run {
            command: name.clone(),
            source,
        },
    })?;
    let (Some(mut input), Some(stdout), Some(mut errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(GitError::Run {
            command: name,
            source: io::Error::from(io::ErrorKind::BrokenPipe),
        });
    };
    let stdin = (!stdin.is_empty()).then(|| std::thread::spawn(move || input.write_all(&stdin)));
    let stderr = std::thread::spawn(move || {
        let mut kept = Vec::new();
        // What cannot be read is missing from a message, nothing else.
        let _ = (&mut errors).take(MAX_MESSAGE).read_to_end(&mut kept);
        let _ = io::copy(&mut errors, &mut io::sink());
        kept
    });
    Ok(Run {
        command: name,
        child,
        stdout: BufReader::with_capacity(64 * 1024, stdout),
        stderr: Some(stderr),
        stdin,
    })
}

impl Run {
    /// What makes an error of reading its output.
    pub(super) fn failed_io(&self) -> impl FnOnce(io::Error) -> GitError + use<> {
        let command = self.command.clone();
        move |source| GitError::Run { command, source }
    }

    /// An error for output that is not as documented.
    pub(super) fn unexpected(&self, line: &[u8]) -> GitError {
        GitError::Output {
            command: self.command.clone(),
            line: crate::path::quote(&line[..line.len().min(200)]).into_owned(),
        }
    }

    /// All that it prints, when it has ended well.
    pub(super) fn output(mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.stdout.read_to_end(&mut out).map_err(self.failed_io())?;
        self.finish()?;
        Ok(out)
    }

    /// Waits for its end; to be called when its output was read.
    pub(super) fn finish(mut self) -> Result<()> {
        let status = self.child.wait().map_err(self.failed_io())?;
        let message = self
            .stderr
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default();
        let fed = self.stdin.take().map(JoinHandle::join);
        if !status.success() {
            return Err(GitError::Failed {
                command: self.command.clone(),
                status,
                message: String::from_utf8_lossy(&message).trim().to_owned(),
            });
        }
        match fed {
            Some(Ok(Err(source))) => Err(self.failed_io()(source)),
            _ => Ok(()),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
