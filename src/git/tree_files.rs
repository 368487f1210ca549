//! Reading any files of a revision without checking it out.

use std::collections::HashMap;
use std::rc::Rc;

use gix::objs::TreeRefIter;

use super::discover::GitRepo;
use super::error::{GitError, Result};
use super::revision::entry_name;
use crate::path::{Name, RepoPath};

/// What a name in a directory of a revision stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeEntryKind {
    /// A file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link or another repository.
    Other,
}

/// The files of a revision.
pub struct RevisionFiles {
    repo: gix::Repository,
    /// `None` before the first commit.
    tree: Option<gix::ObjectId>,
}

/// Which files of one name are below directories that were looked at in other revisions: the same directory is not looked at
/// twice.
#[derive(Default)]
pub struct NamedFiles(HashMap<gix::ObjectId, Rc<Vec<RepoPath>>>);

impl GitRepo {
    /// The files of a revision; none if it is `HEAD` and there is no commit yet.
    ///
    /// # Errors
    /// [`GitError::Revision`] when git does not know it.
    pub fn files_at(&self, rev: &str) -> Result<RevisionFiles> {
        let repo = self.local();
        let tree = self.tree_of(&repo, rev)?;
        Ok(RevisionFiles { repo, tree })
    }
}

impl RevisionFiles {
    /// All files of this name, sorted by path.
    ///
    /// # Errors
    /// [`GitError::Object`] for missing or damaged objects.
    pub fn named(&self, name: &str) -> Result<Vec<RepoPath>> {
        let mut found = Vec::new();
        let mut pending: Vec<_> = self.tree.map(|tree| (RepoPath::root(), tree)).into_iter().collect();
        while let Some((dir, tree)) = pending.pop() {
            self.each(tree, |entry, kind, id| {
                match kind {
                    TreeEntryKind::Dir => pending.push((dir.join(&entry_name(entry, tree)?), id)),
                    TreeEntryKind::File if entry == name.as_bytes() => {
                        found.push(dir.join(&entry_name(entry, tree)?))
                    }
                    _ => {}
                }
                Ok(())
            })?;
        }
        found.sort_unstable();
        Ok(found)
    }

    /// As [`RevisionFiles::named`], always for the same name.
    ///
    /// # Errors
    /// As [`RevisionFiles::named`].
    pub fn named_again(&self, name: &str, known: &mut NamedFiles) -> Result<Vec<RepoPath>> {
        let Some(tree) = self.tree else { return Ok(Vec::new()) };
        let mut found = Vec::clone(&*self.named_below(tree, name, known)?);
        found.sort_unstable();
        Ok(found)
    }

    fn named_below(&self, tree: gix::ObjectId, name: &str, known: &mut NamedFiles) -> Result<Rc<Vec<RepoPath>>> {
        if let Some(found) = known.0.get(&tree) {
            return Ok(Rc::clone(found));
        }
        let mut found = Vec::new();
        let mut below = Vec::new();
        self.each(tree, |entry, kind, id| {
            match kind {
                TreeEntryKind::Dir => below.push((entry_name(entry, tree)?, id)),
                TreeEntryKind::File if entry == name.as_bytes() => {
                    found.push(RepoPath::root().join(&entry_name(entry, tree)?));
                }
                _ => {}
            }
            Ok(())
        })?;
        for (dir, id) in below {
            let dir = RepoPath::root().join(&dir);
            let inside = self.named_below(id, name, known)?;
            found.extend(inside.iter().map(|path| dir.join_path(path)));
        }
        let found = Rc::new(found);
        known.0.insert(tree, Rc::clone(&found));
        Ok(found)
    }

    /// What git calls the content of a file or directory; `None` if there is none of that path.
    ///
    /// # Errors
    /// As [`RevisionFiles::named`].
    pub fn id(&self, path: &RepoPath) -> Result<Option<String>> {
        let id = match path.is_root() {
            true => self.tree,
            false => self.find(path)?.map(|(_, id)| id),
        };
        Ok(id.map(|id| id.to_string()))
    }

    /// The bytes of a file; `None` if there is none of that path.
    ///
    /// # Errors
    /// [`GitError::Object`] for missing or damaged objects, [`GitError::TooLarge`] for a file longer than `limit`.
    pub fn read(&self, path: &RepoPath, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some((TreeEntryKind::File, id)) = self.find(path)? else {
            return Ok(None);
        };
        let error = |source| GitError::object(id, source);
        let size = self.repo.find_header(id).map_err(error)?.size();
        if size > limit {
            return Err(GitError::TooLarge {
                path: path.clone(),
                size,
                limit,
            });
        }
        let mut blob = self.repo.find_blob(id).map_err(|e| GitError::object(id, e))?;
        Ok(Some(blob.take_data()))
    }

    /// What a directory holds, sorted by name; `None` if there is no directory of that path.
    ///
    /// # Errors
    /// As [`RevisionFiles::named`].
    pub fn list(&self, dir: &RepoPath) -> Result<Option<Vec<(Name, TreeEntryKind)>>> {
        let tree = if dir.is_root() {
            self.tree
        } else {
            match self.find(dir)? {
                Some((TreeEntryKind::Dir, id)) => Some(id),
                _ => None,
            }
        };
        let Some(tree) = tree else { return Ok(None) };
        let mut entries = Vec::new();
        self.each(tree, |entry, kind, _| {
            entries.push((entry_name(entry, tree)?, kind));
            Ok(())
        })?;
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(Some(entries))
    }

    fn find(&self, path: &RepoPath) -> Result<Option<(TreeEntryKind, gix::ObjectId)>> {
        let Some(mut tree) = self.tree else { return Ok(None) };
        let mut found = None;
        for name in path.names() {
            if let Some((kind, id)) = found {
                if kind != TreeEntryKind::Dir {
                    return Ok(None);
                }
                tree = id;
            }
            found = None;
            self.each(tree, |entry, kind, id| {
                if entry == name {
                    found = Some((kind, id));
                }
                Ok(())
            })?;
            if found.is_none() {
                return Ok(None);
            }
        }
        Ok(found)
    }

    fn each(
        &self,
        tree: gix::ObjectId,
        mut entry: impl FnMut(&[u8], TreeEntryKind, gix::ObjectId) -> Result<()>,
    ) -> Result<()> {
        let object = self.repo.find_object(tree).map_err(|e| GitError::object(tree, e))?;
        if object.kind != gix::objs::Kind::Tree {
            return Err(GitError::object(tree, format!("it is a {}, not a tree", object.kind)));
        }
        for found in TreeRefIter::from_bytes(&object.data, tree.kind()) {
            let found = found.map_err(|e| GitError::object(tree, e))?;
            let kind = if found.mode.is_tree() {
                TreeEntryKind::Dir
            } else if found.mode.is_blob() {
                TreeEntryKind::File
            } else {
                TreeEntryKind::Other
            };
            entry(found.filename, kind, found.oid.to_owned())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Sandbox, path, paths};
    use super::*;

    #[test]
    fn reads_what_a_commit_has() {
        let repo = Sandbox::new();
        assert!(
            repo.open()
                .files_at("HEAD")
                .unwrap()
                .named("mv.toml")
                .unwrap()
                .is_empty()
        );
        repo.write("mv.toml", "a");
        repo.write("sub/deep/mv.toml", "b");
        repo.write("sub/other", "c");
        repo.commit_all("One");
        repo.write("mv.toml", "changed");
        repo.write("late/mv.toml", "");
        let files = repo.open().files_at("HEAD").unwrap();
        assert_eq!(files.named("mv.toml").unwrap(), paths(&["mv.toml", "sub/deep/mv.toml"]));
        let mut known = NamedFiles::default();
        for _ in 0..2 {
            let again = files.named_again("mv.toml", &mut known).unwrap();
            assert_eq!(again, paths(&["mv.toml", "sub/deep/mv.toml"]));
        }
        assert_ne!(files.id(&path("sub")).unwrap(), None);
        assert_eq!(files.id(&path("none")).unwrap(), None);
        assert_eq!(files.read(&path("mv.toml"), 10).unwrap(), Some(b"a".to_vec()));
        assert_eq!(files.read(&path("sub/deep/mv.toml"), 10).unwrap(), Some(b"b".to_vec()));
        assert_eq!(files.read(&path("sub"), 10).unwrap(), None);
        assert_eq!(files.read(&path("mv.toml/x"), 10).unwrap(), None);
        assert!(matches!(
            files.read(&path("mv.toml"), 0),
            Err(GitError::TooLarge { .. })
        ));
        let names: Vec<String> = files
            .list(&path("sub"))
            .unwrap()
            .unwrap()
            .iter()
            .map(|e| e.0.to_string())
            .collect();
        assert_eq!(names, ["deep", "other"]);
        assert_eq!(files.list(&path("sub/other")).unwrap(), None);
        assert_eq!(files.list(&path("none")).unwrap(), None);
    }
}
