//! Amazon S3, and services that speak as it does.

use opendal::{Operator, services};

use super::super::url::{RemoteSpec, UrlError};
use super::http::Http;
use super::{Listing, Service, Work, Writes, account, check_endpoint, operator, shown};

/// A bucket.
pub(super) struct S3 {
    bucket: String,
    prefix: String,
    endpoint: Option<String>,
    spec: RemoteSpec,
}

impl S3 {
    pub(super) fn new(
        bucket: &str,
        prefix: &str,
        endpoint: Option<String>,
        spec: &RemoteSpec,
    ) -> Result<Self, UrlError> {
        let endpoint = match (endpoint, account::endpoint()) {
            (Some(endpoint), _) => Some(endpoint),
            (None, Some(endpoint)) => Some(check_endpoint(&endpoint)?),
            (None, None) => None,
        };
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint,
            spec: spec.clone(),
        })
    }

    async fn client(&self, http: &Http) -> opendal::Result<Operator> {
        let region = match (account::region(&self.spec), &self.endpoint) {
            (Some(region), _) => region,
            (None, Some(endpoint)) if endpoint.ends_with("r2.cloudflarestorage.com") => "auto".to_owned(),
            // Services other than AWS accept this name or do not care.
            (None, Some(_)) => "us-east-1".to_owned(),
            (None, None) => match http.aws_region(&self.bucket).await {
                Some(region) => region,
                None => "us-east-1".to_owned(),
            },
        };
        let aws = self
            .endpoint
            .as_ref()
            .is_none_or(|endpoint| endpoint.ends_with(".amazonaws.com"));
        let path_style = self.spec.path_style.unwrap_or(!aws || self.bucket.contains('.'));
        let mut builder = services::S3::default()
            .bucket(&self.bucket)
            .root(&self.prefix)
            .region(&region)
            .endpoint(self.endpoint.as_deref().unwrap_or("https://s3.amazonaws.com"))
            .disable_config_load()
            .credential_provider_chain(account::chain(&self.spec));
        if !path_style {
            builder = builder.enable_virtual_host_style();
        }
        if self.spec.anonymous {
            builder = builder.skip_signature();
        }
        operator(builder, http)
    }
}

impl Service for S3 {
    fn describe(&self) -> String {
        shown("s3", &self.bucket, &self.prefix, self.endpoint.as_deref())
    }

    fn container(&self) -> &'static str {
        "bucket"
    }

    fn operator<'a>(&'a self, http: &'a Http) -> Work<'a, Operator> {
        Box::pin(self.client(http))
    }

    fn writes(&self) -> Writes {
        Writes::Conditional
    }

    fn listing(&self) -> Listing {
        Listing::Flat
    }

    fn has_regions(&self) -> bool {
        true
    }
}
