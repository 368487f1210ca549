//! Journals: small files on their way into packs (`docs/formats.md`, "Journal").
//!
//! Who stores files one at a time and has to answer for each before the next is known cannot sync a pack for each.
//! It appends the content to a journal of its own instead, and puts what is there into packs when there is much of it,
//! when nothing more comes, and at the end.
//!
//! Invariants: what [`Journal::add`] returned for is in the cache or in a journal in the kernel's hands, so that it
//! outlives the process; [`Journal::settle`] makes it durable. Whoever opens a cache takes in the journals of
//! processes that are gone before anything else; one that cannot be taken in stays, whole, and is tried again. A
//! record counts only if its bytes have its id: a torn one was never answered for.
//!
//! Not promised: that content which was not settled survives the machine.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::cache::Cache;
use super::{PackKind, Result, StoreError};
use crate::chunk;
use crate::fs::{self, AppendFile};
use crate::hash::FileId;
use crate::progress::Progress;

const MAGIC: &[u8; 8] = b"MVJRNL\x01\0";
/// Id and length.
const RECORD: usize = 32 + 8;
/// The largest file a journal takes: what is larger is worth a transaction of its own.
const MAX_FILE: usize = 8 << 20;
/// Bytes in a journal that are settled without waiting for more.
const FULL: u64 = 256 << 20;
/// Bytes that are read back and stored together.
const BATCH: usize = 16 << 20;

/// A journal of this process; see the module.
#[derive(Debug)]
pub struct Journal {
    cache: Cache,
    progress: Arc<Progress>,
    /// Made with the first file.
    file: Option<AppendFile>,
    len: u64,
    /// Whether there is more in the file than `len`, which has to go before anything is appended.
    torn: bool,
    held: HashSet<FileId>,
    record: Vec<u8>,
}

impl Journal {
    /// The largest file it takes, in bytes.
    pub const MAX_FILE: usize = MAX_FILE;

    /// A journal for additions to `cache`; nothing is written yet.
    #[must_use]
    pub fn new(cache: &Cache, progress: &Arc<Progress>) -> Self {
        Self {
            cache: cache.clone(),
            progress: Arc::clone(progress),
            file: None,
            len: 0,
            torn: false,
            held: HashSet::new(),
            record: Vec::new(),
        }
    }

    /// Whether there is content that was not settled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Stores a file of at most [`Journal::MAX_FILE`] bytes that are at hand.
    ///
    /// # Errors
    /// When the journal cannot be written, or, if it was full, not be settled.
    pub fn add(&mut self, content: &[u8]) -> Result<FileId> {
        debug_assert!(content.len() <= MAX_FILE, "it would not be read back");
        let id = FileId::of(content);
        if self.held.contains(&id) || self.cache.contains(&id)? {
            return Ok(id);
        }
        if self.len >= FULL {
            self.settle()?;
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut file = create(&self.cache)?;
                if let Err(error) = file.append(MAGIC) {
                    let _ = file.remove();
                    return Err(error.into());
                }
                self.len = MAGIC.len() as u64;
                none.insert(file)
            }
        };
        if self.torn {
            file.truncate(self.len)?;
            self.torn = false;
        }
        self.record.clear();
        self.record.extend_from_slice(id.as_bytes());
        self.record.extend_from_slice(&(content.len() as u64).to_le_bytes());
        self.record.extend_from_slice(content);
        if let Err(error) = file.append(&self.record) {
            // A part of it would hide what follows.
            self.torn = file.truncate(self.len).is_err();
            return Err(error.into());
        }
        self.len += self.record.len() as u64;
        self.held.insert(id);
        Ok(id)
    }

    /// Puts everything into packs, durably. When it fails, the journal stays as it is.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn settle(&mut self) -> Result<()> {
        let Some(file) = self.file.as_mut().filter(|_| !self.held.is_empty()) else {
            return Ok(());
        };
        // Somebody has damaged it: what was answered for is gone.
        if (file.size()? < self.len || !store(&self.cache, &self.progress, file)?)
            && let Some(lost) = self.held.iter().next()
        {
            return Err(StoreError::MissingFile(*lost));
        }
        self.held.clear();
        self.len = MAGIC.len() as u64;
        self.torn = true;
        file.truncate(self.len)?;
        self.torn = false;
        Ok(())
    }

    /// Settles and removes it.
    ///
    /// # Errors
    /// As [`Journal::settle`]; the next process that opens the cache then takes it in.
    pub fn finish(mut self) -> Result<()> {
        self.settle()?;
        Ok(self.file.map_or(Ok(()), AppendFile::remove)?)
    }
}

fn create(cache: &Cache) -> Result<AppendFile> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let dir = cache.journal_dir();
    fs::create_dir_all(&dir)?;
    loop {
        // A name that a process of the same number left behind is taken.
        let name = format!("{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        if let Some(file) = AppendFile::create(&dir.join(name))? {
            return Ok(file);
        }
    }
}

/// Takes in the journals of processes that are gone. One that cannot be taken in, on a full disk or with a damaged
/// index, stays for the next process: its records are whole, so it needs nothing that gc could remove meanwhile.
pub(super) fn take_in(cache: &Cache) {
    let dir = cache.journal_dir();
    for name in fs::list(&dir).unwrap_or_default() {
        let _ = take_in_one(cache, &dir.join(name));
    }
}

fn take_in_one(cache: &Cache, path: &Path) -> Result<()> {
    let Some(mut file) = AppendFile::take_over(path)? else {
        return Ok(());
    };
    // One that is not understood may be a newer modver's.
    if store(cache, &Arc::new(Progress::new()), &mut file)? {
        file.remove()?;
    }
    Ok(())
}

/// Stores the whole records of a journal; `false` when it is no journal of this format.
fn store(cache: &Cache, progress: &Arc<Progress>, file: &mut AppendFile) -> Result<bool> {
    let len = file.size()?;
    let mut magic = [0; MAGIC.len()];
    if len < MAGIC.len() as u64 {
        return Ok(true);
    }
    file.read_exact_at(&mut magic, 0)?;
    if magic != *MAGIC {
        return Ok(false);
    }
    let mut at = MAGIC.len() as u64;
    let transaction = cache.transaction(progress)?;
    let mut batch: Vec<(FileId, Vec<u8>)> = Vec::new();
    let mut bytes = 0;
    loop {
        let next = read_record(file, at, len)?;
        if let Some((id, content)) = next {
            at += (RECORD + content.len()) as u64;
            bytes += content.len();
            batch.push((id, content));
            if bytes < BATCH {
                continue;
            }
        } else if batch.is_empty() {
            break;
        }
        let (small, large): (Vec<_>, Vec<_>) = batch.drain(..).partition(|(_, content)| content.len() <= chunk::MAX);
        bytes = 0;
        let add = |(id, content): (FileId, Vec<u8>)| {
            if FileId::of(&content) == id {
                transaction.add_bytes(PackKind::Data, &content)?;
            }
            Ok(())
        };
        let added = small
            .into_par_iter()
            .with_min_len(16)
            .try_for_each(add)
            // These are cut and encoded in parallel each.
            .and_then(|()| large.into_iter().try_for_each(add));
        if let Err(error) = added {
            return Err(transaction.cause(error));
        }
    }
    transaction.commit().map(|_| true)
}

/// The record at `at`, if it is whole.
fn read_record(file: &AppendFile, at: u64, len: u64) -> Result<Option<(FileId, Vec<u8>)>> {
    let mut head = [0; RECORD];
    if len.saturating_sub(at) < RECORD as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut head, at)?;
    let (mut id, mut size) = ([0; 32], [0; 8]);
    id.copy_from_slice(&head[..32]);
    size.copy_from_slice(&head[32..]);
    let size = u64::from_le_bytes(size);
    if size > MAX_FILE as u64 || len - at - (RECORD as u64) < size {
        return Ok(None);
    }
    let mut content = vec![0; size as usize];
    file.read_exact_at(&mut content, at + RECORD as u64)?;
    Ok(Some((FileId::from_bytes(id), content)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::expand;
    use crate::store::Access;
    use std::path::PathBuf;

    fn open(dir: &Path) -> Cache {
        Cache::open(dir, Access::Shared, &crate::progress::Progress::new(), |_| {}).unwrap()
    }

    fn contents() -> Vec<Vec<u8>> {
        vec![
            b"small".to_vec(),
            expand(b"one chunk", chunk::MAX),
            expand(b"several", 3 << 20),
            b"last".to_vec(),
        ]
    }

    fn filled(cache: &Cache) -> Journal {
        let mut journal = Journal::new(cache, &Arc::new(Progress::new()));
        for content in contents() {
            assert_eq!(journal.add(&content).unwrap(), FileId::of(&content));
            journal.add(&content).unwrap();
        }
        journal
    }

    fn journals(dir: &Path) -> Vec<PathBuf> {
        let listed = std::fs::read_dir(dir.join("journal")).unwrap();
        listed.map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn what_is_settled_is_in_packs_and_the_journal_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path());
        let mut journal = filled(&cache);
        assert!(!journal.is_empty());
        journal.settle().unwrap();
        assert!(journal.is_empty());
        for content in contents() {
            let read = cache.read_file(FileId::of(&content), u64::MAX).unwrap();
            assert!(read == content);
        }
        journal.add(b"more").unwrap();
        journal.finish().unwrap();
        assert!(cache.contains(&FileId::of(b"more")).unwrap());
        assert!(journals(dir.path()).is_empty());
    }

    #[test]
    fn whoever_opens_the_cache_takes_in_what_a_dead_process_left() {
        for torn in [0, 1, 40, 44] {
            let dir = tempfile::tempdir().unwrap();
            let cache = open(dir.path());
            let journal = filled(&cache);
            // It is in use: nobody else touches it.
            let other = open(dir.path());
            assert!(!other.contains(&FileId::of(b"small")).unwrap());
            drop(journal);
            let [path] = &journals(dir.path())[..] else { panic!() };
            let len = std::fs::metadata(path).unwrap().len();
            let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(len - torn).unwrap();
            let cache = open(dir.path());
            assert!(journals(dir.path()).is_empty());
            for (i, content) in contents().iter().enumerate() {
                let whole = torn == 0 || i + 1 < contents().len();
                assert_eq!(cache.contains(&FileId::of(content)).unwrap(), whole, "{torn} {i}");
            }
        }
    }

    #[test]
    fn a_journal_that_lost_its_header_is_not_settled() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path());
        let mut journal = filled(&cache);
        let [path] = &journals(dir.path())[..] else { panic!() };
        let whole = std::fs::read(path).unwrap();
        for damage in [&whole[8..], &whole[..100], &[0; 1000], &[]] {
            std::fs::write(path, damage).unwrap();
            assert!(matches!(journal.settle(), Err(StoreError::MissingFile(_))));
            assert!(!journal.is_empty());
            assert_eq!(std::fs::read(path).unwrap(), damage);
        }
        std::fs::write(path, &whole).unwrap();
        journal.finish().unwrap();
        assert!(cache.contains(&FileId::of(b"last")).unwrap());
    }

    #[test]
    fn what_cannot_be_taken_in_keeps_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        drop(filled(&open(dir.path())));
        let blocked = dir.path().join("journal/blocked");
        std::fs::create_dir(&blocked).unwrap();
        let cache = open(dir.path());
        assert!(cache.contains(&FileId::of(b"small")).unwrap());
        assert_eq!(journals(dir.path()), [blocked]);
    }

    #[test]
    fn garbage_in_a_journal_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path());
        drop(filled(&cache));
        let [path] = &journals(dir.path())[..] else { panic!() };
        let whole = std::fs::read(path).unwrap();
        for (at, byte) in [(0, 9), (8, 1), (44, 7), (48, 255)] {
            let mut bytes = whole.clone();
            bytes[at] ^= byte;
            std::fs::write(path, &bytes).unwrap();
            let cache = open(dir.path());
            assert!(!cache.contains(&FileId::of(b"small")).unwrap());
        }
        std::fs::write(path, b"x").unwrap();
        open(dir.path());
        assert!(journals(dir.path()).is_empty());
    }
}
