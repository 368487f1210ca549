//! Writes objects where they are not looked for and moves them to their keys.
//!
//! What is half written is below `tmp/`, which is no key and is never listed. What an interrupted command left there
//! is removed by the first write of a later one, a day after.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use super::super::error::TransportError;
use super::super::retry::random;
use super::super::unique::unique;
use super::super::{Body, PutMode, PutOutcome, Result, Transport as _};
use super::http::Call;
use super::{Move, ServiceTransport, Writes, listing};

/// What is older was left by somebody who is gone.
pub(in super::super) const LEFT: Duration = Duration::from_hours(24);
/// How often more a read is tried that is denied.
const READS: u64 = 3;
/// The wait before that is a random part of this, and of as much more each time, in milliseconds.
const READ_WAIT: u64 = 40;
/// More bytes are not sent before it is known that the object does not exist.
pub(in super::super) const WORTH_ASKING: u64 = 1 << 20;

impl ServiceTransport {
    /// Writes an object and moves it to its key.
    pub(super) fn put_staged(&self, key: &str, body: &Body, mode: PutMode) -> Result<PutOutcome> {
        if !self.swept.swap(true, Relaxed) {
            self.sweep();
        }
        let absent = mode == PutMode::IfAbsent;
        let (call, buffer) = self.sending(key, body)?;
        let ask = self.conditions_refused.load(Relaxed) || buffer.len() as u64 > WORTH_ASKING;
        if absent && ask && self.stat(key)?.is_some() {
            return Ok(PutOutcome::Existed);
        }
        let temporary = format!("tmp/{}", unique());
        let staged = self.run(key, call, async |operator, _| {
            self.service.stage(&self.http, &operator, &temporary, buffer).await
        })?;
        if let Err(failed) = staged {
            self.discard(&temporary);
            return Err(self.error(key, failed));
        }
        let moved = self.run(key, Call::default(), async |operator, _| {
            let order = Move {
                operator: &operator,
                from: &temporary,
                to: key,
                replace: !absent,
            };
            self.service.publish(&self.http, order).await
        })?;
        match moved {
            Ok(true) => Ok(PutOutcome::Created),
            Ok(false) => {
                self.discard(&temporary);
                Ok(PutOutcome::Existed)
            }
            Err(failed) => {
                self.discard(&temporary);
                match self.error(key, failed) {
                    // That the staged object is gone says nothing about the key.
                    TransportError::NotFound(place) => Err(TransportError::Failed {
                        place,
                        source: "the service lost what was written before it was moved to its place".into(),
                    }),
                    error => Err(error),
                }
            }
        }
    }

    /// Reads an object that somebody may be replacing: a server that finds the name and not the file any more may say
    /// that it is forbidden.
    pub(super) fn beside_a_move<R>(&self, read: impl Fn() -> Result<R>) -> Result<R> {
        for attempt in 1..=READS {
            match read() {
                Err(TransportError::Denied { .. }) if self.service.writes() == Writes::Staged => {
                    std::thread::sleep(Duration::from_millis(random() % (READ_WAIT * attempt)));
                }
                done => return done,
            }
        }
        read()
    }

    /// Removes a temporary object; one that stays is swept later.
    fn discard(&self, temporary: &str) {
        let _ = self.run(temporary, Call::default(), async |operator, _| {
            operator.delete(temporary).await
        });
    }

    /// Removes what others left long ago, as far as that is possible.
    fn sweep(&self) {
        let listed = self.run("tmp/", Call::default(), async |operator, call| {
            listing::walk(&operator, "tmp/", &call).await
        });
        let Ok(Ok(entries)) = listed else { return };
        for entry in entries {
            let modified = entry.metadata().last_modified().map(SystemTime::from);
            let age = modified.and_then(|then| SystemTime::now().duration_since(then).ok());
            if age.is_some_and(|age| age > LEFT) {
                self.discard(entry.path());
            }
        }
    }
}
