//! Leases: who writes to the remote now. Nothing is swept that was marked while somebody wrote, until that writer is done or
//! taken for dead; one that was taken for dead and wakes up finds its lease gone, and looks again at what it relied on.

use std::path::Path;
use std::time::SystemTime;

use super::super::error::{RemoteError, Result};
use super::super::store::RemoteStore;
use super::super::transport::TransportError;
use super::note::hex;
use crate::fs::{self, FileLock, LockKind};

/// Where leases are.
const FOLDER: &str = "leases/";
/// What tries out a remote writes there, too.
const PROBE: &str = "leases/probe-";

/// A lease of this process.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    remote: &'a RemoteStore,
    key: String,
    /// When it was written, by the remote's clock.
    pub(super) since: SystemTime,
    /// Held for as long as the process lives, so that others of this clone know.
    file: FileLock,
}

/// A lease that somebody has.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) key: String,
    /// By the remote's clock.
    pub(super) since: SystemTime,
}

impl RemoteStore {
    /// Writes a lease.
    pub(super) fn take_lease(&self, holder: &str) -> Result<Lease<'_>> {
        let dir = self.meta_dir("leases")?;
        self.return_dead_leases(&dir)?;
        let (name, file) = name_lease(&dir)?;
        let key = format!("{FOLDER}{name}");
        self.put_meta(
            &key,
            format!("{{\"holder\":{}}}\n", serde_json::Value::from(holder)).into_bytes(),
        )?;
        // As listings have it: what some services say of one object is cut to seconds.
        let refused = |error: TransportError| match error.is_refusal() {
            true => self.cannot_list(error),
            false => error.into(),
        };
        let since = self.transport().list(&key).map_err(refused).and_then(|listed| {
            let written = listed.into_iter().next().ok_or_else(|| self.lease_lost())?;
            self.moment(&key, written.modified)
        });
        let since = match since {
            Ok(since) => since,
            Err(error) => {
                // It would be of no use, and stay.
                self.delete_if_allowed(&key)?;
                fs::remove_file(file.path())?;
                return Err(error);
            }
        };
        Ok(Lease {
            since,
            remote: self,
            key,
            file,
        })
    }

    /// Deletes leases of processes of this clone that were killed.
    fn return_dead_leases(&self, dir: &Path) -> Result<()> {
        for name in fs::list(dir)? {
            let path = dir.join(&name);
            let Some(name) = name.to_str() else { continue };
            if let Some(_dead) = FileLock::try_acquire(&path, LockKind::Exclusive)? {
                self.delete_if_allowed(&format!("{FOLDER}{name}"))?;
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// All leases there are.
    pub(super) fn leases(&self) -> Result<Vec<Held>> {
        let objects = self.transport().list(FOLDER)?;
        objects
            .into_iter()
            .filter(|object| !object.key.starts_with(PROBE))
            .map(|object| {
                Ok(Held {
                    since: self.moment(&object.key, object.modified)?,
                    key: object.key,
                })
            })
            .collect()
    }

    /// Who a lease says it belongs to, for people.
    pub(super) fn lease_holder(&self, key: &str) -> Option<String> {
        let bytes = self.transport().get(key, 1 << 20).ok()?;
        let text: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        Some(text.get("holder")?.as_str()?.to_owned())
    }

    /// When an object was written; collection cannot do without.
    pub(super) fn moment(&self, key: &str, modified: Option<SystemTime>) -> Result<SystemTime> {
        modified.ok_or_else(|| RemoteError::NoTimes {
            remote: self.name().to_owned(),
            key: key.to_owned(),
        })
    }

    pub(super) fn lease_lost(&self) -> RemoteError {
        RemoteError::LeaseLost {
            remote: self.name().to_owned(),
        }
    }
}

/// A name for a lease, and the lock that shows that its process lives. Between making and locking the file another
/// process of this clone may take it for that of a dead one: then under another name.
fn name_lease(dir: &Path) -> Result<(String, FileLock)> {
    loop {
        let name = hex(&fs::random::<16>()?);
        if let Some(lock) = FileLock::try_acquire(&dir.join(&name), LockKind::Exclusive)?
            && lock.is_in_place()?
        {
            return Ok((name, lock));
        }
    }
}

impl Lease<'_> {
    /// Whether it is still there.
    pub(super) fn is_held(&self) -> Result<bool> {
        Ok(self.remote.transport().stat(&self.key)?.is_some())
    }

    /// Gives it back; whether it was still there.
    pub(super) fn end(self) -> Result<bool> {
        let held = super::guards::writer_looks_again() && self.is_held()? || !super::guards::writer_looks_again();
        self.give_back()?;
        Ok(held)
    }

    /// Gives it back after a failure: what matters is that one. What cannot be given back now is by the next process.
    pub(super) fn abandon(self) {
        let _ = self.give_back();
    }

    fn give_back(&self) -> Result<()> {
        match self.remote.transport().delete(&self.key) {
            Ok(()) | Err(TransportError::NotFound(_)) => {
                fs::remove_file(self.file.path())?;
                Ok(())
            }
            // Who may write but not remove: it counts as dead after a while.
            Err(
                TransportError::Denied { .. } | TransportError::Refused { .. } | TransportError::Unsupported { .. },
            ) => {
                fs::remove_file(self.file.path())?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_process_has_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        fs::drawn::by(1);
        let (first, held) = name_lease(dir.path()).unwrap();
        fs::drawn::by(1);
        let (second, _own) = name_lease(dir.path()).unwrap();
        assert_ne!(first, second);
        drop(held);
        fs::drawn::by(1);
        assert_eq!(name_lease(dir.path()).unwrap().0, first);
    }
}
