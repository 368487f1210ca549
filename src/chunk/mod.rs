//! Content-defined chunking: where a file is cut (`docs/formats.md`, section Chunks).
//!
//! Invariants: the chunks of a file concatenate to the file; every chunk but the last has [`MIN`] to [`MAX`] bytes;
//! the cuts depend on the content alone, never on window sizes, threads or the processor. The rule looks only at the
//! bytes of the chunk itself, so cutting keeps no state: a window that begins where a chunk begins is enough.
//!
//! Not promised: anything about [`cut`] for a window that does not begin at a chunk boundary.

use std::ops::Range;
use std::sync::LazyLock;

use rayon::prelude::*;

use crate::hash::expand;

/// Name of this algorithm in stores.
pub const ALGORITHM: &str = "gear-64k-v1";
/// Least bytes of a chunk that does not end its file.
pub const MIN: usize = 16 * 1024;
/// Bytes from which on the loose rule applies.
pub const TARGET: usize = 64 * 1024;
/// Most bytes of a chunk.
pub const MAX: usize = 256 * 1024;

const STRICT: u64 = 0xffff_c000_0000_0000;
const LOOSE: u64 = 0xfffc_0000_0000_0000;

/// Bytes that decide the hash at a position.
const REACH: usize = 64;
/// Bytes that one task of [`cut_parallel`] scans.
const STRETCH: usize = 512 * 1024;
/// Candidates kept of one stretch, 64 times what random content has; repetitive content with more is scanned again.
const DENSE: usize = STRETCH / 256;

static GEAR: LazyLock<gearhash::Table> = LazyLock::new(|| {
    let bytes = expand(b"modver gear-64k-v1", size_of::<gearhash::Table>());
    let (numbers, _) = bytes.as_chunks();
    std::array::from_fn(|i| u64::from_le_bytes(numbers[i]))
});

/// The lengths of the chunks that are complete in `window`, in order.
///
/// `window` begins at a chunk boundary: at the start of the file (`starts_file`) or behind a chunk that an earlier
/// call returned. What the lengths leave over must come again at the start of the next window, with more bytes.
/// With `ends_file` the window's end is the file's end and the lengths sum to `window.len()`.
///
/// A window of more than [`MAX`] bytes always has a complete chunk. One of at most [`MAX`] bytes that starts the file
/// but does not end it has none, because a file of [`MAX`] bytes is one chunk whatever is in it; an empty window has
/// none either, unless it is a whole (empty) file.
#[must_use]
pub fn cut(window: &[u8], starts_file: bool, ends_file: bool) -> Vec<usize> {
    choose(window, starts_file, ends_file, |range, mask| scan(window, range, mask))
}

/// The same as [`cut`], scanning the window on rayon's current thread pool.
#[must_use]
pub fn cut_parallel(window: &[u8], starts_file: bool, ends_file: bool) -> Vec<usize> {
    if window.len() < 2 * STRETCH || rayon::current_num_threads() == 1 {
        return cut(window, starts_file, ends_file);
    }
    let stretches: Vec<Candidates> = (0..window.len().div_ceil(STRETCH))
        .into_par_iter()
        .map(|i| Candidates::collect(window, stretch(i, window.len())))
        .collect();
    choose(window, starts_file, ends_file, |range, mask| {
        (range.start / STRETCH..range.end.div_ceil(STRETCH)).find_map(|i| {
            let part = stretch(i, window.len());
            let part = part.start.max(range.start)..part.end.min(range.end);
            match &stretches[i] {
                Candidates::Few(ends) => first_in(ends, part, mask),
                Candidates::Many => scan(window, part, mask),
            }
        })
    })
}

/// Walks the window chunk by chunk. `find` returns the end (exclusive) of the first position in a range of positions
/// at which the hash has no bit of the mask; the position of a byte is its index.
fn choose(
    window: &[u8],
    starts_file: bool,
    ends_file: bool,
    mut find: impl FnMut(Range<usize>, u64) -> Option<usize>,
) -> Vec<usize> {
    if starts_file && window.len() <= MAX {
        return if ends_file { vec![window.len()] } else { Vec::new() };
    }
    let mut lengths = Vec::with_capacity(window.len() / TARGET + 1);
    let mut start = 0;
    while start < window.len() {
        let rest = window.len() - start;
        // The byte at index `start + n - 1` is the one at the format's position `n`.
        let strict = start + (MIN - 1).min(rest)..start + (TARGET - 1).min(rest);
        let loose = strict.end..start + MAX.min(rest);
        let end = match find(strict, STRICT).or_else(|| find(loose, LOOSE)) {
            Some(end) => end,
            None if rest >= MAX => start + MAX,
            None if ends_file => window.len(),
            None => break,
        };
        lengths.push(end - start);
        start = end;
    }
    lengths
}

/// The first match in `range`, by looking at the bytes. `range` is at least [`REACH`] bytes into its chunk, or empty.
fn scan(window: &[u8], range: Range<usize>, mask: u64) -> Option<usize> {
    if range.is_empty() {
        return None;
    }
    warmed_up(window, range.start)
        .next_match(&window[range.clone()], mask)
        .map(|count| range.start + count)
}

/// A hasher that stands before index `at`.
fn warmed_up(window: &[u8], at: usize) -> gearhash::Hasher<'static> {
    let mut hasher = gearhash::Hasher::new(&GEAR);
    hasher.update(&window[at.saturating_sub(REACH)..at]);
    hasher
}

fn stretch(index: usize, len: usize) -> Range<usize> {
    let start = index * STRETCH;
    start..(start + STRETCH).min(len)
}

/// The loose positions of one stretch of a window.
enum Candidates {
    /// Their ends, ascending, and whether they are strict too.
    Few(Vec<(usize, bool)>),
    /// More than [`DENSE`].
    Many,
}

impl Candidates {
    fn collect(window: &[u8], range: Range<usize>) -> Self {
        let mut ends = Vec::with_capacity(range.len() / (8 * 1024));
        let mut hasher = warmed_up(window, range.start);
        let mut at = range.start;
        while let Some(count) = hasher.next_match(&window[at..range.end], LOOSE) {
            if ends.len() == DENSE {
                return Self::Many;
            }
            at += count;
            ends.push((at, hasher.is_match(STRICT)));
        }
        Self::Few(ends)
    }
}

fn first_in(ends: &[(usize, bool)], range: Range<usize>, mask: u64) -> Option<usize> {
    let skip = ends.partition_point(|&(end, _)| end <= range.start);
    ends[skip..]
        .iter()
        .take_while(|&&(end, _)| end <= range.end)
        .find(|&&(_, strict)| strict || mask == LOOSE)
        .map(|&(end, _)| end)
}

#[cfg(test)]
mod tests;
