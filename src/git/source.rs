//! Other repositories, as sources of data: one on this machine is read where it is; of one behind a URL a partial copy
//! is kept.
//!
//! A copy is a bare repository with commits and listings but, where the server knows filters, without the content of
//! files; that is fetched when it is asked for. Usually it holds single commits without their history. Only a revision
//! that the server has no name for (`main~2`, a shortened id) needs all of it.
//!
//! Invariants: one process at a time fetches into a copy, and nothing is ever removed from one, so that readers need no
//! lock. What does not start with a commit's whole id is asked of the server each time. A URL with credentials is
//! refused before it comes here: nothing here hides it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::discover::GitRepo;
use super::error::{GitError, Result};
use super::program::{Elsewhere, Run, start_elsewhere};
use crate::fs::{self, FileLock, LockKind};
use crate::hash::FileId;
use crate::path::RepoPath;
use crate::progress::Progress;

/// Maintenance is not worth its time, and would run behind our back.
const FETCH: [&str; 9] = [
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-recurse-submodules",
];
const NO_BLOBS: &str = "--filter=blob:none";

/// Another repository, from which data is read.
#[derive(Debug)]
pub struct SourceRepo {
    git_dir: PathBuf,
    /// For a copy: where it is of.
    origin: Option<Origin>,
}

#[derive(Debug)]
struct Origin {
    url: String,
    lock: PathBuf,
    from_user: bool,
}

impl Origin {
    const fn how(&self) -> Elsewhere {
        Elsewhere {
            lazy: false,
            not_from_user: !self.from_user,
        }
    }
}

/// What kind of entry a tree of git has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File {
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A symbolic link; the blob is its target.
    Symlink,
}

/// A file or link of a commit.
#[derive(Debug, Clone)]
pub struct SourceEntry {
    /// Where it is.
    pub path: RepoPath,
    /// What it is.
    pub kind: EntryKind,
    /// The blob, in hex.
    pub blob: String,
}

/// Whether git would take this for a URL (`https://host/x`, `host:path`) rather than a path.
#[must_use]
pub fn is_git_url(text: &str) -> bool {
    match (text.find(':'), text.find('/')) {
        (None, _) => false,
        (Some(colon), Some(slash)) => colon < slash,
        (Some(_), None) => true,
    }
}

impl SourceRepo {
    /// The repository whose work tree or git directory is `path`.
    ///
    /// # Errors
    /// [`GitError::NotARepository`] when there is none (one around the path does not count), and others as
    /// [`GitRepo::discover`].
    pub fn local(path: &Path) -> Result<Self> {
        let path = fs::canonicalize(path)?;
        let git_dir = match GitRepo::discover(&path) {
            Ok(repo) if repo.root() == path => Some(repo.git_dir().to_owned()),
            Err(GitError::Bare { git_dir }) if git_dir == path => Some(git_dir),
            Ok(_) | Err(GitError::Bare { .. }) => None,
            Err(error) => return Err(error),
        };
        match git_dir {
            Some(git_dir) => Ok(Self { git_dir, origin: None }),
            None => Err(GitError::NotARepository { start: path }),
        }
    }

    /// The copy of what is at `url`, among the copies in `dir`; there need not be one yet. `from_user` says whether the
    /// user typed the URL; other URLs cannot start programs that git has no need for.
    ///
    /// # Errors
    /// When `dir` cannot be made.
    pub fn copy_of(url: &str, dir: &Path, from_user: bool) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let name = FileId::of(url.as_bytes()).short();
        Ok(Self {
            git_dir: dir.join(format!("{name}.git")),
            origin: Some(Origin {
                url: url.to_owned(),
                lock: dir.join(format!("{name}.lock")),
                from_user,
            }),
        })
    }

    /// The commit that a revision names now (the newest if none is given), in hex; afterwards it can be read.
    /// `waiting` is told who else is fetching.
    ///
    /// # Errors
    /// [`GitError::UnknownRevision`] when there is no such revision; what git says when it cannot be had.
    pub fn resolve(&self, rev: Option<&str>, progress: &Progress, waiting: impl Fn(&str)) -> Result<String> {
        let Some(origin) = &self.origin else {
            return self.parse(rev.unwrap_or("HEAD"));
        };
        let commit = match rev {
            Some(rev) if is_full_id(rev) => Some(rev.to_ascii_lowercase()),
            rev => self.advertised(origin, rev.unwrap_or("HEAD"))?,
        };
        if let Some(commit) = &commit
            && self.has(commit)?
        {
            return self.parse(commit);
        }
        let _lock = FileLock::acquire(&origin.lock, LockKind::Exclusive, progress, waiting)?;
        match (commit, rev) {
            (Some(commit), _) => {
                self.fetch_commit(origin, &commit)?;
                // It may be the id of a tag.
                self.parse(&commit)
            }
            (None, Some(rev)) => {
                self.fetch_history(origin)?;
                self.parse(rev)
            }
            (None, None) => Err(unknown("HEAD")),
        }
    }

    /// The commit that a revision names now, as [`SourceRepo::resolve`] says it, but without fetching it where the
    /// server tells, or where the revision is the id of `known`, the commit that it named before.
    ///
    /// # Errors
    /// As [`SourceRepo::resolve`].
    pub fn newest(
        &self,
        rev: Option<&str>,
        known: &str,
        progress: &Progress,
        waiting: impl Fn(&str),
    ) -> Result<String> {
        if let (Some(origin), false) = (&self.origin, rev.is_some_and(is_full_id))
            && let Some(commit) = self.advertised(origin, rev.unwrap_or("HEAD"))?
        {
            return Ok(commit);
        }
        match rev {
            Some(rev) if rev.eq_ignore_ascii_case(known) => Ok(known.to_owned()),
            rev => self.resolve(rev, progress, waiting),
        }
    }

    /// What the server says that a name means, if it has such a name.
    fn advertised(&self, origin: &Origin, rev: &str) -> Result<Option<String>> {
        if rev.contains(['~', '^', ':', '?', '*', '[', '\\', ' ']) || rev.contains("@{") || rev.starts_with('-') {
            return Ok(None);
        }
        // The order in which git looks for a name. What a tag points to comes before the tag itself.
        let names = [
            format!("{rev}^{{}}"),
            rev.to_owned(),
            format!("refs/{rev}"),
            format!("refs/tags/{rev}^{{}}"),
            format!("refs/tags/{rev}"),
            format!("refs/heads/{rev}"),
        ];
        let mut args = vec!["ls-remote", "--quiet", "--", &origin.url];
        args.extend(names.iter().map(String::as_str));
        let dir = origin.lock.parent().unwrap_or(Path::new("/"));
        let printed = start_elsewhere(dir, None, origin.how(), &args, Vec::new())?.output()?;
        let lines: Vec<(&str, &str)> = std::str::from_utf8(&printed)
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .collect();
        let found = names
            .iter()
            .find_map(|name| lines.iter().find(|(_, listed)| listed == name))
            .map(|(id, _)| (*id).to_owned());
        Ok(found.filter(|id| is_full_id(id)))
    }

    /// Makes the copy if there is none, and removes what a killed git left that would stop another.
    fn prepare(&self, origin: &Origin, id: &str) -> Result<()> {
        for name in ["shallow.lock", "config.lock", "HEAD.lock", "packed-refs.lock"] {
            fs::remove_file(&self.git_dir.join(name))?;
        }
        if fs::stat(&self.git_dir.join("HEAD"))?.is_some() {
            return Ok(());
        }
        let aside = self.git_dir.with_extension("new");
        fs::remove_dir_all(&aside)?;
        fs::remove_dir_all(&self.git_dir)?;
        let format = if id.len() == 64 { "sha256" } else { "sha1" };
        let path = aside.as_os_str();
        let parent = aside.parent().unwrap_or(Path::new("/"));
        let format = format!("--object-format={format}");
        let init: [&std::ffi::OsStr; 6] = [
            "init".as_ref(),
            "--quiet".as_ref(),
            "--bare".as_ref(),
            "--template=".as_ref(),
            format.as_ref(),
            path,
        ];
        start_elsewhere(parent, None, Elsewhere::default(), &init, Vec::new())?.output()?;
        for (key, value) in [
            ("remote.origin.url", origin.url.as_str()),
            ("remote.origin.promisor", "true"),
            ("remote.origin.partialclonefilter", "blob:none"),
        ] {
            let args = ["config", "set", key, value];
            let old = ["config", key, value];
            let set = start_elsewhere(parent, Some(&aside), Elsewhere::default(), &args, Vec::new())?.output();
            if set.is_err() {
                start_elsewhere(parent, Some(&aside), Elsewhere::default(), &old, Vec::new())?.output()?;
            }
        }
        Ok(fs::rename(&aside, &self.git_dir)?)
    }

    fn fetch_commit(&self, origin: &Origin, commit: &str) -> Result<()> {
        self.prepare(origin, commit)?;
        if self.has(commit)? {
            return Ok(());
        }
        let mut args = FETCH.to_vec();
        args.extend(["--depth=1", NO_BLOBS, "origin", commit]);
        match self.run(&args, false, Vec::new()) {
            Ok(_) => Ok(()),
            // A server may know it and yet give away only what has a name.
            Err(first) => match self.fetch_history(origin) {
                Ok(()) if self.has(commit)? => Ok(()),
                Ok(()) => Err(unknown(commit)),
                Err(_) => Err(first),
            },
        }
    }

    fn fetch_history(&self, origin: &Origin) -> Result<()> {
        let head = self.advertised(origin, "HEAD")?;
        self.prepare(origin, head.as_deref().unwrap_or_default())?;
        let mut args = FETCH.to_vec();
        if fs::stat(&self.git_dir.join("shallow"))?.is_some_and(|stat| stat.size > 0) {
            args.push("--unshallow");
        }
        args.extend([
            NO_BLOBS,
            "--force",
            "--prune",
            "origin",
            "+refs/heads/*:refs/heads/*",
            "+refs/tags/*:refs/tags/*",
        ]);
        self.run(&args, false, Vec::new())?;
        if let Some(head) = head {
            self.run(&["update-ref", "--no-deref", "HEAD", &head], false, Vec::new())?;
        }
        Ok(())
    }

    fn run(&self, args: &[&str], lazy: bool, stdin: Vec<u8>) -> Result<Vec<u8>> {
        self.start(args, lazy, stdin)?.output()
    }

    fn start(&self, args: &[&str], lazy: bool, stdin: Vec<u8>) -> Result<Run> {
        let how = match &self.origin {
            Some(origin) => Elsewhere { lazy, ..origin.how() },
            None => Elsewhere::default(),
        };
        start_elsewhere(&self.git_dir, Some(&self.git_dir), how, args, stdin)
    }

    fn has(&self, commit: &str) -> Result<bool> {
        if fs::stat(&self.git_dir)?.is_none() {
            return Ok(false);
        }
        match self.run(&["cat-file", "-e", &format!("{commit}^{{commit}}")], false, Vec::new()) {
            Ok(_) => Ok(true),
            Err(GitError::Failed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn parse(&self, rev: &str) -> Result<String> {
        let wanted = format!("{rev}^{{commit}}");
        let args = ["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted];
        match self.run(&args, false, Vec::new()) {
            Ok(printed) => {
                let id = String::from_utf8_lossy(&printed).trim().to_owned();
                if is_full_id(&id) { Ok(id) } else { Err(unknown(rev)) }
            }
            Err(GitError::Failed { .. }) => Err(unknown(rev)),
            Err(error) => Err(error),
        }
    }

    /// The files and links of a commit that [`SourceRepo::resolve`] gave, by path. Submodules are not listed.
    ///
    /// # Errors
    /// When git fails, or a path cannot be one.
    pub fn entries(&self, commit: &str) -> Result<Vec<SourceEntry>> {
        let args = ["ls-tree", "-r", "-z", "--full-tree", commit];
        let run = self.start(&args, true, Vec::new())?;
        let place = format!("commit {commit}");
        let unexpected = |line: &[u8]| GitError::Output {
            command: "git ls-tree".to_owned(),
            line: crate::path::quote(&line[..line.len().min(200)]).into_owned(),
        };
        let mut entries = Vec::new();
        for line in run.output()?.split(|&b| b == 0).filter(|line| !line.is_empty()) {
            let tab = line.iter().position(|&b| b == b'\t').ok_or_else(|| unexpected(line))?;
            let head = std::str::from_utf8(&line[..tab]).map_err(|_| unexpected(line))?;
            let mut words = head.split(' ');
            let (Some(mode), Some(_), Some(blob)) = (words.next(), words.next(), words.next()) else {
                return Err(unexpected(line));
            };
            let kind = match mode {
                "120000" => EntryKind::Symlink,
                mode if mode.starts_with("100") => EntryKind::File {
                    executable: mode == "100755",
                },
                _ => continue,
            };
            let path = RepoPath::new(&line[tab + 1..]).map_err(|source| GitError::InvalidPath {
                place: place.clone(),
                source,
            })?;
            entries.push(SourceEntry {
                path,
                kind,
                blob: blob.to_owned(),
            });
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    /// Brings the content of these blobs here, in one go.
    ///
    /// # Errors
    /// What git says when they cannot be had.
    pub fn prefetch(&self, blobs: &[&str], progress: &Progress, waiting: impl Fn(&str)) -> Result<()> {
        let Some(origin) = &self.origin else { return Ok(()) };
        let list = |blobs: &[&str]| blobs.iter().flat_map(|id| [id.as_bytes(), b"\n"].concat()).collect();
        let printed = self.run(&["cat-file", "--batch-check"], false, list(blobs))?;
        let printed = String::from_utf8_lossy(&printed).into_owned();
        let missing: Vec<&str> = printed
            .lines()
            .filter_map(|line| line.strip_suffix(" missing"))
            .filter(|id| is_full_id(id))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let _lock = FileLock::acquire(&origin.lock, LockKind::Exclusive, progress, waiting)?;
        let mut args = vec!["-c", "fetch.negotiationAlgorithm=noop"];
        args.extend(FETCH);
        args.extend([NO_BLOBS, "--stdin", "origin"]);
        self.run(&args, false, list(&missing)).map(drop)
    }

    /// The content of a blob of at most `limit` bytes; `None` if it is larger.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn blob(&self, id: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let mut reader = self.open_blob(id)?;
        let failed = reader.0.failed_io();
        (&mut reader).take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > limit {
            return Ok(None);
        }
        reader.finish()?;
        Ok(Some(bytes))
    }

    /// The content of a blob, piece by piece. Only when [`BlobReader::finish`] returns `Ok` was it all of it.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn open_blob(&self, id: &str) -> Result<BlobReader> {
        Ok(BlobReader(self.start(&["cat-file", "blob", id], true, Vec::new())?))
    }
}

/// Reads a blob.
pub struct BlobReader(Run);

impl std::fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlobReader")
    }
}

impl Read for BlobReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.stdout.read(buf)
    }
}

impl BlobReader {
    /// To be called at the end.
    ///
    /// # Errors
    /// When git failed, so that what was read is not all.
    pub fn finish(self) -> Result<()> {
        self.0.finish()
    }
}

fn is_full_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn unknown(rev: &str) -> GitError {
    GitError::UnknownRevision { rev: rev.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_paths() {
        for url in ["https://h/x", "git@host:x", "host:x/y", "file:///x", "ssh://h:22/x"] {
            assert!(is_git_url(url), "{url}");
        }
        for path in ["/x", "../x", "x", "./a:b", "x/y:z", ""] {
            assert!(!is_git_url(path), "{path}");
        }
    }
}
