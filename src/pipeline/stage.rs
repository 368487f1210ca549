//! What a stage is, after everything in its definition was filled in.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::path::RepoPath;

/// Names a stage: the project file it is defined in, and its name there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageId {
    /// The `mv.toml`.
    pub file: RepoPath,
    /// `train`, or `train@cnn-1` for one of a matrix or list.
    pub name: String,
}

impl fmt::Display for StageId {
    /// The name alone for the project file at the root, as users type it there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.parent().is_none_or(|dir| dir.is_root()) {
            f.write_str(&self.name)
        } else {
            write!(f, "{}:{}", self.file, self.name)
        }
    }
}

impl serde::Serialize for StageId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One stage. All paths are relative to the repository.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its name.
    pub id: StageId,
    /// The name before `@`, if it is one of a matrix or list.
    pub group: Option<String>,
    /// Line of the project file where it is defined, from 1.
    pub line: usize,
    /// The commands, each for the shell, in order; never empty.
    pub cmd: Vec<String>,
    /// Where they run.
    pub wdir: RepoPath,
    /// Inputs, sorted.
    pub deps: Vec<RepoPath>,
    /// Outputs, metrics and plots, sorted by path.
    pub outs: Vec<Out>,
    /// Parameters, sorted by file.
    pub params: Vec<Params>,
    /// Names of environment variables that count as inputs, sorted.
    pub env: Vec<String>,
    /// Whether it never runs by itself.
    pub frozen: bool,
    /// Whether it runs each time.
    pub always: bool,
    /// What people wrote about it.
    pub desc: Option<String>,
    /// Anything; modver does not look at it.
    pub meta: Option<serde_json::Value>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// How often it is tried again after a failure.
    pub retries: u32,
    /// What it needs of each resource while it runs: `cpus`, `memory` (bytes), `gpus`, others.
    pub resources: BTreeMap<String, f64>,
}

/// An output of a stage.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a key of the definition")]
pub struct Out {
    /// Where it is.
    pub path: RepoPath,
    /// What it is for.
    pub kind: OutKind,
    /// Whether its content is kept in the cache (and git ignores it).
    pub cache: bool,
    /// Whether it stays when the stage starts.
    pub persist: bool,
    /// Whether it is pushed.
    pub push: bool,
    /// The remote it belongs to, if not the default one.
    pub remote: Option<String>,
    /// What people wrote about it.
    pub desc: Option<String>,
    /// What kind of thing it is, for people.
    pub r#type: Option<String>,
    /// Labels, in the order they were given.
    pub labels: Vec<String>,
}

/// What an output is for.
#[derive(Debug, Clone, PartialEq)]
pub enum OutKind {
    /// Data, a model, anything.
    Data,
    /// Numbers to compare.
    Metric {
        /// How far a number may be from the recorded one and still count as the same, for `repro --verify`.
        tolerance: Option<f64>,
    },
    /// Points to draw.
    Plot(Box<PlotOptions>),
}

/// How a plot is drawn.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlotOptions {
    /// Column of the horizontal axis.
    pub x: Option<String>,
    /// Columns of the vertical axis; none: the last one.
    pub y: Vec<String>,
    /// Its heading.
    pub title: Option<String>,
    /// Text at the horizontal axis.
    pub x_label: Option<String>,
    /// Text at the vertical axis.
    pub y_label: Option<String>,
    /// Name of a built-in template (`linear`, `scatter`, `bar`, `confusion`, …) or path of a Vega-Lite file.
    pub template: Option<String>,
    /// Whether the first row of a CSV or TSV file names the columns.
    pub header: bool,
}

/// Parameters that a stage reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// A TOML, YAML or JSON file.
    pub file: RepoPath,
    /// Keys such as `train.epochs`, sorted; each a value or a table. Empty: the whole file.
    pub keys: Vec<String>,
}
