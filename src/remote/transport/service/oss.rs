//! Alibaba Cloud's Object Storage Service.
//!
//! Credentials: the keys of the settings, then what Alibaba's own programs take (`ALIBABA_CLOUD_ACCESS_KEY_ID`,
//! `ALIBABA_CLOUD_ACCESS_KEY_SECRET`, the machine's role).

use opendal::{Operator, services};

use super::super::url::{Credentials, RemoteSpec, UrlError};
use super::http::Http;
use super::{Listing, Service, Work, Writes, check_endpoint, first_var, operator, shown};

/// A bucket.
pub(super) struct Oss {
    bucket: String,
    prefix: String,
    endpoint: String,
    credentials: Option<Credentials>,
    anonymous: bool,
    path_style: bool,
}

impl Oss {
    pub(super) fn new(
        bucket: &str,
        prefix: &str,
        endpoint: Option<String>,
        spec: &RemoteSpec,
    ) -> Result<Self, UrlError> {
        let region = spec.region.as_ref();
        let endpoint = match endpoint.or_else(|| region.map(|region| format!("https://oss-{region}.aliyuncs.com"))) {
            Some(endpoint) => Some(endpoint),
            None => first_var(&["OSS_ENDPOINT"])
                .map(|host| check_endpoint(&host))
                .transpose()?,
        };
        let Some(endpoint) = endpoint else {
            return Err(UrlError::Setting {
                setting: "endpoint",
                why: "OSS needs the address of the bucket's region, such as https://oss-eu-central-1.aliyuncs.com; \
                      `region` and OSS_ENDPOINT are not set either",
            });
        };
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint,
            credentials: spec.credentials.clone(),
            anonymous: spec.anonymous,
            path_style: spec.path_style == Some(true),
        })
    }

    fn client(&self, http: &Http) -> opendal::Result<Operator> {
        let mut builder = services::Oss::default()
            .bucket(&self.bucket)
            .root(&self.prefix)
            .endpoint(&self.endpoint);
        if let Some(keys) = &self.credentials {
            builder = builder
                .access_key_id(keys.access_key_id.expose())
                .access_key_secret(keys.secret_access_key.expose());
            if let Some(token) = &keys.session_token {
                builder = builder.security_token(token.expose());
            }
        }
        if self.path_style {
            builder = builder.addressing_style("path");
        }
        if self.anonymous {
            builder = builder.skip_signature();
        }
        operator(builder, http)
    }
}

impl Service for Oss {
    fn describe(&self) -> String {
        shown("oss", &self.bucket, &self.prefix, Some(&self.endpoint))
    }

    fn container(&self) -> &'static str {
        "bucket"
    }

    fn operator<'a>(&'a self, http: &'a Http) -> Work<'a, Operator> {
        Box::pin(std::future::ready(self.client(http)))
    }

    fn writes(&self) -> Writes {
        Writes::Conditional
    }

    fn listing(&self) -> Listing {
        Listing::Flat
    }
}
