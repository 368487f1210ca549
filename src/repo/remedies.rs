//! What helps when a remote cannot be used: commands to type.

use crate::causes::in_one_line;
use crate::remote::transport::{KeyError, TransportError, UrlError};

/// What helps with a remote; its name stands where the settings want it, as far as that is known.
pub(super) fn transport_hint(error: &TransportError) -> Option<String> {
    let hint = remedy(error)?;
    Some(match error.remote_name() {
        Some(name) => hint.replace("NAME", name),
        None => hint,
    })
}

fn remedy(error: &TransportError) -> Option<String> {
    match error {
        TransportError::NoRemote {
            what: "directory",
            place,
        } => Some(format!(
            "mkdir -p {}   or, if it is elsewhere, modver remote modify NAME url DIR",
            place.remote
        )),
        TransportError::NoRemote { .. } => Some("modver remote modify NAME url URL".to_owned()),
        TransportError::WrongRegion { region, .. } => Some(format!("modver remote modify NAME region {region}")),
        TransportError::NoCredentials { place, .. } | TransportError::Unauthenticated { place, .. }
            if place.remote.starts_with("http") =>
        {
            Some("modver config set --local remote.NAME.token TOKEN".to_owned())
        }
        TransportError::ReadOnly { place, .. } | TransportError::Unsupported { place, .. }
            if place.remote.starts_with("http") =>
        {
            Some("push to another remote: modver remote list".to_owned())
        }
        TransportError::Unreachable { place, source }
            if place.remote.starts_with("https:") && in_one_line(&**source).contains("UnknownIssuer") =>
        {
            Some("modver remote modify --local NAME ca_file CERT.pem   (the server's certificate, or who vouches for it)".to_owned())
        }
        TransportError::Disconnected { place, source }
            if place.remote.starts_with("http:") && in_one_line(&**source).contains("invalid HTTP version") =>
        {
            Some(format!("modver remote modify NAME url {}   (it may speak TLS)", place.remote.replacen("http:", "https:", 1)))
        }
        TransportError::HostKey {
            target, changed: false, ..
        } => Some(format!("ssh {target}   (and accept its key if it is the right one)")),
        TransportError::HostKey { target, .. } => Some(format!(
            "ask whoever runs the server whether it has a new key: somebody may be in between. `ssh {target}` says how to \
             forget the old one"
        )),
        TransportError::Url {
            remote,
            source: UrlError::Setting { setting, .. },
        } => Some(format!("modver config set --local remote.{remote}.{setting} VALUE")),
        TransportError::NoCredentials { place, .. } | TransportError::Unauthenticated { place, .. } => {
            Some(credentials_hint(&place.remote).to_owned())
        }
        TransportError::Encryption { problem, .. } => Some(
            match **problem {
                KeyError::NotEncrypted => "modver remote modify NAME url ANOTHER_PLACE, or NAME encryption false",
                KeyError::Unknown => "a newer modver",
                KeyError::MarkerLost => {
                    "bring the file back from a back-up of the remote, or modver remote modify NAME url ANOTHER_PLACE"
                }
                _ => "modver remote modify --local NAME key-file FILE, or --local NAME passphrase PASSPHRASE",
            }
            .to_owned(),
        ),
        _ => None,
    }
}

/// Where credentials for a place can come from.
fn credentials_hint(remote: &str) -> &'static str {
    match remote.split("://").next() {
        Some("gs") => {
            "gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS, or \
             modver remote modify --local NAME credential_path FILE"
        }
        Some("azure") => {
            "az login, or set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or \
             modver config set --local remote.NAME.account_key KEY"
        }
        Some("ssh") => {
            "ssh-add, or modver remote modify --local NAME keyfile FILE, or modver remote modify NAME user USER"
        }
        Some("webdav" | "webdavs") => {
            "modver remote modify --local NAME user USER, then modver config set --local remote.NAME.password PASSWORD"
        }
        Some("oss") => "modver config set --local remote.NAME.access_key_id ID, then remote.NAME.secret_access_key",
        Some("webhdfs" | "swebhdfs" | "gdrive" | "hf") => "modver config set --local remote.NAME.token TOKEN",
        _ => "modver remote modify NAME profile PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    }
}
