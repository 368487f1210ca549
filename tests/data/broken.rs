//! A pointer that cannot be read concerns only what it stands for.

use super::support::{Output, Scratch, digest};
use super::{commit, delete, everything, ready};

const LISTED: &str = "broken: bad.mv: two versions of it were merged, and it is still in conflict\n\
                      hint: modver checkout --ours bad   or   modver checkout --theirs bad\n\
                      broken: sub/worse.mv: the key `version` is missing\n";

/// Two sound outputs and two whose pointers were spoilt.
fn spoilt() -> Scratch {
    let s = ready();
    for file in ["good/a", "sub/fine", "bad/b", "sub/worse"] {
        s.write(file, file);
    }
    let store = s.root().join("store");
    std::fs::create_dir(&store).unwrap();
    s.repo()
        .modver(["remote", "add", "origin", store.to_str().unwrap()])
        .ok();
    s.repo().modver(["add", "good", "sub/fine", "bad", "sub/worse"]).ok();
    commit(&s, "Data");
    s.write("bad.mv", "<<<<<<< HEAD\n=======\n>>>>>>> theirs\n");
    s.write("sub/worse.mv", "");
    s
}

#[track_caller]
fn partly(output: Output) -> String {
    assert!(output.err().contains(LISTED), "{output}");
    output.fails(3)
}

#[test]
fn the_sound_ones_are_done_and_the_others_listed() {
    let s = spoilt();
    let others = |s: &Scratch| {
        (
            digest(&s.path("bad")),
            s.read("sub/worse"),
            s.read("bad.mv"),
            s.read("sub/worse.mv"),
        )
    };
    let before = others(&s);
    s.write("good/a", "changed");
    assert_eq!(
        partly(s.repo().modver(["commit"])),
        "updated good (1 file, 7 B)\nunchanged sub/fine (1 file, 8 B)"
    );
    delete(&s.path("good"));
    partly(s.repo().modver(["checkout"]));
    assert_eq!(s.read("good/a"), b"changed");
    partly(s.repo().modver(["push"]));
    delete(&s.path(".git/modver/cache"));
    delete(&s.path("sub/fine"));
    let fetched = s.repo().modver(["fetch", "--json"]);
    let broken = &fetched.json()["broken"];
    assert_eq!(
        (&broken[0]["path"], &broken[1]["path"]),
        (&"bad.mv".into(), &"sub/worse.mv".into())
    );
    fetched.fails(3);
    partly(s.repo().modver(["pull"]));
    assert_eq!(s.read("sub/fine"), b"sub/fine");
    let json = s.repo().modver(["pull", "--json"]).json();
    assert_eq!(json["checkout"]["broken"].as_array().unwrap().len(), 2);
    // Nothing is known of what they name.
    let gc = s.repo().modver(["gc", "--workspace", "--yes"]);
    assert!(gc.err().starts_with("error: `"), "{gc}");
    gc.fails(1);

    // Only those below a directory that was named.
    let below = s.repo().modver(["checkout", "sub"]);
    assert!(
        below.err().contains("broken: sub/worse.mv") && !below.err().contains("bad.mv"),
        "{below}"
    );
    below.fails(3);
    // None of them.
    for target in ["good", "sub/fine", "good.mv"] {
        for command in ["commit", "checkout", "push", "fetch", "pull"] {
            s.repo().modver([command, target]).ok();
        }
    }
    s.repo().modver(["move", "good", "better"]).ok();
    s.repo().modver(["remove", "better.mv"]).ok();
    s.write("new", "1");
    s.repo().modver(["add", "new", "sub/fine"]).ok();
    // The one itself, something in it, its pointer, or together with others: nothing is done.
    let all = everything(&s);
    for targets in [&["bad"][..], &["bad/b"], &["bad.mv"], &["new", "bad"]] {
        for command in ["commit", "checkout", "push", "fetch", "pull", "remove"] {
            let refused = s.repo().modver([&[command], targets].concat());
            assert!(
                refused
                    .err()
                    .starts_with("error: `bad.mv` is not a valid pointer\ncaused by: two versions of it"),
                "{refused}"
            );
            refused.fails(1);
        }
    }
    s.repo().modver(["add", "bad"]).fails(1);
    s.repo().modver(["add", "bad/b"]).fails(1);
    s.repo().modver(["move", "new", "bad/in"]).fails(1);
    s.repo().modver(["move", "new", "bad"]).fails(1);
    assert_eq!(everything(&s), all);
    assert_eq!(others(&s), before);
    let removed = s.repo().modver(["remove", "sub"]);
    assert!(removed.err().contains("broken: sub/worse.mv"), "{removed}");
    removed.fails(3);
    assert!(!s.repo().has("sub/fine.mv") && s.repo().has("sub/worse.mv"));
    assert_eq!(others(&s), before);
}
