use std::path::Path;
use std::sync::Arc;

use crate::chunk;
use crate::hash::{FileId, expand};
use crate::progress::Progress;
use crate::store::gc::{GcPlan, Marks};
use crate::store::{Access, Cache, PackKind, StoreError};

fn open(dir: &Path) -> Cache {
    Cache::open(dir, Access::Shared, &crate::progress::Progress::new(), |_| {}).unwrap()
}

fn add(cache: &Cache, contents: &[&[u8]]) -> u64 {
    let transaction = cache.transaction(&Arc::new(Progress::new())).unwrap();
    for content in contents {
        let id = transaction.add_bytes(PackKind::Data, content).unwrap();
        assert_eq!(id, FileId::of(content));
    }
    transaction.commit().unwrap().bytes
}

fn read(cache: &Cache, content: &[u8]) -> Result<(), StoreError> {
    let bytes = cache.read_file(FileId::of(content), u64::MAX)?;
    assert!(bytes == content);
    Ok(())
}

#[test]
fn what_was_added_is_read_back_by_others_and_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let large = expand(b"large", 20 << 20);
    let mut changed = large.clone();
    changed.splice(5_000_000..5_000_000, expand(b"insert", 1000));
    let contents: [&[u8]; 6] = [
        b"",
        b"small",
        &large,
        &large[..chunk::MAX],
        &large[..chunk::MAX + 1],
        &[7; 9 << 20],
    ];
    let cache = open(dir.path());
    assert!(add(&cache, &contents) > 20 << 20);
    assert_eq!(add(&cache, &contents), 0);
    let more = add(&cache, &[&changed]);
    assert!(more > 0 && more <= 3 * chunk::MAX as u64, "{more}");
    drop(cache);
    let cache = open(dir.path());
    for content in contents.iter().copied().chain([&changed[..]]) {
        read(&cache, content).unwrap();
    }
    assert!(matches!(read(&cache, b"never added"), Err(StoreError::MissingFile(_))));
    assert!(cache.verify(false, &Progress::new()).unwrap().damage.is_empty());
}

#[test]
fn a_transaction_that_is_dropped_leaves_nothing_visible_but_flushed_packs() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let transaction = cache.transaction(&Arc::new(Progress::new())).unwrap();
    transaction.add_bytes(PackKind::Data, b"x").unwrap();
    drop(transaction);
    assert!(!cache.contains(&FileId::of(b"x")).unwrap());
    assert_eq!(crate::fs::list(&cache.tmp_dir()).unwrap().len(), 0);
}

#[test]
fn collection_keeps_what_is_marked_and_frees_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let keep = expand(b"keep", 3 << 20);
    let lose = expand(b"lose", 9 << 20);
    {
        let cache = open(dir.path());
        add(&cache, &[&lose[..1 << 20], &keep, &lose[1 << 20..], b"tiny"]);
        add(&cache, &[b"another"]);
    }
    let cache = Cache::open(dir.path(), Access::Exclusive, &crate::progress::Progress::new(), |_| {}).unwrap();
    let mut marks = Marks::new();
    assert!(marks.keep_file(&cache, &FileId::of(&keep)).unwrap());
    assert!(marks.keep_file(&cache, &FileId::of(b"tiny")).unwrap());
    assert!(!marks.keep_file(&cache, &FileId::of(b"nowhere")).unwrap());
    let another = FileId::of(b"another").as_chunk();
    let plan = GcPlan::new(&cache, marks, &mut |location| Ok(location.chunk.chunk == another)).unwrap();
    assert_eq!(plan.spared_chunks, 1);
    let freed = plan.freed_bytes();
    assert!(freed > 8 << 20, "{freed}");
    plan.execute(&cache, &Progress::new()).unwrap();
    let check = |cache: &Cache| {
        for content in [&keep[..], b"tiny", b"another"] {
            read(cache, content).unwrap();
        }
        assert!(matches!(read(cache, &lose[1 << 20..]), Err(StoreError::MissingFile(_))));
        assert!(cache.verify(false, &Progress::new()).unwrap().damage.is_empty());
    };
    check(&cache);
    drop(cache);
    check(&open(dir.path()));
}

#[test]
fn damage_is_named_and_never_handed_out() {
    let dir = tempfile::tempdir().unwrap();
    let content = expand(b"content", 600_000);
    {
        let cache = open(dir.path());
        add(&cache, &[&content, b"small one"]);
    }
    let cache = open(dir.path());
    let pack = cache.index().shards()[0].packs().next().unwrap();
    let path = cache.pack_path(&pack.id);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100_000] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(read(&cache, &content), Err(StoreError::DamagedChunk { .. })));
    read(&cache, b"small one").unwrap();
    let report = cache.verify(false, &Progress::new()).unwrap();
    assert_eq!(report.damage.len(), 1);
    std::fs::remove_file(&path).unwrap();
    let cache = open(dir.path());
    assert!(!cache.contains(&FileId::of(&content)).unwrap());
    assert!(add(&cache, &[&content]) > 0, "what is not on disk is stored again");
    read(&cache, &content).unwrap();
}
