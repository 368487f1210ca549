//! `repro`: bringing stages up to date, in parallel.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use super::decide::{Action, Decision, Policy};
use super::definition::SelectOptions;
use super::error::{PipelineError, Result};
use super::inputs::{RunKey, pointer_content};
use super::process::Usage;
use super::reason::StaleReason;
use super::runs::{Machine, RunIndex, RunRecord, machine};
use super::scheduler::{Job, JobEnd, Limits, OnFailure, schedule};
use super::session::{Absent, Session, lock};
use super::{Stage, StageId};
use crate::hash::FileId;
use crate::object::Node;
use crate::path::RepoPath;
use crate::repo::RepoError;

/// How to bring stages up to date.
#[derive(Debug, Clone, Default)]
pub struct ReproOptions {
    /// Stages, as typed.
    pub targets: Vec<String>,
    /// Which of the others belong to them.
    pub select: SelectOptions,
    /// What to do about each.
    pub policy: Policy,
    /// Stages at once; 0: as many as there are processors.
    pub jobs: usize,
    /// What happens after a failure.
    pub on_failure: OnFailure,
    /// What runs is stopped after a failure.
    pub fail_fast: bool,
    /// Amounts of resources that are there, on top of what this machine tells.
    pub resources: Limits,
    /// Only find out what would be done.
    pub dry_run: bool,
}

/// What happens while stages are brought up to date. Called from several threads.
pub trait Watch: Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

/// Something that happened.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are the stage and what is told of it")]
pub enum Event<'a> {
    /// Another process runs the stage; its end is waited for.
    Waits { stage: &'a StageId, holder: &'a str },
    /// Its command is about to start.
    Starts {
        stage: &'a StageId,
        reasons: &'a [StaleReason],
    },
    /// Its command printed something.
    Prints { stage: &'a StageId, bytes: &'a [u8] },
    /// It is done, or not to be.
    Ends { outcome: &'a StageOutcome },
}

/// What became of stages.
#[derive(Debug, serde::Serialize)]
pub struct ReproOutcome {
    /// Of each, in the order in which they depend on each other.
    pub stages: Vec<StageOutcome>,
    /// Stages that lock files had and project files do not define any more: they were (or would be) taken out.
    pub gone: Vec<StageId>,
    /// Whether nothing was done because only the plan was asked for.
    pub dry_run: bool,
    /// Whether the user stopped it.
    pub interrupted: bool,
}

/// What became of a stage.
#[derive(Debug, serde::Serialize)]
pub struct StageOutcome {
    /// Which.
    pub stage: StageId,
    /// What became of it.
    pub result: StageResult,
    /// Why it was out of date.
    pub reasons: Vec<StaleReason>,
    /// The run that was made or found.
    pub run: Option<FileId>,
    /// What it used.
    pub usage: Option<Usage>,
    /// The exit code of its command.
    pub exit: Option<i32>,
    /// What it wrote in isolation and did not declare.
    pub undeclared: Vec<RepoPath>,
    /// Why it failed.
    #[serde(serialize_with = "as_text")]
    pub error: Option<PipelineError>,
}

fn as_text<S: serde::Serializer>(
    error: &Option<PipelineError>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    match error {
        None => serializer.serialize_none(),
        Some(error) => serializer.collect_str(error),
    }
}

/// What became of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageResult {
    /// It was up to date.
    Unchanged,
    /// It is out of date and frozen.
    Frozen,
    /// Its outputs were (or would be) brought back from the cache.
    Restored,
    /// It ran (or would).
    Ran,
    /// It failed.
    Failed,
    /// Something it needs was not done.
    Blocked,
    /// It was not run, or not to its end.
    Stopped,
}

impl StageOutcome {
    pub(super) fn new(stage: &Stage, result: StageResult, reasons: Vec<StaleReason>) -> Self {
        Self {
            stage: stage.id.clone(),
            result,
            reasons,
            run: None,
            usage: None,
            exit: None,
            undeclared: Vec::new(),
            error: None,
        }
    }
}

impl ReproOutcome {
    /// How many stages ended so.
    #[must_use]
    pub fn count(&self, result: StageResult) -> usize {
        self.stages.iter().filter(|stage| stage.result == result).count()
    }

    /// Whether something failed or was not done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let undone = [StageResult::Failed, StageResult::Blocked, StageResult::Stopped];
        undone.iter().all(|result| self.count(*result) == 0)
    }
}

/// What git says of the work tree when the first stage runs.
#[derive(Debug, Clone, Default)]
pub(super) struct GitState {
    pub(super) commit: Option<String>,
    pub(super) dirty: bool,
    pub(super) diff: Option<FileId>,
    /// The text that `diff` names.
    text: Vec<u8>,
}

/// The longest difference to the commit that is recorded, in bytes.
const MAX_DIFF: u64 = 64 << 20;

/// A running `repro`.
pub(super) struct Repro<'a, 's> {
    pub(super) session: &'a Session<'s>,
    pub(super) policy: Policy,
    pub(super) limits: Limits,
    pub(super) watch: &'a dyn Watch,
    /// Of the threads of this process, one at a time moves and stores files.
    pub(super) turn: Mutex<()>,
    halted: AtomicBool,
    git: Mutex<Option<GitState>>,
    machine: OnceLock<Machine>,
    interpreters: Mutex<BTreeMap<String, Option<String>>>,
}

impl<'s> Session<'s> {
    /// Brings stages up to date.
    ///
    /// # Errors
    /// When definitions or targets cannot be used. What concerns single stages is in the outcome.
    pub fn repro(&self, options: &ReproOptions, watch: &dyn Watch) -> Result<ReproOutcome> {
        let stages = self.stages();
        let chosen = self
            .pipelines
            .select(&self.graph, &options.targets, &self.cwd()?, options.select)?;
        let file = match options.select.all {
            true => None,
            false => self.pipelines.file_around(&self.cwd()?),
        };
        if options.dry_run {
            let mut plan = self.plan(&chosen, options)?;
            if options.targets.is_empty() {
                plan.gone = self.gone(file);
            }
            return Ok(plan);
        }
        let limits = limits(&options.resources);
        let position: BTreeMap<usize, usize> = chosen.iter().enumerate().map(|(at, stage)| (*stage, at)).collect();
        let jobs: Vec<Job> = chosen
            .iter()
            .map(|at| Job {
                needs: self
                    .graph
                    .upstream(*at)
                    .iter()
                    .filter_map(|need| position.get(need).copied())
                    .collect(),
                resources: demand(&stages[*at]),
            })
            .collect();
        let repro = Repro::new(self, options.policy, limits, watch);
        let ends: Vec<Mutex<Option<StageOutcome>>> = chosen.iter().map(|_| Mutex::new(None)).collect();
        let run = |at: usize| {
            let stage = &stages[chosen[at]];
            let outcome = repro.bring(stage).unwrap_or_else(|error| {
                let result = if repro.is_interruption(&error) {
                    StageResult::Stopped
                } else {
                    StageResult::Failed
                };
                StageOutcome {
                    error: Some(error),
                    ..StageOutcome::new(stage, result, Vec::new())
                }
            });
            watch.event(&Event::Ends { outcome: &outcome });
            let end = match outcome.result {
                StageResult::Failed => JobEnd::Failed,
                StageResult::Stopped | StageResult::Blocked => JobEnd::Stopped,
                _ => JobEnd::Done,
            };
            if end == JobEnd::Failed && options.fail_fast {
                repro.halted.store(true, Ordering::Relaxed);
            }
            *lock(&ends[at]) = Some(outcome);
            end
        };
        let parallel = if options.jobs == 0 {
            self.repository.jobs()
        } else {
            options.jobs
        };
        let results = schedule(
            &jobs,
            parallel,
            &repro.limits,
            options.on_failure,
            &|| repro.is_stopped(),
            &run,
        );
        let _ = self.contents.keep();
        let outcomes = ends.into_iter().zip(results).zip(&chosen).map(|((outcome, end), at)| {
            let outcome = outcome.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            outcome.unwrap_or_else(|| {
                let result = match end {
                    JobEnd::Blocked => StageResult::Blocked,
                    _ => StageResult::Stopped,
                };
                StageOutcome::new(&stages[*at], result, Vec::new())
            })
        });
        let stages = outcomes.collect();
        let interrupted = self.repository.progress().is_interrupted();
        let gone = match options.targets.is_empty() && !interrupted {
            true => self.take_out_gone(file)?,
            false => Vec::new(),
        };
        Ok(ReproOutcome {
            stages,
            gone,
            dry_run: false,
            interrupted,
        })
    }

    /// What would be done. What a stage makes that would run is not known: those behind it would be looked at again.
    fn plan(&self, chosen: &[usize], options: &ReproOptions) -> Result<ReproOutcome> {
        let mut changed = vec![false; self.stages().len()];
        let mut restored = vec![false; self.stages().len()];
        let mut stages = Vec::new();
        for at in chosen {
            let stage = &self.stages()[*at];
            let upstream = self.graph.upstream(*at).iter().filter(|need| changed[**need]);
            let waits: Vec<StaleReason> = upstream
                .map(|need| StaleReason::Upstream {
                    stage: self.stages()[*need].id.clone(),
                })
                .collect();
            // What is not there yet will be made.
            let policy = Policy {
                allow_missing: options.policy.allow_missing || !waits.is_empty(),
                only_ask: true,
                ..options.policy
            };
            // What is brought back as it was is known.
            let absent = match self.graph.upstream(*at).iter().any(|need| restored[*need]) {
                true => Absent::Allow,
                false => Absent::Refuse,
            };
            let mut same = false;
            let outcome = match self.decide_with(stage, &policy, absent) {
                Ok(decision) => {
                    same = is_as_it_was(&decision);
                    let result = match decision.action {
                        Action::Keep if waits.is_empty() => StageResult::Unchanged,
                        Action::KeepFrozen | Action::Keep if stage.frozen => StageResult::Frozen,
                        Action::Restore { .. } if waits.is_empty() => StageResult::Restored,
                        _ => StageResult::Ran,
                    };
                    let reasons = decision.reasons.into_iter().chain(waits).collect();
                    StageOutcome::new(stage, result, reasons)
                }
                Err(
                    PipelineError::AbsentDep { .. }
                    | PipelineError::MissingDep { .. }
                    | PipelineError::MissingParam { .. },
                ) if !waits.is_empty() => StageOutcome::new(stage, StageResult::Ran, waits),
                Err(error) => return Err(error),
            };
            restored[*at] = outcome.result == StageResult::Restored && same;
            changed[*at] = matches!(outcome.result, StageResult::Ran | StageResult::Restored) && !restored[*at];
            stages.push(outcome);
        }
        let _ = self.contents.keep();
        Ok(ReproOutcome {
            stages,
            gone: Vec::new(),
            dry_run: true,
            interrupted: false,
        })
    }

    /// The runs with these inputs that are known, the newest first.
    pub(super) fn reusable_runs(&self, key: &RunKey) -> Result<Vec<(FileId, RunRecord)>> {
        match RunIndex::open_existing(&self.repository.runs_dir())? {
            None => Ok(Vec::new()),
            Some(index) => index.reusable(key),
        }
    }
}

/// Whether outputs are brought back that are not there now and are what the lock file says.
fn is_as_it_was(decision: &Decision) -> bool {
    let Action::Restore { outs, .. } = &decision.action else {
        return false;
    };
    let locked = decision.judgement.locked.as_ref();
    outs.iter().all(|(path, node)| {
        let there = decision.judgement.outs.get(path).and_then(Option::as_ref);
        let made = locked.and_then(|locked| locked.outs.get(path)).map(|out| out.content);
        there.is_none_or(|there| there == node) && pointer_content(node) == made
    })
}

/// How much of each resource there is: processors, memory and graphics cards, unless the user says otherwise.
pub(super) fn limits(given: &Limits) -> Limits {
    let here = machine();
    let cards = crate::fs::list(std::path::Path::new("/dev")).unwrap_or_default();
    let cards = cards.iter().filter_map(|name| name.to_str()?.strip_prefix("nvidia"));
    let cards = cards
        .filter(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        .count();
    let mut limits = Limits::from([
        ("cpus".to_owned(), f64::from(here.cpus)),
        ("gpus".to_owned(), cards as f64),
    ]);
    if here.memory > 0 {
        limits.insert("memory".to_owned(), here.memory as f64);
    }
    limits.extend(given.clone());
    limits
}

/// What a stage holds while it runs.
fn demand(stage: &Stage) -> BTreeMap<String, f64> {
    stage.resources.clone()
}

impl<'a, 's> Repro<'a, 's> {
    pub(super) fn new(session: &'a Session<'s>, policy: Policy, limits: Limits, watch: &'a dyn Watch) -> Self {
        Self {
            session,
            policy,
            limits,
            watch,
            turn: Mutex::new(()),
            halted: AtomicBool::new(false),
            git: Mutex::new(None),
            machine: OnceLock::new(),
            interpreters: Mutex::default(),
        }
    }

    /// Whether what runs is to be stopped.
    pub(super) fn is_stopped(&self) -> bool {
        self.halted.load(Ordering::Relaxed) || self.session.repository.progress().is_interrupted()
    }

    /// Whether a stage did not get to its end because the user stopped it.
    pub(super) fn is_interruption(&self, error: &PipelineError) -> bool {
        let locked = |error: &std::io::Error| error.kind() == std::io::ErrorKind::Interrupted;
        match error {
            PipelineError::Repo(RepoError::Interrupted(_)) => true,
            PipelineError::Repo(RepoError::Fs(error)) => self.is_stopped() && locked(&error.source),
            _ => false,
        }
    }

    /// More processors or memory than there are let a stage run alone; of other things there must be enough. Only a stage
    /// that runs needs them.
    pub(super) fn check_resources(&self, stage: &Stage) -> Result<()> {
        for (resource, amount) in &stage.resources {
            let soft = resource == "cpus" || resource == "memory";
            let limit = self.limits.get(resource);
            if let Some(available) = limit.filter(|available| !soft && *amount > **available) {
                return Err(PipelineError::Resource {
                    stage: stage.id.clone(),
                    resource: resource.clone(),
                    amount: *amount,
                    available: *available,
                });
            }
        }
        Ok(())
    }

    pub(super) fn machine(&self) -> &Machine {
        self.machine.get_or_init(machine)
    }

    /// The state of the work tree, as it was when this was first asked.
    pub(super) fn git_state(&self) -> Result<GitState> {
        let mut known = lock(&self.git);
        if let Some(state) = &*known {
            return Ok(state.clone());
        }
        let git = self.session.repository.git();
        let mut state = GitState::default();
        if let Some(commit) = git.head()?.commit() {
            state.commit = Some(commit.to_owned());
            match git.work_diff(MAX_DIFF)? {
                Some(text) if text.is_empty() => {}
                Some(text) => {
                    state.dirty = true;
                    state.diff = Some(FileId::of(&text));
                    state.text = text;
                }
                None => state.dirty = true,
            }
        }
        *known = Some(state.clone());
        Ok(state)
    }

    /// Versions of the interpreters that a stage's commands begin with.
    pub(super) fn interpreters(&self, stage: &Stage) -> BTreeMap<String, String> {
        const KNOWN: [&str; 8] = ["python", "python3", "Rscript", "julia", "node", "perl", "ruby", "bash"];
        let mut found = BTreeMap::new();
        for line in &stage.cmd {
            let word = line.split_whitespace().next().unwrap_or_default();
            let name = word.rsplit('/').next().unwrap_or_default();
            // What is in the workspace is no interpreter.
            let is_here = word.contains('/') && !word.starts_with('/');
            if is_here || !KNOWN.contains(&name) {
                continue;
            }
            let mut known = lock(&self.interpreters);
            let version = known.entry(word.to_owned()).or_insert_with(|| version_of(word));
            if let Some(version) = version {
                found.insert(word.to_owned(), version.clone());
            }
        }
        found
    }

    /// Stores what is at these paths (see [`crate::repo::Repository::store_contents`]) together with the record that
    /// `record` makes of what was found there, the log and the state of the work tree; then enters the record into the
    /// index. One transaction: what a small stage costs are the writes that must reach the disk.
    pub(super) fn store_run(
        &self,
        (paths, tracked): (&[RepoPath], usize),
        log: &[u8],
        record: impl FnOnce(&[Option<Node>]) -> RunRecord,
    ) -> Result<FileId> {
        let failed = |error: serde_json::Error| {
            let at = crate::fs::at::<serde_json::Error>(crate::fs::Attempt::Write, std::path::Path::new("runs.db"));
            RepoError::from(at(error))
        };
        let mut made = None;
        self.session.repository.store_contents(paths, tracked, |nodes| {
            let record = record(nodes);
            let bytes = record.to_bytes().map_err(failed)?;
            let diff = lock(&self.git).as_ref().map(|state| state.text.clone());
            made = Some((FileId::of(&bytes), record, bytes.clone()));
            let extra = [bytes, log.to_owned(), diff.unwrap_or_default()];
            Ok(extra.into_iter().filter(|bytes| !bytes.is_empty()).collect())
        })?;
        if let Some(state) = &mut *lock(&self.git) {
            // It is there now: the next record only names it.
            state.text = Vec::new();
        }
        let made: Vec<_> = made.into_iter().collect();
        RunIndex::open(&self.session.repository.runs_dir())?.add(&made)?;
        Ok(made.first().map_or(FileId::of(b""), |(id, ..)| *id))
    }
}

fn version_of(program: &str) -> Option<String> {
    let mut command = std::process::Command::new(program);
    command.arg("--version").stdin(std::process::Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    let text = String::from_utf8_lossy(&text);
    text.lines().next().map(|line| line.trim().to_owned())
}
