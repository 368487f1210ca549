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
    let before = server.total();
    s.repo().modver(["push"]).ok();
    assert!(server.total() - before <= 3, "{:?}", server.requests());
    let clone = s.clone_to("clone");
    s.at(&clone).modver(["pull"]).ok();
    assert_eq!(digest(&clone), digest(&s.path("")));
    s.at(&clone).modver(["verify", "--remote"]).ok();
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
