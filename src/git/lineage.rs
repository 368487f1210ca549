//! Earlier versions of pointers: what a changed output is likely to share chunks with.
//!
//! A hint, not a promise: history is searched to a fixed depth, and objects that a shallow or partial clone does not
//! have are passed over. The number of processes does not depend on the number of pointers.

use std::collections::{HashMap, HashSet};
use std::io::BufRead as _;

use super::discover::GitRepo;
use super::error::Result;
use super::lock::LOCK_FILE;
use super::pointer::{POINTER_SUFFIX, Pointer};
use super::program::Run;
use super::revision::{Head, read_lock, read_pointer};
use crate::path::RepoPath;

/// How many commits are looked at, from `HEAD`.
const MAX_COMMITS: usize = 1000;
/// Up to this many pointers are asked for by name; more are picked from all pointers that changed.
const MAX_BY_NAME: usize = 64;

/// What a merge in progress brings in.
const MERGING: [&str; 4] = ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD"];

impl GitRepo {
    /// The versions of each pointer in the history of `HEAD` and of what is being merged into it, newest first, the committed one included, each once
    /// and at most `per_path_limit` of them. Pointers without any are not in the result.
    ///
    /// # Errors
    /// When `HEAD` cannot be read or `git` not be run.
    pub fn lineage(&self, pointers: &[RepoPath], per_path_limit: usize) -> Result<HashMap<RepoPath, Vec<Pointer>>> {
        let wanted: HashSet<&RepoPath> = pointers.iter().collect();
        if wanted.is_empty() || per_path_limit == 0 || matches!(self.head()?, Head::Unborn { .. }) {
            return Ok(HashMap::new());
        }
        let mut found: HashMap<RepoPath, Versions> = HashMap::new();
        let mut complete = 0;
        let repo = self.local();
        let mut run = self.changes_of(pointers, POINTER_SUFFIX)?;
        while let Some((blobs, path)) = next_change(&mut run)? {
            let Some(&path) = RepoPath::new(&path).ok().as_ref().and_then(|path| wanted.get(path)) else {
                continue;
            };
            let versions = found.entry(path.clone()).or_default();
            for blob in blobs {
                if versions.pointers.len() >= per_path_limit || blob.is_null() || !versions.blobs.insert(blob) {
                    continue;
                }
                if let Ok(Ok(pointer)) = read_pointer(&repo, blob, path)
                    && !versions.pointers.contains(&pointer)
                {
                    versions.pointers.push(pointer);
                    complete += usize::from(versions.pointers.len() == per_path_limit);
                }
            }
            if complete == wanted.len() {
                break;
            }
        }
        // Git stops with an error at the first tree that a partial clone lacks; what came before is good.
        drop(run);
        Ok(found
            .into_iter()
            .map(|(path, versions)| (path, versions.pointers))
            .filter(|(_, pointers)| !pointers.is_empty())
            .collect())
    }
}

impl GitRepo {
    /// The same of outputs that lock files name, each with its lock file: what these said in their last versions, at most
    /// `per_lock_limit` of each lock file.
    ///
    /// # Errors
    /// As [`GitRepo::lineage`].
    pub fn locked_lineage(
        &self,
        outs: &[(RepoPath, RepoPath)],
        per_lock_limit: usize,
    ) -> Result<HashMap<(RepoPath, RepoPath), Vec<Pointer>>> {
        let mut found: HashMap<(RepoPath, RepoPath), Vec<Pointer>> = HashMap::new();
        let mut wanted: HashMap<&RepoPath, HashSet<&RepoPath>> = HashMap::new();
        for (lock, out) in outs {
            wanted.entry(lock).or_default().insert(out);
        }
        if wanted.is_empty() || per_lock_limit == 0 || matches!(self.head()?, Head::Unborn { .. }) {
            return Ok(found);
        }
        let locks: Vec<RepoPath> = wanted.keys().map(|lock| (*lock).clone()).collect();
        let repo = self.local();
        let mut seen: HashMap<&RepoPath, HashSet<gix::ObjectId>> = HashMap::new();
        let mut run = self.changes_of(&locks, LOCK_FILE)?;
        while let Some((blobs, path)) = next_change(&mut run)? {
            let path = RepoPath::new(&path).unwrap_or_default();
            let Some((lock, outs)) = wanted.get_key_value(&path) else {
                continue;
            };
            let seen = seen.entry(lock).or_default();
            for blob in blobs {
                if seen.len() >= per_lock_limit || blob.is_null() || !seen.insert(blob) {
                    continue;
                }
                let Ok(Ok(read)) = read_lock(&repo, blob, lock) else {
                    continue;
                };
                for (out, _, made) in read.cached().filter(|(out, ..)| outs.contains(out)) {
                    let known = found.entry(((*lock).clone(), out.clone())).or_default();
                    if known.iter().all(|known| known.content != made.content) {
                        known.push(made.to_pointer());
                    }
                }
            }
        }
        drop(run);
        Ok(found)
    }

    /// Git at work on telling what commits changed in these files, all of whose names end so, newest first.
    fn changes_of(&self, files: &[RepoPath], end: &str) -> Result<Run> {
        let count = format!("--max-count={MAX_COMMITS}");
        let mut args = vec!["rev-list", &count, "HEAD"];
        for name in MERGING {
            if crate::fs::stat(&self.git_dir().join(name))?.is_some() {
                args.push(name);
            }
        }
        args.push("--");
        let commits = self.git(&args, Vec::new())?;
        self.git_start(&diff_args(files, end), commits)
    }
}

#[derive(Default)]
struct Versions {
    pointers: Vec<Pointer>,
    blobs: HashSet<gix::ObjectId>,
}

fn diff_args(pointers: &[RepoPath], end: &str) -> Vec<std::ffi::OsString> {
    use std::os::unix::ffi::OsStringExt as _;
    let by_name = pointers.len() <= MAX_BY_NAME;
    let mut args: Vec<std::ffi::OsString> = Vec::new();
    args.push(
        if by_name {
            "--literal-pathspecs"
        } else {
            "--glob-pathspecs"
        }
        .into(),
    );
    args.extend(
        "diff-tree --stdin -r -m --root --raw -z --no-abbrev --no-renames --no-commit-id --"
            .split(' ')
            .map(Into::into),
    );
    if by_name {
        args.extend(
            pointers
                .iter()
                .map(|path| std::ffi::OsString::from_vec(path.as_bytes().to_vec())),
        );
    } else {
        args.push(format!("**/*{end}").into());
    }
    args
}

type Change = ([gix::ObjectId; 2], Vec<u8>);

/// The next `:MODE MODE OLD NEW STATUS NUL PATH NUL`: the blobs, newer first, and the path.
fn next_change(run: &mut Run) -> Result<Option<Change>> {
    let mut field = || -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let read = run.stdout.read_until(0, &mut bytes);
        read.map_err(run.failed_io())?;
        Ok((bytes.pop() == Some(0)).then_some(bytes))
    };
    let (Some(change), Some(path)) = (field()?, field()?) else {
        return Ok(None);
    };
    let mut words = change.split(|&b| b == b' ').skip(2);
    let mut id = || words.next().and_then(|hex| gix::ObjectId::from_hex(hex).ok());
    match (id(), id()) {
        (Some(old), Some(new)) => Ok(Some(([new, old], path))),
        _ => Err(run.unexpected(&change)),
    }
}
