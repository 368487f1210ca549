//! A move changes data and pointers in several places. What it is about to do is written down first, so that whoever
//! takes the workspace lock after it was killed brings it to an end: back, as long as the new pointer was not written,
//! and forward from then on.

use std::path::PathBuf;

use super::record::Record;
use super::{FOLDER, Repository, Result};
use crate::fs;
use crate::git::{self, MAX_POINTER, Pointer};
use crate::path::RepoPath;
use crate::workspace::State;

const DATA: &[u8] = b"data";
const NO_DATA: &[u8] = b"no data";

/// A move that has begun.
#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) from: RepoPath,
    pub(crate) to: RepoPath,
    pub(crate) pointer: Pointer,
    /// Whether there is data that moves along.
    pub(crate) data: bool,
}

impl Repository {
    fn move_file(&self) -> PathBuf {
        self.git.git_dir().join(FOLDER).join("move")
    }

    /// Writes down that a move begins; the caller holds the workspace lock.
    pub(crate) fn begin_move(&self, begun: &Move) -> Result<()> {
        let pointer = begun.pointer.to_bytes().map_err(|problem| git::PointerError {
            path: begun.from.clone(),
            problem,
        })?;
        let data: &[u8] = if begun.data { DATA } else { NO_DATA };
        let bytes = [begun.from.as_bytes(), begun.to.as_bytes(), data, &pointer].join(&0);
        Ok(fs::write_atomic_alone(&self.move_file(), &bytes)?)
    }

    /// The move is done, or was taken back. If this cannot be written, the next to come sees that there is nothing to do.
    pub(crate) fn end_move(&self) {
        let _ = fs::remove_file(&self.move_file());
    }

    /// Brings a move that another process began to its end, if there is one; waits if that process is still at work.
    pub(crate) fn finish_move_of_others(&self) -> Result<()> {
        if fs::stat(&self.move_file())?.is_some() {
            drop(self.lock_workspace()?);
        }
        Ok(())
    }

    /// Brings a move that was killed to its end; returns it if it was completed. The caller holds the workspace lock.
    pub(crate) fn finish_move(&self) -> Result<Option<Move>> {
        let Some(bytes) = fs::read_if_exists(&self.move_file(), 2 * MAX_POINTER)? else {
            return Ok(None);
        };
        self.remove_leftovers(&self.outputs()?);
        let mut done = None;
        if let Some(begun) = parse(&bytes) {
            let pointer_at = |path: &RepoPath| -> Result<Option<bool>> {
                let pointer = git::pointer_path(path)?;
                let bytes = fs::read_if_exists(&pointer.on_disk(self.root()), MAX_POINTER)?;
                Ok(bytes.map(|bytes| Pointer::parse(&bytes, &pointer).is_ok_and(|it| it == begun.pointer)))
            };
            // Whatever else is found, somebody decided otherwise since.
            match (pointer_at(&begun.from)?, pointer_at(&begun.to)?) {
                (Some(true), None) => self.move_back(&begun)?,
                (Some(true) | None, Some(true)) => {
                    self.move_on(&begun)?;
                    done = Some(begun);
                }
                _ => {}
            }
        }
        self.end_move();
        Ok(done)
    }

    fn move_back(&self, begun: &Move) -> Result<()> {
        let (from, to) = (begun.from.on_disk(self.root()), begun.to.on_disk(self.root()));
        // Without data to move, whatever is there is the user's.
        if begun.data && fs::stat(&from)?.is_none() && fs::stat(&to)?.is_some() {
            fs::rename(&to, &from)?;
        }
        self.record(&[
            Record::Track(begun.from.clone(), begun.pointer.clone()),
            Record::Untrack(begun.to.clone()),
        ])?;
        if let Some(dir) = begun.to.parent() {
            fs::remove_empty_dirs(&dir.on_disk(self.root()), self.root(), None);
        }
        Ok(())
    }

    fn move_on(&self, begun: &Move) -> Result<()> {
        self.record(&[
            Record::Track(begun.to.clone(), begun.pointer.clone()),
            Record::Untrack(begun.from.clone()),
        ])?;
        self.move_state(&begun.from, &begun.to);
        Ok(())
    }

    /// Gives an output's state to the path it was moved to. Without a state, the next look only takes longer.
    pub(crate) fn move_state(&self, from: &RepoPath, to: &RepoPath) {
        let old = self.state_file(from);
        if let (Some(state), Ok(new)) = (State::read(&old), self.state_path(to)) {
            let _ = state.write_moved(&new);
        }
        let _ = fs::remove_file(&old);
    }
}

fn parse(bytes: &[u8]) -> Option<Move> {
    let mut parts = bytes.splitn(4, |&b| b == 0);
    let from = RepoPath::new(parts.next()?).ok()?;
    let to = RepoPath::new(parts.next()?).ok()?;
    let data = match parts.next()? {
        DATA => true,
        NO_DATA => false,
        _ => return None,
    };
    let pointer = Pointer::parse(parts.next()?, &from).ok()?;
    Some(Move {
        from,
        to,
        pointer,
        data,
    })
}
