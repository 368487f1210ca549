//! Where a remote is, and with which credentials.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::sealed::KeySource;
use crate::config::Secret;

/// Keys given by settings rather than found by the usual chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Access key id.
    pub access_key_id: Secret,
    /// Secret access key.
    pub secret_access_key: Secret,
    /// Session token of temporary credentials.
    pub session_token: Option<Secret>,
}

/// What settings say about a remote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemoteSpec {
    /// The name people gave it.
    pub name: String,
    /// Where it is; see [`Location`].
    pub url: String,
    /// S3: another service than AWS, such as `http://127.0.0.1:9000`.
    pub endpoint: Option<String>,
    /// S3: the region; otherwise from the environment, the profile, or asked from AWS.
    pub region: Option<String>,
    /// S3: which profile of `~/.aws` to use, before any keys in the environment.
    pub profile: Option<String>,
    /// S3: send requests without signature.
    pub anonymous: bool,
    /// S3: bucket in the path (`true`) or in the host name (`false`); otherwise in the host name for AWS only.
    pub path_style: Option<bool>,
    /// HTTP: the token that `modver serve` gave.
    pub token: Option<Secret>,
    /// HTTP: certificates to trust besides the system's, as a PEM file.
    pub ca_file: Option<PathBuf>,
    /// S3: keys, before profile and environment.
    pub credentials: Option<Credentials>,
    /// Whether its content is encrypted, and with which key, if the settings name one.
    pub encryption: Option<Option<KeySource>>,
}

/// Why a URL cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is empty.
    #[error("the URL is empty")]
    Empty,
    /// It has a scheme that is not known.
    #[error(
        "`{scheme}://` is not supported; supported are `s3://bucket/prefix`, `https://host/path`, `file:///path` and plain paths"
    )]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// It holds credentials, which do not belong into a file that git records.
    #[error(
        "the URL contains credentials; remove them from it and use a profile, the environment (AWS_ACCESS_KEY_ID, \
         AWS_SECRET_ACCESS_KEY) or the local settings instead"
    )]
    Credentials,
    /// An `s3://` URL without a usable bucket.
    #[error("`{bucket}` is not the name of a bucket; write s3://bucket/prefix")]
    Bucket {
        /// What stands in its place.
        bucket: String,
    },
    /// A prefix that is not usable as the start of keys.
    #[error("`{prefix}` cannot be a prefix: empty names, `.`, `..` and control characters are not allowed")]
    Prefix {
        /// The prefix.
        prefix: String,
    },
    /// A `file://` URL with a host.
    #[error("`{url}` names another host; write file:///absolute/path")]
    FileHost {
        /// The URL.
        url: String,
    },
    /// A `%` in a `file://` URL without two hexadecimal digits.
    #[error("`{url}` has a `%` that is not followed by two hexadecimal digits")]
    Escape {
        /// The URL.
        url: String,
    },
    /// `?` or `#` in an `s3://` URL.
    #[error("options in the URL (`?`, `#`) are not supported; use the remote's settings")]
    Options,
    /// The service's endpoint is not an `http://` or `https://` URL.
    #[error("`{endpoint}` is not an endpoint; write http://host:port or https://host")]
    Endpoint {
        /// The endpoint.
        endpoint: String,
    },
}

/// A parsed URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A directory, as an absolute path if `base` was one.
    Dir(PathBuf),
    /// A web server: the URL as it was given.
    Http(String),
    /// A bucket and what all keys start with (without a slash at either end; may be empty).
    S3 {
        /// Name of the bucket.
        bucket: String,
        /// Start of the keys.
        prefix: String,
    },
}

impl Location {
    /// Parses `s3://bucket/prefix`, `https://host/path`, `file:///absolute`, `/absolute` or `relative/path` (to `base`).
    ///
    /// # Errors
    /// For anything else, and for URLs with credentials in them.
    pub fn parse(url: &str, base: &Path) -> Result<Self, UrlError> {
        if url.is_empty() {
            return Err(UrlError::Empty);
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return Ok(Self::Dir(base.join(url)));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "s3" => Self::s3(rest),
            "file" => Self::file(url, rest),
            _ if has_credentials(rest) => Err(UrlError::Credentials),
            "http" | "https" => Self::http(url, rest),
            // A path such as `a/b://c` is a path.
            _ if scheme.contains('/') => Ok(Self::Dir(base.join(url))),
            scheme => Err(UrlError::Scheme {
                scheme: scheme.to_owned(),
            }),
        }
    }

    fn s3(rest: &str) -> Result<Self, UrlError> {
        if has_credentials(rest) {
            return Err(UrlError::Credentials);
        }
        if rest.contains(['?', '#']) {
            return Err(UrlError::Options);
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if bucket.is_empty() || bucket.len() > 255 || !bucket.chars().all(valid) || matches!(bucket, "." | "..") {
            return Err(UrlError::Bucket {
                bucket: bucket.to_owned(),
            });
        }
        let prefix = prefix.trim_end_matches('/');
        let bad = |name: &str| matches!(name, "" | "." | "..") || name.trim() != name;
        if !prefix.is_empty() && (prefix.split('/').any(bad) || prefix.chars().any(char::is_control)) {
            return Err(UrlError::Prefix {
                prefix: prefix.to_owned(),
            });
        }
        Ok(Self::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    fn http(url: &str, rest: &str) -> Result<Self, UrlError> {
        if rest.contains(['?', '#']) {
            return Err(UrlError::Options);
        }
        if rest.is_empty() || rest.starts_with('/') {
            return Err(UrlError::Endpoint {
                endpoint: url.to_owned(),
            });
        }
        Ok(Self::Http(url.trim_end_matches('/').to_owned()))
    }

    fn file(url: &str, rest: &str) -> Result<Self, UrlError> {
        let path = rest.strip_prefix("localhost").unwrap_or(rest);
        if !path.starts_with('/') {
            return Err(UrlError::FileHost { url: url.to_owned() });
        }
        let mut bytes = Vec::with_capacity(path.len());
        let mut left = path.as_bytes();
        while let [first, rest @ ..] = left {
            left = rest;
            if *first == b'%' {
                let digits = rest
                    .get(..2)
                    .and_then(|d| std::str::from_utf8(d).ok())
                    .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                let byte = digits.and_then(|d| u8::from_str_radix(d, 16).ok());
                bytes.push(byte.ok_or_else(|| UrlError::Escape { url: url.to_owned() })?);
                left = &rest[2..];
            } else {
                bytes.push(*first);
            }
        }
        Ok(Self::Dir(PathBuf::from(std::ffi::OsStr::from_bytes(&bytes))))
    }
}

/// Whether the host part has a user in front of it.
pub(super) fn has_credentials(rest: &str) -> bool {
    rest.split(['/', '?', '#'])
        .next()
        .is_some_and(|host| host.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Location, UrlError> {
        Location::parse(url, Path::new("/base"))
    }

    fn dir(path: &str) -> Result<Location, UrlError> {
        Ok(Location::Dir(path.into()))
    }

    fn s3(bucket: &str, prefix: &str) -> Result<Location, UrlError> {
        Ok(Location::S3 {
            bucket: bucket.into(),
            prefix: prefix.into(),
        })
    }

    #[test]
    fn paths_and_urls() {
        assert_eq!(parse("/srv/data"), dir("/srv/data"));
        assert_eq!(parse("../store"), dir("/base/../store"));
        assert_eq!(parse("C:store"), dir("/base/C:store"));
        assert_eq!(parse("file:///srv/a%20b"), dir("/srv/a b"));
        assert_eq!(parse("file://localhost/srv"), dir("/srv"));
        assert_eq!(parse("s3://bucket"), s3("bucket", ""));
        assert_eq!(
            parse("https://h:1/data/"),
            Ok(Location::Http("https://h:1/data".into()))
        );
        assert_eq!(parse("S3://my.bucket-1/a b/c/"), s3("my.bucket-1", "a b/c"));
    }

    #[test]
    fn refusals_say_what_to_write() {
        assert!(matches!(parse("gs://b/p"), Err(UrlError::Scheme { scheme }) if scheme == "gs"));
        assert!(parse("ftp://x").unwrap_err().to_string().contains("s3://bucket/prefix"));
        assert_eq!(parse("s3://AKIA:secret@bucket/p"), Err(UrlError::Credentials));
        assert_eq!(parse("https://user:pw@host/"), Err(UrlError::Credentials));
        assert!(
            !parse("s3://AKIA:secret@bucket/p")
                .unwrap_err()
                .to_string()
                .contains("secret")
        );
        assert!(matches!(parse("s3:///p"), Err(UrlError::Bucket { .. })));
        assert!(matches!(parse("s3://b/a/../c"), Err(UrlError::Prefix { .. })));
        assert!(matches!(parse("s3://b/a?region=x"), Err(UrlError::Options)));
        assert!(matches!(parse("file://host/x"), Err(UrlError::FileHost { .. })));
        assert!(matches!(parse("file:///x%zz"), Err(UrlError::Escape { .. })));
        assert!(matches!(parse("file:///x%+1"), Err(UrlError::Escape { .. })));
        assert_eq!(parse("https://h/x?a=b"), Err(UrlError::Options));
        assert!(matches!(parse("http:///x"), Err(UrlError::Endpoint { .. })));
        assert_eq!(parse(""), Err(UrlError::Empty));
    }

    #[test]
    fn secrets_do_not_print() {
        let spec = RemoteSpec {
            credentials: Some(Credentials {
                access_key_id: Secret::new("AKIA1"),
                secret_access_key: Secret::new("hush"),
                session_token: Some(Secret::new("token")),
            }),
            ..RemoteSpec::default()
        };
        let shown = format!("{spec:?} {}", Secret::new("hush"));
        assert!(
            !shown.contains("AKIA1") && !shown.contains("hush") && !shown.contains("token\""),
            "{shown}"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(url in "\\PC{0,40}", scheme in "(s3://|file://|)") {
            let _ = parse(&format!("{scheme}{url}"));
        }
    }
}
