//! Taking keys out of a table of a project file, each with its type; what is left is a mistake.

use super::document::{Data, Entry, Node, Source};
use super::error::{DefinitionError, Problem, Result};
use crate::config::nearest;

/// A table whose keys are taken one by one.
pub(super) struct Fields<'a> {
    pub(super) source: &'a Source<'a>,
    /// Its name, for messages: `stages.train`.
    name: String,
    entries: Vec<Entry>,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(source: &'a Source<'a>, name: String, entries: Vec<Entry>) -> Self {
        Self { source, name, entries }
    }

    /// The full name of a key.
    pub(super) fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(at).value)
    }

    /// That nothing is left. `known` are all keys of such a table; `instead` says what to write for well-known others.
    pub(super) fn finish(self, known: &[&str], instead: impl Fn(&str) -> Option<&'static str>) -> Result<()> {
        match self.entries.first() {
            None => Ok(()),
            Some(entry) => Err(self.source.error(
                entry.at,
                Problem::UnknownKey {
                    key: self.full(&entry.key),
                    nearest: nearest(&entry.key, known.iter().copied()).map(str::to_owned),
                    instead: instead(&entry.key),
                },
            )),
        }
    }

    pub(super) fn wrong(&self, key: &str, node: &Node, expected: &'static str) -> DefinitionError {
        self.source.error(
            node.at,
            Problem::WrongType {
                key: self.full(key),
                expected,
                found: node.data.type_name(),
            },
        )
    }

    pub(super) fn bad(
        &self,
        key: &str,
        at: usize,
        given: Option<&str>,
        problem: &'static str,
        expected: Option<&'static str>,
    ) -> DefinitionError {
        self.source.error(
            at,
            Problem::BadValue {
                key: self.full(key),
                given: given.map(str::to_owned),
                problem,
                expected,
            },
        )
    }

    pub(super) fn bool(&mut self, key: &str) -> Result<Option<bool>> {
        match self.take(key) {
            None => Ok(None),
            Some(Node {
                data: Data::Bool(bool), ..
            }) => Ok(Some(bool)),
            Some(other) => Err(self.wrong(key, &other, "true or false")),
        }
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<(usize, String)>> {
        match self.take(key) {
            None => Ok(None),
            Some(Node {
                at,
                data: Data::Text(text),
            }) => Ok(Some((at, text))),
            Some(other) => Err(self.wrong(key, &other, "a string")),
        }
    }

    /// A list; empty if it is not there.
    pub(super) fn list(&mut self, key: &str, expected: &'static str) -> Result<Vec<Node>> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Node {
                data: Data::List(items),
                ..
            }) => Ok(items),
            Some(other) => Err(self.wrong(key, &other, expected)),
        }
    }

    /// A list of strings; empty if it is not there.
    pub(super) fn texts(&mut self, key: &str) -> Result<Vec<(usize, String)>> {
        const EXPECTED: &str = "a list of strings";
        let mut texts = Vec::new();
        for item in self.list(key, EXPECTED)? {
            match item.data {
                Data::Text(text) => texts.push((item.at, text)),
                _ => return Err(self.wrong(key, &item, EXPECTED)),
            }
        }
        Ok(texts)
    }

    /// A number that is not negative and finite.
    pub(super) fn number(&self, key: &str, node: &Node) -> Result<Option<f64>> {
        #[allow(clippy::cast_precision_loss, reason = "such large amounts need not be exact")]
        let number = match node.data {
            Data::Integer(integer) => integer as f64,
            Data::Float(float) => float,
            _ => return Ok(None),
        };
        if !number.is_finite() || number < 0.0 {
            let given = number.to_string();
            return Err(self.bad(key, node.at, Some(&given), "not a positive number", None));
        }
        Ok(Some(number))
    }
}
