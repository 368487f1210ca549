//! Answers, and why a request is refused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{Response, StatusCode};

use crate::causes::in_one_line;
use crate::remote::transport::{MODIFIED_HEADER, OFFSET_HEADER, ObjectMeta, TransportError};

/// What a request leads to.
pub(super) type Answer = Result<Response<Body>, Refusal>;

/// Why a request is refused: a status and a sentence.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    message: String,
    headers: Vec<(HeaderName, String)>,
    /// What only the server's log may say.
    pub(super) private: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            headers: Vec::new(),
            private: None,
        }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no such object")
    }

    pub(super) fn existed() -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "the object exists")
    }

    pub(super) fn unauthenticated(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message).with(WWW_AUTHENTICATE, "Bearer realm=\"modver\"")
    }

    pub(super) fn denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(super) fn method(allowed: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "the method is not allowed here").with(ALLOW, allowed)
    }

    pub(super) fn too_large(limit: u64) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("an object of this kind has at most {limit} bytes here"),
        )
    }

    pub(super) fn full(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, message)
    }

    pub(super) fn wrong_content(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub(super) fn range(size: u64) -> Self {
        Self::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            format!("the object has {size} bytes"),
        )
        .with(CONTENT_RANGE, format!("bytes */{size}"))
    }

    pub(super) fn offset(now: u64) -> Self {
        Self::new(StatusCode::CONFLICT, format!("the upload is at {now}"))
            .with(HeaderName::from_static(OFFSET_HEADER), now.to_string())
    }

    /// The server's own failure; what it was is for its administrator.
    pub(super) fn failed(private: impl std::fmt::Display) -> Self {
        let mut refusal = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed; its log says why");
        refusal.private = Some(private.to_string());
        refusal
    }

    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn response(self) -> Response<Body> {
        let mut text = self.message;
        text.push('\n');
        let mut response = plain(self.status, text);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

impl From<TransportError> for Refusal {
    fn from(error: TransportError) -> Self {
        let private = in_one_line(&error);
        let mut refusal = match &error {
            TransportError::NotFound(_) => return Self::not_found(),
            TransportError::InvalidKey(_) => return Self::bad("this cannot be the name of an object"),
            TransportError::OutOfRange { .. } => Self::failed(""),
            TransportError::NoSpace { .. } => Self::full("the server has no space left"),
            TransportError::Throttled { retry_after, .. } => {
                let wait = retry_after.unwrap_or(Duration::from_secs(1)).as_secs().max(1);
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the server's storage asks for fewer requests",
                )
                .with(RETRY_AFTER, wait.to_string())
            }
            error if error.is_retryable() => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the server's storage cannot be reached now",
            ),
            _ => Self::failed(""),
        };
        refusal.private = Some(private);
        refusal
    }
}

/// A short text.
pub(super) fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// No content.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Sets a header to a number.
pub(super) fn set_number(response: &mut Response<Body>, name: HeaderName, value: u64) {
    response.headers_mut().insert(name, HeaderValue::from(value));
}

/// What describes an object.
pub(super) fn describe(response: &mut Response<Body>, object: &ObjectMeta, immutable: bool) {
    set_number(response, CONTENT_LENGTH, object.size);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // What has its hash for a name never changes; for the rest, a proxy has to ask.
    let cache = if immutable {
        "private, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Ok(tag) = HeaderValue::from_str(&etag(object)) {
        headers.insert(ETAG, tag);
    }
    if let Some(modified) = nanoseconds(object.modified) {
        headers.insert(HeaderName::from_static(MODIFIED_HEADER), HeaderValue::from(modified));
    }
}

/// What this version of an object is called.
pub(super) fn etag(object: &ObjectMeta) -> String {
    match &object.etag {
        Some(etag) => etag.clone(),
        None => format!("\"{:x}-{:x}\"", nanoseconds(object.modified).unwrap_or(0), object.size),
    }
}

/// A moment in nanoseconds since 1970.
pub(super) fn nanoseconds(time: Option<SystemTime>) -> Option<u64> {
    let since = time?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}
