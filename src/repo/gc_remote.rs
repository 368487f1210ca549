//! `gc --remote`: removes from a remote what no repository needs.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use super::{RepoError, Repository, Result};
use crate::git::Scope;
use crate::hash::FileId;
use crate::object::Root;
use crate::progress::Phase;
use crate::remote::{CollectOptions, Collection};

const DAY: u64 = 86_400;

/// What to collect on a remote.
#[derive(Debug, Clone)]
pub struct RemoteGcOptions {
    /// The remote.
    pub remote: String,
    /// What this repository needs.
    pub scope: Scope,
    /// Files that are needed whatever the scope.
    pub also: Vec<FileId>,
    /// Other repositories, by name or id, whose old claims may be taken back, too.
    pub repositories: Vec<String>,
    /// Days for which what was marked can still be had.
    pub grace_days: u32,
    /// Days after which claims of this repository count only for what the scope names.
    pub claim_days: u32,
    /// Days after which somebody who writes is taken for dead.
    pub lease_days: u32,
    /// Whether what nobody ever claimed goes, too.
    pub unclaimed: bool,
    /// Whether packs stay as they are, however little of them is needed.
    pub no_repack: bool,
    /// Only find out what would be done.
    pub dry_run: bool,
}

/// What was done, or would be.
#[derive(Debug, serde::Serialize)]
pub struct RemoteGcOutcome {
    /// Whether nothing was done because only the plan was asked for.
    pub dry_run: bool,
    /// The remote.
    pub remote: String,
    /// Its address, without credentials.
    pub url: String,
    /// The name of this repository there.
    pub repository: String,
    /// Days after which what was pushed stays only if a commit in scope needs it.
    pub claim_days: u32,
    /// Roots that this repository needs.
    pub live_roots: u64,
    /// What was found and deleted.
    #[serde(flatten)]
    pub collection: Collection,
}

impl Repository {
    /// Deletes what was marked on a remote long enough ago and is needed by nobody, and marks what nobody needs now.
    ///
    /// # Errors
    /// [`RepoError::NoGcScope`]; [`RepoError::ShallowHistory`]; [`RepoError::PartOfHistory`];
    /// [`RepoError::OldClone`]; when pointers or history cannot be read, or the remote cannot be asked or written.
    pub fn gc_remote(&self, options: &RemoteGcOptions) -> Result<RemoteGcOutcome> {
        if !options.scope.workspace && !options.scope.has_history() {
            return Err(RepoError::NoGcScope);
        }
        if self.git.is_shallow() {
            return Err(RepoError::ShallowHistory);
        }
        if let Some(remote) = self.git.partly_fetched() {
            return Err(RepoError::PartOfHistory { remote });
        }
        if let Some(last) = self.git.last_fetched()? {
            let days = SystemTime::now()
                .duration_since(last)
                .map_or(0, |age| age.as_secs() / DAY);
            if days > 0 {
                return Err(RepoError::OldClone { days });
            }
        }
        self.progress.start(Phase::Scanning, 0, 0);
        let remote = self.remote(Some(&options.remote))?;
        let mut live_roots = 0;
        let mut named = || -> Result<HashSet<Root>> {
            let mut named = self.live_roots(&options.scope)?;
            named.extend(options.also.iter().map(|id| Root::File(*id)));
            live_roots = named.len() as u64;
            Ok(named)
        };
        let claimant = self.claimant()?;
        let days = |days: u32| Duration::from_secs(u64::from(days) * DAY);
        let collection = remote.collect(
            self.cache()?,
            &mut named,
            &CollectOptions {
                claimant: claimant.clone(),
                also: options.repositories.clone(),
                grace: days(options.grace_days),
                claims_older_than: days(options.claim_days),
                leases_older_than: days(options.lease_days),
                unclaimed: options.unclaimed,
                repack: !options.no_repack,
                dry_run: options.dry_run,
            },
        )?;
        Ok(RemoteGcOutcome {
            dry_run: options.dry_run,
            remote: remote.name().to_owned(),
            url: remote.describe().to_owned(),
            repository: claimant.repository,
            claim_days: options.claim_days,
            live_roots,
            collection,
        })
    }
}
