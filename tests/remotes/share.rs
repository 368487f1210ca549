//! What one pushes, others pull.

use super::support::digest;
use super::{add, commit, files, noise, sample_in, with_dir_remote};

#[test]
fn the_same_bytes_arrive_in_a_fresh_clone() {
    let s = with_dir_remote();
    sample_in(&s);
    assert_eq!(
        s.repo()
            .modver(["push", "--dry-run"])
            .ok()
            .split(" in ")
            .next()
            .unwrap(),
        "would push 2 outputs, 82 files, 3.5 MiB"
    );
    assert!(files(&s.root().join("remote")).is_empty());
    assert_eq!(
        s.repo().modver(["push"]).ok(),
        "2 outputs, 82 files, 3.5 MiB in 2 packs to origin"
    );
    let before = files(&s.root().join("remote"));
    assert_eq!(
        s.repo().modver(["push"]).ok(),
        "nothing to push to origin; 2 up to date"
    );
    assert_eq!(files(&s.root().join("remote")), before);

    let clone = s.clone_to("clone");
    let clone = s.at(&clone);
    let pulled = clone.modver(["pull"]);
    assert_eq!(pulled.err(), "");
    assert!(pulled.ok().starts_with("fetched 82 files, 3.5 MiB from origin\n"));
    assert_eq!(digest(&s.root().join("clone")), digest(&s.path("")));
    assert_eq!(
        clone.modver(["fetch"]).ok(),
        "nothing to fetch: all of it is in the cache"
    );
    assert_eq!(clone.modver(["pull"]).ok(), "");
    assert_eq!(clone.git(["status", "--porcelain"]).ok(), "");

    // A change of a few bytes costs a few chunks, not the file again.
    let mut big = s.read("big.bin");
    big.splice(1_500_000..1_500_000, *b"inserted");
    s.write("big.bin", &big);
    s.write("data/cats/new.txt", "new");
    add(s.repo(), &["data", "big.bin"]);
    let pushed = s.repo().modver(["push", "--json"]).json();
    let bytes = pushed["remotes"][0]["bytes"].as_u64().unwrap();
    assert!((1..600_000).contains(&bytes), "{pushed}");
    assert_eq!(pushed["remotes"][0]["files"], 2);
    clone.git(["pull", "--quiet"]).ok();
    clone.modver(["pull", "--quiet"]).ok();
    assert_eq!(digest(&s.root().join("clone")), digest(&s.path("")));
}

#[test]
fn a_part_can_be_pulled_and_added_to() {
    let s = with_dir_remote();
    sample_in(&s);
    s.repo().modver(["push"]).ok();
    let clone = s.clone_to("clone");
    let clone = s.at(&clone);
    clone.modver(["pull", "data/cats"]).ok();
    assert!(clone.has("data/cats/39.txt") && !clone.has("data/dogs") && !clone.has("big.bin"));
    assert_eq!(
        clone.modver(["pull", "data/nothing"]).err(),
        "error: there is no `nothing` in `data`\nhint: modver ls -R data\n"
    );
    for repo in [clone, s.repo()] {
        repo.write("data/cats/new.txt", "new cat");
        repo.modver(["commit"]).ok();
    }
    assert_eq!(clone.read("data.mv"), s.read("data.mv"));
    commit(clone);
    clone.modver(["push", "data"]).ok();
    // What is absent stays so, and what is not is brought up to date.
    clone.modver(["pull", "data"]).ok();
    assert!(clone.has("data/dogs/1.txt"));
    let other = s.clone_to("other");
    let other = s.at(&other);
    other.modver(["pull", "data/dogs"]).ok();
    other.modver(["pull"]).ok();
    assert!(other.has("big.bin") && other.has("data/dogs/1.txt") && !other.has("data/cats"));
}

#[test]
fn what_was_pushed_and_never_committed_is_not_sent_again() {
    let s = with_dir_remote();
    let repo = s.repo();
    let mut content = noise(3, 3 << 20);
    s.write("model", &content);
    repo.modver(["add", "model"]).ok();
    repo.modver(["push"]).ok();
    content.splice(1_000_000..1_000_000, *b"a few bytes");
    s.write("model", &content);
    repo.modver(["add", "model"]).ok();
    let pushed = repo.modver(["push", "--json"]).json();
    let bytes = pushed["remotes"][0]["bytes"].as_u64().unwrap();
    assert!(bytes > 0 && bytes <= 3 * 262_144, "{bytes}");
}

#[test]
fn two_clones_push_at_once_and_lose_nothing() {
    let s = with_dir_remote();
    s.write("README", "");
    commit(s.repo());
    let clones: Vec<_> = (0..2).map(|i| s.clone_to(&format!("clone{i}"))).collect();
    for round in 0..3 {
        let mut running = Vec::new();
        for (i, dir) in clones.iter().enumerate() {
            let name = format!("out{i}-{round}");
            s.at(dir).write(&name, noise(round * 2 + i as u64, 200_000));
            s.at(dir).modver(["add", &name]).ok();
            commit(s.at(dir));
            let mut push = s.at(dir).command(env!("CARGO_BIN_EXE_modver"));
            running.push(push.arg("push").stdout(std::process::Stdio::null()).spawn().unwrap());
        }
        for mut push in running {
            assert!(push.wait().unwrap().success());
        }
    }
    for dir in &clones {
        let fresh = dir.with_extension("fresh");
        s.at(dir).git(["clone", "--quiet", ".", fresh.to_str().unwrap()]).ok();
        s.at(&fresh).modver(["pull"]).ok();
        assert_eq!(digest(&fresh), digest(dir));
    }
}

#[test]
fn many_pushes_leave_few_runs_and_every_version_can_be_had() {
    let s = with_dir_remote();
    s.write("table.csv", noise(7, 400_000));
    for i in 0..20 {
        s.write(format!("data/{i}"), format!("{i}"));
        let mut table = s.read("table.csv");
        table[i * 19_000] ^= 1;
        s.write("table.csv", table);
        add(s.repo(), &["data", "table.csv"]);
        s.repo().modver(["push", "--quiet"]).ok();
    }
    let runs = files(&s.root().join("remote/catalog")).len() - 1;
    assert!((1..=16).contains(&runs), "{runs}");
    let clone = s.clone_to("clone");
    for back in [0, 1, 10, 19] {
        s.git(["checkout", "--quiet", &format!("main~{back}")]).ok();
        s.repo().modver(["checkout", "--quiet"]).ok();
        s.at(&clone)
            .git(["checkout", "--quiet", &format!("origin/main~{back}")])
            .ok();
        s.at(&clone).modver(["pull", "--quiet"]).ok();
        assert_eq!(digest(&clone), digest(&s.path("")), "{back}");
    }
}

#[test]
fn what_was_not_pushed_is_named() {
    let s = with_dir_remote();
    sample_in(&s);
    let clone = s.clone_to("clone");
    let clone = s.at(&clone);
    let nothing = clone.modver(["pull"]);
    assert_eq!(
        nothing.err(),
        "absent: big.bin: remote `origin` does not have it\nabsent: data: remote `origin` does not have it\n\
         hint: modver push, on the machine that has it\n"
    );
    nothing.fails(1);
    s.repo().modver(["push", "data"]).ok();
    let some = clone.modver(["pull"]);
    assert!(some.err().starts_with("absent: big.bin: remote"), "{some}");
    some.fails(3);
    assert!(clone.has("data/cats/1.txt") && !clone.has("big.bin"));
    // The clone has what it would need to push one of them.
    fs_remove(&s.root().join("remote"));
    let partly = clone.modver(["push"]);
    assert!(
        partly
            .err()
            .starts_with("incomplete: big.bin was not pushed: its content is not in"),
        "{partly}"
    );
    assert!(partly.fails(3).starts_with("1 output, 81 files"));
    clone.modver(["push", "big.bin"]).fails(1);
}

fn fs_remove(remote: &std::path::Path) {
    std::fs::remove_dir_all(remote).unwrap();
    std::fs::create_dir(remote).unwrap();
}

#[test]
fn a_part_is_pushed_though_the_listings_of_the_rest_were_collected() {
    let s = with_dir_remote();
    let r = s.repo();
    for file in ["a", "in/c", "deep/er/d"] {
        r.write(format!("data/{file}"), file);
    }
    add(r, &["data"]);
    r.modver(["push"]).ok();
    let clone = s.clone_to("clone");
    let c = s.at(&clone);
    c.modver(["pull", "data/a"]).ok();
    c.write("data/a", "changed");
    add(c, &["data"]);
    let all = "--delete-data-that-exists-nowhere-else";
    c.modver(["gc", "--workspace", "--yes", all]).ok();
    c.modver(["push"]).ok();
    r.git(["pull", "-q", clone.to_str().unwrap()]).ok();
    r.modver(["pull"]).ok();
    assert_eq!(r.sh("cat data/a data/in/c data/deep/er/d").ok(), "changedin/cdeep/er/d");
}

#[test]
fn a_file_beside_what_is_present_is_named() {
    let s = with_dir_remote();
    let r = s.repo();
    for file in ["a", "b", "in/c"] {
        r.write(format!("data/{file}"), file);
    }
    add(r, &["data"]);
    r.modver(["push"]).ok();
    let clone = s.clone_to("clone");
    let c = s.at(&clone);
    c.modver(["pull", "data/a"]).ok();
    c.write("data/new", "of no other name");
    c.modver(["pull"]).ok();
    c.write("data/b", "mine");
    c.write("data/in/c", "mine");
    for command in ["pull", "checkout"] {
        let told = c.modver([command]);
        assert!(
            told.err()
                .contains("conflict: data/b is here, and not what the pointer has; it was left\n")
                && told.err().contains("conflict: data/in is here"),
            "{told}"
        );
        assert!(!told.err().contains("everything is"), "{told}");
        told.fails(3);
        assert_eq!(c.read("data/b"), b"mine");
    }
    c.sh("rm -r data/in").ok();
    c.modver(["pull", "--force", "data/b"]).ok();
    assert_eq!(c.read("data/b"), b"b");
    c.modver(["pull"]).ok();
}
