//! Checking all of a shard, as a merge and `verify` need it.

use super::{BODIES_START, Shard};
use crate::hash::ShardId;
use crate::store::Result;
use crate::store::sorted::{FAN_LEN, FanOut};

impl Shard {
    /// Whether the bytes have the hash that is the shard's name.
    ///
    /// # Errors
    /// [`StoreError::DamagedShard`](crate::store::StoreError::DamagedShard) when not.
    pub fn verify_hash(&self) -> Result<()> {
        if ShardId::of(&self.bytes) == self.id() {
            Ok(())
        } else {
            Err(self.damaged("its content does not have the hash that is its name"))
        }
    }

    /// Checks the hash and every record: a shard that passes gives no error in any lookup. Reads the whole file.
    ///
    /// # Errors
    /// [`StoreError::DamagedShard`](crate::store::StoreError::DamagedShard) when something is not sound.
    pub fn verify(&self) -> Result<()> {
        self.verify_hash()?;
        self.check_slots()?;
        self.check_order()?;
        self.check_recipes()
    }

    fn check_slots(&self) -> Result<()> {
        for pack in self.packs() {
            let mut next = u64::from(BODIES_START);
            for slot in self.slots(pack) {
                let slot = slot?;
                if slot.offset != next {
                    return Err(self.damaged("a pack's bodies are not back to back"));
                }
                next += u64::from(slot.chunk.stored_len);
            }
        }
        Ok(())
    }

    fn check_order(&self) -> Result<()> {
        let mut fan = FanOut::new();
        let mut before = None;
        for place in 0..self.layout.counts.slots {
            let slot = self
                .ordered_slot(place)
                .ok_or_else(|| self.damaged("a slot number is out of range"))?;
            // Strictly ascending pairs cannot repeat a slot number, so each slot is there once.
            let now = (self.slot_id(slot), slot);
            if before.is_some_and(|before| before >= now) {
                return Err(self.damaged("its slots are not sorted"));
            }
            before = Some(now);
            fan.count(now.0);
        }
        self.check_fan(self.layout.fan, &fan)
    }

    fn check_recipes(&self) -> Result<()> {
        let mut fan = FanOut::new();
        let mut next_term = 0;
        let mut named = vec![false; self.layout.counts.packs as usize];
        for i in 0..self.layout.counts.recipes {
            if i > 0 && self.recipe_id(i - 1) >= self.recipe_id(i) {
                return Err(self.damaged("its recipes are not sorted"));
            }
            fan.count(self.recipe_id(i));
            let terms = self.recipe_terms(i)?;
            if terms.start != next_term {
                return Err(self.damaged("its terms are not in the order of its recipes"));
            }
            next_term = terms.end;
            for term in terms {
                let (pack, first, count) = self.term_at(term);
                let named = named
                    .get_mut(pack as usize)
                    .ok_or_else(|| self.damaged("a term names no pack"))?;
                *named = true;
                // Whether the pack has these slots is not asked: the pack may be described by a shard that is yet
                // to be merged into this one, and that must not make the whole invalid.
                if count == 0 || first.checked_add(count).is_none() {
                    return Err(self.damaged("a term names no slots of a pack"));
                }
            }
        }
        if next_term != self.layout.counts.terms {
            return Err(self.damaged("it has terms without a recipe"));
        }
        if self.all_packs().zip(named).any(|(pack, named)| pack.kind.is_none() && !named) {
            return Err(self.damaged("it has a pack that nothing names"));
        }
        self.check_fan(self.layout.recipe_fan, &fan)
    }

    fn check_fan(&self, at: usize, counted: &FanOut) -> Result<()> {
        if self.bytes.get(at..at + FAN_LEN) == Some(&counted.to_bytes()) {
            Ok(())
        } else {
            Err(self.damaged("a fan-out does not count its records"))
        }
    }
}
