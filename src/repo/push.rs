//! `push`: what the pointers name, from the cache to the remotes.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::outputs::pointer_root;
use super::transfer::{Group, Paths, in_one_line, paths_of};
use super::versions::Orphaned;
use super::{BrokenPointer, BrokenVersion, Output, Repository, Result, Target};
use crate::git::Scope;
use crate::object::Root;
use crate::path::RepoPath;
use crate::progress::Phase;
use crate::remote::{PushPlan, PushRoot, RemoteStore};

/// How many earlier versions of an output are looked at for what the remote has already.
const LINEAGE: usize = 20;

/// What to push.
#[derive(Debug, Clone)]
pub struct PushOptions {
    /// Which versions.
    pub scope: Scope,
    /// What the user named; nothing means all outputs. An output is pushed whole, also if a part was named.
    pub targets: Vec<PathBuf>,
    /// The remote for all of them.
    pub remote: Option<String>,
    /// Only find out what would be sent.
    pub dry_run: bool,
    /// Whether imports are left out: their sources have them.
    pub no_imports: bool,
}

/// What was pushed.
#[derive(Debug, serde::Serialize)]
pub struct PushOutcome {
    /// Whether nothing was sent because only the plan was asked for.
    pub dry_run: bool,
    /// What each remote was sent.
    pub remotes: Vec<PushedTo>,
    /// What became of each version of each output.
    pub outputs: Vec<PushedOutput>,
    /// Pointers that cannot be read: what they stand for was not pushed.
    pub broken: Vec<BrokenPointer>,
    /// Pointers in history that cannot be read.
    pub broken_versions: Vec<BrokenVersion>,
}

/// What a remote was sent.
#[derive(Debug, serde::Serialize)]
pub struct PushedTo {
    /// The remote's name.
    pub remote: String,
    /// Its address; `null` if its settings cannot be used.
    pub url: Option<String>,
    /// Versions of outputs that it did not have.
    pub outputs: u64,
    /// Files of which something was sent.
    pub files: u64,
    /// Chunks sent.
    pub chunks: u64,
    /// Bytes of packs sent.
    pub bytes: u64,
    /// Packs sent; not known before.
    pub packs: Option<u64>,
    /// Why nothing could be sent, if so.
    pub error: Option<String>,
}

/// What became of an output.
#[derive(Debug, serde::Serialize)]
pub struct PushedOutput {
    /// The output.
    pub path: RepoPath,
    /// One commit that has this version of it; `null` for what the work tree has.
    pub commit: Option<String>,
    /// The remote's name.
    pub remote: String,
    /// What became of it.
    pub state: PushState,
    /// What is neither in the cache nor known to be on the remote, if the output is incomplete: the first of it.
    pub missing: Paths,
}

/// What became of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PushState {
    /// The remote has it now (or, in a dry run, would).
    Pushed,
    /// The remote had it.
    UpToDate,
    /// Some of it is not here.
    Incomplete,
    /// The remote could not be used.
    Failed,
}

impl Repository {
    /// Sends what the outputs need and their remotes do not have.
    ///
    /// # Errors
    /// When no remote can be used; when one of several cannot, its outputs are [`PushState::Failed`].
    pub fn push(&self, options: &PushOptions) -> Result<PushOutcome> {
        self.progress.start(Phase::Scanning, 0, 0);
        let mut chosen = self.targets_in(&options.scope, &options.targets, Orphaned::Unknown)?;
        if options.no_imports {
            chosen.targets.retain(|target| target.output.pointer.import.is_none());
        }
        let mut outcome = PushOutcome {
            dry_run: options.dry_run,
            remotes: Vec::new(),
            outputs: Vec::new(),
            broken: chosen.broken,
            broken_versions: chosen.broken_versions,
        };
        let groups = self.by_remote(options.remote.as_deref(), chosen.targets, |target| &target.output)?;
        let mut failed = Vec::new();
        let count = groups.len();
        for Group { name, remote, items } in groups {
            let url = remote.as_ref().ok().map(|remote| remote.describe().to_owned());
            match remote.and_then(|remote| self.push_to(&remote, &items, options.dry_run, &mut outcome)) {
                Ok(()) => {}
                Err(error) => {
                    self.progress.check()?;
                    outcome.remotes.push(PushedTo {
                        error: Some(in_one_line(&error)),
                        ..PushedTo::none(&name, url)
                    });
                    outcome.outputs.extend(items.into_iter().map(|target| PushedOutput {
                        path: target.output.path,
                        commit: target.commit,
                        remote: name.clone(),
                        state: PushState::Failed,
                        missing: Paths::default(),
                    }));
                    failed.push(error);
                }
            }
        }
        if failed.len() == count
            && let Some(error) = failed.into_iter().next()
        {
            return Err(error);
        }
        outcome.outputs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(outcome)
    }

    fn push_to(
        &self,
        remote: &Arc<RemoteStore>,
        targets: &[Target],
        dry_run: bool,
        outcome: &mut PushOutcome,
    ) -> Result<()> {
        let mut new = Vec::new();
        for target in targets {
            if !remote.has(&target.output.root().id())? {
                new.push(&target.output);
            }
        }
        let mut sent = PushedTo::none(remote.name(), Some(remote.describe().to_owned()));
        let mut incomplete = HashMap::new();
        let mut pushed = HashSet::new();
        if !new.is_empty() {
            let plan = remote.plan_push(self.cache()?, &self.with_lineage(&new)?)?;
            incomplete.extend(plan.incomplete.iter().map(|one| (one.root, one.missing)));
            (sent.files, sent.chunks, sent.bytes) = (plan.files, plan.chunks, plan.bytes);
            pushed = self.carry_out(plan, remote, dry_run, &mut sent)?;
        }
        for Target { output, commit, .. } in targets {
            let root = output.root();
            let missing = match incomplete.get(&root) {
                Some(missing) => paths_of(self.cache()?, output, &[], &HashSet::from([*missing]))?,
                None => Paths::default(),
            };
            let state = if incomplete.contains_key(&root) {
                PushState::Incomplete
            } else if pushed.contains(&root) {
                sent.outputs += 1;
                PushState::Pushed
            } else {
                PushState::UpToDate
            };
            outcome.outputs.push(PushedOutput {
                path: output.path.clone(),
                commit: commit.clone(),
                remote: remote.name().to_owned(),
                state,
                missing,
            });
        }
        outcome.remotes.push(sent);
        Ok(())
    }

    fn carry_out(
        &self,
        plan: PushPlan,
        remote: &Arc<RemoteStore>,
        dry_run: bool,
        sent: &mut PushedTo,
    ) -> Result<HashSet<Root>> {
        let roots = plan.new_roots().collect();
        if !dry_run {
            let done = plan.execute(remote, self.cache()?)?;
            (sent.files, sent.chunks, sent.bytes) = (done.files, done.chunks, done.bytes);
            sent.packs = Some(done.packs);
        }
        Ok(roots)
    }

    /// The outputs' roots and those of their versions in history.
    fn with_lineage(&self, outputs: &[&Output]) -> Result<Vec<PushRoot>> {
        let paths = outputs
            .iter()
            .map(|output| output.pointer_path())
            .collect::<Result<Vec<_>>>()?;
        let mut distinct = paths.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let history = self.git.lineage(&distinct, LINEAGE)?;
        let lineage = |path| history.get(path).into_iter().flatten().map(pointer_root).collect();
        Ok(outputs
            .iter()
            .zip(paths.iter().map(lineage))
            .map(|(output, lineage)| PushRoot {
                root: output.root(),
                lineage,
            })
            .collect())
    }
}

impl PushedTo {
    fn none(remote: &str, url: Option<String>) -> Self {
        Self {
            remote: remote.to_owned(),
            url,
            outputs: 0,
            files: 0,
            chunks: 0,
            bytes: 0,
            packs: None,
            error: None,
        }
    }
}
