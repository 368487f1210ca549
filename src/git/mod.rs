//! Git: the repository that holds the code, the pointers and the history. The only module that knows git.
//!
//! Objects, refs, the index and ignore rules are read in this process (the `gix` crate); what changes the index or
//! walks history runs the `git` program ([`program`](self), one file), so that the user's filters, hooks and
//! configuration hold.
//!
//! Invariants: nothing here writes to git's object database, refs or configuration, nor to the index other than by
//! `git add`; the copies of other repositories that `source` keeps are modver's own. No object is ever fetched
//! implicitly from a promisor remote of the user's repository. Paths go to git literally, NUL-separated,
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
mod discover;
mod edit;
mod error;
mod exclude;
mod find;
mod hooks;
mod ignore_file;
mod import;
mod index;
mod lineage;
mod liveness;
mod log;
mod pointer;
mod program;
mod resolve;
mod revision;
mod scope;
mod source;
mod stage;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tips;
mod versions;

pub use attributes::attributes_edit;
pub use discover::GitRepo;
pub use edit::FileEdit;
pub use error::{GitError, Result};
pub use exclude::{Excludes, IgnoreMatch};
pub use find::FoundPointers;
pub use hooks::Hooks;
pub use ignore_file::{add_entry, remove_entry};
pub use import::{Import, RepositoryImport, UrlImport};
pub use index::Tracked;
pub use liveness::LivePointers;
pub use log::{LoggedCommit, LoggedPointer, Touch};
pub use pointer::{
    MAX_POINTER, POINTER_SUFFIX, Pointer, PointerContent, PointerError, PointerProblem, is_pointer_path, output_path,
    pointer_path,
};
pub use resolve::Compared;
pub use revision::{Head, RevisionPointer};
pub use scope::{Scope, Unsent};
pub use source::{BlobReader, EntryKind, SourceEntry, SourceRepo, is_git_url};
pub use versions::{BrokenVersion, Version, Versions};
