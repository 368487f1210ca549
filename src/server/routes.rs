//! From a request to its answer.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, IF_MATCH,
    IF_NONE_MATCH, IF_RANGE, RANGE, TRANSFER_ENCODING,
};
use axum::http::{Method, Request, Response, StatusCode, Uri};

use super::access::{Action, Role, Who, needed};
use super::answer::{Answer, Refusal, describe, empty, etag, nanoseconds, plain, set_number};
use super::download::{self, Asked};
use super::keys::{Kind, classify, is_repository};
use super::log::Log;
use super::metrics::Metrics;
use super::options::Patience;
use super::record::{Counted, Record};
use super::run::Notice;
use super::sessions::Sessions;
use super::spool;
use super::storage::Storage;
use super::tokens::Tokens;
use super::upload::{self, Target, blocking};
use super::usage::Usage;
use crate::causes::in_one_line;
use crate::path::percent_decode;
use crate::remote::transport::{COMPLETE_HEADER, LENGTH_HEADER, OFFSET_HEADER, PutMode, SERVER_HEADER, check_prefix};

/// Objects of one page of a listing.
const PAGE: usize = 10_000;

/// What all requests share.
pub(super) struct State {
    pub(super) storage: Arc<Storage>,
    pub(super) usage: Arc<Usage>,
    pub(super) sessions: Sessions,
    pub(super) tokens: Tokens,
    pub(super) metrics: Metrics,
    pub(super) log: Log,
    pub(super) spool: PathBuf,
    pub(super) patience: Patience,
    pub(super) max_object: u64,
    pub(super) public_read: bool,
    /// Whether everybody is let in as long as no token was ever made: only where no other machine reaches.
    pub(super) open: bool,
    pub(super) unchecked: bool,
    pub(super) notice: Notice,
}

/// Answers one request.
pub(super) async fn handle(state: Arc<State>, peer: SocketAddr, request: Request<Body>) -> Response<Body> {
    let target = request
        .uri()
        .path_and_query()
        .map_or("*", |target| target.as_str())
        .to_owned();
    let record = Record::new(peer, method_name(request.method()), target);
    let head = request.method() == Method::HEAD;
    let answer = route(&state, &record, request).await;
    let mut response = answer.unwrap_or_else(|refusal| {
        if let Some(private) = &refusal.private {
            (state.notice)(&format!("{} {}: {private}", record.method, record.target));
        }
        refusal.response()
    });
    response
        .headers_mut()
        .insert(HeaderName::from_static(SERVER_HEADER), HeaderValue::from_static("1"));
    let (parts, body) = response.into_parts();
    let body = if head { Body::empty() } else { body };
    let counted = Counted::new(body, parts.status, record, state);
    Response::from_parts(parts, Body::new(counted))
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

async fn route(state: &Arc<State>, record: &Record, request: Request<Body>) -> Answer {
    let (parts, body) = request.into_parts();
    let routed = match route_parts(state, record, &parts.method, &parts.uri, &parts.headers).await {
        Ok(Routed::Done(response)) => return Ok(response),
        Ok(routed) => routed,
        Err(refusal) => {
            // Who sends content reads no answer before it is sent.
            spool::drain(body, state.patience.idle, record).await;
            return Err(refusal);
        }
    };
    match routed {
        Routed::Done(response) => Ok(response),
        Routed::Put { target, mode, length } => upload::put(state, target, mode, length, body, record).await,
        Routed::Append {
            target,
            who,
            upload,
            offset,
            length,
            last,
        } => {
            let session = match state.sessions.find(&upload, &target, &who) {
                Ok(session) => session,
                Err(refusal) => {
                    spool::drain(body, state.patience.idle, record).await;
                    return Err(refusal);
                }
            };
            session.append(state, offset, length, last, body, record).await
        }
    }
}

/// What a request's head asks for.
enum Routed {
    Done(Response<Body>),
    Put {
        target: Target,
        mode: PutMode,
        length: u64,
    },
    Append {
        target: Target,
        who: String,
        upload: String,
        offset: u64,
        length: u64,
        last: bool,
    },
}

async fn route_parts(
    state: &Arc<State>,
    record: &Record,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Routed, Refusal> {
    let path = uri.path();
    let query = Query::read(uri)?;
    match path {
        "/" | "/health" if method == Method::GET || method == Method::HEAD => {
            return Ok(Routed::Done(plain(StatusCode::OK, "ok\n".to_owned())));
        }
        "/metrics" if method == Method::GET || method == Method::HEAD => {
            let who = authenticate(state, headers)?;
            record.set_who(who.name());
            if !who.may_see_all() {
                return Err(Refusal::denied("the token is not for all repositories"));
            }
            let state = Arc::clone(state);
            let text = blocking(move || Ok(state.metrics.text(&state.usage.all(), state.sessions.count())));
            return Ok(Routed::Done(plain(StatusCode::OK, text.await?)));
        }
        "/" | "/health" | "/metrics" => return Err(Refusal::method("GET, HEAD")),
        _ => {}
    }
    let who = authenticate(state, headers)?;
    record.set_who(who.name());
    let (repository, key) = split(path)?;
    if !who.may_enter(&repository) {
        return Err(Refusal::denied(format!(
            "the token is not for the repository `{repository}`"
        )));
    }
    if key.is_empty() {
        return match (method, query.list) {
            (&Method::GET, Some(prefix)) => list(state, repository, prefix, query.after).await.map(Routed::Done),
            (&Method::GET | &Method::HEAD, None) => Err(Refusal::bad("write ?list=PREFIX to list objects")),
            _ => Err(Refusal::method("GET")),
        };
    }
    let Some(entry) = classify(&key, state.unchecked) else {
        return Err(Refusal::bad("no store has an object of this name"));
    };
    let target = Target { repository, key, entry };
    let allow = |action| permit(&who, action, entry.kind);
    match *method {
        Method::GET | Method::HEAD => {
            allow(Action::Read)?;
            match (query.upload, method == Method::HEAD) {
                (Some(upload), true) => {
                    let session = state.sessions.find(&upload, &target, who.name())?;
                    let offset = blocking(move || session.offset()).await?;
                    let mut response = empty(StatusCode::OK);
                    set_number(&mut response, HeaderName::from_static(OFFSET_HEADER), offset);
                    Ok(Routed::Done(response))
                }
                _ => get(state, target, headers, method == Method::HEAD)
                    .await
                    .map(Routed::Done),
            }
        }
        Method::PUT => {
            let mode = put_mode(headers)?;
            allow(action_of(mode))?;
            let length = content_length(headers)?;
            Ok(Routed::Put { target, mode, length })
        }
        Method::POST if query.upload.is_some() => {
            let mode = put_mode(headers)?;
            allow(action_of(mode))?;
            let length = number(headers, LENGTH_HEADER)?;
            Sessions::begin(state, target, mode, length, who.name())
                .await
                .map(Routed::Done)
        }
        Method::PATCH => {
            allow(Action::Create)?;
            let upload = query
                .upload
                .ok_or_else(|| Refusal::bad("which upload is it? write ?upload=ID"))?;
            Ok(Routed::Append {
                target,
                who: who.name().to_owned(),
                upload,
                offset: number(headers, OFFSET_HEADER)?,
                length: content_length(headers)?,
                last: headers.get(COMPLETE_HEADER).is_some_and(|value| value == "?1"),
            })
        }
        Method::DELETE => match query.upload {
            Some(upload) => {
                allow(Action::Create)?;
                let session = state.sessions.find(&upload, &target, who.name())?;
                Sessions::abandon(state, session).await.map(Routed::Done)
            }
            None => {
                allow(Action::Remove)?;
                delete(state, target, who.role()).await.map(Routed::Done)
            }
        },
        _ => Err(Refusal::method("GET, HEAD, PUT, POST, PATCH, DELETE")),
    }
}

const fn action_of(mode: PutMode) -> Action {
    match mode {
        PutMode::IfAbsent => Action::Create,
        PutMode::Overwrite => Action::Replace,
    }
}

fn permit(who: &Who, action: Action, kind: Kind) -> Result<(), Refusal> {
    let needed = needed(action, kind);
    if who.role() >= needed {
        return Ok(());
    }
    let needed = match needed {
        Role::Read => "read",
        Role::Write => "write",
        Role::Admin => "administer",
    };
    Err(match who {
        Who::Token(_) => Refusal::denied(format!("the token does not allow to {needed}")),
        Who::Anybody(_) => Refusal::unauthenticated("this needs a token"),
    })
}

/// Finds out who asks.
fn authenticate(state: &State, headers: &HeaderMap) -> Result<Who, Refusal> {
    let sent = headers.get(AUTHORIZATION);
    let known = state.tokens.current().map_err(|error| {
        let mut refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the server cannot read its tokens");
        refusal.private = Some(in_one_line(&error));
        refusal
    })?;
    let Some(known) = known else {
        return match state.open {
            true if is_this_machine(headers) => Ok(Who::Anybody(Role::Admin)),
            true => Err(Refusal::denied(
                "a server without tokens is for this machine only; make a token to serve others",
            )),
            false => Err(Refusal::unauthenticated("the server has no tokens")),
        };
    };
    let Some(sent) = sent else {
        return if state.public_read {
            Ok(Who::Anybody(Role::Read))
        } else {
            Err(Refusal::unauthenticated("this needs a token"))
        };
    };
    let token = sent.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(u64::MAX, |since| since.as_secs());
    let found = token.and_then(|token| Tokens::find(&known, token, now));
    match found {
        Some(token) => Ok(Who::Token(token)),
        None => Err(Refusal::unauthenticated(
            "the token is not known, was revoked or has expired",
        )),
    }
}

/// Whether the server was asked for by a name that only this machine has for it: not by a page in a browser that takes
/// this machine for its own host, nor through a proxy that passes on by what name it was asked.
fn is_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let is_local = |name: &str| name.eq_ignore_ascii_case("localhost");
    is_local(name) || name.rsplit('.').next().is_some_and(is_local) || name.parse::<IpAddr>().is_ok()
}

/// The repository and the key in a path.
fn split(path: &str) -> Result<(String, String), Refusal> {
    let wrong = || Refusal::bad("this cannot be the name of an object");
    let path = path.strip_prefix('/').ok_or_else(wrong)?;
    let (repository, key) = path.split_once('/').unwrap_or((path, ""));
    if !is_repository(repository) {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "there is no such repository"));
    }
    let key = percent_decode(key)
        .and_then(|key| String::from_utf8(key).ok())
        .ok_or_else(wrong)?;
    Ok((repository.to_owned(), key))
}

/// The parameters that a request may have.
#[derive(Default)]
struct Query {
    list: Option<String>,
    after: Option<String>,
    upload: Option<String>,
}

impl Query {
    fn read(uri: &Uri) -> Result<Self, Refusal> {
        let mut query = Self::default();
        for parameter in uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|text| !text.is_empty())
        {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = percent_decode(value)
                .and_then(|value| String::from_utf8(value).ok())
                .ok_or_else(|| Refusal::bad("a parameter is not encoded as it has to be"))?;
            match name {
                "list" => query.list = Some(value),
                "after" => query.after = Some(value),
                "upload" => query.upload = Some(value),
                _ => return Err(Refusal::bad("there is no such parameter")),
            }
        }
        Ok(query)
    }
}

fn text(headers: &HeaderMap, name: impl axum::http::header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn put_mode(headers: &HeaderMap) -> Result<PutMode, Refusal> {
    if headers.contains_key(IF_MATCH) {
        return Err(Refusal::bad("If-Match is not supported"));
    }
    match text(headers, IF_NONE_MATCH) {
        None if !headers.contains_key(IF_NONE_MATCH) => Ok(PutMode::Overwrite),
        Some("*") => Ok(PutMode::IfAbsent),
        _ => Err(Refusal::bad("the only condition is If-None-Match: *")),
    }
}

fn content_length(headers: &HeaderMap) -> Result<u64, Refusal> {
    if headers.contains_key(TRANSFER_ENCODING) || !headers.contains_key(CONTENT_LENGTH) {
        return Err(Refusal::new(StatusCode::LENGTH_REQUIRED, "Content-Length is missing"));
    }
    number(headers, CONTENT_LENGTH.as_str())
}

fn number(headers: &HeaderMap, name: &'static str) -> Result<u64, Refusal> {
    text(headers, name)
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Refusal::bad(format!("{name} must be a number")))
}

async fn get(state: &Arc<State>, target: Target, headers: &HeaderMap, head: bool) -> Answer {
    let object = {
        let (state, target) = (Arc::clone(state), target.clone());
        blocking(move || Ok(state.storage.stat(&target.repository, &target.key)?)).await?
    };
    let object = object.ok_or_else(Refusal::not_found)?;
    let mut response = empty(StatusCode::OK);
    describe(&mut response, &object, target.entry.hash.is_some());
    if head {
        return Ok(response);
    }
    // A part of another version is of no use.
    let same = text(headers, IF_RANGE).is_none_or(|tag| tag == etag(&object));
    let range = match download::asked(text(headers, RANGE).filter(|_| same), object.size) {
        Asked::All => 0..object.size,
        Asked::Nothing => return Err(Refusal::range(object.size)),
        Asked::Part(range) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let shown = format!("bytes {}-{}/{}", range.start, range.end - 1, object.size);
            if let Ok(shown) = HeaderValue::from_str(&shown) {
                response.headers_mut().insert(CONTENT_RANGE, shown);
            }
            set_number(&mut response, CONTENT_LENGTH, range.end - range.start);
            range
        }
    };
    let storage = Arc::clone(&state.storage);
    // What has its hash for a name does not change; the rest may be replaced while it is read.
    let version = target.entry.hash.is_none().then(|| etag(&object));
    let source = download::Source {
        storage,
        repository: target.repository,
        key: target.key,
        version,
    };
    *response.body_mut() = download::body(source, range).await?;
    Ok(response)
}

async fn list(state: &Arc<State>, repository: String, prefix: String, after: Option<String>) -> Answer {
    if !check_prefix(&prefix) {
        return Err(Refusal::bad("nothing has a name that begins so"));
    }
    let state = Arc::clone(state);
    let text = blocking(move || {
        let objects = state.storage.list(&repository, &prefix)?;
        let begin = after.map_or(0, |after| objects.partition_point(|object| object.key <= after));
        let page = &objects[begin..objects.len().min(begin + PAGE)];
        let next = page.last().filter(|_| begin + page.len() < objects.len());
        let listed: Vec<_> = page
            .iter()
            .map(|object| {
                serde_json::json!({
                    "key": object.key,
                    "size": object.size,
                    "modified": nanoseconds(object.modified),
                    "etag": etag(object),
                })
            })
            .collect();
        Ok(serde_json::json!({ "objects": listed, "next": next.map(|object| &object.key) }).to_string())
    });
    let mut response = Response::new(Body::from(text.await?));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

async fn delete(state: &Arc<State>, target: Target, role: Role) -> Answer {
    let state = Arc::clone(state);
    blocking(move || {
        let Target { repository, key, entry } = &target;
        let is_run = entry.kind == Kind::Run;
        let _turn = is_run.then(|| state.storage.lock_catalog(repository));
        let Some(object) = state.storage.stat(repository, key)? else {
            return Ok(empty(StatusCode::NO_CONTENT));
        };
        let id = entry.hash.map(crate::hash::RunId::from_bytes);
        if is_run && role < Role::Admin && !id.map_or(Ok(false), |id| state.storage.is_covered(repository, id))? {
            return Err(Refusal::denied(
                "the run says what no other run says; only a token that administers may remove it",
            ));
        }
        state.storage.delete(repository, key)?;
        state.usage.forget(repository, object.size);
        if is_run {
            state.storage.put_current(repository)?;
        }
        Ok(empty(StatusCode::NO_CONTENT))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        let asked = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_str(host).unwrap());
            is_this_machine(&headers)
        };
        for local in [
            "localhost",
            "LOCALHOST:80",
            "a.localhost",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(asked(local), "{local}");
        }
        for other in [
            "evil.example",
            "localhost.evil.example:8080",
            "127.0.0.1.evil.example",
            "x",
            "",
        ] {
            assert!(!asked(other), "{other}");
        }
        assert!(is_this_machine(&HeaderMap::new()));
    }

    #[test]
    fn paths_name_a_repository_and_a_key() {
        let ok = |path: &str| split(path).ok();
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(ok("/data/packs/ab/x%20y"), pair("data", "packs/ab/x y"));
        assert_eq!(ok("/data"), pair("data", ""));
        assert_eq!(ok("/data/"), pair("data", ""));
        // Whether a key is one is another question; it does not become another repository's.
        assert_eq!(ok("/data/..%2f..%2fx"), pair("data", "../../x"));
        for bad in [
            "",
            "/",
            "//x",
            "/../x",
            "/%2e%2e/x",
            "/.git/x",
            "/tmp/x",
            "/data/%",
            "/data/%ff",
        ] {
            assert_eq!(ok(bad), None, "{bad}");
        }
    }
}
