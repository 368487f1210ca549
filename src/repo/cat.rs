//! `cat`: the content of one tracked file.

use std::path::Path;

use super::{Output, OutputMode, RepoError, Repository, Result, Target};
use crate::git;
use crate::hash::FileId;
use crate::object::{Node, Root};
use crate::path::RepoPath;
use crate::store::StoreError;

/// How many links are followed from one to the next.
const MAX_LINKS: usize = 40;

impl Repository {
    /// Hands the content of a tracked file, as it is in a revision or by the pointer in the work tree, to `out`, piece by piece, from the cache; what is not there is fetched
    /// first, and nothing else. Links inside a tracked directory are followed. Returns the bytes.
    ///
    /// Content of one chunk is verified before it is handed out; of larger files, only when this returns `Ok` was
    /// everything right.
    ///
    /// # Errors
    /// When the path is not a tracked file, its content cannot be had or is damaged, or `out` fails.
    pub fn cat<E>(
        &self,
        path: &Path,
        rev: Option<&str>,
        remote: Option<&str>,
        out: &mut dyn FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<u64, E>
    where
        E: From<RepoError> + From<StoreError>,
    {
        let typed = self.path_of(path)?;
        let (output, path) = match rev {
            Some(rev) => self.output_at(rev, typed)?,
            None => self.output_here(typed)?,
        };
        let (id, path) = self.tracked_file(&output, &path, remote)?;
        if !self.cache()?.contains(&id).map_err(RepoError::from)? {
            self.fetch_part(&output, &path, remote)?;
        }
        self.cache()?.copy_file(id, out)
    }

    /// The output of the work tree that a path is in, and the path, which the user may have given as its pointer's.
    fn output_here(&self, typed: RepoPath) -> Result<(Output, RepoPath)> {
        let mut outputs = self.outputs()?;
        let stem = git::output_path(&typed).filter(|stem| outputs.outputs.iter().any(|output| output.path == *stem));
        let path = stem.unwrap_or(typed);
        if let Some(output) = outputs.around(&path) {
            return Ok((output.clone(), path));
        }
        Err(match outputs.broken_around(&path) {
            Some(at) => outputs.broken.swap_remove(at).into(),
            None => RepoError::NotTracked { path, nearest: None },
        })
    }

    /// The same in a revision.
    pub(super) fn output_at(&self, rev: &str, typed: RepoPath) -> Result<(Output, RepoPath)> {
        let not_there = |path| RepoError::NotInRevision {
            path,
            rev: rev.to_owned(),
        };
        let Some((pointer_path, pointer)) = self.git.pointer_around(rev, &typed).map_err(RepoError::from)? else {
            let mut found = self.outputs_at(Some(rev))?;
            if let Some(output) = found.around(&typed) {
                return Ok((output.clone(), typed));
            }
            return Err(
                match found.broken.iter().position(|error| git::is_lock_path(&error.path)) {
                    Some(at) => found.broken.swap_remove(at).into(),
                    None => not_there(typed),
                },
            );
        };
        let Some(path) = git::output_path(&pointer_path) else {
            return Err(not_there(typed));
        };
        let output = Output {
            path,
            pointer: pointer?,
            mode: OutputMode::Beside,
        };
        let path = if typed == pointer_path {
            output.path.clone()
        } else {
            typed
        };
        Ok((output, path))
    }

    /// The file at `path`, links followed, and where it is. Missing listings are fetched.
    fn tracked_file(&self, output: &Output, path: &RepoPath, remote: Option<&str>) -> Result<(FileId, RepoPath)> {
        let mut at = path.clone();
        for _ in 0..MAX_LINKS {
            let found = match self.tracked_node(output, &at) {
                Err(RepoError::ListingNotHere { .. }) => {
                    self.fetch_part(output, &at, remote)?;
                    self.tracked_node(output, &at)?
                }
                found => found?,
            };
            match found.0 {
                Node::File { id, .. } => return Ok((id, at)),
                Node::Dir { .. } => return Err(RepoError::IsDirectory { path: at }),
                Node::Symlink { target } => match follow(&output.path, &at, &target) {
                    Some(next) => at = next,
                    None => break,
                },
            }
        }
        Err(RepoError::DanglingLink {
            path: path.clone(),
            output: output.path.clone(),
        })
    }

    /// Fetches one file of an output, and the listings that lead to it; of an import that no remote has, from where it
    /// came from.
    fn fetch_part(&self, output: &Output, path: &RepoPath, remote: Option<&str>) -> Result<()> {
        match self.fetch_part_from_remote(output, path, remote) {
            Err(error) if output.pointer.import.is_some() => {
                self.progress().check()?;
                let inside = path.strip_prefix(&output.path).unwrap_or_default();
                let parts = if inside.is_root() { Vec::new() } else { vec![inside] };
                match (self.fetch_import(output, &parts, false), error) {
                    (Ok(()), _) => Ok(()),
                    // Without a remote, the source is what was to be asked.
                    (Err(source), RepoError::NoRemote) => Err(source),
                    (Err(_), error) => Err(error),
                }
            }
            done => done,
        }
    }

    fn fetch_part_from_remote(&self, output: &Output, path: &RepoPath, remote: Option<&str>) -> Result<()> {
        let remote = self.remote(remote.or(output.pointer.remote.as_deref()))?;
        let inside = path.strip_prefix(&output.path).unwrap_or_default();
        let target = Target {
            output: output.clone(),
            parts: match output.root() {
                Root::Tree(_) if !inside.is_root() => vec![inside],
                _ => Vec::new(),
            },
            named: true,
            commit: None,
        };
        let cache = self.cache()?;
        let plan = self.plan_fetch(&remote, std::slice::from_ref(&target))?;
        if !plan.lost.is_empty() {
            return Err(RepoError::Nowhere {
                path: path.clone(),
                remote: remote.name().to_owned(),
            });
        }
        let fetched = plan.execute(&remote, cache)?;
        match fetched.failed.into_iter().next() {
            None => Ok(()),
            Some((_, source)) => Err(RepoError::NotFetched {
                path: path.clone(),
                source,
            }),
        }
    }
}

/// Where a link leads, by its text alone; `None` if that is outside the output.
pub(super) fn follow(output: &RepoPath, link: &RepoPath, target: &[u8]) -> Option<RepoPath> {
    if target.starts_with(b"/") {
        return None;
    }
    let mut at = link.parent()?;
    for name in target.split(|&b| b == b'/') {
        at = match name {
            b"" | b"." => at,
            b".." => at.parent()?,
            name => at.join(&crate::path::Name::new(name).ok()?),
        };
    }
    at.starts_with(output).then_some(at)
}
