//! Reading files that are not known, into ids and, when asked, into the store.
//!
//! Small files are read in parallel, each whole; large ones one at a time, with the parallelism inside. The content
//! counts only if the file's stat data is the same before and after it was read; a file that changes is read again.

use crate::fs::File;
use std::io::{self, Read as _};
use std::time::Duration;

use rayon::prelude::*;

use super::scan::{Scan, open_below};
use super::snapshot::Mode;
use super::table::{Row, Table, now_ns};
use super::{Result, WorkspaceError};
use crate::chunk;
use crate::fs::{self, Attempt, Dir, FileKind};
use crate::hash::{FileId, Hasher};
use crate::path::Name;
use crate::progress::Progress;
use crate::store::{Cache, PackKind};

/// How often a file is read before it is given up as changing.
const TRIES: u32 = 3;
/// Rows of one directory that one task takes.
const ROWS_PER_TASK: usize = 256;
/// What is read at once of a large file that is only hashed, in bytes.
const PIECE: usize = 1 << 20;

/// Gives every file of the scan its id. Returns how many were read, and their bytes.
pub(super) fn identify(scan: &mut Scan, mode: Mode<'_>, progress: &Progress) -> Result<(u64, u64)> {
    let base = scan.base()?.to_owned();
    if let Mode::Store(transaction) = mode {
        forget_unstored(scan, transaction.cache())?;
    }
    let is_small = |row: &Row| row.size <= chunk::MAX as u64;
    let is_unknown = |row: &Row| row.kind() == FileKind::File && row.id().is_none();
    let small = scan
        .dirs
        .par_iter_mut()
        .flat_map(|dir| {
            let Table { names, rows } = &mut dir.table;
            let (path, names) = (&dir.path, &names[..]);
            rows.par_chunks_mut(ROWS_PER_TASK).map(move |rows| (path, names, rows))
        })
        .map_init(
            || vec![0; chunk::MAX + 1],
            |buffer, (path, names, rows)| {
                let mut done = (0, 0);
                if !rows.iter().any(|row| is_unknown(row) && is_small(row)) {
                    return Ok(done);
                }
                progress.check()?;
                let Some(dir) = unless_gone(open_below(&base, path).map_err(WorkspaceError::from))? else {
                    return Ok(done);
                };
                for row in rows.iter_mut().filter(|row| is_unknown(row) && is_small(row)) {
                    let name = dir.name(row.name_in(names))?;
                    let verified = now_ns();
                    // A file that has grown meanwhile is left to the next pass.
                    if let Some(Some(content)) = unless_gone(read_small(&dir, &name, row, buffer))? {
                        let id = match mode {
                            Mode::HashOnly => FileId::of(content),
                            Mode::Store(transaction) => transaction.add_bytes(PackKind::Data, content)?,
                        };
                        row.set_id(*id.as_bytes(), verified);
                        done = (done.0 + 1, done.1 + row.size);
                    }
                }
                progress.advance(done.0, done.1);
                Ok::<_, WorkspaceError>(done)
            },
        )
        .try_reduce(|| (0, 0), |a, b| Ok((a.0 + b.0, a.1 + b.1)))?;
    let mut done = small;
    for scanned in &mut scan.dirs {
        let Table { names, rows } = &mut scanned.table;
        let mut opened = None;
        for row in rows.iter_mut().filter(|row| is_unknown(row)) {
            let dir = match &opened {
                Some(dir) => dir,
                None => match unless_gone(open_below(&base, &scanned.path).map_err(WorkspaceError::from))? {
                    Some(dir) => opened.insert(dir),
                    None => break,
                },
            };
            let name = dir.name(row.name_in(names))?;
            if unless_gone(read_large(dir, &name, row, mode, progress))?.is_none() {
                continue;
            }
            // Its bytes were counted as they were read.
            progress.advance(1, 0);
            done = (done.0 + 1, done.1 + row.size);
        }
    }
    Ok(done)
}

/// Forgets what is known of files whose content the store does not have (any more): they have to be read again.
fn forget_unstored(scan: &mut Scan, cache: &Cache) -> Result<()> {
    scan.dirs
        .par_iter_mut()
        .flat_map(|dir| dir.table.rows.par_chunks_mut(ROWS_PER_TASK))
        .try_for_each(|rows| {
            for row in rows.iter_mut().filter(|row| row.kind() == FileKind::File) {
                if let Some(id) = row.id()
                    && !cache.contains(&FileId::from_bytes(id))?
                {
                    row.forget();
                }
            }
            Ok(())
        })
}

/// What was deleted since the scan is nothing; its row stays without id.
fn unless_gone<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(WorkspaceError::Fs(error)) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn changing(dir: &Dir, name: &Name) -> WorkspaceError {
    WorkspaceError::Changing(dir.path().join(name.as_os()))
}

fn pause(attempt: u32) {
    std::thread::sleep(Duration::from_millis(10 << attempt));
}

/// Reads a file of one chunk; `row` holds what `lstat` says about what was read. `None` if it is too large by now.
fn read_small<'b>(dir: &Dir, name: &Name, row: &mut Row, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
    for attempt in 0..TRIES {
        let mut file = dir.open_file(name)?;
        let path = || dir.path().join(name.as_os());
        // One byte more than there should be, so that a single read shows the end.
        let wanted = usize::try_from(row.size).map_or(buffer.len(), |size| buffer.len().min(size + 1));
        let mut len = 0;
        while len < wanted {
            match file.read(&mut buffer[len..wanted]) {
                Ok(0) => break,
                Ok(n) if len + n + 1 == wanted => {
                    len += n;
                    break;
                }
                Ok(n) => len += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(fs::at(Attempt::Read, &path())(error).into()),
            }
        }
        let stat = fs::stat_file(&file, &path())?;
        if row.matches(&stat) && len as u64 == stat.size {
            return Ok(buffer.get(..len));
        }
        if stat.kind != FileKind::File {
            break;
        }
        row.set_stat(&stat);
        if stat.size > chunk::MAX as u64 {
            return Ok(None);
        }
        pause(attempt);
    }
    Err(changing(dir, name))
}

fn read_large(dir: &Dir, name: &Name, row: &mut Row, mode: Mode<'_>, progress: &Progress) -> Result<()> {
    let path = dir.path().join(name.as_os());
    for attempt in 0..TRIES {
        let mut file = dir.open_file(name)?;
        let before = fs::stat_file(&file, &path)?;
        if before.kind != FileKind::File {
            break;
        }
        row.set_stat(&before);
        let verified = now_ns();
        let (id, len) = match mode {
            Mode::Store(transaction) => transaction.add_reader(PackKind::Data, &mut file, &path)?,
            Mode::HashOnly => hash_large(&mut file, &path, progress)?,
        };
        let after = fs::stat_file(&file, &path)?;
        if row.matches(&after) && len == after.size {
            row.set_id(*id.as_bytes(), verified);
            return Ok(());
        }
        pause(attempt);
    }
    Err(WorkspaceError::Changing(path))
}

fn hash_large(file: &mut File, path: &std::path::Path, progress: &Progress) -> Result<(FileId, u64)> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; PIECE];
    let mut len = 0;
    loop {
        progress.check()?;
        match file.read(&mut buffer) {
            Ok(0) => return Ok((FileId::from_bytes(hasher.finish()), len)),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                len += n as u64;
                progress.advance(0, n as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(fs::at(Attempt::Read, path)(error).into()),
        }
    }
}
