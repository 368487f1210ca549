//! Revisions as people write them, resolved to objects.
//!
//! Objects and refs are looked up in this process. What git finds by searching (`:/text`, `@{yesterday}`) the `git`
//! program is asked for, and so is what is not found, so that both agree about what a revision is.

use gix::bstr::ByteSlice as _;

use super::discover::GitRepo;
use super::error::{GitError, Result};

/// Forms that are git's alone: it reads the reflog with its own dates, searches messages with its own expressions, and
/// knows sets of parents.
const BY_PROGRAM: [&str; 6] = ["@{", ":/", "^{/", "^@", "^!", "^-"];

/// What a revision stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spec {
    /// One object.
    One(gix::ObjectId),
    /// `^X`: nothing that is reachable from it.
    Not(gix::ObjectId),
    /// `A..B`: what is reachable from B and not from A.
    Range {
        /// A.
        from: gix::ObjectId,
        /// B.
        to: gix::ObjectId,
    },
    /// `A...B`: what is reachable from one of them only.
    Symmetric {
        /// A.
        left: gix::ObjectId,
        /// B.
        right: gix::ObjectId,
    },
    /// Another set that git knows, such as `X^!`.
    Set {
        /// What is reachable from these,
        from: Vec<gix::ObjectId>,
        /// and not from those.
        not: Vec<gix::ObjectId>,
    },
}

/// What is compared with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// One revision.
    One(String),
    /// Two: `A..B`, or `A...B`, which is B and where it left A.
    Two(String, String),
}

impl GitRepo {
    /// Whether git knows a revision or range of this name.
    ///
    /// # Errors
    /// When refs cannot be read or `git` not be run.
    pub fn is_revision(&self, rev: &str) -> Result<bool> {
        match self.resolve(&self.local(), rev) {
            Ok(_) => Ok(true),
            Err(GitError::Revision { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads a revision or range as an argument of `diff`.
    ///
    /// # Errors
    /// [`GitError::Revision`] when git does not know it, or it is another set of commits.
    pub fn compared(&self, rev: &str) -> Result<Compared> {
        let repo = self.local();
        let several = || self.unknown(&repo, rev, "it is neither one commit nor A..B nor A...B".to_owned());
        Ok(match self.resolve(&repo, rev)? {
            Spec::One(_) => Compared::One(rev.to_owned()),
            Spec::Range { from, to } => match rev.split_once("..") {
                Some((left, right)) => Compared::Two(or_head(left).to_owned(), or_head(right).to_owned()),
                None => Compared::Two(from.to_string(), to.to_string()),
            },
            Spec::Symmetric { left, right } => {
                let args = ["merge-base".to_owned(), left.to_string(), right.to_string()];
                let base = match self.git(&args, Vec::new()) {
                    Ok(base) => String::from_utf8_lossy(base.trim_ascii()).into_owned(),
                    Err(GitError::Failed { .. }) => {
                        return Err(self.unknown(&repo, rev, "the two have no commit in common".to_owned()));
                    }
                    Err(error) => return Err(error),
                };
                let right = rev
                    .split_once("...")
                    .map_or_else(String::new, |(_, right)| or_head(right).to_owned());
                Compared::Two(base, right)
            }
            Spec::Not(_) | Spec::Set { .. } => return Err(several()),
        })
    }

    /// Resolves a revision or range.
    pub(super) fn resolve(&self, repo: &gix::Repository, rev: &str) -> Result<Spec> {
        if let Some(excluded) = rev.strip_prefix('^') {
            return self.resolve_one(repo, excluded).map(Spec::Not);
        }
        if let Some((left, right)) = rev.split_once("..") {
            let (right, symmetric) = match right.strip_prefix('.') {
                Some(right) => (right, true),
                None => (right, false),
            };
            let end = |text: &str| self.resolve_one(repo, or_head(text));
            match (end(left), end(right)) {
                (Ok(left), Ok(right)) if symmetric => return Ok(Spec::Symmetric { left, right }),
                (Ok(from), Ok(to)) => return Ok(Spec::Range { from, to }),
                // Dots may belong to a text that is searched for.
                (left, right) => {
                    return match self.resolve_one(repo, rev) {
                        Ok(id) => Ok(Spec::One(id)),
                        Err(_) => left.and(right).map(Spec::One),
                    };
                }
            }
        }
        if rev.ends_with("^@") || rev.ends_with("^!") || rev.contains("^-") {
            let (from, not) = self.resolve_by_program(repo, rev)?;
            return Ok(match (&from[..], &not[..]) {
                (&[one], []) => Spec::One(one),
                _ => Spec::Set { from, not },
            });
        }
        self.resolve_one(repo, rev).map(Spec::One)
    }

    /// Resolves a revision that is one object.
    pub(super) fn resolve_one(&self, repo: &gix::Repository, rev: &str) -> Result<gix::ObjectId> {
        if !BY_PROGRAM.iter().any(|form| rev.contains(form))
            && let Ok(id) = repo.rev_parse_single(rev.as_bytes().as_bstr())
        {
            return Ok(id.detach());
        }
        match self.resolve_by_program(repo, rev)? {
            (from, not) if from.len() == 1 && not.is_empty() => Ok(from[0]),
            _ => Err(self.unknown(repo, rev, "it stands for several".to_owned())),
        }
    }

    /// What to walk from, and what to leave out.
    fn resolve_by_program(
        &self,
        repo: &gix::Repository,
        rev: &str,
    ) -> Result<(Vec<gix::ObjectId>, Vec<gix::ObjectId>)> {
        if rev.is_empty() || rev.starts_with('-') {
            return Err(self.unknown(repo, rev, String::new()));
        }
        let out = match self.git(&["rev-parse", rev, "--"], Vec::new()) {
            Ok(out) => out,
            Err(GitError::Failed { message, .. }) => return Err(self.unknown(repo, rev, message)),
            Err(error) => return Err(error),
        };
        let (mut from, mut not) = (Vec::new(), Vec::new());
        for line in out
            .split(|&b| b == b'\n')
            .filter(|line| !line.is_empty() && *line != b"--")
        {
            let (list, hex) = match line.strip_prefix(b"^") {
                Some(hex) => (&mut not, hex),
                None => (&mut from, line),
            };
            match gix::ObjectId::from_hex(hex) {
                Ok(id) => list.push(id),
                Err(_) => return Err(self.unknown(repo, rev, String::new())),
            }
        }
        Ok((from, not))
    }

    /// Says that there is no such revision, and why if git knows.
    fn unknown(&self, repo: &gix::Repository, rev: &str, message: String) -> GitError {
        let message = message.lines().next_back().unwrap_or_default();
        let message = message.strip_prefix("fatal: ").unwrap_or(message);
        let is_news =
            !(message.is_empty() || message.starts_with("bad revision") || message.starts_with("ambiguous"));
        GitError::Revision {
            rev: rev.to_owned(),
            shallow: repo.is_shallow().unwrap_or_default(),
            source: is_news.then(|| message.into()),
        }
    }
}

/// An end of a range that is left out is `HEAD`.
fn or_head(text: &str) -> &str {
    if text.is_empty() { "HEAD" } else { text }
}
