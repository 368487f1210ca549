//! Killed at any moment and repeated.

use std::path::Path;

use super::s3::S3Server;
use super::support::{Output, Repo, Scratch, digest};
use super::{add, files, noise, sample_in, with_dir_remote, with_s3_remote};

/// How many operations a command makes that change the disk; it has been run then.
fn operations(s: &Scratch, repo: Repo<'_>, args: &[&str]) -> u64 {
    let count = s.root().join("count");
    let mut command = repo.command(env!("CARGO_BIN_EXE_modver"));
    let output = Output::of(
        command
            .args(args)
            .env("MODVER_TEST_FAULT", format!("count:{}", count.display())),
    );
    output.ok();
    std::fs::read_to_string(count).unwrap().parse().unwrap()
}

/// Runs a command that is killed at its `n`th operation; `false` when it came through.
fn killed(repo: Repo<'_>, args: &[&str], n: u64) -> bool {
    let mut command = repo.command(env!("CARGO_BIN_EXE_modver"));
    let output = Output::of(command.args(args).env("MODVER_TEST_FAULT", format!("kill@{n}")));
    assert!(matches!(output.code, 0 | -9), "{output}");
    output.code == -9
}

fn copy(s: &Scratch, from: &Path, to: &str) -> std::path::PathBuf {
    let to = s.root().join(to);
    let (from, target) = (from.display(), to.display());
    s.sh(&format!("rm -rf '{target}' && cp -a '{from}' '{target}'")).ok();
    to
}

/// About eight moments spread over so many operations, first and last included.
fn moments(operations: u64) -> impl Iterator<Item = u64> {
    let step = (operations / 8).max(1);
    (1..=operations).filter(move |n| *n < 4 || *n + 4 > operations || n % step == 0)
}

#[test]
fn a_killed_push_is_invisible_and_goes_on() {
    let s = with_dir_remote();
    sample_in(&s);
    let remote = s.root().join("remote");
    let whole = copy(&s, &s.path(""), "counted");
    let n = operations(&s, s.at(&whole), &["push"]);
    let packs = files(&remote.join("packs"));
    assert_eq!(packs.len(), 2);
    let all = n;
    for n in moments(n) {
        s.sh(&format!("rm -rf '{0}' && mkdir '{0}'", remote.display())).ok();
        let work = copy(&s, &s.path(""), "work");
        // Threads that work side by side do not always need the same number of operations.
        assert!(killed(s.at(&work), &["push"], n) || n + 8 > all, "{n} of {all}");
        let clone = copy(&s, &s.path(""), "clone");
        s.sh(&format!(
            "rm -rf '{0}'/.git/modver '{0}'/data '{0}'/big.bin",
            clone.display()
        ))
        .ok();
        let early = s.at(&clone).modver(["pull"]);
        // All of it is there or none of it.
        assert!(matches!(early.code, 0 | 1), "{n}: {early}");
        s.at(&work).modver(["push"]).ok();
        assert_eq!(files(&remote.join("packs")), packs, "{n}");
        s.at(&clone).modver(["pull"]).ok();
        assert_eq!(digest(&clone), digest(&s.path("")), "{n}");
        s.at(&work).modver(["verify", "--remote", "--deep"]).ok();
    }
}

#[test]
fn what_a_killed_push_has_sent_is_not_sent_again() {
    let server = S3Server::start();
    let s = with_s3_remote(&server);
    sample_in(&s);
    let counted = copy(&s, &s.path(""), "counted");
    let n = operations(&s, s.at(&counted), &["push"]);
    let puts = |server: &S3Server| server.requests().get("PUT").copied().unwrap_or(0);
    let mut resumed = 0;
    let all = n;
    for n in moments(n) {
        let _ = std::fs::remove_dir_all(server.files().join("some"));
        let work = copy(&s, &s.path(""), "work");
        // Threads that work side by side do not always need the same number of operations.
        assert!(killed(s.at(&work), &["push"], n) || n + 8 > all, "{n} of {all}");
        let noted = work.join(".git/modver/remotes");
        let noted = files(&noted)
            .iter()
            .filter(|(path, _)| path.parent().unwrap().ends_with("uploaded"))
            .filter(|(path, _)| path.file_name().unwrap().len() == 64)
            .count();
        let before = puts(&server);
        s.at(&work).modver(["push"]).ok();
        if noted >= 2 {
            // At most a lease, a claim, the shard, the run and `current`.
            assert!(puts(&server) - before <= 5, "{n}: {}", puts(&server) - before);
            resumed += 1;
        }
        let clone = copy(&s, &s.path(""), "clone");
        s.sh(&format!(
            "rm -rf '{0}'/.git/modver '{0}'/data '{0}'/big.bin",
            clone.display()
        ))
        .ok();
        s.at(&clone).modver(["pull"]).ok();
        assert_eq!(digest(&clone), digest(&s.path("")), "{n}");
    }
    assert!(resumed > 0);
}

#[test]
fn a_push_to_a_full_disk_says_so_and_goes_on_when_there_is_space() {
    let s = with_dir_remote();
    sample_in(&s);
    let remote = s.root().join("remote");
    let counted = copy(&s, &s.path(""), "counted");
    let n = operations(&s, s.at(&counted), &["push"]);
    for n in moments(n) {
        s.sh(&format!("rm -rf '{0}' && mkdir '{0}'", remote.display())).ok();
        let work = copy(&s, &s.path(""), "work");
        let mut command = s.at(&work).command(env!("CARGO_BIN_EXE_modver"));
        let full = Output::of(command.arg("push").env("MODVER_TEST_FAULT", format!("errno=28@{n}+")));
        if full.code != 0 {
            let err = full.err().to_lowercase();
            assert!(
                err.starts_with("error: ") && err.contains("no space left"),
                "{n}: {full}"
            );
            full.fails(1);
            let clone = copy(&s, &s.path(""), "clone");
            s.sh(&format!(
                "rm -rf '{0}'/.git/modver '{0}'/data '{0}'/big.bin",
                clone.display()
            ))
            .ok();
            let early = s.at(&clone).modver(["pull"]);
            // The run may be there already, with all it names.
            assert!(matches!(early.code, 0 | 1), "{n}: {early}");
        }
        s.at(&work).modver(["push"]).ok();
        s.at(&work).modver(["verify", "--remote", "--deep"]).ok();
        s.at(&work).modver(["verify"]).ok();
    }
}

#[test]
fn a_killed_pull_goes_on() {
    let s = with_dir_remote();
    sample_in(&s);
    s.repo().modver(["push"]).ok();
    let clone = s.clone_to("clone");
    let counted = copy(&s, &clone, "counted");
    let n = operations(&s, s.at(&counted), &["pull"]);
    for n in moments(n) {
        let work = copy(&s, &clone, "work");
        killed(s.at(&work), &["pull"], n);
        s.at(&work).modver(["verify"]).ok();
        s.at(&work).modver(["pull"]).ok();
        // What a killed process was writing lies beside a file it never became.
        s.sh(&format!("find '{}' -name '.modver-tmp-*' -delete", work.display()))
            .ok();
        assert_eq!(digest(&work), digest(&s.path("")), "{n}");
        s.at(&work).modver(["verify"]).ok();
    }
}

#[test]
fn a_killed_repair_makes_nothing_worse_and_goes_on() {
    let s = with_dir_remote();
    sample_in(&s);
    s.repo().modver(["push"]).ok();
    let remote = s.root().join("remote");
    let clone = s.clone_to("clone");
    s.at(&clone).modver(["pull", "--quiet", "data"]).ok();
    // Of this pack the clone has a part, and the rest can be read from it: it moves to a fresh one.
    let packs = files(&remote.join("packs"));
    let (pack, _) = packs.iter().max_by_key(|(_, len)| *len).unwrap();
    let mut bytes = std::fs::read(pack).unwrap();
    bytes[100_000] ^= 1;
    std::fs::write(pack, bytes).unwrap();
    let args = ["verify", "--remote", "--deep", "--repair"];
    let kept = copy(&s, &remote, "kept");
    let readable = |n: u64| {
        let fresh = copy(&s, &clone, "fresh");
        s.sh(&format!("rm -rf '{0}'/.git/modver '{0}'/data", fresh.display()))
            .ok();
        s.at(&fresh).modver(["pull", "--quiet", "data"]).ok();
        assert_eq!(digest(&fresh.join("data")), digest(&s.path("data")), "{n}");
    };
    readable(0);
    // It needs as many operations each time, threads apart.
    let work = copy(&s, &clone, "work");
    let count = s.root().join("count");
    let mut command = s.at(&work).command(env!("CARGO_BIN_EXE_modver"));
    let fault = format!("count:{}", count.display());
    Output::of(command.args(args).env("MODVER_TEST_FAULT", fault)).fails(6);
    let n: u64 = std::fs::read_to_string(count).unwrap().parse().unwrap();
    for n in moments(n) {
        copy(&s, &kept, "remote");
        let work = copy(&s, &clone, "work");
        let mut command = s.at(&work).command(env!("CARGO_BIN_EXE_modver"));
        let killed = Output::of(command.args(args).env("MODVER_TEST_FAULT", format!("kill@{n}")));
        assert!(matches!(killed.code, 6 | -9), "{n}: {killed}");
        readable(n);
        s.at(&work).modver(args).fails(6);
        readable(n);
        let whole = copy(&s, &s.path(""), "whole");
        s.at(&whole).modver(args).ok();
        s.at(&whole).modver(["verify", "--remote", "--deep"]).ok();
        let fresh = copy(&s, &clone, "fresh");
        s.sh(&format!("rm -rf '{0}'/.git/modver '{0}'/data", fresh.display()))
            .ok();
        s.at(&fresh).modver(["pull", "--quiet"]).ok();
        assert_eq!(digest(&fresh), digest(&s.path("")), "{n}");
    }
}

#[test]
fn a_killed_gc_loses_nothing_that_is_needed() {
    let s = with_dir_remote();
    sample_in(&s);
    // Half of the large file changes, so that packs are written anew and others go.
    let mut big = noise(2, 3_000_000);
    big[..1_500_000].copy_from_slice(&noise(3, 1_500_000));
    s.write("big.bin", big);
    s.write("data/cats/1.txt", "another cat");
    s.write("passing", noise(9, 500_000));
    add(s.repo(), &["data", "big.bin", "passing"]);
    s.repo().modver(["push", "--quiet"]).ok();
    s.git(["checkout", "--quiet", "main~1"]).ok();
    s.repo().modver(["push", "--quiet"]).ok();
    s.git(["checkout", "--quiet", "main"]).ok();
    s.sh("git rm --quiet --cached passing.mv; rm -f passing passing.mv; git commit --quiet -m less")
        .ok();
    let args = ["gc", "--workspace", "--yes"];
    let counted = copy(&s, &s.path(""), "counted");
    let n = operations(&s, s.at(&counted), &args);
    let size = |dir: &Path| {
        files(&dir.join(".git/modver/cache"))
            .iter()
            .map(|(_, len)| len)
            .sum::<u64>()
    };
    let least = size(&counted);
    assert!(least + 1_500_000 < size(&s.path("")));
    for n in moments(n) {
        let work = copy(&s, &s.path(""), "work");
        killed(s.at(&work), &args, n);
        let repo = s.at(&work);
        repo.modver(["verify"]).ok();
        repo.sh("rm -rf data big.bin").ok();
        repo.modver(["checkout", "--quiet"]).ok();
        assert_eq!(digest(&work), digest(&s.path("")), "{n}");
        repo.modver(args).ok();
        repo.modver(["verify"]).ok();
        assert!(
            size(&work) <= least + 100_000,
            "{n}: {} instead of {least}",
            size(&work)
        );
    }
}
