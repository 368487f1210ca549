use std::fs;

use proptest::prelude::*;

use super::*;
use crate::hash::{ChunkId, expand};
use crate::progress::{Interrupted, Progress};
use crate::store::codec::{Codec, Decoder, Encoder, Predictor};
use crate::store::{PackKind, Slot, StoreError};

fn slot(raw: &[u8], codec: Codec, body: &[u8]) -> Slot {
    Slot {
        chunk: ChunkId::of(raw),
        stored_len: body.len() as u32,
        raw_len: raw.len() as u32,
        codec,
    }
}

/// Packs chunks as `add` does.
fn pack(dir: &Path, kind: PackKind, chunks: &[Vec<u8>]) -> SealedPack {
    let (mut encoder, mut predictor) = (Encoder::new(), Predictor::default());
    let mut writer = PackWriter::create(dir, kind, PageCache::Bypass).unwrap();
    for (i, raw) in chunks.iter().enumerate() {
        let encoded = encoder.encode(&mut predictor, raw).unwrap();
        let number = writer
            .append(slot(raw, encoded.codec, encoded.body), encoded.body)
            .unwrap();
        assert_eq!(number as usize, i);
    }
    writer.finish().unwrap()
}

fn read_back(path: &Path, id: PackId) -> Vec<Vec<u8>> {
    let pack = PackFile::open(path, id).unwrap();
    let (mut decoder, mut body) = (Decoder::new(), Vec::new());
    let read = |location: crate::store::Location| {
        let mut raw = Vec::new();
        let slot = location.chunk;
        pack.read_body(location.offset, slot.stored_len, &mut body).unwrap();
        decoder.decode(slot.codec, &body, slot.raw_len, &mut raw).unwrap();
        assert_eq!(ChunkId::of(&raw), slot.chunk);
        raw
    };
    pack.table().unwrap().locations().map(read).collect()
}

/// A pack of one chunk per codec; its bytes do not depend on the compressor's version.
fn sample() -> Vec<u8> {
    include_bytes!("../../../fixtures/formats/pack-1.bin").to_vec()
}

fn sample_chunks() -> [(Codec, Vec<u8>); 5] {
    let numbers = |width: usize| {
        (0..100_u32)
            .flat_map(|n| (n + 0x3f80_0000).to_le_bytes()[4 - width..].to_vec())
            .collect()
    };
    [
        (Codec::Raw, Vec::new()),
        (Codec::Raw, b"stored as it is".to_vec()),
        (Codec::Zstd, b"again and ".repeat(20)),
        (Codec::Shuffle2, numbers(2)),
        (Codec::Shuffle4, numbers(4)),
    ]
}

#[test]
fn the_golden_pack_reads_and_writes_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    fs::write(&path, sample()).unwrap();
    let id = PackId::of(&sample());
    let chunks = read_back(&path, id);
    assert_eq!(chunks, sample_chunks().map(|(_, raw)| raw));
    let verdict = verify(&path, id, &Progress::new(), &mut |_| unreachable!()).unwrap();
    assert!(verdict.is_sound());
    let codecs: Vec<Codec> = verdict.table.slots().iter().map(|slot| slot.codec).collect();
    assert_eq!(codecs, sample_chunks().map(|(codec, _)| codec));

    let mut writer = PackWriter::create(dir.path(), verdict.table.kind(), PageCache::Keep).unwrap();
    for location in verdict.table.locations() {
        let body = &sample()[location.offset as usize..][..location.chunk.stored_len as usize];
        writer.append(location.chunk, body).unwrap();
    }
    let sealed = writer.finish().unwrap();
    assert_eq!((sealed.id, sealed.file_len), (id, sample().len() as u64));
    assert_eq!(fs::read(sealed.path()).unwrap(), sample());
}

#[test]
fn a_published_pack_has_its_name_and_replaces_a_damaged_one() {
    let dir = tempfile::tempdir().unwrap();
    let chunks: Vec<Vec<u8>> = (0..40).map(|i| expand(&[i], 200_000)).collect();
    for _ in 0..2 {
        let sealed = pack(dir.path(), PackKind::Tree, &chunks);
        let temporary = sealed.path().to_owned();
        let info = sealed.publish(dir.path()).unwrap();
        let path = path_in(dir.path(), info.id);
        assert!(!temporary.exists());
        let bytes = fs::read(&path).unwrap();
        assert_eq!((PackId::of(&bytes), bytes.len() as u64), (info.id, info.file_len));
        let progress = Progress::new();
        let verdict = verify(&path, info.id, &progress, &mut |_| unreachable!()).unwrap();
        assert!(verdict.is_sound());
        assert_eq!(
            (verdict.table.kind(), verdict.table.slots()),
            (PackKind::Tree, &info.slots[..])
        );
        assert_eq!(progress.snapshot().bytes.0, info.file_len);
        fs::write(&path, b"").unwrap();
        progress.interrupt();
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let id = PackId::of(&sample());
    for bit in 0..sample().len() * 8 {
        let mut bytes = sample();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let mut listed = 0;
        match verify(&path, id, &Progress::new(), &mut |_| listed += 1) {
            Ok(verdict) => assert!(!verdict.name_holds && verdict.damaged == listed, "bit {bit}"),
            Err(StoreError::DamagedPack { pack, .. }) => assert_eq!(pack, id),
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
    for len in 0..sample().len() {
        fs::write(&path, &sample()[..len]).unwrap();
        let result = verify(&path, id, &Progress::new(), &mut |_| ());
        assert!(
            matches!(result, Err(StoreError::DamagedPack { .. })),
            "{len}: {result:?}"
        );
    }
}

#[test]
fn each_damaged_chunk_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let chunks: Vec<Vec<u8>> = (0..30).map(|i| expand(&[i], 100_000)).collect();
    let info = pack(dir.path(), PackKind::Data, &chunks).publish(dir.path()).unwrap();
    let path = path_in(dir.path(), info.id);
    let mut bytes = fs::read(&path).unwrap();
    for i in [0, 7, 29] {
        bytes[HEADER_LEN + i * 100_000 + 5] ^= 1;
    }
    fs::write(&path, &bytes).unwrap();
    let mut listed = Vec::new();
    let verdict = verify(&path, info.id, &Progress::new(), &mut |chunk| listed.push(chunk)).unwrap();
    assert_eq!(listed, [0, 7, 29].map(|i: usize| ChunkId::of(&chunks[i])));
    assert_eq!((verdict.damaged, verdict.name_holds), (3, false));

    let progress = Progress::new();
    progress.interrupt();
    let stopped = verify(&path, info.id, &progress, &mut |_| ());
    assert!(matches!(stopped, Err(StoreError::Interrupted(Interrupted))));
}

#[test]
fn what_the_format_forbids_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    assert!(
        PackWriter::create(dir.path(), PackKind::Data, PageCache::Bypass)
            .unwrap()
            .finish()
            .is_err()
    );
    let mut writer = PackWriter::create(dir.path(), PackKind::Data, PageCache::Bypass).unwrap();
    let good = slot(b"abc", Codec::Raw, b"abc");
    for bad in [
        Slot {
            raw_len: 262_145,
            codec: Codec::Zstd,
            ..good
        },
        Slot { raw_len: 2, ..good },
        Slot { stored_len: 2, ..good },
        Slot { raw_len: 4, ..good },
    ] {
        assert!(
            matches!(writer.append(bad, b"abc"), Err(StoreError::InvalidSlot { .. })),
            "{bad:?}"
        );
    }
    assert_eq!(writer.append(good, b"abc").unwrap(), 0);
    drop(writer);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_pack_of_tiny_chunks_is_full_by_their_number() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = PackWriter::create(dir.path(), PackKind::Data, PageCache::Keep).unwrap();
    for i in 0..TARGET_CHUNKS {
        assert!(!writer.is_full());
        let raw = (i as u32).to_le_bytes();
        writer.append(slot(&raw, Codec::Raw, &raw), &raw).unwrap();
    }
    assert!(writer.is_full());
}

#[test]
fn a_long_table_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let chunks: Vec<Vec<u8>> = (0..5000_u32).map(|i| i.to_le_bytes().to_vec()).collect();
    let sealed = pack(dir.path(), PackKind::Data, &chunks);
    assert!(read_back(sealed.path(), sealed.id) == chunks);
    let bytes = fs::read(sealed.path()).unwrap();
    let header = bytes.first_chunk().unwrap();
    let need = (5000 * SLOT_LEN + TRAILER_LEN) as u64;
    let parse = |tail: &[u8]| PackTable::parse(header, tail, bytes.len() as u64, sealed.id).unwrap();
    assert_eq!(parse(&bytes[bytes.len() - TRAILER_LEN..]), TailOutcome::Need(need));
    assert!(matches!(
        parse(&bytes[bytes.len() - need as usize..]),
        TailOutcome::Complete(_)
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn packs_give_back_what_went_in(
        parts in prop::collection::vec((0..3_usize, prop_oneof![0..300_usize, 0..262_145_usize], any::<u8>()), 1..12),
    ) {
        let chunks: Vec<Vec<u8>> = parts.into_iter().map(|(kind, len, seed)| match kind {
            0 => expand(&[seed], len),
            1 => expand(&[seed], len).iter().map(|b| b & 7).collect(),
            _ => vec![seed; len],
        }).collect();
        let dir = tempfile::tempdir().unwrap();
        let sealed = pack(dir.path(), PackKind::Data, &chunks);
        prop_assert!(read_back(sealed.path(), sealed.id) == chunks);
        let verdict = verify(sealed.path(), sealed.id, &Progress::new(), &mut |_| unreachable!()).unwrap();
        prop_assert!(verdict.is_sound());
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        header in prop_oneof![Just(*b"MVPACK\x01\x00"), any::<[u8; 8]>()],
        entries in prop::collection::vec((0..300_000_u32, 0..300_000_u32, 0..6_u32), 0..5),
        count in prop_oneof![0..6_u32, any::<u32>()], file_len in prop_oneof![0..2_000_000_u64, any::<u64>()], raw: Vec<u8>, framed: bool,
    ) {
        let mut tail = Vec::new();
        for (stored, raw_len, codec) in entries {
            tail.extend([7; 32]);
            tail.extend(stored.to_le_bytes());
            tail.extend((raw_len | codec << 24).to_le_bytes());
        }
        tail.extend(*ChunkId::of(&tail).as_bytes());
        tail.extend(count.to_le_bytes());
        tail.extend([0; 4]);
        tail.extend(END_MAGIC);
        let tail = if framed { tail } else { raw };
        if let Ok(TailOutcome::Complete(table)) = PackTable::parse(&header, &tail, file_len, PackId::of(b"")) {
            let last = table.locations().last().unwrap();
            prop_assert_eq!(last.offset + u64::from(last.chunk.stored_len), table.bodies_end());
        }
    }
}

#[test]
#[ignore = "writes the sample anew; only for a new version of the format"]
fn write_the_golden_pack() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = PackWriter::create(dir.path(), PackKind::Data, PageCache::Bypass).unwrap();
    for (codec, raw) in sample_chunks() {
        let body = Encoder::new().body(codec, &raw);
        writer.append(slot(&raw, codec, &body), &body).unwrap();
    }
    fs::copy(writer.finish().unwrap().path(), "fixtures/formats/pack-1.bin").unwrap();
}
