//! Ignore rules: `.mvignore` files with git's syntax, from the repository's root down into the output.
//!
//! What is ignored inside a tracked directory is neither added nor deleted. A rule deeper down wins over one above
//! it, a later line over an earlier one; below an ignored directory nothing can be re-included. Rules are a chain of
//! shared lists, so that a parallel walk hands them down for the price of a reference count.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gix::bstr::ByteSlice as _;
use gix::glob::pattern::Case;
use gix::glob::search::pattern::List;
use gix::ignore::search::{Ignore, pattern_matching_relative_path};

use crate::fs::{self, FsError};
use crate::path::{Name, RepoPath};

/// The name of the files with the rules.
pub const IGNORE_FILE: &str = ".mvignore";
/// What is in directories of sources and is no input of anything: what tools leave there, and the lock file that says how a
/// stage ran. Nothing else is left out that nobody named, whatever git ignores: a stage that reads it would look fresh.
const NO_INPUT: &[u8] = b"__pycache__/
.ipynb_checkpoints/
.pytest_cache/
.mypy_cache/
.ruff_cache/
.DS_Store
Thumbs.db
mv.lock
";
/// The longest file with rules that is read, in bytes.
const MAX_RULES: u64 = 1 << 20;

/// The rules in force in one directory of an output.
#[derive(Debug, Clone, Default)]
pub struct IgnoreRules {
    /// Where the output is, relative to the repository.
    output: Arc<RepoPath>,
    innermost: Option<Arc<Rules>>,
}

#[derive(Debug)]
struct Rules {
    patterns: List<Ignore>,
    /// The directory of the file, relative to the repository.
    base: RepoPath,
    outer: Option<Arc<Rules>>,
}

impl IgnoreRules {
    /// No rules.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The rules above an output: from the directory `root` of the repository down to the directory that holds
    /// `output`. Those inside it are added as it is walked.
    ///
    /// # Errors
    /// When a file with rules exists and cannot be read.
    pub fn above(root: &Path, output: &RepoPath) -> Result<Self, FsError> {
        Self::at(output).down(root, output)
    }

    /// The same above a directory that a stage depends on and that is no output. What is never an input is left out, unless
    /// a rule brings it back.
    ///
    /// # Errors
    /// As [`IgnoreRules::above`].
    pub fn above_input(root: &Path, dir: &RepoPath) -> Result<Self, FsError> {
        Self::at(dir).with(RepoPath::root(), NO_INPUT).down(root, dir)
    }

    fn at(output: &RepoPath) -> Self {
        Self {
            output: Arc::new(output.clone()),
            innermost: None,
        }
    }

    fn down(self, root: &Path, output: &RepoPath) -> Result<Self, FsError> {
        let mut rules = self;
        let mut holders: Vec<RepoPath> = std::iter::successors(output.parent(), RepoPath::parent).collect();
        holders.reverse();
        for dir in holders {
            if let Some(bytes) = fs::read_if_exists(&dir.on_disk(root).join(IGNORE_FILE), MAX_RULES)? {
                rules = rules.with(dir, &bytes);
            }
        }
        Ok(rules)
    }

    /// These rules and those in the bytes of an ignore file in the directory `dir`, relative to the output.
    #[must_use]
    pub fn enter(&self, dir: &RepoPath, bytes: &[u8]) -> Self {
        self.with(self.output.join_path(dir), bytes)
    }

    fn with(&self, base: RepoPath, bytes: &[u8]) -> Self {
        let parse = Ignore {
            support_precious: false,
        };
        // Without a root, only the parser can fail, and it skips lines that it does not understand.
        let patterns = match List::from_bytes(bytes, PathBuf::from(IGNORE_FILE), None, parse) {
            Ok(patterns) if !patterns.patterns.is_empty() => patterns,
            _ => return self.clone(),
        };
        Self {
            output: Arc::clone(&self.output),
            innermost: Some(Arc::new(Rules {
                patterns,
                base,
                outer: self.innermost.clone(),
            })),
        }
    }

    /// The same rules, asked about paths in the repository.
    #[must_use]
    pub fn of_repository(&self) -> Self {
        Self {
            output: Arc::default(),
            innermost: self.innermost.clone(),
        }
    }

    /// Whether nothing can be ignored.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.innermost.is_none()
    }

    /// Whether the entry `name` of the directory `dir` (relative to the output) is ignored.
    #[must_use]
    pub fn is_ignored(&self, dir: &RepoPath, name: &Name, is_dir: bool) -> bool {
        if self.innermost.is_none() {
            return false;
        }
        let path = self.output.join_path(dir).join(name);
        let mut next = self.innermost.as_deref();
        while let Some(rules) = next {
            if let Some(below) = path.strip_prefix(&rules.base) {
                let below = below.as_bytes().as_bstr();
                let name_at = below.rfind_byte(b'/').map(|slash| slash + 1);
                let hit =
                    pattern_matching_relative_path(&rules.patterns, below, name_at, Some(is_dir), Case::Sensitive);
                if let Some(hit) = hit {
                    return !hit.pattern.is_negative();
                }
            }
            next = rules.outer.as_deref();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RepoPath {
        RepoPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn rules_nest_like_gits() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("d/data/sub")).unwrap();
        std::fs::write(
            root.path().join(".mvignore"),
            "# c\n*.tmp\n/d/data/top\nkeep.log\ncache/\n",
        )
        .unwrap();
        std::fs::write(root.path().join("d/.mvignore"), "data/sub/*.bin\n").unwrap();
        std::fs::write(root.path().join("d/data/.mvignore"), "never read by above()\n*").unwrap();
        let rules = IgnoreRules::above(root.path(), &path("d/data")).unwrap();
        let ignored = |rules: &IgnoreRules, dir: &str, name: &str, is_dir| {
            rules.is_ignored(&path(dir), &Name::new(name.as_bytes()).unwrap(), is_dir)
        };
        assert!(ignored(&rules, "", "a.tmp", false));
        assert!(ignored(&rules, "x/y", "a.tmp", false));
        assert!(ignored(&rules, "", "top", false) && !ignored(&rules, "x", "top", false));
        assert!(ignored(&rules, "sub", "a.bin", false) && !ignored(&rules, "", "a.bin", false));
        assert!(ignored(&rules, "x", "cache", true) && !ignored(&rules, "x", "cache", false));
        assert!(!ignored(&rules, "", "other", false));
        let inner = rules.enter(&path("sub"), b"!a.bin\n!b.tmp\n/only-here\n");
        assert!(!ignored(&inner, "sub", "a.bin", false) && ignored(&inner, "sub", "c.bin", false));
        assert!(ignored(&inner, "sub", "only-here", false) && !ignored(&inner, "sub/x", "only-here", false));
        assert!(
            ignored(&rules, "sub", "a.bin", false),
            "the walk's own rules are as before"
        );
        let input = IgnoreRules::above_input(root.path(), &path("d/src")).unwrap();
        assert!(ignored(&input, "x", "__pycache__", true) && !ignored(&input, "x", "__pycache__", false));
        assert!(ignored(&input, "", "a.tmp", false) && ignored(&input, "", "mv.lock", false));
        assert!(!ignored(
            &input.enter(&path(""), b"!__pycache__\n"),
            "",
            "__pycache__",
            true
        ));
        assert!(IgnoreRules::none().is_empty() && !ignored(&IgnoreRules::none(), "", "a.tmp", false));
    }
}
