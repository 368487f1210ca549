//! Which data a lock file keeps alive, wherever it stands and in whatever state it is.

use super::super::pointer::{Pointer, PointerContent};
use super::read::parse;
use super::{Lock, LockProblem, LockedOut};
use crate::hash::FileId;
use crate::path::{Name, RepoPath};

/// How many directories up a path may lead in a lock file of which it is not known where it stands.
const DEPTH: usize = 64;

impl Lock {
    /// The data that a lock file names, for those who must not delete it. Of one that cannot be read, such as one that
    /// was committed in conflict, everything that looks like content.
    ///
    /// # Errors
    /// When a newer modver wrote it.
    pub(in crate::git) fn live(bytes: &[u8]) -> Result<Vec<Pointer>, LockProblem> {
        let dir = Name::new(b"d").map(|name| (0..DEPTH).fold(RepoPath::root(), |dir, _| dir.join(&name)));
        match parse(bytes, &dir.unwrap_or_default()) {
            Ok(lock) => Ok(lock.cached().map(|(_, _, out)| out.to_pointer()).collect()),
            Err(problem @ LockProblem::Version(_)) => Err(problem),
            Err(_) => Ok(mentioned(bytes)),
        }
    }
}

/// Every `file = "ID"` and `dir = "ID"`.
fn mentioned(bytes: &[u8]) -> Vec<Pointer> {
    let pieces: Vec<&[u8]> = bytes.split(|byte| matches!(byte, b'"' | b'\'')).collect();
    let content = |pair: &[&[u8]]| {
        let id: FileId = std::str::from_utf8(pair[1]).ok()?.parse().ok()?;
        let key = pair[0].trim_ascii_end().strip_suffix(b"=")?.trim_ascii_end();
        let content = if key.ends_with(b"dir") {
            PointerContent::Dir {
                id: id.into(),
                files: 0,
            }
        } else {
            PointerContent::File { id, executable: false }
        };
        let out = LockedOut {
            content,
            size: 0,
            cache: true,
            push: true,
            remote: None,
        };
        Some(out.to_pointer())
    };
    pieces.windows(2).filter_map(content).collect()
}
