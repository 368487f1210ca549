//! Claims: which roots repositories need, as those who pushed said it. `refs/<repository>/<claim>`; each push that has
//! something new to say adds one, collection takes old ones back.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::super::error::{RemoteError, Result};
use super::super::store::RemoteStore;
use super::super::transport::TransportError;
use crate::hash::{FileId, RootId, TreeId};
use crate::object::Root;

/// Where claims are.
const FOLDER: &str = "refs/";
/// A claim that is younger is not made again. Collectors that take back younger ones than twice this need nobody to push
/// meanwhile.
const FRESH: Duration = Duration::from_secs(24 * 3600);
/// Roots in one claim.
const ROOTS_PER_CLAIM: usize = 100_000;

/// Who pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// The repository: where its commits are pushed to, without credentials. Clones of one repository have one name.
    pub repository: String,
    /// The person, for people.
    pub holder: String,
}

impl Claimant {
    /// The name of the repository in keys: 16 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> String {
        repository_id(&self.repository)
    }
}

/// The name of a repository in keys.
#[must_use]
pub(super) fn repository_id(repository: &str) -> String {
    let mut id = FileId::of(repository.as_bytes()).to_string();
    id.truncate(16);
    id
}

/// What is in a claim.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ClaimText {
    pub(super) repository: String,
    pub(super) holder: String,
    files: Vec<FileId>,
    trees: Vec<TreeId>,
}

impl ClaimText {
    pub(super) fn roots(&self) -> impl Iterator<Item = Root> {
        let files = self.files.iter().map(|id| Root::File(*id));
        files.chain(self.trees.iter().map(|id| Root::Tree(*id)))
    }
}

/// A claim that stands on the remote.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    /// Of the repository, as in the key.
    pub(super) repository: String,
    pub(super) id: FileId,
    /// By the remote's clock.
    pub(super) since: SystemTime,
    pub(super) text: ClaimText,
}

pub(super) fn claim_key(repository: &str, id: FileId) -> String {
    format!("{FOLDER}{repository}/{id}")
}

impl RemoteStore {
    /// Claims roots for a repository, unless young claims of it say so already. `now` by the remote's clock.
    pub(super) fn claim(&self, claimant: &Claimant, roots: &HashSet<Root>, now: SystemTime) -> Result<()> {
        let folder = format!("{FOLDER}{}/", claimant.id());
        let mut unclaimed = roots.clone();
        for object in self.transport().list(&folder)? {
            let young = object
                .modified
                .is_some_and(|since| now.duration_since(since).is_ok_and(|age| age < FRESH));
            if let Some(id) = object.key.strip_prefix(&folder).and_then(|id| id.parse().ok())
                && young
                && !unclaimed.is_empty()
            {
                // One that cannot be read is of no help.
                if let Ok(text) = self.get_note::<ClaimText>(&object.key, id) {
                    for root in text.roots() {
                        unclaimed.remove(&root);
                    }
                }
            }
        }
        self.put_claims(claimant, &unclaimed)
    }

    /// Claims roots, whatever stands there already.
    pub(super) fn put_claims(&self, claimant: &Claimant, roots: &HashSet<Root>) -> Result<()> {
        let folder = format!("{FOLDER}{}/", claimant.id());
        let mut roots: Vec<Root> = roots.iter().copied().collect();
        roots.sort_unstable_by_key(|root| root.id());
        for part in roots.chunks(ROOTS_PER_CLAIM) {
            let (mut files, mut trees) = (Vec::new(), Vec::new());
            for root in part {
                match root {
                    Root::File(id) => files.push(*id),
                    Root::Tree(id) => trees.push(*id),
                }
            }
            let text = ClaimText {
                repository: claimant.repository.clone(),
                holder: claimant.holder.clone(),
                files,
                trees,
            };
            self.put_note(&folder, &text)?;
        }
        Ok(())
    }

    /// Claims on another remote what repositories need of these roots, as it is claimed here. Returns the claims that cannot
    /// be read: key, why. Whoever calls this holds a lease there.
    ///
    /// # Errors
    /// When one of the remotes cannot be asked or written.
    pub(in crate::remote) fn pass_claims(
        &self,
        to: &Self,
        is_meant: impl Fn(&RootId) -> bool,
    ) -> Result<Vec<(String, String)>> {
        let claims = match self.transport().list(FOLDER) {
            // What cannot be listed cannot be collected, either: what nobody claims stays.
            Err(error) if error.is_refusal() => return Ok(Vec::new()),
            listed => listed?,
        };
        let mut unread = Vec::new();
        let mut passed: HashMap<String, HashSet<Root>> = HashMap::new();
        for object in claims {
            self.progress.check()?;
            let id = object.key.rsplit('/').next().and_then(|id| id.parse().ok());
            let text = match id.map(|id| self.get_note::<ClaimText>(&object.key, id)) {
                Some(Ok(text)) => text,
                // Taken back since it was listed.
                Some(Err(RemoteError::Transport(TransportError::NotFound(_)))) => continue,
                Some(Err(error @ RemoteError::BadNote { .. })) => {
                    unread.push((object.key, error.to_string()));
                    continue;
                }
                Some(Err(error)) => return Err(error),
                None => continue,
            };
            let passed = passed.entry(text.repository.clone()).or_default();
            let roots: HashSet<Root> = text
                .roots()
                .filter(|root| is_meant(&root.id()) && passed.insert(*root))
                .collect();
            let claimant = Claimant {
                repository: text.repository,
                holder: text.holder,
            };
            to.put_claims(&claimant, &roots)?;
        }
        Ok(unread)
    }

    /// The claims of all repositories. One that cannot be read is an error: it may name anything.
    pub(super) fn claims(&self) -> Result<Vec<Claim>> {
        let mut claims = Vec::new();
        for object in self.list_settled(FOLDER)? {
            let parts = object.key.strip_prefix(FOLDER).and_then(|rest| rest.split_once('/'));
            let Some((repository, Ok(id))) = parts.map(|(repository, id)| (repository, id.parse::<FileId>())) else {
                return Err(RemoteError::BadNote {
                    remote: self.name().to_owned(),
                    key: object.key,
                    problem: "its name is not that of a claim".to_owned(),
                });
            };
            claims.push(Claim {
                repository: repository.to_owned(),
                id,
                since: self.moment(&object.key, object.modified)?,
                text: self.get_note(&object.key, id)?,
            });
        }
        Ok(claims)
    }
}
