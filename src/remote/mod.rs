//! Other stores than the local cache.
//!
//! [`transport`] moves objects; what they mean is decided above it.

pub mod error;
pub mod transport;

pub use error::RemoteError;
