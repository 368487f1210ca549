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
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; N];
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(at(Attempt::Read, source))?;
    Ok(bytes)
}
