//! Encryption: what the place sees, wrong keys, and objects that were tampered with.

use std::path::Path;
use std::sync::Arc;

use modver::remote::transport::{
    Body, KeyError, KeySource, PutMode, PutOutcome, RemoteSpec, Secret, Transport, TransportError, make_key_file,
    open,
};
use modver::store::marker;

use super::{noise, options};

const LIMIT: u64 = 1 << 20;

fn open_dir(dir: &Path, encryption: Option<Option<KeySource>>) -> Box<dyn Transport> {
    let spec = RemoteSpec {
        name: "origin".into(),
        url: dir.to_str().unwrap().into(),
        encryption,
        ..RemoteSpec::default()
    };
    open(&spec, &options()).unwrap()
}

fn with_passphrase(text: &str) -> Option<Option<KeySource>> {
    Some(Some(KeySource::Passphrase(Secret::new(text))))
}

fn problem(error: TransportError) -> KeyError {
    match error {
        TransportError::Encryption { problem, .. } => *problem,
        other => panic!("{other}"),
    }
}

fn all_bytes(dir: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        bytes.extend(path.file_name().unwrap().as_encoded_bytes());
        match path.is_dir() {
            true => bytes.extend(all_bytes(&path)),
            false => bytes.extend(std::fs::read(&path).unwrap()),
        }
    }
    bytes
}

#[test]
fn the_place_sees_neither_content_nor_names_and_only_the_key_opens_it() {
    let dir = tempfile::tempdir().unwrap();
    let remote = open_dir(dir.path(), with_passphrase("correct horse"));
    assert!(remote.list("").unwrap().is_empty());
    let text = marker::text().into_bytes();
    assert_eq!(
        remote
            .put(marker::NAME, &Body::from(text.clone()), PutMode::IfAbsent)
            .unwrap(),
        PutOutcome::Created
    );
    remote
        .put(
            "refs/secret-project/main",
            &Body::from(b"plain text".to_vec()),
            PutMode::Overwrite,
        )
        .unwrap();
    let seen = all_bytes(dir.path());
    for secret in ["secret-project", "refs", "plain text", "correct horse"] {
        assert!(
            !seen.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "{secret}"
        );
    }
    assert_eq!(marker::check(&remote.get(marker::NAME, LIMIT).unwrap()), Ok(()));
    // Who has no key, or the wrong one, is told so.
    let plain = open_dir(dir.path(), None);
    assert!(marker::check(&plain.get(marker::NAME, LIMIT).unwrap()).is_err());
    let none = open_dir(dir.path(), Some(None));
    assert!(matches!(problem(none.list("").unwrap_err()), KeyError::Missing));
    for other in [with_passphrase("correct horse "), with_passphrase("x")] {
        let other = open_dir(dir.path(), other);
        assert!(matches!(
            problem(other.get(marker::NAME, LIMIT).unwrap_err()),
            KeyError::Wrong
        ));
        assert!(matches!(problem(other.list("refs/").unwrap_err()), KeyError::Wrong));
        let body = Body::from(vec![1]);
        assert!(matches!(
            problem(other.put("x", &body, PutMode::Overwrite).unwrap_err()),
            KeyError::Wrong
        ));
    }
    // Another one that sets it up finds it set up, and nobody replaces the marker.
    let again = open_dir(dir.path(), with_passphrase("correct horse"));
    for mode in [PutMode::IfAbsent, PutMode::Overwrite] {
        assert_eq!(
            again.put(marker::NAME, &Body::from(text.clone()), mode).unwrap(),
            PutOutcome::Existed
        );
    }
    assert_eq!(again.get("refs/secret-project/main", LIMIT).unwrap(), b"plain text");
    assert_eq!(again.list("refs/").unwrap()[0].size, 10);
}

#[test]
fn a_place_that_is_not_encrypted_stays_so() {
    let dir = tempfile::tempdir().unwrap();
    let plain = open_dir(dir.path(), None);
    plain
        .put(
            marker::NAME,
            &Body::from(marker::text().into_bytes()),
            PutMode::IfAbsent,
        )
        .unwrap();
    let sealed = open_dir(dir.path(), with_passphrase("x"));
    assert!(matches!(
        problem(sealed.put("x", &Body::from(vec![1]), PutMode::Overwrite).unwrap_err()),
        KeyError::NotEncrypted
    ));
    assert_eq!(plain.list("").unwrap().len(), 1);
}

#[test]
fn what_was_tampered_with_is_not_what_was_asked_for() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("store");
    std::fs::create_dir(&dir).unwrap();
    let key = scratch.path().join("key");
    make_key_file(&key).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&key).unwrap().permissions()) & 0o777,
        0o600
    );
    assert!(make_key_file(&key).is_err());
    let remote = open_dir(&dir, Some(Some(KeySource::File(key.clone()))));
    let plain: Arc<dyn Transport> = Arc::from(open_dir(&dir, None));
    let (one, two) = (noise(1, 300_000), noise(2, 300_000));
    let (first, second) = (format!("packs/{}", "1".repeat(64)), format!("packs/{}", "2".repeat(64)));
    let (first, second) = (first.as_str(), second.as_str());
    for (name, bytes) in [(first, &one), (second, &two)] {
        let file = scratch.path().join("pack");
        std::fs::write(&file, bytes).unwrap();
        remote.put(name, &Body::file(&file), PutMode::IfAbsent).unwrap();
        assert_eq!(&remote.get(name, LIMIT).unwrap(), bytes);
        assert_eq!(remote.get_range(name, 65_530..131_080).unwrap(), bytes[65_530..131_080]);
        assert!(matches!(
            remote.get_range(name, 299_999..300_001),
            Err(TransportError::OutOfRange { .. })
        ));
    }
    // No copies are left beside what was sent.
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 3);
    let mut names = plain.list("sealed/").unwrap();
    assert_eq!(names.len(), 2);
    names.sort_by_key(|object| object.size);
    let copies: Vec<Vec<u8>> = names
        .iter()
        .map(|object| plain.get(&object.key, LIMIT).unwrap())
        .collect();
    // One object in the place of the other: both are sealed with the right key, and neither opens.
    for (object, bytes) in names.iter().zip(copies.iter().rev()) {
        plain
            .put(&object.key, &bytes.clone().into(), PutMode::Overwrite)
            .unwrap();
    }
    for remote in [&remote, &open_dir(&dir, Some(Some(KeySource::File(key.clone()))))] {
        for name in [first, second] {
            let got = remote.get(name, LIMIT).unwrap();
            assert!(got != one && got != two);
            let range = remote.get_range(name, 10..70_000).unwrap();
            assert_eq!(range.len(), 69_990);
            assert!(range != one[10..70_000] && range != two[10..70_000]);
        }
    }
    // Cut off.
    plain
        .put(&names[0].key, &copies[0][..100_000].to_vec().into(), PutMode::Overwrite)
        .unwrap();
    assert!(
        remote
            .list("packs/")
            .unwrap()
            .iter()
            .any(|object| object.size != 300_000)
    );
    // Put right again.
    for (object, bytes) in names.iter().zip(&copies) {
        plain
            .put(&object.key, &bytes.clone().into(), PutMode::Overwrite)
            .unwrap();
    }
    assert_eq!(remote.get_range(first, 10..70_000).unwrap(), one[10..70_000]);
    assert_eq!(remote.get(second, LIMIT).unwrap(), two);
}

/// What has no hash for a name is checked by nobody else: nothing of anybody's may come in under it.
#[test]
fn what_has_no_hash_for_a_name_opens_or_fails() {
    let dir = tempfile::tempdir().unwrap();
    let remote = open_dir(dir.path(), with_passphrase("x"));
    let plain = open_dir(dir.path(), None);
    remote
        .put("refs/r/main", &Body::from(b"mine".to_vec()), PutMode::IfAbsent)
        .unwrap();
    let name = plain.list("sealed/").unwrap()[0].key.clone();
    let sealed = plain.get(&name, LIMIT).unwrap();
    let mut damaged = sealed.clone();
    damaged[50] ^= 1;
    // Somebody's own text, a header and nothing else, and damage.
    for bytes in [b"theirs".to_vec(), sealed[..48].to_vec(), damaged, Vec::new()] {
        plain.put(&name, &bytes.into(), PutMode::Overwrite).unwrap();
        let refused = remote.get("refs/r/main", LIMIT).unwrap_err();
        assert!(matches!(refused, TransportError::Failed { .. }), "{refused:?}");
        let refused = open_dir(dir.path(), with_passphrase("x"));
        assert!(refused.get_range("refs/r/main", 0..4).is_err());
    }
    plain.put(&name, &sealed.into(), PutMode::Overwrite).unwrap();
    assert_eq!(remote.get("refs/r/main", LIMIT).unwrap(), b"mine");
}

/// A new marker would have another salt, and what is there could never be read again.
#[test]
fn a_marker_that_was_lost_is_not_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let remote = open_dir(dir.path(), with_passphrase("x"));
    let body = Body::from(b"x".to_vec());
    remote.put("refs/r/main", &body, PutMode::IfAbsent).unwrap();
    let kept = dir.path().join(marker::NAME);
    let text = std::fs::read(&kept).unwrap();
    std::fs::remove_file(&kept).unwrap();
    let again = open_dir(dir.path(), with_passphrase("x"));
    assert!(matches!(
        problem(again.put("refs/r/other", &body, PutMode::IfAbsent).unwrap_err()),
        KeyError::MarkerLost
    ));
    assert!(!kept.exists());
    std::fs::write(&kept, text).unwrap();
    assert_eq!(again.get("refs/r/main", LIMIT).unwrap(), b"x");
}
