//! What can go wrong in a command, and how it is said: `error:`, `caused by:`, `hint:` with a command to type.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::commands::DemoError;
use super::exit::Exit;
use crate::config::ConfigError;
use crate::experiment::ExperimentError;
use crate::fs::FsError;
use crate::git::GitError;
use crate::object::ObjectError;
use crate::path::quote;
use crate::pipeline::{DefinitionError, PipelineError};
use crate::remote::RemoteError;
use crate::repo::{RepoError, shell_word};
use crate::store::StoreError;
use crate::workspace::WorkspaceError;

/// An error of a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("cannot tell the working directory")]
    WorkingDirectory(#[source] std::io::Error),
    #[error("`{}` (given with -C) is not a directory", quote(.0.as_os_str().as_bytes()))]
    NotADirectory(PathBuf),
    #[error("there is no command or help topic `{0}`")]
    UnknownTopic(String),
    #[error("cannot handle signals")]
    Signals(#[source] std::io::Error),
    #[error("interrupted")]
    Interrupted,
    #[error("`{0}` has no --json: its output is data of its own")]
    NoJson(&'static str),
    #[error("`{}` may be a revision or a path", quote(.0.as_bytes()))]
    Ambiguous(String),
    #[error("`{}` is neither a revision nor a path here", quote(.0.as_bytes()))]
    NeitherRevisionNorPath(String),
    #[error("there are more revisions than can be compared")]
    TooManyRevisions,
    #[error("this is a bug in modver")]
    Panicked,
    #[error("a merge driver takes five arguments: base, ours, theirs, length of markers, path")]
    HookArguments,
    #[error("`--quick` is about the cache; a remote is only measured unless `--deep` is given")]
    QuickRemote,
    #[error("cannot read the input")]
    Input(#[source] std::io::Error),
    #[error("cannot write the output")]
    Output(#[source] std::io::Error),
    #[error("cannot write the output as JSON")]
    Json(#[source] serde_json::Error),
    #[error(transparent)]
    Fs(#[from] FsError),
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Demo(#[from] DemoError),
    #[cfg(feature = "server")]
    #[error(transparent)]
    Server(#[from] crate::server::ServerError),
    #[cfg(feature = "server")]
    #[error("which is the server's directory?")]
    NoServerRoot,
    #[cfg(feature = "server")]
    #[error("a certificate needs its key, and a key its certificate")]
    HalfACertificate,
    #[cfg(not(feature = "server"))]
    #[error("this program was built without the feature `{0}`")]
    NotBuilt(&'static str),
}

impl CliError {
    /// The exit code it leads to.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NotADirectory(_)
            | Self::UnknownTopic(_)
            | Self::NoJson(_)
            | Self::HookArguments
            | Self::QuickRemote
            | Self::Ambiguous(_)
            | Self::NeitherRevisionNorPath(_)
            | Self::TooManyRevisions => Exit::Usage,
            #[cfg(feature = "server")]
            Self::NoServerRoot | Self::HalfACertificate => Exit::Usage,
            #[cfg(feature = "server")]
            Self::Server(_) => Exit::Failure,
            #[cfg(not(feature = "server"))]
            Self::NotBuilt(_) => Exit::Failure,
            Self::Interrupted => Exit::Interrupted,
            Self::WorkingDirectory(_)
            | Self::Signals(_)
            | Self::Panicked
            | Self::Input(_)
            | Self::Output(_)
            | Self::Json(_)
            | Self::Fs(_)
            | Self::Config(_)
            | Self::Demo(_) => Exit::Failure,
            Self::Repo(error)
            | Self::Pipeline(PipelineError::Repo(error))
            | Self::Experiment(ExperimentError::Repo(error)) => exit_of(error),
            Self::Definition(error)
            | Self::Pipeline(PipelineError::Definition(error))
            | Self::Experiment(ExperimentError::Definition(error)) => exit_of_definition(error),
            Self::Pipeline(_) | Self::Experiment(_) => Exit::Failure,
        }
    }

    /// A command that helps, if there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownTopic(_) => Some("modver help".to_owned()),
            Self::Ambiguous(word) => Some(format!(
                "modver diff {0} --   for the revision, modver diff -- {0}   for the path",
                shell_word(word)
            )),
            Self::NeitherRevisionNorPath(word) => Some(format!(
                "modver diff -- {}   for something that was deleted",
                shell_word(word)
            )),
            Self::TooManyRevisions => Some("modver diff A B -- TARGET".to_owned()),
            Self::QuickRemote => Some("modver verify --remote".to_owned()),
            Self::Repo(error) => error.hint(),
            Self::Experiment(error) => error.hint(),
            #[cfg(feature = "server")]
            Self::Server(error) => error.hint(),
            #[cfg(feature = "server")]
            Self::NoServerRoot => Some("modver serve --root DIR".to_owned()),
            #[cfg(feature = "server")]
            Self::HalfACertificate => Some("modver serve --tls-cert FILE --tls-key FILE".to_owned()),
            #[cfg(not(feature = "server"))]
            Self::NotBuilt(feature) => Some(format!("cargo install modver --features {feature}")),
            Self::Config(error) => error.hint(),
            Self::Definition(error) => error.hint(),
            Self::Pipeline(error) => error.hint(),
            _ => None,
        }
    }
}

/// The exit code of an error of the repository.
fn exit_of(error: &RepoError) -> Exit {
    match error {
        RepoError::Interrupted(_) => Exit::Interrupted,
        RepoError::Git(GitError::NotARepository { .. } | GitError::Bare { .. }) => Exit::NotARepository,
        RepoError::Git(GitError::IndexLocked { .. }) => Exit::Locked,
        RepoError::Source { source, .. } => match exit_of(source) {
            // That is not where the user stands.
            Exit::NotARepository => Exit::Failure,
            exit => exit,
        },
        RepoError::Output { source, .. } | RepoError::DamagedCache(source) => exit_of(source),
        RepoError::Store(error)
        | RepoError::Object(ObjectError::Store(error))
        | RepoError::Workspace(WorkspaceError::Store(error) | WorkspaceError::Object(ObjectError::Store(error)))
        | RepoError::Remote(RemoteError::Store(error) | RemoteError::Object(ObjectError::Store(error))) => {
            exit_of_store(error)
        }
        RepoError::Object(ObjectError::Tree { .. }) | RepoError::Remote(RemoteError::DamagedChunk { .. }) => {
            Exit::Corruption
        }
        _ => Exit::Failure,
    }
}

/// The exit code of an error of the definition of stages.
fn exit_of_definition(error: &DefinitionError) -> Exit {
    match error {
        DefinitionError::Repo(error) => exit_of(error),
        DefinitionError::Git(GitError::IndexLocked { .. }) => Exit::Locked,
        _ => Exit::Failure,
    }
}

fn exit_of_store(error: &StoreError) -> Exit {
    match error {
        error if error.is_damage() => Exit::Corruption,
        StoreError::Locked { .. } => Exit::Locked,
        _ => Exit::Failure,
    }
}
