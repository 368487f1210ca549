//! The workspace: files as the user sees them, read into the store and written out of it.
//!
//! - [`scan`] walks an output and recognises unchanged files by their [`State`]; [`Scan::snapshot`] hashes or stores
//!   the others and computes trees; [`changes`] compares the result with another tree.
//! - [`CheckoutPlan`] says what must happen to make the workspace match a tree, and does it.
//!
//! Invariants: symbolic links in the workspace are never followed, for reading or writing. A file that is not in the
//! store is never removed or replaced unless the caller forces it. A file gets its name when it is complete.
//!
//! Not promised: that the result describes one moment. Files that change while they are read are noticed and read
//! again; a set of files that changes meanwhile is seen as each of them was when it was read.

mod change;
mod checkout;
mod error;
mod hash;
mod ignore;
mod known;
mod scan;
mod scopes;
mod snapshot;
mod state;
mod table;
#[cfg(test)]
mod tests;

pub use change::{ChangeKind, FileChange, changes};
pub use checkout::{
    Checked, CheckoutPlan, CheckoutRequest, Conflict, ConflictReason, Failure, FailureReason, Merging, PlanCounts,
};
pub use error::{Result, WorkspaceError};
pub use ignore::{IGNORE_FILE, IgnoreRules};
pub use known::KnownFiles;
pub use scan::{Obstacle, Problem, Scan, ScanRequest, ScannedDir, Skipped, scan};
pub use scopes::{Scopes, Within};
pub use snapshot::{Mode, Overlay, Snapshot};
pub use state::{PreparedState, State, StateFile};
pub use table::{Row, Table};

use crate::object::Root;
