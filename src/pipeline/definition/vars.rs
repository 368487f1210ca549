//! Variables: `params.toml` beside the project file, `[vars]`, and `vars` of files and tables.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::document::{Data, Node, Source};
use super::error::{DefinitionError, Problem, Result};
use super::files::ProjectFiles;
use super::interpolate::type_name;
use super::paths::resolve_data;
use crate::config::nearest;
use crate::path::{Name, RepoPath};
use crate::pipeline::{MAX_VALUES, parse_values};

/// The file whose values are variables without being named.
pub(super) const DEFAULT_FILE: &str = "params.toml";

/// Values by name, shared by all stages that see them.
type Values = Rc<Map<String, Value>>;

/// Variables of a file or stage.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables {
    map: Values,
    /// What they were put together from, to say who gave a variable its value.
    origins: Vec<(String, Values)>,
}

/// Reads files of variables, each once.
pub(super) struct VarFiles<'a> {
    files: &'a dyn ProjectFiles,
    read: RefCell<HashMap<RepoPath, Option<Values>>>,
}

impl<'a> VarFiles<'a> {
    pub(super) fn new(files: &'a dyn ProjectFiles) -> Self {
        Self {
            files,
            read: RefCell::default(),
        }
    }

    /// The variables that a project file in `dir` has without saying so.
    pub(super) fn defaults(&self, dir: &RepoPath) -> Result<Variables> {
        let mut variables = Variables::default();
        if let Ok(name) = Name::new(DEFAULT_FILE.as_bytes())
            && let Some(map) = self.file(&dir.join(&name))?
        {
            variables.map = Rc::clone(&map);
            variables.origins.push((dir.join(&name).to_string(), map));
        }
        Ok(variables)
    }

    /// The values of a file; `None` if it does not exist.
    fn file(&self, path: &RepoPath) -> Result<Option<Values>> {
        if let Some(known) = self.read.borrow().get(path) {
            return Ok(known.clone());
        }
        let map = match self.files.read(path, MAX_VALUES)? {
            None => None,
            Some(bytes) => match parse_values(path, &bytes)? {
                Value::Object(map) => Some(Rc::new(map)),
                // A file of comments.
                Value::Null => Some(Rc::default()),
                other => {
                    return Err(DefinitionError::NotNamed {
                        path: path.clone(),
                        found: type_name(&other),
                    });
                }
            },
        };
        self.read.borrow_mut().insert(path.clone(), map.clone());
        Ok(map)
    }

    /// `base` and what a `vars` of a file or stage adds.
    pub(super) fn extend(&self, base: &Variables, source: &Source<'_>, key: &str, vars: &Node) -> Result<Variables> {
        let mut variables = base.clone();
        match &vars.data {
            Data::Table(_) => self.add_table(&mut variables, source, vars)?,
            Data::List(items) => {
                for item in items {
                    match &item.data {
                        Data::Table(_) => self.add_table(&mut variables, source, item)?,
                        Data::Text(text) => self.add_file(&mut variables, source, item.at, text)?,
                        other => return Err(wrong(source, item.at, key, "a file or a table", other)),
                    }
                }
            }
            other => {
                return Err(wrong(
                    source,
                    vars.at,
                    key,
                    "a table, or a list of files and tables",
                    other,
                ));
            }
        }
        Ok(variables)
    }

    fn add_table(&self, variables: &mut Variables, source: &Source<'_>, table: &Node) -> Result<()> {
        if let Value::Object(map) = table.to_value() {
            let origin = source.place(table.at).to_string();
            variables
                .add(origin, Rc::new(map))
                .map_err(|problem| source.error(table.at, problem))?;
        }
        Ok(())
    }

    /// `params.yaml`, or `params.yaml:train,model` for two of its keys.
    fn add_file(&self, variables: &mut Variables, source: &Source<'_>, at: usize, text: &str) -> Result<()> {
        let (file, keys) = match text.split_once(':') {
            Some((file, keys)) if !keys.starts_with("//") => (file, Some(keys)),
            _ => (text, None),
        };
        let dir = source.file.parent().unwrap_or_default();
        let path = resolve_data(&dir, file).map_err(|problem| {
            let what = "file of variables";
            let path = file.to_owned();
            source.error(at, Problem::Path { what, path, problem })
        })?;
        let Some(map) = self.file(&path)? else {
            let nearest = self.nearest_file(&path)?;
            return Err(source.error(at, Problem::NoVarsFile { path, nearest }));
        };
        let map = match keys {
            None => map,
            Some(keys) => {
                let mut chosen = Map::new();
                for key in keys.split(',').map(str::trim) {
                    let value = map.get(key).ok_or_else(|| {
                        let nearest = nearest(key, map.keys().map(String::as_str)).map(str::to_owned);
                        let (path, key) = (path.clone(), key.to_owned());
                        source.error(at, Problem::NoVarsKey { path, key, nearest })
                    })?;
                    chosen.insert(key.to_owned(), value.clone());
                }
                Rc::new(chosen)
            }
        };
        variables
            .add(path.to_string(), map)
            .map_err(|problem| source.error(at, problem))
    }

    fn nearest_file(&self, path: &RepoPath) -> Result<Option<String>> {
        let dir = path.parent().unwrap_or_default();
        let entries = self.files.list(&dir)?;
        let names: Vec<String> = entries.iter().map(|(name, _)| dir.join(name).to_string()).collect();
        Ok(nearest(&path.to_string(), names.iter().map(String::as_str)).map(str::to_owned))
    }
}

fn wrong(source: &Source<'_>, at: usize, key: &str, expected: &'static str, data: &Data) -> DefinitionError {
    source.error(
        at,
        Problem::WrongType {
            key: key.to_owned(),
            expected,
            found: data.type_name(),
        },
    )
}

impl Variables {
    /// All of them.
    pub(super) fn map(&self) -> &Map<String, Value> {
        &self.map
    }

    fn add(&mut self, origin: String, map: Values) -> Result<(), Problem> {
        if self.map.is_empty() {
            self.map = Rc::clone(&map);
        } else if let Err(path) = merge(Rc::make_mut(&mut self.map), &map, "") {
            let steps: Vec<&str> = path.split('\0').collect();
            let has = |(_, map): &&(String, Values)| {
                let mut value = steps.first().and_then(|first| map.get(*first));
                for step in steps.iter().skip(1) {
                    value = value.and_then(|value| value.get(step));
                }
                value.is_some()
            };
            let other = self.origins.iter().find(has);
            return Err(Problem::Redefined {
                variable: steps.join("."),
                origin: other.map(|(origin, _)| origin.clone()).unwrap_or_default(),
            });
        }
        self.origins.push((origin, map));
        Ok(())
    }
}

/// Adds what `into` does not have; the path (separated by NUL) of what has two values.
fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>, prefix: &str) -> Result<(), String> {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (None, value) => {
                into.insert(key.clone(), value.clone());
            }
            (Some(Value::Object(into)), Value::Object(from)) => merge(into, from, &format!("{prefix}{key}\0"))?,
            (Some(there), value) if there == value => {}
            (Some(_), _) => return Err(format!("{prefix}{key}")),
        }
    }
    Ok(())
}
