//! Recipes in the making: runs of slots in packs that may not have their names yet.

use std::collections::HashMap;

use super::{Location, Recipe, Term};
use crate::hash::{FileId, PackId};

/// Where a chunk of a transaction or push is: number of the pack within it, slot.
pub type Place = (u32, u32);

/// A pack by number within the transaction, or one that was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PackRef {
    New(u32),
    Old(PackId),
}

#[derive(Debug, Clone, Copy)]
struct Run {
    pack: PackRef,
    first: u32,
    count: u32,
}

/// A recipe whose chunks are still arriving, or whose packs are.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    runs: Vec<Run>,
}

impl Draft {
    /// The next chunk is in a pack that has only a number yet.
    pub fn push_new(&mut self, (pack, slot): Place) {
        self.push(PackRef::New(pack), slot);
    }

    /// The next chunk is in a pack that has its name.
    pub fn push_old(&mut self, location: &Location) {
        self.push_slot(location.pack, location.slot);
    }

    /// The next chunk is in this slot of a pack that has its name.
    pub fn push_slot(&mut self, pack: PackId, slot: u32) {
        self.push(PackRef::Old(pack), slot);
    }

    fn push(&mut self, pack: PackRef, slot: u32) {
        match self.runs.last_mut() {
            Some(run) if run.pack == pack && run.first.checked_add(run.count) == Some(slot) => run.count += 1,
            _ => self.runs.push(Run {
                pack,
                first: slot,
                count: 1,
            }),
        }
    }

    /// The recipe, if all its packs have names by now.
    #[must_use]
    pub fn resolve(&self, file: FileId, size: u64, names: &HashMap<u32, PackId>) -> Option<Recipe> {
        let terms = self
            .runs
            .iter()
            .map(|run| {
                let pack = match run.pack {
                    PackRef::Old(id) => id,
                    PackRef::New(number) => *names.get(&number)?,
                };
                Some(Term {
                    pack,
                    first: run.first,
                    count: run.count,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Recipe { file, size, terms })
    }
}
