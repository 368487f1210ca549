//! What is recorded of one run.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::git::PointerContent;
use crate::hash::{FileId, TreeId};
use crate::pipeline::process::Usage;

/// Version of the record.
pub const VERSION: u32 = 1;

/// What was run from what to what, and how it ended. Paths are relative to the repository, quoted as outcomes quote them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Version of the format.
    pub version: u32,
    /// What runs with the same command, inputs and declared outputs have in common.
    pub key: FileId,
    /// The stage, as users name it at the root.
    pub stage: String,
    /// Its commands.
    pub cmd: Vec<String>,
    /// Where they ran.
    pub wdir: String,
    /// Content that was read.
    pub deps: BTreeMap<String, RecordedContent>,
    /// Parameters by file and key.
    pub params: BTreeMap<String, BTreeMap<String, serde_json::Value>>,
    /// Environment variables that count as inputs.
    pub env: BTreeMap<String, Option<String>>,
    /// Content that was made; of a failed run, nothing.
    pub outs: BTreeMap<String, RecordedContent>,
    /// Whether the same inputs may be answered with these outputs.
    pub reusable: bool,
    /// The commit that was checked out.
    pub commit: Option<String>,
    /// Whether files that git tracks differed from it.
    pub dirty: bool,
    /// How they differed: the id of `git diff`'s text.
    pub diff: Option<FileId>,
    /// Milliseconds since 1970 when it began.
    pub started_ms: u64,
    /// Milliseconds since 1970 when it ended.
    pub ended_ms: u64,
    /// What it used.
    pub usage: Usage,
    /// How often it was tried.
    pub attempts: u32,
    /// The command's exit code; 128 and the signal's number for a signal.
    pub exit: i32,
    /// Why the run failed although its command did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Where it ran.
    pub machine: Machine,
    /// What it printed: the id of the log.
    pub log: Option<FileId>,
    /// The modver that ran it.
    pub modver: String,
}

/// Content of a file or directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RecordedContent {
    /// A file.
    File {
        /// Its content.
        id: FileId,
        /// Bytes.
        size: u64,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A directory.
    Dir {
        /// Its listing.
        id: TreeId,
        /// Bytes of the files in it.
        size: u64,
        /// Files and links in it.
        files: u64,
    },
}

impl RecordedContent {
    /// Content of this size.
    #[must_use]
    pub const fn new(content: PointerContent, size: u64) -> Self {
        match content {
            PointerContent::File { id, executable } => Self::File { id, size, executable },
            PointerContent::Dir { id, files } => Self::Dir { id, size, files },
        }
    }

    /// As pointers and lock files have it, with its bytes.
    #[must_use]
    pub const fn content(&self) -> (PointerContent, u64) {
        match *self {
            Self::File { id, size, executable } => (PointerContent::File { id, executable }, size),
            Self::Dir { id, size, files } => (PointerContent::Dir { id, files }, size),
        }
    }
}

/// A machine and what is on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Its name.
    pub host: String,
    /// Operating system and version.
    pub os: String,
    /// Model of the processor.
    pub cpu: String,
    /// Processors that this process may use.
    pub cpus: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// Versions of interpreters that the command names.
    pub interpreters: BTreeMap<String, String>,
}

/// This machine, as far as it tells (Linux's `/proc` and `/etc/os-release`).
#[must_use]
pub fn machine() -> Machine {
    let text = |path: &str| {
        let bytes = crate::fs::read(Path::new(path), 1 << 20).unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    };
    let field = |text: &str, name: &str, separator: char| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        let (_, value) = line.split_once(separator)?;
        Some(value.trim().trim_matches('"').to_owned())
    };
    let release = text("/etc/os-release");
    let kernel = text("/proc/sys/kernel/osrelease");
    let os = field(&release, "PRETTY_NAME", '=').unwrap_or_else(|| std::env::consts::OS.to_owned());
    let memory = field(&text("/proc/meminfo"), "MemTotal", ':');
    let kibibytes = memory.and_then(|memory| memory.split(' ').next()?.parse::<u64>().ok());
    Machine {
        host: text("/proc/sys/kernel/hostname"),
        os: if kernel.is_empty() {
            os
        } else {
            format!("{os}, Linux {kernel}")
        },
        cpu: field(&text("/proc/cpuinfo"), "model name", ':').unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        cpus: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        memory: kibibytes.unwrap_or(0) * 1024,
        interpreters: BTreeMap::new(),
    }
}

impl RunRecord {
    /// Its canonical bytes, which name it.
    ///
    /// # Errors
    /// Never in practice: everything in it can be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// All of it for people, as TOML; what is not known is left out.
    ///
    /// # Errors
    /// Never in practice: everything in it can be written as TOML.
    pub fn to_text(&self, id: &FileId) -> Result<String, toml::ser::Error> {
        let value = serde_json::to_value(self).map_err(<toml::ser::Error as serde::ser::Error>::custom)?;
        let record = toml::to_string_pretty(&without_null(value))?;
        Ok(format!("id = \"{id}\"\n{record}"))
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it is not one of this version.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let record: Self = serde_json::from_slice(bytes)?;
        if record.version == VERSION {
            Ok(record)
        } else {
            Err(serde::de::Error::custom(format!(
                "it has version {}, this modver reads version {VERSION}",
                record.version
            )))
        }
    }
}

/// Values that TOML has, too.
fn without_null(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            let known = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(known.map(|(key, value)| (key, without_null(value))).collect())
        }
        Value::Array(list) => {
            let known = list.into_iter().filter(|value| !value.is_null());
            Value::Array(known.map(without_null).collect())
        }
        other => other,
    }
}
