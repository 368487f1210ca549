//! `matrix` and `foreach`: one definition, many stages.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::document::{Data, Entry, Node, Source};
use super::error::{DefinitionError, Problem, Result};
use super::files::{ProjectFiles, glob};
use super::interpolate::text_of;
use crate::config::nearest;

/// The most members that one definition may have.
const MAX_MEMBERS: usize = 100_000;

/// One of a matrix or list.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// What follows `@` in its name.
    pub(super) key: String,
    /// The variables of its own.
    pub(super) own: Vec<(&'static str, Value)>,
}

/// The members of a matrix.
pub(super) fn matrix(source: &Source<'_>, group: &str, node: &Node) -> Result<Vec<Member>> {
    let Data::Table(entries) = &node.data else {
        return Err(wrong(
            source,
            node,
            &format!("stages.{group}.matrix"),
            "a table of lists",
        ));
    };
    let mut axes: Vec<(&str, Vec<Value>)> = Vec::new();
    let mut include: &[Node] = &[];
    let mut exclude: &[Node] = &[];
    for Entry { key, value, .. } in entries {
        let Data::List(items) = &value.data else {
            return Err(wrong(source, value, &format!("stages.{group}.matrix.{key}"), "a list"));
        };
        match key.as_str() {
            "include" => include = items,
            "exclude" => exclude = items,
            axis => axes.push((axis, items.iter().map(Node::to_value).collect())),
        }
    }
    let too_many = |count| {
        let (group, limit) = (group.to_owned(), MAX_MEMBERS);
        source.error(node.at, Problem::TooManyMembers { group, count, limit })
    };
    let product = axes
        .iter()
        .try_fold(1_usize, |all, (_, values)| all.checked_mul(values.len()));
    let count = product
        .filter(|count| *count <= MAX_MEMBERS)
        .ok_or(product.unwrap_or(usize::MAX));
    let count = count.map_err(too_many)?;
    let mut combinations = product_of(&axes, if axes.is_empty() { 0 } else { count });
    for rule in exclude {
        let rule = combination(source, group, "exclude", rule)?;
        if let Some(axis) = rule.keys().find(|key| axes.iter().all(|(axis, _)| axis != key)) {
            let nearest = nearest(axis, axes.iter().map(|(axis, _)| *axis)).map(str::to_owned);
            let axis = axis.clone();
            return Err(source.error(node.at, Problem::UnknownAxis { axis, nearest }));
        }
        combinations.retain(|there| !rule.iter().all(|(key, value)| there.get(key) == Some(value)));
    }
    for added in include {
        let at = added.at;
        let added = combination(source, group, "include", added)?;
        if let Some((axis, _)) = axes.iter().find(|(axis, _)| !added.contains_key(*axis)) {
            let axis = (*axis).to_owned();
            return Err(source.error(at, Problem::MissingAxis { axis }));
        }
        let same =
            |there: &&mut Map<String, Value>| axes.iter().all(|(axis, _)| there.get(*axis) == added.get(*axis));
        match combinations.iter_mut().find(same) {
            Some(there) => there.extend(added),
            None => combinations.push(added),
        }
    }
    if combinations.len() > MAX_MEMBERS {
        return Err(too_many(combinations.len()));
    }
    let names = |combination: &Map<String, Value>| {
        let axis_names: Vec<String> = if axes.is_empty() {
            let mut keys: Vec<&String> = combination.keys().collect();
            keys.sort_unstable();
            keys.into_iter().map(|key| part(key, &combination[key], None)).collect()
        } else {
            axes.iter()
                .map(|(axis, values)| {
                    let value = &combination[*axis];
                    part(axis, value, values.iter().position(|there| there == value))
                })
                .collect()
        };
        axis_names.join("-")
    };
    let members = combinations.into_iter().map(|combination| {
        let key = names(&combination);
        let shown = Value::Object(combination.clone()).to_string();
        let value = Value::Object(combination);
        (key, shown, vec![("item", value.clone()), ("matrix", value)])
    });
    distinct(source, node.at, group, members)
}

fn product_of(axes: &[(&str, Vec<Value>)], count: usize) -> Vec<Map<String, Value>> {
    let mut all = Vec::with_capacity(count);
    for mut number in 0..count {
        let mut chosen = Vec::with_capacity(axes.len());
        for (axis, values) in axes.iter().rev() {
            chosen.push(((*axis).to_owned(), values[number % values.len()].clone()));
            number /= values.len();
        }
        chosen.reverse();
        all.push(chosen.into_iter().collect());
    }
    all
}

fn combination(source: &Source<'_>, group: &str, key: &str, node: &Node) -> Result<Map<String, Value>> {
    match node.to_value() {
        Value::Object(map) => Ok(map),
        _ => Err(wrong(
            source,
            node,
            &format!("stages.{group}.matrix.{key}"),
            "a list of tables",
        )),
    }
}

/// Whether a `foreach` is a pattern on files.
pub(super) fn is_pattern(foreach: &Node) -> bool {
    matches!(&foreach.data, Data::Table(entries) if matches!(entries.as_slice(), [entry] if entry.key == "glob"))
}

/// The members of a list, a table, or what a pattern finds.
pub(super) fn foreach(
    source: &Source<'_>,
    files: &dyn ProjectFiles,
    group: &str,
    node: &Node,
) -> Result<Vec<Member>> {
    let full = format!("stages.{group}.foreach");
    let items: Vec<(String, Value)> = match &node.data {
        Data::List(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let value = item.to_value();
                (part("", &value, Some(index)), value)
            })
            .collect(),
        Data::Table(entries) => match entries.as_slice() {
            [Entry { key, value, .. }] if key == "glob" => {
                let Data::Text(pattern) = &value.data else {
                    return Err(wrong(
                        source,
                        value,
                        &format!("{full}.glob"),
                        "a pattern such as \"data/*.csv\"",
                    ));
                };
                found(source, files, value.at, pattern)?
            }
            entries => entries
                .iter()
                .map(|entry| (named(&entry.key), entry.value.to_value()))
                .collect(),
        },
        _ => return Err(wrong(source, node, &full, "a list, a table, or { glob = \"...\" }")),
    };
    if items.len() > MAX_MEMBERS {
        let (group, count, limit) = (group.to_owned(), items.len(), MAX_MEMBERS);
        return Err(source.error(node.at, Problem::TooManyMembers { group, count, limit }));
    }
    let members = items
        .into_iter()
        .map(|(key, value)| (key, value.to_string(), vec![("item", value)]));
    distinct(source, node.at, group, members)
}

/// Paths that fit a pattern, relative to the directory of the project file; each named by what is behind the fixed
/// part of the pattern, without its extension.
fn found(source: &Source<'_>, files: &dyn ProjectFiles, at: usize, pattern: &str) -> Result<Vec<(String, Value)>> {
    let dir = source.file.parent().unwrap_or_default();
    let paths = glob(files, &dir, pattern)?.map_err(|problem| source.error(at, problem))?;
    let parts = pattern.split('/').filter(|part| !matches!(*part, "" | "."));
    let fixed = parts
        .take_while(|part| !part.contains(['*', '?', '[', '{', '\\']))
        .count();
    let mut items = Vec::with_capacity(paths.len());
    for path in paths {
        let inside = path.strip_prefix(&dir).unwrap_or_default();
        let text = std::str::from_utf8(inside.as_bytes()).map_err(|_| {
            let problem = format!("`{path}` is not UTF-8, and a stage's path must be");
            source.error(at, Problem::Pattern(problem))
        })?;
        let names: Vec<&str> = text.split('/').skip(fixed).collect();
        let name = if names.is_empty() {
            text.to_owned()
        } else {
            names.join("-")
        };
        let stem = match name.rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => stem,
            _ => &name,
        };
        items.push((named(stem), Value::from(text)));
    }
    Ok(items)
}

/// The part of a name that a value of an axis or list gives.
fn part(axis: &str, value: &Value, index: Option<usize>) -> String {
    match (text_of(value), index) {
        (Some(text), _) => named(&text),
        (None, Some(index)) => format!("{axis}{index}"),
        // An included table that the axis does not have.
        (None, None) => named(&format!("{axis}{value}")),
    }
}

/// A text as part of a name: what names do not have becomes `_`.
fn named(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let name: String = text.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

fn distinct(
    source: &Source<'_>,
    at: usize,
    group: &str,
    members: impl Iterator<Item = (String, String, Vec<(&'static str, Value)>)>,
) -> Result<Vec<Member>> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut distinct = Vec::new();
    for (key, shown, mut own) in members {
        if let Some(first) = seen.insert(key.clone(), shown.clone()) {
            return Err(source.error(
                at,
                Problem::SameMember {
                    group: group.to_owned(),
                    member: format!("{group}@{key}"),
                    first,
                    second: shown,
                },
            ));
        }
        own.push(("key", Value::from(key.as_str())));
        distinct.push(Member { key, own });
    }
    Ok(distinct)
}

fn wrong(source: &Source<'_>, node: &Node, key: &str, expected: &'static str) -> DefinitionError {
    source.error(
        node.at,
        Problem::WrongType {
            key: key.to_owned(),
            expected,
            found: node.data.type_name(),
        },
    )
}
