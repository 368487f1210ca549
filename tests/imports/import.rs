//! `import`, `update` and what other commands do with imports.

use std::fs;

use crate::support::{Scratch, digest};
use crate::{commit, noise, scratch, second_version, url};

fn pointer(s: &Scratch, path: &str) -> String {
    String::from_utf8(s.read(path)).unwrap()
}

#[test]
fn an_import_is_an_output_that_remembers_where_it_came_from() {
    let (s, source, _) = scratch();
    let other = s.at(&source);
    let imported = s
        .repo()
        .modver(["import", "../source", "data", "--rev", "main", "--desc", "of others"]);
    assert!(imported.err().contains("at commit"), "{imported}");
    assert_eq!(imported.ok(), "imported data (11 files, 60 B)");
    assert_eq!(digest(&s.path("data")), digest(&source.join("data")));
    let head = other.git(["rev-parse", "HEAD"]).ok();
    let end = format!("\n[import]\nurl = \"../source\"\npath = \"data\"\nrev = \"main\"\ncommit = \"{head}\"\n");
    assert!(pointer(&s, "data.mv").ends_with(&end), "{}", pointer(&s, "data.mv"));
    assert_eq!(s.git(["status", "--porcelain"]).ok(), "A  .gitignore\nA  data.mv");
    assert_eq!(s.repo().modver(["status", "--check"]).ok(), "");
    commit(s.repo(), "import");
    // A clone that has no remote asks where it came from.
    let clone = s.clone_to("clone");
    let c = s.at(&clone);
    let pulled = c.modver(["pull"]);
    assert!(
        pulled.out().contains("fetched 11 files, 60 B from ../source"),
        "{pulled}"
    );
    pulled.ok();
    assert_eq!(digest(&clone.join("data")), digest(&source.join("data")));
    // In a subdirectory a relative path starts at the root all the same.
    fs::create_dir(s.path("sub")).unwrap();
    s.at(&s.path("sub"))
        .modver(["import", "../../source", "model.bin"])
        .ok();
    assert!(pointer(&s, "sub/model.bin.mv").contains("url = \"../source\"\n"));
    assert_eq!(s.read("sub/model.bin"), noise(1, 1_000_000));
}

#[test]
fn updates_follow_the_source() {
    let (s, source, _) = scratch();
    let (other, repo) = (s.at(&source), s.repo());
    repo.modver(["import", "--quiet", "../source", "data"]).ok();
    repo.modver(["import", "--quiet", "../source", "data/dogs", "--rev", "v1"])
        .ok();
    commit(repo, "imports");
    assert_eq!(repo.modver(["update"]).ok(), "unchanged data\nunchanged dogs");
    assert_eq!(repo.modver(["status", "--imports", "--check"]).ok(), "");
    second_version(other);
    assert_eq!(
        repo.modver(["update", "--dry-run"]).fails(1),
        "moved on data (../source)\nunchanged dogs"
    );
    assert_eq!(repo.modver(["status", "--check"]).ok(), "");
    let asked = repo.modver(["status", "--imports", "--check"]);
    assert!(asked.err().contains("hint: modver update data"), "{asked}");
    assert_eq!(asked.fails(1), "source moved on:  data/");
    let updated = repo.modver(["update"]).ok();
    assert!(updated.starts_with("updated data ("), "{updated}");
    assert_eq!(digest(&s.path("data")), digest(&source.join("data")));
    assert_eq!(s.git(["status", "--porcelain"]).ok(), "M  data.mv");
    // Another revision is followed from now on; it has the same dogs.
    let same = repo.modver(["update", "dogs", "--rev", "main"]).ok();
    assert!(same.contains("the same content"), "{same}");
    assert!(pointer(&s, "dogs.mv").contains("rev = \"main\"\n"));
    assert_eq!(repo.modver(["status", "--check"]).ok(), "");
}

#[test]
fn what_was_changed_here_is_not_replaced() {
    let (s, source, _) = scratch();
    let repo = s.repo();
    repo.modver(["import", "--quiet", "../source", "data"]).ok();
    s.write("data/cats/1.txt", "my cat\n");
    second_version(s.at(&source));
    let before = s.read("data.mv");
    let left = repo.modver(["update"]);
    assert!(left.err().contains("data was changed here"), "{left}");
    left.fails(1);
    assert_eq!(s.read("data.mv"), before);
    assert_eq!(s.read("data/cats/1.txt"), b"my cat\n");
    repo.modver(["update", "--force"]).ok();
    assert_eq!(s.read("data/cats/1.txt"), b"another cat\n");
    // Who adds a change has an output of their own.
    s.write("data/cats/1.txt", "my cat\n");
    let added = repo.modver(["add", "data"]);
    assert!(
        added
            .err()
            .contains("does not count as an import of ../source any more"),
        "{added}"
    );
    added.ok();
    assert!(!pointer(&s, "data.mv").contains("[import]"));
    let none = repo.modver(["update", "data"]);
    assert!(none.err().contains("was not imported"), "{none}");
    none.fails(1);
    repo.modver(["update"]).ok();
}

#[test]
fn only_the_pointer_if_that_is_asked_for() {
    let (s, source, _) = scratch();
    s.at(&source).modver(["push", "--quiet"]).ok();
    let repo = s.repo();
    let url = url(&source);
    let imported = repo.modver(["import", "--no-download", &url, "data/cats", "-o", "cats"]);
    assert!(imported.err().contains("modver pull cats"), "{imported}");
    imported.ok();
    assert!(!repo.has("cats"));
    repo.modver(["pull", "cats/2.txt"]).ok();
    assert_eq!(s.read("cats/2.txt"), b"cat 2\n");
    assert!(!repo.has("cats/3.txt"));
    repo.modver(["pull", "cats"]).ok();
    assert_eq!(digest(&s.path("cats")), digest(&source.join("data/cats")));
    // Files of git can be imported, too.
    repo.modver(["import", &url, "code/run.py"]).ok();
    repo.sh("test -x run.py").ok();
    assert!(pointer(&s, "run.py.mv").contains("path = \"code/run.py\""));
}

#[test]
fn imports_are_pushed_unless_they_are_left_out() {
    let (s, source, _) = scratch();
    let repo = s.repo();
    fs::create_dir(s.root().join("own")).unwrap();
    repo.modver(["remote", "add", "own", "../own"]).ok();
    repo.modver(["import", "--quiet", "../source", "data"]).ok();
    s.write("mine.txt", "mine\n");
    repo.modver(["add", "--quiet", "mine.txt"]).ok();
    commit(repo, "import");
    let pushed = repo.modver(["push", "--no-imports"]).ok();
    assert!(pushed.starts_with("1 output,"), "{pushed}");
    // No remote has it: a clone asks the source.
    let clone = s.clone_to("clone");
    let pulled = s.at(&clone).modver(["pull"]);
    assert!(
        pulled.out().contains("from own") && pulled.out().contains("from ../source"),
        "{pulled}"
    );
    pulled.ok();
    assert_eq!(s.at(&clone).modver(["cat", "data/cats/3.txt"]).ok(), "cat 3");
    let pushed = repo.modver(["push"]).ok();
    assert!(pushed.starts_with("1 output,"), "{pushed}");
    // Now the source may go.
    fs::remove_dir_all(&source).unwrap();
    let clone = s.clone_to("another");
    s.at(&clone).modver(["pull"]).ok();
    assert_eq!(digest(&clone.join("data")), digest(&s.path("data")));
    let failed = s.repo().modver(["update"]);
    assert!(
        failed.err().contains("failed: data: cannot get data from `../source`"),
        "{failed}"
    );
    failed.fails(1);
    let unknown = s.repo().modver(["status", "--imports"]);
    assert!(
        unknown.out().starts_with("source unknown:   data/ (cannot get data"),
        "{unknown}"
    );
}

#[test]
fn nothing_is_imported_over_something_else() {
    let (s, source, _) = scratch();
    let repo = s.repo();
    let refused = |args: &[&str], what: &str| {
        let before = digest(&s.path(""));
        let failed = repo.modver(["import"].iter().chain(args));
        assert!(failed.err().contains(what), "{failed}");
        failed.fails(1);
        assert_eq!(digest(&s.path("")), before);
    };
    s.write("model.bin", "mine\n");
    refused(&["../source", "model.bin"], "is there already");
    s.write("kept.txt", "mine\n");
    s.git(["add", "kept.txt"]).ok();
    refused(
        &["../source", "model.bin", "-o", "kept.txt", "--force"],
        "is tracked by git",
    );
    refused(&["../source", "model.bin", "-o", "../x"], "outside");
    refused(&["../source", "model.bin", "-o", "x.mv"], "is a pointer");
    refused(&["https://user:hush@host/x.git", "model.bin"], "has credentials");
    refused(&["../source", ".", "-o", "all"], "the repository itself");
    repo.modver(["import", "../source", "model.bin", "--force"]).ok();
    assert_eq!(s.read("model.bin"), noise(1, 1_000_000));
    refused(&["../source", "data", "-o", "model.bin/x"], "is inside `model.bin`");
    // Not pushed, and not on this machine as far as the URL tells: nothing is written.
    refused(&[&url(&source), "data"], "cannot be had");
    // A run that was killed behind the pointer is made up for by checkout.
    let killed = repo
        .command(env!("CARGO_BIN_EXE_modver"))
        .args(["import", "--no-download", "../source", "data"])
        .status()
        .unwrap();
    assert!(killed.success());
    assert!(!repo.has("data"));
}
