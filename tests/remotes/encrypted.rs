//! A remote whose content is encrypted, as its users see it.

use super::support::{Scratch, digest};
use super::{commit, files, sample_in};

fn encrypted() -> (Scratch, String) {
    let s = Scratch::new();
    s.repo().modver(["init"]).ok();
    let key = s.root().join("vault.key");
    let place = s.root().join("vault");
    std::fs::create_dir(&place).unwrap();
    let key = key.to_str().unwrap().to_owned();
    let place = place.to_str().unwrap();
    let inside = s
        .repo()
        .modver(["remote", "add", "vault", place, "--encrypt", "--key-file", "vault.key"]);
    assert!(inside.err().contains("would be in the repository"), "{inside}");
    inside.fails(1);
    assert!(!s.repo().has("vault.key"));
    let none = s.repo().modver(["remote", "add", "vault", place, "--encrypt"]);
    assert!(none.err().contains("MODVER_REMOTE_VAULT_PASSPHRASE"), "{none}");
    none.fails(1);
    let added = s.repo().modver([
        "remote",
        "add",
        "vault",
        place,
        "--encrypt",
        "--key-file",
        "../vault.key",
    ]);
    assert!(
        added.err().contains("made the key file") && added.err().contains("keep a copy"),
        "{added}"
    );
    added.ok();
    commit(s.repo());
    // The place is set up with this key: another one is told so at once.
    let other = s.root().join("other.key");
    let other = other.to_str().unwrap();
    let another = ["remote", "add", "again", place, "--encrypt", "--key-file", other];
    let wrong = s.repo().modver(another);
    assert!(
        wrong.err().contains("its content was encrypted with another key"),
        "{wrong}"
    );
    s.repo().modver(["remote", "remove", "again"]).ok();
    let project = String::from_utf8(s.read("mv.toml")).unwrap();
    assert!(
        project.contains("encryption = true") && !project.contains("vault.key"),
        "{project}"
    );
    (s, key)
}

#[test]
fn who_has_the_key_pulls_and_nobody_else() {
    let (s, _) = encrypted();
    sample_in(&s);
    s.repo().modver(["push"]).ok();
    assert_eq!(s.repo().modver(["push"]).ok(), "nothing to push to vault; 2 up to date");
    let stored = files(&s.root().join("vault"));
    assert!(stored.iter().all(|(path, _)| {
        let bytes = std::fs::read(path).unwrap();
        !bytes.windows(6).any(|window| window == b"cat 12") && !path.to_str().unwrap().contains("packs")
    }));

    let dir = s.clone_to("clone");
    let clone = s.at(&dir);
    let refused = clone.modver(["pull"]);
    assert!(
        refused.err().contains("it is encrypted, and the settings name no key"),
        "{refused}"
    );
    assert!(
        refused
            .err()
            .contains("modver remote modify --local vault key-file FILE"),
        "{refused}"
    );
    refused.fails(1);
    let doctor = clone.modver(["doctor", "--remote", "vault"]);
    assert!(doctor.out().contains("the settings name no key"), "{doctor}");
    doctor.fails(1);
    clone
        .modver(["remote", "modify", "--local", "vault", "passphrase", "guess"])
        .ok();
    for wrong in [clone.modver(["pull"]), clone.modver(["doctor", "--remote", "vault"])] {
        let said = wrong.err() + &wrong.out();
        assert!(said.contains("its content was encrypted with another key"), "{wrong}");
        wrong.fails(1);
    }
    clone
        .modver(["remote", "modify", "--local", "vault", "key-file", "../vault.key"])
        .ok();
    clone.modver(["doctor", "--remote", "vault"]).ok();
    clone.modver(["pull"]).ok();
    assert_eq!(digest(&dir), digest(&s.path("")));
    clone.modver(["verify", "--remote", "--deep"]).ok();
    assert!(
        clone
            .modver(["status"])
            .err()
            .starts_with("everything is as the pointers say")
    );
}

/// Whoever forgot to say that a place is encrypted is told so, when the remote is added and when it is used.
#[test]
fn an_encrypted_place_is_known_for_one() {
    let (s, key) = encrypted();
    sample_in(&s);
    let place = s.root().join("vault");
    let added = s.repo().modver(["remote", "add", "plain", place.to_str().unwrap()]);
    for shown in [
        added.err(),
        s.repo().modver(["push", "--remote", "plain"]).err(),
        s.repo()
            .modver(["-c", "remote.vault.encryption=false", "push", "--remote", "vault"])
            .err(),
    ] {
        assert!(
            shown.contains("it is encrypted, and the settings do not say so"),
            "{shown}"
        );
        assert!(shown.contains("hint: modver remote modify "), "{shown}");
    }
    s.repo()
        .modver(["remote", "modify", "plain", "encryption", "true"])
        .ok();
    s.repo()
        .modver(["remote", "modify", "--local", "plain", "key-file", &key])
        .ok();
    s.repo().modver(["push", "--remote", "plain"]).ok();
}

#[test]
fn damage_is_named_and_does_not_come_in() {
    let (s, key) = encrypted();
    sample_in(&s);
    s.repo().modver(["push"]).ok();
    let stored = files(&s.root().join("vault"));
    let (largest, _) = stored.iter().max_by_key(|(_, len)| len).unwrap();
    super::damage_file(largest);
    let dir = s.clone_to("clone");
    let clone = s.at(&dir);
    clone
        .modver(["remote", "modify", "--local", "vault", "key-file", &key])
        .ok();
    let pulled = clone.modver(["pull"]);
    assert!(pulled.err().contains("is damaged"), "{pulled}");
    pulled.fails(3);
    clone.modver(["verify"]).ok();
    let verified = clone.modver(["verify", "--remote", "--deep"]);
    verified.fails(6);
    s.repo().modver(["verify", "--remote", "--deep", "--repair"]).ok();
    clone.modver(["pull"]).ok();
    assert_eq!(digest(&dir), digest(&s.path("")));
}
