//! Patterns of transparent files: lines of `.gitattributes`.
//!
//! Invariants: a line that is written here is read by git as exactly the pattern that was given; other lines stay as
//! they are. Patterns that git would read as something else, or not at all, are refused.

use std::path::Path;

use gix::bstr::{BStr, ByteSlice as _};
use gix::glob::pattern::Case;
use gix::glob::wildmatch;

use super::discover::GitRepo;
use super::edit::{FileEdit, Lines};
use super::error::{GitError, Result};
use super::transparent::{ATTRIBUTE, ATTRIBUTES_FILE};
use crate::fs;
use crate::path::{Name, RepoPath};

/// What stands behind a pattern. Git's own text conversions would change content; a merge of two pointers line by line
/// would be a pointer to nothing, so a conflict keeps ours and says so.
const ATTRIBUTES: &str = "filter=modver merge=binary -text";
/// What stands behind a pattern of files that a line before it would make transparent.
const PLAIN: &[u8] = b" !filter !merge !text";
/// Git ignores longer lines.
const MAX_LINE: usize = 2047;
/// Files that git or modver reads by name: as pointers they would stop working.
const NEEDED: [&str; 7] = [
    ".gitattributes",
    ".gitignore",
    ".gitmodules",
    ".mvignore",
    "mv.toml",
    "mv.lock",
    "data.mv",
];

/// A pattern, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedPattern {
    /// The `.gitattributes` that holds it.
    pub file: RepoPath,
    /// The pattern.
    pub pattern: Vec<u8>,
}

/// Why a pattern cannot be tracked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternProblem {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It leads out of the directory whose `.gitattributes` would hold it.
    #[error("it leads out of this directory; patterns apply here and below")]
    Outside,
    /// It is longer than a line of attributes may be.
    #[error("it is too long for a line of `.gitattributes`")]
    TooLong,
    /// It ends in a single backslash, which escapes nothing.
    #[error("it ends in a backslash, and matches nothing")]
    Backslash,
    /// It holds NUL.
    #[error("it has a NUL byte")]
    Nul,
    /// It matches a file that has to be readable without the filter.
    #[error("it matches `{0}`, which has to be in git as it is")]
    Needed(&'static str),
}

/// A pattern as it stands in `.gitattributes` for what a user typed: `data/` is everything below `data`.
///
/// # Errors
/// [`PatternProblem`] for what git cannot be told.
pub fn attribute_pattern(typed: &[u8]) -> std::result::Result<Vec<u8>, PatternProblem> {
    let mut pattern = typed;
    while let Some(rest) = pattern.strip_prefix(b"./") {
        pattern = rest.trim_start_with(|c| c == '/');
    }
    if pattern.is_empty() || pattern == b"/" || pattern == b"." {
        return Err(PatternProblem::Empty);
    }
    if pattern.split(|&b| b == b'/').any(|part| part == b"..") {
        return Err(PatternProblem::Outside);
    }
    if pattern.contains(&0) {
        return Err(PatternProblem::Nul);
    }
    let backslashes = pattern.iter().rev().take_while(|&&b| b == b'\\').count();
    if backslashes % 2 == 1 {
        return Err(PatternProblem::Backslash);
    }
    let mut pattern = pattern.to_vec();
    if pattern.ends_with(b"/") {
        // Attributes of a directory are not those of its files.
        pattern.extend_from_slice(b"**");
    }
    if pattern.starts_with(b"!") || pattern.starts_with(b"[attr]") {
        pattern.insert(0, b'\\');
    }
    if line(&pattern).len() > MAX_LINE {
        return Err(PatternProblem::TooLong);
    }
    match NEEDED.into_iter().find(|name| matches(&pattern, name)) {
        Some(name) => Err(PatternProblem::Needed(name)),
        None => Ok(pattern),
    }
}

/// The pattern that matches exactly this path, relative to the directory of the `.gitattributes`.
#[must_use]
pub fn literal_pattern(path: &RepoPath) -> Vec<u8> {
    let mut pattern = vec![b'/'];
    for &byte in path.as_bytes() {
        if b"\\*?[".contains(&byte) {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern
}

/// Whether a pattern matches a file in the directory of its `.gitattributes`.
fn matches(pattern: &[u8], name: &str) -> bool {
    RepoPath::new(name.as_bytes()).is_ok_and(|path| matches_path(pattern, &path))
}

/// Whether a pattern in the top-level `.gitattributes` matches a file.
pub(super) fn matches_path(pattern: &[u8], path: &RepoPath) -> bool {
    let name = path.as_bytes().rfind_byte(b'/').map(|slash| slash + 1);
    gix::glob::Pattern::from_bytes_without_negation(pattern).is_some_and(|pattern| {
        pattern.matches_repo_relative_path(
            path.as_bytes().as_bstr(),
            name,
            Some(false),
            Case::Sensitive,
            wildmatch::Mode::NO_MATCH_SLASH_LITERAL,
        )
    })
}

/// Attributes with lines that make `filtered` transparent, and after them lines that leave `plain` to git.
pub(super) fn add_lines(attributes: &[u8], filtered: &[Vec<u8>], plain: &[Vec<u8>]) -> Vec<u8> {
    let mut lines = Lines::of(attributes);
    for pattern in filtered {
        if !lines.any(|held| pattern_of(held).as_ref() == Some(pattern)) {
            lines.add(&line(pattern));
        }
    }
    for pattern in plain {
        lines.add(&[&quoted(pattern)[..], PLAIN].concat());
    }
    lines.into_bytes()
}

/// Attributes without the lines that make these patterns transparent; without patterns, with nothing transparent.
pub(super) fn take_out_lines(attributes: &[u8], patterns: Option<&[Vec<u8>]>) -> Vec<u8> {
    let mut lines = Lines::of(attributes);
    let removed = lines.remove_if(|held| match (pattern_of(held), patterns) {
        (Some(pattern), Some(patterns)) => patterns.contains(&pattern),
        (Some(_), None) => true,
        (None, Some(_)) => false,
        (None, None) => held.trim_ascii_end().ends_with(PLAIN),
    });
    match removed {
        true => lines.into_bytes(),
        false => attributes.to_vec(),
    }
}

/// The line for a pattern.
fn line(pattern: &[u8]) -> Vec<u8> {
    let mut line = quoted(pattern);
    line.push(b' ');
    line.extend_from_slice(ATTRIBUTES.as_bytes());
    line
}

/// A pattern as git reads it at the start of a line: quoted as a C string where it has to be.
fn quoted(pattern: &[u8]) -> Vec<u8> {
    let plain = |&byte: &u8| byte > b' ' && byte != 0x7f;
    if pattern.iter().all(plain) && !pattern.starts_with(b"\"") && !pattern.starts_with(b"#") {
        return pattern.to_vec();
    }
    let mut out = vec![b'"'];
    for &byte in pattern {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f | 0x7f => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
    out
}

/// The pattern of a line that names the filter.
fn pattern_of(line: &[u8]) -> Option<Vec<u8>> {
    let blank = |&b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
    let start = line.iter().position(|b| !blank(b))?;
    let line = &line[start..];
    let (pattern, rest) = match line.first()? {
        b'#' => return None,
        b'"' => {
            let (pattern, used) = unquote(line)?;
            (pattern, &line[used..])
        }
        _ => {
            let end = line.iter().position(blank).unwrap_or(line.len());
            (line[..end].to_vec(), &line[end..])
        }
    };
    rest.split(blank)
        .any(|attribute| attribute == ATTRIBUTE.as_bytes())
        .then_some(pattern)
}

/// A C string at the start of `text`, and how many bytes it takes.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut out = Vec::new();
    let mut at = 1;
    loop {
        match *text.get(at)? {
            b'"' => return Some((out, at + 1)),
            b'\\' => {
                at += 1;
                let escaped = *text.get(at)?;
                out.push(match escaped {
                    b'a' => 7,
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'v' => 11,
                    b'0'..=b'3' => {
                        let digits = std::str::from_utf8(text.get(at..at + 3)?).ok()?;
                        at += 2;
                        u8::from_str_radix(digits, 8).ok()?
                    }
                    b'"' | b'\\' => escaped,
                    _ => return None,
                });
            }
            byte => out.push(byte),
        }
        at += 1;
    }
}

/// The `.gitattributes` of `dir` with lines for these patterns; unchanged if it has them.
///
/// # Errors
/// When the file cannot be read.
pub fn track_edit(root: &Path, dir: &RepoPath, patterns: &[Vec<u8>]) -> Result<FileEdit> {
    let mut edit = FileEdit::read(root, &attributes_path(dir)?)?;
    let mut lines = Lines::of(edit.after.as_deref().unwrap_or_default());
    let mut added = false;
    for pattern in patterns {
        if !lines.any(|held| pattern_of(held).as_ref() == Some(pattern)) {
            added |= lines.add(&line(pattern));
        }
    }
    if added {
        edit.after = Some(lines.into_bytes());
    }
    Ok(edit)
}

/// The `.gitattributes` of `dir` without the lines for these patterns, and which patterns had none; no file if they
/// were all it had.
///
/// # Errors
/// When the file cannot be read.
pub fn untrack_edit(root: &Path, dir: &RepoPath, patterns: &[Vec<u8>]) -> Result<(FileEdit, Vec<Vec<u8>>)> {
    let mut edit = FileEdit::read(root, &attributes_path(dir)?)?;
    let mut lines = Lines::of(edit.after.as_deref().unwrap_or_default());
    let mut unknown = Vec::new();
    for pattern in patterns {
        if !lines.remove_if(|held| pattern_of(held).as_ref() == Some(pattern)) {
            unknown.push(pattern.clone());
        }
    }
    if unknown.len() < patterns.len() {
        edit.after = Some(lines.into_bytes()).filter(|bytes| !bytes.is_empty());
    }
    Ok((edit, unknown))
}

fn attributes_path(dir: &RepoPath) -> Result<RepoPath> {
    let name = Name::new(ATTRIBUTES_FILE.as_bytes()).map_err(|source| GitError::InvalidPath {
        place: "work tree".to_owned(),
        source,
    })?;
    Ok(dir.join(&name))
}

impl GitRepo {
    /// The patterns of transparent files in all `.gitattributes` that are in git's index, and in those of `dir` and the
    /// directories above it, as they are in the work tree.
    ///
    /// # Errors
    /// When the index or a file cannot be read.
    pub fn tracked_patterns(&self, dir: &RepoPath) -> Result<Vec<TrackedPattern>> {
        let mut files = std::collections::BTreeSet::new();
        for above in std::iter::successors(Some(dir.clone()), RepoPath::parent) {
            files.insert(attributes_path(&above)?);
        }
        let tracked = self.tracked()?;
        for entry in tracked.index.entries() {
            let path: &BStr = entry.path(&tracked.index);
            if path.rsplit(|&b| b == b'/').next() == Some(ATTRIBUTES_FILE.as_bytes()) {
                files.insert(super::index::entry_path(path)?);
            }
        }
        let mut found = Vec::new();
        for file in files {
            let bytes = fs::read_if_exists(&file.on_disk(self.root()), 100 << 20)?.unwrap_or_default();
            let patterns = bytes.split(|&b| b == b'\n').filter_map(pattern_of);
            found.extend(patterns.map(|pattern| TrackedPattern {
                file: file.clone(),
                pattern,
            }));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Sandbox;
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::ffi::OsStrExt as _;

    fn track(sandbox: &Sandbox, pattern: &[u8]) {
        let patterns = [attribute_pattern(pattern).unwrap()];
        let edit = track_edit(&sandbox.root(), &RepoPath::root(), &patterns).unwrap();
        edit.apply(&sandbox.root()).unwrap();
    }

    /// What git says about a path.
    fn is_filtered(sandbox: &Sandbox, file: &[u8]) -> bool {
        let output = sandbox
            .command(&sandbox.root())
            .args(["check-attr", "-z", "filter", "--"])
            .arg(std::ffi::OsStr::from_bytes(file))
            .output()
            .unwrap();
        assert!(output.status.success());
        output.stdout.ends_with(b"\0modver\0")
    }

    #[test]
    fn git_reads_the_pattern_that_was_meant() {
        let names: [&[u8]; 19] = [
            b"data.bin",
            b" lead",
            b"trail ",
            b"two  words",
            b"tab\t",
            b"#hash",
            b"!bang",
            b"\"quoted\"",
            b"mid\"quote",
            b"line\nfeed",
            b"cr\r",
            b"end\n",
            b"a*b",
            b"a?b",
            b"a[b]c",
            b"[attr]x",
            b"back\\slash",
            b"\xff\xfe",
            b"dir/in \xc3\xa9 ",
        ];
        for name in names {
            let sandbox = Sandbox::new();
            let path = RepoPath::new(name).unwrap();
            let pattern = literal_pattern(&path);
            let edit = track_edit(&sandbox.root(), &RepoPath::root(), std::slice::from_ref(&pattern)).unwrap();
            edit.apply(&sandbox.root()).unwrap();
            let shown = String::from_utf8_lossy(name);
            assert!(is_filtered(&sandbox, name), "{shown:?}");
            for other in [&b"data"[..], b"lead", b"trail", b"axb", b"b", b"x/data.bin"] {
                assert!(!is_filtered(&sandbox, other), "{shown:?}: {other:?}");
            }
            let found = sandbox.open().tracked_patterns(&RepoPath::root()).unwrap();
            assert_eq!(found.len(), 1, "{shown:?}");
            assert_eq!(found[0].pattern, pattern);
            let again = track_edit(&sandbox.root(), &RepoPath::root(), std::slice::from_ref(&pattern)).unwrap();
            assert!(!again.is_change());
            let (gone, unknown) = untrack_edit(&sandbox.root(), &RepoPath::root(), &[pattern]).unwrap();
            assert_eq!((gone.after, unknown.len()), (None, 0), "{shown:?}");
        }
    }

    #[test]
    fn typed_patterns_mean_what_git_users_expect() {
        for (typed, yes, no) in [
            (&b"*.bin"[..], &b"deep/x.bin"[..], &b"x.bin2"[..]),
            (b"data/", b"data/deep/x", b"other/data/x"),
            (b"./data/*", b"data/x", b"data/deep/x"),
            (b"/top", b"top", b"in/top"),
            (b"!x", b"!x", b"x"),
            (b"[attr]", b"[attr]", b"a"),
            (b"#*", b"#x", b"x"),
            (b"a b*", b"a bc", b"a"),
        ] {
            let sandbox = Sandbox::new();
            track(&sandbox, typed);
            let shown = String::from_utf8_lossy(typed);
            assert!(is_filtered(&sandbox, yes), "{shown}");
            assert!(!is_filtered(&sandbox, no), "{shown}");
        }
    }

    #[test]
    fn what_git_cannot_be_told_is_refused() {
        use PatternProblem as P;
        for (typed, problem) in [
            (&b""[..], P::Empty),
            (b"./", P::Empty),
            (b"/", P::Empty),
            (b"../x", P::Outside),
            (b"a/../../x", P::Outside),
            (b"x\\", P::Backslash),
            (b"x\0y", P::Nul),
            (&[b'x'; 2100], P::TooLong),
            (b"*", P::Needed(".gitattributes")),
            (b".git*", P::Needed(".gitattributes")),
            (b"*.toml", P::Needed("mv.toml")),
            (b"*.mv", P::Needed("data.mv")),
            (b"/**", P::Needed(".gitattributes")),
        ] {
            assert_eq!(
                attribute_pattern(typed),
                Err(problem),
                "{}",
                String::from_utf8_lossy(typed)
            );
        }
    }

    #[test]
    fn other_lines_stay() {
        let sandbox = Sandbox::new();
        let root = sandbox.root();
        let mine = "# filter=modver\n*.txt text\nx.bin filter=lfs\n\"y z\"  -text filter=modver\n";
        sandbox.write(".gitattributes", mine);
        track(&sandbox, b"y z");
        assert_eq!(std::fs::read(root.join(".gitattributes")).unwrap(), mine.as_bytes());
        let patterns = [b"y z".to_vec(), b"x.bin".to_vec()];
        let (edit, unknown) = untrack_edit(&root, &RepoPath::root(), &patterns).unwrap();
        assert_eq!(unknown, [b"x.bin".to_vec()]);
        assert_eq!(
            edit.after.as_deref(),
            Some(&b"# filter=modver\n*.txt text\nx.bin filter=lfs\n"[..])
        );
    }

    proptest! {
        #[test]
        fn a_line_gives_its_pattern_back(bytes in proptest::collection::vec(any::<u8>(), 1..40)) {
            if let Ok(pattern) = attribute_pattern(&bytes) {
                prop_assert_eq!(pattern_of(&line(&pattern)), Some(pattern));
            }
            let _ = pattern_of(&bytes);
        }
    }
}
