//! Why a stage is out of date: its definition and inputs now, against what the lock file says of its last run.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::inputs::{Inputs, pointer_content};
use super::{Stage, StageId};
use crate::git::{LockedDep, LockedStage};
use crate::object::Node;
use crate::path::RepoPath;

/// One difference between a stage as it is now and as it last ran.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum StaleReason {
    /// It never ran.
    NeverRan,
    /// It runs each time.
    Always,
    /// It was asked for.
    Forced,
    /// Its command is another.
    Command {
        /// As it last ran.
        before: Vec<String>,
        /// As it is defined.
        after: Vec<String>,
    },
    /// It runs in another directory.
    Directory {
        /// Where it last ran.
        before: RepoPath,
        /// Where it is defined to run.
        after: RepoPath,
    },
    /// Content is another.
    Dep {
        /// Which.
        path: RepoPath,
        /// How it differs.
        change: Difference,
    },
    /// A parameter is another.
    Param {
        /// The file it is in.
        file: RepoPath,
        /// Its key; empty for a whole file.
        key: String,
        /// What it was.
        before: Option<Value>,
        /// What it is.
        after: Option<Value>,
    },
    /// An environment variable is another.
    Env {
        /// Its name.
        name: String,
        /// What it was.
        before: Option<String>,
        /// What it is.
        after: Option<String>,
    },
    /// An output is not what the stage made.
    Out {
        /// Which.
        path: RepoPath,
        /// How it differs.
        change: Difference,
    },
    /// A stage that makes an input runs first; what it makes may be another.
    Upstream {
        /// Which.
        stage: StageId,
    },
}

/// How something differs from what the lock file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// It is other content.
    Modified,
    /// The stage declares it now and did not.
    New,
    /// The stage declared it and does not any more.
    Dropped,
    /// It is not there.
    Missing,
}

impl fmt::Display for StaleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        let text = |text: &Option<String>| text.as_ref().map_or_else(|| "not set".to_owned(), |t| format!("`{t}`"));
        match self {
            Self::NeverRan => f.write_str("it never ran"),
            Self::Always => f.write_str("it runs each time"),
            Self::Forced => f.write_str("it was asked for"),
            Self::Command { .. } => f.write_str("the command changed"),
            Self::Directory { before, after } => {
                let dir = |dir: &RepoPath| if dir.is_root() { ".".to_owned() } else { dir.to_string() };
                write!(f, "the directory changed: {} → {}", dir(before), dir(after))
            }
            Self::Dep { path, change } => match change {
                Difference::Modified => write!(f, "`{path}` changed"),
                Difference::New => write!(f, "it depends on `{path}` now"),
                Difference::Dropped => write!(f, "it does not depend on `{path}` any more"),
                Difference::Missing => write!(f, "`{path}` is missing"),
            },
            Self::Param {
                file,
                key,
                before,
                after,
            } => {
                if key.is_empty() {
                    write!(f, "parameters in `{file}` changed")
                } else {
                    write!(f, "parameter `{key}` changed: {} → {}", value(before), value(after))
                }
            }
            Self::Env { name, before, after } => {
                write!(f, "variable `{name}` changed: {} → {}", text(before), text(after))
            }
            Self::Out { path, change } => match change {
                Difference::Modified => write!(f, "output `{path}` is not what it made"),
                Difference::New => write!(f, "it makes `{path}` now"),
                Difference::Dropped => write!(f, "it does not make `{path}` any more"),
                Difference::Missing => write!(f, "output `{path}` is missing"),
            },
            Self::Upstream { stage } => write!(f, "`{stage}` runs first"),
        }
    }
}

/// How the inputs and the definition differ from the last run. Empty: the last run had the same.
#[must_use]
pub(super) fn input_reasons(stage: &Stage, inputs: &Inputs, locked: Option<&LockedStage>) -> Vec<StaleReason> {
    let Some(locked) = locked else {
        return vec![StaleReason::NeverRan];
    };
    let mut reasons = Vec::new();
    if stage.cmd != locked.cmd {
        reasons.push(StaleReason::Command {
            before: locked.cmd.clone(),
            after: stage.cmd.clone(),
        });
    }
    if stage.wdir != locked.wdir {
        reasons.push(StaleReason::Directory {
            before: locked.wdir.clone(),
            after: stage.wdir.clone(),
        });
    }
    deps(inputs, locked, &mut reasons);
    params(inputs, locked, &mut reasons);
    for (name, before, after) in both(&locked.env, &inputs.env) {
        let (before, after) = (before.cloned().flatten(), after.cloned().flatten());
        if before != after || !inputs.env.contains_key(name) || !locked.env.contains_key(name) {
            reasons.push(StaleReason::Env {
                name: name.clone(),
                before,
                after,
            });
        }
    }
    for out in &stage.outs {
        if !locked.outs.contains_key(&out.path) {
            reasons.push(StaleReason::Out {
                path: out.path.clone(),
                change: Difference::New,
            });
        }
    }
    for path in locked.outs.keys() {
        if !stage.outs.iter().any(|out| out.path == *path) {
            reasons.push(StaleReason::Out {
                path: path.clone(),
                change: Difference::Dropped,
            });
        }
    }
    reasons
}

fn deps(inputs: &Inputs, locked: &LockedStage, reasons: &mut Vec<StaleReason>) {
    for (path, before, after) in both(&locked.deps, &inputs.deps) {
        let change = match (before, after) {
            (None, Some(_)) => Difference::New,
            (Some(_), None) => Difference::Dropped,
            (_, Some(None)) => Difference::Missing,
            (Some(before), Some(Some(after))) if !same(before, after) => Difference::Modified,
            _ => continue,
        };
        reasons.push(StaleReason::Dep {
            path: path.clone(),
            change,
        });
    }
}

/// Sizes say nothing beyond ids.
fn same(a: &LockedDep, b: &LockedDep) -> bool {
    a.content == b.content
}

fn params(inputs: &Inputs, locked: &LockedStage, reasons: &mut Vec<StaleReason>) {
    let empty = (BTreeMap::new(), BTreeMap::new());
    for (file, before, after) in both(&locked.params, &inputs.params) {
        let (before, after) = (before.unwrap_or(&empty.0), after.unwrap_or(&empty.1));
        for (key, before, after) in both(before, after) {
            let after = after.and_then(Option::as_ref);
            if before != after {
                reasons.push(StaleReason::Param {
                    file: file.clone(),
                    key: key.clone(),
                    before: before.cloned(),
                    after: after.cloned(),
                });
            }
        }
    }
}

/// How the outputs that are there differ from those that the last run made.
#[must_use]
pub(super) fn out_reasons(
    stage: &Stage,
    locked: &LockedStage,
    there: &BTreeMap<RepoPath, Option<Node>>,
) -> Vec<StaleReason> {
    let mut reasons = Vec::new();
    for out in &stage.outs {
        let Some(made) = locked.outs.get(&out.path) else {
            continue;
        };
        let now = there.get(&out.path).and_then(Option::as_ref);
        let change = match now.map(pointer_content) {
            None => Difference::Missing,
            Some(now) if now != Some(made.content) => Difference::Modified,
            Some(_) => continue,
        };
        reasons.push(StaleReason::Out {
            path: out.path.clone(),
            change,
        });
    }
    reasons
}

/// The keys of two maps, with what each has.
fn both<'a, K: Ord, A, B>(
    a: &'a BTreeMap<K, A>,
    b: &'a BTreeMap<K, B>,
) -> Vec<(&'a K, Option<&'a A>, Option<&'a B>)> {
    let mut keys: Vec<&K> = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))).collect();
    keys.sort_unstable();
    keys.into_iter().map(|key| (key, a.get(key), b.get(key))).collect()
}
