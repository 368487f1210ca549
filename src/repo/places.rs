//! From the settings of a remote to something that speaks with it.

use std::path::Path;
use std::sync::Arc;

use super::Result;
use crate::config::RemoteConfig;
use crate::hash::FileId;
use crate::progress::Progress;
use crate::remote::RemoteStore;
use crate::remote::transport::{self, Credentials, KeySource, OpenOptions, RemoteSpec, RetryPolicy, Transport};

/// What the transport has to know.
pub(super) fn spec(config: &RemoteConfig) -> RemoteSpec {
    let credentials = match (&config.access_key_id, &config.secret_access_key) {
        (Some(id), Some(key)) => Some(Credentials {
            access_key_id: id.clone(),
            secret_access_key: key.clone(),
            session_token: config.session_token.clone(),
        }),
        _ => None,
    };
    RemoteSpec {
        name: config.name.to_string(),
        url: config.url.clone(),
        endpoint: config.endpoint.clone(),
        region: config.region.clone(),
        profile: config.profile.clone(),
        anonymous: config.anonymous,
        path_style: config.path_style,
        ca_file: config.ca_file.clone(),
        credentials,
        account_name: config.account_name.clone(),
        credential_path: config.credential_path.clone(),
        user: config.user.clone(),
        port: config.port,
        keyfile: config.keyfile.clone(),
        ssh: None,
        account_key: config.account_key.clone(),
        sas_token: config.sas_token.clone(),
        connection_string: config.connection_string.clone(),
        password: config.password.clone(),
        token: config.token.clone(),
        abilities: None,
        limit_rate: config.limit_rate,
        encryption: config.encryption.then(|| {
            let file = config.key_file.clone().map(KeySource::File);
            file.or_else(|| config.passphrase.clone().map(KeySource::Passphrase))
        }),
    }
}

/// Speaks to the place that a remote's settings name. Relative paths that come from no file start at `root`.
pub(super) fn transport(
    config: &RemoteConfig,
    root: &Path,
    create: bool,
    progress: &Arc<Progress>,
) -> Result<Box<dyn Transport>> {
    let base = config.base.as_deref().unwrap_or(root);
    Ok(transport::open(&spec(config), &options(base, create, progress))?)
}

/// How places are opened.
pub(super) fn options(base: &Path, create: bool, progress: &Arc<Progress>) -> OpenOptions {
    OpenOptions {
        base: base.to_owned(),
        create,
        progress: Arc::clone(progress),
        retry: RetryPolicy::default(),
    }
}

/// The store at a remote. Copies of its metadata are kept below `copies`.
pub(super) fn remote_store(
    config: &RemoteConfig,
    root: &Path,
    copies: &Path,
    jobs: usize,
    progress: &Arc<Progress>,
) -> Result<Arc<RemoteStore>> {
    let base = config.base.as_deref().unwrap_or(root);
    let spec = RemoteSpec {
        abilities: super::probe::recorded(copies, config),
        ..spec(config)
    };
    let transport = transport::open(&spec, &options(base, false, progress))?;
    Ok(Arc::new(RemoteStore::new(
        config.name.as_str(),
        transport.into(),
        copies.join(place_id(config)),
        // The transport finds out how many requests do it good.
        jobs.max(16),
        Arc::clone(progress),
    )))
}

/// Copies of metadata belong to the place, not to the name, which may be given to another place.
pub(super) fn place_id(config: &RemoteConfig) -> String {
    let place = format!("{}\n{:?}\n{:?}", config.url, config.base, config.endpoint);
    FileId::of(place.as_bytes()).short().to_string()
}
