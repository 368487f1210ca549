//! `verify`: whether the cache, or a remote (see `verify_remote`), still has what it says it has; and having damage
//! repaired from elsewhere.

use std::collections::BTreeMap;

use super::verify_remote::RemoteRepaired;
use super::{FetchOptions, PathPatterns, Repository, Result};
use crate::causes::in_one_line;
use crate::git::Scope;
use crate::hash::{ChunkId, FileId};
use crate::path::RepoPath;
use crate::store::{Cache, Damage, Dropped, VerifyReport};

/// What to verify.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// Check a remote (this one, or the default one) instead of the cache.
    pub remote: Option<Option<String>>,
    /// Only sizes and indexes, not every byte; of a remote, only what lists say.
    pub quick: bool,
    /// Have damage repaired.
    pub repair: bool,
}

/// What was found.
#[derive(Debug, serde::Serialize)]
pub struct VerifyOutcome {
    /// The remote's name, if a remote was checked.
    pub remote: Option<String>,
    /// Packs looked at.
    pub packs: u64,
    /// Chunks in them.
    pub chunks: u64,
    /// Bytes of packs that were read, or only measured.
    pub bytes: u64,
    /// Each object that is not what it should be.
    pub findings: Vec<Flaw>,
    /// Outputs that the remote does not have.
    pub absent: Vec<RepoPath>,
    /// What was done about it.
    pub repair: Option<Repaired>,
    /// What was done about it on a remote.
    pub remote_repair: Option<RemoteRepaired>,
}

/// An object that is not what it should be.
#[derive(Debug, serde::Serialize)]
pub struct Flaw {
    /// `pack ID`, `shard ID` and so on.
    pub object: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What a repair did.
#[derive(Debug, Default, serde::Serialize)]
pub struct Repaired {
    /// Chunks that were damaged in every copy.
    pub damaged_chunks: u64,
    /// Chunks that came from a remote.
    pub from_remote: u64,
    /// Chunks that came from files of the workspace.
    pub from_workspace: u64,
    /// Chunks that are gone, now missing in the cache.
    pub lost: Vec<ChunkId>,
    /// Remotes that could not be asked, and why.
    pub unreachable: BTreeMap<String, String>,
}

impl VerifyOutcome {
    /// Whether all is well now.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        match (&self.repair, &self.remote_repair) {
            (Some(repair), _) => repair.lost.is_empty(),
            (None, Some(repair)) => repair.lost.is_empty() && repair.left.is_empty(),
            (None, None) => self.findings.is_empty(),
        }
    }
}

impl Repository {
    /// Checks the cache or a remote. A repair must be asked for before anything else uses the cache.
    ///
    /// # Errors
    /// When the cache cannot be locked or read, or the remote not be asked. Damage is in the outcome.
    pub fn verify(&self, options: &VerifyOptions) -> Result<VerifyOutcome> {
        match &options.remote {
            Some(remote) => self
                .verify_remote(remote.as_deref(), options.quick, options.repair)
                .map_err(super::RepoError::of_cache),
            None if options.repair => self.verify_and_repair(options.quick),
            None => Ok(outcome_of(&self.cache()?.verify(options.quick, &self.progress)?)),
        }
    }

    fn verify_and_repair(&self, quick: bool) -> Result<VerifyOutcome> {
        let (mut outcome, dropped) = {
            let cache = self.cache_exclusive()?;
            let mut report = cache.verify(quick, &self.progress)?;
            let outcome = outcome_of(&report);
            if outcome.findings.is_empty() {
                return Ok(outcome);
            }
            if report.damage.iter().any(|damage| matches!(damage, Damage::Shard(_))) {
                cache.rebuild(&self.progress)?;
                report = cache.verify(quick, &self.progress)?;
            }
            (outcome, cache.drop_damaged(&report, &self.progress)?)
        };
        outcome.repair = Some(self.refill(dropped)?);
        Ok(outcome)
    }

    /// Gets what was dropped, and what the outputs lack besides, from the remotes and from files in the workspace.
    fn refill(&self, dropped: Dropped) -> Result<Repaired> {
        let cache = self.cache()?;
        let mut repaired = Repaired {
            damaged_chunks: dropped.chunks.len() as u64,
            ..Repaired::default()
        };
        let mut lost = dropped.chunks;
        let outputs = self.outputs()?.outputs;
        for name in self.config.remotes().into_keys().map(|name| name.to_string()) {
            if lost.is_empty() {
                break;
            }
            if let Err(error) = self.refill_from(&name, cache, &lost) {
                self.progress.check()?;
                repaired.unreachable.insert(name, in_one_line(&error));
            }
            repaired.from_remote += forget_present(cache, &mut lost)?;
        }
        // What the index no longer knows is missing without having been damaged.
        let options = FetchOptions {
            scope: Scope::workspace(),
            targets: Vec::new(),
            remote: None,
            dry_run: false,
            present_parts: true,
            patterns: PathPatterns::default(),
        };
        if !self.config.remotes().is_empty() && self.fetch(&options).is_err() {
            self.progress.check()?;
        }
        let mut incomplete = Vec::new();
        for output in &outputs {
            if !lost.is_empty() || self.missing(cache, output)? > 0 {
                incomplete.push(output);
            }
        }
        for output in &incomplete {
            // What cannot be read there does not help.
            if self.store_again(cache, output).is_err() {
                self.progress.check()?;
            }
        }
        repaired.from_workspace = forget_present(cache, &mut lost)?;
        let transaction = cache.transaction(&self.progress)?;
        for (file, size, chunks) in dropped.recipes {
            let mut whole = cache.recipe(&file)?.is_none();
            for chunk in &chunks {
                whole = whole && cache.locate(chunk)?.is_some();
            }
            if whole {
                transaction.add_recipe(file, size, chunks.into_iter().map(Ok))?;
            }
        }
        transaction.commit()?;
        repaired.lost = lost;
        Ok(repaired)
    }

    fn refill_from(&self, remote: &str, cache: &Cache, chunks: &[ChunkId]) -> Result<()> {
        let remote = self.remote(Some(remote))?;
        let files: Vec<FileId> = chunks.iter().map(ChunkId::as_file).collect();
        remote.plan_fetch_files(cache, &files)?.execute(&remote, cache)?;
        Ok(())
    }
}

/// Takes out of `lost` what the cache has; returns how many.
fn forget_present(cache: &Cache, lost: &mut Vec<ChunkId>) -> Result<u64> {
    let before = lost.len();
    let mut still = Vec::new();
    for chunk in lost.drain(..) {
        if cache.locate(&chunk)?.is_none() {
            still.push(chunk);
        }
    }
    *lost = still;
    Ok((before - lost.len()) as u64)
}

fn outcome_of(report: &VerifyReport) -> VerifyOutcome {
    let finding = |damage: &Damage| {
        let (object, problem) = match damage {
            Damage::PackMissing(id) => (format!("pack {id}"), "it is not there".to_owned()),
            Damage::PackLength(id) => (format!("pack {id}"), "it has another length than it should".to_owned()),
            Damage::Shard(id) => (format!("shard {id}"), "it is damaged".to_owned()),
            Damage::Pack { pack, chunks } if chunks.is_empty() => (
                format!("pack {pack}"),
                "it is damaged, but not in its chunks".to_owned(),
            ),
            Damage::Pack { pack, chunks } => (format!("pack {pack}"), format!("damaged chunks: {}", chunks.len())),
        };
        Flaw { object, problem }
    };
    VerifyOutcome {
        remote: None,
        packs: report.packs,
        chunks: report.chunks,
        bytes: report.bytes,
        findings: report.damage.iter().map(finding).collect(),
        absent: Vec::new(),
        repair: None,
        remote_repair: None,
    }
}
