//! The options that say which versions a transfer is about.

use crate::git::Scope;
use crate::path::RepoPath;

/// Which versions.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which versions (default: those in the workspace)")]
pub(crate) struct ScopeArgs {
    /// Also those at the tips of all branches
    #[arg(short = 'a', long)]
    all_branches: bool,
    /// Also those at all tags
    #[arg(short = 'T', long)]
    all_tags: bool,
    /// Also those in every commit that a branch, tag or other ref reaches
    #[arg(short = 'A', long)]
    all_commits: bool,
    /// Also those in every commit since DATE (as `git log --since`) of HEAD, or of the branches and tags with -a and -T
    #[arg(long, value_name = "DATE", conflicts_with = "all_commits")]
    since: Option<String>,
    /// Those at a revision, or in all commits of a range such as A..B; alone, without those in the workspace. May be
    /// given more than once
    #[arg(long = "rev", value_name = "REV")]
    revs: Vec<String>,
}

impl ScopeArgs {
    /// The scope they stand for; `tracking` when branches include the remote-tracking ones.
    pub(crate) fn scope(&self, tracking: bool) -> Scope {
        Scope {
            workspace: self.revs.is_empty()
                || self.all_branches
                || self.all_tags
                || self.all_commits
                || self.since.is_some(),
            all_branches: self.all_branches,
            tracking_branches: tracking,
            all_tags: self.all_tags,
            all_commits: self.all_commits,
            since: self.since.clone(),
            revs: self.revs.clone(),
            unsent: None,
        }
    }
}

/// The beginning of a commit's id, as people read it.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// An output, and the commit that has this version of it.
pub(crate) fn versioned(path: &RepoPath, commit: Option<&str>) -> String {
    match commit {
        Some(commit) => format!("{path} of {}", short(commit)),
        None => path.to_string(),
    }
}

/// Where nothing is.
pub(crate) fn place(rev: Option<&str>) -> String {
    rev.map_or_else(|| "here".to_owned(), |rev| format!("here in revision {rev}"))
}
