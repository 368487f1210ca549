//! The keys of a stage, in one place: for mistakes in spelling, and for the schema in `docs/` to be compared with.

/// Keys of `[stages.NAME]`.
pub const STAGE_KEYS: &[&str] = &[
    "cmd",
    "wdir",
    "deps",
    "outs",
    "params",
    "metrics",
    "plots",
    "env",
    "frozen",
    "always",
    "desc",
    "meta",
    "timeout",
    "retries",
    "resources",
    "matrix",
    "foreach",
    "vars",
];

/// Keys of an output that is a table.
pub const OUT_KEYS: &[&str] = &["path", "cache", "persist", "push", "remote", "desc", "type", "labels"];

/// Keys that a metric has besides.
pub const METRIC_KEYS: &[&str] = &["tolerance"];

/// Keys that a plot has besides.
pub const PLOT_KEYS: &[&str] = &["x", "y", "title", "x_label", "y_label", "template", "header"];

/// Keys of parameters of a named file.
pub const PARAMS_KEYS: &[&str] = &["file", "keys"];

/// Keys of `matrix` that are no axes.
pub const MATRIX_KEYS: &[&str] = &["include", "exclude"];

/// What to write instead of a key that DVC has.
pub(super) fn instead(key: &str) -> Option<&'static str> {
    match key {
        "always_changed" => Some("always = true"),
        "do" => Some("write the keys of the stage beside `foreach`, without `do`"),
        "outs_no_cache" => Some("outs = [{ path = \"PATH\", cache = false }]"),
        "outs_persist" => Some("outs = [{ path = \"PATH\", persist = true }]"),
        "metrics_no_cache" => Some("metrics = [\"PATH\"]   since git keeps metrics unless cache = true"),
        "plots_no_cache" => Some("plots = [{ path = \"PATH\", cache = false }]"),
        _ => None,
    }
}
