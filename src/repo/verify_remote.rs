//! `verify --remote`: whether a remote still has what the outputs of this work tree need, and having it repaired from
//! what is left there, the cache, the other remotes and the workspace. How the remote is changed, and why that is safe, is
//! in `remote::repair`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::transfer::{MAX_PATHS, Paths, paths_of};
use super::{Flaw, Output, Repository, Result, VerifyOutcome};
use crate::causes::in_one_line;
use crate::hash::{ChunkId, FileId};
use crate::object::Root;
use crate::path::RepoPath;
use crate::remote::{RemoteFinding, RemoteRepair, RemoteReport, RemoteStore, Wanted};
use crate::store::Cache;

/// How often a remote is looked at again: runs name shards, shards name packs.
const ROUNDS: usize = 3;

/// What a repair of a remote did.
#[derive(Debug, Default, serde::Serialize)]
pub struct RemoteRepaired {
    /// Objects that were written again with the same bytes.
    pub restored: Vec<String>,
    /// Objects in whose place there are others now.
    pub replaced: Vec<String>,
    /// Outputs of which something was sent again.
    pub outputs: Vec<RepoPath>,
    /// Chunks that were sent.
    pub chunks: u64,
    /// Bytes that were sent.
    pub bytes: u64,
    /// What the remote cannot give any more, and nobody who could be asked has.
    pub lost: Vec<LostOutput>,
    /// Objects that are still damaged.
    pub left: Vec<Flaw>,
    /// Other remotes that could not be asked, and why.
    pub unreachable: BTreeMap<String, String>,
}

/// What is lost of an output.
#[derive(Debug, serde::Serialize)]
pub struct LostOutput {
    /// The output.
    pub path: RepoPath,
    /// What of it.
    pub missing: Paths,
}

impl Repository {
    pub(super) fn verify_remote(&self, remote: Option<&str>, quick: bool, repair: bool) -> Result<VerifyOutcome> {
        let mut outputs = self.outputs()?.sound()?;
        outputs.retain(Output::is_pushed);
        let remote = self.remote(remote)?;
        let roots: Vec<Root> = outputs.iter().map(Output::root).collect();
        let report = remote.verify(&roots, quick)?;
        let cache = self.cache()?;
        let mut findings: Vec<Flaw> = report.findings.iter().map(flaw).collect();
        for lost in self.lost_there(&remote, cache, &outputs)? {
            findings.push(Flaw {
                problem: said_lost(&lost),
                object: lost.path.to_string(),
            });
        }
        let repaired = if repair && !findings.is_empty() {
            let roots = outputs.iter().map(Output::root).collect();
            let mut repair = || self.repair_remote(&remote, cache, &outputs, report.clone(), quick);
            Some(remote.write_beside_collectors(&self.claimant()?, &roots, &mut repair)?)
        } else {
            None
        };
        let mut absent = Vec::new();
        for output in &outputs {
            if !remote.has(&output.root().id())? {
                absent.push(output.path.clone());
            }
        }
        Ok(VerifyOutcome {
            remote: Some(remote.name().to_owned()),
            packs: report.packs,
            chunks: report.chunks,
            bytes: report.bytes,
            findings,
            absent,
            repair: None,
            remote_repair: repaired,
        })
    }

    /// What the remote's shards do not describe of outputs that its catalog names.
    fn lost_there(&self, remote: &RemoteStore, cache: &Cache, outputs: &[Output]) -> Result<Vec<LostOutput>> {
        self.bring_trees(remote, cache, outputs)?;
        let mut lost = Vec::new();
        for output in outputs {
            let files: HashSet<FileId> = remote.undescribed(cache, output.root())?.into_iter().collect();
            if !files.is_empty() {
                let mut missing = paths_of(cache, output, &[], &files)?;
                missing.count = missing.count.max(files.len() as u64);
                lost.push(LostOutput {
                    path: output.path.clone(),
                    missing,
                });
            }
        }
        Ok(lost)
    }

    /// Has the listings of the outputs in the cache, as far as the remote can give them.
    fn bring_trees(&self, remote: &RemoteStore, cache: &Cache, outputs: &[Output]) -> Result<()> {
        let wanted: Vec<Wanted> = outputs
            .iter()
            .filter(|output| matches!(output.root(), Root::Tree(_)))
            .map(|output| Wanted {
                lineage: Vec::new(),
                root: output.root(),
                parts: Vec::new(),
            })
            .collect();
        if !wanted.is_empty() {
            remote.plan_fetch(cache, &wanted)?;
        }
        Ok(())
    }

    fn repair_remote(
        &self,
        remote: &Arc<RemoteStore>,
        cache: &Cache,
        outputs: &[Output],
        mut report: RemoteReport,
        quick: bool,
    ) -> Result<RemoteRepaired> {
        let mut repaired = RemoteRepaired::default();
        let mut done = RemoteRepair::default();
        for _ in 0..ROUNDS {
            let lacking = remote.lacking(cache, &report)?;
            let lacking: Vec<FileId> = lacking.iter().map(ChunkId::as_file).collect();
            self.gather(remote, cache, outputs, &lacking, &mut repaired)?;
            done.extend(remote.repair(cache, &report)?);
            if !report.is_partial() {
                break;
            }
            // What was out of sight behind damaged runs and shards.
            let roots: Vec<Root> = outputs.iter().map(Output::root).collect();
            report = remote.verify(&roots, quick)?;
            if report.findings.is_empty() {
                break;
            }
        }
        // Listings that were damaged can be had now.
        self.bring_trees(remote, cache, outputs)?;
        let mut again = Vec::new();
        let mut wanted = BTreeSet::new();
        for output in outputs {
            let undescribed = remote.undescribed(cache, output.root())?;
            if !undescribed.is_empty() || (done.lost_run && !remote.has(&output.root().id())?) {
                again.push(output);
                wanted.extend(undescribed);
            }
        }
        let mut missing = Vec::new();
        for file in wanted {
            if !cache.contains(&file)? {
                missing.push(file);
            }
        }
        self.gather(remote, cache, outputs, &missing, &mut repaired)?;
        if !again.is_empty() {
            let roots: Vec<Root> = again.iter().map(|output| output.root()).collect();
            let plan = remote.plan_completion(cache, &roots, &done)?;
            let sent = plan.execute(remote, cache)?;
            repaired.chunks += sent.chunks;
            repaired.bytes += sent.bytes;
            let pushed: HashSet<Root> = sent.pushed.into_iter().collect();
            let done = again.iter().filter(|output| pushed.contains(&output.root()));
            repaired.outputs = done.map(|output| output.path.clone()).collect();
        }
        repaired.restored = done.restored;
        repaired.replaced = done.replaced;
        repaired.chunks += done.chunks;
        repaired.bytes += done.bytes;
        repaired.lost = self.lost_there(remote, cache, outputs)?;
        let roots: Vec<Root> = outputs.iter().map(Output::root).collect();
        let after = remote.verify(&roots, quick)?;
        repaired.left = after.findings.iter().map(flaw).collect();
        Ok(repaired)
    }

    /// Gets files and chunks into the cache from the other remotes, or else from the workspace.
    fn gather(
        &self,
        remote: &RemoteStore,
        cache: &Cache,
        outputs: &[Output],
        files: &[FileId],
        repaired: &mut RemoteRepaired,
    ) -> Result<()> {
        let missing = || -> Result<Vec<FileId>> {
            let mut missing = Vec::new();
            for file in files {
                if !cache.contains(file)? {
                    missing.push(*file);
                }
            }
            Ok(missing)
        };
        let others = self.config.remotes().into_keys().map(|name| name.to_string());
        for name in others.filter(|name| name != remote.name()) {
            let files = missing()?;
            if files.is_empty() {
                return Ok(());
            }
            let fetch = || -> Result<()> {
                let other = self.remote(Some(&name))?;
                other.plan_fetch_files(cache, &files)?.execute(&other, cache)?;
                Ok(())
            };
            if let Err(error) = fetch() {
                self.progress.check()?;
                repaired.unreachable.insert(name, in_one_line(&error));
            }
        }
        if !missing()?.is_empty() {
            for output in outputs {
                // What cannot be read there does not help.
                if self.missing(cache, output).unwrap_or(1) > 0 && self.store_again(cache, output).is_err() {
                    self.progress.check()?;
                }
            }
        }
        Ok(())
    }
}

fn flaw(finding: &RemoteFinding) -> Flaw {
    Flaw {
        object: finding.key(),
        problem: finding.problem.clone(),
    }
}

fn said_lost(lost: &LostOutput) -> String {
    let paths: Vec<String> = lost.missing.first.iter().take(3).map(ToString::to_string).collect();
    let more = if lost.missing.first.len() > 3 || lost.missing.first.len() == MAX_PATHS {
        " and more"
    } else {
        ""
    };
    format!(
        "not all of it can be restored from the remote: {}{more}",
        paths.join(", ")
    )
}
