//! Says in errors what the settings call the remote, so that what helps can be typed as it stands.

use std::ops::Range;
use std::sync::Arc;

use super::{Body, ObjectMeta, PutMode, PutOutcome, Result, Traffic, Transport, TransportError};

/// A remote by its name in the settings.
pub(super) struct Named {
    inner: Box<dyn Transport>,
    name: Arc<str>,
}

impl Named {
    pub(super) fn new(inner: Box<dyn Transport>, name: &str) -> Self {
        Self {
            inner,
            name: name.into(),
        }
    }

    fn named<R>(&self, result: Result<R>) -> Result<R> {
        result.map_err(|error| error.of(&self.name))
    }
}

impl TransportError {
    /// The same about a remote of this name.
    #[must_use]
    pub(super) fn of(mut self, name: &Arc<str>) -> Self {
        if let Some(place) = self.place_mut() {
            place.name = Some(Arc::clone(name));
        }
        self
    }
}

impl Transport for Named {
    fn describe(&self) -> &str {
        self.inner.describe()
    }

    fn get(&self, key: &str, limit: u64) -> Result<Vec<u8>> {
        self.named(self.inner.get(key, limit))
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        self.named(self.inner.get_range(key, range))
    }

    fn put(&self, key: &str, body: &Body, mode: PutMode) -> Result<PutOutcome> {
        self.named(self.inner.put(key, body, mode))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        self.named(self.inner.list(prefix))
    }

    fn stat(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.named(self.inner.stat(key))
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.named(self.inner.delete(key))
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}
