//! The union of shards.
//!
//! Packs and recipes are held in memory; slots, which are nearly all of a shard, stream from the (mapped) inputs to
//! the output.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::build::preference;
use super::{Counts, PackInfo, SLOT_LEN, Shard, recipe_record, term_record};
use crate::hash::{ID_LEN, PackId};
use crate::store::sorted::FanOut;
use crate::store::{Recipe, Result};

/// The union of `shards` in canonical form: the same bytes whatever their order and grouping. A pack or recipe that
/// several describe differently stays in one description, chosen by its content alone.
///
/// # Errors
/// [`StoreError::DamagedShard`](crate::store::StoreError::DamagedShard) when an input does not pass [`Shard::verify`]: damage must not spread under a new
/// name. [`StoreError::TooMany`](crate::store::StoreError::TooMany) when the format cannot count that many slots.
pub fn merge(shards: &[&Shard]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    merge_into(shards, &|_| true, &mut |bytes| {
        out.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(out)
}

/// As [`merge`], handing the bytes to `sink` piece by piece. Of several recipes of a file those stay that name only
/// packs of which `known` is true, if there are any.
///
/// # Errors
/// As [`merge`], or what `sink` returns.
pub fn merge_into(
    shards: &[&Shard],
    known: &dyn Fn(&PackId) -> bool,
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    for shard in shards {
        shard.verify()?;
    }
    let recipes = choose_recipes(shards, known)?;
    let packs = choose_packs(shards, &recipes);
    let counts = Counts::checked(
        packs.len(),
        packs.iter().map(|pack| pack.info.slots as usize).sum(),
        recipes.len(),
        recipes.iter().map(|recipe| recipe.terms.len()).sum(),
    )?;
    let mut out = Buffered {
        pending: Vec::with_capacity(BUFFER),
        sink,
    };
    out.put(&counts.encode())?;
    let mut next_slot = 0;
    let mut moved: Vec<Vec<Option<u32>>> = shards
        .iter()
        .map(|shard| vec![None; shard.layout.counts.packs as usize])
        .collect();
    for pack in &packs {
        let info = PackInfo {
            first_slot: next_slot,
            ..pack.info
        };
        if let Some(source) = pack.source
            && let Some(place) = moved
                .get_mut(source.shard)
                .and_then(|places| places.get_mut(source.index as usize))
        {
            *place = Some(next_slot);
        }
        next_slot += info.slots;
        out.put(&info.encode())?;
    }
    let mut fan = FanOut::new();
    for pack in &packs {
        if let Some(source) = pack.source {
            let records = shards[source.shard].slot_records(&pack.info);
            for id in records.chunks_exact(SLOT_LEN).filter_map(|record| record.first_chunk()) {
                fan.count(id);
            }
            out.put(records)?;
        }
    }
    out.put(&fan.to_bytes())?;
    put_order(shards, &moved, &mut out)?;
    put_recipes(&recipes, &packs, &mut out)?;
    out.flush()
}

/// A record of one of the inputs.
#[derive(Debug, Clone, Copy)]
struct Source {
    shard: usize,
    index: u32,
}

/// A pack of the output: as its source describes it (the first slot is the source's), or without a source.
struct Chosen {
    info: PackInfo,
    source: Option<Source>,
}

fn choose_recipes(shards: &[&Shard], known: &dyn Fn(&PackId) -> bool) -> Result<Vec<Recipe>> {
    let mut recipes = Vec::new();
    for shard in shards {
        for recipe in shard.recipes() {
            recipes.push(recipe?);
        }
    }
    let dangling = |recipe: &Recipe| !recipe.terms.iter().all(|term| known(&term.pack));
    recipes.sort_by(|a, b| {
        a.file
            .cmp(&b.file)
            .then_with(|| dangling(a).cmp(&dangling(b)))
            .then_with(|| preference(a).cmp(preference(b)))
    });
    recipes.dedup_by(|later, kept| later.file == kept.file);
    Ok(recipes)
}

/// One description of each pack that is introduced, and the packs that only recipes name; sorted by id.
fn choose_packs(shards: &[&Shard], recipes: &[Recipe]) -> Vec<Chosen> {
    let mut packs = Vec::new();
    for (shard, input) in shards.iter().enumerate() {
        for (index, info) in (0..).zip(input.all_packs()) {
            if info.kind.is_some() {
                packs.push(Chosen {
                    info,
                    source: Some(Source { shard, index }),
                });
            }
        }
    }
    let records = |pack: &Chosen| {
        pack.source
            .map(|source| shards[source.shard].slot_records(&pack.info))
            .unwrap_or_default()
    };
    let form = |pack: &Chosen| (pack.info.id, pack.info.kind, pack.info.bodies_end, pack.info.file_len);
    packs.sort_by(|a, b| form(a).cmp(&form(b)).then_with(|| records(a).cmp(records(b))));
    packs.dedup_by_key(|pack| pack.info.id);
    let named: BTreeSet<PackId> = recipes
        .iter()
        .flat_map(|recipe| &recipe.terms)
        .map(|term| term.pack)
        .filter(|id| packs.binary_search_by_key(id, |pack| pack.info.id).is_err())
        .collect();
    packs.extend(named.into_iter().map(|id| Chosen {
        info: PackInfo::elsewhere(id),
        source: None,
    }));
    packs.sort_unstable_by_key(|pack| pack.info.id);
    packs
}

/// Merges the sorted slot numbers of the inputs. Packs stay in the order of their ids, so the new number of a slot
/// ascends with its old one and each input's order remains sorted.
fn put_order(shards: &[&Shard], moved: &[Vec<Option<u32>>], out: &mut Buffered<'_>) -> Result<()> {
    let mut heap = BinaryHeap::with_capacity(shards.len());
    let mut cursors: Vec<_> = shards
        .iter()
        .zip(moved)
        .map(|(shard, moved)| Cursor::new(shard, moved))
        .collect();
    for (i, cursor) in cursors.iter_mut().enumerate() {
        heap.extend(cursor.next_slot().map(|(id, slot)| Reverse((id, slot, i))));
    }
    while let Some(Reverse((_, slot, i))) = heap.pop() {
        out.put(&slot.to_le_bytes())?;
        if let Some((id, slot)) = cursors.get_mut(i).and_then(Cursor::next_slot) {
            heap.push(Reverse((id, slot, i)));
        }
    }
    Ok(())
}

/// Walks the slots of one input in sorted order, leaving out those of packs that another input describes.
struct Cursor<'a> {
    shard: &'a Shard,
    moved: &'a [Option<u32>],
    place: u32,
}

impl<'a> Cursor<'a> {
    const fn new(shard: &'a Shard, moved: &'a [Option<u32>]) -> Self {
        Self { shard, moved, place: 0 }
    }

    fn next_slot(&mut self) -> Option<(&'a [u8; ID_LEN], u32)> {
        while let Some(slot) = self.shard.ordered_slot(self.place) {
            self.place += 1;
            let pack = self.shard.pack_of_slot(slot);
            if let Some(first) = self.moved.get(pack as usize).copied().flatten() {
                return Some((
                    self.shard.slot_id(slot),
                    first + slot - self.shard.pack_at(pack).first_slot,
                ));
            }
        }
        None
    }
}

fn put_recipes(recipes: &[Recipe], packs: &[Chosen], out: &mut Buffered<'_>) -> Result<()> {
    let mut fan = FanOut::new();
    for recipe in recipes {
        fan.count(recipe.file.as_bytes());
    }
    out.put(&fan.to_bytes())?;
    let mut next_term = 0;
    for recipe in recipes {
        out.put(&recipe_record(recipe, next_term))?;
        next_term += recipe.terms.len() as u32;
    }
    for term in recipes.iter().flat_map(|recipe| &recipe.terms) {
        let index = packs.partition_point(|pack| pack.info.id < term.pack);
        out.put(&term_record(term, index as u32))?;
    }
    Ok(())
}

const BUFFER: usize = 1 << 20;

/// Collects small pieces, so that the sink sees large ones.
struct Buffered<'a> {
    pending: Vec<u8>,
    sink: &'a mut dyn FnMut(&[u8]) -> Result<()>,
}

impl Buffered<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if self.pending.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() > BUFFER {
            (self.sink)(bytes)
        } else {
            self.pending.extend_from_slice(bytes);
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<()> {
        (self.sink)(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}
