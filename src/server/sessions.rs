//! Resumable uploads: the client opens a session for an object, appends to it as often as it takes, and says which append
//! is the last.
//!
//! The id of a session follows from who sends what under which key, so that a client that was killed finds its session
//! again without having noted anything. Only objects whose key says their hash are uploaded in this way: what was sent
//! in several parts, perhaps by several processes, is one object if its hash is right.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};

use super::answer::{Answer, Refusal, empty, set_number};
use super::record::Record;
use super::routes::State;
use super::spool::{self, Sink, Spool};
use super::upload::{self, Target, blocking};
use super::usage::Reservation;
use crate::causes::in_one_line;
use crate::fs::{self, AppendFile};
use crate::hash::{FileId, Hasher};
use crate::remote::transport::{OFFSET_HEADER, PutMode};

/// How long a client waits for one that holds its session.
const TURN: Duration = Duration::from_secs(10);
/// Uploads of one client that may have begun.
const BEGUN: usize = 1000;
/// Bytes read at a time to hash what arrived earlier.
const PIECE: usize = 1 << 20;
/// What names of files of sessions end with.
const SUFFIX: &str = ".part";

/// What was hashed of a session's file, so that it need not be read again.
struct Hashed {
    hasher: Hasher,
    bytes: u64,
}

/// One upload that has begun.
pub(super) struct Session {
    id: String,
    who: String,
    target: Target,
    mode: PutMode,
    length: u64,
    path: PathBuf,
    room: Mutex<Option<Reservation>>,
    hashed: tokio::sync::Mutex<Option<Hashed>>,
    /// Ends an append whose client is gone without saying so, when it comes again.
    again: tokio::sync::Notify,
    used: Mutex<Instant>,
}

/// All uploads that have begun.
pub(super) struct Sessions {
    dir: PathBuf,
    expiry: Duration,
    open: Mutex<HashMap<String, Arc<Session>>>,
}

impl Sessions {
    pub(super) fn new(dir: &Path, expiry: Duration) -> Self {
        Self {
            dir: dir.to_owned(),
            expiry,
            open: Mutex::default(),
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self) -> usize {
        self.open().len()
    }

    /// Opens a session, or finds the one that was opened before.
    pub(super) async fn begin(state: &Arc<State>, target: Target, mode: PutMode, length: u64, who: &str) -> Answer {
        if target.entry.hash.is_none() {
            return Err(Refusal::bad(
                "only objects that are named by their content are uploaded in parts",
            ));
        }
        let Target { repository, key, .. } = &target;
        let id = FileId::of(format!("{who}\n{repository}\n{key}\n{length}\n{mode:?}").as_bytes()).to_string();
        let id = id[..32].to_owned();
        let known = state.sessions.open().get(&id).cloned();
        let session = match known {
            Some(session) => session,
            None => {
                let begun = state.sessions.open().values().filter(|open| open.who == who).count();
                if begun >= BEGUN {
                    return Err(Refusal::new(
                        StatusCode::TOO_MANY_REQUESTS,
                        format!("{begun} uploads with this token have begun and did not end"),
                    )
                    .with(RETRY_AFTER, "60"));
                }
                let room = upload::prepare(state, &target, mode, length).await?;
                let session = Arc::new(Session {
                    path: state.sessions.dir.join(format!("{id}{SUFFIX}")),
                    id: id.clone(),
                    who: who.to_owned(),
                    target,
                    mode,
                    length,
                    room: Mutex::new(Some(room)),
                    hashed: tokio::sync::Mutex::default(),
                    again: tokio::sync::Notify::new(),
                    used: Mutex::new(Instant::now()),
                });
                // Of two that open it at once, one is kept.
                Arc::clone(state.sessions.open().entry(id).or_insert(session))
            }
        };
        session.touch();
        let offset = {
            let (state, session) = (Arc::clone(state), Arc::clone(&session));
            blocking(move || {
                let Target { repository, key, .. } = &session.target;
                if mode == PutMode::IfAbsent && state.storage.stat(repository, key)?.is_some() {
                    state.sessions.forget(&session);
                    return Err(Refusal::existed());
                }
                session.offset()
            })
            .await?
        };
        let text = serde_json::json!({ "upload": session.id, "offset": offset }).to_string();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = StatusCode::CREATED;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        set_number(&mut response, HeaderName::from_static(OFFSET_HEADER), offset);
        Ok(response)
    }

    /// A session that was opened by this client for this object.
    pub(super) fn find(&self, id: &str, target: &Target, who: &str) -> Result<Arc<Session>, Refusal> {
        let session = self.open().get(id).cloned();
        session
            .filter(|session| {
                let theirs = &session.target;
                session.who == who && theirs.repository == target.repository && theirs.key == target.key
            })
            .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "there is no such upload; begin it again"))
    }

    fn forget(&self, session: &Session) {
        self.open().remove(&session.id);
    }

    /// Ends a session without result.
    pub(super) async fn abandon(state: &Arc<State>, session: Arc<Session>) -> Answer {
        session.again.notify_waiters();
        let _turn = session.turn().await?;
        state.sessions.forget(&session);
        fs::remove_file(&session.path).map_err(|error| Refusal::failed(in_one_line(&error)))?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    /// Removes what nobody has gone on with for long; also what an earlier server left. Blocks.
    pub(super) fn sweep(&self) -> fs::Result<()> {
        self.open().retain(|_, session| {
            let used = *session.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.elapsed() < self.expiry
        });
        let now = SystemTime::now();
        for name in fs::list(&self.dir)? {
            let Some(id) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else {
                continue;
            };
            let path = self.dir.join(&name);
            let stat = fs::stat(&path)?;
            let old =
                stat.is_some_and(|stat| now.duration_since(stat.modified()).is_ok_and(|age| age >= self.expiry));
            if old && !self.open().contains_key(id) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

impl Session {
    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Bytes that have arrived. Blocks.
    pub(super) fn offset(&self) -> Result<u64, Refusal> {
        let failed = |error: fs::FsError| Refusal::failed(in_one_line(&error));
        let size = fs::stat(&self.path).map_err(failed)?.map_or(0, |stat| stat.size);
        if size > self.length {
            fs::remove_file(&self.path).map_err(failed)?;
            return Ok(0);
        }
        Ok(size)
    }

    async fn turn(&self) -> Result<tokio::sync::MutexGuard<'_, Option<Hashed>>, Refusal> {
        match tokio::time::timeout(TURN, self.hashed.lock()).await {
            Ok(turn) => Ok(turn),
            Err(_) => Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "another request works on this upload",
            )),
        }
    }

    /// The file, with what it holds hashed. Blocks.
    fn spool(&self, hashed: Option<Hashed>) -> fs::Result<Option<(Spool, u64)>> {
        let file = match AppendFile::create(&self.path)? {
            Some(file) => file,
            None => match AppendFile::take_over(&self.path)? {
                Some(file) => file,
                None => return Ok(None),
            },
        };
        let size = file.size()?;
        let hasher = match hashed.filter(|hashed| hashed.bytes == size) {
            Some(hashed) => hashed.hasher,
            None => {
                let mut hasher = Hasher::new();
                let mut at = 0;
                while at < size {
                    let len = PIECE.min(usize::try_from(size - at).unwrap_or(PIECE));
                    let mut piece = vec![0; len];
                    file.read_exact_at(&mut piece, at)?;
                    hasher.update(&piece);
                    at += len as u64;
                }
                hasher
            }
        };
        let sink = Sink::Session(file);
        Ok(Some((Spool { sink, hasher }, size)))
    }

    /// Appends a request's content; with `last`, the object is complete then.
    pub(super) async fn append(
        self: Arc<Self>,
        state: &Arc<State>,
        offset: u64,
        length: u64,
        last: bool,
        body: Body,
        record: &Record,
    ) -> Answer {
        let _active = state.metrics.upload();
        self.again.notify_waiters();
        let mut turn = self.turn().await?;
        self.touch();
        let mut tries = 0;
        let (spool, size) = loop {
            let (session, hashed) = (Arc::clone(&self), turn.take());
            let opened = blocking(move || {
                session
                    .spool(hashed)
                    .map_err(|error| Refusal::failed(in_one_line(&error)))
            });
            match opened.await? {
                Some(opened) => break opened,
                // A write of the append that ended is still under way.
                None if tries < 100 => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                None => return Err(Refusal::failed("the upload's file stays locked")),
            }
        };
        if offset != size {
            spool::drain(body, state.patience.idle, record).await;
            *turn = Some(Hashed {
                hasher: spool.hasher,
                bytes: size,
            });
            return Err(Refusal::offset(size));
        }
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            spool::drain(body, state.patience.idle, record).await;
            return Err(Refusal::bad("the upload would be longer than was announced"));
        }
        let again = self.again.notified();
        let mut again = std::pin::pin!(again);
        again.as_mut().enable();
        let (spool, received) = tokio::select! {
            done = spool::receive(body, spool, length, state.patience.idle, record) => done,
            () = again => return Err(Refusal::new(StatusCode::CONFLICT, "the client came again")),
        };
        self.touch();
        let Some(spool) = spool else {
            let refusal = received.err().unwrap_or_else(|| Refusal::failed("the spool is gone"));
            if refusal.status == StatusCode::INSUFFICIENT_STORAGE {
                // What did not fit keeps no room from what does.
                state.sessions.forget(&self);
                let _ = fs::remove_file(&self.path);
            }
            return Err(refusal);
        };
        let now = size + length;
        if received.is_err() || !last || now != self.length {
            let bytes = match &spool.sink {
                Sink::Session(file) => file.size().ok(),
                Sink::Temp(_) => None,
            };
            *turn = bytes.map(|bytes| Hashed {
                hasher: spool.hasher,
                bytes,
            });
            received?;
            if last {
                return Err(Refusal::offset(now));
            }
            let mut response = empty(StatusCode::NO_CONTENT);
            set_number(&mut response, HeaderName::from_static(OFFSET_HEADER), now);
            return Ok(response);
        }
        let (session, state) = (Arc::clone(&self), Arc::clone(state));
        blocking(move || session.complete(&state, &spool)).await
    }

    /// Makes the object of what has arrived. Blocks.
    fn complete(&self, state: &Arc<State>, spool: &Spool) -> Answer {
        let room = self.room.lock().unwrap_or_else(PoisonError::into_inner).take();
        let room = match room {
            Some(room) => room,
            None => state.usage.reserve(&self.target.repository, self.length)?,
        };
        let answer = upload::publish(state, &self.target, spool, self.mode, room);
        let over = match &answer {
            Ok(_) => true,
            // Nothing can be made of it any more.
            Err(refusal) => matches!(
                refusal.status,
                StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PRECONDITION_FAILED
            ),
        };
        if over {
            state.sessions.forget(self);
            // It is gone already when it became the object.
            let _ = fs::remove_file(&self.path);
        }
        answer
    }
}
