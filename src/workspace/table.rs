//! The rows of one directory in little memory: names in one buffer, 72 bytes per entry.
//!
//! Invariants: rows are sorted by name once [`Table::sort`] ran; every row's name lies in `names`. A link's target
//! stands right behind its name, and its size is the target's length.

use crate::fs::{FileKind, Stat};
use crate::hash::ID_LEN;

/// Bytes of a row on disk.
pub(super) const ROW_LEN: usize = 72;

const MODE_BITS: u16 = 0o7777;
const KIND_SHIFT: u32 = 12;
const KNOWN: u16 = 1 << 14;
const RACY: u16 = 1 << 15;

/// One entry: what `lstat` said and, if known, the id of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Bytes of a file, of a link's target; total bytes below a directory once its tree is known.
    pub size: u64,
    /// Last modification, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last status change, nanoseconds since 1970.
    pub ctime_ns: i64,
    /// Inode number; of a directory whose tree is known, the number of files and links below it.
    pub ino: u64,
    id: [u8; ID_LEN],
    name_start: u32,
    name_len: u16,
    bits: u16,
}

impl Row {
    /// A row of this kind that nothing else is known about.
    pub(super) fn new(name_start: u32, name_len: u16, kind: FileKind) -> Self {
        let mut row = Self {
            size: 0,
            mtime_ns: 0,
            ctime_ns: 0,
            ino: 0,
            id: [0; ID_LEN],
            name_start,
            name_len,
            bits: 0,
        };
        row.set_kind(kind);
        row
    }

    /// File, directory, link or special.
    #[must_use]
    pub const fn kind(&self) -> FileKind {
        match (self.bits >> KIND_SHIFT) & 3 {
            0 => FileKind::File,
            1 => FileKind::Dir,
            2 => FileKind::Symlink,
            _ => FileKind::Special,
        }
    }

    fn set_kind(&mut self, kind: FileKind) {
        let number = match kind {
            FileKind::File => 0u16,
            FileKind::Dir => 1,
            FileKind::Symlink => 2,
            FileKind::Special => 3,
        };
        self.bits = (self.bits & !(3 << KIND_SHIFT)) | (number << KIND_SHIFT);
    }

    /// Permission bits.
    #[must_use]
    pub const fn mode(&self) -> u32 {
        (self.bits & MODE_BITS) as u32
    }

    /// Whether the owner may execute it.
    #[must_use]
    pub const fn is_executable(&self) -> bool {
        self.mode() & 0o100 != 0
    }

    /// The id of the content (file id or tree id), if it is known.
    #[must_use]
    pub fn id(&self) -> Option<[u8; ID_LEN]> {
        (self.bits & KNOWN != 0).then_some(self.id)
    }

    /// Whether the file could have changed since without `lstat` telling.
    #[must_use]
    pub const fn is_racy(&self) -> bool {
        self.bits & RACY != 0
    }

    /// Takes over what `lstat` says; forgets the id.
    pub(super) fn set_stat(&mut self, stat: &Stat) {
        self.size = stat.size;
        self.mtime_ns = stat.mtime_ns;
        self.ctime_ns = stat.ctime_ns;
        self.ino = stat.ino;
        self.bits = (stat.mode as u16) & MODE_BITS;
        self.set_kind(stat.kind);
    }

    /// Records the id of the content, known to be right at `verified_ns`.
    pub(super) fn set_id(&mut self, id: [u8; ID_LEN], verified_ns: i64) {
        self.id = id;
        self.bits |= KNOWN;
        self.bits &= !RACY;
        if is_racy(self.mtime_ns, self.ctime_ns, verified_ns) {
            self.bits |= RACY;
        }
    }

    /// Forgets the id: the entry is gone or will be another.
    pub(super) fn forget(&mut self) {
        self.bits &= !KNOWN;
    }

    /// Says that the recorded id was still right at `verified_ns`.
    pub(super) fn settle(&mut self, verified_ns: i64) {
        if self.bits & KNOWN != 0 {
            self.set_id(self.id, verified_ns);
        }
    }

    /// Records the tree of a directory.
    pub(super) fn set_tree(&mut self, id: [u8; ID_LEN], size: u64, files: u64) {
        (self.id, self.size, self.ino) = (id, size, files);
        self.bits |= KNOWN;
    }

    /// Takes over the id of a row for the same unchanged file; nothing happens if that cannot be told.
    pub(super) fn adopt(&mut self, recorded: &Self) {
        let same = recorded.bits & KNOWN != 0
            && recorded.bits & RACY == 0
            && self.kind() == recorded.kind()
            && self.size == recorded.size
            && self.mtime_ns == recorded.mtime_ns
            && self.ctime_ns == recorded.ctime_ns
            && self.ino == recorded.ino;
        if same {
            self.id = recorded.id;
            self.bits |= KNOWN;
        }
    }

    /// Whether `stat` is of the same unchanged file.
    pub(super) fn matches(&self, stat: &Stat) -> bool {
        self.kind() == stat.kind
            && self.size == stat.size
            && self.mtime_ns == stat.mtime_ns
            && self.ctime_ns == stat.ctime_ns
            && self.ino == stat.ino
    }

    /// Marks an entry that is gone.
    pub(super) fn set_vanished(&mut self) {
        self.mtime_ns = i64::MIN;
    }

    pub(super) const fn is_vanished(&self) -> bool {
        self.mtime_ns == i64::MIN
    }

    pub(super) fn encode(&self, name_start: u32) -> [u8; ROW_LEN] {
        let mut out = [0; ROW_LEN];
        out[..8].copy_from_slice(&self.size.to_le_bytes());
        out[8..16].copy_from_slice(&self.mtime_ns.to_le_bytes());
        out[16..24].copy_from_slice(&self.ctime_ns.to_le_bytes());
        out[24..32].copy_from_slice(&self.ino.to_le_bytes());
        out[32..64].copy_from_slice(&self.id);
        out[64..68].copy_from_slice(&name_start.to_le_bytes());
        out[68..70].copy_from_slice(&self.name_len.to_le_bytes());
        out[70..72].copy_from_slice(&self.bits.to_le_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8; ROW_LEN]) -> Self {
        let eight = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            word
        };
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&bytes[32..64]);
        Self {
            size: u64::from_le_bytes(eight(0)),
            mtime_ns: i64::from_le_bytes(eight(8)),
            ctime_ns: i64::from_le_bytes(eight(16)),
            ino: u64::from_le_bytes(eight(24)),
            id,
            name_start: u32::from_le_bytes([bytes[64], bytes[65], bytes[66], bytes[67]]),
            name_len: u16::from_le_bytes([bytes[68], bytes[69]]),
            bits: u16::from_le_bytes([bytes[70], bytes[71]]),
        }
    }

    pub(super) const fn name_len(&self) -> u16 {
        self.name_len
    }

    /// The name, given the buffer it is in.
    pub(super) fn name_in<'a>(&self, names: &'a [u8]) -> &'a [u8] {
        let start = self.name_start as usize;
        names.get(start..start + usize::from(self.name_len)).unwrap_or_default()
    }
}

/// Clocks of file systems advance in ticks; what happens within a tick has one time. Kernels tick at 100 Hz or
/// faster; whole seconds in both times suggest a file system that counts in (two) seconds.
const TICK_NS: i64 = 20_000_000;
const COARSE_NS: i64 = 2_100_000_000;

/// Whether a file with these times could have been changed after `verified_ns` without its times telling.
fn is_racy(mtime_ns: i64, ctime_ns: i64, verified_ns: i64) -> bool {
    const SECOND: i64 = 1_000_000_000;
    let tick = if mtime_ns % SECOND == 0 && ctime_ns % SECOND == 0 {
        COARSE_NS
    } else {
        TICK_NS
    };
    mtime_ns.max(ctime_ns) >= verified_ns.saturating_sub(tick)
}

/// Nanoseconds since 1970, now.
pub(super) fn now_ns() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
}

/// The entries of one directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    pub(super) names: Vec<u8>,
    pub(super) rows: Vec<Row>,
}

impl Table {
    /// Adds a row of this kind; `false` when the buffer of names is full.
    pub(super) fn push(&mut self, name: &[u8], kind: FileKind) -> bool {
        let (Ok(start), Ok(len)) = (u32::try_from(self.names.len()), u16::try_from(name.len())) else {
            return false;
        };
        self.names.extend_from_slice(name);
        self.rows.push(Row::new(start, len, kind));
        true
    }

    /// Turns row `i` into a link to `target`; `false` when the buffer of names is full.
    pub(super) fn set_target(&mut self, i: usize, target: &[u8]) -> bool {
        let Some(row) = self.rows.get_mut(i) else { return false };
        let Ok(start) = u32::try_from(self.names.len()) else {
            return false;
        };
        let old = row.name_start as usize;
        self.names.extend_from_within(old..old + usize::from(row.name_len));
        self.names.extend_from_slice(target);
        row.name_start = start;
        row.set_kind(FileKind::Symlink);
        row.size = target.len() as u64;
        true
    }

    /// Adds a file that was written, with what `lstat` says about it.
    pub(super) fn push_written(&mut self, name: &[u8], stat: &Stat, id: [u8; ID_LEN]) -> bool {
        if !self.push(name, FileKind::File) {
            return false;
        }
        if let Some(row) = self.rows.last_mut() {
            row.set_stat(stat);
            row.set_id(id, i64::MIN);
        }
        true
    }

    /// Adds a copy of a row of another table under this name; `false` when the buffer of names is full.
    pub(super) fn push_row(&mut self, name: &[u8], row: &Row) -> bool {
        let fits = self.push(name, row.kind());
        if let (true, Some(added)) = (fits, self.rows.last_mut()) {
            *added = Row {
                name_start: added.name_start,
                name_len: added.name_len,
                ..*row
            };
        }
        fits
    }

    /// Adds the rows of another table.
    pub(super) fn append(&mut self, other: &Self) -> bool {
        other.rows.iter().all(|row| self.push_row(other.name(row), row))
    }

    pub(super) fn sort(&mut self) {
        let names = &self.names;
        self.rows
            .sort_unstable_by(|a, b| a.name_in(names).cmp(b.name_in(names)));
    }

    /// The rows, sorted by name.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The name of a row of this table.
    #[must_use]
    pub fn name(&self, row: &Row) -> &[u8] {
        row.name_in(&self.names)
    }

    /// The target of a link in this table.
    #[must_use]
    pub fn target(&self, row: &Row) -> &[u8] {
        let start = row.name_start as usize + usize::from(row.name_len);
        let len = usize::try_from(row.size).unwrap_or(usize::MAX);
        self.names.get(start..start.saturating_add(len)).unwrap_or_default()
    }

    /// The row of this name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&Row> {
        let found = self.rows.binary_search_by(|row| self.name(row).cmp(name));
        found.ok().and_then(|i| self.rows.get(i))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_small_and_survive_encoding() {
        assert_eq!(size_of::<Row>(), ROW_LEN);
        let mut table = Table::default();
        assert!(table.push(b"link", FileKind::Symlink));
        assert!(table.push(b"file", FileKind::File));
        assert!(table.set_target(0, b"../x"));
        table.sort();
        let link = *table.find(b"link").unwrap();
        assert_eq!((table.target(&link), link.kind()), (&b"../x"[..], FileKind::Symlink));
        table.rows[0].bits |= 0o755;
        table.rows[0].mtime_ns = -5;
        table.rows[0].set_id([7; 32], 0);
        let row = table.rows[0];
        assert!(row.is_executable() && row.is_racy());
        assert_eq!(Row::decode(&row.encode(row.name_start)), row);
    }

    #[test]
    fn racy_until_the_clock_has_ticked() {
        let t = 1_700_000_000_123_456_789;
        assert!(is_racy(t, t, t + 1_000_000));
        assert!(!is_racy(t, t, t + 100_000_000));
        assert!(is_racy(t - 1_000_000_000, t, t), "ctime counts");
        let whole = 1_700_000_000_000_000_000;
        assert!(
            is_racy(whole, whole, whole + 1_000_000_000),
            "a coarse clock is recognised"
        );
    }
}
