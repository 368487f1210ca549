//! Where objects are: a directory, or any other remote. A repository is a prefix.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::keys::is_repository;
use crate::fs;
use crate::hash::RunId;
use crate::remote::transport::{
    Body, DirTransport, ObjectMeta, PutMode, PutOutcome, Result, Transport, TransportError,
};
use crate::store::run::CatalogRun;

/// Locks that keys share.
const STRIPES: usize = 64;
/// The longest catalog run that is looked into.
const MAX_RUN: u64 = 1 << 30;

enum Place {
    Dir(DirTransport, PathBuf),
    Other(Box<dyn Transport>),
}

/// Objects of all repositories. Its calls block.
pub(super) struct Storage {
    place: Place,
    /// Writers of one object take turns where the service may not decide between them.
    writing: Vec<Mutex<()>>,
    /// As do those who change one catalog.
    catalogs: Vec<Mutex<()>>,
}

fn stripes() -> Vec<Mutex<()>> {
    (0..STRIPES).map(|_| Mutex::new(())).collect()
}

fn lock<'a>(stripes: &'a [Mutex<()>], name: &str) -> MutexGuard<'a, ()> {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
    let at = usize::try_from(hash % STRIPES as u64).unwrap_or(0);
    stripes[at].lock().unwrap_or_else(PoisonError::into_inner)
}

fn full(repository: &str, key: &str) -> String {
    format!("{repository}/{key}")
}

impl Storage {
    pub(super) fn dir(path: &Path) -> Result<Self> {
        let transport = DirTransport::open(path, true)?;
        Ok(Self::at(Place::Dir(transport, path.to_owned())))
    }

    pub(super) fn other(transport: Box<dyn Transport>) -> Self {
        Self::at(Place::Other(transport))
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            writing: stripes(),
            catalogs: stripes(),
        }
    }

    fn transport(&self) -> &dyn Transport {
        match &self.place {
            Place::Dir(dir, _) => dir,
            Place::Other(other) => other.as_ref(),
        }
    }

    /// Bytes that are read at once: of a service, a request.
    pub(super) const fn piece(&self) -> u64 {
        match self.place {
            Place::Dir(..) => 512 << 10,
            Place::Other(_) => 4 << 20,
        }
    }

    pub(super) fn stat(&self, repository: &str, key: &str) -> Result<Option<ObjectMeta>> {
        let found = self.transport().stat(&full(repository, key))?;
        Ok(found.map(|object| ObjectMeta {
            key: key.to_owned(),
            ..object
        }))
    }

    pub(super) fn read(&self, repository: &str, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        self.transport().get_range(&full(repository, key), range)
    }

    pub(super) fn list(&self, repository: &str, prefix: &str) -> Result<Vec<ObjectMeta>> {
        let start = format!("{repository}/");
        let objects = self.transport().list(&format!("{start}{prefix}"))?;
        let inside = |object: ObjectMeta| {
            let key = object.key.strip_prefix(&start)?.to_owned();
            Some(ObjectMeta { key, ..object })
        };
        Ok(objects.into_iter().filter_map(inside).collect())
    }

    /// Stores a complete and synced file, which may be gone afterwards.
    pub(super) fn put(&self, repository: &str, key: &str, file: &Path, mode: PutMode) -> Result<PutOutcome> {
        let key = full(repository, key);
        match &self.place {
            // Its directory decides between writers.
            Place::Dir(dir, _) => dir.adopt(&key, file, mode),
            Place::Other(other) => {
                let _turn = lock(&self.writing, &key);
                if mode == PutMode::IfAbsent && other.stat(&key)?.is_some() {
                    return Ok(PutOutcome::Existed);
                }
                other.put(&key, &Body::file(file), mode)
            }
        }
    }

    pub(super) fn delete(&self, repository: &str, key: &str) -> Result<()> {
        self.transport().delete(&full(repository, key))
    }

    /// The repositories, where they can be listed without listing all their objects.
    pub(super) fn repositories(&self) -> Vec<String> {
        let Place::Dir(_, path) = &self.place else {
            return Vec::new();
        };
        let names = fs::list(path).unwrap_or_default();
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        names.filter(|name| is_repository(name)).collect()
    }

    /// While it lives, nobody else changes the catalog of a repository.
    pub(super) fn lock_catalog(&self, repository: &str) -> MutexGuard<'_, ()> {
        lock(&self.catalogs, repository)
    }

    fn runs(&self, repository: &str) -> Result<BTreeSet<RunId>> {
        let objects = self.list(repository, "catalog/")?;
        let id = |object: &ObjectMeta| object.key.strip_prefix("catalog/")?.parse().ok();
        Ok(objects.iter().filter_map(id).collect())
    }

    fn run(&self, repository: &str, id: RunId) -> Result<Option<CatalogRun>> {
        let key = full(repository, &format!("catalog/{id}"));
        let bytes = match self.transport().get(&key, MAX_RUN) {
            Ok(bytes) => bytes,
            Err(TransportError::NotFound(_) | TransportError::TooLarge { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let run = CatalogRun::parse(id, bytes).ok();
        Ok(run.filter(|run| run.verify_hash().is_ok()))
    }

    /// Whether all that a run says of roots is said by others. The catalog must be locked.
    pub(super) fn is_covered(&self, repository: &str, id: RunId) -> Result<bool> {
        let Some(run) = self.run(repository, id)? else {
            // What cannot be read says nothing that would be lost, but only an administrator may know better.
            return Ok(false);
        };
        let mut left: Vec<_> = run.roots().collect();
        for other in self.runs(repository)?.into_iter().filter(|other| *other != id) {
            if left.is_empty() {
                break;
            }
            if let Some(other) = self.run(repository, other)? {
                left.retain(|(root, shards)| other.lookup(root).as_ref() != Some(shards));
            }
        }
        Ok(left.is_empty())
    }

    /// The list of runs for readers that cannot list, as it is now. The catalog must be locked.
    pub(super) fn current(&self, repository: &str) -> Result<Vec<u8>> {
        let runs = self.runs(repository)?;
        Ok(runs.iter().map(|id| format!("{id}\n")).collect::<String>().into_bytes())
    }

    /// Writes that list.
    pub(super) fn put_current(&self, repository: &str) -> Result<()> {
        let body = Body::from(self.current(repository)?);
        let key = full(repository, "catalog/current");
        self.transport().put(&key, &body, PutMode::Overwrite).map(drop)
    }
}
