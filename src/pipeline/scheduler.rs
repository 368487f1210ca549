//! Running what is ready, as much at once as resources allow.
//!
//! What needs something that failed, or that was not run for that reason, is not run. Of what is ready, the first in
//! order goes first, and nothing behind it overtakes what it waits for when it is short of a resource.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Something to run.
#[derive(Debug, Clone, Default)]
pub(super) struct Job {
    /// What has to be done before, by position.
    pub needs: Vec<usize>,
    /// How much of each resource it holds while it runs.
    pub resources: BTreeMap<String, f64>,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobEnd {
    /// Well.
    Done,
    /// It failed.
    Failed,
    /// It was not run: something it needs was not done.
    Blocked,
    /// It was not run, or not to its end: no more was to be started, or the user stopped it.
    Stopped,
}

/// What happens after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// What runs is run to its end, nothing else is started.
    #[default]
    Finish,
    /// Everything that does not need what failed is run all the same.
    KeepGoing,
}

/// How much there is of each resource; of others, each job may hold as much as it says, one at a time.
pub type Limits = BTreeMap<String, f64>;

/// Runs all jobs, up to `parallel` at once. `stop` is asked before each is started.
pub(super) fn schedule(
    jobs: &[Job],
    parallel: usize,
    limits: &Limits,
    on_failure: OnFailure,
    stop: &(dyn Fn() -> bool + Sync),
    run: &(dyn Fn(usize) -> JobEnd + Sync),
) -> Vec<JobEnd> {
    let mut state = State {
        jobs,
        limits,
        ends: vec![None; jobs.len()],
        missing: jobs.iter().map(|job| job.needs.len()).collect(),
        users: users(jobs),
        running: Vec::new(),
        ready: std::collections::BTreeSet::new(),
        halted: false,
    };
    for (at, missing) in state.missing.iter().enumerate() {
        if *missing == 0 {
            state.ready.insert(at);
        }
    }
    let shared = Shared {
        state: Mutex::new(state),
        changed: Condvar::new(),
    };
    let halts = |end: JobEnd| end == JobEnd::Failed && on_failure == OnFailure::Finish;
    // Most jobs have nothing to do: a thread goes from one to the next without handing over.
    let work = || {
        while let Some(at) = shared.take(stop) {
            let mut ending = Ending {
                shared: &shared,
                at,
                end: JobEnd::Stopped,
                halts: true,
            };
            ending.end = run(at);
            ending.halts = halts(ending.end);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..parallel.min(jobs.len()) {
            scope.spawn(work);
        }
        work();
    });
    let state = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let ends = state.ends.into_iter();
    ends.map(|end| end.unwrap_or(JobEnd::Stopped)).collect()
}

/// What the threads that run jobs share.
struct Shared<'a> {
    state: Mutex<State<'a>>,
    /// Something ended, or more than one is ready.
    changed: Condvar,
}

impl<'a> Shared<'a> {
    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job to run, once there is one; `None`: there will be none.
    fn take(&self, stop: &dyn Fn() -> bool) -> Option<usize> {
        let mut state = self.lock();
        loop {
            state.halted = state.halted || stop();
            let next = if state.halted { None } else { state.next() };
            if let Some(next) = next {
                state.running.push(next);
                if !state.ready.is_empty() {
                    self.changed.notify_one();
                }
                return Some(next);
            }
            if state.halted || state.running.is_empty() {
                self.changed.notify_all();
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A job that runs; when dropped, it ended, also by a panic.
struct Ending<'a, 'b> {
    shared: &'a Shared<'b>,
    at: usize,
    end: JobEnd,
    /// Whether nothing else is to be started.
    halts: bool,
}

impl Drop for Ending<'_, '_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.finish(self.at, self.end);
        state.halted |= self.halts;
        // Who ended takes the next job itself; what it held may be enough for another.
        if state.halted || state.ready.len() > 1 {
            self.shared.changed.notify_all();
        }
    }
}

fn users(jobs: &[Job]) -> Vec<Vec<usize>> {
    let mut users = vec![Vec::new(); jobs.len()];
    for (at, job) in jobs.iter().enumerate() {
        for need in &job.needs {
            if let Some(users) = users.get_mut(*need) {
                users.push(at);
            }
        }
    }
    users
}

struct State<'a> {
    jobs: &'a [Job],
    limits: &'a Limits,
    ends: Vec<Option<JobEnd>>,
    /// How many of its needs are not done.
    missing: Vec<usize>,
    users: Vec<Vec<usize>>,
    running: Vec<usize>,
    ready: std::collections::BTreeSet<usize>,
    /// Nothing else is to be started.
    halted: bool,
}

impl State<'_> {
    /// Takes the first job that is ready, if it fits beside what runs.
    fn next(&mut self) -> Option<usize> {
        let mut reserved: BTreeMap<&str, f64> = BTreeMap::new();
        let found = self.ready.iter().copied().find(|at| {
            let job = &self.jobs[*at];
            let fits = job.resources.iter().all(|(name, amount)| {
                let held: f64 = self
                    .running
                    .iter()
                    .filter_map(|at| self.jobs[*at].resources.get(name))
                    .sum();
                let kept = reserved.get(name.as_str()).copied().unwrap_or(0.0);
                match self.limits.get(name) {
                    // More than there is of it runs alone.
                    Some(limit) => held + kept + amount <= *limit || (held == 0.0 && kept == 0.0),
                    None => held == 0.0 && kept == 0.0,
                }
            });
            if !fits {
                // What it waits for is not taken by those behind it.
                for (name, amount) in &job.resources {
                    *reserved.entry(name).or_default() += amount;
                }
            }
            fits
        })?;
        self.ready.remove(&found);
        Some(found)
    }

    fn finish(&mut self, at: usize, end: JobEnd) {
        self.running.retain(|running| *running != at);
        self.ends[at] = Some(end);
        let mut pending = vec![at];
        while let Some(at) = pending.pop() {
            let done = self.ends[at] == Some(JobEnd::Done);
            for user in self.users[at].clone() {
                if self.ends[user].is_some() {
                    continue;
                }
                if done {
                    self.missing[user] -= 1;
                    if self.missing[user] == 0 {
                        self.ready.insert(user);
                    }
                } else if self.ends[at] != Some(JobEnd::Stopped) {
                    self.ends[user] = Some(JobEnd::Blocked);
                    pending.push(user);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn job(needs: &[usize]) -> Job {
        Job {
            needs: needs.to_vec(),
            ..Job::default()
        }
    }

    fn holding(name: &str, amount: f64) -> Job {
        Job {
            resources: BTreeMap::from([(name.to_owned(), amount)]),
            ..Job::default()
        }
    }

    proptest! {
        #[test]
        fn needs_come_first_and_failures_block(
            needs in proptest::collection::vec(proptest::collection::vec(any::<proptest::sample::Index>(), 0..3), 1..20),
            fails in proptest::collection::vec(any::<bool>(), 20),
            parallel in 1..5usize,
        ) {
            let jobs: Vec<Job> = needs.iter().enumerate().map(|(at, needs)| {
                let mut needs: Vec<usize> = needs.iter().filter(|_| at > 0).map(|need| need.index(at)).collect();
                needs.sort_unstable();
                needs.dedup();
                job(&needs)
            }).collect();
            let order = Mutex::new(Vec::new());
            let ends = schedule(&jobs, parallel, &Limits::new(), OnFailure::KeepGoing, &|| false, &|at| {
                order.lock().unwrap().push(at);
                if fails[at] { JobEnd::Failed } else { JobEnd::Done }
            });
            let order = order.into_inner().unwrap();
            for (at, job) in jobs.iter().enumerate() {
                let blocked = job.needs.iter().any(|need| ends[*need] != JobEnd::Done);
                let expected = if blocked { JobEnd::Blocked } else if fails[at] { JobEnd::Failed } else { JobEnd::Done };
                prop_assert_eq!(ends[at], expected);
                let place = |at: usize| order.iter().position(|ran| *ran == at);
                prop_assert_eq!(place(at).is_some(), !blocked);
                for need in job.needs.iter().filter(|_| !blocked) {
                    prop_assert!(place(*need) < place(at));
                }
            }
        }
    }

    /// The most that ran at once.
    fn most(jobs: &[Job], parallel: usize, limits: &Limits) -> usize {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let ends = schedule(jobs, parallel, limits, OnFailure::Finish, &|| false, &|_| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(20));
            now.fetch_sub(1, Ordering::SeqCst);
            JobEnd::Done
        });
        assert!(ends.iter().all(|end| *end == JobEnd::Done));
        most.into_inner()
    }

    #[test]
    fn resources_are_shared_out() {
        let limits = Limits::from([("gpus".to_owned(), 2.0)]);
        let gpus: Vec<Job> = (0..6).map(|_| holding("gpus", 1.0)).collect();
        assert_eq!(most(&gpus, 8, &limits), 2);
        assert_eq!(most(&gpus, 1, &limits), 1);
        let large: Vec<Job> = (0..3).map(|_| holding("gpus", 5.0)).collect();
        assert_eq!(most(&large, 8, &limits), 1, "more than there is runs alone");
        let unknown: Vec<Job> = (0..3).map(|_| holding("license", 1.0)).collect();
        assert_eq!(most(&unknown, 8, &limits), 1);
        let free: Vec<Job> = (0..4).map(|_| job(&[])).collect();
        assert_eq!(most(&free, 4, &limits), 4);
    }

    #[test]
    fn after_a_failure_nothing_is_started() {
        let jobs = [job(&[]), job(&[]), job(&[0])];
        let ends = schedule(&jobs, 1, &Limits::new(), OnFailure::Finish, &|| false, &|_| {
            JobEnd::Failed
        });
        assert_eq!(ends, [JobEnd::Failed, JobEnd::Stopped, JobEnd::Blocked]);
        let ends = schedule(&jobs, 1, &Limits::new(), OnFailure::Finish, &|| true, &|_| JobEnd::Done);
        assert_eq!(ends, [JobEnd::Stopped; 3]);
    }
}
