//! Transparent files: git's filter turns their content into the text of a pointer on the way into git, and back on
//! the way out. The file in the work tree has its own name, and git's blob of that name is the pointer.
//!
//! Invariants: equal content gives equal text, whoever cleans it; a text counts as a pointer only if it is, byte for
//! byte, what [`TransparentPointer::to_bytes`] gives. Anything else is content, also if it looks like a pointer.
//!
//! Which files of the index are transparent is git's decision, by its attributes: the `git` program is asked.

use std::collections::HashMap;

use gix::bstr::ByteSlice as _;
use gix::index::entry::{Flags, Mode, Stage};

use super::discover::GitRepo;
use super::error::{GitError, Result};
use super::index::{Tracked, entry_path};
use super::pointer::{MAX_POINTER, Pointer, PointerContent};
use super::revision::{PointerEntries, entry_name};
use crate::fs::{self, Stat};
use crate::hash::FileId;
use crate::path::RepoPath;

/// The attribute that makes a file transparent, as it is written in `.gitattributes`.
pub(super) const ATTRIBUTE: &str = "filter=modver";
/// The name of the file that holds attributes.
pub(super) const ATTRIBUTES_FILE: &str = ".gitattributes";

/// The text without the id and the size.
const BEFORE_ID: &[u8] = b"version = 1\nkind = \"file\"\nid = \"";
const BEFORE_SIZE: &[u8] = b"\"\nsize = ";
const HEADER: &str = "# modver pointer. The content of this file: modver pull <its name>\n";
/// What every pointer begins with, beside a file or in its place.
const ANY_HEADER: &[u8] = b"# modver pointer. ";
/// The largest text of a transparent pointer of any version, in bytes.
const MAX_TEXT: u64 = 1024;

/// The pointer that git stores in place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransparentPointer {
    /// The content.
    pub id: FileId,
    /// Its bytes, at most `i64::MAX`.
    pub size: u64,
}

impl TransparentPointer {
    /// No pointer has more bytes than this.
    pub const MAX_LEN: usize = MAX_TEXT as usize;

    /// The text.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { id, size } = self;
        format!("{HEADER}version = 1\nkind = \"file\"\nid = \"{id}\"\nsize = {size}\n").into_bytes()
    }

    /// The pointer that these bytes are; `None` for anything else, also for one that is written in another way.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > Self::MAX_LEN {
            return None;
        }
        let rest = bytes.strip_prefix(HEADER.as_bytes())?.strip_prefix(BEFORE_ID)?;
        let (id, rest) = rest.split_at_checked(64)?;
        let size = rest.strip_prefix(BEFORE_SIZE)?.strip_suffix(b"\n")?;
        let text = |bytes| std::str::from_utf8(bytes).ok();
        let parsed = Self {
            id: text(id)?.parse().ok()?,
            size: text(size)?.parse().ok()?,
        };
        // The number might be written in another way, or be too large for other pointers.
        let right = i64::try_from(parsed.size).is_ok() && parsed.to_bytes() == bytes;
        right.then_some(parsed)
    }

    /// As a pointer that stands beside its file.
    #[must_use]
    pub fn to_pointer(&self, executable: bool) -> Pointer {
        Pointer {
            content: PointerContent::File {
                id: self.id,
                executable,
            },
            size: self.size,
            desc: None,
            labels: Vec::new(),
            remote: None,
            import: None,
        }
    }
}

/// Whether these bytes begin as a pointer does.
#[must_use]
pub fn looks_like_pointer(bytes: &[u8]) -> bool {
    bytes.starts_with(ANY_HEADER)
}

/// A file of git's index that is transparent.
#[derive(Debug, Clone)]
pub struct TransparentFile {
    /// Where it is.
    pub path: RepoPath,
    /// What git has in its place.
    pub pointer: TransparentPointer,
    /// Whether git says that it is executable.
    pub executable: bool,
    blob: gix::ObjectId,
    stat: gix::index::entry::Stat,
    /// Whether the file may have changed after git looked at it without that being visible.
    racy: bool,
}

impl TransparentFile {
    pub(super) const fn blob(&self) -> gix::ObjectId {
        self.blob
    }

    /// This content at this path, which the index may not have.
    #[must_use]
    pub fn new(path: RepoPath, pointer: TransparentPointer, executable: bool) -> Self {
        Self {
            path,
            pointer,
            executable,
            blob: gix::ObjectId::null(gix::hash::Kind::Sha1),
            stat: gix::index::entry::Stat::default(),
            racy: true,
        }
    }

    /// Whether the file of the work tree is the one that git saw last, so that it need not be read.
    #[must_use]
    pub fn is_as_git_saw_it(&self, stat: &Stat) -> bool {
        !self.racy && self.is_known_to_git(stat)
    }

    /// Whether git remembers just this of the file. It may have changed all the same while git looked.
    #[must_use]
    pub fn is_known_to_git(&self, stat: &Stat) -> bool {
        let secs = stat.mtime_ns.div_euclid(1_000_000_000);
        let nanos = stat.mtime_ns.rem_euclid(1_000_000_000);
        i64::from(self.stat.mtime.secs) == secs
            && i64::from(self.stat.mtime.nsecs) == nanos
            // Git keeps 32 bits of these.
            && self.stat.size == stat.size as u32
            && self.stat.ino == stat.ino as u32
    }
}

/// What git's index has at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// The pointer of a transparent file, or nothing for an empty file.
    File {
        /// The content.
        pointer: Option<TransparentPointer>,
        /// Whether git says that it is executable.
        executable: bool,
    },
    /// A link, with where it points.
    Link(Vec<u8>),
    /// Nothing, or anything else.
    Other,
}

impl GitRepo {
    /// What the index has at each of these paths.
    ///
    /// # Errors
    /// When the index cannot be read or an object is missing.
    pub fn held(&self, paths: &[RepoPath]) -> Result<Vec<Held>> {
        let tracked = self.tracked()?;
        let repo = self.local();
        let mut held = Vec::with_capacity(paths.len());
        for path in paths {
            let at = path.as_bytes().as_bstr();
            let entry = tracked.index.entry_by_path_and_stage(at, Stage::Unconflicted);
            held.push(match entry {
                Some(entry) if matches!(entry.mode, Mode::FILE | Mode::FILE_EXECUTABLE) => {
                    let pointer =
                        read_tiny_blob(&repo, entry.id)?.and_then(|bytes| TransparentPointer::parse(&bytes));
                    let is_empty = entry.id == gix::ObjectId::empty_blob(entry.id.kind());
                    match pointer.is_some() || is_empty {
                        true => Held::File {
                            pointer,
                            executable: entry.mode == Mode::FILE_EXECUTABLE,
                        },
                        false => Held::Other,
                    }
                }
                Some(entry) if entry.mode == Mode::SYMLINK => {
                    let blob = repo.find_blob(entry.id).map_err(|e| GitError::object(entry.id, e))?;
                    Held::Link(blob.data.clone())
                }
                _ => Held::Other,
            });
        }
        Ok(held)
    }

    /// The files of the index that are transparent and have a pointer, by path. Those in a merge conflict are left
    /// out, as are those that a sparse checkout leaves out.
    ///
    /// # Errors
    /// When the index cannot be read, an object is missing, or `git` cannot be run.
    pub fn transparent_files(&self) -> Result<Vec<TransparentFile>> {
        let tracked = self.tracked()?;
        if !self.may_be_transparent(&tracked)? {
            return Ok(Vec::new());
        }
        let repo = self.local();
        let racy_since = tracked.index.timestamp();
        let mut files = Vec::new();
        for path in self.filtered_paths()? {
            let Some(entry) = tracked
                .index
                .entry_by_path_and_stage(path.as_bytes().as_bstr(), Stage::Unconflicted)
            else {
                continue;
            };
            if entry.flags.contains(Flags::SKIP_WORKTREE) || !matches!(entry.mode, Mode::FILE | Mode::FILE_EXECUTABLE)
            {
                continue;
            }
            let Some(bytes) = read_tiny_blob(&repo, entry.id)? else {
                continue;
            };
            if let Some(pointer) = TransparentPointer::parse(&bytes) {
                let options = gix::index::entry::stat::Options {
                    use_nsec: true,
                    ..Default::default()
                };
                files.push(TransparentFile {
                    path,
                    pointer,
                    executable: entry.mode == Mode::FILE_EXECUTABLE,
                    blob: entry.id,
                    stat: entry.stat,
                    racy: entry.stat.is_racy(racy_since, options),
                });
            }
        }
        Ok(files)
    }

    /// The transparent files of a revision, by path: what is a pointer there, if anything may be transparent there or
    /// here.
    ///
    /// # Errors
    /// When git does not know the revision, or objects are missing or damaged.
    pub fn transparent_at(&self, rev: &str) -> Result<Vec<TransparentFile>> {
        let repo = self.local();
        let mut suspected = self.may_be_transparent(&self.tracked()?)?;
        let mut trees = Vec::new();
        let mut pending: Vec<_> = self
            .tree_of(&repo, rev)?
            .map(|tree| (RepoPath::root(), tree))
            .into_iter()
            .collect();
        while let Some((dir, tree)) = pending.pop() {
            let entries = PointerEntries::of(&repo, tree)?;
            if let Some(id) = entries.attributes {
                let blob = repo.find_blob(id).map_err(|e| GitError::object(id, e))?;
                suspected = suspected || mentions(&blob.data);
            }
            for (name, id) in entries.trees {
                pending.push((dir.join(&entry_name(&name, tree)?), id));
            }
            trees.push((dir, tree));
        }
        let mut files = Vec::new();
        if suspected {
            let mut known = HashMap::new();
            for (dir, tree) in trees {
                files.extend(transparent_in(&repo, &dir, tree, &mut known)?);
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// The files of the index that the filter is meant for and whose blob is no pointer, nor empty.
    ///
    /// # Errors
    /// As [`GitRepo::transparent_files`].
    pub fn unfiltered_files(&self) -> Result<Vec<RepoPath>> {
        let tracked = self.tracked()?;
        let repo = self.local();
        let mut found = Vec::new();
        for path in self.filtered_paths()? {
            let Some(entry) = tracked.index.entry_by_path(path.as_bytes().as_bstr()) else {
                continue;
            };
            let is_file = matches!(entry.mode, Mode::FILE | Mode::FILE_EXECUTABLE);
            if is_file && entry.id != gix::ObjectId::empty_blob(entry.id.kind()) {
                let bytes = read_tiny_blob(&repo, entry.id)?;
                if bytes.is_none_or(|bytes| TransparentPointer::parse(&bytes).is_none()) {
                    found.push(path);
                }
            }
        }
        Ok(found)
    }

    /// The paths of the index with the attribute.
    fn filtered_paths(&self) -> Result<Vec<RepoPath>> {
        let pathspec = format!(":(top,attr:{ATTRIBUTE})");
        let listed = self.git(&["ls-files", "-z", "--", &pathspec], Vec::new())?;
        let mut paths = Vec::new();
        for path in listed.split(|&b| b == 0).filter(|path| !path.is_empty()) {
            let path = entry_path(path.as_bstr())?;
            // A file in a conflict is listed once for each stage.
            if paths.last() != Some(&path) {
                paths.push(path);
            }
        }
        Ok(paths)
    }

    /// Whether any file may be transparent: the filter is configured, or attributes of the work tree, the index or
    /// outside them name it. Costs one look at the index and at each `.gitattributes`.
    pub(super) fn may_be_transparent(&self, tracked: &Tracked) -> Result<bool> {
        let repo = self.local();
        if self.filter_command()?.is_some() {
            return Ok(true);
        }
        let mut places = vec![
            self.root().join(ATTRIBUTES_FILE),
            self.common_dir().join("info").join("attributes"),
        ];
        if let Some(Ok(path)) = repo.config_snapshot().trusted_path("core.attributesFile").transpose() {
            places.push(path);
        }
        for place in &places {
            if mentions(&fs::read_if_exists(place, MAX_ATTRIBUTES)?.unwrap_or_default()) {
                return Ok(true);
            }
        }
        for entry in tracked.index.entries() {
            let path = entry.path(&tracked.index);
            if path.rsplit(|&b| b == b'/').next() != Some(ATTRIBUTES_FILE.as_bytes()) {
                continue;
            }
            let on_disk = entry_path(path)?.on_disk(self.root());
            let bytes = match fs::read_if_exists(&on_disk, MAX_ATTRIBUTES) {
                Ok(Some(bytes)) => bytes,
                _ => match repo.try_find_object(entry.id) {
                    Ok(Some(mut blob)) => std::mem::take(&mut blob.data),
                    _ => continue,
                },
            };
            if mentions(&bytes) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The pointers in the place of files in one tree, not below it. `known` remembers what blobs are.
pub(super) fn transparent_in(
    repo: &gix::Repository,
    dir: &RepoPath,
    tree: gix::ObjectId,
    known: &mut HashMap<gix::ObjectId, Option<TransparentPointer>>,
) -> Result<Vec<TransparentFile>> {
    let object = repo.find_object(tree).map_err(|e| GitError::object(tree, e))?;
    let mut files = Vec::new();
    for entry in gix::objs::TreeRefIter::from_bytes(&object.data, tree.kind()) {
        let entry = entry.map_err(|e| GitError::object(tree, e))?;
        if !entry.mode.is_blob() {
            continue;
        }
        let blob = entry.oid.to_owned();
        let pointer = match known.get(&blob) {
            Some(pointer) => *pointer,
            None => {
                let bytes = read_tiny_blob(repo, blob)?;
                let pointer = bytes.as_deref().and_then(TransparentPointer::parse);
                known.insert(blob, pointer);
                pointer
            }
        };
        if let Some(pointer) = pointer {
            files.push(TransparentFile {
                path: dir.join(&entry_name(entry.filename, tree)?),
                pointer,
                executable: entry.mode.kind() == gix::objs::tree::EntryKind::BlobExecutable,
                blob,
                stat: gix::index::entry::Stat::default(),
                // It is not the file of the work tree that was looked at.
                racy: true,
            });
        }
    }
    Ok(files)
}

/// The largest file of attributes that git reads.
const MAX_ATTRIBUTES: u64 = 100 << 20;

/// Whether attributes name the filter.
pub(super) fn mentions(attributes: &[u8]) -> bool {
    attributes.find(ATTRIBUTE).is_some()
}

/// The bytes of a blob that may be a transparent pointer; `None` if it is larger than one.
pub(super) fn read_tiny_blob(repo: &gix::Repository, id: gix::ObjectId) -> Result<Option<Vec<u8>>> {
    let header = repo.find_header(id).map_err(|e| GitError::object(id, e))?;
    if header.size() > MAX_TEXT || header.kind() != gix::objs::Kind::Blob {
        return Ok(None);
    }
    let mut blob = repo.find_blob(id).map_err(|e| GitError::object(id, e))?;
    Ok(Some(blob.take_data()))
}

// A transparent pointer is read by the same parser.
const _: () = assert!(MAX_TEXT <= MAX_POINTER);

#[cfg(test)]
mod tests {
    use super::super::testing::{Sandbox, path};
    use super::*;
    use proptest::prelude::*;

    fn pointer(content: &str) -> TransparentPointer {
        TransparentPointer {
            id: FileId::of(content.as_bytes()),
            size: content.len() as u64,
        }
    }

    #[test]
    fn golden_text_reads_and_writes_the_same() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/formats/pointer-transparent");
        let bytes = std::fs::read(golden).unwrap();
        assert_eq!(
            String::from_utf8(pointer("content").to_bytes()).unwrap(),
            String::from_utf8(bytes.clone()).unwrap()
        );
        assert_eq!(TransparentPointer::parse(&bytes), Some(pointer("content")));
    }

    #[test]
    fn only_its_own_text_is_a_pointer() {
        let text = String::from_utf8(pointer("content").to_bytes()).unwrap();
        for other in [
            text.replace('\n', "\r\n"),
            text.replace("size = 7", "size =  7"),
            text.replace("size = 7", "size = 07"),
            text.replace("kind = \"file\"", "kind = \"dir\"\nfiles = 1"),
            text.replace("version = 1", "version = 2"),
            format!("{text}executable = true\n"),
            format!("{text}desc = \"x\"\n"),
            format!("{text}\n"),
            text.trim_end().to_owned(),
            text[1..].to_owned(),
            String::new(),
        ] {
            assert_eq!(TransparentPointer::parse(other.as_bytes()), None, "{other}");
        }
        let largest = TransparentPointer {
            size: i64::MAX as u64,
            ..pointer("")
        };
        assert_eq!(TransparentPointer::parse(&largest.to_bytes()), Some(largest));
    }

    #[test]
    fn files_are_found_by_attribute_and_pointer() {
        let sandbox = Sandbox::new();
        assert!(sandbox.open().transparent_files().unwrap().is_empty());
        sandbox.write("a.bin", pointer("a").to_bytes());
        sandbox.write("b.txt", pointer("b").to_bytes());
        sandbox.write("c.bin", "content");
        sandbox.write("d.bin", "");
        sandbox.write(b"deep/e \xff.bin", pointer("e").to_bytes());
        sandbox.git(&["add", "."]);
        assert!(sandbox.open().transparent_files().unwrap().is_empty());
        sandbox.write("deep/.gitattributes", "*.bin filter=modver -text\n");
        sandbox.git(&["add", "deep/.gitattributes"]);
        let found = |repo: &GitRepo| -> Vec<RepoPath> {
            repo.transparent_files()
                .unwrap()
                .into_iter()
                .map(|file| file.path)
                .collect()
        };
        let repo = sandbox.open();
        assert_eq!(found(&repo), [path(b"deep/e \xff.bin")]);
        sandbox.write(".git/info/attributes", "*.bin filter=modver\n");
        assert_eq!(found(&repo), [path("a.bin"), path(b"deep/e \xff.bin")]);
        assert_eq!(repo.unfiltered_files().unwrap(), [path("c.bin")]);
        assert_eq!(repo.transparent_files().unwrap()[0].pointer, pointer("a"));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(id in any::<[u8; 32]>(), size in 0..=i64::MAX as u64) {
            let pointer = TransparentPointer { id: FileId::from_bytes(id), size };
            let bytes = pointer.to_bytes();
            prop_assert!(bytes.len() as u64 <= MAX_TEXT);
            prop_assert_eq!(TransparentPointer::parse(&bytes), Some(pointer));
            // It is a pointer like others, too.
            let general = Pointer::parse(&bytes, &path("x")).unwrap();
            prop_assert_eq!(general, pointer.to_pointer(false));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = TransparentPointer::parse(&[HEADER.as_bytes(), &bytes].concat());
            let _ = TransparentPointer::parse(&bytes);
        }
    }
}
