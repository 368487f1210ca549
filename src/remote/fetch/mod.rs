//! Remote → cache: catalog, shards, then only the ranges of packs that hold what is missing here.

mod execute;
mod plan;

pub use execute::FetchOutcome;
pub use plan::{FetchPlan, Wanted};
