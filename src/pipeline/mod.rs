//! Stages: what they are, which of them are out of date and why, and running them.
//!
//! - `definition` reads `mv.toml` into [`Stage`]s, `graph` connects them, `values` reads parameters and metrics.
//! - `session` compares stages with their last runs (`inputs`, `reason`) and decides what to do about them (`decide`).
//! - `repro` brings them up to date: `scheduler` says what runs when, `execute` runs one stage by `process`, with what it
//!   had made before put `aside`, or in a directory of its own (`isolate`, `verify`).
//! - `runs` keeps what was run.
//! - `edit` changes definitions.

mod aside;
mod decide;
pub mod definition;
pub mod edit;
mod error;
mod execute;
mod explain;
mod gone;
mod graph;
mod inputs;
mod isolate;
mod log;
mod logs;
mod process;
mod reason;
mod repro;
pub mod runs;
mod scheduler;
mod session;
mod stage;
mod status;
mod values;
mod verify;

pub use decide::Policy;
pub use definition::{
    DefinitionError, Pipelines, Place, ProjectFiles, Reach, RevisionProjectFiles, Revisions, SelectOptions,
    WorkTreeFiles, nearest_path,
};
pub use error::{PipelineError, Result};
pub use explain::Explanation;
pub use graph::Graph;
pub use inputs::{Inputs, RunKey};
pub use logs::last_log;
pub use process::Usage;
pub use reason::{Difference, StaleReason};
pub use repro::{Event, ReproOptions, ReproOutcome, StageOutcome, StageResult, Watch};
pub use scheduler::{Limits, OnFailure};
pub use session::{Absent, Judgement, Session, lock_file};
pub use stage::{Out, OutKind, Params, PlotOptions, Stage, StageId};
pub use status::StageStatus;
pub use values::{MAX_VALUES, ValueFormat, ValuesError, flatten, lookup, parse_as, parse_values, read_values};
pub use verify::{VerifiedStage, VerifyResult, VerifyRunsOutcome};
