//! `modver stage`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::repro;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{Render, Style};
use crate::path::RepoPath;
use crate::pipeline::edit::{self, NewOut, NewParams, NewStage, StageAdded, StagesRemoved};
use crate::pipeline::{Graph, OutKind, Pipelines, Reach, ReproOptions, SelectOptions, Session, Stage, WorkTreeFiles};
use crate::repo::Repository;

/// Add, list and remove stages
///
/// Stages are defined in `mv.toml`: a command, what it reads and what it makes. The file may as well be written by hand;
/// `modver stage list` then shows what modver understands, and every mistake with its line.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver stage add prepare -d raw.csv -o data.csv 'awk -f prepare.awk raw.csv > data.csv'
  modver stage add train -d data.csv -p epochs,lr -o model.bin -M metrics.json python train.py
  modver stage list
  modver stage list --all --json
  modver stage remove train")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add a stage to the `mv.toml` of this directory
    ///
    /// Paths are relative to the directory in which the command runs: this one, or --wdir. Everything behind the first
    /// word of the command belongs to it; a command of one word is given to the shell as it is.
    Add(Box<Add>),
    /// List stages; a mistake in a `mv.toml` is shown with its line
    List(List),
    /// Remove stages; what they made stays
    Remove {
        /// Stages: NAME, or path/to/mv.toml:NAME
        #[arg(value_name = "STAGE", required = true)]
        targets: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// The command
    #[arg(
        value_name = "CMD",
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required_unless_present = "named"
    )]
    cmd: Vec<String>,
    /// Its name, as an option: NAME is then the first word of the command
    #[arg(short = 'n', long = "name", value_name = "NAME")]
    named: Option<String>,
    /// A file or directory that it reads
    #[arg(short, long, value_name = "PATH")]
    deps: Vec<String>,
    /// A file or directory that it makes, kept in the cache
    #[arg(short, long, value_name = "PATH")]
    outs: Vec<String>,
    /// The same, not kept in the cache
    #[arg(short = 'O', long, value_name = "PATH")]
    outs_no_cache: Vec<String>,
    /// The same, not removed before the stage runs
    #[arg(long, value_name = "PATH")]
    outs_persist: Vec<String>,
    /// The same, neither removed nor kept in the cache
    #[arg(long, value_name = "PATH")]
    outs_persist_no_cache: Vec<String>,
    /// Parameters it reads: keys of `params.toml`, FILE:KEY,KEY or FILE: for a whole file
    #[arg(short, long, value_name = "[FILE:]KEY,...")]
    params: Vec<String>,
    /// A file with numbers that it makes, kept in the cache
    #[arg(short, long, value_name = "PATH")]
    metrics: Vec<String>,
    /// The same, kept by git
    #[arg(short = 'M', long, value_name = "PATH")]
    metrics_no_cache: Vec<String>,
    /// A file with points to draw that it makes, kept in the cache
    #[arg(long, value_name = "PATH")]
    plots: Vec<String>,
    /// The same, kept by git
    #[arg(long, value_name = "PATH")]
    plots_no_cache: Vec<String>,
    /// An environment variable that counts as an input
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// The directory in which it runs
    #[arg(short, long, value_name = "DIR")]
    wdir: Option<String>,
    /// Run it each time
    #[arg(long, alias = "always-changed")]
    always: bool,
    /// What people should know about it
    #[arg(long, value_name = "TEXT")]
    desc: Option<String>,
    /// Replace a stage of that name
    #[arg(short, long)]
    force: bool,
    /// Run it, too, if it is out of date
    #[arg(long)]
    run: bool,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Stages, outputs, directories or files `mv.toml` (default: those of the `mv.toml` here or above)
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// All stages of the repository
    #[arg(short, long, conflicts_with = "targets")]
    all: bool,
    /// Show names only
    #[arg(long, alias = "names-only")]
    name_only: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let repo = context.repository()?;
    let cwd = here(&repo)?;
    Ok(match &args.action {
        Action::Add(add) => {
            let added = add.stage().add(&repo, &cwd, add.force)?;
            if !add.run {
                return Ok(Shown::Added(added));
            }
            let session = Session::open(&repo, context.env.all())?;
            let options = ReproOptions {
                targets: vec![added.stage.clone()],
                select: SelectOptions {
                    reach: Reach::Single,
                    ..SelectOptions::default()
                },
                ..ReproOptions::default()
            };
            let run = session.repro(&options, &context.stage_lines())?;
            Shown::Run {
                added,
                run: repro::Shown::Ran(run),
            }
        }
        Action::Remove { targets } => Shown::Removed(edit::remove(&repo, &cwd, targets)?),
        Action::List(list) => {
            let pipelines = Pipelines::load(&WorkTreeFiles::new(&repo))?;
            let graph = Graph::new(pipelines.stages())?;
            let options = SelectOptions {
                all: list.all || pipelines.stages().is_empty(),
                reach: Reach::Single,
                glob: false,
            };
            let chosen = pipelines.select(&graph, &list.targets, &cwd, options)?;
            let shown = |at: usize| Listed::new(&pipelines.stages()[at], &graph, at, pipelines.stages());
            Shown::Listed {
                stages: chosen.into_iter().map(shown).collect(),
                name_only: list.name_only,
            }
        }
    })
}

/// Where the user stands.
pub(super) fn here(repo: &Repository) -> Result<RepoPath, CliError> {
    Ok(repo.path_of(Path::new("."))?)
}

impl Add {
    fn stage(&self) -> NewStage {
        let mut words = self.cmd.clone();
        let name = match &self.named {
            None => self.name.clone(),
            Some(named) => {
                words.insert(0, self.name.clone());
                named.clone()
            }
        };
        let cmd = match words.as_slice() {
            [one] => one.clone(),
            words => words
                .iter()
                .map(|word| command_word(word))
                .collect::<Vec<_>>()
                .join(" "),
        };
        let outs = |paths: &[String], cache: Option<bool>, persist: bool| {
            let out = |path: &String| NewOut {
                path: path.clone(),
                cache,
                persist,
            };
            paths.iter().map(out).collect::<Vec<_>>()
        };
        NewStage {
            name,
            cmd: vec![cmd],
            wdir: self.wdir.clone(),
            deps: self.deps.clone(),
            outs: [
                outs(&self.outs, None, false),
                outs(&self.outs_no_cache, Some(false), false),
                outs(&self.outs_persist, None, true),
                outs(&self.outs_persist_no_cache, Some(false), true),
            ]
            .concat(),
            metrics: [
                outs(&self.metrics, Some(true), false),
                outs(&self.metrics_no_cache, None, false),
            ]
            .concat(),
            plots: [
                outs(&self.plots, None, false),
                outs(&self.plots_no_cache, Some(false), false),
            ]
            .concat(),
            params: self.params.iter().map(|text| params(text)).collect(),
            env: self.env.clone(),
            always: self.always,
            desc: self.desc.clone(),
        }
    }
}

/// `a,b`, `file.yaml:a,b` or `file.yaml:`.
fn params(text: &str) -> NewParams {
    let (file, keys) = match text.split_once(':') {
        Some((file, keys)) => (Some(file.to_owned()), keys),
        None => (None, text),
    };
    let keys = keys.split(',').map(str::trim).filter(|key| !key.is_empty());
    NewParams {
        file,
        keys: keys.map(str::to_owned).collect(),
    }
}

/// One of several words of a command, as the shell must get it to understand it as one.
fn command_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/^@:+=,%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// What is shown.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    Added(StageAdded),
    Run {
        #[serde(flatten)]
        added: StageAdded,
        run: repro::Shown,
    },
    Removed(StagesRemoved),
    Listed {
        stages: Vec<Listed>,
        #[serde(skip)]
        name_only: bool,
    },
}

/// A stage of a list.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Listed {
    id: String,
    name: String,
    file: RepoPath,
    line: usize,
    group: Option<String>,
    cmd: Vec<String>,
    wdir: RepoPath,
    deps: Vec<RepoPath>,
    outs: Vec<Value>,
    params: Vec<Value>,
    env: Vec<String>,
    frozen: bool,
    always: bool,
    desc: Option<String>,
    meta: Option<Value>,
    /// Seconds.
    timeout: Option<f64>,
    retries: u32,
    resources: BTreeMap<String, f64>,
    /// The stages that make what it reads.
    after: Vec<String>,
}

impl Listed {
    fn new(stage: &Stage, graph: &Graph, at: usize, stages: &[Stage]) -> Self {
        let out = |out: &crate::pipeline::Out| {
            let kind = match out.kind {
                OutKind::Data => "data",
                OutKind::Metric { .. } => "metric",
                OutKind::Plot(_) => "plot",
            };
            json!({
                "path": out.path, "kind": kind, "cache": out.cache, "persist": out.persist, "push": out.push,
                "remote": out.remote, "desc": out.desc, "type": out.r#type, "labels": out.labels,
            })
        };
        Self {
            id: stage.id.to_string(),
            name: stage.id.name.clone(),
            file: stage.id.file.clone(),
            line: stage.line,
            group: stage.group.clone(),
            cmd: stage.cmd.clone(),
            wdir: stage.wdir.clone(),
            deps: stage.deps.clone(),
            outs: stage.outs.iter().map(out).collect(),
            params: stage
                .params
                .iter()
                .map(|params| json!({ "file": params.file, "keys": params.keys }))
                .collect(),
            env: stage.env.clone(),
            frozen: stage.frozen,
            always: stage.always,
            desc: stage.desc.clone(),
            meta: stage.meta.clone(),
            timeout: stage.timeout.map(|timeout| timeout.as_secs_f64()),
            retries: stage.retries,
            resources: stage.resources.clone(),
            after: graph.upstream(at).iter().map(|&at| stages[at].id.to_string()).collect(),
        }
    }

    /// What people wrote about it, or else what it makes.
    fn about(&self) -> String {
        let mut about = match &self.desc {
            Some(desc) => desc.lines().next().unwrap_or_default().to_owned(),
            None => {
                let outs: Vec<&str> = self
                    .outs
                    .iter()
                    .filter_map(|out| out["path"].as_str())
                    .take(4)
                    .collect();
                let more = if self.outs.len() > outs.len() { ", …" } else { "" };
                if outs.is_empty() {
                    "makes nothing".to_owned()
                } else {
                    format!("makes {}{more}", outs.join(", "))
                }
            }
        };
        for (is, what) in [(self.frozen, " (frozen)"), (self.always, " (runs always)")] {
            if is {
                about.push_str(what);
            }
        }
        about
    }
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        match self {
            Self::Run { added, run } => {
                show_added(added, out)?;
                run.text(out, style)
            }
            Self::Added(added) => show_added(added, out),
            Self::Removed(removed) => removed.removed.iter().try_for_each(|id| writeln!(out, "removed {id}")),
            Self::Listed { stages, name_only } => {
                let width = stages.iter().map(|stage| stage.id.chars().count()).max().unwrap_or(0);
                stages.iter().try_for_each(|stage| {
                    if *name_only {
                        writeln!(out, "{}", stage.id)
                    } else {
                        writeln!(out, "{:width$}  {}", stage.id, stage.about())
                    }
                })
            }
        }
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        match self {
            Self::Run { run, .. } => run.notes(out, style),
            Self::Listed { stages, .. } if stages.is_empty() => writeln!(out, "there are no stages"),
            _ => Ok(()),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Run { run, .. } => run.exit(),
            _ => Exit::Ok,
        }
    }
}

fn show_added(added: &StageAdded, out: &mut dyn Write) -> io::Result<()> {
    if !added.changed {
        writeln!(out, "{} says so already: {}", added.file, added.stage)
    } else if added.replaced {
        writeln!(out, "replaced {} in {}", added.stage, added.file)
    } else {
        writeln!(out, "added {} to {}", added.stage, added.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_several_words_stay_several() {
        assert_eq!(command_word("--lr=0.1"), "--lr=0.1");
        assert_eq!(command_word("a b"), "'a b'");
        assert_eq!(command_word("it's"), "'it'\\''s'");
        assert_eq!(command_word("${seed}"), "'${seed}'");
        assert_eq!(command_word(""), "''");
    }

    #[test]
    fn parameters_are_named_with_their_file() {
        let parts = |text| {
            let params = params(text);
            (params.file, params.keys.join(" "))
        };
        assert_eq!(parts("a, b.c"), (None, "a b.c".to_owned()));
        assert_eq!(parts("x.yaml:a"), (Some("x.yaml".to_owned()), "a".to_owned()));
        assert_eq!(parts("x.yaml:"), (Some("x.yaml".to_owned()), String::new()));
    }
}
