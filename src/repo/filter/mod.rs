//! The filter for transparent files: git's content in, pointers out, and back. Runs as a process beside one git
//! command and does all its files.
//!
//! # When content is safe
//!
//! Git cleans files one after the other, waits for each answer, writes each answer as a blob, and writes its index (or
//! a commit) after the last one. It does not tell the filter which is the last: the filter's input ends after the
//! index has its name, when git waits for the filter before it ends itself (`subprocess_exit_handler` in git's
//! `sub-process.c`). A pointer counts as soon as the index names it; a blob that nothing names harms nobody. So an
//! answer must not be given before its content is safe, and to sync a pack for each of 10,000 small files would take
//! minutes. What is done instead:
//!
//! - A file up to [`Journal::MAX_FILE`] is appended to a [`Journal`] before the answer. If this process is killed then,
//!   at any time, whoever opens the cache next takes the content in; gc does so before it looks for what to remove.
//! - A larger file is a transaction of its own, committed before the answer.
//! - The journal is put into packs and synced when it is large, when git asks nothing for a moment, and when git hangs
//!   up; git itself returns only after that. Up to then, a machine that loses power may lose both the content and, as
//!   git by default syncs neither loose blobs nor the index, git's part; the content is still in the work tree then.
//! - An error on the way is the answer, and since the filter is required, git stops. If only the last step fails, the
//!   journal stays, the next command finds it, and the failure is said.
//!
//! # What cannot be had
//!
//! Checkout goes on: the pointer's text is left in the place of content that is neither in the cache nor on the remote,
//! as git sees that as unchanged, and `modver pull` brings it later. What is missing is fetched in one batch for all
//! files of a checkout, as git lets such answers wait (`delay`); where it does not, one by one.
//!
//! No lock of the workspace is taken: git holds its own, and commands of modver that hold it run git. The cache is held
//! while git asks ([`session`]).

mod session;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use session::{Desk, Idle, Session, lock};

use super::transfer::MAX_PATHS;
use super::{OpenOptions, RepoError, Repository, Result};
use crate::causes::in_one_line;
use crate::fs::TempFile;
use crate::git::{Filter, FilterRequest, Smudged, TransparentPointer, looks_like_pointer, serve};
use crate::object::Root;
use crate::path::quote;
use crate::remote::Wanted;
use crate::store::{Cache, Journal, PackKind, StoreError};

/// Content that has to be held back, and is no pointer, up to this many bytes in memory.
const HELD: usize = 1 << 20;

/// What a filter did not do as git would expect.
#[derive(Debug, Default, serde::Serialize)]
pub struct FilterOutcome {
    /// Files whose pointer was left in the work tree because their content could not be had.
    pub missing: u64,
    /// The first of them, as git names them.
    pub missing_paths: Vec<String>,
    /// Why, as far as there is more to say than that it is nowhere.
    pub reason: Option<String>,
    /// Files that could not be filtered, and why; git has failed for them.
    pub failed: Vec<(String, String)>,
    /// Files that begin as pointers do, are none, and so were stored as content: perhaps somebody edited a pointer.
    pub edited: u64,
    /// The first of them.
    pub edited_paths: Vec<String>,
}

impl Repository {
    /// Speaks git's filter protocol until git hangs up. `skip_smudge` leaves pointers in the work tree.
    ///
    /// # Errors
    /// When it is not git that speaks, or what was cleaned could not be put into packs; it is kept in a journal then.
    pub fn filter(
        options: &OpenOptions,
        skip_smudge: bool,
        input: impl Read + Send,
        output: impl Write,
    ) -> Result<FilterOutcome> {
        let repository = Self::open(options)?;
        let desk = Desk::new();
        let idle = Idle::watch(&desk)?;
        let mut filter = Worker {
            skip: skip_smudge || !repository.config.smudge(),
            options,
            repository: &repository,
            desk: Arc::clone(&desk),
            delayed: BTreeMap::new(),
            ready: BTreeMap::new(),
            buffer: Vec::new(),
            outcome: FilterOutcome::default(),
        };
        let served = serve(input, output, &mut filter);
        idle.stop();
        let outcome = std::mem::take(&mut filter.outcome);
        lock(&desk).finish()?;
        match served {
            Ok(()) => Ok(outcome),
            // What made git hang up is what there is to say.
            Err(_) if !outcome.failed.is_empty() => Ok(outcome),
            Err(error) => Err(error.into()),
        }
    }
}

struct Worker<'a> {
    skip: bool,
    options: &'a OpenOptions,
    repository: &'a Repository,
    desk: Arc<Mutex<Desk>>,
    /// What git was told to ask for later.
    delayed: BTreeMap<Vec<u8>, TransparentPointer>,
    /// What git was told it may ask for now.
    ready: BTreeMap<Vec<u8>, TransparentPointer>,
    buffer: Vec<u8>,
    outcome: FilterOutcome,
}

/// Why content was not handed to git.
enum Stop {
    Store(StoreError),
    Output,
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A file could not be filtered; why is in the outcome.
struct Failed;

type Out<'a> = &'a mut dyn FnMut(&[u8]) -> io::Result<()>;

impl Filter for Worker<'_> {
    type Failed = Failed;

    fn clean(
        &mut self,
        request: &FilterRequest,
        content: &mut (dyn Read + Send),
    ) -> std::result::Result<Vec<u8>, Failed> {
        let desk = Arc::clone(&self.desk);
        let mut desk = lock(&desk);
        let cleaned = self.store(&mut desk, request, content);
        desk.answered();
        cleaned.map_err(|error| self.failed(request, &error))
    }

    fn smudge(
        &mut self,
        request: &FilterRequest,
        stored: &mut (dyn Read + Send),
        out: Out<'_>,
    ) -> std::result::Result<Smudged, Failed> {
        let desk = Arc::clone(&self.desk);
        let mut desk = lock(&desk);
        let smudged = match desk.session(self.repository) {
            Ok(session) => self.smudge_from(session, request, stored, out),
            Err(error) => Err(self.failed(request, &error)),
        };
        desk.answered();
        smudged
    }

    fn available(&mut self) -> Vec<Vec<u8>> {
        let delayed = std::mem::take(&mut self.delayed);
        let wanted: Vec<TransparentPointer> = delayed.values().copied().collect();
        if !wanted.is_empty() {
            let desk = Arc::clone(&self.desk);
            let mut desk = lock(&desk);
            // If it cannot be opened, handing out says so.
            if let Ok(session) = desk.session(self.repository) {
                self.fetch(&session.cache, &wanted);
            }
            desk.answered();
        }
        let paths = delayed.keys().cloned().collect();
        self.ready.extend(delayed);
        paths
    }
}

impl Worker<'_> {
    fn smudge_from(
        &mut self,
        session: &mut Session,
        request: &FilterRequest,
        stored: &mut (dyn Read + Send),
        out: Out<'_>,
    ) -> std::result::Result<Smudged, Failed> {
        let mut head = Vec::new();
        let read = stored
            .take(TransparentPointer::MAX_LEN as u64 + 1)
            .read_to_end(&mut head);
        if let Err(error) = read {
            return Err(self.failed(request, &RepoError::FilterInput(error)));
        }
        let cache = &session.cache;
        if head.is_empty() {
            return match self.ready.remove(&request.path) {
                Some(pointer) => self.hand_out(cache, request, &pointer, out),
                None => Ok(Smudged::Done),
            };
        }
        let Some(pointer) = TransparentPointer::parse(&head).filter(|_| !self.skip) else {
            return self.pass_through(cache, request, &head, stored, out);
        };
        // Most files are of one chunk, here, and looked up once.
        if let Ok(true) = session.reader.small_file(&pointer.id, &mut self.buffer) {
            return out(&self.buffer).map(|()| Smudged::Done).map_err(|_| Failed);
        }
        match cache.contains(&pointer.id) {
            Ok(true) => {}
            Ok(false) if request.can_delay => {
                self.delayed.insert(request.path.clone(), pointer);
                return Ok(Smudged::Later);
            }
            Ok(false) => self.fetch(cache, &[pointer]),
            Err(error) => return Err(self.failed(request, &error.into())),
        }
        self.hand_out(cache, request, &pointer, out)
    }

    /// Stores content and returns its pointer.
    fn store(
        &mut self,
        desk: &mut Desk,
        request: &FilterRequest,
        content: &mut (dyn Read + Send),
    ) -> Result<Vec<u8>> {
        self.buffer.clear();
        let limit = Journal::MAX_FILE as u64 + 1;
        let read = (&mut *content).take(limit).read_to_end(&mut self.buffer);
        read.map_err(RepoError::FilterInput)?;
        // An empty file is as small as it gets, and what git expects of an intended one.
        if self.buffer.is_empty() || TransparentPointer::parse(&self.buffer).is_some() {
            return Ok(self.buffer.clone());
        }
        if looks_like_pointer(&self.buffer) {
            self.outcome.edited += 1;
            if self.outcome.edited_paths.len() < MAX_PATHS {
                self.outcome.edited_paths.push(quote(&request.path).into_owned());
            }
        }
        let session = desk.session(self.repository)?;
        let (id, size) = if self.buffer.len() <= Journal::MAX_FILE {
            (session.journal.add(&self.buffer)?, self.buffer.len() as u64)
        } else {
            let transaction = session.cache.transaction(&self.repository.progress)?;
            let name = quote(&request.path);
            let mut whole = (&self.buffer[..]).chain(content);
            match transaction.add_reader(PackKind::Data, &mut whole, Path::new(&*name)) {
                Ok(added) => {
                    transaction.commit()?;
                    added
                }
                Err(error) => return Err(transaction.cause(error).into()),
            }
        };
        desk.answered_for(id);
        Ok(TransparentPointer { id, size }.to_bytes())
    }

    /// Writes the content of a pointer, or, where it cannot be had, the pointer.
    fn hand_out(
        &mut self,
        cache: &Cache,
        request: &FilterRequest,
        pointer: &TransparentPointer,
        out: Out<'_>,
    ) -> std::result::Result<Smudged, Failed> {
        let mut begun = false;
        let copied = cache.copy_file::<Stop>(pointer.id, &mut |bytes| {
            begun = true;
            out(bytes).map_err(|_| Stop::Output)
        });
        match copied {
            Ok(_) => Ok(Smudged::Done),
            // The conversation is over, and says so itself.
            Err(Stop::Output) => Err(Failed),
            Err(Stop::Store(error)) if begun => Err(self.failed(request, &error.into())),
            Err(Stop::Store(error)) => {
                if !matches!(error, StoreError::MissingFile(_)) {
                    self.outcome.reason.get_or_insert(in_one_line(&error));
                }
                self.outcome.missing += 1;
                if self.outcome.missing_paths.len() < MAX_PATHS {
                    self.outcome.missing_paths.push(quote(&request.path).into_owned());
                }
                out(&pointer.to_bytes()).map(|()| Smudged::Done).map_err(|_| Failed)
            }
        }
    }

    /// Hands out what is no pointer as it is: git takes nothing before it has sent everything, so it is held that long.
    fn pass_through(
        &mut self,
        cache: &Cache,
        request: &FilterRequest,
        head: &[u8],
        rest: &mut (dyn Read + Send),
        out: Out<'_>,
    ) -> std::result::Result<Smudged, Failed> {
        let passed = hold_and_pass(cache, head, rest, out);
        passed
            .map(|()| Smudged::Done)
            .map_err(|error| self.failed(request, &error))
    }

    /// Brings what it can of these into the cache; why not more is in the outcome.
    fn fetch(&mut self, cache: &Cache, pointers: &[TransparentPointer]) {
        if let Err(error) = self.try_fetch(cache, pointers) {
            self.outcome.reason.get_or_insert(in_one_line(&error));
        }
    }

    fn try_fetch(&self, cache: &Cache, pointers: &[TransparentPointer]) -> Result<()> {
        // The settings may have come with this very checkout.
        let repository = Repository::open(self.options)?;
        let remote = repository.remote(None)?;
        let wanted: Vec<Wanted> = pointers
            .iter()
            .map(|pointer| Wanted {
                root: Root::File(pointer.id),
                parts: Vec::new(),
                lineage: Vec::new(),
            })
            .collect();
        let plan = remote.plan_fetch(cache, &wanted)?;
        let fetched = plan.execute(&remote, cache)?;
        match fetched.failed.into_iter().next() {
            None => Ok(()),
            Some((_, error)) => Err(RepoError::FilterFetch(error)),
        }
    }

    fn failed(&mut self, request: &FilterRequest, error: &RepoError) -> Failed {
        if self.outcome.failed.len() < MAX_PATHS {
            let path = quote(&request.path).into_owned();
            self.outcome.failed.push((path, in_one_line(error)));
        }
        Failed
    }
}

fn hold_and_pass(cache: &Cache, head: &[u8], rest: &mut (dyn Read + Send), out: Out<'_>) -> Result<()> {
    let mut whole = head.chain(rest);
    let mut held = Vec::new();
    let read = (&mut whole).take(HELD as u64).read_to_end(&mut held);
    read.map_err(RepoError::FilterInput)?;
    let mut spool: Option<TempFile> = None;
    let mut buffer = vec![0; 64 * 1024];
    let mut spooled = 0;
    loop {
        let n = whole.read(&mut buffer).map_err(RepoError::FilterInput)?;
        if n == 0 {
            break;
        }
        let file = match &mut spool {
            Some(file) => file,
            none => none.insert(TempFile::create_in(&cache.tmp_dir())?),
        };
        file.write_all(&buffer[..n])?;
        spooled += n as u64;
    }
    out(&held).map_err(RepoError::FilterOutput)?;
    if let Some(file) = spool {
        let mut at = 0;
        while at < spooled {
            let n = (spooled - at).min(buffer.len() as u64) as usize;
            crate::fs::read_exact_at(file.file(), file.path(), &mut buffer[..n], at)?;
            out(&buffer[..n]).map_err(RepoError::FilterOutput)?;
            at += n as u64;
        }
    }
    Ok(())
}
