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
    if let Some(pointer) = plain(bytes) {
        return Ok(pointer);
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

/// A pointer as we write it that says nothing but what its content is. Nearly all are like that, and history has thousands
/// of them: general TOML takes many times as long.
fn plain(bytes: &[u8]) -> Option<Pointer> {
    let mut lines = std::str::from_utf8(bytes).ok()?.strip_prefix(HEADER)?.lines();
    let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(" = ");
    if value("version")? != "1" {
        return None;
    }
    let kind = value("kind")?;
    let id: FileId = value("id")?.strip_prefix('"')?.strip_suffix('"')?.parse().ok()?;
    let size = value("size")?.parse().ok()?;
    let content = match kind {
        "\"dir\"" => PointerContent::Dir {
            id: id.into(),
            files: value("files")?.parse().ok()?,
        },
        "\"file\"" => PointerContent::File {
            id,
            executable: lines.next().is_some(),
        },
        _ => return None,
    };
    let pointer = Pointer {
        content,
        size,
        desc: None,
        labels: Vec::new(),
        remote: None,
        import: None,
    };
    // Whatever is not exactly that is for the general reader.
    (pointer.to_bytes().ok()? == bytes).then_some(pointer)
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
mod tests;
