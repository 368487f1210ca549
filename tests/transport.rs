//! What every transport promises, asked of each of them; and what only one of them can get wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests set up and inspect files as a user would"
)]

#[path = "transport/conformance.rs"]
mod conformance;
#[path = "transport/dir.rs"]
mod dir;
#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/noise.rs"]
mod noise;
#[path = "transport/profile.rs"]
mod profile;
#[path = "transport/retry.rs"]
mod retry;
#[path = "support/s3.rs"]
mod s3;
#[path = "transport/s3_errors.rs"]
mod s3_errors;
#[path = "support/scripted.rs"]
mod scripted;
#[path = "transport/sealed.rs"]
mod sealed;
#[path = "support/servers.rs"]
mod servers;
#[path = "transport/services.rs"]
mod services;
#[cfg(feature = "webhdfs")]
#[path = "support/web.rs"]
mod web;
#[cfg(feature = "webhdfs")]
#[path = "support/webhdfs.rs"]
mod webhdfs;

use std::sync::Arc;
use std::time::Duration;

use modver::progress::Progress;
use modver::remote::transport::{Credentials, OpenOptions, RemoteSpec, Result, RetryPolicy, Secret, Transport, open};

use noise::noise;

/// Retries so quick that tests do not wait for them.
const QUICK: RetryPolicy = RetryPolicy {
    attempts: 4,
    connect_attempts: 2,
    base: Duration::from_millis(1),
    longest: Duration::from_millis(5),
    deadline: Duration::from_secs(20),
};

fn options() -> OpenOptions {
    OpenOptions {
        base: "/".into(),
        create: false,
        progress: Arc::new(Progress::new()),
        retry: QUICK,
    }
}

fn s3_spec(endpoint: &str, url: &str, access_key: &str, secret_key: &str) -> RemoteSpec {
    RemoteSpec {
        name: "test".into(),
        url: url.into(),
        endpoint: Some(endpoint.into()),
        region: Some("us-east-1".into()),
        credentials: Some(Credentials {
            access_key_id: Secret::new(access_key),
            secret_access_key: Secret::new(secret_key),
            session_token: None,
        }),
        ..RemoteSpec::default()
    }
}

fn azure_spec(address: &str, url: &str) -> RemoteSpec {
    RemoteSpec {
        name: "test".into(),
        url: url.into(),
        endpoint: Some(format!("http://{address}/{}", servers::AZURE_ACCOUNT)),
        account_name: Some(servers::AZURE_ACCOUNT.into()),
        account_key: Some(Secret::new(servers::AZURE_KEY)),
        ..RemoteSpec::default()
    }
}

fn webdav_spec(url: &str) -> RemoteSpec {
    RemoteSpec {
        name: "test".into(),
        url: url.into(),
        user: Some("me".into()),
        password: Some(Secret::new("secret")),
        ..RemoteSpec::default()
    }
}

/// A name that no other test gives.
fn unique() -> String {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    format!("test-{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}

fn open_s3(endpoint: &str) -> Result<Box<dyn Transport>> {
    open(&s3_spec(endpoint, "s3://bucket/p", "AKIDTEST", "secret"), &options())
}
