//! Stages: what they are, which of them are out of date and why, and running them.
//!
//! - `definition` reads `mv.toml` into [`Stage`]s.

mod stage;

pub use stage::{Out, OutKind, Params, PlotOptions, Stage, StageId};
