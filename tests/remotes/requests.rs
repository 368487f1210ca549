//! Requests as the server counts them.

use super::s3::S3Server;
use super::support::digest;
use super::{add, commit, sample_in, with_s3_remote};

#[test]
fn s3_round_trip() {
    let server = S3Server::start();
    let s = with_s3_remote(&server);
    sample_in(&s);
    s.repo().modver(["push"]).ok();
    let (before, counted) = (server.total(), server.requests());
    s.repo().modver(["push"]).ok();
    // The marker; a lease, when it began, whether it is still there, its end; what is marked, claimed, in the catalog.
    assert!(server.total() - before <= 8, "{counted:?} {:?}", server.requests());
    let clone = s.clone_to("clone");
    s.at(&clone).modver(["pull"]).ok();
    assert_eq!(digest(&clone), digest(&s.path("")));
    s.at(&clone).modver(["verify", "--remote", "--deep"]).ok();
    // The marker, and lists of runs (twice), shards and packs.
    let before = server.total();
    s.at(&clone).modver(["verify", "--remote"]).ok();
    assert!(server.total() - before <= 6, "{:?}", server.requests());
}

#[test]
fn thousands_of_outputs_cost_few_requests() {
    let server = S3Server::start();
    let s = with_s3_remote(&server);
    let names: Vec<String> = (0..5000).map(|i| format!("files/{}/{i}.txt", i % 50)).collect();
    for name in &names {
        s.write(name, name);
    }
    s.repo()
        .modver(["add", "--quiet"].into_iter().chain(names.iter().map(String::as_str)))
        .ok();
    commit(s.repo());
    s.repo().modver(["push"]).ok();
    let push = server.total();
    assert!(push < 100, "{:?}", server.requests());
    let clone = s.clone_to("clone");
    s.at(&clone).modver(["pull", &names[1234]]).ok();
    assert_eq!(s.at(&clone).read(&names[1234]), names[1234].as_bytes());
    assert!(server.total() - push < 12, "{:?}", server.requests());
}

#[test]
fn many_small_files_cost_few_requests() {
    let server = S3Server::start();
    let s = with_s3_remote(&server);
    for i in 0..10_000 {
        s.write(format!("data/{}/{i}", i % 40), format!("{i} {}", i * 7919));
    }
    add(s.repo(), &["data"]);
    s.repo().modver(["push"]).ok();
    let push = server.total();
    assert!(push < 60, "{:?}", server.requests());
    let clone = s.clone_to("clone");
    s.at(&clone).modver(["pull"]).ok();
    assert!(server.total() - push < 60, "{:?}", server.requests());
    assert_eq!(digest(&clone), digest(&s.path("")));
}

/// The most memory a command used, in KiB, where the system tells.
fn peak_of(mut child: std::process::Child) -> u64 {
    let mut peak = 0;
    let status = format!("/proc/{}/status", child.id());
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line
            .and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
            .unwrap_or(peak);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    peak
}

/// cargo test --test remotes -- --ignored --nocapture hundred_thousand
#[test]
#[ignore = "writes 2 GB and takes minutes"]
fn a_hundred_thousand_files_of_4_kib_cost_few_requests_and_little_memory() {
    let server = S3Server::start();
    let s = with_s3_remote(&server);
    let content = super::noise(1, 100_000 * 4096);
    for (i, content) in content.chunks_exact(4096).enumerate() {
        s.write(format!("data/{i}"), content);
    }
    drop(content);
    add(s.repo(), &["data"]);
    let clone = s.clone_to("clone");
    for (what, repo) in [("push", s.repo()), ("pull", s.at(&clone))] {
        let before = server.total();
        let mut command = repo.command(env!("CARGO_BIN_EXE_modver"));
        let peak = peak_of(command.args([what, "--quiet"]).spawn().unwrap());
        let requests = server.total() - before;
        eprintln!("{what}: {requests} requests, at most {} MiB of memory", peak / 1024);
        assert!(requests < 60, "{what}: {:?}", server.requests());
        assert!(peak <= 400 * 1024, "{what}: {peak} KiB");
    }
    assert_eq!(digest(&clone), digest(&s.path("")));
    eprintln!("all requests: {:?}", server.requests());
}

#[test]
fn wrong_credentials_are_named_with_what_to_do() {
    let server = S3Server::start();
    let mut s = with_s3_remote(&server);
    sample_in(&s);
    s.set_env("AWS_SECRET_ACCESS_KEY", "not-the-secret");
    for command in ["push", "verify --remote"] {
        let refused = s.repo().modver(command.split(' '));
        assert!(
            refused.err().starts_with("error: credentials were refused by "),
            "{refused}"
        );
        assert!(
            refused.err().contains("\nhint: modver remote modify origin profile "),
            "{refused}"
        );
        assert!(!refused.err().contains("not-the-secret"), "{refused}");
        refused.fails(1);
    }
    assert!(super::files(&server.files()).is_empty());
}

#[test]
fn a_service_that_is_not_there_is_named() {
    let server = S3Server::start();
    let s = with_s3_remote(&server);
    sample_in(&s);
    let text = String::from_utf8(s.read("mv.toml")).unwrap();
    s.write("mv.toml", text.replace(&server.endpoint, "http://127.0.0.1:1"));
    for command in ["push", "pull --force", "verify --remote"] {
        // What is in the cache need not be asked for.
        s.sh("rm -rf .git/modver/cache").ok();
        let output = s.repo().modver(command.split(' '));
        assert!(output.err().starts_with("error: cannot reach "), "{output}");
        output.fails(1);
    }
}
