//! Tokens: who may use the server.
//!
//! A token is 256 random bits, so nobody finds one by trying, and a plain fast hash is enough to keep: slow hashes are for
//! passwords that people choose. The file is read again when it changes, so that a token counts, or no longer
//! counts, from the next request on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::access::Role;
use super::error::{Result, ServerError};
use super::keys::is_repository;
use crate::fs::{self, FileLock, LockKind, Stat, TempFile};
use crate::hash::SecretId;
use crate::progress::Progress;

/// What every token starts with, so that it is recognised where it should not be.
const PREFIX: &str = "mvt_";
/// The longest list that is read, in bytes.
const MAX_FILE: u64 = 16 << 20;
/// Name of the list in the server's directory.
const NAME: &str = "tokens.json";

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// For which repositories; for all if there are none.
    pub repositories: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// When it ends, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// The hash of the token.
    pub hash: SecretId,
}

impl Token {
    /// Whether it is for this repository.
    #[must_use]
    pub fn covers(&self, repository: &str) -> bool {
        self.repositories.is_empty() || self.repositories.iter().any(|name| name == repository)
    }

    /// Whether it has ended at a moment, in seconds since 1970.
    #[must_use]
    pub fn has_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// A token to make.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// For which repositories; for all if there are none.
    pub repositories: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub expires: Option<u64>,
}

/// A token that was made: the only time that it is seen.
#[derive(Debug, Clone, serde::Serialize)]
pub struct TokenAdded {
    /// The token itself.
    pub token: String,
    /// What is kept of it.
    #[serde(flatten)]
    pub kept: Token,
}

/// The list of tokens in a server's directory.
#[derive(Debug, Clone)]
pub struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    /// The list of the server whose directory is `root`.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        Self { path: root.join(NAME) }
    }

    /// All tokens, in the order in which they were made; `None` when there never was one.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn load(&self) -> Result<Option<Vec<Token>>> {
        let Some(bytes) = fs::read_if_exists(&self.path, MAX_FILE)? else {
            return Ok(None);
        };
        let tokens = serde_json::from_slice(&bytes).map_err(|source| ServerError::Tokens {
            path: self.path.clone(),
            source,
        })?;
        Ok(Some(tokens))
    }

    /// Makes a token; `now` is in seconds since 1970.
    ///
    /// # Errors
    /// When a name cannot be or is taken, or the list cannot be written.
    pub fn add(&self, new: NewToken, now: u64) -> Result<TokenAdded> {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+');
        if new.name.is_empty() || new.name.len() > 64 || new.name == "-" || !new.name.chars().all(good) {
            return Err(ServerError::TokenName(new.name));
        }
        if let Some(bad) = new.repositories.iter().find(|name| !is_repository(name)) {
            return Err(ServerError::RepositoryName(bad.clone()));
        }
        // As hexadecimal digits, which is what showing an id gives.
        let token = format!("{PREFIX}{}", SecretId::from_bytes(fs::random()?));
        let kept = Token {
            name: new.name,
            role: new.role,
            repositories: new.repositories,
            created: now,
            expires: new.expires,
            hash: SecretId::of(token.as_bytes()),
        };
        if let Some(root) = self.path.parent() {
            fs::create_dir_all(root)?;
        }
        self.change(|tokens| {
            if tokens.iter().any(|old| old.name == kept.name) {
                return Err(ServerError::TokenExists(kept.name.clone()));
            }
            tokens.push(kept.clone());
            Ok(())
        })?;
        Ok(TokenAdded { token, kept })
    }

    /// Takes a token away.
    ///
    /// # Errors
    /// When there is none of the name, or the list cannot be written.
    pub fn revoke(&self, name: &str) -> Result<Token> {
        self.change(|tokens| match tokens.iter().position(|token| token.name == name) {
            Some(at) => Ok(tokens.remove(at)),
            None => Err(ServerError::UnknownToken {
                name: name.to_owned(),
                known: tokens.iter().map(|token| token.name.clone()).collect(),
            }),
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Token>) -> Result<T>) -> Result<T> {
        let root = self.path.parent().unwrap_or(Path::new("."));
        if fs::stat(root)?.is_none() {
            return Err(ServerError::NoRoot(root.to_owned()));
        }
        let lock = self.path.with_added_extension("lock");
        let _lock = FileLock::acquire(&lock, LockKind::Exclusive, &Progress::new(), |_| ())?;
        // The server, and whoever it runs as, must be able to use what root writes here.
        fs::give(&lock, root)?;
        let mut tokens = self.load()?.unwrap_or_default();
        let done = change(&mut tokens)?;
        let mut text = serde_json::to_vec_pretty(&tokens).map_err(|source| ServerError::Tokens {
            path: self.path.clone(),
            source,
        })?;
        text.push(b'\n');
        let mut file = TempFile::create_beside(&self.path)?;
        file.set_mode(0o600)?;
        file.write_all(&text)?;
        fs::give(file.path(), root)?;
        file.persist(&self.path)?;
        Ok(done)
    }
}

/// The list as a running server sees it.
pub(super) struct Tokens {
    file: TokenFile,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    stat: Option<Stat>,
    tokens: Option<Arc<Vec<Token>>>,
}

impl Tokens {
    pub(super) fn of(root: &Path) -> Self {
        Self {
            file: TokenFile::of(root),
            seen: Mutex::default(),
        }
    }

    /// The list as it is now; `None` when the server was never given a token. A list that goes away or cannot be read
    /// lets nobody in.
    pub(super) fn current(&self) -> Result<Option<Arc<Vec<Token>>>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stat = fs::stat(&self.file.path)?;
        match (&stat, &seen.stat) {
            (Some(now), Some(before)) if now.same_content(before) => {}
            (None, None) => return Ok(None),
            (None, Some(_)) => seen.tokens = Some(Arc::default()),
            _ => {
                // Before it is read: what changes meanwhile is read again.
                let tokens = self.file.load()?.unwrap_or_default();
                seen.stat = stat;
                seen.tokens = Some(Arc::new(tokens));
            }
        }
        Ok(seen.tokens.clone())
    }

    /// The token that was sent, if it counts now.
    pub(super) fn find(tokens: &[Token], sent: &str, now: u64) -> Option<Token> {
        let hash = SecretId::of(sent.as_bytes());
        // All of them are compared, whichever fits.
        let mut found = None;
        for token in tokens {
            if token.hash.matches(&hash) && !token.has_expired(now) {
                found = Some(token);
            }
        }
        found.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str, role: Role) -> NewToken {
        NewToken {
            name: name.into(),
            role,
            repositories: vec!["data".into()],
            expires: Some(100),
        }
    }

    #[test]
    fn only_the_hash_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = TokenFile::of(dir.path());
        assert_eq!(file.load().unwrap(), None);
        let added = file.add(new("ann", Role::Write), 10).unwrap();
        assert_eq!(added.token.len(), 68);
        let text = std::fs::read_to_string(dir.path().join(NAME)).unwrap();
        assert!(!text.contains(&added.token[4..]), "{text}");
        let tokens = file.load().unwrap().unwrap();
        assert_eq!(Tokens::find(&tokens, &added.token, 99).unwrap().name, "ann");
        assert_eq!(Tokens::find(&tokens, &added.token, 100), None);
        assert_eq!(Tokens::find(&tokens, "mvt_", 10), None);
        assert!(tokens[0].covers("data") && !tokens[0].covers("other"));
        assert!(matches!(
            file.add(new("ann", Role::Read), 10),
            Err(ServerError::TokenExists(_))
        ));
        assert!(matches!(
            file.add(new("a b", Role::Read), 10),
            Err(ServerError::TokenName(_))
        ));
        assert!(matches!(file.revoke("bob"), Err(ServerError::UnknownToken { .. })));
    }

    #[test]
    fn a_running_server_sees_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (file, tokens) = (TokenFile::of(dir.path()), Tokens::of(dir.path()));
        assert!(tokens.current().unwrap().is_none());
        file.add(new("ann", Role::Write), 10).unwrap();
        assert_eq!(tokens.current().unwrap().unwrap().len(), 1);
        file.add(new("bob", Role::Read), 10).unwrap();
        assert_eq!(tokens.current().unwrap().unwrap().len(), 2);
        file.revoke("ann").unwrap();
        file.revoke("bob").unwrap();
        assert_eq!(tokens.current().unwrap().unwrap().len(), 0);
        std::fs::write(dir.path().join(NAME), "[{}]").unwrap();
        assert!(tokens.current().is_err());
        std::fs::remove_file(dir.path().join(NAME)).unwrap();
        assert_eq!(
            tokens.current().unwrap().unwrap().len(),
            0,
            "an open door must not come of it"
        );
    }
}
