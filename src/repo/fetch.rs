//! `fetch`: what the pointers name, from the remotes into the cache.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::transfer::{Paths, paths_of};
use super::{BrokenPointer, Output, PathPatterns, RepoError, Repository, Result, Selected, Target};
use crate::causes::in_one_line;
use crate::git::Scope;
use crate::hash::FileId;
use crate::object::{self, Root};
use crate::path::RepoPath;
use crate::progress::Phase;
use crate::remote::{FetchPlan, RemoteError, RemoteStore, Wanted};

/// What to fetch.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Which versions.
    pub scope: Scope,
    /// What the user named; nothing means all outputs.
    pub targets: Vec<PathBuf>,
    /// The remote for all of them.
    pub remote: Option<String>,
    /// Only find out what would be fetched (listings of directories are fetched all the same).
    pub dry_run: bool,
    /// For a checkout of the same targets: of an output that is partly present in the workspace and was not named, only
    /// these parts (of other versions than the work tree's, all of it); of one that no pointer names any more, nothing.
    pub present_parts: bool,
    /// Only outputs whose paths fit.
    pub patterns: PathPatterns,
}

/// What was fetched.
#[derive(Debug, serde::Serialize)]
pub struct FetchOutcome {
    /// Whether nothing was fetched because only the plan was asked for.
    pub dry_run: bool,
    /// What came from each remote.
    pub remotes: Vec<FetchedFrom>,
    /// What became of each version of each output.
    pub outputs: Vec<FetchedOutput>,
    /// Pointers that cannot be read: what they stand for was not fetched.
    pub broken: Vec<BrokenPointer>,
}

/// What came from a remote.
#[derive(Debug, serde::Serialize)]
pub struct FetchedFrom {
    /// The remote's name.
    pub remote: String,
    /// Its address; `null` if its settings cannot be used.
    pub url: Option<String>,
    /// Files that were not complete in the cache and are now.
    pub files: u64,
    /// Bytes of packs.
    pub bytes: u64,
    /// Why nothing could be fetched, if so.
    pub error: Option<String>,
}

/// What became of an output.
#[derive(Debug, serde::Serialize)]
pub struct FetchedOutput {
    /// The output.
    pub path: RepoPath,
    /// One commit that has this version of it; `null` for what the work tree has.
    pub commit: Option<String>,
    /// The parts that were asked for; all of it if there are none.
    pub parts: Vec<RepoPath>,
    /// The name of the remote that was asked, or that had what others could not give.
    pub remote: String,
    /// The remote that was asked first, if another one had what it could not give.
    pub instead_of: Option<FetchedInstead>,
    /// What became of it.
    pub state: FetchState,
    /// What could not be had.
    pub missing: Paths,
    /// Why, for the first of them.
    pub reason: Option<String>,
}

/// A remote that could not give all of an output.
#[derive(Debug, serde::Serialize)]
pub struct FetchedInstead {
    /// Its name.
    pub remote: String,
    /// What would have become of the output.
    pub state: FetchState,
    /// Why.
    pub reason: String,
}

/// What became of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FetchState {
    /// It is in the cache (or, in a dry run, could be).
    Complete,
    /// The remote does not have it.
    Absent,
    /// Some of it is missing on the remote.
    Incomplete,
    /// Some of it is damaged on the remote.
    Damaged,
    /// The remote could not be used.
    Failed,
}

impl Repository {
    /// Brings what the outputs need and the cache does not have from their remotes, and what those cannot give from the
    /// others, unless a remote was named. In a dry run, what two remotes could give of an output that neither can give
    /// alone is counted for both.
    ///
    /// # Errors
    /// When no remote can be used; when one of several cannot, its outputs are [`FetchState::Failed`].
    pub fn fetch(&self, options: &FetchOptions) -> Result<FetchOutcome> {
        self.progress.start(Phase::Scanning, 0, 0);
        let wanted = options.patterns.matcher()?;
        let mut found = self.outputs_in(&options.scope)?;
        let mut orphans = Vec::new();
        if options.present_parts {
            orphans.extend(self.orphans(&mut found)?.here.into_iter().map(|orphan| orphan.path));
        }
        let Selected { mut targets, broken } = self.targets_in(&options.scope, found, &options.targets, &orphans)?;
        // What is not pushed is only looked for where somebody asks for it.
        targets.retain(|target| wanted.has(&target.output.path) && (target.named || target.output.is_pushed()));
        if options.present_parts {
            let here = targets.iter_mut().filter(|target| target.commit.is_none());
            for target in here.filter(|target| !target.named) {
                if let Some(present) = self.present_parts(&target.output.path)?
                    && !present.is_whole()
                {
                    target.parts = present.paths().to_vec();
                }
            }
        }
        let mut outcome = FetchOutcome {
            broken,
            ..FetchOutcome::empty(options.dry_run)
        };
        let imports = self.imports_without_remote(options.remote.as_deref(), &mut targets)?;
        let others = targets.clone();
        let groups = self.by_remote(options.remote.as_deref(), targets, |target| &target.output)?;
        let asked = self.with_remotes(
            groups,
            &mut outcome,
            |remote, targets, outcome| self.fetch_from(remote, targets, options.dry_run, outcome),
            |(name, url), targets, error, outcome| {
                outcome.outputs.extend(targets.into_iter().map(|target| FetchedOutput {
                    path: target.output.path,
                    commit: target.commit,
                    parts: target.parts,
                    remote: name.to_owned(),
                    instead_of: None,
                    state: FetchState::Failed,
                    missing: Paths::default(),
                    reason: None,
                }));
                outcome.remotes.push(FetchedFrom {
                    error: Some(error),
                    ..FetchedFrom::none(name, url)
                });
            },
        );
        // Whatever failed with single remotes is in the outcome; other errors are not.
        let is_told = !outcome.outputs.is_empty() && !matches!(asked, Err(RepoError::NoEntry { .. }));
        let failed = match asked {
            Err(error) if is_told => Some(error),
            asked => asked.map(|()| None)?,
        };
        // An explicit remote means that one.
        if options.remote.is_none() {
            self.fall_back(&others, options.dry_run, &mut outcome)?;
        }
        self.fetch_from_sources(imports, &others, &mut outcome)?;
        if let Some(error) = failed
            && outcome.outputs.iter().all(|output| output.state == FetchState::Failed)
        {
            return Err(error);
        }
        outcome.outputs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(outcome)
    }

    pub(super) fn fetch_from(
        &self,
        remote: &Arc<RemoteStore>,
        targets: &[Target],
        dry_run: bool,
        outcome: &mut FetchOutcome,
    ) -> Result<()> {
        let cache = self.cache()?;
        let plan = self.plan_fetch(remote, targets)?;
        self.check_parts(targets)?;
        let mut troubles = Troubles::of(&plan);
        let mut fetched = FetchedFrom {
            files: plan.files,
            bytes: plan.bytes,
            ..FetchedFrom::none(remote.name(), Some(remote.describe().to_owned()))
        };
        if !dry_run {
            let done = plan.execute(remote, cache)?;
            (fetched.files, fetched.bytes) = (done.files, done.bytes);
            troubles.failed.extend(done.failed);
        }
        outcome.remotes.push(fetched);
        let files = troubles.files();
        for target in targets {
            let missing = paths_of(cache, &target.output, &target.parts, &files)?;
            let (state, reason) = troubles.judge(&target.output.root(), &missing, remote);
            outcome.outputs.push(FetchedOutput {
                path: target.output.path.clone(),
                commit: target.commit.clone(),
                parts: target.parts.clone(),
                remote: remote.name().to_owned(),
                instead_of: None,
                state,
                missing,
                reason,
            });
        }
        Ok(())
    }

    /// Finds what is missing. What the remote does not know by name may be the result of a merge: then the versions that
    /// were merged tell where its files are.
    pub(super) fn plan_fetch(&self, remote: &RemoteStore, targets: &[Target]) -> Result<FetchPlan> {
        let cache = self.cache()?;
        let mut wanted: Vec<Wanted> = targets
            .iter()
            .map(|target| Wanted {
                root: target.output.root(),
                parts: target.parts.clone(),
                lineage: Vec::new(),
            })
            .collect();
        let plan = remote.plan_fetch(cache, &wanted)?;
        let absent: HashSet<Root> = plan.absent.iter().copied().collect();
        let outputs: Vec<&Output> = targets
            .iter()
            .map(|target| &target.output)
            .filter(|output| absent.contains(&output.root()))
            .collect();
        let history: HashMap<Root, Vec<Root>> = self
            .with_lineage(&outputs)?
            .into_iter()
            .map(|known| (known.root, known.lineage))
            .collect();
        if history.values().all(Vec::is_empty) {
            return Ok(plan);
        }
        for wanted in &mut wanted {
            wanted.lineage = history.get(&wanted.root).cloned().unwrap_or_default();
        }
        Ok(remote.plan_fetch(cache, &wanted)?)
    }

    /// What the user named inside an output must be in one of its versions, as far as that can be told.
    fn check_parts(&self, targets: &[Target]) -> Result<()> {
        let mut absent: BTreeMap<(&RepoPath, &RepoPath), bool> = BTreeMap::new();
        for target in targets.iter().filter(|target| target.named) {
            for part in &target.parts {
                let exists = match target.output.root() {
                    Root::File(_) => false,
                    Root::Tree(id) => match object::find(self.cache()?, id, part) {
                        Ok(node) => node.is_some(),
                        Err(error) if error.is_missing() => true,
                        Err(error) => return Err(error.into()),
                    },
                };
                *absent.entry((&target.output.path, part)).or_insert(true) &= !exists;
            }
        }
        match absent.into_iter().find(|(_, absent)| *absent) {
            None => Ok(()),
            Some(((output, part), _)) => Err(RepoError::NoEntry {
                path: part.clone(),
                output: output.clone(),
            }),
        }
    }
}

impl FetchOutcome {
    pub(super) fn empty(dry_run: bool) -> Self {
        Self {
            dry_run,
            remotes: Vec::new(),
            outputs: Vec::new(),
            broken: Vec::new(),
        }
    }
}

impl FetchedFrom {
    pub(super) fn none(remote: &str, url: Option<String>) -> Self {
        Self {
            remote: remote.to_owned(),
            url,
            files: 0,
            bytes: 0,
            error: None,
        }
    }
}

/// What a fetch could not have, by file and by root.
struct Troubles {
    absent: HashSet<Root>,
    broken: BTreeMap<Root, Arc<RemoteError>>,
    lost: HashSet<FileId>,
    failed: HashMap<FileId, Arc<RemoteError>>,
}

impl Troubles {
    fn of(plan: &FetchPlan) -> Self {
        Self {
            absent: plan.absent.iter().copied().collect(),
            broken: plan.broken.iter().cloned().collect(),
            lost: plan.lost.iter().copied().collect(),
            failed: plan.failed.iter().cloned().collect(),
        }
    }

    fn files(&self) -> HashSet<FileId> {
        self.lost.iter().chain(self.failed.keys()).copied().collect()
    }

    fn judge(&self, root: &Root, missing: &Paths, remote: &RemoteStore) -> (FetchState, Option<String>) {
        if missing.count == 0 {
            return (FetchState::Complete, None);
        }
        if self.absent.contains(root) {
            return (
                FetchState::Absent,
                Some(format!("remote `{}` does not have it", remote.name())),
            );
        }
        if let Some(error) = self.broken.get(root) {
            let state = if error.is_damage() {
                FetchState::Damaged
            } else {
                FetchState::Incomplete
            };
            return (state, Some(in_one_line(&**error)));
        }
        let own = || missing.ids.iter().filter_map(|id| self.failed.get(id));
        match own().find(|error| error.is_damage()).or(own().next()) {
            Some(error) if error.is_damage() => (FetchState::Damaged, Some(in_one_line(&**error))),
            Some(error) => (FetchState::Incomplete, Some(in_one_line(&**error))),
            None => (
                FetchState::Incomplete,
                Some(format!("no shard on remote `{}` describes it", remote.name())),
            ),
        }
    }
}
