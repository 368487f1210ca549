//! Getting packs together again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::error::Result;
use super::super::moved::{Moved, NewPack};
use super::super::store::{RemoteStore, of_one_object, pack_key};
use super::super::transport::{Body, PutMode};
use super::RemoteRepair;
use crate::fs::TempFile;
use crate::hash::{ChunkId, PackId, ShardId};
use crate::store::codec::Decoder;
use crate::store::pack::{self, PackWriter, PageCache};
use crate::store::shard::{PackInfo, Shard, ShardBuilder};
use crate::store::{Cache, Location, PackKind, Reader, Slot, StoreError};

/// Bytes of a pack that are read at once.
const PIECE: u64 = 8 << 20;

/// Is told where a chunk should be, and how and with what body it can be stored if it can be had.
type Each<'a> = dyn FnMut(&Location, Option<(Slot, &[u8])>) -> Result<()> + 'a;

/// A shard that says what is in a pack.
pub(super) fn describing<'a>(shards: &'a [Arc<Shard>], id: &PackId) -> Option<(&'a Shard, PackInfo)> {
    shards
        .iter()
        .find_map(|shard| Some((&**shard, shard.pack(id).filter(|pack| pack.kind.is_some())?)))
}

impl RemoteStore {
    /// Hands the chunks of a pack to `each`, in order: from what is left of the pack, or else from the cache.
    pub(super) fn bodies(&self, cache: &Cache, shard: &Shard, pack: PackInfo, each: &mut Each<'_>) -> Result<()> {
        let size = self
            .transport()
            .stat(&pack_key(pack.id))?
            .map_or(0, |object| object.size);
        let slots = shard.slots(pack).collect::<crate::store::Result<Vec<Location>>>()?;
        let end_of = |location: &Location| location.offset + u64::from(location.chunk.stored_len);
        let (mut reader, mut decoder, mut raw) = (Reader::new(cache), Decoder::new(), Vec::new());
        let mut rest = &slots[..];
        while let Some(first) = rest.first() {
            self.progress.check()?;
            let start = first.offset;
            let fits = rest
                .iter()
                .take_while(|location| end_of(location) - start <= PIECE)
                .count();
            let (run, after) = rest.split_at(fits.max(1));
            rest = after;
            let end = run.last().map_or(start, end_of).min(size);
            let bytes = if start < end {
                let range = self.transport().get_range(&pack_key(pack.id), start..end);
                of_one_object(range.map_err(Into::into))?.unwrap_or_default()
            } else {
                Vec::new()
            };
            for location in run {
                let slot = location.chunk;
                let at = (location.offset - start) as usize;
                let body = match slot.stored_len as usize {
                    0 => Some(&[][..]),
                    len => bytes.get(at..at + len),
                };
                let body = body.filter(|body| {
                    let decoded = decoder.decode(slot.codec, body, slot.raw_len, &mut raw);
                    decoded.is_ok() && ChunkId::of(&raw) == slot.chunk
                });
                if let Some(body) = body {
                    each(location, Some((slot, body)))?;
                    continue;
                }
                let local = cache.locate(&slot.chunk)?;
                match local.map(|local| reader.chunk(&local, &mut raw).map(|()| local)) {
                    Some(Ok(local)) => each(location, Some((local.chunk, reader.last_body())))?,
                    Some(Err(error)) if !error.is_of_content() => return Err(error.into()),
                    _ => each(location, None)?,
                }
            }
        }
        Ok(())
    }

    /// Writes a pack again; `None` when it has its own bytes again, or else where its chunks are now.
    pub(super) fn rebuild_pack(
        &self,
        cache: &Cache,
        shard: &Shard,
        info: PackInfo,
        done: &mut RemoteRepair,
    ) -> Result<Option<Moved>> {
        let kind = info.kind.unwrap_or(PackKind::Data);
        let mut writer: Option<PackWriter> = None;
        let mut moved = Moved::default();
        self.bodies(cache, shard, info, &mut |location, found| {
            let Some((slot, body)) = found else { return Ok(()) };
            let writer = match &mut writer {
                Some(writer) => writer,
                none => none.insert(PackWriter::create(&cache.tmp_dir(), kind, PageCache::Keep)?),
            };
            moved.slots.insert(location.slot, writer.append(slot, body)?);
            Ok(())
        })?;
        let Some(writer) = writer else {
            return Ok(Some(moved));
        };
        let sealed = writer.finish()?;
        let body = Body::file(sealed.path());
        done.bytes += sealed.file_len;
        done.chunks += sealed.slots.len() as u64;
        if sealed.id == info.id {
            self.transport().put(&pack_key(info.id), &body, PutMode::Overwrite)?;
            done.restored.push(pack_key(info.id));
            return Ok(None);
        }
        self.put_named(&pack_key(sealed.id), &body, sealed.file_len)?;
        moved.pack = Some(Arc::new(NewPack {
            id: sealed.id,
            kind,
            file_len: sealed.file_len,
            slots: sealed.slots,
        }));
        Ok(Some(moved))
    }

    /// A new shard of all packs on the remote that none of these shards describes. Those that are damaged are written
    /// again, or moved; those whose own tables cannot be read are left as they are.
    pub(super) fn describe_orphans(
        &self,
        cache: &Cache,
        shards: &[Arc<Shard>],
        moved: &mut HashMap<PackId, Moved>,
        done: &mut RemoteRepair,
    ) -> Result<Option<ShardId>> {
        let new = |moved: &Moved| moved.pack.as_ref().map(|new| new.id);
        let fresh: HashSet<PackId> = moved.values().filter_map(new).collect();
        let mut builder = ShardBuilder::new();
        for (id, len) in self.packs()? {
            self.progress.check()?;
            if describing(shards, &id).is_some() || fresh.contains(&id) {
                continue;
            }
            let mut file = TempFile::create_in(&cache.tmp_dir())?;
            let mut at = 0;
            while at < len {
                let end = len.min(at + PIECE);
                let range = self.transport().get_range(&pack_key(id), at..end);
                match of_one_object(range.map_err(Into::into))? {
                    Some(bytes) => file.write_all(&bytes)?,
                    None => break,
                }
                at = end;
            }
            let verdict = match pack::verify(file.path(), id, &self.progress, &mut |_| {}) {
                Ok(verdict) => verdict,
                // Its bodies may be sound, and another clone have the shard that says where they are: it stays.
                Err(StoreError::DamagedPack { .. }) => {
                    self.distrust(pack_key(id));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let (table, sound) = (&verdict.table, verdict.is_sound());
            let mut alone = ShardBuilder::new();
            alone.add_pack(id, table.kind(), table.file_len(), table.slots())?;
            let alone = alone.build()?;
            let alone = [Arc::new(Shard::parse(ShardId::of(&alone), alone)?)];
            let to = match describing(&alone, &id) {
                Some((shard, info)) if !sound => self.rebuild_pack(cache, shard, info, done)?,
                _ => None,
            };
            match to {
                None => builder.add_pack(id, table.kind(), table.file_len(), table.slots())?,
                Some(to) => {
                    if let Some(new) = &to.pack {
                        builder.add_pack(new.id, new.kind, new.file_len, &new.slots)?;
                    }
                    moved.insert(id, to);
                }
            }
        }
        if builder.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.put_shard(builder.build()?)?.id()))
    }
}
