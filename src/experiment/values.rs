//! Metrics in whatever form they are written.

use serde_json::Value;

use super::Result;
use super::table::{self, Separator};
use crate::path::RepoPath;
use crate::pipeline::{ValueFormat, parse_as};

/// Reads the metrics in a file. Of CSV and TSV the last row counts: in a log of training that is where it ended, and a
/// file of results has one. A file whose name says nothing is read as YAML, which a lone number is, too.
pub(super) fn metrics(path: &RepoPath, bytes: &[u8]) -> Result<Value> {
    if let Some(separator) = Separator::of(path) {
        let last = table::rows(path, bytes, separator, true)?.pop();
        return Ok(last.map_or(Value::Null, Value::Object));
    }
    Ok(parse_as(
        ValueFormat::of(path).unwrap_or(ValueFormat::Yaml),
        path,
        bytes,
    )?)
}
