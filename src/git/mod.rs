//! Git: the repository that holds the code, the pointers and the history. The only module that knows git.
//!
//! Objects, refs, the index and ignore rules are read in this process (the `gix` crate); what changes the index or
//! walks history runs the `git` program ([`program`](self), one file), so that the user's filters, hooks and
//! configuration hold.
//!
//! Invariants: nothing here writes to git's index other than by `git add` and `git update-index` of files, nor to its
//! configuration but to install or remove the merge driver and the filter for transparent files. Only `migrate` writes
//! objects and refs, and resets the work tree, which it has found clean; the copies of other repositories that `source`
//! keeps are modver's own. No object is ever fetched implicitly from a promisor remote of the user's repository. Paths
//! go to git literally, NUL-separated,
//! never as patterns.
//!
//! Environment: the library reads none itself. `gix` and the `git` program see `HOME`, `GIT_CONFIG_*` and, so that
//! hooks of `git commit -a` and `git commit PATH` work, `GIT_INDEX_FILE`. The work tree is always found from the
//! directory that was given, never from `GIT_DIR` or `GIT_WORK_TREE`, and the `git` program is told the same: a hook
//! that works on another repository reaches that one, and an index file of the first one is then left alone.
//!
//! Not promised: agreement with git about repositories that use reftable (refused by name), grafts, or
//! `core.worktree` pointing at a place without a `.git`.

mod attributes;
mod conflict;
mod discover;
mod edit;
mod error;
mod exclude;
mod filter;
mod filter_config;
mod find;
mod framework;
mod hooks;
mod ignore_file;
mod import;
mod index;
mod install;
mod lineage;
mod liveness;
mod lock;
mod lock_merge;
mod log;
mod migrate;
mod named;
mod origin;
mod partial;
mod pointer;
mod program;
mod refresh;
mod resolve;
mod revision;
mod scope;
mod source;
mod stage;
mod staged;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tips;
mod track;
mod transparent;
mod tree_files;
mod versions;
mod work_diff;

pub use attributes::attributes_edit;
pub use conflict::{ConflictProblem, Field, FieldClash, MAX_CONFLICT, PointerConflict, Side, is_large_conflict};
pub use discover::GitRepo;
pub use edit::FileEdit;
pub use error::{GitError, Result};
pub use exclude::{Excludes, IgnoreMatch};
pub use filter::{Filter, FilterError, FilterRequest, Smudged, serve};
pub use find::FoundPointers;
pub use framework::{framework_edit, framework_removal};
pub use hooks::Hooks;
pub use ignore_file::{add_entry, has_entry, remove_entry};
pub use import::{Import, RepositoryImport, UrlImport};
pub use index::Tracked;
pub use install::{Hook, HookChange};
pub use liveness::LivePointers;
pub use lock::{LOCK_FILE, Lock, LockError, LockProblem, LockedDep, LockedOut, LockedStage, MAX_LOCK, is_lock_path};
pub use lock_merge::{MergedLock, merge_lock};
pub use log::{LoggedCommit, LoggedPointer, Touch};
pub use migrate::{Direction, Load, MigrateBlob, MigratePlan, MigrateRequest, Migrated, RefChoice};
pub use named::NamedCommit;
pub use pointer::{
    MAX_POINTER, POINTER_SUFFIX, Pointer, PointerContent, PointerError, PointerProblem, is_pointer_path, output_path,
    pointer_path,
};
pub use resolve::Compared;
pub use revision::{Head, RevisionLock, RevisionPointer};
pub use scope::{Scope, Unsent};
pub use source::{BlobReader, EntryKind, SourceEntry, SourceRepo, is_git_url};
pub use staged::{Operation, StagedFile, Unmerged};
pub use track::{PatternProblem, TrackedPattern, attribute_pattern, literal_pattern, track_edit, untrack_edit};
pub use transparent::{Held, TransparentFile, TransparentPointer, looks_like_pointer};
pub use tree_files::{NamedFiles, RevisionFiles, TreeEntryKind};
pub use versions::{BrokenVersion, LockedIn, Version, Versions};
