//! Looking without changing: status, diff, ls, cat, du.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Stdio;

use serde_json::{Value, json};
use support::{Output, Scratch};

/// A directory with eight files and links, and a file: tracked and committed.
fn tracked() -> Scratch {
    let s = Scratch::new();
    for name in ["1", "2", "3"] {
        s.write(format!("data/a/{name}.txt"), format!("a {name}\n"));
        s.write(format!("data/b/{name}.txt"), format!("b {name}\n"));
    }
    s.write("data/run.sh", "#!/bin/sh\n");
    fs::set_permissions(s.path("data/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("a/1.txt", s.path("data/link")).unwrap();
    fs::create_dir(s.path("data/empty")).unwrap();
    s.write("model.bin", "model 1\n");
    modver(&s, &["add", "data", "model.bin"]).ok();
    commit(&s, "One");
    s
}

fn modver(s: &Scratch, args: &[&str]) -> Output {
    s.repo().modver(args)
}

fn commit(s: &Scratch, message: &str) {
    s.git(["add", "--all"]).ok();
    s.git(["commit", "--quiet", "--message", message]).ok();
}

/// Lines with runs of spaces made one, so that columns may move.
fn lines(text: &str) -> Vec<String> {
    let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(squeeze).collect()
}

/// The state of each output, by path.
fn states(s: &Scratch, args: &[&str]) -> Vec<(String, String)> {
    let outcome = modver(s, &[&["status", "--json"], args].concat()).json();
    let outputs = outcome["outputs"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    outputs
        .iter()
        .map(|output| (text(&output["path"]), text(&output["state"])))
        .collect()
}

fn state(s: &Scratch, path: &str) -> String {
    let all = states(s, &[]);
    all.into_iter().find(|(found, _)| found == path).unwrap().1
}

#[test]
fn nothing_differs() {
    let s = tracked();
    let status = modver(&s, &["status", "--check"]);
    assert_eq!(status.err(), "everything is as the pointers say (2 outputs)\n");
    assert_eq!(status.ok(), "");
    assert_eq!(modver(&s, &["status", "--quiet"]).err(), "");
    let json = modver(&s, &["status", "--json"]).json();
    assert_eq!((&json["clean"], &json["exit"]), (&json!(true), &json!(0)));
    assert_eq!(
        json["outputs"][0],
        json!({"path": "data", "dir": true, "transparent": false, "stage": null, "size": 34, "state": "unchanged", "present": null,
            "counts": null, "files": null, "in_cache": null, "missing_files": null, "in_remote": null, "source": null,
            "clashes": [], "problems": []})
    );
    let diff = modver(&s, &["diff"]);
    assert_eq!(diff.err(), "nothing is different\n");
    assert_eq!(diff.ok(), "");
    // A repository with nothing tracked.
    let empty = Scratch::new();
    assert_eq!(
        modver(&empty, &["status", "--check"]).err(),
        "nothing is tracked here\n"
    );
}

#[test]
fn an_unchanged_workspace_needs_no_cache() {
    let s = tracked();
    let cache = s.path(".git/modver/cache");
    fs::rename(&cache, s.root().join("elsewhere")).unwrap();
    modver(&s, &["status", "--check"]).ok();
    assert!(!cache.exists(), "the cache was opened");
    // Touched files are hashed, not looked up, and known from then on.
    let day = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    let touch = |path: &str| fs::File::open(s.path(path)).unwrap().set_modified(day).unwrap();
    touch("model.bin");
    touch("data/a/1.txt");
    let newest = || {
        let states = fs::read_dir(s.path(".git/modver/state")).unwrap();
        states
            .map(|entry| entry.unwrap().metadata().unwrap().modified().unwrap())
            .max()
    };
    let before = newest();
    modver(&s, &["status", "--check"]).ok();
    assert!(newest() > before, "what was hashed was not recorded");
    assert!(!cache.exists());
    // Asked about every file, the cache is looked into.
    let json = modver(&s, &["status", "--granular", "--check", "--json"]);
    assert_eq!(json.code, 1);
    let json = json.json();
    assert_eq!(json["outputs"][1]["in_cache"], false);
    assert_eq!(json["outputs"][1]["missing_files"], 1);
    let text = modver(&s, &["status", "--granular"]).ok();
    assert_eq!(lines(&text), ["missing in cache: data/", "missing in cache: model.bin"]);
}

#[test]
fn what_differs_is_counted_and_named() {
    let s = tracked();
    s.write("data/new", "new\n");
    s.write("data/a/1.txt", "changed\n");
    fs::rename(s.path("data/b/2.txt"), s.path("data/b/moved.txt")).unwrap();
    fs::remove_file(s.path("data/b/3.txt")).unwrap();
    fs::remove_file(s.path("data/a/2.txt")).unwrap();
    s.write("data/a/2.txt/in", "x\n");
    fs::remove_file(s.path("model.bin")).unwrap();

    let summary = "data/ (2 added, 1 modified, 1 deleted, 1 renamed, 1 type changed)";
    let status = modver(&s, &["status"]);
    assert_eq!(
        status.err(),
        "hint: modver commit data   to keep the changes\n\
         hint: modver checkout model.bin   to make the workspace match\n"
    );
    assert_eq!(
        lines(&status.ok()),
        [&format!("modified: {summary}"), "deleted: model.bin"]
    );
    let files = [
        "modified: data/a/1.txt (4 B -> 8 B)",
        "type changed: data/a/2.txt (file -> directory)",
        "added: data/a/2.txt/in (2 B)",
        "deleted: data/b/3.txt (4 B)",
        "renamed: data/b/2.txt -> data/b/moved.txt",
        "added: data/new (4 B)",
    ];
    let granular = lines(&modver(&s, &["status", "--granular"]).ok());
    assert_eq!(granular[1..7], files);
    let diff = modver(&s, &["diff"]);
    let said = diff.err();
    assert_eq!(
        said,
        "2 outputs differ: 2 added, 1 modified, 2 deleted, 1 renamed, 1 type changed; +14 B, -20 B\n"
    );
    let diff = lines(&diff.ok());
    assert_eq!(
        (&diff[0], &diff[1..7]),
        (&format!("modified: {summary}"), &files.map(str::to_owned)[..])
    );
    assert_eq!(diff[7], "deleted: model.bin (8 B)");

    let json = modver(&s, &["diff", "--json", "data/b"]).json();
    assert_eq!((&json["from"], &json["to"]), (&json!("HEAD"), &Value::Null));
    assert_eq!(json["counts"]["renamed"], 1);
    assert_eq!(json["outputs"][0]["files"].as_array().unwrap().len(), 2);
    assert_eq!(json["outputs"][0]["files"][1]["from"], "data/b/2.txt");
    let json = modver(&s, &["status", "--json", "--granular", "data/b", "--check"]);
    assert_eq!(json.code, 1);
    assert_eq!(json.json()["outputs"][0]["files"].as_array().unwrap().len(), 2);
    assert_eq!(
        states(&s, &["data/empty"]),
        [("data".to_owned(), "unchanged".to_owned())]
    );
    modver(&s, &["status", "elsewhere"]).fails(1);

    // Without the old listings only outputs can be compared.
    fs::remove_dir_all(s.path(".git/modver/cache")).unwrap();
    let diff = modver(&s, &["diff"]);
    assert!(diff.err().contains("1 listing is not in the cache"), "{diff}");
    assert_eq!(lines(&diff.ok())[0], "modified: data/ (8 files, 34 B -> 8 files, 36 B)");
    let status = lines(&modver(&s, &["status"]).ok());
    assert_eq!(status[0], "modified: data/ (its listing is not in the cache)");
}

#[test]
fn a_pointer_that_moved_is_not_a_change_of_the_user() {
    let s = tracked();
    s.write("data/a/1.txt", "second\n");
    s.write("model.bin", "model 2\n");
    modver(&s, &["commit"]).ok();
    commit(&s, "Two");
    s.git(["checkout", "--quiet", "HEAD~1"]).ok();
    let status = modver(&s, &["status", "--check"]);
    assert_eq!(status.err(), "hint: modver checkout   to make the workspace match\n");
    assert_eq!(
        lines(&status.fails(1)),
        ["outdated: data/ (1 modified)", "outdated: model.bin"]
    );
    modver(&s, &["checkout"]).ok();
    modver(&s, &["status", "--check"]).ok();
}

#[test]
fn kinds_change() {
    let s = tracked();
    fs::remove_file(s.path("model.bin")).unwrap();
    s.write("model.bin/inside", "x");
    fs::remove_dir_all(s.path("data")).unwrap();
    s.write("data", "now a file");
    let both = ["type changed: data/", "type changed: model.bin"];
    assert_eq!(lines(&modver(&s, &["status", "--check"]).fails(1)), both);
    fs::remove_dir_all(s.path("model.bin")).unwrap();
    symlink("data", s.path("model.bin")).unwrap();
    assert_eq!(state(&s, "model.bin"), "type-changed");
}

#[test]
fn what_was_never_here_is_absent_and_parts_are_enough() {
    let s = tracked();
    let clone = s.clone_to("clone");
    let clone = s.at(&clone);
    let status = clone.modver(["status", "--check"]);
    assert_eq!(status.err(), "hint: modver pull   to bring it here\n");
    let absent = [
        "absent: data/ (not in the cache)",
        "absent: model.bin (not in the cache)",
    ];
    assert_eq!(lines(&status.fails(1)), absent);
    clone.modver(["ls", "data"]).fails(1);
    assert!(
        clone
            .modver(["ls", "data"])
            .err()
            .ends_with("hint: modver fetch data\n")
    );
    assert_eq!(clone.modver(["ls"]).ok(), "data/\nmodel.bin");

    // With the content at hand, a part is checked out.
    clone.sh("cp -R ../repo/.git/modver/cache .git/modver/").ok();
    clone.modver(["checkout", "data/b", "model.bin"]).ok();
    let status = clone.modver(["status", "--check"]);
    assert_eq!(lines(&status.ok()), ["partly present: data/ (3 of 8 files here)"]);
    let json = clone.modver(["status", "--json"]).json();
    assert_eq!(
        json["outputs"][0]["present"],
        json!({"files": 3, "of": 8, "parts": ["data/b"]})
    );
    assert_eq!(
        clone.modver(["status", "--json", "data/a"]).json()["outputs"][0]["state"],
        "absent"
    );
    clone.write("data/b/4.txt", "new\n");
    fs::remove_file(clone_path(&s, "data/b/1.txt")).unwrap();
    let status = lines(&clone.modver(["status"]).ok());
    assert_eq!(status, ["modified: data/ (1 added, 1 deleted; 3 of 8 files here)"]);
    // Data that came another way is recognised.
    clone.sh("rm -rf data .git/modver/state; cp -R ../repo/data data").ok();
    clone.modver(["status", "--check", "data"]).ok();
}

fn clone_path(s: &Scratch, path: &str) -> std::path::PathBuf {
    s.root().join("clone").join(path)
}

#[test]
fn pointers_that_cannot_be_used_are_named() {
    let s = tracked();
    let pointer = String::from_utf8(s.read("model.bin.mv")).unwrap();
    s.write(
        "model.bin.mv",
        format!("<<<<<<< HEAD\n{pointer}=======\n{pointer}>>>>>>> other\n"),
    );
    fs::remove_file(s.path("data.mv")).unwrap();
    let status = modver(&s, &["status", "--check"]);
    assert_eq!(
        status.err(),
        "hint: modver checkout --ours model.bin   or   modver checkout --theirs model.bin\n\
         hint: git restore data.mv\n"
    );
    let expected = [
        "broken: model.bin.mv (two versions of it were merged, and it is still in conflict)",
        "pointer gone: data.mv",
    ];
    assert_eq!(lines(&status.fails(1)), expected);
    let json = modver(&s, &["status", "--json", "model.bin"]).json();
    assert_eq!(json["broken"][0]["path"], "model.bin.mv");
    assert_eq!(json["deleted_pointers"], json!([]));
    assert!(modver(&s, &["cat", "model.bin"]).err().contains("model.bin.mv"));
    s.git(["restore", "."]).ok();
    modver(&s, &["status", "--check"]).ok();
}

#[test]
fn odd_names_are_printed_sanely() {
    let s = Scratch::new();
    let long = "n".repeat(255);
    fs::create_dir(s.path("data")).unwrap();
    for name in [&b"new\nline"[..], b"not utf8 \xff", long.as_bytes(), b"esc\x1b[31m"] {
        fs::write(s.path("data").join(OsStr::from_bytes(name)), "x").unwrap();
    }
    modver(&s, &["add", "data"]).ok();
    let listed = modver(&s, &["ls", "data"]).ok();
    assert_eq!(
        listed.lines().collect::<Vec<_>>(),
        ["\"esc\\033[31m\"", "\"new\\nline\"", &long, "\"not utf8 \\377\""]
    );
    fs::remove_file(s.path("data").join(OsStr::from_bytes(b"not utf8 \xff"))).unwrap();
    let status = modver(&s, &["status", "--granular"]).ok();
    assert_eq!(lines(&status)[1], "deleted: \"data/not utf8 \\377\" (1 B)");
    let json = modver(&s, &["ls", "data", "--json"]).json();
    assert_eq!(json["entries"].as_array().unwrap().len(), 4);
}

#[test]
fn listings() {
    let s = tracked();
    fs::remove_dir_all(s.path("data")).unwrap();
    assert_eq!(modver(&s, &["ls"]).ok(), "data/\nmodel.bin");
    assert_eq!(
        modver(&s, &["ls", "data"]).ok(),
        "a/\nb/\nempty/\nlink -> a/1.txt\nrun.sh*"
    );
    assert_eq!(modver(&s, &["ls", "-R", "data/b"]).ok(), "1.txt\n2.txt\n3.txt");
    assert_eq!(modver(&s, &["ls", "-R"]).ok().lines().count(), 13);
    let hash = modver::hash::FileId::of(b"model 1\n").to_string();
    let line = modver(&s, &["ls", "--hash", "--size", "model.bin.mv"]).ok();
    assert_eq!(lines(&line), [format!("{hash} 8 B model.bin")]);
    let json = modver(&s, &["ls", "--json", "data/run.sh"]).json();
    assert_eq!(json["entries"][0]["executable"], true);
    assert_eq!(json["entries"][0]["path"], "data/run.sh");
    let missing = modver(&s, &["ls", "data/nope"]);
    assert_eq!(
        missing.err(),
        "error: there is no `nope` in `data`\nhint: modver ls -R data\n"
    );
    missing.fails(1);
    modver(&s, &["ls", "nope"]).fails(1);
    fs::create_dir(s.path("sub")).unwrap();
    let sub = s.path("sub");
    assert_eq!(s.at(&sub).modver(["ls"]).err(), "nothing is tracked here\n");
    assert_eq!(s.at(&sub).modver(["ls", "../data/a"]).ok(), "1.txt\n2.txt\n3.txt");
}

#[test]
fn content_is_written_as_it_is() {
    let s = Scratch::new();
    // More than one chunk, and nothing that compresses.
    let mut large = Vec::new();
    for i in 0..100_000_u32 {
        large.extend_from_slice(modver::hash::FileId::of(&i.to_le_bytes()).as_bytes());
    }
    s.write("data/large", &large);
    s.write("data/empty", "");
    s.write("data/sub/binary", [0, 255, 10, 13, 27]);
    symlink("sub/../large", s.path("data/link")).unwrap();
    symlink("nowhere", s.path("data/dangling")).unwrap();
    s.write("alone.bin", "alone");
    modver(&s, &["add", "data", "alone.bin"]).ok();
    fs::remove_dir_all(s.path("data")).unwrap();
    for (path, content) in [
        ("data/large", &large[..]),
        ("data/link", &large),
        ("data/empty", b""),
        ("data/sub/binary", &[0, 255, 10, 13, 27]),
        ("alone.bin", b"alone"),
        ("alone.bin.mv", b"alone"),
    ] {
        let cat = modver(&s, &["cat", path]);
        assert_eq!((cat.code, cat.err().as_str()), (0, ""), "{path}");
        assert!(cat.stdout == content, "{path}");
    }
    for (path, error) in [
        ("data", "`data` is a directory"),
        ("data/dangling", "there is no `nowhere` in `data`"),
        ("data/nope", "there is no `nope` in `data`"),
        ("nope", "`nope` is not tracked by modver"),
    ] {
        let cat = modver(&s, &["cat", path]);
        assert!(cat.err().starts_with(&format!("error: {error}\n")), "{cat}");
        cat.fails(1);
    }
    modver(&s, &["cat", "--json", "alone.bin"]).fails(2);

    // A reader that has enough.
    let mut command = s.repo().command(env!("CARGO_BIN_EXE_modver"));
    let (reader, writer) = std::io::pipe().unwrap();
    command
        .args(["cat", "data/large"])
        .stdout(writer)
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    drop(command);
    let mut begin = [0; 10];
    std::io::Read::read_exact(&mut { reader }, &mut begin).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
    assert_eq!(begin, large[..10]);
}

#[test]
fn space_is_counted_once() {
    let s = Scratch::new();
    let random = |seed: &str| -> Vec<u8> {
        let block = |i: u32| *modver::hash::FileId::of(format!("{seed} {i}").as_bytes()).as_bytes();
        (0..2000).flat_map(block).collect()
    };
    s.write("one/x", random("x"));
    s.write("one/again", random("x"));
    s.write("one/y", random("y"));
    s.write("two/x", random("x"));
    s.write("two/z", random("z"));
    modver(&s, &["add", "one", "two"]).ok();
    let du = modver(&s, &["du", "--json"]).json();
    let near = |value: &Value, expected: u64| {
        let n = value.as_u64().unwrap();
        assert!(
            (expected..expected + 1000).contains(&n),
            "{n} is not about {expected}: {du}"
        );
    };
    let (one, total) = (&du["outputs"][0], &du["total"]);
    assert_eq!(
        (&one["files"], &one["size"], &one["missing"]),
        (&json!(3), &json!(192_000), &json!(0))
    );
    near(&one["stored"], 128_000);
    near(&one["unique"], 64_000);
    near(&one["shared"], 64_000);
    near(&total["stored"], 192_000);
    near(&total["unique"], 128_000);
    let part = modver(&s, &["du", "--json", "one/y"]).json();
    near(&part["total"]["unique"], 64_000);
    assert_eq!(lines(&modver(&s, &["du"]).ok())[0], "files size stored unique missing");
    fs::remove_dir_all(s.path(".git/modver/cache")).unwrap();
    assert_eq!(modver(&s, &["du", "--json"]).json()["total"]["missing"], 320_000);
}

#[test]
fn remotes_are_asked_and_read() {
    let s = tracked();
    assert!(
        modver(&s, &["status", "--remote"])
            .err()
            .contains("hint: modver remote add")
    );
    fs::create_dir(s.root().join("remote")).unwrap();
    modver(&s, &["remote", "add", "origin", "../remote"]).ok();
    let status = modver(&s, &["status", "--remote", "--check"]);
    assert_eq!(status.err(), "hint: modver push   to share it\n");
    assert_eq!(
        lines(&status.fails(1)),
        ["not in remote: data/", "not in remote: model.bin"]
    );
    modver(&s, &["push", "data"]).ok();
    let json = modver(&s, &["status", "--remote=origin", "--json"]).json();
    let asked = [&json["outputs"][0]["in_remote"], &json["outputs"][1]["in_remote"]];
    assert_eq!(asked, [true, false]);
    commit(&s, "Two");

    let clone = s.clone_to("clone");
    let clone = s.at(&clone);
    assert_eq!(clone.modver(["cat", "data/link"]).ok(), "a 1");
    let json = clone.modver(["status", "--granular", "--json", "data"]).json();
    assert_eq!(
        (&json["outputs"][0]["state"], &json["outputs"][0]["in_cache"]),
        (&json!("absent"), &json!(false))
    );
    // Only the listings on the way came along.
    assert_eq!(json["outputs"][0]["missing_files"], Value::Null);
    let nowhere = clone.modver(["cat", "model.bin"]);
    let expected = "error: the content of `model.bin` is neither in the cache nor on remote `origin`\n";
    assert!(nowhere.err().starts_with(expected), "{nowhere}");
    nowhere.fails(1);
    assert!(!clone.has("data"));
}
