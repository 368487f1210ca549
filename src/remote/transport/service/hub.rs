//! Repositories at Hugging Face.
//!
//! Every object written is a commit, so pushing is slow there. Access is by a token (`token`, `HF_TOKEN`); public
//! repositories can be read without.

use opendal::{Operator, services};

use super::super::url::RemoteSpec;
use super::http::Http;
use super::{Listing, Service, Work, Writes, first_var, operator};
use crate::config::Secret;

/// A repository, or a directory in it.
pub(super) struct Hub {
    kind: &'static str,
    repository: String,
    revision: Option<String>,
    path: String,
    endpoint: Option<String>,
    token: Option<Secret>,
}

impl Hub {
    pub(super) fn new(
        kind: &'static str,
        repository: &str,
        revision: Option<&str>,
        path: &str,
        endpoint: Option<String>,
        spec: &RemoteSpec,
    ) -> Self {
        Self {
            kind,
            repository: repository.to_owned(),
            revision: revision.map(str::to_owned),
            path: path.to_owned(),
            endpoint,
            token: spec
                .token
                .clone()
                .or_else(|| first_var(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]).map(Secret::new)),
        }
    }

    fn client(&self, http: &Http) -> opendal::Result<Operator> {
        let mut builder = services::Hf::default()
            .repo_type(self.kind)
            .repo_id(&self.repository)
            .root(&self.path);
        if let Some(revision) = &self.revision {
            builder = builder.revision(revision);
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.endpoint(endpoint);
        }
        if let Some(token) = &self.token {
            builder = builder.token(token.expose());
        }
        operator(builder, http)
    }
}

impl Service for Hub {
    fn describe(&self) -> String {
        let kind = match self.kind {
            "model" => String::new(),
            kind => format!("{kind}s/"),
        };
        let revision = self
            .revision
            .as_ref()
            .map_or_else(String::new, |name| format!("@{name}"));
        let slash = if self.path.is_empty() { "" } else { "/" };
        format!("hf://{kind}{}{revision}{slash}{}", self.repository, self.path)
    }

    fn container(&self) -> &'static str {
        "repository"
    }

    fn operator<'a>(&'a self, http: &'a Http) -> Work<'a, Operator> {
        Box::pin(std::future::ready(self.client(http)))
    }

    fn redirects(&self) -> bool {
        true
    }

    fn writes(&self) -> Writes {
        Writes::Plain
    }

    fn listing(&self) -> Listing {
        Listing::Walked
    }

    fn single_put(&self) -> usize {
        usize::MAX
    }
}
