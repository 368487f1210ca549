//! Project files as values that know their lines.

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{DefinitionError, Place, Problem, Result};
use super::interpolate::{Mode, Scope};
use crate::path::RepoPath;

/// A project file, for saying where things are in it.
pub(in crate::pipeline) struct Source<'a> {
    pub(in crate::pipeline) file: &'a RepoPath,
    pub(in crate::pipeline) text: &'a str,
    /// Where its lines start.
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    /// The bytes as text.
    pub(in crate::pipeline) fn new(file: &'a RepoPath, bytes: &'a [u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| DefinitionError::At {
            place: Place {
                file: file.clone(),
                line: 1 + bytes.iter().take(error.valid_up_to()).filter(|&&b| b == b'\n').count(),
            },
            problem: Box::new(Problem::NotUtf8),
        })?;
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        Ok(Self {
            file,
            text,
            lines: std::iter::once(0).chain(starts).collect(),
        })
    }

    /// The text as TOML.
    pub(in crate::pipeline) fn parse(&self) -> Result<Spanned<DeTable<'a>>> {
        DeTable::parse(self.text).map_err(|error| {
            if let Some(line) = self.text.lines().position(|line| line.starts_with("<<<<<<< ")) {
                return DefinitionError::At {
                    place: Place {
                        file: self.file.clone(),
                        line: line + 1,
                    },
                    problem: Box::new(Problem::ConflictMarkers),
                };
            }
            let span = error.span().unwrap_or(self.text.len()..self.text.len());
            if error.message().contains("duplicate key") {
                let name = self.text.get(span.clone()).unwrap_or_default();
                return self.error(span.start, Problem::Twice(name.to_owned()));
            }
            let line = self.line(span.start);
            let start = self.lines.get(line - 1).copied().unwrap_or(0);
            let before = self.text.get(start..span.start).unwrap_or_default();
            DefinitionError::Syntax {
                place: self.place(span.start),
                column: 1 + before.chars().count(),
                message: error.message().to_owned(),
            }
        })
    }

    /// The line of a byte, from 1.
    pub(in crate::pipeline) fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|&start| start <= offset).max(1)
    }

    pub(in crate::pipeline) fn place(&self, offset: usize) -> Place {
        Place {
            file: self.file.clone(),
            line: self.line(offset),
        }
    }

    pub(in crate::pipeline) fn error(&self, offset: usize, problem: Problem) -> DefinitionError {
        DefinitionError::At {
            place: self.place(offset),
            problem: Box::new(problem),
        }
    }
}

/// A value of a project file, with variables filled in.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Where it is written.
    pub(super) at: usize,
    pub(super) data: Data,
}

#[derive(Debug, Clone)]
pub(super) enum Data {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// A date or time.
    Date(String),
    List(Vec<Node>),
    /// In the order of the file.
    Table(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Where the key is written.
    pub(super) at: usize,
    pub(super) key: String,
    pub(super) value: Node,
}

impl Data {
    /// What it is, for messages.
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::Date(_) => "a date or time",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl Node {
    /// Reads a value; with a scope, `${...}` in its strings is replaced.
    pub(super) fn read(
        source: &Source<'_>,
        value: &Spanned<DeValue<'_>>,
        scope: Option<&Scope<'_>>,
        mode: Mode,
    ) -> Result<Self> {
        let at = value.span().start;
        let data = match value.get_ref() {
            DeValue::String(text) => match scope {
                Some(scope) if text.contains("${") => {
                    return scope.fill(text, at, mode).map_err(|problem| source.error(at, problem));
                }
                _ => Data::Text(text.as_ref().to_owned()),
            },
            DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(integer) => Data::Integer(integer),
                Err(_) => {
                    return Err(source.error(
                        at,
                        Problem::BadValue {
                            key: integer.as_str().to_owned(),
                            given: None,
                            problem: "is too large an integer",
                            expected: None,
                        },
                    ));
                }
            },
            DeValue::Float(float) => Data::Float(float.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(bool) => Data::Bool(*bool),
            DeValue::Datetime(date) => Data::Date(date.to_string()),
            DeValue::Array(items) => Data::List(
                items
                    .iter()
                    .map(|item| Self::read(source, item, scope, mode))
                    .collect::<Result<_>>()?,
            ),
            DeValue::Table(table) => Data::Table(Self::entries(source, table, |_| Some((scope, mode)))?),
        };
        Ok(Self { at, data })
    }

    /// Reads a table; `how` says for each key what its value is read with, if it is.
    pub(super) fn entries<'s>(
        source: &Source<'_>,
        table: &DeTable<'_>,
        how: impl Fn(&str) -> Option<(Option<&'s Scope<'s>>, Mode)>,
    ) -> Result<Vec<Entry>> {
        let mut entries = table
            .iter()
            .filter_map(|(key, value)| how(key.get_ref()).map(|how| (key, value, how)))
            .map(|(key, value, (scope, mode))| {
                Ok(Entry {
                    at: key.span().start,
                    key: key.get_ref().as_ref().to_owned(),
                    value: Self::read(source, value, scope, mode)?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        entries.sort_by_key(|entry| entry.at);
        Ok(entries)
    }

    /// The value of a variable, as if it were written here.
    pub(super) fn of_value(at: usize, value: &Value) -> Self {
        let data = match value {
            Value::Null => Data::Null,
            Value::Bool(bool) => Data::Bool(*bool),
            Value::Number(number) => match number.as_i64() {
                Some(integer) => Data::Integer(integer),
                None => Data::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Data::Text(text.clone()),
            Value::Array(items) => Data::List(items.iter().map(|item| Self::of_value(at, item)).collect()),
            Value::Object(map) => Data::Table(
                map.iter()
                    .map(|(key, value)| Entry {
                        at,
                        key: key.clone(),
                        value: Self::of_value(at, value),
                    })
                    .collect(),
            ),
        };
        Self { at, data }
    }

    /// The value alone. Dates are text; numbers that JSON does not have, too.
    pub(super) fn to_value(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(bool) => Value::Bool(*bool),
            Data::Integer(integer) => Value::from(*integer),
            Data::Float(float) => {
                serde_json::Number::from_f64(*float).map_or_else(|| Value::from(name_of(*float)), Value::Number)
            }
            Data::Text(text) | Data::Date(text) => Value::String(text.clone()),
            Data::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Data::Table(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_value()))
                    .collect(),
            ),
        }
    }
}

/// A number that JSON does not have, as [`crate::pipeline::values`] calls it.
fn name_of(float: f64) -> &'static str {
    if float.is_nan() {
        "nan"
    } else if float < 0.0 {
        "-inf"
    } else {
        "inf"
    }
}
