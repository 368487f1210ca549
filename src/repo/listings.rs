//! What was in directories that stages read and that are in no output: kept, so that later it can be told file by file how
//! they differ. Only for that; without it, a difference is told without files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Contents, FOLDER, FileDifference, Result};
use crate::fs::{self, FileKind};
use crate::hash::{FileId, TreeId};
use crate::object::{Node, Trees};
use crate::path::{RepoPath, quote, unquote};
use crate::workspace::Obstacle;

/// The longest list that is read, in bytes.
const MAX_LISTING: u64 = 1 << 30;

/// What was in a directory.
#[derive(Debug, Serialize, Deserialize)]
struct Listing {
    /// The directory's listing as the store names it.
    id: TreeId,
    /// What each file was, by its path in the directory, quoted.
    files: BTreeMap<String, String>,
}

impl Contents<'_> {
    /// Keeps what is in the directory at `path`, which `reader` read and which was found to be `node`.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn keep_listing(&self, reader: &str, path: &RepoPath, node: &Node) -> Result<()> {
        let Node::Dir { id, .. } = *node else { return Ok(()) };
        // The listings of outputs are in the cache.
        if !self.is_in_output(path)
            && let Some(files) = self.listed(path, Some(id))?
        {
            let file = self.listing_file(reader, path);
            if let Some(dir) = file.parent() {
                fs::create_dir_all(dir)?;
            }
            let bytes = serde_json::to_vec(&Listing { id, files }).map_err(std::io::Error::other);
            fs::write_atomic(&file, &bytes.map_err(fs::at(fs::Attempt::Write, &file))?)?;
        }
        Ok(())
    }

    /// As [`Contents::differences`], by what was kept for `reader`.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn kept_differences(
        &self,
        reader: &str,
        path: &RepoPath,
        before: &Node,
    ) -> Result<Option<Vec<FileDifference>>> {
        let file = self.listing_file(reader, path);
        let Some(bytes) = fs::read_if_exists(&file, MAX_LISTING)? else {
            return Ok(None);
        };
        let kept = serde_json::from_slice::<Listing>(&bytes).ok();
        let kept = kept.filter(|kept| matches!(before, Node::Dir { id, .. } if *id == kept.id));
        let (Some(before), Some(after)) = (kept, self.listed(path, None)?) else {
            return Ok(None);
        };
        let mut found = Vec::new();
        let mut tell = |name: &str, change| {
            if let Some(below) = unquote(name).and_then(|name| RepoPath::new(&name).ok()) {
                let path = path.join_path(&below);
                found.push(FileDifference { path, change });
            }
        };
        for (name, was) in &before.files {
            match after.get(name) {
                None => tell(name, "deleted"),
                Some(is) if is != was => tell(name, "modified"),
                Some(_) => {}
            }
        }
        let new = after.keys().filter(|name| !before.files.contains_key(*name));
        new.for_each(|name| tell(name, "added"));
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Some(found))
    }

    /// What is in a directory, if it is `wanted`.
    fn listed(&self, path: &RepoPath, wanted: Option<TreeId>) -> Result<Option<BTreeMap<String, String>>> {
        let on_disk = path.on_disk(self.repository.root());
        if fs::stat(&on_disk)?.is_none_or(|stat| stat.kind != FileKind::Dir) {
            return Ok(None);
        }
        let snapshot = self.plain_snapshot(path, &on_disk)?;
        let Some(Node::Dir { id, .. }) = snapshot.node else {
            return Ok(None);
        };
        if wanted.is_some_and(|wanted| wanted != id) {
            return Ok(None);
        }
        let mut files = BTreeMap::new();
        let done = list(&snapshot.over(self.repository), id, &RepoPath::root(), &mut files);
        Ok(done.map(|()| files))
    }

    /// What is in a directory that is in no output, and does not count there: ignored, or never an input.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn left_out(&self, path: &RepoPath) -> Result<Vec<RepoPath>> {
        let on_disk = path.on_disk(self.repository.root());
        let is_dir = fs::stat(&on_disk)?.is_some_and(|stat| stat.kind == FileKind::Dir);
        if !is_dir || self.is_in_output(path) {
            return Ok(Vec::new());
        }
        let snapshot = self.plain_snapshot(path, &on_disk)?;
        let mut found = Vec::new();
        for dir in &snapshot.scan.dirs {
            let ignored = dir.skipped.iter().filter(|skipped| skipped.why == Obstacle::Ignored);
            found.extend(ignored.map(|skipped| path.join_path(&dir.path).join(&skipped.name)));
        }
        found.sort();
        Ok(found)
    }

    fn listing_file(&self, reader: &str, path: &RepoPath) -> std::path::PathBuf {
        let name = FileId::of([reader.as_bytes(), b"\0", path.as_bytes()].concat().as_slice());
        let dir = self.repository.git().git_dir().join(FOLDER).join("stages");
        dir.join("listings").join(name.to_string())
    }
}

fn list<T: Trees + ?Sized>(
    trees: &T,
    id: TreeId,
    dir: &RepoPath,
    files: &mut BTreeMap<String, String>,
) -> Option<()> {
    for entry in trees.tree(id).ok()?.into_entries() {
        let path = dir.join(&entry.name);
        let name = || quote(path.as_bytes()).into_owned();
        match &entry.node {
            Node::Dir { id, .. } => list(trees, *id, &path, files)?,
            Node::File { id, executable, .. } => drop(files.insert(name(), format!("{id} {executable}"))),
            Node::Symlink { target } => drop(files.insert(name(), format!("-> {}", quote(target)))),
        }
    }
    Some(())
}
