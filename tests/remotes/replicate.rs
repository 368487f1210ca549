//! `replicate`: from one remote to another.

use std::fs;

use super::proxy::Proxy;
use super::s3::S3Server;
use super::several::with_remotes;
use super::support::{Output, Scratch, digest};
use super::{add, commit, damage_file, files, noise, sample_in};

/// Everything a store has, but what belongs to pushes.
fn store(s: &Scratch, name: &str) -> Vec<(std::path::PathBuf, u64)> {
    let root = s.root().join(name);
    let mut found = files(&root);
    for (path, _) in &mut found {
        *path = path.strip_prefix(&root).unwrap().to_owned();
    }
    found.retain(|(path, _)| path.starts_with("packs") || path.starts_with("shards") || path.starts_with("records"));
    found
}

#[test]
fn everything_that_anybody_pushed_is_there_and_nothing_twice() {
    let s = with_remotes();
    s.write(
        "mv.toml",
        String::from_utf8(s.read("mv.toml")).unwrap()
            + "[stages.make]\ncmd = \"cp big.bin made\"\ndeps = [\"big.bin\"]\nouts = [\"made\"]\n",
    );
    sample_in(&s);
    s.repo().modver(["push"]).ok();
    // Another branch, which this work tree does not have any more.
    s.sh("git switch --quiet -c other").ok();
    s.write("other.bin", noise(9, 500_000));
    add(s.repo(), &["other.bin"]);
    s.repo().modver(["push"]).ok();
    s.sh("git switch --quiet main").ok();
    s.repo().modver(["repro"]).ok();
    commit(s.repo());
    s.repo().modver(["push"]).ok();

    let dry = s.repo().modver(["replicate", "a", "b", "--dry-run", "--json"]).json();
    assert!(dry["roots"].as_u64() >= Some(3) && dry["records"] == 1, "{dry}");
    assert!(files(&s.root().join("b")).is_empty());
    let json = s.repo().modver(["replicate", "a", "b", "--json"]).json();
    for field in ["roots", "packs", "bytes", "shards", "records"] {
        assert_eq!(json[field], dry[field], "{json}");
    }
    assert_eq!(store(&s, "a"), store(&s, "b"));
    let again = s.repo().modver(["replicate", "a", "b"]);
    assert!(again.out().starts_with("nothing to copy to b; "), "{again}");
    again.ok();

    // Who needs it is known there, too: somebody else's collection takes nothing away.
    s.sh("git init --quiet ../stranger && cd ../stranger && printf '[remote.b]\\nurl = \"../b\"\\n' > mv.toml && git add -A && git commit --quiet -m other").ok();
    let stranger = s.root().join("stranger");
    let collect = [
        "gc",
        "--remote",
        "b",
        "--all-commits",
        "--unclaimed",
        "--grace",
        "0",
        "--yes",
    ];
    s.at(&stranger).modver(collect).ok();
    assert_eq!(store(&s, "a"), store(&s, "b"));

    // Without the first one, and what it was copied by.
    fs::remove_dir_all(s.root().join("a")).unwrap();
    for branch in ["main", "other"] {
        let clone = s.clone_to(branch);
        s.at(&clone).sh(&format!("git switch --quiet {branch}")).ok();
        let pulled = s.at(&clone).modver(["pull", "--remote", "b"]);
        if branch == "main" {
            assert!(pulled.out().contains("fetched 1 run of stages"), "{pulled}");
        }
        pulled.ok();
        s.sh(&format!("git switch --quiet {branch} && modver checkout")).ok();
        assert_eq!(digest(&clone), digest(&s.path("")), "{branch}");
        s.at(&clone).modver(["verify", "--remote=b", "--deep"]).ok();
    }
}

#[test]
fn either_side_may_be_encrypted() {
    let mut s = with_remotes();
    sample_in(&s);
    s.repo().modver(["push"]).ok();
    for name in ["x", "y"] {
        fs::create_dir(s.root().join(name)).unwrap();
        s.set_env(
            &format!("MODVER_REMOTE_{}_PASSPHRASE", name.to_uppercase()),
            format!("the pass phrase of {name}"),
        );
        let url = format!("../{name}");
        s.repo().modver(["remote", "add", name, &url, "--encrypt"]).ok();
    }
    commit(s.repo());
    for (from, to) in [("a", "x"), ("x", "y"), ("y", "b")] {
        s.repo().modver(["replicate", from, to]).ok();
        let verified = s.repo().modver(["verify", &format!("--remote={to}"), "--deep"]);
        verified.ok();
    }
    assert_eq!(store(&s, "a"), store(&s, "b"));
    let clone = s.clone_to("clone");
    s.at(&clone).modver(["pull", "--remote", "y"]).ok();
    assert_eq!(digest(&clone), digest(&s.path("")));
}

#[test]
fn what_was_stopped_goes_on_where_it_was() {
    let server = S3Server::start();
    let mut s = with_remotes();
    s.write(
        "mv.toml",
        String::from_utf8(s.read("mv.toml")).unwrap()
            + &format!(
                "[remote.s]\nurl = \"s3://{}/copy\"\nregion = \"us-east-1\"\n",
                server.bucket
            ),
    );
    s.set_env("AWS_ACCESS_KEY_ID", &server.access_key);
    s.set_env("AWS_SECRET_ACCESS_KEY", &server.secret_key);
    for i in 0..6 {
        s.write(format!("{i}.bin"), noise(i, 400_000));
        add(s.repo(), &[&format!("{i}.bin")]);
        s.repo().modver(["push", "--quiet"]).ok();
    }
    let proxy = Proxy::start(&server, 0, 0);
    let run = |args: &[&str]| {
        let mut command = s.repo().command(env!("CARGO_BIN_EXE_modver"));
        Output::of(command.args(args).env("MODVER_REMOTE_S_ENDPOINT", &proxy.endpoint))
    };
    let is_put = |method: &http::Method, path: &str, what: &str| method == http::Method::PUT && path.contains(what);
    // Packs arrive, and then nothing more: nobody sees them.
    proxy.refuse(move |method, path, _| is_put(method, path, "/shards/").then_some(403));
    run(&["replicate", "a", "s"]).fails(1);
    let packs = |s: &S3Server| files(&s.files().join("copy/packs")).len();
    assert_eq!(
        packs(&server),
        store(&s, "a")
            .iter()
            .filter(|(path, _)| path.starts_with("packs"))
            .count()
    );
    run(&["pull", "--force", "--remote", "s"]).ok();
    let json = run(&["status", "--remote=s", "--json"]).json();
    assert!(
        json["outputs"]
            .as_array()
            .unwrap()
            .iter()
            .all(|output| output["in_remote"] == false),
        "{json}"
    );
    // The packs are not sent again.
    proxy.refuse(move |method, path, _| is_put(method, path, "/packs/").then_some(403));
    let json = run(&["replicate", "a", "s", "--json"]).json();
    assert_eq!((&json["packs"], &json["roots"]), (&0.into(), &6.into()), "{json}");
    run(&["verify", "--remote=s", "--deep"]).ok();
    // One pack that is not taken keeps back what needs it.
    s.write("more.bin", noise(70, 400_000));
    add(s.repo(), &["more.bin"]);
    s.repo().modver(["push", "--quiet"]).ok();
    proxy.refuse(move |method, path, _| is_put(method, path, "/packs/").then_some(413));
    let refused = run(&["replicate", "a", "s"]);
    assert!(refused.err().starts_with("refused: packs/"), "{refused}");
    assert!(refused.err().contains("left out: 1 root was not copied"), "{refused}");
    refused.fails(3);
}

#[test]
fn what_is_damaged_keeps_back_only_what_needs_it() {
    let s = with_remotes();
    s.write("sound.bin", noise(1, 300_000));
    add(s.repo(), &["sound.bin"]);
    s.repo().modver(["push"]).ok();
    let before: Vec<_> = files(&s.root().join("a/packs"));
    s.write("bad.bin", noise(2, 300_000));
    add(s.repo(), &["bad.bin"]);
    s.repo().modver(["push"]).ok();
    let mut new = files(&s.root().join("a/packs"));
    new.retain(|pack| !before.contains(pack));
    for (pack, _) in &new {
        damage_file(pack);
    }
    let copied = s.repo().modver(["replicate", "a", "b"]);
    assert!(copied.err().starts_with("damaged: packs/"), "{copied}");
    assert!(
        copied.err().contains("hint: modver verify --remote=a --deep --repair"),
        "{copied}"
    );
    copied.fails(3);
    // Nothing damaged arrived.
    assert_eq!(files(&s.root().join("b/packs")).len(), before.len());
    let clone = s.clone_to("clone");
    s.at(&clone).modver(["pull", "--remote", "b", "sound.bin"]).ok();
    s.repo().modver(["verify", "--remote=a", "--deep", "--repair"]).ok();
    s.repo().modver(["replicate", "a", "b"]).ok();
    s.at(&clone).modver(["pull", "--remote", "b"]).ok();
    assert_eq!(digest(&clone), digest(&s.path("")));

    let same = s.repo().modver(["replicate", "a", "a"]);
    assert!(
        same.err()
            .starts_with("error: remotes `a` and `a` are the same place: "),
        "{same}"
    );
    same.fails(1);
    s.repo().modver(["replicate", "a", "nowhere"]).fails(1);
    s.repo().modver(["replicate", "a"]).fails(2);
    // Nothing was pushed there: there is nothing to copy.
    s.repo().modver(["replicate", "c", "b"]).ok();
}
