//! Merging pointers and lock files: what git's merge driver does.
//!
//! Only listings are read. Those of the merged directory are in the cache, durably, before anything names them; listings
//! that are missing are fetched if there is a remote. Neither the workspace nor the index is touched.

use std::path::{Path, PathBuf};

use super::observe::root_node;
use super::outputs::pointer_root;
use super::{LOCK_FILE, RepoError, Repository, Result};
use crate::causes::in_one_line;
use crate::fs;
use crate::git::{self, Field, FieldClash, Import, Pointer, PointerConflict, PointerContent};
use crate::hash::TreeId;
use crate::object::{self, Clash, Merged, Node, ObjectError, Root};
use crate::path::RepoPath;
use crate::remote::Wanted;
use crate::store::PackKind;

/// What git asks its merge driver.
#[derive(Debug, Clone)]
pub struct MergeRequest {
    /// A file with what both sides began with; empty if they began with nothing.
    pub base: PathBuf,
    /// A file with our side; it takes the result.
    pub ours: PathBuf,
    /// A file with their side.
    pub theirs: PathBuf,
    /// The pointer, or lock file.
    pub path: RepoPath,
    /// How long git wants conflict markers to be.
    pub marker_size: String,
}

/// What a merge came to.
#[derive(Debug, serde::Serialize)]
pub struct MergeOutcome {
    /// The pointer, or lock file.
    pub path: RepoPath,
    /// Questions that are left.
    pub conflicts: u64,
    /// Whether it was merged as text, because a side is not what its name says.
    pub as_text: bool,
    /// Why the output was not merged path by path, if so.
    pub not_by_path: Option<String>,
}

impl Repository {
    /// Merges a pointer, or a lock file.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the merged listings cannot be stored.
    pub fn merge_pointers(&self, request: &MergeRequest) -> Result<MergeOutcome> {
        let read = |path: &Path| Ok::<_, RepoError>(fs::read_if_exists(path, git::MAX_CONFLICT)?.unwrap_or_default());
        let (base, ours, theirs) = (read(&request.base)?, read(&request.ours)?, read(&request.theirs)?);
        let mut outcome = MergeOutcome {
            path: request.path.clone(),
            conflicts: 0,
            as_text: false,
            not_by_path: None,
        };
        if is_lock(&request.path) {
            match merge_lock(&base, &ours, &theirs, &request.marker_size) {
                Some(merged) => {
                    fs::write_atomic(&request.ours, merged.text.as_bytes())?;
                    outcome.conflicts = merged.conflicts;
                }
                None => self.merge_as_text(request, &mut outcome)?,
            }
            return Ok(outcome);
        }
        let parse = |bytes: &[u8]| Pointer::parse(bytes, &request.path);
        let (Ok(ours), Ok(theirs)) = (parse(&ours), parse(&theirs)) else {
            self.merge_as_text(request, &mut outcome)?;
            return Ok(outcome);
        };
        // One that was itself merged with conflicts is no base to rely on.
        let base = parse(&base).ok();
        let (merged, not_by_path) = self.merge_all(base.as_ref(), &ours, &theirs)?;
        outcome.conflicts = (merged.clashes.len() + merged.fields.len()) as u64;
        outcome.not_by_path = not_by_path;
        let bytes = merged.to_bytes().map_err(|problem| git::PointerError {
            path: request.path.clone(),
            problem,
        })?;
        fs::write_atomic(&request.ours, &bytes)?;
        Ok(outcome)
    }

    fn merge_as_text(&self, request: &MergeRequest, outcome: &mut MergeOutcome) -> Result<()> {
        outcome.as_text = true;
        outcome.conflicts = self.git.merge_as_text(
            [&request.ours, &request.base, &request.theirs],
            &request.path,
            &request.marker_size,
        )?;
        Ok(())
    }

    /// Merges three versions of a pointer, and says why the directory was not merged path by path if it was not.
    pub(super) fn merge_all(
        &self,
        base: Option<&Pointer>,
        ours: &Pointer,
        theirs: &Pointer,
    ) -> Result<(PointerConflict, Option<String>)> {
        let nodes = [base.map(root_node), Some(root_node(ours)), Some(root_node(theirs))];
        let [b, o, t] = nodes.each_ref().map(Option::as_ref);
        let mut not_by_path = None;
        let merged = match self.merge_trees(b, o, t, [base, Some(ours), Some(theirs)]) {
            Ok(merged) => merged,
            Err(error) if is_about_trees(&error) => {
                not_by_path = Some(in_one_line(&error));
                Merged {
                    node: o.cloned(),
                    clashes: vec![Clash {
                        path: RepoPath::root(),
                        base: b.cloned(),
                        ours: o.cloned(),
                        theirs: t.cloned(),
                    }],
                    trees: Vec::new(),
                }
            }
            Err(error) => return Err(error),
        };
        self.store_trees(&merged.trees)?;
        let mut fields = Vec::new();
        let mut field = |which: Field, of: fn(&Pointer) -> &Option<String>| {
            let (base, ours, theirs) = (base.and_then(|base| of(base).clone()), of(ours), of(theirs));
            object::pick(&base, ours, theirs).unwrap_or_else(|| {
                fields.push(FieldClash {
                    field: which,
                    base,
                    ours: ours.clone(),
                    theirs: theirs.clone(),
                });
                ours.clone()
            })
        };
        let desc = field(Field::Desc, |pointer| &pointer.desc);
        let remote = field(Field::Remote, |pointer| &pointer.remote);
        let none = Vec::new();
        let base_labels = base.map_or(&none, |base| &base.labels);
        let content = with_content(ours, merged.node.as_ref());
        let pointer = Pointer {
            desc,
            remote,
            import: merged
                .clashes
                .is_empty()
                .then(|| merge_import(base, ours, theirs, &content))
                .flatten(),
            labels: merge_labels(base_labels, &ours.labels, &theirs.labels),
            ..content
        };
        let conflict = PointerConflict {
            pointer,
            clashes: merged.clashes,
            fields,
        };
        Ok((conflict, not_by_path))
    }

    fn merge_trees(
        &self,
        base: Option<&Node>,
        ours: Option<&Node>,
        theirs: Option<&Node>,
        pointers: [Option<&Pointer>; 3],
    ) -> Result<Merged> {
        match object::merge(self, base, ours, theirs) {
            Err(error) if error.is_missing() => {
                for pointer in pointers.into_iter().flatten() {
                    self.fetch_listings(pointer)?;
                }
                Ok(object::merge(self, base, ours, theirs)?)
            }
            merged => Ok(merged?),
        }
    }

    /// Brings the listings of a directory into the cache, from the remote it belongs to.
    fn fetch_listings(&self, pointer: &Pointer) -> Result<()> {
        let root = pointer_root(pointer);
        if matches!(root, Root::File(_)) {
            return Ok(());
        }
        let remote = self.remote(pointer.remote.as_deref())?;
        // Planning fetches listings; the plan itself is about the files.
        remote.plan_fetch(
            self.cache()?,
            &[Wanted {
                root,
                parts: Vec::new(),
                lineage: Vec::new(),
            }],
        )?;
        Ok(())
    }

    /// Makes listings durable.
    pub(super) fn store_trees(&self, trees: &[(TreeId, Vec<u8>)]) -> Result<()> {
        if trees.is_empty() {
            return Ok(());
        }
        let transaction = self.cache()?.transaction(&self.progress)?;
        for (_, bytes) in trees {
            if let Err(error) = transaction.add_bytes(PackKind::Tree, bytes) {
                return Err(transaction.cause(error).into());
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

fn is_lock(path: &RepoPath) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_bytes() == LOCK_FILE.as_bytes())
}

fn merge_lock(base: &[u8], ours: &[u8], theirs: &[u8], marker_size: &str) -> Option<git::MergedLock> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let marker_size = marker_size.parse().ok().filter(|size| (1..=1000).contains(size))?;
    git::merge_lock(text(base)?, text(ours)?, text(theirs)?, marker_size)
}

/// Whether a merge by path failed for want of listings, which somebody else may have.
fn is_about_trees(error: &RepoError) -> bool {
    matches!(
        error,
        RepoError::Object(ObjectError::Store(_))
            | RepoError::NoRemote
            | RepoError::NoDefaultRemote { .. }
            | RepoError::Config(_)
            | RepoError::Remote(_)
            | RepoError::Transport(_)
    )
}

/// The pointer with other content; what is neither file nor directory changes nothing.
pub(super) fn with_content(pointer: &Pointer, node: Option<&Node>) -> Pointer {
    let content = match node {
        Some(Node::File { id, executable, .. }) => PointerContent::File {
            id: *id,
            executable: *executable,
        },
        Some(Node::Dir { id, files, .. }) => PointerContent::Dir { id: *id, files: *files },
        _ => return pointer.clone(),
    };
    Pointer {
        content,
        size: node.map_or(0, Node::size),
        ..pointer.clone()
    }
}

/// Where the merged content was imported from: what is of both sides was imported from neither.
fn merge_import(base: Option<&Pointer>, ours: &Pointer, theirs: &Pointer, merged: &Pointer) -> Option<Box<Import>> {
    let base = base.and_then(|base| base.import.as_ref());
    let sides = (ours.import.as_ref(), theirs.import.as_ref());
    let is_of = |side: &Pointer| side.content == merged.content;
    match (is_of(ours), is_of(theirs)) {
        (true, true) => object::pick(&base, &sides.0, &sides.1).unwrap_or(sides.0).cloned(),
        (true, false) => sides.0.cloned(),
        (false, true) => sides.1.cloned(),
        (false, false) => None,
    }
}

/// Labels are a set: what either side added is there, what either removed is not.
fn merge_labels(base: &[String], ours: &[String], theirs: &[String]) -> Vec<String> {
    if let Some(labels) = object::pick(&base, &ours, &theirs) {
        return labels.to_vec();
    }
    let kept = |label: &&String| ours.contains(label) && theirs.contains(label);
    let mut added: Vec<&String> = ours
        .iter()
        .chain(theirs)
        .filter(|label| !base.contains(label))
        .collect();
    added.sort_unstable();
    added.dedup();
    base.iter().filter(kept).chain(added).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_merged_as_sets_whoever_merges() {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (base, ours, theirs, merged) in [
            ("a b", "a b", "b", "b"),
            ("a b", "b a", "a b", "b a"),
            ("a b", "a b z", "b c", "b c z"),
            ("", "x y", "y w", "w x y"),
        ] {
            let (base, ours, theirs) = (list(base), list(ours), list(theirs));
            assert_eq!(merge_labels(&base, &ours, &theirs), list(merged));
            assert_eq!(merge_labels(&base, &theirs, &ours), list(merged));
        }
    }
}
