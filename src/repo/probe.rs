//! Trying out what remotes can do, and remembering it.
//!
//! What was seen belongs to this clone and to the place, not to the remote's name: it is kept beside the copies of the
//! place's metadata. A record that is missing or damaged means that everything is tried as it comes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{FOLDER, Repository, Result, Settings, places};
use crate::causes::in_one_line;
use crate::config::{RemoteConfig, RemoteName};
use crate::fs;
use crate::git::GitRepo;
use crate::progress::Progress;
use crate::remote::RemoteError;
use crate::remote::transport::{
    self, Body, Capabilities, Location, OpenOptions, PutMode, RemoteSpec, RetryPolicy, Transport, TransportError,
};
use crate::store::marker;

/// The name of a record.
const RECORD: &str = "abilities.json";
/// A record is a few words.
const LONGEST: u64 = 4096;

/// What trying out a remote came to.
#[derive(Debug, serde::Serialize)]
pub struct Probed {
    /// The remote.
    pub name: RemoteName,
    /// Its place, without credentials.
    pub place: String,
    /// What it was seen to do; `None` when it could not be tried.
    pub abilities: Option<Capabilities>,
    /// Why it could not be tried.
    pub error: Option<String>,
    /// What to do about that.
    pub hint: Option<String>,
}

/// What trying out remotes came to.
#[derive(Debug, serde::Serialize)]
pub struct ProbeOutcome {
    /// The remotes, in the order of their names.
    pub remotes: Vec<Probed>,
}

impl Probed {
    /// Whether it can be used for everything.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.abilities
            .is_some_and(|seen| seen.writable && seen.conditional_put && seen.range && seen.list && seen.delete)
    }

    /// The same, or why it is of no use.
    fn unless(self, checked: Result<()>) -> Self {
        match checked {
            Ok(()) => self,
            Err(error) => Self {
                abilities: None,
                hint: error.hint(),
                error: Some(in_one_line(&error)),
                ..self
            },
        }
    }
}

/// What was seen of a place before.
pub(super) fn recorded(copies: &Path, config: &RemoteConfig) -> Option<Capabilities> {
    let path = copies.join(places::place_id(config)).join(RECORD);
    let bytes = fs::read_if_exists(&path, LONGEST).ok()??;
    serde_json::from_slice(&bytes).ok()
}

/// Where copies of what is on remotes are kept in a clone.
pub(super) fn copies(git: &GitRepo) -> PathBuf {
    git.common_dir().join(FOLDER).join("remotes")
}

impl Settings {
    /// Tries out a remote and, in a repository, remembers what it can do.
    pub(super) fn probe(&self, config: &RemoteConfig, progress: &Arc<Progress>) -> Probed {
        let root = self.git.as_ref().map_or(self.cwd.as_path(), GitRepo::root);
        let copies = self.git.as_ref().map(copies);
        probe(config, root, copies.as_deref(), progress)
    }
}

impl Settings {
    /// Sees whether the store that is there, if there is one, can be used with these settings. A place that is to be
    /// encrypted is set up: of all who use it, one has to choose the
    /// salt, and not every service could decide between two who do at the same time.
    pub(super) fn set_up(&self, config: &RemoteConfig, probed: Probed, progress: &Arc<Progress>) -> Probed {
        let Some(seen) = probed.abilities else { return probed };
        if config.encryption && !seen.writable {
            return probed;
        }
        let root = self.git.as_ref().map_or(self.cwd.as_path(), GitRepo::root);
        if !config.encryption {
            return probed.unless(check_store(config, root, progress));
        }
        let marker = Body::from(marker::text().into_bytes());
        probed.unless(places::transport(config, root, false, progress).and_then(|place| {
            place.put(marker::NAME, &marker, PutMode::IfAbsent)?;
            Ok(())
        }))
    }
}

/// Sees whether the store that is there, if there is one, can be used with these settings and keys.
fn check_store(config: &RemoteConfig, root: &Path, progress: &Arc<Progress>) -> Result<()> {
    let place = places::transport(config, root, false, progress)?;
    match place.get(marker::NAME, marker::MAX_LEN) {
        Ok(there) => Ok(marker::check(&there).map_err(|source| RemoteError::Marker {
            remote: config.name.to_string(),
            source,
        })?),
        // A place that nobody has pushed to; what else may be wrong was seen before, but for the key.
        Err(error) if config.encryption && !matches!(error, TransportError::NotFound(_)) => Err(error.into()),
        Err(_) => Ok(()),
    }
}

impl Repository {
    /// Tries out a remote, or all of them, and remembers what they can do.
    ///
    /// # Errors
    /// When there is no remote of that name, or none at all. That one cannot be tried is not an error.
    pub fn probe_remotes(&self, name: Option<&str>) -> Result<ProbeOutcome> {
        let configs: Vec<RemoteConfig> = match name {
            Some(name) => vec![self.config.remote(name)?],
            None => self.config.remotes().into_values().collect(),
        };
        if configs.is_empty() {
            return Err(super::remotes::no_default(&self.config));
        }
        let copies = copies(&self.git);
        let remotes = configs
            .iter()
            .map(|config| {
                let probed = probe(config, self.root(), Some(&copies), &self.progress);
                match probed.abilities {
                    Some(_) => probed.unless(check_store(config, self.root(), &self.progress)),
                    None => probed,
                }
            })
            .collect();
        Ok(ProbeOutcome { remotes })
    }
}

fn probe(config: &RemoteConfig, root: &Path, copies: Option<&Path>, progress: &Arc<Progress>) -> Probed {
    let base = config.base.as_deref().unwrap_or(root);
    let mut place = config.url.clone();
    let options = OpenOptions {
        base: base.to_owned(),
        create: false,
        progress: Arc::clone(progress),
        // Somebody waits for this.
        retry: RetryPolicy {
            attempts: 3,
            connect_attempts: 1,
            deadline: Duration::from_secs(20),
            ..RetryPolicy::default()
        },
    };
    // What the place can do is asked, and no key is needed for that.
    let spec = RemoteSpec {
        encryption: None,
        ..places::spec(config)
    };
    let tried = transport::open(&spec, &options)
        .and_then(|transport| {
            transport.describe().clone_into(&mut place);
            try_out(transport.as_ref())
        })
        .map_err(super::RepoError::from)
        .and_then(|seen| {
            tidy(&config.url, base);
            if let Some(copies) = copies {
                remember(copies, config, &seen)?;
            }
            Ok(seen)
        });
    let (abilities, error) = match tried {
        Ok(seen) => (Some(seen), None),
        Err(error) => (None, Some(error)),
    };
    Probed {
        name: config.name.clone(),
        place,
        abilities,
        hint: error.as_ref().and_then(super::RepoError::hint),
        error: error.map(|error| in_one_line(&error)),
    }
}

fn try_out(transport: &dyn Transport) -> transport::Result<Capabilities> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_nanos());
    transport::probe(transport, &format!("{now:x}-{:x}", std::process::id()))
}

fn remember(copies: &Path, config: &RemoteConfig, seen: &Capabilities) -> Result<()> {
    let dir = copies.join(places::place_id(config));
    fs::create_dir_all(&dir)?;
    let text = serde_json::to_vec(seen).unwrap_or_default();
    Ok(fs::write_atomic(&dir.join(RECORD), &text)?)
}

/// Removes the empty directories that trying out a directory leaves.
fn tidy(url: &str, base: &Path) {
    if let Ok(Location::Dir(root)) = Location::parse(url, base) {
        for name in ["leases", "tmp"] {
            let _ = fs::remove_empty_dir(&root.join(name));
        }
    }
}
