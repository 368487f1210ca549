//! What goes in comes out.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use super::support::{Output, digest};
use super::{commit, delete, everything, name, noise, ready};

const NAMES: [&[u8]; 30] = [
    b"plain",
    b" lead",
    b"trail ",
    b"two  ",
    b" ",
    b"tab\t",
    b"line\nfeed",
    b"\nstart",
    b"end\n",
    b"cr\r",
    b"!bang",
    b"#hash",
    b"a*b",
    b"*",
    b"a?b",
    b"[a]",
    b"a[b]c]",
    b"back\\slash",
    b"end\\",
    b"-x",
    b"--help",
    b"-",
    b"{a,b}",
    b"\"quoted\"",
    b"'single'",
    b"$HOME;`id`",
    b"caf\xc3\xa9 \xf0\x9f\x90\x88",
    b"\xff\xfe\x80",
    b"con",
    b"...",
];

#[test]
fn a_nasty_tree() {
    let s = ready();
    let data = s.path("data");
    fs::create_dir_all(data.join("a/b/c")).unwrap();
    for (i, bytes) in NAMES.iter().enumerate() {
        let path = data.join(name(bytes));
        match i % 3 {
            0 => fs::write(&path, bytes).unwrap(),
            1 => {
                fs::create_dir(&path).unwrap();
                fs::write(path.join(name(bytes)), noise(i as u64, i * 100)).unwrap();
            }
            _ => {
                fs::write(&path, noise(i as u64, 70_000)).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
    }
    fs::write(data.join("n".repeat(255)), "long").unwrap();
    fs::create_dir(data.join("d".repeat(255))).unwrap();
    fs::create_dir_all(data.join("empty/of/empty")).unwrap();
    fs::write(data.join("zero"), "").unwrap();
    fs::write(data.join("mib"), noise(1, 1 << 20)).unwrap();
    fs::write(data.join("large"), noise(2, 20 << 20)).unwrap();
    let sparse = fs::File::create(data.join("sparse")).unwrap();
    sparse.write_all_at(b"end", 30 << 20).unwrap();
    fs::write(data.join("pair1"), "linked").unwrap();
    fs::hard_link(data.join("pair1"), data.join("a/pair2")).unwrap();
    symlink("../zero", data.join("a/up")).unwrap();
    symlink("b/c", data.join("a/dir")).unwrap();
    symlink("nowhere", data.join("dangling")).unwrap();
    symlink("loop", data.join("loop")).unwrap();
    let before = digest(&data);

    let added = s.repo().modver(["add", "data", "--json"]);
    assert_eq!(added.json()["ok"], true, "{added}");
    commit(&s, "Data");
    assert_eq!(s.git(["status", "--porcelain"]).ok(), "");
    assert_eq!(digest(&data), before, "add leaves data alone");

    delete(&data);
    s.repo().modver(["checkout"]).ok();
    assert_eq!(digest(&data), before);
    assert_eq!(
        s.repo().modver(["checkout"]).err(),
        "everything is as the pointers say\n"
    );
    let again = s.repo().modver(["add", "data", "--json"]).json();
    assert_eq!(again["outputs"][0]["change"], "unchanged");
    let linked = fs::metadata(data.join("pair1")).unwrap();
    assert_eq!(linked.nlink(), 1, "content is copied, not linked");
    // What is written into one of a former pair does not show in the other.
    fs::write(data.join("pair1"), "other").unwrap();
    assert_eq!(s.read("data/a/pair2"), b"linked");
}

/// `git check-ignore` takes patterns; for these names, `git status` has to do.
fn is_pattern(file: &std::ffi::OsStr) -> bool {
    file.as_encoded_bytes().iter().any(|b| b"*?[\\".contains(b))
}

#[test]
fn outputs_of_every_name() {
    let s = ready();
    for bytes in NAMES {
        s.write(name(bytes), bytes);
        s.write(s.path("sub").join(name(bytes)).join("inner"), bytes);
    }
    // A name that leaves no room for the suffix is refused, one that just does is not.
    let longest = "n".repeat(252);
    s.write(&longest, "long");
    let all: Vec<_> = NAMES
        .iter()
        .map(|bytes| name(bytes))
        .chain([name(longest.as_bytes())])
        .collect();
    let before = digest(&s.path("sub"));
    let mut args = vec![name(b"add"), name(b"--")];
    args.extend(&all);
    s.repo().modver(&args).ok();
    s.at(&s.path("sub")).modver(&args[..args.len() - 1]).ok();
    commit(&s, "All");
    assert_eq!(s.git(["status", "--porcelain"]).ok(), "");
    for dir in ["", "sub"] {
        for file in &all {
            let path = s.path(dir).join(file);
            let is_there = path.exists();
            let ignored = Output::of(s.repo().command("git").args(["check-ignore", "-q", "--"]).arg(&path));
            assert!(!is_there || ignored.code == 0 || is_pattern(file), "{path:?}");
            if is_there {
                delete(&path);
            }
        }
    }
    s.repo().modver(["checkout"]).ok();
    for bytes in NAMES {
        assert_eq!(s.read(name(bytes)), bytes);
    }
    let after = digest(&s.path("sub"));
    for line in before.lines() {
        assert!(after.lines().any(|l| l == line), "{line}");
    }
    assert_eq!(s.git(["status", "--porcelain"]).ok(), "");

    // Each by its own name, then moved, then no longer tracked.
    for file in &all[..all.len() - 1] {
        let moved = s.path("moved").join(file);
        s.repo().modver([name(b"checkout"), name(b"--"), *file]).ok();
        s.repo()
            .modver([name(b"move"), name(b"--"), *file, moved.as_os_str()])
            .ok();
        assert!(moved.exists() && !s.repo().has(file), "{file:?}");
        let ignored = Output::of(s.repo().command("git").args(["check-ignore", "-q", "--"]).arg(&moved));
        assert!(ignored.code == 0 || is_pattern(file), "{file:?}");
        s.repo()
            .modver([name(b"remove"), name(b"--outs"), name(b"--"), moved.as_os_str()])
            .ok();
        assert!(!moved.exists());
    }
    s.repo().modver([name(b"remove"), name(b"--"), all[all.len() - 1]]).ok();
    assert!(!s.repo().has(".gitignore") && !s.repo().has("moved/.gitignore"));
    assert_eq!(s.read(&longest), b"long");

    let too_long = "n".repeat(253);
    s.write(&too_long, "long");
    let before = everything(&s);
    let refused = s.repo().modver(["add", &too_long]);
    assert!(refused.err().contains("too long"), "{refused}");
    refused.fails(1);
    assert_eq!(everything(&s), before);
}

#[test]
fn many_entries_in_one_directory() {
    let s = ready();
    fs::create_dir(s.path("many")).unwrap();
    for i in 0..50_000 {
        fs::write(s.path(format!("many/{i}")), i.to_string()).unwrap();
    }
    let added = s.repo().modver(["add", "many", "--json"]).json();
    assert_eq!(added["outputs"][0]["files"], 50_000);
    assert_eq!(added["outputs"][0]["size"], 238_890);
    delete(&s.path("many"));
    s.repo().modver(["checkout"]).ok();
    for i in (0..50_000).step_by(997) {
        assert_eq!(s.read(format!("many/{i}")), i.to_string().as_bytes());
    }
    assert_eq!(fs::read_dir(s.path("many")).unwrap().count(), 50_000);
}

/// Every name, through a remote into a clone and back.
#[test]
fn strange_names_are_shared() {
    let s = ready();
    let store = s.root().join("store");
    fs::create_dir(&store).unwrap();
    s.repo()
        .modver(["remote", "add", "origin", store.to_str().unwrap()])
        .ok();
    let mut args = vec![name(b"add"), name(b"--"), name(b"data")];
    for bytes in NAMES {
        s.write(name(bytes), bytes);
        s.write(s.path("data").join(name(bytes)).join(name(bytes)), bytes);
        args.push(name(bytes));
    }
    s.repo().modver(&args).ok();
    s.git(["add", "mv.toml"]).ok();
    commit(&s, "All");
    s.repo().modver(["push"]).ok();
    let whole = digest(&s.path(""));
    let clone = s.clone_to("clone");
    let here = s.at(&clone);
    // One by its own name, then the rest.
    let line_feed = name(b"line\nfeed");
    here.modver([name(b"pull"), name(b"--"), line_feed]).ok();
    assert_eq!(here.read(line_feed), b"line\nfeed");
    let part = Path::new("data").join(name(b"\xff\xfe\x80"));
    here.modver([name(b"pull"), name(b"--"), part.as_os_str()]).ok();
    assert_eq!(here.read(part.join(name(b"\xff\xfe\x80"))), b"\xff\xfe\x80");
    here.modver(["pull"]).ok();
    here.modver(["pull", "data"]).ok();
    assert_eq!(digest(&clone), whole);
    assert_eq!(here.git(["status", "--porcelain"]).ok(), "");
    assert_eq!(here.modver(["status", "--check"]).ok(), "");
    let json = here.modver(["ls", "-R", "--json"]);
    assert!(json.json()["ok"].as_bool().unwrap(), "{json}");
    // Tracked no more: all of it goes.
    here.git(["checkout", "--quiet", "HEAD~1"]).ok();
    here.modver(["checkout"]).ok();
    assert_eq!(here.git(["status", "--porcelain", "--ignored"]).ok(), "");
}
