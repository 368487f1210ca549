//! Packs that are mostly dead: what is needed of them goes into fresh packs.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::error::Result;
use super::super::moved::{Moved, NewPack};
use super::super::store::{RemoteStore, of_one_object, pack_key};
use super::super::transport::Body;
use super::live::{Live, Use};
use crate::fs;
use crate::hash::{ChunkId, PackId};
use crate::store::codec::Decoder;
use crate::store::pack::{PackWriter, PageCache, TARGET_LEN};
use crate::store::{Cache, Location, PackKind};

/// Bytes of one request, about.
const PIECE: u64 = 8 << 20;
/// Gaps that are read along rather than split into two requests, in bytes.
const MAX_HOLE: u64 = 256 * 1024;

/// A pack that is being filled, and which packs went into it.
struct Open {
    writer: PackWriter,
    from: Vec<(PackId, HashMap<u32, u32>)>,
}

impl RemoteStore {
    /// Writes what is needed of these packs into fresh ones, as few as have room. Says for each where its chunks are now; a
    /// pack of which something needed is damaged is left out, and stays.
    pub(super) fn repack(&self, cache: &Cache, live: &Live, sparse: &[&Use]) -> Result<HashMap<PackId, Moved>> {
        let mut moved = HashMap::new();
        let mut open: [Option<Open>; 2] = [None, None];
        for of in sparse {
            let kind = of.pack.kind.unwrap_or(PackKind::Data);
            let is_full = |open: &Open| open.writer.body_len() + of.live_bytes > TARGET_LEN;
            if let Some(full) = open[kind as usize].take_if(|open| is_full(open)) {
                self.upload_fresh(full, kind, &mut moved)?;
            }
            let mut fresh = match open[kind as usize].take() {
                Some(open) => open,
                None => Open {
                    writer: PackWriter::create(&cache.tmp_dir(), kind, PageCache::Bypass)?,
                    from: Vec::new(),
                },
            };
            // What was copied of a pack that turns out to be damaged is there twice: nothing is lost by that.
            if let Some(slots) = self.copy_live(live, of, &mut fresh.writer)? {
                fresh.from.push((of.pack.id, slots));
            }
            open[kind as usize] = Some(fresh);
        }
        for (open, kind) in open.into_iter().zip([PackKind::Data, PackKind::Tree]) {
            if let Some(open) = open {
                self.upload_fresh(open, kind, &mut moved)?;
            }
        }
        Ok(moved)
    }

    /// Copies the needed chunks of a pack, still compressed: slot before → slot now. `None` if one is damaged.
    fn copy_live(&self, live: &Live, of: &Use, to: &mut PackWriter) -> Result<Option<HashMap<u32, u32>>> {
        let (mut decoder, mut raw) = (Decoder::new(), Vec::new());
        let mut slots = HashMap::new();
        let mut rest = live.slots(of).peekable();
        while let Some(first) = rest.next() {
            self.progress.check()?;
            let first = first?;
            let end_of = |location: &Location| location.offset + u64::from(location.chunk.stored_len);
            let (start, mut end) = (first.offset, end_of(&first));
            let mut run = vec![first];
            while let Some(next) = rest.next_if(|next| {
                next.as_ref()
                    .is_ok_and(|next| next.offset - end <= MAX_HOLE && end_of(next) - start <= PIECE)
            }) {
                let next = next?;
                end = end_of(&next);
                run.push(next);
            }
            let range = self.transport().get_range(&pack_key(of.pack.id), start..end);
            let Some(bytes) = of_one_object(range.map_err(Into::into))? else {
                return Ok(None);
            };
            for location in run {
                let (at, slot) = ((location.offset - start) as usize, location.chunk);
                let body = bytes.get(at..at + slot.stored_len as usize).filter(|body| {
                    let decoded = decoder.decode(slot.codec, body, slot.raw_len, &mut raw);
                    decoded.is_ok() && ChunkId::of(&raw) == slot.chunk
                });
                let Some(body) = body else { return Ok(None) };
                slots.insert(location.slot, to.append(slot, body)?);
                self.progress.advance(0, u64::from(slot.stored_len));
            }
        }
        Ok(Some(slots))
    }

    fn upload_fresh(&self, open: Open, kind: PackKind, moved: &mut HashMap<PackId, Moved>) -> Result<()> {
        if open.from.is_empty() {
            return Ok(());
        }
        let mut sealed = open.writer.finish()?;
        if self.is_condemned_pack(&sealed.id) {
            sealed = sealed.salted(fs::random()?)?;
        }
        self.put_named(&pack_key(sealed.id), &Body::file(sealed.path()), sealed.file_len)?;
        let fresh = Arc::new(NewPack {
            id: sealed.id,
            kind,
            file_len: sealed.file_len,
            slots: sealed.slots,
        });
        for (from, slots) in open.from {
            let pack = Some(Arc::clone(&fresh));
            moved.insert(from, Moved { pack, slots });
        }
        Ok(())
    }
}
