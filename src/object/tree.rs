//! The canonical encoding of one directory.

use crate::hash::{FileId, ID_LEN, TreeId};
use crate::path::{Name, PathError, quote};

const MAGIC: &[u8; 8] = b"MVTREE\x01\x00";
/// The magic and the number of entries.
const HEADER_LEN: usize = 12;
const KIND_FILE: u8 = 0;
const KIND_EXECUTABLE: u8 = 1;
const KIND_SYMLINK: u8 = 2;
const KIND_DIR: u8 = 3;
/// The longest link target a listing can hold, in bytes.
const MAX_TARGET: usize = 65_535;

/// Why bytes are not a listing.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The bytes end in the middle of something.
    #[error("the listing is cut short")]
    Truncated,
    /// The bytes do not begin as a listing of a version that is known.
    #[error("not a directory listing of a known version")]
    Magic,
    /// Bytes follow the last entry.
    #[error("the listing has bytes after its last entry")]
    Trailing,
    /// An entry is of an unknown kind.
    #[error("entry {name} is of unknown kind {kind}")]
    Kind {
        /// The entry.
        name: Name,
        /// Its kind number.
        kind: u8,
    },
    /// Entries are not in ascending order, or two have one name.
    #[error("entry {0} is out of order")]
    Order(Name),
    /// A name is not one.
    #[error(transparent)]
    Name(#[from] PathError),
    /// A link target is empty or has a NUL.
    #[error("link {0} has no valid target")]
    Target(Name),
}

/// What a name in a directory stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    File {
        /// Its content.
        id: FileId,
        /// Its bytes.
        size: u64,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A symbolic link; not followed.
    Symlink {
        /// Where it points.
        target: Box<[u8]>,
    },
    /// A directory.
    Dir {
        /// Its listing.
        id: TreeId,
        /// Sum of the sizes of the files below.
        size: u64,
        /// Number of files and links below.
        files: u64,
    },
}

impl Node {
    /// Bytes of file content this stands for.
    #[must_use]
    pub const fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } | Self::Dir { size, .. } => *size,
            Self::Symlink { .. } => 0,
        }
    }

    /// Number of files and links this stands for.
    #[must_use]
    pub const fn files(&self) -> u64 {
        match self {
            Self::File { .. } | Self::Symlink { .. } => 1,
            Self::Dir { files, .. } => *files,
        }
    }
}

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: Name,
    /// What it stands for.
    pub node: Node,
}

/// A directory: entries sorted by name, each name once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    entries: Vec<Entry>,
}

impl Tree {
    /// A directory with these entries, in any order.
    ///
    /// # Errors
    /// When two entries have one name, or a link target cannot be recorded.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, TreeError> {
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(TreeError::Order(pair[0].name.clone()));
        }
        for entry in &entries {
            if let Node::Symlink { target } = &entry.node {
                check_target(&entry.name, target)?;
            }
        }
        Ok(Self { entries })
    }

    /// The entries, sorted by name.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries, owned.
    #[must_use]
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// The entry of this name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&Entry> {
        self.entries
            .binary_search_by(|entry| entry.name.as_bytes().cmp(name))
            .ok()
            .map(|i| &self.entries[i])
    }

    /// Sum of the sizes of all files below.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.entries.iter().fold(0, |sum, e| sum.saturating_add(e.node.size()))
    }

    /// Number of all files and links below.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.entries.iter().fold(0, |sum, e| sum.saturating_add(e.node.files()))
    }

    /// The canonical bytes and their id.
    #[must_use]
    pub fn encode(&self) -> (TreeId, Vec<u8>) {
        let mut encoder = Encoder::with_capacity(self.entries.len());
        for entry in &self.entries {
            encoder.put(entry);
        }
        let encoded = encoder.finish();
        (encoded.id, encoded.bytes)
    }

    /// Reads a listing; only the canonical encoding is accepted.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, TreeError> {
        let mut input = Input(bytes);
        if input.take(8)? != MAGIC {
            return Err(TreeError::Magic);
        }
        let count = u32::from_le_bytes(input.array()?) as usize;
        // The smallest entry (a link with one byte of name and target) has 7 bytes.
        if count > bytes.len() / 7 {
            return Err(TreeError::Truncated);
        }
        let mut entries: Vec<Entry> = Vec::with_capacity(count);
        for _ in 0..count {
            let [kind] = input.array()?;
            let name_len = u16::from_le_bytes(input.array()?);
            let name = Name::new(input.take(usize::from(name_len))?)?;
            if entries.last().is_some_and(|last| last.name >= name) {
                return Err(TreeError::Order(name));
            }
            let node = match kind {
                KIND_FILE | KIND_EXECUTABLE => Node::File {
                    size: u64::from_le_bytes(input.array()?),
                    id: FileId::from_bytes(input.array()?),
                    executable: kind == KIND_EXECUTABLE,
                },
                KIND_SYMLINK => {
                    let len = u16::from_le_bytes(input.array()?);
                    let target = input.take(usize::from(len))?;
                    check_target(&name, target)?;
                    Node::Symlink { target: target.into() }
                }
                KIND_DIR => Node::Dir {
                    size: u64::from_le_bytes(input.array()?),
                    files: u64::from_le_bytes(input.array()?),
                    id: TreeId::from_bytes(input.array::<ID_LEN>()?),
                },
                kind => return Err(TreeError::Kind { name, kind }),
            };
            entries.push(Entry { name, node });
        }
        if input.0.is_empty() {
            Ok(Self { entries })
        } else {
            Err(TreeError::Trailing)
        }
    }
}

/// A listing that is written entry by entry, so that a large directory need not be held twice.
#[derive(Debug)]
pub struct Encoder {
    out: Vec<u8>,
    count: u32,
    size: u64,
    files: u64,
    last: Option<Name>,
}

/// What an [`Encoder`] wrote.
#[derive(Debug)]
pub struct Encoded {
    /// Its id.
    pub id: TreeId,
    /// The canonical bytes.
    pub bytes: Vec<u8>,
    /// Sum of the sizes of all files below.
    pub size: u64,
    /// Number of all files and links below.
    pub files: u64,
}

impl Encoded {
    /// Whether the directory has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == HEADER_LEN
    }
}

impl Encoder {
    /// For a directory of about this many entries.
    #[must_use]
    pub fn with_capacity(entries: usize) -> Self {
        let mut out = Vec::with_capacity(HEADER_LEN + entries * 64);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&0_u32.to_le_bytes());
        Self {
            out,
            count: 0,
            size: 0,
            files: 0,
            last: None,
        }
    }

    /// Appends the next entry.
    ///
    /// # Errors
    /// [`TreeError::Order`] when its name does not come behind that of the entry before, [`TreeError::Target`] when it
    /// is a link that cannot be recorded.
    pub fn push(&mut self, entry: Entry) -> Result<(), TreeError> {
        if self.last.as_ref().is_some_and(|last| *last >= entry.name) {
            return Err(TreeError::Order(entry.name));
        }
        if let Node::Symlink { target } = &entry.node {
            check_target(&entry.name, target)?;
        }
        self.put(&entry);
        self.last = Some(entry.name);
        Ok(())
    }

    /// Appends an entry that is known to be valid and the next.
    fn put(&mut self, Entry { name, node }: &Entry) {
        self.count += 1;
        self.size = self.size.saturating_add(node.size());
        self.files = self.files.saturating_add(node.files());
        let out = &mut self.out;
        out.push(match node {
            Node::File { executable: false, .. } => KIND_FILE,
            Node::File { executable: true, .. } => KIND_EXECUTABLE,
            Node::Symlink { .. } => KIND_SYMLINK,
            Node::Dir { .. } => KIND_DIR,
        });
        out.extend_from_slice(&(name.as_bytes().len() as u16).to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        match node {
            Node::File { id, size, .. } => {
                out.extend_from_slice(&size.to_le_bytes());
                out.extend_from_slice(id.as_bytes());
            }
            Node::Symlink { target } => {
                out.extend_from_slice(&(target.len() as u16).to_le_bytes());
                out.extend_from_slice(target);
            }
            Node::Dir { id, size, files } => {
                out.extend_from_slice(&size.to_le_bytes());
                out.extend_from_slice(&files.to_le_bytes());
                out.extend_from_slice(id.as_bytes());
            }
        }
    }

    /// The listing of everything that was appended.
    #[must_use]
    pub fn finish(mut self) -> Encoded {
        self.out[MAGIC.len()..HEADER_LEN].copy_from_slice(&self.count.to_le_bytes());
        Encoded {
            id: TreeId::of(&self.out),
            bytes: self.out,
            size: self.size,
            files: self.files,
        }
    }
}

fn check_target(name: &Name, target: &[u8]) -> Result<(), TreeError> {
    if target.is_empty() || target.len() > MAX_TARGET || target.contains(&0) {
        return Err(TreeError::Target(name.clone()));
    }
    Ok(())
}

/// Bytes that are read from the front.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], TreeError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(TreeError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TreeError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(TreeError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }
}

/// Why a symbolic link is not accepted inside a tracked directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The target starts with `/`.
    #[error("points to the absolute path `{}`", quote(.0))]
    Absolute(Vec<u8>),
    /// The target climbs above the tracked directory.
    #[error("points outside the tracked directory, to `{}`", quote(.0))]
    Escapes(Vec<u8>),
}

/// Checks that a link in a directory `depth` levels below the tracked root (0: in the root) stays inside it, by
/// its text alone.
///
/// # Errors
/// When the target is absolute or climbs out.
pub fn check_link(depth: usize, target: &[u8]) -> Result<(), LinkError> {
    if target.starts_with(b"/") {
        return Err(LinkError::Absolute(target.to_vec()));
    }
    let mut level = depth;
    for part in target.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                level = level
                    .checked_sub(1)
                    .ok_or_else(|| LinkError::Escapes(target.to_vec()))?;
            }
            _ => level += 1,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    fn node() -> impl Strategy<Value = Node> {
        prop_oneof![
            (any::<[u8; 32]>(), any::<u64>(), any::<bool>()).prop_map(|(id, size, executable)| Node::File {
                id: FileId::from_bytes(id),
                size,
                executable
            }),
            vec(1..=255u8, 1..20).prop_map(|target| Node::Symlink { target: target.into() }),
            (any::<[u8; 32]>(), any::<u64>(), any::<u64>()).prop_map(|(id, size, files)| Node::Dir {
                id: TreeId::from_bytes(id),
                size,
                files
            }),
        ]
    }

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        btree_map(vec(any::<u8>(), 1..12), node(), 0..12).prop_map(|map| {
            map.into_iter()
                .filter_map(|(name, node)| Name::new(&name).ok().map(|name| Entry { name, node }))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn decode_is_the_inverse_of_encode_in_any_order(mut entries in entries(), seed in any::<u64>()) {
            let sorted = Tree::new(entries.clone()).unwrap();
            if !entries.is_empty() {
                let by = seed as usize % entries.len();
                entries.rotate_left(by);
            }
            let tree = Tree::new(entries).unwrap();
            let (id, bytes) = tree.encode();
            prop_assert_eq!(&Tree::decode(&bytes).unwrap(), &sorted);
            prop_assert_eq!(id, sorted.encode().0);
            let mut encoder = Encoder::with_capacity(0);
            let pushed = sorted.entries().iter().try_for_each(|entry| encoder.push(entry.clone()));
            prop_assert!(pushed.is_ok());
            if let Some(first) = sorted.entries().first() {
                prop_assert!(encoder.push(first.clone()).is_err());
            }
            let encoded = encoder.finish();
            prop_assert_eq!(encoded.bytes, bytes);
            prop_assert_eq!((encoded.size, encoded.files), (sorted.size(), sorted.files()));
        }

        #[test]
        fn only_canonical_bytes_are_accepted(entries in entries(), at in any::<u64>(), bit in 0..8u32) {
            let (id, mut bytes) = Tree::new(entries).unwrap().encode();
            for len in 0..bytes.len() {
                prop_assert!(Tree::decode(&bytes[..len]).is_err());
            }
            let at = at as usize % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Ok(tree) = Tree::decode(&bytes) {
                let again = tree.encode();
                prop_assert_eq!(&again.1, &bytes);
                prop_assert_ne!(again.0, id);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(tail in vec(any::<u8>(), 0..200)) {
            let _ = Tree::decode(&tail);
            let _ = Tree::decode(&[&MAGIC[..], &tail].concat());
        }
    }

    #[test]
    fn golden_bytes() {
        let tree = Tree::new(vec![
            Entry {
                name: Name::new(b"run.sh").unwrap(),
                node: Node::File {
                    id: FileId::of(b"x"),
                    size: 1,
                    executable: true,
                },
            },
            Entry {
                name: Name::new(b"empty").unwrap(),
                node: Node::Dir {
                    id: Tree::default().encode().0,
                    size: 0,
                    files: 0,
                },
            },
            Entry {
                name: Name::new(b"latest").unwrap(),
                node: Node::Symlink {
                    target: b"run.sh"[..].into(),
                },
            },
        ])
        .unwrap();
        let golden = include_bytes!("../../fixtures/formats/tree.bin");
        assert_eq!(tree.encode().1, golden);
        assert_eq!(Tree::decode(golden).unwrap(), tree);
    }

    #[test]
    fn links_stay_inside() {
        for (depth, target) in [(0, "a"), (1, "../a"), (0, "a/../b"), (2, "../../x"), (0, "./a//b")] {
            assert_eq!(check_link(depth, target.as_bytes()), Ok(()), "{target}");
        }
        for (depth, target) in [(0, ".."), (0, "../a"), (1, "../../a"), (0, "a/../../b"), (3, "/etc")] {
            assert!(check_link(depth, target.as_bytes()).is_err(), "{target}");
        }
    }
}
