//! The byte shuffle: bytes of equal significance of all elements stand together, where a compressor finds them alike.
//!
//! `split` and `join` are inverse; both have the length of their input. The loops are written so that the compiler
//! makes vector code of them.

/// Replaces `out` by all first bytes of the `N`-byte elements, then all second ones and so on, then the rest.
pub(super) fn split<const N: usize>(raw: &[u8], out: &mut Vec<u8>) {
    let (elements, rest) = raw.as_chunks::<N>();
    out.resize(raw.len(), 0);
    if elements.is_empty() {
        out.copy_from_slice(raw);
        return;
    }
    let (planes, out_rest) = out.split_at_mut(elements.len() * N);
    for (plane, out) in planes.chunks_exact_mut(elements.len()).enumerate() {
        for (out, element) in out.iter_mut().zip(elements) {
            *out = element[plane];
        }
    }
    out_rest.copy_from_slice(rest);
}

/// Replaces `out` by what `split` made `planes` of.
pub(super) fn join<const N: usize>(planes: &[u8], out: &mut Vec<u8>) {
    let count = planes.len() / N;
    out.resize(planes.len(), 0);
    let (elements, out_rest) = out.as_chunks_mut::<N>();
    let (planes, rest) = planes.split_at(count * N);
    let mut lanes = [planes; N];
    for (i, lane) in lanes.iter_mut().enumerate() {
        *lane = &planes[i * count..(i + 1) * count];
    }
    for (i, element) in elements.iter_mut().enumerate() {
        *element = std::array::from_fn(|plane| lanes[plane][i]);
    }
    out_rest.copy_from_slice(rest);
}
