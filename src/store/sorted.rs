//! Reading tables of fixed-size records sorted by id, with a fan-out: what shards and catalog runs are made of.
//!
//! Nothing here trusts the table: a search in an unsorted table ends, and finds or misses.

use std::ops::Range;

use crate::hash::ID_LEN;

/// Bytes of a fan-out.
pub(super) const FAN_LEN: usize = 256 * 4;

/// A field whose place the caller has checked; 0 outside the bytes.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |field| u32::from_le_bytes(*field))
}

/// As [`u32_at`], for 8 bytes.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |field| u64::from_le_bytes(*field))
}

/// An id in a record; zeros outside the bytes, which is no content's id.
pub(super) fn id_at(bytes: &[u8], at: usize) -> &[u8; ID_LEN] {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .unwrap_or(&[0; ID_LEN])
}

/// Whether the fan-out at `at` ascends and ends with `total`.
pub(super) fn fan_is_sound(bytes: &[u8], at: usize, total: u32) -> bool {
    let mut before = 0;
    for i in 0..256 {
        let now = u32_at(bytes, at + i * 4);
        if now < before {
            return false;
        }
        before = now;
    }
    before == total
}

/// The records whose id begins with the first byte of `id`.
pub(super) fn bucket(bytes: &[u8], fan_at: usize, id: &[u8; ID_LEN]) -> Range<u32> {
    let first = usize::from(id[0]);
    let start = match first {
        0 => 0,
        _ => u32_at(bytes, fan_at + (first - 1) * 4),
    };
    start..u32_at(bytes, fan_at + first * 4)
}

/// Counts ids by their first byte and writes the fan-out.
#[derive(Debug)]
pub(super) struct FanOut([u32; 256]);

impl FanOut {
    pub(super) const fn new() -> Self {
        Self([0; 256])
    }

    pub(super) fn count(&mut self, id: &[u8; ID_LEN]) {
        self.0[usize::from(id[0])] += 1;
    }

    pub(super) fn to_bytes(&self) -> [u8; FAN_LEN] {
        let mut bytes = [0; FAN_LEN];
        let mut sum = 0;
        for (field, count) in bytes.chunks_exact_mut(4).zip(self.0) {
            sum += count;
            field.copy_from_slice(&u32::to_le_bytes(sum));
        }
        bytes
    }
}

/// The first place in `range` whose id is not below `key`, where `id_of` gives the id at a place. Ids are hashes
/// and so spread evenly: interpolation takes about log log n steps; bisection takes over where they are not.
/// `None` when `id_of` cannot say.
pub(super) fn lower_bound<'a>(
    range: Range<u32>,
    key: &[u8; ID_LEN],
    id_of: impl Fn(u32) -> Option<&'a [u8; ID_LEN]>,
) -> Option<u32> {
    const GUESSES: u32 = 8;
    let (mut low, mut high) = (range.start, range.end);
    let wanted = prefix(key);
    let mut low_value = wanted & (0xff << 56);
    let mut high_value = wanted | (u64::MAX >> 8);
    let mut guesses = 0;
    while low < high {
        let middle = if guesses < GUESSES && high - low > 2 && low_value < high_value {
            guesses += 1;
            #[allow(clippy::cast_precision_loss, reason = "a guess")]
            let part = wanted.saturating_sub(low_value) as f64 / (high_value - low_value) as f64;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped, and a guess")]
            let offset = (part * f64::from(high - low)) as u32;
            low + offset.min(high - low - 1)
        } else {
            low + (high - low) / 2
        };
        let id = id_of(middle)?;
        if id < key {
            low = middle + 1;
            low_value = low_value.max(prefix(id));
        } else {
            high = middle;
            high_value = high_value.min(prefix(id));
        }
    }
    Some(low)
}

fn prefix(id: &[u8; ID_LEN]) -> u64 {
    id.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lower_bound_is_partition_point(
            mut ids in prop::collection::vec((any::<u16>(), prop::array::uniform32(any::<u8>())), 0..300),
            key in prop::array::uniform32(any::<u8>()),
            narrow in any::<bool>(),
        ) {
            // Few distinct prefixes make interpolation guess badly and ids repeat.
            let mut ids: Vec<[u8; 32]> = ids.drain(..).map(|(n, mut id)| {
                id[0] = key[0];
                if narrow { id[1..8].fill(7); id[8..].fill((n % 3) as u8); }
                id
            }).collect();
            ids.push(key);
            ids.sort_unstable();
            let found = lower_bound(0..ids.len() as u32, &key, |i| ids.get(i as usize));
            prop_assert_eq!(found, Some(ids.partition_point(|id| *id < key) as u32));
        }
    }
}
