//! An output that was changed here while its pointer became another: what both sides come to, path by path.
//!
//! Base is what the workspace was last brought to. What was changed here stays, what only the pointer changed comes, and a
//! path that both changed, each in its own way, stays as it is here and is named. Only listings are read, and nothing is
//! written.

use std::collections::HashMap;

use super::observe::pointer_node;
use super::{Output, RepoError, Repository, Result};
use crate::hash::TreeId;
use crate::object::{self, NewTrees, Node, ObjectError, Root, Tree, Trees};
use crate::path::RepoPath;
use crate::workspace::{Scopes, Snapshot, WorkspaceError};

/// How what is here compares with what was last brought here, when the pointer is another since.
#[derive(Debug)]
pub(super) enum Since {
    /// Nothing was changed.
    AsItWas,
    /// Something was; what both sides come to, unless that cannot be told path by path.
    Changed(Option<Joined>),
}

/// What both sides come to.
#[derive(Debug)]
pub(super) struct Joined {
    /// The pointer's content with what was changed here.
    pub(super) node: Node,
    /// Paths inside the output that both changed, each in its own way.
    pub(super) clashes: Vec<RepoPath>,
    /// What the workspace counts as when it is brought there: the pointer's content, but for these paths, which stay as
    /// they were before, so that nobody takes what is here for an answer to what the pointer has.
    pub(super) becomes: Root,
    /// The listings of the node that may be new.
    pub(super) trees: HashMap<TreeId, Vec<u8>>,
    /// The listings of `becomes` that may be new.
    pub(super) base_trees: NewTrees,
}

/// Listings at hand over others.
pub(super) struct Layers<'a> {
    pub(super) new: &'a HashMap<TreeId, Vec<u8>>,
    pub(super) below: &'a dyn Trees,
}

impl Trees for Layers<'_> {
    fn tree(&self, id: TreeId) -> object::Result<Tree> {
        match self.new.get(&id) {
            Some(bytes) => Tree::decode(bytes).map_err(|source| ObjectError::Tree { id, source }),
            None => self.below.tree(id),
        }
    }
}

impl Repository {
    /// What was done here since `last` was brought here, if the pointer is another since. `here` is what is here together
    /// with what belongs to the output and is not present.
    pub(super) fn since(&self, output: &Output, here: &Snapshot, last: Root, scopes: &Scopes) -> Result<Since> {
        if last == output.root() {
            return Ok(Since::Changed(None));
        }
        if here.root() == Some(last) {
            return Ok(Since::AsItWas);
        }
        if scopes.is_whole() {
            return Ok(Since::Changed(self.join(output, here, last)));
        }
        // What is not here was taken from the new pointer; it has to be as it was, too.
        let Some(then) = self.over_base(&output.path, last, scopes)? else {
            return Ok(Since::Changed(None));
        };
        if then.root() == Some(last) {
            return Ok(Since::AsItWas);
        }
        Ok(Since::Changed(self.join(output, &then, last)))
    }

    /// What is here, and what is not taken from `base`; `None` when that is not in the cache.
    pub(super) fn over_base(&self, path: &RepoPath, base: Root, scopes: &Scopes) -> Result<Option<Snapshot>> {
        let mut observed = self.observe(path, Some(base))?;
        observed.scopes.clone_from(scopes);
        match self.identify(observed, None) {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(RepoError::Workspace(WorkspaceError::Object(error))) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Merges what is here (taken over `last`) with the pointer; `None` when one of them is no directory, or a listing
    /// cannot be had, which whoever needs it says.
    pub(super) fn join(&self, output: &Output, here: &Snapshot, last: Root) -> Option<Joined> {
        self.try_join(output, here, last).unwrap_or_default()
    }

    fn try_join(&self, output: &Output, here: &Snapshot, last: Root) -> object::Result<Option<Joined>> {
        let (Root::Tree(last), Root::Tree(pointed)) = (last, output.root()) else {
            return Ok(None);
        };
        let Some(ours @ Node::Dir { id: ours_id, .. }) = &here.node else {
            return Ok(None);
        };
        let known = here.over(self);
        let mut base = directory(&known, last)?;
        let mut new: HashMap<TreeId, Vec<u8>> = HashMap::new();
        if here.scan.unfinished {
            // What did not come was not removed by anybody.
            let mut absent = Vec::new();
            let mut missing = Vec::new();
            object::diff(&known, Some(last), Some(*ours_id), &mut |change| {
                if change.after.is_none() {
                    missing.push(change.path);
                }
                Ok::<(), ObjectError>(())
            })?;
            for path in missing {
                if object::find(&known, pointed, &path)?.is_some() {
                    absent.push((path, None));
                }
            }
            let (node, trees) = object::replace(&known, last, absent)?;
            new.extend(trees);
            base = node;
        }
        let theirs = pointer_node(output);
        let trees = Layers {
            new: &new,
            below: &known,
        };
        let merged = object::merge(&trees, Some(&base), Some(ours), Some(&theirs))?;
        let Some(mut node @ Node::Dir { id, .. }) = merged.node else {
            return Ok(None);
        };
        // What was removed here and changed there is in nobody's way.
        let (removed, kept): (Vec<_>, Vec<_>) = merged.clashes.into_iter().partition(|clash| clash.ours.is_none());
        let mut result: HashMap<TreeId, Vec<u8>> = merged.trees.into_iter().collect();
        if !removed.is_empty() {
            let layers = Layers {
                new: &result,
                below: &known,
            };
            let edits = removed.into_iter().map(|clash| (clash.path, clash.theirs)).collect();
            let (whole, trees) = object::replace(&layers, id, edits)?;
            node = whole;
            result.extend(trees);
        }
        let (becomes, base_trees) = if kept.is_empty() {
            (output.root(), Vec::new())
        } else {
            let edits = kept.iter().map(|clash| (clash.path.clone(), clash.base.clone()));
            match object::replace(&known, pointed, edits.collect())? {
                (Node::Dir { id, .. }, trees) => (Root::Tree(id), trees),
                _ => return Ok(None),
            }
        };
        Ok(Some(Joined {
            node,
            clashes: kept.into_iter().map(|clash| clash.path).collect(),
            becomes,
            trees: result,
            base_trees,
        }))
    }
}

/// A directory as an entry of a listing.
fn directory<T: Trees>(trees: &T, id: TreeId) -> object::Result<Node> {
    let tree = trees.tree(id)?;
    Ok(Node::Dir {
        id,
        size: tree.size(),
        files: tree.files(),
    })
}
