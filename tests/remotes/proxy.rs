//! Push and pull through a network that does everything networks do.

use super::proxy::Proxy;
use super::s3::S3Server;
use super::support::{Output, Repo, Scratch, digest};
use super::{add, noise, with_s3_remote};

/// Runs a command whose remote is behind the proxy.
fn through(proxy: &Proxy, repo: Repo<'_>, args: &[&str]) -> Output {
    let mut command = repo.command(env!("CARGO_BIN_EXE_modver"));
    Output::of(command.args(args).env("MODVER_REMOTE_ORIGIN_ENDPOINT", &proxy.endpoint))
}

/// Repeats it until it succeeds; each time it fails, it must say so.
fn until_done(proxy: &Proxy, repo: Repo<'_>, args: &[&str], each: impl Fn()) -> u32 {
    for tries in 1..=40 {
        let output = through(proxy, repo, args);
        each();
        let err = output.err();
        assert!(!err.contains("panicked") && !err.contains("this is a bug"), "{output}");
        match output.code {
            0 => return tries,
            1 => assert!(err.contains("error: ") || err.contains("incomplete: "), "{output}"),
            3 => assert!(!err.is_empty(), "{output}"),
            _ => panic!("{output}\n{:?}", proxy.seen()),
        }
    }
    panic!("it never succeeds: {:?}", proxy.seen())
}

fn remove(s: &Scratch, clone: &std::path::Path) {
    s.sh(&format!("rm -rf '{}'", clone.display())).ok();
}

#[test]
fn what_a_push_says_is_stored_can_be_pulled_whatever_the_network_does() {
    let server = S3Server::start();
    let s = with_s3_remote(&server);
    let mut faults = std::collections::BTreeSet::new();
    for seed in 1..=10 {
        let proxy = Proxy::start(&server, seed, 25);
        for i in 0..5 {
            s.write(format!("data/{seed}/{i}"), noise(seed * 100 + i, 3_000));
        }
        s.write("big.bin", noise(seed, 600_000));
        add(s.repo(), &["data", "big.bin"]);
        until_done(&proxy, s.repo(), &["push"], || ());
        // Right then, and without the proxy.
        let direct = s.clone_to("direct");
        s.at(&direct).modver(["pull"]).ok();
        assert_eq!(digest(&direct), digest(&s.path("")), "{seed}");
        let other = s.clone_to("other");
        let at = s.at(&other);
        until_done(&proxy, at, &["pull"], || drop(at.modver(["verify"]).ok()));
        assert_eq!(digest(&other), digest(&s.path("")), "{seed}");
        at.modver(["verify"]).ok();
        remove(&s, &direct);
        remove(&s, &other);
        faults.extend(proxy.seen().into_keys());
    }
    s.repo().modver(["verify", "--remote", "--deep"]).ok();
    // Otherwise it shows little.
    assert!(faults.len() >= 10, "{faults:?}");
}

#[test]
fn a_pack_that_is_refused_for_good_keeps_only_those_back_who_need_it() {
    let server = S3Server::start();
    let s = with_s3_remote(&server);
    // The first pack is of the first file alone.
    s.write("a.bin", noise(1, 66 << 20));
    s.write("b.bin", noise(2, 300_000));
    add(s.repo(), &["a.bin", "b.bin"]);
    let proxy = Proxy::start(&server, 0, 0);
    proxy.refuse(|method, path, len| {
        (method == http::Method::PUT && path.contains("/packs/") && len > 32 << 20).then_some(413)
    });
    for _ in 0..2 {
        let output = through(&proxy, s.repo(), &["push"]);
        let err = output.err();
        assert!(
            err.contains("refused: a.bin was not pushed: ") && err.contains("413"),
            "{output}"
        );
        assert!(!err.contains("b.bin"), "{output}");
        output.fails(3);
        let clone = s.clone_to("clone");
        s.at(&clone).modver(["pull", "b.bin"]).ok();
        assert_eq!(s.at(&clone).read("b.bin"), s.read("b.bin"));
        s.at(&clone).modver(["pull"]).fails(3);
        remove(&s, &clone);
    }
    // One that everything needs: nothing can be pushed, and it is tried each time.
    s.write("c.bin", noise(3, 1_000));
    add(s.repo(), &["c.bin"]);
    proxy.refuse(|method, path, _| (method == http::Method::PUT && path.contains("/packs/")).then_some(400));
    let output = through(&proxy, s.repo(), &["push", "c.bin"]);
    assert!(output.err().contains("refused: c.bin was not pushed: "), "{output}");
    output.fails(1);
    // One that the server fails for ever, while it takes others.
    proxy.refuse(|method, path, len| {
        (method == http::Method::PUT && path.contains("/packs/") && len > 32 << 20).then_some(500)
    });
    let output = through(&proxy, s.repo(), &["push"]);
    let err = output.err();
    assert!(
        err.contains("refused: a.bin was not pushed: ") && err.contains("500"),
        "{output}"
    );
    assert!(!err.contains("c.bin"), "{output}");
    output.fails(3);
    let clone = s.clone_to("clone");
    s.at(&clone).modver(["pull", "b.bin", "c.bin"]).ok();
    remove(&s, &clone);
    // What concerns the whole remote stops at once.
    proxy.refuse(|method, path, _| (method == http::Method::PUT && path.contains("/packs/")).then_some(403));
    let output = through(&proxy, s.repo(), &["push"]);
    assert!(output.err().starts_with("error: permission denied"), "{output}");
    output.fails(1);
    proxy.refuse(|_, _, _| None);
    through(&proxy, s.repo(), &["push"]).ok();
    let clone = s.clone_to("clone");
    s.at(&clone).modver(["pull"]).ok();
    assert_eq!(digest(&clone), digest(&s.path("")));
    s.repo().modver(["verify", "--remote", "--deep"]).ok();
}

#[test]
fn a_collection_through_a_bad_network_loses_nothing() {
    let server = S3Server::start();
    let s = with_s3_remote(&server);
    let bucket = server.files();
    let age = |folder: &str, days: u32| {
        let find = format!(
            "find '{}' -path '*{folder}*' -type f -exec touch -d '{days} days ago' {{}} +",
            bucket.display()
        );
        s.sh(&find).ok();
    };
    let gc = ["gc", "--remote", "origin", "--all-branches", "--yes"];
    for seed in 1..=4 {
        let proxy = Proxy::start(&server, seed, 20);
        // A version that goes, and one that stays and shares half of it.
        for i in 0..8 {
            s.write(format!("data/{i}"), noise(seed * 100 + i, 40_000));
        }
        add(s.repo(), &["data"]);
        until_done(&proxy, s.repo(), &["push"], || ());
        for i in 0..5 {
            s.write(format!("data/{i}"), noise(seed * 1000 + i, 40_000));
        }
        s.repo().modver(["add", "--quiet", "data"]).ok();
        s.sh("git commit --quiet -a --amend -m again").ok();
        until_done(&proxy, s.repo(), &["push"], || ());
        age("refs/", 100);
        age("packs/", 100);
        until_done(&proxy, s.repo(), &gc, || ());
        age("tombstones/", 8);
        // One that comes between, and relies on what is there.
        s.write("data/more", noise(seed, 3_000));
        s.repo().modver(["add", "--quiet", "data"]).ok();
        s.sh("git commit --quiet -a -m more").ok();
        until_done(&proxy, s.repo(), &["push"], || ());
        until_done(&proxy, s.repo(), &gc, || ());
        let fresh = s.clone_to("fresh");
        s.at(&fresh).modver(["pull"]).ok();
        assert_eq!(digest(&fresh), digest(&s.path("")), "{seed}");
        remove(&s, &fresh);
        s.repo().modver(["verify", "--remote"]).ok();
    }
}
