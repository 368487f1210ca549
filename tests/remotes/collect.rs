//! What `gc --remote` removes from remotes that several use, and what it does not.

use std::path::Path;
use std::process::Command;

use super::support::{Repo, Scratch, digest};
use super::{add, files, noise, s3, with_dir_remote, with_s3_remote};

/// The scratch repository with its history in a repository that others clone from: version 1 of `model.bin` on `main`,
/// version 2 on `side`, all of it pushed.
fn hub(s: Scratch) -> Scratch {
    s.sh("git init --quiet --bare ../hub.git && git remote add origin ../hub.git")
        .ok();
    s.write("model.bin", noise(1, 1_000_000));
    add(s.repo(), &["model.bin"]);
    s.repo().modver(["push", "--quiet"]).ok();
    s.git(["checkout", "--quiet", "-b", "side"]).ok();
    s.write("model.bin", noise(2, 800_000));
    add(s.repo(), &["model.bin"]);
    s.repo().modver(["push", "--quiet"]).ok();
    s.sh("git push --quiet origin main side && git checkout --quiet main && git fetch --quiet")
        .ok();
    s.repo().modver(["pull", "--quiet"]).ok();
    s
}

fn clone(s: &Scratch, name: &str) -> std::path::PathBuf {
    let path = s.root().join(name);
    s.sh(&format!("git clone --quiet ../hub.git ../{name}")).ok();
    path
}

const BRANCHES: [&str; 4] = ["gc", "--remote", "origin", "--all-branches"];

fn gc(repo: Repo<'_>, more: &[&str]) -> super::support::Output {
    repo.modver(BRANCHES.iter().chain(more))
}

/// Makes what is there look older.
fn age(path: &Path, days: u32) {
    let touched = Command::new("find")
        .args([
            path.to_str().unwrap(),
            "-type",
            "f",
            "-exec",
            "touch",
            "-d",
            &format!("{days} days ago"),
            "{}",
            "+",
        ])
        .status();
    assert!(touched.unwrap().success());
}

fn packs(remote: &Path) -> u64 {
    files(&remote.join("packs")).iter().map(|(_, len)| len).sum()
}

#[test]
fn a_deleted_branch_goes_in_two_steps() {
    let s = hub(with_dir_remote());
    let remote = s.root().join("remote");
    s.sh("git branch -D side --quiet && git push --quiet origin :side").ok();
    let before = digest(&remote);
    // Pushed lately: somebody may be about to commit it.
    let young = gc(s.repo(), &["--yes"]);
    assert!(
        young
            .err()
            .starts_with("kept: 1 version that no commit in scope names: pushed within"),
        "{young}"
    );
    assert_eq!(young.ok(), "nothing to remove on `origin`");
    assert_eq!(digest(&remote), before);
    age(&remote.join("refs"), 100);
    let dry = gc(s.repo(), &[]);
    assert!(dry.out().starts_with("would mark 781."), "{dry}");
    assert!(dry.out().ends_with(": 1 version that nothing needs, 1 pack"), "{dry}");
    assert_eq!(dry.err(), "hint: the same with --yes does it\n");
    let whole = packs(&remote);
    let marked = gc(s.repo(), &["--yes"]);
    assert!(marked.out().starts_with("marked 781."), "{marked}");
    assert!(marked.err().contains("until then a push takes it back"), "{marked}");
    assert_eq!(packs(&remote), whole);
    // It can still be had, and what is needed is pushed to as before.
    let other = clone(&s, "other");
    let other = s.at(&other);
    other.modver(["fetch", "--rev", "origin/main"]).ok();
    assert_eq!(
        s.repo().modver(["push"]).ok(),
        "nothing to push to origin; 1 up to date"
    );
    let waits = gc(s.repo(), &["--yes"]);
    assert!(waits.out().contains("can be deleted from 20"), "{waits}");
    assert_eq!(packs(&remote), whole);
    age(&remote.join("tombstones"), 8);
    let swept = gc(s.repo(), &["--yes"]);
    assert!(swept.out().starts_with("deleted 781."), "{swept}");
    assert!(packs(&remote) < whole - 780_000);
    assert_eq!(gc(s.repo(), &["--yes"]).ok(), "nothing to remove on `origin`");
    other.modver(["pull", "--quiet"]).ok();
    assert_eq!(s.read(s.root().join("other/model.bin")), noise(1, 1_000_000));
    s.repo().modver(["verify", "--remote"]).ok();
    // What was deleted can be pushed again.
    s.sh("git checkout --quiet -b again").ok();
    s.write("model.bin", noise(2, 800_000));
    add(s.repo(), &["model.bin"]);
    s.repo().modver(["push", "--quiet"]).ok();
    s.sh("git push --quiet origin again && git -C ../other fetch --quiet && git -C ../other checkout --quiet again")
        .ok();
    other.modver(["pull", "--quiet"]).ok();
    assert_eq!(s.read(s.root().join("other/model.bin")), noise(2, 800_000));
}

#[test]
fn a_push_after_the_mark_takes_it_back() {
    let s = hub(with_dir_remote());
    let remote = s.root().join("remote");
    let other = clone(&s, "other");
    s.sh("git -C ../other checkout --quiet side").ok();
    s.at(&other).modver(["pull", "--quiet"]).ok();
    s.sh("git branch -D side --quiet && git push --quiet origin :side").ok();
    age(&remote.join("refs"), 100);
    assert!(gc(s.repo(), &["--yes"]).ok().starts_with("marked "));
    // The other one still has the branch, and pushes it: sent anew, since what is marked is not relied on.
    let pushed = s.at(&other).modver(["push"]);
    assert!(pushed.out().starts_with("1 output, 1 file, 781."), "{pushed}");
    pushed.ok();
    age(&remote.join("tombstones"), 8);
    assert!(gc(s.repo(), &["--yes"]).ok().starts_with("deleted "));
    s.sh("rm -rf ../other/model.bin ../other/.git/modver").ok();
    s.at(&other).modver(["pull", "--quiet"]).ok();
    assert_eq!(s.read(other.join("model.bin")), noise(2, 800_000));
}

#[test]
fn what_another_repository_claims_stays() {
    let s = hub(with_dir_remote());
    let remote = s.root().join("remote");
    // A fork: the same history, going elsewhere.
    s.sh("git clone --quiet --bare ../hub.git ../fork.git && git clone --quiet --branch side ../fork.git ../fork")
        .ok();
    let fork = s.root().join("fork");
    s.at(&fork).modver(["pull", "--quiet"]).ok();
    assert_eq!(
        s.at(&fork).modver(["push"]).ok(),
        "nothing to push to origin; 1 up to date"
    );
    s.sh("git branch -D side --quiet && git push --quiet origin :side").ok();
    age(&remote.join("refs"), 1000);
    let kept = gc(s.repo(), &["--yes"]);
    assert!(kept.err().contains("claimed by "), "{kept}");
    let id = kept
        .err()
        .rsplit_once('(')
        .unwrap()
        .1
        .split_once(')')
        .unwrap()
        .0
        .to_owned();
    assert_eq!(kept.out().lines().next().unwrap(), "nothing to remove on `origin`");
    // Nobody is there any more to answer for it.
    s.sh("rm -rf ../fork ../fork.git").ok();
    age(&remote.join("refs"), 1000);
    assert!(
        gc(s.repo(), &["--yes", "--repository", &id, "--grace", "0"])
            .ok()
            .contains("deleted 781.")
    );
    s.repo().modver(["verify", "--remote"]).ok();
}

#[test]
fn what_nobody_claimed_stays_unless_asked_for() {
    let s = hub(with_dir_remote());
    let remote = s.root().join("remote");
    s.sh("git branch -D side --quiet && git push --quiet origin :side && rm -r ../remote/refs")
        .ok();
    let kept = gc(s.repo(), &["--yes", "--grace", "0"]);
    assert!(
        kept.err().contains("1 version that no repository ever claimed"),
        "{kept}"
    );
    kept.ok();
    let whole = packs(&remote);
    let gone = gc(s.repo(), &["--yes", "--grace", "0", "--unclaimed"]);
    assert!(gone.out().contains("deleted 781."), "{gone}");
    assert!(packs(&remote) < whole);
    // What is needed here is claimed by now.
    assert!(!files(&remote.join("refs")).is_empty());
    s.repo().modver(["verify", "--remote"]).ok();
}

#[test]
fn a_clone_that_does_not_know_enough_removes_nothing() {
    let s = hub(with_dir_remote());
    assert_eq!(
        s.repo().modver(["gc", "--remote", "origin", "--yes"]).err(),
        "error: nothing says what is still needed\nhint: modver gc --workspace --all-branches --all-tags\n"
    );
    s.repo().modver(["gc", "--remote", "nowhere", "--all-commits"]).fails(1);
    let both = s
        .repo()
        .modver(["gc", "--remote", "origin", "--all-commits", "--not-in-remote"]);
    both.fails(2);
    s.repo().modver(["gc", "--all-commits", "--grace", "3"]).fails(2);
    for name in ["FETCH_HEAD", "description"] {
        s.sh(&format!("touch -d '3 days ago' .git/{name}")).ok();
    }
    let old = gc(s.repo(), &["--yes"]);
    assert_eq!(
        old.err(),
        "error: this clone was last brought up to date 3 days ago, and what others pushed since may be needed\n\
         hint: git fetch --all --tags, then the same again\n"
    );
    old.fails(1);
    s.sh("git clone --quiet --depth 1 file://$PWD/../hub.git ../shallow")
        .ok();
    let shallow = s.root().join("shallow");
    let cut = gc(s.at(&shallow), &["--yes"]);
    assert!(
        cut.err()
            .ends_with("hint: git fetch --unshallow, then the same again\n"),
        "{cut}"
    );
    cut.fails(1);
    s.sh("git clone --quiet --single-branch --branch main ../hub.git ../narrow")
        .ok();
    let narrow = s
        .at(&s.root().join("narrow"))
        .modver(["gc", "--remote", "origin", "--all-branches"]);
    assert_eq!(
        narrow.err(),
        "error: this clone does not fetch all branches of `origin`, and what it does not see may be needed\n\
         hint: git remote set-branches origin '*', git fetch --all --tags, then the same again\n"
    );
    narrow.fails(1);
    // A lost shard may need any pack.
    s.git(["fetch", "--quiet"]).ok();
    let shard = files(&s.root().join("remote/shards")).remove(0).0;
    std::fs::remove_file(&shard).unwrap();
    s.sh("rm -rf .git/modver/remotes").ok();
    let refused = gc(s.repo(), &["--yes", "--claims-older-than", "0", "--grace", "0"]);
    assert!(
        refused.err().contains("is missing or damaged, and may need anything"),
        "{refused}"
    );
    assert!(
        refused
            .err()
            .ends_with("hint: modver verify --remote=origin --deep --repair\n"),
        "{refused}"
    );
    refused.fails(1);
}

#[test]
fn a_push_that_has_not_ended_holds_up_the_deletion() {
    let s = hub(with_dir_remote());
    let remote = s.root().join("remote");
    s.sh("git branch -D side --quiet && git push --quiet origin :side").ok();
    std::fs::create_dir_all(remote.join("leases")).unwrap();
    std::fs::write(
        remote.join("leases/0123456789abcdef0123456789abcdef"),
        r#"{"holder":"Ann <ann@lab>"}"#,
    )
    .unwrap();
    let now = ["--yes", "--grace", "0", "--claims-older-than", "0"];
    let whole = packs(&remote);
    let waits = gc(s.repo(), &now);
    assert!(waits.out().contains("wait for a push to end"), "{waits}");
    assert!(
        waits.err().contains("a push of Ann <ann@lab> that began at 20"),
        "{waits}"
    );
    assert_eq!(packs(&remote), whole);
    age(&remote.join("leases"), 8);
    assert!(gc(s.repo(), &now).ok().contains("deleted 781."));
    assert!(files(&remote.join("leases")).is_empty());
}

#[test]
fn packs_that_are_mostly_dead_are_written_anew() {
    let s = hub(with_dir_remote());
    let remote = s.root().join("remote");
    s.git(["checkout", "--quiet", "-b", "wide"]).ok();
    for n in 0..60_u64 {
        s.write(format!("data/{n}.bin"), noise(100 + n, 20_000));
    }
    s.write("data/large.bin", noise(99, 2_000_000));
    add(s.repo(), &["data"]);
    s.repo().modver(["push", "--quiet"]).ok();
    // Most of it goes, but for some files and the end of the large one.
    for n in 0..50 {
        std::fs::remove_file(s.path(format!("data/{n}.bin"))).unwrap();
    }
    let large = s.read("data/large.bin")[1_500_000..].to_vec();
    s.write("data/large.bin", large);
    s.repo().modver(["add", "--quiet", "data"]).ok();
    s.sh("git commit --quiet -a --amend -m less && git push --quiet origin wide")
        .ok();
    s.repo().modver(["push", "--quiet"]).ok();
    let whole = packs(&remote);
    let now = ["--yes", "--grace", "0", "--claims-older-than", "0"];
    let plain = gc(s.repo(), &[&now[..], &["--no-repack"]].concat());
    assert!(!plain.out().contains("moved"), "{plain}");
    let dry = gc(s.repo(), &now[1..]);
    assert!(
        dry.out().contains("would move ") && !dry.out().contains("mark 0 B"),
        "{dry}"
    );
    let after = gc(s.repo(), &now);
    assert!(
        after
            .out()
            .contains("that are needed out of 1 pack that are mostly not"),
        "{after}"
    );
    after.ok();
    assert!(packs(&remote) < whole - 2_000_000, "{} of {whole}", packs(&remote));
    let fresh = clone(&s, "fresh");
    s.sh("git -C ../fresh checkout --quiet wide").ok();
    s.at(&fresh).modver(["pull", "--quiet"]).ok();
    assert_eq!(digest(&fresh.join("data")), digest(&s.path("data")));
    s.repo().modver(["verify", "--remote"]).ok();
    let again = gc(s.repo(), &now);
    assert_eq!(again.out().lines().next().unwrap(), "nothing to remove on `origin`");
    // The next version is compared with what moved.
    s.write("data/new.txt", "new");
    s.repo().modver(["add", "--quiet", "data"]).ok();
    let pushed = s.repo().modver(["push", "--json"]).json();
    assert!(pushed["remotes"][0]["bytes"].as_u64().unwrap() < 10_000, "{pushed}");
}

#[test]
fn on_s3_and_encrypted() {
    let server = s3::S3Server::start();
    let s = hub(with_s3_remote(&server));
    s.sh("git branch -D side --quiet && git push --quiet origin :side && sleep 1.1")
        .ok();
    let now = ["--yes", "--grace", "0", "--claims-older-than", "0"];
    let gone = gc(s.repo(), &now);
    assert!(gone.out().contains("deleted 781."), "{gone}");
    let fresh = clone(&s, "fresh");
    s.at(&fresh).modver(["pull", "--quiet"]).ok();
    assert_eq!(s.read(fresh.join("model.bin")), noise(1, 1_000_000));
    // Sealed: neither names nor contents say what they are.
    let place = s.root().join("vault").to_str().unwrap().to_owned();
    std::fs::create_dir(&place).unwrap();
    s.repo()
        .modver([
            "remote",
            "add",
            "vault",
            &place,
            "--encrypt",
            "--key-file",
            "../vault.key",
        ])
        .ok();
    s.sh("git add -A && git commit --quiet -m vault").ok();
    s.repo().modver(["push", "--quiet", "--remote", "vault"]).ok();
    s.write("model.bin", noise(3, 500_000));
    s.repo().modver(["add", "--quiet", "model.bin"]).ok();
    s.repo().modver(["push", "--quiet", "--remote", "vault"]).ok();
    let size = |dir: &Path| files(dir).iter().map(|(_, len)| len).sum::<u64>();
    let whole = size(Path::new(&place));
    s.git(["reset", "--quiet", "--hard"]).ok();
    s.repo().modver(["checkout", "--quiet", "--force"]).ok();
    let mut args = vec!["gc", "--remote", "vault", "--all-branches"];
    args.extend(now);
    let gone = s.repo().modver(&args);
    assert!(gone.out().contains("deleted 488."), "{gone}");
    assert!(size(Path::new(&place)) < whole - 480_000);
    s.repo().modver(["verify", "--remote=vault"]).ok();
}

#[test]
fn pushes_of_one_clone_at_once_all_end_well() {
    let s = with_dir_remote();
    s.write("model.bin", noise(1, 300_000));
    add(s.repo(), &["model.bin"]);
    for _ in 0..5 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| s.repo().modver(["push", "--quiet"]).ok());
            }
        });
    }
    assert!(files(&s.root().join("remote/leases")).is_empty());
}
