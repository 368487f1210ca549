//! `log`: the versions of an output through history.

use std::path::PathBuf;

use super::observe::root_node;
use super::{Changed, Content, FileCounts, FileDiff, RepoError, Repository, Result};
use crate::fs;
use crate::git::{self, Compared, LoggedCommit, LoggedPointer, Touch};
use crate::object::{self, Node};
use crate::path::RepoPath;
use crate::workspace;

/// What to show the versions of.
#[derive(Debug, Clone)]
pub struct LogRequest {
    /// An output, its pointer, or a path inside a directory that is one; it need not be there any more.
    pub target: PathBuf,
    /// Where to begin, or a range of commits; none: at `HEAD`.
    pub rev: Option<String>,
    /// At most so many versions, the newest.
    pub limit: Option<usize>,
    /// Whether to count which files changed.
    pub stat: bool,
}

/// A version.
#[derive(Debug, serde::Serialize)]
pub struct LoggedVersion {
    /// The commit that made it.
    #[serde(flatten)]
    pub commit: LoggedCommit,
    /// Where the target was then.
    pub path: RepoPath,
    /// How it differs from the one before; `null` when it is the same (something else in the pointer changed) or is not
    /// known.
    pub change: Option<Changed>,
    /// Where it stood before, if renamed.
    pub from: Option<RepoPath>,
    /// Where it stands since, if it went away by a rename.
    pub to: Option<RepoPath>,
    /// What it was before.
    pub before: Option<Content>,
    /// What it is since.
    pub after: Option<Content>,
    /// How many files differ; `null` when that was not asked, or the listing that tells is not in the cache.
    pub counts: Option<FileCounts>,
    /// Why it is not known what it is, if so.
    pub problem: Option<String>,
}

/// The versions.
#[derive(Debug, serde::Serialize)]
pub struct LogOutcome {
    /// What was asked about.
    pub path: RepoPath,
    /// Newest first.
    pub versions: Vec<LoggedVersion>,
    /// Whether the git history ends early here, as in a shallow clone.
    pub shallow: bool,
    /// Versions of which a listing is not in the cache, so that it is not known whether or how the path changed.
    pub unknown: u64,
}

/// What stands at a path in a version.
enum Found {
    Known(Option<Node>),
    /// Why it is not known.
    Unknown(String),
    /// The listing is not in the cache.
    NoListing,
}

/// What names an output.
struct Named {
    /// The pointer, or the lock file.
    file: RepoPath,
    output: RepoPath,
    is_locked: bool,
}

impl Named {
    fn pointer(file: &RepoPath) -> Self {
        Self {
            file: file.clone(),
            output: git::output_path(file).unwrap_or_else(|| file.clone()),
            is_locked: false,
        }
    }

    fn locked(file: &RepoPath, output: &RepoPath) -> Self {
        Self {
            file: file.clone(),
            output: output.clone(),
            is_locked: true,
        }
    }
}

impl Repository {
    /// Finds the versions of an output, or of a path inside one. Only git's history and the cache are read.
    ///
    /// # Errors
    /// When no commit ever tracked the target, the revision is not known, or history cannot be read.
    pub fn log(&self, request: &LogRequest) -> Result<LogOutcome> {
        let typed = self.path_of(&request.target)?;
        let rev = request.rev.as_deref();
        let named = self.named_by(&typed, rev)?;
        let part = match typed.strip_prefix(&named.output) {
            Some(part) if typed != named.file => part,
            _ => RepoPath::root(),
        };
        let (output, out) = (&named.output, named.is_locked.then_some(&named.output));
        let mut outcome = LogOutcome {
            path: output.join_path(&part),
            versions: Vec::new(),
            shallow: self.git.is_shallow(),
            unknown: 0,
        };
        let mut failed = Ok(());
        let mut take = |touch: Touch| -> Result<bool> {
            if request.limit.is_some_and(|limit| outcome.versions.len() >= limit) {
                return Ok(false);
            }
            let no_listing = &mut outcome.unknown;
            if let Some(version) = self.version(touch, out, &part, request.stat, no_listing)? {
                outcome.versions.push(version);
            }
            Ok(request.limit.is_none_or(|limit| outcome.versions.len() < limit))
        };
        self.git.log(
            &named.file,
            out,
            rev,
            request.limit.is_some(),
            &self.progress,
            &mut |touch| match take(touch) {
                Ok(more) => more,
                Err(error) => {
                    failed = Err(error);
                    false
                }
            },
        )?;
        failed.map(|()| outcome)
    }

    /// What names, or named last, what the user typed: a pointer, or a lock file.
    fn named_by(&self, typed: &RepoPath, rev: Option<&str>) -> Result<Named> {
        let mut candidates = Vec::new();
        let above = std::iter::successors(Some(typed.clone()), RepoPath::parent);
        for path in above.filter(|path| !path.is_root()) {
            candidates.extend(git::pointer_path(&path).ok());
        }
        if git::is_pointer_path(typed) {
            candidates.push(typed.clone());
        }
        for pointer in &candidates {
            if fs::stat(&pointer.on_disk(self.root()))?.is_some_and(|stat| stat.kind == fs::FileKind::File) {
                return Ok(Named::pointer(pointer));
            }
        }
        let locks = if self.git.is_bare() {
            Vec::new()
        } else {
            self.git.find_pointers()?.locks
        };
        for file in &locks {
            // One that cannot be read now may have been readable before.
            let lock = self.read_lock(file).unwrap_or_default();
            if let Some((out, ..)) = lock.cached().find(|(out, ..)| typed.starts_with(out)) {
                return Ok(Named::locked(file, out));
            }
        }
        if let Some(pointer) = self.git.last_touched(&candidates, rev)? {
            return Ok(Named::pointer(&pointer));
        }
        // A transparent file stands for itself.
        if self.is_transparent_at(typed, rev)? {
            return Ok(Named::pointer(typed));
        }
        for file in locks {
            let mut outs = std::iter::successors(Some(typed.clone()), RepoPath::parent);
            while let Some(out) = outs.next().filter(|out| !out.is_root()) {
                let mut found = false;
                self.git.log(&file, Some(&out), rev, true, &self.progress, &mut |_| {
                    found = true;
                    false
                })?;
                if found {
                    return Ok(Named::locked(&file, &out));
                }
            }
        }
        Err(RepoError::NeverTracked { path: typed.clone() })
    }

    /// Whether a transparent file stands at a path in a revision that is one commit, or else in `HEAD`.
    fn is_transparent_at(&self, path: &RepoPath, rev: Option<&str>) -> Result<bool> {
        let rev = rev.filter(|rev| matches!(self.git.compared(rev), Ok(Compared::One(_))));
        let files = self.git.transparent_at(rev.unwrap_or("HEAD"))?;
        Ok(files.iter().any(|file| file.path == *path))
    }

    /// `None` if the version does not concern the target.
    fn version(
        &self,
        touch: Touch,
        out: Option<&RepoPath>,
        part: &RepoPath,
        stat: bool,
        unknown: &mut u64,
    ) -> Result<Option<LoggedVersion>> {
        let place = |file: &RepoPath| {
            let output = out.cloned().or_else(|| git::output_path(file));
            output.unwrap_or_else(|| file.clone()).join_path(part)
        };
        let moved = touch.after.is_some().then(|| touch.other.as_ref().map(place)).flatten();
        let (before, after) = (
            self.node_in(touch.before.as_ref(), part)?,
            self.node_in(touch.after.as_ref(), part)?,
        );
        let mut version = LoggedVersion {
            commit: touch.commit,
            path: place(&touch.path),
            change: None,
            to: if touch.after.is_none() {
                touch.other.as_ref().map(place)
            } else {
                None
            },
            from: None,
            before: None,
            after: None,
            counts: None,
            problem: None,
        };
        let (before, after) = match (before, after) {
            (Found::Known(before), Found::Known(after)) => (before, after),
            (before, after) => {
                *unknown += u64::from(matches!(before, Found::NoListing) || matches!(after, Found::NoListing));
                let mut take = |found| {
                    let problem = match found {
                        Found::Known(node) => return node.as_ref().map(Content::from),
                        Found::NoListing => "its listing is not in the cache".to_owned(),
                        Found::Unknown(why) => why,
                    };
                    version.problem = Some(problem);
                    None
                };
                (version.before, version.after) = (take(before), take(after));
                return Ok(Some(version));
            }
        };
        version.before = before.as_ref().map(Content::from);
        version.after = after.as_ref().map(Content::from);
        version.change = match (&before, &after) {
            (None, None) => return Ok(None),
            _ if moved.is_some() => Some(Changed::Renamed),
            (None, Some(_)) => Some(Changed::Added),
            (Some(_), None) => Some(Changed::Deleted),
            (Some(old), Some(new)) if old == new => {
                if !part.is_root() {
                    return Ok(None);
                }
                None
            }
            (Some(old), Some(new)) if std::mem::discriminant(old) != std::mem::discriminant(new) => {
                Some(Changed::TypeChanged)
            }
            _ => Some(Changed::Modified),
        };
        version.from = moved;
        if stat {
            let changes = super::diff::known(workspace::changes(self, before.as_ref(), after.as_ref()))?;
            version.counts = changes.map(|changes| {
                let files: Vec<FileDiff> = changes
                    .iter()
                    .map(|change| FileDiff::new(&version.path, change))
                    .collect();
                FileCounts::of(&files)
            });
            *unknown += u64::from(version.counts.is_none());
        }
        Ok(Some(version))
    }

    fn node_in(&self, pointer: Option<&LoggedPointer>, part: &RepoPath) -> Result<Found> {
        let pointer = match pointer {
            None => return Ok(Found::Known(None)),
            Some(Err(why)) => return Ok(Found::Unknown(why.clone())),
            Some(Ok(pointer)) => pointer,
        };
        let node = root_node(pointer);
        if part.is_root() {
            return Ok(Found::Known(Some(node)));
        }
        let Node::Dir { id, .. } = node else {
            return Ok(Found::Known(None));
        };
        match object::find(self, id, part) {
            Ok(found) => Ok(Found::Known(found)),
            Err(error) if error.is_missing() => Ok(Found::NoListing),
            Err(error) => Err(error.into()),
        }
    }
}
