//! Google Drive.
//!
//! Drive shows a file once it is complete, but knows no condition: two programs that create one name at the same time
//! make two files of that name. Access is by a token (`token`, `GDRIVE_ACCESS_TOKEN`), as
//! `gcloud auth print-access-token` gives one.

use opendal::{Operator, services};

use super::super::url::{RemoteSpec, UrlError};
use super::http::Http;
use super::{Listing, Service, Work, Writes, first_var, operator};
use crate::config::Secret;

/// A folder.
pub(super) struct Drive {
    path: String,
    token: Secret,
}

impl Drive {
    pub(super) fn new(path: &str, spec: &RemoteSpec) -> Result<Self, UrlError> {
        let token = spec
            .token
            .clone()
            .or_else(|| first_var(&["GDRIVE_ACCESS_TOKEN"]).map(Secret::new));
        Ok(Self {
            path: path.to_owned(),
            token: token.ok_or(UrlError::Setting {
                setting: "token",
                why: "Google Drive needs an access token; GDRIVE_ACCESS_TOKEN is not set either",
            })?,
        })
    }

    fn client(&self, http: &Http) -> opendal::Result<Operator> {
        let builder = services::Gdrive::default()
            .root(&self.path)
            .access_token(self.token.expose());
        operator(builder, http)
    }
}

impl Service for Drive {
    fn describe(&self) -> String {
        format!("gdrive://{}", self.path)
    }

    fn container(&self) -> &'static str {
        "folder"
    }

    fn operator<'a>(&'a self, http: &'a Http) -> Work<'a, Operator> {
        Box::pin(std::future::ready(self.client(http)))
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
