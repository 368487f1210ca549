//! Writing a shard from what a transaction stored.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::{BODIES_START, Counts, MAX_RAW_LEN, PackInfo, SLOT_LEN, Shard, recipe_record, term_record};
use crate::hash::{FileId, ID_LEN, PackId};
use crate::store::sorted::{FanOut, id_at};
use crate::store::{PackKind, Recipe, Result, Slot, StoreError};

/// Collects packs and recipes. The same content gives the same bytes, in whatever order it was added.
#[derive(Debug, Default)]
pub struct ShardBuilder {
    packs: BTreeMap<PackId, Introduced>,
    recipes: BTreeMap<FileId, Recipe>,
    slots: usize,
    terms: usize,
}

/// Ordered as [`super::merge`] orders descriptions of one pack, so that both keep the same one.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Introduced {
    kind: PackKind,
    bodies_end: u32,
    file_len: u64,
    /// The slots as they are in the file.
    records: Vec<u8>,
}

impl ShardBuilder {
    /// A builder of a shard of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pack of `file_len` bytes with its slots in pack order. Adding it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::DamagedPack`] when the slots are not those of a pack of the format, [`StoreError::TooMany`]
    /// when they end beyond 4 GiB.
    pub fn add_pack(&mut self, id: PackId, kind: PackKind, file_len: u64, slots: &[Slot]) -> Result<()> {
        let refuse = |defect| StoreError::DamagedPack { pack: id, defect };
        if slots.is_empty() {
            return Err(refuse("it has no chunks"));
        }
        let mut bodies_end = BODIES_START;
        let mut records = Vec::with_capacity(slots.len() * SLOT_LEN);
        for slot in slots {
            if slot.raw_len > MAX_RAW_LEN || slot.stored_len > slot.raw_len {
                return Err(refuse("a slot's lengths are impossible"));
            }
            records.extend_from_slice(slot.chunk.as_bytes());
            records.extend_from_slice(&bodies_end.to_le_bytes());
            records.extend_from_slice(&(slot.raw_len | (slot.codec as u32) << 24).to_le_bytes());
            bodies_end = bodies_end.checked_add(slot.stored_len).ok_or(StoreError::TooMany)?;
        }
        if file_len < u64::from(bodies_end) {
            return Err(refuse("it is shorter than its chunks"));
        }
        let pack = Introduced {
            kind,
            bodies_end,
            file_len,
            records,
        };
        match self.packs.entry(id) {
            Entry::Vacant(entry) => {
                self.slots += slots.len();
                entry.insert(pack);
            }
            Entry::Occupied(mut entry) if pack < *entry.get() => {
                self.slots = self.slots - entry.get().records.len() / SLOT_LEN + slots.len();
                entry.insert(pack);
            }
            Entry::Occupied(_) => {}
        }
        Ok(())
    }

    /// Adds a pack as another shard describes it. One that is described elsewhere is not added.
    ///
    /// # Errors
    /// As [`ShardBuilder::add_pack`], or when a slot is not sound.
    pub fn add_described(&mut self, shard: &Shard, pack: PackInfo) -> Result<()> {
        let Some(kind) = pack.kind else { return Ok(()) };
        let slots = shard
            .slots(pack)
            .map(|location| location.map(|location| location.chunk))
            .collect::<Result<Vec<_>>>()?;
        self.add_pack(pack.id, kind, pack.file_len, &slots)
    }

    /// Adds how a file is put together. Packs that recipes name and that are not added count as introduced by
    /// another shard. Of several recipes of a file the one with fewest terms stays.
    ///
    /// # Errors
    /// [`StoreError::DamagedRecipe`] when it has no terms or one of no slots.
    pub fn add_recipe(&mut self, recipe: Recipe) -> Result<()> {
        let sound = |count: u32, first: u32| count > 0 && first.checked_add(count).is_some();
        if recipe.terms.is_empty() || !recipe.terms.iter().all(|term| sound(term.count, term.first)) {
            return Err(StoreError::DamagedRecipe(recipe.file));
        }
        match self.recipes.entry(recipe.file) {
            Entry::Vacant(entry) => {
                self.terms += recipe.terms.len();
                entry.insert(recipe);
            }
            Entry::Occupied(mut entry) if preference(&recipe).lt(preference(entry.get())) => {
                self.terms = self.terms - entry.get().terms.len() + recipe.terms.len();
                entry.insert(recipe);
            }
            Entry::Occupied(_) => {}
        }
        Ok(())
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty() && self.recipes.is_empty()
    }

    /// Number of slots.
    #[must_use]
    pub const fn chunk_count(&self) -> usize {
        self.slots
    }

    /// Bytes of memory held, roughly; building takes half as much again.
    #[must_use]
    pub fn memory(&self) -> usize {
        const NODE: usize = 96;
        self.slots * SLOT_LEN + self.terms * 40 + (self.packs.len() + self.recipes.len()) * NODE
    }

    /// The shard's bytes.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] when there are more slots or terms than the format can count;
    /// [`StoreError::DamagedRecipe`] when a recipe names slots that an added pack does not have.
    pub fn build(self) -> Result<Vec<u8>> {
        let named: BTreeSet<PackId> = self
            .recipes
            .values()
            .flat_map(|recipe| &recipe.terms)
            .map(|term| term.pack)
            .chain(self.packs.keys().copied())
            .collect();
        let counts = Counts::checked(named.len(), self.slots, self.recipes.len(), self.terms)?;
        let mut packs = Vec::with_capacity(named.len());
        let mut next_slot = 0;
        for id in named {
            let mut pack = PackInfo::elsewhere(id);
            if let Some(introduced) = self.packs.get(&id) {
                pack.kind = Some(introduced.kind);
                pack.bodies_end = introduced.bodies_end;
                pack.file_len = introduced.file_len;
                pack.slots = (introduced.records.len() / SLOT_LEN) as u32;
            }
            pack.first_slot = next_slot;
            next_slot += pack.slots;
            packs.push(pack);
        }

        let mut out = counts.encode().to_vec();
        for pack in &packs {
            out.extend_from_slice(&pack.encode());
        }
        let slots_at = out.len();
        for pack in self.packs.values() {
            out.extend_from_slice(&pack.records);
        }
        put_order(&mut out, slots_at);
        put_recipes(&mut out, &packs, self.recipes.values())?;
        Ok(out)
    }
}

/// What decides between two recipes of one file.
pub(super) fn preference(recipe: &Recipe) -> impl Iterator<Item = (u64, [u8; ID_LEN], u32)> {
    let head = [
        (recipe.terms.len() as u64, [0; ID_LEN], 0),
        (recipe.size, [0; ID_LEN], 0),
    ];
    let terms = recipe.terms.iter();
    head.into_iter()
        .chain(terms.map(|term| (u64::from(term.first), *term.pack.as_bytes(), term.count)))
}

/// Appends the fan-out and the sorted numbers of the slots that `out` holds from `slots_at`.
fn put_order(out: &mut Vec<u8>, slots_at: usize) {
    let records = out.get(slots_at..).unwrap_or_default();
    let id_of = |slot: u32| id_at(records, slot as usize * SLOT_LEN);
    let mut fan = FanOut::new();
    // Sorting by a prefix held beside the number keeps the sort in cache; the full ids decide the rare ties.
    let mut order: Vec<(u64, u32)> = (0..(records.len() / SLOT_LEN) as u32)
        .map(|slot| {
            let id = id_of(slot);
            fan.count(id);
            (id.first_chunk().map_or(0, |prefix| u64::from_be_bytes(*prefix)), slot)
        })
        .collect();
    order.sort_unstable_by(|a, b| {
        a.0.cmp(&b.0)
            .then_with(|| id_of(a.1).cmp(id_of(b.1)))
            .then(a.1.cmp(&b.1))
    });
    out.extend_from_slice(&fan.to_bytes());
    out.reserve(order.len() * 4);
    out.extend(order.iter().flat_map(|(_, slot)| slot.to_le_bytes()));
}

/// Appends the recipe fan-out, recipes and terms.
fn put_recipes<'a>(
    out: &mut Vec<u8>,
    packs: &[PackInfo],
    recipes: impl Iterator<Item = &'a Recipe> + Clone,
) -> Result<()> {
    let mut fan = FanOut::new();
    for recipe in recipes.clone() {
        fan.count(recipe.file.as_bytes());
    }
    out.extend_from_slice(&fan.to_bytes());
    let mut next_term = 0_u32;
    for recipe in recipes.clone() {
        out.extend_from_slice(&recipe_record(recipe, next_term));
        next_term += recipe.terms.len() as u32;
    }
    for recipe in recipes {
        for term in &recipe.terms {
            let index = packs.partition_point(|pack| pack.id < term.pack);
            let beyond = |pack: &PackInfo| pack.kind.is_some() && term.first + term.count > pack.slots;
            if packs.get(index).is_none_or(beyond) {
                return Err(StoreError::DamagedRecipe(recipe.file));
            }
            out.extend_from_slice(&term_record(term, index as u32));
        }
    }
    Ok(())
}
