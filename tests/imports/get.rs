//! `get` and `ls` of repositories.

use std::fs;
use std::process::Stdio;

use crate::support::{Output, digest};
use crate::{names, noise, scratch, second_version, url};

#[test]
fn a_repository_on_this_machine_is_read_where_it_is() {
    let (s, source, out) = scratch();
    let o = s.at(&out);
    let got = o.modver(["get", "../source", "data/"]);
    assert!(got.err().contains("at commit"), "{got}");
    assert_eq!(got.ok(), "got data (11 files, 60 B)");
    assert_eq!(digest(&out.join("data")), digest(&source.join("data")));
    o.modver(["get", "../source", "data/dogs"]).ok();
    o.modver(["get", "../source", "data/link", "-o", "linked"]).ok();
    assert_eq!(o.read("linked"), b"cat 1\n");
    assert!(fs::symlink_metadata(out.join("linked")).unwrap().is_file());
    // A pointer stands for its output.
    o.modver(["get", "../source", "model.bin.mv"]).ok();
    assert_eq!(o.read("model.bin"), noise(1, 1_000_000));
    // Into a directory that exists.
    o.sh("mkdir into").ok();
    o.modver(["get", "../source", "data/cats/0.txt", "-o", "into"]).ok();
    o.sh("test -x into/0.txt && test ! -e 0.txt").ok();
}

#[test]
fn nothing_is_replaced_unless_that_is_asked_for() {
    let (s, _, out) = scratch();
    let o = s.at(&out);
    o.write("model.bin", "mine\n");
    let refused = o.modver(["get", "../source", "model.bin"]);
    assert!(
        refused.err().contains("is there already") && refused.err().contains("--force"),
        "{refused}"
    );
    refused.fails(1);
    assert_eq!(o.read("model.bin"), b"mine\n");
    o.modver(["get", "../source", "model.bin", "--force"]).ok();
    assert_eq!(o.read("model.bin"), noise(1, 1_000_000));
    o.write("data/mine.txt", "mine\n");
    o.write("data/cats/1.txt", "mine\n");
    o.modver(["get", "../source", "data"]).fails(1);
    o.modver(["get", "../source", "data", "-o", ".", "--force"]).ok();
    assert_eq!(o.read("data/mine.txt"), b"mine\n");
    assert_eq!(o.read("data/cats/1.txt"), b"cat 1\n");
    assert_eq!(names(&out), ["data", "model.bin"]);
    assert_eq!(names(&s.home().join(".cache/modver/tmp")), [""; 0]);
}

#[test]
fn files_of_git_come_with_the_outputs_among_them() {
    let (s, source, out) = scratch();
    let o = s.at(&out);
    o.modver(["get", "../source", "code"]).ok();
    assert_eq!(names(&out.join("code")), [".gitignore", "run.py", "weights.bin"]);
    assert_eq!(o.read("code/weights.bin"), b"weights\n");
    o.sh("test -x code/run.py").ok();
    o.modver(["get", &url(&source), "code/run.py", "-o", "run"]).ok();
    assert_eq!(o.read("run"), b"print(1)\n");
}

#[test]
fn behind_a_url_the_remotes_of_the_repository_are_asked() {
    let (s, source, out) = scratch();
    let (o, other) = (s.at(&out), s.at(&source));
    let url = url(&source);
    other.git(["config", "uploadpack.allowFilter", "true"]).ok();
    let absent = o.modver(["get", &url, "data"]);
    assert!(
        absent.err().contains("remote `store`") && absent.err().contains("hint: modver push"),
        "{absent}"
    );
    absent.fails(1);
    assert_eq!(names(&out), [""; 0]);
    other.modver(["push", "--quiet"]).ok();
    o.modver(["get", &url, "data"]).ok();
    assert_eq!(digest(&out.join("data")), digest(&source.join("data")));
    o.modver(["get", &url, "data/cats", "-o", "c"]).ok();
    assert_eq!(names(&out.join("c")).len(), 5);
    // The copy holds listings and the pointers that were needed, not the rest.
    let copies = s.home().join(".cache/modver/repositories");
    let copy = names(&copies).into_iter().find(|name| name.ends_with(".git")).unwrap();
    let blob = other.git(["rev-parse", "HEAD:code/run.py"]).ok();
    let there = s.at(&copies.join(copy)).sh(&format!(
        "echo {blob} | GIT_NO_LAZY_FETCH=1 git --git-dir=. cat-file --batch-check; git --git-dir=. rev-list --count --all"
    ));
    assert!(there.out().contains("missing"), "{there}");
    there.ok();
}

#[test]
fn branches_move_and_tags_stay() {
    let (s, source, out) = scratch();
    let (o, other) = (s.at(&out), s.at(&source));
    other.modver(["push", "--quiet"]).ok();
    let url = url(&source);
    let get = |args: &[&str], expected: &str| {
        o.modver(["get", &url, "data/cats/1.txt", "--force"].iter().chain(args))
            .ok();
        assert_eq!(String::from_utf8(o.read("1.txt")).unwrap(), expected, "{args:?}");
    };
    let first = other.git(["rev-parse", "HEAD"]).ok();
    get(&[], "cat 1\n");
    get(&["--rev", "main"], "cat 1\n");
    second_version(other);
    other.modver(["push", "--quiet"]).ok();
    other.git(["tag", "-a", "-m", "two", "v2"]).ok();
    get(&[], "another cat\n");
    get(&["--rev", "main"], "another cat\n");
    get(&["--rev", "v1"], "cat 1\n");
    get(&["--rev", "v2"], "another cat\n");
    get(&["--rev", "main~1"], "cat 1\n");
    get(&["--rev", &first[..9]], "cat 1\n");
    get(&["--rev", &first], "cat 1\n");
    get(&["--rev", &first.to_uppercase()], "cat 1\n");
    get(&["--rev", "refs/tags/v1"], "cat 1\n");
    let tag = other.git(["rev-parse", "v2"]).ok();
    get(&["--rev", &tag], "another cat\n");
    // On this machine, too, and what is checked out there does not matter.
    other.git(["checkout", "--quiet", "v1"]).ok();
    o.modver(["get", "../source", "data/cats/9.txt", "--rev", "main"]).ok();
    let unknown = o.modver(["get", &url, "data", "--rev", "v9"]);
    assert!(unknown.err().contains("it has no revision `v9`"), "{unknown}");
    unknown.fails(1);
}

#[test]
fn a_copy_does_not_use_what_a_hook_of_git_was_given() {
    let (s, source, out) = scratch();
    let other = s.at(&source);
    other.modver(["push", "--quiet"]).ok();
    second_version(other);
    other.modver(["push", "--quiet"]).ok();
    let objects = s.root().join("objects");
    fs::create_dir(&objects).unwrap();
    let o = s.at(&out);
    for rev in ["main", "main~1"] {
        o.sh(&format!(
            "GIT_OBJECT_DIRECTORY='{0}' GIT_QUARANTINE_PATH='{0}' '{1}' get --force --rev {rev} {2} code/run.py",
            objects.display(),
            env!("CARGO_BIN_EXE_modver"),
            url(&source)
        ))
        .ok();
    }
    assert_eq!(names(&objects), [""; 0]);
}

#[test]
fn several_at_once_share_one_copy() {
    let (s, source, out) = scratch();
    let (o, other) = (s.at(&out), s.at(&source));
    other.modver(["push", "--quiet"]).ok();
    let url = url(&source);
    let running: Vec<_> = (0..4)
        .map(|i| {
            let mut command = o.command(env!("CARGO_BIN_EXE_modver"));
            command.args(["get", &url, "data", "-o", &format!("copy{i}")]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for process in running {
        let done = process.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    for i in 0..4 {
        assert_eq!(digest(&out.join(format!("copy{i}"))), digest(&source.join("data")));
    }
    assert_eq!(names(&s.home().join(".cache/modver/tmp")), [""; 0]);
}

#[test]
fn in_a_repository_its_cache_keeps_what_came() {
    let (s, source, _) = scratch();
    s.at(&source).modver(["push", "--quiet"]).ok();
    let url = url(&source);
    s.repo().modver(["get", &url, "data"]).ok();
    fs::remove_dir_all(s.root().join("store")).unwrap();
    s.repo().modver(["get", &url, "data", "-o", "again"]).ok();
    assert_eq!(digest(&s.path("again")), digest(&source.join("data")));
    assert_eq!(s.git(["status", "--porcelain"]).ok(), "?? again/\n?? data/");
}

#[test]
fn a_bare_repository_and_one_whose_server_knows_no_filters() {
    let (s, source, out) = scratch();
    let o = s.at(&out);
    s.at(&source).modver(["push", "--quiet"]).ok();
    o.git(["clone", "--quiet", "--bare", "../source", "../bare.git"]).ok();
    // Its `mv.toml` says `../store`, which is beside the bare repository, too.
    o.modver(["get", "../bare.git", "data"]).ok();
    assert_eq!(digest(&out.join("data")), digest(&source.join("data")));
    s.at(&s.root().join("bare.git"))
        .git(["config", "uploadpack.allowFilter", "false"])
        .ok();
    o.modver(["get", &url(&s.root().join("bare.git")), "model.bin"]).ok();
    assert_eq!(o.read("model.bin"), noise(1, 1_000_000));
}

#[test]
fn what_is_tracked_there_can_be_listed() {
    let (s, source, out) = scratch();
    let (o, other) = (s.at(&out), s.at(&source));
    assert_eq!(o.modver(["ls", "../source"]).ok(), "code/weights.bin\ndata/\nmodel.bin");
    other.modver(["push", "--quiet"]).ok();
    let url = url(&source);
    assert_eq!(
        o.modver(["ls", &url, "data"]).ok(),
        "cats/\ndogs/\nempty/\nlink -> cats/1.txt"
    );
    assert_eq!(
        o.modver(["ls", &url, "data/cats"]).ok(),
        "0.txt*\n1.txt\n2.txt\n3.txt\n4.txt"
    );
    let all = o.modver(["ls", "-R", "--size", "--hash", &url]).ok();
    let hash = blake3_of(b"cat 1\n");
    assert!(all.contains(&format!("{hash}         6 B  data/cats/1.txt")), "{all}");
    second_version(other);
    let old = o.modver(["ls", "--json", "-R", &url, "data/cats", "--rev", "v1"]);
    assert_eq!(old.json()["entries"].as_array().unwrap().len(), 5);
    assert_eq!(old.json()["commit"], other.git(["rev-parse", "v1"]).ok());
    old.ok();
    // From inside a repository, and never mistaken for something of it.
    assert_eq!(s.repo().modver(["ls", "../source", "code"]).ok(), "weights.bin");
    s.repo().modver(["ls", "nothing"]).fails(1);
    o.modver(["ls", &url, "nothing"]).fails(1);
}

fn blake3_of(bytes: &[u8]) -> String {
    modver::hash::FileId::of(bytes).to_string()
}

#[test]
fn what_cannot_be_had_is_said() {
    let (s, _, out) = scratch();
    let o = s.at(&out);
    let fails = |args: &[&str], code: i32, what: &str| {
        let failed: Output = o.modver(["get"].iter().chain(args));
        assert!(failed.err().contains(what), "{failed}");
        assert!(!failed.err().contains("hush"), "{failed}");
        failed.fails(code);
    };
    fails(&["../source", "nothing"], 1, "has nothing at `nothing`");
    fails(&["../source", "data/nothing"], 1, "has nothing at `data/nothing`");
    fails(&["../source", "model.bin/x"], 1, "has nothing at `model.bin/x`");
    fails(&["../nowhere", "x"], 1, "does not exist");
    fails(&["../out", "x"], 1, "is not in a git repository");
    fails(&["../source/data", "x"], 1, "is not in a git repository");
    fails(&["https://user:hush@host/x.git", "x"], 1, "has credentials");
    fails(&["gopher://host/x"], 1, "this kind of URL cannot be read");
    fails(&["../source", "data", "-o", "no/such/dir"], 1, "does not exist");
    assert_eq!(names(&out), [""; 0]);
    let mut o = o.command(env!("CARGO_BIN_EXE_modver"));
    let homeless = Output::of(o.env_remove("HOME").args(["get", "file:///x", "y"]));
    assert!(homeless.err().contains("XDG_CACHE_HOME"), "{homeless}");
}

#[test]
fn nothing_is_written_into_a_git_directory() {
    let (s, source, out) = scratch();
    let (o, other) = (s.at(&out), s.at(&source));
    let path = source.to_str().unwrap();
    other.modver(["push", "--quiet"]).ok();
    // As repositories that share one: the directory has any name.
    o.sh("git init -q; modver init -q; ln -s .git link; git init -q --separate-git-dir=elsewhere apart")
        .ok();
    let before = o.sh("cat .git/config .git/hooks/* elsewhere/config").ok();
    for to in [
        ".git/config",
        ".git/hooks/post-checkout",
        "link/config",
        "link",
        ".git",
        "apart/.git",
        "elsewhere/config",
        "elsewhere/hooks",
        "apart/../.git/config",
    ] {
        let refused = o.modver(["get", path, "data/cats/1.txt", "--force", "-o", to]);
        assert!(refused.err().contains("is in a git directory"), "{to} {refused}");
        refused.fails(1);
        let absolute = out.join(to);
        let refused = o.modver(["get", path, "data/cats", "-f", "-o", absolute.to_str().unwrap()]);
        assert!(refused.code != 0, "{to} {refused}");
        let file = source.join("data/cats/1.txt");
        let refused = o.modver(["get", file.to_str().unwrap(), "-f", "-o", to]);
        assert!(refused.err().contains("is in a git directory"), "{to} {refused}");
        if to == "link" {
            // The link itself is in the way of an import, which follows none.
            continue;
        }
        for command in [
            &["import", path, "data/cats/1.txt"][..],
            &["import-url", file.to_str().unwrap()],
        ] {
            for to in [to, absolute.to_str().unwrap()] {
                let refused = o.modver(command.iter().copied().chain(["-f", "-o", to]));
                assert!(matches!(refused.code, 1 | 2), "{to} {refused}");
                assert!(refused.err().starts_with("error: "), "{to} {refused}");
            }
        }
    }
    assert_eq!(o.sh("cat .git/config .git/hooks/* elsewhere/config").ok(), before);
}
