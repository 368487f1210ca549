//! Data that modver brought into the workspace and that no pointer names any more, as after `git checkout` of a commit
//! in which it was not tracked. The workspace states tell: each names its output.
//!
//! Not an orphan: what has a pointer that cannot be read, or one that git's index still has; anything, while a lock file
//! cannot be read or is only in git's index; what git tracks itself;
//! what another output covers or lies in; what is behind a link or in another repository.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::PathBuf;

use super::{FOLDER, Outputs, Repository, Result};
use crate::fs::{self, FileKind};
use crate::git::{self, Tracked};
use crate::path::RepoPath;
use crate::workspace::State;

/// Data that no pointer names any more.
#[derive(Debug)]
pub(crate) struct Orphan {
    /// Where it is.
    pub(crate) path: RepoPath,
    /// File or directory.
    pub(crate) kind: FileKind,
}

/// What the workspace states say beyond the outputs.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    /// The data that is here, by path.
    pub(crate) here: Vec<Orphan>,
    /// Files beside the states that are worth nothing: of outputs that are gone with their data, and of killed
    /// processes. To be removed under the workspace lock only.
    pub(crate) stale: Vec<PathBuf>,
}

/// What a state without a pointer stands for.
enum Fate {
    /// Data that is still here.
    Here(FileKind),
    /// Nothing.
    Nothing,
    /// Something that is no longer, or not yet, modver's alone.
    Kept,
}

impl Repository {
    /// Finds the orphans. Files in them that look like pointers are data, and no longer among the broken ones.
    ///
    /// # Errors
    /// When the states cannot be listed or git's index cannot be read.
    pub(crate) fn orphans(&self, outputs: &mut Outputs) -> Result<Orphans> {
        let dir = self.git.git_dir().join(FOLDER).join("state");
        let mut found = Orphans::default();
        if fs::stat(&dir)?.is_none() {
            return Ok(found);
        }
        let known: HashSet<PathBuf> = outputs
            .outputs
            .iter()
            .map(|output| self.state_file(&output.path))
            .collect();
        let mut tracked = None;
        for name in fs::list(&dir)? {
            let file = dir.join(&name);
            if known.contains(&file) {
                continue;
            }
            let state = State::read(&file).filter(|state| self.state_file(state.output()) == file);
            let Some((path, base)) = state.map(|state| (state.output().clone(), state.base())) else {
                found.stale.push(file);
                continue;
            };
            let tracked = match &tracked {
                Some(tracked) => tracked,
                None => tracked.insert(self.git.tracked()?),
            };
            match self.fate(&path, outputs, tracked)? {
                Fate::Here(kind) if base.is_some() => found.here.push(Orphan { path, kind }),
                Fate::Here(_) | Fate::Nothing => found.stale.push(file),
                Fate::Kept => {}
            }
        }
        found.here.sort_by(|a, b| a.path.cmp(&b.path));
        outputs
            .broken
            .retain(|error| !found.here.iter().any(|orphan| error.path.starts_with(&orphan.path)));
        Ok(found)
    }

    fn fate(&self, path: &RepoPath, outputs: &Outputs, tracked: &Tracked) -> Result<Fate> {
        let is_there = |path: &RepoPath| fs::stat(&path.on_disk(self.root())).map_or(true, |stat| stat.is_some());
        let has_pointer = |path: &RepoPath| -> Result<bool> {
            let pointer = git::pointer_path(path)?;
            Ok(is_there(&pointer) || !tracked.under(&pointer)?.is_empty())
        };
        let mut files = outputs.broken.iter().map(|error| &error.path).chain(&outputs.deleted);
        if files.any(git::is_lock_path) || outputs.around(path).is_some() {
            return Ok(Fate::Kept);
        }
        if path.is_root() || has_pointer(path)? || !tracked.under(path)?.is_empty() {
            return Ok(Fate::Kept);
        }
        let mut above = path.parent();
        while let Some(dir) = above.filter(|dir| !dir.is_root()) {
            let on_disk = dir.on_disk(self.root());
            let is_link = fs::stat(&on_disk)?.is_some_and(|stat| stat.kind == FileKind::Symlink);
            if is_link || fs::stat(&on_disk.join(OsStr::new(".git")))?.is_some() || has_pointer(&dir)? {
                return Ok(Fate::Kept);
            }
            above = dir.parent();
        }
        Ok(match fs::stat(&path.on_disk(self.root()))?.map(|stat| stat.kind) {
            Some(FileKind::Dir) if outputs.below(path).next().is_some() => Fate::Kept,
            Some(kind @ (FileKind::Dir | FileKind::File)) => Fate::Here(kind),
            Some(FileKind::Symlink | FileKind::Special) | None => Fate::Nothing,
        })
    }
}
