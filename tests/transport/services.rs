//! What single services do in their own way, told by a scripted server; and what a build, a URL or a setting lacks.

use modver::remote::transport::{Capabilities, PutMode, PutOutcome, RemoteSpec, Secret, TransportError, open};

use super::scripted::Scripted;
use super::{azure_spec, options, webdav_spec};

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn google(endpoint: &str) -> RemoteSpec {
    RemoteSpec {
        name: "test".into(),
        url: "gs://bucket/p".into(),
        endpoint: Some(endpoint.into()),
        anonymous: true,
        ..RemoteSpec::default()
    }
}

#[test]
fn google_creates_in_one_request_and_on_a_condition() {
    let made = answer(
        "200 OK",
        "{\"name\":\"p/k\",\"size\":\"1\",\"updated\":\"2026-01-01T00:00:00Z\",\"contentType\":\"x/y\",\
         \"etag\":\"e\",\"generation\":\"1\"}",
    );
    let exists = answer(
        "412 Precondition Failed",
        "{\"error\":{\"code\":412,\"message\":\"m\",\"errors\":[{\"reason\":\"conditionNotMet\"}]}}",
    );
    let server = Scripted::start(&[&made, &exists, &made]);
    let remote = open(&google(&server.endpoint), &options()).unwrap();
    let body = b"x".to_vec().into();
    assert_eq!(remote.put("k", &body, PutMode::IfAbsent).unwrap(), PutOutcome::Created);
    assert_eq!(remote.put("k", &body, PutMode::IfAbsent).unwrap(), PutOutcome::Existed);
    assert_eq!(remote.put("k", &body, PutMode::Overwrite).unwrap(), PutOutcome::Created);
    let conditions: Vec<bool> = server
        .heads()
        .iter()
        .map(|head| head.contains("ifGenerationMatch=0"))
        .collect();
    assert_eq!(conditions, [true, true, false]);
}

#[test]
fn googles_errors_are_told_apart() {
    let refused = |status: &str, reason: &str, message: &str| {
        let page = format!("{{\"error\":{{\"message\":\"{message}\",\"errors\":[{{\"reason\":\"{reason}\"}}]}}}}");
        let server = Scripted::start(&[&answer(status, &page)]);
        let remote = open(&google(&server.endpoint), &options()).unwrap();
        remote.list("").unwrap_err()
    };
    let error = refused("404 Not Found", "notFound", "The specified bucket does not exist.");
    assert!(
        matches!(error, TransportError::NoRemote { what: "bucket", .. }),
        "{error:?}"
    );
    let error = refused("401 Unauthorized", "authError", "Invalid Credentials");
    assert!(matches!(error, TransportError::Unauthenticated { .. }), "{error:?}");
    let error = refused("403 Forbidden", "forbidden", "no access");
    assert!(matches!(error, TransportError::Denied { .. }), "{error:?}");
    let error = refused("403 Forbidden", "rateLimitExceeded", "slower");
    assert!(matches!(error, TransportError::Throttled { .. }), "{error:?}");
}

/// A signature is in the query of every URL.
#[test]
fn azures_signature_is_not_shown() {
    let page = "<Error><Code>AuthenticationFailed</Code><Message>No.</Message></Error>";
    let server = Scripted::start(&[&answer("403 Forbidden", page)]);
    let address = server.endpoint.trim_start_matches("http://");
    let spec = RemoteSpec {
        account_key: None,
        sas_token: Some(Secret::new("?sv=1&sig=hush")),
        ..azure_spec(address, "azure://bucket/p")
    };
    let error = open(&spec, &options()).unwrap().get("k", 9).unwrap_err();
    assert!(matches!(error, TransportError::Unauthenticated { .. }), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("hush"), "{error:?}");
    assert!(server.heads()[0].contains("sig=hush"), "{:?}", server.heads());
}

#[test]
fn webdav_stages_and_moves() {
    let server = Scripted::start(&[
        &answer("404 Not Found", ""),
        &answer("405 Method Not Allowed", ""),
        &answer("201 Created", ""),
        &answer("412 Precondition Failed", ""),
        &answer("204 No Content", ""),
    ]);
    let url = server.endpoint.replace("http:", "webdav:") + "/root";
    let remote = open(&webdav_spec(&url), &options()).unwrap();
    let outcome = remote.put("a/k", &b"x".to_vec().into(), PutMode::IfAbsent).unwrap();
    assert_eq!(outcome, PutOutcome::Existed);
    let heads = server.heads();
    let methods: Vec<&str> = heads.iter().map(|head| head.split(' ').next().unwrap()).collect();
    assert_eq!(methods, ["PROPFIND", "MKCOL", "PUT", "MOVE", "DELETE"]);
    assert!(heads[2].contains("PUT /root/tmp/"), "{}", heads[2]);
    let order = heads[3].to_ascii_lowercase();
    assert!(order.contains("overwrite: f") && order.contains("/root/a/k"), "{order}");
}

#[test]
fn what_is_recorded_is_not_tried_again() {
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngood";
    let server = Scripted::start(&[whole]);
    let spec = RemoteSpec {
        abilities: Some(Capabilities {
            writable: true,
            list: true,
            delete: true,
            ..Capabilities::default()
        }),
        ..super::s3_spec(&server.endpoint, "s3://bucket/p", "AKIDTEST", "secret")
    };
    let remote = open(&spec, &options()).unwrap();
    assert_eq!(remote.get_range("k", 1..3).unwrap(), b"oo");
    remote.put("k", &b"x".to_vec().into(), PutMode::IfAbsent).unwrap();
    let conditional = |head: &String| head.to_ascii_lowercase().contains("if-none-match");
    assert!(!server.heads().iter().any(conditional));
}

#[test]
fn what_is_missing_is_named() {
    let error = |url: &str| {
        let spec = RemoteSpec {
            name: "lab".into(),
            url: url.into(),
            ..RemoteSpec::default()
        };
        let error = open(&spec, &options()).err().unwrap();
        std::error::Error::source(&error).unwrap().to_string()
    };
    assert!(error("hdfs://h/p").contains("webhdfs://host:9870/path"));
    for (url, feature, is_built) in [
        ("oss://b/p", "oss", cfg!(feature = "oss")),
        ("webhdfs://h/p", "webhdfs", cfg!(feature = "webhdfs")),
        ("gdrive://f", "gdrive", cfg!(feature = "gdrive")),
        ("hf://u/r", "huggingface", cfg!(feature = "huggingface")),
    ] {
        if !is_built {
            let message = error(url);
            assert!(message.contains(&format!("--features {feature}")), "{message}");
        }
    }
}
