//! What `gc` removes, and what it does not.

use super::support::Scratch;
use super::{add, files, noise, with_dir_remote};

/// An output whose first version is needed no more.
fn two_versions(push_first: bool) -> Scratch {
    let s = with_dir_remote();
    s.write("model.bin", noise(1, 1_000_000));
    add(s.repo(), &["model.bin"]);
    if push_first {
        s.repo().modver(["push", "--quiet"]).ok();
    }
    s.write("model.bin", noise(2, 1_000_000));
    add(s.repo(), &["model.bin"]);
    s
}

fn cached(s: &Scratch) -> u64 {
    files(&s.path(".git/modver/cache/packs"))
        .iter()
        .map(|(_, len)| len)
        .sum()
}

#[test]
fn what_remotes_have_goes_and_the_workspace_stays() {
    let s = two_versions(true);
    assert_eq!(
        s.repo().modver(["gc"]).err(),
        "error: nothing says what is still needed\nhint: modver gc --workspace --all-branches --all-tags\n"
    );
    let before = cached(&s);
    let dry = s.repo().modver(["gc", "--workspace"]);
    assert!(dry.out().starts_with("would free 977.2 KiB: "), "{dry}");
    assert_eq!(dry.err(), "hint: the same with --yes removes it\n");
    assert_eq!(
        s.repo().modver(["gc", "--all-commits", "--yes"]).ok(),
        "nothing to remove"
    );
    assert_eq!(
        s.repo().modver(["gc", "--workspace", "--keep-days", "1", "--yes"]).ok(),
        "nothing to remove"
    );
    assert_eq!(cached(&s), before);
    assert!(
        s.repo()
            .modver(["gc", "--workspace", "--yes"])
            .ok()
            .starts_with("freed 977.2 KiB: ")
    );
    assert!(cached(&s) < before / 2 + 1000);
    s.sh("rm model.bin").ok();
    s.repo().modver(["checkout"]).ok();
    assert_eq!(s.read("model.bin"), noise(2, 1_000_000));
    // The old version comes back from the remote.
    s.git(["checkout", "--quiet", "main~1"]).ok();
    s.repo().modver(["pull"]).ok();
    assert_eq!(s.read("model.bin"), noise(1, 1_000_000));
}

#[test]
fn what_exists_only_here_is_kept_unless_said_in_so_many_words() {
    let s = two_versions(false);
    let before = cached(&s);
    let refused = s.repo().modver(["gc", "--workspace", "--yes"]);
    assert_eq!(
        refused.out(),
        "nothing removed: 976.6 KiB that nothing needs exist only on this machine"
    );
    assert!(
        refused.err().contains("--delete-data-that-exists-nowhere-else"),
        "{refused}"
    );
    refused.fails(1);
    assert_eq!(cached(&s), before);
    let kept = s.repo().modver(["gc", "--workspace", "--not-in-remote", "--yes"]);
    assert_eq!(kept.err(), "kept: 976.6 KiB that exist only on this machine\n");
    assert_eq!(kept.ok(), "nothing to remove");
    // A remote that cannot be asked says nothing.
    s.sh("rmdir ../remote").ok();
    let unknown = s.repo().modver(["gc", "--workspace", "--yes"]);
    assert!(
        unknown
            .err()
            .starts_with("error: cannot ask remote `origin` what it has\n"),
        "{unknown}"
    );
    unknown.fails(1);
    let all = ["gc", "--workspace", "--yes", "--delete-data-that-exists-nowhere-else"];
    assert!(s.repo().modver(all).ok().starts_with("freed 977.2 KiB"));
    assert!(cached(&s) < before);
    s.repo().modver(["verify"]).ok();
}

#[test]
fn pointers_that_cannot_be_read_stop_it() {
    let s = two_versions(true);
    s.git(["checkout", "--quiet", "-b", "newer"]).ok();
    s.write("other.mv", "version = 2\n");
    s.sh("git add -A && git commit --quiet -m newer && git checkout --quiet main")
        .ok();
    s.repo().modver(["gc", "--workspace"]).ok();
    let refused = s.repo().modver(["gc", "--all-branches", "--yes"]);
    assert!(
        refused
            .err()
            .contains("`other.mv` is not a valid pointer\ncaused by: it has version 2"),
        "{refused}"
    );
    refused.fails(1);
}

#[test]
fn pointers_of_other_work_trees_stop_it_as_those_here_do() {
    let s = two_versions(true);
    s.sh("git add -A && git commit --quiet --allow-empty -m all && git worktree add --quiet -b side ../side")
        .ok();
    std::fs::write(s.root().join("side/model.bin.mv"), "half of a poi").unwrap();
    let refused = s.repo().modver(["gc", "--workspace", "--yes"]);
    assert!(
        refused
            .err()
            .starts_with("error: `model.bin.mv` is not a valid pointer\n"),
        "{refused}"
    );
    refused.fails(1);
    s.sh("git -C ../side checkout --quiet model.bin.mv").ok();
    assert!(
        s.repo()
            .modver(["gc", "--workspace", "--yes"])
            .ok()
            .starts_with("freed ")
    );
}

#[test]
fn waiting_for_a_lock_can_be_interrupted() {
    let s = two_versions(true);
    let holder = "exec 9<.git/modver/cache/lock; flock -s 9; : >locked; while [ ! -e done ]; do sleep 0.1; done";
    let mut holder = s.repo().command("sh").args(["-c", holder]).spawn().unwrap();
    let wait = |what: &mut dyn FnMut() -> bool| {
        (0..600).any(|_| {
            let there = what();
            if !there {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            there
        })
    };
    assert!(wait(&mut || s.repo().has("locked")));
    let gc = "modver gc -w 2>waits & pid=$!; while ! grep -q waiting waits; do sleep 0.1; done; kill $pid; wait $pid";
    let mut gc = s.repo().command("sh").args(["-c", gc]).spawn().unwrap();
    let mut status = None;
    wait(&mut || {
        status = gc.try_wait().unwrap();
        status.is_some()
    });
    s.write("done", "");
    holder.wait().unwrap();
    assert_eq!(status.and_then(|status| status.code()), Some(130));
    let said = String::from_utf8(s.read("waits")).unwrap();
    assert!(said.contains("waiting for") && said.contains("interrupted"), "{said}");
}
