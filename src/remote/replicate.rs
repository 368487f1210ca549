//! Copying what one remote has to another, through this machine.
//!
//! Packs, shards and records of runs are copied as they are: their names are hashes of their bytes, so that what refers to
//! them holds there, too. Either side may be encrypted; that is a matter of transports. Of the catalog only what is
//! said of roots that the other side lacks goes there, as a push would write it.
//!
//! Order: claims → packs → shards that describe them → one catalog run → records. What is stopped on the way is not visible, and
//! is not sent again: what the other side lists in full length is believed to be there, as `verify --deep` can tell.
//! Each pack is in a temporary file between its two ways and goes on only if it has the hash that is its name, so at most
//! [`AT_ONCE`] packs are on the disk, and a piece of each in memory.
//!
//! Beside collectors on the other side: its tombstones are heeded as by a push, within a lease that the caller holds
//! ([`RemoteStore::write_beside_collectors`]); who needs the roots here is claimed there, for the same repositories. An
//! object whose name is marked there cannot be copied under it; what needs it waits until that is collected.
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
use crate::store::shard::PackInfo;

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
    /// Roots that are lacking there and can be restored from here, each with shards that do.
    roots: BTreeMap<RootId, Vec<ShardId>>,
    /// Roots that are lacking there and cannot.
    hopeless: u64,
    /// The packs that these shards describe.
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
    /// Finds what `to` lacks of what this remote's catalog names. What must not be relied on there was read before
    /// ([`RemoteStore::write_beside_collectors`]), unless nothing is to be copied.
    ///
    /// # Errors
    /// When one of the remotes cannot be asked. What is wrong with single objects is in the plan.
    pub fn plan_replica(self: &Arc<Self>, to: &Arc<Self>) -> Result<ReplicaPlan> {
        self.progress.start(Phase::Comparing, 0, 0);
        let mut plan = ReplicaPlan {
            from: Arc::clone(self),
            to: Arc::clone(to),
            roots: BTreeMap::new(),
            hopeless: 0,
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
        plan.find()?;
        let there: HashSet<FileId> = to.list_records()?.into_iter().collect();
        plan.new_records = self.list_records()?;
        plan.new_records.retain(|id| !there.contains(id));
        Ok(plan)
    }
}

/// A shard of the first remote.
enum Found {
    /// It can be copied: its length, the packs that it describes.
    Whole(u64, Vec<PackInfo>),
    /// It or a pack cannot.
    Broken(Vec<NotCopied>),
}

impl ReplicaPlan {
    fn find(&mut self) -> Result<()> {
        let mut lacking: BTreeMap<RootId, Vec<Vec<ShardId>>> = BTreeMap::new();
        let mut there = HashSet::new();
        for run in self.from.runs()? {
            for (root, shards) in run.roots() {
                if there.contains(&root) {
                    continue;
                }
                match lacking.get_mut(&root) {
                    Some(known) if known.contains(&shards) => {}
                    Some(known) => known.push(shards),
                    None if self.to.keeps(&root)? => drop(there.insert(root)),
                    None => drop(lacking.insert(root, vec![shards])),
                }
            }
        }
        self.up_to_date = there.len() as u64;
        let ids: BTreeSet<ShardId> = lacking.values().flatten().flatten().copied().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let exists = self.to.exists()?;
        let packs_there = if exists { self.to.packs()? } else { HashMap::new() };
        let shards_there = if exists { self.to.shard_sizes()? } else { HashMap::new() };
        let packs_here = match self.from.packs() {
            Ok(packs) => Some(packs),
            // Plain files: it will be seen.
            Err(RemoteError::Transport(error)) if error.is_refusal() => None,
            Err(error) => return Err(error),
        };
        let is_there = |pack: &PackInfo| packs_there.get(&pack.id) == Some(&pack.file_len);
        let mut found = HashMap::new();
        for id in ids {
            self.from.progress.check()?;
            let shard = match self.from.shard(id) {
                Ok(shard) => shard,
                Err(error) if error.is_of_one_download() => {
                    found.insert(id, Found::Broken(vec![not_copied(shard_key(id), &error, true)]));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut broken = Vec::new();
            if self.to.condemned().shards.contains(&id) {
                broken.push(condemned(shard_key(id)));
            }
            let packs: Vec<PackInfo> = shard.packs().collect();
            for pack in &packs {
                let is_lost = packs_here.as_ref().is_some_and(|here| !here.contains_key(&pack.id));
                if self.to.is_condemned_pack(&pack.id) {
                    broken.push(condemned(pack_key(pack.id)));
                } else if is_lost && !is_there(pack) {
                    broken.push(NotCopied {
                        key: pack_key(pack.id),
                        problem: "it is not there".to_owned(),
                        is_damage: true,
                    });
                }
            }
            found.insert(
                id,
                match broken.is_empty() {
                    true => Found::Whole(shard.bytes().len() as u64, packs),
                    false => Found::Broken(broken),
                },
            );
        }
        let mut seen = HashSet::new();
        let mut broken = BTreeSet::new();
        for (root, lists) in lacking {
            let is_whole = |shard: &ShardId| matches!(found.get(shard), Some(Found::Whole(..)));
            let Some(shards) = lists.iter().find(|list| list.iter().all(is_whole)) else {
                self.hopeless += 1;
                broken.extend(lists.into_iter().flatten());
                continue;
            };
            for id in shards {
                let Some(Found::Whole(len, packs)) = found.get(id) else {
                    continue;
                };
                if self.shards.contains_key(id) {
                    continue;
                }
                if shards_there.get(id) != Some(len) {
                    self.new_shards.push(*id);
                }
                let new = packs.iter().filter(|pack| !is_there(pack) && seen.insert(pack.id));
                self.new_packs.extend(new.map(|pack| (pack.id, pack.file_len)));
                self.shards.insert(*id, packs.iter().map(|pack| pack.id).collect());
            }
            self.roots.insert(root, shards.clone());
        }
        let mut told = HashSet::new();
        for id in broken {
            if let Some(Found::Broken(troubles)) = found.remove(&id) {
                let new = troubles.into_iter().filter(|trouble| told.insert(trouble.key.clone()));
                self.not_copied.extend(new);
            }
        }
        Ok(())
    }

    /// What carrying it out would come to.
    #[must_use]
    pub fn outlook(&self) -> ReplicaOutcome {
        ReplicaOutcome {
            roots: self.roots.len() as u64,
            packs: self.new_packs.len() as u64,
            bytes: self.new_packs.iter().map(|(_, len)| len).sum(),
            shards: self.new_shards.len() as u64,
            records: self.new_records.len() as u64,
            left_out: self.hopeless,
            not_copied: self.not_copied.clone(),
        }
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
        let mut not_copied_yet = self.not_copied.clone();
        let claims = self.from.pass_claims(&self.to, |root| self.roots.contains_key(root))?;
        not_copied_yet.extend(claims.into_iter().map(|(key, problem)| NotCopied {
            key,
            problem,
            is_damage: true,
        }));
        let jobs = self.from.jobs().min(AT_ONCE);
        let troubles = Mutex::new(not_copied_yet);
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
        let mut roots = self.roots.clone();
        roots.retain(|_, shards| shards.iter().all(|shard| ready.contains(shard)));
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
            left_out: self.hopeless + self.roots.len() as u64 - published,
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

fn condemned(key: String) -> NotCopied {
    NotCopied {
        key,
        problem: "it is marked to be deleted there; it can be copied after a collection".to_owned(),
        is_damage: false,
    }
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
