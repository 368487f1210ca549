use super::super::import::{RepositoryImport, UrlImport};
use super::super::testing::path;
use super::*;
use proptest::prelude::*;

fn golden(name: &str) -> Vec<u8> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/formats/");
    std::fs::read(format!("{dir}{name}")).unwrap()
}

fn full_dir() -> Pointer {
    Pointer {
        content: PointerContent::Dir {
            id: FileId::of(b"listing").into(),
            files: 1200,
        },
        size: 52_428_800,
        desc: Some("raw \"scans\", 2026\n\\ é \u{7f}".to_owned()),
        labels: vec!["raw".to_owned(), "scans".to_owned()],
        remote: Some("archive".to_owned()),
        import: None,
    }
}

fn imported(import: Import) -> Pointer {
    Pointer {
        desc: None,
        labels: Vec::new(),
        remote: None,
        import: Some(Box::new(import)),
        ..full_dir()
    }
}

fn from_repository() -> Import {
    Import::Repository(RepositoryImport {
        url: "https://example.org/lab/data.git".to_owned(),
        path: path("raw/\"scans\""),
        rev: Some("v2".to_owned()),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
    })
}

fn from_url() -> Import {
    Import::Url(UrlImport {
        url: "https://example.org/scans.tar".to_owned(),
        etag: Some("\"686897696a7c876b7e\"".to_owned()),
        size: Some(52_428_800),
        modified: Some("Thu, 01 Jan 2026 00:00:00 GMT".to_owned()),
    })
}

#[test]
fn golden_files_read_and_write_the_same() {
    let file = |executable| Pointer {
        content: PointerContent::File {
            id: FileId::of(b"content"),
            executable,
        },
        size: 7,
        desc: None,
        labels: Vec::new(),
        remote: None,
        import: None,
    };
    for (name, pointer) in [
        ("pointer-file.mv", file(false)),
        ("pointer-executable.mv", file(true)),
        ("pointer-dir.mv", full_dir()),
        ("pointer-import.mv", imported(from_repository())),
        ("pointer-import-url.mv", imported(from_url())),
    ] {
        let bytes = golden(name);
        assert_eq!(
            String::from_utf8(pointer.to_bytes().unwrap()).unwrap(),
            String::from_utf8(bytes.clone()).unwrap()
        );
        assert_eq!(Pointer::parse(&bytes, &path(name)).unwrap(), pointer);
        let crlf = String::from_utf8(bytes).unwrap().replace('\n', "\r\n");
        assert_eq!(Pointer::parse(crlf.as_bytes(), &path(name)).unwrap(), pointer);
    }
}

fn problem(text: &str) -> PointerProblem {
    Pointer::parse(text.as_bytes(), &path("data.mv")).unwrap_err().problem
}

#[test]
fn refuses_by_name_what_the_format_does_not_allow() {
    use PointerProblem as P;
    let id = FileId::of(b"");
    let good = format!("version = 1\nkind = \"file\"\nid = \"{id}\"\nsize = 0\n");
    let with = |extra: &str| problem(&format!("{good}{extra}"));
    let changed = |from: &str, to: &str| problem(&good.replace(from, to));
    assert!(Pointer::parse(good.as_bytes(), &path("data.mv")).is_ok());
    assert!(matches!(changed("version = 1", "version = 2\nnew = 1"), P::Version(2)));
    assert!(matches!(changed("version = 1\n", ""), P::MissingKey("version")));
    assert!(matches!(changed("size = 0\n", ""), P::MissingKey("size")));
    assert!(matches!(changed("\"file\"", "\"dir\""), P::MissingKey("files")));
    assert!(matches!(changed("\"file\"", "\"link\""), P::UnknownKind(_)));
    assert!(matches!(changed("\"file\"", "1"), P::WrongType { key: "kind", .. }));
    assert!(matches!(
        changed("size = 0", "size = -1"),
        P::WrongType { key: "size", .. }
    ));
    assert!(matches!(
        changed("size = 0", "size = 0.5"),
        P::WrongType { key: "size", .. }
    ));
    assert!(matches!(
        changed("size = 0", "size = 9223372036854775808"),
        P::Syntax(_)
    ));
    assert!(matches!(changed("id = \"", "id = \"F"), P::Id(_)));
    assert!(matches!(with("files = 1"), P::MisplacedKey { key: "files", .. }));
    assert!(matches!(
        with("executable = false"),
        P::WrongType { key: "executable", .. }
    ));
    assert!(matches!(with("labels = [1]"), P::WrongType { key: "labels", .. }));
    assert!(matches!(with("color = \"red\""), P::UnknownKey(key) if key == "color"));
    assert!(matches!(with("size = 0"), P::Syntax(_)));
    assert!(matches!(with(&"#".repeat(70_000)), P::TooLarge(_)));
    assert!(matches!(problem(&"[".repeat(60_000)), P::Syntax(_)));
}

#[test]
fn refuses_imports_that_the_format_does_not_allow() {
    use PointerProblem as P;
    let good = String::from_utf8(imported(from_repository()).to_bytes().unwrap()).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        problem(&good.replace(from, to))
    };
    assert!(matches!(changed("url = ", "uri = "), P::MissingKey("import.url")));
    assert!(matches!(changed("commit = ", "hash = "), P::UnknownKey(key) if key == "import.hash"));
    assert!(matches!(changed("raw/", "../"), P::ImportPath(_)));
    assert!(matches!(changed("raw/", "/raw/"), P::ImportPath(_)));
    assert!(matches!(changed("01234567\"", "0123456\""), P::ImportCommit));
    assert!(matches!(changed("\"0123", "\"--up"), P::ImportCommit));
    assert!(matches!(changed("https://example", "-uhttps://example"), P::ImportUrl));
    assert!(matches!(
        changed("example.org", "a:secret@example.org"),
        P::ImportCredentials
    ));
    assert!(matches!(
        changed("rev = \"v2\"", "rev = 2"),
        P::WrongType { key: "import.rev", .. }
    ));
    assert!(matches!(
        changed("rev =", "etag ="),
        P::MisplacedKey { key: "import.etag", .. }
    ));
    assert!(matches!(
        problem(&good.replace("[import]", "[[import]]")),
        P::WrongType { key: "import", .. }
    ));
    let url = String::from_utf8(imported(from_url()).to_bytes().unwrap()).unwrap();
    assert!(matches!(
        problem(&format!("{url}rev = \"x\"\n")),
        P::MisplacedKey { key: "import.rev", .. }
    ));
    assert!(matches!(
        problem(&format!("{url}path = \"x\"\n")),
        P::MissingKey("import.commit")
    ));
    let secret = Import::Url(UrlImport {
        url: "https://host/x?token=hush".to_owned(),
        etag: None,
        size: None,
        modified: None,
    });
    let error = imported(secret).to_bytes().unwrap_err();
    assert!(matches!(error, P::ImportCredentials) && !error.to_string().contains("hush"));
}

#[test]
fn conflict_markers_are_named() {
    let text = "version = 1\n<<<<<<< HEAD\nid = \"a\"\n=======\nid = \"b\"\n>>>>>>> other\n";
    let error = Pointer::parse(text.as_bytes(), &path("d/data.mv")).unwrap_err();
    assert!(matches!(error.problem, PointerProblem::Conflict));
    assert!(error.to_string().contains("d/data.mv"));
    assert!(error.hint().unwrap().contains("modver checkout --ours d/data"));
}

#[test]
fn a_pointer_stands_beside_its_output() {
    assert_eq!(pointer_path(&path("a/data")).unwrap(), path("a/data.mv"));
    assert!(pointer_path(&RepoPath::root()).is_err());
    assert_eq!(output_path(&path("a/data.mv")), Some(path("a/data")));
    for none in ["a/.mv", ".mv", "a/data", "mv"] {
        assert_eq!(output_path(&path(none)), None, "{none}");
    }
}

#[test]
fn one_too_large_is_not_written() {
    let pointer = Pointer {
        desc: Some("x".repeat(70_000)),
        ..full_dir()
    };
    assert!(matches!(pointer.to_bytes(), Err(PointerProblem::TooLarge(_))));
}

fn any_pointer() -> impl Strategy<Value = Pointer> {
    let id = any::<[u8; 32]>();
    let number = 0..=i64::MAX as u64;
    let content = prop_oneof![
        (id, any::<bool>()).prop_map(|(id, executable)| PointerContent::File {
            id: FileId::from_bytes(id),
            executable
        }),
        (any::<[u8; 32]>(), number.clone()).prop_map(|(id, files)| PointerContent::Dir {
            id: TreeId::from_bytes(id),
            files
        }),
    ];
    let text = proptest::collection::vec(any::<char>(), 0..40).prop_map(String::from_iter);
    let repository = (
        "[a-z]{1,8}://[a-z]{1,8}/[a-z \"\\\\é]{0,12}",
        "[a-zé\"\\\\ ]{1,9}(/[a-z.\n]{3,9}){0,3}",
        proptest::option::of(text.clone()),
        "[0-9a-f]{40}|[0-9a-f]{64}",
    )
        .prop_map(|(url, at, rev, commit)| {
            Import::Repository(RepositoryImport {
                url,
                path: path(at.replace("...", "x..").replace("/..", "/x.")),
                rev,
                commit,
            })
        });
    let plain = (
        "[a-z]{1,8}://[a-z]{1,8}/[a-z ]{0,12}",
        proptest::option::of(text.clone()),
        proptest::option::of(number.clone()),
        proptest::option::of(text.clone()),
    )
        .prop_map(|(url, etag, size, modified)| {
            Import::Url(UrlImport {
                url,
                etag,
                size,
                modified,
            })
        });
    let import = proptest::option::of(prop_oneof![repository, plain].prop_map(Box::new));
    (
        content,
        number,
        proptest::option::of(text.clone()),
        proptest::collection::vec(text.clone(), 0..4),
        proptest::option::of(text),
        import,
    )
        .prop_map(|(content, size, desc, labels, remote, import)| Pointer {
            content,
            size,
            desc,
            labels,
            remote,
            import,
        })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(pointer in any_pointer()) {
        let bytes = pointer.to_bytes().unwrap();
        prop_assert_eq!(Pointer::parse(&bytes, &path("x.mv")).unwrap(), pointer);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Pointer::parse(&bytes, &path("x.mv"));
    }

    #[test]
    fn a_flipped_bit_is_noticed_or_gives_what_would_be_written_so(
        at in 0usize..4000,
        bit in 0u8..8,
        which in 0usize..3,
    ) {
        let pointers = [full_dir(), imported(from_repository()), imported(from_url())];
        let mut bytes = pointers[which].to_bytes().unwrap();
        let len = bytes.len();
        bytes[at % len] ^= 1 << bit;
        if let Ok(read) = Pointer::parse(&bytes, &path("x.mv")) {
            let again = Pointer::parse(&read.to_bytes().unwrap(), &path("x.mv")).unwrap();
            prop_assert_eq!(again, read);
        }
    }
}
