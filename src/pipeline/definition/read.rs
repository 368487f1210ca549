//! One stage, from its table with all variables filled in.

use std::collections::BTreeMap;

use super::document::{Data, Entry, Node, Source};
use super::error::{PathProblem, Problem, Result};
use super::fields::Fields;
use super::keys::{METRIC_KEYS, OUT_KEYS, PARAMS_KEYS, PLOT_KEYS, STAGE_KEYS, instead};
use super::paths::{resolve, resolve_data, resolve_out};
use super::quantity;
use super::vars::DEFAULT_FILE;
use crate::path::RepoPath;
use crate::pipeline::{Out, OutKind, Params, PlotOptions, Stage, StageId};

const LIST_OF_OUTS: &str = "a list of paths and tables";
const PATH_OR_TABLE: &str = "a path, or a table with `path`";
const LIST_OF_PARAMS: &str = "a list of keys, and of tables with `file` and `keys`";

/// Reads a stage. `entries` lack `matrix`, `foreach` and `vars`.
pub(super) fn stage(
    source: &Source<'_>,
    at: usize,
    name: String,
    group: Option<String>,
    entries: Vec<Entry>,
) -> Result<Stage> {
    let dir = source.file.parent().unwrap_or_default();
    let mut fields = Fields::new(source, format!("stages.{}", group.as_deref().unwrap_or(&name)), entries);
    let cmd = commands(&mut fields, at)?;
    let wdir = match fields.text("wdir")? {
        None => dir,
        Some((at, text)) => resolve(&dir, &text).map_err(path_error(source, at, "wdir", &text))?,
    };
    let mut deps = Vec::new();
    for (at, text) in fields.texts("deps")? {
        deps.push(resolve_data(&wdir, &text).map_err(path_error(source, at, "dep", &text))?);
    }
    deps.sort_unstable();
    deps.dedup();
    let mut outs = Vec::new();
    for key in ["outs", "metrics", "plots"] {
        for node in fields.list(key, LIST_OF_OUTS)? {
            outs.push(out(&fields, &wdir, key, node)?);
        }
    }
    outs.sort_by(|a, b| a.path.cmp(&b.path));
    let stage = Stage {
        id: StageId {
            file: source.file.clone(),
            name,
        },
        group,
        line: source.line(at),
        cmd,
        params: params(&mut fields, &wdir)?,
        wdir,
        deps,
        outs,
        env: env(&mut fields)?,
        frozen: fields.bool("frozen")?.unwrap_or(false),
        always: fields.bool("always")?.unwrap_or(false),
        desc: fields.text("desc")?.map(|(_, text)| text),
        meta: fields.take("meta").map(|node| node.to_value()),
        timeout: timeout(&mut fields)?,
        retries: retries(&mut fields)?,
        resources: resources(&mut fields)?,
    };
    fields.finish(STAGE_KEYS, instead)?;
    Ok(stage)
}

fn path_error<'a>(
    source: &'a Source<'_>,
    at: usize,
    what: &'static str,
    path: &'a str,
) -> impl FnOnce(PathProblem) -> super::DefinitionError + 'a {
    move |problem| {
        let path = path.to_owned();
        source.error(at, Problem::Path { what, path, problem })
    }
}

fn commands(fields: &mut Fields<'_>, stage_at: usize) -> Result<Vec<String>> {
    const EXPECTED: &str = "a command, or a list of commands";
    let Some(node) = fields.take("cmd") else {
        let key = fields.full("cmd");
        return Err(fields.source.error(stage_at, Problem::Missing { key }));
    };
    let at = node.at;
    let nodes = match node.data {
        Data::Text(_) => vec![node],
        Data::List(items) => items,
        _ => return Err(fields.wrong("cmd", &node, EXPECTED)),
    };
    let mut commands = Vec::with_capacity(nodes.len());
    for node in nodes {
        match node.data {
            Data::Text(text) if text.trim().is_empty() => {
                return Err(fields.bad("cmd", node.at, None, "has an empty command", None));
            }
            Data::Text(text) if text.contains('\0') => {
                return Err(fields.bad("cmd", node.at, None, "has a NUL character", None));
            }
            Data::Text(text) => commands.push(text),
            _ => return Err(fields.wrong("cmd", &node, EXPECTED)),
        }
    }
    if commands.is_empty() {
        return Err(fields.bad("cmd", at, None, "has no command", None));
    }
    Ok(commands)
}

fn out(parent: &Fields<'_>, wdir: &RepoPath, key: &'static str, node: Node) -> Result<Out> {
    let source = parent.source;
    let what = match key {
        "metrics" => "metric",
        "plots" => "plot",
        _ => "output",
    };
    let (at, text, mut fields) = match node.data {
        Data::Text(text) => (node.at, text, Fields::new(source, parent.full(key), Vec::new())),
        Data::Table(entries) => {
            let mut fields = Fields::new(source, parent.full(key), entries);
            let Some((at, text)) = fields.text("path")? else {
                let key = fields.full("path");
                return Err(source.error(node.at, Problem::Missing { key }));
            };
            (at, text, fields)
        }
        _ => return Err(parent.wrong(key, &node, PATH_OR_TABLE)),
    };
    let path = resolve_out(wdir, &text).map_err(path_error(source, at, what, &text))?;
    let (kind, more) = match key {
        "metrics" => {
            let tolerance = match fields.take("tolerance") {
                None => None,
                Some(node) => Some(
                    fields
                        .number("tolerance", &node)?
                        .ok_or_else(|| fields.wrong("tolerance", &node, "a number"))?,
                ),
            };
            (OutKind::Metric { tolerance }, METRIC_KEYS)
        }
        "plots" => (OutKind::Plot(Box::new(plot(&mut fields)?)), PLOT_KEYS),
        _ => (OutKind::Data, &[][..]),
    };
    let cache = fields.bool("cache")?.unwrap_or(!matches!(kind, OutKind::Metric { .. }));
    let out = Out {
        path,
        cache,
        kind,
        persist: fields.bool("persist")?.unwrap_or(false),
        push: fields.bool("push")?.unwrap_or(true),
        remote: fields.text("remote")?.map(|(_, text)| text),
        desc: fields.text("desc")?.map(|(_, text)| text),
        r#type: fields.text("type")?.map(|(_, text)| text),
        labels: fields.texts("labels")?.into_iter().map(|(_, text)| text).collect(),
    };
    fields.finish(&[OUT_KEYS, more].concat(), |_| None)?;
    Ok(out)
}

fn plot(fields: &mut Fields<'_>) -> Result<PlotOptions> {
    let y = match fields.take("y") {
        None => Vec::new(),
        Some(Node {
            data: Data::Text(text), ..
        }) => vec![text],
        Some(Node {
            at,
            data: Data::List(items),
        }) => {
            let key = "y".to_owned();
            let list = Node {
                at,
                data: Data::List(items),
            };
            let entry = Entry { at, key, value: list };
            let mut inner = Fields::new(fields.source, fields.full("y"), vec![entry]);
            inner.texts("y")?.into_iter().map(|(_, text)| text).collect()
        }
        Some(other) => return Err(fields.wrong("y", &other, "a column, or a list of columns")),
    };
    Ok(PlotOptions {
        x: fields.text("x")?.map(|(_, text)| text),
        y,
        title: fields.text("title")?.map(|(_, text)| text),
        x_label: fields.text("x_label")?.map(|(_, text)| text),
        y_label: fields.text("y_label")?.map(|(_, text)| text),
        template: fields.text("template")?.map(|(_, text)| text),
        header: fields.bool("header")?.unwrap_or(true),
    })
}

fn params(parent: &mut Fields<'_>, wdir: &RepoPath) -> Result<Vec<Params>> {
    let source = parent.source;
    // `None`: the whole file.
    let mut files: BTreeMap<RepoPath, Option<Vec<String>>> = BTreeMap::new();
    for node in parent.list("params", LIST_OF_PARAMS)? {
        let (at, file, keys) = match node.data {
            Data::Text(key) => (node.at, DEFAULT_FILE.to_owned(), Some(vec![(node.at, key)])),
            Data::Table(entries) => {
                let mut fields = Fields::new(source, parent.full("params"), entries);
                let Some((at, file)) = fields.text("file")? else {
                    let key = fields.full("file");
                    return Err(source.error(node.at, Problem::Missing { key }));
                };
                let keys = match fields.take("keys") {
                    None => None,
                    Some(value) => {
                        let at = value.at;
                        let key = "keys".to_owned();
                        let mut inner = Fields::new(source, fields.full("keys"), vec![Entry { at, key, value }]);
                        let keys = inner.texts("keys")?;
                        if keys.is_empty() {
                            let problem = "is empty; leave it out for the whole file";
                            return Err(fields.bad("keys", at, None, problem, None));
                        }
                        Some(keys)
                    }
                };
                fields.finish(PARAMS_KEYS, |_| None)?;
                (at, file, keys)
            }
            _ => return Err(parent.wrong("params", &node, LIST_OF_PARAMS)),
        };
        let path = resolve_data(wdir, &file).map_err(path_error(source, at, "parameter file", &file))?;
        let known = files.entry(path).or_insert_with(|| Some(Vec::new()));
        match keys {
            None => *known = None,
            Some(keys) => {
                for (at, key) in keys {
                    if key.trim().is_empty() {
                        return Err(parent.bad("params", at, None, "has an empty key", None));
                    }
                    if let Some(known) = known {
                        known.push(key);
                    }
                }
            }
        }
    }
    Ok(files
        .into_iter()
        .map(|(file, keys)| {
            let mut keys = keys.unwrap_or_default();
            keys.sort_unstable();
            keys.dedup();
            Params { file, keys }
        })
        .collect())
}

fn env(fields: &mut Fields<'_>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (at, name) in fields.texts("env")? {
        if name.is_empty() || name.contains(['=', '\0']) {
            let problem = "not a name of a variable; values are taken from the environment";
            return Err(fields.bad("env", at, Some(&name), problem, None));
        }
        names.push(name);
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn timeout(fields: &mut Fields<'_>) -> Result<Option<std::time::Duration>> {
    let Some(node) = fields.take("timeout") else {
        return Ok(None);
    };
    let given = match &node.data {
        Data::Text(text) => text.clone(),
        Data::Integer(number) => number.to_string(),
        Data::Float(number) => number.to_string(),
        _ => return Err(fields.wrong("timeout", &node, "a duration such as \"10m\", or seconds")),
    };
    let duration = match node.data {
        Data::Float(number) => quantity::seconds_of(number),
        _ => quantity::duration(&given),
    };
    let bad = || {
        fields.bad(
            "timeout",
            node.at,
            Some(&given),
            "not a duration",
            Some("\"90s\", \"10m\" or \"1h30m\""),
        )
    };
    duration.map(Some).ok_or_else(bad)
}

fn retries(fields: &mut Fields<'_>) -> Result<u32> {
    match fields.take("retries") {
        None => Ok(0),
        Some(node) => match node.data {
            Data::Integer(count) => u32::try_from(count).map_err(|_| {
                fields.bad(
                    "retries",
                    node.at,
                    Some(&count.to_string()),
                    "not a number of retries",
                    None,
                )
            }),
            _ => Err(fields.wrong("retries", &node, "an integer")),
        },
    }
}

fn resources(parent: &mut Fields<'_>) -> Result<BTreeMap<String, f64>> {
    let mut resources = BTreeMap::new();
    let entries = match parent.take("resources") {
        None => return Ok(resources),
        Some(Node {
            data: Data::Table(entries),
            ..
        }) => entries,
        Some(other) => {
            return Err(parent.wrong("resources", &other, "a table such as { cpus = 2, memory = \"4GB\" }"));
        }
    };
    let fields = Fields::new(parent.source, parent.full("resources"), Vec::new());
    for Entry { key, value, .. } in entries {
        let amount = match &value.data {
            Data::Text(text) if key == "memory" => quantity::bytes(text).ok_or_else(|| {
                let problem = "not an amount of memory";
                fields.bad(&key, value.at, Some(text), problem, Some("\"512MB\" or \"4GiB\""))
            })?,
            _ => {
                let expected = if key == "memory" {
                    "bytes, or a text such as \"4GB\""
                } else {
                    "a number"
                };
                fields
                    .number(&key, &value)?
                    .ok_or_else(|| fields.wrong(&key, &value, expected))?
            }
        };
        resources.insert(key, amount);
    }
    Ok(resources)
}
