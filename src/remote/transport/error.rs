//! Why a transport call failed, told so that a caller can act on it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::sealed::KeyError;
use super::url::UrlError;

/// What lies beneath an error.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// What an error is about: a remote, and a key in it if the call named one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The remote's URL without credentials.
    pub remote: Arc<str>,
    /// The key, or the prefix of a listing; empty for the whole remote.
    pub key: String,
    /// What the settings call the remote, if it is one of theirs.
    pub name: Option<Arc<str>>,
}

impl Place {
    /// A remote's URL without credentials, and a key in it or nothing.
    #[must_use]
    pub fn new(remote: impl Into<Arc<str>>, key: impl Into<String>) -> Self {
        Self {
            remote: remote.into(),
            key: key.into(),
            name: None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.remote.starts_with("http") && self.key.is_empty() {
            // A plain URL, which is no remote.
            write!(f, "`{}`", self.remote)
        } else if self.key.is_empty() {
            write!(f, "remote `{}`", self.remote)
        } else {
            write!(f, "`{}` in remote `{}`", self.key, self.remote)
        }
    }
}

/// Why a transport call failed.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The object does not exist.
    #[error("{0} does not exist")]
    NotFound(Place),
    /// The directory or bucket itself does not exist.
    #[error("remote {what} does not exist: `{remote}`", remote = .place.remote)]
    NoRemote {
        /// The remote.
        place: Place,
        /// `directory`, `bucket`, `container`, ...
        what: &'static str,
    },
    /// Known credentials, or the operating system's user, may not do this.
    #[error("permission denied: {place}")]
    Denied {
        /// What was asked for.
        place: Place,
        /// What the service said.
        source: Source,
    },
    /// The service does not accept these credentials, or they have expired.
    #[error("credentials were refused by {place}")]
    Unauthenticated {
        /// What was asked for.
        place: Place,
        /// What the service said.
        source: Source,
    },
    /// No credentials were found.
    #[error("no credentials found for {place}")]
    NoCredentials {
        /// What was asked for.
        place: Place,
        /// Where was looked.
        source: Source,
    },
    /// It is not known whether a server is the right one.
    #[error("the key of the host {}: {place}", if *.changed { "is not the one it had" } else { "is not known" })]
    HostKey {
        /// What was asked for.
        place: Place,
        /// What `ssh` is told to connect.
        target: String,
        /// Whether another key is known of this host.
        changed: bool,
        /// What `ssh` said.
        source: Source,
    },
    /// The bucket is in another region.
    #[error("{place} is in region `{region}`")]
    WrongRegion {
        /// What was asked for.
        place: Place,
        /// The right region, as the service named it; `unknown` if it did not.
        region: String,
        /// What the service said.
        source: Source,
    },
    /// No connection could be made.
    #[error("cannot reach {place}")]
    Unreachable {
        /// What was asked for.
        place: Place,
        /// Why not.
        source: Source,
    },
    /// A connection was lost.
    #[error("connection lost: {place}")]
    Disconnected {
        /// What was asked for.
        place: Place,
        /// How.
        source: Source,
    },
    /// Nothing arrived for too long.
    #[error("no answer for {} s: {place}", .after.as_secs())]
    TimedOut {
        /// What was asked for.
        place: Place,
        /// How long was waited.
        after: Duration,
    },
    /// The service asks for fewer requests.
    #[error("{place} asks for fewer requests")]
    Throttled {
        /// What was asked for.
        place: Place,
        /// When to come again, if it said so.
        retry_after: Option<Duration>,
        /// What the service said.
        source: Source,
    },
    /// The service failed in a way that may pass.
    #[error("{place} failed with status {status}")]
    Server {
        /// What was asked for.
        place: Place,
        /// HTTP status.
        status: u16,
        /// When to come again, if it said so.
        retry_after: Option<Duration>,
        /// What the service said.
        source: Source,
    },
    /// The service refused for a reason that will not pass.
    #[error("{place} refused the request (status {status})")]
    Refused {
        /// What was asked for.
        place: Place,
        /// HTTP status.
        status: u16,
        /// What the service said.
        source: Source,
    },
    /// A web server answered with something else than a file.
    #[error("{place} was answered with status {status} ({reason})")]
    Status {
        /// What was asked for.
        place: Place,
        /// HTTP status.
        status: u16,
        /// What it stands for.
        reason: String,
    },
    /// A web server sends the reader around, or to a place that is not safe.
    #[error("{place} cannot be followed to where it leads")]
    Redirected {
        /// What was asked for.
        place: Place,
        /// Why not.
        source: Source,
    },
    /// The remote cannot be written.
    #[error("{place} is read-only")]
    ReadOnly {
        /// What was asked for.
        place: Place,
        /// What the operating system or service said.
        source: Source,
    },
    /// The remote is full.
    #[error("no space left for {place}")]
    NoSpace {
        /// What was asked for.
        place: Place,
        /// What the operating system or service said.
        source: Source,
    },
    /// Fewer bytes arrived than were announced.
    #[error("{place} was cut off")]
    Truncated {
        /// What was asked for.
        place: Place,
        /// How it ended.
        source: Source,
    },
    /// The object ends before the range does.
    #[error("{place} has no bytes {start}..{end}")]
    OutOfRange {
        /// What was asked for.
        place: Place,
        /// First byte asked for.
        start: u64,
        /// Behind the last byte asked for.
        end: u64,
    },
    /// The object is larger than the caller allows.
    #[error("{place} is larger than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        place: Place,
        /// Bytes allowed.
        limit: u64,
    },
    /// The operation was asked to stop.
    #[error("interrupted: {0}")]
    Interrupted(Place),
    /// A key that no store has.
    #[error("not a valid key: {0}")]
    InvalidKey(Place),
    /// The service does not know this operation.
    #[error("{place} does not support this")]
    Unsupported {
        /// What was asked for.
        place: Place,
        /// What the service said.
        source: Source,
    },
    /// The file to upload cannot be read.
    #[error("cannot read what should be stored as {place}")]
    Upload {
        /// Where it should go.
        place: Place,
        /// Which file, and why.
        source: Source,
    },
    /// Another failure of the file system, the connection or the service's answer.
    #[error("failed: {place}")]
    Failed {
        /// What was asked for.
        place: Place,
        /// What happened.
        source: Source,
    },
    /// The store cannot be opened with the key that the settings name.
    #[error("cannot read {place}")]
    Encryption {
        /// The remote.
        place: Place,
        /// Why not.
        #[source]
        problem: Box<KeyError>,
    },
    /// The URL of a remote is not usable.
    #[error("remote `{remote}`")]
    Url {
        /// The remote's name.
        remote: String,
        /// Why.
        source: UrlError,
    },
}

/// The place in an error, borrowed as the error is.
macro_rules! place_of {
    ($error:expr) => {
        match $error {
            Self::NotFound(place)
            | Self::Interrupted(place)
            | Self::InvalidKey(place)
            | Self::NoRemote { place, .. }
            | Self::Denied { place, .. }
            | Self::Unauthenticated { place, .. }
            | Self::NoCredentials { place, .. }
            | Self::HostKey { place, .. }
            | Self::WrongRegion { place, .. }
            | Self::Unreachable { place, .. }
            | Self::Disconnected { place, .. }
            | Self::TimedOut { place, .. }
            | Self::Throttled { place, .. }
            | Self::Server { place, .. }
            | Self::Refused { place, .. }
            | Self::Status { place, .. }
            | Self::Redirected { place, .. }
            | Self::ReadOnly { place, .. }
            | Self::NoSpace { place, .. }
            | Self::Truncated { place, .. }
            | Self::OutOfRange { place, .. }
            | Self::TooLarge { place, .. }
            | Self::Unsupported { place, .. }
            | Self::Upload { place, .. }
            | Self::Failed { place, .. }
            | Self::Encryption { place, .. } => Some(place),
            Self::Url { .. } => None,
        }
    };
}

impl TransportError {
    /// Whether the same call may succeed if it is repeated a little later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Disconnected { .. }
                | Self::TimedOut { .. }
                | Self::Throttled { .. }
                | Self::Server { .. }
                | Self::Truncated { .. }
        )
    }

    /// The same about another place, where one call asked on behalf of another.
    #[must_use]
    pub(super) fn at(mut self, at: Place) -> Self {
        if let Some(place) = self.place_mut() {
            *place = at;
        }
        self
    }

    /// How long the service asked to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Server { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What the settings call the remote that it is about.
    #[must_use]
    pub fn remote_name(&self) -> Option<&str> {
        self.place()?.name.as_deref()
    }

    /// What it is about, if it is about something in a remote.
    pub(super) const fn place_mut(&mut self) -> Option<&mut Place> {
        place_of!(self)
    }

    const fn place(&self) -> Option<&Place> {
        place_of!(self)
    }

    /// Whether this was refused, and not because of the moment: another way to the same may be open. A service that hides
    /// what somebody may not see says that it does not exist.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NotFound(_)
                | Self::NoRemote { .. }
                | Self::Denied { .. }
                | Self::Unauthenticated { .. }
                | Self::NoCredentials { .. }
                | Self::Refused { .. }
                | Self::Unsupported { .. }
        )
    }

    /// Whether the object does not exist.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }
}
