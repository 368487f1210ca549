//! Tables for people: columns below each other, or Markdown; numbers to the right.

use std::io::{self, Write};

use serde_json::Value;

/// A table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    heads: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// What is in one place of a table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    is_number: bool,
}

impl Cell {
    /// Text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_number: false,
        }
    }

    /// A value with so many digits; none: `-`.
    pub(crate) fn value(value: Option<&Value>, precision: usize) -> Self {
        Self {
            text: value.map_or_else(|| "-".to_owned(), |value| show(value, precision)),
            is_number: value.is_none_or(is_number),
        }
    }
}

impl Table {
    /// With heads and no rows yet.
    pub(crate) fn new(heads: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            heads: heads.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, of as many cells as there are heads.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Writes it, as Markdown or in columns; nothing if it has no rows.
    pub(crate) fn write(&self, out: &mut dyn Write, markdown: bool) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let is_right = |column: usize| {
            self.rows
                .iter()
                .all(|row| row.get(column).is_some_and(|cell| cell.is_number))
        };
        let right: Vec<bool> = (0..self.heads.len()).map(is_right).collect();
        let shown = |text: &str| if markdown { escape(text) } else { one_line(text) };
        let heads: Vec<String> = self.heads.iter().map(|head| shown(head)).collect();
        let rows = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| shown(&cell.text)).collect());
        let rows: Vec<Vec<String>> = rows.collect();
        let width = |column: usize| {
            let cells = rows.iter().chain([&heads]).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default().max(3)
        };
        let widths: Vec<usize> = (0..heads.len()).map(width).collect();
        let mut line = |row: &[String]| -> io::Result<()> {
            let cells = row.iter().zip(&widths).zip(&right).map(|((cell, &width), &right)| {
                if right {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
            let cells: Vec<String> = cells.collect();
            if markdown {
                writeln!(out, "| {} |", cells.join(" | "))
            } else {
                writeln!(out, "{}", cells.join("  ").trim_end())
            }
        };
        line(&heads)?;
        if markdown {
            let rules = widths.iter().zip(&right);
            let rules = rules.map(|(&width, &right)| {
                if right {
                    format!("{:->width$}", ":")
                } else {
                    "-".repeat(width)
                }
            });
            line(&rules.collect::<Vec<_>>())?;
        }
        rows.iter().try_for_each(|row| line(row))
    }
}

/// Whether a value is a number, also one that JSON does not know.
fn is_number(value: &Value) -> bool {
    value.is_number() || matches!(value.as_str(), Some("nan" | "inf" | "-inf"))
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn escape(text: &str) -> String {
    one_line(text)
        .replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;")
}

/// A value as people read it: text as it is, a number that is no integer with so many significant digits, lists and
/// tables as JSON.
pub(crate) fn show(value: &Value, precision: usize) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(n) if n.is_f64() => n.as_f64().map_or_else(|| n.to_string(), |n| number(n, precision)),
        Value::Array(values) if values.iter().all(|value| !value.is_array() && !value.is_object()) => {
            let values: Vec<String> = values.iter().map(|value| show(value, precision)).collect();
            format!("[{}]", values.join(", "))
        }
        other => other.to_string(),
    }
}

/// A number with so many significant digits; digits before the point are all there, very large and very small numbers
/// have an exponent.
pub(crate) fn number(n: f64, precision: usize) -> String {
    let precision = precision.clamp(1, 17);
    if n == 0.0 || !n.is_finite() {
        return n.to_string();
    }
    let scientific = format!("{n:.*e}", precision - 1);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-5..15).contains(&exponent) {
        return format!("{}e{exponent}", trimmed(digits));
    }
    let behind = usize::try_from(i32::try_from(precision).unwrap_or(17) - 1 - exponent).unwrap_or_default();
    trimmed(&format!("{n:.behind$}")).to_owned()
}

/// Without zeros at the end of a fraction.
fn trimmed(digits: &str) -> &str {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers() {
        for (n, text) in [
            (0.1 + 0.2, "0.3"),
            (0.987_654_321, "0.98765"),
            (123_456.789, "123457"),
            (12.5, "12.5"),
            (1.0, "1"),
            (-0.000_123_456, "-0.00012346"),
            (1.5e-7, "1.5e-7"),
            (1e20, "1e20"),
            (0.0, "0"),
            (99_999.96, "100000"),
        ] {
            assert_eq!(number(n, 5), text);
        }
        assert_eq!(number(0.123_456_789, 3), "0.123");
        assert_eq!(show(&json!([1, 0.123_456, "a"]), 3), "[1, 0.123, a]");
        assert_eq!(show(&json!(12_345_678), 2), "12345678");
        assert_eq!(show(&json!({"a": [1]}), 2), r#"{"a":[1]}"#);
    }

    #[test]
    fn columns_and_markdown() {
        let mut table = Table::new(["Path", "loss"]);
        table.row(vec![Cell::text("a|b"), Cell::value(Some(&json!(0.5)), 5)]);
        table.row(vec![Cell::text("long\nname"), Cell::value(None, 5)]);
        let show = |markdown| {
            let mut out = Vec::new();
            table.write(&mut out, markdown).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(show(false), "Path       loss\na|b         0.5\nlong name     -\n");
        assert_eq!(
            show(true),
            "| Path      | loss |\n| --------- | ---: |\n| a\\|b      |  0.5 |\n| long name |    - |\n"
        );
    }
}
