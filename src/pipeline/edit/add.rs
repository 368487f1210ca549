//! Adding a stage.

use std::fmt::Write as _;

use toml_edit::{Array, InlineTable, Item, Key, TableLike, Value};

use super::{document, edit, project_file_in, stages};
use crate::path::{Name, RepoPath};
use crate::pipeline::definition::{
    DefinitionError, Problem, ProjectFiles, Result, Source, WorkTreeFiles, is_stage_name,
};
use crate::pipeline::{Graph, Pipelines};
use crate::repo::Repository;

/// Lists longer than this are written over several lines.
const WIDTH: usize = 80;

/// A stage to be added. Paths are relative to where it runs.
#[derive(Debug, Clone, Default)]
pub struct NewStage {
    /// Its name.
    pub name: String,
    /// Its commands.
    pub cmd: Vec<String>,
    /// Where they run, relative to the project file.
    pub wdir: Option<String>,
    /// What it reads.
    pub deps: Vec<String>,
    /// What it makes.
    pub outs: Vec<NewOut>,
    /// Numbers it makes.
    pub metrics: Vec<NewOut>,
    /// Points to draw that it makes.
    pub plots: Vec<NewOut>,
    /// The parameters it reads.
    pub params: Vec<NewParams>,
    /// Environment variables that count as inputs.
    pub env: Vec<String>,
    /// Whether it runs each time.
    pub always: bool,
    /// What people should know about it.
    pub desc: Option<String>,
}

/// An output of a stage to be added.
#[derive(Debug, Clone, Default)]
pub struct NewOut {
    /// Where it is.
    pub path: String,
    /// Whether it is kept in the cache, if that is not as usual for its kind.
    pub cache: Option<bool>,
    /// Whether it stays when the stage starts.
    pub persist: bool,
}

/// Parameters of one file.
#[derive(Debug, Clone)]
pub struct NewParams {
    /// The file, if it is not `params.toml`.
    pub file: Option<String>,
    /// Its keys; none: the whole file.
    pub keys: Vec<String>,
}

/// What adding a stage did.
#[derive(Debug, serde::Serialize)]
pub struct StageAdded {
    /// Its name.
    pub stage: String,
    /// The project file.
    pub file: RepoPath,
    /// Whether it took the place of one of that name.
    pub replaced: bool,
    /// Whether the file was changed; `false` when it said so already.
    pub changed: bool,
}

impl NewStage {
    /// Adds the stage to the project file of the directory `dir`, at its end; with `force`, in place of one of its name.
    ///
    /// # Errors
    /// When there is one of its name, the definitions would be wrong with it, or the file cannot be written. The file is
    /// then as before.
    pub fn add(&self, repo: &Repository, dir: &RepoPath, force: bool) -> Result<StageAdded> {
        if !is_stage_name(&self.name) {
            let name = self.name.clone();
            return Err(DefinitionError::Name(Box::new(Problem::StageName { name })));
        }
        let file = project_file_in(dir);
        let replaced = std::cell::Cell::new(false);
        let changed = edit(repo, &file, |text| {
            let (edited, is_replaced) = self.added_to(&file, text, force)?;
            replaced.set(is_replaced);
            let files = WithFile {
                files: WorkTreeFiles::new(repo),
                file: &file,
                text: &edited,
            };
            Graph::new(Pipelines::load(&files)?.stages())?;
            Ok(edited)
        })?;
        Ok(StageAdded {
            stage: self.name.clone(),
            file,
            replaced: replaced.get(),
            changed,
        })
    }

    /// The text with the stage, and whether one was replaced.
    fn added_to(&self, file: &RepoPath, text: &str, force: bool) -> Result<(String, bool)> {
        let mut document = document(file, text)?;
        let name = self.name.as_str();
        if let Some(old) = stages(&mut document).and_then(|stages| stages.get_mut(name)) {
            if !force {
                let offset = offset_of(file, text, name)?;
                return Err(DefinitionError::Exists {
                    name: name.to_owned(),
                    place: Source::new(file, text.as_bytes())?.place(offset),
                });
            }
            let layout = || DefinitionError::Layout { file: file.clone() };
            self.replace(old.as_table_like_mut().ok_or_else(layout)?);
            return Ok((document.to_string(), true));
        }
        let mut added = text.to_owned();
        if !added.is_empty() && !added.ends_with('\n') {
            added.push('\n');
        }
        if !added.is_empty() && !added.ends_with("\n\n") {
            added.push('\n');
        }
        let _ = writeln!(added, "[stages.{}]", Key::new(name));
        for (key, value) in self.entries() {
            let _ = writeln!(added, "{key} = {value}");
        }
        match Source::new(file, added.as_bytes())?.parse() {
            Ok(_) => Ok((added, false)),
            Err(_) => Err(DefinitionError::Layout { file: file.clone() }),
        }
    }

    /// Gives an existing table these keys and no others; what it has already keeps its place.
    fn replace(&self, table: &mut dyn TableLike) {
        let entries = self.entries();
        let gone: Vec<String> = table
            .iter()
            .map(|(key, _)| key.to_owned())
            .filter(|key| entries.iter().all(|(there, _)| there != key))
            .collect();
        for key in gone {
            table.remove(&key);
        }
        for (key, mut value) in entries {
            match table.get_mut(key) {
                Some(Item::Value(old)) => {
                    if plain(old) != plain(&value) {
                        *value.decor_mut() = old.decor().clone();
                        *old = value;
                    }
                }
                Some(old) => *old = Item::Value(value),
                None => drop(table.insert(key, Item::Value(value))),
            }
        }
    }

    /// Its keys, in the order in which they are written.
    fn entries(&self) -> Vec<(&'static str, Value)> {
        let mut entries = Vec::new();
        let texts = |texts: &[String]| list(texts.iter().map(|text| Value::from(text.as_str())));
        entries.extend(self.desc.as_ref().map(|desc| ("desc", Value::from(desc.as_str()))));
        match self.cmd.as_slice() {
            [one] => entries.push(("cmd", Value::from(one.as_str()))),
            several => entries.push(("cmd", texts(several))),
        }
        entries.extend(self.wdir.as_ref().map(|wdir| ("wdir", Value::from(wdir.as_str()))));
        let mut add = |key, value: Value| {
            if value.as_array().is_some_and(|array| !array.is_empty()) {
                entries.push((key, value));
            }
        };
        add("deps", texts(&self.deps));
        add("params", self.params());
        add("outs", list(self.outs.iter().map(NewOut::to_value)));
        add("metrics", list(self.metrics.iter().map(NewOut::to_value)));
        add("plots", list(self.plots.iter().map(NewOut::to_value)));
        add("env", texts(&self.env));
        if self.always {
            entries.push(("always", Value::from(true)));
        }
        entries
    }

    fn params(&self) -> Value {
        let keys = |keys: &[String]| keys.iter().map(|key| Value::from(key.as_str())).collect::<Vec<_>>();
        list(self.params.iter().flat_map(|params| match &params.file {
            None => keys(&params.keys),
            Some(file) => {
                let mut table = InlineTable::new();
                table.insert("file", Value::from(file.as_str()));
                if !params.keys.is_empty() {
                    table.insert("keys", keys(&params.keys).into_iter().collect::<Array>().into());
                }
                vec![Value::from(table)]
            }
        }))
    }
}

impl NewOut {
    fn to_value(&self) -> Value {
        if self.cache.is_none() && !self.persist {
            return Value::from(self.path.as_str());
        }
        let mut table = InlineTable::new();
        table.insert("path", Value::from(self.path.as_str()));
        if let Some(cache) = self.cache {
            table.insert("cache", Value::from(cache));
        }
        if self.persist {
            table.insert("persist", Value::from(true));
        }
        Value::from(table)
    }
}

/// A value as it would be written on one line.
fn plain(value: &Value) -> String {
    let mut value = value.clone();
    value.decor_mut().clear();
    if let Value::Array(array) = &mut value {
        let items: Vec<Value> = array.iter().cloned().collect();
        array.clear();
        array.set_trailing("");
        array.set_trailing_comma(false);
        array.extend(items.into_iter().map(|mut item| {
            item.decor_mut().clear();
            item
        }));
    }
    value.to_string()
}

fn list(items: impl Iterator<Item = Value>) -> Value {
    let mut array: Array = items.collect();
    if array.to_string().len() > WIDTH {
        for item in array.iter_mut() {
            item.decor_mut().set_prefix("\n  ");
        }
        array.set_trailing("\n");
        array.set_trailing_comma(true);
    }
    Value::Array(array)
}

/// Where a stage is written.
fn offset_of(file: &RepoPath, text: &str, name: &str) -> Result<usize> {
    let source = Source::new(file, text.as_bytes())?;
    let document = source.parse()?;
    let stages = document
        .get_ref()
        .get("stages")
        .and_then(|stages| stages.get_ref().as_table());
    let key = stages.and_then(|stages| stages.get_key_value(name));
    Ok(key.map_or(0, |(key, _)| key.span().start))
}

/// The work tree, with another text in one project file.
struct WithFile<'a> {
    files: WorkTreeFiles<'a>,
    file: &'a RepoPath,
    text: &'a str,
}

impl ProjectFiles for WithFile<'_> {
    fn project_files(&self) -> Result<Vec<RepoPath>> {
        let mut files = self.files.project_files()?;
        if let Err(at) = files.binary_search(self.file) {
            files.insert(at, self.file.clone());
        }
        Ok(files)
    }

    fn read(&self, path: &RepoPath, limit: u64) -> Result<Option<Vec<u8>>> {
        if path == self.file {
            return Ok(Some(self.text.as_bytes().to_vec()));
        }
        self.files.read(path, limit)
    }

    fn list(&self, dir: &RepoPath) -> Result<Vec<(Name, bool)>> {
        self.files.list(dir)
    }
}
