//! Uploading packs in the background while the next ones are filled.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, bounded};

use super::super::error::{RemoteError, Result};
use super::super::store::{RemoteStore, pack_key};
use super::super::transport::Body;
use super::journal::Journal;
use crate::fs;
use crate::hash::PackId;
use crate::store::pack::SealedPack;
use crate::store::{PackKind, Slot};

/// A pack that is on the remote.
#[derive(Debug)]
pub(super) struct Uploaded {
    pub(super) number: u32,
    pub(super) id: PackId,
    pub(super) kind: PackKind,
    pub(super) file_len: u64,
    pub(super) slots: Vec<Slot>,
    pub(super) journal: PathBuf,
}

/// A pack that the remote does not take.
#[derive(Debug)]
pub(super) struct RefusedPack {
    pub(super) number: u32,
    /// Bytes of its bodies, and how many there are.
    pub(super) bytes: u64,
    pub(super) chunks: u64,
    pub(super) error: Arc<RemoteError>,
}

/// What became of the packs of an [`Uploader`].
#[derive(Debug, Default)]
pub(super) struct Uploads {
    pub(super) there: Vec<Uploaded>,
    pub(super) refused: Vec<RefusedPack>,
}

/// Threads that upload; at most a pack each, and one waiting.
pub(super) struct Uploader {
    remote: Arc<RemoteStore>,
    inbox: Option<Sender<(u32, SealedPack)>>,
    done: Arc<Mutex<Result<Uploads>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Uploader {
    pub(super) fn start(remote: &Arc<RemoteStore>) -> Self {
        let (inbox, outbox) = bounded::<(u32, SealedPack)>(0);
        let done = Arc::new(Mutex::new(Ok(Uploads::default())));
        let threads = (0..remote.jobs().min(8))
            .map(|_| {
                let (outbox, done, remote) = (outbox.clone(), Arc::clone(&done), Arc::clone(remote));
                std::thread::spawn(move || {
                    for (number, pack) in outbox {
                        let (chunks, bytes) = (pack.slots.len() as u64, stored_len(&pack.slots));
                        let result = remote.judge_upload(upload(&remote, number, pack));
                        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                        match (result, &mut *done) {
                            (Ok(Ok(uploaded)), Ok(uploads)) => uploads.there.push(uploaded),
                            // Others may be taken.
                            (Ok(Err(error)), Ok(uploads)) => {
                                uploads.refused.push(RefusedPack {
                                    number,
                                    bytes,
                                    chunks,
                                    error: Arc::new(error),
                                });
                            }
                            // The first error is the one that is reported; nothing more is sent after it.
                            (Err(error), Ok(_)) => *done = Err(error),
                            (_, Err(_)) => {}
                        }
                        if done.is_err() {
                            break;
                        }
                    }
                })
            })
            .collect();
        Self {
            remote: Arc::clone(remote),
            inbox: Some(inbox),
            done,
            threads,
        }
    }

    /// Hands over a pack; waits until a thread is free.
    pub(super) fn send(&mut self, number: u32, pack: SealedPack) -> Result<()> {
        // A pack of this name may be deleted, now or later: it gets another one.
        let pack = if self.remote.is_condemned_pack(&pack.id) {
            pack.salted(fs::random()?)?
        } else {
            pack
        };
        let failed = self.done.lock().unwrap_or_else(PoisonError::into_inner).is_err();
        match &self.inbox {
            Some(inbox) if !failed && inbox.send((number, pack)).is_ok() => Ok(()),
            _ => Err(self.finish().err().unwrap_or(RemoteError::UploaderGone)),
        }
    }

    /// Waits for all uploads.
    pub(super) fn finish(&mut self) -> Result<Uploads> {
        self.inbox = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                return Err(RemoteError::UploaderGone);
            }
        }
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *done, Ok(Uploads::default()))
    }
}

impl Drop for Uploader {
    fn drop(&mut self) {
        // Uploads under way are finished, so that the journal knows them.
        let _ = self.finish();
    }
}

fn stored_len(slots: &[Slot]) -> u64 {
    slots.iter().map(|slot| u64::from(slot.stored_len)).sum()
}

fn upload(remote: &RemoteStore, number: u32, pack: SealedPack) -> Result<Uploaded> {
    remote.progress.check()?;
    let body = Body::file(pack.path());
    remote.put_named(&pack_key(pack.id), &body, pack.file_len)?;
    remote.progress.advance(0, pack.file_len);
    let journal = Journal::note(remote, pack.id, pack.kind, pack.file_len, &pack.slots)?;
    Ok(Uploaded {
        number,
        id: pack.id,
        kind: pack.kind,
        file_len: pack.file_len,
        slots: pack.slots,
        journal,
    })
}
