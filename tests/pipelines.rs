//! Stages, their outputs and lock files, by the real binaries.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

#[path = "pipelines/beside.rs"]
mod beside;
#[path = "pipelines/definition.rs"]
mod definition;
#[path = "pipelines/edit.rs"]
mod edit;
#[path = "pipelines/gone.rs"]
mod gone;
#[path = "pipelines/hard.rs"]
mod hard;
#[path = "pipelines/isolated.rs"]
mod isolated;
#[path = "pipelines/locks.rs"]
mod locks;
#[path = "pipelines/outputs.rs"]
mod outputs;
#[path = "pipelines/repro.rs"]
mod repro;
#[path = "pipelines/repro_kill.rs"]
mod repro_kill;
mod support;
