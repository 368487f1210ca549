//! Pipelines as a user meets them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

mod support;

#[path = "pipelines/definition.rs"]
mod definition;
#[path = "pipelines/edit.rs"]
mod edit;
