//! What may be named, and what is kept.

use super::support::digest;
use super::{commit, delete, everything, ready};

#[test]
fn patterns_several_outputs_and_places_to_stand() {
    let s = ready();
    for file in ["data/a.csv", "data/b.csv", "data/c.txt", "data/in/d.csv", "x/1", "y/2"] {
        s.write(file, file);
    }
    s.repo().modver(["add", "data/*.csv"]).ok();
    assert!(s.repo().has("data/a.csv.mv") && s.repo().has("data/b.csv.mv") && !s.repo().has("data/in/d.csv.mv"));
    assert_eq!(s.read("data/.gitignore"), b"/a.csv\n/b.csv\n");

    let json = s.repo().modver(["add", "data/**/*.csv", "--json"]).json();
    let paths: Vec<_> = json["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["data/a.csv", "data/b.csv", "data/in/d.csv"]);

    let sub = s.path("data");
    s.at(&sub).modver(["add", "./c.txt", "../x", "../x/"]).ok();
    s.repo().modver(["-C", "y", "add", "2"]).ok();
    assert!(s.repo().has("data/c.txt.mv") && s.repo().has("x.mv") && s.repo().has("y/2.mv"));
    let staged = s.git(["diff", "--cached", "--name-only"]).ok();
    let expected = [
        ".gitignore",
        "data/.gitignore",
        "data/a.csv.mv",
        "data/b.csv.mv",
        "data/c.txt.mv",
        "data/in/.gitignore",
        "data/in/d.csv.mv",
        "x.mv",
        "y/.gitignore",
        "y/2.mv",
    ];
    assert_eq!(staged.lines().collect::<Vec<_>>(), expected);
    commit(&s, "Outputs");
    assert_eq!(s.git(["status", "--porcelain"]).ok(), "");

    // Everything that is not ours, ignored or tracked.
    s.write("a new file", "1");
    s.write("junk.tmp", "1");
    s.write(".mvignore", "*.tmp\n");
    s.repo().modver(["add", "*"]).ok();
    assert!(s.repo().has("a new file.mv") && !s.repo().has("junk.tmp.mv"));
    // A file whose name is a pattern is that file.
    s.write("[ab]", "1");
    s.write("a", "2");
    s.repo().modver(["add", "[ab]"]).ok();
    assert!(s.repo().has("[ab].mv") && !s.repo().has("a.mv"));
}

#[test]
fn everything_with_two_stars() {
    let s = ready();
    s.write("code/main.py", "print()");
    s.git(["add", "code"]).ok();
    commit(&s, "Code");
    s.write("code/model.bin", "1");
    s.write("data/a/b", "2");
    s.repo().modver(["add", "**"]).ok();
    assert!(s.repo().has("code/model.bin.mv") && s.repo().has("data.mv"));
    commit(&s, "All");
    assert_eq!(s.git(["status", "--porcelain"]).ok(), "");
}

#[test]
fn a_dry_run_changes_nothing() {
    let s = ready();
    s.write("data/file", "1");
    let before = everything(&s);
    let dry = s.repo().modver(["add", "-n", "data"]);
    assert_eq!(dry.err(), "nothing was written (--dry-run)\n");
    assert_eq!(dry.ok(), "would add data (1 file, 1 B)");
    let json = s.repo().modver(["add", "--dry-run", "--json", "data"]).json();
    assert_eq!(
        (&json["dry_run"], &json["outputs"][0]["change"]),
        (&true.into(), &"new".into())
    );
    assert_eq!(everything(&s), before);

    let added = s.repo().modver(["add", "--json", "data"]).json();
    assert_eq!(added["command"], "add");
    assert_eq!(added["outputs"][0]["id"], json["outputs"][0]["id"]);
    assert_eq!(added["outputs"][0]["files_read"], 1);
    s.write("data/file", "22");
    let before = everything(&s);
    s.repo().modver(["commit", "--dry-run"]).ok();
    s.repo().modver(["checkout", "--dry-run"]).fails(1);
    assert_eq!(everything(&s), before);
    assert_eq!(s.repo().modver(["commit", "-q"]).ok(), "updated data (1 file, 2 B)");
    s.write("data/file", "1");
    let before = everything(&s);
    assert_eq!(
        s.repo().modver(["checkout", "-n"]).ok(),
        "would update data (1 replaced; 2 B)"
    );
    assert_eq!(everything(&s), before);
    s.repo().modver(["checkout"]).ok();
    assert_eq!(s.read("data/file"), b"22");
}

#[test]
fn what_people_wrote_into_a_pointer_is_kept() {
    let s = ready();
    s.write("m", "1");
    s.repo()
        .modver([
            "add",
            "m",
            "--desc",
            "Mein \"Modell\"\n2",
            "--label",
            "a=b",
            "--label",
            "c",
        ])
        .ok();
    let pointer = String::from_utf8(s.read("m.mv")).unwrap();
    assert!(
        pointer.contains("desc = \"Mein \\\"Modell\\\"\\n2\"\nlabels = [\"a=b\", \"c\"]\n"),
        "{pointer}"
    );
    s.write("m", "2");
    s.repo().modver(["add", "m"]).ok();
    s.write("m", "33");
    s.repo().modver(["commit"]).ok();
    s.repo().modver(["move", "m", "n"]).ok();
    let after = String::from_utf8(s.read("n.mv")).unwrap();
    assert!(
        after.contains("labels = [\"a=b\", \"c\"]") && after.contains("size = 2"),
        "{after}"
    );
    s.repo().modver(["add", "n", "--desc", "other", "--label", "z"]).ok();
    let after = String::from_utf8(s.read("n.mv")).unwrap();
    assert!(after.contains("desc = \"other\"\nlabels = [\"z\"]"), "{after}");
}

#[test]
fn staging_can_be_off_and_is_made_up_for() {
    let s = ready();
    s.write("mv.toml", "[core]\nautostage = false\n");
    s.write("data", "1");
    let index = s.git(["ls-files"]).ok();
    s.repo().modver(["add", "data"]).ok();
    assert_eq!(s.git(["ls-files"]).ok(), index);
    assert!(s.repo().has("data.mv"));
    s.write("mv.toml", "");
    // Nothing to write, but not staged yet.
    s.repo().modver(["add", "data"]).ok();
    assert_eq!(s.git(["diff", "--cached", "--name-only"]).ok(), ".gitignore\ndata.mv");
    s.repo().modver(["remove", "data"]).ok();
    assert_eq!(s.git(["diff", "--cached", "--name-only"]).ok(), "");
    assert_eq!(s.read("data"), b"1");
}

#[test]
fn a_locked_index_leaves_everything_as_it_was() {
    let s = ready();
    s.write("data", "1");
    s.write(".git/index.lock", "");
    let before = everything(&s);
    let refused = s.repo().modver(["add", "data"]);
    assert!(
        refused.err().contains("hint: if no git process is running: rm "),
        "{refused}"
    );
    refused.fails(5);
    assert_eq!(everything(&s), before);
    delete(&s.path(".git/index.lock"));
    s.repo().modver(["add", "data"]).ok();
    assert_eq!(s.git(["diff", "--cached", "--name-only"]).ok(), ".gitignore\ndata.mv");
}

#[test]
fn moving_and_removing() {
    let s = ready();
    s.write("data/file", "1");
    s.write("data/.mvignore", "*.log\n");
    s.write("data/x.log", "not stored");
    s.write("into/keep", "1");
    s.repo().modver(["add", "data"]).ok();
    commit(&s, "Data");
    let before = digest(&s.path("data"));
    s.repo().modver(["move", "data", "into"]).ok();
    assert_eq!(digest(&s.path("into/data")), before);
    assert_eq!(
        s.git(["status", "--porcelain"]).ok(),
        "R  .gitignore -> into/.gitignore\nR  data.mv -> into/data.mv\n?? into/keep"
    );
    assert_eq!(
        s.repo().modver(["checkout"]).err(),
        "everything is as the pointers say\n"
    );

    let before = everything(&s);
    let refused = s.repo().modver(["remove", "--outs", "into/data"]);
    assert!(
        refused
            .err()
            .starts_with("error: `into/data` has changes that are not stored\n"),
        "{refused}"
    );
    refused.fails(1);
    assert_eq!(everything(&s), before);
    delete(&s.path("into/data/x.log"));
    s.repo().modver(["remove", "--outs", "into/data"]).ok();
    assert!(!s.repo().has("into/data") && !s.repo().has("into/data.mv") && !s.repo().has("into/.gitignore"));

    // With data changed since.
    s.write("f", "1");
    s.repo().modver(["add", "f"]).ok();
    s.write("f", "2");
    s.repo().modver(["remove", "--outs", "f"]).fails(1);
    assert_eq!(s.read("f"), b"2");
    s.repo().modver(["remove", "--outs", "--force", "f.mv"]).ok();
    assert!(!s.repo().has("f") && !s.repo().has("f.mv"));
}

#[test]
fn without_listing_and_state_what_is_whole_can_be_added() {
    let s = ready();
    let r = s.repo();
    for file in ["a", "in/c", "in/empty"] {
        r.write(format!("data/{file}"), if file == "in/empty" { "" } else { file });
    }
    r.modver(["add", "data"]).ok();
    commit(&s, "Data");
    let forget = || r.sh("rm -rf .git/modver/state .git/modver/cache").ok();
    forget();
    assert!(r.modver(["add", "--dry-run", "data"]).ok().contains("data"));
    r.modver(["add", "data"]).ok();
    r.modver(["verify"]).ok();
    r.sh("rm -r data; modver checkout").ok();
    assert_eq!(r.sh("cat data/a data/in/c").ok(), "ain/c");
    r.modver(["status", "--check"]).ok();
    assert_eq!(r.git(["status", "--porcelain"]).ok(), "");
    // Otherwise nothing tells whether what is not here belongs to it.
    forget();
    r.write("data/a", "changed");
    let refused = r.modver(["add", "data"]);
    assert!(refused.err().ends_with("hint: modver fetch data\n"), "{refused}");
    refused.fails(1);
    assert_eq!(r.git(["status", "--porcelain"]).ok(), "");
}
