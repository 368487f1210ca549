//! `diff`: what is different between two states of the tracked data.

mod moved;

use std::collections::BTreeMap;
use std::path::PathBuf;

use rayon::prelude::*;

use super::observe::pointer_node;
use super::{BrokenPointer, Content, ContentKind, Output, Outputs, RepoError, Repository, Result, Target};
use crate::git::{self, PointerError};
use crate::object::Node;
use crate::path::RepoPath;
use crate::workspace::{self, ChangeKind, FileChange, Snapshot, WorkspaceError};

/// A state of the tracked data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// What the pointers of a revision say.
    Revision(String),
    /// What is in the workspace; for what was never checked out, what its pointer says.
    Workspace,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Revision(revision) => f.write_str(revision),
            Self::Workspace => f.write_str("workspace"),
        }
    }
}

impl serde::Serialize for Source {
    /// As text; the workspace, which no revision can be called, is `null`.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Revision(revision) => serializer.serialize_some(revision),
            Self::Workspace => serializer.serialize_none(),
        }
    }
}

/// How something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Changed {
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// Its content is another.
    Modified,
    /// It was another kind of thing.
    TypeChanged,
    /// It stood elsewhere.
    Renamed,
}

/// One file, link or empty directory that differs, or a whole directory that stands elsewhere.
#[derive(Debug, Clone, serde::Serialize)]
pub struct FileDiff {
    /// Where, relative to the repository.
    pub path: RepoPath,
    /// How.
    pub change: Changed,
    /// Where it stood, if renamed.
    pub from: Option<RepoPath>,
    /// What stood there.
    pub before: Option<Content>,
    /// What stands there now.
    pub after: Option<Content>,
}

impl FileDiff {
    pub(super) fn new(output: &RepoPath, change: &FileChange) -> Self {
        let (kind, from) = match &change.kind {
            ChangeKind::Added => (Changed::Added, None),
            ChangeKind::Deleted => (Changed::Deleted, None),
            ChangeKind::Modified => (Changed::Modified, None),
            ChangeKind::TypeChanged => (Changed::TypeChanged, None),
            ChangeKind::Renamed { from } => (Changed::Renamed, Some(output.join_path(from))),
        };
        Self {
            path: output.join_path(&change.path),
            change: kind,
            from,
            before: change.before.as_ref().map(Content::from),
            after: change.after.as_ref().map(Content::from),
        }
    }
}

/// Numbers of files (links and empty directories count too; of a directory that stands elsewhere, what is in it).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct FileCounts {
    /// New ones.
    pub added: u64,
    /// Gone ones.
    pub deleted: u64,
    /// Those with other content.
    pub modified: u64,
    /// Those that were another kind of thing.
    pub type_changed: u64,
    /// Those that stood elsewhere.
    pub renamed: u64,
    /// Bytes of what is new, at a new place too.
    pub bytes_added: u64,
    /// Bytes of what is gone, at its old place too.
    pub bytes_deleted: u64,
}

impl FileCounts {
    pub(super) fn of<'a>(changes: impl IntoIterator<Item = &'a FileDiff>) -> Self {
        let mut counts = Self::default();
        for change in changes {
            match change.change {
                Changed::Added => counts.added += 1,
                Changed::Deleted => counts.deleted += 1,
                Changed::Modified => counts.modified += 1,
                Changed::TypeChanged => counts.type_changed += 1,
                Changed::Renamed => {
                    counts.renamed += change.after.as_ref().map_or(1, |after| after.files);
                    continue;
                }
            }
            let bytes = |content: &Option<Content>| match content {
                // What is below a directory that became something else has its own changes.
                Some(content) if content.kind != ContentKind::Dir => content.size,
                _ => 0,
            };
            counts.bytes_added += bytes(&change.after);
            counts.bytes_deleted += bytes(&change.before);
        }
        counts
    }

    fn add(&mut self, other: &Self) {
        self.added += other.added;
        self.deleted += other.deleted;
        self.modified += other.modified;
        self.type_changed += other.type_changed;
        self.renamed += other.renamed;
        self.bytes_added += other.bytes_added;
        self.bytes_deleted += other.bytes_deleted;
    }
}

/// A tracked file or directory that differs.
#[derive(Debug, serde::Serialize)]
pub struct OutputDiff {
    /// Where, relative to the repository.
    pub path: RepoPath,
    /// How.
    pub change: Changed,
    /// Where it stood, if renamed.
    pub from: Option<RepoPath>,
    /// What it was.
    pub before: Option<Content>,
    /// What it is now.
    pub after: Option<Content>,
    /// Which files differ; `null` when a listing that says so is not in the cache.
    pub files: Option<Vec<FileDiff>>,
    /// How many; `null` likewise.
    pub counts: Option<FileCounts>,
}

/// What is different.
#[derive(Debug, serde::Serialize)]
pub struct DiffOutcome {
    /// The older state.
    pub from: Source,
    /// The newer one; `null` for the workspace.
    pub to: Source,
    /// What differs, by path.
    pub outputs: Vec<OutputDiff>,
    /// Sum over all outputs whose listings are known.
    pub counts: FileCounts,
    /// Pointers of the revisions that cannot be read; what they stand for is not compared.
    pub broken: Vec<BrokenPointer>,
}

/// The outputs of a state.
struct Side<'a> {
    repository: &'a Repository,
    source: &'a Source,
    outputs: BTreeMap<RepoPath, Output>,
    broken: Vec<PointerError>,
}

/// An output in a state; the snapshot holds trees that are not stored.
type Seen = (Option<Node>, Option<Snapshot>);

impl<'a> Side<'a> {
    fn new(repository: &'a Repository, source: &'a Source) -> Result<Self> {
        // What git shows of transparent files is left to `git diff`.
        let (outputs, broken) = match source {
            Source::Workspace => (repository.outputs()?.beside().sound()?, Vec::new()),
            Source::Revision(revision) => {
                let found = repository.outputs_at(Some(revision))?.beside();
                (found.outputs, found.broken)
            }
        };
        Ok(Self {
            repository,
            source,
            outputs: outputs
                .into_iter()
                .map(|output| (output.path.clone(), output))
                .collect(),
            broken,
        })
    }

    fn see(&self, path: &RepoPath) -> Result<Seen> {
        let Some(output) = self.outputs.get(path) else {
            return Ok((None, None));
        };
        let pointed = pointer_node(output);
        if matches!(self.source, Source::Revision(_)) {
            return Ok((Some(pointed), None));
        }
        let observed = self.repository.observe_output(output)?;
        if observed.scan.kind.is_none() && (observed.last.is_none() || observed.scopes.paths().is_empty()) {
            return Ok((Some(pointed), None));
        }
        match self.repository.identify(observed, None) {
            Ok(snapshot) => Ok((snapshot.node.clone(), Some(snapshot))),
            Err(RepoError::Workspace(WorkspaceError::Object(error))) if error.is_missing() => {
                Err(RepoError::ListingNotHere {
                    path: path.clone(),
                    rev: None,
                })
            }
            Err(error) => Err(error),
        }
    }
}

impl Repository {
    /// What is different from one state to another, of the outputs that the user means.
    ///
    /// # Errors
    /// When a revision or pointer cannot be read, or the workspace cannot be.
    pub fn diff(&self, from: Source, to: Source, inputs: &[PathBuf]) -> Result<DiffOutcome> {
        let (mut before, mut after) = (Side::new(self, &from)?, Side::new(self, &to)?);
        let mut unreadable = std::mem::take(&mut before.broken);
        unreadable.append(&mut after.broken);
        unreadable.sort_by(|a, b| a.path.cmp(&b.path));
        unreadable.dedup_by(|a, b| a.path == b.path);
        for error in &unreadable {
            // What a lock file names that cannot be read on the other side is not compared either.
            let is_of = |output: &Output| output.stage().is_some_and(|of| of.lock == error.path);
            for side in [&mut before, &mut after] {
                match git::output_path(&error.path) {
                    Some(path) => drop(side.outputs.remove(&path)),
                    None => side.outputs.retain(|_, output| !is_of(output)),
                }
            }
        }
        let both: BTreeMap<&RepoPath, &Output> = before.outputs.iter().chain(&after.outputs).collect();
        let both: Vec<Output> = both.into_values().cloned().collect();
        let targets = match (self.select(&both, inputs), &to) {
            (Err(RepoError::NotTracked { path, .. }), Source::Revision(rev)) => {
                let found = Outputs {
                    broken: unreadable,
                    ..Outputs::default()
                };
                found.readable(&path)?;
                return Err(RepoError::NotInRevision { path, rev: rev.clone() });
            }
            (targets, _) => targets?,
        };
        let typed = inputs
            .iter()
            .map(|input| self.path_of(input))
            .collect::<Result<Vec<_>>>()?;
        unreadable.retain(|error| typed.is_empty() || typed.iter().any(|path| error.path.starts_with(path)));
        let outputs: Vec<Option<OutputDiff>> = targets
            .par_iter()
            .map(|target| self.diff_target(target, &before, &after))
            .collect::<Result<_>>()?;
        let mut outputs: Vec<OutputDiff> = outputs.into_iter().flatten().collect();
        moved::pair_outputs(&mut outputs);
        moved::pair_files(&mut outputs);
        let mut counts = FileCounts::default();
        for output in &outputs {
            counts.add(&output.counts.unwrap_or_default());
        }
        drop((before, after));
        Ok(DiffOutcome {
            from,
            to,
            outputs,
            counts,
            broken: unreadable.iter().map(BrokenPointer::from).collect(),
        })
    }

    fn diff_target(&self, target: &Target, before: &Side<'_>, after: &Side<'_>) -> Result<Option<OutputDiff>> {
        let path = &target.output.path;
        let ((old, old_trees), (new, new_trees)) = (before.see(path)?, after.see(path)?);
        let change = match (&old, &new) {
            _ if old == new => return Ok(None),
            (None, _) => Changed::Added,
            (_, None) => Changed::Deleted,
            (Some(Node::Dir { .. }), Some(Node::File { .. })) | (Some(Node::File { .. }), Some(Node::Dir { .. })) => {
                Changed::TypeChanged
            }
            _ => Changed::Modified,
        };
        let files = match (&old_trees, &new_trees) {
            (Some(old_trees), Some(new_trees)) => {
                workspace::changes(&new_trees.over(&old_trees.over(self)), old.as_ref(), new.as_ref())
            }
            (Some(trees), None) | (None, Some(trees)) => {
                workspace::changes(&trees.over(self), old.as_ref(), new.as_ref())
            }
            (None, None) => workspace::changes(self, old.as_ref(), new.as_ref()),
        };
        let files = match known(files)? {
            None => None,
            Some(files) => {
                let files = within(files, &target.parts);
                if files.is_empty() {
                    return Ok(None);
                }
                Some(files.iter().map(|file| FileDiff::new(path, file)).collect::<Vec<_>>())
            }
        };
        Ok(Some(OutputDiff {
            path: path.clone(),
            change,
            from: None,
            before: old.as_ref().map(Content::from),
            after: new.as_ref().map(Content::from),
            counts: files.as_ref().map(FileCounts::of),
            files,
        }))
    }
}

/// The changes, or `None` when a listing is not in the cache.
pub(super) fn known(changes: workspace::Result<Vec<FileChange>>) -> Result<Option<Vec<FileChange>>> {
    match changes {
        Ok(changes) => Ok(Some(changes)),
        Err(WorkspaceError::Object(error)) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Those in these parts; no parts mean all.
pub(super) fn within(mut changes: Vec<FileChange>, parts: &[RepoPath]) -> Vec<FileChange> {
    // A directory that moved as a whole stands for what is in it.
    let inside = |path: &RepoPath| {
        parts
            .iter()
            .any(|part| path.starts_with(part) || part.starts_with(path))
    };
    if !parts.is_empty() {
        changes.retain(|change| {
            inside(&change.path) || matches!(&change.kind, ChangeKind::Renamed { from } if inside(from))
        });
    }
    changes
}
