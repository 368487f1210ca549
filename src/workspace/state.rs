//! What modver last wrote or saw in the workspace for one output: base, parts that are present, and for each file
//! its stat data and id, so that an unchanged file is recognised by one `lstat`. It names the output, so that what
//! was brought here is still known when no pointer names it any more.
//!
//! Private to one machine and rebuilt when it cannot be read: [`State::read`] gives `None` for anything that is not
//! exactly what this version writes. The file is mapped, not loaded; rows are decoded as they are asked for.
//!
//! An id is only recorded as reliable if the file's times were older than the moment its content was known by more
//! than a tick of the clock; other files are marked racy and hashed again.
//!
//! Layout (numbers little-endian):
//!
//! | bytes | |
//! |---|---|
//! | 8 | `MVSTAT`, version 2, 0 |
//! | 4 × 4 | kind of the base (0 none, 1 file, 2 tree; + 256: not all of it came), number of scopes, directories D, rows R |
//! | 8 × 2 | bytes of paths, bytes of names |
//! | 32 | base |
//! | 4, … | length of the output's path, path |
//! | D × 24 | directories, sorted by path: end of its path (8), end of its names (8), end of its rows (8), each within its section |
//! | R × 72 | rows, directory by directory, sorted by name |
//! | … | scopes: length (4), path |
//! | … | paths, back to back; names, back to back |
//! | 32 | BLAKE3 of what comes before |

use std::path::{Path, PathBuf};

use super::scopes::Scopes;
use super::table::{ROW_LEN, Row, Table};
use super::{Result, Root, WorkspaceError};
use crate::fs::{ClosedTemp, FileKind, TempFile};
use crate::hash::{FileId, Hasher, ID_LEN, TreeId};
use crate::path::RepoPath;

const MAGIC: &[u8; 8] = b"MVSTAT\x02\x00";
const HEADER_LEN: usize = 8 + 16 + 16 + ID_LEN;
const DIR_LEN: usize = 24;
/// In the kind of the base: what the workspace was to be brought to did not all come.
const UNFINISHED: u32 = 1 << 8;

/// Where the state of an output is kept.
#[derive(Debug, Clone)]
pub struct StateFile {
    /// The file; its directory exists when it is to be written.
    pub path: PathBuf,
    /// The output, relative to the repository.
    pub output: RepoPath,
}

/// A state that is complete and not yet the one in force.
#[derive(Debug)]
pub struct PreparedState {
    temp: ClosedTemp,
    path: PathBuf,
}

impl PreparedState {
    /// Puts it in force.
    ///
    /// # Errors
    /// When it cannot be renamed; the old state is then still there.
    pub fn publish(self) -> Result<()> {
        Ok(self.temp.rename(&self.path)?)
    }
}

/// A state that was read; see the module.
pub struct State {
    bytes: Box<dyn AsRef<[u8]> + Send + Sync>,
    output: RepoPath,
    base: Option<Root>,
    unfinished: bool,
    scopes: Scopes,
    /// Where the sections begin.
    dirs: Section,
    rows: Section,
    paths: Section,
    names: Section,
}

#[derive(Debug, Clone, Copy)]
struct Section {
    start: usize,
    len: usize,
}

impl Section {
    fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.start..self.start + self.len).unwrap_or_default()
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("output", &self.output)
            .field("base", &self.base)
            .field("scopes", &self.scopes)
            .field("files", &self.files())
            .finish_non_exhaustive()
    }
}

impl State {
    /// Reads the state at `path`; `None` when there is none, or none that this version can trust.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        Self::decode(Box::new(crate::fs::map(path).ok()?))
    }

    /// What the workspace was last brought to, of the state at `path`. Only its first bytes are read and nothing is
    /// verified: for finding out quickly what is worth a closer look.
    #[must_use]
    pub fn base_at(path: &Path) -> Option<Root> {
        let file = crate::fs::open(path).ok()?;
        let mut head = [0; HEADER_LEN];
        crate::fs::read_exact_at(&file, path, &mut head, 0).ok()?;
        let id: [u8; ID_LEN] = head[40..].try_into().ok()?;
        match (head.starts_with(MAGIC), u32_at(&head, 8)? & !UNFINISHED) {
            (true, 1) => Some(Root::File(FileId::from_bytes(id))),
            (true, 2) => Some(Root::Tree(TreeId::from_bytes(id))),
            _ => None,
        }
    }

    /// Checks and opens the bytes of a state.
    #[must_use]
    pub fn decode(held: Box<dyn AsRef<[u8]> + Send + Sync>) -> Option<Self> {
        let bytes = (*held).as_ref();
        let body_len = bytes.len().checked_sub(ID_LEN)?;
        let (body, hash) = bytes.split_at_checked(body_len)?;
        if !body.starts_with(MAGIC) || FileId::of(body).as_bytes() != hash {
            return None;
        }
        let count = |at: usize| usize::try_from(u32_at(body, at)?).ok();
        let kind = u32_at(body, 8)?;
        let (scopes, dirs, rows) = (count(12)?, count(16)?, count(20)?);
        let paths_len = usize::try_from(u64_at(body, 24)?).ok()?;
        let names_len = usize::try_from(u64_at(body, 32)?).ok()?;
        let id: [u8; ID_LEN] = body.get(40..HEADER_LEN)?.try_into().ok()?;
        let base = match kind & !UNFINISHED {
            0 => None,
            1 => Some(Root::File(FileId::from_bytes(id))),
            2 => Some(Root::Tree(TreeId::from_bytes(id))),
            _ => return None,
        };
        let (output, start) = path_at(body, HEADER_LEN)?;
        let dirs = Section {
            start,
            len: dirs.checked_mul(DIR_LEN)?,
        };
        let rows = Section {
            start: dirs.start.checked_add(dirs.len)?,
            len: rows.checked_mul(ROW_LEN)?,
        };
        let mut at = rows.start.checked_add(rows.len)?;
        let mut parts = Vec::new();
        for _ in 0..scopes {
            let part;
            (part, at) = path_at(body, at)?;
            parts.push(part);
        }
        let paths = Section {
            start: at,
            len: paths_len,
        };
        let names = Section {
            start: at.checked_add(paths_len)?,
            len: names_len,
        };
        if names.start.checked_add(names_len)? != body_len {
            return None;
        }
        Some(Self {
            output,
            base,
            unfinished: kind & UNFINISHED != 0,
            scopes: Scopes::new(parts),
            dirs,
            rows,
            paths,
            names,
            bytes: held,
        })
    }

    /// The output, relative to the repository.
    #[must_use]
    pub const fn output(&self) -> &RepoPath {
        &self.output
    }

    /// Writes the same as the state of an output that was moved.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_moved(&self, to: &StateFile) -> Result<()> {
        let bytes = (*self.bytes).as_ref();
        let body = bytes.get(..bytes.len() - ID_LEN).unwrap_or_default();
        let (header, rest) = (body.get(..HEADER_LEN), body.get(self.dirs.start..));
        let mut file = TempFile::create_beside(&to.path)?;
        let mut out = Buffered::new(|bytes| Ok(file.write_all(bytes)?));
        out.put(header.unwrap_or_default())?;
        out.put_path(&to.output)?;
        for piece in rest.unwrap_or_default().chunks(BUFFER) {
            out.put(piece)?;
        }
        out.finish()?;
        Ok(file.rename(&to.path)?)
    }

    /// What the workspace was last brought to, or recorded as.
    #[must_use]
    pub const fn base(&self) -> Option<Root> {
        self.base
    }

    /// Whether not all of that came: what is absent was then not removed by anybody.
    #[must_use]
    pub const fn is_unfinished(&self) -> bool {
        self.unfinished
    }

    /// The parts of the output that are present.
    #[must_use]
    pub const fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// How many files are recorded.
    #[must_use]
    pub const fn files(&self) -> usize {
        self.rows.len / ROW_LEN
    }

    /// The directories of which files are recorded, in order.
    pub(super) fn paths(&self) -> Vec<RepoPath> {
        let bytes = (*self.bytes).as_ref();
        let (dirs, _) = self.dirs.of(bytes).as_chunks::<DIR_LEN>();
        let paths = self.paths.of(bytes);
        let mut start = 0;
        let mut found = Vec::with_capacity(dirs.len());
        for dir in dirs {
            let end = u64_at(dir, 0).and_then(|n| usize::try_from(n).ok());
            let Some(path) = end.and_then(|end| paths.get(start..end)) else {
                break;
            };
            start += path.len();
            found.extend(RepoPath::new(path));
        }
        found
    }

    /// The files recorded for the directory `path`, sorted by name; none if it is unknown.
    pub fn dir(&self, path: &RepoPath) -> impl Iterator<Item = (&[u8], Row)> {
        self.find(path).into_iter().flat_map(|(rows, names)| {
            rows.as_chunks::<ROW_LEN>().0.iter().map(move |chunk| {
                let row = Row::decode(chunk);
                (row.name_in(names), row)
            })
        })
    }

    /// The rows and names of a directory.
    fn find(&self, path: &RepoPath) -> Option<(&[u8], &[u8])> {
        let bytes = (*self.bytes).as_ref();
        let (dirs, _) = self.dirs.of(bytes).as_chunks::<DIR_LEN>();
        let (paths, names) = (self.paths.of(bytes), self.names.of(bytes));
        let ends = |i: usize| -> [usize; 3] {
            let word = |at| {
                u64_at(&dirs[i], at)
                    .and_then(|n| usize::try_from(n).ok())
                    .unwrap_or(usize::MAX)
            };
            [word(0), word(8), word(16)]
        };
        let starts = |i: usize| if i == 0 { [0; 3] } else { ends(i - 1) };
        let (mut low, mut high) = (0, dirs.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let here = paths.get(starts(middle)[0]..ends(middle)[0])?;
            match components(here).cmp(components(path.as_bytes())) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let (start, end) = (starts(middle), ends(middle));
                    let rows = self.rows.of(bytes);
                    let rows = rows.get(start[2].checked_mul(ROW_LEN)?..end[2].checked_mul(ROW_LEN)?)?;
                    return Some((rows, names.get(start[1]..end[1])?));
                }
            }
        }
        None
    }
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&b| b == b'/').filter(|name| !name.is_empty())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(word.try_into().ok()?))
}

/// A path behind its length, and where it ends.
fn path_at(bytes: &[u8], at: usize) -> Option<(RepoPath, usize)> {
    let len = usize::try_from(u32_at(bytes, at)?).ok()?;
    let start = at.checked_add(4)?;
    let end = start.checked_add(len)?;
    Some((RepoPath::new(bytes.get(start..end)?).ok()?, end))
}

/// Replaces a state. With the base comes whether not all of it is here. `dirs` are the directories in path order; of their rows, the files with a known id are recorded.
/// Not synced: a state that a power failure leaves torn is recognised by its hash and costs only work.
///
/// # Errors
/// When the file cannot be written; the old state is then still there.
pub(super) fn write<'a, D>(
    to: &StateFile,
    (base, unfinished): (Option<Root>, bool),
    scopes: &Scopes,
    dirs: D,
) -> Result<()>
where
    D: Iterator<Item = (&'a RepoPath, &'a Table)> + Clone,
{
    let mut file = TempFile::create_beside(&to.path)?;
    encode(&to.output, (base, unfinished), scopes, dirs, |bytes| {
        Ok(file.write_all(bytes)?)
    })?;
    Ok(file.rename(&to.path)?)
}

/// As [`write`] without the last step.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn prepare<'a, D>(
    to: &StateFile,
    (base, unfinished): (Option<Root>, bool),
    scopes: &Scopes,
    dirs: D,
) -> Result<PreparedState>
where
    D: Iterator<Item = (&'a RepoPath, &'a Table)> + Clone,
{
    let mut file = TempFile::create_beside(&to.path)?;
    encode(&to.output, (base, unfinished), scopes, dirs, |bytes| {
        Ok(file.write_all(bytes)?)
    })?;
    Ok(PreparedState {
        temp: file.close(),
        path: to.path.clone(),
    })
}

/// Gives the bytes of a state to `sink`, piece by piece.
fn encode<'a, D>(
    output: &RepoPath,
    (base, unfinished): (Option<Root>, bool),
    scopes: &Scopes,
    dirs: D,
    sink: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()>
where
    D: Iterator<Item = (&'a RepoPath, &'a Table)> + Clone,
{
    let files = |table: &'a Table| {
        let known = |row: &&Row| row.kind() == FileKind::File && row.id().is_some();
        table.rows().iter().filter(known)
    };
    let dirs = dirs.filter(|(_, table)| files(table).next().is_some());
    let mut records = Vec::new();
    let (mut paths, mut names, mut rows) = (0u64, 0u64, 0u64);
    for (path, table) in dirs.clone() {
        paths += path.as_bytes().len() as u64;
        for row in files(table) {
            names += u64::from(row.name_len());
            rows += 1;
        }
        for end in [paths, names, rows] {
            records.extend_from_slice(&end.to_le_bytes());
        }
    }
    let (kind, id) = match base {
        None => (0u32, [0; ID_LEN]),
        Some(Root::File(id)) => (1, *id.as_bytes()),
        Some(Root::Tree(id)) => (2, *id.as_bytes()),
    };
    let kind = kind | if unfinished { UNFINISHED } else { 0 };
    let mut out = Buffered::new(sink);
    out.put(MAGIC)?;
    out.put(&kind.to_le_bytes())?;
    for n in [scopes.paths().len() as u64, (records.len() / DIR_LEN) as u64, rows] {
        out.put(&count(n)?.to_le_bytes())?;
    }
    out.put(&paths.to_le_bytes())?;
    out.put(&names.to_le_bytes())?;
    out.put(&id)?;
    out.put_path(output)?;
    out.put(&records)?;
    for (path, table) in dirs.clone() {
        let mut start = 0u32;
        for row in files(table) {
            out.put(&row.encode(start))?;
            start = start
                .checked_add(u32::from(row.name_len()))
                .ok_or_else(|| WorkspaceError::TooManyNames(path.clone()))?;
        }
    }
    for scope in scopes.paths() {
        out.put_path(scope)?;
    }
    for (path, _) in dirs.clone() {
        out.put(path.as_bytes())?;
    }
    for (_, table) in dirs {
        for row in files(table) {
            out.put(table.name(row))?;
        }
    }
    out.finish()
}

const BUFFER: usize = 1 << 16;

fn count(n: u64) -> Result<u32> {
    u32::try_from(n).map_err(|_| WorkspaceError::TooManyNames(RepoPath::root()))
}

struct Buffered<F> {
    buffer: Vec<u8>,
    hasher: Hasher,
    sink: F,
}

impl<F: FnMut(&[u8]) -> Result<()>> Buffered<F> {
    fn new(sink: F) -> Self {
        Self {
            buffer: Vec::with_capacity(2 * BUFFER),
            hasher: Hasher::new(),
            sink,
        }
    }

    fn put_path(&mut self, path: &RepoPath) -> Result<()> {
        self.put(&count(path.as_bytes().len() as u64)?.to_le_bytes())?;
        self.put(path.as_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.hasher.update(&self.buffer);
        (self.sink)(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.flush()?;
        (self.sink)(&self.hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    type Files = std::collections::BTreeMap<Vec<u8>, (u64, i64, [u8; 32])>;

    fn table(files: &Files) -> Table {
        let mut table = Table::default();
        for name in files.keys() {
            assert!(table.push(name, FileKind::File));
        }
        for (row, (size, time, id)) in table.rows.iter_mut().zip(files.values()) {
            (row.size, row.mtime_ns, row.ctime_ns, row.ino) =
                (*size, *time, time.wrapping_add(1), size.rotate_left(7));
            row.set_id(*id, 0);
        }
        table
    }

    fn output() -> RepoPath {
        RepoPath::new(b"some/output").unwrap()
    }

    fn encoded(base: Option<Root>, scopes: &Scopes, dirs: &[(RepoPath, Table)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(
            &output(),
            (base, false),
            scopes,
            dirs.iter().map(|(p, t)| (p, t)),
            |part: &[u8]| {
                bytes.extend_from_slice(part);
                Ok(())
            },
        )
        .unwrap();
        bytes
    }

    fn name() -> impl Strategy<Value = Vec<u8>> {
        vec(any::<u8>(), 1..6).prop_filter("valid", |name| crate::path::check_name(name).is_ok())
    }

    fn path() -> impl Strategy<Value = RepoPath> {
        vec(name(), 0..3).prop_map(|names| RepoPath::new(&names.join(&b'/')).unwrap())
    }

    fn base() -> impl Strategy<Value = Option<Root>> {
        prop_oneof![
            Just(None),
            any::<[u8; 32]>().prop_map(|id| Some(Root::File(FileId::from_bytes(id)))),
            any::<[u8; 32]>().prop_map(|id| Some(Root::Tree(TreeId::from_bytes(id)))),
        ]
    }

    fn reseal(mut bytes: Vec<u8>) -> Vec<u8> {
        let body = bytes.len() - ID_LEN;
        let hash = *FileId::of(&bytes[..body]).as_bytes();
        bytes[body..].copy_from_slice(&hash);
        bytes
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            base in base(),
            scopes in vec(path(), 0..3),
            dirs in btree_map(path(), btree_map(name(), any::<(u64, i64, [u8; 32])>(), 1..5), 0..5),
            absent in path(),
        ) {
            let scopes = Scopes::new(scopes);
            let tables: Vec<_> = dirs.iter().map(|(path, files)| (path.clone(), table(files))).collect();
            let bytes = encoded(base, &scopes, &tables);
            let state = State::decode(Box::new(bytes.clone())).unwrap();
            prop_assert_eq!(state.output(), &output());
            prop_assert_eq!(state.base(), base);
            let dir = tempfile::tempdir().unwrap();
            let mut moved = StateFile { path: dir.path().join("moved"), output: absent.clone() };
            state.write_moved(&moved).unwrap();
            let there = State::read(&moved.path).unwrap();
            prop_assert_eq!((there.output(), there.files()), (&absent, state.files()));
            moved.output = output();
            there.write_moved(&moved).unwrap();
            prop_assert_eq!(std::fs::read(&moved.path).unwrap(), bytes);
            prop_assert_eq!(state.scopes(), &scopes);
            for (path, table) in &tables {
                let read: Vec<_> = state.dir(path).collect();
                prop_assert_eq!(read.len(), table.rows().len());
                for ((name, row), expected) in read.into_iter().zip(table.rows()) {
                    prop_assert_eq!(name, table.name(expected));
                    prop_assert_eq!(row.encode(0), expected.encode(0));
                }
            }
            prop_assert_eq!(state.dir(&absent).count(), dirs.get(&absent).map_or(0, |files| files.len()));
        }

        #[test]
        fn damage_is_noticed_and_never_panics(
            dirs in btree_map(path(), btree_map(name(), any::<(u64, i64, [u8; 32])>(), 1..4), 1..4),
            at in any::<proptest::sample::Index>(),
            bit in 0..8u32,
            garbage in vec(any::<u8>(), 0..200),
            asked in path(),
        ) {
            let tables: Vec<_> = dirs.iter().map(|(path, files)| (path.clone(), table(files))).collect();
            let good = encoded(None, &Scopes::whole(), &tables);
            let mut bad = good.clone();
            bad[at.index(good.len())] ^= 1 << bit;
            prop_assert!(State::decode(Box::new(bad.clone())).is_none());
            let cut = good[..at.index(good.len())].to_vec();
            prop_assert!(State::decode(Box::new(cut)).is_none());
            // Even with a hash that fits, whatever the numbers say.
            for bytes in [reseal(bad), reseal([&MAGIC[..], &garbage, &[0; ID_LEN]].concat())] {
                if let Some(state) = State::decode(Box::new(bytes)) {
                    for path in dirs.keys().chain([&asked]) {
                        state.dir(path).for_each(drop);
                    }
                }
            }
        }
    }
}
