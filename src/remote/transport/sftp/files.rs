//! Reading, writing and listing over a session; many requests are on their way at the same time.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::Stream as _;
use openssh_sftp_client::Error;
use openssh_sftp_client::error::SftpErrorKind;
use openssh_sftp_client::file::File;
use openssh_sftp_client::fs::DirEntry;
use tokio::io::AsyncSeekExt as _;
use tokio::task::JoinSet;

use super::super::pace::Pace;
use super::session::Session;

/// Bytes of one read or write; servers take at least 32 KiB at once and the library splits what is more.
const PIECE: u64 = 256 << 10;
/// Pieces that are on their way at the same time.
const AT_ONCE: usize = 16;

/// How a request failed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The server's answer, or the end of the connection.
    Sftp(Error),
    /// No answer.
    Idle,
    /// The local file cannot be read.
    Local(io::Error),
    /// The file ended before it should.
    Short,
    /// There is no file, but something else.
    NoFile,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Sftp(error)
    }
}

impl Trouble {
    /// What the server answered, if it did.
    pub(super) const fn answer(&self) -> Option<&SftpErrorKind> {
        match self {
            Self::Sftp(Error::SftpError(kind, _)) => Some(kind),
            _ => None,
        }
    }

    /// Whether the file or directory does not exist.
    pub(super) const fn is_missing(&self) -> bool {
        matches!(self.answer(), Some(SftpErrorKind::NoSuchFile)) || matches!(self, Self::NoFile)
    }
}

pub(super) type Result<T> = std::result::Result<T, Trouble>;

/// Waits for an answer, but not longer than `idle`.
pub(super) async fn patient<T>(
    idle: Duration,
    answer: impl Future<Output = std::result::Result<T, Error>>,
) -> Result<T> {
    match tokio::time::timeout(idle, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Trouble::Idle),
    }
}

/// Exactly these bytes.
pub(super) async fn read(pace: &Pace, file: &File, start: u64, end: u64) -> Result<Vec<u8>> {
    let mut running = JoinSet::new();
    let mut next = start;
    let len = usize::try_from(end - start).map_err(|_| Trouble::Short)?;
    let mut bytes = vec![0; len];
    loop {
        while running.len() < AT_ONCE && next < end {
            let (from, to) = (next, end.min(next + pace.piece(PIECE)));
            pace.wait(to - from).await;
            running.spawn(piece(pace.idle(), file.clone(), from, to));
            next = to;
        }
        let Some(done) = running.join_next().await else {
            return Ok(bytes);
        };
        let (from, read) = done.map_err(Error::from)??;
        let at = usize::try_from(from - start).map_err(|_| Trouble::Short)?;
        bytes[at..at + read.len()].copy_from_slice(&read);
    }
}

async fn piece(idle: Duration, mut file: File, from: u64, to: u64) -> Result<(u64, BytesMut)> {
    let seek = file.seek(io::SeekFrom::Start(from)).await;
    seek.map_err(Error::from)?;
    let mut bytes = BytesMut::new();
    loop {
        let missing = (to - from).saturating_sub(bytes.len() as u64);
        if missing == 0 {
            return Ok((from, bytes));
        }
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        match patient(idle, file.read(missing, bytes)).await? {
            Some(more) => bytes = more,
            None => return Err(Trouble::Short),
        }
    }
}

/// What is written.
pub(super) enum Source {
    Memory(Bytes),
    File(Arc<crate::fs::File>, u64),
}

impl Source {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, len) => *len,
        }
    }

    fn piece(&self, from: u64, to: u64) -> Result<Bytes> {
        let range = |at: u64| usize::try_from(at).map_err(|_| Trouble::Short);
        match self {
            Self::Memory(bytes) => Ok(bytes.slice(range(from)?..range(to)?)),
            Self::File(file, _) => {
                let mut bytes = vec![0; range(to - from)?];
                file.read_exact_at(&mut bytes, from).map_err(Trouble::Local)?;
                Ok(bytes.into())
            }
        }
    }
}

/// Writes all of it to a new file; afterwards it is on the server's disk, if the server can tell.
pub(super) async fn write(session: &Session, path: &Path, source: &Source) -> Result<()> {
    let (pace, idle) = (&session.pace, session.pace.idle());
    let mut options = session.sftp.options();
    options.write(true).create_new(true);
    let mut file = patient(idle, options.open(path)).await?;
    let mut running = JoinSet::new();
    let mut next = 0;
    loop {
        while running.len() < AT_ONCE && next < source.len() {
            let to = source.len().min(next + pace.piece(PIECE));
            pace.wait(to - next).await;
            let bytes = source.piece(next, to)?;
            let mut file = file.clone();
            let from = next;
            running.spawn(async move {
                let seek = file.seek(io::SeekFrom::Start(from)).await;
                seek.map_err(Error::from)?;
                patient(idle, file.write_all(&bytes)).await
            });
            next = to;
        }
        match running.join_next().await {
            Some(done) => done.map_err(Error::from)??,
            None => break,
        }
    }
    if session.sftp.support_fsync() {
        patient(idle, file.sync_all()).await?;
    }
    patient(idle, file.close()).await
}

/// The entries of a directory; `None` when it does not exist.
pub(super) async fn entries(session: &Session, path: &Path) -> Result<Option<Vec<DirEntry>>> {
    let idle = session.pace.idle();
    let mut fs = session.sftp.fs();
    let dir = match patient(idle, fs.open_dir(path)).await {
        Ok(dir) => dir,
        Err(trouble) if trouble.is_missing() => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    let mut stream = Box::pin(dir.read_dir());
    let mut found = Vec::new();
    loop {
        let next = std::future::poll_fn(|cx| Pin::as_mut(&mut stream).poll_next(cx));
        match tokio::time::timeout(idle, next).await {
            Err(_) => return Err(Trouble::Idle),
            Ok(None) => return Ok(Some(found)),
            Ok(Some(entry)) => found.push(entry?),
        }
    }
}
