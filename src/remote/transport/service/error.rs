//! What a failure of a service means.

use std::fmt;

use opendal::ErrorKind;

use super::super::Source;
use super::super::error::TransportError;
use super::http::{Failure, Seen};
use super::{Failed, ServiceTransport};

/// What a service said, without the URL and the headers, which may hold credentials.
#[derive(Debug)]
struct Said {
    status: u16,
    code: Option<String>,
    message: Option<String>,
}

/// Longer messages are cut.
const LONGEST: usize = 500;

impl Said {
    fn of(seen: &Seen) -> Option<Self> {
        Some(Self {
            status: seen.status?,
            code: seen.code.clone(),
            message: seen.message.clone(),
        })
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = http::StatusCode::from_u16(self.status).ok();
        let reason = reason
            .and_then(|status| status.canonical_reason())
            .unwrap_or("no known status");
        write!(f, "status {} ({reason})", self.status)?;
        if let Some(code) = &self.code {
            write!(f, ", {code}")?;
        }
        if let Some(message) = &self.message {
            let line: String = message
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .filter(|c| !c.is_control())
                .take(LONGEST)
                .collect();
            write!(f, ": {line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Said {}

impl ServiceTransport {
    /// What a failure means.
    pub(super) fn error(&self, key: &str, failed: Failed) -> TransportError {
        let Failed { call, error } = failed;
        let place = self.place(key);
        let seen = call.seen();
        if is_signing(&error) {
            let source = error.into();
            return TransportError::NoCredentials { place, source };
        }
        match seen.failure {
            Some(Failure::TooLarge) => {
                let limit = call.limit.unwrap_or(0);
                return TransportError::TooLarge { place, limit };
            }
            Some(Failure::Idle) => {
                let after = self.progress.limits().idle();
                return TransportError::TimedOut { place, after };
            }
            Some(failure) => {
                let source = error.into();
                return match failure {
                    Failure::Connect => TransportError::Unreachable { place, source },
                    Failure::Upload => TransportError::Upload { place, source },
                    _ => TransportError::Disconnected { place, source },
                };
            }
            None => {}
        }
        let temporary = error.is_temporary();
        let kind = error.kind();
        let source: Source = match Said::of(&seen) {
            Some(said) => said.into(),
            None => error.into(),
        };
        match seen.status {
            Some(status) => self.refusal(key, status, seen, source),
            None => match kind {
                ErrorKind::Unsupported => TransportError::Unsupported { place, source },
                ErrorKind::NotFound => TransportError::NotFound(place),
                // The answer was good but ended early, or was no valid listing.
                _ if temporary => TransportError::Truncated { place, source },
                _ => TransportError::Failed { place, source },
            },
        }
    }

    /// What a status other than success means.
    fn refusal(&self, key: &str, status: u16, seen: Seen, source: Source) -> TransportError {
        let place = self.place(key);
        let code = seen.code.as_deref().unwrap_or_default();
        let message = seen.message.as_deref().unwrap_or_default();
        let retry_after = seen.retry_after;
        let no_bucket = matches!(code, "NoSuchBucket" | "ContainerNotFound")
            // Google's code is the same as for an object.
            || (status == 404 && message.contains("bucket does not exist"));
        match (status, code) {
            _ if no_bucket => TransportError::NoRemote {
                place: self.place(""),
                what: self.service.container(),
            },
            (
                _,
                "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "ExpiredToken"
                | "InvalidToken"
                | "InvalidSecurity"
                | "TokenRefreshRequired"
                | "RequestTimeTooSkewed"
                | "InvalidClientTokenId"
                | "NotSignedUp"
                | "AuthenticationFailed"
                | "InvalidAuthenticationInfo"
                | "SecurityTokenExpired"
                | "invalid_grant"
                | "invalid_client",
            )
            | (401, _) => TransportError::Unauthenticated { place, source },
            (_, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                TransportError::WrongRegion {
                    place,
                    region: seen.region.unwrap_or_else(|| "unknown".to_owned()),
                    source,
                }
            }
            (301 | 302 | 307 | 308, _) if self.service.has_regions() => TransportError::WrongRegion {
                place,
                region: seen.region.unwrap_or_else(|| "unknown".to_owned()),
                source,
            },
            (300..=399, _) => TransportError::Redirected { place, source },
            (507, _)
            | (_, "QuotaExceeded" | "XMinioStorageFull" | "InsufficientCapacity" | "storageQuotaExceeded") => {
                TransportError::NoSpace { place, source }
            }
            (404, _) => TransportError::NotFound(place),
            (403, "rateLimitExceeded" | "userRateLimitExceeded") | (429, _) | (_, "SlowDown" | "TooManyRequests") => {
                TransportError::Throttled {
                    place,
                    retry_after,
                    source,
                }
            }
            (403, _) => TransportError::Denied { place, source },
            (501 | 405, _) | (_, "NotImplemented") => TransportError::Unsupported { place, source },
            (408 | 409 | 423 | 425 | 499 | 500.., _) | (_, "RequestTimeout" | "IncompleteBody") => {
                TransportError::Server {
                    place,
                    status,
                    retry_after,
                    source,
                }
            }
            _ => TransportError::Refused { place, status, source },
        }
    }
}

/// Whether no request was sent because it could not be signed.
fn is_signing(error: &opendal::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<reqsign_core::Error>())
}
