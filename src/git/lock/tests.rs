use super::super::testing::path;
use super::*;
use crate::git::merge_lock;
use crate::hash::{FileId, TreeId};
use crate::path::Name;
use proptest::prelude::*;
use serde_json::{Value, json};

fn file(content: &[u8], executable: bool) -> PointerContent {
    PointerContent::File {
        id: FileId::of(content),
        executable,
    }
}

fn out(content: PointerContent) -> LockedOut {
    LockedOut {
        content,
        size: 7,
        cache: true,
        push: true,
        remote: None,
    }
}

fn full() -> Lock {
    let dir = PointerContent::Dir {
        id: FileId::of(b"listing").into(),
        files: 2,
    };
    let train = LockedStage {
        cmd: vec!["mkdir -p out".to_owned(), "python train.py \"$SEED\"".to_owned()],
        wdir: path("models/sub"),
        deps: [
            (
                path("models/sub/train.py"),
                LockedDep {
                    content: file(b"code", true),
                    size: 4,
                },
            ),
            (path("data/prepared"), LockedDep { content: dir, size: 9 }),
            (
                path(b"models/\xff \"x\""),
                LockedDep {
                    content: file(b"", false),
                    size: 0,
                },
            ),
        ]
        .into(),
        params: [
            (
                path("params.toml"),
                [
                    ("train.epochs".to_owned(), json!(10)),
                    ("train.rate".to_owned(), json!(1.0)),
                    ("train.seed".to_owned(), Value::Null),
                    ("train.name".to_owned(), json!("a\nb")),
                    ("train.layers".to_owned(), json!([1, [true], { "b c": 2, "a": {} }])),
                    ("train.late".to_owned(), json!({ "json": "x" })),
                ]
                .into(),
            ),
            (
                path("models/all.yaml"),
                [(String::new(), json!({ "a": u64::MAX }))].into(),
            ),
        ]
        .into(),
        env: [("SEED".to_owned(), Some("42".to_owned())), ("UNSET".to_owned(), None)].into(),
        outs: [
            (path("models/model.bin"), out(file(b"model", false))),
            (
                path("models/report"),
                LockedOut {
                    cache: false,
                    push: false,
                    remote: Some("archive".to_owned()),
                    ..out(dir)
                },
            ),
        ]
        .into(),
    };
    let bare = LockedStage {
        cmd: vec!["true".to_owned()],
        wdir: path("models"),
        ..LockedStage::default()
    };
    Lock {
        stages: [("train@cnn-1.5".to_owned(), train), ("bare".to_owned(), bare)].into(),
    }
}

fn text(lock: &Lock) -> String {
    String::from_utf8(lock.to_bytes(&path("models/mv.lock")).unwrap()).unwrap()
}

fn parse(text: &str) -> Result<Lock, LockProblem> {
    Lock::parse(text.as_bytes(), &path("models/mv.lock")).map_err(|error| error.problem)
}

#[test]
fn the_golden_file_reads_and_writes_the_same() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/formats/lock.toml");
    if std::env::var_os("UPDATE_FORMATS").is_some() {
        std::fs::write(golden, text(&full())).unwrap();
    }
    let golden = std::fs::read_to_string(golden).unwrap();
    assert_eq!(text(&full()), golden);
    assert_eq!(parse(&golden).unwrap(), full());
    assert_eq!(parse(&golden.replace('\n', "\r\n")).unwrap(), full());
}

#[test]
fn refuses_by_name_what_the_format_does_not_allow() {
    use LockProblem as P;
    let good = text(&full());
    let changed = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        parse(&good.replacen(from, to, 1)).unwrap_err()
    };
    assert!(matches!(changed("version = 1", "version = 2\nnew = 1"), P::Version(2)));
    assert!(matches!(changed("version = 1\n", ""), P::MissingKey(key) if key == "version"));
    assert!(matches!(changed("version = 1", "version = 1\nnew = 1"), P::UnknownKey(key) if key == "new"));
    assert!(matches!(changed("cmd = ", "run = "), P::MissingKey(key) if key == "stages.bare.cmd"));
    assert!(matches!(changed("wdir = ", "desc = "), P::UnknownKey(key) if key == "stages.train@cnn-1.5.desc"),);
    assert!(matches!(changed("wdir = \"sub\"", "wdir = \"/sub\""), P::Path { .. }));
    assert!(matches!(
        changed("\"../data/prepared\"", "\"../../data\""),
        P::Outside { .. }
    ));
    assert!(matches!(
        changed("\"../data/prepared\"", "\"a/../data\""),
        P::Path { .. }
    ));
    assert!(matches!(changed("\"../data/prepared\"", "\"\""), P::Path { .. }));
    assert!(matches!(
        changed("\"../data/prepared\"", "\"../models/sub/train.py\""),
        P::Duplicate { .. }
    ));
    assert!(matches!(changed("size = 9, ", ""), P::MissingKey(key) if key.ends_with("deps.../data/prepared.size")));
    assert!(matches!(changed("size = 9", "size = -9"), P::WrongType { .. }));
    assert!(matches!(changed(", files = 2", ""), P::MissingKey(_)));
    assert!(matches!(
        changed(", files = 2", ", files = 2, executable = true"),
        P::UnknownKey(_)
    ));
    assert!(matches!(changed("cache = false", "cache = true"), P::WrongType { .. }));
    assert!(matches!(changed("UNSET = false", "UNSET = true"), P::WrongType { .. }));
    assert!(matches!(changed("= 1.0", "= 2026-01-01"), P::WrongType { .. }));
    assert!(matches!(changed("= 1.0", "= nan"), P::WrongType { .. }));
    assert!(matches!(changed("{ dir = \"", "{ dir = \"0"), P::Id { .. }));
    assert!(matches!(changed("[stages.bare]", "[other.bare]"), P::UnknownKey(key) if key == "other"));
    assert!(matches!(
        changed("[stages.bare]", "<<<<<<< ours\n[stages.bare]"),
        P::Conflict
    ));
    assert!(matches!(parse("stages = 1\nversion = 1"), Err(P::WrongType { .. })));
    assert!(matches!(parse("no toml"), Err(P::Syntax(_))));
    assert_eq!(parse("version = 1\n").unwrap(), Lock::default());
    let mut big = full();
    big.stages.get_mut("bare").unwrap().deps.insert(
        path("x"),
        LockedDep {
            content: file(b"", false),
            size: u64::MAX,
        },
    );
    assert!(matches!(
        big.to_bytes(&path("mv.lock")).unwrap_err().problem,
        P::TooBig { key } if key == "stages.bare.deps.\"x\""
    ));
}

#[test]
fn stages_of_two_sides_merge() {
    let base = full();
    let mut ours = base.clone();
    ours.stages
        .get_mut("train@cnn-1.5")
        .unwrap()
        .cmd
        .push("more".to_owned());
    let mut theirs = base.clone();
    theirs.stages.remove("bare");
    theirs.stages.insert("new@1.x".to_owned(), base.stages["bare"].clone());
    let merged = merge_lock(&text(&base), &text(&ours), &text(&theirs), 7).unwrap();
    let mut expected = theirs;
    expected
        .stages
        .insert("train@cnn-1.5".to_owned(), ours.stages["train@cnn-1.5"].clone());
    assert_eq!((merged.text, merged.conflicts), (text(&expected), 0));
}

#[test]
fn paths_of_locks() {
    for (name, is) in [
        ("mv.lock", true),
        ("a/mv.lock", true),
        ("a.mv.lock", false),
        ("mv.lock/a", false),
    ] {
        assert_eq!(is_lock_path(&path(name)), is, "{name}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        proptest::collection::vec(any::<char>(), 0..6).prop_map(|text| Value::from(String::from_iter(text))),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("json|[a-z.\" ]{0,4}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_path() -> impl Strategy<Value = RepoPath> {
    let name =
        prop_oneof!["[a-c]{1,2}", Just("models".to_owned()), "[a-z\"\\\\\n é]{1,5}",].prop_map(String::into_bytes);
    let name = prop_oneof![3 => name, 1 => proptest::collection::vec(1..=255_u8, 1..5)];
    proptest::collection::vec(name, 1..4).prop_filter_map("a path", |names| RepoPath::new(&names.join(&b'/')).ok())
}

fn any_lock() -> impl Strategy<Value = Lock> {
    let content = || {
        prop_oneof![
            (any::<[u8; 32]>(), any::<bool>()).prop_map(|(id, executable)| PointerContent::File {
                id: FileId::from_bytes(id),
                executable
            }),
            (any::<[u8; 32]>(), 0..=i64::MAX as u64).prop_map(|(id, files)| PointerContent::Dir {
                id: TreeId::from_bytes(id),
                files
            }),
        ]
    };
    let text = || proptest::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter);
    let dep = (content(), 0..=i64::MAX as u64).prop_map(|(content, size)| LockedDep { content, size });
    let out = (
        content(),
        0..=i64::MAX as u64,
        any::<bool>(),
        any::<bool>(),
        proptest::option::of(text()),
    )
        .prop_map(|(content, size, cache, push, remote)| LockedOut {
            content,
            size,
            cache,
            push,
            remote,
        });
    let stage = (
        proptest::collection::vec(text(), 0..3),
        prop_oneof![any_path(), Just(RepoPath::root())],
        proptest::collection::btree_map(any_path(), dep, 0..3),
        proptest::collection::btree_map(
            any_path(),
            proptest::collection::btree_map(text(), any_value(), 0..3),
            0..2,
        ),
        proptest::collection::btree_map(text(), proptest::option::of(text()), 0..3),
        proptest::collection::btree_map(any_path(), out, 0..3),
    )
        .prop_map(|(cmd, wdir, deps, params, env, outs)| LockedStage {
            cmd,
            wdir,
            deps,
            params,
            env,
            outs,
        });
    proptest::collection::btree_map("[a-zA-Z0-9_.@-]{1,8}", stage, 0..4).prop_map(|stages| Lock { stages })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(lock in any_lock(), place in prop_oneof![any_path(), Just(RepoPath::root())]) {
        let place = place.join(&Name::new(LOCK_FILE.as_bytes()).unwrap());
        let bytes = lock.to_bytes(&place).unwrap();
        prop_assert_eq!(Lock::parse(&bytes, &place).unwrap(), lock);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Lock::parse(&bytes, &path("mv.lock"));
    }

    #[test]
    fn a_flipped_bit_is_noticed_or_gives_what_would_be_written_so(at in 0usize..4000, bit in 0u8..8) {
        let mut bytes = text(&full()).into_bytes();
        let len = bytes.len();
        bytes[at % len] ^= 1 << bit;
        let place = path("models/mv.lock");
        if let Ok(read) = Lock::parse(&bytes, &place) {
            let again = Lock::parse(&read.to_bytes(&place).unwrap(), &place).unwrap();
            prop_assert_eq!(again, read);
        }
    }
}
