//! Writing trees, commits and tags anew.

use std::collections::HashMap;
use std::sync::Arc;

use gix::bstr::{BStr, ByteSlice as _};
use gix::objs::tree::{Entry, EntryKind};
use gix::objs::{Kind, TreeRefIter, Write as _};

use super::super::discover::GitRepo;
use super::super::error::{GitError, Result};
use super::super::track::{add_lines, literal_pattern, take_out_lines};
use super::super::transparent::{ATTRIBUTES_FILE, mentions};
use super::refs::RefTip;
use super::{Direction, MigratePlan, MigrateRequest, Migrated};
use crate::path::{Name, PathError, RepoPath};
use crate::progress::Progress;

/// Signatures at the end of a tag's message.
const SIGNATURES: [&[u8]; 4] = [
    b"-----BEGIN PGP SIGNATURE-----",
    b"-----BEGIN PGP MESSAGE-----",
    b"-----BEGIN SSH SIGNATURE-----",
    b"-----BEGIN SIGNED MESSAGE-----",
];

/// A tree that was looked at.
#[derive(Clone)]
struct Tree {
    id: gix::ObjectId,
    /// Whether files in it changed.
    changed: bool,
    /// Which ones, with [`MigrateRequest::above`] alone: nothing else needs them, and they are many.
    files: Arc<[Changed]>,
}

/// A file that changed, or all those of a directory, which trees that have it in common share.
enum Changed {
    File(RepoPath),
    Below(Arc<[Changed]>),
}

fn literal_patterns(changed: &[Changed], patterns: &mut Vec<Vec<u8>>) {
    for one in changed {
        match one {
            Changed::File(path) => patterns.push(literal_pattern(path)),
            Changed::Below(files) => literal_patterns(files, patterns),
        }
    }
}

struct Rewriter<'a> {
    repo: &'a gix::Repository,
    request: &'a MigrateRequest,
    blobs: &'a HashMap<gix::ObjectId, gix::ObjectId>,
    /// By old tree and the directory it stands for, since patterns are about paths.
    trees: HashMap<(gix::ObjectId, RepoPath), Tree>,
    /// Old and new attributes; `None`: no file any more.
    attributes: HashMap<gix::ObjectId, Option<gix::ObjectId>>,
}

impl MigratePlan {
    /// Writes the history anew and moves the refs; the blobs were imported or exported before. `check` is asked right
    /// before the refs move: an error of it stops the migration.
    ///
    /// # Errors
    /// When objects cannot be read or written, a ref has moved meanwhile, or `check` says so; refs are then as before.
    pub fn execute<E: From<GitError>>(
        self,
        git: &GitRepo,
        progress: &Progress,
        check: impl FnOnce() -> std::result::Result<(), E>,
    ) -> std::result::Result<Migrated, E> {
        let (mut outcome, moved, renamed) = self.rewrite(git, progress)?;
        if moved.is_empty() {
            return Ok(outcome);
        }
        // More notes than before do no harm, should the refs not move after all.
        outcome.notes = git.copy_notes(&renamed)?;
        check()?;
        outcome.backup = Some(git.move_refs(&moved)?);
        Ok(outcome)
    }

    /// Writes the history anew: which refs have to move where, and what has which new id.
    #[allow(clippy::type_complexity, reason = "it is used once")]
    fn rewrite(
        &self,
        git: &GitRepo,
        progress: &Progress,
    ) -> Result<(
        Migrated,
        Vec<(&RefTip, gix::ObjectId)>,
        HashMap<gix::ObjectId, gix::ObjectId>,
    )> {
        let mut repo = git.local();
        repo.objects.ignore_replacements = true;
        let mut rewriter = Rewriter {
            repo: &repo,
            request: &self.request,
            blobs: &self.replaced,
            trees: HashMap::new(),
            attributes: HashMap::new(),
        };
        let mut outcome = Migrated::default();
        let mut commits: HashMap<gix::ObjectId, gix::ObjectId> = HashMap::new();
        for id in &self.commits {
            progress.check()?;
            let data = object(&repo, *id, Kind::Commit)?;
            let tree = tree_in(*id, &data)?;
            let new_tree = rewriter.root(tree)?;
            if let Some((new, signatures)) = new_commit(&data, new_tree, &commits) {
                let new = write(&repo, Kind::Commit, &new)?;
                commits.insert(*id, new);
                outcome.commits += 1;
                outcome.signatures += signatures;
            }
        }
        let mut moved = Vec::new();
        for tip in &self.refs {
            let new = new_target(&repo, tip.id, &commits, &mut outcome.signatures)?;
            if new != tip.id {
                moved.push((tip, new));
                outcome.refs.push(tip.name.clone());
            }
        }
        // Tags can have notes, too.
        commits.extend(moved.iter().map(|(tip, new)| (tip.id, *new)));
        Ok((outcome, moved, commits))
    }
}

impl Rewriter<'_> {
    /// The tree of a commit, with the attributes it needs.
    fn root(&mut self, id: gix::ObjectId) -> Result<gix::ObjectId> {
        let tree = self.tree(id, &RepoPath::root())?;
        if !tree.changed {
            return Ok(tree.id);
        }
        let mut patterns = Vec::new();
        match self.request.above {
            // A pattern would also take small files from now on.
            Some(_) => literal_patterns(&tree.files, &mut patterns),
            None => patterns.clone_from(&self.request.include),
        }
        let data = object(self.repo, tree.id, Kind::Tree)?;
        let mut entries = entries_of(tree.id, &data)?;
        let at = entries.iter().position(|entry| entry.filename == ATTRIBUTES_FILE);
        let before = match at {
            Some(at) => object(self.repo, entries[at].oid, Kind::Blob)?,
            None => Vec::new(),
        };
        let after = match self.request.direction {
            Direction::Import if self.request.above.is_some() => add_lines(&before, &patterns, &[]),
            Direction::Import => add_lines(&before, &patterns, &self.request.exclude),
            // All of them were taken out on the way.
            Direction::Export if self.is_all() => before.clone(),
            Direction::Export => {
                let rest = take_out_lines(&before, Some(&patterns));
                match mentions(&rest) {
                    true => add_lines(&rest, &[], &patterns),
                    false => rest,
                }
            }
        };
        if after == before {
            return Ok(tree.id);
        }
        match at {
            Some(at) if after.is_empty() => drop(entries.remove(at)),
            Some(at) => entries[at].oid = write(self.repo, Kind::Blob, &after)?,
            None => entries.push(Entry {
                mode: EntryKind::Blob.into(),
                filename: ATTRIBUTES_FILE.into(),
                oid: write(self.repo, Kind::Blob, &after)?,
            }),
        }
        self.write_tree(entries)
    }

    /// Whether every transparent file becomes git's own, so that no attributes are needed any more.
    fn is_all(&self) -> bool {
        let MigrateRequest {
            include,
            exclude,
            above,
            ..
        } = self.request;
        include.is_empty() && exclude.is_empty() && above.is_none()
    }

    /// Goes no deeper than [`super::MAX_DEPTH`], which the plan has seen to.
    fn tree(&mut self, id: gix::ObjectId, dir: &RepoPath) -> Result<Tree> {
        let key = (id, dir.clone());
        if let Some(known) = self.trees.get(&key) {
            return Ok(known.clone());
        }
        let data = object(self.repo, id, Kind::Tree)?;
        let mut entries = entries_of(id, &data)?;
        let mut changed = false;
        let mut files = Vec::new();
        let wanted = self.request.above.is_some();
        let mut differs = false;
        let mut gone = None;
        for (i, entry) in entries.iter_mut().enumerate() {
            let Ok(path) = join(dir, entry.filename.as_bstr()) else {
                continue;
            };
            let new = if entry.mode.is_tree() {
                let below = self.tree(entry.oid, &path)?;
                changed |= below.changed;
                if !below.files.is_empty() {
                    files.push(Changed::Below(below.files));
                }
                below.id
            } else if !entry.mode.is_blob() {
                continue;
            } else if entry.filename == ATTRIBUTES_FILE
                && self.request.direction == Direction::Export
                && self.is_all()
            {
                match self.without_filter(entry.oid)? {
                    Some(new) => new,
                    None => {
                        gone = Some(i);
                        continue;
                    }
                }
            } else if let Some(new) = self.blobs.get(&entry.oid)
                && self.request.wants(&path)
            {
                changed = true;
                if wanted {
                    files.push(Changed::File(path));
                }
                *new
            } else {
                continue;
            };
            differs |= new != entry.oid;
            entry.oid = new;
        }
        if let Some(gone) = gone {
            entries.remove(gone);
            differs = true;
        }
        let tree = Tree {
            id: if differs { self.write_tree(entries)? } else { id },
            changed,
            files: files.into(),
        };
        self.trees.insert(key, tree.clone());
        Ok(tree)
    }

    /// Attributes without the lines that name the filter.
    fn without_filter(&mut self, id: gix::ObjectId) -> Result<Option<gix::ObjectId>> {
        if let Some(known) = self.attributes.get(&id) {
            return Ok(*known);
        }
        let before = object(self.repo, id, Kind::Blob)?;
        let after = take_out_lines(&before, None);
        let new = match after.is_empty() && !before.is_empty() {
            true => None,
            false if after == before => Some(id),
            false => Some(write(self.repo, Kind::Blob, &after)?),
        };
        self.attributes.insert(id, new);
        Ok(new)
    }

    fn write_tree(&self, mut entries: Vec<Entry>) -> Result<gix::ObjectId> {
        entries.sort();
        let tree = gix::objs::Tree { entries };
        let written = self.repo.write_object(&tree);
        Ok(written.map_err(|e| GitError::object("of a new tree", e))?.detach())
    }
}

pub(super) fn join(dir: &RepoPath, name: &BStr) -> std::result::Result<RepoPath, PathError> {
    Ok(dir.join(&Name::new(name)?))
}

pub(super) fn tree_of(repo: &gix::Repository, commit: gix::ObjectId) -> Result<gix::ObjectId> {
    tree_in(commit, &object(repo, commit, Kind::Commit)?)
}

fn tree_in(commit: gix::ObjectId, data: &[u8]) -> Result<gix::ObjectId> {
    let line = data.strip_prefix(b"tree ").and_then(|rest| rest.lines().next());
    let tree = line.and_then(|hex| gix::ObjectId::from_hex(hex).ok());
    tree.ok_or_else(|| GitError::object(commit, "it does not begin with its tree"))
}

fn object(repo: &gix::Repository, id: gix::ObjectId, kind: Kind) -> Result<Vec<u8>> {
    let mut object = repo.find_object(id).map_err(|e| GitError::object(id, e))?;
    if object.kind != kind {
        let other = object.kind;
        return Err(GitError::object(id, format!("it is a {other}, not a {kind}")));
    }
    Ok(std::mem::take(&mut object.data))
}

fn write(repo: &gix::Repository, kind: Kind, data: &[u8]) -> Result<gix::ObjectId> {
    let written = repo.objects.write_buf(kind, data);
    written.map_err(|e| GitError::object(format!("of a new {kind}"), e))
}

fn entries_of(id: gix::ObjectId, data: &[u8]) -> Result<Vec<Entry>> {
    TreeRefIter::from_bytes(data, id.kind())
        .map(|entry| {
            let entry = entry.map_err(|e| GitError::object(id, e))?;
            Ok(Entry {
                mode: entry.mode,
                filename: entry.filename.to_owned(),
                oid: entry.oid.to_owned(),
            })
        })
        .collect()
}

/// The header lines of a commit or tag, each with its continuations, and where the rest begins.
fn header_lines(data: &[u8]) -> (Vec<&[u8]>, usize) {
    let mut lines: Vec<&[u8]> = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < data.len() && data[at] != b'\n' {
        let end = data[at..].find_byte(b'\n').map_or(data.len(), |n| at + n + 1);
        if data[at] == b' ' && !lines.is_empty() {
            lines.pop();
        } else {
            start = at;
        }
        lines.push(&data[start..end]);
        at = end;
    }
    (lines, at)
}

/// The commit with another tree and other parents, and how many signatures it lost; `None` when it stays as it is.
pub(super) fn new_commit(
    data: &[u8],
    tree: gix::ObjectId,
    commits: &HashMap<gix::ObjectId, gix::ObjectId>,
) -> Option<(Vec<u8>, u64)> {
    let (lines, body) = header_lines(data);
    let mut new = Vec::with_capacity(data.len());
    let (mut differs, mut signatures) = (false, 0);
    for line in lines {
        let id = |prefix: &[u8]| {
            let hex = line.strip_prefix(prefix)?.trim_ascii();
            gix::ObjectId::from_hex(hex).ok()
        };
        if let Some(old) = id(b"tree ") {
            differs |= old != tree;
            new.extend_from_slice(format!("tree {tree}\n").as_bytes());
        } else if let Some(old) = id(b"parent ") {
            let parent = commits.get(&old).copied().unwrap_or(old);
            differs |= old != parent;
            new.extend_from_slice(format!("parent {parent}\n").as_bytes());
        } else if [&b"gpgsig "[..], b"gpgsig-sha256 ", b"mergetag "]
            .iter()
            .any(|key| line.starts_with(key))
        {
            signatures += 1;
        } else {
            new.extend_from_slice(line);
        }
    }
    new.extend_from_slice(&data[body..]);
    differs.then_some((new, signatures))
}

/// What a ref shall name in place of a commit, or of a tag that leads to one.
fn new_target(
    repo: &gix::Repository,
    id: gix::ObjectId,
    commits: &HashMap<gix::ObjectId, gix::ObjectId>,
    signatures: &mut u64,
) -> Result<gix::ObjectId> {
    if let Some(new) = commits.get(&id) {
        return Ok(*new);
    }
    let header = repo.find_header(id).map_err(|e| GitError::object(id, e))?;
    if header.kind() != Kind::Tag {
        return Ok(id);
    }
    let data = object(repo, id, Kind::Tag)?;
    let target = data.strip_prefix(b"object ").and_then(|rest| rest.lines().next());
    let Some(target) = target.and_then(|hex| gix::ObjectId::from_hex(hex).ok()) else {
        return Err(GitError::object(id, "it does not begin with its object"));
    };
    let new = new_target(repo, target, commits, signatures)?;
    if new == target {
        return Ok(id);
    }
    let (data, signed) = new_tag(&data, new);
    *signatures += u64::from(signed);
    write(repo, Kind::Tag, &data)
}

/// The tag with another object, and whether it lost a signature.
pub(super) fn new_tag(data: &[u8], object: gix::ObjectId) -> (Vec<u8>, bool) {
    let (lines, body) = header_lines(data);
    let mut new = Vec::with_capacity(data.len());
    let mut signed = false;
    for line in lines {
        if line.starts_with(b"object ") {
            new.extend_from_slice(format!("object {object}\n").as_bytes());
        } else if line.starts_with(b"gpgsig") {
            signed = true;
        } else {
            new.extend_from_slice(line);
        }
    }
    let mut message = &data[body..];
    let mut at = 0;
    for line in message.split_inclusive(|&b| b == b'\n') {
        if SIGNATURES.iter().any(|begin| line.starts_with(begin)) {
            message = &message[..at];
            signed = true;
            break;
        }
        at += line.len();
    }
    new.extend_from_slice(message);
    (new, signed)
}
