//! Parameters, metrics, plots and the graph of stages, by the real binaries.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

#[path = "experiments/dag.rs"]
mod dag;
#[path = "experiments/metrics.rs"]
mod metrics;
#[path = "experiments/plots.rs"]
mod plots;
mod support;

use support::{Output, Scratch};

const PIPELINE: &str = r#"
[stages.prepare]
cmd = "cp raw/a data"
deps = ["raw"]
outs = ["data"]

[stages.train]
cmd = "train ${item.model}"
matrix = { model = ["cnn", "rnn"] }
deps = ["data"]
params = ["train.lr"]
outs = ["models/${item.model}"]

[stages.evaluate]
cmd = "evaluate"
deps = ["models", "data"]
metrics = ["metrics.json"]
plots = [{ path = "loss.csv", x = "epoch", y = ["train", "valid"], title = "Loss </script><b>" }, "images"]
"#;

/// A repository with stages, what they made, and one commit.
fn project() -> Scratch {
    let s = Scratch::new();
    s.mv(["init", "--quiet"]).ok();
    s.write("mv.toml", PIPELINE);
    s.write("params.toml", "seed = 7\n[train]\nlr = 0.1\nlayers = [1, 2]\n");
    s.write("raw/a", "1\n");
    s.mv(["add", "--quiet", "raw"]).ok();
    s.write(
        "metrics.json",
        r#"{"acc": 0.912345678, "loss": {"train": NaN, "valid": 1.5}, "n": 10}"#,
    );
    s.write("loss.csv", "epoch,train,valid\n0,4,5\n1,2,nan\n2,1,3\n");
    s.write("images/a.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>");
    s.git(["add", "-A"]).ok();
    s.git(["commit", "--quiet", "-m", "one"]).ok();
    s
}

/// What a command shows.
fn shown(output: Output) -> String {
    output.ok() + "\n"
}

/// What a command that ends with `code` says on standard error.
fn complaint(output: Output, code: i32) -> String {
    let said = output.err();
    output.fails(code);
    said
}
