//! Chunks that are in other packs now, and shards written anew because of it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::hash::PackId;
use crate::store::draft::Draft;
use crate::store::shard::{Shard, ShardBuilder};
use crate::store::{PackKind, Recipe, Result, Slot};

/// Where the chunks of a pack are now, as far as they are anywhere.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// The pack in its place; `None` when nothing of it is kept.
    pub(super) pack: Option<Arc<NewPack>>,
    /// Slot before → slot in the new pack.
    pub(super) slots: HashMap<u32, u32>,
}

/// A pack that was written here; several may have gone into it.
#[derive(Debug)]
pub(super) struct NewPack {
    pub(super) id: PackId,
    pub(super) kind: PackKind,
    pub(super) file_len: u64,
    pub(super) slots: Vec<Slot>,
}

/// The bytes of a shard that says what this one does, with packs that moved described where they are now. Recipes that
/// need a chunk which is gone are left out. `None` when nothing is left to say.
pub(super) fn rewrite(shard: &Shard, moved: &HashMap<PackId, Moved>) -> Result<Option<Vec<u8>>> {
    let mut builder = ShardBuilder::new();
    for pack in shard.packs() {
        match moved.get(&pack.id).map(|moved| &moved.pack) {
            Some(Some(new)) => builder.add_pack(new.id, new.kind, new.file_len, &new.slots)?,
            Some(None) => {}
            None => builder.add_described(shard, pack)?,
        }
    }
    for recipe in shard.recipes() {
        if let Some(recipe) = relocate(&recipe?, moved) {
            builder.add_recipe(recipe)?;
        }
    }
    if builder.is_empty() {
        return Ok(None);
    }
    Ok(Some(builder.build()?))
}

fn relocate(recipe: &Recipe, moved: &HashMap<PackId, Moved>) -> Option<Recipe> {
    let mut draft = Draft::default();
    for term in &recipe.terms {
        for slot in term.first..term.first.checked_add(term.count)? {
            match moved.get(&term.pack) {
                None => draft.push_slot(term.pack, slot),
                Some(moved) => draft.push_slot(moved.pack.as_ref()?.id, *moved.slots.get(&slot)?),
            }
        }
    }
    draft.resolve(recipe.file, recipe.size, &HashMap::new())
}
