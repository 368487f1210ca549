//! One function per promise of [`Transport`], run over every kind of remote.

use std::sync::Arc;

use modver::remote::transport::{
    Body, KeySource, PutMode, PutOutcome, RemoteSpec, Sealed, Transport, TransportError, make_key_file, open, probe,
};

use super::s3::S3Server;
use super::servers::Kind;
use super::{azure_spec, noise, options, s3_spec, unique, webdav_spec};

const LIMIT: u64 = 1 << 20;

/// A remote to test, its server if it is in this process, and scratch space.
struct Fixture {
    remote: Box<dyn Transport>,
    server: Option<S3Server>,
    /// Ends after the remote.
    _serve: Option<modver::server::Server>,
    scratch: tempfile::TempDir,
    /// Whether it keeps objects as files, and answers in its own way when asked for the name of a directory.
    files: bool,
    /// Whether an object is one request.
    single: bool,
    /// Objects on a page of a listing.
    page: u64,
    /// Whether `\` in a key is taken for `/`, as by Azure.
    slashes: bool,
    /// Whether the server knows conditions; the emulator of Google's storage ignores them.
    conditional: bool,
    /// Whether the content is encrypted.
    is_sealed: bool,
}

impl Fixture {
    fn new(spec: &RemoteSpec) -> Self {
        Self {
            remote: open(spec, &options()).unwrap(),
            server: None,
            _serve: None,
            scratch: tempfile::tempdir().unwrap(),
            files: false,
            single: true,
            page: u64::MAX,
            slashes: false,
            conditional: true,
            is_sealed: false,
        }
    }

    /// A directory whose content is encrypted.
    fn sealed() -> Option<Self> {
        let plain = Self::dir()?;
        let key = plain.scratch.path().join("key");
        make_key_file(&key).unwrap();
        Some(Self {
            is_sealed: true,
            remote: Box::new(Sealed::new(
                Arc::<dyn Transport>::from(plain.remote),
                Some(KeySource::File(key)),
            )),
            ..plain
        })
    }

    /// `modver serve` in this process.
    fn serve() -> Option<Self> {
        let scratch = tempfile::tempdir().unwrap();
        let options = modver::server::Options {
            listen: "127.0.0.1:0".into(),
            unchecked: true,
            ..modver::server::Options::new(scratch.path().join("serve"))
        };
        let serve = modver::server::Server::start(options, Box::new(|notice| panic!("{notice}"))).unwrap();
        let spec = RemoteSpec {
            url: format!("http://{}/repository", serve.address()),
            ..Default::default()
        };
        Some(Self {
            scratch,
            _serve: Some(serve),
            ..Self::new(&spec)
        })
    }

    /// A name node and a data node in this process.
    #[cfg(feature = "webhdfs")]
    fn webhdfs() -> Option<Self> {
        let scratch = tempfile::tempdir().unwrap();
        let server = super::webhdfs::start(&scratch.path().join("hdfs"));
        let spec = RemoteSpec {
            url: server.url.replace("http:", "webhdfs:") + "/some/dir",
            user: Some("me".into()),
            ..Default::default()
        };
        Some(Self {
            scratch,
            files: true,
            single: false,
            ..Self::new(&spec)
        })
    }

    fn dir() -> Option<Self> {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("remote dir");
        std::fs::create_dir(&root).unwrap();
        let spec = RemoteSpec {
            url: root.to_str().unwrap().into(),
            ..Default::default()
        };
        Some(Self {
            scratch,
            ..Self::new(&spec)
        })
    }

    /// The server in this process.
    fn s3() -> Option<Self> {
        let server = S3Server::start();
        let spec = s3_spec(
            &server.endpoint,
            "s3://bucket/some/prefix",
            &server.access_key,
            &server.secret_key,
        );
        Some(Self {
            server: Some(server),
            files: true,
            page: 1_000,
            ..Self::new(&spec)
        })
    }

    fn moto() -> Option<Self> {
        let server = Kind::Moto.start()?;
        let url = format!("s3://bucket/{}", unique());
        let spec = s3_spec(&format!("http://{}", server.address), &url, "AKIDTEST", "secret");
        Some(Self {
            page: 1_000,
            ..Self::new(&spec)
        })
    }

    fn azure() -> Option<Self> {
        let server = Kind::Azurite.start()?;
        Some(Self {
            page: 5_000,
            slashes: true,
            ..Self::new(&azure_spec(&server.address, &format!("azure://bucket/{}", unique())))
        })
    }

    fn gcs() -> Option<Self> {
        let server = Kind::Gcs.start()?;
        let spec = RemoteSpec {
            name: "test".into(),
            url: format!("gs://bucket/{}", unique()),
            endpoint: Some(format!("http://{}", server.address)),
            anonymous: true,
            ..RemoteSpec::default()
        };
        Some(Self {
            conditional: false,
            ..Self::new(&spec)
        })
    }

    fn webdav() -> Option<Self> {
        let server = Kind::Apache.start()?;
        let url = format!("webdav://{}/dav/some%20where/{}", server.address, unique());
        Some(Self {
            files: true,
            single: false,
            ..Self::new(&webdav_spec(&url))
        })
    }

    fn sftp() -> Option<Self> {
        let server = Kind::Sshd.start()?;
        let root = server.dir.path().join("sftp").join(unique());
        let spec = RemoteSpec {
            name: "test".into(),
            url: format!("ssh://{}{}", server.address, root.to_str().unwrap()),
            ssh: Some(server.dir.path().join("bin/ssh")),
            ..RemoteSpec::default()
        };
        Some(Self::new(&spec))
    }

    fn put(&self, key: &str, bytes: &[u8], mode: PutMode) -> PutOutcome {
        self.remote.put(key, &bytes.to_vec().into(), mode).unwrap()
    }

    fn keys(&self, prefix: &str) -> Vec<String> {
        self.remote
            .list(prefix)
            .unwrap()
            .into_iter()
            .map(|object| object.key)
            .collect()
    }
}

macro_rules! over {
    ($service:ident: $($name:ident),* $(,)?) => {
        mod $service {
            $(#[test] fn $name() {
                if let Some(fixture) = super::Fixture::$service() {
                    super::$name(&fixture);
                }
            })*
        }
    };
}

macro_rules! for_every_remote {
    ($($name:ident),* $(,)?) => {
        over!(dir: $($name),*);
        over!(serve: $($name),*);
        over!(s3: $($name),*);
        over!(moto: $($name),*);
        over!(azure: $($name),*);
        over!(gcs: $($name),*);
        over!(webdav: $($name),*);
        over!(sftp: $($name),*);
        over!(sealed: $($name),*);
        #[cfg(feature = "webhdfs")]
        over!(webhdfs: $($name),*);
    };
}

for_every_remote!(
    what_is_put_is_got,
    empty_object,
    large_file,
    if_absent_never_replaces,
    overwrite_replaces,
    missing_key,
    limits_hold,
    ranges_are_exact,
    long_listing,
    prefixes_are_text,
    odd_keys,
    invalid_keys,
    parallel_writers_of_one_key,
    probe_finds_everything,
);

fn what_is_put_is_got(f: &Fixture) {
    assert_eq!(
        f.put("packs/ab/abcd", b"content", PutMode::IfAbsent),
        PutOutcome::Created
    );
    assert_eq!(f.remote.get("packs/ab/abcd", LIMIT).unwrap(), b"content");
    let meta = f.remote.stat("packs/ab/abcd").unwrap().unwrap();
    assert_eq!((meta.key.as_str(), meta.size), ("packs/ab/abcd", 7));
    assert!(meta.modified.is_some());
    assert_eq!(f.remote.list("").unwrap()[0].size, 7);
    f.remote.delete("packs/ab/abcd").unwrap();
    assert_eq!(f.remote.stat("packs/ab/abcd").unwrap(), None);
    assert_eq!(f.keys(""), [""; 0]);
}

fn empty_object(f: &Fixture) {
    f.put("empty", b"", PutMode::IfAbsent);
    assert_eq!(f.remote.get("empty", 0).unwrap(), b"");
    assert_eq!(f.remote.stat("empty").unwrap().unwrap().size, 0);
    assert_eq!(f.remote.get_range("empty", 0..0).unwrap(), b"");
    assert!(matches!(
        f.remote.get_range("empty", 0..1),
        Err(TransportError::OutOfRange { .. })
    ));
    let file = f.scratch.path().join("empty");
    std::fs::write(&file, "").unwrap();
    f.remote
        .put("empty file", &Body::file(&file), PutMode::IfAbsent)
        .unwrap();
    assert_eq!(f.remote.get("empty file", 0).unwrap(), b"");
}

/// A pack is one request, even a large one, and arrives whole.
fn large_file(f: &Fixture) {
    let bytes = noise(1, 70 << 20);
    let file = f.scratch.path().join("pack");
    std::fs::write(&file, &bytes).unwrap();
    // One question shows what kind of server there is, where that matters.
    assert_eq!(f.remote.stat("packs/00/large").unwrap(), None);
    let outcome = f
        .remote
        .put("packs/00/large", &Body::file(&file), PutMode::IfAbsent)
        .unwrap();
    assert_eq!(outcome, PutOutcome::Created);
    if f.single && !f.is_sealed {
        assert_eq!(f.remote.traffic().bytes_up, bytes.len() as u64);
        assert_eq!(f.remote.traffic().requests(), 2);
    }
    if let Some(server) = &f.server {
        assert_eq!(server.total(), 2, "{:?}", server.requests());
    }
    let before = f.remote.traffic().requests();
    let middle = 33_333_333..40_000_001;
    let part = f.remote.get_range("packs/00/large", middle.clone()).unwrap();
    assert!(part == bytes[usize::try_from(middle.start).unwrap()..usize::try_from(middle.end).unwrap()]);
    assert!(f.remote.get("packs/00/large", 70 << 20).unwrap() == bytes);
    // What is encrypted has a marker and headers besides.
    assert!(f.is_sealed || f.remote.traffic().requests() - before == 2);
}

fn if_absent_never_replaces(f: &Fixture) {
    if !f.conditional {
        return;
    }
    assert_eq!(f.put("a/b", b"first", PutMode::IfAbsent), PutOutcome::Created);
    assert_eq!(f.put("a/b", b"second", PutMode::IfAbsent), PutOutcome::Existed);
    assert_eq!(f.remote.get("a/b", LIMIT).unwrap(), b"first");
}

fn overwrite_replaces(f: &Fixture) {
    assert_eq!(
        f.put("current", b"a longer first", PutMode::Overwrite),
        PutOutcome::Created
    );
    assert_eq!(f.put("current", b"second", PutMode::Overwrite), PutOutcome::Created);
    assert_eq!(f.remote.get("current", LIMIT).unwrap(), b"second");
    assert_eq!(f.keys(""), ["current"]);
}

fn missing_key(f: &Fixture) {
    f.put("there/is", b"x", PutMode::IfAbsent);
    let directory = if f.files { "other" } else { "there" };
    for key in ["not", "there/not", directory, "there/is/not"] {
        assert!(
            matches!(f.remote.get(key, LIMIT), Err(TransportError::NotFound(_))),
            "{key}"
        );
        assert!(
            matches!(f.remote.get_range(key, 0..1), Err(TransportError::NotFound(_))),
            "{key}"
        );
    }
    assert_eq!(f.remote.stat("there/not").unwrap(), None);
    f.remote.delete("not").unwrap();
    f.remote.delete("not/at/all").unwrap();
    assert_eq!(f.keys("not"), [""; 0]);
    assert_eq!(f.keys("nowhere/at/"), [""; 0]);
    let error = f.remote.get("there/not", LIMIT).unwrap_err().to_string();
    assert!(
        error.contains("there/not") && error.contains(f.remote.describe()),
        "{error}"
    );
}

fn limits_hold(f: &Fixture) {
    f.put("big", &noise(2, 300_000), PutMode::IfAbsent);
    assert_eq!(f.remote.get("big", 300_000).unwrap().len(), 300_000);
    let error = f.remote.get("big", 299_999).unwrap_err();
    assert!(
        matches!(error, TransportError::TooLarge { limit: 299_999, .. }),
        "{error:?}"
    );
}

fn ranges_are_exact(f: &Fixture) {
    let bytes = noise(3, 100_000);
    f.put("r", &bytes, PutMode::IfAbsent);
    for range in [0..1, 0..100_000, 99_999..100_000, 500..70_000] {
        let part = f.remote.get_range("r", range.clone()).unwrap();
        assert!(part == bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]);
    }
    for range in [99_999..100_001, 100_000..100_001, 200_000..300_000, 0..u64::MAX / 2] {
        let error = f.remote.get_range("r", range.clone()).unwrap_err();
        assert!(
            matches!(error, TransportError::OutOfRange { .. }),
            "{range:?}: {error:?}"
        );
    }
    let before = f.remote.traffic().requests();
    assert_eq!(f.remote.get_range("r", 7..7).unwrap(), b"");
    assert_eq!(f.remote.traffic().requests(), before, "nothing is asked for nothing");
}

/// More than one page of a listing.
fn long_listing(f: &Fixture) {
    let expected: Vec<String> = (0..2_345).map(|i| format!("packs/{:02x}/{i:05}", i % 7)).collect();
    std::thread::scope(|scope| {
        for part in expected.chunks(600) {
            scope.spawn(move || {
                for key in part {
                    f.put(key, key.as_bytes(), PutMode::Overwrite);
                }
            });
        }
    });
    let mut expected = expected;
    expected.sort();
    let before = f.remote.traffic().lists;
    let listed = f.remote.list("packs/").unwrap();
    assert!(listed.iter().map(|object| &object.key).eq(expected.iter()));
    assert!(listed.iter().all(|object| object.size == object.key.len() as u64));
    if f.single {
        assert_eq!(f.remote.traffic().lists - before, 2_345_u64.div_ceil(f.page));
    }
}

fn prefixes_are_text(f: &Fixture) {
    for key in ["packs/a", "packs/ab/1", "packs/ab/2", "packs/ac/1", "packs2/x", "pack"] {
        f.put(key, b"", PutMode::IfAbsent);
    }
    assert_eq!(f.keys("").len(), 6);
    assert_eq!(f.keys("packs/"), ["packs/a", "packs/ab/1", "packs/ab/2", "packs/ac/1"]);
    assert_eq!(f.keys("packs/a"), ["packs/a", "packs/ab/1", "packs/ab/2", "packs/ac/1"]);
    assert_eq!(f.keys("packs/ab"), ["packs/ab/1", "packs/ab/2"]);
    assert_eq!(f.keys("packs/ab/"), ["packs/ab/1", "packs/ab/2"]);
    assert_eq!(f.keys("packs/ab/1"), ["packs/ab/1"]);
    assert_eq!(f.keys("packs").len(), 5);
    assert_eq!(f.keys("pack").len(), 6);
    assert_eq!(f.keys("packs/b"), [""; 0]);
}

fn odd_keys(f: &Fixture) {
    let mut keys = [
        "with space/and+plus",
        "per%20cent",
        "ünï/cödé ☃",
        "q?u=e&r#y",
        "'quote\"<x>&amp;",
        "a=b;c:d,e@f",
        "~tilde!()*",
        if f.slashes { "back-slash" } else { "back\\slash" },
    ];
    for key in keys {
        assert_eq!(
            f.put(key, key.as_bytes(), PutMode::IfAbsent),
            PutOutcome::Created,
            "{key}"
        );
    }
    for key in keys {
        assert_eq!(f.remote.get(key, LIMIT).unwrap(), key.as_bytes(), "{key}");
        assert!(f.remote.stat(key).unwrap().is_some(), "{key}");
        assert_eq!(f.keys(key), [key]);
    }
    keys.sort_unstable();
    assert_eq!(f.keys(""), keys);
    for key in keys {
        f.remote.delete(key).unwrap();
    }
    assert_eq!(f.keys(""), [""; 0]);
}

fn invalid_keys(f: &Fixture) {
    for key in [
        "",
        "/abs",
        "../out",
        "a/../../out",
        "a//b",
        "dir/",
        "tmp/x",
        "new\nline",
        " space",
    ] {
        let invalid = |result: Result<(), TransportError>| {
            assert!(
                matches!(result, Err(TransportError::InvalidKey(_))),
                "{key:?}: {result:?}"
            );
        };
        invalid(f.remote.get(key, 1).map(drop));
        invalid(f.remote.get_range(key, 0..1).map(drop));
        invalid(f.remote.get_range(key, 0..0).map(drop));
        invalid(f.remote.put(key, &vec![1].into(), PutMode::Overwrite).map(drop));
        invalid(f.remote.stat(key).map(drop));
        invalid(f.remote.delete(key));
    }
    assert!(matches!(f.remote.list("../"), Err(TransportError::InvalidKey(_))));
}

/// Whoever wins, the object is one writer's, whole, at every moment it can be seen.
fn parallel_writers_of_one_key(f: &Fixture) {
    let contents: Vec<Vec<u8>> = (0..4_u8).map(|i| vec![i; 200_000]).collect();
    let whole = |bytes: &[u8]| bytes.len() == 200_000 && bytes.iter().all(|b| *b == bytes[0]);
    for mode in [PutMode::Overwrite, PutMode::IfAbsent] {
        let key = format!("contested/{mode:?}");
        std::thread::scope(|scope| {
            for content in &contents {
                let key = &key;
                scope.spawn(move || {
                    for _ in 0..5 {
                        f.put(key, content, mode);
                    }
                });
            }
            for _ in 0..10 {
                match f.remote.get(&key, LIMIT) {
                    Ok(bytes) => assert!(whole(&bytes)),
                    Err(error) => assert!(error.is_not_found(), "{error:?}"),
                }
            }
        });
        assert!(whole(&f.remote.get(&key, LIMIT).unwrap()));
    }
    assert_eq!(f.keys("").len(), 2);
}

fn probe_finds_everything(f: &Fixture) {
    let seen = probe(f.remote.as_ref(), "1").unwrap();
    assert!(seen.writable && seen.range && seen.list && seen.delete, "{seen:?}");
    assert_eq!(seen.conditional_put, f.conditional);
    assert_eq!(f.keys(""), [""; 0], "nothing is left behind");
}
