//! What keeps collection safe, piece by piece. The model test takes them away one at a time, and each time something is
//! lost: that is how it is known that all of them are needed, and that the test sees it.

#[cfg(test)]
use std::cell::Cell;

macro_rules! guards {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $(
            $(#[$doc])*
            #[cfg(not(test))]
            pub(in crate::remote) const fn $name() -> bool {
                true
            }
            $(#[$doc])*
            #[cfg(test)]
            pub(in crate::remote) fn $name() -> bool {
                without() != Some(stringify!($name))
            }
        )*
        /// The names of all guards.
        #[cfg(test)]
        pub(super) const ALL: &[&str] = &[$(stringify!($name)),*];
    };
}

guards! {
    /// A sweep waits for writers that were there when the mark was written.
    sweep_waits_for_leases,
    /// A sweep reads the claims and the catalog again.
    sweep_looks_again,
    /// A sweep reads the catalog first, then the claims.
    sweep_reads_catalog_first,
    /// A writer does not rely on what is marked, and makes nothing of the same name.
    writer_heeds_tombstones,
    /// A writer whose lease is gone looks at everything again.
    writer_looks_again,
    /// Merging runs of the catalog keeps every entry of a root.
    merges_keep_entries,
}

#[cfg(test)]
thread_local! {
    static WITHOUT: Cell<Option<&'static str>> = const { Cell::new(None) };
}

#[cfg(test)]
fn without() -> Option<&'static str> {
    WITHOUT.with(Cell::get)
}

/// Takes a guard away from this thread.
#[cfg(test)]
pub(super) fn take_away(guard: Option<&'static str>) {
    WITHOUT.with(|without| without.set(guard));
}
