//! The bytes of a lock file.

use std::fmt::{self, Write as _};

use serde_json::Value;

use super::super::pointer::{PointerContent, Quoted};
use super::{JSON, Lock, LockError, LockProblem, LockedOut, LockedStage, MAX_LOCK, VERSION};
use crate::path::{RepoPath, quote};

const HEADER: &str =
    "# modver lock file: what each stage last ran from, and what it made. Written by: modver repro\n";

impl Lock {
    /// The bytes of the lock file at `path`.
    ///
    /// # Errors
    /// When they would be more than [`MAX_LOCK`] or a number more than `i64::MAX`: nobody could read that.
    pub fn to_bytes(&self, path: &RepoPath) -> Result<Vec<u8>, LockError> {
        let problem = |problem| LockError {
            path: path.clone(),
            problem,
        };
        let dir = path.parent().unwrap_or_default();
        let mut out = format!("{HEADER}version = {VERSION}\n");
        for (name, stage) in &self.stages {
            put_stage(&mut out, &Key(name).to_string(), stage, &dir).map_err(problem)?;
        }
        if out.len() as u64 > MAX_LOCK {
            return Err(problem(LockProblem::TooLarge(out.len() as u64)));
        }
        Ok(out.into_bytes())
    }
}

/// Writing to a `String` cannot fail.
fn put_stage(out: &mut String, name: &str, stage: &LockedStage, dir: &RepoPath) -> Result<(), LockProblem> {
    let _ = writeln!(out, "\n[stages.{name}]");
    let cmd: Vec<String> = stage.cmd.iter().map(|cmd| Quoted(cmd).to_string()).collect();
    let _ = writeln!(out, "cmd = [{}]", cmd.join(", "));
    if stage.wdir != *dir {
        let _ = writeln!(out, "wdir = {}", path_key(&stage.wdir, dir));
    }
    if !stage.deps.is_empty() {
        let _ = writeln!(out, "[stages.{name}.deps]");
    }
    for (path, dep) in &stage.deps {
        let path = path_key(path, dir);
        let _ = write!(out, "{path} = {{ ");
        put_content(out, &dep.content, dep.size, || format!("stages.{name}.deps.{path}"))?;
        out.push_str(" }\n");
    }
    for (file, values) in &stage.params {
        let _ = writeln!(out, "[stages.{name}.params.{}]", path_key(file, dir));
        for (key, value) in values {
            let _ = write!(out, "{} = ", Quoted(key));
            put_value(out, value);
            out.push('\n');
        }
    }
    if !stage.env.is_empty() {
        let _ = writeln!(out, "[stages.{name}.env]");
    }
    for (variable, value) in &stage.env {
        let _ = match value {
            Some(value) => writeln!(out, "{} = {}", Key(variable), Quoted(value)),
            None => writeln!(out, "{} = false", Key(variable)),
        };
    }
    if !stage.outs.is_empty() {
        let _ = writeln!(out, "[stages.{name}.outs]");
    }
    for (path, made) in &stage.outs {
        let path = path_key(path, dir);
        let _ = write!(out, "{path} = {{ ");
        put_content(out, &made.content, made.size, || format!("stages.{name}.outs.{path}"))?;
        put_keeping(out, made);
        out.push_str(" }\n");
    }
    Ok(())
}

fn put_content(
    out: &mut String,
    content: &PointerContent,
    size: u64,
    key: impl Fn() -> String,
) -> Result<(), LockProblem> {
    let number = |value: u64| i64::try_from(value).map_err(|_| LockProblem::TooBig { key: key() });
    let size = number(size)?;
    let _ = match content {
        PointerContent::File { id, executable: false } => write!(out, "file = \"{id}\", size = {size}"),
        PointerContent::File { id, executable: true } => {
            write!(out, "file = \"{id}\", size = {size}, executable = true")
        }
        PointerContent::Dir { id, files } => {
            let files = number(*files)?;
            write!(out, "dir = \"{id}\", size = {size}, files = {files}")
        }
    };
    Ok(())
}

fn put_keeping(out: &mut String, made: &LockedOut) {
    if !made.cache {
        out.push_str(", cache = false");
    }
    if !made.push {
        out.push_str(", push = false");
    }
    if let Some(remote) = &made.remote {
        let _ = write!(out, ", remote = {}", Quoted(remote));
    }
}

/// Whether TOML has no such value, or it could be taken for one that it has not.
fn needs_json(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Number(number) => number.is_u64() && !number.is_i64(),
        Value::Object(values) => values.len() == 1 && matches!(values.get(JSON), Some(Value::String(_))),
        Value::Bool(_) | Value::String(_) | Value::Array(_) => false,
    }
}

/// A value; as JSON text in `{ json = "…" }` if it has to be.
fn put_value(out: &mut String, value: &Value) {
    let _ = match value {
        value if needs_json(value) => write!(out, "{{ {JSON} = {} }}", Quoted(&value.to_string())),
        Value::Null => Ok(()),
        Value::Bool(value) => write!(out, "{value}"),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => write!(out, "{value}"),
            // With a point or an exponent, and as many digits as give the same number back.
            (None, Some(value)) => write!(out, "{value:?}"),
            (None, None) => write!(out, "{number}"),
        },
        Value::String(value) => write!(out, "{}", Quoted(value)),
        Value::Array(values) => {
            out.push('[');
            for (i, value) in values.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                put_value(out, value);
            }
            out.push(']');
            Ok(())
        }
        Value::Object(values) => {
            let mut keys: Vec<&String> = values.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                let _ = write!(out, "{}{} = ", if i == 0 { " " } else { ", " }, Key(key));
                put_value(out, &values[key]);
            }
            out.push_str(if values.is_empty() { "}" } else { " }" });
            Ok(())
        }
    };
}

/// A TOML key: bare if it can be.
struct Key<'a>(&'a str);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !self.0.is_empty() && self.0.bytes().all(bare) {
            f.write_str(self.0)
        } else {
            Quoted(self.0).fmt(f)
        }
    }
}

/// A path as seen from `dir`, as a TOML string.
fn path_key(path: &RepoPath, dir: &RepoPath) -> String {
    let shared = path.names().zip(dir.names()).take_while(|(a, b)| a == b).count();
    let mut bytes = Vec::new();
    let up = std::iter::repeat_n(&b".."[..], dir.names().count() - shared);
    for name in up.chain(path.names().skip(shared)) {
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
    }
    if bytes.is_empty() {
        bytes.push(b'.');
    }
    Quoted(&quote(&bytes)).to_string()
}
