//! Earlier versions of pointers: what a changed output is likely to share chunks with.
//!
//! A hint, not a promise: history is searched to a fixed depth, and objects that a shallow or partial clone does not
//! have are passed over. The number of processes does not depend on the number of pointers.

use std::collections::{HashMap, HashSet};
use std::io::BufRead as _;

use super::discover::GitRepo;
use super::error::Result;
use super::pointer::{POINTER_SUFFIX, Pointer};
use super::revision::{Head, read_pointer};
use crate::path::RepoPath;

/// How many commits are looked at, from `HEAD`.
const MAX_COMMITS: usize = 1000;
/// Up to this many pointers are asked for by name; more are picked from all pointers that changed.
const MAX_BY_NAME: usize = 64;

impl GitRepo {
    /// The versions of each pointer in the history of `HEAD`, newest first, the committed one included, each once
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
        let commits = self.git(
            &["rev-list", &format!("--max-count={MAX_COMMITS}"), "HEAD", "--"],
            Vec::new(),
        )?;
        let mut run = self.git_start(&diff_args(pointers), commits)?;
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

#[derive(Default)]
struct Versions {
    pointers: Vec<Pointer>,
    blobs: HashSet<gix::ObjectId>,
}

fn diff_args(pointers: &[RepoPath]) -> Vec<std::ffi::OsString> {
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
        args.push(format!("**/*{POINTER_SUFFIX}").into());
    }
    args
}

pub(super) type Change = ([gix::ObjectId; 2], Vec<u8>);

/// The next `:MODE MODE OLD NEW STATUS NUL PATH NUL`: the blobs, newer first, and the path.
pub(super) fn next_change(run: &mut super::program::Run) -> Result<Option<Change>> {
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
