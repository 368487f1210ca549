//! After git changed the work tree, the data is what the pointers say.

use std::fs;

use super::support::{Output, Repo};
use super::{clone, data, hint, ready, record};

#[test]
fn switching_and_going_back() {
    let s = ready();
    let r = s.repo();
    r.git(["switch", "-qc", "other"]).ok();
    r.write("data/a", "other");
    fs::remove_file(s.path("data/in/c")).unwrap();
    record(r, "Other");
    let quiet = r.git(["commit", "-q", "--allow-empty", "-m", "Nothing about data"]);
    assert_eq!(quiet.err(), "");
    let back = r.git(["switch", "-q", "main"]);
    assert_eq!(back.err(), "updated data (1 added, 1 replaced; 2 B)\n");
    assert_eq!(data(r), "a=a b=b in/c=c ");
    r.git(["checkout", "-q", "other~1"]).ok();
    assert_eq!(data(r), "a=other b=b ");
    r.git(["switch", "-q", "-"]).ok();
    assert_eq!(data(r), "a=a b=b in/c=c ");
    // Nothing of the data changes: nothing is said, nothing is done.
    r.git(["branch", "-q", "same"]).ok();
    assert_eq!(r.git(["switch", "-q", "same"]).err(), "");
    // A checkout of files is the user's own affair.
    r.git(["checkout", "-q", "other", "--", "data.mv"]).ok();
    assert_eq!(data(r), "a=a b=b in/c=c ");
    r.modver(["checkout"]).ok();
    assert_eq!(data(r), "a=other b=b ");
}

#[test]
fn what_is_dirty_or_missing_stops_nothing() {
    let s = ready();
    let r = s.repo();
    r.git(["switch", "-qc", "other"]).ok();
    r.write("data/a", "other");
    r.write("model", "1");
    r.modver(["add", "model"]).ok();
    record(r, "Other");
    r.modver(["push"]).ok();
    r.git(["switch", "-q", "main"]).ok();
    r.write("data/a", "precious");
    let switched = r.git(["switch", "-q", "other"]);
    assert!(
        switched
            .err()
            .contains("conflict: data/a was changed here and, in another way, in the pointer"),
        "{switched}"
    );
    switched.ok();
    assert_eq!(s.read("data/a"), b"precious");
    assert_eq!(s.read("model"), b"1", "the others come");
    r.git(["switch", "-q", "main"]).ok();
    assert_eq!(s.read("data/a"), b"precious");

    let dir = clone(&s, "clone");
    let c = s.at(&dir);
    let before = data(c);
    let switched = c.git(["switch", "-q", "other"]);
    assert!(
        switched.err().contains("data is not as its pointer says yet: ")
            && switched.err().contains("hint: modver pull"),
        "{switched}"
    );
    switched.ok();
    assert_eq!(data(c), before, "half a version is none");
    let status = c.modver(["status"]);
    assert!(status.out().contains("outdated:"), "{status}");
    c.modver(["pull"]).ok();
    assert_eq!(data(c), "a=other b=b in/c=c ");
}

#[test]
fn a_work_tree_for_each_experiment() {
    let s = ready();
    let r = s.repo();
    for name in ["one", "two"] {
        let dir = s.root().join(name);
        r.git(["worktree", "add", "-q", "-b", name, dir.to_str().unwrap()]).ok();
        let tree = s.at(&dir);
        assert_eq!(data(tree), "a=a b=b in/c=c ", "from the shared cache");
        tree.write("data/a", name);
        record(tree, name);
    }
    assert_eq!(data(r), "a=a b=b in/c=c ");
    let one = s.root().join("one");
    s.at(&one).git(["switch", "-q", "--detach", "two"]).ok();
    assert_eq!(data(s.at(&one)), "a=two b=b in/c=c ");
    assert!(!one.join(".git/modver").exists());
}

#[test]
fn clone_with_a_template() {
    let s = ready();
    let template = s.root().join("template");
    fs::create_dir_all(template.join("hooks")).unwrap();
    fs::copy(s.path(".git/hooks/post-checkout"), template.join("hooks/post-checkout")).unwrap();
    let dir = s.root().join("clone");
    let args = [
        "clone",
        "-q",
        "--template",
        template.to_str().unwrap(),
        s.path("").to_str().unwrap(),
        dir.to_str().unwrap(),
    ]
    .map(str::to_owned);
    let cloned = s.git(args);
    assert!(cloned.err().contains("hint: modver pull"), "{cloned}");
    cloned.ok();
    s.at(&dir).modver(["pull"]).ok();
    assert_eq!(data(s.at(&dir)), "a=a b=b in/c=c ");
}

#[test]
fn a_rebase_of_ten_commits() {
    let s = ready();
    let r = s.repo();
    r.git(["switch", "-qc", "topic"]).ok();
    for i in 0..10 {
        r.write("data/a", format!("topic {i}"));
        r.write(format!("data/t{i}"), "t");
        record(r, &format!("Topic {i}"));
    }
    r.git(["switch", "-q", "main"]).ok();
    r.write("data/b", "main");
    r.write("data/in/c", "main");
    record(r, "Main");
    r.git(["switch", "-q", "topic"]).ok();
    let rebased = r.git(["rebase", "-q", "main"]);
    assert_eq!(rebased.err().matches("updated data").count(), 1, "{rebased}");
    rebased.ok();
    let expected: String = (0..10).map(|i| format!("t{i}=t ")).collect();
    assert_eq!(data(r), format!("a=topic 9 b=main in/c=main {expected}"));
    assert_eq!(r.git(["rev-list", "--count", "main..topic"]).ok(), "10");
    r.modver(["status", "--check"]).ok();
    // Each of the ten is what it was, on top of the other branch.
    r.git(["checkout", "-q", "topic~9"]).ok();
    assert_eq!(data(r), "a=topic 0 b=main in/c=main t0=t ");
    // A rebase that has nothing to replay.
    r.git(["switch", "-q", "main"]).ok();
    r.git(["rebase", "-q", "topic"]).ok();
    assert_eq!(data(r), format!("a=topic 9 b=main in/c=main {expected}"));
}

#[test]
fn an_aborted_rebase_leaves_the_data_where_it_was() {
    let s = ready();
    let r = s.repo();
    r.git(["switch", "-qc", "topic"]).ok();
    r.write("data/a", "topic");
    record(r, "Topic");
    r.git(["switch", "-q", "main"]).ok();
    r.write("data/a", "main");
    record(r, "Main");
    r.git(["switch", "-q", "topic"]).ok();
    r.git(["rebase", "-q", "main"]).fails(1);
    r.git(["rebase", "--abort"]).ok();
    assert_eq!(data(r), "a=topic b=b in/c=c ");
    r.modver(["status", "--check"]).ok();
    // The same, settled: in a rebase, ours is what was built so far.
    r.git(["rebase", "-q", "main"]).fails(1);
    r.modver(["checkout", "--theirs", "data/a"]).ok();
    r.git(["-c", "core.editor=true", "rebase", "--continue"]).ok();
    assert_eq!(data(r), "a=topic b=b in/c=c ");
    r.modver(["status", "--check"]).ok();
}

#[test]
fn bisecting_over_versions_of_the_data() {
    let s = ready();
    let r = s.repo();
    for i in 0..8 {
        r.write("data/a", if i < 5 { "good" } else { "bad" });
        r.write("data/n", i.to_string());
        record(r, &format!("Version {i}"));
    }
    r.git(["bisect", "start", "HEAD", "HEAD~8"]).ok();
    let found = r.git(["bisect", "run", "sh", "-c", "! grep -q bad data/a"]);
    assert!(found.out().contains("is the first bad commit"), "{found}");
    assert!(found.out().contains("Version 5"), "{found}");
    found.ok();
    r.git(["bisect", "reset"]).ok();
    assert_eq!(data(r), "a=bad b=b in/c=c n=7 ");
}

#[test]
fn stashing() {
    let s = ready();
    let r = s.repo();
    r.write("data/a", "stashed");
    r.modver(["add", "data"]).ok();
    r.git(["stash", "-q"]).ok();
    // Git calls no hook here; what is shown is true, and the next hook or checkout makes up for it.
    let status = r.modver(["status"]);
    assert!(status.out().contains("outdated:"), "{status}");
    r.modver(["checkout"]).ok();
    assert_eq!(data(r), "a=a b=b in/c=c ");
    r.git(["stash", "pop", "-q"]).ok();
    r.git(["switch", "-qc", "topic"]).ok();
    assert_eq!(data(r), "a=stashed b=b in/c=c ");
    r.modver(["status", "--check"]).ok();
}

#[test]
fn what_was_brought_from_elsewhere_stays() {
    let s = ready();
    let r = s.repo();
    r.write("data/a", "two");
    record(r, "Two");
    r.git(["branch", "same"]).ok();
    r.modver(["checkout", "--rev", "HEAD~1", "data"]).ok();
    assert_eq!(data(r), "a=a b=b in/c=c ");
    r.git(["switch", "-q", "same"]).ok();
    assert_eq!(data(r), "a=two b=b in/c=c ", "not known yet to what the data followed");
    r.modver(["checkout", "--rev", "HEAD~1", "data"]).ok();
    r.git(["switch", "-q", "main"]).ok();
    assert_eq!(data(r), "a=a b=b in/c=c ");
    r.modver(["checkout"]).ok();
    assert_eq!(data(r), "a=two b=b in/c=c ");
}

#[test]
fn parts_that_were_left_out_stay_out() {
    let s = ready();
    let r = s.repo();
    r.write("model", "1");
    r.modver(["add", "model"]).ok();
    record(r, "Model");
    r.modver(["push"]).ok();
    let dir = s.clone_to("clone");
    let c = s.at(&dir);
    c.modver(["install"]).ok();
    c.modver(["pull", "data/in"]).ok();
    r.write("data/a", "2");
    r.write("data/in/c", "2");
    record(r, "Two");
    r.modver(["push"]).ok();
    c.git(["pull", "-q"]).ok();
    c.modver(["pull", "data/in"]).ok();
    c.git(["switch", "-q", "--detach", "HEAD~1"]).ok();
    assert_eq!(data(c), "in/c=c ");
    assert!(!c.has("model"));
}

#[test]
fn a_submodule_follows_by_itself() {
    let mut s = ready();
    s.set_env("GIT_ALLOW_PROTOCOL", "file");
    let outer = s.root().join("outer");
    fs::create_dir(&outer).unwrap();
    let o = s.at(&outer);
    o.git(["init", "-q"]).ok();
    o.git(["submodule", "add", "-q", "../repo", "sub"]).ok();
    o.git(["commit", "-qm", "Sub"]).ok();
    let sub = outer.join("sub");
    let r = s.at(&sub);
    r.modver(["install"]).ok();
    std::os::unix::fs::symlink("../store", outer.join("store")).unwrap();
    r.modver(["pull"]).ok();
    r.write("data/a", "in the submodule");
    record(r, "Two");
    o.git(["commit", "-qam", "Two"]).ok();
    o.git(["checkout", "-q", "HEAD~1"]).ok();
    o.git(["submodule", "update", "-q"]).ok();
    assert_eq!(data(r), "a=a b=b in/c=c ");
    o.git(["switch", "-q", "main"]).ok();
    o.git(["submodule", "update", "-q"]).ok();
    assert_eq!(data(r), "a=in the submodule b=b in/c=c ");
}

fn killed(r: Repo<'_>, at: u64, args: &[&str]) -> Output {
    Output::of(
        r.command("git")
            .args(args)
            .env("MODVER_TEST_FAULT", format!("kill@{at}")),
    )
}

#[test]
fn a_hook_that_is_killed_is_made_up_for() {
    let s = ready();
    let r = s.repo();
    for i in 0..10 {
        r.write(format!("data/{i}"), "main");
    }
    record(r, "Main");
    r.git(["switch", "-qc", "other"]).ok();
    for i in 0..10 {
        r.write(format!("data/{i}"), "other");
    }
    record(r, "Other");
    for at in [1, 2, 4, 8, 12, 16, 20, 24, 28, 32] {
        let switched = killed(r, at, &["switch", "-q", "main"]);
        // Git has done its part, whatever became of the hook.
        assert_eq!(r.git(["branch", "--show-current"]).ok(), "main", "{switched}");
        if at > 8 {
            r.git(["checkout", "-q", "main"]).ok();
        } else {
            // Before it could note that it began.
            r.modver(["checkout"]).ok();
        }
        r.modver(["status", "--check"]).ok();
        assert!(!data(r).contains("other"), "{at}: {}", data(r));
        r.git(["switch", "-q", "other"]).ok();
        assert!(data(r).contains("9=other"), "{at}");
    }
}

#[test]
fn what_was_changed_on_both_sides_is_joined_path_by_path() {
    let s = ready();
    let r = s.repo();
    for i in 1..=5 {
        r.write(format!("data/sub/{i}"), format!("base {i}"));
    }
    record(r, "Base");
    r.git(["branch", "mine"]).ok();
    r.write("data/sub/1", "colleague 1");
    r.write("data/sub/2", "colleague 2");
    r.write("data/new", "colleague");
    fs::remove_file(s.path("data/sub/5")).unwrap();
    record(r, "Colleague");
    r.git(["switch", "-q", "mine"]).ok();
    // Disjoint: both stay, also what was removed here.
    r.write("data/sub/3", "mine");
    r.write("data/added", "mine");
    fs::remove_file(s.path("data/sub/4")).unwrap();
    let merged = r.git(["merge", "-q", "main"]);
    assert_eq!(
        merged.err(),
        "updated data (1 added, 2 replaced, 1 deleted; 31 B)\n\
         note: what was changed here in data stays; modver status shows it\n"
    );
    let both = "a=a added=mine b=b in/c=c new=colleague sub/1=colleague 1 sub/2=colleague 2 sub/3=mine ";
    assert_eq!(data(r), both);
    let status = r.modver(["status"]);
    assert_eq!(
        status.out(),
        "modified:         data/ (1 added, 1 modified, 1 deleted)",
        "{status}"
    );
    record(r, "Both");
    let diff = r.modver(["diff", "--name-only", "main", "mine"]).ok();
    assert_eq!(diff, "data/added\ndata/sub/3\ndata/sub/4");
    assert_eq!(data(r), both);
}

#[test]
fn a_path_that_both_sides_changed_stays_and_is_named() {
    let s = ready();
    let r = s.repo();
    for i in 1..=3 {
        r.write(format!("data/{i}"), format!("base {i}"));
    }
    record(r, "Base");
    r.git(["branch", "mine"]).ok();
    r.write("data/1", "colleague 1");
    r.write("data/2", "colleague 2");
    record(r, "Colleague");
    r.git(["switch", "-q", "mine"]).ok();
    r.write("data/2", "mine");
    r.write("data/3", "mine");
    let merged = r.git(["merge", "-q", "main"]);
    assert!(
        merged
            .err()
            .contains("conflict: data/2 was changed here and, in another way, in the pointer"),
        "{merged}"
    );
    let joined = "1=colleague 1 2=mine 3=mine a=a b=b in/c=c ";
    assert_eq!(data(r), joined);
    let status = r.modver(["status"]);
    assert!(status.out().starts_with("diverged:         data/ ("), "{status}");
    assert!(
        status.out().contains("\n  changed here and in the pointer: data/2"),
        "{status}"
    );
    // Neither by hand nor by a commit is it taken for an answer.
    for args in [&["commit"][..], &["commit", "data"], &["add", "data"]] {
        let refused = r.modver(args);
        assert!(refused.err().contains("both changed `data/2`"), "{refused}");
        assert!(
            hint(&refused).starts_with("modver checkout --force data/2 "),
            "{refused}"
        );
        refused.fails(1);
    }
    r.git(["commit", "-q", "--allow-empty", "-m", "No"]).fails(1);
    // Again it is named, and nothing happens to it; nor to what came and was changed since.
    r.write("data/1", "mine, too");
    let again = r.modver(["checkout"]);
    assert!(again.err().contains("conflict: data/2 "), "{again}");
    assert!(!again.err().contains("data/1"), "{again}");
    again.fails(1);
    assert_eq!(data(r), joined.replace("colleague 1", "mine, too"));
    // Their side for one path, one's own for the rest.
    r.modver(["checkout", "-q", "--force", "data/2"]).ok();
    assert!(r.modver(["status"]).out().starts_with("modified: "));
    record(r, "Both");
    assert_eq!(r.modver(["diff", "--name-only", "main", "mine"]).ok(), "data/1\ndata/3");
    // Or one's own also there, when that is said.
    r.git(["switch", "-q", "-c", "other", "main~1"]).ok();
    r.write("data/2", "other");
    r.git(["merge", "-q", "main"]).ok();
    r.modver(["commit", "--force", "data"]).ok();
    assert_eq!(r.modver(["diff", "--name-only", "main"]).ok(), "data/2");
    r.git(["commit", "-qam", "Other"]).ok();
    // Without hooks nothing came yet: it comes before anything is recorded.
    r.modver(["uninstall"]).ok();
    r.git(["switch", "-q", "-c", "late", "main~1"]).ok();
    r.modver(["checkout", "-q"]).ok();
    r.write("data/3", "late");
    r.git(["merge", "-q", "main"]).ok();
    let refused = r.modver(["add", "data"]);
    assert!(hint(&refused).starts_with("modver checkout data "), "{refused}");
    refused.fails(1);
    r.modver(["checkout", "data"]).ok();
    record(r, "Late");
    assert_eq!(r.modver(["diff", "--name-only", "main"]).ok(), "data/3");
    // What is only outdated was not changed: it is no commit's business unless it is named.
    r.git(["checkout", "-q", "-f", "main"]).ok();
    r.modver(["checkout", "-q", "--force"]).ok();
    r.git(["checkout", "-q", "main~1"]).ok();
    assert_eq!(r.modver(["commit"]).ok(), "");
    assert_eq!(r.git(["status", "--porcelain"]).ok(), "");
}

#[test]
fn what_did_not_come_was_not_removed_by_anybody() {
    let s = ready();
    let r = s.repo();
    let c = s.clone_to("other");
    let c = s.at(&c);
    c.modver(["pull", "data/a"]).ok();
    // The content of the others is not in the cache.
    c.modver(["checkout", "data"]).fails(1);
    assert_eq!(data(c), "a=a ");
    r.write("data/b", "new");
    record(r, "New");
    r.modver(["push"]).ok();
    c.git(["pull", "-q"]).ok();
    c.write("data/a", "changed here");
    c.modver(["pull"]).ok();
    assert_eq!(data(c), "a=changed here b=new in/c=c ");
}

#[test]
fn of_a_partly_present_output_what_is_here_is_joined() {
    let s = ready();
    let r = s.repo();
    let c = s.clone_to("other");
    let c = s.at(&c);
    c.modver(["install"]).ok();
    c.modver(["pull", "data/in", "data/a"]).ok();
    r.write("data/in/d", "d");
    r.write("data/b", "new");
    record(r, "More");
    r.modver(["push"]).ok();
    c.write("data/a", "changed here");
    c.git(["pull", "-q"]).ok();
    c.modver(["pull"]).ok();
    assert_eq!(data(c), "a=changed here in/c=c in/d=d ");
    record(c, "Both");
    assert_eq!(c.modver(["diff", "--name-only", "HEAD~1"]).ok(), "data/a");
}

#[test]
fn data_follows_each_time_also_where_another_output_had_the_place() {
    let s = ready();
    let r = s.repo();
    r.write("data/sub/b", "whole");
    record(r, "Whole");
    r.git(["branch", "whole"]).ok();
    r.modver(["remove", "--outs", "data"]).ok();
    r.write("data/sub/b", "split");
    r.modver(["add", "data/sub"]).ok();
    r.git(["add", "."]).ok();
    r.git(["commit", "-qm", "Split"]).ok();
    for _ in 0..2 {
        r.git(["switch", "-q", "whole"]).ok();
        assert_eq!(r.read("data/sub/b"), b"whole");
        r.git(["switch", "-q", "main"]).ok();
        assert_eq!(r.read("data/sub/b"), b"split");
        r.modver(["status", "--check"]).ok();
    }
}
