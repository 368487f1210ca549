//! Filling packs one after the other, data and trees apart, when the bodies come one by one.

use std::path::PathBuf;

use super::{PackWriter, PageCache, SealedPack};
use crate::store::draft::Place;
use crate::store::{PackKind, Result, Slot};

/// At most one open pack of each kind. Packs are numbered in the order in which they are begun.
pub struct PackFiller {
    tmp_dir: PathBuf,
    page_cache: PageCache,
    begun: u32,
    open: [Option<(u32, PackWriter)>; 2],
}

impl PackFiller {
    /// Nothing is open yet; packs will be made in `tmp_dir`.
    #[must_use]
    pub const fn new(tmp_dir: PathBuf, page_cache: PageCache) -> Self {
        Self {
            tmp_dir,
            page_cache,
            begun: 0,
            open: [None, None],
        }
    }

    /// Appends a chunk; returns where it is, and whether its pack is full and should be sealed.
    ///
    /// # Errors
    /// As [`PackWriter::append`].
    pub fn append(&mut self, kind: PackKind, slot: Slot, body: &[u8]) -> Result<(Place, bool)> {
        let (number, writer) = match &mut self.open[kind as usize] {
            Some(open) => open,
            none => {
                let writer = PackWriter::create(&self.tmp_dir, kind, self.page_cache)?;
                self.begun += 1;
                none.insert((self.begun - 1, writer))
            }
        };
        let place = (*number, writer.append(slot, body)?);
        Ok((place, writer.is_full()))
    }

    /// Completes the open pack of a kind, if there is one.
    ///
    /// # Errors
    /// As [`PackWriter::finish`].
    pub fn seal(&mut self, kind: PackKind) -> Result<Option<(u32, SealedPack)>> {
        match self.open[kind as usize].take() {
            Some((number, writer)) => Ok(Some((number, writer.finish()?))),
            None => Ok(None),
        }
    }

    /// How many packs were begun.
    #[must_use]
    pub const fn begun(&self) -> u32 {
        self.begun
    }
}
