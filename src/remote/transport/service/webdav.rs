//! WebDAV servers.
//!
//! Many show a file while it arrives, so objects are sent to `tmp/` and moved to their keys. `Overwrite: F` makes the
//! move a true creation: it fails if the key exists. Collections are made when they are missed, not asked for before.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{Request, StatusCode};
use opendal::raw::{Operation, format_authorization_by_basic, format_authorization_by_bearer, percent_encode_path};
use opendal::{Buffer, Operator, services};

use super::super::retry::random;
use super::super::url::{RemoteSpec, UrlError};
use super::http::{Answer, Http};
use super::{Listing, Move, Service, Work, Writes, operator, shown_server};
use crate::config::Secret;

/// How often more a move over an object is tried.
const MOVES: u64 = 10;
/// The wait before it is tried again is a random part of this, and of as much more each time, in milliseconds.
const WAIT: u64 = 40;

/// A collection of a server.
pub(super) struct WebDav {
    /// `https://host:port`.
    server: String,
    path: String,
    user: Option<String>,
    password: Option<Secret>,
    token: Option<Secret>,
    /// Whether the collection for what is staged was made or found; held while collections are made.
    ready: tokio::sync::Mutex<bool>,
}

impl WebDav {
    pub(super) fn new(server: String, path: &str, user: Option<&str>, spec: &RemoteSpec) -> Result<Self, UrlError> {
        let user = user.map(str::to_owned).or_else(|| spec.user.clone());
        if user.is_none() && spec.password.is_some() {
            return Err(UrlError::Setting {
                setting: "user",
                why: "there is a password, but no user it belongs to",
            });
        }
        Ok(Self {
            server,
            path: path.to_owned(),
            user,
            password: spec.password.clone(),
            token: spec.token.clone(),
            ready: tokio::sync::Mutex::new(false),
        })
    }

    fn client(&self, http: &Http) -> opendal::Result<Operator> {
        let mut builder = services::Webdav::default().endpoint(&self.server).root(&self.path);
        if let Some(user) = &self.user {
            let password = self.password.as_ref().map_or("", Secret::expose);
            builder = builder.username(user).password(password);
        }
        if let Some(token) = &self.token {
            builder = builder.token(token.expose());
        }
        operator(builder, http)
    }

    /// The URL of a path below the root; of the root itself for an empty one.
    fn url(&self, path: &str) -> String {
        let mut url = self.server.clone();
        for part in [&self.path, path] {
            if !part.is_empty() {
                url.push('/');
                url.push_str(&percent_encode_path(part));
            }
        }
        url
    }

    fn request(&self, method: &str, url: &str) -> opendal::Result<http::request::Builder> {
        let request = Request::builder().method(method).uri(url);
        Ok(match (&self.token, &self.user) {
            (Some(token), _) => request.header(AUTHORIZATION, format_authorization_by_bearer(token.expose())?),
            (None, Some(user)) => {
                let password = self.password.as_ref().map_or("", Secret::expose);
                request.header(AUTHORIZATION, format_authorization_by_basic(user, password)?)
            }
            (None, None) => request,
        })
    }

    /// Makes the collection that `key` is in, and those it is in, up to one that exists.
    async fn make_parents(&self, http: &Http, key: &str) -> opendal::Result<()> {
        let full = match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}/{key}"),
        };
        let parents: Vec<&str> = full.match_indices('/').map(|(at, _)| &full[..at]).collect();
        let mut missing = parents.len();
        // From the deepest: as a rule most exist.
        while missing > 0 {
            match self.make(http, parents[missing - 1]).await?.status {
                StatusCode::CONFLICT | StatusCode::NOT_FOUND => missing -= 1,
                _ => break,
            }
        }
        for parent in parents.iter().skip(missing) {
            let mut answer = self.make(http, parent).await?;
            if !answer.status.is_success() {
                // Somebody else may have made it at the same time.
                answer = self.make(http, parent).await?;
            }
            if answer.status != StatusCode::METHOD_NOT_ALLOWED {
                answer.ok()?;
            }
        }
        Ok(())
    }

    async fn make(&self, http: &Http, full: &str) -> opendal::Result<Answer> {
        let url = format!("{}/{}/", self.server, percent_encode_path(full));
        let request = self.request("MKCOL", &url)?.header(CONTENT_LENGTH, 0);
        http.ask(Operation::CreateDir, request, Buffer::new()).await
    }

    async fn send(&self, http: &Http, key: &str, body: Buffer) -> opendal::Result<()> {
        let put = async || {
            let request = self.request("PUT", &self.url(key))?.header(CONTENT_LENGTH, body.len());
            http.ask(Operation::Write, request, body.clone()).await
        };
        // A large object would have to be sent twice to find out.
        let mut ready = self.ready.lock().await;
        if !*ready {
            self.make_parents(http, key).await?;
            *ready = true;
        }
        drop(ready);
        let answer = put().await?;
        if may_miss_collection(answer.status) {
            let _one_at_a_time = self.ready.lock().await;
            self.make_parents(http, key).await?;
            return put().await?.ok().map(drop);
        }
        answer.ok().map(drop)
    }

    async fn move_to(&self, http: &Http, order: &Move<'_>) -> opendal::Result<bool> {
        let overwrite = if order.replace { "T" } else { "F" };
        let go = async || {
            let request = self
                .request("MOVE", &self.url(order.from))?
                .header("Destination", self.url(order.to))
                .header("Overwrite", overwrite)
                .header(CONTENT_LENGTH, 0);
            http.ask(Operation::Rename, request, Buffer::new()).await
        };
        let mut answer = go().await?;
        if may_miss_collection(answer.status) {
            let _one_at_a_time = self.ready.lock().await;
            self.make_parents(http, order.to).await?;
            answer = go().await?;
        }
        // A server removes what is replaced and then moves: in between, another writer is told something else.
        for attempt in 1..=MOVES {
            if !order.replace || answer.status.is_success() || answer.status == StatusCode::UNAUTHORIZED {
                break;
            }
            // At random, so that those who met once do not meet again.
            tokio::time::sleep(Duration::from_millis(random() % (WAIT * attempt))).await;
            answer = go().await?;
        }
        if answer.status == StatusCode::PRECONDITION_FAILED && !order.replace {
            return Ok(false);
        }
        answer.ok().map(|_| true)
    }
}

/// Whether a server may say this when a collection is missing: the standard has the first, Apache the last for moves.
fn may_miss_collection(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::CONFLICT | StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::INTERNAL_SERVER_ERROR
    )
}

impl Service for WebDav {
    fn describe(&self) -> String {
        shown_server(("webdavs", "webdav"), &self.server, self.user.as_deref(), &self.path)
    }

    fn container(&self) -> &'static str {
        "collection"
    }

    fn operator<'a>(&'a self, http: &'a Http) -> Work<'a, Operator> {
        Box::pin(std::future::ready(self.client(http)))
    }

    fn writes(&self) -> Writes {
        Writes::Staged
    }

    fn listing(&self) -> Listing {
        Listing::Walked
    }

    fn stage<'a>(&'a self, http: &'a Http, _: &'a Operator, key: &'a str, body: Buffer) -> Work<'a, ()> {
        Box::pin(self.send(http, key, body))
    }

    fn publish<'a>(&'a self, http: &'a Http, order: Move<'a>) -> Work<'a, bool> {
        Box::pin(async move { self.move_to(http, &order).await })
    }
}
