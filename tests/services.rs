//! A repository and its clone over servers that others wrote, by the real program; and what `remote add` and
//! `doctor --remote` say of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

#[path = "support/servers.rs"]
mod servers;
mod support;
#[cfg(feature = "webhdfs")]
#[path = "support/web.rs"]
mod web;
#[cfg(feature = "webhdfs")]
#[path = "support/webhdfs.rs"]
mod webhdfs;

use servers::{AZURE_ACCOUNT, AZURE_KEY, Kind, Server};
use support::Scratch;

/// Adds the remote `store` by these arguments, pushes, clones, pulls, pushes a change back and pulls it.
fn round_trip(s: &Scratch, add: &[&str], secrets: &[(&str, &str)]) {
    let secret = |repo: &support::Repo<'_>| {
        for (key, value) in secrets {
            let key = format!("remote.store.{key}");
            repo.modver(["config", "set", "--local", &key, value]).ok();
        }
    };
    let repo = s.repo();
    secret(&repo);
    let added = repo.modver(["remote", "add", "store"].iter().chain(add));
    let notes = added.err();
    assert!(!notes.contains("warning") && !notes.contains("hint"), "{notes}");
    added.ok();
    let probed = repo.modver(["doctor", "--remote", "store"]).ok();
    assert!(probed.contains("list                      yes"), "{probed}");

    let large: Vec<u8> = (0..3_000_000_u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    s.write("data/large.bin", &large);
    for i in 0..20 {
        s.write(format!("data/some/{i}.txt"), format!("file {i}"));
    }
    repo.modver(["add", "data"]).ok();
    repo.git(["add", "-A"]).ok();
    repo.git(["commit", "--quiet", "-m", "One"]).ok();
    repo.modver(["push"]).ok();
    let again = repo.modver(["push"]).ok();
    assert!(
        again.contains("up to date") || again.contains("nothing") || again.is_empty(),
        "{again}"
    );

    let dir = s.clone_to("other");
    let other = s.at(&dir);
    secret(&other);
    other.modver(["pull"]).ok();
    assert!(other.read("data/large.bin") == large);
    assert_eq!(other.read("data/some/7.txt"), b"file 7");
    other.write("data/some/7.txt", "changed");
    other.modver(["add", "data"]).ok();
    other.git(["commit", "--quiet", "-am", "Two"]).ok();
    other.modver(["push"]).ok();
    other.modver(["verify", "--remote", "--deep"]).ok();

    repo.git(["pull", "--quiet", dir.to_str().unwrap()]).ok();
    repo.modver(["pull"]).ok();
    assert_eq!(s.read("data/some/7.txt"), b"changed");
    collection(&repo, &other);
}

/// What a branch had goes with it, and what others need stays.
fn collection(repo: &support::Repo, other: &support::Repo) {
    repo.git(["checkout", "--quiet", "-b", "side"]).ok();
    repo.write("data/side.bin", support::noise(5, 2_000_000));
    repo.modver(["add", "data"]).ok();
    repo.git(["commit", "--quiet", "-am", "Side"]).ok();
    repo.modver(["push"]).ok();
    repo.git(["checkout", "--quiet", "-"]).ok();
    repo.git(["branch", "--quiet", "-D", "side"]).ok();
    repo.modver(["checkout"]).ok();
    let gc = || {
        let claims = ["--claims-older-than", "0", "--grace", "0"];
        let gc = ["gc", "--remote", "store", "--all-branches", "--yes"];
        repo.modver(gc.iter().chain(&claims)).ok()
    };
    let gone = gc();
    assert!(gone.contains("deleted 1.9 MiB: "), "{gone}");
    assert_eq!(gc(), "nothing to remove on `store`");
    repo.modver(["verify", "--remote", "--deep"]).ok();
    other.sh("rm -rf data .git/modver/cache .git/modver/remotes").ok();
    other.modver(["pull"]).ok();
    assert_eq!(other.read("data/some/7.txt"), b"changed");
}

fn with_sftp(server: &Server) -> Scratch {
    with_ssh(server, "bin")
}

/// A repository in which `ssh` is the program in this directory of the server's.
fn with_ssh(server: &Server, bin: &str) -> Scratch {
    let mut s = Scratch::new();
    let bin = server.dir.path().join(bin);
    let path = std::env::join_paths(
        [bin]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    s.set_env("PATH", path.unwrap());
    s
}

#[test]
fn s3() {
    let Some(server) = Kind::Moto.start() else { return };
    let mut s = Scratch::new();
    s.set_env("AWS_ACCESS_KEY_ID", "AKIDTEST");
    s.set_env("AWS_SECRET_ACCESS_KEY", "secret");
    let endpoint = format!("http://{}", server.address);
    round_trip(
        &s,
        &["s3://bucket/trip", "--endpoint", &endpoint, "--region", "us-east-1"],
        &[],
    );
}

#[test]
fn azure() {
    let Some(server) = Kind::Azurite.start() else { return };
    let s = Scratch::new();
    let endpoint = format!("http://{}/{AZURE_ACCOUNT}", server.address);
    let account = format!("account_name={AZURE_ACCOUNT}");
    round_trip(
        &s,
        &["azure://bucket/trip", "--endpoint", &endpoint, "-o", &account],
        &[("account_key", AZURE_KEY)],
    );
    let refused = s.repo().modver([
        "remote",
        "add",
        "bad",
        "azure://missing",
        "--endpoint",
        &endpoint,
        "-o",
        &account,
    ]);
    let notes = refused.err();
    assert!(notes.contains("warning: bad could not be tried out"), "{notes}");
    refused.ok();
    s.repo()
        .modver(["config", "set", "--local", "remote.bad.account_key", AZURE_KEY])
        .ok();
    let missing = s.repo().modver(["doctor", "--remote", "bad"]);
    assert!(missing.out().contains("remote container does not exist"), "{missing}");
    missing.fails(1);
}

#[test]
fn gcs() {
    let Some(server) = Kind::Gcs.start() else { return };
    let s = Scratch::new();
    let endpoint = format!("http://{}", server.address);
    let repo = s.repo();
    let added = repo.modver([
        "remote",
        "add",
        "early",
        "gs://bucket/early",
        "--endpoint",
        &endpoint,
        "--anonymous",
    ]);
    // The emulator ignores conditions, which is noticed.
    assert!(added.err().contains("it cannot create without replacing"), "{added}");
    added.ok();
    repo.modver(["remote", "remove", "early"]).ok();
    round_trip(&s, &["gs://bucket/trip", "--endpoint", &endpoint, "--anonymous"], &[]);
    let missing = repo.modver([
        "remote",
        "add",
        "bad",
        "gs://missing",
        "--endpoint",
        &endpoint,
        "--anonymous",
    ]);
    assert!(missing.err().contains("remote bucket does not exist"), "{missing}");
}

#[test]
fn webdav() {
    let Some(server) = Kind::Apache.start() else { return };
    let s = Scratch::new();
    let url = format!("webdav://{}/dav/trip", server.address);
    round_trip(&s, &[&url, "-o", "user=me"], &[("password", "secret")]);
    let repo = s.repo();
    repo.modver(["config", "set", "--local", "remote.store.password", "wrong-hush"])
        .ok();
    let refused = repo.modver(["doctor", "--remote", "store"]);
    let shown = format!("{refused}");
    assert!(
        shown.contains("credentials were refused") && shown.contains("remote.store.password"),
        "{shown}"
    );
    assert!(!shown.contains("hush"), "{shown}");
    refused.fails(1);
}

#[test]
fn sftp() {
    let Some(server) = Kind::Sshd.start() else { return };
    let s = with_sftp(server);
    let url = format!("ssh://{}{}/trip", server.address, server.dir.path().display());
    round_trip(&s, &[&url], &[]);
    let repo = s.repo();
    let unknown = url.replace("127.0.0.1", "localhost");
    let added = repo.modver(["remote", "add", "unknown", &unknown]);
    let notes = added.err();
    assert!(
        notes.contains("the key of the host is not known")
            && notes.contains(&format!("hint: ssh -p {} localhost", server.port())),
        "{notes}"
    );
    added.ok();
    let closed = repo.modver(["remote", "add", "closed", "ssh://127.0.0.1:1/srv"]);
    assert!(closed.err().contains("cannot reach"), "{closed}");
}

/// A key that the server does not know, none, one that is not there, one that is damaged; and the right one.
#[test]
fn keys_for_ssh() {
    let Some(server) = Kind::Sshd.start() else { return };
    let s = with_ssh(server, "keyless");
    let repo = s.repo();
    let url = format!("ssh://{}{}/keys", server.address, server.dir.path().display());
    s.write("broken", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n");
    std::fs::set_permissions(s.path("broken"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let added = repo.modver(["remote", "add", "store", &url]);
    let notes = added.err();
    assert!(
        notes.contains("credentials were refused by remote `ssh://")
            && notes.contains("Permission denied (publickey"),
        "{notes}"
    );
    added.ok();
    s.write("data.bin", "data");
    repo.modver(["add", "data.bin"]).ok();
    let file = |name: &str| server.dir.path().join(name).display().to_string();
    for (key, said) in [
        (file("other"), "Permission denied (publickey"),
        (file("not-there"), "there is no key file"),
        (s.path("broken").display().to_string(), "credentials were refused"),
    ] {
        repo.modver(["remote", "modify", "--local", "store", "keyfile", &key])
            .ok();
        let refused = repo.modver(["push"]);
        let shown = refused.err();
        assert!(shown.contains(said), "{key}: {refused}");
        assert!(
            shown.contains("hint: ssh-add, or modver remote modify --local store keyfile FILE"),
            "{refused}"
        );
        refused.fails(1);
    }
    repo.modver(["remote", "modify", "--local", "store", "keyfile", &file("user")])
        .ok();
    repo.modver(["push"]).ok();

    // A server whose key is not the one that is known of it.
    let known = s.root().join("known");
    let host_key = std::fs::read_to_string(server.dir.path().join("other.pub")).unwrap();
    std::fs::write(&known, format!("[127.0.0.1]:{} {host_key}", server.port())).unwrap();
    let ssh = s.root().join("bin/ssh");
    std::fs::create_dir(s.root().join("bin")).unwrap();
    let real = std::fs::read_to_string(server.dir.path().join("keyless/ssh")).unwrap();
    let script = real.replace("\"$@\"", &format!("-o UserKnownHostsFile={} \"$@\"", known.display()));
    std::fs::write(&ssh, script).unwrap();
    std::fs::set_permissions(&ssh, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut path = s.root().join("bin").into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let pushed = support::Output::of(repo.command(env!("CARGO_BIN_EXE_modver")).env("PATH", path).arg("push"));
    let shown = pushed.err();
    assert!(
        shown.contains("the key of the host is not the one it had") && shown.contains("somebody may be in between"),
        "{pushed}"
    );
    pushed.fails(1);
}

/// What is half written does not have a key and is swept a day later.
#[test]
fn leftovers_of_others_are_swept() {
    let Some(server) = Kind::Sshd.start() else { return };
    let s = with_sftp(server);
    let root = server.dir.path().join("swept");
    let url = format!("ssh://{}{}", server.address, root.display());
    std::fs::create_dir_all(root.join("tmp")).unwrap();
    std::fs::write(root.join("tmp/old"), "x").unwrap();
    std::fs::write(root.join("tmp/new"), "x").unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_hours(30);
    let file = std::fs::File::options().write(true).open(root.join("tmp/old")).unwrap();
    file.set_modified(old).unwrap();
    s.repo().modver(["remote", "add", "store", &url]).ok();
    assert!(!root.join("tmp/old").exists() && root.join("tmp/new").exists());
}

/// The server is in this process; reads and writes go by way of its data node.
#[cfg(feature = "webhdfs")]
#[test]
fn hdfs() {
    let s = Scratch::new();
    let server = webhdfs::start(&s.root().join("hdfs"));
    std::fs::create_dir(s.root().join("hdfs")).unwrap();
    let url = server.url.replace("http:", "webhdfs:") + "/trip";
    round_trip(&s, &[&url, "-o", "user=me"], &[]);
    let opened = server
        .requests()
        .iter()
        .any(|request| request.starts_with("GET /data/trip/packs/"));
    assert!(opened, "{:?}", server.requests());
    let repo = s.repo();
    repo.modver(["remote", "modify", "store", "user", "somebody"]).ok();
    let refused = repo.modver(["doctor", "--remote", "store"]);
    assert!(refused.out().contains("credentials were refused"), "{refused}");
    refused.fails(1);
}
