//! Other stores than the local cache.
//!
//! [`transport`] moves objects and knows services; [`RemoteStore`] knows what they mean: the marker, the catalog and the
//! shards. Fetching and pushing are planned first (values that can be shown), then executed.

mod collect;
mod error;
mod fetch;
mod moved;
mod parallel;
mod push;
mod put;
mod records;
mod repair;
mod replicate;
mod store;
pub mod transport;
mod verify;

pub use collect::{Claimant, CollectOptions, Collection, Keeping, Marked, Swept, Waiting};
pub use error::{RemoteError, Result};
pub use fetch::{FetchOutcome, FetchPlan, Wanted};
pub use push::{Incomplete, PushOutcome, PushPlan, PushRoot};
pub use repair::RemoteRepair;
pub use replicate::{NotCopied, ReplicaOutcome, ReplicaPlan};
pub use store::RemoteStore;
pub use verify::{RemoteDamage, RemoteFinding, RemoteReport};
