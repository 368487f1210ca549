//! Remotes that let their objects be got and not be listed: they can be pulled from, and nothing else.

use std::path::{Path, PathBuf};

use super::support::{Repo, digest};
use super::{add, noise, sample_in, web, with_dir_remote};

/// What a service without the right to list answers: to listings this, to what does not exist that.
struct Service {
    /// The remote's URL, for the server's `host:port`.
    url: fn(&str) -> String,
    /// Further lines of its settings.
    settings: fn(&str) -> String,
    /// The key that a request is for; `None` if it is no object.
    key: fn(&str) -> Option<String>,
    listing: (&'static str, &'static str),
    missing: (&'static str, &'static str),
}

const DENIED: &str = "<Error><Code>AccessDenied</Code><Message>No.</Message></Error>";

fn decoded(text: &str) -> String {
    text.replace("%2F", "/").replace("%2f", "/")
}

const SERVICES: [Service; 4] = [
    // A web server that knows GET and HEAD.
    Service {
        url: |address| format!("webdav://{address}/store"),
        settings: |_| String::new(),
        key: |path| path.strip_prefix("/store/").map(str::to_owned),
        listing: ("405 Method Not Allowed", ""),
        missing: ("404 Not Found", ""),
    },
    // Without the right to list, S3 does not say either that an object does not exist.
    Service {
        url: |_| "s3://bucket/store".to_owned(),
        settings: |address| format!("endpoint = \"http://{address}\"\nregion = \"us-east-1\"\nanonymous = true\n"),
        key: |path| path.strip_prefix("/bucket/store/").map(str::to_owned),
        listing: ("403 Forbidden", DENIED),
        missing: ("403 Forbidden", DENIED),
    },
    // Google does not know who asks for a list of a public bucket's objects.
    Service {
        url: |_| "gs://bucket/store".to_owned(),
        settings: |address| format!("endpoint = \"http://{address}\"\nanonymous = true\n"),
        key: |path| {
            let name = path.strip_prefix("/storage/v1/b/bucket/o/")?.split('?').next()?;
            decoded(name).strip_prefix("store/").map(str::to_owned)
        },
        listing: (
            "401 Unauthorized",
            "{\"error\":{\"code\":401,\"message\":\"Anonymous caller does not have storage.objects.list access\"}}",
        ),
        missing: (
            "404 Not Found",
            "{\"error\":{\"code\":404,\"message\":\"No such object\"}}",
        ),
    },
    // Azure hides a container of which only the objects are public.
    Service {
        url: |_| "azure://bucket/store".to_owned(),
        settings: |address| {
            format!("endpoint = \"http://{address}/account\"\naccount_name = \"account\"\nanonymous = true\n")
        },
        key: |path| path.strip_prefix("/account/bucket/store/").map(str::to_owned),
        listing: (
            "404 Not Found",
            "<Error><Code>ResourceNotFound</Code><Message>The specified resource does not exist.</Message></Error>",
        ),
        missing: (
            "404 Not Found",
            "<Error><Code>BlobNotFound</Code><Message>No.</Message></Error>",
        ),
    },
];

/// Has the remote of a clone be this service's.
fn point(clone: Repo<'_>, service: &Service, address: &str) {
    let (url, settings) = ((service.url)(address), (service.settings)(address));
    clone.write(
        ".git/modver/config.toml",
        format!("[remote.origin]\nurl = {url:?}\n{settings}"),
    );
}

fn serve(store: &Path, service: &'static Service) -> web::Web {
    let store: PathBuf = store.to_owned();
    web::Web::start(move |request, _| {
        let path = request.path.as_str();
        let object = (service.key)(path).filter(|key| !key.is_empty() && !path.contains("list-type"));
        match (request.method.as_str(), object) {
            ("GET" | "HEAD", Some(key)) if store.join(&key).is_file() => web::stored(request, &store.join(key), true),
            ("GET" | "HEAD", Some(_)) => web::page(service.missing.0, service.missing.1.as_bytes()),
            _ => web::page(service.listing.0, service.listing.1.as_bytes()),
        }
    })
}

#[test]
fn what_cannot_be_listed_can_be_pulled() {
    for service in &SERVICES {
        let s = with_dir_remote();
        sample_in(&s);
        s.repo().modver(["push", "--quiet"]).ok();
        let server = serve(&s.root().join("remote"), service);
        let address = server.url.strip_prefix("http://").unwrap();
        let url = (service.url)(address);
        let dir = s.clone_to("clone");
        let clone = s.at(&dir);
        point(clone, service, address);
        clone.modver(["pull"]).ok();
        assert_eq!(digest(&dir), digest(&s.path("")), "{url}");
        let verified = clone.modver(["verify", "--remote"]);
        assert_eq!(verified.code, 0, "{url}: {verified}");
        let deep = clone.modver(["verify", "--remote", "--deep"]);
        assert_eq!(deep.code, 0, "{url}: {deep}");
        let probed = clone.modver(["doctor", "--remote", "origin"]).ok();
        assert!(
            probed.contains("write                     no") && probed.contains("list                      no"),
            "{url}: {probed}"
        );
        assert!(clone.modver(["doctor"]).ok().contains("can be read"), "{url}");

        // What is pushed later is seen.
        s.write("later.bin", noise(7, 300_000));
        add(s.repo(), &["later.bin"]);
        s.repo().modver(["push", "--quiet"]).ok();
        clone.git(["pull", "--quiet"]).ok();
        clone.modver(["pull", "--quiet"]).ok();
        assert_eq!(clone.read("later.bin"), noise(7, 300_000), "{url}");

        // Nothing is sent there.
        let before = digest(&s.root().join("remote"));
        clone.write("mine.bin", noise(8, 1000));
        clone.modver(["add", "mine.bin"]).ok();
        clone.modver(["push", "mine.bin"]).fails(1);
        assert_eq!(digest(&s.root().join("remote")), before, "{url}");
    }
}

/// Who may write and cannot see what is there writes nothing.
#[test]
fn without_a_list_nothing_is_pushed() {
    let s = with_dir_remote();
    sample_in(&s);
    s.repo().modver(["push", "--quiet"]).ok();
    let store = s.root().join("remote");
    let root = store.clone();
    let service = &SERVICES[1];
    let server = web::Web::start(move |request, _| {
        let path = request.path.split('?').next().unwrap();
        let file = (service.key)(path)
            .filter(|key| !key.is_empty())
            .map(|key| root.join(key));
        match (request.method.as_str(), file) {
            ("PUT", Some(file)) => {
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, &request.body).unwrap();
                web::status("200 OK", "etag: \"x\"\r\n")
            }
            ("DELETE", Some(file)) => {
                let _ = std::fs::remove_file(file);
                web::status("204 No Content", "")
            }
            ("GET" | "HEAD", Some(file)) if file.is_file() => web::stored(request, &file, true),
            _ => web::page(service.listing.0, service.listing.1.as_bytes()),
        }
    });
    let address = server.url.strip_prefix("http://").unwrap();
    let clone = s.clone_to("clone");
    let clone = s.at(&clone);
    point(clone, service, address);
    clone.write("mine.bin", noise(8, 1000));
    clone.modver(["add", "mine.bin"]).ok();
    let _ = std::fs::remove_dir(store.join("leases"));
    let before = digest(&store);
    let refused = clone.modver(["push", "mine.bin"]);
    let shown = refused.err();
    assert!(
        shown.contains("cannot write to remote `origin`, whose objects cannot be listed")
            && shown.contains("hint: push to another remote"),
        "{refused}"
    );
    refused.fails(1);
    let _ = std::fs::remove_dir(store.join("leases"));
    assert_eq!(digest(&store), before);
}

/// Without the list of runs nobody knows what is there; the refusal is told, not that the remote lacks something.
#[test]
fn without_a_list_of_runs_the_refusal_is_told() {
    let s = with_dir_remote();
    sample_in(&s);
    s.repo().modver(["push", "--quiet"]).ok();
    std::fs::remove_file(s.root().join("remote/catalog/current")).unwrap();
    let service = &SERVICES[1];
    let server = serve(&s.root().join("remote"), service);
    let address = server.url.strip_prefix("http://").unwrap();
    let dir = s.clone_to("clone");
    let clone = s.at(&dir);
    point(clone, service, address);
    let refused = clone.modver(["pull"]);
    assert!(
        refused
            .err()
            .contains("permission denied: `catalog/` in remote `s3://bucket/store at"),
        "{refused}"
    );
    refused.fails(1);
}
