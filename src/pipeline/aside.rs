//! What a stage had made before, while it runs again: put aside, so that a run that fails, or a process that is killed,
//! leaves everything as it was.
//!
//! What is where is written down before the first file moves, and taken off when the new outputs are stored. Whoever
//! takes the lock of the stage later finds what was not taken off and puts everything back.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::Result;
use super::inputs::node_of;
use super::runs::RecordedContent;
use super::session::Judgement;
use super::{Stage, inputs};
use crate::fs::{self, FileKind};
use crate::path::{RepoPath, quote, unquote};
use crate::repo::{Repository, remove_path};

/// What was put aside for a run of a stage.
#[derive(Debug)]
pub(super) struct Aside {
    dir: PathBuf,
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Item {
    /// The output, quoted.
    path: String,
    /// What it was.
    before: Before,
    /// How many of the directories around it were not there.
    #[serde(default)]
    new_dirs: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Before {
    /// There was nothing.
    Nothing,
    /// It is in the directory of what was put aside, under this name.
    Moved(String),
    /// It stays where it is while the stage runs; this is what it was.
    Stored(RecordedContent),
}

const LIST: &str = crate::repo::ASIDE_LIST;

impl Aside {
    /// Puts the outputs of a stage aside. Those that persist are stored in the cache and stay; those that are not what the
    /// stage made are stored before they move, because nothing else has them once the stage has run. The caller holds the
    /// lock of the stage and that of the workspace.
    ///
    /// # Errors
    /// When something cannot be moved, stored or written down; nothing has moved then.
    pub(super) fn take(repository: &Repository, stage: &Stage, judgement: &Judgement) -> Result<Self> {
        store(repository, &edited(stage, judgement))?;
        let dir = place(repository, stage);
        // Without a list, what is there is a rest of what does not count any more.
        fs::remove_dir_all(&dir)?;
        fs::create_dir_all(&dir)?;
        let persistent: Vec<RepoPath> = stage
            .outs
            .iter()
            .filter(|out| out.persist)
            .map(|out| out.path.clone())
            .collect();
        let mut stored = if persistent.is_empty() {
            Vec::new()
        } else {
            repository.store_contents(&persistent, 0, |_| Ok(Vec::new()))?.nodes
        }
        .into_iter();
        let mut items = Vec::new();
        for (at, out) in stage.outs.iter().enumerate() {
            let there = fs::stat(&out.path.on_disk(repository.root()))?.is_some();
            let before = if out.persist {
                let node = stored.next().flatten();
                let content = node.and_then(|node| Some((inputs::pointer_content(&node)?, node.size())));
                content.map_or(Before::Nothing, |(content, size)| {
                    Before::Stored(RecordedContent::new(content, size))
                })
            } else if there {
                Before::Moved(at.to_string())
            } else {
                Before::Nothing
            };
            items.push(Item {
                path: quote(out.path.as_bytes()).into_owned(),
                before,
                new_dirs: new_dirs(repository, &out.path)?,
            });
        }
        let text = serde_json::to_vec(&items).map_err(std::io::Error::other);
        let list = dir.join(LIST);
        fs::write_atomic(&list, &text.map_err(fs::at(fs::Attempt::Write, &list))?)?;
        let aside = Self { dir, items };
        if let Err(error) = aside.clear_the_way(repository) {
            aside.put_back(repository)?;
            return Err(error);
        }
        Ok(aside)
    }

    /// What a killed process put aside for this stage, if there is something.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn left_behind(repository: &Repository, stage: &Stage) -> Result<Option<Self>> {
        let dir = place(repository, stage);
        let Some(bytes) = fs::read_if_exists(&dir.join(LIST), 16 << 20)? else {
            return Ok(None);
        };
        // What cannot be read was never complete, so nothing had moved.
        let items = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Some(Self { dir, items }))
    }

    /// As [`Aside::put_back`], after a process was killed. What is in the way may be half an output, or somebody's file that
    /// came since: it goes into the cache.
    ///
    /// # Errors
    /// As [`Aside::put_back`], and when something cannot be stored; nothing has changed then.
    pub(super) fn recover(self, repository: &Repository) -> Result<()> {
        let mut found = Vec::new();
        for (item, path) in self.paths() {
            let moved = match &item.before {
                Before::Moved(name) => fs::stat(&self.dir.join(name))?.is_some(),
                Before::Nothing | Before::Stored(_) => true,
            };
            if moved {
                found.push(path);
            }
        }
        store(repository, &found)?;
        self.put_back(repository)
    }

    /// Moves what is to be moved, and makes the directories of the outputs.
    fn clear_the_way(&self, repository: &Repository) -> Result<()> {
        for (item, path) in self.paths() {
            let on_disk = path.on_disk(repository.root());
            if let Before::Moved(name) = &item.before {
                move_to(&on_disk, &self.dir.join(name))?;
            }
            if let Some(parent) = on_disk.parent() {
                fs::create_dir_all(parent)?;
            }
        }
        Ok(())
    }

    fn paths(&self) -> impl Iterator<Item = (&Item, RepoPath)> {
        self.items.iter().filter_map(|item| {
            let path = RepoPath::new(&unquote(&item.path)?).ok()?;
            Some((item, path))
        })
    }

    /// Removes what an attempt made, for the next one.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(super) fn start_again(&self, repository: &Repository) -> Result<()> {
        for (item, path) in self.paths() {
            match &item.before {
                Before::Stored(content) => restore(repository, &path, content)?,
                _ => remove_path(&path.on_disk(repository.root()))?,
            }
        }
        Ok(())
    }

    /// Puts everything back as it was. The caller holds the lock of the workspace.
    ///
    /// # Errors
    /// When something cannot be moved back; it is tried again when the stage runs next.
    pub(super) fn put_back(self, repository: &Repository) -> Result<()> {
        for (item, path) in self.paths() {
            let on_disk = path.on_disk(repository.root());
            match &item.before {
                Before::Nothing => remove_path(&on_disk)?,
                Before::Moved(name) => {
                    let kept = self.dir.join(name);
                    // It may not have been moved yet, or have been moved back already.
                    if fs::stat(&kept)?.is_some() {
                        remove_path(&on_disk)?;
                        if let Some(parent) = on_disk.parent() {
                            fs::create_dir_all(parent)?;
                        }
                        move_to(&kept, &on_disk)?;
                    }
                }
                Before::Stored(content) => restore(repository, &path, content)?,
            }
        }
        for (item, path) in self.paths() {
            let dirs = std::iter::successors(path.parent(), RepoPath::parent);
            for dir in dirs.take(item.new_dirs) {
                // What is in it now is somebody else's.
                if !fs::remove_empty_dir(&dir.on_disk(repository.root())).unwrap_or(false) {
                    break;
                }
            }
        }
        self.forget()
    }

    /// From here on the new outputs count.
    ///
    /// # Errors
    /// When the list cannot be removed.
    pub(super) fn forget(self) -> Result<()> {
        fs::remove_file(&self.dir.join(LIST))?;
        // What is left behind here is removed the next time.
        let _ = fs::remove_dir_all(&self.dir);
        Ok(())
    }
}

/// How many of the directories around an output are not there.
fn new_dirs(repository: &Repository, path: &RepoPath) -> Result<usize> {
    let mut count = 0;
    for dir in std::iter::successors(path.parent(), RepoPath::parent) {
        if fs::stat(&dir.on_disk(repository.root()))?.is_some() {
            break;
        }
        count += 1;
    }
    Ok(count)
}

/// Outputs that are there and are not what the stage made.
fn edited(stage: &Stage, judgement: &Judgement) -> Vec<RepoPath> {
    let locked = judgement.locked.as_ref();
    let made = |path| locked.and_then(|locked| locked.outs.get(path)).map(|out| out.content);
    let edited = stage.outs.iter().filter(|out| {
        let there = judgement.outs.get(&out.path).and_then(Option::as_ref);
        !out.persist && there.is_some_and(|there| inputs::pointer_content(there) != made(&out.path))
    });
    edited.map(|out| out.path.clone()).collect()
}

/// Stores the files and directories among these in the cache.
fn store(repository: &Repository, paths: &[RepoPath]) -> Result<()> {
    let mut found = Vec::new();
    for path in paths {
        let stat = fs::stat(&path.on_disk(repository.root()))?;
        if stat.is_some_and(|stat| matches!(stat.kind, FileKind::File | FileKind::Dir)) {
            found.push(path.clone());
        }
    }
    if !found.is_empty() {
        repository.store_contents(&found, 0, |_| Ok(Vec::new()))?;
    }
    Ok(())
}

fn restore(repository: &Repository, path: &RepoPath, content: &RecordedContent) -> Result<()> {
    // Whose it was, its state says, which a restore leaves alone if it was nobody's.
    let tracked = repository.is_tracked(path)?;
    let (content, size) = content.content();
    Ok(repository.restore_content(path, &node_of(content, size), tracked)?)
}

fn place(repository: &Repository, stage: &Stage) -> PathBuf {
    repository.aside_dir().join(inputs::file_name(&stage.id))
}

/// Moves a file or directory, also to another file system.
fn move_to(from: &Path, to: &Path) -> Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.source.kind() == std::io::ErrorKind::CrossesDevices => {
            copy_all(from, to)?;
            Ok(remove_path(from)?)
        }
        other => Ok(other?),
    }
}

/// Copies a file or directory; links stay links.
///
/// # Errors
/// When something cannot be read or written.
pub(super) fn copy_all(from: &Path, to: &Path) -> Result<()> {
    let Some(stat) = fs::stat(from)? else { return Ok(()) };
    match stat.kind {
        FileKind::File => Ok(fs::copy_file(from, to)?),
        FileKind::Symlink => Ok(fs::copy_link(from, to)?),
        FileKind::Special => Ok(()),
        FileKind::Dir => {
            fs::create_dir_all(to)?;
            for name in fs::list(from)? {
                copy_all(&from.join(&name), &to.join(&name))?;
            }
            Ok(())
        }
    }
}
