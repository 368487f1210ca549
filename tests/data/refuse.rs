//! What is refused: the exact words, the exit code, and that nothing changed.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::support::Scratch;
use super::{commit, everything, ready};

/// It must fail with this on standard error, and change nothing.
#[track_caller]
fn refused(s: &Scratch, args: &[&str], code: i32, expected: &str) {
    let before = everything(s);
    let output = s.repo().modver(args);
    assert_eq!(output.err(), expected, "{output}");
    assert_eq!(output.fails(code), "");
    assert_eq!(everything(s), before, "{args:?}");
}

#[test]
fn paths_that_cannot_be_outputs() {
    let s = ready();
    s.write("tracked/file", "1");
    s.git(["add", "tracked"]).ok();
    commit(&s, "Tracked");
    s.write("data/in/file", "1");
    s.write("data/in/other", "1");
    s.repo().modver(["add", "data/in"]).ok();
    commit(&s, "Data");
    s.write("free", "1");
    s.write("sub/free", "1");
    symlink("free", s.path("link")).unwrap();
    symlink("sub", s.path("linkdir")).unwrap();
    let fifo = s.path("fifo");
    super::support::Output::of(s.repo().command("mkfifo").arg(&fifo)).ok();
    let _socket = UnixListener::bind(s.path("socket")).unwrap();

    refused(
        &s,
        &["add", "tracked"],
        1,
        "error: `tracked` is tracked by git\nhint: git rm -r --cached tracked && modver add tracked\n",
    );
    refused(
        &s,
        &["add", "tracked/file"],
        1,
        "error: `tracked/file` is tracked by git\nhint: git rm -r --cached tracked/file && modver add tracked/file\n",
    );
    refused(
        &s,
        &["add", "data/in/file"],
        1,
        "error: `data/in/file` is inside `data/in`, which is tracked\nhint: modver add data/in\n",
    );
    refused(
        &s,
        &["add", "data"],
        1,
        "error: `data` contains `data/in`, which is tracked by itself\nhint: modver remove data/in\n",
    );
    refused(
        &s,
        &["add", "data/in.mv"],
        1,
        "error: `data/in.mv` is a pointer, not data\nhint: modver add data/in\n",
    );
    let root = s.path("");
    let root = root.to_str().unwrap().trim_end_matches('/');
    refused(
        &s,
        &["add", "../home"],
        1,
        &format!("error: `../home` is outside the repository at `{root}`\n"),
    );
    refused(
        &s,
        &["add", "/dev/null"],
        1,
        &format!("error: `/dev/null` is outside the repository at `{root}`\n"),
    );
    refused(
        &s,
        &["add", "link"],
        1,
        "error: `link` is a symbolic link; git keeps links itself\nhint: git add link\n",
    );
    refused(
        &s,
        &["add", "linkdir/free"],
        1,
        "error: `linkdir/free` is reached through the symbolic link `linkdir`\n",
    );
    for special in ["fifo", "socket"] {
        refused(
            &s,
            &["add", special],
            1,
            &format!("error: `{special}` is not a file or directory\n"),
        );
    }
    for reserved in [
        ".git",
        ".git/config",
        ".git/hooks",
        "mv.toml",
        ".mvignore",
        ".gitattributes",
        ".gitignore",
    ] {
        let there = s.repo().has(reserved);
        let expected = if there {
            format!("error: `{reserved}` belongs to git or modver, not to the data\n")
        } else {
            format!("error: `{reserved}` does not exist\n")
        };
        refused(&s, &["add", reserved], 1, &expected);
    }
    refused(
        &s,
        &["add", "."],
        1,
        "error: the repository itself cannot be tracked, only what is in it\nhint: modver add DIRECTORY\n",
    );
    refused(&s, &["add", "missing"], 1, "error: `missing` does not exist\n");
    refused(&s, &["add", "free/below"], 1, "error: `free/below` does not exist\n");
    refused(&s, &["add", "free", "missing"], 1, "error: `missing` does not exist\n");
    refused(&s, &["add", "*.csv"], 1, "error: nothing matches `*.csv`\n");
    refused(
        &s,
        &["add", "a[b"],
        1,
        "error: `a[b` is not a pattern\ncaused by: error parsing glob 'a[b': unclosed character class; missing ']'\n",
    );
    refused(
        &s,
        &["add", "sub", "sub/free"],
        1,
        "error: `sub/free` was named together with `sub`, which contains it\n",
    );
    refused(
        &s,
        &["checkout", "free"],
        1,
        "error: `free` is not tracked by modver\nhint: modver add free\n",
    );
    refused(
        &s,
        &["commit", "free"],
        1,
        "error: `free` is not tracked by modver\nhint: modver add free\n",
    );
    refused(
        &s,
        &["remove", "free"],
        1,
        "error: `free` is not tracked by modver\nhint: modver add free\n",
    );
    refused(
        &s,
        &["move", "free", "x"],
        1,
        "error: `free` is not tracked by modver\nhint: modver add free\n",
    );
    refused(
        &s,
        &["remove", "data/in/file"],
        1,
        "error: `data/in/file` is inside `data/in`, which is tracked\nhint: modver add data/in\n",
    );
    refused(&s, &["move", "data/in", "free"], 1, "error: `free` exists already\n");
    refused(
        &s,
        &["move", "data/in", "data/in/below"],
        1,
        "error: `data/in/below` is inside `data/in`, which is tracked\nhint: modver add data/in\n",
    );
    refused(
        &s,
        &["move", "data/in", "linkdir/in"],
        1,
        "error: `linkdir/in` is reached through the symbolic link `linkdir`\n",
    );
    let outside = format!("error: `../in` is outside the repository at `{root}`\n");
    refused(&s, &["move", "data/in", "../in"], 1, &outside);
}

#[test]
fn content_that_cannot_be_stored() {
    let s = ready();
    s.write("leaves/file", "1");
    symlink("../../x", s.path("leaves/link")).unwrap();
    s.write("absolute/file", "1");
    symlink("/etc/passwd", s.path("absolute/link")).unwrap();
    s.write("nested/sub/file", "1");
    s.repo().sh("git init --quiet nested/sub").ok();
    s.write("pipes/file", "1");
    s.repo().sh("mkfifo pipes/fifo").ok();
    let cannot = |path: &str, why: &str| {
        format!("error: cannot add `{path}`\ncaused by: it holds what cannot be tracked: {why}\n")
    };
    refused(
        &s,
        &["add", "leaves"],
        1,
        &cannot(
            "leaves",
            "link `link` points outside the tracked directory, to `../../x`",
        ),
    );
    refused(
        &s,
        &["add", "absolute"],
        1,
        &cannot("absolute", "link `link` points to the absolute path `/etc/passwd`"),
    );
    refused(
        &s,
        &["add", "nested"],
        1,
        &cannot("nested", "`sub/.git` belongs to a git repository of its own"),
    );
    refused(
        &s,
        &["add", "pipes"],
        1,
        &cannot("pipes", "`fifo` is not a file, directory or link"),
    );
    refused(
        &s,
        &["add", "nested/sub/file"],
        1,
        "error: `nested/sub/file` is inside `nested/sub`, a git repository of its own\nhint: cd nested/sub && modver init\n",
    );
    // One bad output: none is added.
    s.write("good", "1");
    refused(
        &s,
        &["add", "good", "pipes"],
        1,
        &cannot("pipes", "`fifo` is not a file, directory or link"),
    );
    if !is_root() {
        s.write("secret/file", "1");
        s.repo().sh("chmod 000 secret/file").ok();
        let refused = s.repo().modver(["add", "secret"]);
        assert!(refused.err().contains("Permission denied"), "{refused}");
        refused.fails(1);
    }
}

/// Whether permissions mean nothing to this process.
fn is_root() -> bool {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "1").unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    fs::read(&file).is_ok()
}

#[test]
fn ignored_data_and_ignored_pointers() {
    let s = ready();
    s.write(".mvignore", "*.tmp\n/top\nlogs/\n/deep/in/exact\n");
    for file in [
        "x.tmp",
        "top",
        "deep/in/exact",
        "logs/a",
        "deep/logs/b/c",
        "deep/top",
        "a.bin",
        "sub/b.bin",
    ] {
        s.write(file, "1");
    }
    for ignored in ["x.tmp", "top", "deep/in/exact", "logs", "logs/a", "deep/logs/b/c"] {
        refused(
            &s,
            &["add", ignored],
            1,
            &format!("error: `{ignored}` is ignored by `.mvignore`\n"),
        );
    }
    s.repo().modver(["add", "deep/top"]).ok();
    s.repo().modver(["remove", "deep/top"]).ok();

    s.write(".gitignore", "*.mv\n");
    refused(
        &s,
        &["add", "a.bin"],
        1,
        "error: `a.bin.mv` would be ignored by git: `*.mv` in .gitignore\nhint: git check-ignore -v a.bin.mv\n",
    );
    s.write(".gitignore", "sub/\n");
    refused(
        &s,
        &["add", "sub/b.bin"],
        1,
        "error: `sub/b.bin.mv` would be ignored by git: `sub/` in .gitignore\nhint: git check-ignore -v sub/b.bin.mv\n",
    );
}

/// A file that only looks like a pointer is not ours to overwrite.
#[test]
fn files_of_others_that_end_in_mv() {
    let s = ready();
    s.write("clip", "1");
    s.write("clip.mv", "a film");
    refused(
        &s,
        &["add", "clip"],
        1,
        "error: `clip.mv` is not a valid pointer\ncaused by: it is not TOML\ncaused by: TOML parse error at line 1, \
         column 3\n  |\n1 | a film\n  |   ^\nkey with no value, expected `=`\n\n",
    );
    s.write("big.mv", vec![b'x'; 1 << 20]);
    s.write("big", "1");
    refused(
        &s,
        &["add", "big"],
        1,
        "error: `big.mv` is not a valid pointer\ncaused by: it has 1048576 bytes, more than the 65536 a pointer may have\n",
    );
    // Inside a directory it is data as anything else.
    s.write("films/clip.mv", "a film");
    s.repo().modver(["add", "films"]).ok();
    s.write("other", "1");
    s.repo().modver(["add", "other"]).ok();
    fs::create_dir(s.path("dir.mv")).unwrap();
    s.write("dir", "1");
    refused(&s, &["add", "dir"], 1, "error: `dir.mv` is not a regular file\n");
}
