//! What a stage depends on, as it is now, and the key of the runs that had the same.

use std::collections::BTreeMap;

use super::{Out, Stage, StageId};
use crate::git::{LockedDep, LockedOut, LockedStage, PointerContent};
use crate::hash::FileId;
use crate::object::Node;
use crate::path::RepoPath;

/// Values of parameters by file and key; `None`: the file has no such key.
pub(super) type ParamValues = BTreeMap<RepoPath, BTreeMap<String, Option<serde_json::Value>>>;

/// What a stage depends on, as it is now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inputs {
    /// Content; `None` where there is nothing.
    pub deps: BTreeMap<RepoPath, Option<LockedDep>>,
    /// Parameters.
    pub params: ParamValues,
    /// Environment variables; `None` where one is not set.
    pub env: BTreeMap<String, Option<String>>,
}

/// Names all runs with the same command, inputs and declared outputs.
pub type RunKey = FileId;

impl Inputs {
    /// The first input that is not there.
    #[must_use]
    pub fn missing(&self) -> Option<MissingInput> {
        let dep = self.deps.iter().find(|(_, dep)| dep.is_none());
        if let Some((path, _)) = dep {
            return Some(MissingInput::Dep(path.clone()));
        }
        self.params.iter().find_map(|(file, keys)| {
            let (key, _) = keys.iter().find(|(_, value)| value.is_none())?;
            Some(MissingInput::Param {
                file: file.clone(),
                key: key.clone(),
            })
        })
    }

    /// The key of a run of `stage` from these inputs; `None` if something is missing.
    #[must_use]
    pub fn key(&self, stage: &Stage) -> Option<RunKey> {
        let mut deps = BTreeMap::new();
        for (path, dep) in &self.deps {
            deps.insert(path.to_string(), content_text(&(*dep)?.content));
        }
        let mut params = BTreeMap::new();
        for (file, keys) in &self.params {
            let mut values = BTreeMap::new();
            for (key, value) in keys {
                values.insert(key, sorted(value.as_ref()?));
            }
            params.insert(file.to_string(), values);
        }
        let outs: BTreeMap<String, bool> = stage.outs.iter().map(|out| (out.path.to_string(), out.cache)).collect();
        let wdir = stage.wdir.to_string();
        // The same inputs give the same bytes: tables of parameters are sorted, whatever the order in their file.
        let text = serde_json::json!({
            "version": 1,
            "cmd": stage.cmd,
            "wdir": wdir,
            "deps": deps,
            "params": params,
            "env": self.env,
            "outs": outs,
        });
        Some(FileId::of(text.to_string().as_bytes()))
    }

    /// What the lock file says of a run of `stage` from these inputs that made `outs`; what is missing is left out.
    #[must_use]
    pub fn locked(&self, stage: &Stage, outs: BTreeMap<RepoPath, LockedOut>) -> LockedStage {
        let deps = self.deps.iter().filter_map(|(path, dep)| Some((path.clone(), (*dep)?)));
        let params = self.params.iter().map(|(file, keys)| {
            let known = keys
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
            (file.clone(), known.collect())
        });
        LockedStage {
            cmd: stage.cmd.clone(),
            wdir: stage.wdir.clone(),
            deps: deps.collect(),
            params: params.collect(),
            env: self.env.clone(),
            outs,
        }
    }
}

/// The same value with the keys of all tables in order.
fn sorted(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            let map: BTreeMap<&String, Value> = map.iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(map.into_iter().map(|(key, value)| (key.clone(), value)).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// An input that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingInput {
    /// Content.
    Dep(RepoPath),
    /// A parameter.
    Param {
        /// Where it should be.
        file: RepoPath,
        /// Its key.
        key: String,
    },
}

/// Content, as lock files and keys name it.
#[must_use]
pub(super) fn pointer_content(node: &Node) -> Option<PointerContent> {
    match *node {
        Node::File { id, executable, .. } => Some(PointerContent::File { id, executable }),
        Node::Dir { id, files, .. } => Some(PointerContent::Dir { id, files }),
        Node::Symlink { .. } => None,
    }
}

/// Content of this size, as an entry of a listing.
#[must_use]
pub(super) const fn node_of(content: PointerContent, size: u64) -> Node {
    match content {
        PointerContent::File { id, executable } => Node::File { id, size, executable },
        PointerContent::Dir { id, files } => Node::Dir { id, size, files },
    }
}

/// Content that a stage read.
#[must_use]
pub(super) fn locked_dep(node: &Node) -> Option<LockedDep> {
    let content = pointer_content(node)?;
    Some(LockedDep {
        content,
        size: node.size(),
    })
}

/// Content that a stage made at `out`.
#[must_use]
pub(super) fn locked_out(out: &Out, node: &Node) -> Option<LockedOut> {
    let content = pointer_content(node)?;
    Some(LockedOut {
        content,
        size: node.size(),
        cache: out.cache,
        push: out.push,
        remote: out.remote.clone(),
    })
}

fn content_text(content: &PointerContent) -> String {
    match content {
        PointerContent::File { id, executable: false } => format!("file {id}"),
        PointerContent::File { id, executable: true } => format!("executable {id}"),
        PointerContent::Dir { id, .. } => format!("dir {id}"),
    }
}

/// The name of a stage for files about it.
#[must_use]
pub(super) fn file_name(stage: &StageId) -> String {
    FileId::of(format!("{}\0{}", stage.file, stage.name).as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_keys_does_not_matter() {
        let text = |json: &str| sorted(&serde_json::from_str(json).unwrap()).to_string();
        let one = text(r#"{"b": [{"y": 1, "x": 2}], "a": 3}"#);
        assert_eq!(one, text(r#"{"a": 3, "b": [{"x": 2, "y": 1}]}"#));
        assert_ne!(one, text(r#"{"a": 3, "b": [{"x": 1, "y": 2}]}"#));
        assert_eq!(sorted(&json!([2, 1])), json!([2, 1]));
    }
}
