//! Which versions of the tracked data are meant: what push, fetch, pull and gc can be told.

use std::io::BufRead as _;

use super::discover::GitRepo;
use super::error::{GitError, Result};
use super::resolve::Spec;

/// Which versions of the tracked data are meant: the union of everything that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are independent, each is a flag of a command"
)]
pub struct Scope {
    /// What is checked out.
    pub workspace: bool,
    /// The tip of each branch.
    pub all_branches: bool,
    /// Whether branches include the remote-tracking ones.
    pub tracking_branches: bool,
    /// Each tag.
    pub all_tags: bool,
    /// Every commit that is reachable from a ref or from `HEAD`.
    pub all_commits: bool,
    /// A date in any form that git knows: every commit since then of the branches and tags that are meant, or of `HEAD`.
    pub since: Option<String>,
    /// Revisions; of a range such as `A..B`, all commits in it. `^X` takes what is reachable from X away from the
    /// others, which are ranges then, too.
    pub revs: Vec<String>,
    /// Commits that git is about to push.
    pub unsent: Option<Unsent>,
}

impl Scope {
    /// What is checked out, and nothing else.
    #[must_use]
    pub fn workspace() -> Self {
        Self {
            workspace: true,
            ..Self::default()
        }
    }

    /// Whether something of history is meant.
    #[must_use]
    pub fn has_history(&self) -> bool {
        self.all_branches
            || self.all_tags
            || self.all_commits
            || self.since.is_some()
            || !self.revs.is_empty()
            || self.unsent.is_some()
    }

    /// The refs whose tips are meant, by the beginnings of their names.
    pub(super) fn ref_prefixes(&self) -> Vec<&'static str> {
        let mut prefixes = Vec::new();
        if self.all_branches {
            prefixes.push("refs/heads/");
            if self.tracking_branches {
                prefixes.push("refs/remotes/");
            }
        }
        if self.all_tags {
            prefixes.push("refs/tags/");
        }
        prefixes
    }
}

/// The commits that `git push` is about to send, as a pre-push hook learns them: reachable from `tips`, and neither
/// from `known` nor from a remote-tracking branch of `remote`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsent {
    /// What is pushed: ids in hex. All zeros, as of a branch that is deleted, are passed over.
    pub tips: Vec<String>,
    /// What the other side has: ids in hex. Those that are not here are passed over, too.
    pub known: Vec<String>,
    /// A remote of git.
    pub remote: Option<String>,
}

/// Commits to list: what is reachable from some and not from others.
#[derive(Default)]
struct Walk {
    from: Vec<gix::ObjectId>,
    not: Vec<gix::ObjectId>,
    /// `A...B`.
    symmetric: Option<(gix::ObjectId, gix::ObjectId)>,
}

impl GitRepo {
    /// The commits (or what else refs and revisions name) of a scope, but for [`Scope::workspace`] and
    /// [`Scope::all_commits`]; the newest of each part first, some perhaps twice.
    pub(super) fn scope_tips(&self, repo: &gix::Repository, scope: &Scope) -> Result<Vec<gix::ObjectId>> {
        let mut found = self.ref_tips(repo, &scope.ref_prefixes())?;
        if let Some(date) = &scope.since {
            let since = self.date(date)?;
            let starts = match (scope.all_branches || scope.all_tags, self.head()?.commit()) {
                (true, _) => found.clone(),
                (false, Some(head)) => vec![hex(head)?],
                (false, None) => Vec::new(),
            };
            let walk = Walk {
                from: starts,
                ..Walk::default()
            };
            self.walk(&walk, &mut |time, id| {
                if time >= since {
                    found.push(id);
                }
            })?;
        }
        self.add_revs(repo, &scope.revs, &mut found)?;
        if let Some(unsent) = &scope.unsent {
            // A branch that is deleted, or does not exist yet, is all zeros.
            let ids = |ids: &[String]| -> Result<Vec<gix::ObjectId>> {
                let ids = ids.iter().map(|id| hex(id)).collect::<Result<Vec<_>>>()?;
                Ok(ids.into_iter().filter(|id| !id.is_null()).collect())
            };
            let mut walk = Walk {
                from: ids(&unsent.tips)?,
                not: ids(&unsent.known)?,
                symmetric: None,
            };
            walk.not.retain(|id| repo.has_object(*id));
            if let Some(remote) = unsent.remote.as_deref().filter(|remote| !remote.is_empty()) {
                walk.not
                    .extend(self.ref_tips(repo, &[&format!("refs/remotes/{remote}/")])?);
            }
            self.walk(&walk, &mut |_, id| found.push(id))?;
        }
        Ok(found)
    }

    /// Every commit that is reachable from a ref or from `HEAD`, newest first.
    pub(super) fn all_commits(&self) -> Result<Vec<gix::ObjectId>> {
        let mut found = Vec::new();
        self.list_commits(&["rev-list", "--timestamp", "--all"], Vec::new(), &mut |_, id| {
            found.push(id);
        })?;
        Ok(found)
    }

    fn add_revs(&self, repo: &gix::Repository, revs: &[String], found: &mut Vec<gix::ObjectId>) -> Result<()> {
        let (mut single, mut taken_away, mut walks) = (Vec::new(), Vec::new(), Vec::new());
        for rev in revs {
            match self.resolve(repo, rev)? {
                Spec::One(id) => single.push(id),
                Spec::Not(id) => taken_away.push(id),
                Spec::Range { from, to } => walks.push(Walk {
                    from: vec![to],
                    not: vec![from],
                    symmetric: None,
                }),
                Spec::Symmetric { left, right } => walks.push(Walk {
                    symmetric: Some((left, right)),
                    ..Walk::default()
                }),
                Spec::Set { from, not } => walks.push(Walk {
                    from,
                    not,
                    symmetric: None,
                }),
            }
        }
        if taken_away.is_empty() {
            found.append(&mut single);
        } else {
            if single.is_empty() && walks.is_empty() {
                single.push(self.resolve_one(repo, "HEAD")?);
            }
            walks.push(Walk {
                from: single,
                ..Walk::default()
            });
        }
        for mut walk in walks {
            walk.not.extend(&taken_away);
            self.walk(&walk, &mut |_, id| found.push(id))?;
        }
        Ok(())
    }

    /// Calls `each` with the time and id of every commit of a walk, newest first.
    fn walk(&self, walk: &Walk, each: &mut dyn FnMut(u64, gix::ObjectId)) -> Result<()> {
        if walk.from.is_empty() && walk.symmetric.is_none() {
            return Ok(());
        }
        let mut input = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| {
            use std::fmt::Write as _;
            // Writing to a string does not fail.
            let _ = writeln!(input, "{text}");
        };
        if let Some((left, right)) = walk.symmetric {
            line(format_args!("{left}...{right}"));
        }
        for id in &walk.from {
            line(format_args!("{id}"));
        }
        for id in &walk.not {
            line(format_args!("^{id}"));
        }
        self.list_commits(&["rev-list", "--timestamp", "--stdin"], input.into_bytes(), each)
    }

    fn list_commits(&self, args: &[&str], input: Vec<u8>, each: &mut dyn FnMut(u64, gix::ObjectId)) -> Result<()> {
        let mut run = self.git_start_unreplaced(args, input)?;
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = run.stdout.read_until(b'\n', &mut line);
            if read.map_err(run.failed_io())? == 0 {
                return run.finish();
            }
            let mut words = line.trim_ascii().split(|&b| b == b' ');
            let time = words
                .next()
                .and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
            let id = words.next().and_then(|word| gix::ObjectId::from_hex(word).ok());
            match (time, id) {
                (Some(time), Some(id)) => each(time, id),
                _ => return Err(run.unexpected(&line)),
            }
        }
    }

    /// What refs point to, of all refs whose names begin so.
    pub(super) fn ref_tips(&self, repo: &gix::Repository, prefixes: &[&str]) -> Result<Vec<gix::ObjectId>> {
        let mut found = Vec::new();
        if prefixes.is_empty() {
            return Ok(found);
        }
        let refs = repo.references().map_err(|e| self.refs_error(e))?;
        for reference in refs.all().map_err(|e| self.refs_error(e))? {
            let mut reference = reference.map_err(|e| self.refs_error(e))?;
            let name = reference.name().as_bstr();
            if !prefixes.iter().any(|prefix| name.starts_with(prefix.as_bytes())) {
                continue;
            }
            // A symbolic ref to a branch that is gone, such as `refs/remotes/origin/HEAD`, names nothing.
            if let gix::refs::TargetRef::Symbolic(target) = reference.target()
                && repo
                    .try_find_reference(target)
                    .map_err(|e| self.refs_error(e))?
                    .is_none()
            {
                continue;
            }
            found.push(reference.peel_to_id().map_err(|e| self.refs_error(e))?.detach());
        }
        Ok(found)
    }

    pub(super) fn refs_error(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> GitError {
        GitError::Refs {
            git_dir: self.common_dir().to_owned(),
            source: source.into(),
        }
    }

    /// A date as git reads it, in seconds. (`git log --since` takes anything and calls it now.)
    fn date(&self, text: &str) -> Result<u64> {
        let unknown = || GitError::Date { date: text.to_owned() };
        let setting = format!("modver.since={text}");
        let args = ["-c", &setting, "config", "--type=expiry-date", "--get", "modver.since"];
        match self.git(&args, Vec::new()) {
            Ok(out) => std::str::from_utf8(out.trim_ascii())
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(unknown),
            Err(GitError::Failed { .. }) => Err(unknown()),
            Err(error) => Err(error),
        }
    }
}

fn hex(id: &str) -> Result<gix::ObjectId> {
    gix::ObjectId::from_hex(id.as_bytes()).map_err(|e| GitError::object(id, e))
}
