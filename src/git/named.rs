//! The commits of a scope with the names that people know them by.

use std::collections::{BTreeSet, HashMap};

use gix::objs::Kind;

use super::discover::GitRepo;
use super::error::{GitError, Result};
use super::resolve::Spec;
use super::scope::Scope;

/// A commit and its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCommit {
    /// Its id, in hex.
    pub commit: String,
    /// The revision as it was given, or the branches and tags of the scope that point to it; none for others.
    pub names: Vec<String>,
}

impl GitRepo {
    /// The commits of a scope but for [`Scope::workspace`], each once: branches, tags, what is newer than a date, and
    /// revisions, in this order; in all commits of history the newest first.
    ///
    /// # Errors
    /// When a revision is not known, or refs or commits cannot be read.
    pub fn named_commits(&self, scope: &Scope) -> Result<Vec<NamedCommit>> {
        let repo = self.local();
        let mut ids = self.scope_tips(&repo, scope)?;
        let mut prefixes = scope.ref_prefixes();
        if scope.all_commits {
            ids = self.all_commits()?;
            prefixes = vec!["refs/heads/", "refs/tags/"];
        }
        let mut names: HashMap<gix::ObjectId, Vec<String>> = HashMap::new();
        for prefix in prefixes {
            for (name, id) in self.named_refs(&repo, prefix)? {
                names.entry(id).or_default().push(name);
            }
        }
        for rev in &scope.revs {
            if let Spec::One(id) = self.resolve(&repo, rev)? {
                let names = names.entry(commit_of(&repo, id, rev)?).or_default();
                if !names.contains(rev) {
                    names.push(rev.clone());
                }
            }
        }
        let mut seen = BTreeSet::new();
        let mut commits = Vec::new();
        for id in ids {
            let id = commit_of(&repo, id, &id.to_string())?;
            if seen.insert(id) {
                commits.push(NamedCommit {
                    commit: id.to_string(),
                    names: names.remove(&id).unwrap_or_default(),
                });
            }
        }
        Ok(commits)
    }

    /// The refs below a prefix: short name and commit.
    fn named_refs(&self, repo: &gix::Repository, prefix: &str) -> Result<Vec<(String, gix::ObjectId)>> {
        let mut found = Vec::new();
        let refs = repo.references().map_err(|e| self.refs_error(e))?;
        for reference in refs.all().map_err(|e| self.refs_error(e))? {
            let mut reference = reference.map_err(|e| self.refs_error(e))?;
            let name = reference.name().as_bstr().to_string();
            let Some(short) = name.strip_prefix(prefix) else {
                continue;
            };
            // What points to nothing has no commit to name.
            if let Ok(id) = reference.peel_to_id() {
                found.push((short.to_owned(), id.detach()));
            }
        }
        Ok(found)
    }
}

fn commit_of(repo: &gix::Repository, id: gix::ObjectId, rev: &str) -> Result<gix::ObjectId> {
    let object = repo.find_object(id).map_err(|e| GitError::object(id, e))?;
    let commit = object.peel_to_kind(Kind::Commit);
    commit.map(|commit| commit.id).map_err(|source| GitError::Revision {
        rev: rev.to_owned(),
        shallow: false,
        source: Some(source.into()),
    })
}
