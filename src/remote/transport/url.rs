//! Where a remote is, and with which credentials.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::probe::Capabilities;
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
    /// Buckets and containers: another service than the usual one, such as `http://127.0.0.1:9000`.
    pub endpoint: Option<String>,
    /// S3: the region; otherwise from the environment, the profile, or asked from AWS.
    pub region: Option<String>,
    /// S3: which profile of `~/.aws` to use, before any keys in the environment.
    pub profile: Option<String>,
    /// Buckets and containers: send requests without signature.
    pub anonymous: bool,
    /// S3: bucket in the path (`true`) or in the host name (`false`); otherwise in the host name for AWS only.
    pub path_style: Option<bool>,
    /// HTTP: certificates to trust besides the system's, as a PEM file.
    pub ca_file: Option<PathBuf>,
    /// S3 and OSS: keys, before profile and environment.
    pub credentials: Option<Credentials>,
    /// Azure: the storage account.
    pub account_name: Option<String>,
    /// Google: a file with credentials.
    pub credential_path: Option<PathBuf>,
    /// Servers: who asks.
    pub user: Option<String>,
    /// Servers: the port, unless the URL has one.
    pub port: Option<u32>,
    /// SSH: the private key.
    pub keyfile: Option<PathBuf>,
    /// SSH: the program, if it is not `ssh`.
    pub ssh: Option<PathBuf>,
    /// Azure: the account's key.
    pub account_key: Option<Secret>,
    /// Azure: a shared access signature.
    pub sas_token: Option<Secret>,
    /// Azure: account, key and endpoint in one.
    pub connection_string: Option<Secret>,
    /// WebDAV: the user's password.
    pub password: Option<Secret>,
    /// HTTP: the token that `modver serve` gave. WebDAV, Google Drive, Hugging Face: a bearer token; WebHDFS: a delegation token.
    pub token: Option<Secret>,
    /// What it was seen to do, if that was found out before.
    pub abilities: Option<Capabilities>,
    /// Bytes per second that requests to it may move together.
    pub limit_rate: Option<u64>,
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
        "`{scheme}://` is not supported; supported are plain paths, file:///path, s3://bucket/prefix, \
         gs://bucket/prefix, azure://container/prefix, https://host/repository, \
          ssh://user@host/path, webdavs://host/path, \
         oss://bucket/prefix, webhdfs://host/path, gdrive://folder and hf://user/repository"
    )]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// One whose driver would need Java.
    #[error("`hdfs://` is not supported, since it needs Java; write webhdfs://host:9870/path")]
    Hdfs,
    /// A service this program was built without.
    #[error("this program was built without `{scheme}://`; build it with: cargo install modver --features {feature}")]
    NotBuilt {
        /// The scheme.
        scheme: String,
        /// The feature of the build.
        feature: &'static str,
    },
    /// It holds credentials, which do not belong into a file that git records.
    #[error(
        "the URL contains credentials; remove them from it and use the environment, the service's own files or the \
         local settings instead"
    )]
    Credentials,
    /// A URL without a usable bucket or container.
    #[error("`{bucket}` is not the name of a bucket; write {scheme}://bucket/prefix")]
    Bucket {
        /// What stands in its place.
        bucket: String,
        /// The scheme.
        scheme: &'static str,
    },
    /// A URL without a usable host.
    #[error("`{host}` is not a host; write {scheme}://host/path or {scheme}://user@host:port/path")]
    Host {
        /// What stands in its place.
        host: String,
        /// The scheme.
        scheme: &'static str,
    },
    /// A URL that names no repository of the hub.
    #[error("`{url}` names no repository; write hf://user/repository/path or hf://datasets/user/repository/path")]
    Hub {
        /// The URL.
        url: String,
    },
    /// A setting that the service needs.
    #[error("`{setting}` is not set: {why}")]
    Setting {
        /// The last part of its name.
        setting: &'static str,
        /// What it is needed for, and where else it is looked for.
        why: &'static str,
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
    /// `?` or `#` in a URL.
    #[error("options in the URL (`?`, `#`) are not supported; use the remote's settings")]
    Options,
    /// The service's endpoint is not an `http://` or `https://` URL.
    #[error("`{endpoint}` is not an endpoint; write http://host:port or https://host")]
    Endpoint {
        /// The endpoint.
        endpoint: String,
    },
}

/// A kind of place whose objects are in buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buckets {
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
    /// Alibaba Cloud's OSS.
    Oss,
}

/// A kind of server that keeps files in directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Servers {
    /// SFTP over SSH.
    Sftp,
    /// WebDAV, with or without TLS.
    WebDav {
        /// Whether it speaks TLS.
        tls: bool,
    },
    /// HDFS by its HTTP interface, with or without TLS.
    WebHdfs {
        /// Whether it speaks TLS.
        tls: bool,
    },
}

impl Servers {
    /// How its URLs begin.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Sftp => "ssh",
            Self::WebDav { tls: true } => "webdavs",
            Self::WebDav { tls: false } => "webdav",
            Self::WebHdfs { tls: true } => "swebhdfs",
            Self::WebHdfs { tls: false } => "webhdfs",
        }
    }
}

impl Buckets {
    /// How its URLs begin.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Gcs => "gs",
            Self::Azure => "azure",
            Self::Oss => "oss",
        }
    }
}

/// A parsed URL. Prefixes and paths have no slash at either end and may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A directory, as an absolute path if `base` was one.
    Dir(PathBuf),
    /// A web server: the URL as it was given.
    Http(String),
    /// A bucket and what all keys start with.
    S3 {
        /// Name of the bucket.
        bucket: String,
        /// Start of the keys.
        prefix: String,
    },
    /// A bucket or container of another service.
    Bucket {
        /// Which service.
        kind: Buckets,
        /// Name of the bucket or container.
        bucket: String,
        /// Start of the keys.
        prefix: String,
    },
    /// A directory of a server, from its root.
    Server {
        /// What it speaks.
        kind: Servers,
        /// The user, if the URL names one.
        user: Option<String>,
        /// Its name or address; IPv6 addresses in brackets.
        host: String,
        /// The port, if the URL names one.
        port: Option<u16>,
        /// The directory.
        path: String,
    },
    /// A folder of Google Drive, from the top of the user's own.
    Drive {
        /// The folder.
        path: String,
    },
    /// A repository at Hugging Face.
    Hub {
        /// `model`, `dataset` or `space`.
        kind: &'static str,
        /// `user/name`.
        repository: String,
        /// A branch.
        revision: Option<String>,
        /// Start of the keys.
        path: String,
    },
}

impl Location {
    /// Parses a URL, `/absolute` or `relative/path` (to `base`).
    ///
    /// # Errors
    /// For URLs of no known kind, and for those with credentials in them.
    pub fn parse(url: &str, base: &Path) -> Result<Self, UrlError> {
        if url.is_empty() {
            return Err(UrlError::Empty);
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return Ok(Self::Dir(base.join(url)));
        };
        let buckets = |kind: Buckets| {
            let (bucket, prefix) = bucket(rest, kind.scheme())?;
            Ok(Self::Bucket { kind, bucket, prefix })
        };
        match scheme.to_ascii_lowercase().as_str() {
            "s3" => {
                let (bucket, prefix) = bucket(rest, "s3")?;
                Ok(Self::S3 { bucket, prefix })
            }
            "file" => Self::file(url, rest),
            "gs" | "gcs" => buckets(Buckets::Gcs),
            "azure" | "az" => buckets(Buckets::Azure),
            "oss" => buckets(Buckets::Oss),
            "ssh" | "sftp" => Self::server(Servers::Sftp, rest),
            "webdav" => Self::server(Servers::WebDav { tls: false }, rest),
            "webdavs" => Self::server(Servers::WebDav { tls: true }, rest),
            "webhdfs" => Self::server(Servers::WebHdfs { tls: false }, rest),
            "swebhdfs" => Self::server(Servers::WebHdfs { tls: true }, rest),
            "hdfs" => Err(UrlError::Hdfs),
            "gdrive" => Ok(Self::Drive { path: path(rest)? }),
            "hf" => Self::hub(url, rest),
            _ if has_credentials(rest) => Err(UrlError::Credentials),
            "http" | "https" => Self::http(url, rest),
            // A path such as `a/b://c` is a path.
            _ if scheme.contains('/') => Ok(Self::Dir(base.join(url))),
            scheme => Err(UrlError::Scheme {
                scheme: scheme.to_owned(),
            }),
        }
    }

    fn server(kind: Servers, rest: &str) -> Result<Self, UrlError> {
        if rest.contains(['?', '#']) {
            return Err(UrlError::Options);
        }
        let (authority, directory) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err(UrlError::Credentials);
        }
        let bad = || UrlError::Host {
            host: place.to_owned(),
            scheme: kind.scheme(),
        };
        let (host, port) = match place.rsplit_once(':') {
            // The colons of an address in brackets.
            Some((_, end)) if end.ends_with(']') => (place, None),
            Some((host, port)) => (host, Some(port.parse().map_err(|_| bad())?)),
            None => (place, None),
        };
        // Programs would take a name that starts with `-` for an option.
        let valid = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        let is_user = |user: &str| !user.is_empty() && !user.starts_with('-') && !user.contains(char::is_whitespace);
        if host.is_empty() || host.starts_with('-') || !host.chars().all(valid) || !user.is_none_or(is_user) {
            return Err(bad());
        }
        let directory = match kind {
            // Names of files, not a part of a URL, as SSH programs see it.
            Servers::Sftp => directory.to_owned(),
            _ => String::from_utf8(unescaped(rest, directory)?)
                .map_err(|_| UrlError::Escape { url: rest.to_owned() })?,
        };
        Ok(Self::Server {
            kind,
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
            path: path(directory.trim_start_matches('/'))?,
        })
    }

    fn hub(url: &str, rest: &str) -> Result<Self, UrlError> {
        let bad = || UrlError::Hub { url: url.to_owned() };
        let (kind, rest) = match rest.split_once('/') {
            Some(("datasets", rest)) => ("dataset", rest),
            Some(("spaces", rest)) => ("space", rest),
            _ => ("model", rest.strip_prefix("models/").unwrap_or(rest)),
        };
        let (user, rest) = rest.split_once('/').ok_or_else(bad)?;
        let (name, directory) = rest.split_once('/').unwrap_or((rest, ""));
        let (name, revision) = match name.split_once('@') {
            Some((name, revision)) => (name, Some(revision.to_owned())),
            None => (name, None),
        };
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let named = |text: &str| !text.is_empty() && text.chars().all(valid);
        if !named(user) || !named(name) || revision.as_deref() == Some("") {
            return Err(bad());
        }
        Ok(Self::Hub {
            kind,
            repository: format!("{user}/{name}"),
            revision,
            path: path(directory)?,
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
        let bytes = unescaped(url, path)?;
        Ok(Self::Dir(PathBuf::from(std::ffi::OsStr::from_bytes(&bytes))))
    }
}

/// `bucket/prefix` behind the scheme.
fn bucket(rest: &str, scheme: &'static str) -> Result<(String, String), UrlError> {
    if has_credentials(rest) {
        return Err(UrlError::Credentials);
    }
    if rest.contains(['?', '#']) {
        return Err(UrlError::Options);
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    // Azure's root container is called `$root`.
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '$');
    if bucket.is_empty() || bucket.len() > 255 || !bucket.chars().all(valid) || matches!(bucket, "." | "..") {
        return Err(UrlError::Bucket {
            bucket: bucket.to_owned(),
            scheme,
        });
    }
    Ok((bucket.to_owned(), path(prefix)?))
}

/// A prefix that can be the start of keys, without a slash at its end.
fn path(text: &str) -> Result<String, UrlError> {
    let prefix = text.trim_end_matches('/');
    let bad = |name: &str| matches!(name, "" | "." | "..") || name.trim() != name;
    if !prefix.is_empty() && (prefix.split('/').any(bad) || prefix.chars().any(char::is_control)) {
        return Err(UrlError::Prefix {
            prefix: prefix.to_owned(),
        });
    }
    Ok(prefix.to_owned())
}

/// The bytes of a path in which `%` and two digits stand for one.
fn unescaped(url: &str, path: &str) -> Result<Vec<u8>, UrlError> {
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
    Ok(bytes)
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
    fn services_and_servers() {
        let buckets = |kind, bucket: &str, prefix: &str| {
            Ok(Location::Bucket {
                kind,
                bucket: bucket.into(),
                prefix: prefix.into(),
            })
        };
        assert_eq!(parse("gs://b/p/q/"), buckets(Buckets::Gcs, "b", "p/q"));
        assert_eq!(parse("gcs://b"), buckets(Buckets::Gcs, "b", ""));
        assert_eq!(parse("azure://c/p"), buckets(Buckets::Azure, "c", "p"));
        assert_eq!(parse("az://$root"), buckets(Buckets::Azure, "$root", ""));
        assert_eq!(parse("oss://b/p"), buckets(Buckets::Oss, "b", "p"));
        let server = |kind, user: Option<&str>, host: &str, port, path: &str| {
            Ok(Location::Server {
                kind,
                user: user.map(Into::into),
                host: host.into(),
                port,
                path: path.into(),
            })
        };
        let dav = |tls| Servers::WebDav { tls };
        assert_eq!(
            parse("ssh://me@host:2222/srv/a%20b/"),
            server(Servers::Sftp, Some("me"), "host", Some(2222), "srv/a%20b")
        );
        assert_eq!(parse("sftp://[::1]/x"), server(Servers::Sftp, None, "[::1]", None, "x"));
        assert_eq!(parse("webdavs://h/a%20b"), server(dav(true), None, "h", None, "a b"));
        assert_eq!(parse("webdav://h:8080"), server(dav(false), None, "h", Some(8080), ""));
        assert!(matches!(parse("ssh://-oProxyCommand=x/y"), Err(UrlError::Host { .. })));
        assert!(matches!(parse("ssh://-x@host/y"), Err(UrlError::Host { .. })));
        assert!(matches!(parse("ssh:///y"), Err(UrlError::Host { .. })));
        assert!(matches!(parse("ssh://host:x/y"), Err(UrlError::Host { .. })));
        assert_eq!(parse("ssh://u:hush@host/y"), Err(UrlError::Credentials));
        assert!(matches!(parse("webdav://h/a/../b"), Err(UrlError::Prefix { .. })));
        assert_eq!(parse("gdrive://a/b"), Ok(Location::Drive { path: "a/b".into() }));
        let hub = |kind, repository: &str, revision: Option<&str>, path: &str| {
            Ok(Location::Hub {
                kind,
                repository: repository.into(),
                revision: revision.map(Into::into),
                path: path.into(),
            })
        };
        assert_eq!(parse("hf://me/model"), hub("model", "me/model", None, ""));
        assert_eq!(
            parse("hf://datasets/me/data@dev/store"),
            hub("dataset", "me/data", Some("dev"), "store")
        );
        assert!(matches!(parse("hf://me"), Err(UrlError::Hub { .. })));
    }

    #[test]
    fn refusals_say_what_to_write() {
        assert_eq!(parse("hdfs://h/p"), Err(UrlError::Hdfs));
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
        fn any_text_is_parsed_or_refused(url in "\\PC{0,40}", scheme in "(s3://|file://|gs://|ssh://|webdav://|hf://|)") {
            let _ = parse(&format!("{scheme}{url}"));
        }
    }
}
