//! What a command knows of the process it runs in: taken once, then passed as a value.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::GlobalArgs;
use super::error::CliError;
use super::ui;
use crate::config::ConfigSources;
use crate::fs::{self, FileKind};
use crate::progress::Progress;
use crate::repo::{OpenOptions, Repository, Settings};

/// The environment variables at the start of the process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Env(BTreeMap<OsString, OsString>);

impl Env {
    /// Takes them from the process.
    pub(crate) fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// The value of a variable that is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// All variables whose names are UTF-8 and start with `prefix`, in order of their names.
    pub(crate) fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a OsStr)> {
        self.0.iter().filter_map(move |(name, value)| {
            Some((name.to_str().filter(|n| n.starts_with(prefix))?, value.as_os_str()))
        })
    }

    /// All variables whose names and values are UTF-8.
    pub(crate) fn all(&self) -> BTreeMap<String, String> {
        let utf8 = self
            .0
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
        utf8.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The user's home directory, if it is set to an absolute path.
    pub(crate) fn home(&self) -> Option<&Path> {
        self.get("HOME").map(Path::new).filter(|path| path.is_absolute())
    }
}

/// What a command knows of the process it runs in.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// Where relative paths of the command line start: absolute, after `-C`.
    pub(crate) cwd: PathBuf,
    /// `--jobs`, if given.
    pub(crate) jobs: Option<NonZeroUsize>,
    /// `--quiet`.
    pub(crate) quiet: bool,
    /// `--verbose`.
    pub(crate) verbose: bool,
    /// `--json`.
    pub(crate) json: bool,
    /// `--no-progress`.
    pub(crate) no_progress: bool,
    /// `--config`, key and value.
    pub(crate) settings: Vec<(String, String)>,
    /// Counters and the request to stop, for the library; the progress line reads it.
    pub(crate) progress: Arc<Progress>,
    /// The environment.
    pub(crate) env: Env,
}

impl Context {
    /// Takes the context from the process and the global options.
    pub(crate) fn new(global: &GlobalArgs, env: Env, progress: Arc<Progress>) -> Result<Self, CliError> {
        let mut cwd = std::env::current_dir().map_err(CliError::WorkingDirectory)?;
        if let Some(dir) = &global.directory_to_work_in {
            let there = match fs::canonicalize(&cwd.join(dir)) {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                other => other.ok(),
            };
            let is_dir = |path: &PathBuf| matches!(fs::stat(path), Ok(Some(stat)) if stat.kind == FileKind::Dir);
            cwd = there
                .filter(is_dir)
                .ok_or_else(|| CliError::NotADirectory(dir.clone()))?;
        }
        Ok(Self {
            cwd,
            jobs: global.jobs,
            quiet: global.quiet,
            verbose: global.verbose,
            json: global.json,
            no_progress: global.no_progress,
            settings: global.settings.clone(),
            progress,
            env,
        })
    }

    /// The settings files of the system and the user, and the environment.
    pub(crate) fn config_sources(&self) -> ConfigSources {
        let user = match self
            .env
            .get("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute())
        {
            Some(dir) => Some(dir),
            None => self.env.home().map(|home| home.join(".config")),
        };
        ConfigSources {
            system: Some(PathBuf::from("/etc/modver/config.toml")),
            user: user.map(|dir| dir.join("modver/config.toml")),
            env: self
                .env
                .with_prefix("MODVER_")
                .map(|(name, value)| (name.into(), value.to_owned()))
                .collect(),
            flags: self.settings.clone(),
            ..ConfigSources::default()
        }
    }

    /// The user's directory for what can be had again.
    fn user_cache(&self) -> Option<PathBuf> {
        let given = self.env.get("XDG_CACHE_HOME").map(PathBuf::from);
        let dir = match given.filter(|dir| dir.is_absolute()) {
            Some(dir) => Some(dir),
            None => self.env.home().map(|home| home.join(".cache")),
        };
        dir.map(|dir| dir.join("modver"))
    }

    /// What a repository is opened with.
    pub(crate) fn open_options(&self) -> OpenOptions {
        let quiet = self.quiet;
        OpenOptions {
            cwd: self.cwd.clone(),
            config: self.config_sources(),
            user_cache: self.user_cache(),
            jobs: self.jobs.map_or(0, NonZeroUsize::get),
            progress: Arc::clone(&self.progress),
            bare: false,
            waiting: Arc::new(move |holder| {
                match holder {
                    _ if quiet => {}
                    // Who shares a lock does not write its name into it.
                    "" => ui::note("waiting for other modver processes"),
                    holder => ui::note(&format!("waiting for the lock held by {holder}")),
                }
            }),
        }
    }

    /// Shows what stages print.
    pub(crate) fn stage_lines(&self) -> ui::StageLines {
        ui::stage_lines(self.quiet, !self.no_progress && !self.json, &self.env)
    }

    /// Opens the repository in which the user stands.
    pub(crate) fn repository(&self) -> Result<Repository, CliError> {
        self.open(&self.open_options())
    }

    /// What a repository is opened with where a bare one will do.
    pub(crate) fn open_options_or_bare(&self) -> OpenOptions {
        OpenOptions {
            bare: true,
            ..self.open_options()
        }
    }

    /// Opens the repository in which the user stands, which may be bare: for what needs no work tree.
    pub(crate) fn repository_or_bare(&self) -> Result<Repository, CliError> {
        self.open(&self.open_options_or_bare())
    }

    fn open(&self, options: &OpenOptions) -> Result<Repository, CliError> {
        let repository = Repository::open(options)?;
        if !self.quiet {
            for warning in repository.config().warnings() {
                ui::note(&format!("warning: {warning}"));
            }
        }
        if self.verbose {
            let (root, cache) = (repository.root().display(), repository.cache_dir());
            let jobs = ui::human::count(repository.jobs() as u64, "job", "jobs");
            ui::note(&format!("repository {root}, cache {}, {jobs}", cache.display()));
        }
        Ok(repository)
    }

    /// The settings where the user stands, in a repository or not.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        Ok(Settings::open(&self.cwd, &self.config_sources())?)
    }
}
