//! `modver dag`.

mod draw;
mod layout;

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::{Render, Style};
use crate::experiment::{Dag, DagKind, DagRequest, dag};

/// Columns of a drawing where it is not known how many there are.
const WIDTH: usize = 160;

/// Draw the graph of stages
///
/// Data goes from top to bottom: from tracked data through the stages that read it. Stages of a matrix or list are one box
/// with their number. A graph that is too wide to be drawn is listed: each stage with what it needs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver dag
  modver dag train --full
  modver dag --outs
  modver dag --dot | dot -Tsvg > dag.svg")]
pub(crate) struct Args {
    /// Stages, files of stages or outputs, drawn with all they depend on (default: all stages of the repository)
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Write it for Graphviz
    #[arg(long, group = "form")]
    dot: bool,
    /// Write it for Mermaid, as pages on forges show it
    #[arg(long, group = "form")]
    mermaid: bool,
    /// Draw what stages make, not the stages; each output by itself
    #[arg(short, long)]
    outs: bool,
    /// Draw each stage of a matrix or list by itself
    #[arg(long)]
    full: bool,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Drawing { width: usize },
    Dot,
    Mermaid,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let repository = context.repository()?;
    let request = DagRequest {
        targets: args.targets.clone(),
        outs: args.outs,
        full: args.full,
    };
    let width = || context.env.get("COLUMNS")?.to_str()?.parse().ok();
    Ok(Shown {
        dag: dag(&repository, &request)?,
        form: match (args.dot, args.mermaid) {
            (true, _) => Form::Dot,
            (_, true) => Form::Mermaid,
            _ => Form::Drawing {
                width: crate::fs::terminal_width().or_else(width).unwrap_or(WIDTH),
            },
        },
    })
}

/// What is drawn.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    dag: Dag,
    #[serde(skip)]
    form: Form,
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        let text = match self.form {
            Form::Drawing { width } => draw::draw(&self.dag, width).unwrap_or_else(|| draw::list(&self.dag)),
            Form::Dot => dot(&self.dag),
            Form::Mermaid => mermaid(&self.dag),
        };
        out.write_all(text.as_bytes())
    }

    fn notes(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        if self.dag.nodes.is_empty() {
            writeln!(out, "there are no stages")?;
        }
        Ok(())
    }
}

fn dot(dag: &Dag) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    let mut text = "digraph {\n  node [shape=box]\n".to_owned();
    for (at, node) in dag.nodes.iter().enumerate() {
        let shape = if node.kind == DagKind::Data {
            ", style=rounded"
        } else {
            ""
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "  n{at} [label={}{shape}]", quoted(&node.name));
    }
    for edge in &dag.edges {
        let _ = writeln!(text, "  n{} -> n{}", edge.from, edge.to);
    }
    text + "}\n"
}

fn mermaid(dag: &Dag) -> String {
    let quoted = |name: &str| name.replace('#', "#35;").replace('"', "#quot;").replace('<', "#lt;");
    let mut text = "flowchart TD\n".to_owned();
    for (at, node) in dag.nodes.iter().enumerate() {
        let (open, close) = if node.kind == DagKind::Data {
            ("(", ")")
        } else {
            ("[", "]")
        };
        let _ = writeln!(text, "  n{at}{open}\"{}\"{close}", quoted(&node.name));
    }
    for edge in &dag.edges {
        let _ = writeln!(text, "  n{} --> n{}", edge.from, edge.to);
    }
    text
}
