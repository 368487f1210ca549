//! Doing what a plan says: deletions, then directories, then content, then what was filled aside takes its name.

use std::collections::HashMap;
use std::path::PathBuf;

use rayon::prelude::*;

use super::write::{Place, check};
use super::{Checked, CheckoutPlan, DirWork, Failure, FailureReason, Inner, PlanCounts, RowRef, Touch, What, Work};
use crate::chunk;
use crate::fs::{self, Dir, Stat};
use crate::hash::FileId;
use crate::path::{Name, RepoPath};
use crate::progress::{Phase, Progress};
use crate::store::{Location, Reader, StoreError};
use crate::workspace::scan::{ScannedDir, parent_and_name};
use crate::workspace::state::{self, StateFile};
use crate::workspace::table::{Table, now_ns};
use crate::workspace::{Result, WorkspaceError};

/// Entries of one directory that one task writes.
const ENTRIES_PER_TASK: usize = 128;

/// What an execution knows so far.
struct Run<'a> {
    plan: CheckoutPlan,
    /// The directory that holds the output.
    holder: PathBuf,
    progress: &'a Progress,
    done: PlanCounts,
    failures: Vec<Failure>,
    interrupted: bool,
}

/// What one task wrote.
#[derive(Default)]
struct Written {
    work: usize,
    table: Table,
    replaced: Vec<RowRef>,
    created: u64,
    bytes: u64,
    failures: Vec<(Inner, FailureReason)>,
    interrupted: bool,
}

impl CheckoutPlan {
    /// Does it, and records the new state of the workspace, also when some of it failed; none if the plan is
    /// [`CheckoutPlan::unrecorded`].
    ///
    /// # Errors
    /// [`WorkspaceError::Conflicts`] when something that exists nowhere else is in the way and the plan was made
    /// without force; nothing has happened then. Otherwise when the directory that holds the output cannot be
    /// opened or the state cannot be written.
    pub fn execute(self, state: &StateFile, progress: &Progress) -> Result<Checked> {
        if let (Some(first), false) = (self.conflicts.first(), self.force) {
            return Err(WorkspaceError::Conflicts {
                count: self.conflicts.len(),
                first: first.path.clone(),
            });
        }
        let holder = parent_and_name(&self.snapshot.scan.root)?.0.to_owned();
        if !self.recorded {
            // Whoever is killed from here on leaves files that no checkout may take away.
            fs::remove_file(&state.path)?;
        }
        progress.start(
            Phase::CheckingOut,
            self.counts.created + self.counts.replaced,
            self.counts.bytes,
        );
        let mut run = Run {
            holder,
            progress,
            done: PlanCounts {
                left: self.counts.left,
                ..PlanCounts::default()
            },
            failures: Vec::new(),
            interrupted: false,
            plan: self,
        };
        run.failures.append(&mut run.plan.failures);
        run.clean();
        let settled = run.delete();
        run.change_modes();
        let made = run.make_dirs();
        let mut written = run.write_entries(&made);
        run.put_in_place(&made, &mut written);
        run.name_collisions();
        run.plan.works.iter_mut().for_each(|work| work.entries = Vec::new());
        run.record(state, written, settled)?;
        run.failures.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Checked {
            done: run.done,
            failures: run.failures,
            interrupted: run.interrupted,
        })
    }
}

/// The name under which a new directory is filled: the same for each run, so that a later one finds what is left of
/// a run that was killed.
fn aside(name: &Name) -> std::result::Result<Name, FailureReason> {
    let text = format!(".modver-tmp-d-{}", FileId::of(name.as_bytes()).short());
    Name::new(text.as_bytes()).map_err(|_| FailureReason::Name)
}

impl Run<'_> {
    fn fail(&mut self, path: &Inner, reason: FailureReason) {
        let path = self.plan.relative(path);
        if matches!(reason, FailureReason::Store(StoreError::Interrupted(_))) {
            self.interrupted = true;
        }
        self.failures.push(Failure { path, reason });
    }

    /// Whether to go on.
    fn goes_on(&mut self) -> bool {
        self.interrupted |= self.progress.check().is_err();
        !self.interrupted
    }

    fn open(&self, path: &Inner) -> std::result::Result<Dir, FailureReason> {
        let mut dir = Dir::open(&self.holder)?;
        for name in path.names() {
            dir = dir.open_dir(&dir.name(name)?)?;
        }
        Ok(dir)
    }

    /// Opens a directory that is written to, where it is now.
    fn open_work(&self, work: &DirWork) -> std::result::Result<Dir, FailureReason> {
        let Some(top) = work.fresh.and_then(|top| self.plan.works.get(top)) else {
            return self.open(&work.path);
        };
        let (Some(parent), Some(name)) = (top.path.parent(), top.path.file_name()) else {
            return Err(FailureReason::Name);
        };
        let parent = self.open(&parent)?;
        let mut dir = parent.open_dir(&aside(&name)?)?;
        for name in work.path.names().skip(top.path.names().count()) {
            dir = dir.open_dir(&dir.name(name)?)?;
        }
        Ok(dir)
    }

    /// Removes what killed processes left.
    fn clean(&mut self) {
        let root = self.plan.snapshot.scan.root.clone();
        for path in std::mem::take(&mut self.plan.snapshot.scan.leftovers) {
            // Whatever cannot be removed is in nobody's way.
            let on_disk = path.on_disk(&root);
            if !matches!(fs::remove_file(&on_disk), Ok(true)) {
                let _ = fs::remove_dir_all(&on_disk);
            }
        }
        // Beside the output, where no scan looks.
        if let Ok(temp) = super::write::temp_name(&self.plan.output) {
            let _ = fs::remove_file(&self.holder.join(temp.as_os()));
        }
    }

    /// Removes files, links, and directories that are empty then. Returns whether everything went.
    fn delete(&mut self) -> bool {
        let deletes = std::mem::take(&mut self.plan.deletes);
        let ok = self.touch(&deletes, |dir, name, _| Ok(dir.remove_file(name).map(|_| None)?));
        self.done.deleted = ok.len() as u64;
        let mut complete = ok.len() == deletes.iter().map(|touch| touch.entries.len()).sum::<usize>();
        for (at, _) in ok {
            self.row_mut(at, crate::workspace::table::Row::forget);
        }
        for path in std::mem::take(&mut self.plan.rmdirs).into_iter().rev() {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            match self.open(&parent).and_then(|dir| Ok(dir.remove_empty_dir(&name)?)) {
                Ok(true) => self.done.dirs_deleted += 1,
                // Something untracked is in it.
                Ok(false) => {}
                Err(reason) => {
                    complete = false;
                    self.fail(&path, reason);
                }
            }
        }
        complete && !self.interrupted
    }

    fn change_modes(&mut self) {
        let chmods = std::mem::take(&mut self.plan.chmods);
        let ok = self.touch(&chmods, |dir, name, executable| {
            let Some(stat) = dir.stat(name)? else {
                return Err(FailureReason::Changed);
            };
            // Whoever may read it may execute it, as with a new file and the umask.
            let mode = if executable {
                stat.mode & !0o111
            } else {
                stat.mode | 0o100 | ((stat.mode & 0o444) >> 2)
            };
            dir.set_mode(name, mode)?;
            Ok(dir.stat(name)?)
        });
        self.done.chmods = ok.len() as u64;
        for (at, stat) in ok {
            if let Some(stat) = stat {
                self.row_mut(at, |row| {
                    if let Some(id) = row.id() {
                        row.set_stat(&stat);
                        row.set_id(id, i64::MIN);
                    }
                });
            }
        }
    }

    /// Does `act` to entries that are still what the plan saw; it is told whether the entry is executable now.
    fn touch(
        &mut self,
        list: &[Touch],
        act: impl Fn(&Dir, &Name, bool) -> std::result::Result<Option<Stat>, FailureReason> + Sync,
    ) -> Vec<(RowRef, Option<Stat>)> {
        let this = &*self;
        let results: Vec<_> = list
            .par_iter()
            .flat_map(|touch| {
                touch
                    .entries
                    .par_chunks(ENTRIES_PER_TASK)
                    .map(move |part| (touch, part))
            })
            .flat_map_iter(|(touch, part)| {
                let opened = match this.progress.check() {
                    Ok(()) => this.open(&touch.dir),
                    Err(interrupted) => Err(FailureReason::Store(interrupted.into())),
                };
                let results: Vec<_> = match opened {
                    Err(reason) => vec![Err((touch.dir.clone(), reason))],
                    Ok(dir) => part
                        .iter()
                        .map(|(name, at)| {
                            let row = this.plan.row(*at);
                            check(&dir, name, row)
                                .and_then(|()| act(&dir, name, row.is_some_and(|row| row.is_executable())))
                                .map(|stat| (*at, stat))
                                .map_err(|reason| (touch.dir.join(name), reason))
                        })
                        .collect(),
                };
                results
            })
            .collect();
        let mut ok = Vec::new();
        for result in results {
            match result {
                Ok(done) => ok.push(done),
                Err((path, reason)) => self.fail(&path, reason),
            }
        }
        ok
    }

    fn row_mut(&mut self, at: RowRef, act: impl FnOnce(&mut crate::workspace::table::Row)) {
        let dirs = &mut self.plan.snapshot.scan.dirs;
        if let Some(row) = dirs.get_mut(at.0).and_then(|dir| dir.table.rows.get_mut(at.1)) {
            act(row);
        }
    }

    /// Makes the new directories, aside. Returns which works have theirs.
    fn make_dirs(&mut self) -> Vec<bool> {
        let mut made = vec![true; self.plan.works.len()];
        for i in 0..self.plan.works.len() {
            let work = &self.plan.works[i];
            let Some(top) = work.fresh else { continue };
            let (path, parent) = (work.path.clone(), work.parent);
            if parent.is_some_and(|parent| !made[parent]) || !self.goes_on() {
                made[i] = false;
                continue;
            }
            let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            let result = if top == i {
                self.open(&above).and_then(|dir| make_aside(&dir, &name))
            } else {
                let parent = parent.unwrap_or(top);
                self.open_work(&self.plan.works[parent]).and_then(|dir| {
                    if dir.create_dir(&name)? {
                        Ok(())
                    } else {
                        Err(FailureReason::Taken)
                    }
                })
            };
            match result {
                Ok(()) => self.done.dirs_created += 1,
                Err(reason) => {
                    made[i] = false;
                    self.fail(&path, reason);
                }
            }
        }
        made
    }

    /// Writes files and links: small ones in parallel, in the order in which they lie in packs; large ones one by one.
    fn write_entries(&mut self, made: &[bool]) -> Vec<Written> {
        let this = &*self;
        let tasks: Vec<(usize, &[Work])> = this
            .plan
            .works
            .iter()
            .enumerate()
            .filter(|(i, _)| made[*i])
            .flat_map(|(i, work)| work.entries.chunks(ENTRIES_PER_TASK).map(move |part| (i, part)))
            .collect();
        let mut written: Vec<Written> = tasks
            .par_iter()
            .map_init(
                || (Reader::new(&this.plan.cache), Vec::new()),
                |(reader, buffer), (work, part)| this.write_small(*work, part, reader, buffer),
            )
            .collect();
        // After the others, from this thread: the store's threads are busy with each of them alone.
        for (written, (work, part)) in written.iter_mut().zip(&tasks) {
            this.write_large(*work, part, written);
        }
        for task in &mut written {
            self.interrupted |= task.interrupted;
        }
        for (path, reason) in written.iter_mut().flat_map(|task| std::mem::take(&mut task.failures)) {
            let path = self.plan.relative(&path);
            self.interrupted |= matches!(reason, FailureReason::Store(StoreError::Interrupted(_)));
            self.failures.push(Failure { path, reason });
        }
        written
    }

    fn write_small(&self, index: usize, part: &[Work], reader: &mut Reader, buffer: &mut Vec<u8>) -> Written {
        let work = &self.plan.works[index];
        let mut written = Written {
            work: index,
            ..Written::default()
        };
        let mut jobs: Vec<(Option<Location>, &Work)> = Vec::with_capacity(part.len());
        for entry in part {
            match &entry.what {
                What::Link { .. } => jobs.push((None, entry)),
                What::File { id, size, .. } if *size <= chunk::MAX as u64 => {
                    match self.plan.cache.locate(&id.as_chunk()) {
                        Ok(Some(location)) => jobs.push((Some(location), entry)),
                        Ok(None) => written
                            .failures
                            .push((work.path.join(&entry.name), FailureReason::Missing)),
                        Err(error) => written.failures.push((work.path.join(&entry.name), error.into())),
                    }
                }
                What::File { .. } => {}
            }
        }
        if jobs.is_empty() {
            return written;
        }
        if self.progress.check().is_err() {
            written.interrupted = true;
            return written;
        }
        jobs.sort_unstable_by_key(|(location, _)| location.as_ref().map(|at| (at.pack, at.offset)));
        let dir = match self.open_work(work) {
            Ok(dir) => dir,
            Err(reason) => {
                written.failures.push((work.path.clone(), reason));
                return written;
            }
        };
        let mut progress = (0, 0);
        for (location, entry) in jobs {
            let place = self.place(work, &dir, entry);
            let result = match (&entry.what, location) {
                (What::Link { target }, _) => place.link(target).map(|()| None),
                (What::File { id, size, executable }, Some(location)) => reader
                    .chunk(&location, buffer)
                    .map_err(FailureReason::from)
                    .and_then(|()| {
                        if buffer.len() as u64 == *size {
                            place.small_file(buffer, *executable)
                        } else {
                            Err(FailureReason::Size)
                        }
                    })
                    .map(|stat| Some((stat, *id))),
                (What::File { .. }, None) => continue,
            };
            progress = (progress.0 + 1, progress.1 + written.note(work, entry, result));
        }
        self.progress.advance(progress.0, progress.1);
        written
    }

    fn write_large(&self, index: usize, part: &[Work], written: &mut Written) {
        let work = &self.plan.works[index];
        let mut opened = None;
        for entry in part {
            let What::File { id, size, executable } = &entry.what else {
                continue;
            };
            if *size <= chunk::MAX as u64 {
                continue;
            }
            if self.progress.check().is_err() {
                written.interrupted = true;
                return;
            }
            let dir = match &opened {
                Some(dir) => dir,
                None => match self.open_work(work) {
                    Ok(dir) => opened.insert(dir),
                    Err(reason) => {
                        written.failures.push((work.path.clone(), reason));
                        return;
                    }
                },
            };
            let place = self.place(work, dir, entry);
            let result = place.large_file(&self.plan.cache, *id, *size, *executable, self.progress);
            written.note(work, entry, result.map(|stat| Some((stat, *id))));
            self.progress.advance(1, 0);
        }
    }

    fn place<'p>(&'p self, work: &DirWork, dir: &'p Dir, entry: &'p Work) -> Place<'p> {
        Place {
            dir,
            hidden: work.fresh.is_some(),
            name: &entry.name,
            replaces: entry.replaces.and_then(|at| self.plan.row(at)),
            over: entry.over,
        }
    }

    /// Gives the new directories their names, complete or not: what they hold is.
    fn put_in_place(&mut self, made: &[bool], written: &mut [Written]) {
        let mut lost = vec![false; made.len()];
        for i in 0..made.len() {
            let work = &self.plan.works[i];
            let Some(top) = work.fresh.filter(|_| made[i]) else {
                continue;
            };
            if top != i {
                lost[i] = lost[top];
                continue;
            }
            let path = work.path.clone();
            let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            let result = self.open(&above).and_then(|dir| publish_dir(&dir, &name));
            if let Err(reason) = result {
                lost[i] = true;
                self.fail(&path, reason);
            }
        }
        for task in written.iter_mut().filter(|task| lost[task.work]) {
            *task = Written {
                work: task.work,
                ..Written::default()
            };
        }
    }

    /// Says which name was taken for another, where it was not the same.
    fn name_collisions(&mut self) {
        let fold = |name: &Name| String::from_utf8_lossy(name.as_bytes()).to_lowercase();
        let mut listed: Option<(Inner, HashMap<String, Name>)> = None;
        let mut failures = std::mem::take(&mut self.failures);
        let output = RepoPath::root().join(&self.plan.output);
        for failure in failures.iter_mut().filter(|f| matches!(f.reason, FailureReason::Taken)) {
            let path = output.join_path(&failure.path);
            let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            if listed.as_ref().is_none_or(|(dir, _)| *dir != above) {
                let entries = self
                    .open(&above)
                    .ok()
                    .and_then(|dir| dir.list().ok())
                    .unwrap_or_default();
                let names = entries.into_iter().map(|entry| (fold(&entry.name), entry.name));
                listed = Some((above, names.collect()));
            }
            if let Some(other) = listed.as_ref().and_then(|(_, names)| names.get(&fold(&name)))
                && *other != name
            {
                failure.reason = FailureReason::Collision { other: other.clone() };
            }
        }
        self.failures = failures;
    }

    /// Writes the state: what was there and stays, and what was written.
    fn record(&mut self, to: &StateFile, written: Vec<Written>, settled: bool) -> Result<()> {
        let mut new: HashMap<RepoPath, ScannedDir> = HashMap::new();
        let now = now_ns();
        for mut task in written {
            // What was hashed before the plan is as racy as it was; only what was written is known to be right now.
            task.table.rows.iter_mut().for_each(|row| row.settle(now));
            self.done.created += task.created;
            self.done.replaced += task.replaced.len() as u64;
            self.done.bytes += task.bytes;
            for at in task.replaced {
                self.row_mut(at, crate::workspace::table::Row::forget);
            }
            let inner = &self.plan.works[task.work].path;
            // An output that is a file is recorded in a directory of its own, the root.
            let path = self.plan.relative(inner);
            let dir = match self.plan.snapshot.scan.index(&path) {
                Some(i) => &mut self.plan.snapshot.scan.dirs[i],
                None => new.entry(path.clone()).or_insert_with(|| ScannedDir {
                    path: path.clone(),
                    ..ScannedDir::default()
                }),
            };
            if !dir.table.append(&task.table) {
                return Err(WorkspaceError::TooManyNames(path));
            }
        }
        if !self.plan.recorded {
            return Ok(());
        }
        let scan = &mut self.plan.snapshot.scan;
        scan.dirs.extend(new.into_values());
        scan.dirs.par_sort_unstable_by(|a, b| a.path.cmp(&b.path));
        scan.dirs.par_iter_mut().for_each(|dir| dir.table.sort());
        // Before everything old is gone, what is left of it still counts as tracked.
        let base = if settled {
            self.plan.new_base
        } else {
            self.plan.old_base
        };
        let unfinished = self.plan.unfinished || self.interrupted || !self.failures.is_empty();
        let dirs = scan.dirs.iter().map(|dir| (&dir.path, &dir.table));
        state::write(to, (base, unfinished), &self.plan.new_scopes, dirs)
    }
}

impl Written {
    /// Notes how an entry went; returns the bytes that were written.
    fn note(
        &mut self,
        work: &DirWork,
        entry: &Work,
        result: std::result::Result<Option<(Stat, FileId)>, FailureReason>,
    ) -> u64 {
        let written = match result {
            Ok(written) => written,
            Err(reason) => {
                self.failures.push((work.path.join(&entry.name), reason));
                return 0;
            }
        };
        match entry.replaces {
            Some(at) => self.replaced.push(at),
            None => self.created += 1,
        }
        let Some((stat, id)) = written else { return 0 };
        // A table of one task never overflows.
        self.table.push_written(entry.name.as_bytes(), &stat, *id.as_bytes());
        self.bytes += stat.size;
        stat.size
    }
}

/// Makes the directory in which `name` will be filled, after removing what a killed run left of it.
fn make_aside(dir: &Dir, name: &Name) -> std::result::Result<(), FailureReason> {
    check(dir, name, None)?;
    let aside = aside(name)?;
    if !dir.create_dir(&aside)? {
        fs::remove_dir_all(&dir.path().join(aside.as_os()))?;
        if !dir.create_dir(&aside)? {
            return Err(FailureReason::Taken);
        }
    }
    Ok(())
}

fn publish_dir(dir: &Dir, name: &Name) -> std::result::Result<(), FailureReason> {
    let aside = aside(name)?;
    let published = check(dir, name, None).and_then(|()| Ok(dir.rename(&aside, name)?));
    if published.is_err() {
        let _ = fs::remove_dir_all(&dir.path().join(aside.as_os()));
    }
    published
}
