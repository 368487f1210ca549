//! A pushed directory behind any web server.

use std::path::{Path, PathBuf};

use super::support::{Scratch, digest};
use super::{noise, web, with_remote};

/// Serves a directory; `ranges` is whether it knows parts of files.
fn serve_files(dir: &Path, ranges: bool) -> web::Web {
    let dir: PathBuf = dir.to_owned();
    web::Web::start(move |request, _| {
        let Some(path) = request.path.strip_prefix("/files/") else {
            return web::status("404 Not Found", "");
        };
        web::stored(request, &dir.join(path), ranges)
    })
}

fn pushed(s: &Scratch) -> PathBuf {
    let store = s.root().join("store");
    std::fs::create_dir(&store).unwrap();
    with_remote(s, store.to_str().unwrap());
    s.repo().modver(["push", "--quiet"]).ok();
    store
}

#[test]
fn any_web_server_serves_pulls() {
    for ranges in [true, false] {
        let s = Scratch::new();
        let store = pushed(&s);
        let files = serve_files(&store, ranges);
        let url = format!("remote.hub.url={}/files", files.url);
        let clone = s.clone_to("clone");
        let clone = s.at(&clone);
        clone.modver(["-c", &url, "pull", "--quiet"]).ok();
        assert_eq!(digest(&s.root().join("clone")), digest(&s.path("")));
        let listing = files.requests().iter().any(|request| request.contains("?list="));
        assert!(!listing, "{:?}", files.requests());

        // What is pushed later is seen, too.
        s.write("later.bin", noise(77, 300_000));
        s.repo().modver(["add", "later.bin"]).ok();
        super::commit(s.repo());
        s.repo().modver(["push", "--quiet"]).ok();
        clone.git(["pull", "--quiet"]).ok();
        clone.modver(["-c", &url, "pull", "--quiet"]).ok();
        assert_eq!(clone.read("later.bin"), noise(77, 300_000));

        clone.write("mine.bin", noise(78, 1000));
        clone.modver(["add", "mine.bin"]).ok();
        let refused = clone.modver(["-c", &url, "push", "mine.bin"]);
        assert_eq!(refused.code, 1, "{refused}");
        assert!(refused.err().contains("modver serve"), "{refused}");
        let written = files.requests().iter().any(|request| request.starts_with("PUT"));
        assert!(!written, "{:?}", files.requests());
    }
}

#[test]
fn a_place_that_is_no_store_says_so() {
    let s = Scratch::new();
    pushed(&s);
    let files = serve_files(s.root(), true);
    let clone = s.clone_to("clone");
    let clone = s.at(&clone);
    let url = format!("remote.hub.url={}/files/nothing", files.url);
    let refused = clone.modver(["-c", &url, "pull"]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(refused.err().contains("remote `hub` does not have it"), "{refused}");
    for bad in ["https://user:pw@host/x", "http://", "https://host/x?token=abc"] {
        let refused = clone.modver(["remote", "add", "bad", bad]);
        assert_eq!(refused.code, 1, "{refused}");
        assert!(
            !refused.err().contains("pw") && !refused.err().contains("abc"),
            "{refused}"
        );
    }
}
