//! Shards: immutable files that say which packs hold which chunks and how files are put together from them.
//!
//! The bytes are those of `docs/formats.md` and the lookup structure at once: a shard is memory-mapped and searched
//! in place. [`ShardBuilder`] and [`merge`] write one canonical form: what the bytes say decides them, not the order
//! or grouping in which it was added. Opening looks at the header, the packs and the fan-outs only; slots, recipes
//! and terms are checked when they are used, and all at once by [`Shard::verify`].
//!
//! Not promised: that a pack or a recipe which a shard names is right. A reader checks chunk and file ids.

mod build;
mod check;
mod merge;
mod read;

pub use build::ShardBuilder;
pub use merge::{merge, merge_into};
pub use read::{Shard, ShardBytes};

use super::sorted::FAN_LEN;
use super::{PackKind, Recipe, Result, StoreError, Term};
use crate::hash::PackId;

const MAGIC: [u8; 8] = *b"MVSHRD\x01\x00";
const HEADER_LEN: usize = 32;
const PACK_LEN: usize = 64;
const SLOT_LEN: usize = 40;
const RECIPE_LEN: usize = 48;
const TERM_LEN: usize = 12;
/// Where the first body of a pack begins.
const BODIES_START: u32 = 8;
const MAX_RAW_LEN: u32 = 262_144;
const KIND_ELSEWHERE: u8 = 255;

/// Bytes of a shard that make its name unique.
pub const SALT_LEN: usize = 8;

/// Gives a shard another name without changing what it says.
pub fn salt(shard: &mut [u8], salt: [u8; SALT_LEN]) {
    if let Some(place) = shard.get_mut(HEADER_LEN - SALT_LEN..HEADER_LEN) {
        place.copy_from_slice(&salt);
    }
}

/// A pack as a shard describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackInfo {
    /// The pack.
    pub id: PackId,
    /// What it holds; `None` when another shard introduces it and this one only names it.
    pub kind: Option<PackKind>,
    /// Number of the first of its slots in the shard.
    pub first_slot: u32,
    /// How many slots it has.
    pub slots: u32,
    /// Offset in the pack at which the last body ends.
    pub bodies_end: u32,
    /// Bytes of the pack file.
    pub file_len: u64,
}

impl PackInfo {
    const fn elsewhere(id: PackId) -> Self {
        Self {
            id,
            kind: None,
            first_slot: 0,
            slots: 0,
            bodies_end: 0,
            file_len: 0,
        }
    }

    fn encode(&self) -> [u8; PACK_LEN] {
        let mut bytes = [0; PACK_LEN];
        bytes[..32].copy_from_slice(self.id.as_bytes());
        bytes[32] = self.kind.map_or(KIND_ELSEWHERE, |kind| kind as u8);
        bytes[36..40].copy_from_slice(&self.first_slot.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.slots.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.bodies_end.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.file_len.to_le_bytes());
        bytes
    }
}

/// How many records of each section there are, and so where the sections are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    packs: u32,
    slots: u32,
    recipes: u32,
    terms: u32,
}

impl Counts {
    fn checked(packs: usize, slots: usize, recipes: usize, terms: usize) -> Result<Self> {
        let count = |n: usize| u32::try_from(n).map_err(|_| StoreError::TooMany);
        Ok(Self {
            packs: count(packs)?,
            slots: count(slots)?,
            recipes: count(recipes)?,
            terms: count(terms)?,
        })
    }

    fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        let fields = [self.packs, self.slots, self.recipes, self.terms];
        for (field, value) in bytes[8..24].chunks_exact_mut(4).zip(fields) {
            field.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    /// The sections of a file of exactly `len` bytes; `None` if it has another length.
    fn layout(self, len: usize) -> Option<Layout> {
        let size = HEADER_LEN as u64
            + u64::from(self.packs) * PACK_LEN as u64
            + u64::from(self.slots) * (SLOT_LEN as u64 + 4)
            + u64::from(self.recipes) * RECIPE_LEN as u64
            + u64::from(self.terms) * TERM_LEN as u64
            + 2 * FAN_LEN as u64;
        if size != len as u64 {
            return None;
        }
        // None of these can overflow: each is at most `len`.
        let slots = HEADER_LEN + self.packs as usize * PACK_LEN;
        let fan = slots + self.slots as usize * SLOT_LEN;
        let order = fan + FAN_LEN;
        let recipe_fan = order + self.slots as usize * 4;
        let recipes = recipe_fan + FAN_LEN;
        let terms = recipes + self.recipes as usize * RECIPE_LEN;
        Some(Layout {
            counts: self,
            slots,
            fan,
            order,
            recipe_fan,
            recipes,
            terms,
        })
    }
}

/// Offsets of the sections.
#[derive(Debug, Clone, Copy)]
struct Layout {
    counts: Counts,
    slots: usize,
    fan: usize,
    order: usize,
    recipe_fan: usize,
    recipes: usize,
    terms: usize,
}

fn recipe_record(recipe: &Recipe, first_term: u32) -> [u8; RECIPE_LEN] {
    let mut bytes = [0; RECIPE_LEN];
    bytes[..32].copy_from_slice(recipe.file.as_bytes());
    bytes[32..40].copy_from_slice(&recipe.size.to_le_bytes());
    bytes[40..44].copy_from_slice(&first_term.to_le_bytes());
    bytes[44..].copy_from_slice(&(recipe.terms.len() as u32).to_le_bytes());
    bytes
}

fn term_record(term: &Term, pack: u32) -> [u8; TERM_LEN] {
    let mut bytes = [0; TERM_LEN];
    bytes[..4].copy_from_slice(&pack.to_le_bytes());
    bytes[4..8].copy_from_slice(&term.first.to_le_bytes());
    bytes[8..].copy_from_slice(&term.count.to_le_bytes());
    bytes
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
