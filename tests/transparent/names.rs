//! Strange names, and content that is no plain content.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::support::digest;
use super::{clean, commit_all, is_pointer, ready, stored};

#[test]
fn any_name_that_a_file_can_have() {
    let names: [&[u8]; 14] = [
        b" lead",
        b"trail ",
        b" ",
        b"two  words",
        b"tab\tin",
        b"line\nfeed",
        b"end\n",
        b"#hash",
        b"!bang",
        b"\"quoted\"",
        b"[a]*?\\x",
        b"\xff\xfe not text",
        b"caf\xc3\xa9",
        b"dir /x ",
    ];
    let s = ready();
    let repo = s.repo();
    for name in names {
        s.write(OsStr::from_bytes(name), [name, b" is its content"].concat());
    }
    let tracked = names.iter().map(|name| OsStr::from_bytes(name));
    let args = ["track", "--filename", "--"].map(OsStr::new).into_iter().chain(tracked);
    repo.modver(args).ok();
    commit_all(repo, "Add");
    let listed = repo.git(["ls-files", "-z"]).stdout;
    let blobs = listed.split(|&b| b == 0).filter(|path| names.contains(path));
    assert_eq!(blobs.count(), names.len());
    assert_eq!(
        repo.modver(["ls", "--json"]).json()["entries"]
            .as_array()
            .unwrap()
            .len(),
        names.len()
    );
    let before = digest(&s.path(""));
    for name in names {
        std::fs::remove_file(s.path(OsStr::from_bytes(name))).unwrap();
    }
    repo.git(["checkout", "--quiet", "."]).ok();
    assert_eq!(digest(&s.path("")), before);
    repo.modver(["push"]).ok();
    let copy = s.clone_to("copy");
    let copy = s.at(&copy);
    copy.modver(["pull"]).ok();
    clean(copy);
    assert_eq!(digest(&s.root().join("copy")), before);
}

#[test]
fn what_is_pointer_text_already_passes_unchanged() {
    let s = ready();
    let repo = s.repo();
    s.write("a.bin", "content");
    commit_all(repo, "Add");
    let text = format!("{}\n", stored(repo, "HEAD:a.bin"));
    s.write("copy.bin", &text);
    // Looks like one, but git would not give it back as it is.
    let like = text.replace('\n', "\r\n");
    s.write("like.bin", &like);
    commit_all(repo, "Pointers");
    assert_eq!(stored(repo, "HEAD:copy.bin"), text.trim_end());
    is_pointer(&stored(repo, "HEAD:like.bin"), like.as_bytes());
    for path in ["copy.bin", "like.bin"] {
        std::fs::remove_file(s.path(path)).unwrap();
    }
    repo.git(["checkout", "--quiet", "."]).ok();
    assert_eq!(s.read("copy.bin"), b"content");
    assert_eq!(s.read("like.bin"), like.as_bytes());
    clean(repo);
}

#[test]
fn content_that_git_stored_itself_comes_back_as_it_is() {
    let s = ready();
    let repo = s.repo();
    let large = super::noise(9, 3 << 20);
    s.write("old.bin", &large);
    s.write("old-small.bin", "plain");
    repo.sh("git -c filter.modver.process= -c filter.modver.required=false add .")
        .ok();
    repo.sh("git -c filter.modver.process= -c filter.modver.required=false commit -qm Old")
        .ok();
    assert_eq!(repo.git(["cat-file", "-s", "HEAD:old.bin"]).ok(), (3 << 20).to_string());
    for path in ["old.bin", "old-small.bin"] {
        std::fs::remove_file(s.path(path)).unwrap();
    }
    repo.git(["checkout", "--quiet", "."]).ok();
    assert!(s.read("old.bin") == large);
    assert_eq!(s.read("old-small.bin"), b"plain");
}
