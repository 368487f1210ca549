//! Writing shards anew, with other packs in the place of damaged ones.

use std::collections::HashMap;

use super::packs::Moved;
use crate::hash::PackId;
use crate::store::draft::Draft;
use crate::store::shard::{Shard, ShardBuilder};
use crate::store::{Recipe, Result};

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
