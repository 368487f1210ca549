//! Bringing one stage up to date: nothing, restoring, or running it; then the lock file.
//!
//! Order of what is written: old outputs aside → the command → outputs, log and record into the store → index of runs →
//! lock file → what was aside no longer counts. A process that is killed before the last step leaves a list by which the
//! next one puts everything back; if the index knows the run already, that one restores it instead of running, and if the
//! lock file does, nothing is put back.
//!
//! The stage's own lock is held all the time, so nobody else runs it; the workspace's lock only while files are moved or
//! stored, so that everything else can go on beside the command.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::aside::Aside;
use super::decide::{Action, Decision, is_reusable};
use super::error::{PipelineError, Result};
use super::inputs::{self, Inputs, locked_dep, locked_out, node_of};
use super::isolate::Sandbox;
use super::log::Log;
use super::process::{self, End, Task, Usage, Watched, describe};
use super::repro::{Event, Repro, StageOutcome, StageResult};
use super::runs::{RecordedContent, RunRecord};
use super::session::{Judgement, lock, lock_file};
use super::{Out, OutKind, Stage};
use crate::fs::{self, FileLock, LockKind};
use crate::git::LockedStage;
use crate::hash::FileId;
use crate::object::Node;
use crate::path::{RepoPath, quote};
use crate::repo::RepoError;

/// What running the commands of a stage gave.
pub(super) struct Ran {
    pub(super) end: End,
    /// The command that ended it so.
    pub(super) command: String,
    pub(super) usage: Usage,
    pub(super) attempts: u32,
    pub(super) started: SystemTime,
}

impl Repro<'_, '_> {
    /// Brings a stage up to date.
    pub(super) fn bring(&self, stage: &Stage) -> Result<StageOutcome> {
        let session = self.session;
        // Most stages are up to date: that is seen without a lock.
        let decision = session.decide(stage, &self.policy)?;
        if matches!(decision.action, Action::Keep | Action::KeepFrozen) {
            return Ok(StageOutcome::new(stage, kept(&decision.action), decision.reasons));
        }
        let held = self.lock_stage(stage)?;
        if let Some(aside) = Aside::left_behind(session.repository, stage)? {
            let _workspace = self.workspace()?;
            session.refresh(stage);
            if session.is_made_by_last_run(stage)? {
                aside.forget()?;
            } else {
                aside.recover(session.repository)?;
            }
        }
        // Whoever had the lock may have run it.
        session.refresh(stage);
        let decision = session.decide(stage, &self.policy)?;
        match &decision.action {
            Action::Keep | Action::KeepFrozen => {
                Ok(StageOutcome::new(stage, kept(&decision.action), decision.reasons))
            }
            Action::Restore { outs, run } => self.restore(stage, &decision, outs, *run),
            Action::Run => self.run(stage, &decision, &held),
        }
    }

    pub(super) fn lock_stage(&self, stage: &Stage) -> Result<FileLock> {
        let repository = self.session.repository;
        let dir = repository.stage_locks_dir();
        fs::create_dir_all(&dir)?;
        let path = dir.join(inputs::file_name(&stage.id));
        let waiting = |holder: &str| {
            self.watch.event(&Event::Waits {
                stage: &stage.id,
                holder,
            })
        };
        Ok(FileLock::acquire(
            &path,
            LockKind::Exclusive,
            repository.progress(),
            waiting,
        )?)
    }

    /// The lock of the workspace; of the threads of this process, one at a time.
    pub(super) fn workspace(&self) -> Result<(std::sync::MutexGuard<'_, ()>, FileLock)> {
        let turn = lock(&self.turn);
        Ok((turn, self.session.repository.lock_workspace()?))
    }

    fn restore(
        &self,
        stage: &Stage,
        decision: &Decision,
        outs: &BTreeMap<RepoPath, Node>,
        run: Option<FileId>,
    ) -> Result<StageOutcome> {
        let session = self.session;
        {
            let _workspace = self.workspace()?;
            check_outs(self, stage)?;
            // What somebody changed, also while locks were waited for, is stored before it goes.
            let now = session.outs_now(stage)?;
            let changed: Vec<RepoPath> = outs
                .iter()
                .filter(|(path, node)| {
                    let there = now.get(*path).and_then(Option::as_ref);
                    there.is_some_and(|there| there != *node)
                })
                .map(|(path, _)| path.clone())
                .collect();
            session.repository.store_contents(&changed, 0, |_| Ok(Vec::new()))?;
            for out in &stage.outs {
                if let Some(node) = outs.get(&out.path) {
                    session.repository.restore_content(&out.path, node, out.cache)?;
                }
            }
        }
        let locked = self.locked(stage, &decision.judgement.inputs, outs)?;
        let _turn = lock(&self.turn);
        self.change_lock(stage, locked)?;
        Ok(StageOutcome {
            run,
            ..StageOutcome::new(stage, StageResult::Restored, decision.reasons.clone())
        })
    }

    fn run(&self, stage: &Stage, decision: &Decision, held: &FileLock) -> Result<StageOutcome> {
        let session = self.session;
        self.check_resources(stage)?;
        let inputs = self.bring_deps(stage, &decision.judgement.inputs)?;
        // As it is before the command changes something.
        self.git_state()?;
        self.watch.event(&Event::Starts {
            stage: &stage.id,
            reasons: &decision.reasons,
        });
        let log_path = super::logs::log_path(session.repository, &stage.id);
        let mut log = Log::create(&log_path)?;
        let sandbox = if self.policy.isolated {
            Some(Sandbox::make(self, stage, &inputs)?)
        } else {
            None
        };
        let aside = {
            let _workspace = self.workspace()?;
            check_outs(self, stage)?;
            // Somebody may have edited outputs while inputs were fetched and locks waited for.
            let judgement = Judgement {
                outs: session.outs_now(stage)?,
                ..decision.judgement.clone()
            };
            Aside::take(session.repository, stage, &judgement)?
        };
        let ran = self.attempt(stage, held, &mut log, Some(&aside), sandbox.as_ref());
        let finished = log.finish();
        let log_bytes = fs::read(&log_path, super::log::MAX_LOG).unwrap_or_default();
        let mut undeclared = BTreeSet::new();
        let (ran, failure) = match ran {
            Err(failure) => (None, Some(failure)),
            Ok(ran) => {
                let judge = || -> Result<()> {
                    finished?;
                    if let Some(sandbox) = &sandbox {
                        undeclared = sandbox.collect(self, stage, &ran, &log_bytes)?;
                    }
                    self.check(stage, &inputs, &ran)
                };
                let failure = judge().err();
                (Some(ran), failure)
            }
        };
        let ran = match (ran, failure) {
            (Some(ran), None) => ran,
            (ran, failure) => {
                let _shield = session.repository.progress().shield();
                {
                    let _workspace = self.workspace()?;
                    aside.put_back(session.repository)?;
                }
                session.refresh_contents(stage);
                return self.failed(stage, decision, &inputs, &log_bytes, ran, failure);
            }
        };
        let kept = {
            let _workspace = self.workspace()?;
            let kept = self
                .keep(stage, decision, &inputs, &ran, &log_bytes)
                .and_then(|(outs, run)| {
                    self.change_lock(stage, self.locked(stage, &inputs, &outs)?)?;
                    Ok(run)
                });
            match kept {
                Ok(run) => aside.forget().map(|()| run),
                Err(error) => {
                    let _shield = session.repository.progress().shield();
                    // It may have been written, and only not be known to be durable.
                    let before = BTreeMap::from([(stage.id.name.clone(), decision.judgement.locked.clone())]);
                    let _ = session.repository.update_lock(&lock_file(&stage.id), &before);
                    aside.put_back(session.repository).and(Err(error))
                }
            }
        };
        let run = match kept {
            Ok(run) => run,
            Err(failure) => {
                session.refresh(stage);
                return self.failed(stage, decision, &inputs, &log_bytes, Some(ran), Some(failure));
            }
        };
        Ok(StageOutcome {
            run: Some(run),
            usage: Some(ran.usage),
            exit: Some(0),
            undeclared: undeclared.into_iter().collect(),
            ..StageOutcome::new(stage, StageResult::Ran, decision.reasons.clone())
        })
    }

    /// Brings inputs that are known and not here.
    pub(super) fn bring_deps(&self, stage: &Stage, known: &Inputs) -> Result<Inputs> {
        let session = self.session;
        let mut absent = Vec::new();
        for (path, dep) in &known.deps {
            if session.contents.node(path)?.is_none()
                && let Some(dep) = dep
            {
                absent.push((path.clone(), node_of(dep.content, dep.size)));
            }
        }
        if absent.is_empty() {
            return Ok(known.clone());
        }
        let first = absent[0].0.clone();
        let here = |nodes: &[(RepoPath, Node)]| -> Result<bool> {
            for (_, node) in nodes {
                if !session.repository.has_content(node)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        if !self.policy.pull || !(here(&absent)? || session.fetch_nodes(&absent, false)?) {
            return Err(PipelineError::AbsentDep {
                stage: stage.id.clone(),
                path: first,
            });
        }
        if !self.policy.isolated {
            let _workspace = self.workspace()?;
            for (path, node) in &absent {
                session.repository.restore_content(path, node, true)?;
                session.contents.forget(path);
            }
        }
        Ok(known.clone())
    }

    /// Runs the commands until they succeed or were tried often enough. One of `aside` and `sandbox` is there.
    pub(super) fn attempt(
        &self,
        stage: &Stage,
        held: &FileLock,
        log: &mut Log,
        aside: Option<&Aside>,
        sandbox: Option<&Sandbox>,
    ) -> Result<Ran> {
        let started = SystemTime::now();
        let mut usage = Usage::default();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (end, command) = self.commands(stage, held, log, sandbox, &mut usage)?;
            let is_over = end == End::Exited(0) || end == End::Interrupted || attempts > stage.retries;
            if is_over || self.is_stopped() {
                return Ok(Ran {
                    end,
                    command,
                    usage,
                    attempts,
                    started,
                });
            }
            let again = format!("[modver: attempt {attempts} failed: {}]\n", describe(end));
            log.append(again.as_bytes())?;
            self.watch.event(&Event::Prints {
                stage: &stage.id,
                bytes: again.as_bytes(),
            });
            if let Some(sandbox) = sandbox {
                sandbox.start_again(self, stage)?;
            } else if let Some(aside) = aside {
                let _workspace = self.workspace()?;
                aside.start_again(self.session.repository)?;
            }
        }
    }

    /// Runs the commands until one fails.
    fn commands(
        &self,
        stage: &Stage,
        held: &FileLock,
        log: &mut Log,
        sandbox: Option<&Sandbox>,
        usage: &mut Usage,
    ) -> Result<(End, String)> {
        let repository = self.session.repository;
        let root = sandbox.map_or(repository.root(), Sandbox::root);
        let dir = stage.wdir.on_disk(root);
        if fs::stat(&dir)?.is_none_or(|stat| stat.kind == fs::FileKind::File) {
            return Err(PipelineError::NoDirectory {
                stage: stage.id.clone(),
                path: stage.wdir.clone(),
            });
        }
        let deadline = stage.timeout.map(|timeout| Instant::now() + timeout);
        for line in &stage.cmd {
            let mut unwritten = None;
            let mut output = |bytes: &[u8]| {
                if let Err(error) = log.append(bytes) {
                    unwritten.get_or_insert(error);
                }
                self.watch.event(&Event::Prints {
                    stage: &stage.id,
                    bytes,
                });
            };
            let task = Task {
                line,
                dir: &dir,
                env: &[],
                lock: held,
                deadline,
                grace: repository.config().grace(),
            };
            let watched = Watched {
                stop: &|| self.is_stopped(),
                progress: repository.progress(),
            };
            let ran = process::run(&task, &watched, &mut output);
            let (end, used) = ran.map_err(|source| PipelineError::Spawn {
                stage: stage.id.clone(),
                source,
            })?;
            usage.add(&used);
            if let Some(error) = unwritten {
                return Err(error.into());
            }
            if end != End::Exited(0) {
                return Ok((end, line.clone()));
            }
        }
        Ok((End::Exited(0), String::new()))
    }

    /// Whether what ran may count.
    fn check(&self, stage: &Stage, inputs: &Inputs, ran: &Ran) -> Result<()> {
        let session = self.session;
        match ran.end {
            End::Exited(0) => {}
            End::Interrupted => return Err(RepoError::from(crate::progress::Interrupted).into()),
            end => {
                return Err(PipelineError::Command {
                    stage: stage.id.clone(),
                    command: ran.command.clone(),
                    how: describe(end),
                });
            }
        }
        session.refresh_contents(stage);
        if !self.policy.isolated {
            for (path, before) in &inputs.deps {
                let now = session.contents.node(path)?.as_ref().and_then(locked_dep);
                if now.map(|now| now.content) != before.map(|before| before.content) {
                    return Err(PipelineError::ChangedDep {
                        stage: stage.id.clone(),
                        path: path.clone(),
                    });
                }
            }
        }
        for out in &stage.outs {
            let there = fs::stat(&out.path.on_disk(session.repository.root()))?;
            match there.map(|stat| stat.kind) {
                Some(fs::FileKind::File | fs::FileKind::Dir) => {}
                Some(_) => {
                    return Err(PipelineError::UnusableOut {
                        stage: stage.id.clone(),
                        path: out.path.clone(),
                    });
                }
                None => {
                    return Err(PipelineError::MissingOut {
                        stage: stage.id.clone(),
                        path: out.path.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Stores what the stage made, and what is recorded of the run. The caller holds the lock of the workspace.
    fn keep(
        &self,
        stage: &Stage,
        decision: &Decision,
        inputs: &Inputs,
        ran: &Ran,
        log: &[u8],
    ) -> Result<(BTreeMap<RepoPath, Node>, FileId)> {
        let session = self.session;
        // Of what git keeps, metrics and plots are stored, too, so that the run can be restored; but they stay git's.
        let (cached, others): (Vec<&Out>, Vec<&Out>) = stage.outs.iter().partition(|out| out.cache);
        let small = others.into_iter().filter(|out| out.kind != OutKind::Data);
        let kept = cached.iter().copied().chain(small).filter(|_| !self.policy.no_commit);
        let stored: Vec<RepoPath> = kept.map(|out| out.path.clone()).collect();
        let mut outs = BTreeMap::new();
        for out in &stage.outs {
            if !stored.contains(&out.path)
                && let Some(node) = session.contents.node(&out.path)?
            {
                outs.insert(out.path.clone(), node);
            }
        }
        let mut record = self.record(stage, decision, inputs, ran, log)?;
        record.reusable = is_reusable(stage) && !self.policy.no_commit;
        let id = self.store_run((&stored, cached.len()), log, |nodes| {
            for (path, node) in stored.iter().zip(nodes) {
                if let Some(node) = node {
                    session.contents.put(path, Some(node.clone()));
                    outs.insert(path.clone(), node.clone());
                }
            }
            for (path, node) in &outs {
                if let Some(content) = inputs::pointer_content(node) {
                    let name = quote(path.as_bytes()).into_owned();
                    record.outs.insert(name, RecordedContent::new(content, node.size()));
                }
            }
            record
        })?;
        Ok((outs, id))
    }

    /// What is recorded of a run, but for what it made.
    pub(super) fn record(
        &self,
        stage: &Stage,
        decision: &Decision,
        inputs: &Inputs,
        ran: &Ran,
        log: &[u8],
    ) -> Result<RunRecord> {
        let mut machine = self.machine().clone();
        machine.interpreters = self.interpreters(stage);
        let state = self.git_state()?;
        let deps = inputs.deps.iter().filter_map(|(path, dep)| {
            let dep = (*dep)?;
            let name = quote(path.as_bytes()).into_owned();
            Some((name, RecordedContent::new(dep.content, dep.size)))
        });
        let params = inputs.params.iter().map(|(file, values)| {
            let known = values
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
            (quote(file.as_bytes()).into_owned(), known.collect())
        });
        Ok(RunRecord {
            version: super::runs::VERSION,
            key: decision.key.unwrap_or_else(|| FileId::of(b"")),
            stage: stage.id.to_string(),
            cmd: stage.cmd.clone(),
            wdir: quote(stage.wdir.as_bytes()).into_owned(),
            deps: deps.collect(),
            params: params.collect(),
            env: inputs.env.clone(),
            outs: BTreeMap::new(),
            reusable: false,
            commit: state.commit.clone(),
            dirty: state.dirty,
            diff: state.diff,
            started_ms: millis(ran.started),
            ended_ms: millis(SystemTime::now()),
            usage: ran.usage,
            attempts: ran.attempts,
            exit: match ran.end {
                End::Exited(code) => code,
                End::Signalled(signal) => 128 + signal,
                End::TimedOut => 124,
                End::Interrupted => 130,
            },
            failure: None,
            machine,
            log: (!log.is_empty()).then(|| FileId::of(log)),
            modver: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// The run is recorded and its failure told.
    fn failed(
        &self,
        stage: &Stage,
        decision: &Decision,
        inputs: &Inputs,
        log: &[u8],
        ran: Option<Ran>,
        failure: Option<PipelineError>,
    ) -> Result<StageOutcome> {
        let result = if failure.as_ref().is_some_and(|failure| self.is_interruption(failure)) {
            StageResult::Stopped
        } else {
            StageResult::Failed
        };
        let mut outcome = StageOutcome::new(stage, result, decision.reasons.clone());
        if let Some(ran) = ran {
            let mut record = self.record(stage, decision, inputs, &ran, log)?;
            if record.exit == 0 {
                record.failure = failure.as_ref().map(ToString::to_string);
            }
            outcome.usage = Some(ran.usage);
            outcome.exit = Some(record.exit);
            outcome.run = Some(self.store_run((&[], 0), log, |_| record)?);
        }
        outcome.error = failure;
        Ok(outcome)
    }

    fn locked(&self, stage: &Stage, inputs: &Inputs, outs: &BTreeMap<RepoPath, Node>) -> Result<LockedStage> {
        let mut locked = BTreeMap::new();
        for out in &stage.outs {
            if let Some(out_locked) = outs.get(&out.path).and_then(|node| locked_out(out, node)) {
                locked.insert(out.path.clone(), out_locked);
            }
        }
        Ok(inputs.locked(stage, locked))
    }

    /// Writes the lock file. It is the turn of this thread.
    fn change_lock(&self, stage: &Stage, locked: LockedStage) -> Result<()> {
        let changes = BTreeMap::from([(stage.id.name.clone(), Some(locked.clone()))]);
        self.session.repository.update_lock(&lock_file(&stage.id), &changes)?;
        for (path, dep) in &locked.deps {
            // Without it, a later difference is told without files.
            let node = node_of(dep.content, dep.size);
            let _ = self.session.contents.keep_listing(&stage.id.to_string(), path, &node);
        }
        self.session.wrote(stage);
        Ok(())
    }
}

const fn kept(action: &Action) -> StageResult {
    match action {
        Action::KeepFrozen => StageResult::Frozen,
        _ => StageResult::Unchanged,
    }
}

/// Outputs that modver keeps must not be git's.
fn check_outs(repro: &Repro<'_, '_>, stage: &Stage) -> Result<()> {
    let kept: Vec<RepoPath> = stage
        .outs
        .iter()
        .filter(|out| out.cache)
        .map(|out| out.path.clone())
        .collect();
    if kept.is_empty() {
        return Ok(());
    }
    let tracked = repro.session.repository.git().tracked_under(&kept)?;
    match tracked.into_iter().next() {
        None => Ok(()),
        Some(path) => Err(PipelineError::OutInGit {
            stage: stage.id.clone(),
            path,
        }),
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
