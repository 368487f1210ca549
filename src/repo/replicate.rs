//! `replicate`: what one remote has, to another.

use std::collections::HashSet;

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
        let (up_to_date, done) = if options.dry_run {
            let plan = from.plan_replica(&to)?;
            (plan.up_to_date, plan.outlook())
        } else {
            let tmp = self.cache()?.tmp_dir();
            let mut copy = || -> Result<(u64, ReplicaOutcome)> {
                let plan = from.plan_replica(&to)?;
                Ok((plan.up_to_date, plan.execute(&tmp)?))
            };
            // The roots are claimed for those who claim them on the first one.
            to.write_beside_collectors(&self.claimant()?, &HashSet::new(), &mut copy)?
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
