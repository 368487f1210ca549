//! Where another repository is, and how it is opened.

use std::path::{Path, PathBuf};

use super::desk::Desk;
use super::{of_source, without_credentials};
use crate::config::{Config, ConfigSources};
use crate::fs;
use crate::git::{GitError, GitRepo, RepositoryImport, SourceRepo, is_git_url};
use crate::progress::Phase;
use crate::remote::transport::Location;
use crate::repo::{FOLDER, PROJECT_FILE, RepoError, Result};

/// Longer names of revisions are refused before git sees them.
const MAX_REV: usize = 1024;

/// Where a repository is, as far as that matters for its data.
pub(super) struct Place {
    /// `mv.toml`, for messages; relative paths of remotes start beside it.
    pub(super) project: PathBuf,
    /// Whether that is a place on this machine.
    pub(super) is_here: bool,
    /// The settings of that clone alone.
    pub(super) local: Option<PathBuf>,
    /// Its cache.
    pub(super) cache: Option<PathBuf>,
}

/// Who named a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::repo) enum NamedBy {
    /// The user, just now; relative paths start where they stand.
    User,
    /// A pointer; relative paths start at the root of its repository.
    Pointer,
}

/// Opens the repository that `url` names: a URL, or a path from `base`.
pub(super) fn open(desk: &Desk<'_>, url: &str, base: &Path, by: NamedBy) -> Result<(SourceRepo, Place)> {
    without_credentials(url)?;
    if url.starts_with('-') || url.chars().any(char::is_control) {
        return Err(RepoError::BadSource { url: super::shown(url) });
    }
    if is_git_url(url) {
        let git = SourceRepo::copy_of(url, &desk.user_dir("repositories")?, by == NamedBy::User)?;
        let path = match Location::parse(url, Path::new("/")) {
            Ok(Location::Dir(path)) if url.starts_with("file:") => Some(path),
            _ => None,
        };
        return Ok((
            git,
            Place {
                is_here: path.is_some(),
                project: path.unwrap_or_else(|| PathBuf::from(url)).join(PROJECT_FILE),
                local: None,
                cache: None,
            },
        ));
    }
    let path = match fs::canonicalize(&base.join(url)) {
        Err(error) if error.is_not_found() => return Err(RepoError::NotFound { path: url.into() }),
        path => path?,
    };
    let git = SourceRepo::local(&path)?;
    let place = match GitRepo::discover(&path) {
        Ok(repo) => {
            let local = repo.common_dir().join(FOLDER).join("config.toml");
            let sources = ConfigSources {
                project: Some(path.join(PROJECT_FILE)),
                local: Some(local.clone()),
                ..desk.user_settings().clone()
            };
            let cache = match Config::load(&sources) {
                Ok(config) => config.cache_dir().map(Path::to_owned),
                // Settings that cannot be read now need not matter for the revision that is wanted.
                Err(_) => Some(repo.common_dir().join(FOLDER).join("cache")),
            };
            Place {
                project: path.join(PROJECT_FILE),
                is_here: true,
                local: Some(local),
                cache,
            }
        }
        Err(_) => Place {
            project: path.join(PROJECT_FILE),
            is_here: true,
            local: None,
            cache: Some(path.join(FOLDER).join("cache")),
        },
    };
    Ok((git, place))
}

pub(super) fn check_rev(rev: Option<&str>) -> Result<()> {
    match rev {
        Some(rev) if rev.is_empty() || rev.len() > MAX_REV || rev.chars().any(char::is_control) => {
            Err(GitError::UnknownRevision {
                rev: rev.chars().take(80).collect(),
            }
            .into())
        }
        _ => Ok(()),
    }
}

/// The commit that a revision of a repository, which a pointer names, is now; asked as cheaply as possible.
pub(in crate::repo) fn newest(desk: &Desk<'_>, import: &RepositoryImport, root: &Path) -> Result<String> {
    let (url, rev) = (&import.url, import.rev.as_deref());
    let ask = || {
        check_rev(rev)?;
        let (git, _) = open(desk, url, root, NamedBy::Pointer)?;
        Ok(git.newest(rev, &import.commit, &desk.progress, |holder| (desk.waiting)(holder))?)
    };
    desk.progress.start(Phase::Comparing, 0, 0);
    ask().map_err(of_source(url))
}
