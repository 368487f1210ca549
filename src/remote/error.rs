//! What can go wrong with a remote.

use super::transport::TransportError;

/// Why an operation on a remote failed.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// An object could not be moved.
    #[error(transparent)]
    Transport(#[from] TransportError),
}
