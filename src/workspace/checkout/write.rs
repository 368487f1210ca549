//! Writing one entry.

use crate::fs::File;
use std::io::Write as _;

use super::FailureReason;
use crate::fs::{self, Attempt, Dir, FsError, Stat, fault};
use crate::hash::FileId;
use crate::path::Name;
use crate::progress::{Interrupted, Progress};
use crate::store::{Cache, StoreError};
use crate::workspace::table::Row;

/// Where an entry goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The directory.
    pub(super) dir: &'a Dir,
    /// Whether nobody else sees the directory yet, so that its entries need no temporary names.
    pub(super) hidden: bool,
    /// The name.
    pub(super) name: &'a Name,
    /// What is there and will be replaced.
    pub(super) replaces: Option<&'a Row>,
    /// Whether a file that the plan knows nothing of is replaced, too.
    pub(super) over: bool,
}

type Outcome<T> = Result<T, FailureReason>;

/// The temporary name for an entry of this name.
pub(super) fn temp_name(name: &Name) -> Outcome<Name> {
    Name::new(fs::alone_name(name.as_bytes()).as_bytes()).map_err(|_| FailureReason::Name)
}

const fn mode(executable: bool) -> u32 {
    if executable { 0o777 } else { 0o666 }
}

impl Place<'_> {
    /// A file whose content is at hand.
    pub(super) fn small_file(&self, bytes: &[u8], executable: bool) -> Outcome<Stat> {
        if self.hidden {
            return Ok(self.dir.write_new(self.name, mode(executable), bytes)?);
        }
        let temp = self.temp_name()?;
        self.dir.write_new(&temp, mode(executable), bytes)?;
        self.publish(&temp)
    }

    /// A file that is streamed from the cache.
    pub(super) fn large_file(
        &self,
        cache: &Cache,
        id: FileId,
        size: u64,
        executable: bool,
        progress: &Progress,
    ) -> Outcome<Stat> {
        let temp = if self.hidden {
            self.name.clone()
        } else {
            self.temp_name()?
        };
        let file = self.dir.create_file(&temp, mode(executable))?;
        let path = self.dir.path().join(temp.as_os());
        let written = fs::reserve_file(&file, size, &path)
            .map_err(FailureReason::from)
            .and_then(|()| stream(&file, cache, id, &path, progress))
            .and_then(|len| if len == size { Ok(()) } else { Err(FailureReason::Size) })
            .and_then(|()| Ok(fs::stat_file(&file, &path)?));
        match written {
            Ok(stat) if self.hidden => Ok(stat),
            Ok(_) => self.publish(&temp),
            Err(reason) => {
                let _ = self.dir.remove_file(&temp);
                Err(reason)
            }
        }
    }

    /// A symbolic link.
    pub(super) fn link(&self, target: &[u8]) -> Outcome<()> {
        if self.hidden {
            return Ok(self.dir.create_symlink(self.name, target)?);
        }
        let temp = self.temp_name()?;
        self.dir.create_symlink(&temp, target)?;
        self.publish(&temp).map(drop)
    }

    /// The name it has until it is complete: the same in each run, so that a later one replaces what a killed one left.
    fn temp_name(&self) -> Outcome<Name> {
        let temp = temp_name(self.name)?;
        if self.dir.stat(&temp)?.is_some() {
            self.dir.remove_file(&temp)?;
        }
        Ok(temp)
    }

    /// Gives a complete entry its name, if what has the name is what the plan saw.
    fn publish(&self, temp: &Name) -> Outcome<Stat> {
        let free = if self.over {
            self.is_no_directory()
        } else {
            check(self.dir, self.name, self.replaces)
        };
        let published = free
            .and_then(|()| Ok(self.dir.rename(temp, self.name)?))
            .and_then(|()| self.dir.stat(self.name)?.ok_or(FailureReason::Changed));
        if published.is_err() {
            let _ = self.dir.remove_file(temp);
        }
        published
    }
}

impl Place<'_> {
    fn is_no_directory(&self) -> Outcome<()> {
        match self.dir.stat(self.name)? {
            Some(stat) if !matches!(stat.kind, fs::FileKind::File | fs::FileKind::Symlink) => {
                Err(FailureReason::Taken)
            }
            _ => Ok(()),
        }
    }
}

/// Whether the entry is still what the plan saw: nothing, or this row.
pub(super) fn check(dir: &Dir, name: &Name, expected: Option<&Row>) -> Outcome<()> {
    match (expected, dir.stat(name)?) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(FailureReason::Taken),
        // Of a link, the scan asked only for the target.
        (Some(row), Some(stat)) if row.kind() == fs::FileKind::Symlink && stat.kind == row.kind() => Ok(()),
        (Some(row), Some(stat)) if row.matches(&stat) => Ok(()),
        (Some(_), _) => Err(FailureReason::Changed),
    }
}

/// What can go wrong while a file is streamed.
enum StreamError {
    Store(StoreError),
    Fs(FsError),
}

impl From<StoreError> for StreamError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Interrupted> for StreamError {
    fn from(error: Interrupted) -> Self {
        Self::Store(error.into())
    }
}

fn stream(mut file: &File, cache: &Cache, id: FileId, path: &std::path::Path, progress: &Progress) -> Outcome<u64> {
    let copied = cache.copy_file::<StreamError>(id, &mut |bytes| {
        progress.check()?;
        fault::pass(Attempt::Write, path).map_err(StreamError::Fs)?;
        file.write_all(bytes)
            .map_err(|error| StreamError::Fs(fs::at(Attempt::Write, path)(error)))?;
        progress.advance(0, bytes.len() as u64);
        Ok(())
    });
    copied.map_err(|error| match error {
        StreamError::Store(error) => error.into(),
        StreamError::Fs(error) => error.into(),
    })
}
