//! Which refs and commits are rewritten, and moving the refs.

use std::collections::BTreeSet;

use gix::bstr::ByteSlice as _;

use super::super::discover::GitRepo;
use super::super::error::{GitError, Result};
use super::super::revision::Head;
use super::{RefChoice, shown};
use crate::fs;

/// A ref and what it names.
#[derive(Debug, Clone)]
pub(super) struct RefTip {
    /// Its full name, or `HEAD` when no branch is checked out.
    pub(super) name: String,
    /// A commit, or a tag that leads to one.
    pub(super) id: gix::ObjectId,
    pub(super) commit: gix::ObjectId,
}

impl GitRepo {
    /// Whether nothing that git tracks differs from `HEAD`, in the index or in the work tree.
    ///
    /// # Errors
    /// When `git` cannot be run.
    pub fn is_clean(&self) -> Result<bool> {
        let args = [
            "status",
            "--porcelain",
            "-z",
            "--untracked-files=no",
            "--ignore-submodules",
        ];
        Ok(self.git(&args, Vec::new())?.is_empty())
    }

    /// Brings the index and the files that git tracks from one commit to another, for after `HEAD` was moved under them.
    /// A file that was changed, or is in the way and not tracked, stops it before anything is written.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn bring_from_to(&self, old: &str, new: &str) -> Result<()> {
        // What only looks changed is not.
        self.change_index(&["update-index", "-q", "--refresh"], &[])?;
        self.change_index(&["read-tree", "-m", "-u", old, new], &[])
    }

    pub(super) fn chosen_refs(&self, choice: &RefChoice) -> Result<Vec<RefTip>> {
        if fs::stat(&self.common_dir().join("shallow"))?.is_some() {
            return Err(GitError::Shallow);
        }
        let names: Vec<String> = match choice {
            RefChoice::Current => match self.head()? {
                Head::Detached { .. } => vec!["HEAD".to_owned()],
                // The branch by its exact name, which `head` may have had to change to show it.
                Head::Branch { .. } | Head::Unborn { .. } => {
                    vec![text(self.git(&["symbolic-ref", "HEAD"], Vec::new())?.trim_ascii())?]
                }
            },
            RefChoice::Everything => {
                let args = ["for-each-ref", "--format=%(refname)", "refs/heads/", "refs/tags/"];
                let listed = self.git(&args, Vec::new())?;
                let mut names = listed.lines().map(text).collect::<Result<Vec<String>>>()?;
                if matches!(self.head()?, Head::Detached { .. }) {
                    names.push("HEAD".to_owned());
                }
                names
            }
            RefChoice::Named(named) => {
                let mut names = Vec::new();
                for name in named {
                    let args = ["rev-parse", "--symbolic-full-name", "--verify", "--quiet", name];
                    let full = match self.git(&args, Vec::new()) {
                        Ok(full) => full,
                        Err(GitError::Failed { .. }) => Vec::new(),
                        Err(error) => return Err(error),
                    };
                    let full = text(full.trim_ascii())?;
                    if !full.starts_with("refs/heads/") && !full.starts_with("refs/tags/") {
                        return Err(GitError::NotABranchOrTag { name: name.clone() });
                    }
                    names.push(full);
                }
                names
            }
        };
        self.refuse_checked_out_elsewhere(&names)?;
        let repo = self.local();
        let mut tips = Vec::new();
        for name in names.into_iter().collect::<BTreeSet<_>>() {
            let refs = |source: gix::Error| GitError::Refs {
                git_dir: self.common_dir().to_owned(),
                source: Box::new(source),
            };
            let Some(mut found) = repo.try_find_reference(&*name).map_err(refs)? else {
                continue;
            };
            // What a symbolic ref names is rewritten by itself; `HEAD` is in question only when it is none.
            let Some(id) = found.target().try_id().map(ToOwned::to_owned) else {
                continue;
            };
            let commit = found.peel_to_id().map_err(refs)?.detach();
            let header = repo.find_header(commit).map_err(|e| GitError::object(commit, e))?;
            if header.kind() == gix::objs::Kind::Commit {
                tips.push(RefTip { name, id, commit });
            }
        }
        Ok(tips)
    }

    /// A branch that another work tree has checked out would change under it.
    fn refuse_checked_out_elsewhere(&self, names: &[String]) -> Result<()> {
        let listed = self.git(&["worktree", "list", "--porcelain", "-z"], Vec::new())?;
        let mut place = std::path::PathBuf::new();
        for line in listed.split(|&b| b == 0) {
            if let Some(path) = line.strip_prefix(b"worktree ") {
                place = path.to_path_lossy().into_owned();
            } else if let Some(branch) = line.strip_prefix(b"branch ") {
                let branch = branch.to_str_lossy();
                let here = fs::canonicalize(&place).is_ok_and(|place| place == self.root());
                if !here && names.iter().any(|name| *name == branch) {
                    return Err(GitError::CheckedOutElsewhere {
                        branch: shown(branch.as_bytes()),
                        place,
                    });
                }
            }
        }
        Ok(())
    }

    /// The commits behind refs, parents first.
    pub(super) fn commits_of(&self, refs: &[RefTip]) -> Result<Vec<gix::ObjectId>> {
        if refs.is_empty() {
            return Ok(Vec::new());
        }
        let tips: String = refs.iter().map(|tip| format!("{}\n", tip.commit)).collect();
        let args = ["rev-list", "--topo-order", "--reverse", "--stdin"];
        let mut run = self.git_start_unreplaced(&args, tips.into_bytes())?;
        let mut commits = Vec::new();
        let mut line = Vec::new();
        loop {
            use std::io::BufRead as _;
            line.clear();
            if run.stdout.read_until(b'\n', &mut line).map_err(run.failed_io())? == 0 {
                break;
            }
            commits.push(gix::ObjectId::from_hex(line.trim_ascii()).map_err(|_| run.unexpected(&line))?);
        }
        run.finish()?;
        Ok(commits)
    }

    /// Moves refs, all or none, if each is still what it was; keeps the old ones. Returns where.
    pub(super) fn move_refs(&self, moved: &[(&RefTip, gix::ObjectId)]) -> Result<String> {
        let listed = self.git(
            &["for-each-ref", "--format=%(refname)", "refs/original/modver/"],
            Vec::new(),
        )?;
        let taken = listed.lines().filter_map(|name| {
            let rest = name.strip_prefix(b"refs/original/modver/")?;
            rest.split(|&b| b == b'/').next()?.to_str().ok()?.parse::<u64>().ok()
        });
        let backup = format!("refs/original/modver/{}", taken.max().unwrap_or(0) + 1);
        let mut commands = Vec::new();
        for (tip, new) in moved {
            let (name, old) = (&tip.name, tip.id);
            commands.extend_from_slice(format!("create {backup}/{name}\0{old}\0").as_bytes());
            if name == "HEAD" {
                commands.extend_from_slice(b"option no-deref\0");
            }
            commands.extend_from_slice(format!("update {name}\0{new}\0{old}\0").as_bytes());
        }
        let args = ["update-ref", "-m", "modver migrate", "--stdin", "-z"];
        self.git(&args, commands)?;
        Ok(backup)
    }
}

/// A ref's name as text. One that is none would be looked for under another name, and so left out.
pub(super) fn text(name: &[u8]) -> Result<String> {
    let text = name.to_str().map(ToOwned::to_owned);
    text.map_err(|_| GitError::RefName { name: shown(name) })
}
