//! What S3 services and networks do wrong, and what is made of it.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use modver::progress::Progress;
use modver::remote::transport::{
    Body, Capabilities, OpenOptions, PutMode, PutOutcome, RemoteSpec, TransportError, open, probe,
};

use super::s3::S3Server;
use super::scripted::Scripted;
use super::{noise, open_s3, options, s3_spec};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngood";
const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

fn status(status: &str, headers: &str, code: &str) -> String {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>");
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn get(answers: &[&str]) -> (Result<Vec<u8>, TransportError>, usize) {
    let server = Scripted::start(answers);
    let result = open_s3(&server.endpoint).unwrap().get("k", 100);
    (result, server.heads().len())
}

#[test]
fn what_may_pass_is_repeated() {
    let slow = status("503 Slow Down", "Retry-After: 0\r\n", "SlowDown");
    let internal = status("500 Internal Server Error", "", "InternalError");
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\npartial";
    for trouble in [slow.as_str(), &internal, cut, ""] {
        let (result, requests) = get(&[trouble, trouble, OK]);
        assert_eq!(result.unwrap(), b"good", "{trouble}");
        assert_eq!(requests, 3);
    }
    let (result, requests) = get(&[&slow]);
    assert!(matches!(result, Err(TransportError::Throttled { .. })), "{result:?}");
    assert_eq!(requests, 4);
    let (result, _) = get(&[cut]);
    let error = result.unwrap_err();
    assert!(
        matches!(
            error,
            TransportError::Truncated { .. } | TransportError::Disconnected { .. }
        ),
        "{error:?}"
    );
}

#[test]
fn what_will_not_pass_is_told_apart() {
    type Check = fn(&TransportError) -> bool;
    let cases: [(&str, &str, &str, Check); 9] = [
        ("403 Forbidden", "", "AccessDenied", |e| {
            matches!(e, TransportError::Denied { .. })
        }),
        ("403 Forbidden", "", "InvalidAccessKeyId", |e| {
            matches!(e, TransportError::Unauthenticated { .. })
        }),
        ("403 Forbidden", "", "SignatureDoesNotMatch", |e| {
            matches!(e, TransportError::Unauthenticated { .. })
        }),
        ("400 Bad Request", "", "ExpiredToken", |e| {
            matches!(e, TransportError::Unauthenticated { .. })
        }),
        ("404 Not Found", "", "NoSuchBucket", |e| {
            matches!(e, TransportError::NoRemote { what: "bucket", .. })
        }),
        ("404 Not Found", "", "NoSuchKey", |e| {
            matches!(e, TransportError::NotFound(_))
        }),
        ("507 Insufficient Storage", "", "XMinioStorageFull", |e| {
            matches!(e, TransportError::NoSpace { .. })
        }),
        ("400 Bad Request", "", "InvalidArgument", |e| {
            matches!(e, TransportError::Refused { status: 400, .. })
        }),
        (
            "301 Moved Permanently",
            "x-amz-bucket-region: eu-west-3\r\n",
            "PermanentRedirect",
            |e| matches!(e, TransportError::WrongRegion { region, .. } if region == "eu-west-3"),
        ),
    ];
    for (line, headers, code, check) in cases {
        let (result, requests) = get(&[&status(line, headers, code)]);
        let error = result.unwrap_err();
        assert!(check(&error), "{line} {code}: {error:?}");
        assert_eq!(requests, 1, "{line} {code}");
        assert!(error.to_string().contains("s3://bucket/p"), "{error}");
    }
}

#[test]
fn services_without_conditional_writes_get_plain_ones() {
    let refusal = status("501 Not Implemented", "", "NotImplemented");
    let server = Scripted::start(&[&refusal, EMPTY]);
    let remote = open_s3(&server.endpoint).unwrap();
    for _ in 0..2 {
        let outcome = remote.put("k", &b"x".to_vec().into(), PutMode::IfAbsent).unwrap();
        assert_eq!(outcome, PutOutcome::Created);
    }
    let conditional = |head: &String| head.to_ascii_lowercase().contains("if-none-match: *");
    let heads = server.heads();
    assert_eq!(heads.iter().map(conditional).collect::<Vec<_>>(), [true, false, false]);

    let lost = Scripted::start(&["", &status("412 Precondition Failed", "", "PreconditionFailed")]);
    let outcome = open_s3(&lost.endpoint)
        .unwrap()
        .put("k", &b"x".to_vec().into(), PutMode::IfAbsent);
    assert_eq!(outcome.unwrap(), PutOutcome::Existed);
}

#[test]
fn a_probe_believes_what_it_sees() {
    let denied = status("403 Forbidden", "", "AccessDenied");
    let server = Scripted::start(&[&denied]);
    assert_eq!(
        probe(open_s3(&server.endpoint).unwrap().as_ref(), "1").unwrap(),
        Capabilities::default()
    );
    let broken = Scripted::start(&[&status("403 Forbidden", "", "InvalidAccessKeyId")]);
    assert!(probe(open_s3(&broken.endpoint).unwrap().as_ref(), "1").is_err());
}

#[test]
fn a_service_that_ignores_ranges_is_noticed() {
    let server = Scripted::start(&[OK]);
    let error = open_s3(&server.endpoint).unwrap().get_range("k", 0..2).unwrap_err();
    assert!(matches!(error, TransportError::Unsupported { .. }), "{error:?}");
}

#[test]
fn nobody_there() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let error = open_s3(&format!("http://{free}")).unwrap().list("").unwrap_err();
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error:?}");
    let error = open_s3("http://no-such-host.invalid").unwrap().list("").unwrap_err();
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error:?}");
}

#[test]
fn an_interrupt_ends_a_request() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let progress = Arc::new(Progress::new());
    let remote = open(
        &s3_spec(&endpoint, "s3://bucket", "a", "b"),
        &OpenOptions {
            progress: Arc::clone(&progress),
            ..options()
        },
    )
    .unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| remote.get("k", 9));
        std::thread::sleep(Duration::from_millis(200));
        progress.interrupt();
        assert!(matches!(waiting.join().unwrap(), Err(TransportError::Interrupted(_))));
    });
}

#[test]
fn wrong_credentials_and_buckets() {
    let server = S3Server::start();
    let refused = |error: TransportError| {
        assert!(matches!(error, TransportError::Unauthenticated { .. }), "{error:?}");
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains(&server.secret_key) && !shown.contains("wrong-secret"),
            "{shown}"
        );
    };
    let with =
        |url: &str, key: &str, secret: &str| open(&s3_spec(&server.endpoint, url, key, secret), &options()).unwrap();
    refused(with("s3://bucket", "nobody", "wrong-secret").get("k", 9).unwrap_err());
    refused(
        with("s3://bucket", &server.access_key, "wrong-secret")
            .list("")
            .unwrap_err(),
    );
    let missing = with("s3://no-bucket/x", &server.access_key, &server.secret_key);
    let error = missing.list("").unwrap_err();
    assert!(
        matches!(error, TransportError::NoRemote { what: "bucket", .. }),
        "{error:?}"
    );
    let anonymous = RemoteSpec {
        credentials: None,
        anonymous: true,
        ..s3_spec(&server.endpoint, "s3://bucket", "", "")
    };
    let error = open(&anonymous, &options()).unwrap().get("k", 9).unwrap_err();
    assert!(
        matches!(
            error,
            TransportError::Denied { .. } | TransportError::Unauthenticated { .. }
        ),
        "{error:?}"
    );
}

#[test]
fn endpoints_are_checked() {
    for endpoint in ["127.0.0.1:9000", "ftp://x", "http://", "http://u:hush@host:9000"] {
        let error = open_s3(endpoint).err().unwrap();
        assert!(matches!(error, TransportError::Url { .. }), "{endpoint}: {error:?}");
        assert!(!format!("{error:?}").contains("hush"));
    }
}

/// A body too large for one request goes in parts, and a failed upload leaves nothing behind.
#[test]
fn very_large_files_go_in_parts() {
    let server = S3Server::start();
    let remote = open(
        &s3_spec(&server.endpoint, "s3://bucket", &server.access_key, &server.secret_key),
        &options(),
    )
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("large");
    let bytes = noise(5, (128 << 20) + 12_345);
    std::fs::write(&file, &bytes).unwrap();
    remote
        .put("packs/xx/large", &Body::file(&file), PutMode::IfAbsent)
        .unwrap();
    let requests = server.requests();
    assert_eq!((requests["POST"], requests["PUT"]), (2, 3), "{requests:?}");
    assert!(std::fs::read(server.files().join("packs/xx/large")).unwrap() == bytes);
}
