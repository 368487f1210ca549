//! Values of one version compared with those of another.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Number, Value};

use super::snapshot::Problem;
use crate::path::RepoPath;

/// How a value differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueState {
    /// Only the second version has it.
    Added,
    /// Only the first version has it.
    Deleted,
    /// Both have it, with different values.
    Modified,
    /// It is the same.
    Unchanged,
}

/// A value in two versions.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ValueChange {
    /// The file.
    pub path: RepoPath,
    /// The key; empty when the file is one value.
    pub key: String,
    /// How it differs.
    pub state: ValueState,
    /// In the first version; `null` where it has none, see `state`.
    pub before: Option<Value>,
    /// In the second version.
    pub after: Option<Value>,
    /// By how much a number grew.
    pub change: Option<Number>,
}

/// The values of two versions.
#[derive(Debug, serde::Serialize)]
pub struct ValuesDiff {
    /// The first version.
    pub from: String,
    /// The second version.
    pub to: String,
    /// By path and key.
    pub changes: Vec<ValueChange>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// How many files were compared.
    pub files: usize,
}

/// The leaves of each file.
pub(super) type Leaves = BTreeMap<RepoPath, Vec<(String, Value)>>;

/// Compares; `all`: also what is the same.
pub(super) fn compare(before: &Leaves, after: &Leaves, all: bool) -> Vec<ValueChange> {
    let mut changes = Vec::new();
    let paths: BTreeSet<&RepoPath> = before.keys().chain(after.keys()).collect();
    for path in paths {
        let (old, new) = (by_key(before.get(path)), by_key(after.get(path)));
        let keys: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
        for key in keys {
            let (old, new) = (old.get(key).copied(), new.get(key).copied());
            let state = match (old, new) {
                (None, _) => ValueState::Added,
                (_, None) => ValueState::Deleted,
                (old, new) if old == new => ValueState::Unchanged,
                _ => ValueState::Modified,
            };
            if !all && state == ValueState::Unchanged {
                continue;
            }
            changes.push(ValueChange {
                path: path.clone(),
                key: key.to_owned(),
                state,
                before: old.cloned(),
                after: new.cloned(),
                change: growth(old, new),
            });
        }
    }
    changes
}

fn by_key(leaves: Option<&Vec<(String, Value)>>) -> BTreeMap<&str, &Value> {
    leaves
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
        .collect()
}

fn growth(before: Option<&Value>, after: Option<&Value>) -> Option<Number> {
    let (before, after) = (before?, after?);
    if let (Some(before), Some(after)) = (before.as_i64(), after.as_i64()) {
        return after.checked_sub(before).map(Number::from);
    }
    Number::from_f64(after.as_f64()? - before.as_f64()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_key_of_each_file() {
        let path = |name: &str| RepoPath::new(name.as_bytes()).unwrap();
        let leaves = |files: &[(&str, &[(&str, Value)])]| -> Leaves {
            let own = |values: &[(&str, Value)]| values.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
            files.iter().map(|(name, values)| (path(name), own(values))).collect()
        };
        let before = leaves(&[(
            "a",
            &[
                ("same", json!(1)),
                ("n", json!(3)),
                ("f", json!(0.5)),
                ("gone", json!("x")),
            ],
        )]);
        let after = leaves(&[
            (
                "a",
                &[
                    ("same", json!(1)),
                    ("n", json!(1)),
                    ("f", json!(0.75)),
                    ("new", json!(null)),
                ],
            ),
            ("b", &[("", json!(2))]),
        ]);
        let seen = |all| -> Vec<(String, ValueState, Option<String>)> {
            let changes = compare(&before, &after, all);
            let show = |c: ValueChange| {
                (
                    format!("{}:{}", c.path, c.key),
                    c.state,
                    c.change.map(|n| n.to_string()),
                )
            };
            changes.into_iter().map(show).collect()
        };
        let of = |key: &str, state, change: Option<&str>| (key.to_owned(), state, change.map(str::to_owned));
        let mut expected = vec![
            of("a:f", ValueState::Modified, Some("0.25")),
            of("a:gone", ValueState::Deleted, None),
            of("a:n", ValueState::Modified, Some("-2")),
            of("a:new", ValueState::Added, None),
            of("b:", ValueState::Added, None),
        ];
        assert_eq!(seen(false), expected);
        expected.insert(4, of("a:same", ValueState::Unchanged, Some("0")));
        assert_eq!(seen(true), expected);
    }
}
