//! What the command of a stage prints, kept in a file of bounded size.

use std::collections::VecDeque;
use std::path::Path;

use crate::fs::{self, AppendFile, Result};

/// The first so many bytes are kept as they come.
const HEAD: u64 = 16 << 20;
/// Of what comes behind, the last so many.
const TAIL: usize = 1 << 20;

/// The log of one run of a stage.
#[derive(Debug)]
pub(super) struct Log {
    file: AppendFile,
    written: u64,
    tail: VecDeque<u8>,
    dropped: u64,
}

impl Log {
    /// Starts a log; what was there before is replaced.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(super) fn create(path: &Path) -> Result<Self> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::remove_file(path)?;
        let taken = || std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        let file = AppendFile::create(path)?.ok_or_else(|| fs::at(fs::Attempt::Create, path)(taken()))?;
        Ok(Self {
            file,
            written: 0,
            tail: VecDeque::new(),
            dropped: 0,
        })
    }

    /// Adds what was printed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let room = usize::try_from(HEAD.saturating_sub(self.written)).unwrap_or(usize::MAX);
        let (head, rest) = bytes.split_at(bytes.len().min(room));
        if !head.is_empty() {
            self.file.append(head)?;
            self.written += head.len() as u64;
        }
        let rest_kept = &rest[rest.len().saturating_sub(TAIL)..];
        self.dropped += (rest.len() - rest_kept.len()) as u64;
        self.tail.extend(rest_kept);
        let over = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..over);
        self.dropped += over as u64;
        Ok(())
    }

    /// Writes what was held back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn finish(&mut self) -> Result<()> {
        if self.dropped > 0 {
            let gap = format!("\n[modver: {} bytes of output left out]\n", self.dropped);
            self.file.append(gap.as_bytes())?;
        }
        let (a, b) = self.tail.as_slices();
        self.file.append(a)?;
        self.file.append(b)?;
        self.tail.clear();
        self.dropped = 0;
        Ok(())
    }
}

/// The longest log, in bytes.
pub(super) const MAX_LOG: u64 = HEAD + TAIL as u64 + 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_keeps_its_beginning_and_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/a");
        let mut log = Log::create(&path).unwrap();
        log.append(b"begin\n").unwrap();
        let block = vec![b'x'; 3 << 20];
        for _ in 0..10 {
            log.append(&block).unwrap();
        }
        log.append(b"\nend\n").unwrap();
        log.finish().unwrap();
        let kept = std::fs::read(&path).unwrap();
        assert!(kept.starts_with(b"begin\n") && kept.ends_with(b"\nend\n"));
        assert!(kept.len() as u64 <= MAX_LOG);
        let text = String::from_utf8(kept).unwrap();
        let total = 11 + 10 * block.len() as u64;
        assert!(text.contains(&format!("{} bytes of output left out", total - HEAD - TAIL as u64)));
        drop(log);
        let mut log = Log::create(&path).unwrap();
        log.append(b"short").unwrap();
        log.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"short");
    }
}
