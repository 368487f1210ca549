//! Reading a lock file.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::super::pointer::{PointerContent, has_conflict_markers};
use super::{JSON, Lock, LockError, LockProblem, LockedDep, LockedOut, LockedStage, MAX_LOCK, VERSION};
use crate::hash::FileId;
use crate::path::{self, RepoPath};

type Parsed<T> = Result<T, LockProblem>;

impl Lock {
    /// Reads the lock file that is at `path`: its paths are relative to the directory of that.
    ///
    /// # Errors
    /// [`LockError`] for anything that the format does not allow.
    pub fn parse(bytes: &[u8], path: &RepoPath) -> Result<Self, LockError> {
        parse(bytes, &path.parent().unwrap_or_default()).map_err(|problem| LockError {
            path: path.clone(),
            problem,
        })
    }
}

pub(super) fn parse(bytes: &[u8], dir: &RepoPath) -> Parsed<Lock> {
    if bytes.len() as u64 > MAX_LOCK {
        return Err(LockProblem::TooLarge(bytes.len() as u64));
    }
    if has_conflict_markers(bytes) {
        return Err(LockProblem::Conflict);
    }
    let text = std::str::from_utf8(bytes).map_err(LockProblem::NotText)?;
    let mut whole: toml::Table = toml::from_str(text).map_err(|error| LockProblem::Syntax(Box::new(error)))?;
    match whole.remove("version") {
        None => return Err(LockProblem::MissingKey("version".to_owned())),
        Some(toml::Value::Integer(VERSION)) => {}
        Some(toml::Value::Integer(other)) => return Err(LockProblem::Version(other)),
        Some(_) => return Err(wrong("version".to_owned(), "an integer")),
    }
    let stages = match whole.remove("stages") {
        None => toml::Table::new(),
        Some(toml::Value::Table(stages)) => stages,
        Some(_) => return Err(wrong("stages".to_owned(), "a table")),
    };
    if let Some((key, _)) = whole.into_iter().next() {
        return Err(LockProblem::UnknownKey(key));
    }
    let mut lock = Lock::default();
    for (name, value) in stages {
        let at = At(&["stages", &name]);
        let stage = parse_stage(Keys::of(value, &at)?, dir)?;
        lock.stages.insert(name, stage);
    }
    Ok(lock)
}

fn parse_stage(mut keys: Keys<'_>, dir: &RepoPath) -> Parsed<LockedStage> {
    let mut stage = LockedStage {
        cmd: keys.strings("cmd")?,
        wdir: dir.clone(),
        ..LockedStage::default()
    };
    if let Some(wdir) = keys.string("wdir")? {
        stage.wdir = resolve(&wdir, dir, &keys.at.to_string())?;
    }
    for (text, value) in keys.table("deps")? {
        let at = [keys.at.0, &["deps", &text]].concat();
        let place = At(&at);
        let mut dep = Keys::of(value, &place)?;
        let content = dep.content()?;
        dep.finish()?;
        insert(&mut stage.deps, &text, dir, &at, content)?;
    }
    for (text, values) in keys.table("params")? {
        let at = [keys.at.0, &["params", &text]].concat();
        let mut read = BTreeMap::new();
        for (key, value) in Keys::of(values, &At(&at))?.table {
            let value = param(value).ok_or_else(|| wrong(At(&[&at[..], &[&key]].concat()).to_string(), PARAM))?;
            read.insert(key, value);
        }
        insert(&mut stage.params, &text, dir, &at, read)?;
    }
    for (name, value) in keys.table("env")? {
        let value = match value {
            toml::Value::String(value) => Some(value),
            toml::Value::Boolean(false) => None,
            _ => {
                let at = [keys.at.0, &["env", &name]].concat();
                return Err(wrong(
                    At(&at).to_string(),
                    "a string, or `false` for one that was not set",
                ));
            }
        };
        stage.env.insert(name, value);
    }
    for (text, value) in keys.table("outs")? {
        let at = [keys.at.0, &["outs", &text]].concat();
        let place = At(&at);
        let mut out = Keys::of(value, &place)?;
        let LockedDep { content, size } = out.content()?;
        let made = LockedOut {
            content,
            size,
            cache: !out.flag("cache", false)?,
            push: !out.flag("push", false)?,
            remote: out.string("remote")?,
        };
        out.finish()?;
        insert(&mut stage.outs, &text, dir, &at, made)?;
    }
    keys.finish()?;
    Ok(stage)
}

const PARAM: &str = "a value of a parameter (dates are strings, `null` is `{ json = \"null\" }`)";

fn insert<T>(map: &mut BTreeMap<RepoPath, T>, text: &str, dir: &RepoPath, at: &[&str], value: T) -> Parsed<()> {
    let path = resolve(text, dir, text)?;
    match map.insert(path, value) {
        None => Ok(()),
        Some(_) => Err(LockProblem::Duplicate {
            key: At(at).to_string(),
        }),
    }
}

/// What a path means that is relative to `dir`: `..` at its beginning, or `.` alone, and the rest as it is.
fn resolve(text: &str, dir: &RepoPath, key: &str) -> Parsed<RepoPath> {
    let none = |source| LockProblem::Path {
        key: key.to_owned(),
        source,
    };
    let bytes = path::unquote(text).ok_or_else(|| none(None))?;
    let mut base = dir.clone();
    let mut rest = if bytes == b"." { &[][..] } else { &bytes[..] };
    if bytes.is_empty() {
        return Err(none(None));
    }
    while let Some(above) = rest
        .strip_prefix(b"..")
        .filter(|above| matches!(above.first(), None | Some(b'/')))
    {
        base = base
            .parent()
            .ok_or_else(|| LockProblem::Outside { key: key.to_owned() })?;
        rest = above.strip_prefix(b"/").unwrap_or(above);
    }
    let below = RepoPath::new(rest).map_err(|error| none(Some(error)))?;
    Ok(base.join_path(&below))
}

/// The value of a parameter that stands in a lock file as this.
fn param(value: toml::Value) -> Option<Value> {
    Some(match value {
        toml::Value::String(value) => Value::String(value),
        toml::Value::Integer(value) => Value::from(value),
        toml::Value::Float(value) => Value::Number(serde_json::Number::from_f64(value)?),
        toml::Value::Boolean(value) => Value::Bool(value),
        toml::Value::Datetime(_) => return None,
        toml::Value::Array(values) => Value::Array(values.into_iter().map(param).collect::<Option<_>>()?),
        toml::Value::Table(values) => {
            if values.len() == 1
                && let Some(toml::Value::String(json)) = values.get(JSON)
            {
                return serde_json::from_str(json).ok();
            }
            let values = values.into_iter().map(|(key, value)| Some((key, param(value)?)));
            Value::Object(values.collect::<Option<_>>()?)
        }
    })
}

fn wrong(key: String, expected: &'static str) -> LockProblem {
    LockProblem::WrongType { key, expected }
}

/// Where in the file something is, for errors: `stages.train.outs."model.bin"`.
struct At<'a>(&'a [&'a str]);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// The keys of one table that were not looked at yet.
struct Keys<'a> {
    at: &'a At<'a>,
    table: toml::Table,
}

impl<'a> Keys<'a> {
    fn of(value: toml::Value, at: &'a At<'a>) -> Parsed<Self> {
        match value {
            toml::Value::Table(table) => Ok(Self { at, table }),
            _ => Err(wrong(at.to_string(), "a table")),
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.at)
    }

    fn string(&mut self, key: &str) -> Parsed<Option<String>> {
        match self.table.remove(key) {
            None => Ok(None),
            Some(toml::Value::String(value)) => Ok(Some(value)),
            Some(_) => Err(wrong(self.key(key), "a string")),
        }
    }

    fn strings(&mut self, key: &str) -> Parsed<Vec<String>> {
        let values = match self.table.remove(key) {
            None => return Err(LockProblem::MissingKey(self.key(key))),
            Some(toml::Value::Array(values)) => values,
            Some(_) => return Err(wrong(self.key(key), "a list of strings")),
        };
        let string = |value| match value {
            toml::Value::String(value) => Ok(value),
            _ => Err(wrong(self.key(key), "a list of strings")),
        };
        values.into_iter().map(string).collect()
    }

    fn table(&mut self, key: &str) -> Parsed<toml::Table> {
        match self.table.remove(key) {
            None => Ok(toml::Table::new()),
            Some(toml::Value::Table(table)) => Ok(table),
            Some(_) => Err(wrong(self.key(key), "a table")),
        }
    }

    fn count(&mut self, key: &str) -> Parsed<u64> {
        let value = match self.table.remove(key) {
            None => return Err(LockProblem::MissingKey(self.key(key))),
            Some(toml::Value::Integer(value)) => u64::try_from(value).ok(),
            Some(_) => None,
        };
        value.ok_or_else(|| wrong(self.key(key), "a number that is not negative"))
    }

    /// Whether the key is there; its only value is `value`.
    fn flag(&mut self, key: &str, value: bool) -> Parsed<bool> {
        match self.table.remove(key) {
            None => Ok(false),
            Some(toml::Value::Boolean(found)) if found == value => Ok(true),
            Some(_) if value => Err(wrong(self.key(key), "`true` (leave the key out instead)")),
            Some(_) => Err(wrong(self.key(key), "`false` (leave the key out instead)")),
        }
    }

    fn content(&mut self) -> Parsed<LockedDep> {
        let mut id = |key| {
            let id = self.string(key)?.map(|id| id.parse::<FileId>());
            id.transpose().map_err(|source| LockProblem::Id {
                key: self.key(key),
                source,
            })
        };
        let (file, dir) = (id("file")?, id("dir")?);
        let size = self.count("size")?;
        let content = match (file, dir) {
            (Some(id), None) => PointerContent::File {
                id,
                executable: self.flag("executable", true)?,
            },
            (None, Some(id)) => PointerContent::Dir {
                id: id.into(),
                files: self.count("files")?,
            },
            (None, None) => return Err(LockProblem::MissingKey(self.key("file"))),
            (Some(_), Some(_)) => return Err(LockProblem::UnknownKey(self.key("dir"))),
        };
        Ok(LockedDep { content, size })
    }

    /// Refuses the keys that nobody asked for.
    fn finish(self) -> Parsed<()> {
        match self.table.keys().next() {
            Some(key) => Err(LockProblem::UnknownKey(self.key(key))),
            None => Ok(()),
        }
    }
}
