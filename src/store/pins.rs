//! Pins (`docs/formats.md`): what a process has answered for, is about to be named by somebody else, and has to stay
//! in the cache although that process does not hold it now.
//!
//! Invariants: pins are written while the cache is held, so who holds it alone sees all of them, whole; they count as
//! long as their process lives. Not promised: anything beyond that.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cache::Cache;
use super::{Access, Result, StoreError};
use crate::fs::{self, AppendFile};
use crate::hash::FileId;

const MAGIC: &[u8; 8] = b"MVPINS\x01\0";
/// The largest file of pins that is read: ids of some 30 million files.
const MAX_LEN: u64 = 1 << 30;

/// Pins of this process; gone when dropped.
#[derive(Debug, Default)]
pub struct Pins {
    file: Option<AppendFile>,
    len: u64,
}

impl Pins {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Pins files of `cache`, which is always the same one.
    ///
    /// # Errors
    /// When they cannot be written; none of these is pinned then.
    pub fn add(&mut self, cache: &Cache, ids: &[FileId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(create(cache)?),
        };
        // What is left of an attempt that failed goes first.
        file.truncate(self.len)?;
        let mut bytes = Vec::with_capacity(MAGIC.len() + ids.len() * 32);
        if self.len == 0 {
            bytes.extend_from_slice(MAGIC);
        }
        bytes.extend(ids.iter().flat_map(|id| *id.as_bytes()));
        file.append(&bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // What stays is removed by whoever collects.
            let _ = file.remove();
        }
    }
}

fn create(cache: &Cache) -> Result<AppendFile> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let dir = cache.pins_dir();
    fs::create_dir_all(&dir)?;
    loop {
        let name = format!("{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        if let Some(file) = AppendFile::create(&dir.join(name))? {
            return Ok(file);
        }
    }
}

impl Cache {
    /// What is pinned by processes that live. To be asked before anything is asked that their work changes. Pins of
    /// others are removed.
    ///
    /// # Errors
    /// When the cache is not held alone, or pins cannot be read, perhaps because a newer modver wrote them.
    pub fn pinned(&self) -> Result<HashSet<FileId>> {
        if self.access() != Access::Exclusive {
            return Err(StoreError::NotExclusive);
        }
        let dir = self.pins_dir();
        let names = match fs::list(&dir) {
            Ok(names) => names,
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let mut pinned = HashSet::new();
        for name in names {
            let path = dir.join(name);
            if let Some(left) = AppendFile::take_over(&path)? {
                left.remove()?;
                continue;
            }
            let Some(bytes) = fs::read_if_exists(&path, MAX_LEN)? else {
                continue;
            };
            if bytes.is_empty() {
                continue;
            }
            let ids = bytes.strip_prefix(MAGIC).unwrap_or(&[0]).chunks(32);
            for id in ids {
                let id = <[u8; 32]>::try_from(id).map_err(|_| StoreError::DamagedPins(path.clone()))?;
                pinned.insert(FileId::from_bytes(id));
            }
        }
        Ok(pinned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Progress;

    #[test]
    fn pins_live_as_long_as_their_process_says() {
        let dir = tempfile::tempdir().unwrap();
        let open = |access| Cache::open(dir.path(), access, &Progress::new(), |_| {}).unwrap();
        let ids: Vec<FileId> = (0..3).map(|i| FileId::of(&[i])).collect();
        let mut pins = Pins::new();
        {
            let cache = open(Access::Shared);
            pins.add(&cache, &ids[..1]).unwrap();
            pins.add(&cache, &[]).unwrap();
            pins.add(&cache, &ids[1..]).unwrap();
            assert!(matches!(cache.pinned(), Err(StoreError::NotExclusive)));
        }
        let all: HashSet<FileId> = ids.into_iter().collect();
        assert_eq!(open(Access::Exclusive).pinned().unwrap(), all);
        drop(pins);
        // One that was killed, and one that is not understood.
        std::fs::write(dir.path().join("pins/1-0"), b"MVPINS\x02\0").unwrap();
        assert!(open(Access::Exclusive).pinned().unwrap().is_empty());
        assert_eq!(std::fs::read_dir(dir.path().join("pins")).unwrap().count(), 0);
        let newer = AppendFile::create(&dir.path().join("pins/1-0")).unwrap();
        std::fs::write(dir.path().join("pins/1-0"), b"MVPINS\x02\0").unwrap();
        assert!(matches!(
            open(Access::Exclusive).pinned(),
            Err(StoreError::DamagedPins(_))
        ));
        drop(newer);
    }
}
