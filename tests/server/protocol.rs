//! The protocol itself, and what hostile clients get.

use std::io::Write as _;
use std::net::TcpStream;

use modver::hash::{PackId, RunId};

use super::raw::{self, request, send};
use super::support::Scratch;
use super::{Serve, eventually, files, noise, token, with_remote};

fn put(address: &str, path: &str, lines: &[&str], body: &[u8]) -> u16 {
    let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
    request(address, &format!("PUT {path}"), &lines, body).status
}

fn key(bytes: &[u8]) -> String {
    let id = PackId::of(bytes).to_string();
    format!("/r/packs/{}/{id}", &id[..2])
}

const NEW: &str = "if-none-match: *";

#[test]
fn content_is_checked_before_it_is_visible() {
    let s = Scratch::new();
    let serve = Serve::start(&s, &["--max-object", "1MiB"]);
    let a = serve.address();
    let good = noise(1, 300_000);
    let wrong = request(a, &format!("PUT {}", key(&good)), &[NEW.into()], b"something else");
    assert_eq!(wrong.status, 422, "{wrong:?}");
    assert!(wrong.text().contains("BLAKE3"), "{}", wrong.text());
    assert_eq!(files(&serve.path("r")), [""; 0]);
    assert_eq!(files(&serve.root.join("uploads")), [""; 0]);
    assert_eq!(put(a, &key(&good), &[NEW], &good), 201);
    assert_eq!(put(a, &key(&good), &[NEW], &good), 412);
    // To put it again repairs it.
    assert_eq!(put(a, &key(&good), &[], &good), 201);
    assert_eq!(put(a, &key(&good), &[], b"other"), 422);
    assert_eq!(std::fs::read(serve.path(&key(&good)[1..])).unwrap(), good);

    assert_eq!(put(a, "/r/modver-store.toml", &[NEW], b"format = 99\n"), 422);
    assert_eq!(put(a, "/r/modver-store.toml", &[NEW], &vec![b'#'; 100_000]), 413);
    assert_eq!(put(a, "/r/catalog/current", &[], b"not an id\n"), 422);
    let large = noise(2, (1 << 20) + 1);
    assert_eq!(put(a, &key(&large), &[NEW], &large), 413);
    for unknown in ["/r/other", "/r/notes/x", "/r/packs/00/x", "/r/tmp/x", "/r/catalog/x"] {
        assert_eq!(put(a, unknown, &[], b"x"), 400, "{unknown}");
    }
    let metrics = request(a, "GET /metrics", &[], b"").text();
    assert!(metrics.contains("modver_wrong_content_total 4"), "{metrics}");
    assert!(
        metrics.contains("modver_stored_bytes{repository=\"r\"} 300000"),
        "{metrics}"
    );
    assert!(
        metrics.contains("modver_requests_total{method=\"PUT\",status=\"413\"} 2"),
        "{metrics}"
    );
    assert_eq!(request(a, "GET /health", &[], b"").text(), "ok\n");
}

#[test]
fn of_many_writers_one_creates() {
    let s = Scratch::new();
    let serve = Serve::start(&s, &[]);
    let good = noise(3, 100_000);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let one = || put(serve.address(), &key(&good), &[NEW], &good);
        let all: Vec<_> = (0..16).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    assert!(statuses.iter().all(|status| [201, 412].contains(status)));
}

#[test]
fn parts_of_objects() {
    let s = Scratch::new();
    let serve = Serve::start(&s, &[]);
    let a = serve.address();
    let bytes = noise(4, 2_000_000);
    put(a, &key(&bytes), &[NEW], &bytes);
    let get = |lines: &[&str]| {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        request(a, &format!("GET {}", key(&bytes)), &lines, b"")
    };
    assert!(get(&[]).body == bytes);
    let part = get(&["range: bytes=1000-1500000"]);
    assert_eq!(part.status, 206);
    assert_eq!(part.header("content-range"), Some("bytes 1000-1500000/2000000"));
    assert!(part.body == bytes[1000..=1_500_000]);
    assert!(get(&["range: bytes=-5"]).body == bytes[1_999_995..]);
    assert!(get(&["range: bytes=1999999-9999999999"]).body == bytes[1_999_999..]);
    assert!(get(&["range: bytes=x"]).body == bytes);
    assert!(get(&["range: bytes=0-1", "if-range: \"other\""]).body == bytes);
    let tag = get(&["range: bytes=0-0"]).header("etag").unwrap().to_owned();
    assert_eq!(get(&["range: bytes=0-1", &format!("if-range: {tag}")]).status, 206);
    let beyond = get(&["range: bytes=2000000-"]);
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, Some("bytes */2000000"))
    );
    let head = request(a, &format!("HEAD {}", key(&bytes)), &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some("2000000")));
}

/// Uploads at the same moment do not have more together than one may have, and what is refused takes no room.
#[test]
fn quotas_hold_for_uploads_at_the_same_time() {
    let s = Scratch::new();
    let serve = Serve::start(&s, &["--quota", "1000000"]);
    let a = serve.address();
    let objects: Vec<Vec<u8>> = (0..12).map(|i| noise(100 + i, 200_000)).collect();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let one = |object: &Vec<u8>| put(a, &key(object), &[NEW], object);
        let all: Vec<_> = objects.iter().map(|object| scope.spawn(move || one(object))).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let stored = statuses.iter().filter(|status| **status == 201).count();
    assert!(stored <= 5, "{statuses:?}");
    assert!(
        statuses.iter().all(|status| [201, 507].contains(status)),
        "{statuses:?}"
    );
    // What was reserved for those that were refused or broke off is free again.
    for object in &objects {
        put(a, &key(object), &[NEW], object);
    }
    assert_eq!(files(&serve.path("r/packs")).len(), 5);
    assert_eq!(files(&serve.root.join("uploads")), [""; 0]);
}

/// Whoever may write cannot take away what others pushed.
#[test]
fn writers_remove_only_what_is_said_elsewhere() {
    let mut s = Scratch::new();
    let ann = token(&s, &["--write", "ann"]);
    let admin = token(&s, &["--admin", "root"]);
    let serve = Serve::start(&s, &[]);
    with_remote(&s, &format!("{}/r", serve.url));
    s.set_env("MODVER_REMOTE_HUB_TOKEN", ann.clone());
    s.repo().modver(["push", "--quiet"]).ok();
    let a = serve.address();
    let bearer = |token: &str| vec![format!("authorization: Bearer {token}")];
    let status = |what: &str, token: &str| request(a, what, &bearer(token), b"").status;
    let run = files(&serve.path("r/catalog"))
        .into_iter()
        .find(|name| name != "current")
        .unwrap();
    assert_eq!(status(&format!("DELETE /r/catalog/{run}"), &ann), 403);
    let pack = files(&serve.path("r/packs")).remove(0);
    assert_eq!(status(&format!("DELETE /r/packs/{pack}"), &ann), 403);
    assert_eq!(status("DELETE /r/modver-store.toml", &ann), 403);

    // A run that says no more than another one.
    let bytes = std::fs::read(serve.path(&format!("r/catalog/{run}"))).unwrap();
    let parsed = modver::store::run::CatalogRun::parse(RunId::of(&bytes), bytes).unwrap();
    let part = modver::store::run::build(parsed.roots().take(1), Default::default()).unwrap();
    let small = RunId::of(&part);
    let put = request(a, &format!("PUT /r/catalog/{small}"), &bearer(&ann), &part);
    assert_eq!(put.status, 201);
    assert_eq!(status(&format!("DELETE /r/catalog/{small}"), &ann), 204);
    assert_eq!(status(&format!("DELETE /r/catalog/{small}"), &ann), 204);
    let current = std::fs::read_to_string(serve.path("r/catalog/current")).unwrap();
    assert_eq!(current, format!("{run}\n"));
    s.repo().modver(["verify", "--remote", "--deep", "--quiet"]).ok();
    assert_eq!(status(&format!("DELETE /r/packs/{pack}"), &admin), 204);
}

#[test]
fn hostile_requests_are_refused() {
    let s = Scratch::new();
    std::fs::write(s.root().join("secret"), "secret").unwrap();
    let serve = Serve::start(&s, &[]);
    let a = serve.address();
    put(a, "/r/leases/x", &[], b"x");
    let long = "x".repeat(200_000);
    let escapes = [
        "/r/../../../secret",
        "/r/..%2f..%2f..%2fsecret",
        "/../secret",
        "/%2e%2e/secret",
        "/r/refs/../../tokens.json",
        "/r/refs/%2e%2e/%2e%2e/tokens.json",
        "/r//etc/passwd",
        "/r/refs/%00",
        "/r/refs/a%0ab",
        "/r/refs/%ff%fe",
        "/r/refs/%",
        "//",
        "/r/uploads",
        "/tmp/x",
        "/.hidden/x",
    ];
    for path in escapes {
        for method in ["GET", "HEAD", "DELETE"] {
            let answer = send(
                a,
                format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes(),
            );
            let status = answer.as_ref().map_or(0, |answer| answer.status);
            let fine = [0, 400, 404].contains(&status) || status == 204 && method == "DELETE";
            assert!(fine, "{method} {path}: {answer:?}");
        }
        let answer = send(
            a,
            format!("PUT {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\n\r\nx").as_bytes(),
        );
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        assert!([0, 400, 404].contains(&status), "PUT {path}: {answer:?}");
    }
    let refused = |bytes: &[u8], allowed: &[u16]| {
        let answer = send(a, bytes);
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(100)]).into_owned();
        assert!(allowed.contains(&status), "{shown}: {answer:?}");
    };
    let h = "host: localhost\r\n";
    refused(
        format!("GET /{long} HTTP/1.1\r\n{h}\r\n").as_bytes(),
        &[0, 404, 414, 431],
    );
    refused(
        format!("GET /health HTTP/1.1\r\nx: {long}\r\n{h}\r\n").as_bytes(),
        &[0, 431],
    );
    let many: String = (0..500).map(|i| format!("h{i}: x\r\n")).collect();
    refused(format!("GET /health HTTP/1.1\r\n{many}\r\n").as_bytes(), &[0, 431]);
    refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", &[0, 400]);
    refused(b"GET\r\n\r\n", &[0, 400]);
    refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0, 400, 505]);
    refused(format!("BREW /r/leases/x HTTP/1.1\r\n{h}\r\n").as_bytes(), &[405]);
    refused(
        format!("POST /r/leases/x HTTP/1.1\r\n{h}content-length: 0\r\n\r\n").as_bytes(),
        &[405],
    );
    refused(format!("DELETE /health HTTP/1.1\r\n{h}\r\n").as_bytes(), &[405]);
    refused(format!("GET /r/?nonsense=1 HTTP/1.1\r\n{h}\r\n").as_bytes(), &[400]);
    refused(format!("GET /r/?list=../ HTTP/1.1\r\n{h}\r\n").as_bytes(), &[400]);
    refused(format!("GET /r/?list=%zz HTTP/1.1\r\n{h}\r\n").as_bytes(), &[400]);
    let put = "PUT /r/leases/y HTTP/1.1\r\nhost: localhost\r\n";
    refused(format!("{put}\r\n").as_bytes(), &[411]);
    refused(format!("{put}content-length: -1\r\n\r\n").as_bytes(), &[0, 400]);
    refused(
        format!("{put}content-length: 99999999999999999999\r\n\r\n").as_bytes(),
        &[0, 400],
    );
    refused(
        format!("{put}content-length: 1\r\ncontent-length: 2\r\n\r\nxy").as_bytes(),
        &[0, 400],
    );
    refused(
        format!("{put}transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n").as_bytes(),
        &[411],
    );
    refused(
        format!("{put}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").as_bytes(),
        &[0, 400, 411],
    );
    refused(
        format!("{put}content-length: 1\r\nif-none-match: \"x\"\r\n\r\nx").as_bytes(),
        &[400],
    );
    refused(
        format!("{put}content-length: 1\r\nif-match: \"x\"\r\n\r\nx").as_bytes(),
        &[400],
    );
    let session = format!("PATCH {}?upload=x HTTP/1.1\r\n{h}", key(b"x"));
    refused(
        format!("{session}upload-offset: 0\r\ncontent-length: 1\r\n\r\nx").as_bytes(),
        &[404],
    );
    refused(
        format!("{session}upload-offset: x\r\ncontent-length: 1\r\n\r\nx").as_bytes(),
        &[400],
    );
    refused(format!("{session}content-length: 1\r\n\r\nx").as_bytes(), &[400]);
    let begin = format!("POST {}?upload HTTP/1.1\r\n{h}content-length: 0\r\n", key(b"x"));
    refused(
        format!("{begin}upload-length: 99999999999999\r\n\r\n").as_bytes(),
        &[413],
    );
    refused(format!("{begin}upload-length: -1\r\n\r\n").as_bytes(), &[400]);
    refused(format!("{begin}\r\n").as_bytes(), &[400]);

    // An upload that breaks off leaves nothing.
    let mut stream = TcpStream::connect(a).unwrap();
    stream
        .write_all(format!("{put}content-length: 1000\r\n\r\nabc").as_bytes())
        .unwrap();
    eventually("the upload begins", || !files(&serve.root.join("uploads")).is_empty());
    drop(stream);
    eventually("the upload is gone", || files(&serve.root.join("uploads")).is_empty());
    assert_eq!(files(&serve.path("")), ["r/leases/x"]);
    assert_eq!(std::fs::read(s.root().join("secret")).unwrap(), b"secret");
    assert_eq!(request(a, "GET /health", &[], b"").status, 200);
    assert!(!serve.said().contains("panicked"), "{}", serve.said());
}

/// Many slow uploads at once take little memory and do not keep others from being served.
#[test]
fn a_hundred_uploads_at_once() {
    let s = Scratch::new();
    let serve = Serve::start(&s, &[]);
    let a = serve.address();
    let piece = noise(8, 4 << 20);
    let objects: Vec<Vec<u8>> = (0..100_u64).map(|i| [&i.to_le_bytes()[..], &piece].concat()).collect();
    let mut streams: Vec<TcpStream> = objects.iter().map(|_| TcpStream::connect(a).unwrap()).collect();
    for (stream, object) in streams.iter_mut().zip(&objects) {
        let head = format!(
            "PUT {} HTTP/1.1\r\nhost: localhost\r\n{NEW}\r\ncontent-length: {}\r\n\r\n",
            key(object),
            object.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&object[..object.len() - 1]).unwrap();
    }
    assert_eq!(request(a, "GET /health", &[], b"").status, 200);
    let status = std::fs::read_to_string(format!("/proc/{}/status", serve.child.id())).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    if let Some(peak) = peak {
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kib < 200 << 10, "{kib} KiB for 400 MiB under way");
    }
    for (stream, object) in streams.iter_mut().zip(&objects) {
        stream.write_all(&object[object.len() - 1..]).unwrap();
    }
    for mut stream in streams {
        assert_eq!(raw::read(&mut stream, false).unwrap().status, 201);
    }
    assert_eq!(files(&serve.path("r/packs")).len(), 100);
}
