//! What people look at to compare experiments: parameters, metrics and plots, of the workspace and of any commit.
//!
//! - `snapshot` reads files of one version, wherever their content is kept; `declared` knows which stages name.
//! - `values` reads metrics and parameters, `diff` compares them, `metrics` and `params` are the operations.
//! - `dag` is the graph of stages as people draw it.
//! - `plots` makes one self-contained page, or lines for a terminal.

mod dag;
mod declared;
mod diff;
mod error;
mod metrics;
mod params;
mod plots;
mod snapshot;
mod table;
mod values;

pub use dag::{Dag, DagEdge, DagKind, DagNode, DagRequest, dag};
pub use diff::{ValueChange, ValueState, ValuesDiff};
pub use error::{ExperimentError, Result};
pub use metrics::{
    DiffRequest, FileValues, MetricsOutcome, MetricsRequest, VersionMetrics, metrics_diff, metrics_show,
};
pub use params::{ParamsRequest, params_diff};
pub use plots::{
    Plot, PlotBody, PlotImage, PlotOverrides, PlotSeries, PlotsOutcome, PlotsRequest, page, plots, sparkline,
};
pub use snapshot::{Problem, ProblemKind};
