//! Paths inside a repository, as validated bytes.
//!
//! Invariants: a [`RepoPath`] is a sequence of [`Name`]s joined by `/`; no name is empty, `.`, `..`, or holds
//! `/` or NUL. The empty path is the repository's (or tracked directory's) root. It is the only door from user
//! input and from stored listings to the disk, so a path that exists as a `RepoPath` cannot climb out of its root
//! by its own text. (Symlinks on disk are another matter: `fs::Dir` refuses to follow those.)
//!
//! Ordering is by name, component by component, which is the order of a depth-first walk over sorted directories.

mod percent;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

pub use percent::{percent_decode, percent_encode};

/// The longest name that is accepted, in bytes. No file system in use allows more.
pub const MAX_NAME: usize = 4096;

/// Why bytes are not a name or path in a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The name is empty.
    #[error("empty file name in `{}`", quote(.0))]
    EmptyName(Vec<u8>),
    /// The name is `.` or `..`.
    #[error("`{}` has a `.` or `..` component", quote(.0))]
    DotName(Vec<u8>),
    /// The name holds a `/`.
    #[error("`{}` is not a single file name", quote(.0))]
    Slash(Vec<u8>),
    /// The name holds a NUL byte.
    #[error("`{}` has a NUL byte", quote(.0))]
    Nul(Vec<u8>),
    /// The name is longer than [`MAX_NAME`].
    #[error("a file name of {0} bytes is too long")]
    TooLong(usize),
    /// The path starts with `/`.
    #[error("`{}` is absolute", quote(.0))]
    Absolute(Vec<u8>),
    /// The path is not below the root.
    #[error("`{path}` is outside the repository at `{root}`", path = .path.display(), root = .root.display())]
    Outside {
        /// The path that was given.
        path: PathBuf,
        /// The root it should be below.
        root: PathBuf,
    },
}

/// One component of a path: the name of a file or directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Checks `bytes` and makes them a name.
    ///
    /// # Errors
    /// When the bytes are empty, `.`, `..`, too long, or hold `/` or NUL.
    pub fn new(bytes: &[u8]) -> Result<Self, PathError> {
        check_name(bytes)?;
        Ok(Self(bytes.into()))
    }

    /// The bytes of the name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as the operating system takes it.
    #[must_use]
    pub fn as_os(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

/// Checks one path component; see [`Name`].
///
/// # Errors
/// As [`Name::new`].
pub fn check_name(bytes: &[u8]) -> Result<(), PathError> {
    match bytes {
        b"" => Err(PathError::EmptyName(bytes.to_vec())),
        b"." | b".." => Err(PathError::DotName(bytes.to_vec())),
        _ if bytes.len() > MAX_NAME => Err(PathError::TooLong(bytes.len())),
        _ if bytes.contains(&b'/') => Err(PathError::Slash(bytes.to_vec())),
        _ if bytes.contains(&0) => Err(PathError::Nul(bytes.to_vec())),
        _ => Ok(()),
    }
}

/// A validated path relative to a root; see the module's invariants.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct RepoPath(Vec<u8>);

impl RepoPath {
    /// The root itself.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// Checks `/`-separated bytes; the empty slice is the root.
    ///
    /// # Errors
    /// When the path is absolute or one of its components is not a valid [`Name`].
    pub fn new(bytes: &[u8]) -> Result<Self, PathError> {
        if bytes.starts_with(b"/") {
            return Err(PathError::Absolute(bytes.to_vec()));
        }
        if !bytes.is_empty() {
            for name in bytes.split(|&b| b == b'/') {
                check_name(name).map_err(|error| match error {
                    PathError::EmptyName(_) => PathError::EmptyName(bytes.to_vec()),
                    PathError::DotName(_) => PathError::DotName(bytes.to_vec()),
                    other => other,
                })?;
            }
        }
        Ok(Self(bytes.to_vec()))
    }

    /// Resolves what a user typed, standing in the absolute directory `cwd`, against the absolute `root`.
    /// Purely textual: `.` and `..` are folded, symlinks are not looked at.
    ///
    /// # Errors
    /// When the result is not below `root`.
    pub fn from_user(input: &Path, cwd: &Path, root: &Path) -> Result<Self, PathError> {
        let outside = || PathError::Outside {
            path: input.to_owned(),
            root: root.to_owned(),
        };
        let mut absolute = PathBuf::new();
        for component in cwd.join(input).components() {
            match component {
                Component::ParentDir => {
                    absolute.pop();
                }
                Component::CurDir => {}
                other => absolute.push(other),
            }
        }
        let relative = absolute.strip_prefix(root).map_err(|_| outside())?;
        Self::new(relative.as_os_str().as_bytes())
    }

    /// The `/`-separated bytes; empty for the root.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path below the directory `root` on disk.
    #[must_use]
    pub fn on_disk(&self, root: &Path) -> PathBuf {
        if self.is_root() {
            root.to_owned()
        } else {
            root.join(OsStr::from_bytes(&self.0))
        }
    }

    /// This path with one more name.
    #[must_use]
    pub fn join(&self, name: &Name) -> Self {
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.0.len());
        bytes.extend_from_slice(&self.0);
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(&name.0);
        Self(bytes)
    }

    /// This path followed by `other`.
    #[must_use]
    pub fn join_path(&self, other: &Self) -> Self {
        match (self.is_root(), other.is_root()) {
            (true, _) => other.clone(),
            (_, true) => self.clone(),
            _ => Self([&self.0[..], b"/", &other.0[..]].concat()),
        }
    }

    /// The directory that holds it; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|&b| b == b'/').unwrap_or(0);
        Some(Self(self.0[..end].to_vec()))
    }

    /// The last name; `None` for the root.
    #[must_use]
    pub fn file_name(&self) -> Option<Name> {
        let start = self.0.iter().rposition(|&b| b == b'/').map_or(0, |i| i + 1);
        (!self.is_root()).then(|| Name(self.0[start..].into()))
    }

    /// The names from the root down.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|name| !name.is_empty())
    }

    /// What remains of this path below `base`: the root if they are equal, `None` if it is not below.
    #[must_use]
    pub fn strip_prefix(&self, base: &Self) -> Option<Self> {
        if base.is_root() {
            return Some(self.clone());
        }
        match self.0.strip_prefix(&base.0[..])? {
            b"" => Some(Self::root()),
            [b'/', rest @ ..] => Some(Self(rest.to_vec())),
            _ => None,
        }
    }

    /// Whether this path is `base` or below it.
    #[must_use]
    pub fn starts_with(&self, base: &Self) -> bool {
        base.is_root() || (self.0.starts_with(&base.0) && matches!(self.0.get(base.0.len()), None | Some(b'/')))
    }

    /// The path with `suffix` appended to its last name, as in `data` → `data.mv`.
    ///
    /// # Errors
    /// When the result is not a valid path.
    pub fn with_suffix(&self, suffix: &str) -> Result<Self, PathError> {
        Self::new(&[&self.0[..], suffix.as_bytes()].concat())
    }
}

impl Ord for RepoPath {
    fn cmp(&self, other: &Self) -> Ordering {
        // The same as comparing name by name: at the first difference, the end of a name comes before everything else.
        let (a, b) = (&self.0, &other.0);
        let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let rank = |byte: Option<&u8>| match byte {
            None => 0,
            Some(b'/') => 1,
            Some(&byte) => 2 + u16::from(byte),
        };
        rank(a.get(common)).cmp(&rank(b.get(common)))
    }
}

impl PartialOrd for RepoPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            if self.is_root() {
                Cow::Borrowed(".")
            } else {
                quote(&self.0)
            }
            .as_ref(),
        )
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepoPath({self})")
    }
}

impl serde::Serialize for RepoPath {
    /// As text; bytes that are not UTF-8, and control characters, as in [`quote`].
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Bytes of a path for people: as they are when they are printable UTF-8, otherwise in double quotes with the
/// escapes git uses (`\n`, `\t`, `\"`, `\\`, `\ooo`).
#[must_use]
pub fn quote(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.chars().any(|c| c.is_control() || c == '"' || c == '\\')
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::from("\"");
    for part in bytes.utf8_chunks() {
        for c in part.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                c if c.is_control() => {
                    let mut utf8 = [0; 4];
                    for b in c.encode_utf8(&mut utf8).bytes() {
                        out.push_str(&format!("\\{b:03o}"));
                    }
                }
                c => out.push(c),
            }
        }
        for b in part.invalid() {
            out.push_str(&format!("\\{b:03o}"));
        }
    }
    out.push('"');
    Cow::Owned(out)
}

/// The bytes that [`quote`] made this text of; `None` when it is not in its form.
#[must_use]
pub fn unquote(text: &str) -> Option<Vec<u8>> {
    let Some(quoted) = text.strip_prefix('"') else {
        return Some(text.as_bytes().to_vec());
    };
    let mut bytes = quoted.strip_suffix('"')?.bytes();
    let mut out = Vec::with_capacity(bytes.len());
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next()? {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            same @ (b'"' | b'\\') => same,
            first => {
                let digits = [first, bytes.next()?, bytes.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                u8::from_str_radix(digits, 8).ok()?
            }
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> RepoPath {
        RepoPath::new(text.as_bytes()).expect(text)
    }

    #[test]
    fn refuses_what_could_escape() {
        for bad in ["/", "/etc", "..", "a/..", "a/../b", "./a", "a//b", "a/", "a\0b"] {
            assert!(RepoPath::new(bad.as_bytes()).is_err(), "{bad}");
        }
        for bad in [&b"a/b"[..], b"", b".", b".."] {
            assert!(Name::new(bad).is_err());
        }
    }

    #[test]
    fn user_input_is_folded_against_the_root() {
        let from = |input: &str, cwd: &str| RepoPath::from_user(Path::new(input), Path::new(cwd), Path::new("/r"));
        assert_eq!(from("a/./b/../c/", "/r/d").unwrap(), path("d/a/c"));
        assert_eq!(from("/r/x", "/r/d").unwrap(), path("x"));
        assert_eq!(from("..", "/r/d").unwrap(), RepoPath::root());
        assert!(from("../..", "/r/d").is_err());
        assert!(from("/rx", "/r").is_err());
    }

    #[test]
    fn prefixes_respect_names() {
        assert_eq!(path("a/b").strip_prefix(&path("a")), Some(path("b")));
        assert_eq!(path("a").strip_prefix(&path("a")), Some(RepoPath::root()));
        assert_eq!(path("ab").strip_prefix(&path("a")), None);
        assert!(!path("ab").starts_with(&path("a")));
        assert!(path("a/b").starts_with(&RepoPath::root()));
        assert_eq!(path("a/b").parent(), Some(path("a")));
        assert_eq!(path("a").parent(), Some(RepoPath::root()));
        assert_eq!(RepoPath::root().parent(), None);
        assert!(
            path("a/b") < path("a.b"),
            "a directory's content sorts right behind the directory"
        );
    }

    #[test]
    fn quotes_like_git() {
        assert_eq!(quote("größe x".as_bytes()), "größe x");
        assert_eq!(quote(b"a\nb\"\\\xff\x01"), r#""a\nb\"\\\377\001""#);
    }

    proptest! {
        #[test]
        fn order_is_by_name(a in "[ab./!]{0,8}", b in "[ab./!]{0,8}") {
            if let (Ok(a), Ok(b)) = (RepoPath::new(a.as_bytes()), RepoPath::new(b.as_bytes())) {
                prop_assert_eq!(a.cmp(&b), a.names().cmp(b.names()));
            }
        }

        #[test]
        fn any_valid_path_stays_below_its_root(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(path) = RepoPath::new(&bytes) {
                prop_assert_eq!(path.as_bytes(), &bytes[..]);
                let disk = path.on_disk(Path::new("/root"));
                prop_assert!(disk.starts_with("/root"));
                prop_assert!(disk.components().all(|c| c != Component::ParentDir));
            }
        }
    }
}
