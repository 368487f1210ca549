//! Transparent files beside the hooks of `modver install`.

use super::{clean, commit_all, is_pointer, noise, ready, stored};

#[test]
fn hooks_let_content_pass_and_push_it_before_git_does() {
    let s = ready();
    s.git(["init", "-q", "--bare", "../origin.git"]).ok();
    s.git(["remote", "add", "origin", "../origin.git"]).ok();
    s.repo().modver(["install"]).ok();
    // Larger than what may enter git itself, but git gets the pointer.
    let large = noise(1, 11 << 20);
    s.write("large.bin", &large);
    s.write("dir/small.bin", "small");
    commit_all(s.repo(), "Add");
    is_pointer(&stored(s.repo(), "HEAD:large.bin"), &large);
    s.write("large.txt", noise(2, 11 << 20));
    s.git(["add", "large.txt"]).ok();
    assert!(s.git(["commit", "-qm", "Too large"]).err().contains("large.txt"));
    s.sh("git rm -q --cached large.txt; rm large.txt").ok();
    s.git(["push", "-q", "-u", "origin", "main"]).ok();
    s.sh("git switch -qc other; printf other > dir/small.bin").ok();
    commit_all(s.repo(), "Other");
    s.git(["push", "-q", "origin", "other"]).ok();
    s.git(["switch", "-q", "main"]).ok();
    assert_eq!(s.read("dir/small.bin"), b"small");
    clean(s.repo());

    // Another clone has it all, through git alone once it is installed there.
    let copy = s.root().join("copy");
    s.git(["clone", "-q", "../origin.git", copy.to_str().unwrap()]).ok();
    let copy = s.at(&copy);
    let config = copy.sh("cat .git/config").ok();
    let installed = copy.modver(["install"]).ok();
    assert!(
        installed.ends_with("installed the filter for transparent files"),
        "{installed}"
    );
    copy.modver(["pull"]).ok();
    assert_eq!(copy.read("large.bin"), large);
    copy.git(["switch", "-q", "other"]).ok();
    assert_eq!(copy.read("dir/small.bin"), b"other");
    clean(copy);
    copy.git(["switch", "-q", "main"]).ok();
    copy.git(["branch", "-q", "-D", "other"]).ok();
    copy.modver(["uninstall"]).ok();
    assert_eq!(copy.sh("cat .git/config").ok(), config);
}
