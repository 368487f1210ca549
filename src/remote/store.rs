//! A store on a remote: its marker, catalog and shards.
//!
//! Runs and shards are immutable, so each is fetched once and kept in a local directory; what is kept is checked by
//! its hash each time it is opened and fetched again if it is damaged. Only the list of runs is asked each time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::collect::{Condemned, There};
use super::error::{RemoteError, Result};
use super::transport::{ObjectMeta, Transport, TransportError};
use crate::fs;
use crate::hash::{PackId, RootId, RunId, ShardId};
use crate::progress::Progress;
use crate::store::StoreError;
use crate::store::marker;
use crate::store::run::CatalogRun;
use crate::store::shard::Shard;

/// The largest run or shard that is accepted, in bytes.
pub(super) const MAX_META: u64 = 1 << 30;
/// Names the runs in force, for readers that cannot list.
pub(super) const CURRENT: &str = "catalog/current";
/// The longest such list that is accepted, in bytes.
const MAX_CURRENT: u64 = 1 << 20;
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
    /// Packs in a row that the server failed for a reason that may pass, but did not.
    failing: AtomicU32,
}

/// The runs in force.
#[derive(Default, Clone)]
struct Catalog {
    sound: Vec<Arc<CatalogRun>>,
    /// Those that cannot be used, and why. What only they name is not known.
    damaged: Vec<(RunId, &'static str)>,
    /// Whether they were not listed, but named by `catalog/current`: that may be behind.
    unlisted: bool,
}

#[derive(Default)]
pub(super) struct State {
    marker_seen: bool,
    catalog: Option<Catalog>,
    shards: HashMap<ShardId, Arc<Shard>>,
    /// Keys of objects that are known to be damaged although their length may be right.
    pub(super) distrusted: HashSet<String>,
    /// Whether no pack is believed in for its name and length alone, as while damage is repaired.
    pub(super) distrusts_all: bool,
    /// What must not be relied on, as of the begin of writing.
    condemned: Arc<Condemned>,
    /// What was listed since.
    there: Option<Arc<There>>,
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
            failing: AtomicU32::new(0),
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

    /// Packs in a row that the server failed.
    pub(super) const fn failing(&self) -> &AtomicU32 {
        &self.failing
    }

    pub(super) fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    pub(super) fn meta_dir(&self, sub: &str) -> Result<PathBuf> {
        let dir = self.meta_dir.join(sub);
        fs::create_dir_all(&dir)?;
        Ok(dir)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
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
            // Compared if somebody was faster: without it, nobody sees that this is a store.
            self.put_meta(marker::NAME, marker::text().into_bytes())?;
            self.state().marker_seen = true;
        }
        Ok(())
    }

    /// The runs in force that can be used. Asked once, until [`RemoteStore::refresh`].
    ///
    /// # Errors
    /// When the remote cannot be asked.
    pub fn runs(&self) -> Result<Vec<Arc<CatalogRun>>> {
        Ok(self.catalog()?.sound)
    }

    /// The runs in force that cannot be used, and why.
    ///
    /// # Errors
    /// When the remote cannot be asked.
    pub fn damaged_runs(&self) -> Result<Vec<(RunId, &'static str)>> {
        Ok(self.catalog()?.damaged)
    }

    fn catalog(&self) -> Result<Catalog> {
        if let Some(catalog) = &self.state().catalog {
            return Ok(catalog.clone());
        }
        let catalog = if self.exists()? {
            self.load_runs()?
        } else {
            Catalog::default()
        };
        self.state().catalog = Some(catalog.clone());
        Ok(catalog)
    }

    /// Asks for the runs again next time.
    pub fn refresh(&self) {
        self.state().catalog = None;
    }

    /// What must not be relied on; nothing before [`RemoteStore::condemn`].
    pub(super) fn condemned(&self) -> Arc<Condemned> {
        Arc::clone(&self.state().condemned)
    }

    pub(super) fn condemn(&self, condemned: Arc<Condemned>) {
        let mut state = self.state();
        state.condemned = condemned;
        state.there = None;
    }

    /// The packs and shards that are there, listed once since [`RemoteStore::condemn`].
    pub(super) fn there(&self) -> Result<Arc<There>> {
        if let Some(there) = &self.state().there {
            return Ok(Arc::clone(there));
        }
        let there = Arc::new(self.list_there()?);
        self.state().there = Some(Arc::clone(&there));
        Ok(there)
    }

    /// Names of the runs on the remote now, for who changes them.
    pub(super) fn list_runs(&self) -> Result<BTreeSet<RunId>> {
        Ok(self.run_sizes()?.into_keys().collect())
    }

    /// The runs that are listed, with their lengths.
    fn run_sizes(&self) -> Result<HashMap<RunId, Option<u64>>> {
        let objects = self.transport.list("catalog/")?;
        // Other names (`current`, leftovers of other programs) are not runs.
        let run = |object: &ObjectMeta| Some((object.key.strip_prefix("catalog/")?.parse().ok()?, Some(object.size)));
        Ok(objects.iter().filter_map(run).collect())
    }

    /// The runs on the remote now, for who only reads, with their lengths where these can be had without asking for each;
    /// and whether they were not listed: where that is refused, by plain files and by buckets that let their objects only
    /// be got, `catalog/current` names them.
    pub(super) fn readable_runs(&self) -> Result<(HashMap<RunId, Option<u64>>, bool)> {
        match self.run_sizes() {
            Err(RemoteError::Transport(error)) if error.is_refusal() => {
                let named = self.current_runs(error)?;
                Ok((named.into_iter().map(|id| (id, None)).collect(), true))
            }
            listed => Ok((listed?, false)),
        }
    }

    /// Goes on only where objects can be listed: whoever writes must know all that is there.
    pub(super) fn must_list(&self) -> Result<()> {
        if !self.catalog()?.unlisted {
            return Ok(());
        }
        match self.list_runs() {
            Err(RemoteError::Transport(source)) if source.is_refusal() => Err(self.cannot_list(source)),
            Err(error) => Err(error),
            Ok(_) => {
                self.refresh();
                Ok(())
            }
        }
    }

    pub(super) fn cannot_list(&self, source: TransportError) -> RemoteError {
        RemoteError::CannotList {
            remote: self.name.clone(),
            source: Box::new(source),
        }
    }

    /// The runs that `catalog/current` names, where listing ended with `refused`. What pushed last has written it.
    fn current_runs(&self, refused: TransportError) -> Result<BTreeSet<RunId>> {
        let bytes = match self.transport.get(CURRENT, MAX_CURRENT) {
            Ok(bytes) => bytes,
            // Nothing was pushed yet.
            Err(TransportError::NotFound(_)) if matches!(refused, TransportError::Unsupported { .. }) => {
                return Ok(BTreeSet::new());
            }
            // Some refuse to say that there is no such object.
            Err(error) if error.is_refusal() => return Err(refused.into()),
            Err(error) => return Err(error.into()),
        };
        let text = String::from_utf8_lossy(&bytes);
        let ids = text.lines().map(str::parse);
        ids.collect::<std::result::Result<_, _>>()
            .map_err(|_| RemoteError::DamagedCurrent {
                remote: self.name.clone(),
            })
    }

    fn load_runs(&self) -> Result<Catalog> {
        let dir = self.meta_dir("runs")?;
        let mut attempt = 0;
        let (ids, catalog) = 'again: loop {
            attempt += 1;
            let (ids, unlisted) = self.readable_runs()?;
            let mut catalog = Catalog {
                unlisted,
                ..Catalog::default()
            };
            for &id in ids.keys().collect::<BTreeSet<_>>() {
                match self.run(&dir, id) {
                    Ok(run) => catalog.sound.push(Arc::new(run)),
                    Err(RemoteError::Store(StoreError::DamagedRun { run, defect })) => {
                        catalog.damaged.push((run, defect));
                    }
                    // Merged into another run since it was listed. Who may not list may not be told that, either.
                    Err(RemoteError::Transport(error))
                        if attempt < LIST_ATTEMPTS && (error.is_not_found() || unlisted && error.is_refusal()) =>
                    {
                        continue 'again;
                    }
                    Err(error) => return Err(error),
                }
            }
            break (ids, catalog);
        };
        for name in fs::list(&dir)? {
            // Temporary files may be another process's.
            let is_old = |name: &str| name.parse::<RunId>().is_ok_and(|id| !ids.contains_key(&id));
            if name.to_str().is_some_and(is_old) {
                fs::remove_file(&dir.join(name))?;
            }
        }
        Ok(catalog)
    }

    fn run(&self, dir: &std::path::Path, id: RunId) -> Result<CatalogRun> {
        let path = dir.join(id.to_string());
        if let Some(bytes) = fs::read_if_exists(&path, MAX_META)?
            && let Ok(run) = CatalogRun::parse(id, bytes)
            && run.verify_hash().is_ok()
        {
            return Ok(run);
        }
        let run = self.run_again(id)?;
        fs::write_atomic(&path, run.bytes())?;
        Ok(run)
    }

    /// A run from the remote, whether there is a copy or not.
    pub(super) fn run_again(&self, id: RunId) -> Result<CatalogRun> {
        let run = CatalogRun::parse(id, self.run_bytes(id)?)?;
        run.verify_hash()?;
        Ok(run)
    }

    /// What stands on the remote under the name of a run.
    pub(super) fn run_bytes(&self, id: RunId) -> Result<Vec<u8>> {
        match self.transport.get(&run_key(id), MAX_META) {
            Err(TransportError::TooLarge { .. }) => Err(StoreError::DamagedRun {
                run: id,
                defect: "it is larger than runs are",
            }
            .into()),
            other => Ok(other?),
        }
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
        for _ in 0..2 {
            for ids in self.lookup(root)? {
                match ids.into_iter().map(|id| self.shard(id)).collect::<Result<Vec<_>>>() {
                    Ok(shards) => return Ok(Some(shards)),
                    Err(error) => failed = Some(error),
                }
            }
            match &failed {
                // A collection may have put others in their place since the catalog was read.
                Some(RemoteError::Transport(TransportError::NotFound(_))) => self.refresh(),
                _ => break,
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
        let shard = match self.kept_shard(id)? {
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

    /// The local copy of a shard, if there is a sound one.
    pub(super) fn kept_shard(&self, id: ShardId) -> Result<Option<Shard>> {
        let path = self.meta_dir("shards")?.join(id.to_string());
        Ok(Shard::open(&path, id).ok().filter(|shard| shard.verify_hash().is_ok()))
    }

    /// A shard from the remote, whether there is a copy or not; every record in it is sound.
    pub(super) fn shard_again(&self, id: ShardId) -> Result<Shard> {
        let shard = Shard::parse(id, self.transport.get(&shard_key(id), MAX_META)?)?;
        // All of it, so that what is wrong in it shows here and not in the middle of something.
        shard.verify()?;
        Ok(shard)
    }

    /// Every pack on the remote and its bytes: one request for a thousand of them.
    ///
    /// # Errors
    /// When the remote cannot be listed.
    pub fn packs(&self) -> Result<HashMap<PackId, u64>> {
        Ok(ids_of(&self.transport.list("packs/")?))
    }

    /// Every shard on the remote and its bytes.
    pub(super) fn shard_sizes(&self) -> Result<HashMap<ShardId, u64>> {
        Ok(ids_of(&self.transport.list("shards/")?))
    }

    /// The shards in force that can be used and are listed in full length: a copy here is no proof that others can
    /// have them.
    ///
    /// # Errors
    /// When the remote cannot be asked.
    pub fn shards_there(&self) -> Result<Vec<Arc<Shard>>> {
        let listed = self.shard_sizes()?;
        let mut shards = self.sound_shards()?;
        shards.retain(|shard| listed.get(&shard.id()) == Some(&(shard.bytes().len() as u64)));
        Ok(shards)
    }

    /// Every shard that some run names and that can be used.
    ///
    /// # Errors
    /// When the remote cannot be asked.
    pub(super) fn sound_shards(&self) -> Result<Vec<Arc<Shard>>> {
        let mut ids = BTreeSet::new();
        for run in self.runs()? {
            ids.extend(run.shards());
        }
        let mut sound = Vec::with_capacity(ids.len());
        for id in ids {
            sound.extend(of_one_object(self.shard(id))?);
        }
        Ok(sound)
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
                kept.extend(of_one_object(self.shard(id))?);
            }
        }
        Ok(kept)
    }
}

/// Objects by the ids at the end of their keys, with their sizes.
fn ids_of<I: std::str::FromStr + Eq + std::hash::Hash>(objects: &[ObjectMeta]) -> HashMap<I, u64> {
    objects
        .iter()
        .filter_map(|object| Some((object.key.rsplit('/').next()?.parse().ok()?, object.size)))
        .collect()
}

/// `None` when one object is missing or damaged; what concerns the whole remote stays an error.
pub(super) fn of_one_object<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_of_one_object() => Ok(None),
        Err(error) => Err(error),
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

#[cfg(test)]
mod tests {
    use super::super::transport::{DirTransport, Place};
    use super::*;

    #[test]
    fn a_server_that_fails_several_in_a_row_fails_all() {
        let dir = tempfile::tempdir().unwrap();
        let transport = Arc::new(DirTransport::open(dir.path(), false).unwrap());
        let remote = RemoteStore::new("r", transport, dir.path().to_owned(), 1, Arc::default());
        let place = || Place::new("r", "k");
        let failing = || -> Result<()> {
            Err(RemoteError::from(TransportError::Server {
                place: place(),
                status: 500,
                retry_after: None,
                source: "no".into(),
            }))
        };
        for _ in 0..3 {
            assert!(matches!(remote.judge_upload(failing()), Ok(Err(_))));
            assert!(matches!(remote.judge_upload(failing()), Ok(Err(_))));
            // Others are taken.
            assert!(matches!(remote.judge_upload(Ok(())), Ok(Ok(()))));
        }
        assert!(matches!(remote.judge_upload(failing()), Ok(Err(_))));
        assert!(matches!(remote.judge_upload(failing()), Ok(Err(_))));
        assert!(remote.judge_upload(failing()).is_err());
        let lost = TransportError::Interrupted(place());
        assert!(remote.judge_upload::<()>(Err(lost.into())).is_err());
    }
}
