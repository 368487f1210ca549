//! The files of one version: of the workspace as they are, of a commit from git or, where data is tracked, from the
//! cache (and the remote, as `cat` does).

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use super::declared::Declared;
use super::{ExperimentError, Result};
use crate::fs::{self, FileKind};
use crate::git::{RevisionFiles, Scope, TransparentPointer, TreeEntryKind};
use crate::path::{Name, RepoPath};
use crate::pipeline::Revisions;
use crate::repo::{LsRequest, RepoError, Repository};

/// The largest file that is read as a metric or plot.
pub(super) const MAX_FILE: u64 = crate::pipeline::MAX_VALUES;
/// As people call the version that is not a commit.
const WORKSPACE: &str = "workspace";
/// Digits of a commit that has no other name.
const SHORT: usize = 10;

/// What is at a path.
pub(super) enum Found {
    /// The bytes of a file.
    File(Vec<u8>),
    /// The files below a directory, sorted.
    Dir(Vec<RepoPath>),
    /// Nothing.
    Absent,
}

/// Why something could not be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// There is no such file.
    Missing,
    /// It cannot be read or understood.
    Unreadable,
}

/// Something that could not be shown.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Problem {
    /// The version.
    pub rev: String,
    /// The file; `null` if it is about the stages of a version.
    pub path: Option<RepoPath>,
    /// What kind of problem.
    pub kind: ProblemKind,
    /// What is wrong, without the path.
    pub problem: String,
    /// The command that helps, if there is one.
    pub hint: Option<String>,
    /// Whether the exit code tells.
    #[serde(skip)]
    pub counts: bool,
}

/// The files of one version.
pub(super) struct Snapshot<'a> {
    pub(super) repository: &'a Repository,
    /// As people call it.
    pub(super) name: String,
    /// The commit, in hex; none: the workspace.
    pub(super) commit: Option<String>,
    /// Whether it is one of many that nobody named.
    pub(super) in_bulk: bool,
    files: Option<RevisionFiles>,
    declared: OnceCell<Declared>,
    /// Definitions that other versions may have, too.
    known: Rc<RefCell<Revisions>>,
}

impl<'a> Snapshot<'a> {
    /// The workspace.
    pub(super) fn workspace(repository: &'a Repository) -> Self {
        Self {
            repository,
            name: WORKSPACE.to_owned(),
            commit: None,
            in_bulk: false,
            files: None,
            declared: OnceCell::new(),
            known: Rc::default(),
        }
    }

    /// A revision, under the name that it was given by; none: the workspace.
    pub(super) fn of(repository: &'a Repository, rev: Option<&str>) -> Result<Self> {
        match rev {
            None => Ok(Self::workspace(repository)),
            Some(rev) => Ok(Self {
                files: Some(repository.git().files_at(rev)?),
                name: rev.to_owned(),
                commit: Some(rev.to_owned()),
                ..Self::workspace(repository)
            }),
        }
    }

    /// Every version of a scope, the workspace first.
    pub(super) fn all(repository: &'a Repository, scope: &Scope) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        let known = Rc::<RefCell<Revisions>>::default();
        if scope.workspace {
            all.push(Self::workspace(repository));
        }
        for named in repository.git().named_commits(scope)? {
            let name = if named.names.is_empty() {
                named.commit.get(..SHORT).unwrap_or(&named.commit).to_owned()
            } else {
                named.names.join(", ")
            };
            let mut one = Self::of(repository, Some(&named.commit))?;
            one.in_bulk = !named.names.iter().any(|name| scope.revs.contains(name));
            all.push(Self {
                name,
                known: Rc::clone(&known),
                ..one
            });
        }
        Ok(all)
    }

    /// What the stages of this version name.
    pub(super) fn declared(&self) -> Result<&Declared> {
        if let Some(declared) = self.declared.get() {
            return Ok(declared);
        }
        let declared = Declared::load(self.repository, self.commit.as_deref(), &self.known)?;
        Ok(self.declared.get_or_init(|| declared))
    }

    /// What is at a path.
    pub(super) fn read(&self, path: &RepoPath) -> Result<Found> {
        match (&self.files, &self.commit) {
            (Some(files), Some(commit)) => self.read_at(files, commit, path),
            _ => self.read_here(path),
        }
    }

    fn read_here(&self, path: &RepoPath) -> Result<Found> {
        let on_disk = path.on_disk(self.repository.root());
        match fs::stat(&on_disk)?.map(|stat| stat.kind) {
            None => Ok(Found::Absent),
            Some(FileKind::Dir) => {
                let mut files = Vec::new();
                self.list_here(path, &mut files)?;
                files.sort_unstable();
                Ok(Found::Dir(files))
            }
            Some(_) => match fs::read_if_exists(&on_disk, MAX_FILE) {
                Ok(Some(bytes)) => Ok(Found::File(bytes)),
                Ok(None) => Ok(Found::Absent),
                Err(error) if error.source.kind() == std::io::ErrorKind::FileTooLarge => Err(too_large(path)),
                Err(error) => Err(error.into()),
            },
        }
    }

    fn list_here(&self, dir: &RepoPath, files: &mut Vec<RepoPath>) -> Result<()> {
        for name in fs::list(&dir.on_disk(self.repository.root()))? {
            let path = dir.join(&Name::new(name.as_encoded_bytes())?);
            match fs::stat(&path.on_disk(self.repository.root()))?.map(|stat| stat.kind) {
                Some(FileKind::Dir) => self.list_here(&path, files)?,
                Some(FileKind::File) => files.push(path),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_at(&self, files: &RevisionFiles, commit: &str, path: &RepoPath) -> Result<Found> {
        match files.read(path, MAX_FILE)? {
            // A transparent file: git has its pointer in its place.
            Some(bytes) if TransparentPointer::parse(&bytes).is_some() => return self.read_tracked(commit, path),
            Some(bytes) => return Ok(Found::File(bytes)),
            None => {}
        }
        let mut found = Vec::new();
        let mut pending = vec![path.clone()];
        let mut is_dir = false;
        while let Some(dir) = pending.pop() {
            let Some(entries) = files.list(&dir)? else { continue };
            is_dir = true;
            for (name, kind) in entries {
                match kind {
                    TreeEntryKind::Dir => pending.push(dir.join(&name)),
                    TreeEntryKind::File => found.push(dir.join(&name)),
                    TreeEntryKind::Other => {}
                }
            }
        }
        if is_dir {
            found.sort_unstable();
            return Ok(Found::Dir(found));
        }
        self.read_tracked(commit, path)
    }

    /// A file that modver tracks, or a directory.
    fn read_tracked(&self, commit: &str, path: &RepoPath) -> Result<Found> {
        let on_disk = path.on_disk(self.repository.root());
        let mut bytes = Vec::new();
        let read = self
            .repository
            .cat::<ExperimentError>(&on_disk, Some(commit), None, &mut |piece| {
                if (bytes.len() + piece.len()) as u64 > MAX_FILE {
                    return Err(too_large(path));
                }
                bytes.extend_from_slice(piece);
                Ok(())
            });
        match read {
            Ok(_) => Ok(Found::File(bytes)),
            Err(ExperimentError::Repo(RepoError::NotInRevision { .. } | RepoError::NoEntry { .. })) => {
                Ok(Found::Absent)
            }
            Err(ExperimentError::Repo(RepoError::IsDirectory { .. })) => {
                let listed = self.repository.ls(&LsRequest {
                    path: Some(on_disk),
                    recursive: true,
                    rev: Some(commit.to_owned()),
                })?;
                let files = listed.entries.into_iter();
                let is_file = |kind| kind == crate::repo::ContentKind::File;
                Ok(Found::Dir(
                    files
                        .filter(|entry| is_file(entry.content.kind))
                        .map(|entry| entry.path)
                        .collect(),
                ))
            }
            Err(error) => Err(error),
        }
    }

    /// That a file is not there.
    pub(super) fn missing(&self, path: &RepoPath) -> Problem {
        let hint = match self.commit {
            None if self.is_tracked(path) => Some(format!("modver checkout {path}")),
            None => self
                .declared
                .get()
                .and_then(|declared| declared.stage_of(path))
                .map(|stage| format!("modver repro {stage}")),
            Some(_) => None,
        };
        Problem {
            rev: self.name.clone(),
            path: Some(path.clone()),
            kind: ProblemKind::Missing,
            problem: "there is no such file".to_owned(),
            hint,
            counts: !self.in_bulk,
        }
    }

    fn is_tracked(&self, path: &RepoPath) -> bool {
        self.repository
            .outputs()
            .is_ok_and(|outputs| outputs.around(path).is_some())
    }

    /// That a file, or the stages, cannot be understood.
    pub(super) fn unreadable(&self, path: Option<&RepoPath>, error: &ExperimentError) -> Problem {
        let mut problem = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !problem.ends_with(&cause_text) {
                problem = format!("{problem}: {cause_text}");
            }
            source = cause.source();
        }
        Problem {
            rev: self.name.clone(),
            path: path.cloned(),
            kind: ProblemKind::Unreadable,
            problem,
            hint: error.hint(),
            counts: true,
        }
    }
}

/// Errors that are not about one file end the whole operation.
pub(super) fn is_fatal(error: &ExperimentError) -> bool {
    matches!(error, ExperimentError::Repo(RepoError::Interrupted(_)))
}

fn too_large(path: &RepoPath) -> ExperimentError {
    ExperimentError::TooLarge {
        path: path.clone(),
        limit: MAX_FILE,
    }
}
