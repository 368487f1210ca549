//! `doctor`: looks at everything that can be wrong with the machine, the repository, the cache and the remotes.
//!
//! It never fails: what cannot be found out is a finding.

use std::path::Path;

use super::{OpenOptions, RepoError, Repository, Result, Settings};
use crate::causes::in_one_line;
use crate::fs;
use crate::git::{self, GitRepo};
use crate::store::Damage;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, but not as well as it could, or may surprise.
    Warning,
    /// Something does not work.
    Problem,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// The programs.
    Versions,
    /// The git repository and its pointers.
    Repository,
    /// The settings.
    Settings,
    /// The file systems of workspace and cache.
    Disk,
    /// The cache.
    Cache,
    /// A remote.
    Remote,
}

/// One thing that was looked at.
#[derive(Debug, serde::Serialize)]
pub struct Finding {
    /// What it is about.
    pub about: Subject,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What the doctor found.
#[derive(Debug, Default, serde::Serialize)]
pub struct Diagnosis {
    /// Everything that was looked at.
    pub findings: Vec<Finding>,
}

/// With less than this many free bytes something will go wrong soon.
const LITTLE_SPACE: u64 = 1 << 30;
/// Findings of one kind that are named one by one.
const NAMED: usize = 10;

impl Diagnosis {
    /// How bad the worst finding is.
    #[must_use]
    pub fn worst(&self) -> Level {
        self.findings
            .iter()
            .map(|finding| finding.level)
            .max()
            .unwrap_or(Level::Ok)
    }

    fn say(&mut self, about: Subject, level: Level, message: impl Into<String>, hint: Option<String>) {
        self.findings.push(Finding {
            about,
            level,
            message: message.into(),
            hint,
        });
    }

    fn ok(&mut self, about: Subject, message: impl Into<String>) {
        self.say(about, Level::Ok, message, None);
    }

    fn problem(&mut self, about: Subject, what: &str, error: &RepoError) {
        self.say(
            about,
            Level::Problem,
            format!("{what}{}", in_one_line(error)),
            error.hint(),
        );
    }

    fn check(&mut self, about: Subject, what: &str, checked: Result<()>) {
        if let Err(error) = checked {
            self.problem(about, what, &error);
        }
    }
}

/// Looks at everything. `version` is that of the program.
#[must_use]
pub fn diagnose(options: &OpenOptions, version: &str) -> Diagnosis {
    let mut found = Diagnosis::default();
    let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    found.ok(Subject::Versions, format!("modver {version} on {system}"));
    match GitRepo::git_version() {
        Ok(version) => found.ok(Subject::Versions, format!("git {version}")),
        Err(error) => found.problem(Subject::Versions, "", &error.into()),
    }
    match Settings::open(&options.cwd, &options.config).and_then(|settings| settings.load()) {
        Err(error) => found.problem(Subject::Settings, "", &error),
        Ok(config) => {
            for warning in config.warnings() {
                found.say(Subject::Settings, Level::Warning, warning.to_string(), None);
            }
            if config.warnings().is_empty() {
                found.ok(Subject::Settings, "settings can be read");
            }
        }
    }
    match Repository::open(options) {
        // Said already.
        Err(RepoError::Config(_)) => {}
        Err(error) => found.problem(Subject::Repository, "", &error),
        Ok(repository) => {
            let checked = repository.examine_git(&mut found);
            found.check(Subject::Repository, "", checked);
            let checked = repository.examine_outputs(&mut found);
            found.check(Subject::Repository, "", checked);
            let checked = repository.examine_disk(&mut found);
            found.check(Subject::Disk, "", checked);
            let checked = repository.examine_cache(&mut found);
            found.check(Subject::Cache, "", checked);
            repository.examine_remotes(&mut found);
        }
    }
    found
}

impl Repository {
    fn examine_git(&self, found: &mut Diagnosis) -> Result<()> {
        let about = Subject::Repository;
        found.ok(about, format!("work tree {}", self.root().display()));
        if self.git.git_dir() != self.git.common_dir() {
            found.ok(
                about,
                format!("a linked work tree of {}", self.git.common_dir().display()),
            );
        }
        let init = || Some("modver init".to_owned());
        if fs::stat(&self.root().join(super::PROJECT_FILE))?.is_none() {
            found.say(about, Level::Warning, "there is no mv.toml", init());
        } else if git::attributes_edit(self.root())?.is_change() {
            let message = ".gitattributes does not mark pointers as text";
            found.say(about, Level::Warning, message, init());
        } else {
            found.ok(about, "modver is set up");
        }
        match self.git.identity()? {
            Some(identity) => found.ok(about, format!("git commits as {identity}")),
            None => found.say(
                about,
                Level::Warning,
                "git does not know who commits",
                Some("git config --global user.name NAME && git config --global user.email ADDRESS".into()),
            ),
        }
        let hooks = self.git.hooks()?;
        let names = if hooks.active.is_empty() {
            "none".to_owned()
        } else {
            hooks.active.join(", ")
        };
        found.ok(about, format!("git hooks: {names}"));
        let install = || Some("modver install".to_owned());
        match (self.has_hooks()?, self.git.has_merge_driver()) {
            (true, true) => found.ok(about, "data follows git: hooks and merge driver are installed"),
            (false, true) => found.say(about, Level::Warning, "hooks of modver are missing", install()),
            (true, false) => found.say(about, Level::Warning, "the merge driver is missing", install()),
            (false, false) => {
                let message = "data does not follow git by itself: hooks and merge driver are not installed";
                found.say(about, Level::Ok, message, install());
            }
        }
        Ok(())
    }

    fn examine_outputs(&self, found: &mut Diagnosis) -> Result<()> {
        let about = Subject::Repository;
        let outputs = self.outputs()?;
        for error in &outputs.broken {
            found.say(about, Level::Problem, error.to_string(), error.hint());
        }
        found.ok(about, format!("tracked outputs: {}", outputs.outputs.len()));
        let transparent = outputs.outputs.iter().filter(|output| output.is_transparent()).count();
        if transparent > 0 && self.git.filter_command()?.is_none() {
            found.say(
                about,
                Level::Problem,
                format!("{transparent} transparent files need git's filter, which this clone does not have"),
                Some("modver pull".to_owned()),
            );
        }
        let outputs = outputs.beside();
        let tracked = self.git.tracked()?;
        let mut excludes = self.git.excludes()?;
        let mut unnamed = 0_usize;
        let mut locks = std::collections::HashSet::new();
        for (n, output) in outputs.outputs.iter().enumerate() {
            let mut say = |level, message: String, hint: String| {
                if n < NAMED || level == Level::Problem {
                    found.say(about, level, message, Some(hint));
                } else {
                    unnamed += 1;
                }
            };
            let path = &output.path;
            let pointer = output.pointer_path()?;
            let (what, again) = match output.stage() {
                None => ("pointer", "add"),
                Some(_) => ("lock file", "commit"),
            };
            // One lock file names many outputs.
            let is_new = output.stage().is_none() || locks.insert(pointer.clone());
            let in_index = !is_new || tracked.contains(&pointer);
            match excludes.is_excluded(&pointer, false)? {
                Some(rule) if !in_index => say(
                    Level::Problem,
                    format!("the {what} `{pointer}` is ignored by git: {rule}"),
                    format!("git add -f {pointer}"),
                ),
                None if !in_index => say(
                    Level::Warning,
                    format!("the {what} `{pointer}` is not in git"),
                    format!("git add {pointer}"),
                ),
                _ => {}
            }
            let data = tracked.under(path)?;
            if !data.is_empty() {
                say(
                    Level::Problem,
                    format!("`{path}` is tracked by git as well as by modver"),
                    format!("git rm -r --cached {path}"),
                );
            } else if excludes.is_excluded(path, output.is_dir())?.is_none() {
                say(
                    Level::Warning,
                    format!("git does not ignore `{path}`: `git add .` would add the data itself"),
                    format!("modver {again} {path}"),
                );
            }
        }
        if unnamed > 0 {
            found.say(about, Level::Warning, format!("{unnamed} more of these"), None);
        }
        Ok(())
    }

    fn examine_disk(&self, found: &mut Diagnosis) -> Result<()> {
        let about = Subject::Disk;
        let work_tree = self.root();
        found.ok(
            about,
            format!("the work tree is on {}", fs::filesystem_type(work_tree)?),
        );
        let cache_dir = self.cache_dir();
        let existing = cache_dir.ancestors().find(|dir| matches!(fs::stat(dir), Ok(Some(_))));
        let place: &Path = existing.unwrap_or(work_tree);
        let free = fs::free_space(place)?;
        let mut message = format!("the cache is on {}", fs::filesystem_type(place)?);
        if device(place)? != device(work_tree)? {
            message.push_str(", not on the work tree's disk");
        }
        found.ok(about, message);
        if free < LITTLE_SPACE {
            let message = format!("only {} MiB are free for the cache", free >> 20);
            let hint = "modver gc --workspace --all-branches --all-tags".to_owned();
            found.say(about, Level::Warning, message, Some(hint));
        } else {
            found.ok(about, format!("{} GiB are free for the cache", free >> 30));
        }
        let abilities = fs::probe(place)?;
        let yes = |able: bool| if able { "yes" } else { "no" };
        found.ok(
            about,
            format!(
                "reflinks: {}, hard links: {}, symbolic links: {}",
                yes(abilities.reflink),
                yes(abilities.hard_link),
                yes(abilities.symlink)
            ),
        );
        if !abilities.lock {
            found.say(
                about,
                Level::Problem,
                "file locks do not work where the cache is",
                Some("modver config set --local cache.dir DIR   (on a local disk)".to_owned()),
            );
        }
        if !abilities.case_sensitive {
            let message = "names that differ in case alone are one file here";
            found.say(about, Level::Warning, message, None);
        }
        Ok(())
    }

    fn examine_cache(&self, found: &mut Diagnosis) -> Result<()> {
        let about = Subject::Cache;
        let dir = self.cache_dir();
        if fs::stat(&dir)?.is_none() {
            found.ok(about, format!("{} is not there yet", dir.display()));
            return Ok(());
        }
        let cache = self.cache()?;
        let report = cache.verify(true, &self.progress)?;
        found.ok(
            about,
            format!("{}: packs: {}, chunks: {}", dir.display(), report.packs, report.chunks),
        );
        for damage in report.damage.iter().take(NAMED) {
            let (message, hint) = match damage {
                Damage::PackMissing(id) => (format!("pack {id} is missing"), "modver verify --repair"),
                Damage::PackLength(id) => (format!("pack {id} has another length"), "modver verify --repair"),
                Damage::Pack { pack, .. } => (format!("pack {pack} is damaged"), "modver verify --repair"),
                Damage::Shard(id) => (format!("shard {id} is damaged"), "modver cache rebuild"),
            };
            found.say(about, Level::Problem, message, Some(hint.to_owned()));
        }
        if report.damage.len() > NAMED {
            let message = format!("{} more of these", report.damage.len() - NAMED);
            found.say(about, Level::Problem, message, None);
        }
        let undescribed = Self::undescribed_packs(cache)?.len();
        if undescribed > 0 {
            found.say(
                about,
                Level::Warning,
                format!("packs that the index does not know, as an interrupted command leaves them: {undescribed}"),
                Some("modver cache rebuild".to_owned()),
            );
        }
        Ok(())
    }

    fn examine_remotes(&self, found: &mut Diagnosis) {
        let about = Subject::Remote;
        let remotes = self.config.remotes();
        if remotes.is_empty() {
            found.ok(about, "there are no remotes");
        }
        for name in remotes.keys() {
            let asked = self.remote(Some(name.as_str())).and_then(|remote| {
                let damaged = if remote.exists()? {
                    Some(remote.damaged_runs()?.len())
                } else {
                    None
                };
                Ok((remote.describe().to_owned(), damaged))
            });
            match asked {
                Ok((place, Some(0))) => found.ok(about, format!("{name}: {place} can be read")),
                Ok((place, Some(damaged))) => found.say(
                    about,
                    Level::Problem,
                    format!("{name}: {place} can be read, but runs of its catalog are damaged: {damaged}"),
                    Some(format!("modver verify --remote={name} --repair")),
                ),
                Ok((place, None)) => found.ok(
                    about,
                    format!("{name}: {place} can be reached and holds nothing yet; the first push sets it up"),
                ),
                Err(error) => found.problem(about, &format!("{name}: "), &error),
            }
        }
        match super::remotes::default_remote(&self.config) {
            Ok(None) if !remotes.is_empty() => {
                let error = super::remotes::no_default(&self.config);
                found.say(about, Level::Warning, error.to_string(), error.hint());
            }
            Ok(_) => {}
            Err(error) => found.problem(about, "core.remote: ", &error),
        }
    }
}

fn device(path: &Path) -> Result<Option<u64>> {
    Ok(fs::stat(path)?.map(|stat| stat.dev))
}
