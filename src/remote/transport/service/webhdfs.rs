//! HDFS by its HTTP interface.
//!
//! HDFS shows a file while it is written, so objects are written to `tmp/` and renamed. A rename never replaces a
//! file: it is a true creation.

use http::Request;
use http::header::CONTENT_LENGTH;
use opendal::raw::{Operation, percent_encode_path};
use opendal::{Buffer, Operator, services};

use super::super::url::RemoteSpec;
use super::http::Http;
use super::{Listing, Move, Service, Work, Writes, first_var, operator, shown_server};
use crate::config::Secret;

/// A directory.
pub(super) struct WebHdfs {
    /// `http://host:port`.
    server: String,
    path: String,
    user: Option<String>,
    token: Option<Secret>,
}

impl WebHdfs {
    pub(super) fn new(server: String, path: &str, user: Option<&str>, spec: &RemoteSpec) -> Self {
        let user = user.map(str::to_owned).or_else(|| spec.user.clone());
        Self {
            server,
            path: path.to_owned(),
            user: user.or_else(|| first_var(&["HADOOP_USER_NAME"])),
            token: spec.token.clone(),
        }
    }

    fn client(&self, http: &Http) -> opendal::Result<Operator> {
        let mut builder = services::Webhdfs::default().endpoint(&self.server).root(&self.path);
        // A token says who it is of.
        match (&self.token, &self.user) {
            (Some(token), _) => builder = builder.delegation(token.expose()),
            (None, Some(user)) => builder = builder.user_name(user),
            (None, None) => {}
        }
        operator(builder, http)
    }

    fn absolute(&self, key: &str) -> String {
        let root = self.path.as_str();
        let slash = if root.is_empty() { "" } else { "/" };
        format!("/{root}{slash}{key}")
    }

    /// Asks for an operation whose answer is `true` or `false`.
    async fn ask(&self, http: &Http, key: &str, operation: &str) -> opendal::Result<bool> {
        let path = percent_encode_path(&self.absolute(key));
        let mut url = format!("{}/webhdfs/v1{path}?op={operation}", self.server);
        match (&self.token, &self.user) {
            (Some(token), _) => url.push_str(&format!("&delegation={}", percent_encode_path(token.expose()))),
            (None, Some(user)) => url.push_str(&format!("&user.name={}", percent_encode_path(user))),
            (None, None) => {}
        }
        let request = Request::put(&url).header(CONTENT_LENGTH, 0);
        let page = http.ask(Operation::Rename, request, Buffer::new()).await?.ok()?;
        let answer: Option<serde_json::Value> = serde_json::from_slice(&page).ok();
        Ok(answer.is_some_and(|answer| answer["boolean"] == true))
    }

    async fn rename(&self, http: &Http, order: &Move<'_>) -> opendal::Result<bool> {
        let rename = format!("RENAME&destination={}", percent_encode_path(&self.absolute(order.to)));
        if self.ask(http, order.from, &rename).await? {
            return Ok(true);
        }
        // Either the directory is missing, or the key exists.
        if let Some((parent, _)) = order.to.rsplit_once('/') {
            self.ask(http, parent, "MKDIRS").await?;
        }
        if order.replace {
            // Nothing is there to be replaced by a rename.
            order.operator.delete(order.to).await?;
        }
        if self.ask(http, order.from, &rename).await? {
            return Ok(true);
        }
        if order.operator.exists(order.to).await? && !order.replace {
            return Ok(false);
        }
        let message = "the server did not rename what was written";
        Err(opendal::Error::new(opendal::ErrorKind::Unexpected, message).set_temporary())
    }
}

impl Service for WebHdfs {
    fn describe(&self) -> String {
        shown_server(("swebhdfs", "webhdfs"), &self.server, self.user.as_deref(), &self.path)
    }

    fn container(&self) -> &'static str {
        "directory"
    }

    fn operator<'a>(&'a self, http: &'a Http) -> Work<'a, Operator> {
        Box::pin(std::future::ready(self.client(http)))
    }

    fn redirects(&self) -> bool {
        true
    }

    fn writes(&self) -> Writes {
        Writes::Staged
    }

    fn listing(&self) -> Listing {
        Listing::Walked
    }

    fn publish<'a>(&'a self, http: &'a Http, order: Move<'a>) -> Work<'a, bool> {
        Box::pin(async move { self.rename(http, &order).await })
    }
}
