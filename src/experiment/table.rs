//! CSV and TSV: a row of names, then rows of values. Numbers are numbers, everything else is text.

use serde_json::{Map, Value};

use super::{ExperimentError, Result};
use crate::path::RepoPath;

/// What separates the fields of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    Comma,
    Tab,
}

impl Separator {
    /// As the end of the name says.
    pub(super) fn of(path: &RepoPath) -> Option<Self> {
        match extension(path)?.as_str() {
            "csv" => Some(Self::Comma),
            "tsv" => Some(Self::Tab),
            _ => None,
        }
    }
}

/// The end of a file's name behind the last dot, in lower case.
pub(super) fn extension(path: &RepoPath) -> Option<String> {
    let name = path.file_name()?;
    let (_, end) = std::str::from_utf8(name.as_bytes()).ok()?.rsplit_once('.')?;
    Some(end.to_ascii_lowercase())
}

/// The rows of a file. Without a header the columns are called `0`, `1` and so on.
pub(super) fn rows(
    path: &RepoPath,
    bytes: &[u8],
    separator: Separator,
    header: bool,
) -> Result<Vec<Map<String, Value>>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(match separator {
            Separator::Comma => b',',
            Separator::Tab => b'\t',
        })
        .has_headers(false)
        .from_reader(bytes);
    let mut names: Option<Vec<String>> = None;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| table_error(path, &error))?;
        let Some(names) = &names else {
            if header {
                names = Some(record.iter().map(|name| name.trim().to_owned()).collect());
                continue;
            }
            names = Some((0..record.len()).map(|index| index.to_string()).collect());
            rows.push(row(names.as_deref().unwrap_or_default(), &record));
            continue;
        };
        rows.push(row(names, &record));
    }
    Ok(rows)
}

fn row(names: &[String], record: &csv::StringRecord) -> Map<String, Value> {
    let values = record.iter().map(value);
    names.iter().cloned().zip(values).collect()
}

/// A field as a number if it is one.
fn value(field: &str) -> Value {
    let field = field.trim();
    if let Ok(number) = field.parse::<i64>() {
        return Value::from(number);
    }
    let is_number = field.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    match field.parse::<f64>() {
        Ok(number) if is_number => {
            serde_json::Number::from_f64(number).map_or_else(|| Value::from(field), Value::Number)
        }
        _ => match field {
            "" => Value::Null,
            "True" | "true" => Value::Bool(true),
            "False" | "false" => Value::Bool(false),
            _ => Value::from(field),
        },
    }
}

fn table_error(path: &RepoPath, error: &csv::Error) -> ExperimentError {
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields, but the first row has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "not UTF-8 text".to_owned(),
        _ => error.to_string(),
    };
    ExperimentError::Table {
        path: path.clone(),
        line: error.position().map_or(1, csv::Position::line),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str, separator: Separator, header: bool) -> Result<Vec<Value>> {
        let path = RepoPath::new(b"a/m.csv").unwrap();
        let rows = rows(&path, text.as_bytes(), separator, header)?;
        Ok(rows.into_iter().map(Value::Object).collect())
    }

    #[test]
    fn fields_are_typed() {
        let rows = read(
            "a, b,c\n1,-2.5e3,\n+3,nan,\"x, y\"\nTrue,infinity,007\n",
            Separator::Comma,
            true,
        )
        .unwrap();
        let expected = [
            json!({"a": 1, "b": -2500.0, "c": null}),
            json!({"a": 3, "b": "nan", "c": "x, y"}),
            json!({"a": true, "b": "infinity", "c": 7}),
        ];
        assert_eq!(rows, expected);
        let rows = read("\u{feff}1\t2\n3\t4\n", Separator::Tab, false).unwrap();
        assert_eq!(rows, [json!({"0": 1, "1": 2}), json!({"0": 3, "1": 4})]);
        assert_eq!(read("", Separator::Comma, true).unwrap(), [Value::Null; 0]);
    }

    #[test]
    fn errors_say_where() {
        let error = read("a,b\n1,2\n3\n", Separator::Comma, true).unwrap_err();
        assert_eq!(error.to_string(), "a/m.csv:3: 1 fields, but the first row has 2");
        let path = RepoPath::new(b"m.csv").unwrap();
        let error = rows(&path, b"a\n\xff\n", Separator::Comma, true).unwrap_err();
        assert_eq!(error.to_string(), "m.csv:2: not UTF-8 text");
    }
}
