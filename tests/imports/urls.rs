//! Plain URLs: HTTP as servers really answer, S3, and paths.

use std::fs;
use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::s3::S3Server;
use crate::support::{Scratch, digest};
use crate::web::{Web, file, status};
use crate::{commit, names, noise};

fn outside() -> (Scratch, std::path::PathBuf) {
    let s = Scratch::bare();
    let out = s.root().join("out");
    fs::create_dir(&out).unwrap();
    (s, out)
}

#[test]
fn a_file_is_downloaded() {
    let (s, out) = outside();
    let o = s.at(&out);
    let body = noise(7, 700_000);
    let sent = body.clone();
    let web = Web::start(move |request, _| match &*request.path {
        "/moved" => status("302 Found", "location: /dir/file.bin?sig=hush\r\n"),
        _ => file(request, &sent, "\"one\""),
    });
    let got = o.modver(["get", &format!("{}/dir/file.bin?X-Amz-Signature=hush", web.url)]);
    assert!(
        !got.err().contains("hush") && got.err().contains("/dir/file.bin?…"),
        "{got}"
    );
    assert_eq!(got.ok(), "got file.bin (1 file, 683.6 KiB)");
    assert_eq!(o.read("file.bin"), body);
    o.modver(["get", &format!("{}/moved", web.url)]).ok();
    assert_eq!(o.read("moved"), body);
    o.modver(["get", &format!("{}/moved", web.url)]).fails(1);
    o.write("moved", "mine");
    o.modver(["get", "--force", &format!("{}/moved", web.url)]).ok();
    assert_eq!(o.read("moved"), body);
    o.modver(["get", &web.url]).fails(1);
    o.modver(["get", &web.url, "-o", "index"]).ok();
    assert_eq!(names(&out), ["file.bin", "index", "moved"]);
}

#[test]
fn errors_of_servers_leave_nothing() {
    let (s, out) = outside();
    let o = s.at(&out);
    let web = Web::start(|request, _| match &*request.path {
        "/loop" => status("302 Found", "location: /loop\r\n"),
        "/401" => status("401 Unauthorized", ""),
        "/part" => b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\nonly this".to_vec(),
        _ => status("404 Not Found", ""),
    });
    let fails = |path: &str, what: &[&str]| {
        let failed = o.modver(["get", &format!("{}/{path}", web.url), "-o", "x"]);
        for what in what {
            assert!(failed.err().contains(what), "{what}: {failed}");
        }
        failed.fails(1);
        assert_eq!(names(&out), [""; 0]);
    };
    fails("404", &["status 404", "hint: check the URL"]);
    fails("401", &["status 401", "hint: "]);
    fails("loop", &["too many redirects"]);
    fails("part", &["changed each time"]);
    assert_eq!(
        web.requests().iter().filter(|request| *request == "GET /part").count(),
        3
    );
    assert_eq!(
        web.requests().iter().filter(|request| *request == "GET /404").count(),
        1
    );
}

#[test]
fn a_connection_that_breaks_is_taken_up_again() {
    let (s, out) = outside();
    let o = s.at(&out);
    let body = noise(8, 500_000);
    let (sent, asked) = (body.clone(), Arc::new(AtomicU32::new(0)));
    let counter = Arc::clone(&asked);
    let web = Web::start(move |request, _| {
        let mut answer = file(request, &sent, "\"one\"");
        match counter.fetch_add(1, SeqCst) {
            0 => status("503 Service Unavailable", "retry-after: 0\r\n"),
            1 | 2 => {
                answer.truncate(answer.len() / 2);
                answer
            }
            _ => answer,
        }
    });
    o.modver(["get", &format!("{}/file", web.url)]).ok();
    assert_eq!(o.read("file"), body);
    assert_eq!(asked.load(SeqCst), 4);
}

#[test]
fn interrupted_it_leaves_nothing() {
    let (s, out) = outside();
    let o = s.at(&out);
    let web = Web::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nbegin");
        std::thread::sleep(Duration::from_secs(30));
        Vec::new()
    });
    let mut running = o
        .command(env!("CARGO_BIN_EXE_modver"))
        .args(["get", &format!("{}/file", web.url)])
        .spawn()
        .unwrap();
    while names(&out).is_empty() {
        assert!(running.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(10));
    }
    o.sh(&format!("kill -INT {}", running.id())).ok();
    assert_eq!(running.wait().unwrap().code(), Some(130));
    assert_eq!(names(&out), [""; 0]);
}

#[test]
fn imports_of_urls_are_updated_when_their_mark_changes() {
    let s = Scratch::new();
    let repo = s.repo();
    repo.modver(["init", "--quiet"]).ok();
    let content = Arc::new(Mutex::new(("first\n".to_owned(), "\"one\"".to_owned())));
    let served = Arc::clone(&content);
    let web = Web::start(move |request, _| {
        let (body, etag) = served.lock().unwrap().clone();
        if request.path == "/noetag" {
            // Made on the fly: no HEAD, no mark.
            return match &*request.method {
                "HEAD" => status("405 Method Not Allowed", ""),
                _ => format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}").into_bytes(),
            };
        }
        file(request, body.as_bytes(), &etag)
    });
    let url = format!("{}/table.csv", web.url);
    repo.modver(["import-url", &url]).ok();
    let end = format!("\n[import]\nurl = \"{url}\"\netag = \"\\\"one\\\"\"\nsize = 6\n");
    let pointer = String::from_utf8(s.read("table.csv.mv")).unwrap();
    assert!(pointer.ends_with(&end), "{pointer}");
    repo.modver(["import-url", &format!("{}/noetag", web.url), "made.csv"])
        .ok();
    commit(repo, "import");
    let before = web.requests().len();
    assert_eq!(repo.modver(["update", "table.csv"]).ok(), "unchanged table.csv");
    assert_eq!(web.requests()[before..], ["HEAD /table.csv"]);
    let same = repo.modver(["update", "made.csv"]).ok();
    assert!(same.contains("the same content"), "{same}");
    *content.lock().unwrap() = ("second\n".to_owned(), "\"two\"".to_owned());
    assert_eq!(
        repo.modver(["update", "--dry-run", "table.csv"]).fails(1),
        format!("moved on table.csv ({url})")
    );
    let updated = repo.modver(["update"]).ok();
    assert!(updated.contains("updated table.csv (\"one\" -> \"two\")"), "{updated}");
    assert_eq!(
        (s.read("table.csv"), s.read("made.csv")),
        (b"second\n".to_vec(), b"second\n".to_vec())
    );
    commit(repo, "update");
    // Gone here and changed there: nothing else may come in its place.
    let clone = s.clone_to("clone");
    s.at(&clone).modver(["pull", "table.csv"]).ok();
    assert_eq!(s.at(&clone).read("table.csv"), b"second\n");
    *content.lock().unwrap() = ("third\n".to_owned(), "\"three\"".to_owned());
    let clone = s.clone_to("late");
    let late = s.at(&clone).modver(["pull", "table.csv"]);
    assert!(late.err().contains("does not have the content any more"), "{late}");
    late.fails(1);
    assert!(!s.at(&clone).has("table.csv"));
    for end in ["?token=hush", "?key=hush", "?api%5Fkey=hush", "#access_token=hush"] {
        let secret = repo.modver(["import-url", &format!("{url}{end}"), "x"]);
        assert!(
            secret.err().contains("credentials") && !secret.err().contains("hush"),
            "{secret}"
        );
        secret.fails(1);
    }
    repo.modver(["update", "table.csv", "--rev", "x"]).fails(1);
}

#[test]
fn a_server_cannot_fill_the_disk() {
    let s = Scratch::new();
    let repo = s.repo();
    repo.modver(["init", "--quiet"]).ok();
    let large = Arc::new(AtomicU32::new(0));
    let flag = Arc::clone(&large);
    let body = noise(10, 40_000_000);
    let web = Web::start(move |_, _| {
        let mut answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        match flag.load(SeqCst) {
            0 => answer.extend_from_slice(b"small\n"),
            _ => answer.extend_from_slice(&body),
        }
        answer
    });
    repo.modver(["import-url", &format!("{}/table.csv", web.url)]).ok();
    commit(repo, "import");
    large.store(1, SeqCst);
    let clone = s.clone_to("clone");
    let c = s.at(&clone);
    let pull = c.modver(["pull", "table.csv"]);
    assert!(pull.err().contains("does not have the content any more"), "{pull}");
    pull.fails(1);
    let megabytes: u64 = s.at(s.root()).sh("du -sm . | cut -f1").ok().trim().parse().unwrap();
    assert!(megabytes < 20, "{megabytes}");
    assert_eq!(
        web.requests()
            .iter()
            .filter(|request| *request == "GET /table.csv")
            .count(),
        2
    );
}

#[test]
fn objects_and_prefixes_of_s3() {
    let server = S3Server::start();
    let mut s = Scratch::new();
    for (name, value) in server.env(&s.home()) {
        s.set_env(name, value);
    }
    s.set_env("AWS_ENDPOINT_URL", &server.endpoint);
    let repo = s.repo();
    repo.modver(["init", "--quiet"]).ok();
    let big = noise(9, 9_000_000);
    fs::create_dir_all(server.files().join("raw/2026")).unwrap();
    fs::write(server.files().join("raw/big.bin"), &big).unwrap();
    fs::write(server.files().join("raw/2026/a.txt"), "a\n").unwrap();
    let out = s.root().join("out");
    fs::create_dir(&out).unwrap();
    s.at(&out).modver(["get", "s3://bucket/raw/big.bin"]).ok();
    assert_eq!(s.at(&out).read("big.bin"), big);
    s.at(&out).modver(["get", "s3://bucket/raw/2026/"]).ok();
    assert_eq!(s.at(&out).read("2026/a.txt"), b"a\n");
    let absent = s.at(&out).modver(["get", "s3://bucket/raw/nothing"]);
    assert!(absent.err().contains("no object"), "{absent}");
    absent.fails(1);
    repo.modver(["import-url", "s3://bucket/raw/", "data/raw"]).ok();
    assert_eq!(digest(&s.path("data/raw")), digest(&server.files().join("raw")));
    assert_eq!(repo.modver(["update"]).ok(), "unchanged data/raw");
    fs::write(server.files().join("raw/2026/b.txt"), "b\n").unwrap();
    let updated = repo.modver(["update"]).ok();
    assert!(updated.starts_with("updated data/raw"), "{updated}");
    assert_eq!(s.read("data/raw/2026/b.txt"), b"b\n");
}

#[test]
fn files_and_directories_of_this_machine() {
    let s = Scratch::new();
    let repo = s.repo();
    repo.modver(["init", "--quiet"]).ok();
    let disk = s.root().join("disk");
    let d = s.root();
    s.at(d).write("disk/run.sh", "echo\n");
    s.at(d).write("disk/set/a/1.txt", "one\n");
    s.at(d)
        .sh("chmod +x disk/run.sh; mkdir disk/set/empty; ln -s a/1.txt disk/set/link")
        .ok();
    repo.modver(["get", "../disk/run.sh"]).ok();
    repo.sh("test -x run.sh").ok();
    repo.modver(["get", &format!("file://{}/set", disk.display()), "-o", "copy"])
        .ok();
    assert_eq!(digest(&s.path("copy")), digest(&disk.join("set")));
    repo.modver(["import-url", "../disk/set"]).ok();
    assert_eq!(digest(&s.path("set")), digest(&disk.join("set")));
    let pointer = String::from_utf8(s.read("set.mv")).unwrap();
    assert!(
        pointer.contains("url = \"../disk/set\"\netag = \"listing-"),
        "{pointer}"
    );
    assert_eq!(repo.modver(["update"]).ok(), "unchanged set");
    s.at(d).write("disk/set/a/2.txt", "two\n");
    repo.modver(["update"]).ok();
    assert_eq!(digest(&s.path("set")), digest(&disk.join("set")));
    repo.modver(["import-url", "../disk/nothing"]).fails(1);
}
