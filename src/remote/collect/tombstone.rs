//! Tombstones: what a mark found that nothing needs. From then on nobody relies on it, and nobody makes anything of the same
//! name; it is deleted after the grace period if nothing came to need it after all. A tombstone stays for a while after
//! it was swept, because a collector that was asleep may still delete what it names.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::super::error::{RemoteError, Result};
use super::super::store::RemoteStore;
use super::super::transport::TransportError;
use crate::hash::{FileId, PackId, RootId, ShardId};

/// Where tombstones are.
pub(super) const FOLDER: &str = "tombstones/";
/// Says for ever that something was collected here.
const COLLECTED: &str = "tombstones/collected";
/// Stands beside a tombstone that was swept.
const DONE: &str = "-done";
/// How long a tombstone stays after it was swept.
pub(super) const KEPT: Duration = Duration::from_secs(90 * 86_400);

/// What is in a tombstone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct TombstoneText {
    pub(super) repository: String,
    pub(super) holder: String,
    /// Claims that do not count any more: repository, claim.
    pub(super) claims: Vec<(String, FileId)>,
    pub(super) roots: Vec<RootId>,
    pub(super) shards: Vec<ShardId>,
    pub(super) packs: Vec<PackId>,
    /// Bytes of these packs.
    pub(super) bytes: u64,
}

impl TombstoneText {
    pub(super) fn is_empty(&self) -> bool {
        self.claims.is_empty() && self.roots.is_empty() && self.shards.is_empty() && self.packs.is_empty()
    }
}

/// A tombstone that stands on the remote.
#[derive(Debug, Clone)]
pub(super) struct Tombstone {
    pub(super) id: FileId,
    /// By the remote's clock.
    pub(super) since: SystemTime,
    /// When it was swept.
    pub(super) done: Option<SystemTime>,
    pub(super) text: TombstoneText,
}

/// What must not be relied on, and not be made again under the same name.
#[derive(Debug, Default)]
pub(in crate::remote) struct Condemned {
    /// Whether anything was ever collected here.
    pub(in crate::remote) ever: bool,
    pub(in crate::remote) roots: HashSet<RootId>,
    pub(in crate::remote) shards: HashSet<ShardId>,
    pub(in crate::remote) packs: HashSet<PackId>,
}

impl Condemned {
    pub(super) fn of(ever: bool, tombstones: &[Tombstone]) -> Self {
        let mut condemned = Self {
            ever: ever || !tombstones.is_empty(),
            ..Self::default()
        };
        for tombstone in tombstones {
            condemned.roots.extend(&tombstone.text.roots);
            condemned.shards.extend(&tombstone.text.shards);
            condemned.packs.extend(&tombstone.text.packs);
        }
        condemned
    }
}

pub(super) fn tombstone_key(id: FileId) -> String {
    format!("{FOLDER}{id}")
}

pub(super) fn done_key(id: FileId) -> String {
    format!("{FOLDER}{id}{DONE}")
}

impl RemoteStore {
    /// All tombstones, the oldest first, and whether anything was ever collected here.
    pub(super) fn tombstones(&self) -> Result<(bool, Vec<Tombstone>)> {
        let objects = self.transport().list(FOLDER)?;
        let when = |key: &str| objects.iter().find(|object| object.key == key);
        let mut tombstones = Vec::new();
        for object in &objects {
            let Some(Ok(id)) = object.key.strip_prefix(FOLDER).map(str::parse::<FileId>) else {
                continue;
            };
            let text = match self.get_note(&object.key, id) {
                // It was old, and is gone since it was listed.
                Err(super::super::error::RemoteError::Transport(TransportError::NotFound(_))) => continue,
                text => text?,
            };
            let done = match when(&done_key(id)) {
                Some(done) => Some(self.moment(&done.key, done.modified)?),
                None => None,
            };
            tombstones.push(Tombstone {
                id,
                since: self.moment(&object.key, object.modified)?,
                done,
                text,
            });
        }
        tombstones.sort_by_key(|tombstone| (tombstone.since, tombstone.id));
        Ok((!objects.is_empty(), tombstones))
    }

    /// Reads what must not be relied on.
    pub(super) fn read_condemned(&self) -> Result<Arc<Condemned>> {
        if !super::guards::writer_heeds_tombstones() {
            return Ok(Arc::default());
        }
        let (ever, tombstones) = match self.tombstones() {
            // Others may list and collect.
            Err(RemoteError::Transport(source)) if source.is_refusal() => return Err(self.cannot_list(source)),
            read => read?,
        };
        Ok(Arc::new(Condemned::of(ever, &tombstones)))
    }

    /// Says for ever that something was collected here: from then on the catalog is not believed without a look.
    pub(super) fn note_collected(&self) -> Result<()> {
        self.put_meta(COLLECTED, b"{}\n".to_vec())
    }
}
