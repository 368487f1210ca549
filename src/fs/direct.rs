//! Reading past the page cache: for much that is read once, from files that are not in it. It costs one copy less, no
//! memory of the kernel's, and leaves what others have there alone.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Attempt, DIRECT_ALIGN, Result, at};

/// Bytes of a file, at an address that direct reads accept; reused from read to read.
#[derive(Debug, Default)]
pub struct DirectBuffer {
    bytes: Vec<u8>,
}

impl DirectBuffer {
    /// Room for `len` bytes.
    fn room(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() < len + DIRECT_ALIGN {
            self.bytes.resize(len + DIRECT_ALIGN, 0);
        }
        // `align_offset` may decline to answer; a direct read is refused by the kernel then and made another way.
        let start = self.bytes.as_ptr().align_offset(DIRECT_ALIGN).min(DIRECT_ALIGN);
        &mut self.bytes[start..start + len]
    }
}

/// Opens a file for direct reads, if the file system can; `None` also when the byte at `probe` is in the page cache:
/// what is there already is best read from there. `file` is the same file, open for other reads.
#[must_use]
pub fn open_direct(path: &Path, file: &File, probe: u64) -> Option<File> {
    if is_cached(file, probe) {
        return None;
    }
    direct(path)
}

/// Reads `range` of a file, by `direct` if there is one, or else by `file`.
///
/// # Errors
/// When it cannot be read or ends before that.
pub fn read_range<'b>(
    (file, direct): (&File, Option<&File>),
    path: &Path,
    range: Range<u64>,
    buffer: &'b mut DirectBuffer,
) -> Result<&'b [u8]> {
    let align = DIRECT_ALIGN as u64;
    let len = (range.end - range.start) as usize;
    if let Some(direct) = direct {
        let first = range.start / align * align;
        let skipped = (range.start - first) as usize;
        let whole = ((skipped + len) as u64).next_multiple_of(align) as usize;
        let room = buffer.room(whole);
        // The last block of a file is shorter.
        if read_up_to(direct, room, first, skipped + len).is_some() {
            return Ok(&buffer.room(whole)[skipped..skipped + len]);
        }
        // The file system took the flag but not the read; or it fails, and the next read says why.
    }
    let room = buffer.room(len);
    file.read_exact_at(room, range.start).map_err(at(Attempt::Read, path))?;
    Ok(room)
}

/// Reads at least `least` bytes; `None` when that cannot be.
fn read_up_to(file: &File, room: &mut [u8], offset: u64, least: usize) -> Option<()> {
    let mut read = 0;
    while read < least {
        match file.read_at(&mut room[read..], offset + read as u64) {
            Ok(0) => return None,
            Ok(n) => read += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    Some(())
}

#[cfg(target_os = "linux")]
fn is_cached(file: &File, offset: u64) -> bool {
    use rustix::io::{ReadWriteFlags, preadv2};
    let mut byte = [0];
    let mut slices = [std::io::IoSliceMut::new(&mut byte)];
    // A read that would have to wait for the disk is refused. File systems that cannot tell are read as ever.
    !matches!(
        preadv2(file, &mut slices, offset, ReadWriteFlags::NOWAIT),
        Err(rustix::io::Errno::AGAIN)
    )
}

#[cfg(not(target_os = "linux"))]
fn is_cached(_: &File, _: u64) -> bool {
    true
}

#[cfg(target_os = "linux")]
fn direct(path: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECT;
    open(path, flags, Mode::empty()).ok().map(File::from)
}

#[cfg(not(target_os = "linux"))]
fn direct(_: &Path) -> Option<File> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_same_whichever_way_it_is_read() {
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = dir.path().join("file");
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&path, &content).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        // Where the file system cannot, both are the same.
        let direct = direct(&path);
        let mut buffer = DirectBuffer::default();
        let len = content.len() as u64;
        for range in [
            0..1,
            0..len,
            1..4096,
            4095..4097,
            8192..12288,
            5000..300_001,
            len - 1..len,
            7..7,
        ] {
            for direct in [direct.as_ref(), None] {
                let read = read_range((&file, direct), &path, range.clone(), &mut buffer).unwrap();
                assert_eq!(read, &content[range.start as usize..range.end as usize]);
            }
        }
        for direct in [direct.as_ref(), None] {
            assert!(read_range((&file, direct), &path, len - 1..len + 1, &mut buffer).is_err());
        }
        // It was written just now.
        assert!(open_direct(&path, &file, 0).is_none());
    }
}
