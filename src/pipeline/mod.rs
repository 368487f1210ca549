//! Stages: what they are, which of them are out of date and why, and running them.
//!
//! - `definition` reads `mv.toml` into [`Stage`]s.
//! - `values` reads parameters and metrics.

mod stage;
mod values;

pub use stage::{Out, OutKind, Params, PlotOptions, Stage, StageId};
pub use values::{MAX_VALUES, ValueFormat, ValuesError, flatten, lookup, parse_as, parse_values, read_values};
