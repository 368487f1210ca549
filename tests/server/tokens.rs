//! Who may do what.

use super::support::Scratch;
use super::{Serve, noise, token, with_remote};

#[test]
fn roles_and_scopes() {
    let mut s = Scratch::new();
    let ann = token(&s, &["--write", "ann"]);
    let reader = token(&s, &["--read", "--repository", "project", "--expires", "1h", "ci"]);
    let elsewhere = token(&s, &["--write", "--repository", "other", "bob"]);
    let listed = s.repo().modver(["serve", "token", "list", "--root", "../serve"]).ok();
    assert!(
        listed.contains("ci   read   project, since ") && listed.contains(", until "),
        "{listed}"
    );
    for token in [&ann, &reader, &elsewhere] {
        let text = std::fs::read_to_string(s.root().join("serve/tokens.json")).unwrap();
        assert!(!text.contains(&token[4..]) && !listed.contains(&token[4..]));
    }
    let serve = Serve::start(&s, &["--access-log", "access.log"]);
    with_remote(&s, &format!("{}/project", serve.url));

    let none = s.repo().modver(["push"]);
    assert_eq!(none.code, 1);
    assert!(none.err().contains("no credentials found"), "{none}");
    assert!(none.err().contains("remote.NAME.token"), "{none}");
    s.set_env("MODVER_REMOTE_HUB_TOKEN", "mvt_0000");
    let wrong = s.repo().modver(["push"]);
    assert!(wrong.err().contains("credentials were refused"), "{wrong}");
    s.set_env("MODVER_REMOTE_HUB_TOKEN", elsewhere.clone());
    let other = s.repo().modver(["push"]);
    assert!(other.err().contains("not for the repository `project`"), "{other}");
    s.set_env("MODVER_REMOTE_HUB_TOKEN", reader);
    let reading = s.repo().modver(["push"]);
    assert_eq!(reading.code, 1);
    assert!(reading.err().contains("does not allow to write"), "{reading}");
    assert!(!serve.path("project").exists());

    s.set_env("MODVER_REMOTE_HUB_TOKEN", ann.clone());
    s.repo().modver(["push", "--quiet"]).ok();
    // Revoked: refused from the next request on, by a server that runs.
    s.repo()
        .modver(["serve", "token", "revoke", "--root", "../serve", "ann"])
        .ok();
    let revoked = s.repo().modver(["fetch", "--force"]);
    let revoked = if revoked.code == 2 {
        s.repo().modver(["verify", "--remote", "--deep"])
    } else {
        revoked
    };
    assert!(revoked.err().contains("was revoked"), "{revoked}");
    let again = token(&s, &["--read", "ann"]);
    s.set_env("MODVER_REMOTE_HUB_TOKEN", again);
    s.repo().modver(["verify", "--remote", "--deep", "--quiet"]).ok();

    let log = String::from_utf8(s.read("access.log")).unwrap();
    assert!(log.contains(" ann \"PUT /project/modver-store.toml\" 201 "), "{log}");
    assert!(!log.contains("mvt_") && !log.contains(&ann[4..]), "{log}");
    assert!(!serve.said().contains("mvt_"));
}

#[test]
fn a_token_may_not_be_in_the_project_file() {
    let s = Scratch::new();
    s.write(
        "mv.toml",
        "[remote.hub]\nurl = \"http://127.0.0.1:1/x\"\ntoken = \"mvt_secret\"\n",
    );
    let refused = s.repo().modver(["remote", "list"]);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(!refused.err().contains("mvt_secret"), "{refused}");
}

#[test]
fn other_machines_are_served_with_tokens_only() {
    let s = Scratch::new();
    let refused = s
        .repo()
        .modver(["serve", "--root", "../serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.err().contains("without a token"), "{refused}");
    token(&s, &["--read", "x"]);
    let serve = Serve::at(&s, "0.0.0.0:0", &[]);
    super::eventually("a warning about TLS", || serve.said().contains("without TLS"));
    serve.kill();
    // One that was revoked is none.
    s.repo()
        .modver(["serve", "token", "revoke", "--root", "../serve", "x"])
        .ok();
    let refused = s
        .repo()
        .modver(["serve", "--root", "../serve", "--listen", "0.0.0.0:0"]);
    assert!(refused.err().contains("without a token"), "{refused}");
    let refused = s.repo().modver(["serve", "token", "revoke", "--root", "../serve", "x"]);
    assert!(refused.err().contains("there is no token `x`"), "{refused}");
}

#[test]
fn everybody_may_read_where_that_is_wanted() {
    let mut s = Scratch::new();
    let ann = token(&s, &["--write", "ann"]);
    let serve = Serve::start(&s, &["--public-read"]);
    with_remote(&s, &format!("{}/project", serve.url));
    let refused = s.repo().modver(["push"]);
    assert!(refused.err().contains("this needs a token"), "{refused}");
    let clone = s.clone_to("clone");
    s.set_env("MODVER_REMOTE_HUB_TOKEN", ann);
    s.repo().modver(["push", "--quiet"]).ok();
    s.set_env("MODVER_REMOTE_HUB_TOKEN", "");
    let reader = s.at(&clone);
    reader.modver(["pull", "--quiet"]).ok();
    assert_eq!(reader.read("big.bin"), noise(99, 12_000_000));
}
