//! What can go wrong with git.

use std::io;
use std::path::PathBuf;

use super::pointer::{PointerError, PointerProblem};
use crate::fs::FsError;
use crate::path::{PathError, RepoPath};
use crate::progress::Interrupted;

/// Result of an operation on the git repository.
pub type Result<T> = std::result::Result<T, GitError>;

/// An error of the git repository.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no repository at or above a directory.
    #[error("`{}` is not in a git repository", .start.display())]
    NotARepository {
        /// Where the search began.
        start: PathBuf,
    },
    /// The repository has no work tree.
    #[error("the git repository `{}` is bare: it has no work tree", .git_dir.display())]
    Bare {
        /// The repository.
        git_dir: PathBuf,
    },
    /// The repository belongs to somebody else, and git's `safe.directory` does not list it.
    #[error("the git repository at `{}` is owned by another user", .root.display())]
    Untrusted {
        /// The work tree.
        root: PathBuf,
        /// What `gix` said.
        source: Box<gix::Error>,
    },
    /// The repository stores its refs in a way that cannot be read.
    #[error("the git repository `{}` stores refs as `{storage}`, only `files` is supported", .git_dir.display())]
    RefStorage {
        /// The repository.
        git_dir: PathBuf,
        /// The value of `extensions.refStorage`.
        storage: String,
    },
    /// The repository cannot be opened.
    #[error("cannot open the git repository at `{}`", .start.display())]
    Open {
        /// Where the search began.
        start: PathBuf,
        /// What `gix` said.
        source: Box<gix::Error>,
    },
    /// A setting of git cannot be read.
    #[error("cannot read git's setting `{key}`")]
    Config {
        /// The setting.
        key: &'static str,
        /// What `gix` said.
        source: Box<gix::Error>,
    },
    /// The index cannot be read.
    #[error("cannot read git's index `{}`", .path.display())]
    Index {
        /// The index file.
        path: PathBuf,
        /// What `gix` said.
        source: Box<gix::Error>,
    },
    /// Ignore rules cannot be read.
    #[error("cannot read git's ignore rules for `{path}`")]
    IgnoreRules {
        /// The path they were wanted for.
        path: RepoPath,
        /// What `gix` said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Refs cannot be read.
    #[error("cannot read git's refs in `{}`", .git_dir.display())]
    Refs {
        /// The repository.
        git_dir: PathBuf,
        /// What `gix` said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A revision cannot be resolved.
    #[error("git does not know a revision `{rev}`")]
    Revision {
        /// As it was given.
        rev: String,
        /// Whether the history ends early, as in a shallow clone.
        shallow: bool,
        /// What git said, if it says more.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A date cannot be read.
    #[error("`{date}` is not a date that git knows")]
    Date {
        /// As it was given.
        date: String,
    },
    /// Another repository has no such revision.
    #[error("it has no revision `{rev}`")]
    UnknownRevision {
        /// As it was given.
        rev: String,
    },
    /// An object is missing or damaged.
    #[error("cannot read git's object {id}")]
    Object {
        /// Its id.
        id: String,
        /// What `gix` said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A partial clone lacks objects, and they cannot be fetched.
    #[error(
        "git's {count} objects that are not in this partial clone, {id} for one, cannot be fetched from `{remote}`"
    )]
    NotFetched {
        /// How many are missing.
        count: usize,
        /// One of them.
        id: String,
        /// The remote of git that promised them.
        remote: String,
        /// What git said.
        source: Option<Box<GitError>>,
    },
    /// Git holds a path that is none.
    #[error("git's {place} holds an invalid path")]
    InvalidPath {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        source: PathError,
    },
    /// There is no program `git`.
    #[error("there is no program `git` on PATH")]
    NoProgram {
        /// What the operating system said.
        source: io::Error,
    },
    /// The program `git` cannot be run.
    #[error("cannot run `{command}`")]
    Run {
        /// The command.
        command: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The program `git` failed.
    #[error("`{command}` failed ({status}): {message}")]
    Failed {
        /// The command.
        command: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// What it printed on standard error, cut to a few lines.
        message: String,
    },
    /// The program `git` printed something else than expected.
    #[error("`{command}` printed something unexpected: `{line}`")]
    Output {
        /// The command.
        command: String,
        /// What it printed.
        line: String,
    },
    /// Another process is changing the index, or one was killed while it did.
    #[error("git's index is locked by `{}`", .lock.display())]
    IndexLocked {
        /// The lock file.
        lock: PathBuf,
    },
    /// A path that should be staged is ignored by a rule of the user.
    #[error("`{path}` is ignored by git: {rule}")]
    Ignored {
        /// The path.
        path: RepoPath,
        /// The rule.
        rule: super::exclude::IgnoreMatch,
    },
    /// A path that should be staged is a directory.
    #[error("`{path}` is a directory, a file was expected")]
    IsDirectory {
        /// The path.
        path: RepoPath,
    },
    /// A file that should be edited is not a regular file.
    #[error("`{path}` is not a regular file")]
    NotRegular {
        /// The path.
        path: RepoPath,
    },
    /// A file changed between reading and replacing it.
    #[error("`{path}` was changed by another program at the same time")]
    Changed {
        /// The file.
        path: RepoPath,
    },
    /// Git does not look for hooks in a directory.
    #[error("git looks for hooks in `{}`, which is no directory", .dir.display())]
    NoHooks {
        /// The value of `core.hooksPath`.
        dir: PathBuf,
    },
    /// A hook appeared while another was being written.
    #[error("`{}` was made by another program at the same time", .file.display())]
    HookChanged {
        /// The hook.
        file: PathBuf,
    },
    /// The configuration of the pre-commit framework is not written line by line.
    #[error("`{path}` cannot be edited: `repos:` must stand alone on a line, with its items below")]
    FrameworkFile {
        /// The file.
        path: RepoPath,
    },
    /// The history is not all here, so it cannot be rewritten.
    #[error("the history of this clone is cut off (it is shallow)")]
    Shallow,
    /// A name is neither a branch's nor a tag's.
    #[error("`{name}` is not a branch or tag of this clone")]
    NotABranchOrTag {
        /// The name.
        name: String,
    },
    /// Directories are nested deeper than trees are rewritten.
    #[error("in the commit {commit}, directories are nested too deeply below `{top}`")]
    TooDeep {
        /// The commit.
        commit: String,
        /// The outermost directory.
        top: String,
    },
    /// The name of a ref is not UTF-8.
    #[error("the name of the ref `{name}` is not UTF-8, so it cannot be rewritten")]
    RefName {
        /// The name, as it can be shown.
        name: String,
    },
    /// A branch cannot be changed here.
    #[error("the branch `{branch}` is checked out in `{}`", .place.display())]
    CheckedOutElsewhere {
        /// The branch.
        branch: String,
        /// The other work tree.
        place: PathBuf,
    },
    /// A file of the work tree or the git directory cannot be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A pointer cannot be read.
    #[error(transparent)]
    Pointer(#[from] PointerError),
    /// A pointer cannot be written.
    #[error("the pointer `{path}` cannot be written")]
    PointerBytes {
        /// The pointer.
        path: RepoPath,
        /// Why.
        source: PointerProblem,
    },
    /// A file of a revision is too long to be read at once.
    #[error("`{path}` has {size} bytes; at most {limit} are read")]
    TooLarge {
        /// The file.
        path: RepoPath,
        /// Its length.
        size: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The operation was asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl GitError {
    /// A command that helps, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotARepository { .. } => Some("git init".to_owned()),
            Self::Bare { .. } => Some(
                "git worktree add DIR BRANCH   makes a work tree; ls, cat, du, log and diff of revisions, and fetch, push and \
                 gc of history (-a, -T, -A, --since, --rev) need none"
                    .to_owned(),
            ),
            Self::Untrusted { root, .. } => {
                Some(format!("git config --global --add safe.directory {}", root.display()))
            }
            Self::IndexLocked { lock } => Some(format!(
                "if no git process is running: rm {}",
                crate::path::quote(lock.as_os_str().as_encoded_bytes())
            )),
            Self::Revision { shallow: true, .. } => Some("git fetch --unshallow".to_owned()),
            Self::Revision { .. } => Some("git log --oneline --all".to_owned()),
            Self::Object { .. } => Some(
                "git fsck   or, in a partial clone, git log -p --all -- '*.mv' > FILE, which fetches what is missing"
                    .to_owned(),
            ),
            Self::NotFetched { remote, .. } => Some(format!("git fetch {remote}   says whether it can be reached")),
            Self::Date { .. } => Some("--since 2026-01-31, or --since \"2 weeks ago\"".to_owned()),
            Self::Ignored { path, .. } => Some(format!("git add -f {path}")),
            Self::NoHooks { .. } => Some("git config --show-origin core.hooksPath".to_owned()),
            Self::Shallow => Some("git fetch --unshallow".to_owned()),
            Self::NotABranchOrTag { .. } => Some("git branch --list; git tag --list".to_owned()),
            Self::RefName { .. } => {
                Some("name the branches and tags to rewrite, or git branch -m OLD NEW".to_owned())
            }
            Self::CheckedOutElsewhere { place, .. } => Some(format!("git -C {} switch --detach", place.display())),
            Self::Pointer(error) => error.hint(),
            _ => None,
        }
    }

    pub(super) fn object(id: impl ToString, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Object {
            id: id.to_string(),
            source: source.into(),
        }
    }
}
