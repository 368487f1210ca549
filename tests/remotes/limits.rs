//! Limits of transfers: bytes per second, and how long nothing may move.

use std::time::Duration;

use super::s3::S3Server;
use super::support::{Output, Scratch, digest};
use super::{add, files, noise, sample_in, with_dir_remote, with_s3_remote};

#[test]
fn a_rate_limit_loses_nothing_and_what_is_no_rate_is_refused() {
    let server = S3Server::start();
    for s in [with_dir_remote(), with_s3_remote(&server)] {
        sample_in(&s);
        s.repo().modver(["push", "--limit-rate", "20MiB/s"]).ok();
        let clone = s.clone_to("clone");
        let clone_of = s.at(&clone);
        clone_of
            .modver(["config", "set", "--local", "transfer.limit_rate", "20M"])
            .ok();
        clone_of
            .modver(["config", "set", "--local", "remote.origin.limit_rate", "10M"])
            .ok();
        clone_of.modver(["pull"]).ok();
        assert_eq!(digest(&clone), digest(&s.path("")));
        clone_of
            .modver(["verify", "--remote", "--deep", "--limit-rate", "0"])
            .ok();
        for bad in ["fast", "5", "-1"] {
            let refused = clone_of.modver(["pull", &format!("--limit-rate={bad}")]);
            assert!(refused.err().contains("invalid value"), "{refused}");
            refused.fails(2);
        }
        let refused = clone_of.modver(["config", "set", "transfer.limit_rate", "fast"]);
        assert!(refused.err().contains("must be bytes per second"), "{refused}");
        refused.fails(1);
    }
}

/// Starts a push that takes hours at its rate, and stops it while the pack is on its way. `attempts` counts what is begun
/// at the remote.
fn stopped(s: &Scratch, attempts: impl Fn() -> u64) -> Output {
    const SIZE: u64 = 40 << 20;
    s.write("big.bin", noise(3, SIZE as usize));
    add(s.repo(), &["big.bin"]);
    let mut command = s.repo().command(env!("CARGO_BIN_EXE_modver"));
    command.args(["push", "--limit-rate", "4K", "-c", "transfer.timeout=1"]);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let wait = |child: &mut std::process::Child, seconds| {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_secs(seconds));
        assert!(child.try_wait().unwrap().is_none(), "it ended");
    };
    let tmp = s.path(".git/modver/cache/tmp");
    while !files(&tmp).iter().any(|(_, len)| *len >= SIZE) {
        wait(&mut child, 1);
    }
    wait(&mut child, 2);
    // Longer than nothing may move on a connection, and long enough for all of it without a limit.
    let before = attempts();
    wait(&mut child, 4);
    assert_eq!(attempts(), before, "it was tried again");
    s.sh(&format!("kill -INT {}", child.id())).ok();
    let output = child.wait_with_output().unwrap();
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("interrupted"),
        "{output:?}"
    );
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    s.repo().modver(["push"])
}

#[test]
fn a_slow_push_waits_without_timing_out_and_can_be_stopped() {
    let s = with_dir_remote();
    let remote = s.root().join("remote");
    stopped(&s, || files(&remote).len() as u64).ok();
    assert_eq!(files(&remote.join("packs")).len(), 1);

    let server = S3Server::start();
    let s = with_s3_remote(&server);
    stopped(&s, || server.requests().get("PUT").copied().unwrap_or(0)).ok();
    s.repo().modver(["verify", "--remote", "--deep"]).ok();
}
