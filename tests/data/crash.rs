//! Every operation that changes the disk fails once, and dies once.

use std::fs;

use super::support::{Output, Scratch, digest};
use super::{commit, delete, noise, ready};

const FAULT: &str = "MODVER_TEST_FAULT";
/// At most so many points of one kind are tried; evenly spread if there are more.
const POINTS: u64 = 40;

fn with_fault(s: &Scratch, fault: &str, args: &[&str]) -> Output {
    Output::of(
        s.repo()
            .command(env!("CARGO_BIN_EXE_modver"))
            .args(args)
            .env(FAULT, fault),
    )
}

/// The number of operations of a command that succeeds.
fn count(s: &Scratch, args: &[&str]) -> u64 {
    let file = s.root().join("count");
    with_fault(s, &format!("count:{}", file.display()), args).ok();
    fs::read_to_string(file).unwrap().parse().unwrap()
}

/// The operations at which to fail: all, or evenly spread with both ends.
fn points(n: u64) -> impl Iterator<Item = u64> {
    let step = n.div_ceil(POINTS).max(1);
    (1..=n).filter(move |i| i % step == 0 || *i > n.saturating_sub(12) || *i <= 4)
}

/// Small files, a directory and a file of several chunks.
fn tree() -> Scratch {
    let s = ready();
    s.write("data/a", "a");
    s.write("data/in/b", noise(1, 40_000));
    s.write("data/in/large", noise(2, 700_000));
    fs::create_dir(s.path("data/empty")).unwrap();
    s.write("single", "single");
    s.repo().modver(["add", "single"]).ok();
    commit(&s, "Single");
    s.write("single", noise(3, 1000));
    s
}

const ADD: [&str; 3] = ["add", "data", "single"];

fn clear(output: &Output) {
    let err = output.err();
    assert!(
        err.starts_with("error: ") && !err.contains("panicked") && !err.contains("bug"),
        "{output}"
    );
}

/// The data can be had back from what is stored, and git sees a clean, complete result.
fn verify(s: &Scratch, data: &str) {
    assert_eq!(digest(&s.path("data")), data);
    let single = s.read("single");
    delete(&s.path("data"));
    delete(&s.path("single"));
    s.repo().modver(["checkout"]).ok();
    assert_eq!(digest(&s.path("data")), data);
    assert_eq!(s.read("single"), single);
    let status = s.git(["status", "--porcelain"]).ok();
    assert_eq!(status, "M  .gitignore\nA  data.mv\nM  single.mv");
}

/// Work tree and index entries; the index file itself may be written anew.
fn visible(s: &Scratch) -> String {
    digest(&s.path("")) + &s.git(["ls-files", "-s"]).ok()
}

fn errors_in_add(fault: impl Fn(u64) -> String) {
    let n = count(&tree(), &ADD);
    assert!(n > 10, "{n}");
    // One repository for all: what a failed run leaves must not stop the next.
    let s = tree();
    let before = visible(&s);
    let data = digest(&s.path("data"));
    for point in points(n) {
        let output = with_fault(&s, &fault(point), &ADD);
        if output.code == 0 {
            // What failed did not matter, or the run needed fewer operations than the first.
            verify(&s, &data);
            s.git(["reset", "--quiet", "--hard"]).ok();
            s.write("single", noise(3, 1000));
            if s.repo().has("data.mv") {
                delete(&s.path("data.mv"));
            }
            assert_eq!(visible(&s), before);
        } else {
            clear(&output);
            assert_eq!(visible(&s), before, "{point} of {n}\n{output}");
        }
    }
    s.repo().modver(ADD).ok();
    verify(&s, &data);
}

#[test]
fn add_with_a_disk_that_is_full_once() {
    errors_in_add(|point| format!("errno=28@{point}"));
}

#[test]
fn add_with_a_disk_that_stays_full() {
    // Taking back needs the disk, too: only the pointers' own steps may be half done then, see below.
    let n = count(&tree(), &ADD);
    for point in points(n) {
        let s = tree();
        let data = digest(&s.path("data"));
        let output = with_fault(&s, &format!("errno=28@{point}+"), &ADD);
        if output.code != 0 {
            clear(&output);
        }
        assert_eq!(digest(&s.path("data")), data);
        assert_eq!(s.read("single"), noise(3, 1000));
        s.repo().modver(ADD).ok();
        verify(&s, &data);
    }
}

#[test]
fn add_with_a_bad_disk() {
    errors_in_add(|point| format!("errno=5@{point}"));
}

#[test]
fn add_that_is_killed() {
    let n = count(&tree(), &ADD);
    let mut s = tree();
    let data = digest(&s.path("data"));
    for (i, point) in points(n).enumerate() {
        // Sometimes on top of what several dead runs left.
        if i % 3 == 0 {
            s = tree();
        }
        let output = with_fault(&s, &format!("kill@{point}"), &ADD);
        assert!(output.code == -9 || output.code == 0, "{output}");
        assert_eq!(digest(&s.path("data")), data);
        assert_eq!(s.read("single"), noise(3, 1000));
        // What is here and has no pointer yet is not what a checkout may remove.
        if i % 3 != 1 {
            let _ = s.repo().modver(["checkout", "data"]).code;
            assert_eq!(digest(&s.path("data")), data, "{point} of {n}");
        }
        if i % 3 == 2 {
            s.repo().modver(ADD).ok();
            verify(&s, &data);
        }
    }
    s.repo().modver(ADD).ok();
    verify(&s, &data);
}

/// A checkout from the second commit to the first, which has to delete, replace, create and change modes.
fn two_commits() -> (Scratch, String, String) {
    let s = ready();
    for file in ["data/a", "data/in/b", "data/old/x", "data/mode"] {
        s.write(file, file);
    }
    s.write("data/large", noise(4, 700_000));
    s.write("single", "1");
    s.repo().modver(["add", "data", "single"]).ok();
    commit(&s, "One");
    let one = digest(&s.path(""));
    s.write("data/a", "other");
    s.write("data/large", noise(5, 500_000));
    s.write("data/fresh/deep/y", "y");
    delete(&s.path("data/old"));
    s.repo().sh("chmod +x data/mode").ok();
    s.write("single", "2");
    s.repo().modver(["commit"]).ok();
    commit(&s, "Two");
    let two = digest(&s.path(""));
    (s, one, two)
}

fn faults_in_checkout(fault: impl Fn(u64) -> String, dies: bool) {
    let (s, one, two) = two_commits();
    s.git(["checkout", "--quiet", "HEAD~1"]).ok();
    let n = count(&s, &["checkout"]);
    assert_eq!(digest(&s.path("")), one);
    assert!(n > 8, "{n}");
    for point in points(n) {
        s.git(["checkout", "--quiet", "main"]).ok();
        s.repo().modver(["checkout"]).ok();
        assert_eq!(digest(&s.path("")), two, "{point} of {n}");
        s.git(["checkout", "--quiet", "HEAD~1"]).ok();
        s.write("data/mine", "mine");
        let output = with_fault(&s, &fault(point), &["checkout"]);
        if dies {
            assert!(output.code == -9 || output.code == 0, "{output}");
        } else if output.code != 0 {
            assert!(matches!(output.code, 1 | 3), "{output}");
            assert!(
                output.err().contains("error: ") || output.err().contains("failed: "),
                "{output}"
            );
            assert!(!output.err().contains("panicked"), "{output}");
        }
        let again = s.repo().modver(["checkout"]);
        assert_eq!(again.code, 0, "{point} of {n}\n{output}\n{again}");
        assert_eq!(s.read("data/mine"), b"mine");
        delete(&s.path("data/mine"));
        assert_eq!(digest(&s.path("")), one, "{point} of {n}\n{output}\n{again}");
    }
}

#[test]
fn checkout_with_a_disk_that_is_full_once() {
    faults_in_checkout(|point| format!("errno=28@{point}"), false);
}

#[test]
fn checkout_with_a_disk_that_stays_full() {
    faults_in_checkout(|point| format!("errno=28@{point}+"), false);
}

#[test]
fn checkout_with_a_bad_disk() {
    faults_in_checkout(|point| format!("errno=5@{point}"), false);
}

#[test]
fn checkout_that_is_killed() {
    faults_in_checkout(|point| format!("kill@{point}"), true);
}

/// After a kill at each point of `args`, and then one of several ways to go on, everything is as before or as after;
/// returns at how many points it was as before.
fn killed_and_gone_on(args: &[&str], ways: &[&[&[&str]]]) -> u64 {
    let fresh = tree_in_git;
    let s = fresh();
    let before = visible(&s);
    let n = count(&s, args);
    assert!(n > 4, "{n}");
    let after = visible(&s);
    let mut undone = 0;
    for point in 1..=n {
        let way = ways[usize::try_from(point).unwrap() % ways.len()];
        let s = fresh();
        let killed = with_fault(&s, &format!("kill@{point}"), args);
        assert!(killed.code == -9 || killed.code == 0, "{killed}");
        let mut last = None;
        for next in way {
            last = Some(s.repo().modver(*next));
        }
        let (last, now) = (last.unwrap(), visible(&s));
        assert!(
            now == before || now == after,
            "{args:?} {point} of {n}, {way:?}\n{before}\n{now}\n{last}"
        );
        undone += u64::from(now == before);
        s.repo().modver(["status", "--check"]).ok();
        assert_eq!(
            s.repo().modver(["checkout"]).err(),
            "everything is as the pointers say\n"
        );
        assert_eq!(visible(&s), now);
        assert!(!s.repo().has(".git/modver/move"));
        // What is there can be had back.
        s.repo().modver(["verify"]).ok();
    }
    undone
}

#[test]
fn move_that_is_killed() {
    for args in [&["move", "data", "new/place"][..], &["move", "single", "other"]] {
        let again = killed_and_gone_on(args, &[&[args, &["checkout"]]]);
        assert_eq!(again, 0, "repeated, it is done");
    }
    let args = ["move", "data", "new/place"];
    let undone = killed_and_gone_on(&args, &[&[&["checkout"]], &[&["status"], &["checkout"]]]);
    assert!(undone > 0);
}

#[test]
fn a_move_without_data_that_is_killed_takes_no_file() {
    let args = ["move", "single", "other"];
    let fresh = || {
        let s = tree_in_git();
        delete(&s.path("single"));
        s
    };
    for point in 1..=count(&fresh(), &args) {
        let s = fresh();
        let _ = with_fault(&s, &format!("kill@{point}"), &args);
        s.write("other", "the user's");
        let _ = s.repo().modver(["checkout"]);
        assert_eq!(s.read("other"), b"the user's", "{point}");
    }
}

#[test]
fn checkout_of_what_is_not_tracked_now_that_is_killed() {
    let fresh = || {
        let s = tree_in_git();
        s.repo().modver(["remove", "--outs", "data"]).ok();
        commit(&s, "Remove");
        s
    };
    let args = ["checkout", "--rev", "HEAD~1", "data"];
    for point in points(count(&fresh(), &args)) {
        let s = fresh();
        let _ = with_fault(&s, &format!("kill@{point}"), &args);
        let here = s.repo().has("data").then(|| digest(&s.path("data")));
        s.repo().modver(["checkout", "--quiet"]).ok();
        assert_eq!(s.repo().has("data").then(|| digest(&s.path("data"))), here, "{point}");
    }
}

#[test]
fn a_move_that_is_killed_loses_no_changes() {
    let args = ["move", "data", "new/place"];
    let fresh = || {
        let s = tree_in_git();
        s.write("data/a", "changed and stored nowhere");
        s
    };
    let n = count(&fresh(), &args);
    for point in 1..=n {
        let s = fresh();
        let data = digest(&s.path("data"));
        let _ = with_fault(&s, &format!("kill@{point}"), &args).code;
        if point % 2 == 0 {
            s.repo().modver(args).ok();
            assert!(!s.repo().has("data"));
        } else {
            let _ = s.repo().modver(["checkout"]).code;
        }
        let places = ["data", "new/place"].map(|place| s.path(place)).into_iter();
        let there: Vec<_> = places.filter(|place| place.exists()).collect();
        assert_eq!(there.len(), 1, "{point} of {n}");
        assert_eq!(digest(&there[0]), data, "{point} of {n}");
    }
}

#[test]
fn remove_that_is_killed() {
    for args in [
        &["remove", "data"][..],
        &["remove", "--outs", "data"],
        &["remove", "--outs", "single"],
    ] {
        let again = killed_and_gone_on(args, &[&[args, &["checkout"]]]);
        assert_eq!(again, 0, "repeated, it is done");
    }
    // Without repeating it: what git still knows is told, and nothing is lost.
    let n = count(&tree_in_git(), &["remove", "data"]);
    for point in 1..=n {
        let s = tree_in_git();
        let data = digest(&s.path("data"));
        let _ = with_fault(&s, &format!("kill@{point}"), &["remove", "data"]).code;
        s.repo().modver(["checkout"]).ok();
        assert_eq!(digest(&s.path("data")), data, "{point} of {n}");
        let tracked = s.repo().has("data.mv");
        let told = s.repo().modver(["status"]).out().contains("pointer gone:     data.mv");
        let done = !s.git(["ls-files"]).ok().contains("data.mv");
        assert!(tracked || told || done, "{point} of {n}");
    }
}

fn tree_in_git() -> Scratch {
    let s = tree();
    s.repo().modver(ADD).ok();
    commit(&s, "All");
    s
}

#[test]
fn a_failed_move_or_remove_leaves_everything() {
    for args in [
        &["move", "data", "new/place"][..],
        &["remove", "single"],
        &["remove", "--outs", "single"],
    ] {
        let s = tree();
        s.repo().modver(ADD).ok();
        commit(&s, "All");
        let n = {
            let s = tree();
            s.repo().modver(ADD).ok();
            commit(&s, "All");
            count(&s, args)
        };
        let before = visible(&s);
        for point in 1..=n {
            let output = with_fault(&s, &format!("errno=5@{point}"), args);
            if output.code == 0 {
                // The rest is only about the state, which can be had again.
                break;
            }
            clear(&output);
            let after = visible(&s);
            if after == before {
                continue;
            }
            // Only the last step of --outs comes when it is no longer tracked: removing the data.
            let kept = s.repo().has("single") && !s.repo().has("single.mv");
            let named = output.err().starts_with("error: cannot remove `");
            assert!(
                args.contains(&"--outs") && kept && named,
                "{args:?} {point}\n{output}\n{before}\n{after}"
            );
            break;
        }
    }
}
