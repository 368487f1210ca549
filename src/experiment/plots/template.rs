//! Templates of Vega-Lite, built in or the user's own: JSON with places such as `<MV_DATA>` that are filled.
//!
//! A text that is one place becomes its value, whatever that is; a place inside a text becomes text. Where a place has
//! nothing, such as dashes for one line, its key goes. DVC's names for the same places are understood, too.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::rows::{FIELD, Points, REV};
use crate::experiment::{ExperimentError, Result};
use crate::fs;
use crate::path::{RepoPath, quote};
use crate::pipeline::PlotOptions;
use crate::repo::Repository;

/// The largest template that is read, in bytes.
const MAX_TEMPLATE: u64 = 8 << 20;
/// The template of plots that name none.
const DEFAULT: &str = "linear";

macro_rules! built_in {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!(concat!("templates/", $name, ".json")))),*] };
}

/// The names are DVC's.
const BUILT_IN: [(&str, &str); 8] = built_in![
    "linear",
    "simple",
    "smooth",
    "scatter",
    "bar_horizontal",
    "bar_horizontal_sorted",
    "confusion",
    "confusion_normalized",
];

/// Other names for them.
const ALIASES: [(&str, &str); 2] = [("bar", "bar_horizontal"), ("default", DEFAULT)];

/// A template.
#[derive(Debug)]
pub(super) struct Template {
    name: String,
    spec: Value,
}

impl Template {
    /// The one that the user typed: a name, or a file.
    pub(super) fn given(repository: &Repository, template: &Path) -> Result<Self> {
        if let Some(found) = template.to_str().and_then(built_in) {
            return found;
        }
        let file = repository.cwd().join(template);
        Self::of_file(&template.display().to_string(), &file)
    }

    /// The one that a stage names: a name, or a file beside its project file or from the root.
    pub(super) fn named(repository: &Repository, name: Option<&str>, dir: &RepoPath) -> Result<Self> {
        let name = name.unwrap_or(DEFAULT);
        if let Some(found) = built_in(name) {
            return found;
        }
        let beside = dir.on_disk(repository.root()).join(name);
        let from_root = repository.root().join(name);
        let file = if fs::stat(&beside)?.is_some() {
            beside
        } else {
            from_root
        };
        Self::of_file(name, &file)
    }

    fn of_file(name: &str, file: &Path) -> Result<Self> {
        match fs::read_if_exists(file, MAX_TEMPLATE)? {
            Some(bytes) => Self::parse(name, &bytes),
            None => Err(ExperimentError::NoTemplate {
                name: quote(name.as_bytes()).into_owned(),
                known: BUILT_IN.iter().map(|(name, _)| *name).collect(),
            }),
        }
    }

    fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        let spec: Value = serde_json::from_slice(bytes).map_err(|error| ExperimentError::Template {
            name: name.to_owned(),
            message: error.to_string(),
        })?;
        if !names_data(&spec) {
            return Err(ExperimentError::TemplateWithoutData { name: name.to_owned() });
        }
        Ok(Self {
            name: name.to_owned(),
            spec,
        })
    }

    /// Whether it counts one column against another, so that both are names rather than numbers.
    pub(super) fn is_matrix(&self) -> bool {
        self.name.starts_with("confusion") || self.name.starts_with("bar")
    }

    /// Puts data and options in.
    pub(super) fn fill(&self, title: &str, options: &PlotOptions, points: Points) -> Result<Value> {
        let mut filling = Filling {
            template: &self.name,
            title,
            x_label: options.x_label.clone().unwrap_or_else(|| points.x.clone()),
            y_label: options.y_label.clone().unwrap_or_else(|| points.y_name.clone()),
            points,
        };
        let spec = filling.value(&self.spec)?;
        Ok(spec.unwrap_or_default())
    }
}

fn built_in(name: &str) -> Option<Result<Template>> {
    let name = ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name, |(_, name)| name);
    let (name, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
    Some(Template::parse(name, text.as_bytes()))
}

fn names_data(spec: &Value) -> bool {
    match spec {
        Value::String(text) => place(text).is_some_and(|name| name == "DATA"),
        Value::Array(values) => values.iter().any(names_data),
        Value::Object(map) => map.values().any(names_data),
        _ => false,
    }
}

/// The name of the place that a text is.
fn place(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('<')?.strip_suffix('>')?;
    let name = inside
        .strip_prefix("MV_")
        .or_else(|| inside.strip_prefix("DVC_METRIC_"))?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_name.then_some(name)
}

struct Filling<'a> {
    template: &'a str,
    title: &'a str,
    x_label: String,
    y_label: String,
    points: Points,
}

impl Filling<'_> {
    /// `None`: nothing is to be there.
    fn value(&mut self, value: &Value) -> Result<Option<Value>> {
        Ok(Some(match value {
            Value::String(text) => return self.text(text),
            Value::Array(values) => {
                let mut filled = Vec::with_capacity(values.len());
                for value in values {
                    filled.extend(self.value(value)?);
                }
                Value::Array(filled)
            }
            Value::Object(map) => {
                let mut filled = Map::new();
                for (key, value) in map {
                    if let Some(value) = self.value(value)? {
                        filled.insert(key.clone(), value);
                    }
                }
                Value::Object(filled)
            }
            other => other.clone(),
        }))
    }

    fn text(&mut self, text: &str) -> Result<Option<Value>> {
        if let Some(name) = place(text) {
            return self.place(name, text);
        }
        let (mut filled, mut rest) = (String::new(), text);
        while let Some(start) = rest.find('<') {
            let (before, from) = rest.split_at(start);
            filled.push_str(before);
            let word = from.find('>').and_then(|end| from.get(..=end));
            match word.and_then(|word| Some((word, place(word)?))) {
                Some((word, name)) => {
                    match self.place(name, word)? {
                        Some(Value::String(text)) => filled.push_str(&text),
                        Some(other) => filled.push_str(&other.to_string()),
                        None => {}
                    }
                    rest = from.get(word.len()..).unwrap_or_default();
                }
                None => {
                    filled.push('<');
                    rest = from.get(1..).unwrap_or_default();
                }
            }
        }
        Ok(Some(Value::String(filled + rest)))
    }

    fn place(&mut self, name: &str, whole: &str) -> Result<Option<Value>> {
        let points = &self.points;
        let several = points.columns.len() > 1;
        let colour = if several && points.revs.len() == 1 { FIELD } else { REV };
        let by_column = || several.then_some(FIELD);
        Ok(Some(match name {
            "DATA" => Value::Array(points.rows.clone()),
            "TITLE" => Value::from(self.title),
            "X" => Value::from(escaped(&points.x)),
            "Y" => Value::from(escaped(&points.y)),
            "X_LABEL" => Value::from(self.x_label.as_str()),
            "Y_LABEL" => Value::from(self.y_label.as_str()),
            "X_TYPE" => Value::from(if points.x_is_number { "quantitative" } else { "nominal" }),
            "WIDTH" | "PLOT_WIDTH" => Value::from(480),
            "HEIGHT" | "PLOT_HEIGHT" | "COLUMN_WIDTH" => Value::from(300),
            "COLOR" => {
                let names: Vec<&str> = match colour {
                    FIELD => points.columns.iter().map(String::as_str).collect(),
                    _ => points.revs.iter().map(String::as_str).collect(),
                };
                let legend = if names.len() > 1 { json!({}) } else { Value::Null };
                json!({"field": colour, "type": "nominal", "title": null, "scale": {"domain": names}, "legend": legend})
            }
            "STROKE_DASH" | "SHAPE" => match by_column().filter(|field| *field != colour) {
                Some(field) => json!({"field": field, "type": "nominal", "title": null}),
                None => return Ok(None),
            },
            "OFFSET" => match points.revs.len() {
                1 => return Ok(None),
                _ => json!({"field": REV}),
            },
            "ROW" => match by_column() {
                Some(field) => json!({"field": field, "type": "nominal", "title": null}),
                None => return Ok(None),
            },
            "TOOLTIP" => {
                let field = |name: &str, title: &str| json!({"field": escaped(name), "title": title});
                let mut fields = vec![
                    field(REV, REV),
                    field(&points.x, &self.x_label),
                    field(&points.y, &self.y_label),
                ];
                fields.extend(by_column().map(|name| field(name, name)));
                Value::Array(fields)
            }
            "ZOOM_AND_PAN" => json!({"name": "zoom", "select": "interval", "bind": "scales"}),
            "GROUP_BY" => json!([REV, FIELD]),
            "GROUP_BY_X" => json!([REV, FIELD, escaped(&points.x)]),
            "GROUP_BY_Y" => json!([REV, FIELD, escaped(&points.y)]),
            "PIVOT_FIELD" => Value::from("datum.rev + '::' + datum.field"),
            _ => {
                return Err(ExperimentError::UnknownAnchor {
                    name: self.template.to_owned(),
                    anchor: whole.to_owned(),
                });
            }
        }))
    }
}

/// The name of a column as Vega-Lite takes it for that column, and not for a path inside it.
fn escaped(column: &str) -> String {
    let mut out = String::with_capacity(column.len());
    for c in column.chars() {
        if matches!(c, '.' | '[' | ']' | '\\' | '\'' | '"') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(revs: &[&str], y: &[&str]) -> Points {
        let row = json!({"epoch": 1, "a.b": 2, "c": 3});
        let options = PlotOptions {
            x: Some("epoch".to_owned()),
            y: y.iter().map(|y| (*y).to_owned()).collect(),
            ..PlotOptions::default()
        };
        let path = RepoPath::new(b"p.csv").unwrap();
        let rows = |rev: &&str| ((*rev).to_owned(), vec![row.as_object().unwrap().clone()]);
        Points::new(&path, &options, false, revs.iter().map(rows).collect()).unwrap()
    }

    fn fill(template: &str, points: Points) -> Result<Value> {
        Template::parse("mine", template.as_bytes())?.fill("T", &PlotOptions::default(), points)
    }

    #[test]
    fn every_built_in_template_is_filled() {
        for (name, _) in BUILT_IN {
            for (revs, y) in [(&["a"][..], &["a.b"][..]), (&["a", "b"], &["a.b", "c"])] {
                let template = built_in(name).unwrap().unwrap();
                let spec = template.fill("T", &PlotOptions::default(), points(revs, y)).unwrap();
                let text = spec.to_string();
                assert!(!text.contains("<MV_"), "{name}: {text}");
                assert_eq!(
                    spec["data"]["values"].as_array().unwrap().len(),
                    revs.len() * y.len(),
                    "{name}"
                );
                assert_eq!(spec["title"], "T");
            }
        }
        assert_eq!(built_in("bar").unwrap().unwrap().name, "bar_horizontal");
    }

    #[test]
    fn places_become_values_or_text_or_go() {
        let template = r#"{"d": "<MV_DATA>", "x": "<DVC_METRIC_X>", "y": "<MV_Y>", "t": "a <MV_TITLE> < b <MV_WIDTH>",
                           "dash": "<MV_STROKE_DASH>", "l": ["<MV_SHAPE>", 1], "n": "<MV_>"}"#;
        let filled = fill(template, points(&["r"], &["a.b"])).unwrap();
        assert_eq!(
            filled["d"][0],
            json!({"epoch": 1, "a.b": 2, "c": 3, "rev": "r", "field": "a.b"})
        );
        assert_eq!(filled["y"], "a\\.b");
        let rest = json!({"x": "epoch", "t": "a T < b 480", "l": [1], "n": "<MV_>"});
        for (key, value) in rest.as_object().unwrap() {
            assert_eq!(&filled[key], value);
        }
        assert_eq!(filled.get("dash"), None);
        let filled = fill(template, points(&["r", "s"], &["a.b", "c"])).unwrap();
        assert_eq!(filled["dash"]["field"], "field");
    }

    #[test]
    fn bad_templates() {
        let of = |template| fill(template, points(&["r"], &["c"])).unwrap_err().to_string();
        assert_eq!(
            of("{}"),
            "the template `mine` has no `<MV_DATA>`, the place for the data"
        );
        assert!(of("{").starts_with("the template `mine` is not valid JSON: EOF"));
        let unknown = of(r#"["<MV_DATA>", "<DVC_METRIC_NEW>"]"#);
        assert_eq!(unknown, "the template `mine` has the unknown place `<DVC_METRIC_NEW>`");
    }
}
