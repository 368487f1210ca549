//! The commits that touched a pointer, as `git log -- POINTER` finds them, in one process for each name it had.

use std::collections::{HashMap, HashSet};
use std::io::BufRead as _;
use std::sync::{Arc, Mutex, PoisonError};

use super::discover::GitRepo;
use super::error::{GitError, Result};
use super::lock::{Lock, LockProblem, MAX_LOCK};
use super::pointer::{MAX_POINTER, Pointer, PointerProblem};
use super::program::Run;
use super::resolve::Spec;
use super::revision::{PointerEntries, entry_name};
use crate::path::RepoPath;
use crate::progress::Progress;

/// Memory for objects that others are stored as a difference to.
const OBJECT_CACHE: usize = 4 * 1024 * 1024;
/// Pointers that went away in one commit and are read to see whether one of them is the one that came.
const MAX_CANDIDATES: usize = 1000;
/// Commits whose pointers are read by one task.
const BATCH: usize = 256;
/// Commits that are asked for at once, when all are wanted and when a few are.
const AT_ONCE: usize = 1 << 16;
const FEW_AT_ONCE: usize = 32;
const FORMAT: &str = "--format=%x01%H%x00%aI%x00%aN%x00%aE%x00%s";

/// A commit as a log shows it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LoggedCommit {
    /// Its id, in hex.
    pub commit: String,
    /// When it was written, as ISO 8601 with the author's time zone.
    pub date: String,
    /// Who wrote it.
    pub author: String,
    /// Their address.
    pub email: String,
    /// The first line of its message.
    pub subject: String,
}

/// What a pointer file is in a commit: what it says, or why it cannot be read.
pub type LoggedPointer = std::result::Result<Arc<Pointer>, String>;

/// A commit that touched a pointer; of a merge, as compared with its first parent.
#[derive(Debug, Clone)]
pub struct Touch {
    /// The commit.
    pub commit: LoggedCommit,
    /// The pointer's file.
    pub path: RepoPath,
    /// What it was before; `None` if there was none.
    pub before: Option<LoggedPointer>,
    /// What it is since; `None` if it went.
    pub after: Option<LoggedPointer>,
    /// The other name, if the same content came from there or went there.
    pub other: Option<RepoPath>,
}

impl GitRepo {
    /// Hands the commits that touched a pointer to `each`, newest first, until it says stop; of an output of a stage,
    /// `pointer` is the lock file and `out` the output, and the commits those that changed what is said of it. Where the pointer came
    /// from another name with the same content, goes on with that name. `rev` is where to begin, or a range; `few` says that
    /// it will be told to stop soon.
    ///
    /// # Errors
    /// When the revision is not known, or history cannot be read.
    pub fn log(
        &self,
        pointer: &RepoPath,
        out: Option<&RepoPath>,
        rev: Option<&str>,
        few: bool,
        progress: &Progress,
        each: &mut dyn FnMut(Touch) -> bool,
    ) -> Result<()> {
        let mut repo = self.local();
        repo.object_cache_size_if_unset(OBJECT_CACHE);
        if rev.is_none() && self.head()?.commit().is_none() {
            return Ok(());
        }
        let mut start = match rev {
            None => vec!["HEAD".to_owned()],
            Some(rev) => walk_args(&self.resolve(&repo, rev)?),
        };
        let mut log = Log {
            git: self,
            repo: &repo,
            out: out.cloned(),
            pointers: HashMap::new(),
        };
        let at_once = if few { FEW_AT_ONCE } else { AT_ONCE };
        let mut path = pointer.clone();
        loop {
            let args = log_args(&start, &path);
            let mut run = if few {
                self.git_start(&args, Vec::new())?
            } else {
                self.git_start_for_all(&args, Vec::new())?
            };
            let mut fields = Fields::new(&mut run);
            let mut moved = None;
            let mut records = Vec::<Record>::new().into_iter();
            loop {
                let Some((commit, [old, new])) = records.next() else {
                    progress.check()?;
                    records = log.next_records(&mut fields, &path, at_once)?.into_iter();
                    if records.len() == 0 {
                        break;
                    }
                    continue;
                };
                let mut came_from = None;
                let mut touch = Touch {
                    before: log.read(old, &path)?,
                    after: log.read(new, &path)?,
                    commit,
                    path: path.clone(),
                    other: None,
                };
                if out.is_some() {
                    if same(touch.before.as_ref(), touch.after.as_ref()) {
                        continue;
                    }
                } else if touch.before.is_none() || touch.after.is_none() {
                    let other = log.other_name(&touch, [old, new])?;
                    if touch.before.is_none()
                        && let Some((blob, from)) = &other
                    {
                        came_from = log.read(*blob, from)?;
                    }
                    touch.other = other.map(|(_, path)| path);
                }
                if came_from.is_some() {
                    touch.before = came_from;
                    moved = touch.other.clone().map(|from| (touch.commit.commit.clone(), from));
                }
                if !each(touch) {
                    return Ok(());
                }
                if moved.is_some() {
                    break;
                }
            }
            let Some((commit, from)) = moved else {
                return run.finish();
            };
            drop(run);
            let not = start.iter().filter(|arg| arg.starts_with('^')).cloned();
            start = std::iter::once(format!("{commit}^@")).chain(not).collect();
            path = from;
        }
    }

    /// Which of these pointer files a commit of a revision touched last; `None` if none ever did.
    ///
    /// # Errors
    /// As [`GitRepo::log`].
    pub fn last_touched(&self, pointers: &[RepoPath], rev: Option<&str>) -> Result<Option<RepoPath>> {
        use std::os::unix::ffi::OsStringExt as _;
        if rev.is_none() && self.head()?.commit().is_none() {
            return Ok(None);
        }
        let start = match rev {
            None => vec!["HEAD".to_owned()],
            Some(rev) => walk_args(&self.resolve(&self.local(), rev)?),
        };
        let mut args: Vec<std::ffi::OsString> = Vec::new();
        args.extend(["--literal-pathspecs", "log", "-1", "--format=", "--name-only", "-z"].map(Into::into));
        args.extend(
            [
                "--no-renames",
                "--no-show-signature",
                "--diff-merges=first-parent",
                "--root",
            ]
            .map(Into::into),
        );
        args.extend(start.into_iter().map(Into::into));
        args.push("--".into());
        args.extend(
            pointers
                .iter()
                .map(|path| std::ffi::OsString::from_vec(path.as_bytes().to_vec())),
        );
        let out = self.git(&args, Vec::new())?;
        let names: Vec<&[u8]> = out.split(|&b| b == 0).map(<[u8]>::trim_ascii_start).collect();
        Ok(pointers.iter().find(|path| names.contains(&path.as_bytes())).cloned())
    }

    /// Whether history ends early, as in a shallow clone.
    #[must_use]
    pub fn is_shallow(&self) -> bool {
        self.local().is_shallow().unwrap_or_default()
    }
}

fn walk_args(spec: &Spec) -> Vec<String> {
    match spec {
        Spec::One(id) => vec![id.to_string()],
        Spec::Not(id) => vec!["HEAD".to_owned(), format!("^{id}")],
        Spec::Range { from, to } => vec![to.to_string(), format!("^{from}")],
        Spec::Symmetric { left, right } => vec![format!("{left}...{right}")],
        Spec::Set { from, not } => {
            let not = not.iter().map(|id| format!("^{id}"));
            from.iter().map(ToString::to_string).chain(not).collect()
        }
    }
}

fn log_args(start: &[String], path: &RepoPath) -> Vec<std::ffi::OsString> {
    use std::os::unix::ffi::OsStringExt as _;
    let mut args: Vec<std::ffi::OsString> = vec!["--literal-pathspecs".into(), "log".into(), FORMAT.into()];
    args.extend(
        "-z --raw --no-abbrev --no-renames --no-follow --no-show-signature --no-color --no-relative \
         -c --root --encoding=UTF-8"
            .split_ascii_whitespace()
            .map(Into::into),
    );
    args.extend(start.iter().map(Into::into));
    args.push("--".into());
    args.push(std::ffi::OsString::from_vec(path.as_bytes().to_vec()));
    args
}

/// Whether a lock file says the same of an output.
fn same(before: Option<&LoggedPointer>, after: Option<&LoggedPointer>) -> bool {
    match (before, after) {
        (None, None) => true,
        (Some(Ok(before)), Some(Ok(after))) => before == after,
        _ => false,
    }
}

struct Log<'a> {
    git: &'a GitRepo,
    repo: &'a gix::Repository,
    /// The output, if the file is a lock file.
    out: Option<RepoPath>,
    /// A pointer is read twice: as what came, and as what was there before the next.
    pointers: HashMap<gix::ObjectId, Option<LoggedPointer>>,
}

impl Log<'_> {
    /// The next records, at most `count`; none at the end. While git finds more of them, other threads read the
    /// pointers of those that came.
    fn next_records(&mut self, fields: &mut Fields<'_>, path: &RepoPath, count: usize) -> Result<Vec<Record>> {
        let (git, out) = (self.git, self.out.as_ref());
        let found = Mutex::new(Vec::new());
        let mut records: Vec<Record> = Vec::new();
        rayon::in_place_scope(|scope| {
            let mut begun = 0;
            while records.len() < count
                && let Some(record) = fields.next_record(path)?
            {
                records.push(record);
                if records.len() - begun < BATCH {
                    continue;
                }
                // Neighbours in history are neighbours in a pack, too. What was there before is the next one's own.
                let blobs: Vec<gix::ObjectId> = records[begun..].iter().map(|(_, [_, new])| *new).collect();
                begun = records.len();
                let found = &found;
                scope.spawn(move |_| {
                    let mut repo = git.local();
                    repo.object_cache_size_if_unset(OBJECT_CACHE);
                    let blobs = blobs.into_iter().filter(|blob| !blob.is_null());
                    // What cannot be read is tried again, and said, when its turn comes.
                    let read: Vec<_> = blobs
                        .filter_map(|id| Some((id, read(&repo, id, path, out).ok()?)))
                        .collect();
                    found.lock().unwrap_or_else(PoisonError::into_inner).extend(read);
                });
            }
            Ok::<(), GitError>(())
        })?;
        self.pointers
            .extend(found.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(records)
    }

    fn read(&mut self, blob: gix::ObjectId, path: &RepoPath) -> Result<Option<LoggedPointer>> {
        if blob.is_null() {
            return Ok(None);
        }
        if let Some(known) = self.pointers.get(&blob) {
            return Ok(known.clone());
        }
        let read = read(self.repo, blob, path, self.out.as_ref())?;
        self.pointers.insert(blob, read.clone());
        Ok(read)
    }

    /// Where a pointer that came was before, or one that went is since, and its blob there: the same content in the same
    /// commit, or the only pointer that went in the commit in which only this one came.
    fn other_name(
        &mut self,
        touch: &Touch,
        [old, new]: [gix::ObjectId; 2],
    ) -> Result<Option<(gix::ObjectId, RepoPath)>> {
        let came = old.is_null();
        let blob = if came { new } else { old };
        let content = |pointer: &LoggedPointer| pointer.as_ref().ok().map(|pointer| pointer.content);
        let wanted = if came { &touch.after } else { &touch.before };
        let Some(wanted) = wanted.as_ref().and_then(content) else {
            return Ok(None);
        };
        let commit = self.commit_of(&touch.commit.commit)?;
        let tree = commit.tree_id().map_err(|e| GitError::object(commit.id, e))?.detach();
        // What came with a commit without parents came from nowhere.
        let Some(parent) = commit.parent_ids().next().map(gix::Id::detach) else {
            return Ok(None);
        };
        let parent = match self.repo.try_find_object(parent) {
            Ok(Some(object)) => object.peel_to_tree().map_err(|e| GitError::object(parent, e))?.id,
            // A shallow clone ends here.
            Ok(None) => return Ok(None),
            Err(error) => return Err(GitError::object(parent, error)),
        };
        // Came: what is in the parent only. Went: what is in the commit only.
        let (one, other) = if came { (parent, tree) } else { (tree, parent) };
        let candidates = self.only_in(one, other)?;
        if let Some(found) = candidates.iter().find(|(there, _)| *there == blob) {
            return Ok(Some(found.clone()));
        }
        let only = match &candidates[..] {
            [only] if self.only_in(other, one)?.len() == 1 => Some(only.clone()),
            _ => None,
        };
        for (there, path) in candidates.into_iter().take(MAX_CANDIDATES) {
            if self.read(there, &path)?.as_ref().and_then(content) == Some(wanted) {
                return Ok(Some((there, path)));
            }
        }
        // Moved and changed at once.
        let Some((there, path)) = only else { return Ok(None) };
        let found = self.read(there, &path)?.as_ref().and_then(content);
        let same_kind = |found| std::mem::discriminant(&found) == std::mem::discriminant(&wanted);
        Ok(found.is_some_and(same_kind).then_some((there, path)))
    }
}

impl<'a> Log<'a> {
    fn commit_of(&self, hex: &str) -> Result<gix::Commit<'a>> {
        let id = gix::ObjectId::from_hex(hex.as_bytes()).map_err(|e| GitError::object(hex, e))?;
        self.repo.find_commit(id).map_err(|e| GitError::object(id, e))
    }

    /// The pointers in one tree at paths where the other has none.
    fn only_in(&self, one: gix::ObjectId, other: gix::ObjectId) -> Result<Vec<(gix::ObjectId, RepoPath)>> {
        let mut found = Vec::new();
        let mut pending = vec![(RepoPath::root(), one, Some(other))];
        while let Some((dir, one, other)) = pending.pop() {
            if Some(one) == other {
                continue;
            }
            let here = PointerEntries::of(self.repo, one)?;
            let there = match other {
                Some(other) => PointerEntries::of(self.repo, other)?,
                None => PointerEntries::default(),
            };
            let names: HashSet<_> = there.pointers.iter().map(|(name, _)| name).collect();
            let only = here.pointers.iter().filter(|(name, _)| !names.contains(name));
            found.extend(only.map(|(name, blob)| (*blob, dir.join(name))));
            let trees: HashMap<_, _> = there.trees.into_iter().collect();
            for (name, id) in here.trees {
                let other = trees.get(&name).copied();
                pending.push((dir.join(&entry_name(&name, one)?), id, other));
            }
        }
        found.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        Ok(found)
    }
}

/// What a file says; of a lock file, about the output, which need not be in it.
fn read(
    repo: &gix::Repository,
    blob: gix::ObjectId,
    path: &RepoPath,
    out: Option<&RepoPath>,
) -> Result<Option<LoggedPointer>> {
    // Without asking for the size first, which for an object in a pack is half the work of reading it.
    let object = match repo.try_find_object(blob) {
        Ok(Some(object)) => object,
        // A partial clone does not have it.
        Ok(None) => return Ok(Some(Err(format!("git's object {blob} is not here")))),
        Err(error) => return Err(GitError::object(blob, error)),
    };
    let size = object.data.len() as u64;
    if let Some(out) = out {
        if size > MAX_LOCK {
            return Ok(Some(Err(LockProblem::TooLarge(size).to_string())));
        }
        return Ok(match Lock::parse(&object.data, path) {
            Ok(lock) => lock.cached_at(out).map(|out| Ok(Arc::new(out.to_pointer()))),
            Err(error) => Some(Err(error.problem.to_string())),
        });
    }
    if size > MAX_POINTER {
        return Ok(Some(Err(PointerProblem::TooLarge(size).to_string())));
    }
    let pointer = Pointer::parse(&object.data, path);
    Ok(Some(pointer.map(Arc::new).map_err(|error| error.problem.to_string())))
}

/// A commit, and the old and new blob of the pointer.
type Record = (LoggedCommit, [gix::ObjectId; 2]);

/// The output of `git log`, by NUL-terminated fields.
struct Fields<'a> {
    run: &'a mut Run,
    next: Option<Vec<u8>>,
}

impl<'a> Fields<'a> {
    fn new(run: &'a mut Run) -> Self {
        Self { run, next: None }
    }

    /// The next field; `None` at the end.
    fn take(&mut self) -> Result<Option<Vec<u8>>> {
        if let Some(field) = self.next.take() {
            return Ok(Some(field));
        }
        let mut field = Vec::new();
        let read = self.run.stdout.read_until(0, &mut field);
        if read.map_err(self.run.failed_io())? == 0 {
            return Ok(None);
        }
        if field.last() == Some(&0) {
            field.pop();
        }
        Ok(Some(field))
    }

    fn text(&mut self) -> Result<String> {
        let field = self.take()?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&field).into_owned())
    }

    /// The next commit that changed the file at `path`.
    fn next_record(&mut self, path: &RepoPath) -> Result<Option<Record>> {
        loop {
            let Some(first) = self.take()? else { return Ok(None) };
            let Some(id) = first.strip_prefix(b"\x01") else {
                return Err(self.run.unexpected(&first));
            };
            let commit = LoggedCommit {
                commit: String::from_utf8_lossy(id).into_owned(),
                date: self.text()?,
                author: self.text()?,
                email: self.text()?,
                subject: self.text()?,
            };
            let mut blobs = None;
            while let Some(field) = self.take()? {
                // A merge has one more terminator.
                if field.is_empty() {
                    continue;
                }
                let change = field.trim_ascii_start();
                let parents = change.iter().take_while(|&&b| b == b':').count();
                if parents == 0 {
                    self.next = Some(field);
                    break;
                }
                // A mode and an id for each parent, then those of the result.
                let words: Vec<&[u8]> = change[parents..].split(|&b| b == b' ').collect();
                let blob = |at: usize| {
                    let id = words.get(parents + 1 + at)?;
                    let id = gix::ObjectId::from_hex(id).ok()?;
                    // Only a file can be a pointer.
                    let is_file = words[at].starts_with(b"100");
                    Some(if is_file { id } else { gix::ObjectId::null(id.kind()) })
                };
                let Some((old, new)) = blob(0).zip(blob(parents)) else {
                    return Err(self.run.unexpected(&field));
                };
                if self.take()?.is_some_and(|name| name == path.as_bytes()) {
                    blobs = Some([old, new]);
                }
            }
            match blobs {
                Some([old, new]) if !(old.is_null() && new.is_null()) => return Ok(Some((commit, [old, new]))),
                _ => {}
            }
        }
    }
}
