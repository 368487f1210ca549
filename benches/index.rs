//! Ten million chunks: size on disk, time to open, to look up, to merge.
//!
//! `cargo bench --bench index [-- CHUNKS]`

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, missing_docs)]

use std::time::{Duration, Instant};

use modver::hash::{ChunkId, PackId};
use modver::store::codec::Codec;
use modver::store::index::{Index, publish_shard};
use modver::store::shard::ShardBuilder;
use modver::store::{PackKind, Slot};

const PER_PACK: u64 = 1500;
const LOOKUPS: u64 = 1_000_000;

fn chunk(n: u64) -> ChunkId {
    ChunkId::of(&n.to_le_bytes())
}

/// Publishes shards of the chunks in `range` and of nothing else.
fn publish(range: std::ops::Range<u64>, shards: &std::path::Path, tmp: &std::path::Path) {
    let mut builder = ShardBuilder::new();
    for pack in range.clone().step_by(PER_PACK as usize) {
        let slots: Vec<Slot> = (pack..range.end.min(pack + PER_PACK))
            .map(|n| Slot {
                chunk: chunk(n),
                stored_len: 40_000,
                raw_len: 65_536,
                codec: Codec::Zstd,
            })
            .collect();
        let id = PackId::of(&pack.to_be_bytes());
        builder.add_pack(id, PackKind::Data, 1 << 27, &slots).unwrap();
    }
    publish_shard(shards, tmp, &builder.build().unwrap()).unwrap();
}

fn lookups(name: &str, index: &Index, first: u64, step: u64, count: u64) {
    let ids: Vec<ChunkId> = (0..LOOKUPS).map(|i| chunk(first + i * step % count)).collect();
    let start = Instant::now();
    let found = ids.iter().filter(|id| index.locate(id).unwrap().is_some()).count();
    println!("{name}: {:.0} ns ({found} of {LOOKUPS} found)", nanos(start.elapsed()));
}

fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9 / LOOKUPS as f64
}

fn main() {
    let count: u64 = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .next()
        .unwrap_or(10_000_000);
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (shards, tmp) = (root.path().join("shards"), root.path().join("tmp"));
    std::fs::create_dir(&tmp).unwrap();

    let parts = 10;
    let start = Instant::now();
    for part in 0..parts {
        publish(count / parts * part..count / parts * (part + 1), &shards, &tmp);
    }
    println!("build and publish {parts} shards: {:.1?}", start.elapsed());
    let index = Index::open(&shards).unwrap();
    lookups("lookup of a present chunk in 10 shards", &index, 0, 7919, count);
    lookups("lookup of an absent chunk in 10 shards", &index, count * 2, 1, count);

    let plan: Vec<_> = index.shard_ids().collect();
    let start = Instant::now();
    index.execute_merge(&plan, &shards, &tmp, &|_| true).unwrap();
    println!("verify and merge: {:.1?}", start.elapsed());
    drop(index);

    let start = Instant::now();
    let index = Index::open(&shards).unwrap();
    println!("open: {:.2?}", start.elapsed());
    let stats = index.stats();
    println!(
        "{stats:?}: {:.2} bytes per chunk",
        stats.bytes as f64 / stats.chunks as f64
    );
    lookups("first lookups of present chunks", &index, 0, 7919, count);
    lookups("lookup of a present chunk", &index, 0, 7919, count);
    lookups("lookup of an absent chunk", &index, count * 2, 1, count);
}
