//! What a path names: a repository and an object of its store.

use crate::hash::ID_LEN;
use crate::remote::transport::check_key;
use crate::store::marker;

/// The kinds of objects that a store has (`docs/formats.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Marker,
    Pack,
    Shard,
    Run,
    Current,
    Records,
    Ref,
    Lease,
    Tombstone,
    /// Of an encrypted store: what it is, only who has the key knows.
    Sealed,
    /// Where a test asks for no checks.
    Unchecked,
}

/// What a key says about its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// BLAKE3-256 of the content.
    pub(super) hash: Option<[u8; ID_LEN]>,
}

/// The longest name of a repository.
const MAX_REPOSITORY: usize = 64;

/// Whether a repository can have this name.
pub(super) fn is_repository(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric();
    name.len() <= MAX_REPOSITORY
        && name.starts_with(letter)
        && name.chars().all(|c| letter(c) || matches!(c, '-' | '_' | '.'))
        && !matches!(name, "health" | "metrics" | "tmp")
}

/// What the object of a key is; `None` when a store has no such key.
pub(super) fn classify(key: &str, unchecked: bool) -> Option<Entry> {
    if !check_key(key) {
        return None;
    }
    if unchecked {
        return Some(entry(Kind::Unchecked, None));
    }
    if key == marker::NAME {
        return Some(entry(Kind::Marker, None));
    }
    let (folder, rest) = key.split_once('/')?;
    match folder {
        "packs" => named(Kind::Pack, in_folder(rest)?),
        "shards" => named(Kind::Shard, in_folder(rest)?),
        "catalog" if rest == "current" => Some(entry(Kind::Current, None)),
        "catalog" => named(Kind::Run, rest),
        "records" => named(Kind::Records, in_folder(rest).unwrap_or(rest)),
        // A claim and what a collection marked end with their hash.
        "refs" => Some(entry(Kind::Ref, hash_at_end(rest))),
        "leases" => Some(entry(Kind::Lease, None)),
        "tombstones" => Some(entry(Kind::Tombstone, hash_at_end(rest))),
        "sealed" if rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'/')) => {
            Some(entry(Kind::Sealed, None))
        }
        _ => None,
    }
}

const fn entry(kind: Kind, hash: Option<[u8; ID_LEN]>) -> Entry {
    Entry { kind, hash }
}

fn named(kind: Kind, name: &str) -> Option<Entry> {
    let id: crate::hash::FileId = name.parse().ok()?;
    Some(entry(kind, Some(*id.as_bytes())))
}

/// The hash that the last part of a key may be.
fn hash_at_end(rest: &str) -> Option<[u8; ID_LEN]> {
    let id: crate::hash::FileId = rest.rsplit('/').next()?.parse().ok()?;
    Some(*id.as_bytes())
}

/// The name in `ab/abcd…`.
fn in_folder(rest: &str) -> Option<&str> {
    let (folder, name) = rest.split_once('/')?;
    (folder.len() == 2 && name.starts_with(folder)).then_some(name)
}

impl Kind {
    /// The most bytes an object of it may have; `largest` is that of a pack.
    pub(super) fn limit(self, largest: u64) -> u64 {
        let own = match self {
            Self::Marker => marker::MAX_LEN,
            Self::Pack | Self::Sealed | Self::Unchecked => u64::MAX,
            Self::Shard | Self::Run => 1 << 30,
            Self::Records => 256 << 20,
            Self::Current | Self::Lease => 1 << 20,
            Self::Ref | Self::Tombstone => 64 << 20,
        };
        own.min(largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_store_has() {
        let id = "ab".repeat(32);
        let kind = |key: &str| classify(key, false).map(|entry| entry.kind);
        assert_eq!(kind("modver-store.toml"), Some(Kind::Marker));
        assert_eq!(kind(&format!("packs/ab/{id}")), Some(Kind::Pack));
        assert_eq!(kind(&format!("shards/ab/{id}")), Some(Kind::Shard));
        assert_eq!(kind(&format!("catalog/{id}")), Some(Kind::Run));
        assert_eq!(kind("catalog/current"), Some(Kind::Current));
        assert_eq!(kind(&format!("records/{id}")), Some(Kind::Records));
        assert_eq!(kind("refs/r/heads/main"), Some(Kind::Ref));
        let claim = classify(&format!("refs/r/heads/main/{id}"), false).unwrap();
        assert_eq!(claim.hash, Some([0xab; 32]));
        assert_eq!(kind("sealed/00ff/0a"), Some(Kind::Sealed));
        assert_eq!(kind("sealed/x"), None);
        for bad in [
            format!("packs/ac/{id}"),
            format!("packs/{id}"),
            format!("packs/ab/{}", id.to_uppercase()),
            format!("packs/ab/{id}/x"),
            "packs/ab/../../x".into(),
            "other/x".into(),
            "tokens.json".into(),
            "refs/".into(),
            "catalog/x".into(),
            "packs".into(),
            String::new(),
        ] {
            assert_eq!(kind(&bad), None, "{bad}");
        }
        assert!(classify("a/b", true).is_some() && classify("../b", true).is_none());
    }

    #[test]
    fn names_of_repositories() {
        for good in ["a", "data", "Team-1_x.y", "0"] {
            assert!(is_repository(good), "{good}");
        }
        let long = "x".repeat(65);
        for bad in [
            "", ".", "..", ".hidden", "a/b", "é", "a b", "tmp", "health", "metrics", "-a", &long,
        ] {
            assert!(!is_repository(bad), "{bad}");
        }
    }
}
