//! Values of settings, and text that must not be shown.

use std::fmt;
use std::path::{Path, PathBuf};

use super::keys::Kind;
use super::name::{RemoteName, RemoteNameError};
use super::origin::shown;
use super::size::parse_rate;

/// Text that shows as `***` in every output; only [`Secret::expose`] gives it away.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the request that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl serde::Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text: names, URLs, regions.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// A number of things.
    Count(u32),
    /// A path; absolute when the layer it came from has a directory.
    Path(PathBuf),
    /// Text that is never shown.
    Secret(Secret),
}

/// What is wrong with a value. Never holds the value, which may be a secret in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueDefect {
    /// It has no characters.
    #[error("is empty")]
    Empty,
    /// It holds a line break or another control character.
    #[error("holds a control character")]
    ControlCharacter,
    /// It is neither `true` nor `false`.
    #[error("must be true or false")]
    NotBool,
    /// It is not a number, or too large.
    #[error("must be a whole number from 0 to 4294967295")]
    NotCount,
    /// It is not a remote's name.
    #[error("is not the name of a remote: {0}")]
    RemoteName(RemoteNameError),
    /// It is not a number of bytes per second.
    #[error("must be bytes per second, such as 800K or 5MiB and at least 1KiB, or 0 for no limit")]
    NotRate,
    /// It is a URL with a password, key or token in it.
    #[error("has credentials in the URL")]
    Credentials,
    /// It is not an HTTP URL.
    #[error("must start with http:// or https://")]
    NotHttp,
    /// It starts with `~`, which a shell would have replaced.
    #[error("starts with `~`, which is not replaced here: write the whole path")]
    Tilde,
}

impl Value {
    /// Reads a value as it is typed: in flags, variables and `config set`.
    ///
    /// # Errors
    /// When the text is not a value of this kind.
    pub fn from_text(kind: Kind, text: &str) -> Result<Self, ValueDefect> {
        match kind {
            Kind::Bool => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(Self::Bool(true)),
                "false" | "no" | "off" | "0" => Ok(Self::Bool(false)),
                _ => Err(ValueDefect::NotBool),
            },
            Kind::Count => text.parse().map(Self::Count).map_err(|_| ValueDefect::NotCount),
            _ => Self::from_string(kind, text),
        }
    }

    /// Reads a value as TOML has it; `None` when it has another type.
    pub(super) fn from_toml(kind: Kind, item: &toml_edit::Item) -> Option<Result<Self, ValueDefect>> {
        match kind {
            Kind::Bool => item.as_bool().map(|value| Ok(Self::Bool(value))),
            Kind::Count => item.as_integer().map(|number| {
                u32::try_from(number)
                    .map(Self::Count)
                    .map_err(|_| ValueDefect::NotCount)
            }),
            _ => item.as_str().map(|text| Self::from_string(kind, text)),
        }
    }

    fn from_string(kind: Kind, text: &str) -> Result<Self, ValueDefect> {
        if text.is_empty() {
            return Err(ValueDefect::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(ValueDefect::ControlCharacter);
        }
        match kind {
            Kind::Path | Kind::Url if text == "~" || text.starts_with("~/") => return Err(ValueDefect::Tilde),
            Kind::Url | Kind::Endpoint if has_credentials(text) => return Err(ValueDefect::Credentials),
            Kind::Endpoint if !is_http(text) => return Err(ValueDefect::NotHttp),
            Kind::Rate if parse_rate(text).is_err() => return Err(ValueDefect::NotRate),
            Kind::RemoteName => {
                RemoteName::new(text).map_err(ValueDefect::RemoteName)?;
            }
            _ => {}
        }
        Ok(match kind {
            Kind::Path => Self::Path(PathBuf::from(text)),
            Kind::Secret => Self::Secret(Secret::new(text.to_owned())),
            _ => Self::Text(text.to_owned()),
        })
    }

    /// Makes a relative path start at `base`.
    pub(super) fn resolved(self, base: Option<&Path>) -> Self {
        match (self, base) {
            (Self::Path(path), Some(base)) => Self::Path(base.join(path)),
            (value, _) => value,
        }
    }

    /// The value in TOML.
    pub(super) fn to_toml(&self) -> toml_edit::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Bool(value) => (*value).into(),
            Self::Count(number) => i64::from(*number).into(),
            // Made of text by `from_string`, so nothing is lost.
            Self::Path(path) => path.to_string_lossy().as_ref().into(),
            Self::Secret(secret) => secret.expose().into(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Count(number) => write!(f, "{number}"),
            Self::Path(path) => f.write_str(&shown(path)),
            Self::Secret(secret) => write!(f, "{secret}"),
        }
    }
}

impl serde::Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Count(number) => serializer.serialize_u32(*number),
            _ => serializer.collect_str(self),
        }
    }
}

fn is_http(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
}

/// Whether a URL carries a password, key or token: before an `@`, in its query, or behind a `#`.
#[must_use]
pub fn has_credentials(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let path = rest.split('?').next().unwrap_or_default();
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (_, query) = rest.split_once('?').unwrap_or_default();
    // What has no value there is the name of a place in a document.
    let fragment = fragment.split(['&', ';', '?']).filter(|part| part.contains('='));
    let authority = path.split('/').next().unwrap_or_default();
    let before_host = match authority.rsplit_once('@') {
        // A user without a password is how people write addresses of servers.
        Some((user, _)) => user.contains(':') || !has_users(&scheme.to_ascii_lowercase()),
        // Keys may hold a `/`: `s3://KEY:AB/CD@bucket`.
        None => {
            path.contains('@')
                && authority
                    .split_once(':')
                    .is_some_and(|(_, port)| port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()))
        }
    };
    before_host || query.split(['&', ';']).chain(fragment).any(is_secret_parameter)
}

/// Whether a user may stand before the host of such a URL.
fn has_users(scheme: &str) -> bool {
    matches!(scheme, "ssh" | "sftp" | "webdav" | "webdavs" | "webhdfs" | "swebhdfs")
}

fn is_secret_parameter(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default();
    let name = percent_decoded(name).to_ascii_lowercase().replace('-', "_");
    let words = [
        "secret",
        "token",
        "passw",
        "signature",
        "credential",
        "access_key",
        "accesskey",
        "api_key",
        "apikey",
        "jwt",
    ];
    matches!(name.as_str(), "sig" | "key" | "auth") || words.iter().any(|word| name.contains(word))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| first == b'%');
        let byte = digits
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_urls_are_seen() {
        for url in [
            "s3://key:secret@bucket/prefix",
            "s3://AKIA:ab/cd@bucket/prefix",
            "https://token@host/x",
            "ssh://user:password@host/x",
            "https://host/x?sig=abc",
            "https://host/x?a=b&X-Amz-Signature=abc",
            "s3://bucket?secret_access_key=x",
            "https://host/x?key=AIza",
            "https://host/x?a=b&api_key=x",
            "https://host/x?apikey=x",
            "https://host/x?X-Api-Key=x",
            "https://host/x?auth=x",
            "https://host/x?jwt=x",
            "https://host/x?%6Bey=x",
            "https://host/x?a=b#access_token=x",
            "https://host/x#a=b&access_token=x",
        ] {
            assert_eq!(Value::from_text(Kind::Url, url), Err(ValueDefect::Credentials), "{url}");
        }
        for url in [
            "s3://bucket/prefix",
            "s3://bucket/user@host",
            "ssh://git@host:22/x",
            "http://localhost:9000/a@b",
            "/data/a:b@c",
            "../store",
            "https://host/x?version=2",
            "https://host/x?keyword=a&author=b&100%=c#tokens",
        ] {
            assert_eq!(Value::from_text(Kind::Url, url), Ok(Value::Text(url.into())), "{url}");
        }
    }

    #[test]
    fn text_becomes_typed_values() {
        assert_eq!(Value::from_text(Kind::Bool, "Yes"), Ok(Value::Bool(true)));
        assert_eq!(Value::from_text(Kind::Bool, "2"), Err(ValueDefect::NotBool));
        assert_eq!(Value::from_text(Kind::Count, "4294967295"), Ok(Value::Count(u32::MAX)));
        assert_eq!(Value::from_text(Kind::Count, "4294967296"), Err(ValueDefect::NotCount));
        assert_eq!(Value::from_text(Kind::Path, "~/x"), Err(ValueDefect::Tilde));
        assert_eq!(Value::from_text(Kind::Rate, "5M"), Ok(Value::Text("5M".into())));
        assert_eq!(Value::from_text(Kind::Rate, "5"), Err(ValueDefect::NotRate));
        assert_eq!(Value::from_text(Kind::Text, ""), Err(ValueDefect::Empty));
        assert_eq!(
            Value::from_text(Kind::Secret, "a\nb"),
            Err(ValueDefect::ControlCharacter)
        );
        assert_eq!(Value::from_text(Kind::Endpoint, "host:9000"), Err(ValueDefect::NotHttp));
    }
}
