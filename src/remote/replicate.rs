//! Copying what one remote has to another, through this machine.
//!
//! Packs, shards and records of runs are copied as they are: their names are hashes of their bytes, so that what refers to
//! them holds there, too. Either side may be encrypted; that is a matter of transports. Of the catalog only what is
//! said of roots that the other side lacks goes there, as a push would write it.
//!
//! Order: packs → shards that describe them → one catalog run → records. What is stopped on the way is not visible, and
//! is not sent again: what the other side lists in full length is believed to be there, as `verify --deep` can tell.
//! Each pack is in a temporary file between its two ways and goes on only if it has the hash that is its name, so at most
//! [`AT_ONCE`] packs are on the disk, and a piece of each in memory.
//!
//! Not promised: that shards and packs which only roots need that both sides have are copied; that something pushed
//! to the first side meanwhile is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::{RemoteError, Result};
use super::parallel::in_parallel;
use super::push::Replace;
use super::store::{RemoteStore, pack_key, run_key, shard_key};
use super::transport::{Body, TransportError};
use crate::fs::TempFile;
use crate::hash::{FileId, Hasher, PackId, RootId, ShardId};
use crate::progress::Phase;
use crate::store::StoreError;

/// Packs that are on their way at the same time.
const AT_ONCE: usize = 8;
/// Bytes of a pack that are read at once.
const PIECE: u64 = 8 << 20;

/// An object that is not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCopied {
    /// Its key.
    pub key: String,
    /// Why not.
    pub problem: String,
    /// Whether it is missing or damaged on the remote that it should come from; otherwise the other one does not take
    /// it.
    pub is_damage: bool,
}

/// What has to be copied.
pub struct ReplicaPlan {
    from: Arc<RemoteStore>,
    to: Arc<RemoteStore>,
    /// Roots that are lacking there, each with what the runs here say of it.
    roots: BTreeMap<RootId, Vec<Vec<ShardId>>>,
    /// Shards that these need and that can be read, with the packs they describe.
    shards: BTreeMap<ShardId, Vec<PackId>>,
    new_shards: Vec<ShardId>,
    new_packs: Vec<(PackId, u64)>,
    new_records: Vec<FileId>,
    /// Roots that are there already.
    pub up_to_date: u64,
    /// What of the first remote cannot be read.
    pub not_copied: Vec<NotCopied>,
}

impl std::fmt::Debug for ReplicaPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplicaPlan")
            .field("roots", &self.roots.len())
            .field("packs", &self.new_packs.len())
            .finish_non_exhaustive()
    }
}

/// What was copied, or (of a plan) is to be.
#[derive(Debug, Default, Clone)]
pub struct ReplicaOutcome {
    /// Roots that the other remote has now.
    pub roots: u64,
    /// Packs copied.
    pub packs: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Shards copied.
    pub shards: u64,
    /// Objects with records of runs copied.
    pub records: u64,
    /// Roots that were left out for what could not be copied.
    pub left_out: u64,
    /// What could not be copied.
    pub not_copied: Vec<NotCopied>,
}

impl RemoteStore {
    /// Finds what `to` lacks of what this remote's catalog names.
    ///
    /// # Errors
    /// When one of the remotes cannot be asked. What is wrong with single objects is in the plan.
    pub fn plan_replica(self: &Arc<Self>, to: &Arc<Self>) -> Result<ReplicaPlan> {
        self.progress.start(Phase::Comparing, 0, 0);
        let mut plan = ReplicaPlan {
            from: Arc::clone(self),
            to: Arc::clone(to),
            roots: BTreeMap::new(),
            shards: BTreeMap::new(),
            new_shards: Vec::new(),
            new_packs: Vec::new(),
            new_records: Vec::new(),
            up_to_date: 0,
            not_copied: Vec::new(),
        };
        for (run, defect) in self.damaged_runs()? {
            plan.not_copied.push(NotCopied {
                key: run_key(run),
                problem: StoreError::DamagedRun { run, defect }.to_string(),
                is_damage: true,
            });
        }
        plan.find_roots()?;
        plan.find_objects()?;
        let there: HashSet<FileId> = to.list_records()?.into_iter().collect();
        plan.new_records = self.list_records()?;
        plan.new_records.retain(|id| !there.contains(id));
        Ok(plan)
    }
}

impl ReplicaPlan {
    fn find_roots(&mut self) -> Result<()> {
        let mut there = HashSet::new();
        for run in self.from.runs()? {
            for (root, shards) in run.roots() {
                if self.to.has(&root)? {
                    there.insert(root);
                    continue;
                }
                let known = self.roots.entry(root).or_default();
                if !known.contains(&shards) {
                    known.push(shards);
                }
            }
        }
        self.up_to_date = there.len() as u64;
        Ok(())
    }

    fn find_objects(&mut self) -> Result<()> {
        let ids: BTreeSet<ShardId> = self.roots.values().flatten().flatten().copied().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let exists = self.to.exists()?;
        let there = if exists { self.to.packs()? } else { HashMap::new() };
        let shards_there = if exists { self.to.shard_sizes()? } else { HashMap::new() };
        let mut seen = HashSet::new();
        for id in ids {
            self.from.progress.check()?;
            let shard = match self.from.shard(id) {
                Ok(shard) => shard,
                Err(error) if error.is_of_one_download() => {
                    self.not_copied.push(not_copied(shard_key(id), &error, true));
                    continue;
                }
                Err(error) => return Err(error),
            };
            if shards_there.get(&id) != Some(&(shard.bytes().len() as u64)) {
                self.new_shards.push(id);
            }
            let mut packs = Vec::new();
            for pack in shard.packs() {
                packs.push(pack.id);
                if there.get(&pack.id) != Some(&pack.file_len) && seen.insert(pack.id) {
                    self.new_packs.push((pack.id, pack.file_len));
                }
            }
            self.shards.insert(id, packs);
        }
        Ok(())
    }

    /// What carrying it out would come to.
    #[must_use]
    pub fn outlook(&self) -> ReplicaOutcome {
        let ready: BTreeSet<ShardId> = self.shards.keys().copied().collect();
        let roots = self.restorable(&ready).len() as u64;
        ReplicaOutcome {
            roots,
            packs: self.new_packs.len() as u64,
            bytes: self.new_packs.iter().map(|(_, len)| len).sum(),
            shards: self.new_shards.len() as u64,
            records: self.new_records.len() as u64,
            left_out: self.roots.len() as u64 - roots,
            not_copied: self.not_copied.clone(),
        }
    }

    /// The roots that these shards restore, with the shards of each.
    fn restorable(&self, shards: &BTreeSet<ShardId>) -> BTreeMap<RootId, Vec<ShardId>> {
        let whole = |list: &&Vec<ShardId>| list.iter().all(|shard| shards.contains(shard));
        self.roots
            .iter()
            .filter_map(|(root, lists)| Some((*root, lists.iter().find(whole)?.clone())))
            .collect()
    }

    /// Copies everything; packs are in files in `tmp` on their way. What cannot be copied keeps back only the roots whose
    /// shards describe it.
    ///
    /// # Errors
    /// When one of the remotes cannot be used, or on an interrupt. What was copied until then need not be copied again.
    pub fn execute(self, tmp: &Path) -> Result<ReplicaOutcome> {
        let expected = self.outlook();
        let progress = &self.from.progress;
        progress.start(Phase::Replicating, 0, expected.bytes);
        if self.roots.is_empty() && self.new_records.is_empty() {
            return Ok(expected);
        }
        self.to.create()?;
        let jobs = self.from.jobs().min(AT_ONCE);
        let troubles = Mutex::new(self.not_copied.clone());
        let note = |trouble: NotCopied| troubles.lock().unwrap_or_else(PoisonError::into_inner).push(trouble);
        let lost = Mutex::new(HashSet::new());
        let sent = Mutex::new((0, 0));
        in_parallel(jobs, &self.new_packs, |&(pack, len)| {
            match self.copy_pack(pack, len, tmp)? {
                None => {
                    let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
                    *sent = (sent.0 + 1, sent.1 + len);
                }
                Some(trouble) => {
                    lost.lock().unwrap_or_else(PoisonError::into_inner).insert(pack);
                    note(trouble);
                }
            }
            Ok(())
        })?;
        let lost = lost.into_inner().unwrap_or_else(PoisonError::into_inner);
        let is_whole = |packs: &Vec<PackId>| packs.iter().all(|pack| !lost.contains(pack));
        let ready: BTreeSet<ShardId> = self
            .shards
            .iter()
            .filter(|(_, packs)| is_whole(packs))
            .map(|(shard, _)| *shard)
            .collect();
        let mut new_shards = self.new_shards.clone();
        new_shards.retain(|shard| ready.contains(shard));
        in_parallel(jobs, &new_shards, |&shard| {
            progress.check()?;
            self.to.put_shard(self.from.shard(shard)?.bytes().to_vec())?;
            Ok(())
        })?;
        let roots = self.restorable(&ready);
        let published = roots.len() as u64;
        progress.check()?;
        if !roots.is_empty() {
            publish_replica(&self.to, roots)?;
        }
        let records = Mutex::new(0);
        in_parallel(jobs, &self.new_records, |&id| {
            progress.check()?;
            match self.from.get_records(id) {
                Ok(bytes) => {
                    self.to.put_records(bytes)?;
                    *records.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                }
                Err(error) if error.is_of_one_download() => note(not_copied(format!("records/{id}"), &error, true)),
                Err(error) => return Err(error),
            }
            Ok(())
        })?;
        let (packs, bytes) = sent.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut not_copied = troubles.into_inner().unwrap_or_else(PoisonError::into_inner);
        not_copied.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(ReplicaOutcome {
            roots: published,
            packs,
            bytes,
            shards: new_shards.len() as u64,
            records: records.into_inner().unwrap_or_else(PoisonError::into_inner),
            left_out: self.roots.len() as u64 - published,
            not_copied,
        })
    }

    /// Copies one pack; why not, if it cannot be had or is not taken.
    fn copy_pack(&self, pack: PackId, len: u64, tmp: &Path) -> Result<Option<NotCopied>> {
        let key = pack_key(pack);
        let mut file = TempFile::create_in(tmp)?;
        let mut hasher = Hasher::new();
        let mut at = 0;
        while at < len {
            self.from.progress.check()?;
            let end = len.min(at + PIECE);
            let bytes = match self.from.transport().get_range(&key, at..end) {
                Ok(bytes) => bytes,
                Err(error) => {
                    let error = RemoteError::from(error);
                    return match error.is_of_one_download() {
                        true => Ok(Some(not_copied(key, &error, true))),
                        false => Err(error),
                    };
                }
            };
            hasher.update(&bytes);
            file.write_all(&bytes)?;
            at = end;
        }
        if PackId::from_bytes(hasher.finish()) != pack {
            return Ok(Some(NotCopied {
                key,
                problem: "its content is damaged".to_owned(),
                is_damage: true,
            }));
        }
        let put = self.to.put_named(&key, &Body::file(file.path()), len);
        match self.to.judge_upload(put)? {
            Ok(()) => {
                self.from.progress.advance(0, len);
                Ok(None)
            }
            Err(error) => Ok(Some(not_copied(key, &error, false))),
        }
    }
}

/// Makes the roots of a replica visible: everything that restores them is there.
fn publish_replica(to: &RemoteStore, roots: BTreeMap<RootId, Vec<ShardId>>) -> Result<()> {
    to.publish_roots(roots, &Replace::Small)
}

fn not_copied(key: String, error: &RemoteError, is_damage: bool) -> NotCopied {
    let problem = match error {
        RemoteError::Transport(TransportError::NotFound(_)) => "it is not there".to_owned(),
        error => error.to_string(),
    };
    NotCopied {
        key,
        problem,
        is_damage,
    }
}
