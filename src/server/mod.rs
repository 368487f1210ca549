//! An HTTP server that keeps stores for those who have no other place: `modver serve`.
//!
//! It offers what a [`Transport`](crate::remote::transport::Transport) does, for any number of repositories, each a
//! store of its own below one directory or in one other remote. The protocol is in `docs/server.md`.
//!
//! Invariants: an object becomes visible only when it is complete and its content has the hash that its key says;
//! one that exists is replaced only by who may; of two writers that create one object, one is told that it existed. No
//! token is kept, logged or shown: only its hash is kept. Memory does not grow with the size of objects.
//!
//! Not promised: that a server and other programs may write to one directory at the same time, though nothing is lost
//! when they do: quotas are then counted late.

mod access;
mod answer;
mod content;
mod download;
mod error;
mod idle;
mod keys;
mod log;
mod metrics;
mod options;
mod record;
mod routes;
mod run;
mod sessions;
mod settings;
mod spool;
mod storage;
mod tokens;
mod upload;
mod usage;

pub use access::Role;
pub use error::{Result, ServerError};
pub use log::AccessLog;
pub use options::{Options, Patience, TlsFiles};
pub use run::{Notice, Server};
pub use settings::FileSettings;
pub use tokens::{NewToken, Token, TokenAdded, TokenFile};

/// Name of the header by which a client knows this server.
pub use crate::remote::transport::SERVER_HEADER;
