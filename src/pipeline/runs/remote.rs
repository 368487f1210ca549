//! Sharing runs: records, and what they name, to and from remotes.
//!
//! Order of writes: outputs and logs, then the records that name them, then the note that they were pushed.

use std::collections::HashSet;

use super::{RunIndex, RunRecord};
use crate::hash::FileId;
use crate::object::Root;
use crate::pipeline::error::{PipelineError, Result};
use crate::pipeline::inputs::node_of;
use crate::remote::{PushOutcome, PushRoot, RemoteError};
use crate::repo::{RepoError, Repository};

/// Runs that were sent or received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct SharedRuns {
    /// Records.
    pub runs: u64,
    /// Bytes of packs.
    pub bytes: u64,
}

impl SharedRuns {
    /// Both together.
    #[must_use]
    pub const fn and(self, more: Self) -> Self {
        Self {
            runs: self.runs + more.runs,
            bytes: self.bytes + more.bytes,
        }
    }
}

/// Sends the runs that a remote (or else the default one, if there is one) does not have: records, logs, and outputs as far as they are in the cache. With `made`,
/// only those that made something of it.
///
/// # Errors
/// When the remote cannot be used.
pub fn push_runs(repository: &Repository, remote: Option<&str>, made: Option<&HashSet<Root>>) -> Result<SharedRuns> {
    let Some(mut index) = RunIndex::open_existing(&repository.runs_dir())? else {
        return Ok(SharedRuns::default());
    };
    if remote.is_none() && repository.default_remote_name()?.is_none() {
        return Ok(SharedRuns::default());
    }
    let remote = repository.remote(remote)?;
    let mut runs = index.unpushed(remote.name())?;
    runs.retain(|(_, record)| made.is_none_or(|made| has_made(record, made)));
    if runs.is_empty() {
        return Ok(SharedRuns::default());
    }
    let cache = repository.cache()?;
    let mut roots = Vec::new();
    for (id, record) in &runs {
        let files = [Some(*id), record.log, record.diff];
        for id in files.into_iter().flatten() {
            if cache.contains(&id).map_err(RepoError::from)? {
                roots.push(Root::File(id));
            }
        }
        for content in record.outs.values() {
            let (content, size) = content.content();
            let node = node_of(content, size);
            if repository.has_content(&node)? {
                roots.extend(crate::repo::root_of(&node));
            }
        }
    }
    let roots: Vec<PushRoot> = roots
        .into_iter()
        .map(|root| PushRoot {
            root,
            lineage: Vec::new(),
        })
        .collect();
    let claimed = roots.iter().map(|root| root.root).collect();
    let claimant = repository.claimant()?;
    let mut send = || remote.plan_push(cache, &roots)?.execute(&remote, cache);
    let done: PushOutcome = remote
        .write_beside_collectors(&claimant, &claimed, &mut send)
        .map_err(RepoError::from)?;
    // Records do not name what others cannot have.
    if let Some((_, error)) = done.refused.into_iter().next() {
        return Err(RepoError::from(RemoteError::NotTaken(error)).into());
    }
    let mut bundle = Vec::new();
    for (_, record) in &runs {
        bundle.extend(record.to_bytes().map_err(unreadable(remote.name()))?);
        bundle.push(b'\n');
    }
    let name = remote.put_records(bundle).map_err(RepoError::from)?;
    index.note_bundle(remote.name(), &name.to_string())?;
    let ids: Vec<FileId> = runs.iter().map(|(id, _)| *id).collect();
    index.note_pushed(remote.name(), &ids)?;
    Ok(SharedRuns {
        runs: ids.len() as u64,
        bytes: done.bytes,
    })
}

/// Receives the records of runs that a remote has; what they name is fetched when it is needed.
///
/// # Errors
/// When the remote cannot be used, or a record on it is damaged.
pub fn fetch_runs(repository: &Repository, remote: Option<&str>) -> Result<SharedRuns> {
    if remote.is_none() && repository.default_remote_name()?.is_none() {
        return Ok(SharedRuns::default());
    }
    let remote = repository.remote(remote)?;
    let names = remote.list_records().map_err(RepoError::from)?;
    if names.is_empty() {
        return Ok(SharedRuns::default());
    }
    let mut index = RunIndex::open(&repository.runs_dir())?;
    let mut shared = SharedRuns::default();
    for name in names {
        let text = name.to_string();
        if index.has_bundle(remote.name(), &text)? {
            continue;
        }
        let bytes = remote.get_records(name).map_err(RepoError::from)?;
        let mut records = Vec::new();
        for line in bytes.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
            // What a newer modver wrote is for a newer modver.
            if let Ok(record) = RunRecord::parse(line) {
                records.push((FileId::of(line), record, line.to_vec()));
            }
        }
        shared.runs += index.add(&records)?;
        shared.bytes += bytes.len() as u64;
        let ids: Vec<FileId> = records.iter().map(|(id, ..)| *id).collect();
        index.note_pushed(remote.name(), &ids)?;
        index.note_bundle(remote.name(), &text)?;
    }
    Ok(shared)
}

/// Whether a run made something of this.
pub(super) fn has_made(record: &RunRecord, of: &HashSet<Root>) -> bool {
    record.outs.values().any(|made| {
        let (content, size) = made.content();
        crate::repo::root_of(&node_of(content, size)).is_some_and(|root| of.contains(&root))
    })
}

/// What is kept of runs whatever becomes of their outputs: records, logs, and the states of work trees; of all but these.
///
/// # Errors
/// When the index cannot be read.
pub fn kept_files(repository: &Repository, but: &[FileId]) -> Result<Vec<FileId>> {
    let Some(index) = RunIndex::open_existing(&repository.runs_dir())? else {
        return Ok(Vec::new());
    };
    let mut runs = index.list(&super::RunQuery::default())?;
    let but: HashSet<&FileId> = but.iter().collect();
    runs.retain(|(id, _)| !but.contains(id));
    let files = |(id, record): (FileId, RunRecord)| [Some(id), record.log, record.diff].into_iter().flatten();
    Ok(runs.into_iter().flat_map(files).collect())
}

fn unreadable(name: &str) -> impl Fn(serde_json::Error) -> PipelineError + '_ {
    move |source| PipelineError::Bundle {
        name: name.to_owned(),
        source: Box::new(source),
    }
}
