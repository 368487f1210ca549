//! modver: versions data, models and pipelines together with code, inside git.
//!
//! The library does the work and returns values; it never prints, prompts, reads the environment or exits. The
//! binaries `modver` and `mv` parse arguments, call one operation and render its outcome.
//!
//! Modules import downwards only (checked by `tests/architecture.rs`); modules on one line never import each other:
//!
//! ```text
//! 9 cli
//! 7 experiment
//! 6 pipeline
//! 5 repo | server
//! 4 workspace | git | remote
//! 3 object
//! 2 store
//! 1 config | chunk
//! 0 hash | path | fs | progress | time | causes
//! ```
//!
//! The files on disk are described in `docs/formats.md`, the words in `docs/architecture.md`.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests set up and inspect files as a user would"
    )
)]

pub mod causes;
pub mod chunk;
pub mod cli;
pub mod config;
pub mod experiment;
pub mod fs;
pub mod git;
pub mod hash;
pub mod object;
pub mod path;
pub mod pipeline;
pub mod progress;
pub mod remote;
pub mod repo;
#[cfg(feature = "server")]
pub mod server;
pub mod store;
pub mod time;
pub mod workspace;
