//! `migrate`: files in history become transparent, or git's own again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::{RepoError, Repository, Result};
use crate::fs;
use crate::git::{
    self, Direction, MigrateBlob, MigratePlan, MigrateRequest, Migrated, RefChoice, TransparentPointer,
};
use crate::object::Root;
use crate::path::{Name, RepoPath, quote};
use crate::progress::Phase;
use crate::remote::Wanted;
use crate::store::{Cache, Journal, PackKind, StoreError};

/// What to migrate.
#[derive(Debug)]
pub struct MigrateOptions {
    /// Which way.
    pub direction: Direction,
    /// Patterns of files, as in `.gitattributes` at the top of the repository.
    pub include: Vec<OsString>,
    /// Patterns of files that stay as they are.
    pub exclude: Vec<OsString>,
    /// Only files of more than so many bytes.
    pub above: Option<u64>,
    /// Which branches and tags.
    pub refs: RefChoice,
    /// The remote to fetch from what an export needs.
    pub remote: Option<String>,
    /// Only find out what would change.
    pub dry_run: bool,
}

/// Files of one kind.
#[derive(Debug, Default, serde::Serialize)]
pub struct MigratedFiles {
    /// The ending of their names, with its dot; empty for those without one.
    pub suffix: String,
    /// How many different contents.
    pub versions: u64,
    /// Bytes of these.
    pub bytes: u64,
}

/// What changed, or would.
#[derive(Debug, serde::Serialize)]
pub struct MigrateOutcome {
    /// Whether nothing was written because that was asked.
    pub dry_run: bool,
    /// Contents that changed places, by the ending of their names, most bytes first.
    pub files: Vec<MigratedFiles>,
    /// Different contents.
    pub versions: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Commits that were looked at.
    pub commits: u64,
    /// Commits that were written anew; not known before.
    pub rewritten: Option<u64>,
    /// Branches and tags that changed, or may change.
    pub refs: Vec<String>,
    /// Where the old branches and tags are kept.
    pub backup: Option<String>,
    /// Signatures of commits and tags that were dropped, since they do not hold any more.
    pub signatures: u64,
    /// Notes (`refs/notes/`) of rewritten commits that the new ones have, too.
    pub notes: u64,
}

impl Repository {
    /// Rewrites history so that files are transparent in it, or are git's own. Content is stored (or written into git)
    /// before any commit names it, and branches and tags change last, all or none.
    ///
    /// # Errors
    /// When there are changes that are not committed, the history is not all here, or something cannot be read or
    /// written. Branches, tags and files are then as before. [`RepoError::MigratedWithoutFiles`] when a file was changed
    /// in the moment in which the refs moved: all files are as before then, and so is the index.
    pub fn migrate(&self, options: &MigrateOptions) -> Result<MigrateOutcome> {
        let _lock = self.lock_workspace()?;
        if options.direction == Direction::Import && options.include.is_empty() && options.above.is_none() {
            return Err(RepoError::NothingToMigrate);
        }
        let request = MigrateRequest {
            direction: options.direction,
            include: patterns(&options.include)?,
            exclude: patterns(&options.exclude)?,
            above: options.above,
            refs: options.refs.clone(),
        };
        if !options.dry_run {
            self.check_migration()?;
        }
        self.progress.start(Phase::Scanning, 0, 0);
        let mut plan = self.git.plan_migration(request, &self.progress)?;
        let mut outcome = describe(&plan, options.dry_run);
        if options.dry_run || plan.blobs().is_empty() {
            return Ok(outcome);
        }
        self.progress.start(Phase::Adding, outcome.versions, outcome.bytes);
        match options.direction {
            Direction::Import => self.import_blobs(&mut plan)?,
            Direction::Export => self.export_blobs(&mut plan, options.remote.as_deref())?,
        }
        // The content that the new pointers stand for is stored; the files are to be seen through the filter.
        self.git.configure_filter()?;
        let old = self.git.head()?;
        // Storing and rewriting take long enough for somebody to go on working.
        let check = || match self.git.head()? == old {
            true => self.check_migration(),
            false => Err(RepoError::HeadMoved),
        };
        let Migrated {
            refs,
            backup,
            commits,
            signatures,
            notes,
        } = plan.execute(&self.git, &self.progress, check)?;
        if let (Some(backup), Some(old), Some(new)) = (&backup, old.commit(), self.git.head()?.commit()) {
            let brought = match old == new {
                true => Ok(()),
                false => self.git.bring_from_to(old, new),
            };
            brought.map_err(|source| RepoError::MigratedWithoutFiles {
                backup: backup.clone(),
                old: old.to_owned(),
                source: Box::new(source),
            })?;
        }
        outcome.notes = notes;
        outcome.refs = refs;
        outcome.backup = backup;
        outcome.rewritten = Some(commits);
        outcome.signatures = signatures;
        Ok(outcome)
    }

    /// Whether nothing of the user's is where files will be written anew.
    fn check_migration(&self) -> Result<()> {
        if !self.git.is_clean()? {
            return Err(RepoError::Dirty);
        }
        let path = RepoPath::root().join(&Name::new(b".gitattributes")?);
        if fs::stat(&path.on_disk(self.root()))?.is_some() && !self.git.tracked()?.contains(&path) {
            return Err(RepoError::UntrackedInTheWay { path });
        }
        Ok(())
    }

    fn import_blobs(&self, plan: &mut MigratePlan) -> Result<()> {
        let cache = self.cache()?;
        let transaction = cache.transaction(&self.progress)?;
        let mut buffer = Vec::new();
        let mut store = |blob: &MigrateBlob, content: &mut (dyn Read + Send)| -> Result<TransparentPointer> {
            let id = if blob.size <= Journal::MAX_FILE as u64 {
                buffer.clear();
                content.read_to_end(&mut buffer).map_err(RepoError::FilterInput)?;
                self.progress.advance(1, blob.size);
                transaction.add_bytes(PackKind::Data, &buffer)?
            } else {
                let name = blob.path.to_string();
                let (id, _) = transaction.add_reader(PackKind::Data, content, Path::new(&name))?;
                self.progress.advance(1, 0);
                id
            };
            Ok(TransparentPointer { id, size: blob.size })
        };
        match plan.import(&self.git, &mut store) {
            Ok(()) => {
                transaction.commit()?;
                Ok(())
            }
            Err(RepoError::Store(error)) => Err(transaction.cause(error).into()),
            Err(error) => Err(error),
        }
    }

    fn export_blobs(&self, plan: &mut MigratePlan, remote: Option<&str>) -> Result<()> {
        let cache = self.cache()?;
        self.fetch_for_export(plan, cache, remote)?;
        for blob in plan.blobs() {
            if let Some(pointer) = blob.pointer
                && let Some(size) = cache.size_of(&pointer.id)?
                && size != pointer.size
            {
                return Err(RepoError::WrongSize {
                    path: blob.path.clone(),
                    claimed: pointer.size,
                    size,
                });
            }
        }
        let load = |pointer: &TransparentPointer, out: &mut dyn FnMut(&[u8]) -> io::Result<()>| -> Result<()> {
            // When git takes no more, its own error is the news.
            let copied = cache.copy_file::<Stop>(pointer.id, &mut |bytes| out(bytes).map_err(|_| Stop::Full));
            self.progress.advance(1, pointer.size);
            match copied {
                Ok(_) | Err(Stop::Full) => Ok(()),
                Err(Stop::Store(error)) => Err(error.into()),
            }
        };
        plan.export::<RepoError>(&self.git, &load)
    }

    fn fetch_for_export(&self, plan: &MigratePlan, cache: &Cache, remote: Option<&str>) -> Result<()> {
        let missing = |plan: &MigratePlan| -> Result<Vec<(RepoPath, TransparentPointer)>> {
            let mut missing = Vec::new();
            for blob in plan.blobs() {
                if let Some(pointer) = blob.pointer
                    && !cache.contains(&pointer.id)?
                {
                    missing.push((blob.path.clone(), pointer));
                }
            }
            Ok(missing)
        };
        let wanted = missing(plan)?;
        if wanted.is_empty() {
            return Ok(());
        }
        let remote = self.remote(remote)?;
        let wanted: Vec<Wanted> = wanted
            .into_iter()
            .map(|(_, pointer)| Wanted {
                root: Root::File(pointer.id),
                parts: Vec::new(),
                lineage: Vec::new(),
            })
            .collect();
        remote.plan_fetch(cache, &wanted)?.execute(&remote, cache)?;
        let missing = missing(plan)?;
        match missing.len() {
            0 => Ok(()),
            count => Err(RepoError::NotExported {
                path: missing[0].0.clone(),
                count,
            }),
        }
    }
}

/// Why no more content was handed over.
enum Stop {
    Store(StoreError),
    Full,
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn describe(plan: &MigratePlan, dry_run: bool) -> MigrateOutcome {
    let mut kinds: BTreeMap<String, MigratedFiles> = BTreeMap::new();
    let (mut versions, mut bytes) = (0, 0);
    for blob in plan.blobs() {
        let name = blob.path.names().next_back().unwrap_or_default();
        let suffix = match name.iter().rposition(|&b| b == b'.') {
            Some(at) if at > 0 => quote(&name[at..]).into_owned(),
            _ => String::new(),
        };
        let kind = kinds.entry(suffix.clone()).or_default();
        kind.suffix = suffix;
        kind.versions += 1;
        kind.bytes += blob.size;
        versions += 1;
        bytes += blob.size;
    }
    let mut files: Vec<MigratedFiles> = kinds.into_values().collect();
    files.sort_by_key(|kind| std::cmp::Reverse(kind.bytes));
    MigrateOutcome {
        dry_run,
        files,
        versions,
        bytes,
        commits: plan.commits() as u64,
        rewritten: None,
        refs: plan.refs(),
        backup: None,
        signatures: 0,
        notes: 0,
    }
}

fn patterns(typed: &[OsString]) -> Result<Vec<Vec<u8>>> {
    let parse = |text: &OsString| {
        git::attribute_pattern(text.as_bytes()).map_err(|source| RepoError::Pattern {
            pattern: quote(text.as_bytes()).into_owned(),
            source,
        })
    };
    typed.iter().map(parse).collect()
}
