//! Uploads that go on where they broke off.

use std::io::Write as _;
use std::net::TcpStream;

use modver::hash::PackId;

use super::raw::{Answer, request};
use super::support::{Scratch, digest};
use super::{Serve, eventually, files, noise, token, with_remote};

fn key(bytes: &[u8]) -> String {
    let id = PackId::of(bytes).to_string();
    format!("/r/packs/{}/{id}", &id[..2])
}

fn begin(a: &str, bytes: &[u8], extra: &[String]) -> Answer {
    let mut lines = vec![format!("upload-length: {}", bytes.len()), "if-none-match: *".into()];
    lines.extend_from_slice(extra);
    request(a, &format!("POST {}?upload", key(bytes)), &lines, b"")
}

fn id_of(answer: &Answer) -> String {
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    json["upload"].as_str().unwrap().to_owned()
}

fn append(a: &str, object: &[u8], id: &str, offset: usize, end: usize, last: bool) -> Answer {
    let mut lines = vec![format!("upload-offset: {offset}")];
    if last {
        lines.push("upload-complete: ?1".into());
    }
    let what = format!("PATCH {}?upload={id}", key(object));
    request(a, &what, &lines, &object[offset..end])
}

#[test]
fn an_object_arrives_in_parts() {
    let s = Scratch::new();
    let serve = Serve::start(&s, &[]);
    let a = serve.address();
    let object = noise(1, 3_000_000);
    let begun = begin(a, &object, &[]);
    assert_eq!((begun.status, begun.header("upload-offset")), (201, Some("0")));
    let id = id_of(&begun);
    let answer = append(a, &object, &id, 0, 1_000_000, false);
    assert_eq!((answer.status, answer.header("upload-offset")), (204, Some("1000000")));
    // Somewhere else, twice, or longer than announced.
    let wrong = append(a, &object, &id, 500_000, 600_000, false);
    assert_eq!((wrong.status, wrong.header("upload-offset")), (409, Some("1000000")));
    let early = append(a, &object, &id, 1_000_000, 1_500_000, true);
    assert_eq!((early.status, early.header("upload-offset")), (409, Some("1500000")));
    let head = request(a, &format!("HEAD {}?upload={id}", key(&object)), &[], b"");
    assert_eq!((head.status, head.header("upload-offset")), (200, Some("1500000")));
    // A connection that breaks off leaves what arrived.
    let mut stream = TcpStream::connect(a).unwrap();
    let text = format!("PATCH {}?upload={id} HTTP/1.1\r\nhost: localhost\r\n", key(&object));
    write!(
        stream,
        "{text}upload-offset: 1500000\r\ncontent-length: 1500000\r\n\r\n"
    )
    .unwrap();
    stream.write_all(&object[1_500_000..2_500_000]).unwrap();
    drop(stream);
    let offset = || {
        let begun = begin(a, &object, &[]);
        assert_eq!(id_of(&begun), id, "the same upload");
        begun.header("upload-offset").unwrap().parse::<usize>().unwrap()
    };
    eventually("what arrived is kept", || offset() == 2_500_000);
    assert_eq!(files(&serve.path("r")), [""; 0], "nothing is visible before the end");
    // A server that is killed forgets nothing that matters.
    serve.kill();
    let serve = Serve::start(&s, &[]);
    let a = serve.address();
    assert_eq!(append(a, &object, &id, 2_500_000, 3_000_000, true).status, 404);
    assert_eq!(begin(a, &object, &[]).header("upload-offset"), Some("2500000"));
    assert_eq!(append(a, &object, &id, 2_500_000, 3_000_000, true).status, 201);
    assert_eq!(std::fs::read(serve.path(&key(&object)[1..])).unwrap(), object);
    assert_eq!(begin(a, &object, &[]).status, 412);
    assert_eq!(files(&serve.root.join("uploads")), [""; 0]);
}

#[test]
fn wrong_content_ends_an_upload() {
    let s = Scratch::new();
    let ann = token(&s, &["--write", "ann"]);
    let bob = token(&s, &["--write", "bob"]);
    let serve = Serve::start(&s, &[]);
    let a = serve.address();
    let object = noise(2, 100_000);
    let bearer = |token: &str| format!("authorization: Bearer {token}");
    let id = id_of(&begin(a, &object, &[bearer(&ann)]));
    let patch = |token: &str, offset: usize, body: &[u8]| {
        let lines = [
            bearer(token),
            format!("upload-offset: {offset}"),
            "upload-complete: ?1".into(),
        ];
        request(a, &format!("PATCH {}?upload={id}", key(&object)), &lines, body).status
    };
    // Another's upload is nobody's business.
    assert_eq!(patch(&bob, 0, b"x"), 404);
    assert_ne!(id_of(&begin(a, &object, &[bearer(&bob)])), id);
    assert_eq!(patch(&ann, 0, &noise(3, 100_000)), 422);
    assert_eq!(patch(&ann, 0, &object), 404);
    assert_eq!(begin(a, &object, &[bearer(&ann)]).header("upload-offset"), Some("0"));
    assert_eq!(patch(&ann, 0, &object), 201);
    // Given up.
    let other = noise(4, 1000);
    let id = id_of(&begin(a, &other, &[bearer(&ann)]));
    let what = format!("DELETE {}?upload={id}", key(&other));
    assert_eq!(request(a, &what, &[bearer(&ann)], b"").status, 204);
    assert_eq!(request(a, &what, &[bearer(&ann)], b"").status, 404);
    // What has no hash for a name is not uploaded in parts.
    let lines = [bearer(&ann), "upload-length: 5".into()];
    assert_eq!(request(a, "POST /r/leases/x?upload", &lines, b"").status, 400);
}

/// A push that is killed in the middle of a pack goes on there.
#[test]
fn a_killed_push_goes_on() {
    let s = Scratch::new();
    let serve = Serve::start(&s, &["--access-log", "../access.log"]);
    with_remote(&s, &format!("{}/r", serve.url));
    s.write("huge.bin", noise(5, 60_000_000));
    s.repo().modver(["add", "huge.bin"]).ok();
    super::commit(s.repo());
    let mut push = s
        .repo()
        .command(env!("CARGO_BIN_EXE_modver"))
        .args(["push", "--quiet"])
        .spawn()
        .unwrap();
    let arrived = || -> u64 {
        let uploads = serve.root.join("uploads");
        let sizes = files(&uploads).into_iter().filter(|name| name.ends_with(".part"));
        sizes
            .map(|name| std::fs::metadata(uploads.join(name)).map_or(0, |meta| meta.len()))
            .sum()
    };
    eventually("part of a pack arrives", || {
        arrived() > 5_000_000 || push.try_wait().unwrap().is_some()
    });
    push.kill().unwrap();
    push.wait().unwrap();
    // The server takes in what was on its way.
    eventually("the upload that broke off ends", || {
        let metrics = request(serve.address(), "GET /metrics", &[], b"").text();
        metrics.contains("modver_active_uploads 0")
    });
    let before = arrived();
    let log = s.root().join("access.log");
    let seen = std::fs::read_to_string(&log).unwrap().lines().count();
    s.repo().modver(["push", "--quiet"]).ok();
    let sent: u64 = std::fs::read_to_string(&log)
        .unwrap()
        .lines()
        .skip(seen)
        .filter(|line| line.contains("\"PATCH "))
        .map(|line| line.rsplit(' ').nth(2).unwrap().parse::<u64>().unwrap())
        .sum();
    assert!(sent + before <= 74_000_000, "{before} had arrived and {sent} were sent");
    let clone = s.clone_to("clone");
    s.at(&clone).modver(["pull", "--quiet"]).ok();
    assert_eq!(digest(&s.root().join("clone")), digest(&s.path("")));
}

/// A server that is killed and started again while somebody pushes costs time only.
#[test]
fn a_push_survives_the_server() {
    let s = Scratch::new();
    let serve = Serve::start(&s, &[]);
    let address = serve.address().to_owned();
    with_remote(&s, &format!("{}/r", serve.url));
    s.write("huge.bin", noise(6, 60_000_000));
    s.repo().modver(["add", "huge.bin"]).ok();
    let mut push = s
        .repo()
        .command(env!("CARGO_BIN_EXE_modver"))
        .args(["push", "--quiet"])
        .spawn()
        .unwrap();
    eventually("something arrives", || {
        !files(&serve.root.join("uploads")).is_empty() || push.try_wait().unwrap().is_some()
    });
    serve.kill();
    let serve = Serve::at(&s, &address, &[]);
    assert!(push.wait().unwrap().success());
    s.repo().modver(["verify", "--remote", "--deep", "--quiet"]).ok();
    assert_eq!(files(&serve.root.join("uploads")), [""; 0]);
}
