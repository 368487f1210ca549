//! Rewriting history: files become transparent in every commit, or git's own again.
//!
//! A plan finds the blobs; their content is moved by whoever knows the cache, one at a time and in pieces; then trees,
//! commits and tags are written anew and the refs changed, all of them or none.
//!
//! Invariants: only `tree`, `parent` and `object` lines change in commits and tags, and signatures, which could not
//! hold any more, go; everything else, names, dates, encodings and messages, stays byte for byte. A commit in which
//! and before which nothing changes keeps its id. Refs move last, when everything they name is there; the old ones are
//! kept under `refs/original/modver/`. Notes are copied, so old and new commits have them.

mod notes;
mod refs;
mod rewrite;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead as _, Read};

use crossbeam_channel::{Receiver, bounded};
use gix::objs::{TreeRefIter, Write as _};

use super::discover::GitRepo;
use super::error::{GitError, Result};
use super::track::matches_path;
use super::transparent::{ATTRIBUTES_FILE, TransparentPointer, read_tiny_blob};
use crate::path::{RepoPath, quote};
use crate::progress::Progress;
use refs::RefTip;

/// How deep directories may be nested: trees are written from the inside out, on the stack.
const MAX_DEPTH: usize = 512;

/// Which way files go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Content in git becomes pointers.
    Import,
    /// Pointers in git become content.
    Export,
}

/// Which refs are rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefChoice {
    /// The branch that is checked out.
    Current,
    /// All branches and tags of this clone.
    Everything,
    /// These.
    Named(Vec<String>),
}

/// What to rewrite.
#[derive(Debug, Clone)]
pub struct MigrateRequest {
    /// Which way.
    pub direction: Direction,
    /// Patterns as [`super::attribute_pattern`] gives them, relative to the top; none: every file.
    pub include: Vec<Vec<u8>>,
    /// Patterns of files that stay as they are.
    pub exclude: Vec<Vec<u8>>,
    /// Only files of more than so many bytes.
    pub above: Option<u64>,
    /// Where.
    pub refs: RefChoice,
}

/// A blob that changes.
#[derive(Debug, Clone)]
pub struct MigrateBlob {
    /// One of the paths at which it is.
    pub path: RepoPath,
    /// Bytes of content.
    pub size: u64,
    /// For an export, what it names.
    pub pointer: Option<TransparentPointer>,
    id: gix::ObjectId,
}

/// What would be rewritten.
pub struct MigratePlan {
    request: MigrateRequest,
    refs: Vec<RefTip>,
    /// Parents before their children.
    commits: Vec<gix::ObjectId>,
    blobs: Vec<MigrateBlob>,
    /// What takes the place of each blob.
    replaced: HashMap<gix::ObjectId, gix::ObjectId>,
}

/// Hands out the content of a pointer in pieces, to whoever takes them.
pub type Load<'a, E> =
    dyn Fn(&TransparentPointer, &mut dyn FnMut(&[u8]) -> io::Result<()>) -> std::result::Result<(), E> + Sync + 'a;

/// What was rewritten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrated {
    /// The refs that changed.
    pub refs: Vec<String>,
    /// Where the old ones are kept; nothing changed if there are none.
    pub backup: Option<String>,
    /// Commits that have a new id.
    pub commits: u64,
    /// Signatures of commits and tags that were dropped.
    pub signatures: u64,
    /// Notes that were copied to the new commits.
    pub notes: u64,
}

impl std::fmt::Debug for MigratePlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MigratePlan({} blobs)", self.blobs.len())
    }
}

impl GitRepo {
    /// Finds what a migration would rewrite. Nothing is written.
    ///
    /// # Errors
    /// When the history is cut off (a shallow clone), refs are not known, or objects cannot be read.
    pub fn plan_migration(&self, request: MigrateRequest, progress: &Progress) -> Result<MigratePlan> {
        let refs = self.chosen_refs(&request.refs)?;
        let commits = self.commits_of(&refs)?;
        let mut repo = self.local();
        repo.objects.ignore_replacements = true;
        let mut blobs: HashMap<gix::ObjectId, Option<MigrateBlob>> = HashMap::new();
        let mut seen = HashSet::new();
        for commit in &commits {
            progress.check()?;
            let root = rewrite::tree_of(&repo, *commit)?;
            let mut pending = vec![(RepoPath::root(), root)];
            while let Some((dir, tree)) = pending.pop() {
                if !seen.insert((tree, dir.clone())) {
                    continue;
                }
                if dir.names().count() > MAX_DEPTH {
                    return Err(GitError::TooDeep {
                        commit: commit.to_string(),
                        top: shown(dir.names().next().unwrap_or_default()),
                    });
                }
                let object = repo.find_object(tree).map_err(|e| GitError::object(tree, e))?;
                for entry in TreeRefIter::from_bytes(&object.data, tree.kind()) {
                    let entry = entry.map_err(|e| GitError::object(tree, e))?;
                    let Ok(path) = rewrite::join(&dir, entry.filename) else {
                        continue;
                    };
                    if entry.mode.is_tree() {
                        pending.push((path, entry.oid.to_owned()));
                    } else if entry.mode.is_blob() && request.wants(&path) {
                        let id = entry.oid.to_owned();
                        if let std::collections::hash_map::Entry::Vacant(vacant) = blobs.entry(id) {
                            vacant.insert(request.candidate(&repo, path, id)?);
                        }
                    }
                }
            }
        }
        let mut blobs: Vec<MigrateBlob> = blobs.into_values().flatten().collect();
        blobs.sort_by(|a, b| a.path.cmp(&b.path).then_with(|| a.id.cmp(&b.id)));
        Ok(MigratePlan {
            request,
            refs,
            commits,
            blobs,
            replaced: HashMap::new(),
        })
    }
}

impl MigrateRequest {
    /// Whether a file of this path is meant, whatever it holds. Files that have to be readable as they are never are.
    fn wants(&self, path: &RepoPath) -> bool {
        let name = path.names().next_back().unwrap_or_default();
        let needed = [
            ATTRIBUTES_FILE,
            ".gitignore",
            ".gitmodules",
            ".mvignore",
            "mv.lock",
            "mv.toml",
        ];
        if needed.iter().any(|needed| name == needed.as_bytes()) || super::is_pointer_path(path) {
            return false;
        }
        let fits = |patterns: &[Vec<u8>]| patterns.iter().any(|pattern| matches_path(pattern, path));
        (self.include.is_empty() || fits(&self.include)) && !fits(&self.exclude)
    }

    /// The blob, if it changes where a path is meant.
    fn candidate(&self, repo: &gix::Repository, path: RepoPath, id: gix::ObjectId) -> Result<Option<MigrateBlob>> {
        let size = repo.find_header(id).map_err(|e| GitError::object(id, e))?.size();
        let tiny = read_tiny_blob(repo, id)?;
        let pointer = tiny.as_deref().and_then(TransparentPointer::parse);
        let content = pointer.map_or(size, |pointer| pointer.size);
        let right = match self.direction {
            // An empty file stays one.
            Direction::Import => pointer.is_none() && size > 0,
            Direction::Export => pointer.is_some(),
        };
        let large = self.above.is_none_or(|above| content > above);
        Ok((right && large).then_some(MigrateBlob {
            path,
            size: content,
            pointer,
            id,
        }))
    }
}

impl MigratePlan {
    /// The blobs that change, by path.
    #[must_use]
    pub fn blobs(&self) -> &[MigrateBlob] {
        &self.blobs
    }

    /// How many commits are looked at; those that keep their ids included.
    #[must_use]
    pub fn commits(&self) -> usize {
        self.commits.len()
    }

    /// The refs that may change.
    #[must_use]
    pub fn refs(&self) -> Vec<String> {
        self.refs.iter().map(|tip| tip.name.clone()).collect()
    }

    /// Hands the content of each blob to `store`, which returns its pointer; the pointers are written into git.
    ///
    /// # Errors
    /// When git cannot be read or written, or `store` fails.
    pub fn import<E: From<GitError>>(
        &mut self,
        git: &GitRepo,
        store: &mut dyn FnMut(&MigrateBlob, &mut (dyn Read + Send)) -> std::result::Result<TransparentPointer, E>,
    ) -> std::result::Result<(), E> {
        let repo = git.local();
        let ids: String = self.blobs.iter().map(|blob| format!("{}\n", blob.id)).collect();
        let mut run = git.git_start_unreplaced(&["cat-file", "--batch"], ids.into_bytes())?;
        for blob in &self.blobs {
            let mut head = Vec::new();
            run.stdout.read_until(b'\n', &mut head).map_err(run.failed_io())?;
            let expected = format!("{} blob {}\n", blob.id, blob.size);
            if head != expected.as_bytes() {
                return Err(run.unexpected(&head).into());
            }
            let mut content = (&mut run.stdout).take(blob.size);
            let pointer = store(blob, &mut content)?;
            io::copy(&mut content, &mut io::sink()).map_err(run.failed_io())?;
            let mut end = [0];
            run.stdout.read_exact(&mut end).map_err(run.failed_io())?;
            let written = repo.write_blob(pointer.to_bytes());
            let written = written.map_err(|e| GitError::object(blob.id, e))?;
            self.replaced.insert(blob.id, written.detach());
        }
        run.finish()?;
        Ok(())
    }

    /// Asks `load` for the content of each pointer, in pieces, and writes it into git.
    ///
    /// # Errors
    /// When git cannot be written, or `load` fails.
    pub fn export<E: From<GitError> + Send>(
        &mut self,
        git: &GitRepo,
        load: &Load<'_, E>,
    ) -> std::result::Result<(), E> {
        let repo = git.local();
        for blob in &self.blobs {
            let Some(pointer) = blob.pointer else { continue };
            let (pieces, receiver) = bounded(8);
            let written = std::thread::scope(|scope| {
                let loading = scope.spawn(move || {
                    load(&pointer, &mut |bytes| {
                        pieces
                            .send(Piece::Bytes(bytes.to_vec()))
                            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
                    })?;
                    // Nobody is there to hear it when writing failed, which is an error by itself.
                    let _ = pieces.send(Piece::End);
                    Ok::<(), E>(())
                });
                let mut content = Pieces {
                    receiver,
                    piece: Vec::new(),
                    at: 0,
                    left: pointer.size,
                    ended: false,
                };
                let written = repo
                    .objects
                    .write_stream(gix::objs::Kind::Blob, pointer.size, &mut content);
                // Whoever still sends is told to stop.
                drop(content);
                match loading.join() {
                    Ok(Err(error)) => Err(error),
                    Ok(Ok(())) => written.map_err(|e| GitError::object(blob.id, e).into()),
                    Err(_) => Err(GitError::object(blob.id, "loading its content was given up").into()),
                }
            })?;
            self.replaced.insert(blob.id, written);
        }
        Ok(())
    }
}

/// What a loader sends.
enum Piece {
    Bytes(Vec<u8>),
    /// That was all, and it was right.
    End,
}

/// Content that arrives in pieces, as a stream. It ends only when the loader says so and after exactly the bytes that
/// were promised: git's object names its size first, and whatever ends it gets an id.
struct Pieces {
    receiver: Receiver<Piece>,
    piece: Vec<u8>,
    at: usize,
    /// Bytes that have yet to arrive.
    left: u64,
    ended: bool,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            if self.ended {
                return Ok(0);
            }
            match self.receiver.recv() {
                Ok(Piece::Bytes(piece)) => {
                    let left = self.left.checked_sub(piece.len() as u64);
                    self.left = left.ok_or_else(|| io::Error::other("the content is longer than expected"))?;
                    (self.piece, self.at) = (piece, 0);
                }
                Ok(Piece::End) if self.left == 0 => self.ended = true,
                Ok(Piece::End) | Err(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let n = (self.piece.len() - self.at).min(buffer.len());
        buffer[..n].copy_from_slice(&self.piece[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// A ref's name for messages.
fn shown(name: &[u8]) -> String {
    quote(name).into_owned()
}
