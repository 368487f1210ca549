//! The stages of a work tree together with what is in it: whether a stage is up to date, and why not.
//!
//! Everything is looked at once per session, and again where a stage wrote since.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::definition::{Pipelines, WorkTreeFiles, nearest_path};
use super::error::{PipelineError, Result};
use super::graph::Graph;
use super::inputs::{Inputs, MissingInput, locked_dep, node_of};
use super::reason::{Difference, StaleReason, input_reasons, out_reasons};
use super::values::{lookup, read_values};
use super::{Stage, StageId};
use crate::config::nearest;
use crate::git::{Lock, LockedStage};
use crate::object::Node;
use crate::path::{Name, RepoPath};
use crate::repo::{Contents, LOCK_FILE, Outputs, Repository};

/// Stages and the work tree that they are in.
pub struct Session<'a> {
    pub(super) repository: &'a Repository,
    pub(super) pipelines: Pipelines,
    pub(super) graph: Graph,
    pub(super) contents: Contents<'a>,
    pub(super) outputs: Outputs,
    values: Mutex<HashMap<RepoPath, Arc<Option<Value>>>>,
    locks: Mutex<HashMap<RepoPath, Arc<Lock>>>,
    environment: BTreeMap<String, String>,
    /// Which stage makes what, by the path of the output.
    pub(super) makers: HashMap<RepoPath, usize>,
}

/// How inputs that are not in the workspace are dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Absent {
    /// They are an error.
    #[default]
    Refuse,
    /// They are what pointers and lock files say.
    Allow,
}

/// A stage compared with its last run.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// What it depends on now.
    pub inputs: Inputs,
    /// Its last run.
    pub locked: Option<LockedStage>,
    /// How definition and inputs differ.
    pub input_reasons: Vec<StaleReason>,
    /// How outputs differ.
    pub out_reasons: Vec<StaleReason>,
    /// What its outputs are now.
    pub outs: BTreeMap<RepoPath, Option<Node>>,
}

impl Judgement {
    /// All reasons why it is out of date; empty: it is not.
    #[must_use]
    pub fn reasons(&self) -> Vec<StaleReason> {
        self.input_reasons.iter().chain(&self.out_reasons).cloned().collect()
    }

    /// Whether nothing but missing outputs keeps it from being up to date.
    #[must_use]
    pub fn only_lacks_outs(&self) -> bool {
        let missing = |reason: &StaleReason| {
            matches!(
                reason,
                StaleReason::Out {
                    change: Difference::Missing,
                    ..
                }
            )
        };
        self.input_reasons.is_empty() && self.out_reasons.iter().all(missing)
    }
}

impl<'a> Session<'a> {
    /// Reads the definitions of the work tree. `environment` has the variables of the process.
    ///
    /// # Errors
    /// When a definition cannot be read, or pointers or lock files cannot.
    pub fn open(repository: &'a Repository, environment: BTreeMap<String, String>) -> Result<Self> {
        let outputs = repository.outputs()?;
        let files = WorkTreeFiles::new(repository);
        let pipelines = Pipelines::load(&files)?;
        let graph = Graph::new(pipelines.stages())?;
        let makers = pipelines.stages().iter().enumerate();
        let makers = makers.flat_map(|(at, stage)| stage.outs.iter().map(move |out| (out.path.clone(), at)));
        Ok(Self {
            repository,
            contents: repository.contents(&outputs),
            makers: makers.collect(),
            graph,
            pipelines,
            outputs,
            values: Mutex::default(),
            locks: Mutex::default(),
            environment,
        })
    }

    /// The stages.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        self.pipelines.stages()
    }

    /// How they depend on each other.
    #[must_use]
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Their definitions.
    #[must_use]
    pub const fn pipelines(&self) -> &Pipelines {
        &self.pipelines
    }

    /// Where the user stands, in the repository.
    ///
    /// # Errors
    /// When that is outside.
    pub fn cwd(&self) -> Result<RepoPath> {
        Ok(self.repository.path_of(std::path::Path::new("."))?)
    }

    /// Compares a stage with its last run.
    ///
    /// # Errors
    /// When something cannot be read, or an input is nowhere.
    pub fn judge(&self, stage: &Stage, absent: Absent) -> Result<Judgement> {
        let inputs = self.inputs(stage, absent)?;
        let locked = self.locked(&stage.id)?;
        let input_reasons = input_reasons(stage, &inputs, locked.as_ref());
        let mut outs = BTreeMap::new();
        for out in &stage.outs {
            outs.insert(out.path.clone(), self.contents.node(&out.path)?);
        }
        let mut out_reasons = locked
            .as_ref()
            .map_or_else(Vec::new, |locked| out_reasons(stage, locked, &outs));
        if absent == Absent::Allow {
            out_reasons.retain(|reason| {
                !matches!(
                    reason,
                    StaleReason::Out {
                        change: Difference::Missing,
                        ..
                    }
                )
            });
        }
        Ok(Judgement {
            inputs,
            locked,
            input_reasons,
            out_reasons,
            outs,
        })
    }

    /// What a stage depends on now.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn inputs(&self, stage: &Stage, absent: Absent) -> Result<Inputs> {
        let mut inputs = Inputs::default();
        for path in &stage.deps {
            let node = match self.contents.node(path)? {
                None if absent == Absent::Allow => self.promised(path)?,
                node => node,
            };
            inputs.deps.insert(path.clone(), node.as_ref().and_then(locked_dep));
        }
        for params in &stage.params {
            let values = self.values(&params.file)?;
            let found = inputs.params.entry(params.file.clone()).or_default();
            let whole = [String::new()];
            let keys = if params.keys.is_empty() {
                &whole[..]
            } else {
                &params.keys
            };
            for key in keys {
                let value = values.as_ref().as_ref().and_then(|values| lookup(values, key));
                found.insert(key.clone(), value.cloned());
            }
        }
        for name in &stage.env {
            inputs.env.insert(name.clone(), self.environment.get(name).cloned());
        }
        Ok(inputs)
    }

    /// What an absent path was recorded to be: by a pointer, or by the lock of the stage that makes it.
    fn promised(&self, path: &RepoPath) -> Result<Option<Node>> {
        if let Some(node) = self.contents.promised(path) {
            return Ok(Some(node));
        }
        let Some(maker) = self.makers.get(path) else {
            return Ok(None);
        };
        let locked = self.locked(&self.stages()[*maker].id)?;
        let out = locked.and_then(|locked| locked.outs.get(path).cloned());
        Ok(out.map(|out| node_of(out.content, out.size)))
    }

    /// Says that an input that `missing` names is nowhere.
    pub(super) fn missing(&self, stage: &Stage, missing: MissingInput) -> PipelineError {
        let id = stage.id.clone();
        match missing {
            MissingInput::Dep(path) => {
                let is_known = self.makers.contains_key(&path)
                    || self.outputs.around(&path).is_some()
                    || self.contents.promised(&path).is_some();
                if is_known {
                    return PipelineError::AbsentDep { stage: id, path };
                }
                let nearest = self.nearest_to(&path);
                PipelineError::MissingDep {
                    stage: id,
                    path,
                    nearest,
                }
            }
            MissingInput::Param { file, key } => {
                let values = self.values(&file).ok();
                let known = values.as_ref().and_then(|values| values.as_ref().as_ref());
                let keys: Vec<String> = known
                    .map(|values| super::values::flatten(values).into_iter().map(|(key, _)| key).collect())
                    .unwrap_or_default();
                PipelineError::MissingParam {
                    stage: id,
                    nearest: nearest(&key, keys.iter().map(String::as_str)).map(str::to_owned),
                    file,
                    key,
                }
            }
        }
    }

    fn nearest_to(&self, path: &RepoPath) -> Option<String> {
        let mut known: Vec<RepoPath> = self.makers.keys().cloned().collect();
        known.extend(self.outputs.outputs.iter().map(|output| output.path.clone()));
        let dir = path.parent().unwrap_or_default();
        let listed = crate::fs::list(&dir.on_disk(self.repository.root())).unwrap_or_default();
        known.extend(listed.iter().filter_map(|name| {
            use std::os::unix::ffi::OsStrExt as _;
            Some(dir.join(&Name::new(name.as_bytes()).ok()?))
        }));
        nearest_path(path, &known).map(|path| path.to_string())
    }

    fn values(&self, file: &RepoPath) -> Result<Arc<Option<Value>>> {
        let mut known = lock(&self.values);
        if let Some(values) = known.get(file) {
            return Ok(Arc::clone(values));
        }
        let values = Arc::new(read_values(self.repository.root(), file)?);
        known.insert(file.clone(), Arc::clone(&values));
        Ok(values)
    }

    /// What the lock file says of the last run of a stage.
    ///
    /// # Errors
    /// When the lock file cannot be read.
    pub fn locked(&self, stage: &StageId) -> Result<Option<LockedStage>> {
        self.with_lock(&lock_file(stage), |lock| lock.stages.get(&stage.name).cloned())
    }

    /// Looks into a lock file.
    pub(super) fn with_lock<T>(&self, file: &RepoPath, look: impl FnOnce(&Lock) -> T) -> Result<T> {
        let known = lock(&self.locks).get(file).cloned();
        let found = match known {
            Some(found) => found,
            None => {
                let read = self.repository.read_lock(file)?;
                lock(&self.locks).insert(file.clone(), Arc::clone(&read));
                read
            }
        };
        Ok(look(&found))
    }

    /// Whether all outputs are here as the lock file says.
    pub(super) fn is_made_by_last_run(&self, stage: &Stage) -> Result<bool> {
        let Some(locked) = self.locked(&stage.id)? else {
            return Ok(false);
        };
        for out in &stage.outs {
            // What cannot be looked at was not made by a run that counts.
            let there = self.contents.node(&out.path).ok().flatten();
            let made = locked.outs.get(&out.path).map(|out| out.content);
            if made.is_none() || there.as_ref().and_then(super::inputs::pointer_content) != made {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// After a stage ran or was restored.
    pub(super) fn wrote(&self, stage: &Stage) {
        for out in &stage.outs {
            self.contents.forget(&out.path);
            lock(&self.values).remove(&out.path);
        }
        lock(&self.locks).remove(&lock_file(&stage.id));
    }

    /// Looks again at everything that is about a stage: another process may have run it.
    pub(super) fn refresh(&self, stage: &Stage) {
        lock(&self.locks).remove(&lock_file(&stage.id));
        self.refresh_contents(stage);
    }

    /// What is at the outputs of a stage at this moment, whatever was seen before.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn outs_now(&self, stage: &Stage) -> Result<BTreeMap<RepoPath, Option<Node>>> {
        let mut outs = BTreeMap::new();
        for out in &stage.outs {
            self.contents.forget(&out.path);
            outs.insert(out.path.clone(), self.contents.node(&out.path)?);
        }
        Ok(outs)
    }

    /// Looks again at what a stage reads and writes.
    pub(super) fn refresh_contents(&self, stage: &Stage) {
        for path in stage.deps.iter().chain(stage.outs.iter().map(|out| &out.path)) {
            self.contents.forget(path);
        }
        for params in &stage.params {
            lock(&self.values).remove(&params.file);
        }
    }
}

/// The lock file that a stage is in.
#[must_use]
pub fn lock_file(stage: &StageId) -> RepoPath {
    let dir = stage.file.parent().unwrap_or_default();
    match Name::new(LOCK_FILE.as_bytes()) {
        Ok(name) => dir.join(&name),
        Err(_) => dir,
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
