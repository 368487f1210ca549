//! Whether a remote has what its catalog says.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::error::{RemoteError, Result};
use super::push::Known;
use super::store::{RemoteStore, of_one_object, pack_key, run_key, shard_key};
use super::transport::TransportError;
use crate::hash::{FileId, Hasher, PackId, RunId, ShardId};
use crate::object::{Node, ObjectError, Root, Trees as _};
use crate::progress::Phase;
use crate::store::{Cache, StoreError};

/// Bytes of a pack that are read at once.
const PIECE: u64 = 8 << 20;

/// An object on a remote that is missing or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteDamage {
    /// A catalog run.
    Run(RunId),
    /// A shard.
    Shard(ShardId),
    /// A pack.
    Pack(PackId),
}

/// An object on a remote that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFinding {
    /// The object.
    pub damage: RemoteDamage,
    /// What is wrong with it.
    pub problem: String,
}

impl RemoteFinding {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> String {
        match self.damage {
            RemoteDamage::Run(id) => run_key(id),
            RemoteDamage::Shard(id) => shard_key(id),
            RemoteDamage::Pack(id) => pack_key(id),
        }
    }
}

/// What was looked at and found.
#[derive(Debug, Default, Clone)]
pub struct RemoteReport {
    /// Packs looked at.
    pub packs: u64,
    /// Chunks in them.
    pub chunks: u64,
    /// Bytes of packs read, or (in a quick check) only measured.
    pub bytes: u64,
    /// What is wrong.
    pub findings: Vec<RemoteFinding>,
    /// Roots that no run names.
    pub absent: HashSet<Root>,
}

impl RemoteStore {
    /// Checks the marker, all runs, the shards that any of them names for `roots`, and that every pack these describe is
    /// there in full length. If `quick`, runs and shards of which there is a copy here are only measured; or else all of
    /// these objects are read and compared with their names.
    ///
    /// # Errors
    /// When the remote cannot be asked.
    pub fn verify(&self, roots: &[Root], quick: bool) -> Result<RemoteReport> {
        let mut report = RemoteReport::default();
        self.refresh();
        if quick {
            self.measure_runs(&mut report)?;
        } else {
            self.read_runs(&mut report)?;
        }
        let mut find = |damage, problem: String| report.findings.push(RemoteFinding { damage, problem });
        let mut ids = BTreeSet::new();
        for root in roots {
            let named = self.lookup(&root.id())?;
            if named.is_empty() {
                report.absent.insert(*root);
            }
            ids.extend(named.into_iter().flatten());
        }
        let listed = if quick && !ids.is_empty() {
            unless_refused(self.shard_sizes())?
        } else {
            None
        };
        let mut packs: BTreeMap<PackId, (u64, u64)> = BTreeMap::new();
        for id in ids {
            let shard = match &listed {
                // A local copy says nothing about the remote's.
                None => self.shard_again(id).map(Arc::new),
                Some(_) => self.shard(id),
            };
            match shard {
                Ok(shard) => {
                    let len = shard.bytes().len() as u64;
                    let problem = listed.as_ref().and_then(|listed| measured(listed.get(&id), len));
                    if let Some(problem) = problem {
                        find(RemoteDamage::Shard(id), problem);
                    }
                    let sizes = shard
                        .packs()
                        .map(|pack| (pack.id, (pack.file_len, u64::from(pack.slots))));
                    packs.extend(sizes);
                }
                Err(error) if error.is_of_one_object() => find(RemoteDamage::Shard(id), error.to_string()),
                Err(error) => return Err(error),
            }
        }
        let there = if packs.is_empty() {
            Some(Default::default())
        } else {
            unless_refused(self.packs())?
        };
        self.progress.start(
            Phase::Verifying,
            packs.len() as u64,
            if quick {
                0
            } else {
                packs.values().map(|(len, _)| len).sum()
            },
        );
        for (id, (len, chunks)) in packs {
            report.packs += 1;
            report.chunks += chunks;
            report.bytes += len;
            let told = match &there {
                Some(there) => measured(there.get(&id), len),
                None if quick => self
                    .lacks(id, len.saturating_sub(1)..len)?
                    .then(|| format!("it is not there, or does not have {len} bytes")),
                None => None,
            };
            let problem = match told {
                None if !quick => self.check_pack(id, len)?.then(|| "its content is damaged".to_owned()),
                problem => problem,
            };
            if let Some(problem) = problem {
                find(RemoteDamage::Pack(id), problem);
            }
            self.progress.advance(1, 0);
        }
        Ok(report)
    }

    /// Looks at every run in force: of those that were fetched before, whether they are listed in full length.
    fn measure_runs(&self, report: &mut RemoteReport) -> Result<()> {
        let mut found = Vec::new();
        for (id, defect) in self.damaged_runs()? {
            found.push((id, StoreError::DamagedRun { run: id, defect }.to_string()));
        }
        let runs = self.runs()?;
        let listed = if runs.is_empty() {
            HashMap::new()
        } else {
            self.readable_runs()?.0
        };
        for run in runs {
            // One that is not listed any more was merged into another one.
            let size = listed.get(&run.id()).filter(|size| size.is_some());
            let problem = size.and_then(|size| measured(size.as_ref(), run.bytes().len() as u64));
            found.extend(problem.map(|problem| (run.id(), problem)));
        }
        report
            .findings
            .extend(found.into_iter().map(|(id, problem)| RemoteFinding {
                damage: RemoteDamage::Run(id),
                problem,
            }));
        Ok(())
    }

    /// Reads every run again.
    fn read_runs(&self, report: &mut RemoteReport) -> Result<()> {
        if !self.exists()? {
            return Ok(());
        }
        for id in self.readable_runs()?.0.into_keys() {
            // A local copy says nothing about the remote's.
            match self.run_again(id) {
                // Merged into another one since it was listed.
                Ok(_) | Err(RemoteError::Transport(TransportError::NotFound(_))) => {}
                Err(error) if error.is_of_one_object() => report.findings.push(RemoteFinding {
                    damage: RemoteDamage::Run(id),
                    problem: error.to_string(),
                }),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Files and trees of a root of which one of the catalog's entries for it does not say where they are. Looks as far
    /// as the trees are in the cache. Nothing if the catalog does not name the root.
    ///
    /// # Errors
    /// When the remote cannot be asked or the cache not be read.
    pub fn undescribed(&self, cache: &Cache, root: Root) -> Result<BTreeSet<FileId>> {
        let mut undescribed = BTreeSet::new();
        let entries = self.lookup(&root.id())?;
        let mut usable = entries.is_empty();
        for ids in entries {
            let shards = ids.into_iter().map(|id| self.shard(id)).collect::<Result<Vec<_>>>();
            // A reader takes another entry.
            let Some(shards) = of_one_object(shards)? else { continue };
            usable = true;
            let known = Known::of(shards);
            let mut seen = HashSet::from([root.as_file()]);
            let mut trees = Vec::new();
            if !known.describes(&root.as_file())? {
                undescribed.insert(root.as_file());
            }
            if let Root::Tree(id) = root {
                trees.push(id);
            }
            while let Some(id) = trees.pop() {
                self.progress.check()?;
                let tree = match cache.tree(id) {
                    Ok(tree) => tree,
                    Err(ObjectError::Store(error)) if error.is_of_content() => continue,
                    Err(error) => return Err(error.into()),
                };
                for entry in tree.entries() {
                    let file = match entry.node {
                        Node::File { id, .. } => id,
                        Node::Dir { id, .. } => id.as_file(),
                        Node::Symlink { .. } => continue,
                    };
                    if !seen.insert(file) {
                        continue;
                    }
                    if let Node::Dir { id, .. } = entry.node {
                        trees.push(id);
                    }
                    if !known.describes(&file)? {
                        undescribed.insert(file);
                    }
                }
            }
        }
        if !usable {
            undescribed.insert(root.as_file());
        }
        Ok(undescribed)
    }

    /// Whether a pack does not have these bytes.
    fn lacks(&self, id: PackId, range: Range<u64>) -> Result<bool> {
        match self.transport().get_range(&pack_key(id), range) {
            Ok(_) => Ok(false),
            Err(TransportError::NotFound(_) | TransportError::OutOfRange { .. }) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a pack; `true` when it is damaged.
    fn check_pack(&self, id: PackId, len: u64) -> Result<bool> {
        let mut hasher = Hasher::new();
        let mut at = 0;
        while at < len {
            self.progress.check()?;
            let end = len.min(at + PIECE);
            match self.transport().get_range(&pack_key(id), at..end) {
                Ok(bytes) => hasher.update(&bytes),
                Err(TransportError::NotFound(_) | TransportError::OutOfRange { .. }) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
            self.progress.advance(0, end - at);
            at = end;
        }
        Ok(PackId::from_bytes(hasher.finish()) != id)
    }
}

/// What was listed; `None` where nothing can be listed, so that each object has to be asked for.
fn unless_refused<T>(listed: Result<T>) -> Result<Option<T>> {
    match listed {
        Err(RemoteError::Transport(error)) if error.is_refusal() => Ok(None),
        listed => listed.map(Some),
    }
}

/// What is wrong with an object that should have `len` bytes, as far as a list tells.
fn measured(size: Option<&u64>, len: u64) -> Option<String> {
    match size {
        None => Some("it is not there".to_owned()),
        Some(size) if *size != len => Some(format!("it has {size} bytes instead of {len}")),
        Some(_) => None,
    }
}
