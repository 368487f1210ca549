//! `.gitignore` entries for outputs: one anchored line `/NAME` in the directory that holds the output.
//!
//! An entry matches exactly the name it was made for, with one exception: `.gitignore` cannot express a line feed,
//! so a name with one gets `?` in its place and the entry also matches names with another byte there.

use std::path::Path;

use super::edit::{FileEdit, Lines};
use super::error::{GitError, Result};
use crate::path::{Name, RepoPath};

/// The `.gitignore` of `dir` with an entry for `name`; unchanged if it has one. Other lines stay as they are.
///
/// # Errors
/// When the file cannot be read.
pub fn add_entry(root: &Path, dir: &RepoPath, name: &Name) -> Result<FileEdit> {
    let mut edit = FileEdit::read(root, &ignore_path(dir)?)?;
    edit.add_entry(name);
    Ok(edit)
}

/// The `.gitignore` of `dir` without the entry for `name`; no file if that was the only line.
///
/// # Errors
/// When the file cannot be read.
pub fn remove_entry(root: &Path, dir: &RepoPath, name: &Name) -> Result<FileEdit> {
    let mut edit = FileEdit::read(root, &ignore_path(dir)?)?;
    edit.remove_entry(name);
    Ok(edit)
}

impl FileEdit {
    /// Adds the entry for `name` to what this `.gitignore` shall hold: for several outputs of one directory.
    pub fn add_entry(&mut self, name: &Name) {
        let mut lines = Lines::of(self.after.as_deref().unwrap_or_default());
        if lines.add(&entry(name)) {
            self.after = Some(lines.into_bytes());
        }
    }

    /// Removes the entry for `name` from what this `.gitignore` shall hold.
    pub fn remove_entry(&mut self, name: &Name) {
        let mut lines = Lines::of(self.after.as_deref().unwrap_or_default());
        if lines.remove(&entry(name)) {
            self.after = Some(lines.into_bytes()).filter(|bytes| !bytes.is_empty());
        }
    }
}

/// Whether this `.gitignore` has the entry for `name`.
#[must_use]
pub fn has_entry(bytes: &[u8], name: &Name) -> bool {
    Lines::of(bytes).contains(&entry(name))
}

fn ignore_path(dir: &RepoPath) -> Result<RepoPath> {
    let name = Name::new(b".gitignore").map_err(|source| GitError::InvalidPath {
        place: "work tree".to_owned(),
        source,
    })?;
    Ok(dir.join(&name))
}

/// The line that makes git ignore exactly `name`, file or directory.
fn entry(name: &Name) -> Vec<u8> {
    let bytes = name.as_bytes();
    let mut line = vec![b'/'];
    for (i, &byte) in bytes.iter().enumerate() {
        let is_last = i + 1 == bytes.len();
        match byte {
            b'\n' => line.push(b'?'),
            // At the end of a line a carriage return is part of the line end, and blanks are dropped.
            b'\r' if is_last => line.extend_from_slice(b"[\r]"),
            b'\\' | b'*' | b'?' | b'[' | b']' | b'!' | b'#' => line.extend_from_slice(&[b'\\', byte]),
            b' ' | b'\t' if is_last => line.extend_from_slice(&[b'\\', byte]),
            _ => line.push(byte),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Sandbox, path};
    use super::*;
    use std::os::unix::ffi::OsStrExt as _;

    fn name(bytes: impl AsRef<[u8]>) -> Name {
        Name::new(bytes.as_ref()).unwrap()
    }

    /// What `git check-ignore` and gix say about a path.
    fn ignored(sandbox: &Sandbox, file: &[u8]) -> bool {
        let output = sandbox
            .command(&sandbox.root())
            .args(["check-ignore", "-q", "--no-index", "--"])
            .arg(std::ffi::OsStr::from_bytes(&[b"./", file].concat()))
            .output()
            .unwrap();
        let git = output.status.success();
        let own = sandbox
            .open()
            .excludes()
            .unwrap()
            .is_excluded(&path(file), false)
            .unwrap();
        assert_eq!(own.is_some(), git, "{:?}", String::from_utf8_lossy(file));
        git
    }

    #[test]
    fn git_ignores_exactly_the_name() {
        let names: [&[u8]; 26] = [
            b"data",
            b"!data",
            b"#data",
            b"a*b",
            b"*",
            b"a?b",
            b"a[b]c",
            b"[a]",
            b"]",
            b"back\\slash",
            b"end\\",
            b" lead",
            b"trail ",
            b"two  ",
            b" ",
            b"tab\t",
            b"a b",
            b"cr\r",
            b"a\rb",
            b"line\nfeed",
            b"\n",
            b"end\n",
            b"caf\xc3\xa9",
            b"\xff\xfe",
            b"\xe9 \xe8 ",
            b"{a,b}",
        ];
        let others: [&[u8]; 8] = [b"dat", b"datax", b"axb", b"b", b"a", b"trail", b"cr", b"x/data"];
        for bytes in names {
            let sandbox = Sandbox::new();
            let edit = add_entry(&sandbox.root(), &RepoPath::root(), &name(bytes)).unwrap();
            edit.apply(&sandbox.root()).unwrap();
            assert!(ignored(&sandbox, bytes), "{:?}", String::from_utf8_lossy(bytes));
            for other in others.iter().filter(|other| **other != bytes) {
                // A line feed stands as `?`: the documented exception.
                if bytes != b"\n" || !matches!(other, [_] | [_, b'/', ..]) {
                    assert!(
                        !ignored(&sandbox, other),
                        "{:?}: {other:?}",
                        String::from_utf8_lossy(bytes)
                    );
                }
            }
            let gone = remove_entry(&sandbox.root(), &RepoPath::root(), &name(bytes)).unwrap();
            assert_eq!(gone.after, None);
        }
    }

    #[test]
    fn other_lines_and_line_ends_stay() {
        let sandbox = Sandbox::new();
        let root = sandbox.root();
        sandbox.write("d/.gitignore", "# mine\r\n*.o");
        let edit = add_entry(&root, &path("d"), &name("data")).unwrap();
        assert_eq!(edit.after.as_deref(), Some(&b"# mine\r\n*.o\r\n/data\r\n"[..]));
        edit.apply(&root).unwrap();
        assert!(!add_entry(&root, &path("d"), &name("data")).unwrap().is_change());
        assert!(!remove_entry(&root, &path("d"), &name("other")).unwrap().is_change());
        let removed = remove_entry(&root, &path("d"), &name("data")).unwrap();
        assert_eq!(removed.after.as_deref(), Some(&b"# mine\r\n*.o\r\n"[..]));
        edit.revert(&root).unwrap();
        assert_eq!(std::fs::read(root.join("d/.gitignore")).unwrap(), b"# mine\r\n*.o");
    }

    #[test]
    fn made_and_removed_with_its_only_entries() {
        let sandbox = Sandbox::new();
        let root = sandbox.root();
        let mut edit = add_entry(&root, &RepoPath::root(), &name("a")).unwrap();
        edit.add_entry(&name("b"));
        edit.apply(&root).unwrap();
        assert_eq!(std::fs::read(root.join(".gitignore")).unwrap(), b"/a\n/b\n");
        let mut edit = remove_entry(&root, &RepoPath::root(), &name("a")).unwrap();
        edit.remove_entry(&name("b"));
        edit.apply(&root).unwrap();
        assert!(!root.join(".gitignore").exists());
        edit.revert(&root).unwrap();
        assert_eq!(std::fs::read(root.join(".gitignore")).unwrap(), b"/a\n/b\n");
        sandbox.write(".gitignore", "/a\n/b\n/c\n");
        assert!(matches!(edit.apply(&root), Err(GitError::Changed { .. })));
        std::fs::remove_file(root.join(".gitignore")).unwrap();
        std::os::unix::fs::symlink("elsewhere", root.join(".gitignore")).unwrap();
        assert!(matches!(
            add_entry(&root, &RepoPath::root(), &name("a")),
            Err(GitError::NotRegular { .. })
        ));
    }
}
