//! `init`, `config`, `remote`, `cache` and `doctor`, as a user meets them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

mod support;

use serde_json::json;
use support::Scratch;

#[test]
fn init_writes_what_is_missing_from_anywhere_in_the_work_tree() {
    let s = Scratch::bare();
    let refused = s.repo().modver(["init"]);
    assert!(refused.err().ends_with("hint: git init\n"), "{refused}");
    refused.fails(4);

    s.git(["init", "--quiet"]).ok();
    s.write("sub/.keep", "");
    s.write(".gitattributes", "*.png binary");
    let sub = s.path("sub");
    let first = s.at(&sub).modver(["init"]).ok();
    assert_eq!(first, "wrote mv.toml\nwrote .mvignore\nwrote .gitattributes");
    assert_eq!(
        String::from_utf8(s.read(".gitattributes")).unwrap(),
        "*.png binary\n*.mv text eol=lf merge=modver\nmv.lock text eol=lf merge=modver\n"
    );
    assert_eq!(
        s.git(["diff", "--cached", "--name-only"]).ok(),
        ".gitattributes\n.mvignore\nmv.toml"
    );
    s.write("mv.toml", "[core]\njobs = 2\n");
    let again = s.repo().modver(["init", "--json"]);
    assert_eq!(again.json()["written"], json!([]));
    assert_eq!(again.json()["unchanged"].as_array().unwrap().len(), 3);
    assert_eq!(s.read("mv.toml"), b"[core]\njobs = 2\n");

    s.git(["commit", "--quiet", "-m", "One"]).ok();
    s.git(["worktree", "add", "--quiet", "../linked"]).ok();
    let linked = s.root().join("linked");
    assert_eq!(s.at(&linked).modver(["init"]).ok(), "");

    let bare = s.root().join("bare.git");
    s.git(["clone", "--quiet", "--bare", ".", "../bare.git"]).ok();
    let refused = s.at(&bare).modver(["init"]);
    assert!(refused.err().contains("is bare: it has no work tree"), "{refused}");
    refused.fails(4);
}

#[test]
fn settings_have_layers_and_say_where_they_come_from() {
    let mut s = Scratch::new();
    let modver = |s: &Scratch, args: &str| s.repo().modver(args.split(' '));
    assert_eq!(modver(&s, "config get core.jobs").ok(), "0");
    modver(&s, "config set core.jobs 3").ok();
    modver(&s, "config set --user core.jobs 2").ok();
    assert_eq!(modver(&s, "config get core.jobs").ok(), "3");
    assert_eq!(modver(&s, "config get --user core.jobs").ok(), "2");
    let origin = modver(&s, "config get core.jobs --show-origin").ok();
    assert!(origin.starts_with("3\t(") && origin.ends_with("mv.toml:2)"), "{origin}");
    let hidden = modver(&s, "config set --user core.jobs 1");
    assert!(hidden.err().contains("not in force here, since"), "{hidden}");
    s.set_env("MODVER_CORE_JOBS", "7");
    assert_eq!(
        modver(&s, "config get core.jobs --show-origin").ok(),
        "7\t(MODVER_CORE_JOBS)"
    );
    modver(&s, "config unset core.jobs").ok();
    assert_eq!(modver(&s, "config list --project").ok(), "");
    let unset = modver(&s, "config get --project core.jobs");
    assert_eq!(
        unset.err(),
        "error: `core.jobs` is not set in the project settings\nhint: modver config set core.jobs VALUE\n"
    );
    unset.fails(1);
    let near = modver(&s, "config set core.job 1");
    assert!(near.err().contains("did you mean `core.jobs`?"), "{near}");

    // Outside of a repository there are the machine's and the user's.
    let home = s.home();
    assert_eq!(s.at(&home).modver(["config", "get", "--user", "core.jobs"]).ok(), "1");
    let refused = s.at(&home).modver(["config", "set", "core.jobs", "1"]);
    assert!(
        refused.err().contains("there is no project settings file here"),
        "{refused}"
    );
}

#[test]
fn secrets_are_kept_where_git_does_not_share_them() {
    let s = Scratch::new();
    let set = |layer: &[&str]| {
        let args = ["config", "set", "remote.lab.secret_access_key", "hush"];
        s.repo().modver(args.iter().chain(layer))
    };
    for layer in [&[][..], &["--project"], &["--system"]] {
        let refused = set(layer);
        assert!(refused.err().contains("hint: modver config set --local"), "{refused}");
        assert!(!refused.err().contains("hush"), "{refused}");
        refused.fails(1);
    }
    set(&["--local"]).ok();
    assert!(!s.repo().has("mv.toml"));
    let listed = s.repo().modver(["config", "list", "--json"]);
    assert!(
        listed.out().contains("***") && !listed.out().contains("hush"),
        "{listed}"
    );

    // A file that cannot be loaded can still be repaired.
    s.write(
        "mv.toml",
        "[remote.lab]\nsecret_access_key = \"hush\"\nurl = \"s3://b/p\"\n",
    );
    let refused = s.repo().modver(["config", "list"]);
    assert!(refused.err().contains("modver config unset --project"), "{refused}");
    let repaired = s
        .repo()
        .modver(["config", "unset", "--project", "remote.lab.secret_access_key"]);
    repaired.ok();
    assert_eq!(s.read("mv.toml"), b"[remote.lab]\nurl = \"s3://b/p\"\n");
}

#[test]
fn remotes_are_added_changed_and_removed() {
    let s = Scratch::new();
    s.write("sub/.keep", "");
    let sub = s.path("sub");
    let modver = |args: &str| s.at(&sub).modver(args.split(' '));
    assert_eq!(
        modver("remote add store ../../store").ok(),
        "added store: ../store, the default remote"
    );
    assert_eq!(s.git(["diff", "--cached", "--name-only"]).ok(), "mv.toml");
    assert!(s.root().join("store").is_dir());
    let taken = modver("remote add store s3://bucket");
    assert_eq!(
        taken.err(),
        "error: there is a remote `store` already: ../store\nhint: modver remote modify store url URL\n"
    );
    for (url, message) in [
        ("s3://key:hush@bucket/x", "has credentials in the URL"),
        ("ftp://bucket", "`ftp://` is not supported"),
        ("~/store", "starts with `~`"),
        ("s3://", "is not the name of a bucket"),
    ] {
        let refused = modver(&format!("remote add other {url}"));
        assert!(refused.err().contains(message), "{refused}");
        assert!(!refused.err().contains("hush"), "{refused}");
        refused.fails(1);
    }
    modver("remote add cloud s3://bucket/data --region eu-central-1 --endpoint http://localhost:9 --path-style").ok();
    modver("remote add --local mine ../scratch").ok();
    let absolute = s.path("scratch").display().to_string();
    assert_eq!(
        modver("remote list").ok(),
        format!("cloud  s3://bucket/data\nmine   {absolute}\nstore  ../store")
    );
    let none = modver("remote default");
    assert!(
        none.err()
            .contains("none is the default\nhint: modver remote default cloud"),
        "{none}"
    );
    modver("remote default store").ok();
    assert_eq!(modver("remote default").ok(), "store");
    modver("remote rename store home").ok();
    assert_eq!(modver("remote default").ok(), "home");
    modver("remote modify cloud path-style --unset").ok();
    modver("remote modify cloud region us-east-1").ok();
    // Where the remote is kept.
    modver("remote modify mine secret_access_key hush").ok();
    let unknown = modver("remote modify hom url x");
    assert!(unknown.err().contains("did you mean `home`?"), "{unknown}");
    assert_eq!(
        String::from_utf8(s.read("mv.toml")).unwrap(),
        "[remote.home]\nurl = \"../store\"\n\n[remote.cloud]\nurl = \"s3://bucket/data\"\n\
         endpoint = \"http://localhost:9\"\nregion = \"us-east-1\"\n\n[core]\nremote = \"home\"\n"
    );
    modver("remote remove mine").ok();
    modver("remote remove home").ok();
    assert_eq!(modver("remote list").ok(), "cloud  s3://bucket/data  (default)");
    modver("remote remove home").fails(1);
    modver("remote add -f cloud s3://other").ok();
    assert_eq!(modver("config list --project").ok(), "remote.cloud.url = s3://other");
}

#[test]
fn the_cache_is_rebuilt_from_packs_and_workspace() {
    let s = Scratch::new();
    s.write("big", modver_bytes(1 << 20));
    s.write("small", "x");
    s.write("gone", modver_bytes(1 << 19));
    s.repo().modver(["add", "big", "small", "gone"]).ok();
    let info = s.repo().modver(["cache", "info", "--json"]).json();
    assert_eq!(info["large_files"], 2);
    assert_eq!(info["shared"], false);
    let dir = s.repo().modver(["cache", "dir"]).ok();
    assert_eq!(dir, info["dir"]);

    std::fs::remove_dir_all(format!("{dir}/shards")).unwrap();
    std::fs::remove_file(s.path("gone")).unwrap();
    let found = s.repo().modver(["doctor", "--json"]);
    assert!(found.out().contains("modver cache rebuild"), "{found}");
    let rebuilt = s.repo().modver(["cache", "rebuild", "--json"]).json();
    assert_eq!(rebuilt["found_packs"], 1);
    assert_eq!(rebuilt["restored"], json!(["big"]));
    assert_eq!(rebuilt["incomplete"], json!([{"path": "gone", "missing": 1}]));
    std::fs::remove_file(s.path("big")).unwrap();
    s.repo().modver(["checkout", "big"]).ok();
    assert_eq!(s.read("big"), modver_bytes(1 << 20));
}

/// Bytes that do not repeat.
fn modver_bytes(len: usize) -> Vec<u8> {
    let block = |n: usize| *modver::hash::FileId::of(&n.to_le_bytes()).as_bytes();
    (0..len / 32).flat_map(block).collect()
}

#[test]
fn the_doctor_names_what_is_wrong_and_what_helps() {
    let s = Scratch::bare();
    let outside = s.repo().modver(["doctor"]);
    assert!(outside.out().contains("hint: git init"), "{outside}");
    outside.fails(1);

    s.git(["init", "--quiet"]).ok();
    s.repo().modver(["init"]).ok();
    let added = s.repo().modver(["remote", "add", "store", "../no/store"]);
    let hint = format!("hint: mkdir -p {}\n", s.root().join("no/store").display());
    assert!(added.err().ends_with(&hint), "{added}");
    added.ok();
    let missing = s.repo().modver(["doctor"]);
    assert!(
        missing
            .out()
            .contains("problem  store: remote directory does not exist"),
        "{missing}"
    );
    missing.fails(1);

    s.sh("mkdir -p ../no/store").ok();
    s.write("data", "1");
    s.repo().modver(["add", "data"]).ok();
    let healthy = s.repo().modver(["doctor", "--json"]);
    let levels = healthy.json();
    assert!(
        levels["findings"]
            .as_array()
            .unwrap()
            .iter()
            .all(|f| f["level"] == "ok"),
        "{healthy}"
    );
    healthy.ok();

    s.write(".gitignore", "");
    s.git(["rm", "--quiet", "--cached", "data.mv"]).ok();
    s.write(
        "broken.mv",
        "<<<<<<< HEAD
=======
>>>>>>> other
",
    );
    let findings = s.repo().modver(["doctor"]).fails(1);
    for line in [
        "the pointer `data.mv` is not in git\n         hint: git add data.mv",
        "git does not ignore `data`",
        "modver checkout --ours broken",
    ] {
        assert!(findings.contains(line), "{line}\n{findings}");
    }
    s.write(
        "mv.toml", "[core
",
    );
    let broken = s.repo().modver(["doctor"]).fails(1);
    assert!(broken.contains("mv.toml:1:"), "{broken}");
}
