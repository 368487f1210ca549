//! What may be tracked: the checks before an add. Everything is checked before anything is read or written.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{Outputs, RepoError, Repository, Result};
use crate::fs::{self, Dir, FileKind};
use crate::git;
use crate::path::{Name, RepoPath};
use crate::workspace::{IGNORE_FILE, IgnoreRules};

impl Repository {
    /// The paths that the user named for adding: globs expanded, each checked, sorted.
    pub(crate) fn inputs(&self, typed: &[PathBuf], outputs: &Outputs) -> Result<Vec<RepoPath>> {
        let mut paths = Vec::new();
        for input in typed {
            let path = self.path_of(input)?;
            if fs::stat(&path.on_disk(self.root()))?.is_some() {
                paths.push(path);
            } else if is_pattern(input) {
                let found = self.expand(input)?;
                let of_stage = |path: &RepoPath| outputs.around(path).is_some_and(|output| output.stage().is_some());
                let found: Vec<RepoPath> = found.into_iter().filter(|path| !of_stage(path)).collect();
                if found.is_empty() {
                    return Err(RepoError::NoMatch { pattern: input.clone() });
                }
                paths.extend(found);
            } else {
                return Err(RepoError::NotFound { path: input.clone() });
            }
        }
        paths.sort_unstable();
        paths.dedup();
        for pair in paths.windows(2) {
            if pair[1].starts_with(&pair[0]) {
                return Err(RepoError::NestedArguments {
                    path: pair[1].clone(),
                    other: pair[0].clone(),
                });
            }
        }
        for path in &paths {
            self.check_input(path, outputs)?;
        }
        Ok(paths)
    }

    fn check_input(&self, path: &RepoPath, outputs: &Outputs) -> Result<()> {
        self.check_new_path(path, outputs)?;
        let kind = fs::stat(&path.on_disk(self.root()))?.map(|stat| stat.kind);
        match kind {
            Some(FileKind::File | FileKind::Dir) => {}
            Some(FileKind::Symlink) => return Err(RepoError::IsLink(path.clone())),
            Some(FileKind::Special) => return Err(RepoError::Special(path.clone())),
            None => {
                return Err(RepoError::NotFound {
                    path: path.on_disk(self.root()),
                });
            }
        }
        if self.is_ignored(path, kind == Some(FileKind::Dir))? {
            return Err(RepoError::Ignored { path: path.clone() });
        }
        Ok(())
    }

    /// Whether `.mvignore` names the path or a directory above it.
    pub(crate) fn is_ignored(&self, path: &RepoPath, is_dir: bool) -> Result<bool> {
        let rules = IgnoreRules::above(self.root(), path)?.of_repository();
        let mut dir = RepoPath::root();
        let mut names = path.names().peekable();
        while let Some(name) = names.next() {
            let name = Name::new(name)?;
            if rules.is_ignored(&dir, &name, is_dir || names.peek().is_some()) {
                return Ok(true);
            }
            dir = dir.join(&name);
        }
        Ok(false)
    }

    /// Checks that an output may be at a path, whatever is there.
    pub(crate) fn check_new_path(&self, path: &RepoPath, outputs: &Outputs) -> Result<()> {
        let name = name_of(path)?;
        if git::is_pointer_path(path) {
            return Err(RepoError::IsPointer(path.clone()));
        }
        let special = [
            OsStr::new(".gitignore"),
            OsStr::new(".gitattributes"),
            OsStr::new(".gitmodules"),
            OsStr::new(IGNORE_FILE),
        ];
        if path.names().any(|name| name == b".git")
            || special.contains(&name.as_os())
            || name.as_bytes() == super::PROJECT_FILE.as_bytes()
            || git::is_lock_path(path)
            || self.root().join(path.on_disk(Path::new(""))) == self.cache_dir()
        {
            return Err(RepoError::Reserved(path.clone()));
        }
        let mut above = path.parent();
        while let Some(dir) = above.filter(|dir| !dir.is_root()) {
            if fs::stat(&dir.on_disk(self.root()))?.is_some_and(|stat| stat.kind == FileKind::Symlink) {
                return Err(RepoError::ThroughLink {
                    path: path.clone(),
                    link: dir,
                });
            }
            if fs::stat(&dir.on_disk(self.root()).join(".git"))?.is_some() {
                return Err(RepoError::InRepository {
                    path: path.clone(),
                    repository: dir,
                });
            }
            above = dir.parent();
        }
        if let Some(output) = outputs.outputs.iter().find(|output| output.path == *path) {
            output.without_stage()?;
        }
        if let Some(around) = outputs.around(path).filter(|output| output.path != *path) {
            return Err(RepoError::InsideOutput {
                path: path.clone(),
                output: around.path.clone(),
            });
        }
        if let Some(below) = outputs.below(path).next() {
            return Err(RepoError::ContainsOutput {
                path: path.clone(),
                output: below.path.clone(),
            });
        }
        Ok(())
    }

    /// Refuses what git tracks, and outputs whose pointers git would ignore.
    pub(crate) fn check_git(&self, paths: &[RepoPath]) -> Result<()> {
        let tracked = self.git.tracked()?;
        let mut excludes = self.git.excludes()?;
        for path in paths {
            let count = tracked.under(path)?.len();
            if count > 0 {
                return Err(RepoError::TrackedByGit {
                    path: path.clone(),
                    count,
                });
            }
            let pointer = git::pointer_path(path)?;
            if let Some(rule) = excludes.is_excluded(&pointer, false)?
                && !tracked.contains(&pointer)
            {
                return Err(RepoError::PointerIgnored {
                    pointer,
                    pattern: crate::path::quote(rule.pattern.as_ref()).into_owned(),
                    source_file: rule.source.map_or_else(String::new, |file| {
                        file.strip_prefix(self.root()).unwrap_or(&file).display().to_string()
                    }),
                });
            }
        }
        Ok(())
    }

    /// The entries that a pattern matches, other than pointers, git's and modver's own files, and what git tracks.
    fn expand(&self, pattern: &Path) -> Result<Vec<RepoPath>> {
        let (base, rest) = split_pattern(pattern);
        let base = self.path_of(&base)?;
        let glob = globset::GlobBuilder::new(&rest.to_string_lossy())
            .literal_separator(true)
            .build()
            .map_err(|source| RepoError::BadPattern {
                pattern: pattern.to_owned(),
                source: Box::new(source),
            })?
            .compile_matcher();
        let deep = rest.as_os_str().as_bytes().windows(2).any(|pair| pair == b"**");
        let depth = rest.components().count();
        let tracked = self.git.tracked()?;
        let mut found = Vec::new();
        let mut pending = vec![(RepoPath::root(), 1)];
        while let Some((inside, level)) = pending.pop() {
            let Ok(dir) = Dir::open(&base.join_path(&inside).on_disk(self.root())) else {
                continue;
            };
            for entry in dir.list()? {
                let path = inside.join(&entry.name);
                let full = base.join_path(&path);
                if entry.name.as_bytes() == b".git" {
                    continue;
                }
                let is_match = glob.is_match(path.on_disk(Path::new("")));
                let reserved = git::is_pointer_path(&full)
                    || entry.name.as_bytes().starts_with(b".git")
                    || entry.name.as_os() == OsStr::new(IGNORE_FILE)
                    || entry.name.as_bytes() == super::PROJECT_FILE.as_bytes()
                    || git::is_lock_path(&full);
                let is_dir = entry.kind == Some(FileKind::Dir);
                if is_match && !reserved && tracked.under(&full)?.is_empty() && !self.is_ignored(&full, is_dir)? {
                    found.push(full);
                } else if entry.kind == Some(FileKind::Dir) && (deep || level < depth) {
                    pending.push((path, level + 1));
                }
            }
        }
        Ok(found)
    }
}

fn is_pattern(path: &Path) -> bool {
    path.as_os_str().as_bytes().iter().any(|b| b"*?[{".contains(b))
}

/// The part of a pattern before its first wildcard component, and the rest.
fn split_pattern(pattern: &Path) -> (PathBuf, PathBuf) {
    let mut base = PathBuf::new();
    let mut components = pattern.components().peekable();
    while let Some(component) = components.next_if(|c| !is_pattern(Path::new(c.as_os_str()))) {
        base.push(component);
    }
    (base, components.collect())
}

/// The name of a path that is not the root.
pub(crate) fn name_of(path: &RepoPath) -> Result<Name> {
    path.file_name().ok_or(RepoError::WholeRepository)
}
