//! Looking things up in the bytes of a shard.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Deref, Range};
use std::path::Path;

use super::{
    BODIES_START, Counts, HEADER_LEN, KIND_ELSEWHERE, Layout, MAGIC, MAX_RAW_LEN, PACK_LEN, PackInfo, RECIPE_LEN,
    SLOT_LEN, TERM_LEN,
};
use crate::fs::Mmap;
use crate::hash::{ChunkId, FileId, ID_LEN, PackId, ShardId};
use crate::store::codec::Codec;
use crate::store::sorted::{bucket, fan_is_sound, id_at, search, u32_at, u64_at};
use crate::store::{Location, PackKind, Recipe, Result, Slot, StoreError, Term};

/// The bytes of a shard, in memory or in a mapped file.
#[derive(Debug)]
pub enum ShardBytes {
    /// A mapped file.
    Mapped(Mmap),
    /// Bytes in memory.
    Owned(Vec<u8>),
}

impl Deref for ShardBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for ShardBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}

impl From<Mmap> for ShardBytes {
    fn from(map: Mmap) -> Self {
        Self::Mapped(map)
    }
}

/// An open shard.
pub struct Shard {
    id: ShardId,
    pub(super) bytes: ShardBytes,
    pub(super) layout: Layout,
    /// The first slot of each pack, close together: finding a slot's pack is a good part of a lookup.
    first_slots: Vec<u32>,
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("id", &self.id)
            .field("counts", &self.layout.counts)
            .finish_non_exhaustive()
    }
}

impl Shard {
    /// Maps the shard at `path`. Its hash is not checked: see [`Shard::verify`].
    ///
    /// # Errors
    /// When it cannot be mapped, or as [`Shard::parse`].
    pub fn open(path: &Path, id: ShardId) -> Result<Self> {
        Self::parse(id, crate::fs::map_or_read(path)?)
    }

    /// Takes bytes for the shard `id`. Looks at the header, the packs and the fan-outs, not at each slot; does not
    /// check the hash.
    ///
    /// # Errors
    /// [`StoreError::DamagedShard`] when they do not have the form of a shard of this version.
    pub fn parse(id: ShardId, bytes: impl Into<ShardBytes>) -> Result<Self> {
        let bytes = bytes.into();
        let layout = sections(&bytes).map_err(|defect| StoreError::DamagedShard { shard: id, defect })?;
        let first_slots = (0..layout.counts.packs)
            .map(|i| pack_record(&bytes, i).first_slot)
            .collect();
        Ok(Self {
            id,
            bytes,
            layout,
            first_slots,
        })
    }

    /// The shard's name.
    #[must_use]
    pub const fn id(&self) -> ShardId {
        self.id
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of slots: a chunk that is in two packs counts twice.
    #[must_use]
    pub const fn chunk_count(&self) -> u32 {
        self.layout.counts.slots
    }

    /// Number of recipes.
    #[must_use]
    pub const fn recipe_count(&self) -> u32 {
        self.layout.counts.recipes
    }

    /// Where the chunk is; one of the places if there are several.
    ///
    /// # Errors
    /// [`StoreError::DamagedShard`] when the records that answer this are not sound.
    pub fn find(&self, chunk: &ChunkId) -> Result<Option<Location>> {
        let key = chunk.as_bytes();
        let range = bucket(&self.bytes, self.layout.fan, key);
        let place = search(range, key, |place| self.slot_id(self.raw_ordered_slot(place)));
        match place.map(|place| self.ordered_slot(place)) {
            Some(Some(slot)) => self.location(slot).map(Some),
            Some(None) => Err(self.damaged("a slot number is out of range")),
            None => Ok(None),
        }
    }

    /// How the file is put together, if this shard has a recipe for it.
    ///
    /// # Errors
    /// [`StoreError::DamagedShard`] when the recipe's records are not sound.
    pub fn recipe(&self, file: &FileId) -> Result<Option<Recipe>> {
        let key = file.as_bytes();
        let range = bucket(&self.bytes, self.layout.recipe_fan, key);
        search(range, key, |i| self.recipe_id(i))
            .map(|i| self.recipe_at(i))
            .transpose()
    }

    /// All recipes, in the order of their ids.
    ///
    /// # Errors
    /// An item is an error when that recipe's records are not sound.
    pub fn recipes(&self) -> impl Iterator<Item = Result<Recipe>> {
        (0..self.layout.counts.recipes).map(|i| self.recipe_at(i))
    }

    /// The pack, if this shard introduces it.
    #[must_use]
    pub fn pack(&self, id: &PackId) -> Option<PackInfo> {
        self.pack_index(id)
            .map(|i| self.pack_at(i))
            .filter(|pack| pack.kind.is_some())
    }

    /// The packs this shard introduces, in the order of their ids.
    pub fn packs(&self) -> impl Iterator<Item = PackInfo> {
        self.all_packs().filter(|pack| pack.kind.is_some())
    }

    /// The packs this shard introduces, and those that only its recipes name.
    pub fn named_packs(&self) -> impl Iterator<Item = PackId> {
        self.all_packs().map(|pack| pack.id)
    }

    /// The slots of a pack of [`Shard::packs`], in order.
    ///
    /// # Errors
    /// An item is an error when that slot is not sound.
    pub fn slots(&self, pack: PackInfo) -> impl Iterator<Item = Result<Location>> {
        (0..pack.slots).map(move |i| self.slot_in(&pack, i))
    }

    /// One slot of a pack of [`Shard::packs`]; `i` counts from 0 within the pack.
    ///
    /// # Errors
    /// [`StoreError::DamagedShard`] when the pack has no such slot or it is not sound.
    pub fn slot_in(&self, pack: &PackInfo, i: u32) -> Result<Location> {
        let slot = pack
            .first_slot
            .checked_add(i)
            .filter(|slot| i < pack.slots && *slot < self.layout.counts.slots)
            .ok_or_else(|| self.damaged("a slot number is out of range"))?;
        let at = self.layout.slots + slot as usize * SLOT_LEN;
        let offset = u32_at(&self.bytes, at + 32);
        let end = if i + 1 == pack.slots {
            pack.bodies_end
        } else {
            u32_at(&self.bytes, at + SLOT_LEN + 32)
        };
        let form = u32_at(&self.bytes, at + 36);
        let raw_len = form & 0x00ff_ffff;
        let codec = Codec::from_u8((form >> 24) as u8).ok_or_else(|| self.damaged("a slot has an unknown codec"))?;
        let stored_len = end
            .checked_sub(offset)
            .filter(|len| {
                offset >= BODIES_START && end <= pack.bodies_end && *len <= raw_len && raw_len <= MAX_RAW_LEN
            })
            .ok_or_else(|| self.damaged("a slot's lengths are impossible"))?;
        Ok(Location {
            pack: pack.id,
            slot: i,
            offset: u64::from(offset),
            chunk: Slot {
                chunk: ChunkId::from_bytes(*id_at(&self.bytes, at)),
                stored_len,
                raw_len,
                codec,
            },
        })
    }

    pub(super) fn damaged(&self, defect: &'static str) -> StoreError {
        StoreError::DamagedShard { shard: self.id, defect }
    }

    pub(super) fn all_packs(&self) -> impl Iterator<Item = PackInfo> {
        (0..self.layout.counts.packs).map(|i| self.pack_at(i))
    }

    pub(super) fn pack_at(&self, i: u32) -> PackInfo {
        pack_record(&self.bytes, i)
    }

    fn pack_index(&self, id: &PackId) -> Option<u32> {
        let (mut low, mut high) = (0, self.layout.counts.packs);
        while low < high {
            let middle = low + (high - low) / 2;
            match id_at(&self.bytes, HEADER_LEN + middle as usize * PACK_LEN).cmp(id.as_bytes()) {
                Ordering::Equal => return Some(middle),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The index of the pack that has this slot, which must exist. Packs without slots begin where the next
    /// begins, so the last one that begins at or before the slot is it.
    pub(super) fn pack_of_slot(&self, slot: u32) -> u32 {
        (self.first_slots.partition_point(|first| *first <= slot) as u32).saturating_sub(1)
    }

    fn location(&self, slot: u32) -> Result<Location> {
        let pack = self.pack_at(self.pack_of_slot(slot));
        self.slot_in(&pack, slot - pack.first_slot)
    }

    /// The slot number at a place of the sorted order; `None` if there is no such place or slot.
    pub(super) fn ordered_slot(&self, place: u32) -> Option<u32> {
        (place < self.layout.counts.slots)
            .then(|| self.raw_ordered_slot(place))
            .filter(|slot| *slot < self.layout.counts.slots)
    }

    fn raw_ordered_slot(&self, place: u32) -> u32 {
        u32_at(&self.bytes, self.layout.order + place as usize * 4)
    }

    /// The chunk id of a slot; what is beyond the slots gives some id or zeros.
    pub(super) fn slot_id(&self, slot: u32) -> &[u8; ID_LEN] {
        id_at(&self.bytes, self.layout.slots + slot as usize * SLOT_LEN)
    }

    /// The records of slots, as they are in the file.
    pub(super) fn slot_records(&self, pack: &PackInfo) -> &[u8] {
        let start = self.layout.slots + pack.first_slot as usize * SLOT_LEN;
        let end = start + pack.slots as usize * SLOT_LEN;
        self.bytes.get(start..end.min(self.layout.fan)).unwrap_or_default()
    }

    pub(super) fn recipe_id(&self, i: u32) -> &[u8; ID_LEN] {
        id_at(&self.bytes, self.layout.recipes + i as usize * RECIPE_LEN)
    }

    pub(super) fn recipe_size(&self, i: u32) -> u64 {
        u64_at(&self.bytes, self.layout.recipes + i as usize * RECIPE_LEN + 32)
    }

    /// The numbers of a recipe's terms, of which there are some and all exist.
    pub(super) fn recipe_terms(&self, i: u32) -> Result<Range<u32>> {
        let at = self.layout.recipes + i as usize * RECIPE_LEN;
        let (first, count) = (u32_at(&self.bytes, at + 40), u32_at(&self.bytes, at + 44));
        match first.checked_add(count) {
            Some(end) if count > 0 && end <= self.layout.counts.terms => Ok(first..end),
            _ => Err(self.damaged("a recipe's terms are out of range")),
        }
    }

    /// A term as it is in the file: index of the pack, first slot, count.
    pub(super) fn term_at(&self, i: u32) -> (u32, u32, u32) {
        let at = self.layout.terms + i as usize * TERM_LEN;
        (
            u32_at(&self.bytes, at),
            u32_at(&self.bytes, at + 4),
            u32_at(&self.bytes, at + 8),
        )
    }

    pub(super) fn recipe_at(&self, i: u32) -> Result<Recipe> {
        let terms = self
            .recipe_terms(i)?
            .map(|term| {
                let (pack, first, count) = self.term_at(term);
                if pack >= self.layout.counts.packs || count == 0 || first.checked_add(count).is_none() {
                    return Err(self.damaged("a term names no slots of a pack"));
                }
                let pack = self.pack_at(pack).id;
                Ok(Term { pack, first, count })
            })
            .collect::<Result<_>>()?;
        Ok(Recipe {
            file: FileId::from_bytes(*self.recipe_id(i)),
            size: self.recipe_size(i),
            terms,
        })
    }
}

fn pack_record(bytes: &[u8], i: u32) -> PackInfo {
    let at = HEADER_LEN + i as usize * PACK_LEN;
    PackInfo {
        id: PackId::from_bytes(*id_at(bytes, at)),
        kind: match bytes.get(at + 32) {
            Some(0) => Some(PackKind::Data),
            Some(1) => Some(PackKind::Tree),
            _ => None,
        },
        first_slot: u32_at(bytes, at + 36),
        slots: u32_at(bytes, at + 40),
        bodies_end: u32_at(bytes, at + 44),
        file_len: u64_at(bytes, at + 48),
    }
}

/// Checks everything that can be checked without looking at each slot and recipe.
fn sections(bytes: &[u8]) -> std::result::Result<Layout, &'static str> {
    let header = bytes.first_chunk::<HEADER_LEN>().ok_or("it is too short")?;
    if header[..6] != MAGIC[..6] {
        return Err("it is not a shard");
    }
    // The last eight bytes make the name of a shard unique; they say nothing.
    if header[6..8] != MAGIC[6..] {
        return Err("it is of another version");
    }
    let counts = Counts {
        packs: u32_at(header, 8),
        slots: u32_at(header, 12),
        recipes: u32_at(header, 16),
        terms: u32_at(header, 20),
    };
    let layout = counts
        .layout(bytes.len())
        .ok_or("its length is not what its header says")?;
    let mut next_slot = 0_u32;
    let mut before: Option<PackId> = None;
    for i in 0..counts.packs {
        let pack = pack_record(bytes, i);
        if before.is_some_and(|before| before >= pack.id) {
            return Err("its packs are not sorted");
        }
        before = Some(pack.id);
        let at = HEADER_LEN + i as usize * PACK_LEN;
        let sound = match pack.kind {
            Some(_) => {
                pack.slots > 0 && pack.bodies_end >= BODIES_START && u64::from(pack.bodies_end) <= pack.file_len
            }
            None if bytes.get(at + 32) == Some(&KIND_ELSEWHERE) => {
                (pack.slots, pack.bodies_end, pack.file_len) == (0, 0, 0)
            }
            None => return Err("it has a pack of an unknown kind"),
        };
        let zeros = bytes.get(at + 33..at + 36) == Some(&[0; 3]) && u64_at(bytes, at + 56) == 0;
        if !sound || !zeros || pack.first_slot != next_slot {
            return Err("a pack's fields are impossible");
        }
        next_slot = next_slot
            .checked_add(pack.slots)
            .filter(|next| *next <= counts.slots)
            .ok_or("a pack's slots are out of range")?;
    }
    if next_slot != counts.slots {
        return Err("it has slots without a pack");
    }
    if !fan_is_sound(bytes, layout.fan, counts.slots) || !fan_is_sound(bytes, layout.recipe_fan, counts.recipes) {
        return Err("a fan-out does not ascend to its total");
    }
    Ok(layout)
}
