//! A store on a remote: its marker, catalog and shards.
//!
//! Runs and shards are immutable, so each is fetched once and kept in a local directory; what is kept is checked by
//! its hash each time it is opened and fetched again if it is damaged. Only the list of runs is asked each time.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::{RemoteError, Result};
use super::transport::{Body, PutMode, Transport, TransportError};
use crate::fs;
use crate::hash::{PackId, RootId, RunId, ShardId};
use crate::progress::Progress;
use crate::store::marker;
use crate::store::run::CatalogRun;
use crate::store::shard::Shard;

/// The largest run or shard that is accepted, in bytes.
pub(super) const MAX_META: u64 = 1 << 30;
/// Lists again this often when a run vanished because somebody merged it.
const LIST_ATTEMPTS: usize = 4;

/// A remote store; see the module.
pub struct RemoteStore {
    name: String,
    transport: Arc<dyn Transport>,
    meta_dir: PathBuf,
    jobs: usize,
    pub(super) progress: Arc<Progress>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    marker_seen: bool,
    runs: Option<Vec<Arc<CatalogRun>>>,
    shards: HashMap<ShardId, Arc<Shard>>,
}

impl std::fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteStore")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl RemoteStore {
    /// The remote `name`, spoken to by `transport` with up to `jobs` requests at once. Copies of its immutable metadata
    /// are kept in `meta_dir`. Nothing is asked yet.
    #[must_use]
    pub fn new(
        name: &str,
        transport: Arc<dyn Transport>,
        meta_dir: PathBuf,
        jobs: usize,
        progress: Arc<Progress>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            transport,
            meta_dir,
            jobs: jobs.max(1),
            progress,
            state: Mutex::default(),
        }
    }

    /// The name it has in the settings.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address, without credentials.
    #[must_use]
    pub fn describe(&self) -> &str {
        self.transport.describe()
    }

    /// Requests at once.
    #[must_use]
    pub(super) fn jobs(&self) -> usize {
        self.jobs
    }

    pub(super) fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    pub(super) fn meta_dir(&self, sub: &str) -> Result<PathBuf> {
        let dir = self.meta_dir.join(sub);
        fs::create_dir_all(&dir)?;
        Ok(dir)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a store that this program can use; `false` when there is none yet.
    ///
    /// # Errors
    /// When the remote cannot be asked or holds something else.
    pub fn exists(&self) -> Result<bool> {
        if self.state().marker_seen {
            return Ok(true);
        }
        match self.transport.get(marker::NAME, marker::MAX_LEN) {
            Ok(bytes) => {
                marker::check(&bytes).map_err(|source| RemoteError::Marker {
                    remote: self.name.clone(),
                    source,
                })?;
                self.state().marker_seen = true;
                Ok(true)
            }
            Err(TransportError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes it a store if it is none yet.
    ///
    /// # Errors
    /// When it cannot be written or holds something else.
    pub fn create(&self) -> Result<()> {
        if !self.exists()? {
            let body = Body::from(marker::text().into_bytes());
            self.transport.put(marker::NAME, &body, PutMode::IfAbsent)?;
            self.state().marker_seen = true;
        }
        Ok(())
    }

    /// The runs in force. Asked once, until [`RemoteStore::refresh`].
    ///
    /// # Errors
    /// When the remote cannot be asked, or a run is damaged.
    pub fn runs(&self) -> Result<Vec<Arc<CatalogRun>>> {
        if let Some(runs) = &self.state().runs {
            return Ok(runs.clone());
        }
        let runs = if self.exists()? { self.load_runs()? } else { Vec::new() };
        self.state().runs = Some(runs.clone());
        Ok(runs)
    }

    /// Asks for the runs again next time.
    pub fn refresh(&self) {
        self.state().runs = None;
    }

    /// Names of the runs on the remote now.
    pub(super) fn list_runs(&self) -> Result<BTreeSet<RunId>> {
        let objects = self.transport.list("catalog/")?;
        // Other names (`current`, leftovers of other programs) are not runs.
        Ok(objects
            .iter()
            .filter_map(|object| object.key.strip_prefix("catalog/")?.parse().ok())
            .collect())
    }

    fn load_runs(&self) -> Result<Vec<Arc<CatalogRun>>> {
        let dir = self.meta_dir("runs")?;
        let mut attempt = 0;
        let runs = 'again: loop {
            attempt += 1;
            let ids = self.list_runs()?;
            let mut runs = Vec::with_capacity(ids.len());
            for id in ids {
                match self.run(&dir, id) {
                    Ok(run) => runs.push(Arc::new(run)),
                    // Merged into another run since it was listed.
                    Err(RemoteError::Transport(TransportError::NotFound { .. })) if attempt < LIST_ATTEMPTS => {
                        continue 'again;
                    }
                    Err(error) => return Err(error),
                }
            }
            break runs;
        };
        let in_force: BTreeSet<_> = runs.iter().map(|run| run.id().to_string()).collect();
        for name in fs::list(&dir)? {
            // Temporary files may be another process's.
            let is_run = |name: &str| name.parse::<RunId>().is_ok() && !in_force.contains(name);
            if name.to_str().is_some_and(is_run) {
                fs::remove_file(&dir.join(name))?;
            }
        }
        Ok(runs)
    }

    fn run(&self, dir: &std::path::Path, id: RunId) -> Result<CatalogRun> {
        let path = dir.join(id.to_string());
        if let Some(bytes) = fs::read_if_exists(&path, MAX_META)?
            && let Ok(run) = CatalogRun::parse(id, bytes)
            && run.verify_hash().is_ok()
        {
            return Ok(run);
        }
        let bytes = self.transport.get(&run_key(id), MAX_META)?;
        let run = CatalogRun::parse(id, bytes)?;
        run.verify_hash()?;
        fs::write_atomic(&path, run.bytes())?;
        Ok(run)
    }

    /// The shards that restore a root, for each run that names it; empty when the remote does not have it.
    ///
    /// # Errors
    /// As [`RemoteStore::runs`].
    pub fn lookup(&self, root: &RootId) -> Result<Vec<Vec<ShardId>>> {
        let mut found = Vec::new();
        for run in self.runs()? {
            if let Some(shards) = run.lookup(root) {
                found.push(shards);
            }
        }
        Ok(found)
    }

    /// Whether the remote has a root.
    ///
    /// # Errors
    /// As [`RemoteStore::runs`].
    pub fn has(&self, root: &RootId) -> Result<bool> {
        Ok(!self.lookup(root)?.is_empty())
    }

    /// The shards of the first run that names the root and whose shards are all there; `None` when no run names it.
    ///
    /// # Errors
    /// When a run names it but a shard is missing or damaged.
    pub fn shards_of(&self, root: &RootId) -> Result<Option<Vec<Arc<Shard>>>> {
        let mut failed = None;
        for ids in self.lookup(root)? {
            match ids.into_iter().map(|id| self.shard(id)).collect::<Result<Vec<_>>>() {
                Ok(shards) => return Ok(Some(shards)),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    /// A shard, from the local copies or the remote.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn shard(&self, id: ShardId) -> Result<Arc<Shard>> {
        if let Some(shard) = self.state().shards.get(&id) {
            return Ok(Arc::clone(shard));
        }
        let path = self.meta_dir("shards")?.join(id.to_string());
        let kept = match Shard::open(&path, id) {
            Ok(shard) if shard.verify_hash().is_ok() => Some(shard),
            _ => None,
        };
        let shard = match kept {
            Some(shard) => shard,
            None => {
                fs::write_atomic(&path, self.shard_again(id)?.bytes())?;
                Shard::open(&path, id)?
            }
        };
        let shard = Arc::new(shard);
        self.state().shards.insert(id, Arc::clone(&shard));
        Ok(shard)
    }

    /// A shard from the remote, whether there is a copy or not.
    pub(super) fn shard_again(&self, id: ShardId) -> Result<Shard> {
        let shard = Shard::parse(id, self.transport.get(&shard_key(id), MAX_META)?)?;
        shard.verify_hash()?;
        Ok(shard)
    }

    /// Every pack on the remote and its bytes: one request for a thousand of them.
    ///
    /// # Errors
    /// When the remote cannot be listed.
    pub fn packs(&self) -> Result<HashMap<PackId, u64>> {
        let objects = self.transport.list("packs/")?;
        Ok(objects
            .iter()
            .filter_map(|object| Some((object.key.rsplit('/').next()?.parse().ok()?, object.size)))
            .collect())
    }

    /// Every shard that some run names.
    ///
    /// # Errors
    /// When one is missing or damaged.
    pub fn all_shards(&self) -> Result<Vec<Arc<Shard>>> {
        let mut ids = BTreeSet::new();
        for run in self.runs()? {
            ids.extend(run.shards());
        }
        ids.into_iter().map(|id| self.shard(id)).collect()
    }

    /// The shards in force of which there is a copy here: what they say costs no request.
    pub(super) fn kept_shards(&self) -> Result<Vec<Arc<Shard>>> {
        let dir = self.meta_dir("shards")?;
        let mut ids = BTreeSet::new();
        for run in self.runs()? {
            ids.extend(run.shards());
        }
        let mut kept = Vec::new();
        for id in ids {
            if fs::stat(&dir.join(id.to_string()))?.is_some() {
                kept.push(self.shard(id)?);
            }
        }
        Ok(kept)
    }

    /// Uploads a shard and keeps a copy.
    pub(super) fn put_shard(&self, bytes: Vec<u8>) -> Result<Arc<Shard>> {
        let id = ShardId::of(&bytes);
        let path = self.meta_dir("shards")?.join(id.to_string());
        fs::write_atomic(&path, &bytes)?;
        self.transport
            .put(&shard_key(id), &Body::from(bytes), PutMode::IfAbsent)?;
        self.shard(id)
    }
}

/// Key of a catalog run on the remote.
pub(super) fn run_key(id: RunId) -> String {
    format!("catalog/{id}")
}

/// Key of a shard on the remote.
pub(super) fn shard_key(id: ShardId) -> String {
    object_key("shards", &id.to_string())
}

/// Key of a pack on the remote.
pub(super) fn pack_key(id: PackId) -> String {
    object_key("packs", &id.to_string())
}

fn object_key(folder: &str, id: &str) -> String {
    format!("{folder}/{}/{id}", &id[..2])
}
