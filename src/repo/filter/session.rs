//! The cache as the filter uses it: open while git asks, and let go of when it asks nothing.
//!
//! A git command may wait for something else while its filter runs: an editor, a hook. If that is `modver gc`, which
//! needs the cache alone, and the filter kept its share of it, each would wait for the other for ever. What was
//! cleaned since git started is pinned meanwhile, as git's index may not name it yet.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::hash::FileId;
use crate::repo::{Repository, Result};
use crate::store::{Cache, Journal, Pins, Reader, StoreError};

/// How long git may ask nothing before what was cleaned is put into packs, and the cache let go of.
const IDLE: Duration = Duration::from_millis(100);

/// The cache, held.
pub(super) struct Session {
    pub(super) cache: Cache,
    pub(super) reader: Reader,
    pub(super) journal: Journal,
}

/// The cache, held or not, and what was answered for.
pub(super) struct Desk {
    session: Option<Session>,
    /// What was cleaned and is not pinned: as long as the cache is held, nothing needs to be.
    cleaned: Vec<FileId>,
    pins: Pins,
    /// When git last asked for something.
    last: Instant,
}

impl Desk {
    pub(super) fn new() -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            session: None,
            cleaned: Vec::new(),
            pins: Pins::new(),
            last: Instant::now(),
        }))
    }

    /// The cache; waits for whoever removes from it now.
    pub(super) fn session(&mut self, repository: &Repository) -> Result<&mut Session> {
        let session = match self.session.take() {
            Some(session) => session,
            None => {
                let cache = repository.cache_for_a_while()?;
                Session {
                    reader: Reader::new(&cache),
                    journal: Journal::new(&cache, repository.progress()),
                    cache,
                }
            }
        };
        Ok(self.session.insert(session))
    }

    /// Git was answered that this is stored.
    pub(super) fn answered_for(&mut self, id: FileId) {
        self.cleaned.push(id);
    }

    /// Git has its answer.
    pub(super) fn answered(&mut self) {
        self.last = Instant::now();
    }

    /// Lets go of the cache. When that fails, it is held as before.
    fn release(&mut self) -> std::result::Result<(), StoreError> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        session.journal.settle()?;
        self.pins.add(&session.cache, &self.cleaned)?;
        self.cleaned.clear();
        self.session.take().map_or(Ok(()), |session| session.journal.finish())
    }

    /// Lets go of the cache for good: git has written down what it was answered.
    pub(super) fn finish(&mut self) -> std::result::Result<(), StoreError> {
        if let Some(session) = &mut self.session {
            session.journal.settle()?;
        }
        self.session.take().map_or(Ok(()), |session| session.journal.finish())
    }
}

pub(super) fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread that lets go of the cache when git asks nothing.
pub(super) struct Idle {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Idle {
    pub(super) fn watch(desk: &Arc<Mutex<Desk>>) -> Result<Self> {
        let (stop, stopped) = bounded(0);
        let desk = Arc::clone(desk);
        let watch = move || {
            while stopped.recv_timeout(IDLE) == Err(RecvTimeoutError::Timeout) {
                let mut desk = lock(&desk);
                if desk.last.elapsed() >= IDLE {
                    // What fails here is tried again at the end, and said then.
                    let _ = desk.release();
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("filter-idle".into())
            .spawn(watch)
            .map_err(StoreError::Thread)?;
        Ok(Self { stop, thread })
    }

    pub(super) fn stop(self) {
        drop(self.stop);
        // It does not panic.
        let _ = self.thread.join();
    }
}
