//! Errors of repository operations.

use std::path::PathBuf;
use std::sync::Arc;

use super::remedies::transport_hint;
use crate::config::{ConfigError, Layer, RemoteName};
use crate::fs::FsError;
use crate::git::{FilterError, GitError, PatternProblem, PointerError};
use crate::object::{ObjectError, TreeError};
use crate::path::{PathError, RepoPath};
use crate::progress::Interrupted;
use crate::remote::RemoteError;
use crate::remote::transport::{KeyError, TransportError};
use crate::store::StoreError;
use crate::store::marker::MarkerError;
use crate::workspace::{FailureReason, WorkspaceError};

/// Result of a repository operation.
pub type Result<T> = std::result::Result<T, RepoError>;

/// Why an operation on the repository failed.
#[derive(Debug, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "the messages say it; the transparent ones are other layers' errors"
)]
pub enum RepoError {
    #[error(transparent)]
    Fs(#[from] FsError),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Pointer(#[from] PointerError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),

    #[error("`{path}` is not tracked by modver")]
    NotTracked { path: RepoPath, nearest: Option<RepoPath> },
    #[error("`{path}` does not exist", path = .path.display())]
    NotFound { path: PathBuf },
    #[error("`{path}` could not be brought back")]
    NotRestored {
        path: RepoPath,
        #[source]
        reason: FailureReason,
    },
    #[error("`{path}` is not a file, directory or link")]
    SpecialFile { path: RepoPath },
    #[error("no remote is configured")]
    NoRemote,
    #[error("there are several remotes and none is the default")]
    NoDefaultRemote { first: RemoteName },
    #[error("remotes `{from}` and `{to}` are the same place: {url}")]
    SameRemote { from: String, to: String, url: String },
    #[error("there is a remote `{name}` already: {url}")]
    RemoteExists { name: RemoteName, url: String },
    #[error("`{path}` cannot be kept in a settings file: it is not UTF-8 text", path = .path.display())]
    UrlNotText { path: PathBuf },
    #[error("`{key}` is not set{}", .layer.map(|layer| format!(" in the {layer} settings")).unwrap_or_default())]
    NotSet { key: String, layer: Option<Layer> },
    #[error("`{path}` is tracked by git", path = .path)]
    TrackedByGit { path: RepoPath, count: usize },
    #[error("`{path}` is inside `{output}`, which is tracked")]
    InsideOutput { path: RepoPath, output: RepoPath },
    #[error("`{path}` contains `{output}`, which is tracked by itself")]
    ContainsOutput { path: RepoPath, output: RepoPath },
    #[error("`{path}` was named together with `{other}`, which contains it")]
    NestedArguments { path: RepoPath, other: RepoPath },
    #[error("`{0}` is a pointer, not data")]
    IsPointer(RepoPath),
    #[error("`{0}` belongs to git or modver, not to the data")]
    Reserved(RepoPath),
    #[error("the repository itself cannot be tracked, only what is in it")]
    WholeRepository,
    #[error("`{0}` is a symbolic link; git keeps links itself")]
    IsLink(RepoPath),
    #[error("`{path}` is reached through the symbolic link `{link}`")]
    ThroughLink { path: RepoPath, link: RepoPath },
    #[error("`{path}` is inside `{repository}`, a git repository of its own")]
    InRepository { path: RepoPath, repository: RepoPath },
    #[error("`{0}` is not a file or directory")]
    Special(RepoPath),
    #[error("`{path}` is ignored by `.mvignore`")]
    Ignored { path: RepoPath },
    #[error("`{pointer}` would be ignored by git: `{pattern}` in {source_file}")]
    PointerIgnored {
        pointer: RepoPath,
        pattern: String,
        source_file: String,
    },
    #[error("nothing matches `{pattern}`", pattern = .pattern.display())]
    NoMatch { pattern: PathBuf },
    #[error("`{pattern}` is not a pattern", pattern = .pattern.display())]
    BadPattern {
        pattern: PathBuf,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("cannot add `{path}`")]
    Output { path: RepoPath, source: Box<RepoError> },
    #[error("the cache on this machine is damaged")]
    DamagedCache(#[source] Box<RepoError>),
    #[error("`{path}` is in a git directory", path = .path.display())]
    InGitDir { path: PathBuf },
    #[error("`{path}` exists already")]
    Exists { path: RepoPath },
    #[error(
        "`{path}` was changed here, and its pointer is another since it was brought here: this would undo what is new \
         there{}", list_of(.clashes)
    )]
    Diverged {
        path: RepoPath,
        clashes: Vec<RepoPath>,
        can_join: bool,
    },
    #[error("`{path}` has changes that are not stored")]
    Modified { path: RepoPath },
    #[error("no commit tracks `{path}`, or ever did")]
    NeverTracked { path: RepoPath },
    #[error("nothing says what to bring back from revision `{rev}`")]
    NoTarget { rev: String },
    #[error("cannot remove `{path}`")]
    NotRemoved { path: RepoPath, source: Box<FailureReason> },
    #[error("nothing says what is still needed")]
    NoGcScope,
    #[error("this clone does not have the whole history, and what it does not have may be needed")]
    ShallowHistory,
    #[error("this clone was last brought up to date {days} days ago, and what others pushed since may be needed")]
    OldClone { days: u64 },
    #[error("this clone does not fetch all branches of `{remote}`, and what it does not see may be needed")]
    PartOfHistory { remote: String },
    #[error("cannot ask remote `{remote}` what it has")]
    CannotAsk { remote: String, source: Box<Self> },
    #[error("the listing of `{path}` is not in the cache")]
    ListingNotHere { path: RepoPath, rev: Option<String> },
    #[error("`{path}` is not tracked in revision `{rev}`")]
    NotInRevision { path: RepoPath, rev: String },
    #[error("`{path}` was tracked by itself in revision `{rev}`, and is inside `{output}` now")]
    InsideOutputNow {
        path: RepoPath,
        rev: String,
        output: RepoPath,
    },
    #[error("there is no `{path}` in `{output}`")]
    NoEntry { path: RepoPath, output: RepoPath },
    #[error("`{path}` is a directory")]
    IsDirectory { path: RepoPath },
    #[error("`{path}` is a symbolic link that leads to no file in `{output}`")]
    DanglingLink { path: RepoPath, output: RepoPath },
    #[error("the content of `{path}` is neither in the cache nor on remote `{remote}`")]
    Nowhere { path: RepoPath, remote: String },
    #[error("`{path}` is not in conflict")]
    NotInConflict { path: RepoPath },
    #[error("cannot tell what is in conflict in `{path}`")]
    Conflict {
        path: RepoPath,
        source: crate::git::ConflictProblem,
    },
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error("cannot read what git sends")]
    FilterInput(#[source] std::io::Error),
    #[error("cannot answer git")]
    FilterOutput(#[source] std::io::Error),
    #[error("cannot fetch all content")]
    FilterFetch(#[source] Arc<RemoteError>),
    #[error("the pattern `{pattern}` cannot be tracked")]
    Pattern { pattern: String, source: PatternProblem },
    #[error("the pattern `{pattern}` is not in `{file}`")]
    PatternNotTracked { pattern: String, file: RepoPath },
    #[error("`{path}` is a transparent file: git keeps its pointer in its place")]
    IsTransparent { path: RepoPath, instead: &'static str },
    #[error("`{path}` is an output of the stage `{stage}`")]
    OfStage { path: RepoPath, stage: String },
    #[error("`{path}` is tracked by itself already: it cannot be the output of a stage, too")]
    AnotherOutput { path: RepoPath },
    /// A remote is to be encrypted, and there is no key.
    #[error("remote `{name}` is to be encrypted, and there is no key")]
    NoKey { name: RemoteName },
    /// A key file would be where git sees it.
    #[error("the key file `{}` would be in the repository", .path.display())]
    KeyFileInside { path: PathBuf },
    /// A key file cannot be made, or is none.
    #[error("cannot use the key file `{}`", .path.display())]
    KeyFile { path: PathBuf, source: Box<KeyError> },
    /// A stage that runs now makes it.
    #[error("`{path}` is being made: its stage runs now")]
    BeingMade { path: RepoPath },
    #[error("`{path}` is tracked by git: it cannot be the output of a stage that modver keeps")]
    StageOutInGit { path: RepoPath, count: usize },
    #[error("`{path}` is not pushed: the stage `{stage}` says so")]
    NotPushed { path: RepoPath, stage: String },
    #[error("nothing says which files to migrate")]
    NothingToMigrate,
    #[error("git sees changes that are not committed")]
    Dirty,
    #[error("`HEAD` has moved while the new history was written; branches and tags are as they were")]
    HeadMoved,
    #[error(
        "branches and tags have moved to the new history, but the files here could not follow and are as before; the old \
         history is under {backup}/"
    )]
    MigratedWithoutFiles {
        backup: String,
        old: String,
        source: Box<GitError>,
    },
    #[error("`{path}` is in the way: git does not track it, and the rewritten history has one")]
    UntrackedInTheWay { path: RepoPath },
    #[error("the content of {count} pointers, of `{path}` among them, is neither in the cache nor on the remote")]
    NotExported { path: RepoPath, count: usize },
    #[error("a pointer in history, `{path}`, says {claimed} bytes, but its content has {size}")]
    WrongSize { path: RepoPath, claimed: u64, size: u64 },
    #[error("`{path}` is not in the workspace")]
    NotHere { path: RepoPath },
    #[error("cannot get data from `{url}`")]
    Source { url: String, source: Box<Self> },
    #[error("`{url}` has credentials in it, which other programs would show and git would share")]
    CredentialsInUrl { url: String },
    #[error("`{url}` cannot be a repository or URL")]
    BadSource { url: String },
    #[error("this kind of URL cannot be read; http(s)://, s3://bucket/key, file:///path and paths can")]
    UnknownScheme { url: String },
    #[error("`{url}` has no last name to call it by")]
    NoName { url: String },
    #[error("there is no object `{url}`, nor any below it")]
    NothingThere { url: String },
    #[error("the object `{key}` cannot be a file: its key is no path")]
    BadKey { key: String },
    #[error("it changed each time while it was read")]
    Restless { url: String },
    #[error("`{path}` is not a file", path = .path.display())]
    NotAFile { path: PathBuf },
    #[error("commit {commit} has nothing at `{path}`")]
    NotInSource { path: RepoPath, commit: String },
    #[error("the content of `{path}` cannot be had: {}", nowhere(.tried, .far))]
    NowhereInSource {
        path: RepoPath,
        tried: Vec<String>,
        far: Vec<String>,
        source: Option<Box<Self>>,
    },
    #[error("it does not have the content any more that `{path}` was imported with")]
    SourceChanged { path: RepoPath },
    #[error("`{path}` was not imported")]
    NotAnImport { path: RepoPath },
    #[error("it has no revisions: it is not a repository")]
    NoRevisions,
    #[error("`{path}` is there already", path = .path.display())]
    InTheWay { path: PathBuf },
    #[error("cannot write `{path}`", path = .path.display())]
    NotWritten { path: PathBuf, source: FailureReason },
    #[error("the listing of `{path}` cannot be made")]
    Listing { path: RepoPath, source: TreeError },
    #[error("there is no home directory in which to keep copies of other repositories")]
    NoUserCache,
    #[error("git does not hold `{path}` as it is; `{output}` stays as it was")]
    NotConverted { path: RepoPath, output: RepoPath },
    #[error("cannot fetch `{path}`")]
    NotFetched { path: RepoPath, source: Arc<RemoteError> },
}

impl RepoError {
    /// Says of damage that was found where a remote was asked that it is not the remote's.
    #[must_use]
    pub(crate) fn of_cache(self) -> Self {
        let of_cache = match &self {
            Self::Remote(RemoteError::Store(error)) => {
                matches!(error, StoreError::DamagedChunk { .. } | StoreError::DamagedPack { .. })
            }
            Self::Store(error)
            | Self::Object(ObjectError::Store(error))
            | Self::Remote(RemoteError::Object(ObjectError::Store(error))) => error.is_damage(),
            _ => false,
        };
        if of_cache {
            Self::DamagedCache(Box::new(self))
        } else {
            self
        }
    }

    /// An error about something inside an output, with the output.
    #[must_use]
    pub(crate) fn in_output(path: &RepoPath, error: Self) -> Self {
        match error {
            // The transaction knows the cause of this one.
            Self::Workspace(WorkspaceError::Store(_)) | Self::Interrupted(_) => error,
            error => Self::Output {
                path: path.clone(),
                source: Box::new(error),
            },
        }
    }

    /// The same about what is in a revision, so that the hint is about that.
    #[must_use]
    pub(crate) fn at(self, rev: Option<&str>) -> Self {
        match self {
            Self::ListingNotHere { path, .. } => Self::ListingNotHere {
                path,
                rev: rev.map(str::to_owned),
            },
            error => error,
        }
    }

    /// The command that helps, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::Git(error) => error.hint(),
            Self::Pointer(error) => error.hint(),
            Self::NotTracked {
                nearest: Some(nearest), ..
            } => Some(format!("did you mean `{nearest}`?")),
            Self::NotTracked { path, .. } => Some(format!("modver add {path}")),
            Self::NoRemote => Some("modver remote add origin s3://bucket/prefix".to_owned()),
            Self::NoDefaultRemote { first } => Some(format!("modver remote default {first}")),
            Self::SameRemote { .. } => Some("modver remote list".to_owned()),
            Self::RemoteExists { name, .. } => Some(format!("modver remote modify {name} url URL")),
            Self::NotSet { key, .. } => Some(format!("modver config set {key} VALUE")),
            Self::TrackedByGit { path, .. } => Some(format!("git rm -r --cached {path} && modver add {path}")),
            Self::InsideOutput { output, .. } => Some(format!("modver add {output}")),
            Self::ContainsOutput { output, .. } => Some(format!("modver remove {output}")),
            Self::InRepository { repository, .. } => Some(format!("cd {repository} && modver init")),
            Self::PointerIgnored { pointer, .. } => Some(format!("git check-ignore -v {pointer}")),
            Self::WholeRepository => Some("modver add DIRECTORY".to_owned()),
            Self::IsPointer(path) => crate::git::output_path(path).map(|output| format!("modver add {output}")),
            Self::IsLink(path) => Some(format!("git add {path}")),
            Self::Diverged {
                path, can_join: true, ..
            } => Some(format!(
                "modver checkout {path}   brings what is new there and keeps what was changed here"
            )),
            Self::Diverged { path, clashes, .. } if !clashes.is_empty() => Some(format!(
                "modver checkout --force {} to take what the pointer names, or modver commit --force {path} to keep what \
                 is here",
                clashes[0]
            )),
            Self::Diverged { path, .. } => Some(format!(
                "modver diff {path}; then modver checkout --force {path} to take what the pointer names, or modver commit \
                 --force {path} to keep what is here instead"
            )),
            Self::Modified { path } => Some(format!("modver add {path}   or, to lose the changes, --force")),
            Self::NotInConflict { .. } => Some("modver status".to_owned()),
            Self::Conflict { path, .. } => Some(format!("git checkout --merge {path}")),
            Self::ListingNotHere { path, rev: None } => Some(format!("modver fetch {path}")),
            Self::ListingNotHere { path, rev: Some(rev) } => {
                Some(format!("modver fetch --rev {} {path}", shell_word(rev)))
            }
            Self::NoTarget { rev } => Some(format!("modver checkout --rev {} TARGET", shell_word(rev))),
            Self::NotInRevision { rev, .. } => Some(format!("modver ls --rev {}", shell_word(rev))),
            Self::InsideOutputNow { path, rev, .. } => {
                Some(format!("modver cat --rev {} {path} > FILE", shell_word(rev)))
            }
            Self::NoEntry { output, .. } => Some(format!("modver ls -R {output}")),
            Self::NothingToMigrate => Some("modver migrate import --above 10MiB   or   --include '*.bin'".to_owned()),
            Self::Dirty => Some("git stash   or   git commit -a".to_owned()),
            Self::HeadMoved => Some("the same command again".to_owned()),
            Self::MigratedWithoutFiles { old, .. } => Some(format!(
                "git reset --hard   goes on to the new history, when your changes are saved elsewhere; git reset --soft {old}   \
                 goes back to the old one on this branch, and keeps them"
            )),
            Self::UntrackedInTheWay { path } => Some(format!("git add {path} && git commit")),
            Self::NotExported { .. } => Some("modver push, from where the content is".to_owned()),
            Self::NotConverted { path, .. } => Some(format!("git check-attr --all -- {path}")),
            Self::WrongSize { path, .. } => Some(format!("--exclude {path}, which leaves it a pointer")),
            Self::NotHere { path } => Some(format!("modver pull {path}")),
            Self::PatternNotTracked { .. } => Some("modver track".to_owned()),
            Self::IsTransparent { path, instead } => Some(format!("git {instead} {path}")),
            Self::OfStage { path, stage } => Some(format!(
                "modver commit {path}   to keep it as it is, or modver stage remove {stage}"
            )),
            Self::AnotherOutput { path } => Some(format!("modver remove {path}")),
            Self::KeyFileInside { .. } => Some("--key-file FILE, outside of the repository".to_owned()),
            Self::NoKey { name } => Some(format!(
                "--key-file FILE, outside of the repository; or set MODVER_REMOTE_{}_PASSPHRASE",
                name.as_str().to_ascii_uppercase().replace(['-', '.'], "_")
            )),
            Self::BeingMade { .. } => {
                Some("the same command again when the stage is done; modver logs shows how far it is".to_owned())
            }
            Self::StageOutInGit { path, .. } => Some(format!("git rm -r --cached {path}")),
            Self::NotPushed { stage, .. } => Some(format!("modver repro {stage}   makes it where it is needed")),
            Self::IsDirectory { path } => Some(format!("modver ls {path}")),
            Self::Transport(error) | Self::Remote(RemoteError::Transport(error)) => transport_hint(error),
            Self::Remote(RemoteError::Marker {
                remote,
                source: MarkerError::Encrypted,
            }) => Some(format!(
                "modver remote modify {remote} encryption true && modver remote modify --local {remote} key-file FILE"
            )),
            Self::Remote(RemoteError::CannotList { .. }) => {
                Some("push to another remote: modver remote list".to_owned())
            }
            Self::CannotAsk { source, .. } => source.hint(),
            Self::Output { source, .. } => source.hint(),
            Self::Source { url, source } => source_hint(url, source),
            Self::CredentialsInUrl { .. } => Some("git credential approve, or another credential helper".to_owned()),
            Self::InTheWay { .. } => Some("--force replaces it; -o OUT writes somewhere else".to_owned()),
            Self::NoName { .. } => Some("-o OUT names the file".to_owned()),
            Self::NoUserCache => Some("export XDG_CACHE_HOME=DIR".to_owned()),
            Self::NotAnImport { .. } => Some("modver import URL PATH, or modver import-url URL".to_owned()),
            Self::OldClone { .. } => Some("git fetch --all --tags, then the same again".to_owned()),
            Self::PartOfHistory { remote } => Some(format!(
                "git remote set-branches {remote} '*', git fetch --all --tags, then the same again"
            )),
            Self::ShallowHistory => Some("git fetch --unshallow, then the same again".to_owned()),
            Self::NoGcScope => Some("modver gc --workspace --all-branches --all-tags".to_owned()),
            Self::Remote(RemoteError::CannotCollect { remote, .. }) => {
                Some(format!("modver verify --remote={remote} --deep --repair"))
            }
            Self::Remote(RemoteError::LeaseLost { .. } | RemoteError::Unsettled { .. }) => {
                Some("the same again".to_owned())
            }
            Self::Remote(RemoteError::Store(StoreError::DamagedShard { .. } | StoreError::DamagedRun { .. })) => {
                Some("modver verify --remote".to_owned())
            }
            Self::DamagedCache(source) => source.hint(),
            Self::Store(error)
            | Self::Remote(RemoteError::Store(error) | RemoteError::Object(ObjectError::Store(error)))
            | Self::Object(ObjectError::Store(error))
            | Self::Workspace(WorkspaceError::Store(error) | WorkspaceError::Object(ObjectError::Store(error))) => {
                store_hint(error)
            }
            _ => None,
        }
    }
}

/// Where content was looked for.
fn nowhere(tried: &[String], far: &[String]) -> String {
    match (tried, far) {
        ([], []) => "no remote is set up there".to_owned(),
        ([], far) => format!("remote `{}` is a directory on another machine", far.join("`, `")),
        (tried, _) => format!("it is not complete on remote `{}`", tried.join("`, `")),
    }
}

/// What helps if another place could not be read.
fn source_hint(url: &str, error: &RepoError) -> Option<String> {
    match error {
        RepoError::Transport(TransportError::Status { status: 401 | 403, .. }) => {
            Some("check that the URL is public or signed, or download it with a program that can log in".to_owned())
        }
        RepoError::Transport(TransportError::Status { status: 404 | 410, .. }) => Some("check the URL".to_owned()),
        RepoError::NotInSource { .. } => Some(format!("modver ls {url}")),
        RepoError::NowhereInSource { .. } => Some("modver push, where the data is".to_owned()),
        RepoError::SourceChanged { path } => Some(format!("modver update {path}")),
        RepoError::Git(GitError::UnknownRevision { .. }) => Some(format!("git ls-remote {url}")),
        RepoError::Git(GitError::NotARepository { .. }) => {
            Some("name the directory at the top of the repository".to_owned())
        }
        RepoError::Git(GitError::Failed { .. }) => Some(format!("git ls-remote {url}")),
        // To be mended there, not here.
        RepoError::Pointer(_) => None,
        error => error.hint(),
    }
}

/// A word as a shell reads it.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/~^@:+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn store_hint(error: &StoreError) -> Option<String> {
    match error {
        StoreError::MissingFile(_) | StoreError::MissingChunk(_) | StoreError::MissingPack(_) => {
            Some("modver pull".to_owned())
        }
        error if error.is_damage() => Some("modver verify --repair".to_owned()),
        StoreError::NotShared { path, belongs } => {
            let path = shell_word(&path.display().to_string());
            Some(match (belongs.in_group, belongs.is_dir) {
                (true, true) => format!("chmod g+rwxs {path}   typed by {}", belongs.owner),
                (true, false) => format!("chmod g+rw {path}   typed by {}", belongs.owner),
                (false, _) => format!(
                    "chgrp -R GROUP {path} && chmod -R g+rwX {path}   typed by {}: you are not in its group, {}",
                    belongs.owner, belongs.group
                ),
            })
        }
        _ => None,
    }
}

/// Some paths that both sides changed, for the end of a sentence.
fn list_of(clashes: &[RepoPath]) -> String {
    const NAMED: usize = 5;
    if clashes.is_empty() {
        return String::new();
    }
    let named: Vec<String> = clashes.iter().take(NAMED).map(|path| format!("`{path}`")).collect();
    let more = match clashes.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("; both changed {}{more}", named.join(", "))
}
