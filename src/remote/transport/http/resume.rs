//! Uploads that go on where they broke off, also in another process.
//!
//! The server knows an upload by who sends what: opening it again tells how much has arrived. So nothing is noted here,
//! and a call that is repeated goes on by itself.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};

use super::super::traffic::add;
use super::super::{Body, PutMode, PutOutcome};
use super::{
    COMPLETE_HEADER, HttpTransport, LENGTH_HEADER, OFFSET_HEADER, Result, TransportError, condition, number,
    with_number,
};

/// Bytes of a request: what a proxy that takes in whole requests may lose.
const PART: u64 = 16 << 20;
/// Times that the server may say that it has arrived at another place.
const CORRECTIONS: u32 = 5;

#[derive(serde::Deserialize)]
struct Begun {
    upload: String,
    offset: u64,
}

impl HttpTransport {
    pub(super) fn put_resumably(&self, key: &str, body: &Body, size: u64, mode: PutMode) -> Result<PutOutcome> {
        let url = self.url(key)?;
        let mut headers = condition(mode);
        with_number(&mut headers, LENGTH_HEADER, size);
        add(&self.counters.puts, 1);
        let content = self.content(key, &Body::Bytes(bytes::Bytes::new()), None)?;
        let answer = self.send(key, Method::POST, &format!("{url}?upload"), headers, Some(content))?;
        match answer.status {
            StatusCode::PRECONDITION_FAILED => return Ok(PutOutcome::Existed),
            status if status.is_success() => {}
            _ => return Err(self.refused(key, &answer)),
        }
        let text = self.receive(key, answer, 0, 64 * 1024, None)?;
        let begun: Begun = serde_json::from_slice(&text).map_err(|error| TransportError::Failed {
            place: self.place(key),
            source: error.into(),
        })?;
        let url = format!("{url}?upload={}", crate::path::percent_encode(&begun.upload));
        let (mut offset, mut corrections) = (begun.offset.min(size), 0);
        loop {
            let end = size.min(offset.saturating_add(PART));
            let mut headers = HeaderMap::new();
            with_number(&mut headers, OFFSET_HEADER, offset);
            if end == size {
                headers.insert(HeaderName::from_static(COMPLETE_HEADER), HeaderValue::from_static("?1"));
            }
            add(&self.counters.puts, 1);
            let content = self.content(key, body, Some(offset..end))?;
            let answer = self.send(key, Method::PATCH, &url, headers, Some(content))?;
            match answer.status {
                StatusCode::CREATED => return Ok(PutOutcome::Created),
                StatusCode::PRECONDITION_FAILED => return Ok(PutOutcome::Existed),
                status if status.is_success() && end < size => offset = end,
                StatusCode::CONFLICT if corrections < CORRECTIONS => {
                    corrections += 1;
                    match number(&answer.headers, OFFSET_HEADER) {
                        Some(now) => offset = now.min(size),
                        None => return Err(self.refused(key, &answer)),
                    }
                }
                // The server was started anew, or has given the upload up: it is begun again.
                StatusCode::NOT_FOUND => {
                    return Err(TransportError::Disconnected {
                        place: self.place(key),
                        source: "the server no longer knows the upload".into(),
                    });
                }
                _ => return Err(self.refused(key, &answer)),
            }
        }
    }
}
