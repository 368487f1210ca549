//! The access log: one line for each request.

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::fs::{self, AppendFile};
use crate::path::percent_encode;

/// Characters of a request's target that are written.
const LONGEST: usize = 2000;

/// Where the access log goes.
#[derive(Default)]
pub enum AccessLog {
    /// Nowhere.
    #[default]
    None,
    /// To a file, which is opened again when the server is told to (so that it can be rotated).
    File(PathBuf),
    /// Somewhere else.
    Writer(Box<dyn Write + Send>),
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::File(path) => write!(f, "File({path:?})"),
            Self::Writer(_) => f.write_str("Writer"),
        }
    }
}

/// One request.
pub(super) struct Line<'a> {
    pub(super) peer: SocketAddr,
    pub(super) who: &'a str,
    pub(super) method: &'static str,
    pub(super) target: &'a str,
    pub(super) status: u16,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) took: Duration,
}

enum Open {
    None,
    File(PathBuf, Option<AppendFile>),
    Writer(Box<dyn Write + Send>),
}

/// The log while the server runs.
pub(super) struct Log(Mutex<Open>);

impl Log {
    pub(super) fn open(log: AccessLog) -> fs::Result<Self> {
        Ok(Self(Mutex::new(match log {
            AccessLog::None => Open::None,
            AccessLog::File(path) => {
                let file = append(&path)?;
                Open::File(path, file)
            }
            AccessLog::Writer(writer) => Open::Writer(writer),
        })))
    }

    /// Opens the file anew.
    pub(super) fn reopen(&self) -> fs::Result<()> {
        if let Open::File(path, file) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            *file = None;
            *file = append(path)?;
        }
        Ok(())
    }

    /// Writes a line. A log that cannot be written is no reason not to serve.
    pub(super) fn write(&self, line: &Line<'_>) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*open, Open::None) {
            return;
        }
        let text = format!(
            "{} {} {} \"{} {}\" {} {} {} {}\n",
            now(),
            line.peer.ip(),
            line.who,
            line.method,
            shown(line.target),
            line.status,
            line.bytes_in,
            line.bytes_out,
            line.took.as_millis()
        );
        match &mut *open {
            Open::None | Open::File(_, None) => {}
            Open::File(_, Some(file)) => drop(file.append(text.as_bytes())),
            Open::Writer(writer) => drop(writer.write_all(text.as_bytes()).and_then(|()| writer.flush())),
        }
    }
}

/// What was asked for, so that it cannot be taken for other fields of the line, and does not fill the disk.
fn shown(target: &str) -> String {
    let plain = |c: char| match c {
        '"' => "%22".to_owned(),
        c if c.is_ascii_graphic() => c.to_string(),
        c => percent_encode(c.encode_utf8(&mut [0; 4])),
    };
    let mut text: String = target.chars().take(LONGEST).map(plain).collect();
    if target.chars().nth(LONGEST).is_some() {
        text.push_str("...");
    }
    text
}

fn append(path: &std::path::Path) -> fs::Result<Option<AppendFile>> {
    match AppendFile::create(path)? {
        Some(file) => Ok(Some(file)),
        None => AppendFile::take_over(path),
    }
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // As RFC 3339 has it.
    format!("{}Z", crate::time::utc(since.as_secs()).replace(' ', "T"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_stay_in_their_field() {
        assert_eq!(shown("/r/packs/ab?list=a%20b"), "/r/packs/ab?list=a%20b");
        assert_eq!(shown("/x\" 200 0\u{e9}\n"), "/x%22%20200%200%C3%A9%0A");
        assert_eq!(shown(&"x".repeat(5000)).len(), LONGEST + 3);
    }
}
