//! Where services are: checking addresses, and showing them to people.

use super::super::url::{RemoteSpec, UrlError, has_credentials};

/// A server's address.
pub(super) fn address(tls: bool, host: &str, port: Option<u16>, spec: &RemoteSpec) -> String {
    let scheme = if tls { "https" } else { "http" };
    match port.map(u32::from).or(spec.port) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

/// An endpoint that is a URL without credentials.
pub(super) fn check_endpoint(endpoint: &str) -> std::result::Result<String, UrlError> {
    let host = endpoint
        .strip_prefix("http://")
        .or_else(|| endpoint.strip_prefix("https://"));
    let Some(host) = host.filter(|host| !host.is_empty() && !host.contains(['?', '#', ' '])) else {
        return Err(UrlError::Endpoint {
            endpoint: endpoint.rsplit('@').next().unwrap_or_default().to_owned(),
        });
    };
    if has_credentials(host) {
        return Err(UrlError::Credentials);
    }
    Ok(endpoint.to_owned())
}

/// `scheme://bucket/prefix at endpoint`.
pub(super) fn shown(scheme: &str, bucket: &str, prefix: &str, endpoint: Option<&str>) -> String {
    let mut name = format!("{scheme}://{bucket}");
    if !prefix.is_empty() {
        name = format!("{name}/{prefix}");
    }
    match endpoint {
        Some(endpoint) => format!("{name} at {endpoint}"),
        None => name,
    }
}

/// `scheme://user@host/path` of a server at `address`, with the scheme for TLS or the one without.
#[cfg(any(feature = "webdav", feature = "webhdfs"))]
pub(super) fn shown_server(
    (with_tls, without): (&str, &str),
    address: &str,
    user: Option<&str>,
    path: &str,
) -> String {
    let scheme = if address.starts_with("https:") {
        with_tls
    } else {
        without
    };
    let host = address.split_once("://").map_or("", |(_, host)| host);
    let user = user.map_or_else(String::new, |user| format!("{user}@"));
    format!("{scheme}://{user}{host}/{path}")
}
