//! A transport that fails when it is told to.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use modver::remote::transport::{
    Body, ObjectMeta, Place, PutMode, PutOutcome, Result, Traffic, Transport, TransportError,
};

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call is lost before it has an effect.
    Before,
    /// The call has its effect, but the answer is lost.
    After,
    /// A get returns only the first half of the bytes, as if that were all.
    Short,
    /// The call is refused for good, without effect.
    Denied,
}

/// Fails the calls it is told to; all others go through.
pub struct Faulty<T> {
    inner: T,
    calls: AtomicU64,
    plan: Mutex<BTreeMap<u64, Fault>>,
    forever: Mutex<Option<(u64, Fault)>>,
}

impl<T: Transport> Faulty<T> {
    /// No faults yet.
    pub fn new(inner: T) -> Self {
        Self {
            inner,
            calls: AtomicU64::new(0),
            plan: Mutex::default(),
            forever: Mutex::default(),
        }
    }

    /// The `nth` call from the first (1) on goes wrong.
    pub fn fail(self, nth: u64, fault: Fault) -> Self {
        self.plan.lock().unwrap().insert(nth, fault);
        self
    }

    /// The `nth` call and all after it go wrong.
    pub fn fail_from(self, nth: u64, fault: Fault) -> Self {
        *self.forever.lock().unwrap() = Some((nth, fault));
        self
    }

    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn error(&self, key: &str, fault: Fault) -> TransportError {
        let place = Place::new(self.inner.describe(), key);
        let source = format!("injected: {fault:?}").into();
        match fault {
            Fault::Denied => TransportError::Denied { place, source },
            _ => TransportError::Disconnected { place, source },
        }
    }

    fn run<R>(&self, key: &str, call: impl FnOnce() -> Result<R>, shorten: impl FnOnce(&mut R)) -> Result<R> {
        let n = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let planned = self.plan.lock().unwrap().get(&n).copied();
        let lasting = self.forever.lock().unwrap().filter(|(from, _)| n >= *from);
        match planned.or(lasting.map(|(_, fault)| fault)) {
            None => call(),
            Some(Fault::After) => {
                call()?;
                Err(self.error(key, Fault::After))
            }
            Some(Fault::Short) => {
                let mut value = call()?;
                shorten(&mut value);
                Ok(value)
            }
            Some(fault) => Err(self.error(key, fault)),
        }
    }
}

fn half(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() / 2);
}

impl<T: Transport> Transport for Faulty<T> {
    fn describe(&self) -> &str {
        self.inner.describe()
    }

    fn get(&self, key: &str, limit: u64) -> Result<Vec<u8>> {
        self.run(key, || self.inner.get(key, limit), half)
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        self.run(key, || self.inner.get_range(key, range), half)
    }

    fn put(&self, key: &str, body: &Body, mode: PutMode) -> Result<PutOutcome> {
        self.run(key, || self.inner.put(key, body, mode), |_| ())
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        self.run(
            prefix,
            || self.inner.list(prefix),
            |found| found.truncate(found.len() / 2),
        )
    }

    fn stat(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.run(key, || self.inner.stat(key), |_| ())
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.run(key, || self.inner.delete(key), |_| ())
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}
