//! Patterns that pick outputs by their paths.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{RepoError, Result};
use crate::path::RepoPath;

/// Which outputs are meant, by their paths in the repository. `*` matches within a name, `**` any names; a pattern
/// without `/` is compared with names at any depth, one that matches a directory means all below it.
#[derive(Debug, Clone, Default)]
pub struct PathPatterns {
    /// Only those that fit one of these; none: all.
    pub include: Vec<String>,
    /// Not those that fit one of these.
    pub exclude: Vec<String>,
}

/// Compiled patterns.
pub(super) struct PathMatcher {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl PathPatterns {
    /// Compiles them.
    pub(super) fn matcher(&self) -> Result<PathMatcher> {
        Ok(PathMatcher {
            include: (!self.include.is_empty()).then(|| compile(&self.include)).transpose()?,
            exclude: compile(&self.exclude)?,
        })
    }
}

impl PathMatcher {
    /// Whether an output is meant.
    pub(super) fn has(&self, path: &RepoPath) -> bool {
        self.has_bytes(path.as_bytes())
    }

    /// The same for a path as git has it.
    pub(super) fn has_bytes(&self, path: &[u8]) -> bool {
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        let fits = |set: &GlobSet| path.ancestors().any(|above| set.is_match(above));
        self.include.as_ref().is_none_or(fits) && !fits(&self.exclude)
    }
}

fn compile(patterns: &[String]) -> Result<GlobSet> {
    let bad = |pattern: &str, source: globset::Error| RepoError::BadPattern {
        pattern: pattern.into(),
        source: Box::new(source),
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let text = pattern.trim_start_matches("./").trim_end_matches('/');
        let anywhere = !text.contains('/');
        let text = text.trim_start_matches('/');
        let glob = if anywhere {
            format!("**/{text}")
        } else {
            text.to_owned()
        };
        let glob = GlobBuilder::new(&glob)
            .literal_separator(true)
            .build()
            .map_err(|error| bad(pattern, error))?;
        set.add(glob);
    }
    set.build().map_err(|error| bad(&patterns.join(" "), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_ignore_files_mean() {
        let has = |include: &[&str], exclude: &[&str], path: &str| {
            let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
            let patterns = PathPatterns {
                include: own(include),
                exclude: own(exclude),
            };
            patterns
                .matcher()
                .unwrap()
                .has(&RepoPath::new(path.as_bytes()).unwrap())
        };
        for (include, exclude, path, expected) in [
            (&[][..], &[][..], "a/b.bin", true),
            (&["*.bin"], &[], "a/b.bin", true),
            (&["*.bin"], &[], "a/b.txt", false),
            (&["a"], &[], "a/b/c", true),
            (&["a/"], &[], "x/a/c", true),
            (&["/a"], &[], "x/a/c", false),
            (&["a/*"], &[], "a/b/c", true),
            (&["a/**/c"], &[], "a/b/d/c", true),
            (&["./a/b"], &[], "a/b", true),
            (&[], &["a"], "a/b", false),
            (&["a"], &["*.txt"], "a/b.txt", false),
            (&["a"], &["*.txt"], "a/b.bin", true),
        ] {
            assert_eq!(has(include, exclude, path), expected, "{include:?} {exclude:?} {path}");
        }
        let bad = PathPatterns {
            include: vec!["[".to_owned()],
            exclude: Vec::new(),
        };
        assert!(matches!(bad.matcher(), Err(RepoError::BadPattern { .. })));
    }
}
