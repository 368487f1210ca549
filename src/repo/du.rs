//! `du`: how much space tracked files take in the cache.

use std::path::PathBuf;

use super::observe::pointer_node;
use super::{BrokenPointer, Output, RepoError, Repository, Result, Selected, Target};
use crate::hash::FileId;
use crate::object::{Node, Trees as _};
use crate::path::RepoPath;
use crate::store::gc::Marks;
use crate::store::{Cache, Location};

/// What one output, or part of one, takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Where it is, relative to the repository.
    pub path: RepoPath,
    /// Files and links.
    pub files: u64,
    /// Bytes of all files as they are in the workspace.
    pub size: u64,
    /// Bytes in the cache, compressed, each chunk counted once.
    pub stored: u64,
    /// Those of them that no other output of this work tree (or of the revision that is measured) uses.
    pub unique: u64,
    /// Those that others use, too.
    pub shared: u64,
    /// Bytes of files (uncompressed) that are not in the cache.
    pub missing: u64,
}

/// What tracked files take.
#[derive(Debug, serde::Serialize)]
pub struct DuOutcome {
    /// Each of them, by path.
    pub outputs: Vec<Usage>,
    /// All together, each chunk counted once; `shared` is what more than one output of the work tree uses.
    pub total: Usage,
    /// The revision that is measured; `null` for the work tree.
    pub rev: Option<String>,
    /// Pointers of the revision that cannot be read.
    pub broken: Vec<BrokenPointer>,
}

/// Which chunks are used by one output or more, and by more than one.
#[derive(Default)]
struct Users {
    any: Marks,
    several: Marks,
}

impl Repository {
    /// Measures what the user means, in a revision or the work tree. Memory is bounded by the number of chunks, a few bits each.
    ///
    /// # Errors
    /// When a target is not tracked, or the cache cannot be read.
    pub fn du(&self, inputs: &[PathBuf], rev: Option<&str>) -> Result<DuOutcome> {
        self.du_at(inputs, rev).map_err(|error| error.at(rev))
    }

    fn du_at(&self, inputs: &[PathBuf], rev: Option<&str>) -> Result<DuOutcome> {
        let (outputs, Selected { targets, broken }) = self.select_at(rev, inputs)?;
        let cache = self.cache()?;
        let mut users = Users::default();
        for output in &outputs {
            self.each_chunk(cache, &pointer_node(output), &mut |location| {
                if users.any.has(&location.pack, location.slot) {
                    users.several.keep(location);
                } else {
                    users.any.keep(location);
                }
            })?;
        }
        let mut counted = Marks::new();
        let mut outcome = DuOutcome {
            outputs: Vec::new(),
            total: Usage::default(),
            rev: rev.map(str::to_owned),
            broken,
        };
        for target in &targets {
            for (path, node) in self.measured(target)? {
                let mut usage = Usage {
                    path,
                    files: node.files(),
                    size: node.size(),
                    ..Usage::default()
                };
                let total = &mut outcome.total;
                let missing = self.each_chunk(cache, &node, &mut |location| {
                    let bytes = u64::from(location.chunk.stored_len);
                    let shared = users.several.has(&location.pack, location.slot);
                    let add = |usage: &mut Usage| {
                        usage.stored += bytes;
                        *(if shared { &mut usage.shared } else { &mut usage.unique }) += bytes;
                    };
                    add(&mut usage);
                    if !counted.has(&location.pack, location.slot) {
                        counted.keep(location);
                        add(total);
                    }
                })?;
                usage.missing = missing;
                total.files += usage.files;
                total.size += usage.size;
                total.missing += missing;
                outcome.outputs.push(usage);
            }
        }
        Ok(outcome)
    }

    /// A target as paths and what is there.
    fn measured(&self, target: &Target) -> Result<Vec<(RepoPath, Node)>> {
        let output: &Output = &target.output;
        if target.parts.is_empty() {
            return Ok(vec![(output.path.clone(), pointer_node(output))]);
        }
        let mut parts = Vec::new();
        for part in &target.parts {
            let path = output.path.join_path(part);
            let (node, _) = self.tracked_node(output, &path)?;
            parts.push((path, node));
        }
        Ok(parts)
    }

    /// Calls `each` for every chunk that `node` needs, once. Returns the bytes of files that are not in the cache.
    fn each_chunk(&self, cache: &Cache, node: &Node, each: &mut dyn FnMut(&Location)) -> Result<u64> {
        let mut seen = Marks::new();
        let mut missing = 0;
        let mut file = |id: &FileId, size: u64| -> Result<bool> {
            let mut found = |location: &Location| {
                if !seen.has(&location.pack, location.slot) {
                    seen.keep(location);
                    each(location);
                }
            };
            if let Some(location) = cache.locate(&id.as_chunk())? {
                found(&location);
            } else if let Some(recipe) = cache.recipe(id)? {
                for location in cache.locations(&recipe) {
                    found(&location?);
                }
            } else {
                missing += size;
                return Ok(false);
            }
            Ok(true)
        };
        let mut work = vec![node.clone()];
        while let Some(node) = work.pop() {
            self.progress().check()?;
            match node {
                Node::Symlink { .. } => {}
                Node::File { id, size, .. } => {
                    file(&id, size)?;
                }
                Node::Dir { id, size, .. } => {
                    if file(&id.as_file(), size)? {
                        let tree = cache.tree(id).map_err(RepoError::from)?;
                        work.extend(tree.into_entries().into_iter().map(|entry| entry.node));
                    }
                }
            }
        }
        Ok(missing)
    }
}
