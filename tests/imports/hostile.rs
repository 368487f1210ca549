//! Repositories that mean no good, or are broken.

use crate::{commit, names, scratch, url};

#[test]
fn what_a_broken_repository_holds_is_refused_by_name() {
    let (s, source, out) = scratch();
    let (o, other) = (s.at(&out), s.at(&source));
    let id = modver::hash::FileId::of(b"x");
    let good = format!("version = 1\nkind = \"file\"\nid = \"{id}\"\nsize = 1\n");
    other.write("conflict.mv", "<<<<<<< ours\n=======\n>>>>>>> theirs\n");
    other.write("huge.mv", "#".repeat(70_000));
    other.write("unknown.mv", format!("{good}colour = \"red\"\n"));
    other.write(
        "escape.mv",
        format!(
            "{good}[import]\nurl = \"u\"\npath = \"../x\"\ncommit = \"{}\"\n",
            "0".repeat(40)
        ),
    );
    other.write(
        "option.mv",
        format!("{good}[import]\nurl = \"--upload-pack=touch x\"\n"),
    );
    other.write("absent.mv", &good);
    other
        .sh("ln -s /etc/passwd out; ln -s ../../x up; ln -s code/run.py in; mkdir links; ln -s ../../x links/x")
        .ok();
    commit(other, "hostile");
    other.modver(["push", "--quiet", "data"]).ok();
    let fails = |path: &str, what: &str| {
        for source in ["../source", &url(&source)] {
            let failed = o.modver(["get", source, path]);
            assert!(failed.err().contains(what), "{path}: {failed}");
            failed.fails(1);
            assert_eq!(names(&out), [""; 0]);
        }
    };
    fails("conflict", "it is still in conflict");
    fails("huge", "more than the 65536 a pointer may have");
    fails("unknown", "unknown key `colour`");
    fails("escape", "`import.path` is not a path");
    fails("option", "`import.url` cannot be used");
    fails("absent", "the content of `absent` cannot be had");
    fails("out", "symbolic link that leads to no file");
    fails("up", "symbolic link that leads to no file");
    fails("links", "symbolic link that leads to no file");
    fails("../../etc/passwd", "has nothing at");
    o.modver(["get", "../source", "in"]).ok();
    assert_eq!(o.read("in"), b"print(1)\n");
    // One bad pointer does not keep the others from being had.
    o.modver(["get", "../source", "model.bin"]).ok();
    let listed = o.modver(["ls", "../source"]);
    assert!(listed.err().contains("conflict.mv"), "{listed}");
    assert_eq!(listed.fails(3), "absent\ncode/weights.bin\ndata/\nmodel.bin");
}

#[test]
fn a_pointer_starts_no_program_by_its_url() {
    let (mut s, _, out) = scratch();
    s.write("../bin/git-remote-evil", "#!/bin/sh\ntouch \"$HOME/started\"\n");
    s.sh("chmod +x ../bin/git-remote-evil").ok();
    let path = s.sh("echo \"$PWD/../bin:$PATH\"").ok();
    s.set_env("PATH", path);
    let id = modver::hash::FileId::of(b"x");
    for (i, url) in ["evil::x", &*format!("ext::touch {}/started", s.home().display())]
        .iter()
        .enumerate()
    {
        s.write(
            format!("x{i}.mv"),
            format!(
                "version = 1\nkind = \"file\"\nid = \"{id}\"\nsize = 1\n\n[import]\nurl = \"{url}\"\n\
                 path = \"x\"\ncommit = \"{}\"\n",
                "0".repeat(40)
            ),
        );
        s.repo().modver(["pull", &format!("x{i}")]).fails(1);
        s.repo().modver(["update", &format!("x{i}")]).fails(1);
        s.repo().modver(["cat", &format!("x{i}")]).fails(1);
        s.repo().modver(["status", "--imports"]).ok();
    }
    assert!(!s.at(&s.home()).has("started"));
    // A user who types such a URL means it.
    s.at(&out).modver(["get", "evil::x", "x"]).fails(1);
    assert!(s.at(&s.home()).has("started"));
}

#[test]
fn a_broken_project_file_matters_only_if_a_remote_is_needed() {
    let (s, source, out) = scratch();
    let (o, other) = (s.at(&out), s.at(&source));
    other.modver(["push", "--quiet"]).ok();
    other.write("mv.toml", "[remote.store]\nurl = 3\n");
    commit(other, "broken");
    o.modver(["get", "../source", "code/run.py"]).ok();
    o.modver(["get", "../source", "data"]).ok();
    let failed = o.modver(["get", &url(&source), "model.bin"]);
    assert!(failed.err().contains("mv.toml"), "{failed}");
    failed.fails(1);
    o.modver(["get", &url(&source), "model.bin", "--rev", "v1"]).ok();
    other.write("mv.toml", "[remote.store]\nurl = \"https://user:hush@host/x\"\n");
    commit(other, "secret");
    let failed = o.modver(["get", &url(&source), "data", "-o", "d"]);
    assert!(!failed.err().contains("hush"), "{failed}");
    failed.fails(1);
}

#[test]
fn damaged_content_takes_no_name() {
    let (s, source, out) = scratch();
    let (o, other) = (s.at(&out), s.at(&source));
    other.modver(["push", "--quiet"]).ok();
    s.sh("for f in ../store/packs/*/*; do dd if=/dev/zero of=$f bs=1 count=400000 seek=1000 conv=notrunc status=none; done")
        .ok();
    let failed = o.modver(["get", &url(&source), "model.bin"]);
    assert_ne!(failed.code, 0, "{failed}");
    assert_eq!(names(&out), [""; 0]);
    // The repository's own cache is sound.
    o.modver(["get", "../source", "model.bin"]).ok();
}
