//! Telling git's index about files whose content came back, without a change to what git has of them.

use super::discover::GitRepo;
use super::error::Result;
use super::transparent::TransparentFile;

impl GitRepo {
    /// Has git look again at transparent files whose content took the place of their pointers' text: it would otherwise
    /// take the new size for a change, and not look at the content at all. What git remembers of a file (size, times) is
    /// set if the filter gives the pointer that the index has. If somebody has changed the file meanwhile, it stays
    /// changed, and nothing of that is staged.
    ///
    /// The filter is configured: without it, every file would look changed.
    ///
    /// # Errors
    /// As [`GitRepo::stage`].
    pub fn refresh(&self, files: &[&TransparentFile]) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let index = self.tracked()?;
        let mut list = Vec::new();
        // Whoever has staged something else meanwhile keeps it.
        for file in files.iter().filter(|file| index.has(file)) {
            let mode = if file.executable { "100755" } else { "100644" };
            list.extend_from_slice(format!("{mode} {} 0\t", file.blob()).as_bytes());
            list.extend_from_slice(file.path.as_bytes());
            list.push(0);
        }
        // First git forgets what it remembers of them, then it looks at what it does not know.
        self.change_index(&["update-index", "-z", "--index-info"], &list)?;
        self.change_index(&["update-index", "-q", "--refresh"], &[])
    }
}
