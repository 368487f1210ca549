//! Stages: what they are, which of them are out of date and why, and running them.
//!
//! - `definition` reads `mv.toml` into [`Stage`]s.
//! - `graph` connects them.
//! - `values` reads parameters and metrics.

pub mod definition;
mod graph;
mod stage;
mod values;

pub use definition::{
    DefinitionError, Pipelines, Place, ProjectFiles, Reach, RevisionProjectFiles, SelectOptions, WorkTreeFiles,
    nearest_path,
};
pub use graph::Graph;
pub use stage::{Out, OutKind, Params, PlotOptions, Stage, StageId};
pub use values::{MAX_VALUES, ValueFormat, ValuesError, flatten, lookup, parse_as, parse_values, read_values};
