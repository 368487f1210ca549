//! Runs of stages: what was run from what to what, on which machine, and how it ended.
//!
//! A record is immutable and named by its content. Records are kept in the store, and in an index in the git directory
//! that all work trees share, which says which runs had the same inputs.

mod expire;
mod find;
mod index;
mod record;
mod remote;

pub use expire::{forget_runs, old_runs};
pub use find::{find_run, list_runs};
pub use index::{RunIndex, RunQuery};
pub use record::{Machine, RecordedContent, RunRecord, VERSION, machine};
pub use remote::{SharedRuns, fetch_runs, kept_files, push_runs};
