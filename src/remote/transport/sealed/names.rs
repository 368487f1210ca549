//! The names of sealed objects: each part of a key is encrypted on its own, bound to what it is in, so that what is
//! below a part can be listed. Equal keys have equal names (AES-SIV, RFC 5297).

use std::sync::PoisonError;

use super::super::check_key;
use super::keys::{Keys, hex, unhex};

/// What all sealed objects are in.
const ROOT: &str = "sealed";
/// How the names of all sealed objects start.
pub(super) const ROOT_PREFIX: &str = "sealed/";
/// Bytes of a part of a key: longer ones would not be a name on every service.
const MAX_PART: usize = 111;

impl Keys {
    /// The name of the object with this key; `None` if a part of it is too long.
    pub(super) fn seal_name(&self, key: &str) -> Option<String> {
        let mut name = ROOT.to_owned();
        let mut above = 0;
        for part in key.split('/') {
            if part.len() > MAX_PART {
                return None;
            }
            let mut siv = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            let sealed = siv.encrypt([&key.as_bytes()[..above]], part.as_bytes()).ok()?;
            name = format!("{name}/{}", hex(&sealed));
            above += part.len() + 1;
        }
        Some(name)
    }

    /// The key of the object with this name; `None` for what is no name that these keys gave.
    pub(super) fn open_name(&self, name: &str) -> Option<String> {
        let mut key = String::new();
        for sealed in name.strip_prefix(ROOT)?.strip_prefix('/')?.split('/') {
            let mut siv = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            let part = siv.decrypt([key.as_bytes()], &unhex(sealed)?).ok()?;
            key.push_str(std::str::from_utf8(&part).ok()?);
            key.push('/');
        }
        key.pop();
        check_key(&key).then_some(key)
    }

    /// The start of the names of all objects whose keys start with `prefix`, and of some others.
    pub(super) fn seal_prefix(&self, prefix: &str) -> Option<String> {
        match prefix.rsplit_once('/') {
            None => Some(ROOT_PREFIX.to_owned()),
            Some((above, _)) => Some(self.seal_name(above)? + "/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::keys::{KeySource, make_key_file};

    #[test]
    fn names_are_found_again_and_say_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        make_key_file(&file).unwrap();
        let (encryption, keys) = KeySource::File(file.clone()).set_up().unwrap();
        let again = KeySource::File(file).unlock(&encryption).unwrap();
        let id = "ab".repeat(32);
        let (pack, long) = (format!("packs/ab/{id}"), "x".repeat(111));
        for key in ["a", "refs/é/main", &pack, &long] {
            let name = keys.seal_name(key).unwrap();
            assert_eq!(again.seal_name(key).as_ref(), Some(&name));
            assert_eq!(again.open_name(&name).as_deref(), Some(key));
            assert!(
                !name.contains("packs") && name.split('/').all(|part| part.len() <= 255),
                "{name}"
            );
        }
        assert_eq!(keys.seal_name(&"x".repeat(112)), None);
        let pack = keys.seal_name(&format!("packs/ab/{id}")).unwrap();
        assert!(pack.starts_with(&keys.seal_prefix("packs/").unwrap()));
        assert!(pack.starts_with(&keys.seal_prefix("packs/ab/ab").unwrap()));
        assert!(pack.starts_with(&keys.seal_prefix("pa").unwrap()));
        // A part that was moved below another is no name.
        let parts: Vec<&str> = pack.split('/').collect();
        assert_eq!(keys.open_name(&format!("sealed/{}", parts[2])), None);
        for bad in [
            "",
            "sealed",
            "sealed/",
            "packs/ab",
            "sealed/00",
            "sealed/zz",
            "sealed/0",
        ] {
            assert_eq!(keys.open_name(bad), None, "{bad}");
        }
        assert!(matches!(
            KeySource::File(Path::new("/dev/null").to_owned()).unlock(&encryption),
            Err(super::super::keys::KeyError::NotAKey(_))
        ));
        let phrase = KeySource::Passphrase(crate::config::Secret::new("secret"));
        assert!(matches!(
            phrase.unlock(&encryption),
            Err(super::super::keys::KeyError::Wrong)
        ));
    }
}
