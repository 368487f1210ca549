//! Bytes that nobody can guess.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::{Attempt, Result, at};

/// Random bytes from the operating system, good enough for keys.
///
/// # Errors
/// When it has none to give.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    #[cfg(test)]
    if let Some(bytes) = drawn::bytes() {
        return Ok(bytes);
    }
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; N];
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(at(Attempt::Read, source))?;
    Ok(bytes)
}

/// Bytes that a test can draw again.
#[cfg(test)]
pub(crate) mod drawn {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// From now on, what this thread asks for depends on a seed alone.
    pub(crate) fn by(seed: u64) {
        STATE.with(|state| state.set(Some(seed)));
    }

    pub(super) fn bytes<const N: usize>() -> Option<[u8; N]> {
        STATE.with(|state| {
            let mut seed = state.get()?;
            let bytes = std::array::from_fn(|_| {
                // splitmix64
                seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                ((z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 56) as u8
            });
            state.set(Some(seed));
            Some(bytes)
        })
    }
}
