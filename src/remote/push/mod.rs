//! Cache → remote: what is missing there, in file order, copied compressed into fresh packs, then shards, then one
//! catalog run. A reader goes the other way, so a push that is cut off is invisible; a repeated one finds the packs that
//! arrived (see `journal`) and goes on.

mod catalog;
mod execute;
mod journal;
mod plan;
mod upload;

pub(super) use catalog::Replace;

pub use execute::PushOutcome;
pub(super) use plan::Known;
pub use plan::{Incomplete, PushPlan, PushRoot};
