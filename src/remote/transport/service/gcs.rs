//! Google Cloud Storage.
//!
//! Credentials: the file of the settings (`credential_path`), `GOOGLE_APPLICATION_CREDENTIALS`, what
//! `gcloud auth application-default login` wrote, the machine's. `STORAGE_EMULATOR_HOST` names another address, as for
//! Google's own libraries.

use opendal::{Operator, services};

use super::super::url::{RemoteSpec, UrlError};
use super::http::Http;
use super::{Listing, Service, Work, Writes, check_endpoint, first_var, operator, shown};

/// A bucket.
pub(super) struct Gcs {
    bucket: String,
    prefix: String,
    endpoint: Option<String>,
    spec: RemoteSpec,
    emulated: bool,
}

impl Gcs {
    pub(super) fn new(
        bucket: &str,
        prefix: &str,
        endpoint: Option<String>,
        spec: &RemoteSpec,
    ) -> Result<Self, UrlError> {
        let emulator = first_var(&["STORAGE_EMULATOR_HOST"]).filter(|_| endpoint.is_none());
        let emulated = emulator.is_some();
        let emulator = emulator.map(|host| match host.contains("://") {
            true => host,
            false => format!("http://{host}"),
        });
        let endpoint = match (endpoint, emulator) {
            (Some(endpoint), _) => Some(endpoint),
            (None, Some(endpoint)) => Some(check_endpoint(&endpoint)?),
            (None, None) => None,
        };
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned()),
            spec: spec.clone(),
            emulated,
        })
    }

    fn client(&self, http: &Http) -> opendal::Result<Operator> {
        let mut builder = services::Gcs::default().bucket(&self.bucket).root(&self.prefix);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.endpoint(endpoint);
        }
        if let Some(path) = &self.spec.credential_path {
            builder = builder.credential_path(&path.to_string_lossy());
        }
        if self.spec.anonymous || self.emulated {
            builder = builder.skip_signature();
        }
        operator(builder, http)
    }
}

impl Service for Gcs {
    fn describe(&self) -> String {
        shown("gs", &self.bucket, &self.prefix, self.endpoint.as_deref())
    }

    fn container(&self) -> &'static str {
        "bucket"
    }

    fn operator<'a>(&'a self, http: &'a Http) -> Work<'a, Operator> {
        Box::pin(std::future::ready(self.client(http)))
    }

    /// The condition that OpenDAL makes takes a session of several requests, which small and large objects do not need.
    fn writes(&self) -> Writes {
        Writes::ByQuery("ifGenerationMatch=0")
    }

    fn listing(&self) -> Listing {
        Listing::Flat
    }

    /// One request takes up to 5 TiB; a condition holds for one request.
    fn single_put(&self) -> usize {
        usize::MAX
    }
}
