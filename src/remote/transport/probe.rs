//! Finds out what a remote really does.

use super::{Body, PutMode, PutOutcome, Result, Transport, TransportError};
use crate::store::marker;

/// What a remote was seen to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Capabilities {
    /// Objects can be written.
    pub writable: bool,
    /// A second conditional write of one key was noticed by the service.
    pub conditional_put: bool,
    /// A part of an object can be read.
    pub range: bool,
    /// Objects can be listed.
    pub list: bool,
    /// Objects can be removed.
    pub delete: bool,
}

/// Writes an object twice under the condition that it does not exist, reads a range of it, lists and removes it. What
/// the service refuses is `false` in the result. `unique` becomes part of the object's name: two probes at the same
/// time must not give the same.
///
/// # Errors
/// When the remote does not exist, cannot be reached, or refuses the credentials: that says nothing about what it
/// can do.
pub fn probe(transport: &dyn Transport, unique: &str) -> Result<Capabilities> {
    const CONTENT: &[u8] = b"modver probe: may be deleted\n";
    let key = format!("leases/probe-{unique}");
    let body = Body::Bytes(bytes::Bytes::from_static(CONTENT));
    let mut seen = Capabilities::default();
    let listed = answer(transport, transport.list("leases/probe-"))?;
    if answer(transport, transport.put(&key, &body, PutMode::IfAbsent))?.is_none() {
        seen.list = listed.is_some();
        return Ok(seen);
    }
    seen.writable = true;
    seen.conditional_put = matches!(
        answer(transport, transport.put(&key, &body, PutMode::IfAbsent))?,
        Some(PutOutcome::Existed)
    );
    seen.range = answer(transport, transport.get_range(&key, 7..12))?.is_some_and(|bytes| bytes == CONTENT[7..12]);
    let listed = answer(transport, transport.list("leases/probe-"))?;
    seen.list = listed.is_some_and(|objects| objects.iter().any(|object| object.key == key));
    seen.delete = answer(transport, transport.delete(&key))?.is_some() && is_gone(transport, &key);
    Ok(seen)
}

/// Whether an object cannot be had any more; some services only say that they will not tell.
fn is_gone(transport: &dyn Transport, key: &str) -> bool {
    matches!(transport.get(key, 1 << 10), Err(error) if error.is_refusal())
}

/// `None` for refusals that tell about the service; errors that do not stay errors. A service may also refuse by not
/// accepting who asks, or by not knowing the bucket: it does tell something if a store can be read there.
fn answer<T>(transport: &dyn Transport, result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(
            TransportError::Denied { .. }
            | TransportError::ReadOnly { .. }
            | TransportError::Refused { .. }
            | TransportError::Unsupported { .. }
            | TransportError::NotFound(_)
            | TransportError::OutOfRange { .. },
        ) => Ok(None),
        Err(error) if error.is_refusal() && transport.get(marker::NAME, marker::MAX_LEN).is_ok() => Ok(None),
        Err(error) => Err(error),
    }
}
