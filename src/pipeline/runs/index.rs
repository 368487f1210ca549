//! The index of run records: SQLite, in the git directory that all work trees share. May be deleted: what is in the lock
//! files stays known, earlier runs are only found again on remotes that they were pushed to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::RunRecord;
use crate::hash::FileId;
use crate::pipeline::PipelineError;
use crate::pipeline::inputs::RunKey;

type Result<T> = std::result::Result<T, PipelineError>;

/// How long another process's writing is waited for.
const BUSY: Duration = Duration::from_secs(30);

const SCHEMA: &str = "
create table if not exists runs (
    id blob primary key,
    key blob not null,
    stage text not null,
    started_ms integer not null,
    exit integer not null,
    reusable integer not null,
    record blob not null
) without rowid;
create index if not exists runs_by_key on runs (key, started_ms);
create index if not exists runs_by_time on runs (started_ms);
create table if not exists pushed (
    remote text not null,
    id blob not null,
    primary key (remote, id)
) without rowid;
create table if not exists bundles (
    remote text not null,
    name text not null,
    primary key (remote, name)
) without rowid;
";

/// The index; opened when it is needed.
pub struct RunIndex {
    connection: Connection,
    path: PathBuf,
}

/// Which runs are asked for.
#[derive(Debug, Clone, Default)]
pub struct RunQuery {
    /// Of this stage.
    pub stage: Option<String>,
    /// At most so many, the newest.
    pub limit: Option<u32>,
}

impl RunIndex {
    /// Opens the index in this directory, and makes it if there is none.
    ///
    /// # Errors
    /// When it cannot be opened, or is damaged.
    pub fn open(dir: &Path) -> Result<Self> {
        crate::fs::create_dir_all(dir).map_err(crate::repo::RepoError::from)?;
        let path = dir.join("runs.db");
        let failed = |source| PipelineError::Index {
            path: path.clone(),
            source: Box::new(source),
        };
        let connection = Connection::open(&path).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        // No write-ahead log: the git directory may be on a network file system.
        connection.execute_batch(SCHEMA).map_err(failed)?;
        Ok(Self {
            path: path.clone(),
            connection,
        })
    }

    /// Opens the index if there is one.
    ///
    /// # Errors
    /// As [`RunIndex::open`].
    pub fn open_existing(dir: &Path) -> Result<Option<Self>> {
        match crate::fs::stat(&dir.join("runs.db")).map_err(crate::repo::RepoError::from)? {
            None => Ok(None),
            Some(_) => Self::open(dir).map(Some),
        }
    }

    fn failed(&self) -> impl Fn(rusqlite::Error) -> PipelineError + '_ {
        |source| PipelineError::Index {
            path: self.path.clone(),
            source: Box::new(source),
        }
    }

    /// Adds records; those it has are passed over. Returns how many are new.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, records: &[(FileId, RunRecord, Vec<u8>)]) -> Result<u64> {
        let path = self.path.clone();
        let failed = |source| PipelineError::Index {
            path: path.clone(),
            source: Box::new(source),
        };
        let transaction = self.connection.transaction().map_err(failed)?;
        let mut new = 0;
        for (id, record, bytes) in records {
            let added = transaction
                .execute(
                    "insert or ignore into runs values (?, ?, ?, ?, ?, ?, ?)",
                    params![
                        id.as_bytes(),
                        record.key.as_bytes(),
                        record.stage,
                        i64::try_from(record.started_ms).unwrap_or(i64::MAX),
                        record.exit,
                        record.reusable,
                        bytes
                    ],
                )
                .map_err(failed)?;
            new += added as u64;
        }
        transaction.commit().map_err(failed)?;
        Ok(new)
    }

    /// The runs with this key that may be reused, the newest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn reusable(&self, key: &RunKey) -> Result<Vec<(FileId, RunRecord)>> {
        self.select(
            "select id, record from runs where key = ? and reusable order by started_ms desc, id",
            params![key.as_bytes()],
        )
    }

    /// The runs that are asked for, the newest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn list(&self, query: &RunQuery) -> Result<Vec<(FileId, RunRecord)>> {
        let limit = query.limit.map_or(-1, i64::from);
        match &query.stage {
            // A group has all its members.
            Some(stage) => self.select(
                "select id, record from runs where stage = ?1 or substr(stage, 1, length(?1) + 1) = ?1 || '@'
                 order by started_ms desc, id limit ?2",
                params![stage, limit],
            ),
            None => self.select(
                "select id, record from runs order by started_ms desc, id limit ?",
                params![limit],
            ),
        }
    }

    /// The runs whose ids begin with these digits.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn find(&self, prefix: &str) -> Result<Vec<(FileId, RunRecord)>> {
        self.select(
            "select id, record from runs where substr(lower(hex(id)), 1, length(?1)) = ?1 limit 10",
            params![prefix.to_ascii_lowercase()],
        )
    }

    /// The runs that were not pushed to a remote yet.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn unpushed(&self, remote: &str) -> Result<Vec<(FileId, RunRecord)>> {
        self.select(
            "select id, record from runs where id not in (select id from pushed where remote = ?) order by id",
            params![remote],
        )
    }

    /// Notes that a remote has these runs.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_pushed(&mut self, remote: &str, ids: &[FileId]) -> Result<()> {
        let path = self.path.clone();
        let failed = |source| PipelineError::Index {
            path: path.clone(),
            source: Box::new(source),
        };
        let transaction = self.connection.transaction().map_err(failed)?;
        for id in ids {
            transaction
                .execute(
                    "insert or ignore into pushed values (?, ?)",
                    params![remote, id.as_bytes()],
                )
                .map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }

    /// Takes these runs out.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remove(&mut self, ids: &[FileId]) -> Result<()> {
        let path = self.path.clone();
        let failed = |source| PipelineError::Index {
            path: path.clone(),
            source: Box::new(source),
        };
        let transaction = self.connection.transaction().map_err(failed)?;
        for id in ids {
            for table in ["runs", "pushed"] {
                let delete = format!("delete from {table} where id = ?");
                transaction.execute(&delete, params![id.as_bytes()]).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)
    }

    /// Whether what a remote has under this name was taken in.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn has_bundle(&self, remote: &str, name: &str) -> Result<bool> {
        let found = self
            .connection
            .query_row(
                "select 1 from bundles where remote = ? and name = ?",
                params![remote, name],
                |_| Ok(()),
            )
            .optional()
            .map_err(self.failed())?;
        Ok(found.is_some())
    }

    /// Notes that it was.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_bundle(&self, remote: &str, name: &str) -> Result<()> {
        self.connection
            .execute("insert or ignore into bundles values (?, ?)", params![remote, name])
            .map_err(self.failed())?;
        Ok(())
    }

    fn select(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<(FileId, RunRecord)>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(self.failed())?;
        let rows = statement
            .query_map(params, |row| {
                Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .map_err(self.failed())?;
        let mut found = Vec::new();
        for row in rows {
            let (id, bytes) = row.map_err(self.failed())?;
            let id = FileId::from_bytes(id);
            // A newer modver may have written it; it is not for this one.
            if let Ok(record) = RunRecord::parse(&bytes) {
                found.push((id, record));
            }
        }
        Ok(found)
    }
}
