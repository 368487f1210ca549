//! What only a directory can do wrong.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use modver::remote::transport::{
    Body, OpenOptions, PutMode, PutOutcome, RemoteSpec, Transport, TransportError, open,
};

use super::{noise, options};

fn open_dir(url: &str, base: &Path, create: bool) -> Result<Box<dyn Transport>, TransportError> {
    let spec = RemoteSpec {
        name: "origin".into(),
        url: url.into(),
        ..RemoteSpec::default()
    };
    open(
        &spec,
        &OpenOptions {
            base: base.into(),
            create,
            ..options()
        },
    )
}

#[test]
fn a_missing_directory_is_said_to_be_missing() {
    let base = tempfile::tempdir().unwrap();
    let error = open_dir("not/there", base.path(), false).err().unwrap();
    assert!(matches!(error, TransportError::NoRemote { what: "directory", .. }));
    let text = error.to_string();
    assert!(
        text.contains("remote directory does not exist") && text.contains("not/there"),
        "{text}"
    );
    open_dir("not/there", base.path(), true).unwrap();
    assert!(base.path().join("not/there").is_dir());
    std::fs::write(base.path().join("file"), "").unwrap();
    assert!(open_dir("file", base.path(), false).is_err());
    assert!(open_dir("file", base.path(), true).is_err());
    let error = open_dir("gopher://example.org/x", base.path(), false).err().unwrap();
    assert!(matches!(error, TransportError::Url { .. }));
}

/// Runs where the other file system of this machine is, if it has one: /dev/shm.
#[test]
fn files_come_from_another_file_system() {
    let here = tempfile::tempdir().unwrap();
    let Ok(there) = tempfile::tempdir_in("/dev/shm") else {
        return;
    };
    let bytes = noise(9, 5 << 20);
    let file = here.path().join("pack");
    std::fs::write(&file, &bytes).unwrap();
    let remote = open_dir(&format!("file://{}", there.path().display()), here.path(), false).unwrap();
    for (mode, outcome) in [
        (PutMode::IfAbsent, PutOutcome::Created),
        (PutMode::IfAbsent, PutOutcome::Existed),
        (PutMode::Overwrite, PutOutcome::Created),
    ] {
        assert_eq!(remote.put("packs/aa/x", &Body::file(&file), mode).unwrap(), outcome);
    }
    assert!(remote.get("packs/aa/x", 10 << 20).unwrap() == bytes);
    let error = remote.put("packs/aa/y", &Body::file(&here.path().join("none")), PutMode::IfAbsent);
    assert!(matches!(error, Err(TransportError::Upload { .. })), "{error:?}");
    assert_eq!(std::fs::read_dir(there.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_read_only_directory_can_be_read() {
    let base = tempfile::tempdir().unwrap();
    let remote = open_dir(".", base.path(), false).unwrap();
    remote.put("packs/aa/x", &vec![1].into(), PutMode::IfAbsent).unwrap();
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    for dir in ["tmp", "packs/aa", "packs", "."] {
        mode(&base.path().join(dir), 0o555);
    }
    // The superuser may write anyway.
    if std::fs::write(base.path().join("probe"), "").is_err() {
        for result in [
            remote.put("packs/aa/y", &vec![1].into(), PutMode::IfAbsent).map(drop),
            remote.delete("packs/aa/x"),
        ] {
            assert!(matches!(result, Err(TransportError::Denied { .. })), "{result:?}");
        }
        assert_eq!(
            remote.put("packs/aa/x", &vec![1].into(), PutMode::IfAbsent).unwrap(),
            PutOutcome::Existed
        );
    }
    assert_eq!(remote.get("packs/aa/x", 9).unwrap(), [1]);
    assert_eq!(remote.list("packs/").unwrap().len(), 1);
    for dir in [".", "packs", "packs/aa", "tmp"] {
        mode(&base.path().join(dir), 0o755);
    }
}
