//! Removing from the local cache what nothing needs: mark, plan, execute.
//!
//! A plan is a value that can be shown. Executing it needs the cache to oneself ([`Access::Exclusive`](super::Access::Exclusive)) and goes in an
//! order in which a crash at any point loses nothing that was marked: live chunks of packs that go are copied into new
//! packs first, then shards that describe all that stays are published, then the old shards are removed, and only then
//! the old packs.

mod execute;
mod mark;
mod plan;

pub use execute::Collected;
pub use mark::Marks;
pub use plan::{Fate, GcPlan, PackFate};
