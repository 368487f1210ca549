//! Whether a remote has what its catalog says.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::error::Result;
use super::store::{RemoteStore, pack_key, shard_key};
use super::transport::TransportError;
use crate::hash::{Hasher, PackId};
use crate::object::Root;
use crate::progress::Phase;

/// Bytes of a pack that are read at once.
const PIECE: u64 = 8 << 20;

/// An object on a remote that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFinding {
    /// Its key.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What was looked at and found.
#[derive(Debug, Default)]
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
    /// Checks the marker, all runs, the shards of `roots` and that every pack these describe is there in full length;
    /// unless `quick`, also reads all of these packs and compares them with their names.
    ///
    /// # Errors
    /// When the remote cannot be asked, or a run is damaged.
    pub fn verify(&self, roots: &[Root], quick: bool) -> Result<RemoteReport> {
        let mut report = RemoteReport::default();
        let mut ids = BTreeSet::new();
        for root in roots {
            match self.lookup(&root.id())?.into_iter().next() {
                Some(shards) => ids.extend(shards),
                None => drop(report.absent.insert(*root)),
            }
        }
        let mut packs: BTreeMap<PackId, (u64, u64)> = BTreeMap::new();
        let mut find = |key: String, problem: String| report.findings.push(RemoteFinding { key, problem });
        for id in ids {
            // A local copy says nothing about the remote's.
            match self.shard_again(id) {
                Ok(shard) => {
                    let sizes = shard
                        .packs()
                        .map(|pack| (pack.id, (pack.file_len, u64::from(pack.slots))));
                    packs.extend(sizes);
                }
                Err(error) if error.is_of_one_object() => find(shard_key(id), error.to_string()),
                Err(error) => return Err(error),
            }
        }
        let there = if packs.is_empty() {
            Default::default()
        } else {
            self.packs()?
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
            let problem = match there.get(&id) {
                None => Some("it is not there".to_owned()),
                Some(size) if *size != len => Some(format!("it has {size} bytes instead of {len}")),
                Some(_) if quick => None,
                Some(_) => self.check_pack(id, len)?.then(|| "its content is damaged".to_owned()),
            };
            if let Some(problem) = problem {
                find(pack_key(id), problem);
            }
            self.progress.advance(1, 0);
        }
        Ok(report)
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
