//! `replicate`: what one remote has, to another.

use super::{RepoError, Repository, Result};
use crate::remote::{NotCopied, ReplicaOutcome};

/// What to replicate.
#[derive(Debug, Clone)]
pub struct ReplicateOptions {
    /// The remote that has it.
    pub from: String,
    /// The remote that is to have it.
    pub to: String,
    /// Only find out what would be copied.
    pub dry_run: bool,
}

/// What was replicated.
#[derive(Debug, serde::Serialize)]
pub struct ReplicateOutcome {
    /// The remote that has it.
    pub from: String,
    /// The remote that has it now, too.
    pub to: String,
    /// Whether nothing was copied because only the plan was asked for.
    pub dry_run: bool,
    /// Roots that were not there before.
    pub roots: u64,
    /// Roots that were.
    pub up_to_date: u64,
    /// Roots that were left out for what could not be copied.
    pub left_out: u64,
    /// Packs copied.
    pub packs: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Shards copied.
    pub shards: u64,
    /// Objects with records of runs of stages copied.
    pub records: u64,
    /// What could not be copied.
    pub failed: Vec<NotReplicated>,
}

/// An object that could not be copied.
#[derive(Debug, serde::Serialize)]
pub struct NotReplicated {
    /// The remote that lacks it, has it damaged or does not take it.
    pub remote: String,
    /// Its key.
    pub object: String,
    /// Why.
    pub problem: String,
    /// Whether it is missing or damaged where it should come from.
    pub is_damage: bool,
}

impl Repository {
    /// Copies what a remote's catalog names, whatever this repository needs of it, and the records of runs to another
    /// remote that lacks them.
    ///
    /// # Errors
    /// When one of the remotes cannot be used, or both are one. That single objects cannot be copied is in the outcome.
    pub fn replicate(&self, options: &ReplicateOptions) -> Result<ReplicateOutcome> {
        let from = self.remote(Some(&options.from))?;
        let to = self.remote(Some(&options.to))?;
        let service = |name: &str| {
            let config = self.config.remote(name)?;
            Ok::<_, RepoError>((config.endpoint, config.account_name))
        };
        if from.describe() == to.describe() && service(&options.from)? == service(&options.to)? {
            return Err(RepoError::SameRemote {
                from: options.from.clone(),
                to: options.to.clone(),
                url: to.describe().to_owned(),
            });
        }
        let plan = from.plan_replica(&to)?;
        let up_to_date = plan.up_to_date;
        let done = match options.dry_run {
            true => plan.outlook(),
            false => plan.execute(&self.cache()?.tmp_dir())?,
        };
        let ReplicaOutcome {
            roots,
            packs,
            bytes,
            shards,
            records,
            left_out,
            not_copied,
        } = done;
        let failed = |NotCopied {
                          key,
                          problem,
                          is_damage,
                      }: NotCopied| NotReplicated {
            remote: if is_damage { &options.from } else { &options.to }.clone(),
            object: key,
            problem,
            is_damage,
        };
        Ok(ReplicateOutcome {
            from: options.from.clone(),
            to: options.to.clone(),
            dry_run: options.dry_run,
            roots,
            up_to_date,
            left_out,
            packs,
            bytes,
            shards,
            records,
            failed: not_copied.into_iter().map(failed).collect(),
        })
    }
}
