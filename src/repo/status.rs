//! `status`: what differs between the workspace and the pointers.
//!
//! An output that is as it was recorded costs one `lstat` per file; the cache is opened only for what differs, for
//! what is partly present, and when every file is asked about. What had to be hashed is recorded, so that it need not
//! be hashed again.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::diff::{FileCounts, FileDiff, known, within};
use super::observe::{Observed, pointer_node};
use super::threeway::Since;
use super::{
    BrokenPointer, ConflictedOutput, Orphan, Output, OutputMode, RepoError, Repository, Result, SourceState, Target,
};
use crate::fs::FileKind;
use crate::git::{self, PointerContent};
use crate::object::{self, Node, Root, Visit};
use crate::path::RepoPath;
use crate::workspace::{self, Mode, Problem, Scopes, Snapshot, State, Within, WorkspaceError};

/// What to find out.
#[derive(Debug, Clone, Default)]
pub struct StatusRequest {
    /// What to look at; nothing means everything tracked.
    pub targets: Vec<PathBuf>,
    /// Whether to name each file that differs, and to look for each file in the cache.
    pub granular: bool,
    /// Whether to ask a remote: the one of this name, or the one each pointer belongs to.
    pub remote: Option<Option<String>>,
    /// Whether to ask the sources of imports.
    pub imports: bool,
}

/// How an output in the workspace compares with its pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputState {
    /// What is here is as the pointer says.
    Unchanged,
    /// Something was changed here.
    Modified,
    /// It is as it was brought here, but the pointer is another since.
    Outdated,
    /// Something was changed here, and the pointer is another since it was brought here.
    Diverged,
    /// It was here and is gone.
    Deleted,
    /// It was never brought here.
    Absent,
    /// It is a file where the pointer says directory, or the reverse, or neither of them.
    TypeChanged,
    /// Parts of it are here, and the listings that tell whether they are right are not in the cache.
    Unknown,
    /// It was brought here, and no pointer names it any more: a checkout removes it.
    Orphaned,
}

/// How much of a partly present output is here.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Present {
    /// Files and links here.
    pub files: u64,
    /// Files and links in the whole output.
    pub of: u64,
    /// The parts that were brought here, relative to the repository.
    pub parts: Vec<RepoPath>,
}

/// One output.
#[derive(Debug, serde::Serialize)]
pub struct OutputStatus {
    /// Where it is, relative to the repository.
    pub path: RepoPath,
    /// Whether it is a directory.
    pub dir: bool,
    /// Whether it is a transparent file: its pointer is in git, in its place.
    pub transparent: bool,
    /// The stage that made it; `null` when it was added or imported.
    pub stage: Option<String>,
    /// Bytes of all its files, as the pointer says; 0 when there is none.
    pub size: u64,
    /// How it compares.
    pub state: OutputState,
    /// How much is here; `null` when it is all of it, or nothing.
    pub present: Option<Present>,
    /// How many files differ; `null` when nothing does or the listing that tells is not in the cache.
    pub counts: Option<FileCounts>,
    /// The files that differ; `null` unless asked for and known.
    pub files: Option<Vec<FileDiff>>,
    /// Whether the cache can restore it; `null` when it was not asked. Unless every file is asked about, only the
    /// file itself or the directory's listing is looked for.
    pub in_cache: Option<bool>,
    /// Files whose content the cache does not have; `null` when it was not asked for each.
    pub missing_files: Option<u64>,
    /// Whether the remote has it; `null` when it was not asked.
    pub in_remote: Option<bool>,
    /// Whether the source that it was imported from has moved on; `null` when it was not asked or there is none.
    pub source: Option<SourceState>,
    /// Paths that were changed here and, in another way, in the pointer.
    pub clashes: Vec<RepoPath>,
    /// What is here and cannot be tracked.
    pub problems: Vec<String>,
}

impl OutputStatus {
    /// Whether something is not as it should be; that only parts are here is as it should be.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.state != OutputState::Unchanged
            || self.in_cache == Some(false)
            || self.in_remote == Some(false)
            || matches!(self.source, Some(SourceState::MovedOn | SourceState::Unknown(_)))
    }
}

/// What differs.
#[derive(Debug, serde::Serialize)]
pub struct StatusOutcome {
    /// Whether nothing does.
    pub clean: bool,
    /// The outputs, by path.
    pub outputs: Vec<OutputStatus>,
    /// Pointers that cannot be read.
    pub broken: Vec<BrokenPointer>,
    /// Of these, what is in conflict.
    pub conflicts: Vec<ConflictedOutput>,
    /// Pointers that git knows and that are gone.
    pub deleted_pointers: Vec<RepoPath>,
}

impl Repository {
    /// Compares the workspace with the pointers.
    ///
    /// # Errors
    /// When a target is not tracked, or the workspace, the cache or the remote cannot be read.
    pub fn status(&self, request: &StatusRequest) -> Result<StatusOutcome> {
        self.finish_move_of_others()?;
        let mut found = self.outputs()?;
        let mut orphans = self.orphans(&mut found)?.here;
        orphans = self.meant(orphans, &request.targets, |orphan| &orphan.path)?;
        let mut inputs = Vec::new();
        let (mut broken, mut deleted) = (Vec::new(), Vec::new());
        let everything = request.targets.is_empty();
        for input in &request.targets {
            let path = self.path_of(input)?;
            let means = |pointer: &RepoPath| super::outputs::is_about(pointer, &path);
            let before = broken.len() + deleted.len();
            broken.extend(found.broken.iter().filter(|error| means(&error.path)));
            deleted.extend(found.deleted.iter().filter(|pointer| means(pointer)).cloned());
            let others = found.outputs.iter().any(|output| output.path.starts_with(&path));
            let known = self.is_among(orphans.iter().map(|orphan| &orphan.path), &path);
            if others {
                inputs.push(input.clone());
            } else if !known && broken.len() + deleted.len() == before {
                // A lock file that cannot be read may be why it is not known.
                broken.extend(found.broken.iter().filter(|error| git::is_lock_path(&error.path)));
                if broken.len() == before {
                    inputs.push(input.clone());
                }
            }
        }
        if everything {
            broken.extend(&found.broken);
            deleted.clone_from(&found.deleted);
        }
        let targets = if everything || !inputs.is_empty() {
            self.select(&found.outputs, &inputs)?
        } else {
            Vec::new()
        };
        let look = Look::new(self, request.granular);
        let mut outputs: Vec<OutputStatus> = targets
            .par_iter()
            .map(|target| look.at(target))
            .collect::<Result<_>>()?;
        if let Some(name) = &request.remote {
            let every = targets.iter().map(|target| &target.output).enumerate();
            let every = every.filter(|(_, output)| output.is_pushed()).collect();
            for group in self.by_remote(name.as_deref(), every, |(_, output)| output)? {
                let remote = group.remote?;
                for (i, output) in group.items {
                    outputs[i].in_remote = Some(remote.has(&output.root().id())?);
                }
            }
        }
        if request.imports {
            for (status, target) in outputs.iter_mut().zip(&targets) {
                status.source = self.source_state(&target.output)?;
            }
        }
        outputs.extend(orphans.into_iter().map(orphaned));
        outputs.sort_by(|a, b| a.path.cmp(&b.path));
        broken.dedup_by(|a, b| a.path == b.path);
        deleted.dedup();
        let mut conflicts = Vec::new();
        for error in &broken {
            conflicts.extend(self.explain_conflict(error)?);
        }
        Ok(StatusOutcome {
            conflicts,
            clean: broken.is_empty() && deleted.is_empty() && !outputs.iter().any(OutputStatus::differs),
            outputs,
            broken: broken.into_iter().map(BrokenPointer::from).collect(),
            deleted_pointers: deleted,
        })
    }
}

/// What there is to say of data that no pointer names: nothing is read for it.
fn orphaned(orphan: Orphan) -> OutputStatus {
    OutputStatus {
        path: orphan.path,
        dir: orphan.kind == FileKind::Dir,
        transparent: false,
        stage: None,
        size: 0,
        state: OutputState::Orphaned,
        present: None,
        counts: None,
        files: None,
        in_cache: None,
        missing_files: None,
        in_remote: None,
        source: None,
        clashes: Vec::new(),
        problems: Vec::new(),
    }
}

/// Looks at outputs, several at once.
pub(super) struct Look<'a> {
    repository: &'a Repository,
    granular: bool,
    /// Held while a state is written: the workspace lock is one for all.
    writing: Mutex<()>,
}

/// An output that was hashed, compared with its pointer.
struct Compared {
    state: OutputState,
    present: Option<Present>,
    snapshot: Option<Snapshot>,
    clashes: Vec<RepoPath>,
}

impl<'a> Look<'a> {
    pub(super) fn new(repository: &'a Repository, granular: bool) -> Self {
        Self {
            repository,
            granular,
            writing: Mutex::new(()),
        }
    }
}

impl Look<'_> {
    pub(super) fn at(&self, target: &Target) -> Result<OutputStatus> {
        let output = &target.output;
        let repository = self.repository;
        if let OutputMode::InPlace(file) = &output.mode {
            return repository.transparent_status(output, file, self.granular);
        }
        let observed = repository.observe_output(output)?;
        let problems = observed.scan.problems.iter().map(Problem::to_string).collect();
        let Compared {
            state,
            present,
            snapshot,
            clashes,
        } = self.compare(target, observed)?;
        let mut status = OutputStatus {
            path: output.path.clone(),
            dir: matches!(output.root(), Root::Tree(_)),
            transparent: false,
            stage: output.stage().map(super::outputs::stage_target),
            size: output.pointer.size,
            state,
            present,
            counts: None,
            files: None,
            in_cache: None,
            missing_files: None,
            in_remote: None,
            source: None,
            clashes,
            problems,
        };
        if let Some(snapshot) = snapshot
            && matches!(
                status.state,
                OutputState::Modified | OutputState::Outdated | OutputState::Diverged
            )
        {
            self.count(target, &snapshot, &mut status)?;
        }
        if self.granular || status.state != OutputState::Unchanged {
            let cache = repository.cache()?;
            status.in_cache = Some(cache.contains(&output.root().as_file())?);
        }
        if self.granular {
            let missing = self.missing_files(target)?;
            status.missing_files = missing;
            status.in_cache = Some(missing == Some(0));
        }
        Ok(status)
    }

    fn compare(&self, target: &Target, observed: Observed) -> Result<Compared> {
        let output = &target.output;
        let verdict = |state| {
            Ok(Compared {
                state,
                present: None,
                snapshot: None,
                clashes: Vec::new(),
            })
        };
        let is_dir = match (&output.pointer.content, observed.scan.kind) {
            (_, None) if !observed.scan.problems.is_empty() => return verdict(OutputState::TypeChanged),
            (_, None) => {
                let was_here = observed.last.is_some() && reaches(&observed.scopes, &target.parts);
                return verdict(if was_here {
                    OutputState::Deleted
                } else {
                    OutputState::Absent
                });
            }
            (PointerContent::Dir { .. }, Some(FileKind::Dir)) => true,
            (PointerContent::File { .. }, Some(FileKind::File)) => false,
            _ => return verdict(OutputState::TypeChanged),
        };
        let pointed = pointer_node(output);
        let (last, scopes) = (observed.last, observed.scopes.clone());
        let here = observed.scan.totals().0;
        let partial = |target: &Target, snapshot: &Snapshot| {
            (is_dir && !scopes.is_whole() && snapshot.node.as_ref().map(Node::files) != Some(here)).then(|| Present {
                files: here,
                of: pointed.files(),
                parts: scopes
                    .paths()
                    .iter()
                    .map(|part| target.output.path.join_path(part))
                    .collect(),
            })
        };
        let snapshot = match self.identify(observed, &pointed) {
            Ok(snapshot) => snapshot,
            Err(RepoError::Workspace(WorkspaceError::Object(error))) if error.is_missing() => {
                return Ok(Compared {
                    state: OutputState::Unknown,
                    present: Some(Present {
                        files: here,
                        of: pointed.files(),
                        parts: scopes.paths().iter().map(|part| output.path.join_path(part)).collect(),
                    }),
                    snapshot: None,
                    clashes: Vec::new(),
                });
            }
            Err(error) => return Err(error),
        };
        self.remember(output, &snapshot, last, &scopes);
        let present = partial(target, &snapshot);
        let mut clashes = Vec::new();
        let state = if snapshot.node.as_ref() == Some(&pointed) {
            if present.is_some() && !target.parts.is_empty() && !reaches(&scopes, &target.parts) {
                OutputState::Absent
            } else {
                OutputState::Unchanged
            }
        } else if let Some(last) = last.filter(|last| *last != output.root()) {
            match self.repository.since(output, &snapshot, last, &scopes)? {
                Since::AsItWas => OutputState::Outdated,
                Since::Changed(None) => {
                    if matches!(output.root(), Root::File(_)) {
                        clashes.push(output.path.clone());
                    }
                    OutputState::Diverged
                }
                Since::Changed(Some(joined)) => {
                    let is_joined = joined.clashes.is_empty() && snapshot.node.as_ref() == Some(&joined.node);
                    let in_repository = |path: RepoPath| output.path.join_path(&path);
                    clashes = joined.clashes.into_iter().map(in_repository).collect();
                    if is_joined {
                        // All that is new in the pointer is here.
                        OutputState::Modified
                    } else {
                        OutputState::Diverged
                    }
                }
            }
        } else {
            OutputState::Modified
        };
        Ok(Compared {
            state,
            present,
            snapshot: Some(snapshot),
            clashes,
        })
    }

    /// Hashes what is not known.
    fn identify(&self, observed: Observed, pointed: &Node) -> Result<Snapshot> {
        if observed.last.is_some() {
            return self.repository.identify(observed, None);
        }
        // Nothing was brought here by modver. If all of it is here all the same, no listing need be read to see that.
        let (base, scopes) = (observed.base, observed.scopes);
        let progress = self.repository.progress();
        let whole = observed
            .scan
            .snapshot(Mode::HashOnly, None, &Scopes::whole(), self.repository, progress)?;
        if whole.node.as_ref() == Some(pointed) {
            return Ok(whole);
        }
        let read = whole.read;
        let mut snapshot = whole
            .scan
            .snapshot(Mode::HashOnly, base, &scopes, self.repository, progress)?;
        snapshot.read = read;
        Ok(snapshot)
    }

    /// Counts what differs, and names it if asked to.
    fn count(&self, target: &Target, snapshot: &Snapshot, status: &mut OutputStatus) -> Result<()> {
        let pointed = pointer_node(&target.output);
        let trees = snapshot.over(self.repository);
        let Some(changes) = known(workspace::changes(&trees, Some(&pointed), snapshot.node.as_ref()))? else {
            return Ok(());
        };
        let changes = within(changes, &target.parts);
        if changes.is_empty() {
            status.state = OutputState::Unchanged;
            return Ok(());
        }
        let path = &target.output.path;
        let files: Vec<FileDiff> = changes.iter().map(|change| FileDiff::new(path, change)).collect();
        status.counts = Some(FileCounts::of(&files));
        if self.granular {
            status.files = Some(files);
        }
        Ok(())
    }

    /// How many files the cache does not have; `None` when a listing is missing, too.
    fn missing_files(&self, target: &Target) -> Result<Option<u64>> {
        let cache = self.repository.cache()?;
        let mut missing = 0;
        let root = match target.output.root() {
            Root::File(id) => return Ok(Some(u64::from(!cache.contains(&id)?))),
            Root::Tree(id) => id,
        };
        let wanted = if target.parts.is_empty() {
            Scopes::whole()
        } else {
            Scopes::new(target.parts.clone())
        };
        let walked = object::walk(cache, root, |path, node| {
            self.repository.progress().check().map_err(RepoError::from)?;
            match (wanted.within(path), node) {
                (Within::Outside, _) => return Ok(Visit::Skip),
                (Within::Inside, Node::File { id, .. }) => missing += u64::from(!cache.contains(id)?),
                _ => {}
            }
            Ok::<_, RepoError>(Visit::Enter)
        });
        match walked {
            Ok(()) => Ok(Some(missing)),
            Err(RepoError::Object(error)) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Records what was hashed, unless somebody else is at work: it is only worth time.
    fn remember(&self, output: &Output, snapshot: &Snapshot, base: Option<Root>, scopes: &Scopes) {
        if snapshot.read.0 == 0 {
            return;
        }
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (Ok(file), Ok(Some(_lock))) = (
            self.repository.state_path(&output.path),
            self.repository.try_lock_workspace(),
        ) else {
            return;
        };
        // Whoever held the lock since the state was read may have brought something else here.
        let now = State::read(&file.path).filter(|state| state.base().is_some());
        let same = match &now {
            Some(state) => state.base() == base && state.scopes() == scopes,
            None => base.is_none(),
        };
        if same {
            let _ = snapshot.write_state(&file, base, scopes);
        }
    }
}

/// Whether any of these parts (none: the whole) is, or is above, something that is present.
fn reaches(scopes: &Scopes, parts: &[RepoPath]) -> bool {
    if parts.is_empty() {
        !scopes.paths().is_empty()
    } else {
        parts.iter().any(|part| scopes.within(part) != Within::Outside)
    }
}
