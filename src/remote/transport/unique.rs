//! Names that nobody else gives.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A name of 32 hexadecimal digits that differs from those of other threads, processes and machines.
pub(super) fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Each state has random keys.
    let random = || RandomState::new().build_hasher().finish();
    let count = COUNT.fetch_add(1, Relaxed);
    format!("{:016x}{:08x}{count:08x}", random(), random() >> 32)
}

#[cfg(test)]
mod tests {
    #[test]
    fn differ() {
        let names: std::collections::BTreeSet<String> = (0..100).map(|_| super::unique()).collect();
        assert_eq!(names.len(), 100);
        assert!(names.iter().all(|name| name.len() == 32));
    }
}
