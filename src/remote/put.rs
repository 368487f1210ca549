//! Writing objects to a remote.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::error::{RemoteError, Result};
use super::store::{RemoteStore, shard_key};
use super::transport::{Body, PutMode, PutOutcome, TransportError};
use crate::fs;
use crate::hash::ShardId;
use crate::store::shard::{self, Shard};

/// Uploads in a row that a server may fail for ever before it is believed to fail all.
const MOST_FAILING: u32 = 3;

impl RemoteStore {
    /// Uploads a shard and keeps a copy.
    pub(super) fn put_shard(&self, mut bytes: Vec<u8>) -> Result<Arc<Shard>> {
        if self.condemned().shards.contains(&ShardId::of(&bytes)) {
            // Somebody may delete that name, now or later.
            shard::salt(&mut bytes, fs::random()?);
        }
        let id = ShardId::of(&bytes);
        let path = self.meta_dir("shards")?.join(id.to_string());
        fs::write_atomic(&path, &bytes)?;
        self.put_meta(&shard_key(id), bytes)?;
        self.shard(id)
    }

    /// Removes an object, if that is allowed here.
    pub(super) fn delete_if_allowed(&self, key: &str) -> Result<()> {
        match self.transport().delete(key) {
            Ok(())
            | Err(
                TransportError::NotFound(_)
                | TransportError::Denied { .. }
                | TransportError::Refused { .. }
                | TransportError::Unsupported { .. },
            ) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Uploads a run or shard. What has its name already is compared: with a damaged one, nobody would see what was
    /// pushed.
    pub(super) fn put_meta(&self, key: &str, bytes: Vec<u8>) -> Result<()> {
        let len = bytes.len() as u64;
        let body = Body::from(bytes);
        if self.transport().put(key, &body, PutMode::IfAbsent)? == PutOutcome::Existed {
            let there = match self.transport().get(key, len) {
                Ok(there) => Some(there),
                Err(TransportError::NotFound(_) | TransportError::TooLarge { .. }) => None,
                Err(error) => return Err(error.into()),
            };
            if !matches!((&body, there), (Body::Bytes(bytes), Some(there)) if *bytes == there) {
                self.transport().put(key, &body, PutMode::Overwrite)?;
            }
        }
        Ok(())
    }

    /// From now on, a pack that is uploaded is written over what has its name.
    pub(super) fn distrust_all(&self) {
        self.state().distrusts_all = true;
    }

    /// The same of one object.
    pub(super) fn distrust(&self, key: String) {
        self.state().distrusted.insert(key);
    }

    /// Uploads an object that is named by its content. One that has the name and not the length is a wreck of the same
    /// object, and is replaced, as is one that is [distrusted](Self::distrust).
    pub(super) fn put_named(&self, key: &str, body: &Body, len: u64) -> Result<()> {
        let distrusted = {
            let state = self.state();
            state.distrusts_all || state.distrusted.contains(key)
        };
        let is_wreck = distrusted
            || self.transport().put(key, body, PutMode::IfAbsent)? == PutOutcome::Existed
                && self.transport().stat(key)?.is_none_or(|object| object.size != len);
        if is_wreck {
            self.transport().put(key, body, PutMode::Overwrite)?;
        }
        Ok(())
    }

    /// What became of an upload: done, or (inside) why the remote does not take this one object, so that others are worth
    /// trying. A server that fails one object for ever may take others; one that fails several in a row fails all.
    ///
    /// # Errors
    /// When no other is worth trying.
    pub(super) fn judge_upload<T>(&self, result: Result<T>) -> Result<std::result::Result<T, RemoteError>> {
        match result {
            Ok(done) => {
                self.failing().store(0, Relaxed);
                Ok(Ok(done))
            }
            Err(error) if error.is_of_one_upload() => Ok(Err(error)),
            Err(error) if error.is_of_the_server() && self.failing().fetch_add(1, Relaxed) + 1 < MOST_FAILING => {
                Ok(Err(error))
            }
            Err(error) => Err(error),
        }
    }
}
