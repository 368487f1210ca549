//! The pointer file: `data.mv` stands for `data` beside it (`docs/formats.md`, "Pointer").
//!
//! Invariants: [`Pointer::to_bytes`] is canonical, the same value gives the same bytes; what it writes,
//! [`Pointer::parse`] reads back as the same value. Parsing is strict: an unknown key may be a promise of a newer
//! version that this one would break.

use std::fmt;

use super::import::{self, Import};
use super::lock::{LockProblem, is_lock_path};
use crate::fs::FsError;
use crate::hash::{FileId, TreeId};
use crate::path::{PathError, RepoPath};

/// The largest pointer file, in bytes.
pub const MAX_POINTER: u64 = 64 * 1024;

/// What a pointer's name has that its output's name has not.
pub const POINTER_SUFFIX: &str = ".mv";

const VERSION: i64 = 1;
const HEADER: &str = "# modver pointer. The data it stands for: modver pull <this file's name without .mv>\n";

/// A tracked file or directory, as git knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pointer {
    /// Which content it names.
    pub content: PointerContent,
    /// Bytes of the file, or of all files in the directory; at most `i64::MAX`.
    pub size: u64,
    /// What people wrote about it.
    pub desc: Option<String>,
    /// Labels, in the order they were given.
    pub labels: Vec<String>,
    /// The remote it belongs to, if not the default one.
    pub remote: Option<String>,
    /// Where it was imported from, if it was.
    pub import: Option<Box<Import>>,
}

/// What kind of content a pointer names, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PointerContent {
    /// A file.
    File {
        /// Its content.
        id: FileId,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A directory.
    Dir {
        /// Its listing.
        id: TreeId,
        /// Files and links in it, at any depth; at most `i64::MAX`.
        files: u64,
    },
}

/// A pointer file, or a lock file, that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` is not a valid {}", if is_lock_path(path) { "lock file" } else { "pointer" })]
pub struct PointerError {
    /// The pointer file.
    pub path: RepoPath,
    /// What is wrong with it.
    #[source]
    pub problem: PointerProblem,
}

impl PointerError {
    /// The command that helps, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self.problem {
            PointerProblem::Conflict => {
                let output = output_path(&self.path).unwrap_or_else(|| self.path.clone());
                Some(format!(
                    "modver checkout --ours {output}   or   modver checkout --theirs {output}"
                ))
            }
            PointerProblem::Lock(ref problem) => problem.hint(&self.path),
            _ => None,
        }
    }
}

/// What is wrong with the bytes of a pointer.
#[derive(Debug, thiserror::Error)]
pub enum PointerProblem {
    /// Git's conflict markers are in it.
    #[error("two versions of it were merged, and it is still in conflict")]
    Conflict,
    /// It is larger than [`MAX_POINTER`].
    #[error("it has {0} bytes, more than the {MAX_POINTER} a pointer may have")]
    TooLarge(u64),
    /// The file cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[source] FsError),
    /// It is not UTF-8.
    #[error("it is not UTF-8 text")]
    NotText(#[source] std::str::Utf8Error),
    /// It is not TOML.
    #[error("it is not TOML")]
    Syntax(#[source] Box<toml::de::Error>),
    /// A newer modver wrote it.
    #[error("it has version {0}, written by a newer modver; this one reads version {VERSION}")]
    Version(i64),
    /// A key is not known.
    #[error("it has the unknown key `{0}`")]
    UnknownKey(String),
    /// A key does not belong to this kind of content.
    #[error("the key `{key}` does not belong to a pointer of kind `{kind}`")]
    MisplacedKey {
        /// The key.
        key: &'static str,
        /// The kind.
        kind: &'static str,
    },
    /// A key is missing.
    #[error("the key `{0}` is missing")]
    MissingKey(&'static str),
    /// A value has another type.
    #[error("the value of `{key}` is not {expected}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The kind is not known.
    #[error("it has the unknown kind `{0}`; known are `file` and `dir`")]
    UnknownKind(String),
    /// The id is not an id.
    #[error("the value of `id` is not an id")]
    Id(#[source] crate::hash::ParseIdError),
    /// The URL of an import cannot be one.
    #[error("the value of `import.url` cannot be used")]
    ImportUrl,
    /// The URL of an import holds credentials, which git would share.
    #[error("the URL of the import has credentials in it")]
    ImportCredentials,
    /// The path of an import is none.
    #[error("the value of `import.path` is not a path")]
    ImportPath(#[source] PathError),
    /// The commit of an import is none.
    #[error("the value of `import.commit` is not the id of a commit")]
    ImportCommit,
    /// A number cannot be written.
    #[error("the value of `{0}` is too large")]
    TooBig(&'static str),
    /// It is not a pointer but a lock file, with a problem of its own.
    #[error(transparent)]
    Lock(Box<LockProblem>),
}

impl PointerProblem {
    /// Whether it may stand for data all the same: to a newer modver, or when a conflict is settled.
    #[must_use]
    pub fn is_promise(&self) -> bool {
        match self {
            Self::Version(_) | Self::Conflict => true,
            Self::Lock(problem) => matches!(**problem, LockProblem::Version(_) | LockProblem::TooLarge(_)),
            _ => false,
        }
    }
}

pub(super) type Parsed<T> = std::result::Result<T, PointerProblem>;

impl Pointer {
    /// Reads a pointer; `path` is for the error.
    ///
    /// # Errors
    /// [`PointerError`] for anything that the format does not allow.
    pub fn parse(bytes: &[u8], path: &RepoPath) -> std::result::Result<Self, PointerError> {
        parse(bytes).map_err(|problem| PointerError {
            path: path.clone(),
            problem,
        })
    }

    /// The bytes of the pointer file.
    ///
    /// # Errors
    /// When they would be more than [`MAX_POINTER`] or a number more than `i64::MAX`: nobody could read that.
    pub fn to_bytes(&self) -> Parsed<Vec<u8>> {
        use fmt::Write as _;
        let mut out = String::from(HEADER);
        let (kind, id) = match self.content {
            PointerContent::File { id, .. } => ("file", id),
            PointerContent::Dir { id, .. } => ("dir", id.as_file()),
        };
        let number = |key, value: u64| i64::try_from(value).map_err(|_| PointerProblem::TooBig(key));
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "version = {VERSION}\nkind = \"{kind}\"\nid = \"{id}\"");
        let _ = writeln!(out, "size = {}", number("size", self.size)?);
        match self.content {
            PointerContent::Dir { files, .. } => {
                let _ = writeln!(out, "files = {}", number("files", files)?);
            }
            PointerContent::File { executable: true, .. } => out.push_str("executable = true\n"),
            PointerContent::File { executable: false, .. } => {}
        }
        if let Some(desc) = &self.desc {
            let _ = writeln!(out, "desc = {}", Quoted(desc));
        }
        if !self.labels.is_empty() {
            out.push_str("labels = [");
            for (i, label) in self.labels.iter().enumerate() {
                let _ = write!(out, "{}{}", if i == 0 { "" } else { ", " }, Quoted(label));
            }
            out.push_str("]\n");
        }
        if let Some(remote) = &self.remote {
            let _ = writeln!(out, "remote = {}", Quoted(remote));
        }
        if let Some(import) = &self.import {
            import.write(&mut out)?;
        }
        if out.len() as u64 > MAX_POINTER {
            return Err(PointerProblem::TooLarge(out.len() as u64));
        }
        Ok(out.into_bytes())
    }
}

/// A TOML basic string.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                '\r' => f.write_str("\\r")?,
                '\0'..='\x1f' | '\x7f' => write!(f, "\\u{:04X}", u32::from(c))?,
                _ => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

pub(super) fn parse(bytes: &[u8]) -> Parsed<Pointer> {
    if bytes.len() as u64 > MAX_POINTER {
        return Err(PointerProblem::TooLarge(bytes.len() as u64));
    }
    if has_conflict_markers(bytes) {
        return Err(PointerProblem::Conflict);
    }
    let text = std::str::from_utf8(bytes).map_err(PointerProblem::NotText)?;
    let mut keys = Keys(toml::from_str(text).map_err(|error| PointerProblem::Syntax(Box::new(error)))?);

    match keys.integer("version")? {
        None => return Err(PointerProblem::MissingKey("version")),
        Some(VERSION) => {}
        Some(other) => return Err(PointerProblem::Version(other)),
    }
    let kind = keys.string("kind")?.ok_or(PointerProblem::MissingKey("kind"))?;
    let id = keys.string("id")?.ok_or(PointerProblem::MissingKey("id"))?;
    let id: FileId = id.parse().map_err(PointerProblem::Id)?;
    let size = keys.count("size")?.ok_or(PointerProblem::MissingKey("size"))?;
    let files = keys.count("files")?;
    let executable = keys.only_true("executable")?;
    let content = match (&kind[..], files) {
        ("file", None) => PointerContent::File { id, executable },
        ("file", Some(_)) => {
            return Err(PointerProblem::MisplacedKey {
                key: "files",
                kind: "file",
            });
        }
        ("dir", _) if executable => {
            return Err(PointerProblem::MisplacedKey {
                key: "executable",
                kind: "dir",
            });
        }
        ("dir", Some(files)) => PointerContent::Dir { id: id.into(), files },
        ("dir", None) => return Err(PointerProblem::MissingKey("files")),
        _ => return Err(PointerProblem::UnknownKind(kind)),
    };
    let pointer = Pointer {
        content,
        size,
        desc: keys.string("desc")?,
        labels: keys.strings("labels")?,
        remote: keys.string("remote")?,
        import: keys.table("import")?.map(import::parse).transpose()?.map(Box::new),
    };
    keys.finish("")?;
    Ok(pointer)
}

pub(super) fn has_conflict_markers(bytes: &[u8]) -> bool {
    bytes.split(|&b| b == b'\n').any(|line| {
        [&b"<<<<<<<"[..], b"|||||||", b">>>>>>>"]
            .iter()
            .any(|marker| line.starts_with(marker))
    })
}

/// The keys that were not looked at yet. Those of a table inside are asked for by their whole name, `table.key`.
pub(super) struct Keys(toml::Table);

impl Keys {
    fn take(&mut self, key: &'static str) -> Option<toml::Value> {
        self.0.remove(key.rsplit('.').next().unwrap_or(key))
    }

    /// Refuses the keys that nobody asked for.
    pub(super) fn finish(self, prefix: &str) -> Parsed<()> {
        match self.0.into_iter().next() {
            Some((key, _)) => Err(PointerProblem::UnknownKey(format!("{prefix}{key}"))),
            None => Ok(()),
        }
    }

    fn table(&mut self, key: &'static str) -> Parsed<Option<Self>> {
        match self.take(key) {
            None => Ok(None),
            Some(toml::Value::Table(table)) => Ok(Some(Self(table))),
            Some(_) => Err(PointerProblem::WrongType {
                key,
                expected: "a table",
            }),
        }
    }

    fn integer(&mut self, key: &'static str) -> Parsed<Option<i64>> {
        match self.take(key) {
            None => Ok(None),
            Some(toml::Value::Integer(value)) => Ok(Some(value)),
            Some(_) => Err(PointerProblem::WrongType {
                key,
                expected: "an integer",
            }),
        }
    }

    pub(super) fn count(&mut self, key: &'static str) -> Parsed<Option<u64>> {
        let wrong = |_| PointerProblem::WrongType {
            key,
            expected: "a number that is not negative",
        };
        self.integer(key)?.map(u64::try_from).transpose().map_err(wrong)
    }

    pub(super) fn string(&mut self, key: &'static str) -> Parsed<Option<String>> {
        match self.take(key) {
            None => Ok(None),
            Some(toml::Value::String(value)) => Ok(Some(value)),
            Some(_) => Err(PointerProblem::WrongType {
                key,
                expected: "a string",
            }),
        }
    }

    fn strings(&mut self, key: &'static str) -> Parsed<Vec<String>> {
        let wrong = || PointerProblem::WrongType {
            key,
            expected: "a list of strings",
        };
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(toml::Value::Array(values)) => values
                .into_iter()
                .map(|value| match value {
                    toml::Value::String(value) => Ok(value),
                    _ => Err(wrong()),
                })
                .collect(),
            Some(_) => Err(wrong()),
        }
    }

    fn only_true(&mut self, key: &'static str) -> Parsed<bool> {
        match self.take(key) {
            None => Ok(false),
            Some(toml::Value::Boolean(true)) => Ok(true),
            Some(_) => Err(PointerProblem::WrongType {
                key,
                expected: "`true` (leave the key out instead)",
            }),
        }
    }
}

/// The pointer of an output: `data` → `data.mv`.
///
/// # Errors
/// When the output is the root or the name becomes too long.
pub fn pointer_path(output: &RepoPath) -> std::result::Result<RepoPath, PathError> {
    if output.is_root() {
        return Err(PathError::EmptyName(POINTER_SUFFIX.into()));
    }
    output.with_suffix(POINTER_SUFFIX)
}

/// The output that a pointer stands for: `data.mv` → `data`; `None` for a path that is not a pointer's.
#[must_use]
pub fn output_path(pointer: &RepoPath) -> Option<RepoPath> {
    let stem = pointer.as_bytes().strip_suffix(POINTER_SUFFIX.as_bytes())?;
    if stem.is_empty() || stem.ends_with(b"/") {
        return None;
    }
    RepoPath::new(stem).ok()
}

/// Whether a path has the form of a pointer's: `NAME.mv`.
#[must_use]
pub fn is_pointer_path(path: &RepoPath) -> bool {
    output_path(path).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::import::{RepositoryImport, UrlImport};
    use super::super::testing::path;
    use super::*;
    use proptest::prelude::*;

    fn golden(name: &str) -> Vec<u8> {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/formats/");
        std::fs::read(format!("{dir}{name}")).unwrap()
    }

    fn full_dir() -> Pointer {
        Pointer {
            content: PointerContent::Dir {
                id: FileId::of(b"listing").into(),
                files: 1200,
            },
            size: 52_428_800,
            desc: Some("raw \"scans\", 2026\n\\ é \u{7f}".to_owned()),
            labels: vec!["raw".to_owned(), "scans".to_owned()],
            remote: Some("archive".to_owned()),
            import: None,
        }
    }

    fn imported(import: Import) -> Pointer {
        Pointer {
            desc: None,
            labels: Vec::new(),
            remote: None,
            import: Some(Box::new(import)),
            ..full_dir()
        }
    }

    fn from_repository() -> Import {
        Import::Repository(RepositoryImport {
            url: "https://example.org/lab/data.git".to_owned(),
            path: path("raw/\"scans\""),
            rev: Some("v2".to_owned()),
            commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        })
    }

    fn from_url() -> Import {
        Import::Url(UrlImport {
            url: "https://example.org/scans.tar".to_owned(),
            etag: Some("\"686897696a7c876b7e\"".to_owned()),
            size: Some(52_428_800),
            modified: Some("Thu, 01 Jan 2026 00:00:00 GMT".to_owned()),
        })
    }

    #[test]
    fn golden_files_read_and_write_the_same() {
        let file = |executable| Pointer {
            content: PointerContent::File {
                id: FileId::of(b"content"),
                executable,
            },
            size: 7,
            desc: None,
            labels: Vec::new(),
            remote: None,
            import: None,
        };
        for (name, pointer) in [
            ("pointer-file.mv", file(false)),
            ("pointer-executable.mv", file(true)),
            ("pointer-dir.mv", full_dir()),
            ("pointer-import.mv", imported(from_repository())),
            ("pointer-import-url.mv", imported(from_url())),
        ] {
            let bytes = golden(name);
            assert_eq!(
                String::from_utf8(pointer.to_bytes().unwrap()).unwrap(),
                String::from_utf8(bytes.clone()).unwrap()
            );
            assert_eq!(Pointer::parse(&bytes, &path(name)).unwrap(), pointer);
            let crlf = String::from_utf8(bytes).unwrap().replace('\n', "\r\n");
            assert_eq!(Pointer::parse(crlf.as_bytes(), &path(name)).unwrap(), pointer);
        }
    }

    fn problem(text: &str) -> PointerProblem {
        Pointer::parse(text.as_bytes(), &path("data.mv")).unwrap_err().problem
    }

    #[test]
    fn refuses_by_name_what_the_format_does_not_allow() {
        use PointerProblem as P;
        let id = FileId::of(b"");
        let good = format!("version = 1\nkind = \"file\"\nid = \"{id}\"\nsize = 0\n");
        let with = |extra: &str| problem(&format!("{good}{extra}"));
        let changed = |from: &str, to: &str| problem(&good.replace(from, to));
        assert!(Pointer::parse(good.as_bytes(), &path("data.mv")).is_ok());
        assert!(matches!(changed("version = 1", "version = 2\nnew = 1"), P::Version(2)));
        assert!(matches!(changed("version = 1\n", ""), P::MissingKey("version")));
        assert!(matches!(changed("size = 0\n", ""), P::MissingKey("size")));
        assert!(matches!(changed("\"file\"", "\"dir\""), P::MissingKey("files")));
        assert!(matches!(changed("\"file\"", "\"link\""), P::UnknownKind(_)));
        assert!(matches!(changed("\"file\"", "1"), P::WrongType { key: "kind", .. }));
        assert!(matches!(
            changed("size = 0", "size = -1"),
            P::WrongType { key: "size", .. }
        ));
        assert!(matches!(
            changed("size = 0", "size = 0.5"),
            P::WrongType { key: "size", .. }
        ));
        assert!(matches!(
            changed("size = 0", "size = 9223372036854775808"),
            P::Syntax(_)
        ));
        assert!(matches!(changed("id = \"", "id = \"F"), P::Id(_)));
        assert!(matches!(with("files = 1"), P::MisplacedKey { key: "files", .. }));
        assert!(matches!(
            with("executable = false"),
            P::WrongType { key: "executable", .. }
        ));
        assert!(matches!(with("labels = [1]"), P::WrongType { key: "labels", .. }));
        assert!(matches!(with("color = \"red\""), P::UnknownKey(key) if key == "color"));
        assert!(matches!(with("size = 0"), P::Syntax(_)));
        assert!(matches!(with(&"#".repeat(70_000)), P::TooLarge(_)));
        assert!(matches!(problem(&"[".repeat(60_000)), P::Syntax(_)));
    }

    #[test]
    fn refuses_imports_that_the_format_does_not_allow() {
        use PointerProblem as P;
        let good = String::from_utf8(imported(from_repository()).to_bytes().unwrap()).unwrap();
        let changed = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            problem(&good.replace(from, to))
        };
        assert!(matches!(changed("url = ", "uri = "), P::MissingKey("import.url")));
        assert!(matches!(changed("commit = ", "hash = "), P::UnknownKey(key) if key == "import.hash"));
        assert!(matches!(changed("raw/", "../"), P::ImportPath(_)));
        assert!(matches!(changed("raw/", "/raw/"), P::ImportPath(_)));
        assert!(matches!(changed("01234567\"", "0123456\""), P::ImportCommit));
        assert!(matches!(changed("\"0123", "\"--up"), P::ImportCommit));
        assert!(matches!(changed("https://example", "-uhttps://example"), P::ImportUrl));
        assert!(matches!(
            changed("example.org", "a:secret@example.org"),
            P::ImportCredentials
        ));
        assert!(matches!(
            changed("rev = \"v2\"", "rev = 2"),
            P::WrongType { key: "import.rev", .. }
        ));
        assert!(matches!(
            changed("rev =", "etag ="),
            P::MisplacedKey { key: "import.etag", .. }
        ));
        assert!(matches!(
            problem(&good.replace("[import]", "[[import]]")),
            P::WrongType { key: "import", .. }
        ));
        let url = String::from_utf8(imported(from_url()).to_bytes().unwrap()).unwrap();
        assert!(matches!(
            problem(&format!("{url}rev = \"x\"\n")),
            P::MisplacedKey { key: "import.rev", .. }
        ));
        assert!(matches!(
            problem(&format!("{url}path = \"x\"\n")),
            P::MissingKey("import.commit")
        ));
        let secret = Import::Url(UrlImport {
            url: "https://host/x?token=hush".to_owned(),
            etag: None,
            size: None,
            modified: None,
        });
        let error = imported(secret).to_bytes().unwrap_err();
        assert!(matches!(error, P::ImportCredentials) && !error.to_string().contains("hush"));
    }

    #[test]
    fn conflict_markers_are_named() {
        let text = "version = 1\n<<<<<<< HEAD\nid = \"a\"\n=======\nid = \"b\"\n>>>>>>> other\n";
        let error = Pointer::parse(text.as_bytes(), &path("d/data.mv")).unwrap_err();
        assert!(matches!(error.problem, PointerProblem::Conflict));
        assert!(error.to_string().contains("d/data.mv"));
        assert!(error.hint().unwrap().contains("modver checkout --ours d/data"));
    }

    #[test]
    fn a_pointer_stands_beside_its_output() {
        assert_eq!(pointer_path(&path("a/data")).unwrap(), path("a/data.mv"));
        assert!(pointer_path(&RepoPath::root()).is_err());
        assert_eq!(output_path(&path("a/data.mv")), Some(path("a/data")));
        for none in ["a/.mv", ".mv", "a/data", "mv"] {
            assert_eq!(output_path(&path(none)), None, "{none}");
        }
    }

    #[test]
    fn one_too_large_is_not_written() {
        let pointer = Pointer {
            desc: Some("x".repeat(70_000)),
            ..full_dir()
        };
        assert!(matches!(pointer.to_bytes(), Err(PointerProblem::TooLarge(_))));
    }

    fn any_pointer() -> impl Strategy<Value = Pointer> {
        let id = any::<[u8; 32]>();
        let number = 0..=i64::MAX as u64;
        let content = prop_oneof![
            (id, any::<bool>()).prop_map(|(id, executable)| PointerContent::File {
                id: FileId::from_bytes(id),
                executable
            }),
            (any::<[u8; 32]>(), number.clone()).prop_map(|(id, files)| PointerContent::Dir {
                id: TreeId::from_bytes(id),
                files
            }),
        ];
        let text = proptest::collection::vec(any::<char>(), 0..40).prop_map(String::from_iter);
        let repository = (
            "[a-z]{1,8}://[a-z]{1,8}/[a-z \"\\\\é]{0,12}",
            "[a-zé\"\\\\ ]{1,9}(/[a-z.\n]{3,9}){0,3}",
            proptest::option::of(text.clone()),
            "[0-9a-f]{40}|[0-9a-f]{64}",
        )
            .prop_map(|(url, at, rev, commit)| {
                Import::Repository(RepositoryImport {
                    url,
                    path: path(at.replace("...", "x..").replace("/..", "/x.")),
                    rev,
                    commit,
                })
            });
        let plain = (
            "[a-z]{1,8}://[a-z]{1,8}/[a-z ]{0,12}",
            proptest::option::of(text.clone()),
            proptest::option::of(number.clone()),
            proptest::option::of(text.clone()),
        )
            .prop_map(|(url, etag, size, modified)| {
                Import::Url(UrlImport {
                    url,
                    etag,
                    size,
                    modified,
                })
            });
        let import = proptest::option::of(prop_oneof![repository, plain].prop_map(Box::new));
        (
            content,
            number,
            proptest::option::of(text.clone()),
            proptest::collection::vec(text.clone(), 0..4),
            proptest::option::of(text),
            import,
        )
            .prop_map(|(content, size, desc, labels, remote, import)| Pointer {
                content,
                size,
                desc,
                labels,
                remote,
                import,
            })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(pointer in any_pointer()) {
            let bytes = pointer.to_bytes().unwrap();
            prop_assert_eq!(Pointer::parse(&bytes, &path("x.mv")).unwrap(), pointer);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Pointer::parse(&bytes, &path("x.mv"));
        }

        #[test]
        fn a_flipped_bit_is_noticed_or_gives_what_would_be_written_so(
            at in 0usize..4000,
            bit in 0u8..8,
            which in 0usize..3,
        ) {
            let pointers = [full_dir(), imported(from_repository()), imported(from_url())];
            let mut bytes = pointers[which].to_bytes().unwrap();
            let len = bytes.len();
            bytes[at % len] ^= 1 << bit;
            if let Ok(read) = Pointer::parse(&bytes, &path("x.mv")) {
                let again = Pointer::parse(&read.to_bytes().unwrap(), &path("x.mv")).unwrap();
                prop_assert_eq!(again, read);
            }
        }
    }
}
