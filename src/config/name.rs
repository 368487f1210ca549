//! Names of remotes.

use std::fmt;

use crate::path::quote;

/// The longest name of a remote, in bytes.
pub const MAX_REMOTE_NAME: usize = 64;

/// Why text is not the name of a remote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteNameError {
    /// It has no characters.
    #[error("a remote's name cannot be empty")]
    Empty,
    /// It is longer than [`MAX_REMOTE_NAME`].
    #[error("a remote's name of {0} characters is too long: at most {MAX_REMOTE_NAME}")]
    TooLong(usize),
    /// It is a URL. The text is not kept, since URLs may hold credentials.
    #[error("expected the name of a remote, found a URL")]
    Url,
    /// It would look like an option or a hidden file.
    #[error("`{0}` is not a remote's name: it must start with a letter, a digit or `_`")]
    Start(String),
    /// It holds a character that names do not have.
    #[error("`{name}` is not a remote's name: letters, digits, `-`, `_` and `.` only, not {character:?}", name = quote(.name.as_bytes()))]
    Character {
        /// The text.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
}

/// The name of a remote: 1 to 64 of `A-Z a-z 0-9 - _ .`, starting with a letter, a digit or `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct RemoteName(Box<str>);

impl RemoteName {
    /// Checks text and makes it a name.
    ///
    /// # Errors
    /// When it is empty, too long, or holds other characters.
    pub fn new(text: &str) -> Result<Self, RemoteNameError> {
        if text.is_empty() {
            return Err(RemoteNameError::Empty);
        }
        if text.contains("://") {
            return Err(RemoteNameError::Url);
        }
        if text.len() > MAX_REMOTE_NAME {
            return Err(RemoteNameError::TooLong(text.chars().count()));
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if let Some(character) = text.chars().find(|c| !allowed(c)) {
            return Err(RemoteNameError::Character {
                name: text.to_owned(),
                character,
            });
        }
        if text.starts_with(['-', '.']) {
            return Err(RemoteNameError::Start(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How the name is spelled inside an environment variable.
    #[must_use]
    pub fn in_variable(&self) -> String {
        self.0.to_ascii_uppercase().replace(['-', '.'], "_")
    }
}

impl fmt::Display for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
