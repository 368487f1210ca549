//! Rows to draw, and which of their columns.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::PlotSeries;
use crate::experiment::table::{self, Separator};
use crate::experiment::{ExperimentError, Result};
use crate::path::RepoPath;
use crate::pipeline::{PlotOptions, ValueFormat, parse_values};

/// A row: column and value, in the order of the file.
pub(super) type Row = Map<String, Value>;

/// The column that counts rows where no other is named.
const STEP: &str = "step";
/// The column with the version.
pub(super) const REV: &str = "rev";
/// Where several columns are drawn: the column with their names, and that with their values.
pub(super) const FIELD: &str = "field";
const VALUE: &str = "value";

/// Reads the rows of a file.
pub(super) fn read(path: &RepoPath, bytes: &[u8], header: bool) -> Result<Vec<Row>> {
    let no_rows = |why| ExperimentError::NoRows {
        path: path.clone(),
        why,
    };
    let rows = if let Some(separator) = Separator::of(path) {
        table::rows(path, bytes, separator, header)?
    } else if matches!(ValueFormat::of(path), Some(ValueFormat::Json | ValueFormat::Yaml)) {
        of_value(&parse_values(path, bytes)?).ok_or_else(|| no_rows("it holds no list of tables"))?
    } else {
        return Err(ExperimentError::NotAPlot { path: path.clone() });
    };
    if rows.is_empty() {
        return Err(no_rows("it is empty"));
    }
    Ok(rows)
}

/// The first list of tables in a value, or a list of numbers.
fn of_value(value: &Value) -> Option<Vec<Row>> {
    match value {
        Value::Array(values) if values.iter().all(Value::is_object) => {
            Some(values.iter().filter_map(Value::as_object).cloned().collect())
        }
        Value::Array(values) if values.iter().all(|value| value.is_number() || value.is_null()) => {
            let row = |value: &Value| Row::from_iter([(VALUE.to_owned(), value.clone())]);
            Some(values.iter().map(row).collect())
        }
        Value::Object(map) => map.values().find_map(of_value),
        _ => None,
    }
}

/// The rows of all versions with the columns to draw.
pub(super) struct Points {
    /// With `rev` and `field`.
    pub(super) rows: Vec<Value>,
    pub(super) x: String,
    /// The column of values; of several columns one that has them all.
    pub(super) y: String,
    /// What `y` is called.
    pub(super) y_name: String,
    pub(super) revs: Vec<String>,
    pub(super) columns: Vec<String>,
    /// Whether all values of `x` are numbers.
    pub(super) x_is_number: bool,
}

impl Points {
    /// Chooses columns; `matrix`: one is counted against the other.
    pub(super) fn new(
        path: &RepoPath,
        options: &PlotOptions,
        matrix: bool,
        versions: Vec<(String, Vec<Row>)>,
    ) -> Result<Self> {
        let all: Vec<String> = columns(versions.iter().flat_map(|(_, rows)| rows));
        let check = |column: &String| {
            if all.contains(column) {
                return Ok(column.clone());
            }
            Err(ExperimentError::NoColumn {
                path: path.clone(),
                column: column.clone(),
                columns: all.clone(),
            })
        };
        let x = match &options.x {
            Some(x) => check(x)?,
            None if matrix => all.first().cloned().unwrap_or_default(),
            None => STEP.to_owned(),
        };
        let columns = if options.y.is_empty() {
            let last = all.iter().rfind(|column| **column != x).cloned();
            vec![last.ok_or_else(|| ExperimentError::NoRows {
                path: path.clone(),
                why: "it has one column only, and that is the horizontal axis",
            })?]
        } else {
            options.y.iter().map(check).collect::<Result<_>>()?
        };
        let y = match &columns[..] {
            [one] => one.clone(),
            // A name that no column has.
            _ => {
                let mut name = VALUE.to_owned();
                while all.contains(&name) {
                    name.push('_');
                }
                name
            }
        };
        let mut points = Self {
            rows: Vec::new(),
            revs: versions.iter().map(|(rev, _)| rev.clone()).collect(),
            y_name: columns.join(", "),
            x_is_number: true,
            x,
            y,
            columns,
        };
        for (rev, rows) in versions {
            for (index, row) in rows.into_iter().enumerate() {
                points.add(&rev, index, row, matrix);
            }
        }
        Ok(points)
    }

    fn add(&mut self, rev: &str, index: usize, mut row: Row, matrix: bool) {
        if self.x == STEP && !row.contains_key(STEP) {
            row.insert(STEP.to_owned(), Value::from(index));
        }
        self.x_is_number &= row.get(&self.x).is_none_or(|x| x.is_number() || x.is_null());
        row.insert(REV.to_owned(), Value::from(rev));
        for column in &self.columns {
            let mut row = row.clone();
            let value = row.get(column).cloned().unwrap_or_default();
            if self.columns.len() > 1 {
                row.retain(|name, _| *name == self.x || !self.columns.contains(name));
            }
            // What is none or infinite leaves a gap.
            let value = match value {
                Value::String(text) if !matrix && is_no_number(&text) => Value::Null,
                value => value,
            };
            row.insert(FIELD.to_owned(), Value::from(column.as_str()));
            row.insert(self.y.clone(), value);
            self.rows.push(Value::Object(row));
        }
    }

    /// The numbers of each column in each version.
    pub(super) fn series(&self) -> Vec<PlotSeries> {
        let mut series = Vec::new();
        for rev in &self.revs {
            for column in &self.columns {
                let of_both = |row: &&Value| row[REV] == rev.as_str() && row[FIELD] == column.as_str();
                let rows = self.rows.iter().filter(of_both);
                let values: Vec<f64> = rows.filter_map(|row| row[self.y.as_str()].as_f64()).collect();
                if !values.is_empty() {
                    series.push(PlotSeries {
                        rev: rev.clone(),
                        column: column.clone(),
                        values,
                    });
                }
            }
        }
        series
    }
}

fn is_no_number(text: &str) -> bool {
    matches!(
        text.to_ascii_lowercase().as_str(),
        "nan" | "inf" | "-inf" | "+inf" | "infinity" | "-infinity"
    )
}

/// All columns, in the order of the rows that have them first.
fn columns<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<String> {
    let (mut seen, mut columns) = (BTreeSet::new(), Vec::new());
    for name in rows.flat_map(Row::keys) {
        if seen.insert(name) {
            columns.push(name.clone());
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows_of(name: &str, text: &str) -> Result<Vec<Row>> {
        read(&RepoPath::new(name.as_bytes()).unwrap(), text.as_bytes(), true)
    }

    #[test]
    fn rows_of_each_format() {
        let expected = [json!({"b": 1, "a": 2}), json!({"b": 3, "a": 4})];
        for (name, text) in [
            ("p.csv", "b,a\n1,2\n3,4\n"),
            ("p.tsv", "b\ta\n1\t2\n3\t4\n"),
            ("p.json", r#"[{"b":1,"a":2},{"b":3,"a":4}]"#),
            (
                "p.json",
                r#"{"note": "x", "train": {"rows": [{"b":1,"a":2},{"b":3,"a":4}]}}"#,
            ),
            ("p.yaml", "- {b: 1, a: 2}\n- {b: 3, a: 4}\n"),
        ] {
            let rows: Vec<Value> = rows_of(name, text).unwrap().into_iter().map(Value::Object).collect();
            assert_eq!(rows, expected, "{text}");
            assert_eq!(
                rows[0].as_object().unwrap().keys().collect::<Vec<_>>(),
                ["b", "a"],
                "{text}"
            );
        }
        assert_eq!(rows_of("p.json", "[1, 2]").unwrap()[1][VALUE], json!(2));
        for (name, text) in [
            ("p.json", "{}"),
            ("p.csv", "a,b\n"),
            ("p.toml", "a = 1"),
            ("p.json", "[]"),
        ] {
            assert!(rows_of(name, text).is_err(), "{name} {text}");
        }
    }

    #[test]
    fn columns_are_chosen() {
        let path = RepoPath::new(b"p.csv").unwrap();
        let rows = || rows_of("p.csv", "epoch,loss,acc\n0,2,nan\n1,1,0.5\n").unwrap();
        let points = |options: &PlotOptions| Points::new(&path, options, false, vec![("w".to_owned(), rows())]);
        let last = points(&PlotOptions::default()).unwrap();
        assert_eq!((last.x.as_str(), last.y.as_str()), ("step", "acc"));
        let expected = json!({"epoch": 1, "loss": 1, "acc": 0.5, "step": 1, "rev": "w", "field": "acc"});
        assert_eq!(last.rows[1], expected);
        assert_eq!(last.rows[0]["acc"], Value::Null);
        let options = PlotOptions {
            x: Some("epoch".to_owned()),
            y: vec!["loss".to_owned(), "acc".to_owned()],
            ..PlotOptions::default()
        };
        let two = points(&options).unwrap();
        assert_eq!(two.rows.len(), 4);
        assert_eq!(
            two.rows[2],
            json!({"epoch": 1, "rev": "w", "field": "loss", "value": 1})
        );
        let series: Vec<(String, Vec<f64>)> = two.series().into_iter().map(|s| (s.column, s.values)).collect();
        assert_eq!(
            series,
            [("loss".to_owned(), vec![2.0, 1.0]), ("acc".to_owned(), vec![0.5])]
        );
        let options = PlotOptions {
            x: Some("epochs".to_owned()),
            ..PlotOptions::default()
        };
        let Err(error) = points(&options) else {
            panic!("no such column")
        };
        assert_eq!(
            error.to_string(),
            "`p.csv` has no column `epochs`; it has epoch, loss, acc"
        );
    }
}
