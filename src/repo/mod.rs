//! The repository as users mean it: git's, with its pointers, settings, workspace, cache and remotes. One file per
//! operation; each returns an outcome for the caller to show.
//!
//! Whatever changes the workspace or a pointer holds the workspace lock of this work tree. Order of writes: content
//! into the cache, then the pointer and `.gitignore`, then git's index, then the workspace state; an operation that
//! fails takes back what it wrote of the pointer and `.gitignore`.

mod add;
mod cache;
mod cat;
mod checkout;
mod claimant;
mod conflicts;
mod content;
mod contents;
mod diff;
mod doctor;
mod du;
mod error;
mod fallback;
mod fetch;
mod filter;
mod follow;
mod gc;
mod gc_remote;
mod get;
mod import;
mod init;
mod inputs;
mod install;
mod listings;
mod locks;
mod log;
mod ls;
mod making;
mod merge;
mod migrate;
mod observe;
mod orphans;
mod outputs;
mod patterns;
mod places;
mod precommit;
mod prepush;
mod probe;
mod pull;
mod push;
mod record;
mod remedies;
mod remotes;
mod remove;
mod rename;
mod replicate;
mod restore;
mod settings;
mod settle_lock;
mod source;
mod status;
mod targets;
mod threeway;
mod track;
mod transfer;
mod transparent;
mod unfinished;
mod update;
mod verify;
mod verify_remote;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub use add::{AddOptions, AddOutcome, Added, Recorded};
pub use cache::{CacheInfo, CacheRebuilt, Incomplete};
pub use checkout::{CheckedOut, CheckoutFailure, CheckoutOptions, CheckoutOutcome, LeftAlone, LeftReason};
pub use conflicts::{ConflictedField, ConflictedFile, ConflictedOutput, SettleOutcome, Settled};
pub use content::{Content, ContentKind};
pub use contents::{Contents, FileDifference, StoredContent, remove_path, root_of};
pub use diff::{Changed, DiffOutcome, FileCounts, FileDiff, OutputDiff, Source};
pub use doctor::{Diagnosis, Finding, Level, Subject, diagnose};
pub use du::{DuOutcome, Usage};
pub(crate) use error::shell_word;
pub use error::{RepoError, Result};
pub use fetch::{FetchOptions, FetchOutcome, FetchState, FetchedFrom, FetchedInstead, FetchedOutput};
pub use filter::FilterOutcome;
pub use follow::Moved;
pub use gc::{GcOptions, GcOutcome, OnlyCopies};
pub use gc_remote::{RemoteGcOptions, RemoteGcOutcome};
pub use get::{GetOptions, GetOutcome, get};
pub use import::{ImportOptions, ImportOutcome, ImportUrlOptions};
pub use init::InitOutcome;
pub use install::{HookOutcome, InstallOutcome};
pub use log::{LogOutcome, LogRequest, LoggedVersion};
pub use ls::{Listed, LsOutcome, LsRequest};
pub use making::ASIDE_LIST;
pub use merge::{MergeOutcome, MergeRequest};
pub use migrate::{MigrateOptions, MigrateOutcome, MigratedFiles};
pub use outputs::{BrokenPointer, Output, OutputMode, Outputs};
pub use patterns::PathPatterns;
pub use precommit::{Objection, ObjectionReason};
pub use probe::{ProbeOutcome, Probed};
pub use pull::{PullOptions, PullOutcome};
pub use push::{PushOptions, PushOutcome, PushState, PushedOutput, PushedTo};
pub use remotes::{ListedRemote, NewDirectory, NewRemote, RemoteAdded, RemotesChanged};
pub use remove::RemoveOutcome;
pub use rename::MoveOutcome;
pub use replicate::{NotReplicated, ReplicateOptions, ReplicateOutcome};
pub use settings::{Settings, SettingsEdit};
pub use source::{SourceListing, SourceRequest, ls_source};
pub use status::{OutputState, OutputStatus, Present, StatusOutcome, StatusRequest};
pub use targets::{Selected, Target};
pub use track::{Converted, TrackOptions, TrackOutcome, Tracked, UntrackOutcome};
pub use transfer::Paths;
pub use update::{SourceState, UpdateOptions, UpdateOutcome, UpdateState, Updated};
pub use verify::{Flaw, Repaired, VerifyOptions, VerifyOutcome};
pub use verify_remote::{LostOutput, RemoteRepaired};

use orphans::Orphan;

use crate::config::{Config, ConfigSources, RemoteConfig};
use crate::fs::{self, FileLock, LockKind};
use crate::git::GitRepo;
pub use crate::git::LOCK_FILE;
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::remote::RemoteStore;
use crate::remote::transport::Transport;
use crate::store::{Access, Cache};
use crate::workspace::StateFile;

/// Name of the project file.
pub const PROJECT_FILE: &str = "mv.toml";
/// Name of the folder inside git's directories.
const FOLDER: &str = "modver";

/// Says what an operation waits for: whose lock.
pub type Waiting = Arc<dyn Fn(&str) + Send + Sync>;

/// What a repository is opened with: everything that the library does not find out by itself.
#[derive(Clone)]
pub struct OpenOptions {
    /// Where the user stands, absolute.
    pub cwd: PathBuf,
    /// System and user settings files, environment and flags; project and local files are filled in.
    pub config: ConfigSources,
    /// The user's directory for what can be had again (`~/.cache/modver`), if there is one.
    pub user_cache: Option<PathBuf>,
    /// Parallel work, 0: what the settings say.
    pub jobs: usize,
    /// Counters of the running operation.
    pub progress: Arc<Progress>,
    /// Called before waiting for a lock.
    pub waiting: Waiting,
    /// Whether a bare repository will do, for what needs no work tree.
    pub bare: bool,
}

impl OpenOptions {
    /// Parallel work, as the options or else the settings say.
    fn jobs(&self, config: &Config) -> usize {
        match (self.jobs, config.jobs()) {
            (0, Some(jobs)) => jobs.get() as usize,
            (0, None) => std::thread::available_parallelism().map_or(1, usize::from),
            (jobs, _) => jobs,
        }
    }

    /// The limits of transfers, for all who share the progress.
    fn set_limits(&self, config: &Config) {
        let limits = self.progress.limits();
        limits.rate.set_rate(config.limit_rate());
        limits.set_idle(config.transfer_timeout());
    }
}

/// An open repository.
pub struct Repository {
    git: GitRepo,
    cwd: PathBuf,
    config: Config,
    sources: ConfigSources,
    user_cache: Option<PathBuf>,
    jobs: usize,
    progress: Arc<Progress>,
    waiting: Waiting,
    cache: OnceLock<Cache>,
    locks: locks::KnownLocks,
}

impl Repository {
    /// Opens the repository around `options.cwd`. Reads settings; opens no file of the cache.
    ///
    /// # Errors
    /// When there is no git repository, or settings cannot be read.
    pub fn open(options: &OpenOptions) -> Result<Self> {
        let cwd = fs::canonicalize(&options.cwd)?;
        let git = match options.bare {
            true => GitRepo::discover_or_bare(&cwd)?,
            false => GitRepo::discover(&cwd)?,
        };
        // Paths in a bare repository start at its top, wherever in git's own files the user stands.
        let cwd = if git.is_bare() { git.root().to_owned() } else { cwd };
        let sources = settings::with_repository(&options.config, &git)?;
        let config = Config::load(&sources)?;
        let jobs = options.jobs(&config);
        options.set_limits(&config);
        Ok(Self {
            git,
            cwd,
            config,
            sources,
            user_cache: options.user_cache.clone(),
            jobs,
            progress: Arc::clone(&options.progress),
            waiting: Arc::clone(&options.waiting),
            cache: OnceLock::new(),
            locks: locks::KnownLocks::default(),
        })
    }

    /// The git repository.
    #[must_use]
    pub fn git(&self) -> &GitRepo {
        &self.git
    }

    /// The root of the work tree.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.git.root()
    }

    /// Where the user stands.
    #[must_use]
    pub fn cwd(&self) -> &Path {
        &self.cwd
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where the settings come from.
    #[must_use]
    pub fn config_sources(&self) -> &ConfigSources {
        &self.sources
    }

    /// Parallel work.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.jobs
    }

    /// Counters of the running operation.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The directory of the cache.
    #[must_use]
    pub fn cache_dir(&self) -> PathBuf {
        self.config
            .cache_dir()
            .map_or_else(|| self.git.common_dir().join(FOLDER).join("cache"), Path::to_owned)
    }

    /// The local cache, opened when it is first asked for.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn cache(&self) -> Result<&Cache> {
        Ok(self.open_cache()?)
    }

    fn open_cache(&self) -> crate::store::Result<&Cache> {
        if let Some(cache) = self.cache.get() {
            return Ok(cache);
        }
        let cache = self.open_cache_for(Access::Shared)?;
        Ok(self.cache.get_or_init(|| cache))
    }

    /// The local cache for as long as the caller keeps it.
    pub(crate) fn cache_for_a_while(&self) -> Result<Cache> {
        Ok(self.open_cache_for(Access::Shared)?)
    }

    fn open_cache_for(&self, access: Access) -> crate::store::Result<Cache> {
        let waiting = |holder: &str| (self.waiting)(holder);
        if self.config.cache_shared() {
            Cache::open_shared(&self.cache_dir(), access, &self.progress, waiting)
        } else {
            Cache::open(&self.cache_dir(), access, &self.progress, waiting)
        }
    }

    /// The local cache for removing from it; fails if this process uses it otherwise.
    pub(crate) fn cache_exclusive(&self) -> Result<Cache> {
        debug_assert!(self.cache.get().is_none(), "the shared lock would never be released");
        Ok(self.open_cache_for(Access::Exclusive)?)
    }

    /// The lock of everything that changes the workspace or pointers. A move that was killed is brought to an end first.
    pub(crate) fn lock_workspace(&self) -> Result<FileLock> {
        let lock = self.wait_for_workspace()?;
        self.finish_move()?;
        Ok(lock)
    }

    fn wait_for_workspace(&self) -> Result<FileLock> {
        let dir = self.git.git_dir().join(FOLDER);
        fs::create_dir_all(&dir)?;
        Ok(FileLock::acquire(
            &dir.join("lock"),
            LockKind::Exclusive,
            &self.progress,
            |holder| {
                (self.waiting)(holder);
            },
        )?)
    }

    /// The lock of everything that edits a project file; the settings' edits hold it, too.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn lock_project_files(&self) -> Result<FileLock> {
        let dir = self.git.common_dir().join(FOLDER);
        fs::create_dir_all(&dir)?;
        Ok(FileLock::acquire(
            &dir.join("mv.toml.lock"),
            LockKind::Exclusive,
            &self.progress,
            |holder| (self.waiting)(holder),
        )?)
    }

    /// The lock of the workspace, if nobody holds it.
    pub(crate) fn try_lock_workspace(&self) -> Result<Option<FileLock>> {
        let path = self.git.git_dir().join(FOLDER).join("lock");
        Ok(FileLock::try_acquire(&path, LockKind::Exclusive)?)
    }

    /// Where the workspace state of an output is, if there is one.
    pub(crate) fn state_file(&self, output: &RepoPath) -> PathBuf {
        let name = crate::hash::FileId::of(output.as_bytes()).to_string();
        self.git.git_dir().join(FOLDER).join("state").join(name)
    }

    /// Where the workspace state of an output is to be written: in a directory that exists.
    pub(crate) fn state_path(&self, output: &RepoPath) -> Result<StateFile> {
        let path = self.state_file(output);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        Ok(StateFile {
            path,
            output: output.clone(),
        })
    }

    /// The remote of this name, or the default one.
    ///
    /// # Errors
    /// When there is none, or its settings cannot be used. The remote itself is not asked yet.
    pub fn remote(&self, name: Option<&str>) -> Result<Arc<RemoteStore>> {
        let name = match name {
            Some(name) => name.to_owned(),
            None => self
                .default_remote_name()?
                .ok_or_else(|| remotes::no_default(&self.config))?,
        };
        let config = self.config.remote(&name)?;
        let copies = probe::copies(&self.git);
        places::remote_store(&config, self.root(), &copies, self.jobs, &self.progress)
    }

    /// The remote that is used when none is named: `core.remote`, or the only one there is.
    ///
    /// # Errors
    /// When `core.remote` names a remote that does not exist.
    pub fn default_remote_name(&self) -> Result<Option<String>> {
        Ok(remotes::default_remote(&self.config)?.map(|name| name.to_string()))
    }

    /// Speaks to the place a remote's settings name. `create` makes a directory that does not exist.
    ///
    /// # Errors
    /// When the settings cannot be used, or the directory is not there.
    pub fn transport(&self, config: &RemoteConfig, create: bool) -> Result<Box<dyn Transport>> {
        places::transport(config, self.root(), create, &self.progress)
    }
}
