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
    assert!(
        none.err().contains("modver config set --local remote.hub.token TOKEN"),
        "{none}"
    );
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

/// Several administrators at once: nobody's token is lost, and of two that take one name one is told.
#[test]
fn tokens_are_made_and_revoked_at_the_same_time() {
    let s = Scratch::new();
    let names: Vec<String> = (0..8).map(|i| format!("t{i}")).collect();
    let (tokens, same) = std::thread::scope(|scope| {
        let s = &s;
        let all: Vec<_> = names
            .iter()
            .map(|name| {
                scope.spawn(move || {
                    let same = ["serve", "token", "add", "--root", "../serve", "--read", "same"];
                    (token(s, &["--write", name]), s.repo().modver(same).code)
                })
            })
            .collect();
        let done = all.into_iter().map(|thread| thread.join().unwrap());
        done.unzip::<_, _, Vec<String>, Vec<i32>>()
    });
    assert_eq!(same.iter().filter(|code| **code == 0).count(), 1, "{same:?}");
    let serve = Serve::start(&s, &[]);
    let status = |token: &String| {
        let bearer = format!("authorization: Bearer {token}");
        super::raw::request(serve.address(), "GET /r/?list=", &[bearer], b"").status
    };
    assert!(tokens.iter().all(|token| status(token) == 200));
    std::thread::scope(|scope| {
        for name in &names[..6] {
            let revoke = ["serve", "token", "revoke", "--root", "../serve", name];
            let repo = s.repo();
            scope.spawn(move || repo.modver(revoke).ok());
        }
    });
    let statuses: Vec<u16> = tokens.iter().map(status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 200, 200]);
}

/// A token that is revoked in the middle of a push ends it; what had arrived is of use to nobody else.
#[test]
fn a_token_is_revoked_in_the_middle_of_an_upload() {
    let s = Scratch::new();
    let ann = token(&s, &["--write", "ann"]);
    let root = token(&s, &["--admin", "root"]);
    let serve = Serve::start(&s, &[]);
    let a = serve.address();
    let object = noise(3, 1_000_000);
    let id = modver::hash::PackId::of(&object).to_string();
    let key = format!("/r/packs/{}/{id}", &id[..2]);
    let ask = |what: &str, token: &str, line: &str, body: &[u8]| {
        let lines = [format!("authorization: Bearer {token}"), line.to_owned()];
        super::raw::request(a, what, &lines, body)
    };
    let begun = ask(&format!("POST {key}?upload"), &ann, "upload-length: 1000000", b"");
    let begun: serde_json::Value = serde_json::from_slice(&begun.body).unwrap();
    let part = format!("PATCH {key}?upload={}", begun["upload"].as_str().unwrap());
    assert_eq!(ask(&part, &ann, "upload-offset: 0", &object[..500_000]).status, 204);
    s.repo()
        .modver(["serve", "token", "revoke", "--root", "../serve", "ann"])
        .ok();
    assert_eq!(
        ask(&part, &ann, "upload-offset: 500000", &object[500_000..]).status,
        401
    );
    assert_eq!(
        ask(&part, &root, "upload-offset: 500000", &object[500_000..]).status,
        404
    );
    assert_eq!(ask(&format!("GET {key}"), &root, "x: x", b"").status, 404);
}

/// A page in a browser that takes 127.0.0.1 for its own host gets nothing, nor does who comes by a proxy's name.
#[test]
fn a_server_without_tokens_is_for_this_machine() {
    let s = Scratch::new();
    let serve = Serve::start(&s, &[]);
    let ask = |method: &str, host: &str, more: &str| {
        let text = format!("{method} /r/leases/x HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n{more}\r\n");
        super::raw::send(serve.address(), text.as_bytes()).unwrap()
    };
    assert_eq!(ask("PUT", "127.0.0.1:8080", "").status, 201);
    for host in ["evil.example", "localhost.evil.example:8080"] {
        for method in ["GET", "PUT", "DELETE"] {
            let refused = ask(method, host, "");
            assert_eq!(refused.status, 403, "{method} {host}");
            assert!(refused.text().contains("make a token"), "{}", refused.text());
        }
    }
    let ann = token(&s, &["--admin", "ann"]);
    let bearer = format!("authorization: Bearer {ann}\r\n");
    assert_eq!(ask("GET", "data.example.org", &bearer).status, 200);
}
