//! Walking an output: what is there, and which files are unchanged since they were recorded.
//!
//! One `lstat` per file and none per directory, by directory handle, in parallel. Nothing is opened but directories
//! and ignore files. What cannot be tracked is collected, not just the first of it, and does not end the walk.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::ignore::{IGNORE_FILE, IgnoreRules};
use super::state::State;
use super::table::{Row, Table};
use super::{Result, WorkspaceError};
use crate::fs::{self, Dir, FileKind, FsError, TempFile};
use crate::object::{Entry, LinkError, check_link};
use crate::path::{Name, RepoPath};
use crate::progress::Progress;

/// Directories nested deeper than this are refused; no path that long can be used.
pub(super) const MAX_DEPTH: usize = 2048;
/// The longest ignore file that is read, in bytes.
const MAX_RULES: u64 = 1 << 20;
/// So many rows of one directory are worth another thread.
const PARALLEL_ROWS: usize = 1024;

/// Something that keeps an output from being added.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A link that leaves the output.
    #[error("link `{path}` {reason}")]
    Link {
        /// The link, relative to the output.
        path: RepoPath,
        /// How it leaves.
        reason: LinkError,
    },
    /// A device, socket or pipe.
    #[error("`{0}` is not a file, directory or link")]
    Special(RepoPath),
    /// A git repository inside the output; this is its `.git`.
    #[error("`{0}` belongs to a git repository of its own")]
    Repository(RepoPath),
    /// It cannot be read.
    #[error("{error}: {why}", error = .0, why = .0.source)]
    Unreadable(FsError),
    /// The output itself is a link.
    #[error("`{path}` is a symbolic link", path = .0.display())]
    LinkedRoot(PathBuf),
}

/// Why an entry that is there is not part of the scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// An ignore rule names it.
    Ignored,
    /// A device, socket or pipe.
    Special,
    /// `.git`.
    Repository,
    /// It could not be read.
    Unreadable,
}

/// An entry that is there but not tracked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its name.
    pub name: Name,
    /// Why it is not tracked.
    pub why: Obstacle,
}

/// One directory of a scan.
#[derive(Debug, Default)]
pub struct ScannedDir {
    /// Relative to the output; for an output that is a file, the root.
    pub path: RepoPath,
    /// What is in it: files, links and directories.
    pub table: Table,
    /// What is in it but not tracked, sorted by name.
    pub skipped: Vec<Skipped>,
    /// Entries of the base that are not present in this workspace and belong to the listing, sorted by name.
    pub(super) kept: Vec<Entry>,
    /// It is not on disk, but something below it belongs to this workspace; without entries it is nothing.
    pub(super) absent: bool,
}

/// What to scan.
#[derive(Debug, Clone, Copy)]
pub struct ScanRequest<'a> {
    /// The output on disk.
    pub root: &'a Path,
    /// What is known about it.
    pub state: Option<&'a State>,
    /// The rules in force above it.
    pub ignore: &'a IgnoreRules,
}

/// What an output looks like on disk.
#[derive(Debug)]
pub struct Scan {
    /// The output.
    pub root: PathBuf,
    /// File or directory; `None` when there is nothing (or nothing that can be tracked, see `problems`).
    pub kind: Option<FileKind>,
    /// The directories in path order, the output's own first. An output that is a file is one row of one directory.
    pub dirs: Vec<ScannedDir>,
    /// What keeps the output from being added.
    pub problems: Vec<Problem>,
    /// Temporary files of interrupted modver processes, relative to the output.
    pub leftovers: Vec<RepoPath>,
    /// Whether not all of what the workspace was last brought to came.
    pub unfinished: bool,
}

/// Walks an output.
///
/// # Errors
/// When the output itself cannot be asked about, directories are nested too deep, or the user stops it.
pub fn scan(request: &ScanRequest<'_>, progress: &Progress) -> Result<Scan> {
    let root = request.root;
    let mut scan = Scan {
        root: root.to_owned(),
        kind: None,
        dirs: Vec::new(),
        problems: Vec::new(),
        leftovers: Vec::new(),
        unfinished: request.state.is_some_and(State::is_unfinished),
    };
    let Some(stat) = fs::stat(root)? else {
        return Ok(scan);
    };
    match stat.kind {
        FileKind::Symlink => scan.problems.push(Problem::LinkedRoot(root.to_owned())),
        FileKind::Special => scan.problems.push(Problem::Special(RepoPath::root())),
        FileKind::File => {
            let (_, name) = parent_and_name(root)?;
            let mut table = Table::default();
            table.push(name.as_bytes(), FileKind::File);
            for row in &mut table.rows {
                row.set_stat(&stat);
            }
            adopt_known(&mut table, request.state, &RepoPath::root());
            scan.kind = Some(FileKind::File);
            scan.dirs.push(ScannedDir {
                table,
                ..ScannedDir::default()
            });
        }
        FileKind::Dir => {
            let walk = Walk {
                state: request.state,
                progress,
                found: Mutex::default(),
            };
            let dir = Dir::open(root)?;
            let rules = request.ignore.clone();
            rayon::scope(|scope| walk.visit(scope, dir, RepoPath::root(), 0, &rules));
            let found = walk.found.into_inner().unwrap_or_else(PoisonError::into_inner);
            if let Some(error) = found.failed {
                return Err(error);
            }
            scan.kind = Some(FileKind::Dir);
            scan.dirs = found.dirs;
            scan.dirs.par_sort_unstable_by(|a, b| a.path.cmp(&b.path));
            scan.problems = found.problems;
            scan.leftovers = found.leftovers;
        }
    }
    Ok(scan)
}

/// The directory that holds an output, and the output's name in it.
pub(super) fn parent_and_name(root: &Path) -> Result<(&Path, Name)> {
    let not_one = || WorkspaceError::NotAnOutput(root.to_owned());
    let name = root.file_name().ok_or_else(not_one)?;
    let parent = root.parent().ok_or_else(not_one)?;
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    Ok((parent, Name::new(name.as_encoded_bytes())?))
}

/// Opens the directory `path` below `root`, following no link.
pub(super) fn open_below(root: &Path, path: &RepoPath) -> std::result::Result<Dir, FsError> {
    let mut dir = Dir::open(root)?;
    for name in path.names() {
        dir = dir.open_dir(&dir.name(name)?)?;
    }
    Ok(dir)
}

impl Scan {
    /// The directory on disk that the paths of [`Scan::dirs`] are relative to.
    ///
    /// # Errors
    /// When the output is a path without parent.
    pub(super) fn base(&self) -> Result<&Path> {
        match self.kind {
            Some(FileKind::File) => Ok(parent_and_name(&self.root)?.0),
            _ => Ok(&self.root),
        }
    }

    /// The scanned directory at `path`.
    #[must_use]
    pub fn dir(&self, path: &RepoPath) -> Option<&ScannedDir> {
        self.index(path).and_then(|i| self.dirs.get(i))
    }

    pub(super) fn index(&self, path: &RepoPath) -> Option<usize> {
        self.dirs.binary_search_by(|dir| dir.path.cmp(path)).ok()
    }

    /// Number of files and links, and bytes in files.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        let rows = self.dirs.iter().flat_map(|dir| dir.table.rows());
        rows.fold((0, 0), |(files, bytes), row| match row.kind() {
            FileKind::File => (files + 1, bytes + row.size),
            FileKind::Symlink => (files + 1, bytes),
            _ => (files, bytes),
        })
    }
}

/// Takes over the ids of unchanged files; both sides are sorted by name.
fn adopt_known(table: &mut Table, state: Option<&State>, path: &RepoPath) {
    let Some(state) = state else { return };
    let Table { names, rows } = table;
    let mut rows = rows.iter_mut().peekable();
    for (name, recorded) in state.dir(path) {
        while rows.next_if(|row| row.name_in(names) < name).is_some() {}
        if let Some(row) = rows.next_if(|row| row.name_in(names) == name) {
            row.adopt(&recorded);
        }
    }
}

/// What the threads of a walk share.
struct Walk<'a> {
    state: Option<&'a State>,
    progress: &'a Progress,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    dirs: Vec<ScannedDir>,
    problems: Vec<Problem>,
    leftovers: Vec<RepoPath>,
    failed: Option<WorkspaceError>,
}

/// What one directory gave.
#[derive(Default)]
struct Visited {
    dir: ScannedDir,
    below: Vec<Name>,
    problems: Vec<Problem>,
    leftovers: Vec<RepoPath>,
}

impl<'a> Walk<'a> {
    /// Reads a directory and starts a task for each one below it.
    fn visit<'s>(&'s self, scope: &rayon::Scope<'s>, dir: Dir, path: RepoPath, depth: usize, rules: &IgnoreRules) {
        let visited = self.read(&dir, &path, depth, rules);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.failed.is_some() {
            return;
        }
        let (below, rules) = match visited {
            Ok((visited, rules)) => {
                found.dirs.push(visited.dir);
                found.problems.extend(visited.problems);
                found.leftovers.extend(visited.leftovers);
                (visited.below, rules)
            }
            Err(error) => {
                found.failed = Some(error);
                return;
            }
        };
        drop(found);
        let dir = Arc::new(dir);
        for name in below {
            let (dir, path, rules) = (Arc::clone(&dir), path.join(&name), rules.clone());
            scope.spawn(move |scope| match dir.open_dir(&name) {
                Ok(opened) => {
                    drop(dir);
                    self.visit(scope, opened, path, depth + 1, &rules);
                }
                Err(error) => {
                    let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                    // It stays in the listing above as a directory; with a problem nothing is stored.
                    found.dirs.push(ScannedDir {
                        path,
                        ..ScannedDir::default()
                    });
                    found.problems.push(Problem::Unreadable(error));
                }
            });
        }
    }

    fn read(&self, dir: &Dir, path: &RepoPath, depth: usize, rules: &IgnoreRules) -> Result<(Visited, IgnoreRules)> {
        self.progress.check()?;
        if depth > MAX_DEPTH {
            return Err(WorkspaceError::TooDeep(path.clone()));
        }
        let mut visited = Visited {
            dir: ScannedDir {
                path: path.clone(),
                ..ScannedDir::default()
            },
            ..Visited::default()
        };
        let full = || WorkspaceError::TooManyNames(path.clone());
        let mut table = Table::default();
        let mut has_rules = false;
        let mut fits = true;
        let listed = dir.for_each(|name, kind| {
            has_rules |= name == IGNORE_FILE.as_bytes();
            // An unknown kind is asked for as a file would be.
            fits &= table.push(name, kind.unwrap_or(FileKind::File));
        });
        if let Err(error) = listed {
            visited.problems.push(Problem::Unreadable(error));
            return Ok((visited, rules.clone()));
        }
        if !fits {
            return Err(full());
        }
        let rules = if has_rules {
            match dir.read(&Name::new(IGNORE_FILE.as_bytes())?, MAX_RULES) {
                Ok(bytes) => rules.enter(path, &bytes),
                Err(error) => {
                    visited.problems.push(Problem::Unreadable(error));
                    rules.clone()
                }
            }
        } else {
            rules.clone()
        };
        table.sort();
        // Before anything is asked about: what is ignored is not.
        Self::leave_out(dir, &mut table, &mut visited, &rules)?;
        let Table { names, rows } = &mut table;
        let unreadable: Vec<FsError> = if rows.len() > 2 * PARALLEL_ROWS {
            rows.par_chunks_mut(PARALLEL_ROWS)
                .flat_map_iter(|rows| stat_rows(dir, names, rows))
                .collect()
        } else {
            stat_rows(dir, names, rows)
        };
        visited.problems.extend(unreadable.into_iter().map(Problem::Unreadable));
        Self::sort_out(dir, &mut table, &mut visited, depth, &rules)?;
        adopt_known(&mut table, self.state, path);
        self.progress.advance(table.rows().len() as u64, 0);
        visited.dir.table = table;
        Ok((visited, rules))
    }

    /// Removes what the names alone leave out.
    fn leave_out(dir: &Dir, table: &mut Table, visited: &mut Visited, rules: &IgnoreRules) -> Result<()> {
        let path = visited.dir.path.clone();
        let Table { names, rows } = table;
        let mut invalid = None;
        rows.retain(|row| {
            let bytes = row.name_in(names);
            if bytes != b".git" && !bytes.starts_with(b".modver-tmp-") && rules.is_empty() {
                return true;
            }
            let name = match dir.name(bytes) {
                Ok(name) => name,
                Err(error) => {
                    invalid = Some(error);
                    return false;
                }
            };
            let why = if TempFile::is_temp_name(name.as_os()) {
                visited.leftovers.push(path.join(&name));
                return false;
            } else if bytes == b".git" {
                visited.problems.push(Problem::Repository(path.join(&name)));
                Obstacle::Repository
            } else if rules.is_ignored(&path, &name, row.kind() == FileKind::Dir) {
                Obstacle::Ignored
            } else {
                return true;
            };
            visited.dir.skipped.push(Skipped { name, why });
            false
        });
        invalid.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Handles everything that is not a file: reads links, notes directories, removes the rest.
    fn sort_out(
        dir: &Dir,
        table: &mut Table,
        visited: &mut Visited,
        depth: usize,
        rules: &IgnoreRules,
    ) -> Result<()> {
        let path = visited.dir.path.clone();
        let mut removed = Vec::new();
        for i in 0..table.rows.len() {
            let row = table.rows[i];
            if row.kind() == FileKind::File && !row.is_vanished() {
                continue;
            }
            let name = dir.name(table.name(&row))?;
            let below = path.join(&name);
            let obstacle = match row.kind() {
                // Where listings do not tell kinds, only now is it known to be a directory.
                FileKind::Dir if rules.is_ignored(&path, &name, true) => Some(Obstacle::Ignored),
                FileKind::Dir => {
                    visited.below.push(name);
                    continue;
                }
                FileKind::Symlink => match dir.read_link(&name) {
                    Ok(target) => {
                        if let Err(reason) = check_link(depth, &target) {
                            visited.problems.push(Problem::Link { path: below, reason });
                        }
                        if !table.set_target(i, &target) {
                            return Err(WorkspaceError::TooManyNames(path));
                        }
                        continue;
                    }
                    Err(error) if error.is_not_found() => None,
                    Err(error) => {
                        visited.problems.push(Problem::Unreadable(error));
                        Some(Obstacle::Unreadable)
                    }
                },
                FileKind::Special => {
                    visited.problems.push(Problem::Special(below));
                    Some(Obstacle::Special)
                }
                // Vanished since the listing.
                FileKind::File => None,
            };
            if let Some(why) = obstacle {
                visited.dir.skipped.push(Skipped { name, why });
            }
            removed.push(i);
        }
        if !removed.is_empty() {
            let mut at = 0;
            let mut removed = removed.into_iter().peekable();
            table.rows.retain(|_| {
                at += 1;
                removed.next_if_eq(&(at - 1)).is_none()
            });
            visited.dir.skipped.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(())
    }
}

/// Asks about the files; marks those that have vanished. Returns what could not be asked.
fn stat_rows(dir: &Dir, names: &[u8], rows: &mut [Row]) -> Vec<FsError> {
    let mut failed = Vec::new();
    for row in rows {
        if row.kind() != FileKind::File {
            continue;
        }
        let stat = dir.name(row.name_in(names)).and_then(|name| dir.stat(&name));
        match stat {
            Ok(Some(stat)) => row.set_stat(&stat),
            Ok(None) => row.set_vanished(),
            Err(error) => {
                row.set_vanished();
                failed.push(error);
            }
        }
    }
    failed
}
