//! Making the workspace match a tree: a plan that can be shown, then its execution.
//!
//! Invariants: a file whose content is not in the store is neither removed nor replaced unless the caller forces it;
//! untracked files that are not in the way stay. New content is complete and verified before it takes its name; a
//! directory that does not exist yet is filled under a temporary name beside it. Links are never written through. An
//! entry that changed between plan and execution is left alone and reported. What cannot be done is listed, and the
//! rest is done.
//!
//! Not promised: that files are on disk after a power failure right behind; they are in the store. That a change in
//! the very clock tick in which a file was written is noticed later.

mod execute;
mod plan;
mod write;

use super::scan::Obstacle;
use super::scopes::Scopes;
use super::snapshot::Snapshot;
use super::table::Row;
use super::{Result, Root};
use crate::fs::FsError;
use crate::hash::FileId;
use crate::object::{LinkError, Node, ObjectError, Trees};
use crate::path::{Name, RepoPath};
use crate::store::{Cache, StoreError};

/// What to check out.
#[derive(Debug, Clone, Copy)]
pub struct CheckoutRequest<'a> {
    /// What the output should be; `None`: nothing. Then what was never tracked is a conflict, too, unless it is ignored.
    pub target: Option<&'a Node>,
    /// The parts of it to bring to that.
    pub scopes: &'a Scopes,
    /// What the workspace was last brought to: only what is in it is ever deleted.
    pub base: Option<Root>,
    /// The parts that were present before, if any.
    pub present: Option<&'a Scopes>,
    /// Whether content that exists nowhere else may be lost.
    pub force: bool,
}

/// A target that is the pointer's, merged with what was changed here.
#[derive(Clone, Copy)]
pub struct Merging<'a> {
    /// Its listings, and those of the store.
    pub trees: &'a dyn Trees,
    /// What the workspace counts as when it is brought there.
    pub becomes: Root,
}

/// Why something in the way may not go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictReason {
    /// A tracked file with content that is not stored.
    Modified,
    /// A file that was never tracked, with content that is not stored.
    Untracked,
    /// An ignored file.
    Ignored,
    /// Not a file, directory or link.
    Special,
    /// A git repository of its own.
    Repository,
    /// It cannot be read, so it is not known what it is.
    Unreadable,
    /// The output itself is a symbolic link or special file.
    Root,
}

impl From<Obstacle> for ConflictReason {
    fn from(why: Obstacle) -> Self {
        match why {
            Obstacle::Ignored => Self::Ignored,
            Obstacle::Special => Self::Special,
            Obstacle::Repository => Self::Repository,
            Obstacle::Unreadable => Self::Unreadable,
        }
    }
}

/// Something in the way whose content exists nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Conflict {
    /// Relative to the output.
    pub path: RepoPath,
    /// Why it may not go.
    pub reason: ConflictReason,
}

/// Why a path could not be brought to its target.
#[derive(Debug, thiserror::Error)]
pub enum FailureReason {
    /// Its content is not in the cache.
    #[error("its content is not in the cache")]
    Missing,
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
    /// The listing of the directory cannot be read.
    #[error(transparent)]
    Tree(ObjectError),
    /// A file operation failed.
    #[error(transparent)]
    Fs(FsError),
    /// The link leaves the output.
    #[error("{0}")]
    Link(LinkError),
    /// The name is reserved.
    #[error("the name is reserved for git or modver")]
    Name,
    /// Directories are nested too deep.
    #[error("nested too deep")]
    TooDeep,
    /// The entry is not what it was when the plan was made.
    #[error("it changed meanwhile")]
    Changed,
    /// Something else has the name, perhaps in another case.
    #[error("another entry has this name here")]
    Taken,
    /// The file system takes two names for one.
    #[error("`{other}` has this name here: the file system does not tell upper case from lower case")]
    Collision {
        /// The entry that has it.
        other: Name,
    },
    /// The content has another size than the listing says.
    #[error("the listing gives another size than the content has")]
    Size,
    /// The pointer does not describe what it names.
    #[error("the pointer gives another size than what it names has: {size} bytes in {files} files")]
    Claim {
        /// Bytes there are.
        size: u64,
        /// Files and links there are.
        files: u64,
    },
}

impl FailureReason {
    /// Whether something in the store is damaged.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::Store(error) | Self::Tree(ObjectError::Store(error)) => error.is_damage(),
            _ => false,
        }
    }
}

impl From<FsError> for FailureReason {
    fn from(error: FsError) -> Self {
        if error.is_already_exists() {
            Self::Taken
        } else {
            Self::Fs(error)
        }
    }
}

impl From<StoreError> for FailureReason {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::MissingFile(_) | StoreError::MissingChunk(_) | StoreError::MissingPack(_) => Self::Missing,
            error => Self::Store(error),
        }
    }
}

/// A path that could not be brought to its target.
#[derive(Debug, thiserror::Error)]
#[error("cannot check out `{path}`: {reason}")]
pub struct Failure {
    /// Relative to the output.
    pub path: RepoPath,
    /// Why.
    pub reason: FailureReason,
}

/// What a plan will do, or an execution did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct PlanCounts {
    /// Files and links that are new.
    pub created: u64,
    /// Files and links that are replaced.
    pub replaced: u64,
    /// Files and links that are removed.
    pub deleted: u64,
    /// Files whose executable bit changes.
    pub chmods: u64,
    /// Directories that are made.
    pub dirs_created: u64,
    /// Directories that go if they are empty then.
    pub dirs_deleted: u64,
    /// Untracked files and links that stay.
    pub left: u64,
    /// Bytes that are written.
    pub bytes: u64,
}

impl PlanCounts {
    /// Whether nothing happens.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.created + self.replaced + self.deleted + self.chmods + self.dirs_created + self.dirs_deleted == 0
    }
}

/// How it went.
#[derive(Debug)]
pub struct Checked {
    /// What was done.
    pub done: PlanCounts,
    /// What could not be done.
    pub failures: Vec<Failure>,
    /// Whether the user stopped it before everything was tried.
    pub interrupted: bool,
}

/// A row of the scan the plan was made from: directory, row.
type RowRef = (usize, usize);

/// What a name becomes.
#[derive(Debug)]
enum What {
    File { id: FileId, size: u64, executable: bool },
    Link { target: Box<[u8]> },
}

/// One entry to write.
#[derive(Debug)]
struct Work {
    name: Name,
    what: What,
    /// The file or link that it replaces.
    replaces: Option<RowRef>,
    /// It takes the place of a file that is ignored, whatever it is.
    over: bool,
}

/// A directory in which something is written.
#[derive(Debug)]
struct DirWork {
    path: Inner,
    /// For a directory that does not exist: the index of its topmost new ancestor (or itself).
    fresh: Option<usize>,
    /// For a directory inside a new one: the index of that.
    parent: Option<usize>,
    entries: Vec<Work>,
}

/// A path relative to the directory that holds the output; its first name is the output's.
type Inner = RepoPath;

/// Entries of one directory that are removed or change their mode.
#[derive(Debug)]
struct Touch {
    dir: Inner,
    entries: Vec<(Name, RowRef)>,
}

/// What must happen to make the workspace match a target; made by [`CheckoutPlan::new`].
#[derive(Debug)]
pub struct CheckoutPlan {
    /// What is in the way and exists nowhere else. Without force, execution is refused while there is any.
    pub conflicts: Vec<Conflict>,
    /// What cannot be done, known before anything is tried.
    pub failures: Vec<Failure>,
    /// What will be done.
    pub counts: PlanCounts,
    cache: Cache,
    snapshot: Snapshot,
    output: Name,
    force: bool,
    /// What the workspace counts as afterwards.
    new_base: Option<Root>,
    old_base: Option<Root>,
    new_scopes: Scopes,
    /// Whether something of the base was not brought here before, and is not the business of this plan.
    unfinished: bool,
    /// Whether what is written counts as brought here by a pointer.
    recorded: bool,
    deletes: Vec<Touch>,
    chmods: Vec<Touch>,
    /// Directories to remove if they are empty then, parents first.
    rmdirs: Vec<Inner>,
    works: Vec<DirWork>,
}

impl CheckoutPlan {
    /// The same plan for what becomes the user's own: no state is written, and one that is there goes first.
    #[must_use]
    pub fn unrecorded(self) -> Self {
        Self {
            recorded: false,
            ..self
        }
    }

    /// What could not be written because its content is not in the cache.
    ///
    /// # Errors
    /// When the cache cannot be asked.
    pub fn missing(&self) -> Result<Vec<Failure>> {
        let is_missing = |failure: &&Failure| match &failure.reason {
            FailureReason::Missing => true,
            FailureReason::Tree(error) => error.is_missing(),
            _ => false,
        };
        let listings = self
            .failures
            .iter()
            .filter(is_missing)
            .map(|failure| failure.path.clone());
        let mut paths: Vec<RepoPath> = listings.collect();
        for work in &self.works {
            for entry in &work.entries {
                if let What::File { id, .. } = entry.what
                    && !self.cache.contains(&id)?
                {
                    paths.push(self.relative(&work.path.join(&entry.name)));
                }
            }
        }
        let failure = |path| Failure {
            path,
            reason: FailureReason::Missing,
        };
        Ok(paths.into_iter().map(failure).collect())
    }

    fn row(&self, at: RowRef) -> Option<&Row> {
        self.snapshot.scan.dirs.get(at.0)?.table.rows().get(at.1)
    }

    fn relative(&self, path: &Inner) -> RepoPath {
        relative(path, &self.output)
    }
}

/// The path relative to the output.
fn relative(path: &Inner, output: &Name) -> RepoPath {
    path.strip_prefix(&RepoPath::root().join(output)).unwrap_or_default()
}

/// Adds to the entries of `dir`; those of one directory mostly come one after another.
fn touch(list: &mut Vec<Touch>, dir: &Inner, name: &Name, at: RowRef) {
    let entry = (name.clone(), at);
    match list.last_mut() {
        Some(last) if last.dir == *dir => last.entries.push(entry),
        _ => list.push(Touch {
            dir: dir.clone(),
            entries: vec![entry],
        }),
    }
}
