//! Why the server does not start, or its tokens cannot be changed.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::fs::FsError;
use crate::remote::transport::TransportError;

/// Result of what the server does besides answering requests.
pub type Result<T> = std::result::Result<T, ServerError>;

/// Why the server does not start, or its tokens cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Without a token, everybody who reaches the address could read and write.
    #[error("will not listen on {address}, which other machines can reach, without a token")]
    NoToken {
        /// The address.
        address: SocketAddr,
        /// The server's directory.
        root: PathBuf,
    },
    /// An address that cannot be one.
    #[error("`{0}` is not an address to listen on; write HOST:PORT, such as 127.0.0.1:8080")]
    Address(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot use the certificate `{}` with the key `{}`", .cert.display(), .key.display())]
    Tls {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another server works there.
    #[error("another `modver serve` uses `{}`", .0.display())]
    InUse(PathBuf),
    /// The server's directory is not there.
    #[error("directory `{}` does not exist", .0.display())]
    NoRoot(PathBuf),
    /// The file with the tokens is not what this program writes.
    #[error("`{}` is not a list of tokens", .path.display())]
    Tokens {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A token of that name exists.
    #[error("there is a token `{0}` already")]
    TokenExists(String),
    /// No token has the name.
    #[error("there is no token `{name}`")]
    UnknownToken {
        /// The name.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// A name of a token that cannot be.
    #[error("`{0}` cannot be the name of a token: 1 to 64 letters, digits, `-`, `_`, `.`, `@` and `+`")]
    TokenName(String),
    /// A name of a repository that cannot be.
    #[error(
        "`{0}` cannot be the name of a repository: 1 to 64 letters, digits, `-`, `_` and `.`, the first a letter or \
         digit, and not `health`, `metrics` or `tmp`"
    )]
    RepositoryName(String),
    /// The settings file is not usable.
    #[error("cannot use the settings in `{}`", .path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The place where objects are kept.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The system refuses threads or sockets.
    #[error("the server cannot run")]
    Run(#[source] io::Error),
}

impl ServerError {
    /// A command that helps, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoToken { root, .. } => Some(format!(
                "modver serve token add --root {} --write NAME   or listen on 127.0.0.1",
                root.display()
            )),
            Self::NoRoot(root) => Some(format!("mkdir -p {}", root.display())),
            Self::TokenExists(name) => Some(format!("modver serve token revoke {name}")),
            Self::UnknownToken { .. } => Some("modver serve token list".to_owned()),
            _ => None,
        }
    }
}
