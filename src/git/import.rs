//! The `[import]` table of a pointer: where imported content came from, and which version of it is here.

use std::fmt::Write as _;

use super::pointer::{Keys, Parsed, PointerProblem, Quoted};
use crate::config::url_has_credentials;
use crate::path::RepoPath;

/// Where the content of an imported output came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Import {
    /// Another git repository.
    Repository(RepositoryImport),
    /// A plain URL or path.
    Url(UrlImport),
}

/// Content of another git repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
pub struct RepositoryImport {
    /// The repository: a URL that git can clone, or a path, which starts at the root of this repository if it is
    /// relative.
    pub url: String,
    /// What of it: an output, a path inside one, or a file or directory of git; never the root.
    pub path: RepoPath,
    /// The revision that was asked for; `None` is the newest commit.
    pub rev: Option<String>,
    /// The commit that the content is of, in hex.
    pub commit: String,
}

/// Content of a plain URL, and how to tell that it is another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
pub struct UrlImport {
    /// `http(s)://`, `s3://`, `file://`, or a path, which starts at the root of this repository if it is relative.
    pub url: String,
    /// What the service calls this version.
    pub etag: Option<String>,
    /// Bytes, as the service says; at most `i64::MAX`.
    pub size: Option<u64>,
    /// When it was last changed, in the service's own words.
    pub modified: Option<String>,
}

impl Import {
    /// Where it came from.
    #[must_use]
    pub fn url(&self) -> &str {
        match self {
            Self::Repository(import) => &import.url,
            Self::Url(import) => &import.url,
        }
    }

    /// Appends the table.
    ///
    /// # Errors
    /// When it holds something that [`parse`] would refuse.
    pub(super) fn write(&self, out: &mut String) -> Parsed<()> {
        check_url(self.url())?;
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "\n[import]\nurl = {}", Quoted(self.url()));
        let mut text = |key, value: &Option<String>| {
            if let Some(value) = value {
                let _ = writeln!(out, "{key} = {}", Quoted(value));
            }
        };
        match self {
            Self::Repository(import) => {
                check_path(&import.path)?;
                check_commit(&import.commit)?;
                let path = std::str::from_utf8(import.path.as_bytes()).map_err(PointerProblem::NotText)?;
                text("path", &Some(path.to_owned()));
                text("rev", &import.rev);
                text("commit", &Some(import.commit.clone()));
            }
            Self::Url(import) => {
                text("etag", &import.etag);
                if let Some(size) = import.size {
                    let size = i64::try_from(size).map_err(|_| PointerProblem::TooBig("import.size"))?;
                    let _ = writeln!(out, "size = {size}");
                }
                if let Some(modified) = &import.modified {
                    let _ = writeln!(out, "modified = {}", Quoted(modified));
                }
            }
        }
        Ok(())
    }
}

/// Reads the table. Whatever is in a pointer may come from somebody hostile: the URL is checked before it is used.
pub(super) fn parse(mut keys: Keys) -> Parsed<Import> {
    let missing = PointerProblem::MissingKey;
    let url = keys.string("import.url")?.ok_or(missing("import.url"))?;
    check_url(&url)?;
    let path = keys.string("import.path")?;
    let rev = keys.string("import.rev")?;
    let commit = keys.string("import.commit")?;
    let etag = keys.string("import.etag")?;
    let size = keys.count("import.size")?;
    let modified = keys.string("import.modified")?;
    keys.finish("import.")?;
    let misplaced = |key, kind| Err(PointerProblem::MisplacedKey { key, kind });
    match (path, commit) {
        (Some(path), Some(commit)) => {
            check_commit(&commit)?;
            let path = RepoPath::new(path.as_bytes()).map_err(PointerProblem::ImportPath)?;
            check_path(&path)?;
            match (etag, size, modified) {
                (None, None, None) => Ok(Import::Repository(RepositoryImport { url, path, rev, commit })),
                (Some(_), ..) => misplaced("import.etag", "import of a repository"),
                (_, Some(_), _) => misplaced("import.size", "import of a repository"),
                _ => misplaced("import.modified", "import of a repository"),
            }
        }
        (Some(_), None) => Err(missing("import.commit")),
        (None, Some(_)) => Err(missing("import.path")),
        (None, None) if rev.is_some() => misplaced("import.rev", "import of a URL"),
        (None, None) => Ok(Import::Url(UrlImport {
            url,
            etag,
            size,
            modified,
        })),
    }
}

fn check_url(url: &str) -> Parsed<()> {
    if url_has_credentials(url) {
        return Err(PointerProblem::ImportCredentials);
    }
    // A program that is given a URL must not take it for an option.
    if url.is_empty() || url.starts_with('-') || url.chars().any(char::is_control) {
        return Err(PointerProblem::ImportUrl);
    }
    Ok(())
}

fn check_path(path: &RepoPath) -> Parsed<()> {
    if path.is_root() {
        return Err(PointerProblem::ImportPath(
            crate::path::PathError::EmptyName(Vec::new()),
        ));
    }
    Ok(())
}

fn check_commit(commit: &str) -> Parsed<()> {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if matches!(commit.len(), 40 | 64) && commit.bytes().all(hex) {
        Ok(())
    } else {
        Err(PointerProblem::ImportCommit)
    }
}
