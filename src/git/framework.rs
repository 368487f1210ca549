//! The entries for the pre-commit framework in `.pre-commit-config.yaml`: one block between two comments, directly below
//! `repos:`. The rest of the file is not touched and not understood.

use std::fmt::Write as _;
use std::path::Path;

use super::edit::FileEdit;
use super::error::{GitError, Result};
use super::install::Hook;
use crate::path::RepoPath;

const FILE: &[u8] = b".pre-commit-config.yaml";
const BEGIN: &str = "# modver: begin (`modver uninstall` takes this block out)";
const END: &str = "# modver: end";
const KEY: &str = "repos:";

/// The configuration with our entries; unchanged if it has the block already, also one that somebody edited.
///
/// # Errors
/// [`GitError::FrameworkFile`] when it is written in a way that a block cannot be put into.
pub fn framework_edit(root: &Path) -> Result<FileEdit> {
    let mut edit = FileEdit::read(root, &path()?)?;
    let text = text(&edit)?;
    if text.lines().any(|line| line == BEGIN) {
        return Ok(edit);
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_key = |line: &&str| line.starts_with(KEY);
    let (at, indent, with_key) = match lines.iter().position(is_key) {
        Some(at) => {
            let rest = lines[at][KEY.len()..].trim();
            if !(rest.is_empty() || rest.starts_with('#')) {
                return Err(GitError::FrameworkFile { path: edit.path });
            }
            let item = lines[at + 1..].iter().find(|line| line.trim_start().starts_with('-'));
            let indent = item.map_or(2, |line| line.len() - line.trim_start().len());
            (at + 1, indent, false)
        }
        None => (lines.len(), 2, true),
    };
    let mut after = lines[..at].concat();
    if !(after.is_empty() || after.ends_with('\n')) {
        after.push('\n');
    }
    after.push_str(&block(indent, with_key));
    after.push_str(&lines[at..].concat());
    edit.after = Some(after.into_bytes());
    Ok(edit)
}

/// The configuration without the block; no file if there is nothing else in it.
///
/// # Errors
/// When the file cannot be read.
pub fn framework_removal(root: &Path) -> Result<FileEdit> {
    let mut edit = FileEdit::read(root, &path()?)?;
    let text = text(&edit)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let at = |wanted: &str| lines.iter().position(|line| line.trim_end() == wanted);
    if let (Some(begin), Some(end)) = (at(BEGIN), at(END))
        && begin < end
    {
        let rest = [&lines[..begin], &lines[end + 1..]].concat().concat();
        edit.after = Some(rest.into_bytes()).filter(|bytes| !bytes.is_empty());
    }
    Ok(edit)
}

fn path() -> Result<RepoPath> {
    RepoPath::new(FILE).map_err(|source| GitError::InvalidPath {
        place: "work tree".to_owned(),
        source,
    })
}

fn text(edit: &FileEdit) -> Result<String> {
    let bytes = edit.before.clone().unwrap_or_default();
    String::from_utf8(bytes).map_err(|_| GitError::FrameworkFile {
        path: edit.path.clone(),
    })
}

fn block(indent: usize, with_key: bool) -> String {
    let pad = " ".repeat(indent);
    let mut out = format!("{BEGIN}\n");
    if with_key {
        let _ = writeln!(out, "{KEY}");
    }
    let _ = write!(out, "{pad}- repo: local\n{pad}  hooks:\n");
    for hook in Hook::ALL {
        let name = hook.name();
        let _ = write!(
            out,
            "{pad}    - id: modver-{name}\n{pad}      name: modver {name}\n{pad}      entry: modver hook {name}\n\
             {pad}      language: system\n{pad}      stages: [{name}]\n{pad}      always_run: true\n\
             {pad}      pass_filenames: false\n{pad}      verbose: true\n"
        );
    }
    let _ = writeln!(out, "{END}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(before: Option<&str>) -> String {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".pre-commit-config.yaml");
        if let Some(before) = before {
            std::fs::write(&file, before).unwrap();
        }
        framework_edit(dir.path()).unwrap().apply(dir.path()).unwrap();
        let with = std::fs::read_to_string(&file).unwrap();
        assert!(!framework_edit(dir.path()).unwrap().is_change());
        framework_removal(dir.path()).unwrap().apply(dir.path()).unwrap();
        assert_eq!(std::fs::read_to_string(&file).ok().as_deref(), before);
        assert!(!framework_removal(dir.path()).unwrap().is_change());
        with
    }

    #[test]
    fn the_block_comes_and_goes() {
        assert!(round_trip(None).contains("\nrepos:\n  - repo: local\n"));
        let with = round_trip(Some(
            "default_stages: [pre-commit]\nrepos: # mine\n-   repo: https://x\n    hooks: []\n",
        ));
        assert!(
            with.contains("\n- repo: local\n  hooks:\n    - id: modver-post-checkout\n"),
            "{with}"
        );
        assert!(round_trip(Some("exclude: ^x\n")).starts_with("exclude: ^x\n# modver: begin"));
    }

    #[test]
    fn what_cannot_be_edited_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".pre-commit-config.yaml"), "repos: []\n").unwrap();
        assert!(matches!(
            framework_edit(dir.path()),
            Err(GitError::FrameworkFile { .. })
        ));
    }
}
