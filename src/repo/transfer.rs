//! What push, fetch, pull and verification have in common: which remote an output belongs to, and where in an output a
//! file is that could not be had.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{Output, RepoError, Repository, Result};
use crate::causes::in_one_line;
use crate::hash::FileId;
use crate::object::{Node, ObjectError, Root, Trees as _};
use crate::path::RepoPath;
use crate::remote::RemoteStore;
use crate::store::Cache;

/// How many paths are listed of those that are missing.
pub(super) const MAX_PATHS: usize = 20;

impl Repository {
    /// Does something with each remote and the things that belong to it. Where `work` fails, `failed` is told of which
    /// remote (name and address) and why, and the next remote has its turn.
    ///
    /// # Errors
    /// When it failed with every remote, or because of what the user named.
    pub(super) fn with_remotes<T, O>(
        &self,
        groups: Vec<Group<T>>,
        outcome: &mut O,
        work: impl Fn(&Arc<RemoteStore>, &[T], &mut O) -> Result<()>,
        failed: impl Fn((&str, Option<String>), Vec<T>, String, &mut O),
    ) -> Result<()> {
        let count = groups.len();
        let mut errors = Vec::new();
        for Group { name, remote, items } in groups {
            let url = remote.as_ref().ok().map(|remote| remote.describe().to_owned());
            match remote.and_then(|remote| work(&remote, &items, outcome)) {
                Ok(()) => {}
                Err(error @ RepoError::NoEntry { .. }) => return Err(error),
                Err(error) => {
                    self.progress.check()?;
                    failed((&name, url), items, in_one_line(&error), outcome);
                    errors.push(error);
                }
            }
        }
        let all_failed = errors.len() == count;
        match errors.into_iter().next() {
            Some(error) if all_failed => Err(error),
            _ => Ok(()),
        }
    }

    /// Puts things by the remotes that their outputs belong to: `remote` if it is given, or else the output's own, or
    /// else the default one. Why a remote cannot be used is in its group.
    pub(super) fn by_remote<T>(
        &self,
        remote: Option<&str>,
        items: Vec<T>,
        output: impl Fn(&T) -> &Output,
    ) -> Result<Vec<Group<T>>> {
        let mut groups: BTreeMap<String, Vec<T>> = BTreeMap::new();
        for item in items {
            let name = match remote.or(output(&item).pointer.remote.as_deref()) {
                Some(name) => name.to_owned(),
                None => self.default_remote_name()?.ok_or(RepoError::NoRemote)?,
            };
            groups.entry(name).or_default().push(item);
        }
        Ok(self.groups(groups))
    }

    /// Puts things by the remotes that they are pushed to: all of `remotes` if there are any, or else the output's own,
    /// or else [`Repository::push_remotes`].
    pub(super) fn by_push_remote<T: Clone>(
        &self,
        remotes: &[String],
        items: Vec<T>,
        output: impl Fn(&T) -> &Output,
    ) -> Result<Vec<Group<T>>> {
        let mut groups: BTreeMap<String, Vec<T>> = BTreeMap::new();
        let mut usual = None;
        for item in items {
            let names = match &output(&item).pointer.remote {
                Some(own) if remotes.is_empty() => vec![own.clone()],
                _ => match &usual {
                    Some(names) => Vec::clone(names),
                    None => usual.insert(self.push_remotes(remotes)?).clone(),
                },
            };
            for name in names {
                groups.entry(name).or_default().push(item.clone());
            }
        }
        Ok(self.groups(groups))
    }

    /// The remotes of a push, each once: `named` if there are any, or else the default one and those that settings have
    /// pushed to besides.
    ///
    /// # Errors
    /// When one that was named does not exist, or there is none at all.
    pub fn push_remotes(&self, named: &[String]) -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        let mut add = |name: String| {
            if !names.contains(&name) {
                names.push(name);
            }
        };
        for name in named {
            // Before anything is sent to the others.
            add(self.config.remote(name)?.name.to_string());
        }
        if named.is_empty() {
            self.default_remote_name()?.into_iter().for_each(&mut add);
            let besides = self.config.remotes().into_values().filter(|remote| remote.push);
            besides.for_each(|remote| add(remote.name.to_string()));
        }
        match names.is_empty() {
            true => Err(super::remotes::no_default(&self.config)),
            false => Ok(names),
        }
    }

    fn groups<T>(&self, groups: BTreeMap<String, Vec<T>>) -> Vec<Group<T>> {
        let group = |(name, items): (String, Vec<T>)| Group {
            remote: self.remote(Some(&name)),
            name,
            items,
        };
        groups.into_iter().map(group).collect()
    }
}

/// Things that belong to one remote.
pub(super) struct Group<T> {
    pub(super) name: String,
    /// The remote, or why it cannot be used.
    pub(super) remote: Result<Arc<RemoteStore>>,
    pub(super) items: Vec<T>,
}

/// Paths in an output.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub struct Paths {
    /// How many there are; a directory whose listing is missing counts once.
    pub count: u64,
    /// The first of them, in the repository.
    pub first: Vec<RepoPath>,
    /// What these are.
    #[serde(skip)]
    pub(super) ids: Vec<FileId>,
}

/// Where in an output these files and trees are, as far as its trees are in the cache. Of `parts`, if there are any.
pub(super) fn paths_of(
    cache: &Cache,
    output: &Output,
    parts: &[RepoPath],
    wanted: &HashSet<FileId>,
) -> Result<Paths> {
    let mut found = Paths::default();
    if wanted.is_empty() {
        return Ok(found);
    }
    let mut note = |path: RepoPath, id: FileId| {
        found.count += 1;
        if found.first.len() < MAX_PATHS {
            found.first.push(path);
            found.ids.push(id);
        }
    };
    let at = |path: &RepoPath| output.path.join_path(path);
    if wanted.contains(&output.root().as_file()) {
        note(output.path.clone(), output.root().as_file());
    }
    let Root::Tree(root) = output.root() else {
        return Ok(found);
    };
    let inside = |path: &RepoPath| parts.is_empty() || parts.iter().any(|part| path.starts_with(part));
    let above = |path: &RepoPath| parts.iter().any(|part| part.starts_with(path));
    let mut pending = vec![(RepoPath::root(), root)];
    while let Some((dir, id)) = pending.pop() {
        let tree = match cache.tree(id) {
            Ok(tree) => tree,
            Err(error) if error.is_missing() => continue,
            Err(ObjectError::Store(error)) if error.is_of_content() => {
                // What is wanted may be in it, or be a chunk of its listing.
                note(at(&dir), id.as_file());
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let mut below = Vec::new();
        for entry in tree.into_entries() {
            let path = dir.join(&entry.name);
            match entry.node {
                Node::File { id, .. } if inside(&path) && wanted.contains(&id) => note(at(&path), id),
                Node::Dir { id, .. } if inside(&path) || above(&path) => {
                    if wanted.contains(&id.as_file()) {
                        note(at(&path), id.as_file());
                    }
                    below.push((path, id));
                }
                _ => {}
            }
        }
        pending.extend(below.into_iter().rev());
    }
    Ok(found)
}
