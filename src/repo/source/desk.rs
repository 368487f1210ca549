//! Where content of other places comes in.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::scratch::Scratch;
use crate::config::{Config, ConfigSources, RemoteConfig};
use crate::fs;
use crate::progress::Progress;
use crate::remote::RemoteStore;
use crate::repo::{FOLDER, OpenOptions, PROJECT_FILE, RepoError, Repository, Result, Waiting, places};
use crate::store::{Access, Cache};

/// What content of other places needs: a cache to come into, and what it takes to speak with those places. In a
/// repository that uses modver these are the repository's; elsewhere the cache is one that ends with the operation.
pub(in crate::repo) struct Desk<'a> {
    repository: Option<&'a Repository>,
    /// Settings that hold for every repository of this user.
    sources: ConfigSources,
    /// All settings that hold here.
    config: Config,
    user_cache: Option<PathBuf>,
    jobs: usize,
    pub(in crate::repo) cwd: PathBuf,
    pub(in crate::repo) progress: Arc<Progress>,
    pub(in crate::repo) waiting: Waiting,
    // The order matters: the cache lets go of its directory before that is removed.
    cache: OnceLock<Cache>,
    scratch: OnceLock<Scratch>,
}

impl<'a> Desk<'a> {
    /// In a repository.
    pub(in crate::repo) fn of(repository: &'a Repository) -> Self {
        Self {
            repository: Some(repository),
            sources: of_user(&repository.sources),
            config: repository.config.clone(),
            user_cache: repository.user_cache.clone(),
            jobs: repository.jobs,
            cwd: repository.cwd.clone(),
            progress: Arc::clone(&repository.progress),
            waiting: Arc::clone(&repository.waiting),
            cache: OnceLock::new(),
            scratch: OnceLock::new(),
        }
    }

    /// In a repository if it uses modver, or else outside of all.
    pub(in crate::repo) fn at(options: &OpenOptions, repository: Option<&'a Repository>) -> Result<Self> {
        if let Some(repository) = repository {
            let used = fs::stat(&repository.root().join(PROJECT_FILE))?.is_some()
                || fs::stat(&repository.cache_dir())?.is_some();
            if used {
                return Ok(Self::of(repository));
            }
        }
        let config = Config::load(&options.config)?;
        options.set_limits(&config);
        Ok(Self {
            repository: None,
            sources: of_user(&options.config),
            jobs: options.jobs(&config),
            config,
            user_cache: options.user_cache.clone(),
            cwd: fs::canonicalize(&options.cwd)?,
            progress: Arc::clone(&options.progress),
            waiting: Arc::clone(&options.waiting),
            cache: OnceLock::new(),
            scratch: OnceLock::new(),
        })
    }

    /// The cache that content comes into.
    pub(in crate::repo) fn cache(&self) -> Result<&Cache> {
        if let Some(repository) = self.repository {
            return repository.cache();
        }
        if let Some(cache) = self.cache.get() {
            return Ok(cache);
        }
        let scratch = match self.scratch.get() {
            Some(scratch) => scratch,
            None => {
                let made = Scratch::new(&self.user_dir("tmp")?)?;
                self.scratch.get_or_init(|| made)
            }
        };
        let cache = Cache::open(&scratch.dir().join("cache"), Access::Shared, &self.progress, |holder| {
            (self.waiting)(holder)
        })?;
        Ok(self.cache.get_or_init(|| cache))
    }

    /// A directory in the user's cache directory.
    pub(super) fn user_dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.user_cache.as_ref().ok_or(RepoError::NoUserCache)?;
        Ok(dir.join(name))
    }

    /// The settings that hold for every repository of this user.
    pub(super) fn user_settings(&self) -> &ConfigSources {
        &self.sources
    }

    /// The remotes that are set up here.
    pub(super) fn own_remotes(&self) -> Vec<RemoteConfig> {
        self.config.remotes().into_values().collect()
    }

    /// The store at a remote of another repository.
    pub(super) fn remote_store(&self, config: &RemoteConfig) -> Result<Arc<RemoteStore>> {
        let copies = match self.repository {
            Some(repository) => repository.git.common_dir().join(FOLDER).join("remotes"),
            None => self.user_dir("remotes")?,
        };
        places::remote_store(config, Path::new("/"), &copies, self.jobs, &self.progress)
    }
}

/// The layers that are the user's own. Of the environment only what is about remotes: other variables are meant for the
/// repository in which the user stands.
fn of_user(sources: &ConfigSources) -> ConfigSources {
    let about_remotes = |name: &OsStr| name.as_bytes().starts_with(b"MODVER_REMOTE_");
    ConfigSources {
        system: sources.system.clone(),
        user: sources.user.clone(),
        env: sources
            .env
            .iter()
            .filter(|(name, _)| about_remotes(name))
            .cloned()
            .collect(),
        ..ConfigSources::default()
    }
}
