//! Where definitions are read from: the work tree, or a revision without checking it out.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use globset::{GlobBuilder, GlobMatcher};

use super::Pipelines;
use super::error::{DefinitionError, Problem, Result};
use crate::fs::{self, Dir, FileKind};
use crate::git::{self, NamedFiles, RevisionFiles, TreeEntryKind};
use crate::path::{Name, RepoPath};
use crate::repo::{PROJECT_FILE, Repository};

/// The longest project file that is read, in bytes.
pub const MAX_PROJECT_FILE: u64 = crate::config::MAX_FILE;

/// Files that definitions are read from.
pub trait ProjectFiles {
    /// All project files, sorted.
    ///
    /// # Errors
    /// When they cannot be found.
    fn project_files(&self) -> Result<Vec<RepoPath>>;

    /// The bytes of a file; `None` if there is none of that path.
    ///
    /// # Errors
    /// When it cannot be read, or has more than `limit` bytes.
    fn read(&self, path: &RepoPath, limit: u64) -> Result<Option<Vec<u8>>>;

    /// The names in a directory, and which of them are directories, sorted; none if there is no such directory.
    ///
    /// # Errors
    /// When it cannot be read.
    fn list(&self, dir: &RepoPath) -> Result<Vec<(Name, bool)>>;
}

/// The files of the work tree.
pub struct WorkTreeFiles<'a> {
    repo: &'a Repository,
    projects: Option<Vec<RepoPath>>,
}

impl<'a> WorkTreeFiles<'a> {
    /// Those of `repo`; looks for project files when it is asked for them.
    #[must_use]
    pub const fn new(repo: &'a Repository) -> Self {
        Self { repo, projects: None }
    }

    /// The same where the project files were found already.
    #[must_use]
    pub const fn with_projects(repo: &'a Repository, projects: Vec<RepoPath>) -> Self {
        Self {
            repo,
            projects: Some(projects),
        }
    }
}

impl ProjectFiles for WorkTreeFiles<'_> {
    fn project_files(&self) -> Result<Vec<RepoPath>> {
        match &self.projects {
            Some(projects) => Ok(projects.clone()),
            None => Ok(self.repo.git().find_pointers()?.projects),
        }
    }

    fn read(&self, path: &RepoPath, limit: u64) -> Result<Option<Vec<u8>>> {
        let path = path.on_disk(self.repo.root());
        match fs::stat(&path)? {
            Some(stat) if matches!(stat.kind, FileKind::File | FileKind::Symlink) => {
                Ok(fs::read_if_exists(&path, limit)?)
            }
            _ => Ok(None),
        }
    }

    fn list(&self, dir: &RepoPath) -> Result<Vec<(Name, bool)>> {
        let path = dir.on_disk(self.repo.root());
        if fs::stat(&path)?.is_none_or(|stat| stat.kind != FileKind::Dir) {
            return Ok(Vec::new());
        }
        let opened = match Dir::open(&path) {
            Ok(opened) => opened,
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut entries = Vec::new();
        for entry in opened.list()? {
            let kind = match entry.kind {
                Some(kind) => Some(kind),
                None => opened.stat(&entry.name)?.map(|stat| stat.kind),
            };
            entries.push((entry.name, kind == Some(FileKind::Dir)));
        }
        entries.sort_unstable();
        Ok(entries)
    }
}

/// The files of a revision, without a checkout. Of tracked outputs only the names are there.
pub struct RevisionProjectFiles {
    files: RevisionFiles,
    projects: Option<Vec<RepoPath>>,
    /// What was looked at.
    seen: RefCell<BTreeSet<RepoPath>>,
}

impl RevisionProjectFiles {
    /// Those of a revision as git names it.
    ///
    /// # Errors
    /// When git does not know the revision.
    pub fn new(repo: &Repository, rev: &str) -> Result<Self> {
        Ok(Self {
            files: repo.git().files_at(rev)?,
            projects: None,
            seen: RefCell::default(),
        })
    }
}

/// Definitions of several revisions. They are read once for all revisions in which nothing differs that they were read from.
#[derive(Default)]
pub struct Revisions {
    named: NamedFiles,
    /// The newest last.
    known: Vec<Known>,
}

struct Known {
    projects: Vec<RepoPath>,
    /// What was looked at, and what git calls it.
    seen: Vec<(RepoPath, Option<String>)>,
    pipelines: Rc<Pipelines>,
}

/// So many definitions are kept.
const KEPT: usize = 8;

impl Revisions {
    /// The definitions of a revision.
    ///
    /// # Errors
    /// When git does not know the revision, and as [`Pipelines::load`].
    pub fn load(&mut self, repo: &Repository, rev: &str) -> Result<Rc<Pipelines>> {
        let mut files = RevisionProjectFiles::new(repo, rev)?;
        let projects = files.files.named_again(PROJECT_FILE, &mut self.named)?;
        for at in (0..self.known.len()).rev() {
            if self.known[at].is_still(&projects, &files.files)? {
                let known = self.known.remove(at);
                let pipelines = Rc::clone(&known.pipelines);
                self.known.push(known);
                return Ok(pipelines);
            }
        }
        files.projects = Some(projects.clone());
        let pipelines = Rc::new(Pipelines::load(&files)?);
        let mut seen = Vec::new();
        for path in files.seen.take() {
            let id = files.files.id(&path)?;
            seen.push((path, id));
        }
        if self.known.len() == KEPT {
            self.known.remove(0);
        }
        self.known.push(Known {
            projects,
            seen,
            pipelines: Rc::clone(&pipelines),
        });
        Ok(pipelines)
    }
}

impl Known {
    fn is_still(&self, projects: &[RepoPath], files: &RevisionFiles) -> Result<bool> {
        if self.projects != projects {
            return Ok(false);
        }
        for (path, id) in &self.seen {
            if files.id(path)? != *id {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl ProjectFiles for RevisionProjectFiles {
    fn project_files(&self) -> Result<Vec<RepoPath>> {
        match &self.projects {
            Some(projects) => Ok(projects.clone()),
            None => Ok(self.files.named(PROJECT_FILE)?),
        }
    }

    fn read(&self, path: &RepoPath, limit: u64) -> Result<Option<Vec<u8>>> {
        self.seen.borrow_mut().insert(path.clone());
        Ok(self.files.read(path, limit)?)
    }

    fn list(&self, dir: &RepoPath) -> Result<Vec<(Name, bool)>> {
        self.seen.borrow_mut().insert(dir.clone());
        let mut entries = BTreeSet::new();
        for (name, kind) in self.files.list(dir)?.unwrap_or_default() {
            // A pointer stands for what is beside it in a work tree.
            let stem = git::output_path(&RepoPath::root().join(&name)).and_then(|stem| stem.file_name());
            entries.extend(stem.map(|stem| (stem, false)));
            entries.insert((name, kind == TreeEntryKind::Dir));
        }
        Ok(entries.into_iter().collect())
    }
}

/// The paths below `dir` that fit a pattern, sorted: `*` and `?` within a name, `[...]`, `{a,b}`, `**` for any
/// directories. Hidden names are matched by patterns that start with a dot only.
///
/// # Errors
/// When the pattern cannot be understood, or a directory cannot be read.
pub(super) fn glob(
    files: &dyn ProjectFiles,
    dir: &RepoPath,
    pattern: &str,
) -> Result<Result<Vec<RepoPath>, Problem>> {
    let mut steps = Vec::new();
    for part in pattern.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match Step::new(part) {
            Ok(step) => steps.push(step),
            Err(problem) => return Ok(Err(problem)),
        }
    }
    let mut found = BTreeSet::new();
    if !steps.is_empty() {
        descend(files, dir, &steps, &mut found)?;
    }
    Ok(Ok(found.into_iter().collect()))
}

enum Step {
    Name(Name),
    Like(Box<GlobMatcher>, bool),
    AnyDirs,
}

impl Step {
    fn new(part: &str) -> std::result::Result<Self, Problem> {
        let problem = |problem: String| Problem::Pattern(problem);
        if part == "**" {
            return Ok(Self::AnyDirs);
        }
        if part == ".." {
            return Err(problem("a pattern cannot hold `..`".to_owned()));
        }
        if !part.contains(['*', '?', '[', '{', '\\']) {
            let name = Name::new(part.as_bytes()).map_err(|error| problem(error.to_string()))?;
            return Ok(Self::Name(name));
        }
        let glob = GlobBuilder::new(part).literal_separator(true).build();
        let glob = glob.map_err(|error| problem(error.to_string()))?;
        Ok(Self::Like(Box::new(glob.compile_matcher()), part.starts_with('.')))
    }
}

fn descend(
    files: &dyn ProjectFiles,
    dir: &RepoPath,
    steps: &[Step],
    found: &mut BTreeSet<RepoPath>,
) -> Result<(), DefinitionError> {
    let Some((step, rest)) = steps.split_first() else {
        return Ok(());
    };
    if matches!(step, Step::AnyDirs) && !rest.is_empty() {
        descend(files, dir, rest, found)?;
    }
    for (name, is_dir) in files.list(dir)? {
        let path = dir.join(&name);
        let hidden = name.as_bytes().starts_with(b".");
        match step {
            Step::AnyDirs => {
                if hidden {
                    continue;
                }
                if rest.is_empty() {
                    found.insert(path.clone());
                }
                if is_dir {
                    descend(files, &path, steps, found)?;
                }
                continue;
            }
            Step::Name(wanted) if *wanted != name => continue,
            Step::Like(glob, dotted) if (hidden && !dotted) || !glob.is_match(name.as_os()) => continue,
            Step::Name(_) | Step::Like(..) => {}
        }
        if name.as_bytes() == b".git" {
            continue;
        }
        if rest.is_empty() {
            found.insert(path);
        } else if is_dir {
            descend(files, &path, rest, found)?;
        }
    }
    Ok(())
}
